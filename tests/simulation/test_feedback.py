"""The loop on a panel: no finds, no change; planted feedback is seen; the guard stops it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.simulation.conftest import planted_panel, planted_rate
from tranquillite_ml import LightGBMForecaster, SmoothedCount, Target, simulate_feedback
from tranquillite_ml.errors import UsageError
from tranquillite_ml.panel import Panel
from tranquillite_ml.simulation import PlaceGroups, simulate_null_loop
from tranquillite_ml.simulation.refitting import replaced, with_counts
from tranquillite_ml.simulation.truth import reported_rate


def _row(table: pd.DataFrame, arm: str, discovery: float = 0.5, **which: object) -> pd.Series:
    mask = (table["arm"] == arm) & (table["discovery"] == discovery)
    for name, value in which.items():
        mask &= table[name] == value
    found = table[mask]
    assert len(found) == 1
    return found.iloc[0]


def test_the_truth_is_the_smoothed_field(panel: Panel) -> None:
    rate = reported_rate(panel, "noise")
    assert np.corrcoef(rate, planted_rate())[0, 1] > 0.97
    assert rate.sum() == pytest.approx(planted_rate().sum(), rel=0.05)


def test_a_guard_that_sets_everything_aside_changes_nothing(panel: Panel, parts: PlaceGroups) -> None:
    found = simulate_feedback(panel, "noise", groups=parts, weeks=20, runs=20)
    excluded = found.amplification[found.amplification["arm"] == "excluded"]
    assert (excluded["over_none"] == 1).all()
    assert (excluded["expected_over_none"] == 1).all()
    assert (excluded[["over_none_lower", "over_none_upper"]] == 1).all().all()
    none, kept = (
        found.places[(found.places["arm"] == arm) & (found.places["discovery"] == share)]["inflation"]
        for arm, share in (("nothing found", 0.0), ("excluded", 0.5))
    )
    assert none.to_numpy() == pytest.approx(kept.to_numpy())


def test_planted_feedback_is_recovered(panel: Panel, parts: PlaceGroups) -> None:
    found = simulate_feedback(panel, "noise", groups=parts, runs=30, weeks=52)
    last = found.places[found.places["week"] == 51]
    none = _row(last, "nothing found", 0.0)
    # After a year, with a memory of 365 days and two years of history before, records of a flagged place are
    # 1 + 0.5 × (weight of the last 51 of 155 weeks) times its rate.
    weight = (1 - np.exp(-357 / 365)) / (1 - np.exp(-1085 / 365))
    included = _row(last, "included")
    assert included["inflation"] == pytest.approx((1 + 0.5 * weight) * none["inflation"], rel=0.03)
    assert included["inflation_lower"] > none["inflation_upper"]
    # A fifth of the finds misfiled is a loop of a fifth of the strength.
    misfiled = _row(last, "misfiled")["inflation"] / none["inflation"] - 1
    assert misfiled == pytest.approx(0.1 * weight, abs=0.02)
    # The known excess, weighted away.
    assert _row(last, "weighted")["inflation"] == pytest.approx(none["inflation"], rel=0.02)
    # More is found, more is expected of the corner, where patrols go.
    shares = [
        _row(found.amplification, "included", share, group="corner")["expected_over_none"]
        for share in (0.1, 0.2, 0.5)
    ]
    assert 1 < shares[0] < shares[1] < shares[2]
    assert _row(found.amplification, "weighted", group="corner")["expected_over_none"] == pytest.approx(
        1, abs=0.01
    )


def test_tables_hold_what_they_say(panel: Panel, parts: PlaceGroups) -> None:
    found = simulate_feedback(panel, "noise", groups=parts, weeks=6, runs=6, discovery=(0.2,))
    assert len(found.table) == 5 * 2 * 6  # arms × groups × weeks
    assert len(found.places) == 5 * 6
    first = found.table[found.table["week"] == 0]
    assert first.groupby("group")["exposure_ratio"].nunique().tolist() == [1, 1]
    assert (first["amplification"] == 1).all()
    # Weighted by their residents, exposure ratios have the mean 1.
    wide = found.table.pivot_table(index=["arm", "week"], columns="group", values="exposure_ratio")
    assert ((3 * wide["corner"] + 141 * wide["rest"]) / 144).to_numpy() == pytest.approx(1)
    assert (found.amplification["n_runs"] == 6).all()
    # 7 of 144 cells flagged in each of 6 runs.
    none = found.amplification[found.amplification["arm"] == "nothing found"]
    assert none["n_flags"].sum() == 42
    assert "surrogate" in found.method


def test_the_seed_decides_and_group_order_does_not(panel: Panel, parts: PlaceGroups) -> None:
    one = simulate_feedback(panel, "noise", groups=parts, weeks=5, runs=5, seed=3)
    again = simulate_feedback(panel, "noise", groups=parts, weeks=5, runs=5, seed=3)
    other = simulate_feedback(panel, "noise", groups=parts, weeks=5, runs=5, seed=4)
    pd.testing.assert_frame_equal(one.table, again.table)
    assert not one.table["expected_ratio"].equals(other.table["expected_ratio"])
    turned = PlaceGroups(parts.names[::-1], parts.residents[:, ::-1])
    swapped = simulate_feedback(panel, "noise", groups=turned, weeks=5, runs=5, seed=3)
    keys = ["arm", "discovery", "group", "week"]
    pd.testing.assert_frame_equal(
        one.table.sort_values(keys, ignore_index=True), swapped.table.sort_values(keys, ignore_index=True)
    )


def test_records_of_agents_are_no_truth(parts: PlaceGroups) -> None:
    with pytest.raises(UsageError, match="agents"):
        simulate_feedback(planted_panel(20, origin="agent"), "noise", groups=parts)
    with pytest.raises(UsageError, match="noise"):
        simulate_feedback(planted_panel(20), "nois", groups=parts)


def test_progress_is_told(panel: Panel) -> None:
    told: list[tuple[str, int, int]] = []
    simulate_feedback(panel, "noise", weeks=3, runs=2, report=lambda *step: told.append(step))
    assert [step[1:] for step in told] == [(0, 3), (1, 3), (2, 3), (3, 3)]


# ---------------------------------------------------------------------- without pattern


def test_without_finds_the_lock_in_ratio_is_exactly_one(panel: Panel) -> None:
    table = simulate_null_loop(panel, "noise", apart=6, runs=10).table
    for arm, discovery in (("nothing found", 0.0), ("excluded", 0.1), ("excluded", 0.5)):
        row = _row(table, arm, discovery)
        assert (row["lock_in_ratio"], row["lower"], row["upper"]) == (1.0, 1.0, 1.0)


def test_finds_lock_cells_in_where_all_are_alike(panel: Panel) -> None:
    table = simulate_null_loop(panel, "noise", runs=40, top_share=0.1).table
    ratios = [_row(table, "included", share)["lock_in_ratio"] for share in (0.1, 0.2, 0.5)]
    assert 1 < ratios[0] < ratios[1] < ratios[2]
    assert _row(table, "included")["lower"] > 1.2
    assert _row(table, "misfiled")["lock_in_ratio"] < ratios[2]
    # A slow memory keeps more than chance by itself. Two random picks of 14 of 144 share 14²/144 = 1.36.
    none = _row(table, "nothing found", 0.0)
    assert none["jaccard_random"] == pytest.approx(1.3611 / (28 - 1.3611), rel=1e-3)
    assert none["jaccard"] > 1.5 * none["jaccard_random"]
    with pytest.raises(UsageError, match="apart"):
        simulate_null_loop(panel, "noise", apart=0)


# ---------------------------------------------------------------------- the deep tier


def test_counts_go_on_and_are_replaced() -> None:
    panel = planted_panel(4)
    new = np.zeros((7, 144), dtype=np.int64)
    new[2, 5] = 3
    longer = with_counts(panel, {"theft": new, "found on patrol": new}, {"found on patrol": "agent"})
    assert longer.categories == ("found on patrol", "noise", "theft")
    assert longer.trainable(besides="noise") == ["theft"]
    assert np.array_equal(longer.counts("theft", 0, 28), panel.counts("theft"))
    assert np.array_equal(longer.counts("theft", 28), new)
    assert longer.counts("noise", 28).sum() == 0
    assert longer.until(30).counts("theft").sum() == panel.counts("theft").sum()  # known when the day is over
    assert np.array_equal(longer.until(28).counts("noise"), panel.counts("noise"))
    half = panel.counts("noise") // 2
    changed = replaced(panel, "noise", half)
    assert np.array_equal(changed.counts("noise"), half)
    assert np.array_equal(changed.counts("theft"), panel.counts("theft"))
    assert replaced(panel, "noise", panel.counts("noise")).digest() == panel.digest()


def _deep(panel: Panel, folder: Path | None, told: list[tuple[str, int, int]]) -> pd.DataFrame:
    model = SmoothedCount(Target(["noise", "theft"]), calibration_days=0)
    groups = PlaceGroups(["all"], np.ones((144, 1)))
    found = simulate_feedback(
        panel,
        "noise",
        groups=groups,
        forecaster=model,
        discovery=(0.5,),
        weeks=4,
        folder=folder,
        report=lambda *step: told.append(step),
    )
    assert "smoothed_count, seed 0" in found.method
    return found.places


def test_the_deep_tier_goes_on_after_an_interruption(tmp_path: Path) -> None:
    panel = planted_panel(30)
    told: list[tuple[str, int, int]] = []
    whole = _deep(panel, tmp_path / "steps", told)
    budget = [what for what, *_ in told if what.startswith("budget")]
    # 5 arms × 3 weeks after the first, which they share, and the first.
    assert len(budget) == 1
    assert "16 fits of smoothed_count" in budget[0]
    steps = sorted((tmp_path / "steps").glob("*.npy"))
    assert len(steps) == 16
    for lost in steps[3:9]:
        lost.unlink()
    told.clear()
    again = _deep(panel, tmp_path / "steps", told)
    pd.testing.assert_frame_equal(whole, again)
    assert ["6 fits" in what for what, *_ in told if what.startswith("budget")] == [True]
    told.clear()
    pd.testing.assert_frame_equal(whole, _deep(panel, tmp_path / "steps", told))
    assert not [what for what, *_ in told if what.startswith("budget")]
    with pytest.raises(UsageError, match="another simulation"):
        _deep(planted_panel(31), tmp_path / "steps", told)
    pd.testing.assert_frame_equal(whole, _deep(panel, None, told))


def test_the_real_guard_holds_in_the_deep_tier() -> None:
    # Finds set aside are in the panel, as a category of origin agent: a model with features of other
    # categories must forecast as if they were not there.
    panel = planted_panel(30)
    model = LightGBMForecaster(Target("noise"), calibration_days=0, n_estimators=10, stopping_days=0)
    groups = PlaceGroups(["all"], np.ones((144, 1)))
    found = simulate_feedback(
        panel, "noise", groups=groups, forecaster=model, discovery=(0.5,), weeks=3
    ).places
    none, kept, all_in = (
        found[found["arm"] == arm]["inflation"].to_numpy()
        for arm in ("nothing found", "excluded", "included")
    )
    assert kept == pytest.approx(none, rel=1e-12)
    assert all_in[1:] != pytest.approx(none[1:], rel=1e-6)
