"""What is flagged, and how weeks and neighbourhoods are resampled."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audit.scenes import covering, lenient, make_forecasts
from tranquillite_ml.audit.blocks import Blocks, parents_of
from tranquillite_ml.audit.selection import audited_slots, coverage_of, local_times
from tranquillite_ml.evaluation.bootstrap import ratio
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.governance import load_thresholds
from tranquillite_ml.squaregrid import SquareGrid

# ---------------------------------------------------------------------- what is flagged


def test_flags_are_the_highest_forecasts_up_to_the_area_and_ties_share():
    """Ten cells of 0.1 km²: a quarter is 2.5 cells. One is highest; four tie for 1.5: 0.375 each."""
    seen = make_forecasts({"ours": [[9, 5, 5, 5, 5, 1, 1, 1, 1, 1]]}, np.zeros((1, 10)))
    [slots] = audited_slots(seen, covering(load_thresholds(), 0.25))
    assert slots.flags[0] == pytest.approx([1, 0.375, 0.375, 0.375, 0.375, 0, 0, 0, 0, 0])


def test_coverage_is_of_the_thresholds_and_5_percent_without():
    values = load_thresholds().to_dict()
    del values["checks"]["C01"]["settings"]
    assert coverage_of(type(load_thresholds()).model_validate(values)) == 0.05
    assert coverage_of(covering(load_thresholds(), 0.2)) == 0.2


def test_only_the_first_model_with_outcome_at_the_nearest_horizon_is_audited():
    parts = make_forecasts({"ours": np.ones((4, 3)), "count_365d": np.ones((4, 3))}, np.ones((4, 3)))
    parts.keys.loc[0, "horizon"] = 2
    parts.observed_count[3] = np.nan
    changed = parts.take([2, 1, 0, 3, *range(4, 8)])
    [slots] = audited_slots(changed, load_thresholds())
    assert slots.rows.tolist() == [1, 0]  # in order of time; horizon 2 and the week without outcome are out
    assert slots.starts.is_monotonic_increasing


def test_times_are_local_whatever_they_came_as():
    told = pd.Series(
        ["2024-03-30 00:00:00+01:00", "2024-04-01 00:00:00+02:00"]
    )  # before and after the change
    assert local_times(told, "Europe/Paris").strftime("%d %H").tolist() == ["30 00", "01 00"]
    aware = pd.Series(pd.to_datetime(["2024-04-01"]).tz_localize("Europe/Paris"))
    assert local_times(aware, "Europe/Paris")[0] == pd.Timestamp("2024-04-01")
    assert local_times(aware.dt.tz_localize(None), "Europe/Paris")[0] == pd.Timestamp("2024-04-01")


def test_hours_come_from_the_period_where_they_are_not_given():
    seen = make_forecasts({"ours": np.ones((1, 3))}, np.ones((1, 3)))
    seen.keys["exposure_hours"] = np.nan
    assert audited_slots(seen, load_thresholds())[0].hours.tolist() == [168.0]


# ---------------------------------------------------------------------- blocks


def blocks_of(weeks, parent, *, n_draws=200, seed=0, length=4):
    return Blocks(np.asarray(weeks), np.asarray(parent), length, n_draws, seed)


@given(seed=st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_sums_are_those_of_a_loop(seed):
    rng = np.random.default_rng(seed)
    week = np.sort(rng.integers(0, 6, 9))
    week -= week.min()
    parent = np.unique(rng.integers(0, 3, 7), return_inverse=True)[1]
    values, weights = rng.normal(size=(9, 7)), rng.random((7, 2)) * (rng.random((7, 2)) > 0.3)
    used = np.unique(week).tolist()
    expected = np.zeros((len(used), parent.max() + 1, 2))
    for t, c, g in np.ndindex(9, 7, 2):
        expected[used.index(week[t]), parent[c], g] += values[t, c] * weights[c, g]
    assert blocks_of(week, parent).sums(values, weights) == pytest.approx(expected.reshape(-1, 2))


def test_a_resample_is_as_long_as_the_backtest_and_comes_in_runs_of_four_weeks():
    """12 weeks are 3 blocks: each resample has 12 weeks, and a single block has its four weeks once."""
    blocks = blocks_of(range(12), [0])
    counts = np.vstack(list(blocks._counts(1)))
    assert (counts.sum(axis=1) == 12).all()
    starts = blocks_of(range(12), [0], n_draws=500)
    assert np.vstack(list(starts._counts(1))).mean(axis=0) == pytest.approx(np.ones(12), abs=0.15)  # no edge


def test_weeks_between_the_folds_of_a_backtest_are_no_data():
    """Folds every 28 days: each block holds one of them, and each resample as many as there are folds."""
    blocks = blocks_of(np.arange(0, 13 * 4, 4), [0, 1])
    counts = np.vstack(list(blocks._counts(1)))
    assert counts.shape == (200, 13)
    assert (counts.sum(axis=1) == 13).all()
    assert blocks.n_blocks().tolist() == [13]


def test_all_groups_see_the_same_draws():
    rng = np.random.default_rng(0)
    values = rng.poisson(2.0, (52, 30)).astype(float)
    blocks = blocks_of(range(52), np.arange(30) // 5)
    twice = blocks.sums(values, np.ones((30, 2)))
    drawn = blocks.estimate(
        {"y": twice}, lambda sums: {"y": sums["y"], "gap": sums["y"][..., :1] - sums["y"][..., 1:]}
    )
    assert (drawn["y"].draws[:, 0] == drawn["y"].draws[:, 1]).all()
    assert (drawn["gap"].draws == 0).all()
    assert drawn["y"].draws[:, 0].std() > 0
    again = blocks.estimate({"y": twice}, lambda sums: {"y": sums["y"]})
    assert (again["y"].draws == drawn["y"].draws).all()


def test_blocks_are_counted_where_there_is_something():
    """8 weeks are two blocks; the first group has cells in both parents, the second in one."""
    blocks = blocks_of(range(8), [0, 0, 1])
    weights = np.array([[1, 0], [0, 1], [1, 0]])
    assert blocks.n_blocks(blocks.sums(1.0, weights)).tolist() == [4, 2]


def test_intervals_cover_what_they_should_where_shocks_are_shared():
    """A shock of each week is shared by all cells: whole-city blocks cover, resampled cells would not."""
    rng, covered = np.random.default_rng(3), 0
    for number in range(200):
        shock = rng.gamma(20, 1 / 20, (104, 1))
        values = rng.poisson(0.5 * shock, (104, 40)).astype(float)
        blocks = blocks_of(range(104), np.arange(40) // 10, seed=number)
        sums = {"y": blocks.sums(values, np.ones((40, 1))), "n": blocks.sums(1.0, np.ones((40, 1)))}
        drawn = blocks.estimate(sums, lambda s: {"rate": ratio(s["y"], s["n"])}, whole_city=True)["rate"]
        lower, upper = np.quantile(drawn.draws, [0.025, 0.975])
        covered += lower <= 0.5 <= upper
    # 26 blocks: plain percentiles cover about 93 %; four standard errors of 200 trials are 7 %.
    assert 0.86 <= covered / 200 <= 1.0


def test_parents_are_two_resolutions_up_or_squares_of_as_many_cells():
    hexes = make_forecasts({"ours": np.ones((1, 300))}, np.ones((1, 300)))
    parents = parents_of(hexes)
    assert parents.shape == (300,)
    assert np.bincount(parents).max() <= 49  # 7² children
    grid = SquareGrid.from_tensor_shape((14, 14), size_km=0.3)
    keys = hexes.keys
    squares = Forecasts(
        keys, grid.cells, grid.area_km2, {"expected_count": np.ones((1, 196))}, {"grid": grid.to_dict()}
    )
    assert sorted(np.bincount(parents_of(squares)).tolist()) == pytest.approx([49] * 4, abs=15)


def test_replicates_and_length_are_those_of_the_thresholds():
    seen = make_forecasts({"ours": np.ones((8, 3))}, np.ones((8, 3)))
    limits = lenient(replicates=123, block_weeks=2)
    [slots] = audited_slots(seen, limits)
    blocks = Blocks.of(slots, parents_of(seen), limits.intervals, 5)
    assert (blocks.n_draws, blocks.length, blocks.seed, blocks.n_weeks) == (123, 2, 5, 8)
