"""Targets and folds: what they cover, what they refuse."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tranquillite_ml.errors import UsageError
from tranquillite_ml.splits import RollingOrigin
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

BINS = TimeBins("2024-01-01", 400, "1D", "Europe/Paris")


@given(st.integers(1, 10), st.integers(1, 30), st.integers(1, 14))
def test_folds_fit_the_data_and_end_with_it(folds: int, days: int, period: int) -> None:
    target = Target("noise", period=period)
    cutoffs = RollingOrigin(folds=folds, every=f"{days}D").cutoffs(BINS, target)
    assert len(cutoffs) == folds
    assert cutoffs[-1] + period == BINS.n_bins
    assert all(b - a == days for a, b in pairwise(cutoffs))


def test_a_first_cutoff_is_a_local_date() -> None:
    splits = RollingOrigin(folds=2, every="28D", first_cutoff="2024-06-01")
    assert splits.cutoffs(BINS, Target("noise", period=7)) == [152, 180]


@pytest.mark.parametrize(
    "splits",
    [
        RollingOrigin(folds=20, every="28D"),
        RollingOrigin(first_cutoff="2025-01-20"),
        RollingOrigin(every="12h"),
    ],
)
def test_folds_that_do_not_fit_are_refused(splits: RollingOrigin) -> None:
    with pytest.raises(UsageError):
        splits.cutoffs(BINS, Target("noise", period=7))


@pytest.mark.parametrize("bad", [{"period": 0}, {"horizons": ()}, {"horizons": (0,)}])
def test_targets_count_from_one(bad: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="count from 1"):
        Target("noise", **bad)  # type: ignore[arg-type]


def test_a_target_is_one_or_several_different_categories() -> None:
    with pytest.raises(UsageError, match="different names"):
        Target(["noise", "noise"])
    assert Target.from_dict(Target(["a", "b"], period=7).to_dict()) == Target(["a", "b"], period=7)
