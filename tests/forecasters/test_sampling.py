"""Which rows are learnt from: all of a small window, and totals that stay right however few are kept."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tranquillite_ml.features import Calendar, FeatureSet, View
from tranquillite_ml.forecasters import sampling
from tranquillite_ml.forecasters.sampling import Sample, draw_sample
from tranquillite_ml.panel import Panel
from tranquillite_ml.squaregrid import SquareGrid
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

DAYS = 400
FEATURES = FeatureSet([Calendar()])


@pytest.fixture(scope="module")
def view() -> View:
    """Fifty squares for 400 days, one much busier than the others; a row a day."""
    rate = np.r_[3.0, np.full(49, 0.05)]
    counts = np.random.default_rng(0).poisson(np.broadcast_to(rate, (1, DAYS, 50)))
    panel = Panel.from_counts(
        counts,
        SquareGrid.from_tensor_shape((10, 5), size_km=1.0),
        TimeBins("2023-01-01", DAYS, "1D", "UTC"),
        ["noise"],
    )
    return View(panel, "noise", Target("noise"), np.arange(28, DAYS))


def drawn(view: View, *, zeros: float = 0.1, max_rows: int = 10**9, seed: int = 0) -> Sample:
    def start(part: View) -> NDArray[np.float64]:
        return np.broadcast_to(np.r_[3.0, np.full(49, 0.05)], part.shape)

    rng = np.random.default_rng(seed)
    return draw_sample(view, FEATURES, start, zeros=zeros, max_rows=max_rows, rng=rng)


def test_a_small_window_is_learnt_from_whole(view: View) -> None:
    found = drawn(view)
    assert found.n_rows == len(found.outcome) == 50 * (DAYS - 28)
    assert (found.weight == 1).all()
    assert found.outcome.sum() == view.outcome().sum()


def test_of_a_larger_one_incidents_are_kept_and_a_share_of_the_zeros(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "WHOLE", 1000)
    found, every = drawn(view), view.outcome()
    some = found.outcome > 0
    assert some.sum() == (every > 0).sum()
    assert (found.weight[some] == 1).all()
    zeros = (every == 0).sum()
    assert (~some).sum() == pytest.approx(0.1 * zeros, rel=0.15)
    assert found.weight[~some].sum() == pytest.approx(zeros, rel=0.05)


def test_too_many_rows_leave_out_whole_cutoffs(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "WHOLE", 1000)
    monkeypatch.setattr(sampling, "LEAST_CUTOFFS", 20)
    many = drawn(view)
    few = drawn(view, max_rows=len(many.outcome) // 4)
    assert len(few.outcome) == pytest.approx(len(many.outcome) / 4, rel=0.15)
    assert len(np.unique(few.row)) == pytest.approx((DAYS - 28) / 4, abs=3)
    # A cutoff that is there has all its incidents.
    for row in np.unique(few.row)[:5]:
        assert few.outcome[few.row == row].sum() == view.outcome()[row - 28].sum()


def test_when_few_cutoffs_are_left_rows_are_thinned(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "WHOLE", 1000)
    few = drawn(view, max_rows=300)
    assert len(few.outcome) == pytest.approx(300, rel=0.2)
    assert len(np.unique(few.row)) > 100


def test_rare_incidents_bring_no_more_zeros_than_they_need(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "WHOLE", 1000)
    monkeypatch.setattr(sampling, "LEAST_SOME", 1)
    monkeypatch.setattr(sampling, "ZEROS_EACH", 0.5)
    found = drawn(view)
    some, zeros = (found.outcome > 0).sum(), (found.outcome == 0).sum()
    assert some == (view.outcome() > 0).sum()
    assert zeros == pytest.approx(0.5 * some, rel=0.15)
    assert found.weight.sum() == pytest.approx(view.outcome().size, rel=0.06)
    assert len(drawn(view, zeros=1.0).outcome) == view.outcome().size  # all means all


@pytest.mark.parametrize("max_rows", [10**9, 600, 100])
def test_weighted_totals_are_those_of_every_row(
    view: View, monkeypatch: pytest.MonkeyPatch, max_rows: int
) -> None:
    monkeypatch.setattr(sampling, "WHOLE", 1000)
    monkeypatch.setattr(sampling, "LEAST_CUTOFFS", 20)
    totals = np.array(
        [
            [(found.weight * found.outcome).sum(), found.weight.sum()]
            for found in (drawn(view, max_rows=max_rows, seed=seed) for seed in range(60))
        ]
    )
    wanted = [view.outcome().sum(), view.outcome().size]
    error = totals.std(axis=0, ddof=1) / np.sqrt(len(totals))
    assert (np.abs(totals.mean(axis=0) - wanted) <= 4 * error + 1e-2).all()


def test_room_is_counted_for_the_zeros_that_are_kept(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "WHOLE", 1000)
    monkeypatch.setattr(sampling, "LEAST_CUTOFFS", 20)
    monkeypatch.setattr(sampling, "LEAST_SOME", 1)
    monkeypatch.setattr(sampling, "ZEROS_EACH", 0.5)
    every = drawn(view, zeros=0.9)
    # All that the cap leaves fits: no cutoff is left out for zeros that are not kept anyway.
    assert len(drawn(view, zeros=0.9, max_rows=len(every.outcome) + 100).outcome) == len(every.outcome)
    half = drawn(view, zeros=0.9, max_rows=len(every.outcome) // 2)
    assert len(half.outcome) == pytest.approx(len(every.outcome) / 2, rel=0.15)
