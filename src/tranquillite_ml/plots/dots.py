"""Dots with intervals: scores of models, and their differences to a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.errors import check_in
from tranquillite_ml.plots.style import (
    GREY,
    axes,
    cases,
    check_table,
    dashed_line,
    group_names,
    name_rows,
    safe_name,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SCORE_LABELS = {
    "log_score": "log score (nats a map; larger is better)",
    "poisson_log_likelihood": "Poisson log-likelihood (nats; larger is better)",
    "deviance": "Poisson deviance (a cell; smaller is better)",
    "d2": "D² (larger is better, at most 1)",
    "brier": "Brier score (smaller is better)",
    "crps": "CRPS (incidents a cell; smaller is better)",
    "oe": "recorded / expected (best 1)",
    "oe_with_outside": "recorded, with those outside / expected (best 1)",
    "interval_coverage": "share of counts in their interval",
}
_SMALLER_IS_BETTER = {"deviance", "brier", "crps"}
_VERDICTS = {"beats counts": "#0072B2", "does not beat counts": "#D55E00", "cannot tell": GREY}


def scores(table: pd.DataFrame, ax: Axes | None = None, *, score: str = "log_score") -> Axes:
    """A score of each model as a dot with its interval, the best on top.

    Overlapping intervals do not say that models are equal: they meet the same weeks. `compare` says more.

    Parameters
    ----------
    table : DataFrame
        From `tranquillite_ml.evaluation.score`.
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
    check_table(
        table, ["model", score, f"{score}_lower", f"{score}_upper", "n_incidents", "n_folds"], "score"
    )
    keys = list(table.columns[: table.columns.get_loc("n_folds")])
    rank = (table[score] - 1).abs() if score in {"oe", "oe_with_outside"} else table[score]
    rising = score in _SMALLER_IS_BETTER or score in {"oe", "oe_with_outside"}
    table = table.iloc[np.argsort(rank.to_numpy() * (1 if rising else -1), kind="stable")]
    ax = axes(ax, height=1.6 + 0.32 * len(table))
    name_rows(ax, [safe_name(name) for name in group_names(table, keys)])
    place = np.arange(len(table))
    ax.hlines(place, table[f"{score}_lower"], table[f"{score}_upper"], color="#0072B2", linewidth=2)
    ax.plot(table[score], place, "o", color="#0072B2", markersize=5)
    if score in {"oe", "oe_with_outside"}:
        dashed_line(ax, x=1)
    n = cases(table, ("n_incidents", "incidents"), ("n_folds", "folds"), interval=f"{score}_lower")
    ax.set_xlabel(f"{SCORE_LABELS[score]}\n{n}")
    return ax


def compare(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Difference of each model to the reference with its interval, against 0, and the verdict beside it.

    Parameters
    ----------
    table : DataFrame
        From `tranquillite_ml.evaluation.compare`.
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
    columns = [
        "model",
        "reference",
        "score",
        "difference",
        "lower",
        "upper",
        "verdict",
        "n_folds",
        "n_incidents",
    ]
    check_table(table, columns, "compare")
    table = table.iloc[np.argsort(-table["difference"].to_numpy(), kind="stable")]
    ax = axes(ax, width=7.2, height=1.6 + 0.34 * len(table))
    name_rows(ax, [safe_name(name) for name in table["model"]])
    for place, row in enumerate(table.itertuples()):
        colour = _VERDICTS.get(row.verdict, GREY)
        ax.hlines(place, row.lower, row.upper, color=colour, linewidth=2)
        ax.plot(row.difference, place, "o", color=colour, markersize=5)
        ax.annotate(
            row.verdict,
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize="small",
            color=colour,
        )
    dashed_line(ax, x=0)
    score = table["score"].iloc[0]
    unit = "nats a fold" if score in {"log_score", "poisson_log_likelihood"} else "mean a cell"
    n = cases(table, ("n_incidents", "incidents"), ("n_folds", "folds"), interval="lower")
    against = safe_name(table["reference"].iloc[0])
    ax.set_xlabel(f"{score.replace('_', ' ')}: gain over {against} ({unit}; right of 0 is better)\n{n}")
    return ax
