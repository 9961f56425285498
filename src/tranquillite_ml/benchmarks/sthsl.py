"""The ST-HSL benchmark: a published tensor of daily counts on squares, one day ahead, in every cell."""

from __future__ import annotations

import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.benchmarks.writing import markdown_table, with_interval, write_plots, write_table
from tranquillite_ml.errors import InputDataError, check_file
from tranquillite_ml.evaluation import (
    backtest,
    count_cdf,
    poisson_deviance,
)
from tranquillite_ml.evaluation.bootstrap import estimate_folds, ratio
from tranquillite_ml.evaluation.distributions import dispersion_of
from tranquillite_ml.forecasters import baseline_ladder
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.panel import Panel
from tranquillite_ml.splits import RollingOrigin
from tranquillite_ml.squaregrid import SquareGrid
from tranquillite_ml.stages import Report, silent
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.benchmarks.models import ModelMaker
    from tranquillite_ml.evaluation.bootstrap import Totals

MEASURES = ("deviance", "rmse", "mae", "masked_mae", "masked_mape", "oe")
SPLIT = (609, 30, 92)
SIZE_KM = 3.0
SHARES = (0.02, 0.05, 0.1, 0.2, 0.3)  # of the area: a square is more than half a per cent of it
MEDIAN = ": truncated median"
_PARTS = "counts[row, column, day, category], categories, start_date"
_OF_MEANS = ("deviance", "oe")
_MOST = 200  # no day and cell has nearly as many


@dataclass(frozen=True)
class Tensor:
    """Daily counts on squares and how they are split.

    Attributes
    ----------
    panel : Panel
    test_days : int
        Last days, forecast one by one; all before them may be learnt from.
    """

    panel: Panel
    test_days: int


def read_tensor(path: str | Path) -> Tensor:
    """Read a tensor of the ST-HSL form.

    Parameters
    ----------
    path : path
        ``.npz`` with ``counts`` of shape (rows from the south, columns from the west, days, categories),
        ``categories`` and ``start_date``; and if known ``test_days``, ``lat0, lon0`` (south-west corner) and
        ``lat_div, lon_div`` (cells a degree). Without these, 92 test days and squares of 3 km.

    Raises
    ------
    InputDataError
        If it cannot be read, or parts are missing or do not fit.
    """
    found = check_file(path, f"a tensor: .npz with {_PARTS}")
    try:
        with found.open("rb") as file, zipfile.ZipFile(file), np.load(file, allow_pickle=False) as stored:
            parts = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        msg = (
            f"{path} cannot be read as a tensor: it must be an .npz with {_PARTS}, as numpy.savez writes it."
        )
        raise InputDataError(msg) from error
    missing = [name for name in ("counts", "categories", "start_date") if name not in parts]
    if missing:
        msg = f"{path} must hold {_PARTS}; it lacks {missing}."
        raise InputDataError(msg)
    shape, listed = parts["counts"].shape, parts["categories"]
    if len(shape) != 4 or listed.shape != shape[3:]:
        msg = (
            f"{path} holds counts of shape {shape} and {listed.size} categories: the shape must be "
            "(rows, columns, days, categories), and categories a list."
        )
        raise InputDataError(msg)
    rows, columns, days, _ = shape
    counts = parts["counts"].transpose(3, 2, 0, 1).reshape(-1, days, rows * columns)
    bins = TimeBins(str(parts["start_date"]), days, "1D", "UTC")
    names = [str(name) for name in listed]
    panel = Panel.from_counts(
        counts, _grid(parts, rows, columns), bins, names, dict.fromkeys(names, "citizen")
    )
    return Tensor(panel, int(parts.get("test_days", SPLIT[2])))


def _grid(parts: dict[str, NDArray[Any]], rows: int, columns: int) -> SquareGrid:
    if not {"lat0", "lon0", "lat_div", "lon_div"} <= set(parts):
        return SquareGrid.from_tensor_shape((rows, columns), size_km=SIZE_KM)
    return SquareGrid(
        rows,
        columns,
        south=float(parts["lat0"]),
        west=float(parts["lon0"]),
        step_lat=1 / float(parts["lat_div"]),
        step_lng=1 / float(parts["lon_div"]),
    )


