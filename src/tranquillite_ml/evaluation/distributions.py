"""Laws of a count: likelihood and CRPS of the Poisson, the negative binomial and the hurdle.

Every function works cell by cell on arrays that broadcast against each other. The negative binomial is stated
by its mean μ and dispersion α, variance μ + α·μ²; α = 0 is the Poisson. A hurdle has a probability of any
incident of its own, and a zero-truncated negative binomial above zero, so that the mean is μ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.calibration.counts import (
    POISSON_BELOW,
    above_zero,
    count_cdf,
    prob_positive,
    prob_zero,
)
from tranquillite_ml.errors import InputDataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from tranquillite_ml.forecasts import Forecasts

    Law = Callable[..., NDArray[np.float64]]

RATE_FLOOR = 1e-6
_SERIES_BELOW = 2e-4  # dispersion below which the hypergeometric function of `_half_spread` is out of reach


def _float_arrays(*values: ArrayLike) -> list[NDArray[np.float64]]:
    return [np.asarray(value, dtype=np.float64) for value in np.broadcast_arrays(*values)]


def poisson_log_likelihood(
    y: ArrayLike, mu: ArrayLike, *, floor: float = RATE_FLOOR, constant: bool = True
) -> NDArray[np.float64]:
    """Log-probability of each count under a Poisson law. Larger is better, maximum 0.

    Parameters
    ----------
    y, mu : array_like
        Observed counts and forecast means.
    floor : float, default 1e-6
        Means below it are raised to it, so that an incident where none was expected costs 13.8 nats and not
        everything.
    constant : bool, default True
        Keep the term −log y!. It is the same for every forecast of the same counts; without it the maximum
        is no longer 0.

    Returns
    -------
    ndarray of float64
        ``y·log μ − μ − log y!``, in nats.

    Examples
    --------
    >>> poisson_log_likelihood([0, 2], [1.0, 1.0]).round(3).tolist()  # −1 and −1 − log 2
    [-1.0, -1.693]
    """
    from scipy.special import gammaln

    count, mean = _float_arrays(y, mu)
    mean = np.maximum(mean, floor)
    value = count * np.log(mean) - mean
    return np.asarray(value - gammaln(count + 1) if constant else value)


def negative_binomial_log_likelihood(
    y: ArrayLike, mu: ArrayLike, alpha: ArrayLike, *, floor: float = RATE_FLOOR
) -> NDArray[np.float64]:
    """Log-probability of each count under a negative binomial. Larger is better, maximum 0.

    Parameters
    ----------
    y, mu, alpha : array_like
        Observed counts, forecast means and dispersions (variance = μ + α·μ²). Where α is 0, Poisson.
    floor : float, default 1e-6
        Means below it are raised to it.

    Returns
    -------
    ndarray of float64
        Log-probabilities, in nats.

    Notes
    -----
    With r = 1/α: log Γ(y + r) − log Γ(r) − log y! + y·log(αμ/(1 + αμ)) − r·log(1 + αμ). The first three terms
    are written −log y − log B(y, r), which keeps its digits when r is large.

    Examples
    --------
    >>> float(negative_binomial_log_likelihood(0, 1.0, 1.0).round(3))  # P(0) = 1/2
    -0.693
    """
    from scipy.special import betaln

    count, mean, spread = _float_arrays(y, mu, alpha)
    value = poisson_log_likelihood(count, mean, floor=floor)
    wide = spread > POISSON_BELOW
    count, mean, spread = count[wide], np.maximum(mean[wide], floor), spread[wide]
    seen = np.maximum(count, 1)
    excess = spread * mean
    ways = np.where(count > 0, -np.log(seen) - betaln(seen, 1 / spread), 0.0)
    value[wide] = ways + count * np.log(excess / (1 + excess)) - np.log1p(excess) / spread
    return value


def _distance(
    count: NDArray[np.float64], mean: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Expected distance of a count of the law from the one observed."""
    above = 2 * count_cdf(count, mean, spread) - 1
    tilted = 2 * count_cdf(count - 1, mean * (1 + spread), spread / (1 + spread)) - 1
    return np.asarray(count * above - mean * tilted)


