"""A simulated city laid on given polygons, such as the neighbourhoods of a real city: nothing else is real.

Where incidents arise follows an invented law: a centre, a density that falls with the size of the polygon
(neighbourhoods are drawn small where many live), a level of each polygon, and chance.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tranquillite_ml.city.layout import CityLayout
from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.intake.places import distance_km

if TYPE_CHECKING:
    import geopandas as gpd

MAX_KM2: Final = 10_000.0
_LAND: Final = 1.96  # km² of a city of radius 1 km, as the drawn city has


def lay_area(area: Any, resolution: int = 9, centre: tuple[float, float] | None = None) -> CityLayout:
    """Lay a simulated city on polygons; cells whose centre lies in none of them are cut off.

    Parameters
    ----------
    area : GeoDataFrame, GeoSeries or path of a vector file
        Polygons in any coordinate system that it states.
    resolution : int, default 9
        H3 resolution.
    centre : (lat, lng), optional
        The middle of the simulated centre; the middle of the area when not given.

    Raises
    ------
    InputDataError
        If the area cannot be read, has no coordinate system, holds no polygon, or is larger than 10,000 km².
    UsageError
        If the centre lies far from the area, or the resolution is finer than 10.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> area = gpd.GeoDataFrame(
    ...     {"name": ["west", "east"]},
    ...     geometry=[box(5.36, 43.28, 5.38, 43.30), box(5.38, 43.28, 5.42, 43.30)],
    ...     crs="EPSG:4326",
    ... )
    >>> layout = lay_area(area, centre=(43.29, 5.38))
    >>> layout.grid.n_cells, sorted(layout.zones), sorted(layout.land_use)
    (105, ['centre', 'everywhere'], ['built', 'centre'])
    """
    import shapely

    polygons = _polygons(area)
    km2 = polygons.to_crs("EPSG:6933").area.to_numpy() / 1e6
    if not 0 < km2.sum() <= MAX_KM2:
        msg = f"the area must have more than 0 and at most {MAX_KM2:,.0f} km², got {km2.sum():,.0f}."
        raise InputDataError(msg)
    whole = polygons.union_all()
    grid = HexGrid.from_polygon(whole, resolution=resolution, containment="centre")
    middle = (whole.centroid.y, whole.centroid.x) if centre is None else centre
    radius = float(np.sqrt(km2.sum() / _LAND))
    far = distance_km(grid.centres[:, 0], grid.centres[:, 1], *middle)
    if not far.min() < radius:
        msg = f"centre={middle}: nothing of the area lies within {radius:.0f} km of it; it is (lat, lng)."
        raise UsageError(msg)
    points = shapely.points(grid.centres[:, 1], grid.centres[:, 0])
    number, polygon = shapely.STRtree(polygons.geometry.to_numpy()).query_nearest(points, all_matches=False)
    built = -np.log(np.maximum(km2, 1e-6))[polygon[np.argsort(number)]]
    return CityLayout(
        grid=grid,
        study_area=whole,
        districts=polygons,
        places={"centre": middle},
        zones={
            "centre": far <= max(0.2 * radius, float(far.min())),
            "everywhere": np.ones(grid.n_cells, dtype=bool),
        },
        land_use={"centre": np.exp(-((far / (0.3 * radius)) ** 2)), "built": built - built.mean()},
        polygon=polygon[np.argsort(number)].astype(np.int64),
    )


def _polygons(area: Any) -> gpd.GeoDataFrame:
    """The polygons of an area in degrees, valid, each a row."""
    import geopandas as gpd

    if isinstance(area, str | Path):
        try:
            area = gpd.read_file(area)
        except Exception as error:  # pyogrio, GDAL and the file system each have their own
            msg = f"the area {str(area)!r} cannot be read: {error}"
            raise InputDataError(msg) from error
    if isinstance(area, gpd.GeoSeries):
        area = area.to_frame("geometry")
    if not isinstance(area, gpd.GeoDataFrame):
        msg = f"area must be a GeoDataFrame, a GeoSeries or the path of a vector file, got {type(area)}."
        raise UsageError(msg)
    if area.crs is None:
        msg = "the area has no coordinate system; set one, for example `area.set_crs('EPSG:4326')`."
        raise InputDataError(msg)
    kept = area[area.geom_type.isin(["Polygon", "MultiPolygon"])].reset_index(drop=True)
    if not len(kept):
        msg = f"the area must be polygons, got {sorted(set(area.geom_type.astype(str)))}."
        raise InputDataError(msg)
    kept = kept.to_crs("EPSG:4326")
    return kept.set_geometry(kept.geometry.make_valid().force_2d())
