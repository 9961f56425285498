"""Laws of a count: likelihood, distribution function and CRPS of the Poisson and the negative binomial.

Every function works cell by cell on arrays that broadcast against each other. The negative binomial is stated
by its mean μ and dispersion α, variance μ + α·μ²; α = 0 is the Poisson.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.errors import InputDataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tranquillite_ml.forecasts import Forecasts

RATE_FLOOR = 1e-6
_POISSON_BELOW = 1e-8  # dispersion below which the Poisson is used: the difference is under α·y²
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
    wide = spread > _POISSON_BELOW
    count, mean, spread = count[wide], np.maximum(mean[wide], floor), spread[wide]
    seen = np.maximum(count, 1)
    excess = spread * mean
    ways = np.where(count > 0, -np.log(seen) - betaln(seen, 1 / spread), 0.0)
    value[wide] = ways + count * np.log(excess / (1 + excess)) - np.log1p(excess) / spread
    return value


def count_cdf(k: ArrayLike, mu: ArrayLike, alpha: ArrayLike = 0.0) -> NDArray[np.float64]:
    """Probability of at most `k` incidents, 0 for negative `k`.

    Parameters
    ----------
    k, mu, alpha : array_like
        Counts, means and dispersions (variance = μ + α·μ²). Where α is 0, Poisson.

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> count_cdf([-1, 0, 1], 1.0).round(4).tolist()
    [0.0, 0.3679, 0.7358]
    >>> count_cdf([0, 1], 1.0, 1.0).tolist()  # geometric, p = 1/2
    [0.5, 0.75]
    """
    from scipy.special import betainc, pdtr

    count, mean, spread = _float_arrays(k, mu, alpha)
    floor = np.maximum(np.floor(count), 0)
    value = np.asarray(pdtr(floor, mean), dtype=np.float64)
    wide = spread > _POISSON_BELOW
    value[wide] = betainc(1 / spread[wide], floor[wide] + 1, 1 / (1 + spread[wide] * mean[wide]))
    return np.where(count < 0, 0.0, value)


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
    above = 2 * count_cdf(count, mean, spread) - 1
    tilted = 2 * count_cdf(count - 1, mean * (1 + spread), spread / (1 + spread)) - 1
    value = count * above - mean * tilted - _half_spread(mean, spread)
    return np.maximum(value, 0.0)


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


def dispersion_of(forecasts: Forecasts) -> NDArray[np.float64]:
    """Dispersion of every cell forecast, shape (n_maps, n_cells): 0 where the map's law is Poisson.

    Raises
    ------
    InputDataError
        If a map names another law, or a negative binomial lacks its dispersion.
    """
    law = forecasts.keys["distribution"].astype(str).to_numpy()
    unknown = sorted(set(law) - {"poisson", "negative_binomial"})
    if unknown:
        msg = f"distribution must be 'poisson' or 'negative_binomial', got {unknown}."
        raise InputDataError(msg)
    spread = np.where((law == "negative_binomial")[:, None], forecasts.dispersion, 0.0)
    bad = ~(spread >= 0).all(axis=1)
    if bad.any():
        key = forecasts.keys.loc[bad, ["model", "category", "cutoff", "horizon"]].iloc[0].to_dict()
        msg = f"a negative binomial forecast needs a dispersion ≥ 0 in every cell; {key} lacks it."
        raise InputDataError(msg)
    return spread


def prob_any_of(forecasts: Forecasts) -> NDArray[np.float64]:
    """Probability of at least one incident as stated, or by the forecast's own law where it is not stated."""
    implied = 1 - count_cdf(0, forecasts.expected_count, dispersion_of(forecasts))
    return np.where(np.isnan(forecasts.prob_any), implied, forecasts.prob_any)
