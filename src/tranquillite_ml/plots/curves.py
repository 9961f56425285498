"""Curves: hotspots by share of the area, reliability, scores fold by fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.errors import check_in
from tranquillite_ml.plots.dots import SCORE_LABELS
from tranquillite_ml.plots.style import (
    DASHED,
    GREY,
    axes,
    cases,
    check_table,
    group_names,
    legend_beside,
    safe_name,
    styles,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MEASURES = {
    "hit_rate": "hit rate (% of incidents)",
    "pai": "PAI (1: no better than chance)",
    "rri": "RRI (1: as many as forecast)",
    "pei": "PEI (1: the best possible)",
    "pei_star": "PEI* (1: the best possible)",
}


def hotspot_curve(table: pd.DataFrame, ax: Axes | None = None, *, measure: str = "hit_rate") -> Axes:
    """Hit rate (or another index) of each model by share of the area, with bands.

    Parameters
    ----------
    table : DataFrame
        From `tranquillite_ml.evaluation.hotspot_curve`.
    ax : Axes, optional
        Where to draw; a new figure without it.
    measure : {"hit_rate", "pai", "rri", "pei", "pei_star"}, default "hit_rate"
        What is drawn. The dashed line is what chance gives, where there is such a thing.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If the table lacks columns or the measure is unknown.
    """
    check_in(measure, _MEASURES, "measure")
    check_table(table, ["model", "coverage", measure, "n_incidents", "n_folds"], "hotspot_curve")
    ax = axes(ax)
    scale = 100 if measure == "hit_rate" else 1
    keys = list(table.columns[: table.columns.get_loc("coverage")])
    table = table.assign(name=group_names(table, keys))
    looks = styles(table["name"])
    for name, rows in table.groupby("name", sort=False):
        curve = rows.sort_values("coverage")
        share, value = curve["coverage"] * 100, curve[measure] * scale
        ax.plot(share, value, label=safe_name(name), markersize=4, linewidth=1.4, **looks[name])
        lower, upper = curve[f"{measure}_lower"] * scale, curve[f"{measure}_upper"] * scale
        ax.fill_between(share, lower, upper, color=looks[name]["color"], alpha=0.12, linewidth=0)
    if measure in {"hit_rate", "pai"}:
        ends = np.array([table["coverage"].min(), table["coverage"].max()]) * 100
        chance = ends if measure == "hit_rate" else np.ones(2)
        ax.plot(ends, chance, color=GREY, linestyle=DASHED, linewidth=1, label="chance")
    n = cases(table, ("n_incidents", "incidents"), ("n_folds", "folds"), interval=f"{measure}_lower")
    ax.set_xlabel(f"share of the area (%)\n{n}")
    ax.set_ylabel(_MEASURES[measure])
    ax.set_ylim(bottom=0)
    legend_beside(ax)
    return ax


def reliability(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Mean forecast against what was recorded, on logarithmic axes, with intervals and the diagonal.

    Above the diagonal more was recorded than forecast. A bin whose forecast is 0 is drawn at the left edge.

    Parameters
    ----------
    table : DataFrame
        From `tranquillite_ml.evaluation.reliability_curve`.
    ax : Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If the table lacks columns.
    """
    check_table(table, ["model", "quantity", "forecast", "observed", "n", "n_folds"], "reliability_curve")
    ax = axes(ax, width=6.0)
    shown = table[["forecast", "observed"]].to_numpy()
    positive = shown[shown > 0]
    edges = [positive.min() / 2, positive.max() * 1.5] if len(positive) else [0.01, 1.0]
    ax.plot(edges, edges, color=GREY, linestyle=DASHED, linewidth=1, label="recorded = forecast")
    looks = styles(table["model"])
    for model, rows in table.groupby("model", sort=False):
        place = rows["forecast"].clip(lower=edges[0])
        seen = rows["observed"].clip(lower=edges[0])
        ax.plot(place, seen, label=safe_name(model), markersize=4, linewidth=1.2, **looks[model])
        ax.vlines(
            place, rows["lower"].clip(lower=edges[0]), rows["upper"], color=looks[model]["color"], linewidth=1
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(*edges)
    counts = (table["quantity"] == "expected_count").all()
    what = "incidents a cell and period" if counts else "probability of at least one incident"
    sums = table.groupby("model").agg({"n": "sum", "n_folds": "max", "lower": "max"})
    n = cases(sums, ("n", "cells"), ("n_folds", "folds"), interval="lower")
    ax.set_xlabel(f"mean forecast ({what})\n{n}")
    ax.set_ylabel(f"mean recorded\n({what if counts else 'share of cells with an incident'})")
    legend_beside(ax)
    return ax


def folds(table: pd.DataFrame, ax: Axes | None = None, *, score: str = "log_score") -> Axes:
    """A score fold by fold: whether a model is better all the time or was lucky once.

    Parameters
    ----------
    table : DataFrame
        From ``score(forecasts, by=("model", "cutoff"))``.
    ax : Axes, optional
        Where to draw; a new figure without it.
    score : str, default "log_score"
        Column that is drawn.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If the table lacks columns or the score is unknown.
    """
    check_in(score, SCORE_LABELS, "score")
    maker = 'score(forecasts, by=("model", "cutoff"))'
    check_table(table, ["model", "cutoff", score, "n_incidents", "n_maps"], maker)
    ax = axes(ax, width=7.2)
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    keys = [name for name in table.columns[: table.columns.get_loc("n_folds")] if name != "cutoff"]
    table = table.assign(name=group_names(table, keys))
    looks = styles(table["name"])
    for name, rows in table.groupby("name", sort=False):
        line = rows.sort_values("cutoff")
        when = line["cutoff"].dt.tz_localize(None) if line["cutoff"].dt.tz else line["cutoff"]
        ax.plot(
            when.to_numpy(), line[score], label=safe_name(name), markersize=4, linewidth=1.3, **looks[name]
        )
    locator = AutoDateLocator()
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    n = cases(table, ("n_incidents", "incidents a fold"))
    ax.set_xlabel(f"cutoff of the fold\n{table['cutoff'].nunique()} folds, {n}")
    ax.set_ylabel(SCORE_LABELS[score])
    legend_beside(ax)
    return ax
