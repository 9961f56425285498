"""Records of enforcement, persons and small cells are found; what is allowed is printed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.audit.builders import forecasts_of
from tests.builders import CENTRE, make_panel
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.guards import DEFINITIONS, finer_than
from tranquillite_ml.forecasters import Count365, Forecaster
from tranquillite_ml.governance import Governance, load_thresholds
from tranquillite_ml.governance.waivers import Waiver
from tranquillite_ml.intake import Incidents
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

LIMITS = load_thresholds()
C11, _, C18 = DEFINITIONS
HOSTILE = "<img src=x onerror=alert(1)>"


def value(check: Any, name: str) -> float:
    return next(one.value for one in check.measurements if one.name == name)


def with_origins(panel: Panel, **origins: str) -> Panel:
    arrays = {name: np.asarray(values) for name, values in panel._arrays.items()}
    return Panel(panel.grid, panel.bins, panel.categories, panel.origins | origins, arrays)


def waiver(category: str, origin: str = "agent", *, days: int = 30) -> Waiver:
    today = datetime.now(UTC).date()
    ends = today + timedelta(days=days)
    given = min(today, ends) - timedelta(days=1)
    return Waiver(
        category=category, origin=origin, who="A. Martin, council", when=given, why=HOSTILE, until=ends
    )


@pytest.fixture(scope="module")
def panel() -> Panel:
    return make_panel(60, rings=1, rate=0.4, seed=2, categories=("drugs", "noise", "theft"))


# ---------------------------------------------------------------------- C11


def test_context_of_agents_is_not_used_and_counts_for_nothing(panel: Panel) -> None:
    mixed = with_origins(panel, drugs="agent")
    check = C11.run(forecasts_of(mixed), Evidence(panel=mixed), LIMITS)
    assert check.status == "PASS"
    assert (value(check, "agent_share"), value(check, "denied_categories")) == (0, 0)
    # Every record counts in the file's share: drugs over all three categories.
    counts = {name: int(mixed.records(name).count.sum()) for name in mixed.categories}
    assert value(check, "agent_share_of_file") == pytest.approx(counts["drugs"] / sum(counts.values()))
    roles = check.tables["origins"].set_index("category")["role"].to_dict()
    assert roles == {"drugs": "not used", "noise": "forecast", "theft": "learnt from"}


def test_a_forecast_of_what_agents_record_fails_and_a_waiver_is_printed(panel: Panel) -> None:
    mixed = with_origins(panel, noise="agent", theft="agent")
    bare = C11.run(forecasts_of(mixed), Evidence(panel=mixed), LIMITS)
    assert bare.status == "FAIL"
    assert (value(bare, "agent_share"), value(bare, "denied_categories")) == (1, 1)
    assert "noise" in bare.reason["en"]
    held = Governance(waivers=(waiver("noise"),))
    waived = C11.run(forecasts_of(mixed), Evidence(panel=mixed, governance=held), LIMITS)
    assert (value(waived, "denied_categories"), value(waived, "active_waivers")) == (0, 1)
    assert waived.status == "FAIL"  # the share of what agents recorded does not go away
    assert waived.tables["waivers"].loc[0, "why"] == HOSTILE
    assert "A. Martin" in waived.tables["origins"].set_index("category").loc["noise", "waiver"]
    expired = Governance(waivers=(waiver("noise", days=-1),))
    late = C11.run(forecasts_of(mixed), Evidence(panel=mixed, governance=expired), LIMITS)
    assert (value(late, "denied_categories"), value(late, "active_waivers")) == (1, 0)


def test_a_name_tells_whatever_origin_is_declared(panel: Panel) -> None:
    check = C11.run(forecasts_of(panel, "drugs"), Evidence(panel=panel), LIMITS)
    assert check.status == "FAIL"
    assert check.tables["origins"].set_index("category").loc["drugs", "named_for_enforcement"]


def test_the_names_of_the_file_tell_too(panel: Panel) -> None:
    files = {"noise": SimpleNamespace(from_=("liquor laws",))}
    config = SimpleNamespace(incidents=SimpleNamespace(categories=files))
    check = C11.run(forecasts_of(panel), Evidence(panel=panel, config=config), LIMITS)  # type: ignore[arg-type]
    assert value(check, "denied_categories") == 1


def test_an_unknown_origin_of_a_target_fails(panel: Panel) -> None:
    vague = with_origins(panel, noise="unknown")
    check = C11.run(forecasts_of(vague), Evidence(panel=vague), LIMITS)
    assert (check.status, value(check, "unknown_origins")) == ("FAIL", 1)
    assert "noise" in check.reason["fr"]


class Sneaky(Forecaster):
    """Learns from drugs through the back door."""

    name = "sneaky"

    def _train(self, panel: Panel, category: str) -> None:
        return None

    def _rate(self, view: Any) -> Any:
        return np.full(view.shape, 0.1) + view.panel.counts("drugs").sum(axis=0) * 1e-3


def test_a_model_that_uses_refused_records_is_caught_by_what_it_says(panel: Panel) -> None:
    mixed = with_origins(panel, drugs="agent")
    seen = forecasts_of(mixed)
    target = Target("noise", period=7)
    honest = Count365(target, calibration_days=0).fit(mixed)
    assert C11.run(seen, Evidence(panel=mixed, model=honest), LIMITS).status == "PASS"
    sneaky = Sneaky(target, calibration_days=0).fit(mixed)
    check = C11.run(seen, Evidence(panel=mixed, model=sneaky), LIMITS)
    assert check.status == "FAIL"
    assert check.tables["origins"].set_index("category").loc["drugs", "role"] == "learnt from"


def test_without_counts_nothing_is_known(panel: Panel) -> None:
    check = C11.run(forecasts_of(panel), Evidence(), LIMITS)
    assert (check.status, check.missing) == ("NOT_ASSESSABLE", ("panel",))


# ---------------------------------------------------------------------- C18


def incidents(n: int = 60, **columns: Any) -> Incidents:
    table = pd.DataFrame(
        {
            "occurred_at": pd.date_range("2024-05-01", periods=n, freq="97min"),
            "lat": 43.3,
            "lng": 5.4,
            "category": "noise",
        }
    )
    made = Incidents.from_table(table, "Europe/Paris", {"noise": "citizen"})
    return replace(made, table=made.table.assign(**columns))


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({}, "PASS"),
        ({"victim_age": 30}, "FAIL"),
        ({"info": [f"06 12 34 56 {k:02d}" for k in range(60)]}, "FAIL"),
        ({"info": ["Marie Dupont"] * 60}, "FAIL"),
        ({"badge_code": range(60)}, "FAIL"),  # one value a row
        ({"code": [f"u{k}" for k in range(60)]}, "FAIL"),
        ({"ward": ["north", "south"] * 30}, "WARN"),
        ({"ward": [HOSTILE, "south"] * 30}, "WARN"),
        ({"floor": [1, 2] * 30}, "PASS"),
    ],
)
def test_columns_of_persons_fail_and_unknown_text_warns(panel: Panel, columns: Any, status: str) -> None:
    check = C18.run(forecasts_of(panel), Evidence(incidents=incidents(**columns)), LIMITS)
    assert check.status == status
    assert len(check.tables["found"]) == (0 if status == "PASS" else 1)


def test_an_incident_number_may_be_unique_but_no_address_of_a_person(panel: Panel) -> None:
    given = incidents(incident_id=[f"{k}" for k in range(60)])
    assert C18.run(forecasts_of(panel), Evidence(incidents=given), LIMITS).status == "PASS"
    mails = incidents(incident_id=[f"a{k}@example.org" for k in range(60)])
    assert C18.run(forecasts_of(panel), Evidence(incidents=mails), LIMITS).status == "FAIL"


def test_without_incidents_it_is_not_assessable_but_outputs_are_looked_at(panel: Panel) -> None:
    seen = forecasts_of(panel)
    assert C18.run(seen, Evidence(), LIMITS).status == "NOT_ASSESSABLE"
    seen.keys["suspect_name"] = "x"
    check = C18.run(seen, Evidence(), LIMITS)
    assert check.status == "FAIL"
    assert check.tables["found"].loc[0, "name"] == "suspect_name"


def test_cells_finer_than_a_household_fail(panel: Panel) -> None:
    seen = forecasts_of(panel)
    assert int(CENTRE, 16) in seen.cells
    assert not finer_than(seen, 9).any()
    assert finer_than(seen, 8).all()
    # The bits of the resolution set to 11: cells that HexGrid itself refuses.
    cleared = seen.cells & ~np.uint64(15 << 52)
    seen.cells = cleared | np.uint64(11 << 52)
    check = C18.run(seen, Evidence(incidents=incidents()), LIMITS)
    assert (check.status, value(check, "too_fine_cells")) == ("FAIL", 7)


def test_small_squares_are_too_fine_as_well(panel: Panel) -> None:
    seen = forecasts_of(panel)
    seen.meta["grid"] = {"kind": "squares"}
    # A cell of resolution 10 has 0.015 km² on average; half of that is the limit.
    seen.area_km2 = np.array([0.0074, 0.0076, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert finer_than(seen, 10).tolist() == [True, False, False, False, False, False, False]
