"""Reporting delay: how much of what was recorded is known after so many days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tranquillite_ml.plots.style import axes, check_table, legend_beside, styles

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLUMNS = ("group", "days", "share", "lower", "upper", "n")


def reporting_delay(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of records known after so many days, one curve a group, with its band.

    Parameters
    ----------
    table : DataFrame
        From `tranquillite_ml.reporting_delay`.
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
    check_table(table, COLUMNS, "reporting_delay")
    ax = axes(ax)
    looks = styles(table["group"])
    for group, look in looks.items():
        part = table[table["group"] == group]
        ax.plot(part["days"], part["share"], label=str(group), **look)
        ax.fill_between(part["days"], part["lower"], part["upper"], color=look["color"], alpha=0.15, lw=0)
    ax.set_xscale("log")
    days = sorted(table["days"].unique())
    ax.set_xticks(days, [f"{day:g}" for day in days])
    ax.minorticks_off()
    n = table.drop_duplicates("group")["n"].sum()
    ax.set_xlabel(f"days after it occurred (n = {n:,} records; bands: 95 %)")
    ax.set_ylabel("share of records known")
    ax.set_ylim(0, 1.02)
    ax.grid(alpha=0.3)
    if len(looks) > 1:
        legend_beside(ax)
    return ax
