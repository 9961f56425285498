"""Calibration in two numbers: recorded over expected, and whether busy and quiet cells are as far apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.evaluation.bootstrap import check_level, estimate_folds, ratio
from tranquillite_ml.evaluation.pit import observed_part
from tranquillite_ml.evaluation.scores import check_forecasts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.evaluation.bootstrap import Totals
    from tranquillite_ml.forecasts import Forecasts

_BINS = 200
_STEPS = 25
_FLOOR = 1e-9


def calibration_slope(
    forecasts: Forecasts, *, n_boot: int = 1000, level: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Calibration slope and recorded over expected, one row a model, each with its interval.

    A slope of 1 says that forecasts are as far apart as what was recorded; below 1 they are too extreme (busy
    cells too high, quiet ones too low), above 1 too timid.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes.
    n_boot, level, seed
        Resamples of the folds, nominal coverage of the intervals, seed.

    Returns
    -------
    DataFrame
        ``model``, ``n`` (cell forecasts), ``n_folds``, ``n_incidents``, ``slope`` and ``oe`` (*best 1*), each
        with ``_lower`` and ``_upper``. NaN where nothing was recorded; a slope needs forecasts that differ.

    Notes
    -----
    The slope is b in log E[y] = a + b·log μ, fitted as a Poisson regression (Cox 1958,
    doi:10.2307/2333203; Miller et al. 1993, doi:10.1002/sim.4780121114). Cells are first put together in 200
    bins of μ, which makes 1,000 regressions as cheap as one and changes b by less than its third digit.

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> keys = pd.DataFrame({"model": ["count_365d"], "category": "noise", "horizon": 1, "outside_count": 0.0,
    ...     "cutoff": pd.Timestamp("2024-01-01", tz="UTC"), "distribution": "poisson"})
    >>> values = {"expected_count": np.array([[1.0, 4.0]]), "observed_count": np.array([[2.0, 4.0]])}
    >>> seen = Forecasts(keys, np.array([1, 2], dtype=np.uint64), np.array([0.1, 0.1]), values, {})
    >>> calibration_slope(seen)[["n", "n_incidents", "slope", "oe"]]  # log(4/2) / log(4/1), and 6/5
       n  n_incidents  slope   oe
    0  2            6    0.5  1.2
    """
    check_level(level, n_boot)
    rows = []
    for name in sorted(check_forecasts(forecasts).models):
        part = observed_part(forecasts, name)
        totals = _bin_totals(part)
        found = estimate_folds(totals, _slope_and_ratio, n_boot=n_boot, level=level, seed=seed)
        row = {"model": name, "n": part.expected_count.size, "n_folds": part.keys["cutoff"].nunique()}
        row["n_incidents"] = int(part.observed_count.sum())
        for key in ("slope", "oe"):
            row |= {key: found[key].value, f"{key}_lower": found[key].lower, f"{key}_upper": found[key].upper}
        rows.append(row)
    return pd.DataFrame(rows)


def _bin_totals(part: Forecasts) -> dict[str, NDArray[np.float64]]:
    """Recorded, expected and expected × log of expected, by fold and bin of the forecast."""
    mean = np.maximum(part.expected_count, _FLOOR)
    edges = np.unique(_edges(mean))
    number = np.searchsorted(edges, mean, side="right")
    fold, cutoffs = pd.factorize(part.keys["cutoff"], sort=True)
    index = (fold[:, None] * _BINS + number).ravel()
    shape = (len(cutoffs), _BINS)
    sums: dict[str, NDArray[np.float64]] = {}
    for name, values in {"y": part.observed_count, "e": mean, "x": mean * np.log(mean)}.items():
        counted = np.bincount(index, weights=values.ravel(), minlength=shape[0] * _BINS)
        table = counted.reshape(shape).astype(np.float64)
        sums |= {f"{name}{column}": table[:, column] for column in range(_BINS)}
    return sums


def _edges(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inner edges of bins: half of them hold equal numbers of cells, half equal shares of the total."""
    ordered = np.sort(mean, axis=None)
    if len(ordered) == 0:
        return np.zeros(1)
    carried = np.cumsum(ordered)
    half = _BINS // 2
    share = np.arange(1, half) / half
    by_number = ordered[(share * len(ordered)).astype(np.int64)]
    by_total = ordered[np.minimum(np.searchsorted(carried, share * carried[-1]), len(ordered) - 1)]
    return np.concatenate([by_number, by_total])


def _slope_and_ratio(sums: Totals) -> dict[str, NDArray[np.float64]]:
    """Poisson regressions of all resamples at once, by Newton's method."""
    y, e, moment = (np.stack([sums[f"{name}{k}"] for k in range(_BINS)], axis=-1) for name in "yex")
    x = np.divide(moment, e, out=np.zeros_like(e), where=e > 0)
    seen, expected = y.sum(axis=-1), e.sum(axis=-1)
    centre = ratio((e * x).sum(axis=-1), expected)
    x = np.where(e > 0, x - centre[..., None], 0.0)
    # log E[y] = log e + shift + tilt · x, so that the slope is 1 + tilt.
    shift = np.log(np.maximum(ratio(seen, expected), _FLOOR))
    tilt = np.zeros_like(shift)
    for _ in range(_STEPS):
        fitted = e * np.exp(np.clip(shift[..., None] + tilt[..., None] * x, -30, 30))
        gap, second = y - fitted, (fitted * x).sum(axis=-1)
        zero, one, two = fitted.sum(axis=-1), (gap * x).sum(axis=-1), (fitted * x * x).sum(axis=-1)
        whole = gap.sum(axis=-1)
        determinant = np.maximum(zero * two - second**2, _FLOOR)
        tilt = tilt + np.clip((zero * one - second * whole) / determinant, -0.5, 0.5)
        shift = shift + np.clip((two * whole - second * one) / determinant, -1, 1)
    defined = (seen > 0) & (np.ptp(np.where(e > 0, x, 0.0), axis=-1) > _FLOOR)
    return {"slope": np.where(defined, 1 + tilt, np.nan), "oe": ratio(seen, expected * (seen > 0))}
