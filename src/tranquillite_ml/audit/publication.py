"""C19: whether what is to be published tells a count that must stay hidden."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.attack import told_apart
from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Definition, Finding
from tranquillite_ml.audit.guards import finer_than
from tranquillite_ml.audit.suppression import Rules, suppress
from tranquillite_ml.errors import InputDataError
from tranquillite_ml.hexgrid import HexGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.panel import Panel

__all__ = ["DEFINITIONS", "PUBLISHED", "Rules", "publishable", "suppress"]

PUBLISHED = {
    "category": "class of incident",
    "period_start": "first moment counted, local, an edge of a bin",
    "period_end": "first moment no longer counted",
    "cells": "names of the cells that the number covers, with spaces between",
    "incidents": "the number that is published; missing if it is withheld",
}
"""Columns of the evidence ``published``: a table, or the path of a CSV. Every number published is a row."""

NO_HOUSEHOLDS = {
    "en": "the households of the areas were not given, so that small places cannot be told",
    "fr": "les ménages des zones ne sont pas fournis : on ne peut reconnaître les petits lieux",
}


def rules_of(thresholds: Thresholds) -> Rules:
    """Rules of suppression as the thresholds state them.

    Examples
    --------
    >>> from tranquillite_ml.governance import load_thresholds
    >>> rules_of(load_thresholds())
    Rules(min_incidents=5, min_households=11, round_to=5)
    """
    return Rules(
        *(int(thresholds.setting("C19", name)) for name in ("min_incidents", "min_households", "round_to"))
    )


def publishable(
    panel: Panel, category: str, begin: int, end: int, *, households: Any = None, rules: Rules | None = None
) -> pd.DataFrame:
    """Recorded incidents of a category from one bin to another, as they may be published.

    Parameters
    ----------
    panel : Panel
    category : str
    begin, end : int
        Bins.
    households : array_like, shape (n_cells,), optional
        Without them nothing finer than resolution 8 is published.
    rules : Rules, optional

    Returns
    -------
    DataFrame
        ``category, period_start, period_end``, and the columns of `suppress`.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> city = simulate_city(seed=0, days=200, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, city.bins("1D"))
    >>> found = publishable(panel, "noise", 0, 200, households=np.full(panel.n_cells, 50))
    >>> bool((found["incidents"] % 5 == 0).all()), int(found["n_cells"].sum()) == panel.n_cells
    (True, True)
    """
    names = panel.grid.names()
    counts = panel.counts(category, begin, end).sum(axis=0)
    homes = None if households is None else dict(zip(names, np.asarray(households, np.float64), strict=True))
    table = pd.DataFrame({"cell": names, "count": counts})
    found = suppress(
        table, homes, dict(zip(names, _areas(panel, alone=homes is not None), strict=True)), rules=rules
    )
    edges = panel.bins.wall_edges[[begin, end]]
    for place, (name, edge) in enumerate(zip(("period_start", "period_end"), edges, strict=True)):
        found.insert(place, name, edge)
    found.insert(0, "category", category)
    return found


def _areas(panel: Panel, *, alone: bool, coarse: int = 8) -> list[str]:
    """Area of each cell: its parent; where cells are never published alone, of resolution 8 or coarser."""
    grid = panel.grid
    if not isinstance(grid, HexGrid):
        return ["city"] * grid.n_cells
    level = max(grid.resolution - 1, 0)
    parents, number = grid.parents(level if alone else min(level, coarse))
    return [format(parents[k], "x") for k in number]


# ---------------------------------------------------------------------- the attack


def suppression(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Attack what is to be published by differences between areas and between periods (C19).

    Hidden are the cells with too few incidents or households. Every published number bounds a sum of them;
    the city's total in each period is taken as known exactly. A cell is recoverable if these bounds leave one
    number. What is published alone although it should be hidden counts, too.
    """
    if evidence.panel is None:  # pragma: no cover - the definition asks for it
        return Finding([])
    rules = rules_of(thresholds)
    published = read_published(evidence.records["published"], evidence.panel)
    homes = None if evidence.groups is None else evidence.groups.on(forecasts.cells).households
    coarse = int(thresholds.setting("C19", "finest_resolution_without_households"))
    small = finer_than(forecasts, coarse) if homes is None else homes < rules.min_households
    rows, shown = [], published[published["incidents"].notna()]
    for category, table in shown.groupby("category", sort=False):
        rows += _Board(evidence.panel, str(category), table, small, rules).attacked()
    told = pd.DataFrame(
        rows, columns=["category", "period_start", "period_end", "cell", "hidden", "recoverable"]
    )
    n_told = int(told["recoverable"].sum())
    value = float(n_told) if homes is not None or n_told else math.nan
    withheld = published["incidents"].isna().sum()
    measurements = [
        Measurement(
            "recoverable_cells", value, "cells", n=int(told["hidden"].sum()), unit_of_n="hidden cells"
        ),
        Measurement("published_numbers", float(len(shown)), "numbers"),
        Measurement("withheld_numbers", float(withheld), "numbers"),
    ]
    method = (
        f"Hidden: fewer than {rules.min_incidents} incidents or {rules.min_households} households. Bounds of "
        "each published number, rounding undone, solved for each hidden cell by whole-number programmes."
    )
    listed = told.loc[told["recoverable"], ["category", "period_start", "period_end", "cell"]]
    tables = {"recoverable": listed.reset_index(drop=True)}
    return Finding(measurements, method, NO_HOUSEHOLDS if homes is None else {"en": "", "fr": ""}, tables)


