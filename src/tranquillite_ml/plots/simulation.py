"""Plots of simulations: what a year of feedback does, and how far hotspots move if some report less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import check_in
from tranquillite_ml.plots.style import (
    axes,
    cases,
    check_table,
    dashed_line,
    legend_beside,
    name_rows,
    safe_name,
    styles,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_BANDS = ("included", "excluded")  # with all of them, none could be told apart
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
        The group that moves most clearly in any arm if not given.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If the table lacks columns, or there is no such group.
    """
    check_table(table, [*_KEYS, "group", "amplification", "lower", "upper"], "simulate_feedback (its table)")
    table = table[table["discovery"].isin([0, table["discovery"].max()])]
    group = _clearest(table) if group is None else check_in(group, table["group"].unique(), "group")
    table = table[table["group"] == group]
    ax = axes(ax, width=7.6)
    looks = _looks(table)
    for (arm, discovery), rows in table.groupby(["arm", "discovery"], sort=False):
        look = looks[arm]
        if arm in _BANDS:
            band = {"color": look["color"], "alpha": 0.15, "linewidth": 0}
            ax.fill_between(rows["week"], rows["lower"], rows["upper"], **band)
        ax.plot(rows["week"], rows["amplification"], label=_name(arm, discovery), markevery=8, **look)
    return _finish(ax, table, f"exposure over that of week 0\n{safe_name(group)}")


def _clearest(table: pd.DataFrame) -> str:
    """Group that has moved most at the end in any arm, as measured by its interval."""
    last = table[(table["week"] == table["week"].max()) & (table["lower"] > 0)]
    if last.empty:
        return str(table["group"].iloc[0])
    width = np.log(last["upper"] / last["lower"])
    clear = np.log(last["amplification"]).abs() / width.clip(lower=1e-9)
    return str(last.loc[clear.idxmax(), "group"])


def _looks(table: pd.DataFrame) -> dict[Any, dict[str, Any]]:
    """Look of each arm; the one with nothing found is dotted and on top, because others coincide with it."""
    looks = styles(table["arm"])
    none = table.loc[table["discovery"] == 0, "arm"].unique()
    return looks | {arm: {"color": "black", "linestyle": ":", "zorder": 3} for arm in none}


def inflation(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Expected count of the flagged places over their true rate, week by week, by arm and discovery rate.

    All discovery rates are drawn where finds are included; in the other arms the highest.

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
    looks = _looks(table)
    shares = sorted(table["discovery"].unique())
    table = table[(table["arm"] == "included") | table["discovery"].isin([0, shares[-1]])]
    for (arm, discovery), rows in table.groupby(["arm", "discovery"], sort=False):
        width = 1.0 + 0.7 * shares.index(discovery)
        label = _name(arm, discovery)
        ax.plot(rows["week"], rows["inflation"], label=label, markevery=8, linewidth=width, **looks[arm])
    return _finish(ax, table, "expected count of patrolled places\nover their true rate (best 1)")


def _name(arm: str, discovery: float) -> str:
    return f"{safe_name(arm)}, {discovery:.0%} found" if discovery else safe_name(arm)


def _finish(ax: Axes, table: pd.DataFrame, label: str) -> Axes:
    dashed_line(ax, y=1)
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
    name_rows(ax, told)
    ax.set_xlim(0, 1)
    ax.set_xlabel(f"share of hot cells that move (best 0)\n{cases(table, ('n_draws', 'draws a scenario'))}")
    legend_beside(ax)
    return ax
