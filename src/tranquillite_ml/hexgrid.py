"""HexGrid: H3 hexagons as a grid, with true areas, rings and parents. The only room that calls h3."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, UsageError, check_in
from tranquillite_ml.grid import cell_numbers

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

MAX_RESOLUTION = 10
"""Finest resolution allowed: an H3 cell of resolution 11 is about the size of a household's plot."""


def check_resolution(resolution: int) -> int:
    """Return `resolution` if cells of that size cannot name a household.

    Raises
    ------
    UsageError
        If it is not a whole number from 0 to 10.

    Examples
    --------
    >>> check_resolution(9)
    9
    """
    if not isinstance(resolution, int | np.integer) or not 0 <= resolution <= MAX_RESOLUTION:
        msg = (
            f"resolution must be a whole number from 0 to {MAX_RESOLUTION}, got {resolution!r}. "
            "Finer cells can hold a single household, and forecasts are about places, never persons."
        )
        raise UsageError(msg)
    return int(resolution)


def latlng_to_cells(
    lat: NDArray[np.float64], lng: NDArray[np.float64], resolution: int
) -> NDArray[np.uint64]:
    """H3 cell of each point, shape (n,); points without finite coordinates give 0.

    Examples
    --------
    >>> hex(int(latlng_to_cells(np.array([43.2965]), np.array([5.3698]), 9)[0]))
    '0x893968152bbffff'
    """
    from h3.api.basic_int import latlng_to_cell

    lat, lng = np.asarray(lat, dtype=np.float64), np.asarray(lng, dtype=np.float64)
    valid = np.isfinite(lat) & np.isfinite(lng) & (np.abs(lat) <= 90) & (np.abs(lng) <= 180)
    # Each point once, found by hashing: to sort pairs takes ten times as long.
    north, lats = pd.factorize(lat[valid])
    east, lngs = pd.factorize(lng[valid])
    which, pairs = pd.factorize(north * max(len(lngs), 1) + east)
    row, column = np.divmod(pairs, max(len(lngs), 1))
    points = zip(lats[row].tolist(), lngs[column].tolist(), strict=True)
    found = np.fromiter((latlng_to_cell(a, b, resolution) for a, b in points), np.uint64, len(pairs))
    cells = np.zeros(len(lat), dtype=np.uint64)
    cells[valid] = found[which]
    return cells


