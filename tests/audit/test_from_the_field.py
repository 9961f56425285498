"""Records of the field: their form, what is measured of them, what fails, what is not assessable."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.audit.builders import forecasts_of, groups_of
from tests.builders import make_panel
from tranquillite_ml.audit.drift import binned, stability_index
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.from_the_field import DEFINITIONS, RECORDS, read_record
from tranquillite_ml.errors import InputDataError
from tranquillite_ml.evaluation.canaries import panel_of as dense_panel
from tranquillite_ml.features import Daylight, FeatureSet, History
from tranquillite_ml.forecasters import LightGBMForecaster
from tranquillite_ml.governance import Governance, load_thresholds, log
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

LIMITS = load_thresholds()
BY_ID = {one.id: one for one in DEFINITIONS}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def panel() -> Panel:
    return make_panel(90, rings=2, rate=0.3)


def run(check: str, panel: Panel, **evidence: Any) -> Any:
    return BY_ID[check].run(forecasts_of(panel), Evidence(panel=panel, **evidence), LIMITS)


def value(check: Any, name: str, **equal: Any) -> float:
    found = [one for one in check.measurements if one.name == name]
    return next(one.value for one in found if all(getattr(one, key) == v for key, v in equal.items()))


@pytest.mark.parametrize(
    ("check", "missing"), [("C21", "contests"), ("C22", "decisions"), ("C25", "frontier"), ("C26", "trial")]
)
def test_without_a_record_it_is_not_assessable(panel: Panel, check: str, missing: str) -> None:
    found = run(check, panel)
    assert (found.status, found.missing) == ("NOT_ASSESSABLE", (missing,))
    assert found.reason["en"]
    assert found.reason["fr"]


# ---------------------------------------------------------------------- the form


def test_the_form_is_documented() -> None:
    for form in RECORDS.values():
        assert all(
            field.meaning and field.kind in {"text", "day", "number", "yes or no"} for field in form.values()
        )


GOOD = {"contest_id": "1", "received_on": "2026-01-02", "about": "a cell"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"contest_id": "1"}], "missing"),
        ([GOOD | {"answred_on": "2026-01-03"}], "Did you mean 'answered_on'"),
        ([GOOD | {"received_on": "yesterday"}], "row 1, received_on: expected a day"),
        ([GOOD, GOOD | {"received_on": None}], "row 2"),
        ([GOOD | {"outcome": HOSTILE}], "expected one of"),
        ([GOOD | {"about": "  "}], "about"),
    ],
)
def test_a_record_of_another_form_is_refused(rows: Any, words: str) -> None:
    with pytest.raises(InputDataError, match=words):
        read_record("contests", rows)


def test_a_hostile_text_is_text_and_a_file_is_read(tmp_path: Path) -> None:
    rows = [GOOD | {"about": HOSTILE}]
    assert read_record("contests", rows)["about"].tolist() == [HOSTILE]
    path = tmp_path / "contests.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_record("contests", path), read_record("contests", rows))


cells = st.one_of(st.none(), st.text(max_size=8), st.integers(), st.floats(), st.booleans())


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(RECORDS)), st.data())
def test_whatever_comes_is_read_or_refused(name: str, data: st.DataObject) -> None:
    columns = data.draw(st.lists(st.sampled_from([*RECORDS[name], "x"]), unique=True))
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, cells)), max_size=3))
    try:
        table = read_record(name, rows)
    except InputDataError:
        return
    assert list(table) == list(RECORDS[name])


# ---------------------------------------------------------------------- C21


def test_waiting_times_by_hand(panel: Panel) -> None:
    rows = [
        GOOD | {"answered_on": "2026-01-12", "outcome": "upheld"},  # 10 days
        GOOD | {"received_on": "2026-01-01", "answered_on": "2026-03-02"},  # 60 days
        GOOD | {"received_on": "2026-02-20"},  # open: 10 days until the last date, 2 March
    ]
    named = Governance(contact="mairie@example.org")
    check = run("C21", panel, governance=named, records={"contests": rows})
    assert (check.status, value(check, "median_days"), value(check, "open_objections")) == ("PASS", 10, 1)
    late = [row | {"received_on": "2025-11-01", "answered_on": "2026-01-12"} for row in rows]
    assert run("C21", panel, governance=named, records={"contests": late}).status == "WARN"
    assert run("C21", panel, governance=Governance(), records={"contests": rows}).status == "FAIL"
    assert run("C21", panel, records={"contests": rows}).status == "FAIL"
    with pytest.raises(InputDataError, match="before it was received"):
        run("C21", panel, records={"contests": [GOOD | {"answered_on": "2025-01-01"}]})


# ---------------------------------------------------------------------- C22


def test_a_table_of_decisions_is_counted_but_proves_nothing(panel: Panel) -> None:
    starts = forecasts_of(panel).keys["period_start"].dt.tz_localize(None)
    rows = [
        {
            "forecast_sha256": "a",
            "period_start": str(start.date()),
            "role": "duty officer",
            "action": "overridden",
        }
        for start in starts
    ]
    check = run("C22", panel, records={"decisions": rows})
    assert (check.status, value(check, "logged_share")) == ("NOT_ASSESSABLE", 1)
    assert value(check, "overrides_without_reason") == 2
    half = run("C22", panel, records={"decisions": rows[:1]})
    assert (half.status, value(half, "logged_share")) == ("WARN", 0.5)


def test_a_chained_log_passes_and_a_broken_one_fails(panel: Panel, tmp_path: Path) -> None:
    path, noon = tmp_path / "log.jsonl", datetime(2026, 3, 1, 12, tzinfo=UTC)
    for k in range(3):
        log.append(path, "forecast", {"sha256": f"f{k}"}, noon)
        log.append(path, "decision", {"forecast_sha256": f"f{k}", "action": "followed"}, noon)
    check = run("C22", panel, records={"decisions": path})
    assert (check.status, value(check, "logged_share"), value(check, "broken_lines")) == ("PASS", 1, 0)
    log.append(path, "forecast", {"sha256": "unanswered"}, noon)
    assert value(run("C22", panel, records={"decisions": path}), "logged_share") == 0.75
    path.write_bytes(path.read_bytes().replace(b"followed", b"ignored ", 1))
    broken = run("C22", panel, records={"decisions": path})
    assert broken.status == "FAIL"
    assert "line 2" in broken.reason["en"]


# ---------------------------------------------------------------------- C25, C26


def test_a_choice_needs_an_owner(panel: Panel) -> None:
    rows = [{"penalty": p, "capture": 0.3, "largest_gap": 0.2, "chosen": p == 0.1} for p in (0, 0.1, 1, 10)]
    assert run("C25", panel, records={"frontier": rows}).status == "FAIL"
    rows[1]["owner"] = "city council"
    check = run("C25", panel, records={"frontier": rows[:3]})
    assert (check.status, value(check, "penalties_not_tried")) == ("PASS", 1)
    rows[2] |= {"chosen": True, "owner": "city council"}
    assert run("C25", panel, records={"frontier": rows}).status == "FAIL"  # two choices are none


def test_claims_need_a_trial(panel: Panel) -> None:
    row = {"outcome": "stops", "randomised": True, "claimed": True, "slots": 40}
    effect = {"effect": -0.1, "lower": -0.2, "upper": 0.0}
    assert run("C26", panel, records={"trial": [row]}).status == "FAIL"
    check = run("C26", panel, records={"trial": [row | effect | {"group": HOSTILE}]})
    assert check.status == "PASS"
    told = check.measurements[-1]
    assert (told.name, told.value, told.lower, told.upper, told.n, told.group) == (
        "field_effect",
        -0.1,
        -0.2,
        0.0,
        40,
        HOSTILE,
    )
    watched = run("C26", panel, records={"trial": [row | effect | {"randomised": False}]})
    assert watched.status == "WARN"


# ---------------------------------------------------------------------- C12


def register(*entries: tuple[str, str]) -> Governance:
    rows = [
        {"period": period, "area": area, "reason": HOSTILE, "source": "audit office"}
        for period, area in entries
    ]
    return Governance(dirty_data=rows)


def test_doubtful_records_by_hand(panel: Panel) -> None:
    counts = panel.counts("noise")
    cell = panel.grid.names()[3]
    # Bins are days since 2 January 2023: the first ten of the whole city, and all January of one cell.
    governance = register(("2023-01-02/2023-01-11", "city"), ("2023-01-01/2023-01-31", cell))
    check = run("C12", panel, governance=governance)
    inside = counts[:10].sum() + counts[10:30, 3].sum()
    assert value(check, "training_share") == pytest.approx(inside / counts.sum())
    assert check.tables["register"]["area_known"].all()
    assert check.status == "WARN"


def test_an_empty_register_is_not_a_clean_one(panel: Panel) -> None:
    assert run("C12", panel, governance=Governance()).status == "FAIL"
    assert run("C12", panel, governance=Governance(dirty_data=())).status == "PASS"
    assert run("C12", panel).status == "NOT_ASSESSABLE"


def test_a_misspelt_area_hides_nothing(panel: Panel) -> None:
    known = run(
        "C12", panel, governance=register(("2023-01-02/2023-01-11", "south")), groups=groups_of(panel)
    )
    vague = run(
        "C12", panel, governance=register(("2023-01-02/2023-01-11", "suoth")), groups=groups_of(panel)
    )
    assert value(vague, "training_share") > value(known, "training_share") > 0
    assert not vague.tables["register"]["area_known"].any()


# ---------------------------------------------------------------------- C13


def test_the_index_by_hand_and_missing_values() -> None:
    # With half a value added: q = (50, 50) / 100, p = (75, 25) / 100.
    expected = 0.25 * np.log(1.5) - 0.25 * np.log(0.5)
    assert stability_index([49.5, 49.5], [74.5, 24.5]) == pytest.approx(expected)
    assert np.isnan(stability_index([], []))
    one, two = binned(np.array([np.nan] * 4), np.array([1.0]), 10)
    assert np.isnan(stability_index(one, two))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=8), st.integers(0, 2**16))
def test_the_index_is_never_negative_and_nothing_for_the_same(counts: list[int], seed: int) -> None:
    assume(sum(counts) > 0)
    other = np.random.default_rng(seed).permutation(counts)
    assert stability_index(counts, other) >= 0
    assert stability_index(counts, counts) == pytest.approx(0)


def shifted(factor: float) -> Panel:
    """560 days of counts on 37 cells; in the last quarter the rate is another."""
    grid = HexGrid(["893968152bbffff"]).dilated(3)
    rate = np.full((560, grid.n_cells), 0.5)
    rate[-91:] *= factor
    return dense_panel(np.random.default_rng(0).poisson(rate), grid)


def test_what_cannot_be_compared_is_named() -> None:
    check = run("C13", shifted(1.0))  # two periods of a backtest; counts that are known at once
    assert check.status == "NOT_ASSESSABLE"
    assert "do not say when they were reported" in check.reason["en"]
    assert "trop peu de périodes" in check.reason["fr"]
    assert value(check, "stability_index", subject="weekly count of a cell") < 0.1


def test_a_change_of_level_is_seen() -> None:
    check = run("C13", shifted(4.0))
    assert check.status == "FAIL"
    assert value(check, "stability_index", subject="weekly count of a cell") > 0.25


def test_records_that_move_between_groups_are_seen() -> None:
    grid = HexGrid(["893968152bbffff"]).dilated(3)
    south = grid.centres[:, 0] < np.median(grid.centres[:, 0])
    rate = np.full((560, grid.n_cells), 0.5)
    rate[-91:] *= np.where(south, 1.7, 0.3)
    moved = dense_panel(np.random.default_rng(0).poisson(rate), grid)
    check = run("C13", moved, groups=groups_of(moved))
    assert value(check, "stability_index", subject="records by group of places") > 0.25


def test_features_of_the_model_are_compared_and_a_short_history_is_not(trees: LightGBMForecaster) -> None:
    long = make_panel(560, rings=2, rate=0.2)
    check = run("C13", long, model=trees)
    subjects = {one.subject for one in check.measurements}
    assert "target_28d" in subjects
    assert "season_sin" not in subjects
    assert run("C13", make_panel(300, rings=1)).status == "NOT_ASSESSABLE"


def test_what_is_the_same_everywhere_is_not_judged() -> None:
    long = make_panel(560, rings=1, rate=0.2)
    features = FeatureSet([History(windows=[28], decays=[], others=False), Daylight()])
    model = LightGBMForecaster(Target("noise", period=7), features, n_estimators=5, calibration_days=28)
    check = run("C13", long, model=model.fit(long))
    subjects = {one.subject for one in check.measurements}
    assert "target_28d" in subjects
    assert "dark_share" not in subjects  # the nights of one quarter are not those of a year
