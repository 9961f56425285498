"""Significance: tests against independent computations, corrections by hand, and honesty by simulation."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation import compare, detectable_difference, diebold_mariano, holm, step_down
from tranquillite_ml.evaluation.bootstrap import percentile_interval, resample_folds
from tranquillite_ml.evaluation.pairing import overlapping
from tranquillite_ml.evaluation.significance import fold_differences, paired_test
from tranquillite_ml.forecasts import Forecasts


def plain_dm(d: np.ndarray, h: int) -> tuple[float, float]:
    """Statistic and p-value with the correction of 1997, in a few lines of their own."""
    n, m = len(d), d.mean()
    total = sum((d[t] - m) * (d[s] - m) for t in range(n) for s in range(n) if abs(t - s) < h) / n
    statistic = m / np.sqrt(total / n) * np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    return statistic, 2 * stats.t.sf(abs(statistic), n - 1)


def test_without_lags_it_is_the_paired_t_test() -> None:
    d = np.random.default_rng(0).normal(0.4, 1.0, 13)
    found = paired_test(d)
    oracle = stats.ttest_1samp(d, 0)
    assert (found.statistic_hln, found.p_value_hln) == pytest.approx((oracle.statistic, oracle.pvalue))
    assert found.statistic == pytest.approx(d.mean() / (d.std() / np.sqrt(13)))
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(found.statistic)))
    assert found.mean / found.standard_error == pytest.approx(found.statistic_hln)


@pytest.mark.parametrize("lags", [0, 1, 2, 3])
def test_statistic_is_that_of_a_double_loop(lags: int) -> None:
    rng = np.random.default_rng(1)
    d = np.convolve(rng.normal(0, 1, 30), [1, 0.7, 0.4], mode="valid") + 0.3
    found = paired_test(d, lags)
    assert (found.statistic_hln, found.p_value_hln) == pytest.approx(plain_dm(d, lags + 1))


def test_a_negative_variance_is_replaced() -> None:
    """d alternates: γ₀ = 1, γ₁ = −5/6, so γ₀ + 2γ₁ < 0; with weights 1 and 1/2 it is 1 − 5/6 = 1/6."""
    d = np.array([2.0, 0.0, 2.0, 0.0, 2.0, 0.0])
    found = paired_test(d, lags=1)
    assert found.statistic == pytest.approx(1 / np.sqrt((1 / 6) / 6))
    assert np.isfinite(found.p_value_hln)


def test_few_and_equal_folds_have_no_test() -> None:
    for d in ([], [1.0, 2.0, 3.0, 1.0], [0.3] * 13):
        found = paired_test(d)
        assert np.isnan([found.statistic, found.p_value, found.p_value_hln, found.standard_error]).all()
        assert found.n == len(d)
    for lags in (-1, 3):
        with pytest.raises(UsageError, match="lags must be"):
            paired_test([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], lags)


def test_holm_by_hand() -> None:
    """Sorted 0.005·4 = 0.02, 0.01·3 = 0.03, 0.03·2 = 0.06, 0.04·1 raised to 0.06."""
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, np.nan, 0.9]), [1.0, np.nan, 1.0])
    assert holm([]).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_order_and_lies_between_plain_and_bonferroni(p: list[float]) -> None:
    plain, adjusted = np.array(p), holm(p)
    assert (adjusted >= plain).all()
    assert (adjusted <= np.minimum(plain * len(p), 1) + 1e-12).all()
    order = np.argsort(plain, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def test_step_down_of_one_model_and_of_copies() -> None:
    rng = np.random.default_rng(4)
    one = rng.normal(0.5, 1.0, (13, 1))
    alone = step_down(one, n_boot=4000)
    assert alone[0] == pytest.approx(paired_test(one[:, 0]).p_value_hln, abs=0.03)
    np.testing.assert_array_equal(step_down(np.tile(one, 3), n_boot=4000), np.repeat(alone, 3))
    np.testing.assert_allclose(step_down(np.hstack([one, -one]), n_boot=4000), np.repeat(alone, 2))


def test_step_down_never_undercuts_and_marks_the_undefined() -> None:
    rng = np.random.default_rng(5)
    several = rng.normal([2.0, 0.8, 0.0, 0.0], 1.0, (13, 4))
    several[:, 3] = 0.5
    found = step_down(several)
    assert np.isnan(found[3])
    assert found[0] < found[1] < found[2]
    singles = [step_down(several[:, [k]])[0] for k in range(3)]
    assert (found[:3] >= np.array(singles) - 1e-12).all()
    assert np.isnan(step_down(several[:4])).all()
    assert np.isnan(step_down(np.full((6, 2), 1.0))).all()


def test_size_under_the_null_with_13_folds() -> None:
    """2,000 backtests without any difference: 5 % rejected, ± 4·√(0.05·0.95/2000) = ± 2 %."""
    rng = np.random.default_rng(6)
    nulls = rng.standard_t(6, (2000, 13))
    rejected = np.mean([paired_test(d).p_value_hln <= 0.05 for d in nulls])
    assert abs(rejected - 0.05) < 0.02
    plain = np.mean([paired_test(d).p_value <= 0.05 for d in nulls])
    assert 0.06 < plain < 0.12  # without the correction for few folds it cries wolf


def test_some_false_claim_among_six_models_is_rare() -> None:
    """300 backtests, six equal models that share their weeks: uncorrected, more than 5 % see a winner."""
    rng = np.random.default_rng(7)
    any_holm, any_step, any_plain = 0, 0, 0
    for number in range(300):
        d = rng.normal(0, 1, (13, 6)) + rng.normal(0, 1, (13, 1))
        p = np.array([paired_test(column).p_value_hln for column in d.T])
        any_plain += (p <= 0.05).any()
        any_holm += (holm(p) <= 0.05).any()
        any_step += (step_down(d, n_boot=400, seed=number) <= 0.05).any()
    bound = 300 * 0.05 + 4 * np.sqrt(300 * 0.05 * 0.95)  # 30
    assert any_holm <= bound
    assert any_step <= bound
    assert any_plain > 40


@pytest.mark.parametrize("n_folds", [8, 13, 52])
def test_a_detectable_difference_is_seen_four_times_in_five(n_folds: int) -> None:
    rng = np.random.default_rng(n_folds)
    sd = 2.0
    true = float(detectable_difference(sd / np.sqrt(n_folds), n_folds))
    p = stats.ttest_1samp(rng.normal(true, sd, (4000, n_folds)), 0, axis=1).pvalue
    assert np.mean(p <= 0.05) == pytest.approx(0.8, abs=0.03)  # 4 standard errors


def test_detectable_difference_of_few_folds_and_bad_arguments() -> None:
    assert np.isnan(detectable_difference(1.0, 4))
    assert detectable_difference(1.0, 1000) == pytest.approx(1.96 + 0.84, abs=0.01)  # the normal law's
    assert detectable_difference(1.0, 13, power=0.9) > detectable_difference(1.0, 13)
    with pytest.raises(UsageError, match="level and power"):
        detectable_difference(1.0, 13, power=1.0)


def test_fold_differences_have_the_pooled_mean() -> None:
    folds = {"gain": np.array([1.0, 4.0, 1.0]), "per": np.array([1.0, 2.0, 1.0])}
    d = fold_differences(folds)
    assert d.mean() == pytest.approx(6 / 4)
    # Residuals gain − 1.5·per = −0.5, 1, −0.5 over the mean of 4/3 cells.
    np.testing.assert_allclose(d, 1.5 + np.array([-0.5, 1.0, -0.5]) * 3 / 4)


def test_table_agrees_with_compare_and_with_scipy(city: Forecasts) -> None:
    table = diebold_mariano(city).set_index("model")
    compared = compare(city).set_index("model")
    np.testing.assert_allclose(table["difference"], compared["difference"])
    np.testing.assert_allclose(table["p_value_hln"], compared["p_value"])
    np.testing.assert_allclose(table["p_holm"], compared["p_adjusted"])
    np.testing.assert_allclose(table["detectable_difference"], compared["detectable_difference"])
    assert (table["lags"] == 0).all()
    assert (table["p_step_down"] >= 1 / 2001).all()
    brier = diebold_mariano(city, "truth", score="brier").iloc[0]
    assert brier["p_value_hln"] == brier["p_holm"]
    with pytest.raises(UsageError, match="Did you mean 'truth'"):
        diebold_mariano(city, "truht")


def test_overlapping_periods_are_lags(make_forecasts: Callable) -> None:
    rng = np.random.default_rng(8)
    seen = make_forecasts({"count_365d": 1.0, "other": rng.gamma(2, 0.5, (13, 40))}, rng.poisson(1, (13, 40)))
    seen.keys["period_end"] = seen.keys["period_start"] + pd.DateOffset(days=70)  # cutoffs: every 28 days
    assert overlapping(seen.keys) == 2
    assert diebold_mariano(seen)["lags"].tolist() == [2]
    assert overlapping(seen.keys.drop(columns="period_end")) == 0


@pytest.mark.parametrize(("n", "block"), [(13, 3), (12, 4), (30, 5)])
def test_blocks_are_runs_of_neighbouring_folds(n: int, block: int) -> None:
    counts = resample_folds(n, 500, 0, block=block)
    assert (counts.sum(axis=1) == n).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.25)
    together = np.corrcoef(counts.T)
    assert np.diag(together, 1).mean() > 0.3 > together[0, n // 2]


def test_blocks_widen_where_folds_are_alike() -> None:
    """Folds that drift (AR 0.6): blocks of 4 of 40 folds cover more often than single folds do."""
    rng = np.random.default_rng(9)
    covered = {1: 0, 4: 0}
    for number in range(200):
        d = np.zeros(60)
        for t in range(1, 60):
            d[t] = 0.6 * d[t - 1] + rng.normal()
        d = d[20:]
        for block in covered:
            draws = resample_folds(40, 300, number, block=block) @ d / 40
            lower, upper = percentile_interval(draws, 40, block=block)
            covered[block] += lower <= 0 <= upper
    assert covered[1] < 160  # 80 %: taken as independent, far too narrow
    assert covered[4] > 168  # 84 %


def test_too_few_blocks_give_no_interval() -> None:
    assert np.isnan(percentile_interval(np.arange(100.0), 13, block=4)).all()
    assert np.isfinite(percentile_interval(np.arange(100.0), 13, block=3)).all()
