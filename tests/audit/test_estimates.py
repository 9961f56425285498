"""From resamples to measurements: what is too little, what could be seen, and Holm's adjustment."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tranquillite_ml.audit.blocks import Drawn
from tranquillite_ml.audit.check import Measurement, judge
from tranquillite_ml.audit.estimates import Support, adjust, adjust_to_zero, measure, p_of_zero
from tranquillite_ml.audit.ranks import rank_correlations
from tranquillite_ml.evaluation.significance import detectable_difference, holm
from tranquillite_ml.governance import load_thresholds

LIMITS = load_thresholds().intervals
BAND = load_thresholds().limit("C03", "observed_to_expected")


def drawn(*centres):
    rng = np.random.default_rng(0)
    return Drawn(np.array(centres), np.array(centres) + rng.normal(0, 0.1, (1000, len(centres))))


def test_too_few_incidents_or_blocks_give_no_figure_of_a_group_but_its_n():
    support = Support(
        ["many", "three incidents", "few blocks"], np.array([500, 3, 500]), np.array([60, 60, 25]), LIMITS
    )
    many, three, few = measure("rate", "ratio", drawn(1.0, 1.0, 1.0), support)
    assert (many.value, many.n) == (1.0, 500)
    assert many.lower < 1.0 < many.upper
    assert (three.n, few.n) == (3, 500)
    assert all(math.isnan(x) for one in (three, few) for x in (one.value, one.lower, one.upper))
    assert three.min_detectable is few.min_detectable is None


def test_the_city_keeps_its_value_without_an_interval_where_weeks_are_few():
    [one] = measure("rate", "ratio", drawn(1.0), Support([None], np.array([500]), np.array([13]), LIMITS))
    assert one.value == 1.0
    assert math.isnan(one.lower)
    [none] = measure("rate", "ratio", drawn(1.0), Support([None], np.array([29]), np.array([60]), LIMITS))
    assert math.isnan(none.value)
    assert none.n == 29


def test_the_smallest_visible_difference_stands_beside_each_figure():
    one = measure("rate", "ratio", drawn(1.0), Support(["a"], np.array([99]), np.array([60]), LIMITS))[0]
    draws = drawn(1.0).draws[:, 0]
    assert one.min_detectable == pytest.approx(float(detectable_difference(draws.std(), 60)))
    assert one.min_detectable == pytest.approx(2.85 * 0.1, rel=0.1)  # about 2.8 standard errors


interval = st.tuples(st.floats(0.3, 3.0), st.floats(0.02, 0.5))


@given(ratios=st.lists(interval, min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_adjusted_intervals_clear_the_band_exactly_where_holms_test_rejects(ratios):
    """Log-normal intervals against 0.8 and 1.25, by hand: z = |log(value / end)| / se, p = 2·(1 − Φ(z))."""
    given_ = [
        Measurement("observed_to_expected", value, "ratio", value * math.exp(-1.959964 * se),
                    value * math.exp(1.959964 * se), group=str(number))
        for number, (value, se) in enumerate(ratios)
    ]  # fmt: skip
    p = []
    for value, se in ratios:
        ends = [end for end, beyond in ((1.25, value > 1.25), (0.8, value < 0.8)) if beyond]
        p += [2 * stats.norm.sf(abs(math.log(value / ends[0])) / se) if ends else 1.0]
    corrected = holm(p)
    for one, reached in zip(adjust(given_, "observed_to_expected", BAND), corrected, strict=True):
        clears = one.adjusted[0] > 1.25 or one.adjusted[1] < 0.8
        if abs(reached - 0.05) > 1e-6:
            assert clears == (reached < 0.05)
        assert one.adjusted[0] <= one.lower * (1 + 1e-9)
        assert one.upper <= one.adjusted[1] * (1 + 1e-9)


def test_one_measurement_is_not_widened_and_others_pass_unchanged():
    one = Measurement("observed_to_expected", 1.5, "ratio", 1.3, 1.7)
    other = Measurement("something", 1.0, "ratio", 0.9, 1.1)
    adjusted, same = adjust([one, other], "observed_to_expected", BAND)
    assert adjusted.adjusted == pytest.approx((1.3, 1.7))
    assert same == other
    assert judge("C03", adjusted, load_thresholds()) == "FAIL"


def test_a_failure_that_many_groups_make_by_chance_becomes_a_warning():
    """Interval above 1.25, but of ten groups: at level 0.05/10 it reaches 1.25 and below."""
    ten = [Measurement("observed_to_expected", 1.5, "ratio", 1.27, 1.77, group=str(i)) for i in range(10)]
    assert judge("C03", ten[0], load_thresholds()) == "FAIL"
    adjusted = adjust(ten, "observed_to_expected", BAND)
    assert {judge("C03", one, load_thresholds()) for one in adjusted} == {"WARN"}
    assert adjusted[0].adjusted[0] == pytest.approx(1.5 * (1.27 / 1.5) ** (stats.norm.isf(0.0025) / 1.959964))


def test_a_lower_end_of_zero_is_stretched_without_logarithm():
    [one] = adjust(
        [Measurement("observed_to_expected", 0.0, "ratio", 0.0, 0.0)], "observed_to_expected", BAND
    )
    assert one.adjusted == (0.0, 0.0)
    assert judge("C03", one, load_thresholds()) == "FAIL"


def test_contrasts_are_tested_against_zero():
    """Value 0.1 ± 0.1 just reaches 0: p = 5 %."""
    three = [Measurement("d", v, "share", v - 0.1, v + 0.1) for v in (0.1, 0.0, -0.2)]
    assert p_of_zero(three) == pytest.approx([0.05, 1.0, 2 * stats.norm.sf(2 * 1.959964)], rel=1e-5)
    adjusted = adjust_to_zero([*three, Measurement("d", math.nan, "share")])
    assert adjusted[2].adjusted[1] < 0 < adjusted[0].adjusted[1]
    assert adjusted[0].adjusted[0] < 0  # not after Holm
    assert adjusted[3].adjusted is None


@given(seed=st.integers(0, 9999))
@settings(max_examples=30, deadline=None)
def test_rank_correlation_is_spearmans(seed):
    rng = np.random.default_rng(seed)
    one, two = rng.integers(0, 6, 40).astype(float), rng.integers(0, 6, (40, 2)).astype(float)
    found = rank_correlations(one, two, np.arange(40) // 4, n_draws=50, seed=0)
    for column in range(2):
        assert found[column][0] == pytest.approx(stats.spearmanr(one, two[:, column]).statistic)
        assert found[column][1] <= found[column][2]


def test_a_column_that_does_not_vary_has_no_correlation():
    [(value, _, _)] = rank_correlations(
        np.arange(8.0), np.ones((8, 1)), np.arange(8) // 2, n_draws=20, seed=0
    )
    assert math.isnan(value)
