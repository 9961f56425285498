"""The differencing attack: which hidden counts follow from published sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    Floats = NDArray[np.float64]

_TOLERANCE = 1e-6


def told_apart(sums: csr_matrix, lower: Floats, upper: Floats, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of many hidden counts can be told exactly from bounds on their sums.

    Parameters
    ----------
    sums : csr_matrix of 0 and 1, shape (n_statements, n_hidden)
        Which hidden counts each published number adds up: a cell, a parent, a period, a total.
    lower, upper : ndarray of float64, shape (n_statements,)
        Bounds on the true sum that the published number tells; equal if it was not rounded.
    asked : ndarray of bool, shape (n_hidden,)
        The counts that an attacker is after.

    Returns
    -------
    ndarray of bool, shape (n_hidden,)
        True where bounds leave a single whole number.

    Notes
    -----
    Counts that come in the same sums cannot be told from each other: together they are one unknown, and one
    of several can be told only if all are zero. What remains is solved by two whole-number programmes a
    count, over the statements that touch it directly or through others.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> parent_and_child = csr_matrix(np.array([[1, 1], [1, 0]]))
    >>> told_apart(parent_and_child, np.array([9.0, 7.0]), np.array([9.0, 7.0]), np.ones(2, bool)).tolist()
    [True, True]
    >>> told_apart(parent_and_child, np.array([8.0, 5.0]), np.array([12.0, 7.0]), np.ones(2, bool)).tolist()
    [False, False]
    """
    from scipy.sparse import csr_matrix

    signs = csr_matrix(sums)
    first, member, size = _alike(signs)
    reduced = csr_matrix(signs[:, first])
    part = _connected(reduced)
    found = np.zeros(signs.shape[1], dtype=bool)
    wanted = np.unique(member[asked])
    for unknown in wanted.tolist():
        rows, columns = part
        near = np.flatnonzero(columns == columns[unknown])
        about = np.flatnonzero(rows == columns[unknown])
        low, high = _range(
            reduced[about][:, near], lower[about], upper[about], int(np.flatnonzero(near == unknown)[0])
        )
        single = np.floor(high + _TOLERANCE) - np.ceil(low - _TOLERANCE) < 1
        # Several counts that always come together: known only if their sum can be nothing but zero.
        known = single if size[unknown] == 1 else high < 1 - _TOLERANCE
        found[member == unknown] = known
    return found & asked


def _alike(sums: csr_matrix) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """First of each set of counts that come in the same sums, the set of each count, and the sets' sizes."""
    columns = sums.tocsc()
    columns.sort_indices()
    keys = [columns.indices[a:b].tobytes() for a, b in zip(columns.indptr, columns.indptr[1:], strict=False)]
    number: dict[bytes, int] = {}
    member = np.array([number.setdefault(key, len(number)) for key in keys], dtype=np.int64)
    first = np.full(len(number), -1, dtype=np.int64)
    first[member[::-1]] = np.arange(len(member))[::-1]
    return first, member, np.bincount(member, minlength=len(number))


def _connected(sums: csr_matrix) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Part to which each statement and each unknown belongs: parts share nothing."""
    from scipy.sparse import bmat
    from scipy.sparse.csgraph import connected_components

    _, label = connected_components(bmat([[None, sums], [sums.T, None]]), directed=False)
    n = sums.shape[0]
    return np.asarray(label[:n], np.int64), np.asarray(label[n:], np.int64)


def _range(sums: csr_matrix, lower: Floats, upper: Floats, unknown: int) -> tuple[float, float]:
    """Least and largest value that an unknown can have."""
    from scipy.optimize import LinearConstraint, milp

    if sums.shape[0] == 0:
        return 0.0, np.inf
    ends = []
    for sign in (1.0, -1.0):
        aim = np.zeros(sums.shape[1])
        aim[unknown] = sign
        found = milp(
            aim,
            integrality=np.ones_like(aim),
            constraints=LinearConstraint(sums, lower, upper),
            bounds=(0, np.inf),
        )
        # No bound, or no solution at all (numbers that contradict each other tell nothing).
        ends.append(sign * found.fun if found.status == 0 else sign * -np.inf)
    return float(ends[0]) if np.isfinite(ends[0]) else 0.0, float(ends[1])
