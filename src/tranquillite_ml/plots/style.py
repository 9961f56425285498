"""What all plots share: axes, colours fit for colour-blind readers, safe names, numbers of cases."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tranquillite_ml.errors import UsageError, check_kind

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", ":")
GREY = "#6E6E6E"
DASHED = (0, (4, 3))
_LONGEST_NAME = 40


def axes(ax: Axes | None, *, width: float = 6.4, height: float = 4.2) -> Axes:
    """Axes to draw on: those given, or those of a new pyplot figure, which a notebook shows by itself."""
    from matplotlib.axes import Axes

    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    check_kind(ax, Axes, "ax", "Without it, the plot makes its own.")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, color="#E4E4E4", linewidth=0.6)
    ax.set_axisbelow(True)
    return ax


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """One row a name, the first on top; names as `safe_name` gives them."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")


def dashed_line(
    ax: Axes, *, x: float | None = None, y: float | None = None, label: str | None = None
) -> None:
    """Draw a dashed line at the value that others are read against: chance, no effect, the stated level."""
    look: dict[str, Any] = {"color": GREY, "linestyle": DASHED, "linewidth": 1, "label": label}
    if x is not None:
        ax.axvline(x, **look)
    if y is not None:
        ax.axhline(y, **look)


def safe_name(name: object) -> str:
    r"""Give a name from data as matplotlib shows it unchanged: no mathematics, no hiding, not too long.

    Examples
    --------
    >>> safe_name("$x^2$ over\n_all_")
    '\\$x^2\\$ over _all_'
    >>> safe_name("_private")  # matplotlib leaves names with a leading underscore out of legends
    ' _private'
    """
    text = " ".join(str(name).split())
    text = text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def group_names(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """One name a row, made of its keys: ``model``, or ``model · category``.

    Examples
    --------
    >>> import pandas as pd
    >>> group_names(pd.DataFrame({"model": ["a"], "category": ["noise"]}), ["model", "category"])
    ['a · noise']
    """
    keys = table[list(columns)].itertuples(index=False, name=None)
    return [" · ".join(_key(part) for part in key) for key in keys]


def _key(value: Any) -> str:
    return f"{value:%Y-%m-%d}" if hasattr(value, "strftime") else str(value)


def styles(names: Iterable[Hashable]) -> dict[Hashable, dict[str, Any]]:
    """Colour, marker and dashes of each name, in the order in which names come.

    Examples
    --------
    >>> styles(["a", "b"])["b"]
    {'color': '#D55E00', 'marker': 's', 'linestyle': '-'}
    """
    found = {}
    for number, name in enumerate(dict.fromkeys(names)):
        turn, place = divmod(number, len(PALETTE))
        found[name] = {
            "color": PALETTE[place],
            "marker": MARKERS[place],
            "linestyle": DASHES[turn % len(DASHES)],
        }
    return found


def check_table(table: pd.DataFrame, columns: Iterable[str], maker: str) -> None:
    """Refuse what is no table, lacks columns, or has no rows, and name the function that makes the right one.

    Raises
    ------
    UsageError
        If it is no table, a column is missing or there is no row.
    """
    if not hasattr(table, "columns"):
        msg = f"this plot takes the table of {maker}, got {type(table).__name__}."
        raise UsageError(msg)
    missing = [name for name in columns if name not in table]
    if missing:
        msg = f"this plot takes the table of {maker}; the one given lacks {missing}."
        raise UsageError(msg)
    if len(table) == 0:
        msg = f"the table of {maker} has no rows: there is nothing to plot."
        raise UsageError(msg)


def cases(table: pd.DataFrame, *parts: tuple[str, str], interval: str | None = None) -> str:
    """Numbers of cases in words, as a range where rows differ, and why there is no interval if there is none.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"n_incidents": [1200, 1200], "n_folds": [1, 13]})
    >>> cases(table, ("n_incidents", "incidents"), ("n_folds", "folds"))
    'n = 1,200 incidents, 1–13 folds'
    """
    words = []
    for column, noun in parts:
        low, high = int(table[column].min()), int(table[column].max())
        unit = noun.removesuffix("s") if high == 1 else noun
        words.append(f"{low:,} {unit}" if low == high else f"{low:,}–{high:,} {unit}")
    reason = "; too few folds for intervals" if interval and table[interval].isna().all() else ""
    return f"n = {', '.join(words)}{reason}"


def legend_beside(ax: Axes, *, title: str | None = None) -> None:
    """Put the legend to the right of the axes, where it hides nothing."""
    ax.legend(
        title=title,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        frameon=False,
        fontsize="small",
        borderaxespad=0,
    )
