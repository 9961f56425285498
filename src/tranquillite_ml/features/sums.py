"""Sums of records as they were known at each of many rows: the engine under every feature.

With ``B[t]`` the count of records that occurred before bin t, a window is ``B[t] − B[t − W]`` minus what was
not yet reported at t. The records still *pending* at a row are few, so they are kept as a list and taken off:
late reports cost what they are, not another pass over the history.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.features.reporting import KnownShare, shares_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.grid import Grid
    from tranquillite_ml.records import Records

FEW_ROWS = 64


class Known:
    """Running sums over the records of some categories, as they were known at any row.

    Parameters
    ----------
    records : Records
    n_bins : int
    grid : Grid
    """

    def __init__(self, records: Records, n_bins: int, grid: Grid) -> None:
        self.records = records.where(records.cell >= 0)
        self.n_bins = n_bins
        self.grid = grid
        self.n_cells = grid.n_cells
        # Uncertain times give real counts, whole multiples of 2⁻³⁰: float64 holds their sums exactly.
        self.dtype = np.float64 if self.records.count.dtype == np.float64 else np.float32
        late = self.records.known > self.records.bin + 1
        self.late = self.records.where(late) if late.any() else None
        self.max_delay = int((self.late.known - self.late.bin - 1).max()) if self.late else 0
        self._cumulated: NDArray[Any] | None = None
        self._shares: KnownShare | None = None
        self._last_ring: tuple[int, NDArray[Any]] | None = None

    # ------------------------------------------------------------------ primitives

    @property
    def cumulated(self) -> NDArray[Any]:
        """Records that occurred before each bin, shape (n_bins + 1, n_cells); exact below 2²⁴."""
        if self._cumulated is None:
            flat = (self.records.bin.astype(np.int64) + 1) * self.n_cells + self.records.cell
            dense = np.zeros((self.n_bins + 1) * self.n_cells, dtype=self.dtype)
            np.add.at(dense, flat, self.records.count.astype(self.dtype))
            self._cumulated = dense.reshape(self.n_bins + 1, self.n_cells)
            # Row upon row reads memory in order; `cumsum` along the first axis takes several times as long.
            for before, row in pairwise(self._cumulated):
                np.add(row, before, out=row)
        return self._cumulated

    @cached_property
    def _by_known(self) -> NDArray[np.int64]:
        """Order in which the records became known."""
        return np.argsort(self.records.known, kind="stable")

    def _ring_sums(self, ring: int) -> NDArray[Any]:
        """`cumulated`, summed over a ring; only the last ring asked for is kept."""
        if ring == 0:
            return self.cumulated
        if self._last_ring is None or self._last_ring[0] != ring:
            self._last_ring = (ring, self._spread(self.cumulated, ring))
        return self._last_ring[1]

    def spread(self, dense: NDArray[Any], ring: int) -> NDArray[Any]:
        """Sum of each cell's ring-k neighbours, for every row of a dense array."""
        return dense if ring == 0 else self._spread(dense, ring).astype(np.float32, copy=False)

    def _spread(self, dense: NDArray[Any], ring: int) -> NDArray[Any]:
        if ring == 0:
            return dense
        spread = self.grid.ring(ring) @ np.ascontiguousarray(dense.T)
        return np.ascontiguousarray(spread.T, dtype=self.dtype)

    def pending(
        self, rows: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64]
    ) -> NDArray[Any]:
        """Records of bins begin … end − 1 not yet known at each row, shape (n_rows, n_cells)."""
        out = np.zeros((len(rows), self.n_cells), dtype=self.dtype)
        if self.late is None:
            return out
        late = self.late
        # A late record is pending at the rows t with bin < t < known; rows are ascending.
        first = np.searchsorted(rows, late.bin, side="right")
        last = np.searchsorted(rows, late.known, side="left")
        repeats = np.maximum(last - first, 0)
        which = np.repeat(np.arange(len(late)), repeats)
        offset = np.arange(len(which)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        row = first[which] + offset
        hit = (late.bin[which] >= begin[row]) & (late.bin[which] < end[row])
        flat = row[hit] * self.n_cells + late.cell[which][hit]
        weights = late.count[which][hit]
        dense = np.bincount(flat, weights=weights, minlength=out.size)
        return dense.astype(self.dtype).reshape(out.shape)

    def shares(self, bins_per_day: float) -> KnownShare:
        """How much of each age is usually known, made once."""
        if self._shares is None:
            self._shares = shares_of(self.records, self.n_bins, bins_per_day)
        return self._shares

    # ------------------------------------------------------------------ what blocks ask for

    def total(self, begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[Any]:
        """Final counts of bins begin … end − 1, whenever they became known."""
        return _difference(self.cumulated, begin, end)

    def between(
        self, rows: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64], ring: int = 0
    ) -> NDArray[Any]:
        """Records of bins begin … end − 1 as known at each row (end ≤ row), shape (n_rows, n_cells)."""
        few = len(rows) <= FEW_ROWS
        source = self.cumulated if few else self._ring_sums(ring)
        found = _difference(source, begin, end)
        if few and ring:
            found = self._spread(found, ring)
        if self.late is not None and (end > rows - self.max_delay).any():
            found -= self._spread(self.pending(rows, begin, end), ring)
        return found.astype(np.float32, copy=False)  # rounded once, from a sum that is exact

    def window(self, rows: NDArray[np.int64], width: int, ring: int = 0) -> NDArray[Any]:
        """Records of the last `width` bins as known at each row, shape (n_rows, n_cells)."""
        return self.between(rows, rows - width, rows, ring)

    def decay(self, rows: NDArray[np.int64], ratio: float, ring: int = 0) -> NDArray[Any]:
        """Sum of ratio^age over what was known at each row; age is 1 for the bin just over."""
        few = len(rows) <= FEW_ROWS
        dense = self._decay_few(rows, ratio) if few else self._decay_many(rows, ratio)
        return self.spread(dense, ring)

    def _decay_few(self, rows: NDArray[np.int64], ratio: float) -> NDArray[Any]:
        # From one row to the next the sum fades, and what became known in between is added.
        order = self._by_known
        edges = np.searchsorted(self.records.known[order], rows, side="right")
        power = ratio ** np.arange(int(rows.max(initial=0)) + 1, dtype=np.float64)
        state, begin, last = np.zeros(self.n_cells), 0, 0
        out = np.empty((len(rows), self.n_cells), dtype=np.float32)
        for number, (row, edge) in enumerate(zip(rows.tolist(), edges.tolist(), strict=True)):
            fresh = order[begin:edge]
            weights = self.records.count[fresh] * power[row - self.records.bin[fresh]]
            state *= power[row - last]
            state += np.bincount(self.records.cell[fresh], weights=weights, minlength=self.n_cells)
            out[number], begin, last = state, edge, row
        return out

    def _decay_many(self, rows: NDArray[np.int64], ratio: float) -> NDArray[Any]:
        # A record enters when it is known, with the weight its age has by then, and fades from there on.
        keep = self.records.known <= self.n_bins
        known = self.records.known[keep].astype(np.int64)
        age = known - self.records.bin[keep]
        weights = self.records.count[keep] * ratio ** age.astype(np.float64)
        flat: NDArray[Any] = np.zeros((self.n_bins + 1) * self.n_cells, dtype=np.float32)
        np.add.at(flat, known * self.n_cells + self.records.cell[keep], weights.astype(np.float32))
        entering = flat.reshape(self.n_bins + 1, self.n_cells)
        state = np.zeros(self.n_cells, dtype=np.float64)
        for row in range(int(rows.max()) + 1):
            state *= ratio
            state += entering[row]
            entering[row] = state
        return np.array(_take(entering, rows))

    def bins_since_last(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Bins since the last record known at each row; row + 1 where there is none yet."""
        latest = np.full((self.n_bins + 2, self.n_cells), -1, dtype=np.int32)
        keep = self.records.known <= self.n_bins
        where = (self.records.known[keep], self.records.cell[keep])
        np.maximum.at(latest, where, self.records.bin[keep])
        np.maximum.accumulate(latest, axis=0, out=latest)
        return (rows[:, None] - _take(latest, rows)).astype(np.float32)


def _take(array: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Rows of an array; neighbouring rows are a view, not a copy."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return array[rows[0] : rows[-1] + 1]
    return array[rows]


def _difference(cumulated: NDArray[Any], begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[Any]:
    """Sums over the bins begin … end − 1, shape (n_rows, n_cells); bins before the first hold nothing.

    Leading rows whose window reaches back to the first bin are only copied, the others subtracted straight
    into place: where rows are neighbours, nothing is gathered and each value is written once.
    """
    found = np.empty((len(end), cumulated.shape[1]), dtype=cumulated.dtype)
    inside = np.flatnonzero(begin > 0)
    first = int(inside[0]) if len(inside) else len(begin)
    found[:first] = _take(cumulated, end[:first])
    rest = np.maximum(begin[first:], 0)
    np.subtract(_take(cumulated, end[first:]), _take(cumulated, rest), out=found[first:])
    return found
