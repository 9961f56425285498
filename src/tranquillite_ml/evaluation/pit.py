"""Probability integral transform: whether the whole law of each count is right, in quiet and busy cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation.bootstrap import ratio
from tranquillite_ml.evaluation.distributions import cdf_of, check_counts
from tranquillite_ml.evaluation.hotspots import Ranking
from tranquillite_ml.evaluation.scores import check_forecasts, observed_maps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.forecasts import Forecasts

_NULL_LEVEL = 0.95


def randomised_pit(forecasts: Forecasts, *, seed: int = 0) -> NDArray[np.float64]:
    """Randomised probability integral transform of every count, shape (n_maps, n_cells).

    If the forecasts' laws are right, these values are independent and uniform on [0, 1], whatever the laws:
    what is too low, too high, too narrow or too wide shows in their histogram.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes.
    seed : int, default 0

    Returns
    -------
    ndarray of float64
        ``F(y − 1) + v·(F(y) − F(y − 1))`` with v uniform and F the forecast's own distribution function; NaN
        where the count is not known.

    References
    ----------
    Czado, C., Gneiting, T. and Held, L. (2009). Predictive model assessment for count data. Biometrics 65,
    1254-1261. https://doi.org/10.1111/j.1541-0420.2009.01191.x

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> keys = pd.DataFrame({"model": ["count_365d"], "category": "noise", "horizon": 1, "outside_count": 0.0,
    ...     "cutoff": pd.Timestamp("2024-01-01", tz="UTC"), "distribution": "poisson"})
    >>> values = {"expected_count": np.array([[1.0]]), "observed_count": np.array([[0.0]])}
    >>> seen = Forecasts(keys, np.array([1], dtype=np.uint64), np.array([0.1]), values, {})
    >>> bool(randomised_pit(seen)[0, 0] < np.exp(-1))  # P(0) = 0.37
    True
    """
    y = forecasts.observed_count
    below, through = cdf_of(forecasts, y - 1), cdf_of(forecasts, y)
    drawn = np.random.default_rng(seed).random(y.shape)
    return np.where(np.isfinite(y), below + drawn * (through - below), np.nan)


def randomised_inclusion(forecasts: Forecasts, nominal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chance with which each count lies in the randomised central interval of its law.

    It is the chance that the randomised PIT falls into the central part of size `nominal`: the interval of
    `calibration.randomised_interval`, with the draw averaged out.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes.
    nominal : ndarray of float64, shape (n_maps, 1)
        Nominal coverage of each map.

    Returns
    -------
    ndarray of float64, shape (n_maps, n_cells)
        NaN where the count is not known.
    """
    y = forecasts.observed_count
    below, through = cdf_of(forecasts, y - 1), cdf_of(forecasts, y)
    inside = np.minimum(through, (1 + nominal) / 2) - np.maximum(below, (1 - nominal) / 2)
    # Far in the tail both values are 1 to the last digit: such a count is outside.
    chance = ratio(np.maximum(inside, 0.0), through - below)
    return np.where(np.isfinite(y), np.nan_to_num(chance), np.nan)


