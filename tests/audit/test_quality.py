"""What is missing, and whether more so in the places of a group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.audit.builders import forecasts_of, groups_of
from tests.builders import make_panel
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.quality import DEFINITIONS, extreme_ratio, piled
from tranquillite_ml.governance import load_thresholds
from tranquillite_ml.intake import Incidents, read_incidents
from tranquillite_ml.panel import Panel

LIMITS = load_thresholds()
C28 = DEFINITIONS[0]


def records(
    panel: Panel, *, lacking: tuple[float, float] = (0.0, 0.0), seed: int = 0, n: int = 4000
) -> Incidents:
    """Records at the cells' centres; a share lacks its time of report, by group (south, north)."""
    rng = np.random.default_rng(seed)
    cell = rng.integers(panel.n_cells, size=n)
    south = panel.grid.centres[cell, 0] < np.median(panel.grid.centres[:, 0])
    when = pd.Timestamp("2023-02-01", tz="Europe/Paris") + pd.to_timedelta(
        rng.integers(150 * 1440, size=n), "min"
    )
    reported = pd.Series(when + pd.Timedelta("1D"))
    reported[rng.random(n) < np.where(south, *lacking)] = pd.NaT
    table = {
        "occurred_at": when,
        "reported_at": reported,
        "lat": panel.grid.centres[cell, 0] + rng.normal(scale=1e-5, size=n),
        "lng": panel.grid.centres[cell, 1],
        "category": "noise",
    }
    return Incidents.from_table(pd.DataFrame(table), "Europe/Paris", {"noise": "citizen"})


def run(panel: Panel, incidents: Incidents, **more: Any) -> Any:
    given = {"groups": groups_of(panel), "incidents": incidents} | more
    return C28.run(forecasts_of(panel), Evidence(**given), LIMITS)


def ratio(check: Any, subject: str = "time of report") -> Any:
    return next(
        one for one in check.measurements if one.name == "missing_rate_ratio" and one.subject == subject
    )


@pytest.mark.parametrize(
    ("lacking", "status"),
    [((0.2, 0.2), "PASS"), ((0.2, 0.1), "WARN"), ((0.4, 0.08), "FAIL"), ((0, 0), "PASS")],
)
def test_a_group_that_lacks_more_is_seen(small_panel: Panel, lacking: Any, status: str) -> None:
    assert run(small_panel, records(small_panel, lacking=lacking)).status == status


def test_the_ratio_is_that_of_the_rates() -> None:
    panel = make_panel(60, rings=9, rate=0.1)  # many parent cells, so that there is an interval
    check = run(panel, records(panel, lacking=(0.4, 0.1)))
    rows = check.tables["by_group"].set_index(["what", "group"]).loc["time of report"]
    south, north = rows.loc["south"], rows.loc["north"]
    # Half a record more is lacking, and one more is seen.
    expected = ((south.doubtful + 0.5) / (south.records + 1)) / ((north.doubtful + 0.5) / (north.records + 1))
    found = ratio(check)
    assert found.value == pytest.approx(expected)
    assert found.lower < found.value < found.upper
    assert found.n == south.doubtful + north.doubtful
    assert rows["records"].sum() == 4000


def test_extreme_ratio_by_hand() -> None:
    # (0 + .5) / (9 + 1) = .05 and (4 + .5) / (9 + 1) = .45
    assert extreme_ratio([0, 4], [9, 9]) == pytest.approx(9)


def test_too_few_to_compare_is_no_pass(small_panel: Panel) -> None:
    few = records(small_panel, lacking=(0.05, 0.05), n=200)
    assert 0 < few.table["reported_at"].isna().sum() < 30
    check = run(small_panel, few)
    names = {(one.name, one.subject) for one in check.measurements}
    assert ("missing_rate_ratio", "time of report") not in names
    bare = run(small_panel, few, groups=None)
    assert bare.status == "NOT_ASSESSABLE"
    assert "groups" in bare.reason["en"]
    assert "doubtful_share" not in {one.name for one in bare.measurements} or len(bare.tables["problems"])


def test_delays_and_what_intake_found_are_told(small_panel: Panel) -> None:
    check = run(small_panel, records(small_panel))
    delay = [one for one in check.measurements if one.name == "reporting_delay"]
    assert [(one.subject, one.value, one.n) for one in delay] == [
        ("50% known by", 1.0, 4000),
        ("90% known by", 1.0, 4000),
        ("99% known by", 1.0, 4000),
    ]


def test_piles_and_repeats_of_a_file_are_told_and_compared(small_panel: Panel) -> None:
    """A default coordinate in the south, entered over and over."""
    base = records(small_panel).table
    lowest = int(np.argmin(small_panel.grid.centres[:, 0]))
    pile = base.iloc[:120].assign(
        lat=small_panel.grid.centres[lowest, 0], lng=small_panel.grid.centres[lowest, 1], category="noise"
    )
    twice = base.iloc[:300]
    rows = pd.concat([base, pile, twice]).drop(columns="incident_id")
    read = read_incidents(rows, tz="Europe/Paris", origins={"noise": "citizen"})
    check = run(small_panel, read)
    told = {one.subject: one.n for one in check.measurements if one.name == "doubtful_share"}
    assert told["pile-up on one coordinate"] >= 120
    assert told["exact repeats of time, place and category"] >= 300
    compared = {one.subject for one in check.measurements if one.name == "doubtful_rate_ratio"}
    assert "repeat" in compared


def test_hostile_names_and_places_outside_the_cells(small_panel: Panel) -> None:
    table = records(small_panel, n=500).table.drop(columns="incident_id")
    table["category"] = "<img src=x onerror=alert(1)>"
    table.loc[:49, "lat"] = 10.0
    far = Incidents.from_table(table, "Europe/Paris")
    check = run(small_panel, far)
    rows = check.tables["by_group"].set_index(["what", "group"])
    assert rows.loc[("repeat", "outside the cells"), "records"] == 50


def test_piled_is_the_rule_of_intake() -> None:
    lat = np.concatenate([np.full(60, 1.0), np.arange(2.0, 500.0)])
    assert piled(lat, np.zeros(len(lat))).sum() == 60
    assert piled(np.zeros(0), np.zeros(0)).sum() == 0