def read_published(given: Any, panel: Panel) -> pd.DataFrame:
    """The published numbers, checked; with ``begin`` and ``end`` (bins) and ``rows`` (of the grid).

    Raises
    ------
    InputDataError
        If columns are missing, a cell or moment is unknown, or a number is no whole number of at least 0.
    """
    table = pd.read_csv(given) if isinstance(given, str | Path) else pd.DataFrame(given).copy()
    missing = [name for name in PUBLISHED if name not in table]
    if missing:
        msg = f"published numbers need the columns {list(PUBLISHED)}; {missing} are missing."
        raise InputDataError(msg)
    numbers = pd.to_numeric(table["incidents"], errors="coerce").astype(np.float64)
    if (table["incidents"].notna() & ~((numbers >= 0) & (numbers == np.floor(numbers)))).any():
        msg = "published incidents must be whole numbers of at least 0, or missing."
        raise InputDataError(msg)
    place = {name: row for row, name in enumerate(panel.grid.names().tolist())}
    rows = []
    for text in table["cells"].astype(str):
        names = text.split()
        unknown = [name for name in names if name not in place]
        if unknown or not names:
            msg = f"published numbers cover cells of the panel; {(unknown or [text])[0][:40]!r} is none."
            raise InputDataError(msg)
        rows.append(np.array([place[name] for name in names]))
    for name in dict.fromkeys(table["category"].astype(str)):
        panel.check_categories(name)
    begin, end = (
        [panel.index_at(_moment(value)) for value in table[name]] for name in ("period_start", "period_end")
    )
    return table.assign(incidents=numbers, rows=rows, begin=begin, end=end)


def _moment(value: Any) -> Any:
    moment = pd.Timestamp(value)
    return moment.tz_localize(None) if moment.tz is not None else moment


