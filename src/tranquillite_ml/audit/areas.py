"""Areas: polygons and what is said of them, from GeoJSON or GeoParquet; what cannot be right is refused."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.grid import to_metres

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BYTES = 200_000_000
OVERLAP = 1e-3
"""Share of the smaller of two areas that may lie in both: neighbours are rarely drawn to the centimetre."""

_DEGREES = re.compile(r"(?:CRS84|EPSG:+(?:[\d.]*:)?4326)$", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Areas:
    """Polygons in longitude and latitude, one a row of a table.

    Attributes
    ----------
    source : str
        Name of the file.
    table : DataFrame
        What is said of each area.
    shapes : ndarray of shapely polygons, shape (n_areas,)
    repaired : int
        Areas whose outline crossed itself; it was cut into polygons that do not.
    """

    source: str
    table: pd.DataFrame
    shapes: NDArray[np.object_]
    repaired: int


def read_areas(path: str | Path) -> Areas:
    """Read polygons from a GeoJSON or GeoParquet file, without GDAL.

    Parameters
    ----------
    path : str or Path
        ``.geojson`` or ``.json`` in longitude and latitude (WGS 84), as GeoJSON must be; or ``.parquet``, in
        any coordinate system that it states.

    Raises
    ------
    InputDataError
        If the file cannot be read, is in another coordinate system, holds no area or something that is no
        polygon, or areas overlap by more than a thousandth of the smaller one.

    Examples
    --------
    >>> read_areas("no_such_file.geojson")
    Traceback (most recent call last):
    tranquillite_ml.errors.InputDataError: no_such_file.geojson cannot be read: ...
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            msg = f"{path} holds more than {MAX_BYTES // 1_000_000} MB: simplify the outlines."
            raise InputDataError(msg)
        table, shapes = _from_parquet(path) if path.suffix == ".parquet" else _from_geojson(path)
    except InputDataError:
        raise
    except Exception as error:  # json, Arrow, shapely and the file system each have their own
        msg = f"{path} cannot be read: {type(error).__name__}: {str(error)[:200]}"
        raise InputDataError(msg) from error
    if len(table) == 0:
        msg = f"{path} holds no area."
        raise InputDataError(msg)
    sound, repaired = _sound(shapes, path)
    _refuse_overlaps(sound, path)
    return Areas(path.name, table.reset_index(drop=True), sound, repaired)


def _from_parquet(path: Path) -> tuple[pd.DataFrame, NDArray[np.object_]]:
    import geopandas as gpd

    frame = gpd.read_parquet(path)
    if frame.crs is None:
        msg = f"{path} has no coordinate system; set one, for example `areas.set_crs('EPSG:4326')`."
        raise InputDataError(msg)
    shapes = np.asarray(frame.geometry.to_crs("EPSG:4326"), dtype=object)
    return pd.DataFrame(frame.drop(columns=frame.geometry.name)), shapes


def _from_geojson(path: Path) -> tuple[pd.DataFrame, NDArray[np.object_]]:
    from shapely.geometry import shape

    # NaN and Infinity are no JSON: as coordinates they are no place, as numbers they are missing.
    read = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=lambda _: None)
    if not isinstance(read, dict) or not isinstance(read.get("features"), list):
        msg = f"{path} is no GeoJSON FeatureCollection: it has no list of features."
        raise InputDataError(msg)
    named = ((read.get("crs") or {}).get("properties") or {}).get("name", "CRS84")
    if not _DEGREES.search(str(named)):
        msg = (
            f"{path} is in the coordinate system {str(named)[:80]!r}; GeoJSON must be in longitude and "
            "latitude (WGS 84). Reproject it to EPSG:4326."
        )
        raise InputDataError(msg)
    shapes = np.empty(len(read["features"]), dtype=object)
    for number, feature in enumerate(read["features"]):
        try:
            shapes[number] = shape(feature["geometry"]) if feature["geometry"] else None
        except Exception as error:  # whatever a malformed list of coordinates sets off
            msg = f"{path}: area {number + 1} has no geometry that can be read ({type(error).__name__})."
            raise InputDataError(msg) from error
    return pd.DataFrame([feature.get("properties") or {} for feature in read["features"]]), shapes


def _sound(shapes: NDArray[np.object_], path: Path) -> tuple[NDArray[np.object_], int]:
    """Two-dimensional valid polygons in degrees, and how many had to be repaired."""
    import shapely

    for number, one in enumerate(shapes):
        kind = None if one is None else one.geom_type
        if kind not in {"Polygon", "MultiPolygon"} or one.is_empty:
            found = "nothing" if kind is None or one.is_empty else f"a {kind}"
            msg = f"{path}: area {number + 1} must be a polygon, got {found}."
            raise InputDataError(msg)
    flat = shapely.force_2d(shapes)
    corners = shapely.get_coordinates(flat)
    if not np.isfinite(corners).all() or (np.abs(corners) > [180, 90]).any():
        msg = (
            f"{path} holds coordinates that are no degrees (longitude, latitude). Reproject it to EPSG:4326."
        )
        raise InputDataError(msg)
    crossed = ~shapely.is_valid(flat)
    flat[crossed] = shapely.make_valid(flat[crossed], method="structure", keep_collapsed=False)
    hollow = np.flatnonzero(shapely.area(flat) <= 0)
    if len(hollow):
        msg = f"{path}: area {hollow[0] + 1} has no surface: its outline collapses to a line or point."
        raise InputDataError(msg)
    return flat, int(crossed.sum())


def _refuse_overlaps(shapes: NDArray[np.object_], path: Path) -> None:
    import shapely

    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    once = one < other
    one, other = one[once], other[once]
    shared = shapely.area(shapely.intersection(shapes[one], shapes[other]))
    share = shared / np.minimum(shapely.area(shapes[one]), shapely.area(shapes[other]))
    if len(share) and share.max() > OVERLAP:
        worst = int(share.argmax())
        msg = (
            f"{path}: {int((share > OVERLAP).sum())} pairs of areas overlap, and who lives in both would "
            f"count twice; areas {one[worst] + 1} and {other[worst] + 1} share {share[worst]:.1%} of the "
            "smaller one."
        )
        raise InputDataError(msg)


def shares_of_areas(
    cells: NDArray[np.object_], areas: NDArray[np.object_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Where cells and areas overlap: cell, area, share of the area, km².

    Parameters
    ----------
    cells, areas : ndarray of shapely polygons
        In longitude and latitude.

    Examples
    --------
    >>> from shapely.geometry import box
    >>> cell, area, share, _ = shares_of_areas(np.array([box(0, 0, 1, 1), box(1, 0, 2, 1)]),
    ...     np.array([box(0.5, 0, 2.5, 1)]))
    >>> cell.tolist(), area.tolist(), share.round(3).tolist()
    ([0, 1], [0, 0], [0.25, 0.5])
    """
    import shapely

    west, south, east, north = shapely.total_bounds(areas)
    around = ((south + north) / 2, (west + east) / 2)

    def flat(shapes: NDArray[np.object_]) -> Any:
        return shapely.transform(shapes, lambda xy: to_metres(xy[:, 1], xy[:, 0], around=around))

    hexes, polygons = flat(cells), flat(areas)
    area, cell = shapely.STRtree(hexes).query(polygons, predicate="intersects")
    km2 = shapely.area(shapely.intersection(hexes[cell], polygons[area])) / 1e6
    order = np.lexsort((area[km2 > 0], cell[km2 > 0]))
    cell, area, km2 = (part[km2 > 0][order] for part in (cell, area, km2))
    return cell, area, km2 / (shapely.area(polygons)[area] / 1e6), km2
