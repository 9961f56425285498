"""Hurdle, randomised intervals and conformal levels: against plain sums, and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tranquillite_ml.calibration import (
    above_zero,
    count_cdf,
    count_interval,
    fit_calibrator,
    fit_tails,
    fit_truncated_dispersion,
    prob_zero,
    randomised_interval,
)

STEPS = np.arange(3000)


def hurdle_pmf(mean: float, alpha: float, some: float) -> np.ndarray:
    """Probabilities of 0, 1, 2, …, with the inner mean found by scipy's root finder."""
    from scipy.optimize import brentq

    def law(inner: float) -> np.ndarray:
        found = stats.poisson(inner) if alpha == 0 else stats.nbinom(1 / alpha, 1 / (1 + alpha * inner))
        return found.pmf(STEPS)

    inner = brentq(lambda m: m / (1 - law(m)[0]) - mean / some, 1e-9, mean / some, xtol=1e-14)
    pmf = law(inner) * some / (1 - law(inner)[0])
    pmf[0] = 1 - some
    return pmf


CASES = [(0.3, 0.0, 0.2), (2.0, 0.5, 0.9), (2.0, 0.5, 0.4), (5.0, 3.0, 0.99), (0.01, 1.0, 0.009)]


@pytest.mark.parametrize(("mean", "alpha", "some"), CASES)
def test_hurdle_is_the_plain_sum(mean: float, alpha: float, some: float) -> None:
    pmf = hurdle_pmf(mean, alpha, some)
    assert (pmf * STEPS).sum() == pytest.approx(mean, rel=1e-6)  # the mean is kept
    found = count_cdf(STEPS[:50], mean, alpha, some)
    np.testing.assert_allclose(found, pmf.cumsum()[:50], rtol=1e-8)
    cdf = pmf.cumsum()
    for level in (0.5, 0.9, 0.99):
        shape = [np.array([value]) for value in (mean, alpha, some)]
        lower, upper = count_interval(*shape, level=level)
        assert lower == np.searchsorted(cdf, (1 - level) / 2)
        assert upper == np.searchsorted(cdf, (1 + level) / 2)


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-6, 30), st.floats(0, 10), st.floats(1e-6, 1))
def test_mean_and_probability_are_kept(mean: float, alpha: float, some: float) -> None:
    inner, share = above_zero(*(np.array([value]) for value in (mean, alpha, some)))
    assert share * inner == pytest.approx(mean)
    kept = share * -np.expm1(-np.log1p(alpha * inner) / alpha if alpha > 1e-12 else -inner)
    assert kept == pytest.approx(min(some, mean), rel=1e-4)


def test_a_negative_binomial_is_its_own_hurdle() -> None:
    mean, alpha = np.array([0.01, 1.0, 30.0]), np.array([0.5, 2.0, 0.1])
    inner, share = above_zero(mean, alpha, 1 - prob_zero(mean, alpha))
    np.testing.assert_allclose(inner, mean, rtol=1e-6)
    np.testing.assert_allclose(share, 1, rtol=1e-6)


def test_an_impossible_probability_gives_counts_of_one() -> None:
    assert count_cdf([0, 1], 0.2, 0.0, 0.9).round(5).tolist() == [0.8, 1.0]


def test_truncated_dispersion_is_recovered() -> None:
    rng = np.random.default_rng(0)
    mean = rng.gamma(2.0, 1.0, 40_000)
    observed = rng.poisson(mean * rng.gamma(2.0, 0.5, size=len(mean)))  # α = 1/2
    some = 1 - prob_zero(mean, np.full_like(mean, 0.5))
    assert abs(fit_truncated_dispersion(observed, mean, some) - 0.5) < 0.05
    assert fit_truncated_dispersion(np.ones(9), np.ones(9), np.full(9, 0.5)) == 0


@pytest.mark.parametrize("some", [None, 0.3])
@pytest.mark.parametrize("alpha", [0.0, 0.8])
@pytest.mark.parametrize("mean", [0.31, 0.9, 4.0, 40.0])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_randomised_intervals_cover_exactly(
    mean: float, alpha: float, some: float | None, level: float
) -> None:
    """Probabilities times chances sum to the level, to the last digits."""
    shape = [np.array([value]) for value in (mean, alpha)] + [None if some is None else np.array([some])]
    lower, upper, at_lower, at_upper = (float(part[0]) for part in randomised_interval(*shape, level=level))
    cdf = count_cdf(STEPS, mean, alpha, some)
    pmf = np.diff(cdf, prepend=0)
    within = pmf[(lower < STEPS) & (upper > STEPS)].sum()
    edges = at_lower * pmf[int(lower)] + (at_upper * pmf[int(upper)] if upper > lower else 0)
    assert within + edges == pytest.approx(level)
    assert 0 <= min(at_lower, at_upper) <= max(at_lower, at_upper) <= 1


def test_conformal_levels_mend_a_law_that_is_too_sure() -> None:
    """Counts with α = 1/2 around a Poisson law: its own intervals cover too little where it is busy."""
    rng = np.random.default_rng(6)
    mean = np.tile(np.geomspace(0.05, 20, 400), (60, 1))
    draw = lambda: rng.poisson(mean * rng.gamma(2.0, 0.5, size=mean.shape))  # noqa: E731
    observed, later = draw(), draw()
    covered = {}
    for kind in ("law", "conformal"):
        learnt = fit_calibrator(observed, mean, law="poisson", intervals=kind)
        law = learnt.distribution(learnt.expected(mean), level=0.9)
        assert ((law["lower"] >= 0) & (law["lower"] == np.round(law["lower"]))).all()
        inside = (later >= law["lower"]) & (later <= law["upper"])
        covered[kind] = inside[:, 300:].mean()
    assert covered["law"] < 0.8
    assert 0.89 < covered["conformal"] < 0.94


def test_conformal_levels_hold_in_each_stratum() -> None:
    """The randomised coverage at the levels learnt, on counts not used for learning them."""
    rng = np.random.default_rng(7)
    mean = np.repeat([0.2, 2.0, 20.0], 20_000)
    edges = np.array([1.0, 10.0])

    def parts() -> tuple[np.ndarray, np.ndarray]:
        seen = rng.poisson(mean * rng.gamma(4.0, 0.25, size=mean.shape))
        return count_cdf(seen - 1, mean), count_cdf(seen, mean)

    tails = fit_tails(mean, *parts(), np.ones_like(mean), edges)
    low, high = tails.at(mean)
    below, through = parts()
    inside = np.clip(np.minimum(through, high) - np.maximum(below, low), 0, None)
    chance = inside / np.maximum(through - below, 1e-15)
    for stratum in (0.2, 2.0, 20.0):
        assert chance[mean == stratum].mean() == pytest.approx(0.9, abs=0.01)
    assert (np.diff(tails.upper - tails.lower) > 0).all()  # the busier, the more it was too sure


def test_few_counts_keep_the_laws_own_levels() -> None:
    tails = fit_tails(np.ones(5), np.zeros(5), np.full(5, 0.3), np.ones(5), np.array([]))
    assert (tails.lower[0], tails.upper[0]) == pytest.approx((0.05, 0.95))