@dataclass(frozen=True, eq=False)
class _Board:
    """What an attacker looks at, and what is true: the numbers of one category."""

    panel: Panel
    category: str
    table: pd.DataFrame
    small: NDArray[np.bool_]
    rules: Rules

    def attacked(self) -> list[tuple[Any, ...]]:
        """Each window on its own, and, where windows overlap, what lies between their edges."""
        windows = self.table[["begin", "end"]].drop_duplicates().sort_values(["begin", "end"]).to_numpy()
        found = []
        for begin, end in windows:
            mine = self.table[(self.table["begin"] == begin) & (self.table["end"] == end)]
            found += self._solved(mine, np.array([begin, end]))
        if (windows[1:, 0] < np.maximum.accumulate(windows[:, 1])[:-1]).any():
            found += self._solved(self.table, np.unique(windows))
        return found

    def _solved(self, table: pd.DataFrame, edges: NDArray[np.int64]) -> list[tuple[Any, ...]]:
        """Every hidden cell between two edges, and whether it can be told all the same."""
        counts = [self.panel.counts(self.category, a, b).sum(axis=0) for a, b in pairwise(edges)]
        truth = np.stack(counts)
        hidden = (truth >= 1) & ((truth < self.rules.min_incidents) | self.small)
        sums, lower, upper = self._statements(table, edges, truth)
        told = told_apart(sums, lower, upper, hidden.ravel()).reshape(truth.shape)
        told |= _published_alone(table, edges, truth.shape) & hidden
        names, walls = self.panel.grid.names(), self.panel.bins.wall_edges
        part, cell = np.nonzero(hidden)
        return [
            (self.category, walls[edges[p]], walls[edges[p + 1]], names[c], True, bool(told[p, c]))
            for p, c in zip(part.tolist(), cell.tolist(), strict=True)
        ]

    def _statements(
        self, table: pd.DataFrame, edges: NDArray[np.int64], truth: NDArray[Any]
    ) -> tuple[csr_matrix, NDArray[np.float64], NDArray[np.float64]]:
        """What the published numbers say of sums over cells and parts of time; the totals, exactly."""
        from scipy.sparse import csr_matrix

        fewest, n_cells = self.rules.min_incidents, self.panel.n_cells
        reach = self._reach(table, edges, truth)
        members, lower, upper = [], [], []
        for row in table.itertuples():
            parts = np.flatnonzero((edges[:-1] >= row.begin) & (edges[1:] <= row.end))
            members.append((parts[:, None] * n_cells + row.rows).ravel())
            # A reader knows the rule: what is published has at least so many incidents.
            lower.append(max(row.incidents - reach, fewest if row.incidents >= fewest else 0))
            upper.append(row.incidents + reach)
        for begin, end in table[["begin", "end"]].drop_duplicates().to_numpy():
            parts = np.flatnonzero((edges[:-1] >= begin) & (edges[1:] <= end))
            members.append((parts[:, None] * n_cells + np.arange(n_cells)).ravel())
            lower.append(float(truth[parts].sum()))
            upper.append(float(truth[parts].sum()))
        ends = np.concatenate([[0], np.cumsum([len(part) for part in members])])
        held = np.concatenate(members)
        sums = csr_matrix((np.ones(len(held)), held, ends), shape=(len(members), truth.size))
        return sums, np.array(lower, dtype=np.float64), np.array(upper, dtype=np.float64)

    def _reach(self, table: pd.DataFrame, edges: NDArray[np.int64], truth: NDArray[Any]) -> int:
        """How far a published number can lie from the true one: 0 if the table was not rounded."""
        numbers = table["incidents"].to_numpy()
        sums = [
            truth[(edges[:-1] >= row.begin) & (edges[1:] <= row.end)][:, row.rows].sum()
            for row in table.itertuples()
        ]
        rounded = (numbers % self.rules.round_to == 0).all() and (numbers != np.array(sums)).any()
        return self.rules.round_to // 2 if rounded else 0


def _published_alone(
    table: pd.DataFrame, edges: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Cells that have a number of their own for exactly one part: hidden by rule, yet published."""
    alone = np.zeros(shape, dtype=bool)
    for row in table.itertuples():
        parts = np.flatnonzero((edges[:-1] >= row.begin) & (edges[1:] <= row.end))
        if len(row.rows) == 1 and len(parts) == 1:
            alone[parts[0], row.rows[0]] = True
    return alone


DEFINITIONS = (Definition("C19", ("panel", "published"), suppression, slow=True),)
