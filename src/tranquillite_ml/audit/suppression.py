"""What may be published of small numbers, and the attack that tries to undo it.

A count of few incidents in a small place can point at somebody. What is published is therefore a partition:
cells with enough incidents and households on their own, all others summed with their neighbours until there
are enough. Nothing is published twice at two levels, so that no difference of published numbers gives a cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

ALONE, REST, EVERYWHERE = "cell", "rest of an area", "rest of the city"
PUBLISHED_COLUMNS = ("unit", "level", "n_cells", "cells", "incidents")


@dataclass(frozen=True)
class Rules:
    """What a number must rest on to be published.

    Attributes
    ----------
    min_incidents, min_households : int
        Fewest incidents and households of a published unit.
    round_to : int
        Published numbers are rounded to multiples of this odd number; 1 leaves them.
    """

    min_incidents: int = 5
    min_households: int = 11
    round_to: int = 5

    def __post_init__(self) -> None:
        if min(self.min_incidents, self.min_households, self.round_to) < 1 or self.round_to % 2 == 0:
            msg = f"rules are numbers of at least 1, and round_to is odd: nothing is halfway; got {self}."
            raise UsageError(msg)

    def rounded(self, counts: ArrayLike) -> NDArray[np.int64]:
        """Counts rounded to the nearest multiple.

        Examples
        --------
        >>> Rules().rounded([7, 8, 12]).tolist()
        [5, 10, 10]
        """
        return np.asarray(
            (np.asarray(counts, np.int64) + self.round_to // 2) // self.round_to * self.round_to
        )


def suppress(
    table: pd.DataFrame,
    households: Mapping[str, float] | None,
    parents: Mapping[str, Any],
    *,
    by: Sequence[str] = (),
    rules: Rules | None = None,
) -> pd.DataFrame:
    """Give what may be published of counts: cells with enough, all others summed with their neighbours.

    Parameters
    ----------
    table : DataFrame
        ``cell, count``, one row a cell for each value of `by`, such as category and period. Cells without
        incident must be there: they are part of the area.
    households : mapping of cell to number, or None
        If they are not known, no cell is published on its own: choose `parents` large enough.
    parents : mapping of cell to any value
        The area within which a cell is summed with others, such as its parent cell.
    by : sequence of str
        Columns that tell tables apart. Where their periods overlap, C19 attacks their differences.
    rules : Rules, optional

    Returns
    -------
    DataFrame
        The columns `by`, ``unit`` (cell, or area), ``level`` (a cell, the rest of an area, the rest of the
        city), ``n_cells``, ``cells`` (their names, with spaces between), ``incidents`` (rounded; missing
        where even the whole city has too few).

    Raises
    ------
    InputDataError
        If a cell repeats, has no parent, or a count is not a whole number of at least 0.

    Notes
    -----
    Primary suppression: fewer incidents or households than the rules ask for. Complementary suppression:
    where the rest of an area has too few, or is one cell, the published cell with the fewest incidents joins
    it; where the whole area has too few, it joins the rest of the city in the same way.

    Examples
    --------
    >>> table = pd.DataFrame({"cell": list("abcd"), "count": [12, 1, 9, 4]})
    >>> found = suppress(table, dict.fromkeys("abcd", 40), {"a": 1, "b": 1, "c": 2, "d": 2})
    >>> found[["unit", "cells", "incidents"]].values.tolist()
    [['1', 'a b', 15], ['2', 'c d', 15]]
    """
    _check_table(table, parents, list(by))
    asked = Rules() if rules is None else rules
    parts = []
    tables = table.groupby(list(by), sort=False, observed=True) if by else [((), table)]
    for key, part in tables:
        units = _published(part, households, parents, asked)
        parts.append(units.assign(**dict(zip(by, key, strict=True))))
    found = pd.concat(parts, ignore_index=True)
    return found[[*by, *PUBLISHED_COLUMNS]].astype({"incidents": "Int64"})


def _published(
    part: pd.DataFrame, households: Mapping[str, float] | None, parents: Mapping[str, Any], rules: Rules
) -> pd.DataFrame:
    names = part["cell"].astype(str).to_numpy(dtype=object)
    counts = part["count"].to_numpy(dtype=np.int64)
    homes = None if households is None else np.array([float(households.get(name, 0)) for name in names])
    areas, labels = pd.factorize(pd.Series([str(parents[name]) for name in names]))
    unit = partition(counts, homes, areas, rules)
    rows = []
    for number in pd.unique(unit):
        mine = np.flatnonzero(unit == number)
        level = ALONE if len(mine) == 1 and homes is not None else REST
        level = EVERYWHERE if len(np.unique(areas[mine])) > 1 else level
        label = {ALONE: names[mine[0]], REST: labels[areas[mine[0]]], EVERYWHERE: ""}[level]
        n = int(counts[mine].sum())
        enough = _enough(n, None if homes is None else homes[mine].sum(), rules)
        enough &= len(mine) > 1 or homes is not None
        shown = int(rules.rounded(n)) if enough else None
        rows.append((label, level, len(mine), " ".join(names[mine]), shown))
    return pd.DataFrame(rows, columns=list(PUBLISHED_COLUMNS))


def partition(
    counts: NDArray[np.int64],
    households: NDArray[np.float64] | None,
    areas: NDArray[np.int64],
    rules: Rules,
) -> NDArray[np.int64]:
    """Number of the unit in which each cell is published, shape (n_cells,); see `suppress`.

    Examples
    --------
    >>> homes = np.full(5, 20.0)
    >>> partition(np.array([9, 8, 3, 1, 0]), homes, np.array([0, 0, 0, 1, 1]), Rules()).tolist()
    [0, 1, 1, 0, 0]
    """
    alone = np.zeros(len(counts), dtype=bool)
    if households is not None:
        alone = (counts >= rules.min_incidents) & (households >= rules.min_households)
    # Units of each area: its published cells, and its rest, -1 while it has too few.
    unit = np.where(alone, 1 + np.arange(len(counts)), -1)
    for area in np.unique(areas):
        mine = np.flatnonzero(areas == area)
        if _complete(unit, mine, counts, households, rules):
            unit[mine[unit[mine] == -1]] = 1 + len(counts) + area
    everything = np.arange(len(counts))
    _complete_city(unit, everything, counts, households, rules)
    unit[unit == -1] = 0
    return np.asarray(pd.factorize(unit, sort=True)[0], dtype=np.int64)


def _complete(
    unit: NDArray[np.int64],
    mine: NDArray[np.int64],
    counts: NDArray[np.int64],
    households: NDArray[np.float64] | None,
    rules: Rules,
) -> bool:
    """Let published cells of an area join its rest, the fewest incidents first, until it has enough."""
    joining = mine[unit[mine] != -1]
    joining = joining[np.argsort(counts[joining], kind="stable")]
    for number in range(len(joining) + 1):
        rest = mine[unit[mine] == -1]
        if len(rest) == 0 or _holds(rest, counts, households, rules):
            return True
        if number < len(joining):
            unit[joining[number]] = -1
    return False


def _complete_city(
    unit: NDArray[np.int64],
    everything: NDArray[np.int64],
    counts: NDArray[np.int64],
    households: NDArray[np.float64] | None,
    rules: Rules,
) -> None:
    """Let whole units join the rest of the city, the fewest incidents first, until it has enough."""
    while True:
        rest = everything[unit == -1]
        others = np.unique(unit[unit != -1])
        if len(rest) == 0 or len(others) == 0 or _holds(rest, counts, households, rules):
            return
        totals = np.array([counts[unit == number].sum() for number in others])
        unit[unit == others[np.argmin(totals)]] = -1


def _holds(
    rest: NDArray[np.int64],
    counts: NDArray[np.int64],
    households: NDArray[np.float64] | None,
    rules: Rules,
) -> bool:
    homes = None if households is None else float(households[rest].sum())
    return len(rest) > 1 and _enough(int(counts[rest].sum()), homes, rules)


def _enough(incidents: int, households: float | None, rules: Rules) -> bool:
    return incidents >= rules.min_incidents and (households is None or households >= rules.min_households)


def _check_table(table: pd.DataFrame, parents: Mapping[str, Any], by: list[str]) -> None:
    missing = [name for name in ("cell", "count", *by) if name not in table]
    if missing or len(table) == 0:
        msg = (
            f"suppress needs rows with the columns cell, count and {by}; {missing or 'all rows'} are missing."
        )
        raise InputDataError(msg)
    counts = pd.to_numeric(table["count"], errors="coerce").to_numpy(dtype=np.float64)
    if not (np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))).all():
        msg = "counts must be whole numbers of at least 0: what is published is recorded incidents."
        raise InputDataError(msg)
    if table.duplicated([*by, "cell"]).any():
        first = table.loc[table.duplicated([*by, "cell"]), "cell"].iloc[0]
        msg = f"each cell may come once; {str(first)[:40]!r} repeats."
        raise InputDataError(msg)
    orphans = [name for name in table["cell"].unique() if name not in parents]
    if orphans:
        msg = f"{len(orphans)} cells have no parent (first: {str(orphans[0])[:40]!r})."
        raise InputDataError(msg)
