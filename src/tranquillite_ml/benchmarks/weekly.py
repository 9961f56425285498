"""The weekly benchmark: next week's incidents by cell, fold by fold, beside other systems' figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.benchmarks.cities import PERIOD, City, choose_categories, make_city_panel, read_city
from tranquillite_ml.benchmarks.tables import (
    HITS,
    compare_methods,
    fold_table,
    read_reference,
    score_methods,
)
from tranquillite_ml.benchmarks.writing import write_plots, write_table, write_weekly_page
from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation import backtest
from tranquillite_ml.forecasters import baseline_ladder
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.stages import Report, silent
from tranquillite_ml.target import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.panel import Panel

COUNTS = ("h3_count365", "h3_count730", "h3_decayed200", "h3_smoothed365")
BASE = "h3_smoothed365"
_KEPT, _ADDED = 0.7, 1e-4  # of the smoothed count


@dataclass(frozen=True)
class CityResult:
    """Forecasts of a city with their outcomes, and its rows of the table of folds."""

    city: City
    series: dict[str, str]
    forecasts: Forecasts
    folds: pd.DataFrame


def reference_counts(
    panel: Panel, category: str, cutoff: int, *, period: int = PERIOD
) -> dict[str, NDArray[np.float64]]:
    """Expected counts of the protocol's four plain methods, by name, each of shape (n_cells,).

    They are recomputed so that a reader can see that the protocol is the same one.

    Parameters
    ----------
    panel : Panel
        Daily.
    category : str
    cutoff : int
        Number of bins.
    period : int, default 7
        Days forecast.

    Notes
    -----
    ``h3_count365``: daily mean of the last 364 days. ``h3_count730``: of the last 730, or of all there are.
    ``h3_decayed200``: each day's count at half weight after 200 days, a day being as old as its noon.
    ``h3_smoothed365``: 0.7 of the count of the last 364 days, 0.3 of the mean of the cells at most two steps
    away (itself among them), and 1e-4 a week.
    """
    known = panel.until(cutoff)
    days = known.counts(category).astype(np.float64)
    year = days[-364:].mean(axis=0) * period
    age = np.arange(len(days))[::-1] + 0.5
    decay = np.log(2) / 200
    near = sum(panel.grid.ring(k) for k in range(3))
    around = (near @ year) / np.asarray(near.sum(axis=1)).ravel()
    found = {
        "h3_count365": year,
        "h3_count730": days[-730:].mean(axis=0) * period,
        "h3_decayed200": decay * np.exp(-decay * age) @ days * period,
        "h3_smoothed365": _KEPT * year + (1 - _KEPT) * around + _ADDED * period / PERIOD,
    }
    return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}


def reference_forecasts(panel: Panel, like: Forecasts) -> Forecasts:
    """The protocol's plain methods at the cutoffs of other forecasts, with outcomes, uncalibrated."""
    parts = []
    rates = [
        reference_counts(panel, key.category, panel.index_at(key.cutoff))
        for key in like.keys.itertuples(index=False)
    ]
    for name in COUNTS:
        keys = like.keys.assign(model=name, distribution="poisson", level=np.nan)
        values = {"expected_count": np.stack([rate[name] for rate in rates])}
        parts.append(Forecasts(keys, like.cells, like.area_km2, values, like.meta))
    return Forecasts.concat(parts).observe(panel)


def run_city(
    city: City,
    *,
    reference: pd.DataFrame | None = None,
    make_model: Callable[[Target], Forecaster | None],
    report: Report = silent,
) -> CityResult:
    """Backtest the model, the ladder and the protocol's plain methods on one city.

    Parameters
    ----------
    city : City
    reference : DataFrame, optional
        From `read_reference`: says which series there are.
    make_model : callable
        Makes the model for a target, or gives None for the ladder alone.
    report : callable, optional
        Told what is being done.
    """
    report("intake", 0, 1)
    incidents = read_city(city)
    report("panel", 0, 1)
    target = Target(choose_categories(city, incidents, reference), period=PERIOD)
    panel = make_city_panel(city, incidents)
    report("backtest", 0, 1)
    model = make_model(target)
    forecasters = [*([] if model is None else [model]), *baseline_ladder(target)]
    found = backtest(forecasters, panel, city.splits(), progress=report)
    plain = reference_forecasts(panel, found.select(model=found.models[0]))
    forecasts = Forecasts.concat([found, plain])
    year = int(pd.DatetimeIndex(found.keys["cutoff"]).year.min())
    series = {name: city.series(name, year) for name in target.categories}
    return CityResult(city, series, forecasts, fold_table(forecasts, series))


