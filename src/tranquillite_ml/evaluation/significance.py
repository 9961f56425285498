"""Significance: tests of paired differences, corrections for many models, and what could have been seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, check_in, nearest
from tranquillite_ml.evaluation.bootstrap import MIN_FOLDS, ratio, resample_folds
from tranquillite_ml.evaluation.pairing import (
    difference_parts,
    others_than,
    overlapping,
    pair_maps,
    sum_folds,
)
from tranquillite_ml.evaluation.scores import LARGER_IS_BETTER, map_totals

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tranquillite_ml.evaluation.bootstrap import Totals
    from tranquillite_ml.forecasts import Forecasts

_EQUAL = 1e-12
POWER = 0.8


@dataclass(frozen=True)
class PairedTest:
    """Mean of paired differences and its tests: Diebold and Mariano's, and the one corrected for few folds.

    Attributes
    ----------
    n, lags : int
        Folds, and lags up to which folds may be correlated.
    mean, standard_error : float
        Of the differences; the error is the corrected one.
    statistic, p_value : float
        Mean over its error, two-sided against the normal law [1]_.
    statistic_hln, p_value_hln : float
        Corrected, against Student's law with n − 1 degrees of freedom [2]_.
    """

    n: int
    lags: int
    mean: float
    standard_error: float
    statistic: float
    p_value: float
    statistic_hln: float
    p_value_hln: float


def paired_test(differences: ArrayLike, lags: int = 0) -> PairedTest:
    """Test whether paired differences, in order of time, have mean 0.

    Parameters
    ----------
    differences : array_like, shape (n_folds,)
    lags : int, default 0
        Lags up to which differences are correlated: h − 1 for forecasts h folds ahead.

    Returns
    -------
    PairedTest
        NaN with fewer than 5 folds, and where all differences are equal.

    Raises
    ------
    UsageError
        If lags are negative, or not below half the number of folds.

    Notes
    -----
    The variance of the mean is (γ₀ + 2·Σγₖ)/n over the lags; where that is not above 0, the γₖ are weighted
    by 1 − k/(lags + 1), which never fails. Without lags the corrected test is the paired t test.

    References
    ----------
    .. [1] Diebold, F. X. and Mariano, R. S. (1995). Comparing predictive accuracy. Journal of Business &
       Economic Statistics 13, 253-263. https://doi.org/10.1080/07350015.1995.10524599
    .. [2] Harvey, D., Leybourne, S. and Newbold, P. (1997). Testing the equality of prediction mean squared
       errors. International Journal of Forecasting 13, 281-291. https://doi.org/10.1016/S0169-2070(96)00719-4

    Examples
    --------
    >>> found = paired_test([1.0, 2.0, 3.0, 2.0, 2.0])  # mean 2, variance 2/5: 2 / √(0.4/5)
    >>> round(found.statistic, 3), round(found.statistic_hln, 3), round(found.p_value_hln, 4)
    (7.071, 6.325, 0.0032)
    """
    from scipy.special import ndtr, stdtr

    gains = np.asarray(differences, dtype=np.float64)
    n = len(gains)
    if lags < 0 or (n >= MIN_FOLDS and 2 * lags >= n):
        msg = f"lags must be at least 0 and below half of the {n} folds, got {lags}."
        raise UsageError(msg)
    mean = float(gains.mean()) if n else np.nan
    off = gains - mean
    if n < MIN_FOLDS or np.abs(off).max() <= _EQUAL * np.abs(gains).max():
        return PairedTest(n, lags, mean, *[np.nan] * 5)
    error = np.sqrt(_long_run_variance(off, lags) / n)
    ahead = lags + 1
    shrink = np.sqrt((n + 1 - 2 * ahead + ahead * lags / n) / n)
    plain, corrected = float(mean / error), float(mean / error * shrink)
    return PairedTest(
        n,
        lags,
        mean,
        float(error / shrink),
        plain,
        float(2 * ndtr(-abs(plain))),
        corrected,
        float(2 * stdtr(n - 1, -abs(corrected))),
    )


def _long_run_variance(off: NDArray[np.float64], lags: int) -> float:
    n = len(off)
    covariance = np.array([off[k:] @ off[: n - k] / n for k in range(lags + 1)])
    whole = covariance[0] + 2 * covariance[1:].sum()
    if whole > _EQUAL * covariance[0]:
        return float(whole)
    weights = 1 - np.arange(1, lags + 1) / (lags + 1)
    return float(covariance[0] + 2 * weights @ covariance[1:])


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """P-values corrected for their number, so that any false claim at all is rare (Holm 1979).

    NaN stays NaN and does not count.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()  # 3 × 0.01; 2 × 0.03; the larger of 0.04 and that
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    defined = np.flatnonzero(~np.isnan(p))
    order = defined[np.argsort(p[defined], kind="stable")]
    stepped = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


