"""What a panel holds, looked at: counts and records of some categories, and what was recorded outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import UsageError, nearest
from tranquillite_ml.governance.names import is_enforcement
from tranquillite_ml.records import COLUMNS, Records, aggregate, no_entries

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from tranquillite_ml.grid import Grid
    from tranquillite_ml.timebins import TimeBins

OUTSIDE = -1


class Counted:
    """Counts by category, time bin and cell, to be looked at; `Panel` makes and keeps them."""

    def __init__(
        self,
        grid: Grid,
        bins: TimeBins,
        categories: Iterable[str],
        origins: Mapping[str, str],
        arrays: Mapping[str, NDArray[Any]],
        *,
        moved: Mapping[str, NDArray[Any]] | None = None,
        keys: NDArray[np.uint64] | None = None,
        outside: NDArray[np.uint64] | None = None,
    ) -> None:
        self.grid = grid
        self.bins = bins
        self.categories = tuple(categories)
        self.origins = {name: origins.get(name, "unknown") for name in self.categories}
        self._arrays = {name: arrays[name] for name in COLUMNS}
        self._moved = no_entries(np.float64) if moved is None else {name: moved[name] for name in COLUMNS}
        self._keys = np.array([], dtype=np.uint64) if keys is None else keys
        self._outside = np.array([], dtype=np.uint64) if outside is None else outside
        self._starts = np.searchsorted(self._arrays["category"], np.arange(len(self.categories) + 1))

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.grid.n_cells

    @property
    def n_bins(self) -> int:
        """Number of time bins."""
        return self.bins.n_bins

    @property
    def outside_bins(self) -> int:
        """Incidents that lie before the first bin or after the last."""
        return len(self._outside)

    @property
    def n_moved(self) -> int:
        """Entries by which uncertain times change the counts for features; 0 if all times are certain."""
        return len(self._moved["count"])

    @property
    def funnel(self) -> dict[str, int]:
        """``accepted = in_panel + outside_grid + outside_bins``, in incidents."""
        count = self._arrays["count"]
        outside = int(count[self._arrays["cell"] == OUTSIDE].sum())
        inside = int(count.sum()) - outside
        return {
            "accepted": inside + outside + self.outside_bins,
            "in_panel": inside,
            "outside_grid": outside,
            "outside_bins": self.outside_bins,
        }

    def index_at(self, cutoff: int | str | pd.Timestamp) -> int:
        """Number of bins before a cutoff.

        Raises
        ------
        UsageError
            If the cutoff is not an edge, or lies outside the panel.
        """
        end = int(cutoff) if isinstance(cutoff, int | np.integer) else self.bins.index_at(cutoff)
        if not 0 <= end <= self.n_bins:
            msg = f"cutoff {cutoff} lies outside the panel ({self.bins.first} to {self.bins.end})."
            raise UsageError(msg)
        return end

    def check_categories(self, categories: str | Iterable[str]) -> list[str]:
        """Give the categories as a list, if the panel holds them all.

        Raises
        ------
        UsageError
            If one is unknown.
        """
        wanted = [categories] if isinstance(categories, str) else list(categories)
        for name in wanted:
            if name not in self.categories:
                msg = (
                    f"the panel holds no category {name!r}.{nearest(name, self.categories)} "
                    f"It holds {list(self.categories)}."
                )
                raise UsageError(msg)
        return wanted

    def records(self, categories: str | Iterable[str]) -> Records:
        """Records of some categories, those outside the grid included (cell −1)."""
        numbers = sorted(self.categories.index(name) for name in self.check_categories(categories))
        parts = [slice(self._starts[n], self._starts[n + 1]) for n in numbers]
        columns = [
            np.concatenate(
                [np.asarray(self._arrays[name][part]) for part in parts] or [np.empty(0, np.int32)]
            )
            for name in ("bin", "cell", "known", "count")
        ]
        return Records(*(column.astype(np.int32, copy=False) for column in columns))

    def weighted(self, categories: str | Iterable[str]) -> Records:
        """Records of some categories with uncertain times spread over bins: what features are made of.

        The same as `records` where all times are certain.
        """
        numbers = [self.categories.index(name) for name in self.check_categories(categories)]
        moved = np.isin(self._moved["category"], numbers) & (self._moved["bin"] < self.n_bins)
        found = self.records(categories)
        if not moved.any():
            return found
        merged = {
            name: np.concatenate([getattr(found, name), self._moved[name][moved]]) for name in COLUMNS[1:]
        }
        merged = aggregate({"category": np.zeros(len(merged["bin"]), dtype=np.int32), **merged})
        return Records(*(merged[name] for name in COLUMNS[1:]))

    def counts(
        self, categories: str | Iterable[str], begin: int = 0, end: int | None = None
    ) -> NDArray[np.int32]:
        """Counts inside the grid as a dense array, shape (end − begin, n_cells); categories are summed."""
        end = self.n_bins if end is None else end
        found = self.records(categories)
        found = found.where((found.cell >= 0) & (found.bin >= begin) & (found.bin < end))
        flat = (found.bin.astype(np.int64) - begin) * self.n_cells + found.cell
        dense = np.bincount(flat, weights=found.count, minlength=(end - begin) * self.n_cells)
        return dense.astype(np.int32).reshape(end - begin, self.n_cells)

    def outside(self, categories: str | Iterable[str], begin: int, end: int) -> int:
        """Incidents recorded outside the grid from bin `begin` up to bin `end`."""
        found = self.records(categories)
        mask = (found.cell == OUTSIDE) & (found.bin >= begin) & (found.bin < end)
        return int(found.count[mask].sum())

    def trainable(self, *, besides: str) -> list[str]:
        """Categories that may serve as context features of another one: citizen or sensor origin.

        A category whose name says that its records follow enforcement never may, whatever its origin.
        """
        return [
            name
            for name in self.categories
            if name != besides and self.origins[name] in {"citizen", "sensor"} and not is_enforcement(name)
        ]
