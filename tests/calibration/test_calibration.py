"""Calibration: closed forms against scipy, recovery of planted errors, monotone curves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tranquillite_ml.calibration import (
    LAWS,
    Calibrator,
    count_interval,
    fit_calibrator,
    fit_dispersion,
    fit_rate_curve,
    no_calibration,
    prob_zero,
    recalibrate_probability,
)
from tranquillite_ml.errors import UsageError

MEANS = np.array([1e-6, 0.01, 0.3, 1.0, 4.5, 30.0, 250.0])


@pytest.mark.parametrize("alpha", [0.0, 0.05, 0.5, 3.0])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_intervals_are_the_quantiles(alpha: float, level: float) -> None:
    lower, upper = count_interval(MEANS, np.full_like(MEANS, alpha), level=level)
    law = stats.poisson(MEANS) if alpha == 0 else stats.nbinom(1 / alpha, 1 / (1 + alpha * MEANS))
    np.testing.assert_array_equal(lower, law.ppf((1 - level) / 2))
    np.testing.assert_array_equal(upper, law.ppf((1 + level) / 2))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 3.0])
def test_probability_of_none(alpha: float) -> None:
    law = stats.poisson(MEANS) if alpha == 0 else stats.nbinom(1 / alpha, 1 / (1 + alpha * MEANS))
    np.testing.assert_allclose(prob_zero(MEANS, np.full_like(MEANS, alpha)), law.pmf(0), rtol=1e-9)


def test_a_level_outside_zero_and_one_is_refused() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        count_interval(MEANS, MEANS, level=1.0)


@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.5])
def test_dispersion_is_recovered(alpha: float) -> None:
    rng = np.random.default_rng(3)
    mean = rng.gamma(1.0, 1.0, size=60_000)
    extra = rng.gamma(1 / alpha, alpha, size=len(mean)) if alpha else 1.0
    assert abs(fit_dispersion(rng.poisson(mean * extra), mean) - alpha) < 0.05 + 0.05 * alpha


def test_no_incident_gives_no_dispersion() -> None:
    assert fit_dispersion(np.zeros(10), np.full(10, 0.1)) == 0.0


def test_overall_factor_by_hand() -> None:
    # Observed 120, expected 100, trust 20: (120 + 20) / (100 + 20) = 7 / 6.
    rate = np.full((10, 10), 1.0)
    observed = np.full((10, 10), 1.2)
    curve = fit_rate_curve(observed, rate, np.ones_like(rate), strata=1, trust_one=20)
    np.testing.assert_allclose(curve.factor(np.array([0.1, 5.0])), 7 / 6)


def test_errors_by_activity_are_mended() -> None:
    rng = np.random.default_rng(0)
    truth = np.tile(rng.gamma(0.5, 0.6, size=800), (100, 1))
    wrong = 0.7 * truth**1.2  # too low where quiet, too high where busy
    observed = rng.poisson(truth)
    learnt = fit_calibrator(observed, wrong)
    expected = learnt.expected(wrong)
    for low, high in ((0, 50), (50, 80), (80, 95), (95, 100)):
        mine = (truth >= np.percentile(truth, low)) & (truth <= np.percentile(truth, high))
        assert abs(observed[mine].sum() / expected[mine].sum() - 1) < 0.12


def test_places_with_next_to_nothing_forecast_twice_too_high_are_mended() -> None:
    """They hold 1 % of what is expected: among all quiet places their error does not show."""
    rng = np.random.default_rng(3)
    truth = np.tile(np.repeat([0.002, 0.02, 0.8], [500, 200, 120]), (60, 1))
    wrong = np.where(truth < 0.01, 2 * truth, truth)
    curve = fit_rate_curve(rng.poisson(truth), wrong, np.ones_like(wrong))
    mended = wrong * curve.factor(wrong)
    quiet = truth < 0.01
    assert wrong[quiet].sum() / wrong.sum() < 0.02
    assert abs(mended[quiet].sum() / truth[quiet].sum() - 1) < 0.25
    assert abs(mended[~quiet].sum() / truth[~quiet].sum() - 1) < 0.02


def test_a_quiet_stratum_is_drawn_to_the_next_busier_by_hand() -> None:
    """400 cells of 0.01 (0.4 % of what is expected), none recorded; 100 of 10, just as forecast."""
    rate = np.repeat([[0.01, 10.0]], [400, 100], axis=1).reshape(1, -1)
    observed = np.where(rate > 1, 10.0, 0.0)
    curve = fit_rate_curve(observed, rate, np.ones_like(rate), strata=2, trust_one=0, trust_next=10)
    overall = 1000 / 1004
    busy = (1000 + 60 * overall) / (1000 + 60)
    quiet = (0 + 10 * busy) / (4 + 10)
    scale = 1000 / (busy * 1000 + quiet * 4)
    np.testing.assert_allclose(curve.factor(np.array([0.01, 10.0])), [quiet * scale, busy * scale])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 5.0), st.integers(1, 6))
def test_calibrated_rates_keep_their_order(seed: int, factor: float, strata: int) -> None:
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.4, 0.5, size=(20, 60)) + 1e-6
    learnt = fit_calibrator(rng.poisson(rate[::-1] * factor), rate, strata=strata)
    ladder = np.geomspace(1e-7, 50, 300)
    assert (np.diff(learnt.expected(ladder)) >= -1e-12).all()


@settings(max_examples=40, deadline=None)
@given(st.floats(-2, 2), st.floats(0.2, 3))
def test_probabilities_stay_probabilities_in_order(shift: float, slope: float) -> None:
    p = recalibrate_probability(np.linspace(0, 1, 50), shift, slope)
    assert ((p >= 0) & (p <= 1)).all()
    assert (np.diff(p) >= 0).all()


def test_probability_of_any_is_mended() -> None:
    """Counts that come in pairs: a mean that is right gives twice too many cells with any."""
    rng = np.random.default_rng(1)
    mean = np.full((50, 400), 0.2)
    observed = 2 * rng.poisson(mean / 2)
    learnt = fit_calibrator(observed, mean, strata=1)
    law = learnt.distribution(learnt.expected(mean), level=0.9)
    assert abs(law["prob_any"].mean() - (observed > 0).mean()) < 0.01


def test_intervals_cover_what_they_say() -> None:
    rng = np.random.default_rng(2)
    mean = np.tile(rng.gamma(1.0, 3.0, size=500), (60, 1))
    draw = lambda: rng.poisson(mean * rng.gamma(2.0, 0.5, size=mean.shape))  # noqa: E731
    learnt = fit_calibrator(draw(), mean)
    law = learnt.distribution(learnt.expected(mean), level=0.9)
    observed = draw()
    covered = ((observed >= law["lower"]) & (observed <= law["upper"])).mean()
    lower, upper = count_interval(mean, np.full_like(mean, 0.5), level=0.9)
    by_truth = ((observed >= lower) & (observed <= upper)).mean()  # whole numbers cover more than 90 %
    assert abs(covered - by_truth) < 0.01


def test_written_down_and_read_back() -> None:
    rng = np.random.default_rng(0)
    rate = rng.gamma(0.5, 1.0, size=(30, 50))
    learnt = fit_calibrator(rng.poisson(rate), rate)
    again = Calibrator.from_dict(learnt.to_dict())
    assert again.expected(rate).tobytes() == learnt.expected(rate).tobytes()
    nothing = Calibrator.from_dict(no_calibration().to_dict())
    np.testing.assert_array_equal(nothing.expected(rate), rate)
    assert (nothing.distribution(rate, level=0.9)["dispersion"] == 0).all()


@pytest.mark.parametrize("law", ["poisson", "negative_binomial", "hurdle"])
@pytest.mark.parametrize("intervals", ["law", "conformal"])
def test_every_law_is_written_down_and_read_back(law: str, intervals: str) -> None:
    rng = np.random.default_rng(0)
    rate = rng.gamma(0.5, 1.0, size=(30, 50))
    observed = rng.poisson(rate * rng.gamma(2.0, 0.5, size=rate.shape))
    learnt = fit_calibrator(observed, rate, law=law, intervals=intervals)
    again = Calibrator.from_dict(json.loads(json.dumps(learnt.to_dict())))
    assert again.law == law
    for name, values in learnt.distribution(rate, level=0.9).items():
        assert again.distribution(rate, level=0.9)[name].tobytes() == values.tobytes()


def test_an_unknown_law_is_refused() -> None:
    rate = np.ones((2, 2))
    with pytest.raises(UsageError, match="law must be one of"):
        fit_calibrator(rate, rate, law="gauss")
    with pytest.raises(UsageError, match="intervals must be one of"):
        fit_calibrator(rate, rate, intervals="wide")


def test_no_law_changes_the_expected_count() -> None:
    rng = np.random.default_rng(4)
    rate = rng.gamma(0.5, 1.0, size=(30, 80))
    observed = rng.poisson(rate * rng.gamma(2.0, 0.5, size=rate.shape))
    means = [fit_calibrator(observed, rate, law=law).expected(rate).tobytes() for law in LAWS]
    assert len(set(means)) == 1


def test_few_records_leave_the_level_unsure() -> None:
    """Poisson counts: α is 0, plus what so few records leave open, 1 / (records + 30)."""
    few = fit_calibrator(np.eye(20), np.full((20, 20), 0.05), strata=1)
    assert few.dispersions == pytest.approx(1 / (20 + 30), abs=1e-6)


def test_hurdle_mends_counts_that_come_in_pairs() -> None:
    rng = np.random.default_rng(1)
    mean = np.full((50, 400), 0.2)
    draw = lambda: 2 * rng.poisson(mean / 2)  # noqa: E731
    learnt = fit_calibrator(draw(), mean, strata=1, law="hurdle")
    law = learnt.distribution(learnt.expected(mean), level=0.9)
    observed = draw()
    assert abs(law["prob_any"].mean() - (observed > 0).mean()) < 0.01
    assert (law["prob_any"] <= learnt.expected(mean)).all()
