"""Guards on incidents: repeats and pile-ups. Pure functions.

Guards on coordinates are in `places`, on times in `times`, `intervals` and `placeholders`, on person-level
columns in `persons`; names of enforcement-driven categories are in the room `governance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MINUTE = 60_000_000  # microseconds


class Rejection(NamedTuple):
    """Rows that cannot be accepted: the column at fault, the reason, and which rows."""

    column: str
    reason: str
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Problem:
    """Something to know about the records: what, how many rows, their share, and what to do."""

    what: str
    n: int
    share: float
    advice: str


def repeats_of_previous(keys: Sequence[NDArray[np.generic]]) -> NDArray[np.bool_]:
    """Rows equal to the row before them in every key; on sorted rows: all but the first of each group.

    Examples
    --------
    >>> repeats_of_previous([np.array([1, 1, 2]), np.array([5, 5, 5])]).tolist()
    [False, True, False]
    """
    n = len(keys[0])
    same = np.ones(n, dtype=bool)
    same[:1] = False
    for key in keys:
        same[1:] &= key[1:] == key[:-1]
    return same


def near_repeats(
    occurred_us: NDArray[np.int64],
    lat: NDArray[np.float64],
    lng: NDArray[np.float64],
    category: NDArray[np.int64],
    *,
    metres: float = 50.0,
    minutes: float = 5.0,
) -> int:
    """Count rows that follow a row of the same category, in the same square, within a few minutes.

    Probable double entries of one incident. Rows must be sorted by time. Squares of `metres` stand for a
    distance, so pairs on both sides of an edge are missed; rows equal in time, place and category are exact
    repeats and are not counted here.

    Examples
    --------
    >>> minute = 60_000_000
    >>> near_repeats(np.array([0, minute, 9 * minute]), np.full(3, 43.3), np.full(3, 5.4), np.zeros(3, int))
    1
    """
    if len(lat) < 2:
        return 0
    degrees = metres / 111_195
    narrow = max(float(np.cos(np.radians(np.median(lat)))), 0.01)
    square = np.floor(lat / degrees).astype(np.int64) * 4_000_003 + np.floor(lng * narrow / degrees).astype(
        np.int64
    )
    key = square * (int(category.max()) + 1) + category
    order = np.argsort(key, kind="stable")
    same = repeats_of_previous([key[order]])[1:]
    soon = np.diff(occurred_us[order]) <= minutes * _MINUTE
    moved = (np.diff(occurred_us[order]) > 0) | (np.diff(lat[order]) != 0) | (np.diff(lng[order]) != 0)
    return int((same & soon & moved).sum())


def pile_ups(lat: NDArray[np.float64], lng: NDArray[np.float64]) -> Problem | None:
    """Exact coordinates that hold too many rows to be one address: centroids, police stations, defaults.

    A pile holds more than 0.5 % of the rows, more than 50 rows, and more than 20 times the median of all
    coordinates in use. Real block-level files have some (a shopping centre), so rows are not quarantined.
    """
    points, counts = np.unique(lat + 1j * lng, return_counts=True)  # complex numbers sort fast, as pairs
    if len(counts) == 0:
        return None
    piled = (counts > 0.005 * len(lat)) & (counts > 50) & (counts > 20 * np.median(counts))
    if not piled.any():
        return None
    top = int(np.argmax(counts))
    place = f"({points[top].real:.2f}, {points[top].imag:.2f})"
    advice = (
        f"{int(piled.sum())} exact coordinates hold far more rows than others; the largest pile, about "
        f"{place}, holds {int(counts[top])}. If one is a default or a district's centre, leave its rows out "
        "with `where`."
    )
    n = int(counts[piled].sum())
    return Problem("pile-up on one coordinate", n, n / len(lat), advice)
