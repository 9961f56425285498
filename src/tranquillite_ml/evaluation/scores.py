"""Proper scores of forecasts, by model or finer, each with its n and its interval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from tranquillite_ml.errors import check_kind
from tranquillite_ml.evaluation.bootstrap import estimate_groups, ratio
from tranquillite_ml.evaluation.distributions import (
    RATE_FLOOR,
    crps_of,
    log_likelihood_of,
    poisson_log_likelihood,
    prob_any_of,
)
from tranquillite_ml.forecasts import Forecasts

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from tranquillite_ml.evaluation.bootstrap import Totals

SCORES = (
    "log_score",
    "poisson_log_likelihood",
    "deviance",
    "d2",
    "brier",
    "crps",
    "oe",
    "oe_with_outside",
    "interval_coverage",
)
LARGER_IS_BETTER = {
    "log_score": True,
    "poisson_log_likelihood": True,
    "deviance": False,
    "brier": False,
    "crps": False,
}
_CELLS_AT_ONCE = 1_000_000


def poisson_deviance(y: ArrayLike, mu: ArrayLike, *, floor: float = RATE_FLOOR) -> NDArray[np.float64]:
    """Poisson deviance of each count. Smaller is better, minimum 0, reached only where ``mu == y``.

    Parameters
    ----------
    y, mu : array_like
        Observed counts and forecast means.
    floor : float, default 1e-6
        Inside the logarithm, means below it are raised to it: an incident where none was expected costs 25.6
        and not everything.

    Returns
    -------
    ndarray of float64
        ``2·(y·log(y/μ) − (y − μ))``; ``2·μ`` where y is 0.

    Examples
    --------
    >>> poisson_deviance([0, 1, 2], [0.5, 1.0, 1.0]).round(3).tolist()
    [1.0, 0.0, 0.773]
    """
    from scipy.special import xlogy

    count, mean = np.asarray(y, dtype=np.float64), np.asarray(mu, dtype=np.float64)
    value = 2 * (xlogy(count, count / np.maximum(mean, floor)) - (count - mean))
    return np.maximum(value, 0.0)


def brier_score(y: ArrayLike, prob_any: ArrayLike) -> NDArray[np.float64]:
    """Squared error of the probability of at least one incident. Smaller is better, minimum 0, maximum 1.

    Parameters
    ----------
    y, prob_any : array_like
        Observed counts and forecast probabilities that the count is at least 1.

    Returns
    -------
    ndarray of float64
        ``(prob_any − 1[y ≥ 1])²``.

    Examples
    --------
    >>> brier_score([0, 3], [0.1, 0.5]).round(2).tolist()
    [0.01, 0.25]
    """
    return np.square(np.asarray(prob_any, dtype=np.float64) - (np.asarray(y) >= 1))


def score(
    forecasts: Forecasts,
    *,
    by: Iterable[str] = ("model",),
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Proper scores with block-bootstrap intervals, one row a model (or a finer group).

    Read `log_score` first: it judges the whole forecast, quiet cells included. Maps whose outcome is not
    known are left out and counted in `n_unobserved`.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes (`Forecasts.observe`).
    by : iterable of str, default ("model",)
        Any of ``model, category, cutoff, horizon``. `model` is always among them: scores of different models
        are never pooled.
    n_boot : int, default 1000
        Resamples of the folds.
    level : float, default 0.95
        Nominal coverage of the intervals.
    seed : int, default 0

    Returns
    -------
    DataFrame
        The keys; then ``n_folds`` (cutoffs), ``n_maps``, ``n_unobserved`` (maps without outcome), ``n_cells``
        (cell forecasts scored), ``n_incidents`` (inside the cells), ``n_outside`` (NaN if not known); then
        each score with ``_lower`` and ``_upper``:

        ``log_score``
            Mean over maps of the log-likelihood of all cells under the forecast's own law, in nats.
            *Larger is better*, maximum 0.
        ``poisson_log_likelihood``
            Sum over all maps and cells of ``y·log μ − μ``, in nats. *Larger is better.* The term −log y!,
            equal for all forecasts, is left out, as in the weekly benchmark.
        ``deviance``
            Mean Poisson deviance a cell. *Smaller is better*, minimum 0.
        ``d2``
            1 − deviance / deviance of each map's own mean count put in every cell. *Larger is better*,
            maximum 1. The null knows the map's total, which no forecast does.
        ``brier``
            Mean squared error of `prob_any` a cell. *Smaller is better*, minimum 0.
        ``crps``
            Mean continuous ranked probability score a cell, in incidents. *Smaller is better*, minimum 0.
        ``oe``, ``oe_with_outside``
            Incidents recorded inside the cells (with those outside, too) over incidents expected. *Best 1.*
        ``interval_coverage``
            Share of cells whose count lies in [lower, upper]. *At least the nominal level*; discrete
            intervals cover more than that in quiet cells.

    Notes
    -----
    In both log-likelihoods rates below 1e-6 are raised to 1e-6, and an incident outside the cells counts as
    an incident at the floor: −13.8 nats. Where `prob_any` is missing it is taken from the forecast's law.
    Where nothing was recorded, `d2` and O/E are NaN. Intervals: `bootstrap.percentile_interval`, folds
    resampled whole; NaN with fewer than 5 folds.

    References
    ----------
    Gneiting, T. and Raftery, A. E. (2007). Strictly proper scoring rules, prediction, and estimation.
    Journal of the American Statistical Association 102, 359-378. https://doi.org/10.1198/016214506000001437

    Czado, C., Gneiting, T. and Held, L. (2009). Predictive model assessment for count data. Biometrics 65,
    1254-1261. https://doi.org/10.1111/j.1541-0420.2009.01191.x

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> import pandas as pd
    >>> keys = pd.DataFrame({"model": ["count_365d"], "category": "noise", "horizon": 1, "outside_count": 0.0,
    ...     "cutoff": pd.Timestamp("2024-01-01", tz="UTC"), "distribution": "poisson"})
    >>> values = {"expected_count": np.array([[0.5, 1.5]]), "observed_count": np.array([[0.0, 2.0]])}
    >>> seen = Forecasts(keys, np.array([1, 2], dtype=np.uint64), np.array([0.1, 0.1]), values, {})
    >>> score(seen)[["model", "n_folds", "n_incidents", "oe", "deviance"]].round(3)
            model  n_folds  n_incidents   oe  deviance
    0  count_365d        1            2  1.0     0.575
    """
    totals, observed = map_totals(forecasts)
    counts = {"n_cells": "n_cells", "n_incidents": "n_incidents", "n_outside": "n_outside"}
    table = estimate_groups(
        forecasts.keys,
        totals,
        observed,
        _scores,
        by=by,
        counts=counts,
        n_boot=n_boot,
        level=level,
        seed=seed,
    )
    whole = ["n_cells", "n_incidents"]
    return table.astype(dict.fromkeys(whole, np.int64))


