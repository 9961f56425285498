"""Dispersion of counts around given means: of a negative binomial, and of what a hurdle has above zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.calibration.counts import above_zero, prob_positive

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_TINY = 1e-12
_RANGE = (np.log(1e-5), np.log(50.0))


def fit_dispersion(observed: NDArray[Any], mean: NDArray[Any], weight: NDArray[Any] | None = None) -> float:
    """Maximum-likelihood dispersion α ≥ 0 of a negative binomial whose means are given.

    Zero when the counts vary no more than a Poisson would.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mean = np.full(20_000, 2.0)
    >>> drawn = rng.poisson(mean * rng.gamma(2.0, 0.5, size=20_000))  # α = 1/2
    >>> round(fit_dispersion(drawn, mean), 2)
    0.51
    """
    observed, mean, weight = _flat(observed, mean, weight)
    some = observed > 0
    k, m, w = observed[some], mean[some], weight[some]
    if not some.any():
        return 0.0

    def loss(alpha: float) -> float:
        base = -(weight * np.log1p(alpha * mean)).sum() / alpha
        return -float(base + (w * _log_factor(k, m, alpha)).sum())

    return _least(loss, float((weight * mean).sum() - (w * k * np.log(m)).sum()))


def fit_truncated_dispersion(
    observed: NDArray[Any],
    mean: NDArray[Any],
    prob_any: NDArray[Any],
    weight: NDArray[Any] | None = None,
) -> float:
    """Maximum-likelihood dispersion α ≥ 0 of a hurdle's counts above zero, their means kept.

    Parameters
    ----------
    observed, mean, prob_any, weight : ndarray of the same shape
        Only cells with an incident tell something.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mean = np.full(20_000, 2.0)
    >>> drawn = rng.negative_binomial(2, 1 / (1 + 0.5 * mean))  # α = 1/2, so P(0) = 1/4
    >>> round(fit_truncated_dispersion(drawn, mean, np.full(20_000, 0.75)), 1)
    0.5
    """
    observed, mean, weight = _flat(observed, mean, weight)
    some = observed > 0
    k, m, w = observed[some], mean[some], weight[some]
    any_ = np.asarray(prob_any, dtype=np.float64).ravel()[some]
    if not (k > 1).any():
        return 0.0

    def loss(alpha: float) -> float:
        spread = np.full_like(m, alpha)
        inner, _ = above_zero(m, spread, any_)
        kept = -np.log1p(alpha * inner) / alpha if alpha > _TINY else -inner
        terms = _log_factor(k, inner, alpha) + kept - np.log(prob_positive(inner, spread))
        return -float((w * terms).sum())

    return _least(loss, loss(0.0))


def _log_factor(k: NDArray[Any], mean: NDArray[Any], alpha: float) -> NDArray[Any]:
    """Log of NB(k) / NB(0) · k!, for k > 0."""
    from scipy.special import gammaln

    if alpha <= _TINY:
        return k * np.log(mean)
    size = 1 / alpha
    return gammaln(k + size) - gammaln(size) + k * (np.log(alpha * mean) - np.log1p(alpha * mean))


def _least(loss: Callable[[float], float], poisson: float) -> float:
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(lambda log_alpha: loss(float(np.exp(log_alpha))), bounds=_RANGE, method="bounded")
    return float(np.exp(found.x)) if found.fun < poisson - 1e-6 else 0.0


def _flat(observed: NDArray[Any], mean: NDArray[Any], weight: NDArray[Any] | None) -> list[NDArray[Any]]:
    mean = np.maximum(np.asarray(mean, dtype=np.float64).ravel(), _TINY)
    observed = np.asarray(observed, dtype=np.float64).ravel()
    weight = np.ones_like(mean) if weight is None else np.asarray(weight, dtype=np.float64).ravel()
    return [observed, mean, weight]
