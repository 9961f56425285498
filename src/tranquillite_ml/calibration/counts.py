"""Laws of a count as pure array functions: negative binomial by mean and dispersion (0: Poisson), and hurdle.

A hurdle states the probability of at least one incident on its own; what lies above zero is a zero-truncated
negative binomial whose mean makes up for it, so that the expected count stays what it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

POISSON_BELOW = 1e-8  # dispersion below which the Poisson is used: the difference is under α·y²
_TINY = 1e-12
_LEAST_EXCESS = 1e-6  # mean of the counts above zero, less one: below it all of them are one
_NEWTON_STEPS = 60


def prob_zero(mean: NDArray[Any], dispersion: NDArray[Any]) -> NDArray[Any]:
    """Probability of no incident: (1 + α·mean)^(−1/α), and exp(−mean) at α = 0.

    Examples
    --------
    >>> prob_zero(np.array([1.0, 1.0]), np.array([0.0, 1.0])).round(4)
    array([0.3679, 0.5   ])
    """
    alpha = np.maximum(dispersion, _TINY)
    return np.where(dispersion > _TINY, np.exp(-np.log1p(alpha * mean) / alpha), np.exp(-mean))


def prob_positive(mean: NDArray[Any], dispersion: NDArray[Any]) -> NDArray[Any]:
    """Probability of at least one incident, 1 − `prob_zero`, exact where it is small.

    Examples
    --------
    >>> prob_positive(np.array([1e-20, 1.0]), np.array([0.0, 1.0]))
    array([1.e-20, 5.e-01])
    """
    alpha = np.maximum(dispersion, _TINY)
    return -np.expm1(np.where(dispersion > _TINY, -np.log1p(alpha * mean) / alpha, -mean))


def above_zero(
    mean: NDArray[Any], dispersion: NDArray[Any], prob_any: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Negative binomial that a hurdle is made of above zero: its mean, and how much of it there is.

    Parameters
    ----------
    mean, dispersion, prob_any : ndarray
        Expected count, dispersion α, and probability of at least one incident. A probability above the
        expected count is impossible, and taken to be the expected count.

    Returns
    -------
    inner, share : ndarray
        P(k) = share · NB(k; inner, α) for k ≥ 1, and share · inner is the expected count. The share is over 1
        where an incident is likelier than the negative binomial of the same mean says.

    Notes
    -----
    The hurdle is Mullahy's (1986), Journal of Econometrics 33(3), doi:10.1016/0304-4076(86)90002-3. The inner
    mean solves m = (mean / prob_any) · (1 − NB(0; m)). The difference of the sides is convex, and its root
    lies below both starting values, so Newton's method comes down to it from above.

    Examples
    --------
    >>> inner, share = above_zero(np.array([0.5]), np.zeros(1), np.array([0.25]))
    >>> (share * inner).round(6), (share * -np.expm1(-inner)).round(6)
    (array([0.5]), array([0.25]))
    """
    mean, alpha, some = np.broadcast_arrays(
        *(np.asarray(part, dtype=np.float64) for part in (mean, dispersion, prob_any))
    )
    some = np.minimum(some, mean)
    positive = np.divide(mean, some, out=np.ones_like(mean), where=some > 0)
    positive = np.maximum(positive, 1 + _LEAST_EXCESS)
    inner = np.minimum(positive, 2 * (positive - 1))
    for _ in range(_NEWTON_STEPS):
        any_ = prob_positive(inner, alpha)
        slope = 1 - positive * (1 - any_) / (1 + alpha * inner)
        step = (inner - positive * any_) / np.maximum(slope, _TINY)
        inner = np.maximum(inner - step, _TINY)
        if (np.abs(step) <= 1e-12 * inner).all():
            break
    return inner, mean / inner


