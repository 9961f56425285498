"""PlacedSquares: squares of one size where another system put them, on a map in metres or feet."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.squaregrid import MIN_CELL_KM2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csr_matrix

OVERLAP = 0.01
"""Share of a side by which squares may overlap both ways: corners are often rounded to a metre."""

_STEP = 0.1  # corners are kept to a tenth of the map's unit
_MIDDLE = 2**30
_LOW = np.uint64(2**32 - 1)


class PlacedSquares:
    """Squares of one size, each with its own corner, with true areas and neighbours.

    For squares that another system delivered: unlike `SquareGrid` they may follow any map projection, leave
    gaps, or hold only the places that were chosen.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        South-west corners in the coordinates of `crs`.
    size_m : float
        Side in metres, at least about 70.
    crs : str
        Projected coordinate system, such as ``"EPSG:2154"``; where its unit is a foot, sides are converted.
    study_area_km2 : float, optional
        Area on which shares of area are stated; the sum of the squares' areas when not given.

    Raises
    ------
    UsageError
        If the coordinate system is unknown or in degrees, or the size is out of range.
    InputDataError
        If there is no square, a corner is not finite, or squares overlap by more than 1 % of a side.

    Notes
    -----
    A cell's name holds its corner in tenths of the map's unit, so that the names are enough to draw it. Areas
    are measured on an equal-area map (EPSG:6933): the projection's own scale does not count.

    Examples
    --------
    >>> squares = PlacedSquares([0.0, 150.0, 900.0], [0.0, 0.0, 0.0], size_m=150, crs="EPSG:32631")
    >>> squares.n_cells, squares.area_km2.round(4).tolist()
    (3, [0.0224, 0.0224, 0.0224])
    >>> squares.ring(1).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def __init__(
        self, x: ArrayLike, y: ArrayLike, *, size_m: float, crs: str, study_area_km2: float | None = None
    ) -> None:
        self.crs, unit_m = _projected(crs)
        if not (np.isfinite(size_m) and size_m > 0):
            msg = f"size_m must be a length above 0 in metres, got {size_m}."
            raise UsageError(msg)
        self.size_m = float(size_m)
        self.side = self.size_m / unit_m
        numbers = _as_cells(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        self.cells = np.sort(numbers)
        self.x, self.y = _as_corners(self.cells)
        self._check_overlap()
        self.centres = self._middles()
        self.area_km2 = self._areas()
        if self.area_km2.min() < MIN_CELL_KM2:
            msg = (
                f"cells must be at least {MIN_CELL_KM2} km², got {self.area_km2.min():.2g} km². "
                "Finer cells can hold a single household, and forecasts are about places, never persons."
            )
            raise UsageError(msg)
        self.study_area_km2 = float(self.area_km2.sum() if study_area_km2 is None else study_area_km2)

    @classmethod
    def from_cells(
        cls, cells: Iterable[int], *, size_m: float, crs: str, study_area_km2: float | None = None
    ) -> PlacedSquares:
        """Make the squares again from their numbers and from what `to_dict` said."""
        x, y = _as_corners(np.array(list(cells), dtype=np.uint64))
        return cls(x, y, size_m=size_m, crs=crs, study_area_km2=study_area_km2)

    def _check_overlap(self) -> None:
        pairs = self._tree.query_pairs((1 - OVERLAP) * self.side, p=np.inf, output_type="ndarray")
        if len(pairs):
            one, other = (self._describe(row) for row in pairs[0])
            msg = (
                f"squares of {self.size_m:g} m must not overlap: {len(pairs)} pairs do (first: {one} and "
                f"{other}). Is size_m their side, and are x and y south-west corners?"
            )
            raise InputDataError(msg)

    def _describe(self, row: int) -> str:
        return f"({self.x[row]:g}, {self.y[row]:g})"

    def _areas(self) -> NDArray[np.float64]:
        areas: NDArray[np.float64] = self._outlines("EPSG:6933").area.to_numpy() / 1e6
        return areas

    def _outlines(self, crs: str) -> Any:
        import geopandas as gpd
        import shapely

        boxes = shapely.box(self.x, self.y, self.x + self.side, self.y + self.side)
        return gpd.GeoSeries(boxes, crs=self.crs).to_crs(crs)

    def _middles(self) -> NDArray[np.float64]:
        from pyproj import Transformer

        half = self.side / 2
        to_degrees = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        lng, lat = to_degrees.transform(self.x + half, self.y + half)
        return np.stack([lat, lng], axis=1)

    @cached_property
    def _tree(self) -> Any:
        """Search tree over the middles of the squares: one within half a side (either way) holds a point."""
        from scipy.spatial import cKDTree

        return cKDTree(np.stack([self.x, self.y], axis=1) + self.side / 2)

    @property
    def n_cells(self) -> int:
        """Number of squares."""
        return len(self.cells)

    def ring(self, k: int) -> csr_matrix:
        """0/1 matrix, shape (n_cells, n_cells): which squares are k sides away, the longer way counting."""
        from scipy.sparse import coo_matrix, csr_matrix, eye_array

        if k == 0:
            return csr_matrix(eye_array(self.n_cells, dtype=np.float32))
        pairs = self._tree.query_pairs((k + 0.5) * self.side, p=np.inf, output_type="ndarray")
        steps = np.stack([self.x, self.y], axis=1) / self.side
        apart = np.abs(steps[pairs[:, 0]] - steps[pairs[:, 1]]).max(axis=1)
        pairs = pairs[apart >= k - 0.5]
        rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
        ones = np.ones(len(rows), dtype=np.float32)
        matrix = csr_matrix(coo_matrix((ones, (rows, columns)), shape=(self.n_cells, self.n_cells)))
        matrix.sort_indices()
        return matrix

    def rows_of(self, cells: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Row number of each cell in this grid, −1 for cells that are not in it."""
        position = np.searchsorted(self.cells, cells)
        position[position == self.n_cells] = 0
        return np.where(self.cells[position] == cells, position, -1).astype(np.int64)

    def locate(self, lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.int64]:
        """Row number of the square that holds each point, −1 outside; on a shared edge it is one of them."""
        from pyproj import Transformer

        lat, lng = np.asarray(lat, dtype=np.float64), np.asarray(lng, dtype=np.float64)
        x, y = Transformer.from_crs("EPSG:4326", self.crs, always_xy=True).transform(lng, lat)
        found = np.full(len(lat), -1, dtype=np.int64)
        valid = np.isfinite(x) & np.isfinite(y)
        reach = self.side / 2 + _STEP
        points = np.stack([np.asarray(x)[valid], np.asarray(y)[valid]], axis=1)
        _, nearest = self._tree.query(points, p=np.inf, distance_upper_bound=reach)
        found[valid] = np.where(nearest < self.n_cells, nearest, -1)
        return found

    def names(self) -> NDArray[np.str_]:
        """Cells as the names that appear in files: the corner in hexadecimal."""
        return np.array([format(cell, "x") for cell in self.cells.tolist()])

    @cached_property
    def polygons(self) -> NDArray[np.object_]:
        """Shapely polygons (longitude, latitude) of the squares, shape (n_cells,)."""
        outlines: NDArray[np.object_] = self._outlines("EPSG:4326").to_numpy()
        return outlines

    def to_dict(self) -> dict[str, Any]:
        """Plain values that describe the squares, without their corners."""
        return {
            "kind": "placed_squares",
            "size_m": self.size_m,
            "crs": self.crs,
            "study_area_km2": self.study_area_km2,
        }

    def __repr__(self) -> str:
        km2 = self.area_km2.sum()
        return f"PlacedSquares(size_m={self.size_m:g}, n_cells={self.n_cells}, area={km2:.1f} km²)"


def around(lat: ArrayLike, lng: ArrayLike) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """Projected coordinate system around some places, and the places in it: metres east and north.

    A transverse Mercator projection through their middle: within 30 km of it lengths are right to 1 in
    80,000, and below 50° of latitude its axes turn by less than 0.4° against the compass.

    Examples
    --------
    >>> crs, x, y = around([43.29, 43.31], [5.37, 5.37])
    >>> x.round().tolist(), y.round().tolist()
    ([0.0, 0.0], [-1111.0, 1111.0])
    """
    from pyproj import Transformer

    north, east = np.asarray(lat, dtype=np.float64), np.asarray(lng, dtype=np.float64)
    middle = [(part.min() + part.max()) / 2 for part in (north, east)]
    crs = f"+proj=tmerc +lat_0={middle[0]:.6f} +lon_0={middle[1]:.6f} +k=1 +ellps=WGS84 +units=m +no_defs"
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(east, north)
    return crs, np.asarray(x), np.asarray(y)


def _projected(crs: Any) -> tuple[str, float]:
    """Text of a projected coordinate system, and metres in its unit."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        found = CRS.from_user_input(crs)
    except CRSError as error:
        msg = f"crs must be a coordinate system such as 'EPSG:2154', got {crs!r}: {error}."
        raise UsageError(msg) from None
    if not found.is_projected:
        msg = (
            f"crs must be projected, in metres or feet; {crs!r} is in degrees. Give such corners as lat, lng."
        )
        raise UsageError(msg)
    return found.to_string(), float(found.axis_info[0].unit_conversion_factor)


def _as_cells(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Numbers that hold the corners in tenths of the map's unit."""
    corners = np.stack([x, y])
    fits = np.isfinite(corners) & (np.abs(corners) < _STEP * (_MIDDLE - 1))
    if corners.shape[1] == 0 or not fits.all():
        first = corners[:, ~fits.all(axis=0)][:, :1].ravel().tolist()
        what = f"{first} is none" if first else "there are none"
        msg = f"corners must be finite coordinates on the map: {what}."
        raise InputDataError(msg)
    tenths = (np.round(corners / _STEP).astype(np.int64) + _MIDDLE).astype(np.uint64)
    return np.asarray((tenths[0] << np.uint64(32)) | tenths[1])


def _as_corners(cells: NDArray[np.uint64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = cells >> np.uint64(32), cells & _LOW
    return _coordinate(x), _coordinate(y)


def _coordinate(tenths: NDArray[np.uint64]) -> NDArray[np.float64]:
    return np.asarray((tenths.astype(np.int64) - _MIDDLE) / 10, dtype=np.float64)