def _half_spread(mean: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the expected distance of two independent counts of the law.

    Under α = 2e-4 the Poisson value times √(1 + αμ), the ratio of the standard deviations, is right to 2e-5.
    """
    from scipy.special import hyp2f1, ive

    value = np.asarray(mean * (ive(0, 2 * mean) + ive(1, 2 * mean)) * np.sqrt(1 + spread * mean))
    wide = spread >= _SERIES_BELOW
    mean, spread = mean[wide], spread[wide]
    p = 1 / (1 + spread * mean)
    q = spread * mean * p
    series = hyp2f1(1 - 1 / spread, 0.5, 2, 4 * q / (2 - p) ** 2)
    value[wide] = mean / (2 - p) * series
    return value


def crps_negative_binomial(y: ArrayLike, mu: ArrayLike, alpha: ArrayLike) -> NDArray[np.float64]:
    """Continuous ranked probability score of each count, negative binomial. Smaller is better, minimum 0.

    In incidents: for a forecast without spread it is the absolute error.

    Parameters
    ----------
    y, mu, alpha : array_like
        Observed counts, forecast means and dispersions (variance = μ + α·μ²). Where α is 0, Poisson.

    Returns
    -------
    ndarray of float64

    Notes
    -----
    E|X − y| − ½·E|X − X′| with X, X′ independent draws of the forecast. With F the forecast's distribution
    function and G that of mean μ(1 + α) and dispersion α/(1 + α), the first term is
    y·(2F(y) − 1) − μ·(2G(y − 1) − 1). The second is a hypergeometric function [1]_, here after Pfaff's
    transformation, which keeps it stable for small α.

    References
    ----------
    .. [1] Wei, W. and Held, L. (2014). Calibration tests for count data. TEST 23, 787-805.
       https://doi.org/10.1007/s11749-014-0380-8

    Examples
    --------
    >>> float(crps_negative_binomial(2, 0.0, 1.0))  # certain of 0, saw 2
    2.0
    """
    count, mean, spread = _float_arrays(y, mu, alpha)
    return np.maximum(_distance(count, mean, spread) - _half_spread(mean, spread), 0.0)


def crps_poisson(y: ArrayLike, mu: ArrayLike) -> NDArray[np.float64]:
    """Continuous ranked probability score of each count under a Poisson law. Smaller is better, minimum 0.

    Parameters
    ----------
    y, mu : array_like
        Observed counts and forecast means.

    Returns
    -------
    ndarray of float64
        In incidents; formula and source as in `crps_negative_binomial` with α = 0.

    Examples
    --------
    >>> crps_poisson([0, 1], [1.0, 1.0]).round(4).tolist()
    [0.4762, 0.212]
    """
    return crps_negative_binomial(y, mu, 0.0)


def check_counts(forecasts: Forecasts) -> None:
    """Refuse maps that only order the cells: they have hit rates, but neither scores nor calibration.

    Raises
    ------
    UsageError
        If the `distribution` of a map is ``"rank"``.
    """
    ranks = (forecasts.keys["distribution"] == "rank").to_numpy()
    if ranks.any():
        models = sorted(set(forecasts.keys.loc[ranks, "model"]))
        msg = (
            f"{models} are ranks: they order the cells and count nothing, so only hit rates can be judged "
            "(hotspot_curve, compare_hit_rates). Leave them out with `select(model=[…])`."
        )
        raise UsageError(msg)


def hurdle_log_likelihood(
    y: ArrayLike, mu: ArrayLike, alpha: ArrayLike, prob_any: ArrayLike, *, floor: float = RATE_FLOOR
) -> NDArray[np.float64]:
    """Log-probability of each count under a hurdle. Larger is better, maximum 0.

    Parameters
    ----------
    y, mu, alpha, prob_any : array_like
        Observed counts, forecast means, dispersions above zero, and probabilities of at least one incident.
    floor : float, default 1e-6
        Means and probabilities below it are raised to it.

    Returns
    -------
    ndarray of float64
        log(1 − p) where the count is 0, else log p + log NB(y) − log(1 − NB(0)), in nats.

    Examples
    --------
    >>> float(hurdle_log_likelihood(0, 1.0, 0.0, 0.25).round(3))  # log(3/4)
    -0.288
    """
    count, mean, spread, some = _float_arrays(y, mu, alpha, prob_any)
    mean = np.maximum(mean, floor)
    some = np.clip(some, floor, np.minimum(mean, 1 - floor))
    value = np.asarray(np.log1p(-some))
    seen = count > 0
    count, mean, spread, some = count[seen], mean[seen], spread[seen], some[seen]
    inner, _ = above_zero(mean, spread, some)
    shape = negative_binomial_log_likelihood(count, inner, spread, floor=0)
    value[seen] = np.log(some) + shape - np.log(prob_positive(inner, spread))
    return value


def crps_hurdle(y: ArrayLike, mu: ArrayLike, alpha: ArrayLike, prob_any: ArrayLike) -> NDArray[np.float64]:
    """Continuous ranked probability score of each count under a hurdle. Smaller is better, minimum 0.

    Parameters
    ----------
    y, mu, alpha, prob_any : array_like
        Observed counts, forecast means, dispersions above zero, and probabilities of at least one incident.

    Returns
    -------
    ndarray of float64
        In incidents.

    Notes
    -----
    With s the share of `above_zero` and m its mean, the hurdle is s·NB(m, α) + (1 − s)·δ₀, and both expected
    distances in the CRPS are linear, or quadratic, in s: also where s is above 1.

    Examples
    --------
    >>> float(crps_hurdle(0, 1.0, 0.0, 1 - np.exp(-1)).round(4))  # the Poisson
    0.4762
    """
    count, mean, spread, some = _float_arrays(y, mu, alpha, prob_any)
    inner, share = above_zero(mean, spread, some)
    half = _half_spread(inner, spread)
    distance = _distance(count, inner, spread)
    value = share * distance + (1 - share) * count - share**2 * half - share * (1 - share) * inner
    return np.maximum(value, 0.0)


def dispersion_of(forecasts: Forecasts) -> NDArray[np.float64]:
    """Dispersion of every cell forecast, shape (n_maps, n_cells): 0 where the map's law is Poisson.

    Raises
    ------
    UsageError
        If maps are ranks, which order the cells and count nothing.
    InputDataError
        If a map names another law, or one that needs it lacks its dispersion or a hurdle its probability.
    """
    check_counts(forecasts)
    law = forecasts.keys["distribution"].astype(str).to_numpy()
    unknown = sorted(set(law) - {"poisson", "negative_binomial", "hurdle"})
    if unknown:
        msg = f"distribution must be 'poisson', 'negative_binomial' or 'hurdle', got {unknown}."
        raise InputDataError(msg)
    spread = np.where((law == "poisson")[:, None], 0.0, forecasts.dispersion)
    _refuse(forecasts, spread >= 0, "a negative binomial or hurdle forecast needs a dispersion ≥ 0")
    hurdle = (law == "hurdle")[:, None] & (forecasts.expected_count > 0)
    some = np.where(hurdle, forecasts.prob_any, 0.5)
    _refuse(forecasts, (some > 0) & (some <= 1), "a hurdle forecast needs a prob_any in (0, 1]")
    return spread


def _refuse(forecasts: Forecasts, good: NDArray[np.bool_], rule: str) -> None:
    bad = ~good.all(axis=1)
    if bad.any():
        key = forecasts.keys.loc[bad, ["model", "category", "cutoff", "horizon"]].iloc[0].to_dict()
        msg = f"{rule} in every cell; {key} lacks it."
        raise InputDataError(msg)


def prob_any_of(forecasts: Forecasts) -> NDArray[np.float64]:
    """Probability of at least one incident as stated, or by the forecast's own law where it is not stated."""
    implied = 1 - prob_zero(forecasts.expected_count, dispersion_of(forecasts))
    return np.where(np.isnan(forecasts.prob_any), implied, forecasts.prob_any)


def log_likelihood_of(forecasts: Forecasts) -> NDArray[np.float64]:
    """Log-probability of every observed count under the forecast's own law, shape (n_maps, n_cells)."""
    plain, hurdle = negative_binomial_log_likelihood, hurdle_log_likelihood
    return _by_law(forecasts, plain, hurdle, forecasts.observed_count)


def cdf_of(forecasts: Forecasts, k: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of at most `k` incidents under the forecast's own law, shape (n_maps, n_cells)."""
    return _by_law(forecasts, count_cdf, count_cdf, k)


def crps_of(forecasts: Forecasts) -> NDArray[np.float64]:
    """Continuous ranked probability score under the forecast's own law, shape (n_maps, n_cells)."""
    return _by_law(forecasts, crps_negative_binomial, crps_hurdle, forecasts.observed_count)


def _by_law(forecasts: Forecasts, plain: Law, hurdle: Law, count: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a function of (count, mean, dispersion) gives, and for hurdles one that takes `prob_any` too."""
    spread = dispersion_of(forecasts)
    rows = (forecasts.keys["distribution"].astype(str) == "hurdle").to_numpy()
    mean, some = forecasts.expected_count, forecasts.prob_any
    value = np.empty_like(mean)
    value[~rows] = plain(count[~rows], mean[~rows], spread[~rows])
    value[rows] = hurdle(count[rows], mean[rows], spread[rows], some[rows])
    return value
