"""The NIJ challenge: a few small cells for windows of a week to three months, rehearsed the year before."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.benchmarks.cities import City, choose_categories, read_city
from tranquillite_ml.benchmarks.writing import markdown_table, with_interval, write_plots, write_table
from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation import backtest, hotspot_curve
from tranquillite_ml.forecasters import Count365, CountAll, DecayedCount, SmoothedCount
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.splits import RollingOrigin
from tranquillite_ml.stages import Report, silent
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.benchmarks.models import ModelMaker
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.intake import Incidents

SQUARE_MILE_KM2 = 2.589988110336
CHALLENGE_CITY = "portland"
STUDY_AREA_KM2 = 147.71 * SQUARE_MILE_KM2
AREAS_SQ_MI = (0.25, 0.75)
WINDOWS = {"1_week": 7, "2_weeks": 14, "1_month": 31, "2_months": 61, "3_months": 92}
FIRST_CUTOFF, RESOLUTION, STEP = "2016-03-01", 10, 28
_MEASURES = ("hit_rate", "pai", "pei_star")
_REACHED = 1e-9


def choose_cells(
    expected: NDArray[np.float64], area_km2: NDArray[np.float64], limit_km2: float, *, reach: bool
) -> NDArray[np.bool_]:
    """Whole cells with the highest forecasts: the fewest that reach an area, or the most that fit in it.

    Parameters
    ----------
    expected, area_km2 : ndarray of float64, shape (n_cells,)
    limit_km2 : float
    reach : bool
        Whether the area is a least one (0.25 square miles in the challenge) or a most (0.75).

    Returns
    -------
    ndarray of bool, shape (n_cells,)
        Of cells with equal forecasts, the first of the grid are taken: a submission needs whole cells.

    Examples
    --------
    >>> expected, area = np.array([1.0, 3.0, 2.0, 0.0]), np.full(4, 0.1)
    >>> choose_cells(expected, area, 0.15, reach=True).tolist()
    [False, True, True, False]
    >>> choose_cells(expected, area, 0.15, reach=False).tolist()
    [False, True, False, False]
    """
    order = np.argsort(-expected, kind="stable")
    through = np.cumsum(area_km2[order])
    count = (
        np.searchsorted(through, limit_km2 * (1 - _REACHED)) + 1
        if reach
        else int(np.searchsorted(through, limit_km2 * (1 + _REACHED), side="right"))
    )
    chosen = np.zeros(len(expected), dtype=bool)
    chosen[order[:count]] = True
    return chosen


def make_challenge_panel(city: City, incidents: Incidents) -> Panel:
    """Count a city's incidents into days and cells of the challenge's size.

    Cells are those of H3 resolution 10 (about 0.015 km²; 0.0058 to 0.0334 are permitted) where something was
    known before the first cutoff, and one ring around them; shares of area are stated on the city's area.

    Raises
    ------
    UsageError
        If the city is no larger than the area that is to be chosen.
    """
    bins = TimeBins.covering(incidents, freq="1D")
    before = first_cutoff_of(city, incidents)
    grid = HexGrid.from_incidents(incidents, resolution=RESOLUTION, dilate=1, before=before)
    known = STUDY_AREA_KM2 if city.name == CHALLENGE_CITY else None
    area = city.area_km2 or known or float(grid.area_km2.sum())
    if area <= max(AREAS_SQ_MI) * SQUARE_MILE_KM2:
        msg = (
            f"{city.path}: the city is {area:.2f} km², no larger than the area to choose: give a study area."
        )
        raise UsageError(msg)
    grid = HexGrid(grid.cells.tolist(), study_area_km2=area)
    return Panel.build(incidents, grid, bins)


def first_cutoff_of(city: City, incidents: Incidents) -> str:
    """Local date of the first rehearsal: given, or the challenge's, or for another city its last 365 days."""
    if city.first_cutoff is not None:
        return city.first_cutoff
    if city.name == CHALLENGE_CITY:
        return FIRST_CUTOFF
    last = incidents.table["occurred_at"].max()
    return str((last - pd.Timedelta(days=365)).date())


