"""SquareGrid: rows and columns of equal steps in degrees, with true areas and neighbours."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import geopandas as gpd
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

MAX_SIDE = 10_000
MIN_CELL_KM2 = 0.005
"""Smallest cell allowed, 70 m a side: between H3's resolutions 10 and 11."""

_MARK = 0xC << 32
_EQUATOR_KM, _POLE_KM = 6378.137, 6356.752314245  # WGS 84
_SQUARED = 1 - (_POLE_KM / _EQUATOR_KM) ** 2  # squared eccentricity


class SquareGrid:
    """Rectangles in rows (from the south) and columns (from the west), with true areas and neighbours.

    For forecasts and tensors that come on squares: everything that takes a grid takes this one.

    Parameters
    ----------
    rows, columns : int
        Size of the lattice.
    south, west : float
        Its south-west corner, in degrees.
    step_lat, step_lng : float
        Height and width of a cell, in degrees.
    cells : iterable of int or str, optional
        Keep only these cells, as numbers or as the names in files; all of them when not given.
    study_area_km2 : float, optional
        Area on which shares of area are stated; the sum of the cells' areas when not given.

    Raises
    ------
    UsageError
        If a size or step is out of range, the lattice leaves the globe, or a cell is not in it.

    Notes
    -----
    A cell is named ``c`` and four digits each for row and column: ``c00120034`` is row 12, column 34. The
    name is the hexadecimal form of the number in `cells`, as with H3. Areas are those of the WGS 84 ellipsoid
    between parallels and meridians (Snyder 1987, *Map projections: a working manual*, eq. 3-12,
    doi:10.3133/pp1395).

    Examples
    --------
    >>> grid = SquareGrid.from_tensor_shape((3, 4), size_km=2.0, south=43.2, west=5.3)
    >>> grid.n_cells, str(grid.names()[-1]), round(float(grid.area_km2.sum()), 1)
    (12, 'c00020003', 48.0)
    >>> grid.ring(1).sum(axis=1).ravel().tolist()[0][:5]
    [3.0, 5.0, 5.0, 3.0, 5.0]
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        *,
        south: float,
        west: float,
        step_lat: float,
        step_lng: float,
        cells: Iterable[int | str] | None = None,
        study_area_km2: float | None = None,
    ) -> None:
        if not (1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE):
            msg = f"rows and columns must lie between 1 and {MAX_SIDE:,}, got {rows} and {columns}."
            raise UsageError(msg)
        self.rows, self.columns = int(rows), int(columns)
        self.south, self.west = float(south), float(west)
        self.step_lat, self.step_lng = float(step_lat), float(step_lng)
        self._check_corner()
        self.row, self.column = self._places(cells)
        self.cells = _as_cells(self.row, self.column)
        lat, lng = self.south + self.row * self.step_lat, self.west + self.column * self.step_lng
        self.centres = np.stack([lat + self.step_lat / 2, lng + self.step_lng / 2], axis=1)
        self.area_km2 = np.radians(self.step_lng) * (_zone(lat + self.step_lat) - _zone(lat)).astype(
            np.float64
        )
        if self.area_km2.min() < MIN_CELL_KM2:
            msg = (
                f"cells must be at least {MIN_CELL_KM2} km², got {self.area_km2.min():.2g} km². "
                "Finer cells can hold a single household, and forecasts are about places, never persons."
            )
            raise UsageError(msg)
        self.study_area_km2 = float(self.area_km2.sum() if study_area_km2 is None else study_area_km2)
        self._rings: dict[int, csr_matrix] = {}

    def _check_corner(self) -> None:
        north = self.south + self.rows * self.step_lat
        whole = np.isfinite([self.south, self.west, self.step_lat, self.step_lng]).all()
        fits = self.south >= -90 and north <= 90 and abs(self.west) <= 180
        fits &= self.columns * self.step_lng <= 360
        if not whole or self.step_lat <= 0 or self.step_lng <= 0 or not fits:
            msg = (
                f"a lattice must lie on the globe with steps above 0 degrees, got south={self.south}, "
                f"west={self.west}, step_lat={self.step_lat}, step_lng={self.step_lng} for {self.rows} rows "
                f"and {self.columns} columns."
            )
            raise UsageError(msg)

    def _places(self, cells: Iterable[int | str] | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column of each cell kept, in the order of the cells."""
        if cells is None:
            row, column = np.divmod(np.arange(self.rows * self.columns), self.columns)
            return row, column
        numbers = [int(cell, 16) if isinstance(cell, str) else int(cell) for cell in cells]
        kept = np.unique(np.array(numbers, dtype=np.uint64))
        row, column = _as_places(kept)
        wrong = (_as_cells(row, column) != kept) | (row >= self.rows) | (column >= self.columns)
        if len(kept) == 0 or wrong.any():
            what = f"{format(int(kept[wrong][0]), 'x')!r} is none" if len(kept) else "there are none"
            msg = f"cells must be cells of a lattice of {self.rows} × {self.columns}: {what}."
            raise UsageError(msg)
        return row, column

    @classmethod
    def from_tensor_shape(
        cls, shape: tuple[int, int], *, size_km: float, south: float = 0.0, west: float = 0.0
    ) -> SquareGrid:
        """Lay the grid of a tensor whose first axis runs north and whose second runs east.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns.
        size_km : float
            Side of a cell, true at the middle row.
        south, west : float, default 0
            South-west corner; where it is not known, areas and neighbours are right all the same.
        """
        rows, columns = shape
        middle = south + rows * size_km / 222.0
        step_lat, step_lng = _steps(size_km, middle)
        return cls(rows, columns, south=south, west=west, step_lat=step_lat, step_lng=step_lng)

    @classmethod
    def from_bounds(
        cls, south: float, west: float, north: float, east: float, *, size_km: float
    ) -> SquareGrid:
        """Lay squares of a given side over a box of latitudes and longitudes, up to its north and east.

        Parameters
        ----------
        south, west, north, east : float
            The box, in degrees; the last row and column may reach beyond it.
        size_km : float
            Side of a cell, true at the box's middle latitude.

        Examples
        --------
        >>> SquareGrid.from_bounds(38.5, -90.4, 38.8, -90.1, size_km=0.325).n_cells
        8343
        """
        if not (south < north and west < east and size_km > 0):
            msg = (
                f"south < north, west < east and size_km > 0 are needed, got south={south}, west={west}, "
                f"north={north}, east={east}, size_km={size_km}."
            )
            raise UsageError(msg)
        step_lat, step_lng = _steps(size_km, (south + north) / 2)
        rows, columns = (int(np.ceil(n)) for n in ((north - south) / step_lat, (east - west) / step_lng))
        return cls(rows, columns, south=south, west=west, step_lat=step_lat, step_lng=step_lng)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.cells)

    def ring(self, k: int) -> csr_matrix:
        """0/1 matrix, shape (n_cells, n_cells): which cells of this grid are exactly k steps of a king away.

        Steps along an edge and across a corner count the same (Chebyshev distance).
        """
        if k not in self._rings:
            self._rings[k] = self._build_ring(k)
        return self._rings[k]

    def _build_ring(self, k: int) -> csr_matrix:
        from scipy.sparse import csr_matrix

        steps = [(a, b) for a in range(-k, k + 1) for b in range(-k, k + 1) if max(abs(a), abs(b)) == k]
        reached = np.stack([self._rows_at(self.row + a, self.column + b) for a, b in steps], axis=1)
        own, step = np.nonzero(reached >= 0)
        ones = np.ones(len(own), dtype=np.float32)
        matrix = csr_matrix((ones, (own, reached[own, step])), shape=(self.n_cells, self.n_cells))
        matrix.sort_indices()
        return matrix

    def _rows_at(self, row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the cell at each row and column of the lattice, −1 where there is none."""
        inside = (row >= 0) & (row < self.rows) & (column >= 0) & (column < self.columns)
        found = np.full(len(row), -1, dtype=np.int64)
        found[inside] = self.rows_of(_as_cells(row[inside], column[inside]))
        return found

    def rows_of(self, cells: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Row number of each cell in this grid, −1 for cells that are not in it."""
        position = np.searchsorted(self.cells, cells)
        position[position == self.n_cells] = 0
        return np.where(self.cells[position] == cells, position, -1).astype(np.int64)

    def locate(self, lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.int64]:
        """Row number of the cell that holds each point, −1 outside the grid; south and west edges are in."""
        up = (np.asarray(lat, dtype=np.float64) - self.south) / self.step_lat
        along = (np.asarray(lng, dtype=np.float64) - self.west) / self.step_lng
        inside = (up >= 0) & (up < self.rows) & (along >= 0) & (along < self.columns)
        row, column = (np.where(inside, part, -1).astype(np.int64) for part in (up, along))
        return self._rows_at(row, column)

    def names(self) -> NDArray[np.str_]:
        """Cells as the names that appear in files: ``c``, four digits of the row, four of the column."""
        return np.array([format(cell, "x") for cell in self.cells.tolist()])

    @cached_property
    def polygons(self) -> NDArray[np.object_]:
        """Shapely polygons (longitude, latitude) of the cells, shape (n_cells,)."""
        import shapely

        lat, lng = self.centres.T
        up, along = self.step_lat / 2, self.step_lng / 2
        boxes: NDArray[np.object_] = shapely.box(lng - along, lat - up, lng + along, lat + up)
        return boxes

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """One row a cell: ``cell``, ``area_km2`` and its outline (EPSG:4326)."""
        import geopandas as gpd

        return gpd.GeoDataFrame(
            {"cell": self.names(), "area_km2": self.area_km2}, geometry=list(self.polygons), crs="EPSG:4326"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values that describe the grid, without its cells."""
        names = ("rows", "columns", "south", "west", "step_lat", "step_lng", "study_area_km2")
        return {"kind": "squares"} | {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        km2 = self.area_km2.sum()
        return f"SquareGrid({self.rows} × {self.columns}, n_cells={self.n_cells}, area={km2:.1f} km²)"


def _steps(size_km: float, lat: float) -> tuple[float, float]:
    """Degrees of latitude and longitude in a distance, at a latitude of the WGS 84 ellipsoid."""
    sine = np.sin(np.radians(lat))
    across = _EQUATOR_KM / np.sqrt(1 - _SQUARED * sine**2)
    along = across * (1 - _SQUARED) / (1 - _SQUARED * sine**2)
    cosine = np.cos(np.radians(lat))
    return float(np.degrees(size_km / along)), float(np.degrees(size_km / (across * cosine)))


def _zone(lat: NDArray[Any]) -> NDArray[Any]:
    """Area in km², a radian of longitude, between the equator and each latitude."""
    root = np.sqrt(_SQUARED)
    sine = np.sin(np.radians(lat))
    inner = sine / (1 - _SQUARED * sine**2) + np.arctanh(root * sine) / root
    return np.asarray(_POLE_KM**2 / 2 * inner)


def _as_cells(row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Numbers whose hexadecimal form shows row and column in decimal digits."""
    number = row * MAX_SIDE + column
    digits = (((number // 10**k) % 10) << (4 * k) for k in range(8))
    return np.asarray(_MARK + sum(digits), dtype=np.uint64)


def _as_places(cells: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of each cell; nonsense for numbers that `_as_cells` never gives."""
    whole = cells.astype(np.int64)
    number = sum(((whole >> (4 * k)) & 0xF) * 10**k for k in range(8))
    row, column = np.divmod(np.asarray(number, dtype=np.int64), MAX_SIDE)
    return row, column