def run_weekly(
    cities: Sequence[City],
    *,
    output: str | Path,
    make_model: Callable[[Target], Forecaster | None],
    reference: str | Path | None = None,
    report: Report = silent,
    seed: int = 0,
) -> dict[str, Any]:
    """Run the weekly benchmark on one or several cities and write its tables, plots and page.

    Parameters
    ----------
    cities : sequence of City
    output : path
        Folder, made if it is not there.
    make_model : callable
        Makes the model for a target, or gives None for the ladder alone.
    reference : path, optional
        CSV of other systems' figures fold by fold.
    report : callable, optional
        Told what is being done.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    dict
        ``benchmark, model, series, n_incidents, scores, comparison, protocol_check, paths, seconds``.

    Raises
    ------
    UsageError
        If two files lie in folders of the same name.
    """
    begin = time.perf_counter()
    names = [city.name for city in cities]
    if not names or len(set(names)) < len(names):
        msg = f"each city's file must lie in a folder of its own name, got {names}."
        raise UsageError(msg)
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    figures = None if reference is None else read_reference(reference)
    results = [run_city(city, reference=figures, make_model=make_model, report=report) for city in cities]
    folds = pd.concat([result.folds for result in results], ignore_index=True)
    report("evaluate", 0, 1)
    tables = _tables(folds, figures, seed)
    check = None if figures is None else check_protocol(folds, figures)
    model = results[0].forecasts.models[0]
    paths = _write(folder, model, results, tables)
    paths["page"] = [write_weekly_page(folder, model, tables, check)]
    compared = tables["comparison"]
    return {
        "benchmark": "weekly",
        "model": model,
        "series": sorted(folds["series"].unique()),
        "n_incidents": int(folds.loc[folds["method"] == model, "n"].sum()),
        "scores": tables["scores"].to_dict("records"),
        "comparison": compared[compared["method"] == model].to_dict("records"),
        "protocol_check": check,
        "paths": {kind: [str(path) for path in written] for kind, written in paths.items()},
        "seconds": round(time.perf_counter() - begin, 1),
    }


def _tables(folds: pd.DataFrame, figures: pd.DataFrame | None, seed: int) -> dict[str, pd.DataFrame]:
    """Folds, scores, and the comparison with the reference figures and with two plain counts."""
    beside = folds[folds["method"].isin([BASE, "count_365d"])]
    if figures is not None:
        beside = pd.concat([figures, beside[~beside["method"].isin(figures["method"])]], ignore_index=True)
    ours = folds[~folds["method"].isin(COUNTS)]
    return {
        "folds": folds,
        "scores": score_methods(folds, seed=seed),
        "comparison": compare_methods(ours, beside, seed=seed),
    }


def _write(
    folder: Path, model: str, results: Sequence[CityResult], tables: dict[str, pd.DataFrame]
) -> dict[str, list[Path]]:
    """Write tables, the forecasts of the model and of a plain count, and plots."""
    paths = {name: write_table(table, folder / name) for name, table in tables.items()}
    for result in results:
        name = result.city.name
        kept = result.forecasts.select(model=list(dict.fromkeys([model, "count_365d"])))
        paths[f"forecasts_{name}"] = [kept.write(folder / f"forecasts_{name}.parquet")]
        shown = [model, "count_365d", BASE]
        paths[f"plots_{name}"] = write_plots(result.forecasts, folder, name, shown)
    return paths


def check_protocol(folds: pd.DataFrame, reference: pd.DataFrame) -> list[dict[str, Any]]:
    """How well the protocol's plain methods agree with the same methods in the reference figures.

    Returns
    -------
    list of dict
        One a series and method that both have: ``n_folds``, ``n_equal`` (folds with the same number of
        incidents), ``log_likelihood_off`` (largest difference in nats), ``hits_off`` (mean difference of hits
        over folds and shares of area), ``hits_off_most``.
    """
    both = folds.merge(reference, on=["series", "cutoff", "method"], suffixes=("", "_ref"))
    rows = []
    for (series, method), part in both[both["method"].isin(COUNTS)].groupby(["series", "method"]):
        off = part[list(HITS)].to_numpy() - part[[f"{name}_ref" for name in HITS]].to_numpy()
        likelihood = (part["log_likelihood"] - part["log_likelihood_ref"]).abs()
        row = {"series": series, "method": method, "n_folds": len(part)}
        row |= {"n_equal": int((part["n"] == part["n_ref"]).sum())}
        row |= {"log_likelihood_off": float(likelihood.max())}
        rows.append(row | {"hits_off": float(off.mean()), "hits_off_most": float(np.abs(off).max())})
    return rows