def check_forecasts(forecasts: Forecasts) -> Forecasts:
    """Give the forecasts, if that is what they are.

    Raises
    ------
    UsageError
        If they are something else, such as their table.
    """
    mend = "backtest(…) makes them, read_forecasts(path) reads them."
    return cast("Forecasts", check_kind(forecasts, Forecasts, "forecasts", mend))


def observed_maps(forecasts: Forecasts) -> NDArray[np.bool_]:
    """Maps whose outcome is known in every cell, shape (n_maps,)."""
    return np.asarray(np.isfinite(check_forecasts(forecasts).observed_count).all(axis=1))


def row_blocks(rows: NDArray[np.int64], n_cells: int) -> Iterator[NDArray[np.int64]]:
    """Cut row numbers into blocks of about a million cells, so that temporary arrays stay small."""
    size = max(1, _CELLS_AT_ONCE // max(1, n_cells))
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]


def map_totals(forecasts: Forecasts) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.bool_]]:
    """Sums over the cells of each map, of which all scores are made, and which maps have their outcome."""
    observed = observed_maps(forecasts)
    outside = forecasts.keys["outside_count"].to_numpy(dtype=np.float64)
    totals = {
        name: np.zeros(len(observed))
        for name in (
            "n_cells",
            "n_incidents",
            "expected",
            "log_score",
            "poisson_log_likelihood",
            "deviance",
            "null_deviance",
            "brier",
            "crps",
            "covered",
            "with_interval",
        )
    }
    for rows in row_blocks(np.flatnonzero(observed), len(forecasts.cells)):
        for name, values in _block_totals(forecasts.take(rows)).items():
            totals[name][rows] = values
    missed = np.nan_to_num(outside)
    totals["log_score"] += missed * np.log(RATE_FLOOR)
    totals["poisson_log_likelihood"] += missed * np.log(RATE_FLOOR)
    return totals | {"n_maps": np.ones(len(observed)), "n_outside": outside, "missed": missed}, observed


def _block_totals(block: Forecasts) -> dict[str, NDArray[np.float64]]:
    y, mu = block.observed_count, block.expected_count
    stated = np.isfinite(block.lower) & np.isfinite(block.upper)
    cells = {
        "n_cells": np.ones(y.shape),
        "n_incidents": y,
        "expected": mu,
        "log_score": log_likelihood_of(block),
        "poisson_log_likelihood": poisson_log_likelihood(y, mu, constant=False),
        "deviance": poisson_deviance(y, mu),
        "null_deviance": poisson_deviance(y, y.mean(axis=1, keepdims=True)),
        "brier": brier_score(y, prob_any_of(block)),
        "crps": crps_of(block),
        "covered": stated & (block.lower <= y) & (y <= block.upper),
        "with_interval": stated,
    }
    return {name: values.sum(axis=1, dtype=np.float64) for name, values in cells.items()}


def _scores(sums: Totals) -> dict[str, NDArray[np.float64]]:
    cells, seen = sums["n_cells"], sums["n_incidents"]
    every = seen + sums["missed"]
    some = np.where(sums["n_maps"] > 0, 1.0, np.nan)
    return {
        "log_score": ratio(sums["log_score"], sums["n_maps"]),
        "poisson_log_likelihood": sums["poisson_log_likelihood"] * some,
        "deviance": ratio(sums["deviance"], cells),
        "d2": 1 - ratio(sums["deviance"], sums["null_deviance"]),
        "brier": ratio(sums["brier"], cells),
        "crps": ratio(sums["crps"], cells),
        "oe": ratio(seen, sums["expected"] * (seen > 0)),
        "oe_with_outside": ratio(every, sums["expected"] * (every > 0)),
        "interval_coverage": ratio(sums["covered"], sums["with_interval"]),
    }
