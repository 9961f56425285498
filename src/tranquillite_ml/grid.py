"""The Grid protocol: what the engine needs to know of a partition of the study area into cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

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
