"""Intervals that treat a fold as one draw: everything forecast at a cutoff is resampled together.

Counts in neighbouring cells, categories and horizons share their weather, their holidays and their events, so
resampling cells one by one would call noise certainty. Folds are taken as independent of each other, which
needs cutoffs whose target periods do not overlap (the usual 28 days between cutoffs are enough).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, check_in

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Totals = Mapping[str, NDArray[np.float64]]
    Estimator = Callable[[Totals], dict[str, NDArray[np.float64]]]

MIN_FOLDS = 5
_MIN_RUNS = 4
_MAX_UNDEFINED = 0.05
_KEYS = ("model", "category", "cutoff", "horizon")


@dataclass(frozen=True)
class Estimate:
    """A number, its interval, and the resamples that the interval was read from (none: too few folds)."""

    value: float
    lower: float
    upper: float
    draws: NDArray[np.float64]


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[np.float64]:
    """Quotient, NaN where the denominator is not above 0.

    Examples
    --------
    >>> ratio([1, 0], [2, 0]).tolist()
    [0.5, nan]
    """
    top, bottom = (np.asarray(part, np.float64) for part in np.broadcast_arrays(numerator, denominator))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def resample_folds(n_folds: int, n_boot: int, seed: int, *, block: int = 1) -> NDArray[np.float64]:
    """How often each fold comes in each resample, shape (n_boot, n_folds).

    The same seed gives the same resamples to every model, so that differences are paired. With `block` folds
    are drawn in runs of that length, the last one followed by the first (circular block bootstrap, Politis
    and Romano 1992), so that what links neighbouring folds stays together.

    Examples
    --------
    >>> resample_folds(3, 2, seed=0).sum(axis=1).tolist()
    [3.0, 3.0]
    >>> resample_folds(6, 1, seed=0, block=3).tolist()
    [[1.0, 1.0, 0.0, 1.0, 1.0, 2.0]]
    """
    rng = np.random.default_rng(seed)
    if block > 1:
        starts = rng.integers(n_folds, size=(n_boot, -(-n_folds // block), 1))
        drawn = ((starts + np.arange(block)) % n_folds).reshape(n_boot, -1)[:, :n_folds]
        flat = (np.arange(n_boot)[:, None] * n_folds + drawn).ravel()
        counts = np.bincount(flat, minlength=n_boot * n_folds).reshape(n_boot, n_folds)
        return counts.astype(np.float64)
    return rng.multinomial(n_folds, np.full(n_folds, 1 / n_folds), size=n_boot).astype(np.float64)


def percentile_interval(
    draws: NDArray[np.float64], n_folds: int, level: float = 0.95, *, block: int = 1
) -> tuple[float, float]:
    """Limits of an interval from resampled estimates, widened for few folds.

    Parameters
    ----------
    draws : ndarray of float64, shape (n_boot,)
        The estimate in each resample.
    n_folds : int
        Folds that were resampled.
    level : float, default 0.95
        Nominal coverage.
    block : int, default 1
        Folds that were drawn together: the interval is widened as for n_folds / block folds.

    Returns
    -------
    tuple of float
        Lower and upper limit; NaN with fewer than `MIN_FOLDS` folds, or if the estimate was undefined in more
        than 5 % of the resamples.

    Notes
    -----
    The plain percentile interval covers about 91 % with 13 folds: it uses normal quantiles and a variance
    that is (n − 1)/n too small. The *expanded* percentile interval [1]_ reads the resamples at
    Φ(−√(n/(n − 1))·t) instead of at (1 − level)/2, t the Student quantile with n − 1 degrees of freedom: for
    13 folds at 1.2 % and 98.8 %. It stays within the range of the statistic, which a t interval does not. In
    simulations with nominal 95 % it covers 94-95 % with 13 folds and 88-93 % with 5, less where folds are
    skewed.

    References
    ----------
    .. [1] Hesterberg, T. C. (2015). What teachers should know about the bootstrap. The American Statistician
       69, 371-386. https://doi.org/10.1080/00031305.2015.1089789

    Examples
    --------
    >>> percentile_interval(np.arange(1001.0), n_folds=13)  # plain percentiles: 25 and 975
    (11.67..., 988.32...)
    """
    from scipy.special import ndtr, stdtrit

    defined = draws[~np.isnan(draws)]
    runs = n_folds / block
    too_few = n_folds < MIN_FOLDS or runs < _MIN_RUNS
    if too_few or len(defined) < max(1, (1 - _MAX_UNDEFINED) * len(draws)):
        return np.nan, np.nan
    quantile = stdtrit(runs - 1, (1 + level) / 2)
    tail = float(ndtr(-quantile * np.sqrt(runs / (runs - 1))))
    lower, upper = np.quantile(defined, [tail, 1 - tail])
    return float(lower), float(upper)


def estimate_folds(
    totals: Totals,
    estimator: Estimator,
    *,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    block: int = 1,
) -> dict[str, Estimate]:
    """Estimates from sums by fold, with block-bootstrap intervals.

    Parameters
    ----------
    totals : mapping of str to ndarray of float64, shape (n_folds,)
        What the estimates are made of, summed over all maps of a fold.
    estimator : callable
        Makes named estimates from totals; works on arrays.
    n_boot, level, seed, block
        Resamples, nominal coverage, seed, folds that are drawn together.

    Returns
    -------
    dict of str to Estimate

    Examples
    --------
    >>> folds = {"hits": np.array([1.0, 2, 3, 2, 1]), "n": np.full(5, 10.0)}
    >>> found = estimate_folds(folds, lambda sums: {"hit_rate": ratio(sums["hits"], sums["n"])})["hit_rate"]
    >>> found.value, found.lower, found.upper
    (0.18, 0.1..., 0.26...)
    """
    matrix = np.array(list(totals.values()), dtype=np.float64)
    n_folds = matrix.shape[1]
    values = estimator(dict(zip(totals, matrix.sum(axis=1), strict=True)))
    if n_folds < MIN_FOLDS:
        none = np.array([], dtype=np.float64)
        return {name: Estimate(float(value), np.nan, np.nan, none) for name, value in values.items()}
    sums = resample_folds(n_folds, n_boot, seed, block=block) @ matrix.T
    draws = estimator(dict(zip(totals, sums.T, strict=True)))
    return {
        name: Estimate(
            float(value), *percentile_interval(draws[name], n_folds, level, block=block), draws[name]
        )
        for name, value in values.items()
    }


def sum_by(codes: NDArray[np.int64], values: ArrayLike, n_codes: int) -> NDArray[np.float64]:
    """Sum the rows of `values` that share a code, shape (n_codes, …).

    Examples
    --------
    >>> sum_by(np.array([0, 1, 0]), [1.0, 2.0, 3.0], 2).tolist()
    [4.0, 2.0]
    """
    rows = np.asarray(values, dtype=np.float64)
    sums = np.zeros((n_codes, *rows.shape[1:]))
    np.add.at(sums, codes, rows)
    return sums


def check_groups(keys: pd.DataFrame, by: Iterable[str]) -> list[str]:
    """Keys to group by, `model` always among them: scores of different models are never pooled.

    Raises
    ------
    UsageError
        If a name is not a key of Forecasts.

    Examples
    --------
    >>> check_groups(pd.DataFrame(), "cutoff")
    ['model', 'cutoff']
    """
    names = [by] if isinstance(by, str) else list(by)
    for name in names:
        check_in(name, _KEYS, "by")
    return list(dict.fromkeys(names if "model" in names else ["model", *names]))


def estimate_groups(
    keys: pd.DataFrame,
    totals: Totals,
    observed: NDArray[np.bool_],
    estimator: Estimator,
    *,
    by: Iterable[str],
    counts: Mapping[str, str],
    n_boot: int,
    level: float,
    seed: int,
) -> pd.DataFrame:
    """One row a group of maps: its keys, its counts, and each estimate with its interval.

    Parameters
    ----------
    keys : DataFrame
        Keys of the maps.
    totals : mapping of str to ndarray of float64, shape (n_maps,)
        What the estimates are made of.
    observed : ndarray of bool, shape (n_maps,)
        Maps whose outcome is known; the others are only counted.
    estimator : callable
        Makes named estimates from sums of totals.
    by : iterable of str
        Keys that define the groups.
    counts : mapping of str to str
        Columns of the result that are plain sums, and the totals they are sums of.
    n_boot, level, seed
        Resamples, nominal coverage, seed.
    """
    check_level(level, n_boot)
    names = check_groups(keys, by)
    grouped = keys.groupby(names, sort=True, observed=True)
    group = grouped.ngroup().to_numpy()
    labels = keys[names].groupby(group).first()
    rows = []
    for number, label in zip(labels.index, labels.itertuples(index=False, name=None), strict=True):
        mask = (group == number) & observed
        fold, cutoffs = pd.factorize(keys.loc[mask, "cutoff"], sort=True)
        matrix = sum_by(fold, np.column_stack([part[mask] for part in totals.values()]), len(cutoffs))
        folds = dict(zip(totals, matrix.T, strict=True))
        row = dict(zip(names, label, strict=True))
        row |= {"n_folds": len(cutoffs), "n_maps": int(mask.sum())}
        row["n_unobserved"] = int((group == number).sum()) - row["n_maps"]
        row |= {name: float(folds[source].sum()) for name, source in counts.items()}
        for name, found in estimate_folds(folds, estimator, n_boot=n_boot, level=level, seed=seed).items():
            row |= {name: found.value, f"{name}_lower": found.lower, f"{name}_upper": found.upper}
        rows.append(row)
    return pd.DataFrame(rows)


def check_level(level: float, n_boot: int) -> None:
    """Refuse a nominal coverage outside (0, 1) and a bootstrap without resamples.

    Raises
    ------
    UsageError
        If either is out of range.
    """
    if not 0 < level < 1 or n_boot < 1:
        msg = f"level must lie between 0 and 1 and n_boot be at least 1, got {level=} and {n_boot=}."
        raise UsageError(msg)
