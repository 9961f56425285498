"""C08, C09, C10 call the simulations, judge what they should, and say what they cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.simulation.conftest import planted_panel
from tranquillite_ml import RollingOrigin, SmoothedCount, Target, backtest
from tranquillite_ml.audit.check import Check
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.groups import Groups
from tranquillite_ml.audit.simulations import DEFINITIONS, REFITTED, place_groups
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.governance import load_thresholds
from tranquillite_ml.governance.thresholds import Thresholds
from tranquillite_ml.panel import Panel

BY_ID = {one.id: one for one in DEFINITIONS}


@pytest.fixture(scope="module")
def panel() -> Panel:
    return planted_panel(60)


@pytest.fixture(scope="module")
def forecasts(panel: Panel) -> Forecasts:
    model = SmoothedCount(Target("noise", period=7), calibration_days=0)
    return backtest([model], panel, RollingOrigin(folds=2, every="7D"))


@pytest.fixture(scope="module")
def thresholds() -> Thresholds:
    """The shipped values, with shorter simulations."""
    values = load_thresholds()
    shorter = {
        "C08": {"urn_days": 300.0, "urn_runs": 40.0, "loop_weeks": 6.0, "discovery": (0.0, 0.2, 0.5)},
        "C09": {"weeks": 4.0},
        "C10": {"draws": 20.0, "top_share": 0.1},
    }
    checks = {
        name: check.model_copy(update={"settings": check.settings | shorter.get(name, {})})
        for name, check in values.checks.items()
    }
    return values.model_copy(update={"checks": checks})


@pytest.fixture(scope="module")
def evidence(panel: Panel) -> Evidence:
    row, column = np.divmod(np.arange(144), 12)
    near = (row + column < 3).astype(float)
    groups = Groups.of_cells({"near": 100 * near, "far": 100 * (1 - near)}, panel.grid.cells)
    return Evidence(groups=groups, panel=panel)


def settled(thresholds: Thresholds, check: str, **settings: object) -> Thresholds:
    """The same thresholds with other settings of one check."""
    one = thresholds.checks[check]
    other = one.model_copy(update={"settings": one.settings | settings})
    return thresholds.model_copy(update={"checks": thresholds.checks | {check: other}})


def _run(name: str, forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Check:
    return BY_ID[name].run(forecasts, evidence, thresholds)


def test_feedback_tells_every_arm_and_judges_the_guard(
    forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds
) -> None:
    check = _run("C08", forecasts, evidence, thresholds)
    assert check.status in {"PASS", "WARN", "FAIL"}
    named = {(one.name, one.group): one for one in check.measurements}
    for suffix in ("", "_guard_off", "_guard_on", "_weighted"):
        one = named[f"amplification{suffix}", "near"]
        assert one.lower <= one.value <= one.upper
        assert (one.n, one.unit_of_n, one.category) == (50, "runs", "noise")
    assert named["expected_share_change_guard_on", "near"].value == 1
    assert named["expected_share_change_guard_off", "near"].value > 1
    assert named["inflation_guard_off", None].value > named["inflation", None].value
    assert named["naive_urn_error", "rates 2 to 1"].value > named["corrected_urn_error", "rates 2 to 1"].value
    assert set(check.tables) == {"urns", "feedback", "places", "amplification"}
    assert "surrogate" in check.method
    assert "0.2 of the finds misfiled" in check.method
    assert Check(**{**vars(check)}).to_dict()["measurements"]


def test_a_planted_loop_fails(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> None:
    # A limit just below what was measured turns the status, and nothing else does.
    check = _run("C08", forecasts, evidence, thresholds)
    worst = max(one.value for one in check.measurements if one.name == "amplification")
    limits = dict(thresholds.checks["C08"].limits)
    strict = limits["amplification"].model_copy(
        update={"warn": None, "fail": limits["amplification"].fail.model_copy(update={"above": worst - 1e-6})}
    )
    c08 = thresholds.checks["C08"].model_copy(update={"limits": limits | {"amplification": strict}})
    tight = thresholds.model_copy(update={"checks": thresholds.checks | {"C08": c08}})
    assert _run("C08", forecasts, evidence, tight).status == "FAIL"


def test_lock_in_is_one_with_the_guard(
    forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds
) -> None:
    check = _run("C09", forecasts, evidence, thresholds)
    named = {one.name: one for one in check.measurements}
    assert named["lock_in_ratio_guard_on"].value == 1
    assert named["lock_in_ratio_guard_off"].value > 1
    assert named["lock_in_ratio"].n == 50
    assert check.status in {"PASS", "WARN"}
    assert set(check.tables) == {"lock_in"}


def test_displacement_says_what_is_hypothetical_and_leaves_no_ratio_out(
    forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds
) -> None:
    check = _run("C10", forecasts, evidence, thresholds)
    judged = [one for one in check.measurements if one.name == "displaced_share"]
    assert [one.group for one in judged] == [
        "hypothetical · all report alike",
        "hypothetical · the group that reports least · near",
        "hypothetical · the group that reports most · near",
    ]
    assert all(0 <= one.lower <= one.value <= one.upper <= 1 and one.n == 20 for one in judged)
    left = [one for one in check.measurements if one.name == "unreported_selection_ratios"]
    assert [one.value for one in left] == [0]
    ratios = check.tables["selection"]["selection_ratio"].notna().sum()
    assert sum(one.name == "selection_ratio" for one in check.measurements) == ratios
    few = check.tables["selection"].query("few")
    assert sum(one.suppressed for one in check.measurements) == few["selection_ratio"].notna().sum()


@pytest.mark.parametrize("name", ["C08", "C09", "C10"])
def test_without_groups_quintiles_of_activity_stand_in(
    name: str, forecasts: Forecasts, panel: Panel, thresholds: Thresholds
) -> None:
    check = _run(name, forecasts, Evidence(panel=panel), thresholds)
    groups = {one.group for one in check.measurements if one.name in {"amplification", "selection_ratio"}}
    assert name == "C09" or any("by recorded incidents" in str(group) for group in groups)
    again = _run(name, forecasts, Evidence(panel=panel), thresholds)
    assert [one.to_dict() for one in again.measurements] == [one.to_dict() for one in check.measurements]


@pytest.mark.parametrize(
    ("name", "judged"), [("C08", "amplification"), ("C09", "lock_in_ratio"), ("C10", "displaced_share")]
)
def test_records_of_agents_cannot_be_simulated(
    name: str, judged: str, forecasts: Forecasts, thresholds: Thresholds
) -> None:
    check = _run(name, forecasts, Evidence(panel=planted_panel(60, origin="agent")), thresholds)
    assert check.status == "NOT_ASSESSABLE"
    assert [np.isnan(one.value) for one in check.measurements if one.name == judged] == [True]
    assert "made by agents" in check.method


@pytest.mark.parametrize("name", ["C08", "C09", "C10"])
def test_without_a_panel_nothing_can_be_said(name: str, forecasts: Forecasts, thresholds: Thresholds) -> None:
    check = _run(name, forecasts, Evidence(), thresholds)
    assert (check.status, check.missing) == ("NOT_ASSESSABLE", ("panel",))


def test_the_deep_tier_keeps_its_steps_beside_the_run(
    forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds, tmp_path: Path
) -> None:
    model = SmoothedCount(Target("noise", period=7), calibration_days=0)
    deep = replace(evidence, deep=True, model=model, run=tmp_path / "runs" / "try-1")
    check = _run("C10", forecasts, deep, thresholds)
    assert "20 draws of smoothed_count, weekly (surrogate) a scenario" in check.method
    assert "5 draws of smoothed_count a scenario" in check.method
    [kept] = (tmp_path / "runs" / "simulations" / "try-1").iterdir()
    assert kept.name.startswith("underreporting-")
    assert len(list(kept.glob("*.npy"))) == 16
    # The surrogate's figures are what they are without it; the model's stand beside them.
    plain = _run("C10", forecasts, evidence, thresholds)
    assert [one for one in check.measurements if one.subject is None] == list(plain.measurements)
    own = [one for one in check.measurements if one.subject == REFITTED and one.name == "displaced_share"]
    assert [one.n for one in own] == [5, 5, 5]
    # Other settings are another simulation, and never a folder that is refused.
    assert _run("C10", forecasts, replace(deep, seed=1), thresholds).status != "NOT_ASSESSABLE"
    assert len(list((tmp_path / "runs" / "simulations" / "try-1").iterdir())) == 2


def test_the_model_itself_lives_through_the_loops(
    forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds
) -> None:
    model = SmoothedCount(Target("noise", period=7), calibration_days=0)
    told: list[str] = []
    deep = replace(evidence, deep=True, model=model, report=lambda what, *_: told.append(what))
    quick = settled(thresholds, "C08", loop_weeks=3.0, deep_runs=5.0)
    loop = _run("C08", forecasts, deep, quick)
    own = [one for one in loop.measurements if one.subject == REFITTED]
    assert {one.n for one in own} == {5}
    assert {"amplification", "inflation", "inflation_guard_off"} <= {one.name for one in own}
    assert list(loop.tables)[:2] == ["urns", "feedback"]  # figures draw the surrogate's
    assert "places_refitted" in loop.tables
    null = _run("C09", forecasts, deep, settled(quick, "C09", weeks=1.0))
    ratios = {one.name: one for one in null.measurements if one.subject == REFITTED}
    assert ratios["lock_in_ratio_guard_on"].value == 1
    assert ratios["lock_in_ratio"].lower <= ratios["lock_in_ratio"].value <= ratios["lock_in_ratio"].upper
    assert "2 weeks × 5 runs of smoothed_count, seed 0" in null.method
    assert sum(what.startswith("budget:") for what in told) == 2


def test_constants_of_the_loops_are_settings(
    forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds
) -> None:
    none = _run("C08", forecasts, evidence, settled(thresholds, "C08", misfiled=0.0, runs=10.0))
    named = {(one.name, one.group): one for one in none.measurements}
    assert named["expected_share_change", "near"].value == 1  # with nothing misfiled it is the guard as meant
    assert named["amplification", "near"].n == 10
    few = _run("C08", forecasts, evidence, settled(thresholds, "C08", min_flags=1e9))
    assert not [one for one in few.measurements if one.name.startswith("amplification")]
    even = _run("C10", forecasts, evidence, settled(thresholds, "C10", hypothetical=(1.0, 1.0)))
    assert {one.value for one in even.measurements if one.name == "displaced_share"} == {0.0}


def test_groups_without_residents_are_left_out(panel: Panel) -> None:
    nobody = Groups.of_cells({"some": np.ones(144), "none": np.zeros(144)}, panel.grid.cells)
    found = place_groups(Evidence(groups=nobody, panel=panel))
    assert found is not None
    assert found.names == ("some",)
    assert place_groups(Evidence(panel=panel)) is None
    empty = Groups.of_cells({"none": np.zeros(144)}, panel.grid.cells)
    assert place_groups(Evidence(groups=empty, panel=panel)) is None
