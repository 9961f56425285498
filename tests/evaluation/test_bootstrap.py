"""Block-bootstrap intervals: do they cover, and do they say so when they cannot?"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation import bootstrap
from tranquillite_ml.evaluation.bootstrap import estimate_folds, percentile_interval, ratio, resample_folds


def mean(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"mean": ratio(sums["value"], sums["n"])}


def normal(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(0.3, 2, 13), np.ones(13)


def skewed(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.gamma(3, 0.1, 13), np.ones(13)


def hits(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    n = rng.poisson(25, 13) + 1
    return rng.binomial(n, 0.3).astype(float), n.astype(float)


@pytest.mark.parametrize("draw", [normal, skewed, hits])
def test_intervals_of_thirteen_folds_cover(draw: Callable) -> None:
    """At least 92 % of nominal 95 %: 800 simulations have a standard error of 0.8 points. True value 0.3."""
    rng = np.random.default_rng(20)
    covered = 0
    for repeat in range(800):
        value, n = draw(rng)
        found = estimate_folds({"value": value, "n": n}, mean, n_boot=500, seed=repeat)["mean"]
        covered += found.lower <= 0.3 <= found.upper
    assert 0.92 <= covered / 800 <= 0.98


def test_plain_percentiles_would_not_cover_enough() -> None:
    """Why the interval is expanded: with 13 folds the plain one covers some 91 %."""
    rng = np.random.default_rng(1)
    covered = 0
    for repeat in range(800):
        value, n = normal(rng)
        draws = estimate_folds({"value": value, "n": n}, mean, n_boot=500, seed=repeat)["mean"].draws
        lower, upper = np.quantile(draws, [0.025, 0.975])
        covered += lower <= 0.3 <= upper
    assert covered / 800 < 0.935


def test_expanded_tail_by_hand() -> None:
    # 13 folds: t(12) at 97.5 % is 2.1788; √(13/12)·2.1788 = 2.2678; Φ(−2.2678) = 0.01167
    assert percentile_interval(np.arange(100_001.0), 13) == pytest.approx((1167, 98833), abs=1)


def test_four_folds_give_no_interval() -> None:
    found = estimate_folds({"value": np.ones(4), "n": np.ones(4)}, mean)["mean"]
    assert found.value == 1
    assert np.isnan([found.lower, found.upper]).all()
    assert len(found.draws) == 0


def test_no_fold_gives_nan() -> None:
    assert np.isnan(estimate_folds({"value": np.array([]), "n": np.array([])}, mean)["mean"].value)


def test_too_many_undefined_resamples_give_no_interval() -> None:
    draws = np.r_[np.full(60, np.nan), np.ones(940)]
    assert np.isnan(percentile_interval(draws, 13)).all()
    assert percentile_interval(np.r_[np.full(40, np.nan), np.ones(960)], 13) == (1, 1)


def test_interval_stays_in_the_range_of_the_statistic() -> None:
    value = np.array([0, 0, 0, 0, 0, 1.0])
    found = estimate_folds({"value": value, "n": np.full(6, 2.0)}, mean)["mean"]
    assert found.lower >= 0
    assert found.upper <= 0.5


def test_resamples_are_the_same_for_everyone_and_depend_on_the_seed() -> None:
    assert np.array_equal(resample_folds(13, 50, 0), resample_folds(13, 50, 0))
    assert not np.array_equal(resample_folds(13, 50, 0), resample_folds(13, 50, 1))
    assert (resample_folds(13, 50, 0).sum(axis=1) == 13).all()


def test_ratio_is_nan_without_a_denominator() -> None:
    assert np.isnan(ratio(1.0, 0.0))
    assert ratio([3.0, 1.0], [2.0, 0.0])[0] == 1.5


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_levels_out_of_range_are_refused(level: float) -> None:
    with pytest.raises(UsageError, match="level must lie between 0 and 1"):
        bootstrap.check_level(level, 10)


def test_groups_always_name_the_model() -> None:
    assert bootstrap.check_groups(pd.DataFrame(), ["category", "model", "category"]) == ["category", "model"]
    assert bootstrap.check_groups(pd.DataFrame(), []) == ["model"]
    with pytest.raises(UsageError, match="Did you mean 'cutoff'"):
        bootstrap.check_groups(pd.DataFrame(), ["cutof"])