def step_down(
    differences: ArrayLike, *, n_boot: int = 2000, seed: int = 0, block: int = 1
) -> NDArray[np.float64]:
    """P-values corrected for the number of models, using that their differences move together.

    Parameters
    ----------
    differences : array_like, shape (n_folds, n_models)
        Differences of each model to one reference, in the same folds.
    n_boot, seed, block
        Resamples of the folds, seed, folds drawn together.

    Returns
    -------
    ndarray of float64, shape (n_models,)
        Two-sided; NaN for models whose differences are all equal, and with fewer than 5 folds.

    Notes
    -----
    Folds are resampled as in every interval here. In each resample all models are studentised anew and
    centred at their estimate; a model's p-value is the share of resamples in which the largest |t| of the
    models not yet passed reaches its own, never below that of a model passed before (Romano and Wolf 2005,
    doi:10.1198/016214504000000539). It is milder than `holm` where models are alike, and at least
    1/(n_boot + 1).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> one = rng.normal(1.0, 1.0, 13)
    >>> p = step_down(np.stack([one, one, one], axis=1))  # three times the same model is one model
    >>> bool(p[0] == p[1] == p[2] < holm([paired_test(one).p_value_hln] * 3)[0])
    True
    """
    gains = np.asarray(differences, dtype=np.float64)
    n, n_models = gains.shape
    found = np.full(n_models, np.nan)
    if n < MIN_FOLDS:
        return found
    usable = np.flatnonzero(np.ptp(gains, axis=0) > _EQUAL * np.abs(gains).max(axis=0))
    if len(usable) == 0:
        return found
    gains = gains[:, usable]
    mean = gains.mean(axis=0)
    size = np.abs(mean) / gains.std(axis=0)
    share = resample_folds(n, n_boot, seed, block=block) / n
    moved = share @ gains - mean
    spread = np.sqrt(np.maximum(share @ (gains - mean) ** 2 - moved**2, 0.0))
    # A resample of one fold alone has no spread: taken as far off, so that it makes no p-value small.
    drawn = np.divide(np.abs(moved), spread, out=np.full(moved.shape, np.inf), where=spread > 0)
    order = np.argsort(-size, kind="stable")
    largest = np.maximum.accumulate(drawn[:, order[::-1]], axis=1)[:, ::-1]
    reached = (1 + (largest >= size[order]).sum(axis=0)) / (n_boot + 1)
    found[usable[order]] = np.maximum.accumulate(reached)
    return found


def detectable_difference(
    standard_error: ArrayLike, n_folds: int, *, level: float = 0.95, power: float = POWER
) -> NDArray[np.float64]:
    """Smallest true difference that a test of this many folds would have seen, mostly.

    Parameters
    ----------
    standard_error : array_like
        Of the mean difference.
    n_folds : int
    level, power : float, default 0.95 and 0.8
        One less the size of the two-sided test; how often the difference is to be seen.

    Returns
    -------
    ndarray of float64
        In the unit of the error; NaN with fewer than 5 folds.

    Notes
    -----
    The noncentrality of Student's t at which it exceeds its critical value with the given power (Cohen 1988,
    *Statistical power analysis*, section 2), times the standard error. It says what the design could see; it
    says nothing about what is true.

    Examples
    --------
    >>> detectable_difference(1.0, 13).round(2).item()  # 13 folds: about three standard errors
    3.05
    """
    from scipy.special import nctdtrinc, stdtrit

    if not (0 < level < 1 and 0 < power < 1):
        msg = f"level and power must lie between 0 and 1, got {level=} and {power=}."
        raise UsageError(msg)
    error = np.asarray(standard_error, dtype=np.float64)
    if n_folds < MIN_FOLDS:
        return np.full(error.shape, np.nan)
    critical = stdtrit(n_folds - 1, (1 + level) / 2)
    return np.asarray(nctdtrinc(n_folds - 1, 1 - power, critical) * error)


