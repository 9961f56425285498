"""Plots of simulations: what a year of feedback does, and how far hotspots move if some report less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.errors import check_in
from tranquillite_ml.plots.style import GREY, axes, cases, check_table, legend_beside, safe_name, styles

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_KEYS = ["arm", "discovery", "week", "n_runs"]


def amplification(table: pd.DataFrame, ax: Axes | None = None, *, group: str | None = None) -> Axes:
    """Flags per resident of a group, week by week, against those of the first week, by arm.

    Of the finds, the arms with the highest discovery rate are drawn, and the one with nothing found.

    Parameters
    ----------
    table : DataFrame
        `table` of `tranquillite_ml.simulation.Feedback`, of one category.
    ax : Axes, optional
        Where to draw; a new figure without it.
    group : str, optional
        The group whose share moves most in any arm if not given.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If the table lacks columns, or there is no such group.
    """
    check_table(table, [*_KEYS, "group", "amplification", "lower", "upper"], "simulate_feedback (its table)")
    highest = table["discovery"].max()
    table = table[table["discovery"].isin([0, highest])]
    if group is None:
        last = table[table["week"] == table["week"].max()].set_index("group")["amplification"]
        moved = np.log(last[last > 0]).abs()
        group = str(table["group"].iloc[0] if moved.empty else moved.idxmax())
    table = table[table["group"] == check_in(group, table["group"].unique(), "group")]
    ax = axes(ax, width=7.6)
    names = {key: _name(*key) for key in zip(table["arm"], table["discovery"], strict=True)}
    looks = styles(names)
    for key, name in names.items():
        rows = table[(table["arm"] == key[0]) & (table["discovery"] == key[1])]
        ax.fill_between(
            rows["week"], rows["lower"], rows["upper"], color=looks[key]["color"], alpha=0.12, lw=0
        )
        ax.plot(rows["week"], rows["amplification"], label=name, markevery=8, **looks[key])
    return _finish(ax, table, f"exposure of {safe_name(group)} over that of week 0\n(1: nothing moves)")


def inflation(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Expected count of the flagged places over their true rate, week by week, by arm and discovery rate.

    Parameters
    ----------
    table : DataFrame
        `places` of `tranquillite_ml.simulation.Feedback`, of one category.
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
    check_table(table, [*_KEYS, "inflation"], "simulate_feedback (its places)")
    ax = axes(ax, width=7.6)
    looks = styles(table["arm"])
    shares = sorted(table.loc[table["discovery"] > 0, "discovery"].unique())
    for (arm, discovery), rows in table.groupby(["arm", "discovery"], sort=False):
        width = 1.0 + 0.9 * (shares.index(discovery) if discovery else 0)
        label = _name(arm, discovery)
        ax.plot(rows["week"], rows["inflation"], label=label, markevery=8, linewidth=width, **looks[arm])
    return _finish(ax, table, "expected count of patrolled places\nover their true rate (best 1)")


def _name(arm: str, discovery: float) -> str:
    return f"{safe_name(arm)}, {discovery:.0%} found" if discovery else safe_name(arm)


def _finish(ax: Axes, table: pd.DataFrame, label: str) -> Axes:
    ax.axhline(1, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
    ax.set_xlabel(f"week\n{cases(table, ('n_runs', 'simulated years'))}")
    ax.set_ylabel(label)
    legend_beside(ax)
    return ax


def displacement(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of hot cells that are others than with all records, by scenario; the line holds 95 % of draws.

    Parameters
    ----------
    table : DataFrame
        `table` of `tranquillite_ml.simulation.Displacement`, of one category.
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
    columns = ["scenario", "variant", "hypothetical", "displaced_share", "lower", "upper", "n_draws"]
    check_table(table, columns, "simulate_underreporting (its table)")
    scenarios = list(dict.fromkeys(table["scenario"]))
    assumed = table.groupby("scenario")["hypothetical"].first()
    ax = axes(ax, height=1.8 + 0.5 * len(scenarios))
    looks = styles(table["variant"])
    offsets = np.linspace(-0.14, 0.14, len(looks))
    for offset, (variant, look) in zip(offsets, looks.items(), strict=True):
        rows = table[table["variant"] == variant].set_index("scenario").loc[scenarios]
        place = np.arange(len(scenarios)) + offset
        ax.hlines(place, rows["lower"], rows["upper"], color=look["color"], linewidth=2)
        mark = {"color": look["color"], "marker": look["marker"]}
        ax.plot(rows["displaced_share"], place, linestyle="none", label=safe_name(variant), **mark)
    told = [safe_name(name) + ("\n(hypothetical)" if assumed[name] else "") for name in scenarios]
    ax.set_yticks(np.arange(len(scenarios)), told)
    ax.set_ylim(len(scenarios) - 0.5, -0.5)
    ax.set_xlim(0, 1)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"share of hot cells that move (best 0)\n{cases(table, ('n_draws', 'draws a scenario'))}")
    legend_beside(ax)
    return ax
