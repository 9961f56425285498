"""Shapes laid over a grid: shares of areas in cells, kilometres of lines in cells, distances to lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.features.asof import choose, need_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from tranquillite_ml.grid import Grid
    from tranquillite_ml.intake.context import Context

MAX_VERTICES = 512


def on_plane(grid: Grid, shapes: NDArray[Any]) -> NDArray[Any]:
    """Shapes in metres on the equal-area plane around the grid's middle, from longitude and latitude."""
    import shapely
    from pyproj import Transformer

    lat, lng = np.asarray(grid.centres).T
    plane = f"+proj=laea +lat_0={lat.mean():.4f} +lon_0={lng[0]:.4f} +ellps=WGS84 +units=m"
    move = Transformer.from_crs("EPSG:4326", plane, always_xy=True)

    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(move.transform(points[:, 0], points[:, 1]), axis=-1)

    return np.asarray(shapely.transform(shapes, moved))


@dataclass(frozen=True)
class Overlay:
    """Square metres, on one equal-area plane.

    Attributes
    ----------
    common : csr_matrix, shape (n_cells, n_areas)
        What each cell and each area have in common; where the grid covers an area, it adds up to the area.
    areas : ndarray of float64, shape (n_areas,)
    cells : ndarray of float64, shape (n_cells,)
    """

    common: csr_matrix
    areas: NDArray[np.float64]
    cells: NDArray[np.float64]


def areas_in_cells(grid: Grid, shapes: NDArray[Any]) -> Overlay:
    """Lay areas over the cells of a grid.

    Parameters
    ----------
    grid : Grid
    shapes : ndarray of object, shape (n_areas,)
        Polygons in longitude and latitude.
    """
    import shapely
    from scipy.sparse import csr_matrix

    flat = on_plane(grid, shapes)
    pieces, owner = _cut(flat)
    cells = on_plane(grid, grid.polygons)
    piece, cell = shapely.STRtree(cells).query(pieces, predicate="intersects")
    common = shapely.area(shapely.intersection(pieces[piece], cells[cell]))
    matrix = csr_matrix((common, (cell, owner[piece])), shape=(grid.n_cells, len(shapes)))
    return Overlay(matrix, shapely.area(flat), shapely.area(cells))


def line_km(grid: Grid, shapes: NDArray[Any]) -> NDArray[np.float64]:
    """Kilometres of lines in each cell, shape (n_cells,); what runs along an edge counts in both."""
    import shapely

    cells = on_plane(grid, grid.polygons)
    pieces = _pieces(on_plane(grid, shapes))
    piece, cell = shapely.STRtree(cells).query(pieces, predicate="intersects")
    length = shapely.length(shapely.intersection(pieces[piece], cells[cell]))
    return np.asarray(np.bincount(cell, weights=length, minlength=grid.n_cells) / 1000)


def street_km(grid: Grid, layer: Context, *, types: Sequence[str] | None = None) -> NDArray[np.float64]:
    """Kilometres of street in each cell, as a denominator of hotspots (`hotspot_curve`).

    Parameters
    ----------
    grid : Grid
    layer : Context
        Of kind lines; every row counts, whenever it was known: what is measured by it lies in the past.
    types : sequence of str, optional
        Types of street that count; all of them when not given.

    Returns
    -------
    ndarray of float64, shape (n_cells,)
        A street along the edge of two cells counts in both.

    Raises
    ------
    UsageError
        If the layer is of another kind, or lacks a type.
    InputDataError
        If no street lies in the grid.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from tranquillite_ml.hexgrid import HexGrid
    >>> from tranquillite_ml.intake.context import read_context
    >>> rows = gpd.GeoDataFrame(geometry=[shapely.LineString([(5.380, 43.30), (5.381, 43.30)])], crs=4326)
    >>> streets = read_context(rows, kind="lines", name="streets", tz="Europe/Paris", known="2020-01-01")
    >>> grid = HexGrid(["8939681506bffff"]).dilated(9)
    >>> round(float(street_km(grid, streets).sum()), 3)  # cos 43.3° × 111.4 m a thousandth of a degree
    0.081
    """
    layer = need_layer(layer, ["lines"], "street_km")
    there = sorted(set(layer.table.get("type", ())))
    chosen = choose(types, there, "type", layer)
    shapes = layer.table["geometry"].to_numpy()
    if types is not None:
        shapes = shapes[layer.table["type"].isin(chosen).to_numpy()]
    found = line_km(grid, shapes)
    if not found.any():
        msg = f"no line of {layer.name!r} lies in the grid: is its coordinate system the one it states?"
        raise InputDataError(msg)
    return found


def line_metres(grid: Grid, shapes: NDArray[Any]) -> NDArray[np.float64]:
    """Metres from each cell's centre to the nearest line, shape (n_cells,)."""
    import shapely

    lat, lng = np.asarray(grid.centres).T
    centres = on_plane(grid, shapely.points(lng, lat))
    pieces = _pieces(on_plane(grid, shapes))
    found, distance = shapely.STRtree(pieces).query_nearest(centres, all_matches=False, return_distance=True)
    out = np.full(grid.n_cells, np.nan)
    out[found[0]] = distance
    return out


def _cut(shapes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Polygons cut into quarters until none has many vertices, and the number of the one each came from.

    A cell then meets a small piece, not a coastline of a million vertices.
    """
    import shapely

    done, owners = [], []
    open_, owner = shapes, np.arange(len(shapes))
    while len(open_):
        large = shapely.get_num_coordinates(open_) > MAX_VERTICES
        done.append(open_[~large])
        owners.append(owner[~large])
        open_, owner = open_[large], owner[large]
        if len(open_):
            open_, owner = _quartered(open_, owner)
    pieces = np.concatenate(done)
    torn = ~shapely.is_valid(pieces)
    pieces[torn] = shapely.make_valid(pieces[torn])
    return pieces, np.concatenate(owners)


def _quartered(shapes: NDArray[Any], owner: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    import shapely

    parts, of = shapely.get_parts(shapes, return_index=True)
    west, south, east, north = shapely.bounds(parts).T
    middle, half = (west + east) / 2, (south + north) / 2
    corners = [(west, south, middle, half), (middle, south, east, half)]
    corners += [(west, half, middle, north), (middle, half, east, north)]
    # Clipping takes time in proportion to the vertices, where a general intersection takes far longer.
    cut = np.concatenate(
        [[shapely.clip_by_rect(p, *box) for p, *box in zip(parts, *sides, strict=True)] for sides in corners]
    )
    keep = shapely.area(cut) > 0
    return cut[keep], np.tile(owner[of], 4)[keep]


def _pieces(shapes: NDArray[Any]) -> NDArray[Any]:
    """Lines in single parts of few vertices."""
    import shapely

    parts = shapely.get_parts(shapes)
    long = shapely.get_num_coordinates(parts) > MAX_VERTICES
    if not long.any():
        return np.asarray(parts)
    points, line = shapely.get_coordinates(parts[long], return_index=True)
    same = line[1:] == line[:-1]
    segments = shapely.linestrings(np.stack([points[:-1][same], points[1:][same]], axis=1))
    return np.concatenate([parts[~long], segments])
