"""The Grid protocol: what the engine needs to know of a partition of the study area into cells."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from tranquillite_ml.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csr_matrix

EARTH_RADIUS_M = 6_371_009.0


@runtime_checkable
class Grid(Protocol):
    """Cells with true areas and neighbours. Nothing in the engine needs more, so a grid need not be H3.

    Attributes
    ----------
    cells : ndarray of uint64, shape (n_cells,)
        Sorted cell identifiers.
    area_km2 : ndarray of float64, shape (n_cells,)
        True area of each cell.
    centres : ndarray of float64, shape (n_cells, 2)
        Latitude and longitude of each centre, in that order.
    """

    cells: NDArray[np.uint64]
    area_km2: NDArray[np.float64]
    centres: NDArray[np.float64]

    @property
    def n_cells(self) -> int:
        """Number of cells."""

    def ring(self, k: int) -> csr_matrix:
        """0/1 matrix, shape (n_cells, n_cells): which cells of the grid are exactly k steps away."""

    def locate(self, lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.int64]:
        """Row number of the cell that holds each point, −1 outside the grid."""

    def names(self) -> NDArray[np.str_]:
        """Cell identifiers as they appear in files."""

    @property
    def polygons(self) -> NDArray[np.object_]:
        """Shapely polygons (longitude, latitude) of the cells; only maps and exports ask for them."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values that describe the grid, without its cells: ``kind``, ``study_area_km2`` and more."""


def to_metres(lat: ArrayLike, lng: ArrayLike, *, around: tuple[float, float]) -> NDArray[np.float64]:
    """Metres east and north of a place, shape (n, 2), on the plane that touches the Earth there.

    Parameters
    ----------
    lat, lng : array_like, shape (n,)
        Degrees.
    around : tuple of float
        Latitude and longitude of the place. At 50° of latitude and 25 km from it, distances are 0.5 % off.

    Examples
    --------
    >>> to_metres([43.30], [5.38], around=(43.29, 5.37)).round(1).tolist()
    [[809.4, 1112.0]]
    """
    south, west = around
    east = (np.asarray(lng, dtype=np.float64) - west + 180) % 360 - 180
    north = np.asarray(lat, dtype=np.float64) - south
    plane = np.stack([east * np.cos(np.radians(south)), north], axis=-1)
    metres: NDArray[np.float64] = np.radians(plane) * EARTH_RADIUS_M
    return metres


def centres_in_metres(grid: Grid) -> NDArray[np.float64]:
    """Centre of each cell in metres east and north of the grid's middle latitude, shape (n_cells, 2)."""
    lat, lng = np.asarray(grid.centres).T
    # Any meridian of the grid serves, as only distances count; a mean would fail across the 180th.
    return to_metres(lat, lng, around=(float(lat.mean()), float(lng[0])))


def cell_numbers(cells: Iterable[int | str]) -> list[int]:
    """Numbers of cells, which come as numbers or as the hexadecimal names of files.

    Raises
    ------
    UsageError
        If there is no list of them, or one is neither.

    Examples
    --------
    >>> cell_numbers(["1f", 32])
    [31, 32]
    """
    if isinstance(cells, str) or not isinstance(cells, Iterable):
        given = f"[{cells!r}]" if isinstance(cells, str) else "['89396815217ffff']"
        msg = f"cells must be a list or array of cells, got {type(cells).__name__}. Write {given}."
        raise UsageError(msg)
    numbers = []
    for cell in cells:
        try:
            numbers.append(int(cell, 16) if isinstance(cell, str) else int(cell))
        except (TypeError, ValueError):
            msg = f"cells must be H3 cells, hexadecimal or whole numbers, got {cell!r}."
            raise UsageError(msg) from None
    return numbers
