"""Calibration of the whole law: coverage of intervals and histogram of the PIT, by how busy the cells are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.errors import check_in
from tranquillite_ml.plots.style import (
    GREY,
    PALETTE,
    axes,
    cases,
    check_table,
    dashed_line,
    legend_beside,
    safe_name,
    styles,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def interval_coverage(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Coverage of the intervals by activity stratum: filled as stated, hollow randomised, against the level.

    Filled marks may lie above the dashed line (whole numbers cover more in quiet cells); hollow ones should
    lie on it.

    Parameters
    ----------
    table : DataFrame
        From `tranquillite_ml.evaluation.interval_coverage_table`.
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
    columns = ["model", "stratum", "n", "n_folds", "nominal", "coverage", "randomised_coverage"]
    check_table(table, columns, "interval_coverage_table")
    ax = axes(ax, width=7.2)
    looks = styles(table["model"])
    shifts = np.linspace(-0.3, 0.3, len(looks)) if len(looks) > 1 else np.zeros(1)
    for shift, (model, look) in zip(shifts, looks.items(), strict=True):
        rows = table[table["model"] == model]
        for column, filled in (("coverage", True), ("randomised_coverage", False)):
            place = rows["stratum"] + shift + (0 if filled else 0.05)
            limits = rows[f"{column}_lower"] * 100, rows[f"{column}_upper"] * 100
            ax.vlines(place, *limits, color=look["color"], linewidth=1, linestyle="-" if filled else ":")
            ax.plot(
                place,
                rows[column] * 100,
                linestyle="none",
                marker=look["marker"],
                color=look["color"],
                markerfacecolor=look["color"] if filled else "white",
                markersize=4.5,
                label=safe_name(model) if filled else None,
            )
    dashed_line(ax, y=table["nominal"].mean() * 100, label="stated level")
    ax.plot([], [], "o", color=GREY, markerfacecolor="white", markersize=4.5, label="hollow: randomised")
    strata = sorted(table["stratum"].unique())
    ax.set_xticks(strata, _stratum_names(len(strata)))
    n = cases(table, ("n", "cells a stratum"), ("n_folds", "folds"))
    ax.set_xlabel(f"cells by expected count within the map\n{n}")
    ax.set_ylabel("counts in their interval (%)")
    legend_beside(ax)
    return ax


def pit(table: pd.DataFrame, ax: Axes | None = None, *, model: str | None = None) -> Axes:
    """Histogram of the randomised PIT of one model by activity stratum, over the band of a right forecast.

    A hill: forecasts too wide. A valley: too narrow. Rising: too low. Falling: too high. Marks outside the
    band are ringed.

    Parameters
    ----------
    table : DataFrame
        From `tranquillite_ml.evaluation.pit_table`.
    ax : Axes, optional
        Where to draw; a new figure without it.
    model : str, optional
        Model that is drawn; the first of the table without it.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If the table lacks columns or the model.
    """
    columns = ["model", "stratum", "left", "right", "n", "share", "lower", "upper", "inside"]
    check_table(table, columns, "pit_table")
    names = list(dict.fromkeys(table["model"]))
    chosen = check_in(names[0] if model is None else model, names, "model")
    rows = table[(table["model"] == chosen) & (table["n"] > 0)]
    ax = axes(ax, width=7.2)
    if len(rows):
        band = rows.groupby("left", as_index=False).agg({"right": "first", "lower": "min", "upper": "max"})
        edges = np.r_[band["left"], band["right"].iloc[-1]]
        lower, upper = (np.r_[band[name], band[name].iloc[-1]] * 100 for name in ("lower", "upper"))
        label = "band of a right forecast"
        ax.fill_between(edges, lower, upper, step="post", color="#DDDDDD", linewidth=0, label=label)
        dashed_line(ax, y=100 / len(band))
    strata = sorted(table["stratum"].unique())
    looks = styles(strata)
    labels = dict(zip(strata, _stratum_names(len(strata)), strict=True))
    for stratum, part in rows.groupby("stratum"):
        middle = (part["left"] + part["right"]) / 2
        look = looks[stratum] | {"color": PALETTE[(int(stratum) - 1) % len(PALETTE)]}
        ax.plot(middle, part["share"] * 100, markersize=4, linewidth=1.2, label=labels[stratum], **look)
        off = ~part["inside"]
        ax.plot(
            middle[off],
            part["share"][off] * 100,
            "o",
            markersize=10,
            color=look["color"],
            markerfacecolor="none",
        )
    n = cases(rows, ("n", "cells a stratum")) if len(rows) else "n = 0"
    ax.set_xlabel(f"randomised PIT of {safe_name(chosen)}\n{n}")
    ax.set_ylabel("share of counts (%)")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.08 * ax.get_ylim()[1])
    legend_beside(ax, title="cells")
    return ax


def _stratum_names(count: int) -> list[str]:
    names = [str(number) for number in range(1, count + 1)]
    if count > 1:
        names[0], names[-1] = "1 (quietest)", f"{count} (busiest)"
    return names
