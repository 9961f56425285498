"""Recalibration of the probability of at least one incident."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EDGE = 1e-9


def cloglog(probability: NDArray[Any]) -> NDArray[np.float64]:
    """Complementary log-log: the log of the rate at which a Poisson gives this probability."""
    return np.log(-np.log1p(-np.clip(probability, _EDGE, 1 - _EDGE)))


def recalibrate_probability(probability: NDArray[Any], shift: float, slope: float) -> NDArray[np.float64]:
    """Probability whose cloglog is shift + slope · cloglog; monotone since the slope is positive.

    Examples
    --------
    >>> recalibrate_probability(np.array([0.1, 0.5]), 0.0, 1.0)
    array([0.1, 0.5])
    """
    return -np.expm1(-np.exp(shift + slope * cloglog(probability)))


def fit_probability(
    any_observed: NDArray[Any], probability: NDArray[Any], weight: NDArray[Any], *, trust: float = 20.0
) -> tuple[float, float]:
    """Shift and slope that make probabilities match frequencies, by penalised maximum likelihood.

    Parameters
    ----------
    any_observed, probability, weight : ndarray of the same shape
    trust : float, default 20
        Weight of the prior that shift is 0 and slope 1, in incidents.

    Notes
    -----
    Cox (1958) recalibration, Biometrika 45(3-4), doi:10.2307/2333203, on the complementary log-log scale.
    """
    from scipy.optimize import minimize

    z = cloglog(probability).ravel()
    y, w = np.asarray(any_observed, dtype=np.float64).ravel(), np.asarray(weight, dtype=np.float64).ravel()
    if (w * y).sum() < 1:
        return 0.0, 1.0

    def loss(parameters: NDArray[Any]) -> float:
        shift, log_slope = parameters
        rate = np.exp(np.clip(shift + np.exp(log_slope) * z, -30, 5))
        fit = (w * np.where(y > 0, -np.log(-np.expm1(-rate)), rate)).sum()
        return float(fit + trust * (shift**2 + log_slope**2))

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-3})
    return float(found.x[0]), float(np.exp(found.x[1]))
