"""Count distributions as pure array functions: negative binomial by mean and dispersion (Poisson at 0)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TINY = 1e-12


def prob_zero(mean: NDArray[Any], dispersion: NDArray[Any]) -> NDArray[Any]:
    """Probability of no incident: (1 + α·mean)^(−1/α), and exp(−mean) at α = 0.

    Examples
    --------
    >>> prob_zero(np.array([1.0, 1.0]), np.array([0.0, 1.0])).round(4)
    array([0.3679, 0.5   ])
    """
    alpha = np.maximum(dispersion, _TINY)
    return np.where(dispersion > _TINY, np.exp(-np.log1p(alpha * mean) / alpha), np.exp(-mean))


def count_interval(
    mean: NDArray[Any], dispersion: NDArray[Any], *, level: float = 0.9
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Central interval of a count: whole numbers ≥ 0, with at most (1 − level) / 2 outside on each side.

    Parameters
    ----------
    mean, dispersion : ndarray of the same shape
    level : float, default 0.9

    Returns
    -------
    lower, upper : ndarray
        Quantiles at (1 − level) / 2 and (1 + level) / 2; both limits belong to the interval.

    Raises
    ------
    UsageError
        If the level is not between 0 and 1.

    Examples
    --------
    >>> count_interval(np.array([0.05, 3.0]), np.zeros(2), level=0.9)
    (array([0., 1.]), array([0., 6.]))
    """
    if not 0 < level < 1:
        msg = f"level must lie between 0 and 1, got {level}."
        raise UsageError(msg)
    mean = np.asarray(mean, dtype=np.float64)
    flat_mean, alpha = np.broadcast_arrays(mean, np.asarray(dispersion, dtype=np.float64))
    tails = ((1 - level) / 2, (1 + level) / 2)
    lower, upper = (_quantile(flat_mean.ravel(), alpha.ravel(), tail).reshape(mean.shape) for tail in tails)
    return lower, upper


def _quantile(mean: NDArray[Any], alpha: NDArray[Any], tail: float) -> NDArray[np.float64]:
    """Smallest k with P(Y ≤ k) ≥ tail, by summing the probabilities upwards where it is not reached yet."""
    found = np.zeros(len(mean))
    pmf = prob_zero(mean, alpha)
    cdf = pmf.copy()
    active = np.flatnonzero(cdf < tail)
    pmf, cdf, count = pmf[active], cdf[active], 0
    mean, alpha = mean[active], alpha[active]
    limit = int(10_000 + 100 * (mean.max() if len(mean) else 0))
    while len(active) and count < limit:
        # P(k+1) = P(k) · mean (1 + α k) / ((k + 1)(1 + α mean)): both laws at once.
        pmf = pmf * mean * (1 + alpha * count) / ((count + 1) * (1 + alpha * mean))
        cdf = cdf + pmf
        count += 1
        found[active] = count
        still = cdf < tail - 1e-12
        if not still.all():
            active, pmf, cdf, mean, alpha = (a[still] for a in (active, pmf, cdf, mean, alpha))
    return found


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
    from scipy.optimize import minimize_scalar
    from scipy.special import gammaln

    mean = np.maximum(np.asarray(mean, dtype=np.float64).ravel(), _TINY)
    observed = np.asarray(observed, dtype=np.float64).ravel()
    weight = np.ones_like(mean) if weight is None else np.asarray(weight, dtype=np.float64).ravel()
    some = observed > 0
    k, m, w = observed[some], mean[some], weight[some]

    def loss(log_alpha: float) -> float:
        alpha = np.exp(log_alpha)
        size = 1 / alpha
        base = -(weight * np.log1p(alpha * mean)).sum() * size
        extra = gammaln(k + size) - gammaln(size) + k * (np.log(alpha * m) - np.log1p(alpha * m))
        return -(base + (w * extra).sum())

    if not some.any():
        return 0.0
    found = minimize_scalar(loss, bounds=(np.log(1e-5), np.log(50.0)), method="bounded")
    poisson = (weight * mean).sum() - (w * k * np.log(m)).sum()
    return float(np.exp(found.x)) if found.fun < poisson - 1e-6 else 0.0
