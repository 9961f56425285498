"""Sums over earlier incidents with an exponential kernel, by recursion: linear time, no pairs.

From one entry of a cell's stream to the next, Σ exp(−ω Δt) only fades and takes in what has happened since.
As a system of equations that is a bidiagonal matrix, which one BLAS call solves for all cells at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tranquillite_ml.errors import UsageError, check_in

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csc_matrix, spmatrix

Ties = Literal["apart", "listed"]


@dataclass(frozen=True)
class Stream:
    """What reaches each cell from one ring: entries by cell and time, simultaneous ones as one.

    Attributes
    ----------
    gap : ndarray of float64, shape (n_entries,)
        Days since the entry before; 0 for a cell's first.
    first : ndarray of bool, shape (n_entries,)
        Whether it is its cell's first entry.
    mass : ndarray of float64, shape (n_entries,)
        Incidents of that moment, each times the share of its offspring that falls in the cell.
    at : ndarray of int64, shape (n_incidents,)
        Entry of each incident, as the one that may have been triggered.
    """

    gap: NDArray[np.float64]
    first: NDArray[np.bool_]
    mass: NDArray[np.float64]
    at: NDArray[np.int64]

    def sums(self, omega: float, moments: int = 1) -> list[NDArray[np.float64]]:
        """Σ mass · Δtᵐ · exp(−ω Δt) over strictly earlier entries, m = 0 … moments, for each incident."""
        fade = np.where(self.first, 0.0, np.exp(-omega * self.gap))
        before = np.append(0.0, self.mass[:-1])
        zeroth = _carry(fade, fade * before)
        found = [zeroth]
        if moments >= 1:
            found.append(_carry(fade, self.gap * zeroth))
        if moments >= 2:
            found.append(_carry(fade, 2 * self.gap * found[1] - self.gap**2 * zeroth))
        return [values[self.at] for values in found]

    def mass_before(self) -> NDArray[np.float64]:
        """Mass of a cell's strictly earlier entries, for each incident."""
        total = np.cumsum(self.mass) - self.mass
        start = np.maximum.accumulate(np.where(self.first, np.arange(len(total)), 0))
        found: NDArray[np.float64] = (total - total[start])[self.at]
        return found


