"""Conformal intervals of counts: at which levels a law's quantiles are taken, by stratum of activity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ENOUGH = 200.0  # cell forecasts below which a stratum keeps the law's own levels
_HALVINGS = 40


@dataclass(frozen=True)
class Tails:
    """Levels of the lower and the upper quantile by stratum of the expected count.

    Attributes
    ----------
    edges : ndarray, shape (n_strata − 1,)
        Expected counts at which a stratum ends.
    lower, upper : ndarray, shape (n_strata,)

    Examples
    --------
    >>> tails = Tails(np.array([1.0]), np.array([0.05, 0.02]), np.array([0.95, 0.99]))
    >>> tails.at(np.array([0.5, 3.0]))
    (array([0.05, 0.02]), array([0.95, 0.99]))
    """

    edges: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    def at(self, expected: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Levels for each expected count."""
        stratum = np.searchsorted(self.edges, expected, side="right")
        return self.lower[stratum], self.upper[stratum]


def fit_tails(
    expected: NDArray[Any],
    below: NDArray[Any],
    through: NDArray[Any],
    weight: NDArray[Any],
    edges: NDArray[Any],
    *,
    level: float = 0.9,
) -> Tails:
    """Levels at which the law's quantiles would have held `level` of the counts, in each stratum.

    Parameters
    ----------
    expected : ndarray
        Expected counts, by which the strata are told apart.
    below, through : ndarray of the same shape
        The law's distribution function just below the count, and at it.
    weight : ndarray of the same shape
        Counts' worth of each count; periods that overlap weigh less than one.
    edges : ndarray, shape (n_strata − 1,)
    level : float, default 0.9

    Returns
    -------
    Tails

    Notes
    -----
    The score of a count is its randomised probability integral transform, averaged over the draw, so that
    nothing is random here. The levels are its quantiles at (1 ± level · (n + 1) / n) / 2: a smoothed Mondrian
    conformal predictor (Vovk, Gammerman and Shafer 2005, doi:10.1007/b106715), discrete and never negative
    since it only ever picks quantiles of a law of counts. Its promise needs counts of the calibration window
    and of the forecast that could be exchanged; in a time series they drift apart, and coverage is lost by as
    much as they differ (Barber, Candès, Ramdas and Tibshirani 2023, doi:10.1214/23-AOS2276). Hence a window
    of its own before each cutoff.

    Examples
    --------
    >>> pit = (np.arange(1000) + 0.5) / 1000  # a law that is right
    >>> tails = fit_tails(np.ones(1000), pit - 5e-4, pit + 5e-4, np.ones(1000), np.array([]))
    >>> tails.lower.round(3), tails.upper.round(3)
    (array([0.05]), array([0.95]))
    """
    stratum = np.searchsorted(edges, expected, side="right")
    ends = []
    for number in range(len(edges) + 1):
        mine = stratum == number
        n = float(weight[mine].sum())
        wider = min(level * (n + 1) / n, 1.0) if n > _ENOUGH else 0.0
        law = (below[mine], through[mine], weight[mine])
        for sign in (-1, 1):
            end = (1 + sign * level) / 2
            ends.append(_level_of(*law, (1 + sign * wider) / 2) if wider else end)
    lower, upper = np.array(ends, dtype=np.float64).reshape(-1, 2).T
    return Tails(np.asarray(edges, dtype=np.float64), lower, upper)


def _level_of(below: NDArray[Any], through: NDArray[Any], weight: NDArray[Any], share: float) -> float:
    """Level u up to which a share of the averaged probability integral transforms lies, by halving."""
    steps = np.maximum(through - below, 1e-12)
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        reached = np.average(np.clip((middle - below) / steps, 0.0, 1.0), weights=weight)
        low, high = (middle, high) if reached < share else (low, middle)
    return (low + high) / 2
