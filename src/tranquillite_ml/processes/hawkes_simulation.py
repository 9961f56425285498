"""Simulated self-exciting incidents: background first, then generation after generation of offspring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import UsageError
from tranquillite_ml.processes.hawkes_sums import offspring_shares
from tranquillite_ml.processes.kernels import check_positive

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csc_matrix


def simulate_hawkes(
    mu: ArrayLike,
    by_ring: ArrayLike,
    omega: float,
    *,
    duration: float,
    rings: Sequence[Any] | None = None,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Times in days, ascending, and cells of incidents of a self-exciting process that begins empty.

    Parameters
    ----------
    mu : array_like, shape (n_cells,)
        Background, in incidents a day.
    by_ring : float or array_like, shape (n_rings,)
        Offspring expected of an incident in its own cell, and in each ring around it; below 1 in all.
    omega : float
        Rate per day at which an echo fades.
    duration : float
        Days.
    rings : sequence of sparse matrix, shape (n_cells, n_cells), optional
        As for `fit_hawkes`.
    seed : int, default 0

    Raises
    ------
    UsageError
        If a rate is negative, or an incident is expected to trigger one or more: numbers would explode.

    Notes
    -----
    By branching (Hawkes and Oakes, 1974, Journal of Applied Probability 11(3), doi:10.2307/3212693).
    Offspring of a ring in which a cell has no neighbour is lost, and so is what comes after the end.

    Examples
    --------
    >>> times, cells = simulate_hawkes([0.1, 0.2], 0.3, 0.5, duration=1000)
    >>> len(times), np.bincount(cells).tolist()
    (389, [158, 231])
    """
    base = np.asarray(mu, dtype=np.float64)
    expected = np.atleast_1d(np.asarray(by_ring, dtype=np.float64))
    check_positive(omega, "omega", "per day")
    check_positive(duration, "duration", "days")
    if (base < 0).any() or (expected < 0).any() or expected.sum() >= 1:
        msg = f"rates must not be negative and by_ring must sum to less than 1, got {expected.tolist()}."
        raise UsageError(msg)
    shares = offspring_shares(rings, len(base))
    if len(shares) != len(expected):
        msg = f"by_ring must have one entry a ring, {len(shares)}, got {len(expected)}."
        raise UsageError(msg)
    rng = np.random.default_rng(seed)
    cells = np.repeat(np.arange(len(base)), rng.poisson(base * duration))
    times = rng.uniform(0, duration, len(cells))
    all_times, all_cells = [times], [cells]
    while len(times):
        born = [
            _offspring(rng, times, cells, mean, share)
            for mean, share in zip(expected.tolist(), shares, strict=True)
        ]
        times = np.concatenate([parents for parents, _ in born])
        cells = np.concatenate([where for _, where in born])
        times = times + rng.exponential(1 / omega, len(times))
        seen = times < duration
        times, cells = times[seen], cells[seen]
        all_times.append(times)
        all_cells.append(cells)
    found, places = np.concatenate(all_times), np.concatenate(all_cells)
    order = np.lexsort((places, found))
    return found[order], places[order]


def _offspring(
    rng: np.random.Generator,
    times: NDArray[np.float64],
    cells: NDArray[np.int64],
    mean: float,
    share: csc_matrix,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Times of the parents and cells of one ring's offspring; shares are even within a ring."""
    size = np.diff(share.indptr)
    number = rng.poisson(mean, len(times)) * (size[cells] > 0)
    parent = np.repeat(np.arange(len(times)), number)
    link = share.indptr[cells[parent]] + rng.integers(0, np.maximum(size[cells[parent]], 1))
    return times[parent], share.indices[link].astype(np.int64)