def _carry(fade: NDArray[np.float64], fresh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give x with x[i] = fade[i] · x[i − 1] + fresh[i]."""
    from scipy.linalg.blas import dtbsv

    if len(fresh) == 0:
        return fresh
    band = np.zeros((2, len(fresh)), order="F")
    band[1, :-1] = -fade[1:]
    found: NDArray[np.float64] = dtbsv(1, band, fresh, lower=1, diag=1)
    return found


def make_stream(
    times: NDArray[np.float64], cells: NDArray[np.int64], share: csc_matrix, ties: Ties = "apart"
) -> Stream:
    """Merge what each cell receives with its own incidents.

    Parameters
    ----------
    times : ndarray of float64, shape (n_incidents,)
        Days.
    cells : ndarray of int64, shape (n_incidents,)
    share : csc_matrix, shape (n_cells, n_cells)
        Share of the offspring of an incident in the column's cell that falls in the row's.
    ties : {"apart", "listed"}, default "apart"
        Whether of simultaneous incidents none can have triggered another, or the one listed first can.
    """
    reach = np.diff(share.indptr)[cells]
    parent = np.repeat(np.arange(len(cells)), reach)
    offset = np.arange(len(parent)) - np.repeat(np.cumsum(reach) - reach, reach)
    link = share.indptr[cells[parent]] + offset
    receiver, mass = share.indices[link], share.data[link]
    seen = np.zeros(share.shape[0], dtype=bool)
    seen[cells] = True
    kept = seen[receiver]
    cell = np.concatenate([cells, receiver[kept]])
    time = np.concatenate([times, times[parent[kept]]])
    weight = np.concatenate([np.zeros(len(cells)), mass[kept]])
    rank = np.concatenate([np.arange(len(cells)), parent[kept]]) if ties == "listed" else np.zeros(len(cell))
    order = np.lexsort((rank, time, cell))
    cell, time, rank = cell[order], time[order], rank[order]
    new = np.append(True, (np.diff(cell) != 0) | (np.diff(time) != 0) | (np.diff(rank) != 0))[: len(cell)]
    entry = np.cumsum(new) - 1
    at = np.empty(len(order), dtype=np.int64)
    at[order] = entry
    first = np.append(True, np.diff(cell[new]) != 0)[: int(new.sum())]
    gap = np.where(first, 0.0, np.diff(time[new], prepend=0.0))
    total = np.bincount(entry, weights=weight[order], minlength=int(new.sum())).astype(np.float64)
    return Stream(gap, first, total, at[: len(cells)])


def offspring_shares(rings: Sequence[Any] | None, n_cells: int) -> tuple[csc_matrix, ...]:
    """Share of an incident's offspring by ring that falls in each cell: evenly over the ring's cells.

    Parameters
    ----------
    rings : sequence of sparse matrix, shape (n_cells, n_cells), optional
        Which cells are 0, 1, 2 … steps away; the cell itself alone when not given.
    n_cells : int

    Returns
    -------
    tuple of csc_matrix
        Columns sum to 1, or to 0 where a cell has no such neighbour.

    Raises
    ------
    UsageError
        If there is no ring, or a matrix has another shape.
    """
    from scipy.sparse import csc_matrix, diags, identity

    given: list[spmatrix] = [identity(n_cells)] if rings is None else list(rings)
    if not given or any(ring.shape != (n_cells, n_cells) for ring in given):
        shapes = [ring.shape for ring in given]
        msg = f"rings must be one or more matrices of shape {(n_cells, n_cells)}, got {shapes}."
        raise UsageError(msg)
    found = []
    for ring in given:
        size = np.asarray(ring.sum(axis=0), dtype=np.float64).ravel()
        found.append(csc_matrix(ring @ diags(1 / np.maximum(size, 1)), dtype=np.float64))
    return tuple(found)


@dataclass(frozen=True)
class Streams:
    """Incidents ready for the recursions: one stream a ring.

    Attributes
    ----------
    times, cells : ndarray, shape (n_incidents,)
    by_ring : tuple of Stream
    whole : ndarray of float64, shape (n_rings, n_incidents)
        Share of each incident's offspring that can fall inside the grid: 1, or 0 without such a neighbour.
    """

    times: NDArray[np.float64]
    cells: NDArray[np.int64]
    by_ring: tuple[Stream, ...]
    whole: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        times: ArrayLike,
        cells: ArrayLike,
        shares: Sequence[csc_matrix],
        duration: float,
        ties: Ties = "apart",
    ) -> Streams:
        """Check incidents and merge them into streams.

        Raises
        ------
        UsageError
            If shapes differ, a time lies outside 0 … duration, or a cell is not a row number.
        """
        when, where = np.asarray(times, dtype=np.float64), np.asarray(cells)
        n_cells = shares[0].shape[0]
        if when.ndim != 1 or where.shape != when.shape:
            msg = (
                f"times and cells must have one entry an incident, got shapes {when.shape} and {where.shape}."
            )
            raise UsageError(msg)
        if not np.isfinite(when).all() or (len(when) and (when.min() < 0 or when.max() > duration)):
            msg = f"times must lie between 0 and the duration, {duration:g} days; count from the first day."
            raise UsageError(msg)
        if len(where) and (where.dtype.kind not in "iu" or where.min() < 0 or where.max() >= n_cells):
            msg = f"cells must be row numbers from 0 to {n_cells - 1}, got {where.dtype} up to {where.max()}."
            raise UsageError(msg)
        check_in(ties, ("apart", "listed"), "ties")
        rows = where.astype(np.int64)
        whole = np.stack([np.asarray(share.sum(axis=0)).ravel()[rows] for share in shares])
        return cls(when, rows, tuple(make_stream(when, rows, share, ties) for share in shares), whole)

    def sums(self, omega: float, moments: int = 1) -> NDArray[np.float64]:
        """Sums of each ring's stream, shape (moments + 1, n_rings, n_incidents)."""
        return np.array([stream.sums(omega, moments) for stream in self.by_ring]).swapaxes(0, 1)
