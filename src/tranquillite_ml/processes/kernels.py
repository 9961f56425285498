"""Kernel sums over space, exact and fast, as pure functions of coordinates in metres.

Incidents at the same coordinates are added up first. The sum is then taken bucket by bucket: only pairs that
may lie within the kernel's reach are formed, a block of them at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tranquillite_ml.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csr_matrix

BLOCK_PAIRS = 1 << 15  # pairs held at a time: they stay in the processor's cache
BUCKETS = 3  # buckets to one reach: finer ones waste fewer pairs, but there are more of them
MAX_PAIRS = 50_000_000  # pairs of cells a kernel matrix may link, about 1 GB while it is built


@dataclass(frozen=True)
class Kernel:
    """Weight of an incident by its distance: 1 where it happened, 0 from `reach_m` on.

    Parameters
    ----------
    shape : {"quartic", "gaussian", "inverse"}
        (1 − d²/s²)², exp(−d²/2s²) or 1/(1 + d/s), with s the scale.
    scale_m : float
        Scale s in metres.
    reach_m : float
        Distance in metres from which on the weight is 0.

    Raises
    ------
    UsageError
        If a length is not positive, the shape is unknown, or a quartic reaches beyond its scale.

    Examples
    --------
    >>> quartic(650).weigh(np.array([0.0, 325.0**2, 650.0**2])).tolist()
    [1.0, 0.5625, 0.0]
    >>> inverse_distance(325, reach=8).weigh(np.array([0.0, 325.0**2, 2600.0**2])).tolist()
    [1.0, 0.5, 0.0]
    """

    shape: Literal["quartic", "gaussian", "inverse"]
    scale_m: float
    reach_m: float

    def __post_init__(self) -> None:
        if self.shape not in {"quartic", "gaussian", "inverse"}:
            msg = f"shape must be quartic, gaussian or inverse, got {self.shape!r}."
            raise UsageError(msg)
        check_positive(self.scale_m, "scale_m", "metres")
        check_positive(self.reach_m, "reach_m", "metres")
        if self.shape == "quartic" and self.reach_m > self.scale_m:
            msg = f"a quartic of {self.scale_m:g} m cannot reach {self.reach_m:g} m: it would rise again."
            raise UsageError(msg)

    def weigh(self, squared: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weight at each squared distance (m²), of the same shape."""
        near = squared < self.reach_m**2
        if self.shape == "gaussian":
            weight = np.exp(squared * (-0.5 / self.scale_m**2))
        elif self.shape == "quartic":
            weight = 1 - squared / self.scale_m**2
            weight *= weight
        else:
            weight = 1 / (1 + np.sqrt(squared) / self.scale_m)
        weight *= near
        return weight


def quartic(bandwidth_m: float) -> Kernel:
    """Kernel (1 − d²/b²)² up to the bandwidth b, in metres."""
    return Kernel("quartic", bandwidth_m, bandwidth_m)


def gaussian(bandwidth_m: float, *, reach: float = 4.0) -> Kernel:
    """Kernel exp(−d²/2h²) up to `reach` bandwidths h (0.03 % of the volume lies beyond four)."""
    return Kernel("gaussian", bandwidth_m, reach * bandwidth_m)


def inverse_distance(unit_m: float, *, reach: float = 8.0) -> Kernel:
    """Kernel 1/(1 + d), d in units of `unit_m` metres, up to `reach` units."""
    return Kernel("inverse", unit_m, reach * unit_m)