def count_cdf(
    k: ArrayLike, mu: ArrayLike, alpha: ArrayLike = 0.0, prob_any: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Probability of at most `k` incidents, 0 for negative `k`.

    Parameters
    ----------
    k, mu, alpha : array_like
        Counts, means and dispersions (variance = μ + α·μ²). Where α is 0, Poisson.
    prob_any : array_like, optional
        Probability of at least one incident: with it the law is a hurdle.

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> count_cdf([-1, 0, 1], 1.0).round(4).tolist()
    [0.0, 0.3679, 0.7358]
    >>> count_cdf([0, 1], 1.0, 1.0).tolist()  # geometric, p = 1/2
    [0.5, 0.75]
    >>> count_cdf(0, 1.0, 1.0, prob_any=0.3).round(4).tolist()
    0.7
    """
    from scipy.special import betainc, pdtr

    count, mean, spread = (np.asarray(a, dtype=np.float64) for a in np.broadcast_arrays(k, mu, alpha))
    share = np.ones(())
    if prob_any is not None:
        mean, share = above_zero(mean, spread, np.asarray(prob_any, dtype=np.float64))
        count, spread = np.broadcast_to(count, mean.shape), np.broadcast_to(spread, mean.shape)
    floor = np.maximum(np.floor(count), 0)
    value = np.asarray(pdtr(floor, mean), dtype=np.float64)
    wide = spread > POISSON_BELOW
    value[wide] = betainc(1 / spread[wide], floor[wide] + 1, 1 / (1 + spread[wide] * mean[wide]))
    if prob_any is not None:
        value = np.clip(1 - share * (1 - value), 0.0, 1.0)
    return np.where(count < 0, 0.0, value)


def count_interval(
    mean: NDArray[Any],
    dispersion: NDArray[Any],
    prob_any: NDArray[Any] | None = None,
    *,
    level: float = 0.9,
    tails: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Central interval of a count: whole numbers ≥ 0, with at most (1 − level) / 2 outside on each side.

    Parameters
    ----------
    mean, dispersion : ndarray of the same shape
    prob_any : ndarray of the same shape, optional
        Probability of at least one incident: with it the law is a hurdle.
    level : float, default 0.9
    tails : tuple of ndarray, optional
        Levels at which the two quantiles are taken, instead of (1 − level) / 2 and (1 + level) / 2.

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
    shape = np.shape(mean)
    ends = ((1 - level) / 2, (1 + level) / 2) if tails is None else tails
    parts = [np.asarray(part, dtype=np.float64) for part in (mean, dispersion, *ends)]
    mean, alpha, *both = (part.ravel() for part in np.broadcast_arrays(*parts))
    share = np.ones_like(mean)
    if prob_any is not None:
        mean, share = above_zero(mean, alpha, np.asarray(prob_any, dtype=np.float64).ravel())
    # Above zero the hurdle is a share of a negative binomial: it reaches a level where that one reaches
    # 1 − (1 − level) / share.
    lower, upper = (_quantile(mean, alpha, 1 - (1 - end) / share).reshape(shape) for end in both)
    return lower, upper


def randomised_interval(
    mean: NDArray[Any],
    dispersion: NDArray[Any],
    prob_any: NDArray[Any] | None = None,
    *,
    level: float = 0.9,
    tails: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Central interval whose two edges belong to it with a chance, so that it covers exactly its level.

    A plain interval of whole numbers covers more than it says. This one is to judge a law, not to be shown:
    what lies within belongs to it, an edge with the probability given.

    Parameters
    ----------
    mean, dispersion, prob_any, level, tails
        As for `count_interval`.

    Returns
    -------
    lower, upper, lower_share, upper_share : ndarray
        Edges, and the chance with which each belongs to the interval; one chance where both are one number.

    Notes
    -----
    The edges are those of randomised (*smoothed*) prediction: Vovk, Gammerman and Shafer (2005), Algorithmic
    Learning in a Random World, doi:10.1007/b106715.

    Examples
    --------
    >>> lower, upper, at_lower, at_upper = randomised_interval(np.array([0.05]), np.zeros(1), level=0.9)
    >>> lower, upper, at_lower.round(3), at_upper.round(3)  # 0.9 / P(0)
    (array([0.]), array([0.]), array([0.946]), array([0.946]))
    """
    low, high = ((1 - level) / 2, (1 + level) / 2) if tails is None else tails
    lower, upper = count_interval(mean, dispersion, prob_any, level=level, tails=(low, high))  # type: ignore[arg-type]
    below, through = (count_cdf(lower - step, mean, dispersion, prob_any) for step in (1, 0))
    under, until = (count_cdf(upper - step, mean, dispersion, prob_any) for step in (1, 0))
    at_lower = (through - np.maximum(low, below)) / np.maximum(through - below, _TINY)
    at_upper = (np.minimum(high, until) - under) / np.maximum(until - under, _TINY)
    same = lower == upper
    both = np.clip(at_lower + at_upper - 1, 0.0, 1.0)
    at_lower, at_upper = (np.where(same, both, np.clip(part, 0.0, 1.0)) for part in (at_lower, at_upper))
    return lower, upper, at_lower, at_upper


def _quantile(mean: NDArray[Any], alpha: NDArray[Any], tail: NDArray[Any]) -> NDArray[np.float64]:
    """Smallest k with P(Y ≤ k) ≥ tail, by summing the probabilities upwards where it is not reached yet."""
    found = np.zeros(len(mean))
    pmf = prob_zero(mean, alpha)
    cdf = pmf.copy()
    active = np.flatnonzero(cdf < tail)
    pmf, cdf, count = pmf[active], cdf[active], 0
    mean, alpha, tail = mean[active], alpha[active], tail[active]
    limit = int(10_000 + 100 * (mean.max() if len(mean) else 0))
    while len(active) and count < limit:
        # P(k+1) = P(k) · mean (1 + α k) / ((k + 1)(1 + α mean)): both laws at once.
        pmf = pmf * mean * (1 + alpha * count) / ((count + 1) * (1 + alpha * mean))
        cdf = cdf + pmf
        count += 1
        found[active] = count
        still = cdf < tail - 1e-12
        if not still.all():
            active, pmf, cdf, mean, alpha, tail = (
                part[still] for part in (active, pmf, cdf, mean, alpha, tail)
            )
    return found
