"""Blocks: resamples of four weeks, of the whole city or of a neighbourhood, the same for everything compared.

Weeks share their weather and their holidays, and neighbouring cells their events: resampling cell by cell
would call noise certainty. A figure of the whole city is resampled in blocks of four weeks (Künsch 1989,
circular as in Politis and Romano 1992); what compares groups of places, in blocks of four weeks of one parent
cell, two resolutions up. All groups and models see the same draws, so that their differences are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.grid import to_metres
from tranquillite_ml.grids import open_grid
from tranquillite_ml.hexgrid import HexGrid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csr_matrix

    from tranquillite_ml.audit.selection import Slots
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Intervals

    Totals = Mapping[str, NDArray[np.float64]]
    Statistic = Callable[[Totals], Mapping[str, NDArray[np.float64]]]

_STEPS_UP = 2
_CELLS_A_PARENT = 7**_STEPS_UP
_AT_ONCE = 2_000_000


@dataclass(frozen=True, eq=False)
class Drawn:
    """A statistic of several groups: its value, and its value in each resample.

    Attributes
    ----------
    value : ndarray of float64, shape (n_groups,)
    draws : ndarray of float64, shape (n_draws, n_groups)
    """

    value: NDArray[np.float64]
    draws: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Blocks:
    """How the periods and cells of a backtest are resampled.

    Attributes
    ----------
    week : ndarray of int64, shape (n_periods,)
        Week of each period, from 0; weeks begin on Monday (ISO 8601).
    parent : ndarray of int64, shape (n_cells,)
        Number of each cell's parent.
    length : int
        Weeks in a block.
    n_draws, seed : int
    """

    week: NDArray[np.int64]
    parent: NDArray[np.int64]
    length: int
    n_draws: int
    seed: int

    @classmethod
    def of(cls, slots: Slots, parent: NDArray[np.int64], intervals: Intervals, seed: int) -> Blocks:
        """Blocks of the periods of an audit."""
        return cls(weeks(slots.starts), parent, intervals.block_weeks, intervals.replicates, seed)

    @property
    def n_weeks(self) -> int:
        """Weeks from the first period to the last, filled up to whole blocks."""
        return int(-(-(self.week.max() + 1) // self.length) * self.length)

    @property
    def n_parents(self) -> int:
        """Number of parent cells."""
        return int(self.parent.max()) + 1

    def sums(self, values: ArrayLike, weights: ArrayLike | csr_matrix) -> NDArray[np.float64]:
        """Sums of values by week, parent cell and group.

        Parameters
        ----------
        values : array_like, shape (n_periods, n_cells), or what broadcasts to it
        weights : array_like or csr_matrix, shape (n_cells, n_groups)
            How much of each cell counts for each group.

        Returns
        -------
        ndarray of float64, shape (n_weeks_with_periods · n_parents, n_groups)
        """
        from scipy.sparse import coo_matrix, csr_matrix

        full = np.broadcast_to(np.asarray(values, np.float64), (len(self.week), len(self.parent)))
        used, row = np.unique(self.week, return_inverse=True)
        by_week = csr_matrix((np.ones(len(row)), (row, np.arange(len(row))))) @ full
        entries = coo_matrix(weights)
        n_groups = entries.shape[1]
        column = self.parent[entries.row] * n_groups + entries.col
        spread = csr_matrix(
            (entries.data, (column, entries.row)), shape=(self.n_parents * n_groups, len(self.parent))
        )
        return np.asarray((spread @ by_week.T).T).reshape(len(used) * self.n_parents, n_groups)

    def estimate(self, totals: Totals, statistic: Statistic, *, whole_city: bool = False) -> dict[str, Drawn]:
        """Statistics of totals, and the same of resampled totals.

        Parameters
        ----------
        totals : mapping of str to ndarray of float64
            From `sums`.
        statistic : callable
            Makes named statistics from totals of shape (…, n_groups); works on any leading shape.
        whole_city : bool, default False
            Resample whole weeks; otherwise weeks of one parent cell.
        """
        widths = [part.shape[1] for part in totals.values()]
        stacked = np.hstack(list(totals.values()))
        if whole_city:
            stacked = stacked.reshape(-1, self.n_parents, stacked.shape[1]).sum(axis=1)

        def parted(matrix: NDArray[np.float64]) -> Totals:
            parts = np.split(matrix, np.cumsum(widths)[:-1], axis=-1)
            return dict(zip(totals, parts, strict=True))

        values = statistic(parted(stacked.sum(axis=0)))
        drawn = np.vstack([counts @ stacked for counts in self._counts(1 if whole_city else self.n_parents)])
        draws = statistic(parted(drawn))
        return {name: Drawn(np.asarray(value), np.asarray(draws[name])) for name, value in values.items()}

    def over_weeks(
        self, by_week: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    ) -> Drawn:
        """A statistic of cells, and the same where whole weeks are resampled.

        Parameters
        ----------
        by_week : ndarray of float64, shape (n_weeks_with_periods, n_cells)
        statistic : callable
            Makes values of shape (…, n_values) from sums of shape (…, n_cells).
        """
        values = statistic(by_week.sum(axis=0))
        step = max(1, _AT_ONCE // by_week.shape[1])
        drawn = [
            statistic(counts[begin : begin + step] @ by_week)
            for counts in self._counts(1)
            for begin in range(0, len(counts), step)
        ]
        return Drawn(np.asarray(values), np.vstack(drawn))

    def _counts(self, n_places: int) -> Iterator[NDArray[np.float64]]:
        """How often each week of each place comes in each resample, some resamples at a time."""
        rng = np.random.default_rng(self.seed)
        used = np.unique(self.week)
        units, n_blocks = self.n_weeks * n_places, self.n_weeks // self.length * n_places
        step = max(1, _AT_ONCE // units)
        for begin in range(0, self.n_draws, step):
            n = min(step, self.n_draws - begin)
            starts = rng.integers(units, size=(n, n_blocks)) + units * np.arange(n)[:, None]
            first = np.bincount(starts.ravel(), minlength=n * units).reshape(n, self.n_weeks, n_places)
            counts = sum((np.roll(first, lag, axis=1) for lag in range(1, self.length)), start=first)
            yield counts[:, used].reshape(n, -1).astype(np.float64)

    def n_blocks(self, sums: NDArray[np.float64] | None = None) -> NDArray[np.int64]:
        """Blocks that hold anything of each group, shape (n_groups,); without sums, blocks of whole weeks."""
        block = np.unique(self.week) // self.length
        if sums is None:
            return np.array([len(np.unique(block))])
        there = sums.reshape(len(block), self.n_parents, -1) != 0
        begins = np.flatnonzero(np.r_[True, block[1:] != block[:-1]])
        return np.asarray(np.logical_or.reduceat(there, begins, axis=0).sum(axis=(0, 1)))


def weeks(starts: pd.DatetimeIndex) -> NDArray[np.int64]:
    """ISO week of each local time, counted from the first.

    Examples
    --------
    >>> weeks(pd.DatetimeIndex(["2024-01-07", "2024-01-08", "2024-01-14", "2024-01-15"])).tolist()
    [0, 1, 1, 2]
    """
    days = ((starts - pd.Timestamp("1970-01-01")) // pd.Timedelta(days=1)).to_numpy(np.int64)
    monday = (days + 3) // 7  # 1970 began on a Thursday
    return np.asarray(monday - monday.min())


def parents_of(forecasts: Forecasts) -> NDArray[np.int64]:
    """Number of each cell's parent two resolutions up; on other grids, of a square of 49 mean cells.

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> disk = HexGrid(["893968152bbffff"]).dilated(4)
    >>> seen = Forecasts(pd.DataFrame({"model": [], "category": [], "cutoff": [], "horizon": []}), disk.cells,
    ...     disk.area_km2, {"expected_count": np.zeros((0, disk.n_cells))}, {"grid": disk.to_dict()})
    >>> disk.n_cells, len(np.unique(parents_of(seen)))
    (61, 4)
    """
    grid = open_grid(forecasts.meta.get("grid"), forecasts.cells)
    if isinstance(grid, HexGrid):
        return grid.parents(max(grid.resolution - _STEPS_UP, 0))[1]
    side = 1000 * np.sqrt(_CELLS_A_PARENT * grid.area_km2.mean())
    south, west = grid.centres.min(axis=0)
    plane = to_metres(grid.centres[:, 0], grid.centres[:, 1], around=(float(south), float(west)))
    _, codes = np.unique((plane // side).astype(np.int64), axis=0, return_inverse=True)
    return np.asarray(codes.reshape(-1), dtype=np.int64)
