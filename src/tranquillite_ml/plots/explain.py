"""Plots of explanations: the factors of one place, the families over all places, the curve of a feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.plots.style import PALETTE, axes, check_table, dashed_line, name_rows, safe_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_CAUTION = "describes the computation, not causes"
_MOST_BARS = 12
_UP, _DOWN = PALETTE[1], PALETTE[0]


def factors(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Waterfall of one place's factors, from the typical level down to its expected count, on a log scale.

    Bars that raise the count are hatched, too, so that colour is not needed to tell them apart. Beyond twelve
    the weakest are drawn as one.

    Parameters
    ----------
    table : DataFrame
        From `Explanation.why`.
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
    check_table(table, ["family", "contribution", "factor"], "Explanation.why")
    by = "feature" if "feature" in table else "family"
    level, steps = float(table["contribution"].iloc[0]), table.iloc[1:]
    names = [safe_name(name) for name in steps[by]]
    sizes = steps["contribution"].tolist()
    if len(sizes) > _MOST_BARS:
        rest = len(sizes) - _MOST_BARS + 1
        names = [*names[: _MOST_BARS - 1], f"{rest} others"]
        sizes = [*sizes[: _MOST_BARS - 1], sum(sizes[_MOST_BARS - 1 :])]
    ax = axes(ax, width=7.2, height=1.8 + 0.34 * len(sizes))
    ends = level + np.cumsum([0.0, *sizes])
    for place, (size, begin, end) in enumerate(zip(sizes, ends[:-1], ends[1:], strict=True)):
        left, right = np.exp([min(begin, end), max(begin, end)])
        colour, hatch = (_UP, "///") if size > 0 else (_DOWN, None)
        ax.barh(
            place,
            right - left,
            left=left,
            height=0.6,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0,
        )
        ax.annotate(
            f"×{np.exp(size):.2f}", (right, place), xytext=(4, 0), textcoords="offset points", va="center"
        )
    dashed_line(ax, x=np.exp(level))
    ax.axvline(np.exp(ends[-1]), color="black", linewidth=1)
    ax.set_xscale("log")
    ax.margins(x=0.15)
    name_rows(ax, names)
    ax.set_xlabel(
        f"expected count: typical level {np.exp(level):.3g} (dashed) to {np.exp(ends[-1]):.3g} (line)\n"
        f"{_CAUTION}"
    )
    return ax


def factor_ranges(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Range of each family's (or feature's) factors over all places, the strongest on top.

    The line holds nine of ten factors; the dot is the mean size of the contribution, as a factor above 1.

    Parameters
    ----------
    table : DataFrame
        From `Explanation.overview`.
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
    check_table(table, ["family", "mean_abs", "factor_low", "factor_high", "n"], "Explanation.overview")
    by = "feature" if "feature" in table else "family"
    order = np.argsort(-table["mean_abs"].to_numpy(), kind="stable")
    table = table.iloc[order].head(_MOST_BARS * 2)
    ax = axes(ax, height=1.6 + 0.34 * len(table))
    place = np.arange(len(table))
    ax.hlines(place, table["factor_low"], table["factor_high"], color=PALETTE[0], linewidth=4, alpha=0.6)
    ax.plot(np.exp(table["mean_abs"]), place, "o", color="black", markersize=5)
    dashed_line(ax, x=1)
    ax.set_xscale("log")
    name_rows(ax, [safe_name(name) for name in table[by]])
    ax.set_xlabel(f"factor on the expected count\nn = {int(table['n'].max()):,} place-periods; {_CAUTION}")
    return ax


def effect_curve(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Factor of a feature along its values, with its interval.

    Parameters
    ----------
    table : DataFrame
        From `tranquillite_ml.explanation.effect_curve`.
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
    check_table(table, ["feature", "value", "factor", "lower", "upper", "n"], "effect_curve")
    ax = axes(ax)
    ax.fill_between(table["value"], table["lower"], table["upper"], color=PALETTE[0], alpha=0.2, linewidth=0)
    ax.plot(table["value"], table["factor"], marker="o", color=PALETTE[0], markersize=3, linewidth=1.4)
    dashed_line(ax, y=1)
    ax.set_xlabel(
        f"{safe_name(table['feature'].iloc[0])}\n"
        f"n = {int(table['n'].iloc[1:].sum()):,} place-periods; {_CAUTION}"
    )
    ax.set_ylabel("factor on the expected count")
    return ax
