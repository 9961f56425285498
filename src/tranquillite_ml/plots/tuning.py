"""Plots of a study: how its best score came about, and which parameters mattered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.plots.style import GREY, PALETTE, axes, check_table, legend_beside, name_rows, safe_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def tuning_history(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Score of each trial in the order of their beginning, and the best so far.

    A pruned trial is drawn at its running mean when it ended, over fewer folds than the complete ones.

    Parameters
    ----------
    table : DataFrame
        `trials` of `tranquillite_ml.tuning.Tuned`.
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
    check_table(table, ["trial", "state", "score", "best_so_far", "n_folds"], "tune (its trials)")
    ax = axes(ax, width=7.2)
    looks = {"complete": ("o", PALETTE[0]), "pruned": ("x", PALETTE[1])}
    for state, (marker, colour) in looks.items():
        rows = table[table["state"] == state]
        if len(rows):
            ax.plot(
                rows["trial"] + 1,
                rows["score"],
                marker,
                color=colour,
                markersize=5,
                label=f"{state} ({len(rows)})",
            )
    ax.step(
        table["trial"] + 1, table["best_so_far"], where="post", color=GREY, linewidth=1.4, label="best so far"
    )
    ax.set_xlabel(f"trial\nn = {len(table):,} trials, {int(table['n_folds'].max())} folds")
    ax.set_ylabel("mean score (nats a map; larger is better)")
    legend_beside(ax)
    return ax


def tuning_importance(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Importance of each parameter as a dot with its interval, the most important on top.

    Parameters
    ----------
    table : DataFrame
        `importances` of `tranquillite_ml.tuning.Tuned`.
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
    check_table(table, ["param", "importance", "lower", "upper", "n_trials"], "tune (its importances)")
    ax = axes(ax, height=1.6 + 0.34 * len(table))
    table = table.iloc[np.argsort(-table["importance"].fillna(0).to_numpy(), kind="stable")]
    place = np.arange(len(table))
    ax.hlines(place, table["lower"], table["upper"], color=PALETTE[0], linewidth=2)
    ax.plot(table["importance"], place, "o", color=PALETTE[0], markersize=5)
    name_rows(ax, [safe_name(name) for name in table["param"]])
    ax.set_xlim(0, 1)
    n = int(table["n_trials"].max())
    few = "; too few to tell" if table["importance"].isna().all() else ""
    ax.set_xlabel(f"share of the difference between good trials and the rest\nn = {n:,} complete trials{few}")
    return ax
