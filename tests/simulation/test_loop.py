"""The loop conserves what happened, pairs its arms, and its surrogate is the ladder's smoothed count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.conftest import planted_panel
from tranquillite_ml.errors import UsageError
from tranquillite_ml.features import View, smoothed_rate
from tranquillite_ml.simulation.loop import (
    Arm,
    OverRuns,
    Week,
    World,
    gini,
    jaccard,
    number_of_cells,
    record,
    top_cells,
)
from tranquillite_ml.simulation.surrogate import RATIO, Surrogate
from tranquillite_ml.target import Target


def test_the_surrogate_is_the_smoothed_count_in_closed_form() -> None:
    panel = planted_panel(30, freq="7D")
    model = Surrogate(panel.grid, np.zeros((panel.n_cells, 1)), 0.0)
    for week in range(panel.n_bins):
        counts = panel.counts("noise")[week][:, None].astype(np.int64)
        model.learn(counts, counts * 0)
    view = View(panel, "noise", Target("noise"), np.array([panel.n_bins]))
    assert model.expected()[:, 0] == pytest.approx(smoothed_rate(view)[0], rel=2e-5)


def test_a_twin_lives_on_apart() -> None:
    panel = planted_panel(2, freq="7D")
    one = Surrogate(panel.grid, np.ones((panel.n_cells, 1)), 1.0)
    other = one.twin()
    before = one.expected().copy()
    other.learn(np.full((panel.n_cells, 1), 9), np.zeros((panel.n_cells, 1), dtype=np.int64))
    assert np.array_equal(one.expected(), before)
    assert (other.expected() > before).all()


def test_history_is_what_weeks_would_have_left() -> None:
    world = World(np.array([2.0, 5.0]), 1.0, (0.5,), runs=4000, seed=1)
    decayed, weight = world.history(10, RATIO)
    # Weights RATIO¹ … RATIO¹⁰; the mean is rate × their sum.
    assert weight == pytest.approx(sum(RATIO**age for age in range(1, 11)))
    assert decayed.mean(axis=1) == pytest.approx(np.array([2.0, 5.0]) * weight, rel=0.02)


@given(
    st.integers(0, 2**31),
    st.sampled_from([0.1, 0.2, 0.5]),
    st.floats(0, 1),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
@settings(max_examples=40, deadline=None)
def test_what_is_found_is_recorded_or_set_aside(
    seed: int, discovery: float, taken: float, flags: list[bool]
) -> None:
    week = World(np.full(6, 3.0), 1.0, (0.1, 0.2, 0.5), runs=3, seed=seed).week(0)
    flagged = np.repeat(np.array(flags)[:, None], 3, axis=1)
    recorded, aside = record(week, Arm("any", discovery, taken), flagged, np.random.default_rng(seed))
    found = week.findable[discovery] * flagged
    assert np.array_equal(recorded + aside, week.reported + found)
    assert (aside >= 0).all()
    assert np.array_equal(recorded[~flagged], week.reported[~flagged])
    # Who finds more finds what who finds less finds.
    assert (week.findable[0.1] <= week.findable[0.2]).all()
    assert (week.findable[0.2] <= week.findable[0.5]).all()


def test_weighting_undoes_what_patrols_add_on_average() -> None:
    world = World(np.full(2000, 4.0), 1.0, (0.5,), runs=2, seed=0)
    week, flagged = world.week(3), np.zeros((2000, 2), dtype=bool)
    flagged[:1000] = True
    arm = Arm("weighted", 0.5, 1.0, thinned=1 / 1.5)
    recorded, aside = record(week, arm, flagged, np.random.default_rng(0))
    # Half of 4 unreported are found: (4 + 2) / 1.5 = 4.
    assert recorded[:1000].mean() == pytest.approx(4.0, abs=0.15)
    assert recorded[1000:].mean() == pytest.approx(4.0, abs=0.15)
    assert not aside.any()


def test_weeks_are_drawn_again_alike() -> None:
    world = World(np.full(5, 2.0), 1.0, (0.2,), runs=2, seed=7)
    one, again, other = world.week(4), world.week(4), world.week(5)
    assert np.array_equal(one.reported, again.reported)
    assert np.array_equal(one.findable[0.2], again.findable[0.2])
    assert not np.array_equal(one.jitter, other.jitter)
    assert isinstance(one, Week)


def test_flags_overlap_and_concentration_by_hand() -> None:
    expected = np.array([[5.0, 1.0], [4.0, 2.0], [3.0, 3.0], [2.0, 4.0]])
    flagged = top_cells(expected, 2)
    assert flagged.astype(int).tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    # Cells 0 and 1 against cells 0 and 2: one of three. Against none of them: 0.
    other = np.array([[True], [False], [True], [False]])
    assert jaccard(flagged, np.repeat(other, 2, axis=1)) == pytest.approx([1 / 3, 1 / 3])
    assert jaccard(flagged, flagged).tolist() == [1, 1]
    # 1, 0, 0, 3: mean |difference| over all pairs is (1+1+2+0+3+3) × 2 / 16 = 1.25, over twice the mean 1.
    assert gini(np.array([[1.0], [0.0], [0.0], [3.0]]))[0] == pytest.approx(1.25 / 2)
    assert number_of_cells(0.01, 2241) == 22
    assert number_of_cells(0.01, 7) == 1


def test_intervals_over_runs() -> None:
    over = OverRuns(20)
    top = np.linspace(0.9, 1.1, 20)
    value, lower, upper = over.ratio(top)
    assert value == pytest.approx(1.0)
    assert 0.9 < lower < 1.0 < upper < 1.1
    assert over.ratio(top, top) == (1.0, 1.0, 1.0)
    assert np.isnan(over.ratio(top, np.zeros(20))).all()
    value, lower, upper = OverRuns(2).ratio(top[:2])
    assert np.isfinite(value)
    assert np.isnan(lower)
    assert np.isnan(upper)


@pytest.mark.parametrize(
    "wrong", [{"latent": -1.0}, {"discovery": (1.5,)}, {"runs": 0}, {"rate": np.array([-1.0])}]
)
def test_a_world_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    good = {"rate": np.ones(3), "latent": 1.0, "discovery": (0.5,), "runs": 2}
    with pytest.raises(UsageError):
        World(**{**good, **wrong})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="top_share"):
        number_of_cells(1.0, 10)