def kernel_sum(
    incidents: ArrayLike, at: ArrayLike, kernel: Kernel, mass: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Sum over incidents of mass × kernel(distance) at each point, shape (n_points,).

    Parameters
    ----------
    incidents : array_like, shape (n_incidents, 2)
        Metres east and north.
    at : array_like, shape (n_points, 2)
        Points of evaluation, in the same metres.
    kernel : Kernel
    mass : array_like, shape (n_incidents,), optional
        Mass of each incident; 1 when not given.

    Raises
    ------
    UsageError
        If shapes do not fit, or a value is not finite.

    Examples
    --------
    >>> kernel_sum([[0, 0], [325, 0]], [[0, 0], [5000, 0]], quartic(650)).tolist()
    [1.5625, 0.0]
    """
    points, where = _plane(incidents, "incidents"), _plane(at, "at")
    x, y, weight = _merged(points, check_vector(mass, len(points), "mass"))
    out = np.zeros(len(where))
    for rows, columns in _neighbours(where, x, y, kernel.reach_m):
        px, py, pm = x[columns], y[columns], weight[columns]
        step = max(1, BLOCK_PAIRS // len(columns))
        for k in range(0, len(rows), step):
            block = rows[k : k + step]
            squared = np.subtract.outer(where[block, 0], px)
            squared *= squared
            north = np.subtract.outer(where[block, 1], py)
            north *= north
            squared += north
            # Not `@`: what a threaded library adds up must not depend on the number of threads.
            out[block] = np.einsum("ij,j->i", kernel.weigh(squared), pm)
    return out


def kernel_matrix(centres: ArrayLike, kernel: Kernel) -> csr_matrix:
    """Kernel between cells, shape (n_cells, n_cells): times the counts of cells it gives their kernel sum.

    Incidents are taken to lie at the centre of their cell, which is all that a panel knows.

    Parameters
    ----------
    centres : array_like, shape (n_cells, 2)
        Metres east and north.
    kernel : Kernel

    Raises
    ------
    UsageError
        If the kernel reaches so far that the matrix would not be sparse.

    Examples
    --------
    >>> kernel_matrix([[0, 0], [325, 0]], quartic(650)).toarray()
    array([[1.    , 0.5625],
           [0.5625, 1.    ]])
    """
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

    where = _plane(centres, "centres")
    n_cells = len(where)
    tree = cKDTree(where)
    n_pairs = int(tree.count_neighbors(tree, kernel.reach_m))
    if n_pairs > MAX_PAIRS:
        msg = (
            f"a kernel that reaches {kernel.reach_m:g} m links {n_pairs:,} pairs of cells, more than "
            f"{MAX_PAIRS:,}: use a smaller bandwidth or larger cells."
        )
        raise UsageError(msg)
    one, two = tree.query_pairs(kernel.reach_m, output_type="ndarray").T
    weight = kernel.weigh(((where[one] - where[two]) ** 2).sum(axis=1))
    own = np.arange(n_cells)
    values = np.concatenate([weight, weight, np.ones(n_cells)])
    rows, columns = np.concatenate([one, two, own]), np.concatenate([two, one, own])
    matrix = csr_matrix((values, (rows, columns)), shape=(n_cells, n_cells))
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


# ---------------------------------------------------------------------- how it is done


def _merged(points: NDArray[np.float64], mass: NDArray[np.float64]) -> tuple[NDArray[Any], ...]:
    """Coordinates that differ and bear mass, with their total mass: many incidents share an address."""
    bears = mass != 0
    place = points[bears, 0] + 1j * points[bears, 1]
    unique, inverse = np.unique(place, return_inverse=True)
    total = np.bincount(inverse, weights=mass[bears], minlength=len(unique))
    return np.ascontiguousarray(unique.real), np.ascontiguousarray(unique.imag), total


def _neighbours(
    where: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], reach: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Points of one bucket, and every incident that may lie within reach of one of them.

    Buckets are squares a fraction of the reach wide, so the incidents wanted lie in a few columns of buckets,
    and those of one column are neighbours in the sorted order.
    """
    if len(x) == 0 or len(where) == 0:
        return
    side = reach / BUCKETS
    west, south = min(x.min(), where[:, 0].min()), min(y.min(), where[:, 1].min())
    column, row = ((v // side).astype(np.int64) for v in (x - west, y - south))
    here = ((where - (west, south)) // side).astype(np.int64)
    height = max(int(row.max()), int(here[:, 1].max())) + 2 * BUCKETS + 1
    keys = column * height + row
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    own = here[:, 0] * height + here[:, 1]
    ranked = np.argsort(own, kind="stable")
    edges = np.flatnonzero(np.diff(own[ranked])) + 1
    shifts = np.arange(-BUCKETS, BUCKETS + 1) * height
    middle = own[ranked[np.append(0, edges)]][:, None] + shifts
    begin = np.searchsorted(keys, middle - BUCKETS, side="left").tolist()
    end = np.searchsorted(keys, middle + BUCKETS, side="right").tolist()
    for rows, firsts, lasts in zip(np.split(ranked, edges), begin, end, strict=True):
        columns = np.concatenate([order[a:b] for a, b in zip(firsts, lasts, strict=True)])
        if len(columns):
            yield rows, columns


def _plane(values: ArrayLike, name: str) -> NDArray[np.float64]:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 2:
        msg = f"{name} must have shape (n, 2), metres east and north, got shape {found.shape}."
        raise UsageError(msg)
    if not np.isfinite(found).all():
        first = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        msg = f"{name} must be finite, but row {first} is {found[first].tolist()}: leave such rows out."
        raise UsageError(msg)
    return found


def check_vector(values: ArrayLike | None, n: int, name: str) -> NDArray[np.float64]:
    """Give n finite numbers as an array; ones when there are none.

    Raises
    ------
    UsageError
        If there are not n of them, or one is not finite.
    """
    found = np.ones(n) if values is None else np.asarray(values, dtype=np.float64)
    if found.shape != (n,) or not np.isfinite(found).all():
        msg = f"{name} must be {n} finite numbers, one an incident, got shape {found.shape}."
        raise UsageError(msg)
    return found


def check_positive(value: float, name: str, unit: str) -> None:
    """Refuse what is not a positive number.

    Raises
    ------
    UsageError
        If it is not.
    """
    if not np.isfinite(value) or value <= 0:
        msg = f"{name} must be a positive number of {unit}, got {value!r}."
        raise UsageError(msg)
