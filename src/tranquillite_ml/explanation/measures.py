"""Measures and their bars: one row each, resampled by cell, and the small statistics they are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_RESAMPLES = 500
NOTHING = (np.nan, np.nan, np.nan, 0)
"""What a measure is where it cannot be taken."""

Result = tuple[float, float, float, int]
Bar = tuple[str, Callable[[float, float, float], bool]]


def row(metric: str, result: Result, bar: Bar) -> list[Any]:
    """One line of the table; `met` is missing where there is no value."""
    value, lower, upper, n = result
    text, passes = bar
    met = pd.NA if np.isnan(value) else bool(passes(value, lower, upper))
    return [metric, value, lower, upper, text, n, met]


def at_least(limit: float) -> Bar:
    """Bar that a value reaches."""
    return f"≥ {limit:g}", lambda value, lower, upper: value >= limit


def at_most(limit: float) -> Bar:
    """Bar that a value does not pass."""
    return f"≤ {limit:g}", lambda value, lower, upper: value <= limit


ABOVE_ZERO: Bar = ("interval > 0", lambda value, lower, upper: lower > 0)
BETTER: Bar = ("interval < 1", lambda value, lower, upper: upper < 1)
NEAR_ZERO: Bar = ("size ≤ 0.2", lambda value, lower, upper: abs(value) <= 0.2)
WITHIN_TENTH: Bar = ("0.9 to 1.1", lambda value, lower, upper: 0.9 <= value <= 1.1)


def resampled(
    statistic: Callable[[NDArray[np.int64]], float], cell: NDArray[Any], *, level: float = 0.95
) -> Result:
    """A statistic of row numbers with its percentile interval; cells are resampled whole."""
    rng = np.random.default_rng(0)
    number, names = pd.factorize(cell)
    members = [np.flatnonzero(number == k) for k in range(len(names))]
    draws = [
        statistic(np.concatenate([members[k] for k in rng.integers(len(names), size=len(names))]))
        for _ in range(_RESAMPLES)
    ]
    low, high = (
        np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
        if np.isfinite(draws).any()
        else (
            np.nan,
            np.nan,
        )
    )
    return float(statistic(np.arange(len(cell)))), float(low), float(high), len(cell)


def over(parts: Floats) -> Result:
    """Mean of a few values with the interval of Student's t; none for one value."""
    from scipy.special import stdtrit

    n = len(parts)
    if n == 0:
        return NOTHING
    reach = stdtrit(n - 1, 0.975) * parts.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    return float(parts.mean()), float(parts.mean() - reach), float(parts.mean() + reach), n


def mean_of(values: Floats) -> Callable[[NDArray[np.int64]], float]:
    """Mean of values as a statistic of row numbers."""
    return lambda at: float(values[at].mean())


def median(values: Floats) -> float:
    """Median of what is finite."""
    seen = values[np.isfinite(values)]
    return float(np.median(seen)) if len(seen) else np.nan


def ratio(top: Floats, bottom: Floats) -> float:
    """Quotient of sums; NaN where nothing is below."""
    total = float(bottom.sum())
    return float(top.sum()) / total if total > 0 else np.nan


def correlation(one: Floats, two: Floats) -> float:
    """Pearson's correlation; NaN where one side never varies."""
    if np.ptp(one) <= 0 or np.ptp(two) <= 0:
        return np.nan
    return float(np.corrcoef(one, two)[0, 1])


def rank_correlation(one: Floats, two: Floats) -> float:
    """Spearman's correlation; NaN where one side never varies."""
    return correlation(*(pd.Series(part).rank().to_numpy() for part in (one, two)))


def tau(one: Floats, two: Floats) -> float:
    """Kendall's τ-b; NaN where one side does not order anything."""
    from scipy.stats import kendalltau

    if np.ptp(one) <= 0 or np.ptp(two) <= 0:
        return np.nan
    return float(kendalltau(one, two).statistic)


def agreements(sizes: Floats) -> Floats:
    """Kendall's τ of each pair of rows."""
    one, two = np.triu_indices(len(sizes), 1)
    found = np.array([tau(sizes[a], sizes[b]) for a, b in zip(one, two, strict=True)])
    return found[np.isfinite(found)]


def shared_top(one: Floats, two: Floats, *, top: int = 3) -> Floats:
    """Share of the strongest groups of each row that both have."""
    top = min(top, one.shape[1])
    first, second = (np.argsort(-np.abs(part), axis=1, kind="stable")[:, :top] for part in (one, two))
    return np.asarray((first[:, :, None] == second[:, None, :]).any(axis=2).mean(axis=1))