class HexGrid:
    """H3 cells of one resolution, sorted, with their true areas and neighbours.

    Parameters
    ----------
    cells : iterable of int or str
        H3 cells, as integers or hexadecimal strings; order and repeats do not matter.
    study_area_km2 : float, optional
        Area on which shares of area are stated; the sum of the cells' areas when not given.

    Raises
    ------
    UsageError
        If there is no cell, a cell is not valid, or resolutions are mixed or finer than 10.

    Examples
    --------
    >>> grid = HexGrid(["893968152bbffff"]).dilated(1)
    >>> grid.n_cells, round(float(grid.area_km2.sum()), 3)
    (7, 0.727)
    >>> int(grid.ring(1).sum(axis=1).max())
    6
    """

    def __init__(self, cells: Iterable[int | str], *, study_area_km2: float | None = None) -> None:
        from h3.api import basic_int as h3

        self.cells = np.unique(np.array(cell_numbers(cells), dtype=np.uint64))
        if len(self.cells) == 0:
            msg = "a grid needs at least one cell."
            raise UsageError(msg)
        as_int = self.cells.tolist()
        wrong = [format(cell, "x") for cell in as_int if not h3.is_valid_cell(cell)]
        if wrong:
            msg = f"{len(wrong)} cells are not valid H3 cells (first: {wrong[0]!r})."
            raise UsageError(msg)
        resolutions = {h3.get_resolution(cell) for cell in as_int}
        if len(resolutions) > 1:
            msg = f"all cells of a grid must share one resolution, got {sorted(resolutions)}."
            raise UsageError(msg)
        self.resolution = check_resolution(resolutions.pop())
        self.area_km2 = np.array([h3.cell_area(cell, unit="km^2") for cell in as_int])
        self.centres = np.array([h3.cell_to_latlng(cell) for cell in as_int], dtype=np.float64)
        self.study_area_km2 = float(self.area_km2.sum() if study_area_km2 is None else study_area_km2)
        self._rings: dict[int, csr_matrix] = {}

    @classmethod
    def from_polygon(
        cls,
        area: Any,
        *,
        resolution: int = 9,
        containment: Literal["overlap", "centre"] = "overlap",
    ) -> HexGrid:
        """Lay cells over a study area.

        Parameters
        ----------
        area : GeoDataFrame, GeoSeries, shapely geometry (longitude, latitude) or path of a vector file
        resolution : int, default 9
            H3 resolution; 9 is about 0.1 km² a cell.
        containment : {"overlap", "centre"}, default "overlap"
            Keep cells that overlap the area, or only those whose centre lies in it.

        Raises
        ------
        InputDataError
            If the area has no coordinate system, is empty, or holds no polygon.
        """
        from h3.api import basic_int as h3

        resolution = check_resolution(resolution)
        mode = {"overlap": "overlap", "centre": "center"}[
            check_in(containment, ["overlap", "centre"], "containment")
        ]
        geometry, km2 = _as_polygon(area)
        shape = h3.geo_to_h3shape(geometry)
        cells = h3.h3shape_to_cells_experimental(shape, resolution, contain=mode)
        if not cells:
            msg = f"no cell of resolution {resolution} lies in this area of {km2:.3f} km²; use 'overlap'."
            raise InputDataError(msg)
        return cls(cells, study_area_km2=km2)

    @classmethod
    def from_incidents(
        cls,
        incidents: Any,
        *,
        resolution: int = 9,
        dilate: int = 1,
        before: str | pd.Timestamp | None = None,
    ) -> HexGrid:
        """Lay cells where incidents were known before a cutoff, and `dilate` rings around them.

        Give `before` (the first cutoff) in a backtest: otherwise the future chooses the map.

        Raises
        ------
        InputDataError
            If no accepted incident was known before the cutoff.
        """
        resolution = check_resolution(resolution)
        table = incidents.table
        if before is not None:
            limit = pd.Timestamp(before)
            limit = limit.tz_localize(incidents.tz) if limit.tz is None else limit
            known = table["occurred_at"]
            for name in ("occurred_to", "reported_at"):
                known = table[name].fillna(known) if name in table else known
            table = table[(known < limit) & (table["occurred_at"] < limit)]
        if len(table) == 0:
            msg = f"no accepted incident is known before {before}: give a study area or a later cutoff."
            raise InputDataError(msg)
        cells = latlng_to_cells(table["lat"].to_numpy(), table["lng"].to_numpy(), resolution)
        return cls(np.unique(cells[cells > 0]).tolist()).dilated(dilate)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.cells)

    def dilated(self, k: int) -> HexGrid:
        """Give the grid with `k` more rings around it.

        Raises
        ------
        UsageError
            If `k` is no whole number from 0 on.
        """
        from h3.api import basic_int as h3

        if not isinstance(k, int | np.integer) or k < 0:
            msg = f"k must be a whole number of rings from 0 on, got {k!r}."
            raise UsageError(msg)
        if k == 0:
            return self
        return HexGrid({near for cell in self.cells.tolist() for near in h3.grid_disk(cell, k)})

    def ring(self, k: int) -> csr_matrix:
        """0/1 matrix, shape (n_cells, n_cells): which cells of this grid are exactly k steps away.

        Steps are not kilometres. A cell on the border of the grid has fewer neighbours; so has a pentagon.
        """
        if k not in self._rings:
            self._rings[k] = self._build_ring(k)
        return self._rings[k]

    def _build_ring(self, k: int) -> csr_matrix:
        from scipy.sparse import csr_matrix

        rows, columns = self._pairs_by_disk(k) if self._lattice is None else self._pairs_by_lattice(k)
        ones = np.ones(len(rows), dtype=np.float32)
        matrix = csr_matrix((ones, (rows, columns)), shape=(self.n_cells, self.n_cells))
        matrix.sort_indices()
        return matrix

    @cached_property
    def _lattice(self) -> NDArray[np.int64] | None:
        """Whole-number coordinates of the cells, shape (n_cells, 2), where they lie on a plain lattice.

        They do within one of H3's base cells, each as large as a country, unless it is a pentagon.
        """
        from h3.api import basic_int as h3

        first, *_ = cells = self.cells.tolist()
        several = len({h3.get_base_cell_number(cell) for cell in cells}) > 1
        if several or h3.is_pentagon(h3.cell_to_parent(first, 0)):
            return None
        return np.array([h3.cell_to_local_ij(first, cell) for cell in cells], dtype=np.int64)

    def _pairs_by_lattice(self, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of ring k, all at once: (i, j) lies max(|i|, |j|, |i − j|) steps from (0, 0)."""
        place = np.asarray(self._lattice)
        place = place - place.min(axis=0) + k
        stride = place[:, 1].max() + k + 1
        key = place @ np.array([stride, 1])
        i, j = np.mgrid[-k : k + 1, -k : k + 1]
        away = np.maximum(np.maximum(abs(i), abs(j)), abs(i - j)) == k
        wanted = key[:, None] + (i * stride + j)[away]
        order = np.argsort(key)
        position = np.minimum(np.searchsorted(key, wanted, sorter=order), self.n_cells - 1)
        columns = order[position]
        rows, number = np.nonzero(key[columns] == wanted)
        return rows, columns[rows, number]

    def _pairs_by_disk(self, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of ring k, cell by cell: right anywhere, around pentagons too."""
        from h3.api import basic_int as h3

        rows: list[int] = []
        reached: list[int] = []
        for row, cell in enumerate(self.cells.tolist()):
            found = set(h3.grid_disk(cell, k)) - (set(h3.grid_disk(cell, k - 1)) if k else set())
            rows.extend([row] * len(found))
            reached.extend(found)
        columns = self.rows_of(np.array(reached, dtype=np.uint64))
        inside = columns >= 0
        return np.array(rows, dtype=np.int64)[inside], columns[inside]

    def rows_of(self, cells: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Row number of each cell in this grid, −1 for cells that are not in it."""
        position = np.searchsorted(self.cells, cells)
        position[position == self.n_cells] = 0
        return np.where(self.cells[position] == cells, position, -1).astype(np.int64)

    def locate(self, lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.int64]:
        """Row number of the cell that holds each point, −1 outside the grid."""
        return self.rows_of(latlng_to_cells(lat, lng, self.resolution))

    def parents(self, resolution: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Sorted parent cells at a coarser resolution, and for each cell the number of its parent."""
        from h3.api import basic_int as h3

        if not 0 <= resolution <= self.resolution:
            msg = f"parent resolution must lie between 0 and {self.resolution}, got {resolution}."
            raise UsageError(msg)
        parents = np.array([h3.cell_to_parent(cell, resolution) for cell in self.cells.tolist()], np.uint64)
        unique, inverse = np.unique(parents, return_inverse=True)
        return unique, inverse.astype(np.int64)

    def names(self) -> NDArray[np.str_]:
        """Cells as the hexadecimal strings that appear in files."""
        return np.array([format(cell, "x") for cell in self.cells.tolist()])

    @cached_property
    def polygons(self) -> NDArray[np.object_]:
        """Shapely polygons (longitude, latitude) of the cells, shape (n_cells,)."""
        from h3.api import basic_int as h3
        from shapely.geometry import Polygon

        outlines = [h3.cell_to_boundary(cell) for cell in self.cells.tolist()]
        shapes = np.empty(len(outlines), dtype=object)
        shapes[:] = [Polygon([(lng, lat) for lat, lng in outline]) for outline in outlines]
        return shapes

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """One row a cell: ``cell``, ``area_km2`` and its hexagon (EPSG:4326)."""
        import geopandas as gpd

        return gpd.GeoDataFrame(
            {"cell": self.names(), "area_km2": self.area_km2}, geometry=list(self.polygons), crs="EPSG:4326"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values that describe the grid, without its cells."""
        return {"kind": "h3", "resolution": self.resolution, "study_area_km2": self.study_area_km2}

    def __repr__(self) -> str:
        km2 = self.area_km2.sum()
        return f"HexGrid(resolution={self.resolution}, n_cells={self.n_cells}, area={km2:.1f} km²)"


def _as_polygon(area: Any) -> tuple[Any, float]:
    """One (multi)polygon in longitude and latitude, and its true area in km²."""
    import geopandas as gpd

    if isinstance(area, str | Path):
        area = gpd.read_file(area)
    if not isinstance(area, gpd.GeoDataFrame | gpd.GeoSeries):
        area = gpd.GeoSeries([area], crs="EPSG:4326")
    series = area.geometry
    if series.crs is None:
        msg = "the study area has no coordinate system; set one, for example `area.set_crs('EPSG:4326')`."
        raise InputDataError(msg)
    shape = series.to_crs("EPSG:4326").make_valid().union_all()
    polygons = [
        part for part in getattr(shape, "geoms", [shape]) if part.geom_type in {"Polygon", "MultiPolygon"}
    ]
    if not polygons or shape.is_empty:
        msg = f"the study area must be polygons, got {sorted(set(series.geom_type.astype(str)))}."
        raise InputDataError(msg)
    flat = gpd.GeoSeries(polygons, crs="EPSG:4326").union_all()
    km2 = float(gpd.GeoSeries([flat], crs="EPSG:4326").to_crs("EPSG:6933").area.sum() / 1e6)
    return flat, km2
