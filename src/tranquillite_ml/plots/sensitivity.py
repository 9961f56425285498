"""One measure on many grids: what stays where it is does not depend on the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.errors import check_in
from tranquillite_ml.plots.style import (
    axes,
    cases,
    check_table,
    dashed_line,
    legend_beside,
    name_rows,
    styles,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MEASURE_LABELS = {
    "hit_rate": "hit rate (share of recorded incidents; larger is better)",
    "pai": "PAI (larger is better; 1 is chance)",
    "pei_star": "PEI* (larger is better, at most 1)",
    "log_likelihood": "log-likelihood (nats an incident; larger is better)",
    "oe": "recorded / expected (best 1)",
    "gain": "gain over count_365d (nats a fold; right of 0 is better)",
}
_BY_COVERAGE = {"hit_rate", "pai", "pei_star"}
_MARKS = {"oe": 1.0, "gain": 0.0, "pai": 1.0}


def resolution_sensitivity(table: pd.DataFrame, ax: Axes | None = None, *, measure: str = "hit_rate") -> Axes:
    """A measure on each grid as a dot with its interval; dots that stay in place do not depend on the grid.

    Parameters
    ----------
    table : DataFrame
        From `tranquillite_ml.evaluation.resolution_sensitivity`.
    ax : Axes, optional
        Where to draw; a new figure without it.
    measure : {"hit_rate", "pai", "pei_star", "log_likelihood", "oe", "gain"}, default "hit_rate"

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If the table lacks columns or the measure is unknown.
    """
    check_in(measure, MEASURE_LABELS, "measure")
    grids = ["resolution", "shift_east", "shift_north"]
    columns = [*grids, "coverage", "n_folds", "n_incidents", measure, f"{measure}_lower", f"{measure}_upper"]
    check_table(table, columns, "resolution_sensitivity")
    if measure not in _BY_COVERAGE:
        table = table.drop_duplicates(grids)
    names = [_grid_name(*row) for row in table[grids].itertuples(index=False, name=None)]
    rows = {name: number for number, name in enumerate(dict.fromkeys(names))}
    place = np.array([rows[name] for name in names], dtype=float)
    ax = axes(ax, width=7.2, height=1.6 + 0.34 * len(rows))
    looks = styles(table["coverage"])
    for number, (share, look) in enumerate(looks.items()):
        mask = (table["coverage"] == share).to_numpy()
        chosen = table[mask]
        # Beside each other, so that intervals of equal estimates do not hide each other.
        at = place[mask] + 0.18 * (number - (len(looks) - 1) / 2)
        label = f"{share:.0%} of the area" if measure in _BY_COVERAGE else None
        ax.hlines(
            at, chosen[f"{measure}_lower"], chosen[f"{measure}_upper"], color=look["color"], linewidth=2
        )
        ax.plot(
            chosen[measure], at, look["marker"], color=look["color"], markersize=5, linestyle="", label=label
        )
    if measure in _MARKS:
        dashed_line(ax, x=_MARKS[measure])
    name_rows(ax, list(rows))
    n = cases(table, ("n_incidents", "incidents"), ("n_folds", "folds"), interval=f"{measure}_lower")
    ax.set_xlabel(f"{MEASURE_LABELS[measure]}\n{n}")
    if measure in _BY_COVERAGE:
        legend_beside(ax)
    return ax


def _grid_name(resolution: int, east: float, north: float) -> str:
    moved = [f"{part:g} {word}" for part, word in ((east, "east"), (north, "north")) if part]
    return f"resolution {resolution}" + (f", {' '.join(moved)}" if moved else "")