def plain_means(panel: Panel, like: Forecasts) -> Forecasts:
    """Daily means, not calibrated: of the last 365 and 30 days, and of the 365 before the first cutoff."""
    cutoffs = [panel.index_at(cutoff) for cutoff in like.keys["cutoff"]]
    first = min(cutoffs)
    parts = []
    for name, days, fixed in (
        ("mean_365d", 365, False),
        ("mean_30d", 30, False),
        ("mean_365d_fixed", 365, True),
    ):
        rates = []
        for category, cutoff in zip(like.keys["category"], cutoffs, strict=True):
            end = first if fixed else cutoff
            counts = panel.counts(category, max(0, end - days), end)
            rates.append(counts.mean(axis=0, dtype=np.float64))
        keys = like.keys.assign(model=name, distribution="poisson", level=np.nan)
        parts.append(
            Forecasts(keys, like.cells, like.area_km2, {"expected_count": np.stack(rates)}, like.meta)
        )
    return Forecasts.concat(parts).observe(panel)


def truncated_median(mean: NDArray[np.float64], dispersion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each count given that it is not zero: what minimises the error where something happened.

    Parameters
    ----------
    mean, dispersion : ndarray of float64
        Of the forecast's law, variance = μ + α·μ².

    Returns
    -------
    ndarray of float64
        The least k ≥ 1 with P(Y ≤ k) − P(Y = 0) at least half of P(Y > 0).

    Examples
    --------
    >>> truncated_median(np.array([0.1, 2.0, 6.0]), np.zeros(3)).tolist()
    [1.0, 2.0, 6.0]
    """
    mean = np.maximum(np.asarray(mean, dtype=np.float64), 1e-12)
    none = count_cdf(0, mean, dispersion)
    found = np.ones(mean.shape)
    for k in range(1, _MOST):
        below = count_cdf(k, mean, dispersion) - none < (1 - none) / 2
        if not below.any():
            break
        found[below] = k + 1
    return found


def point_forecasts(forecasts: Forecasts) -> dict[str, Forecasts]:
    """What each row of the table is scored with: the means, the truncated medians, and the constant 1."""
    found = {name: forecasts.select(model=name) for name in forecasts.models}
    for name in list(found):
        if name.startswith("mean_"):
            continue
        part = found[name]
        median = truncated_median(part.expected_count, dispersion_of(part))
        found[f"{name}{MEDIAN}"] = _with_point(part, median)
    first = next(iter(found.values()))
    found["constant 1"] = _with_point(first, np.ones(first.expected_count.shape))
    return found


def _with_point(part: Forecasts, point: NDArray[np.float64]) -> Forecasts:
    keys = part.keys.assign(distribution="poisson")
    values = {"expected_count": point, "observed_count": part.observed_count}
    return Forecasts(keys, part.cells, part.area_km2, values, part.meta)


def score_rows(forecasts: Forecasts, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Errors of each row and category, over all cells and where something happened, with intervals.

    Returns
    -------
    DataFrame
        ``category, method, measure, value, lower, upper, n_days, n`` (cell-days scored). Measures:
        ``deviance`` (mean Poisson deviance a cell-day), ``rmse``, ``mae`` over all cells; ``masked_mae`` and
        ``masked_mape`` over cell-days with at least one incident; ``oe``. *Smaller is better*, but for `oe`:
        best 1. A median is no mean: it has neither deviance nor `oe`.

    Notes
    -----
    Days are resampled one by one: neighbouring days are nearly independent given their forecasts, and
    the intervals are a little too narrow where they are not.
    """
    rows = []
    for method, part in point_forecasts(forecasts).items():
        for category in part.categories:
            chosen = part.select(category=category)
            totals = _totals(chosen.observed_count, chosen.expected_count)
            n = {"all": totals["cells"].sum(), "masked": totals["seen"].sum()}
            for name, found in estimate_folds(totals, _errors, n_boot=n_boot, seed=seed).items():
                if name in _OF_MEANS and method.endswith(MEDIAN):
                    continue
                rows.append(
                    {
                        "category": category,
                        "method": method,
                        "measure": name,
                        "value": found.value,
                        "lower": found.lower,
                        "upper": found.upper,
                        "n_days": len(chosen.keys),
                        "n": int(n["masked" if name.startswith("masked") else "all"]),
                    }
                )
    return pd.DataFrame(rows)


def _totals(y: NDArray[np.float64], mu: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    seen = y > 0
    off = np.abs(y - mu)
    cells = {
        "cells": np.ones(y.shape),
        "deviance": poisson_deviance(y, mu),
        "squares": off**2,
        "off": off,
        "seen": seen,
        "off_seen": off * seen,
        "share_seen": np.where(seen, off / np.maximum(y, 1), 0.0),
        "y": y,
        "mu": mu,
    }
    return {name: np.asarray(values.sum(axis=1), dtype=np.float64) for name, values in cells.items()}


def _errors(sums: Totals) -> dict[str, NDArray[np.float64]]:
    return {
        "deviance": ratio(sums["deviance"], sums["cells"]),
        "rmse": np.sqrt(ratio(sums["squares"], sums["cells"])),
        "mae": ratio(sums["off"], sums["cells"]),
        "masked_mae": ratio(sums["off_seen"], sums["seen"]),
        "masked_mape": ratio(sums["share_seen"], sums["seen"]),
        "oe": ratio(sums["y"], sums["mu"]),
    }


def run_sthsl(
    data: str | Path,
    *,
    output: str | Path,
    make_model: ModelMaker,
    report: Report = silent,
    seed: int = 0,
) -> dict[str, Any]:
    """Run the ST-HSL benchmark on a tensor and write its table, plots and page.

    Parameters
    ----------
    data : path
        As in `read_tensor`.
    output : path
        Folder, made if it is not there.
    make_model : callable
        Makes the model for a target, or gives None for the ladder alone.
    report : callable, optional
        Told what is being done.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    dict
        ``benchmark, model, categories, n_days, n_incidents, scores, paths, seconds``.
    """
    begin = time.perf_counter()
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    report("panel", 0, 1)
    tensor = read_tensor(data)
    target = Target(tensor.panel.categories)
    model = make_model(target)
    report("backtest", 0, 1)
    forecasters = [*([] if model is None else [model]), *baseline_ladder(target)]
    found = backtest(forecasters, tensor.panel, RollingOrigin(tensor.test_days, "1D"), progress=report)
    forecasts = Forecasts.concat([found, plain_means(tensor.panel, found.select(model=found.models[0]))])
    report("evaluate", 0, 1)
    scores = score_rows(forecasts, seed=seed)
    name = forecasts.models[0]
    first = forecasts.select(model=name)
    paths = {
        "scores": write_table(scores, folder / "scores"),
        "forecasts": [first.write(folder / "forecasts.parquet")],
    }
    shown = [name, "count_365d", "mean_365d_fixed"]
    paths["plots"] = write_plots(forecasts, folder, "sthsl", shown, coverage=SHARES)
    paths["page"] = [_write_page(folder, scores, tensor)]
    return {
        "benchmark": "sthsl",
        "model": name,
        "categories": list(target.categories),
        "n_days": tensor.test_days,
        "n_incidents": int(first.observed_count.sum()),
        "scores": scores.to_dict("records"),
        "paths": {kind: [str(path) for path in written] for kind, written in paths.items()},
        "seconds": round(time.perf_counter() - begin, 1),
    }


def _write_page(folder: Path, scores: pd.DataFrame, tensor: Tensor) -> Path:
    """Write ``sthsl.md``: a table a category."""
    grid, bins = tensor.panel.grid, tensor.panel.bins
    parts = [
        "# ST-HSL benchmark",
        f"Daily recorded incidents on {grid.n_cells} squares; {bins.n_bins - tensor.test_days} days to learn "
        f"from, {tensor.test_days} days forecast one by one. Intervals are 95 %, days resampled.",
        "Masked errors score only cell-days with an incident, which nobody knows in advance: a constant 1 "
        "does well there, and the truncated median is made for it. Read the deviance first.",
    ]
    for category in tensor.panel.categories:
        rows = []
        mine = scores[scores["category"] == category]
        for method, part in mine.groupby("method", sort=False):
            found = part.set_index("measure")
            rows.append(
                [method, *(with_interval(found.loc[m]) if m in found.index else "–" for m in MEASURES)]
            )
        n = mine.groupby("measure")["n"].max()
        head = f"n = {n['mae']:,} cell-days, {n['masked_mae']:,} of them with an incident."
        header = ["method", "deviance", "RMSE", "MAE", "masked MAE", "masked MAPE", "recorded / expected"]
        parts += [f"## {category}", head, markdown_table(header, rows)]
    path = folder / "sthsl.md"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path