def pit_table(
    forecasts: Forecasts, *, strata: int = 4, bins: int = 10, n_sim: int = 200, seed: int = 0
) -> pd.DataFrame:
    """Histogram of the randomised PIT by model and activity stratum, with the band of a right forecast.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes.
    strata : int, default 4
        As in `interval_coverage_table`.
    bins : int, default 10
        Bins of the histogram.
    n_sim : int, default 200
        Simulated histograms from which the band is made; at least 19 are needed for 95 %.
    seed : int, default 0

    Returns
    -------
    DataFrame
        ``model``, ``stratum``, ``bin`` (from 1), ``left``, ``right``, ``n`` (cell forecasts of the stratum),
        ``share`` (*best* 1/bins), ``lower``, ``upper`` (band), ``inside``.

    Raises
    ------
    UsageError
        If `n_sim` is below 19 or a number below 1.

    Notes
    -----
    Counts drawn from the forecasts' own laws have exactly uniform, independent PIT values, so the null
    histograms are drawn as such. The band is *simultaneous* over all bins and strata of a model: 95 % of
    right forecasts stay inside everywhere. It takes counts of different cells to be independent given the
    forecast, as the laws say; a shock shared by the whole city, or the same days forecast twice by
    overlapping periods, leaves the band more often than that. Where counts are nearly always 0 the histogram
    is mostly the draw's: before a law is called wrong, look at other seeds.

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> keys = pd.DataFrame({"model": ["truth"], "category": "noise", "horizon": 1, "outside_count": 0.0,
    ...     "cutoff": pd.Timestamp("2024-01-01", tz="UTC"), "distribution": "poisson"})
    >>> rate = np.random.default_rng(0).gamma(0.5, 1.0, (1, 400))
    >>> values = {"expected_count": rate, "observed_count": np.random.default_rng(1).poisson(rate) * 1.0}
    >>> seen = Forecasts(keys, np.arange(400, dtype=np.uint64), np.full(400, 0.1), values, {})
    >>> bool(pit_table(seen)["inside"].all())
    True
    """
    if n_sim < 19 or bins < 1:
        msg = f"a 95 % band needs n_sim ≥ 19, and bins ≥ 1, got {n_sim=} and {bins=}."
        raise UsageError(msg)
    rows = []
    for name in sorted(check_forecasts(forecasts).models):
        part = observed_part(forecasts, name)
        stratum = activity_strata(part.expected_count, strata)
        number = np.minimum((randomised_pit(part, seed=seed) * bins).astype(np.int64), bins - 1)
        found = np.bincount((stratum * bins + number).ravel(), minlength=strata * bins).reshape(strata, bins)
        n = found.sum(axis=1)
        share = ratio(found, n[:, None])
        reach = _null_reach(n, bins, n_sim, seed)
        for row, column in np.ndindex(strata, bins):
            lower, upper = 1 / bins - reach[row], 1 / bins + reach[row]
            value = share[row, column]
            rows.append(
                {
                    "model": name,
                    "stratum": row + 1,
                    "bin": column + 1,
                    "left": column / bins,
                    "right": (column + 1) / bins,
                    "n": int(n[row]),
                    "share": value,
                    "lower": max(lower, 0.0) if n[row] else np.nan,
                    "upper": min(upper, 1.0) if n[row] else np.nan,
                    "inside": bool(n[row] == 0 or lower <= value <= upper),
                }
            )
    return pd.DataFrame(rows)


def activity_strata(expected: NDArray[np.float64], strata: int) -> NDArray[np.int64]:
    """Stratum of each cell by rank of its forecast within the map, from 0, the quietest; ties stay together.

    Examples
    --------
    >>> activity_strata(np.array([[3.0, 0.0, 0.0, 0.0, 2.0, 1.0]]), 3).tolist()
    [[2, 0, 0, 0, 2, 1]]
    """
    if strata < 1:
        msg = f"strata must be at least 1, got {strata}."
        raise UsageError(msg)
    n_cells = expected.shape[1]
    ranking = Ranking(expected, np.ones(n_cells))
    middle = n_cells - ranking.first - ranking.size / 2  # mean rank from the quiet end
    stratum = np.empty(expected.shape, dtype=np.int64)
    np.put_along_axis(
        stratum, ranking.order, np.minimum((middle * strata / n_cells).astype(np.int64), strata - 1), axis=1
    )
    return stratum


def observed_part(forecasts: Forecasts, model: str) -> Forecasts:
    """Maps of one model whose outcome is known."""
    mask = (forecasts.keys["model"] == model).to_numpy() & observed_maps(forecasts)
    part = forecasts.take(mask)
    check_counts(part)
    return part


def _null_reach(n: NDArray[np.int64], bins: int, n_sim: int, seed: int) -> NDArray[np.float64]:
    """Half-width of the simultaneous band in each stratum."""
    rng = np.random.default_rng([seed, 1])
    spread = np.sqrt((1 / bins) * (1 - 1 / bins) / np.maximum(n, 1))
    drawn = rng.multinomial(n, np.full(bins, 1 / bins), size=(n_sim, len(n)))
    off = np.abs(drawn / np.maximum(n, 1)[:, None] - 1 / bins) * (n > 0)[:, None]
    worst = np.sort((off / np.where(spread > 0, spread, 1)[:, None]).max(axis=(1, 2)))
    return np.asarray(worst[int(np.ceil(_NULL_LEVEL * (n_sim + 1))) - 1] * spread)