def fold_differences(folds: Totals) -> NDArray[np.float64]:
    """Difference of each fold, such that their mean is the pooled difference, shape (n_folds,)."""
    per = folds["per"]
    pooled = ratio(folds["gain"].sum(), per.sum())
    # The ratio of two sums, written as a mean (first order): folds with more cells weigh more.
    return np.asarray(pooled + ratio(folds["gain"] - pooled * per, per.mean() if len(per) else 0.0))


def diebold_mariano(
    forecasts: Forecasts,
    model: str | None = None,
    *,
    reference: str = "count_365d",
    score: str = "log_score",
    lags: int | None = None,
    level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Test of each model's difference to a reference, with corrections for few folds and for many models.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes, of at least two models.
    model : str, optional
        Test only this one: its p-value is then corrected for no other. All models when not given.
    reference : str, default "count_365d"
    score : {"log_score", "poisson_log_likelihood", "deviance", "brier", "crps"}, default "log_score"
    lags : int, optional
        Lags up to which folds may be correlated; when not given, as many as periods overlap later folds.
    level : float, default 0.95
        One less the size of the test for which the detectable difference is stated.
    n_boot, seed
        Resamples of the folds for `p_step_down`, seed.

    Returns
    -------
    DataFrame
        One row a model: ``model, reference, score, n_folds, lags, difference`` (*positive is better*),
        ``statistic, p_value`` (Diebold and Mariano 1995), ``statistic_hln, p_value_hln`` (Harvey, Leybourne
        and Newbold 1997: use these), ``p_holm`` (`holm`), ``p_step_down`` (`step_down`, on the folds that all
        models share) and ``detectable_difference`` (`detectable_difference`, power 80 %).

    Raises
    ------
    UsageError
        If a model or score is unknown, or lags are out of range.

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> rng = np.random.default_rng(0)
    >>> keys = pd.DataFrame({"model": np.repeat(["count_365d", "truth"], 6), "category": "noise",
    ...     "cutoff": np.tile(pd.date_range("2024-01-01", periods=6, freq="28D", tz="UTC"), 2),
    ...     "horizon": 1, "distribution": "poisson", "outside_count": 0.0})
    >>> rate = rng.gamma(0.5, 2.0, 200)
    >>> values = {"expected_count": np.repeat([np.full(200, 1.0), rate], 6, axis=0),
    ...     "observed_count": np.tile(rng.poisson(rate, (6, 200)) * 1.0, (2, 1))}
    >>> seen = Forecasts(keys, np.arange(200, dtype=np.uint64), np.full(200, 0.1), values, {})
    >>> table = diebold_mariano(seen)
    >>> table["n_folds"].item(), table["p_value_hln"].item() < 0.001
    (6, True)
    """
    check_in(score, LARGER_IS_BETTER, "score")
    others = others_than(forecasts.models, reference)
    if model is not None and model not in others:
        hint = nearest(model, others)
        msg = f"model {model!r} cannot be compared with {reference!r}; there is {others}.{hint}"
        raise UsageError(msg)
    totals, observed = map_totals(forecasts)
    rows, by_cutoff = [], {}
    for name in others if model is None else [model]:
        mine, theirs, _ = pair_maps(forecasts.keys, observed, name, reference)
        keys = forecasts.keys.iloc[mine]
        gains = fold_differences(
            sum_folds(keys["cutoff"], difference_parts(totals, score, mine, theirs), score)
        )
        tested = paired_test(gains, overlapping(keys) if lags is None else lags)
        by_cutoff[name] = pd.Series(gains, index=np.sort(keys["cutoff"].unique()))
        row = {
            "model": name,
            "reference": reference,
            "score": score,
            "n_folds": tested.n,
            "lags": tested.lags,
        }
        row |= {"difference": tested.mean, "statistic": tested.statistic, "p_value": tested.p_value}
        row |= {"statistic_hln": tested.statistic_hln, "p_value_hln": tested.p_value_hln}
        detectable = detectable_difference(tested.standard_error, tested.n, level=level)
        rows.append(row | {"detectable_difference": float(detectable)})
    table = pd.DataFrame(rows)
    shared = pd.concat(by_cutoff, axis=1).dropna()
    block = int(table["lags"].max()) + 1
    table.insert(table.columns.get_loc("detectable_difference"), "p_holm", holm(table["p_value_hln"]))
    stepped = step_down(shared.to_numpy(), n_boot=n_boot, seed=seed, block=block)
    table.insert(table.columns.get_loc("detectable_difference"), "p_step_down", stepped)
    return table
