"""Recalibration of a rate: one overall factor, and one by stratum of activity, kept monotone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_TINY = 1e-9
_QUIET = (0.001, 0.004, 0.016)  # shares of what is expected at which the quietest strata end


@dataclass(frozen=True)
class RateCurve:
    """log factor as a function of the log rate: linear between knots, constant beyond them.

    Attributes
    ----------
    knots : ndarray, shape (n_knots,)
        Ascending log rates.
    log_factors : ndarray, shape (n_knots,)

    Examples
    --------
    >>> curve = RateCurve(np.log([0.1, 1.0]), np.log([2.0, 1.0]))
    >>> (np.array([0.05, 0.1, 1.0, 5.0]) * curve.factor(np.array([0.05, 0.1, 1.0, 5.0]))).round(3)
    array([0.1, 0.2, 1. , 5. ])
    """

    knots: NDArray[np.float64]
    log_factors: NDArray[np.float64]

    def factor(self, rate: NDArray[Any]) -> NDArray[np.float64]:
        """Factor by which each rate is multiplied."""
        if len(self.knots) == 0:
            return np.ones_like(rate, dtype=np.float64)
        return np.exp(np.interp(np.log(np.maximum(rate, _TINY)), self.knots, self.log_factors))


def activity_edges(rate: NDArray[Any], strata: int) -> NDArray[np.float64]:
    """Inner edges of strata of activity, shape (strata − 1,).

    Stratum k ends at a share (k / strata)² of what is expected: finer where it is quiet.

    Examples
    --------
    >>> activity_edges(np.array([1.0, 1.0, 2.0, 4.0]), 2)
    array([1.])
    """
    return _rates_at(rate, (np.arange(1, strata) / strata) ** 2)


def _rates_at(rate: NDArray[Any], shares: Sequence[float] | NDArray[Any]) -> NDArray[np.float64]:
    """Rates below which these shares of what is expected lie; equal ones once."""
    ordered = np.sort(np.asarray(rate, dtype=np.float64).ravel())
    share = np.cumsum(ordered) / max(ordered.sum(), _TINY)
    return np.unique(ordered[np.minimum(np.searchsorted(share, shares), len(ordered) - 1)])


def fit_rate_curve(
    observed: NDArray[Any],
    rate: NDArray[Any],
    weight: NDArray[Any],
    *,
    strata: int = 5,
    trust_one: float = 20.0,
    trust_overall: float = 60.0,
    trust_next: float = 10.0,
) -> RateCurve:
    """Ratio of observed to expected, overall and by stratum, drawn together where records are few.

    Parameters
    ----------
    observed, rate, weight : ndarray of the same shape
        Counts, the rates forecast for them, and the weight of each row.
    strata : int, default 5
        Number of strata; 1 for one overall factor.
    trust_one : float, default 20
        Incidents' worth of trust that the overall factor is 1.
    trust_overall : float, default 60
        Incidents' worth of trust that a stratum's factor is the overall one.
    trust_next : float, default 10
        Incidents' worth of trust that a quiet stratum's factor is that of the next busier one.

    Notes
    -----
    Below these strata come three quiet ones, which end at 0.1, 0.4 and 1.6 % of what is expected. A model
    knows least about places where hardly anything was ever recorded, and errs there by a factor that busier
    places do not show: each of the three is drawn to the next busier instead of to all.

    The factor is a curve of the rate, and the product is made non-decreasing at the knots: a cell that was
    expected to have more stays so.
    """
    total, expected = float((weight * observed).sum()), float((weight * rate).sum())
    overall = (total + trust_one) / (expected + trust_one)
    if strata <= 1 or expected <= 0:
        return RateCurve(np.zeros(1), np.full(1, np.log(overall)))
    busier, quiet = activity_edges(rate, strata), _rates_at(rate, _QUIET)
    edges = np.concatenate([quiet[quiet < busier[0]], busier])
    stratum = np.searchsorted(edges, rate, side="left").ravel()
    n_strata = len(edges) + 1
    sums = [
        np.bincount(stratum, weights=(weight * values).ravel(), minlength=n_strata)
        for values in (observed, rate, rate * np.log(np.maximum(rate, _TINY)))
    ]
    filled = sums[1] > 0
    seen, wanted, moment = (values[filled] for values in sums)
    knots = moment / wanted
    factors = (seen + trust_overall * overall) / (wanted + trust_overall)
    n_quiet = int(filled[: len(edges) - len(busier)].sum())
    for k in reversed(range(min(n_quiet, len(factors) - 1))):
        factors[k] = (seen[k] + trust_next * factors[k + 1]) / (wanted[k] + trust_next)
    # The trust in the overall factor must not change the total.
    factors *= overall * wanted.sum() / (factors * wanted).sum()
    log_factors = np.maximum.accumulate(knots + np.log(factors)) - knots
    return RateCurve(knots, log_factors)
