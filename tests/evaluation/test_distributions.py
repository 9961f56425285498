"""Laws of a count against scipy, scoringrules and plain sums."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.evaluation import distributions as laws

COUNTS = np.array([0, 0, 1, 2, 5, 40, 3], dtype=float)
MEANS = np.array([0.01, 2.0, 1e-4, 2.0, 0.3, 30.0, 250.0])
SPREADS = np.array([0.3, 1.0, 2.5, 1e-3, 10.0, 0.05, 0.2])


def test_poisson_log_likelihood_is_scipys() -> None:
    found = laws.poisson_log_likelihood(COUNTS, MEANS)
    np.testing.assert_allclose(found, stats.poisson.logpmf(COUNTS, MEANS), rtol=1e-12)


def test_constant_of_the_log_likelihood_can_be_left_out() -> None:
    kept = laws.poisson_log_likelihood([3], [2.0])[0]
    left = laws.poisson_log_likelihood([3], [2.0], constant=False)[0]
    assert left - kept == pytest.approx(np.log(6))  # 3! = 6


def test_rates_are_floored() -> None:
    assert laws.poisson_log_likelihood(2, 0.0) == pytest.approx(2 * np.log(1e-6) - 1e-6 - np.log(2))
    assert laws.negative_binomial_log_likelihood(1, 0.0, 0.5) == pytest.approx(np.log(1e-6), abs=1e-5)


def test_negative_binomial_log_likelihood_is_scipys() -> None:
    expected = stats.nbinom.logpmf(COUNTS, 1 / SPREADS, 1 / (1 + SPREADS * MEANS))
    found = laws.negative_binomial_log_likelihood(COUNTS, MEANS, SPREADS)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 1e-9, 1e-7, 1e-6])
def test_negative_binomial_becomes_poisson(alpha: float) -> None:
    poisson = laws.poisson_log_likelihood(COUNTS, MEANS)
    np.testing.assert_allclose(
        laws.negative_binomial_log_likelihood(COUNTS, MEANS, alpha), poisson, atol=1e-4 + alpha * 250**2
    )
    np.testing.assert_allclose(laws.count_cdf(COUNTS, MEANS, alpha), laws.count_cdf(COUNTS, MEANS), atol=1e-4)


def test_distribution_functions_are_scipys() -> None:
    np.testing.assert_allclose(laws.count_cdf(COUNTS, MEANS), stats.poisson.cdf(COUNTS, MEANS), rtol=1e-12)
    expected = stats.nbinom.cdf(COUNTS, 1 / SPREADS, 1 / (1 + SPREADS * MEANS))
    np.testing.assert_allclose(laws.count_cdf(COUNTS, MEANS, SPREADS), expected, rtol=1e-10)
    assert laws.count_cdf(-1, 1.0, 1.0) == 0
    assert laws.count_cdf(0, 0.0) == 1


def test_crps_is_scoringrules() -> None:
    import scoringrules

    np.testing.assert_allclose(
        laws.crps_poisson(COUNTS, MEANS), scoringrules.crps_poisson(COUNTS, MEANS), rtol=1e-9, atol=1e-12
    )
    expected = scoringrules.crps_negbinom(COUNTS, 1 / SPREADS, 1 / (1 + SPREADS * MEANS))
    found = laws.crps_negative_binomial(COUNTS, MEANS, SPREADS)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 1e-6, 1.9e-4, 2.1e-4, 0.01, 0.5, 3.0])
@pytest.mark.parametrize("mu", [0.0, 0.02, 1.0, 12.0])
def test_crps_is_the_sum_of_squared_errors_of_the_distribution_function(mu: float, alpha: float) -> None:
    steps = np.arange(4000)
    for y in (0, 1, 7):
        brute = np.square(laws.count_cdf(steps, mu, alpha) - (steps >= y)).sum()
        assert laws.crps_negative_binomial(y, mu, alpha) == pytest.approx(brute, rel=1e-9, abs=2e-5 * mu)


@given(st.integers(0, 60), st.floats(0, 50), st.floats(0, 20))
def test_crps_is_between_zero_and_the_absolute_distance(y: int, mu: float, alpha: float) -> None:
    value = float(laws.crps_negative_binomial(y, mu, alpha))
    assert 0 <= value <= y + mu + 1e-9


def test_scalars_and_shapes() -> None:
    assert np.shape(laws.crps_poisson(1, 1.0)) == ()
    assert laws.count_cdf(np.zeros((2, 1)), np.ones(3), 0.5).shape == (2, 3)


def test_dispersion_is_used_only_by_negative_binomials(make_forecasts: Callable) -> None:
    seen = make_forecasts({"a": 1.0}, np.ones((2, 3)), dispersion=0.7)
    assert (laws.dispersion_of(seen) == 0).all()
    seen = make_forecasts({"a": 1.0}, np.ones((2, 3)), dispersion=0.7, distribution="negative_binomial")
    assert (laws.dispersion_of(seen) == 0.7).all()


def test_unknown_law_and_missing_dispersion_are_refused(make_forecasts: Callable) -> None:
    with pytest.raises(InputDataError, match="got \\['gauss'\\]"):
        laws.dispersion_of(make_forecasts({"a": 1.0}, [[1.0]], distribution="gauss"))
    with pytest.raises(InputDataError, match="needs a dispersion"):
        laws.dispersion_of(make_forecasts({"a": 1.0}, [[1.0]], distribution="negative_binomial"))


def test_prob_any_falls_back_on_the_law(make_forecasts: Callable) -> None:
    seen = make_forecasts({"a": 1.0}, [[1.0, 0.0]], prob_any=np.array([[0.2, np.nan]]))
    assert laws.prob_any_of(seen).tolist() == [[0.2, pytest.approx(1 - np.exp(-1))]]


def _hurdle_pmf(mean: float, alpha: float, some: float) -> np.ndarray:
    steps = np.arange(6000)
    return np.diff(laws.count_cdf(steps, mean, alpha, some), prepend=0)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 2.0])
@pytest.mark.parametrize(("mean", "some"), [(0.02, 0.015), (1.0, 0.7), (1.0, 0.3), (12.0, 0.9)])
def test_hurdle_scores_are_plain_sums(mean: float, some: float, alpha: float) -> None:
    pmf = _hurdle_pmf(mean, alpha, some)
    assert pmf[0] == pytest.approx(1 - some)
    for y in (0, 1, 7):
        log = float(laws.hurdle_log_likelihood(y, mean, alpha, some))
        assert log == pytest.approx(np.log(pmf[y]), abs=1e-5)
        brute = np.square(pmf.cumsum() - (np.arange(6000) >= y)).sum()
        assert float(laws.crps_hurdle(y, mean, alpha, some)) == pytest.approx(brute, rel=1e-6, abs=1e-6)


def test_a_hurdle_at_the_laws_own_probability_is_the_law() -> None:
    some = 1 - laws.count_cdf(0, MEANS, SPREADS)
    np.testing.assert_allclose(
        laws.hurdle_log_likelihood(COUNTS, MEANS, SPREADS, some),
        laws.negative_binomial_log_likelihood(COUNTS, MEANS, SPREADS),
        atol=1e-4,
    )
    np.testing.assert_allclose(
        laws.crps_hurdle(COUNTS, MEANS, SPREADS, some),
        laws.crps_negative_binomial(COUNTS, MEANS, SPREADS),
        rtol=1e-5,
        atol=1e-6,
    )


def test_forecasts_are_judged_by_the_law_they_name(make_forecasts: Callable) -> None:
    given = {"dispersion": 0.5, "prob_any": 0.3}
    for law, expected in {
        "poisson": laws.poisson_log_likelihood(2, 0.8),
        "negative_binomial": laws.negative_binomial_log_likelihood(2, 0.8, 0.5),
        "hurdle": laws.hurdle_log_likelihood(2, 0.8, 0.5, 0.3),
    }.items():
        seen = make_forecasts({"a": 0.8}, [[2.0]], distribution=law, **given)
        assert laws.log_likelihood_of(seen)[0, 0] == pytest.approx(float(expected))
    assert laws.cdf_of(seen, np.zeros((1, 1)))[0, 0] == pytest.approx(0.7)
    assert laws.crps_of(seen)[0, 0] == pytest.approx(float(laws.crps_hurdle(2, 0.8, 0.5, 0.3)))


def test_a_hurdle_without_its_probability_is_refused(make_forecasts: Callable) -> None:
    with pytest.raises(InputDataError, match="prob_any"):
        laws.dispersion_of(make_forecasts({"a": 1.0}, [[1.0]], distribution="hurdle", dispersion=0.1))