def rehearse(
    forecasters: Sequence[Forecaster], panel: Panel, first_cutoff: str, *, report: Report = silent
) -> Forecasts:
    """Backtest on windows that do not overlap: cutoffs at least 28 days and one window apart.

    Raises
    ------
    UsageError
        If not even one window fits between the first cutoff and the end of the data.
    """
    target = forecasters[0].target
    every = max(STEP, target.period)
    room = panel.n_bins - panel.index_at(first_cutoff) - target.reach
    if room < 0:
        msg = f"a window of {target.period} days from {first_cutoff} does not end within the data."
        raise UsageError(msg)
    splits = RollingOrigin(room // every + 1, f"{every}D", first_cutoff)
    # Calibration is monotone: anew at each cutoff it would cost most of the time and move no cell's rank.
    return backtest(forecasters, panel, splits, recalibrate="never", progress=report)


def score_window(forecasts: Forecasts, window: str, *, seed: int = 0) -> pd.DataFrame:
    """Hit rate, PAI and PEI* at 0.25 and 0.75 square miles, by model and category, with intervals.

    Returns
    -------
    DataFrame
        ``window, area_sq_mi`` and the columns of `hotspot_curve`; ``one_incident_pai`` says how much PAI one
        incident is, in a single window of the mean size.
    """
    total = forecasts.study_area_km2
    shares = [area * SQUARE_MILE_KM2 / total for area in AREAS_SQ_MI]
    table = hotspot_curve(forecasts, coverage=shares, by=("category", "model"), seed=seed)
    areas = dict(zip(sorted(set(table["coverage"])), AREAS_SQ_MI, strict=True))
    table.insert(0, "window", window)
    table.insert(1, "area_sq_mi", table["coverage"].map(areas))
    # Pooled over the folds one incident weighs little; the challenge is a single window.
    table["one_incident_pai"] *= table["n_folds"]
    return table


def flag_cells(forecasts: Forecasts) -> dict[str, NDArray[np.bool_]]:
    """Cells of each map that a submission would name, each of shape (n_maps, n_cells).

    ``selected_025`` are the fewest that reach 0.25 square miles, ``selected_075`` the most that fit in 0.75.
    """
    least, most = (area * SQUARE_MILE_KM2 for area in AREAS_SQ_MI)
    rates, area = forecasts.expected_count, forecasts.area_km2
    return {
        "selected_025": np.stack([choose_cells(rate, area, least, reach=True) for rate in rates]),
        "selected_075": np.stack([choose_cells(rate, area, most, reach=False) for rate in rates]),
    }


def write_flagged(forecasts: Forecasts, path: Path) -> Path:
    """Write a Forecasts table with two more columns, those of `flag_cells`; `read_forecasts` reads it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(forecasts.write(path))
    for name, chosen in flag_cells(forecasts).items():
        table = table.append_column(name, pa.array(chosen.ravel()))
    pq.write_table(table, path, compression="zstd", row_group_size=len(forecasts.cells))
    return path


def selected_cells(forecasts: Forecasts, window: str) -> pd.DataFrame:
    """Cells of each map that a submission would name.

    Returns
    -------
    DataFrame
        ``window, model, category, cell, area_km2, expected_count, selected_025, selected_075``; only cells
        selected at one of the areas.
    """
    names, flags = forecasts.cell_names(), flag_cells(forecasts)
    parts = []
    for row, key in enumerate(forecasts.keys.itertuples(index=False)):
        expected = forecasts.expected_count[row]
        kept = np.flatnonzero(flags["selected_025"][row] | flags["selected_075"][row])
        kept = kept[np.argsort(-expected[kept], kind="stable")]
        parts.append(
            pd.DataFrame(
                {
                    "window": window,
                    "model": key.model,
                    "category": key.category,
                    "cell": names[kept],
                    "area_km2": forecasts.area_km2[kept],
                    "expected_count": expected[kept],
                }
                | {name: chosen[row, kept] for name, chosen in flags.items()}
            )
        )
    return pd.concat(parts, ignore_index=True)


def run_nij(
    city: City,
    *,
    output: str | Path,
    make_model: ModelMaker,
    windows: Mapping[str, int] = WINDOWS,
    report: Report = silent,
    seed: int = 0,
) -> dict[str, Any]:
    """Rehearse the challenge on the data's last year, and forecast the windows that follow the data.

    Parameters
    ----------
    city : City
        Its `categories`, `first_cutoff` and `study_area_km2` count. Where they are not given, Portland has
        those of the challenge (2016-03-01; 147.71 square miles), another city its last 365 days and the area
        of its cells.
    output : path
        Folder, made if it is not there: ``forecast_<window>.parquet`` (Forecasts, with the cells flagged that
        each would select), ``selected_cells``, ``scores``, ``nij.md``, plots.
    make_model : callable
        Makes the model for a target, or gives None for the plain counts alone.
    windows : mapping of str to int
        Days of each window.
    report : callable, optional
        Told what is being done.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    dict
        ``benchmark, model, categories, forecast_from, scores, paths, seconds``.
    """
    begin = time.perf_counter()
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    report("intake", 0, 1)
    incidents = read_city(city)
    categories = choose_categories(city, incidents)
    panel, first = make_challenge_panel(city, incidents), first_cutoff_of(city, incidents)
    scores, chosen = [], []
    paths: dict[str, list[Path]] = {}
    for window, days in windows.items():
        forecasters = _forecasters(Target(categories, period=days), make_model)
        report(f"{window}: rehearsal", 0, 1)
        found = rehearse(forecasters, panel, first, report=_within(report, window))
        scores.append(score_window(found, window, seed=seed))
        report(f"{window}: forecast", 0, 1)
        ahead = Forecasts.concat([each.fit(panel).forecast(panel) for each in forecasters])
        paths[f"forecast_{window}"] = [write_flagged(ahead, folder / f"forecast_{window}.parquet")]
        chosen.append(selected_cells(ahead, window))
        if len(chosen) == 1:
            paths["plots"] = _plots(found, folder, window)
    table = pd.concat(scores, ignore_index=True)
    model = forecasters[0].name
    paths["scores"] = write_table(table, folder / "scores")
    paths["selected_cells"] = write_table(pd.concat(chosen, ignore_index=True), folder / "selected_cells")
    paths["page"] = [_write_page(folder, table, panel, model)]
    return {
        "benchmark": "nij",
        "model": model,
        "categories": categories,
        "forecast_from": str(panel.bins.end.date()),
        "n_cells": panel.n_cells,
        "scores": table.to_dict("records"),
        "paths": {kind: [str(path) for path in written] for kind, written in paths.items()},
        "seconds": round(time.perf_counter() - begin, 1),
    }


def _forecasters(target: Target, make_model: ModelMaker) -> list[Forecaster]:
    """The model, if there is one, and plain counts; a seasonal one says nothing new of whole months."""
    model = make_model(target)
    plain = [kind(target) for kind in (Count365, CountAll, DecayedCount, SmoothedCount)]
    return [*([] if model is None else [model]), *plain]


def _plots(found: Forecasts, folder: Path, window: str) -> list[Path]:
    shares = [area * SQUARE_MILE_KM2 / found.study_area_km2 for area in (0.25, 0.5, 0.75)]
    return write_plots(found, folder, window, [found.models[0], "count_365d", "count_all"], coverage=shares)


def _within(report: Report, window: str) -> Report:
    return lambda what, done, total: report(f"{window}: {what}", done, total)


def _write_page(folder: Path, scores: pd.DataFrame, panel: Panel, model: str) -> Path:
    """Write ``nij.md``: every window, category and area, with what one incident is worth."""
    header = ["window", "model", "folds", "n", "hits", "hit rate", "PAI", "PEI*", "one incident = PAI of"]
    parts = [
        "# NIJ challenge",
        f"{panel.n_cells:,} cells; rehearsals on windows that do not overlap, before "
        f"{panel.bins.end:%Y-%m-%d}, from which {model} and plain counts forecast (`selected_cells.csv` has "
        "the cells). Intervals are 95 %, windows resampled; fewer than 5 windows give none.",
        "A PAI at such small areas is a handful of incidents: compare it with what one incident more or less "
        "would make of a single window.",
    ]
    for (category, area), table in scores.groupby(["category", "area_sq_mi"], sort=True):
        rows = []
        for row in table.to_dict("records"):
            values = [_with_limits(row, name) for name in _MEASURES]
            counts = [row["n_folds"], f"{row['n_incidents']:,}", f"{row['hits']:.1f}"]
            rows.append([row["window"], row["model"], *counts, *values, f"{row['one_incident_pai']:.1f}"])
        parts += [f"## {category}, {area} square miles", markdown_table(header, rows)]
    path = folder / "nij.md"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _with_limits(row: Mapping[Any, Any], name: str) -> str:
    values = {"value": row[name], "lower": row[f"{name}_lower"], "upper": row[f"{name}_upper"]}
    return with_interval(values, 1 if name == "pai" else 3)
