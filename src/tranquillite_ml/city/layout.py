"""Where things are in the simulated city: coast, sixteen districts, places, land use, and points in cells.

The map is drawn by hand in units of the city's radius (x to the east, y to the north, the old harbour at the
origin) and laid around 43.30 N, 5.38 E. It resembles a port on a western coast and is no real place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tranquillite_ml.errors import UsageError
from tranquillite_ml.hexgrid import HexGrid

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

ORIGIN: Final = (43.30, 5.38)
"""Latitude and longitude of the simulated old harbour."""

_KM_PER_DEGREE: Final = 111.2

# From north to south. The notch around (0, 0) is the old harbour.
_COAST: Final = (
    (-0.37, 0.90), (-0.37, 0.80), (-0.30, 0.72), (-0.33, 0.62), (-0.24, 0.50), (-0.20, 0.38), (-0.22, 0.30),
    (-0.14, 0.20), (-0.15, 0.10), (-0.10, 0.05), (0.03, 0.03), (0.03, -0.01), (-0.10, -0.02), (-0.20, -0.06),
    (-0.24, -0.14), (-0.16, -0.22), (-0.10, -0.32), (-0.07, -0.42), (-0.14, -0.52), (-0.20, -0.60),
    (-0.30, -0.70), (-0.34, -0.80), (-0.24, -0.85), (-0.16, -0.80), (-0.10, -0.90), (-0.02, -0.88),
    (0.02, -0.96),
)  # fmt: skip

# One point inside each district: a centre, an inner ring, an outer ring. Cells belong to the nearest point.
_DISTRICT_POINTS: Final = (
    (0.08, 0.04), (-0.06, 0.12), (0.10, 0.20), (0.28, 0.06), (0.24, -0.14), (0.08, -0.14), (-0.12, -0.12),
    (0.04, -0.40), (0.02, -0.68), (0.34, -0.40), (0.52, -0.62), (0.62, -0.12), (0.54, 0.36), (0.16, 0.44),
    (-0.08, 0.66), (0.38, 0.76),
)  # fmt: skip
_RESIDENTS_PER_KM2: Final = (
    16_000, 12_000, 15_000, 13_500, 14_500, 15_500, 9_000, 6_200, 2_100, 5_800, 2_400, 4_300, 4_000, 6_400,
    4_600, 2_000,
)  # fmt: skip
_PER_HOUSEHOLD = 2.1
_INCOME_QUINTILE: Final = (1, 1, 1, 3, 3, 4, 5, 5, 4, 3, 4, 5, 2, 1, 2, 2)

# Name: x, y, radius of the zone around it.
_ZONES: Final = {
    "centre": (0.04, 0.02, 0.20),
    "nightlife": (0.10, -0.07, 0.09),
    "stadium": (0.18, -0.36, 0.11),
}
_COAST_STRIP: Final = 0.06


@dataclass(frozen=True, eq=False)
class CityLayout:
    """The simulated city's map, which does not depend on the seed.

    Attributes
    ----------
    grid : HexGrid
        Cells whose centre is on land.
    study_area : shapely Polygon
        Land within the city's limits (longitude, latitude).
    districts : GeoDataFrame
        Sixteen rows: ``district, residents, households, income_quintile``, geometry in EPSG:4326.
    places : dict of str to (lat, lng)
        The middle of each named zone.
    zones : dict of str to ndarray of bool, shape (n_cells,)
        Cells of ``centre``, ``nightlife``, ``stadium``, ``coast`` and ``everywhere``.
    land_use : dict of str to ndarray, shape (n_cells,)
        Layers from 0 to 1: ``centre``, ``docks``, ``hills``, ``shore``; of a given area ``centre``, and
        ``built``, which has no bounds.
    polygon : ndarray of int64, shape (n_cells,), optional
        Row of `districts` in which each cell lies, of a given area.
    """

    grid: HexGrid
    study_area: Any
    districts: gpd.GeoDataFrame
    places: dict[str, tuple[float, float]]
    zones: dict[str, NDArray[np.bool_]]
    land_use: dict[str, NDArray[np.float64]]
    polygon: NDArray[np.int64] | None = None


def build_layout(resolution: int = 9, radius_km: float = 10.0) -> CityLayout:
    """Draw the map: everything scales with `radius_km`, and cells with their centre in the sea are cut off.

    Parameters
    ----------
    resolution : int, default 9
        H3 resolution.
    radius_km : float, default 10.0
        Distance in kilometres from the old harbour to the city's limits; land is about 1.9 × radius².

    Raises
    ------
    UsageError
        If `radius_km` is not between 0.5 and 30, or `resolution` is finer than 10.
    InputDataError
        If the city is too small for cells of this resolution.

    Examples
    --------
    >>> layout = build_layout(resolution=8, radius_km=4.0)
    >>> len(layout.districts), sorted(layout.zones)
    (16, ['centre', 'coast', 'everywhere', 'nightlife', 'stadium'])
    """
    if not 0.5 <= radius_km <= 30:
        msg = f"radius_km must be between 0.5 and 30 kilometres, got {radius_km!r}."
        raise UsageError(msg)
    land, coast = _land()
    study_area = _to_degrees(land, radius_km)
    grid = HexGrid.from_polygon(study_area, resolution=resolution, containment="centre")
    points = _to_plane(grid.centres, radius_km)
    return CityLayout(
        grid=grid,
        study_area=study_area,
        districts=_districts(land, radius_km),
        places={name: _to_latlng(x, y, radius_km) for name, (x, y, _) in _ZONES.items()},
        zones=_zones(points, coast),
        land_use=_land_use(points, coast),
    )


def _land() -> tuple[Any, Any]:
    """Land polygon and coast line, in units of the city's radius."""
    import shapely

    # Without the wobble the coast would be a few straight lines; sines keep it the same for every seed.
    line = shapely.segmentize(shapely.LineString(_COAST), 0.02)
    x, y = shapely.get_coordinates(line).T
    step = np.arange(len(x))
    coast = np.stack([x + 0.006 * np.sin(2.1 * step), y + 0.006 * np.sin(1.3 * step + 1.0)], axis=1)
    angle = np.linspace(-1.5, np.arctan2(0.93, -0.34), 80)
    radius = 1 + 0.05 * np.sin(3 * angle) + 0.02 * np.sin(11 * angle + 1)
    limits = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    land = shapely.Polygon(np.concatenate([coast, limits])).buffer(0)
    return land, shapely.LineString(coast)


def _districts(land: Any, radius_km: float) -> gpd.GeoDataFrame:
    """Sixteen districts: the parts of the land nearest to each district's point."""
    import geopandas as gpd
    import shapely

    points = shapely.MultiPoint(_DISTRICT_POINTS)
    parts = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=land.buffer(0.5)))
    shapes = []
    for x, y in _DISTRICT_POINTS:
        part = next(part for part in parts if part.contains(shapely.Point(x, y)))
        shapes.append(part.intersection(land))
    residents = [
        round(density * shape.area * radius_km**2)
        for density, shape in zip(_RESIDENTS_PER_KM2, shapes, strict=True)
    ]
    return gpd.GeoDataFrame(
        {
            "district": [f"district {number}" for number in range(1, 17)],
            "residents": residents,
            "households": [round(number / _PER_HOUSEHOLD) for number in residents],
            "income_quintile": list(_INCOME_QUINTILE),
        },
        geometry=[_to_degrees(shape, radius_km) for shape in shapes],
        crs="EPSG:4326",
    )


def _zones(points: NDArray[np.float64], coast: Any) -> dict[str, NDArray[np.bool_]]:
    """Cells of each zone; the cell nearest to its middle belongs to it however small the city."""
    zones = {}
    for name, (x, y, radius) in _ZONES.items():
        distance = np.hypot(points[:, 0] - x, points[:, 1] - y)
        zones[name] = distance <= max(radius, float(distance.min()))
    shore = _distance(points, coast)
    zones["coast"] = shore <= max(_COAST_STRIP, float(shore.min()))
    zones["everywhere"] = np.ones(len(points), dtype=bool)
    return zones


def _land_use(points: NDArray[np.float64], coast: Any) -> dict[str, NDArray[np.float64]]:
    """Smooth layers from 0 to 1 that categories depend on, each in its own way."""
    import shapely

    x, y = points.T
    docks = _distance(points, shapely.LineString([(-0.12, 0.15), (-0.22, 0.40), (-0.34, 0.75)]))
    return {
        "centre": np.exp(-((np.hypot(x - 0.06, y) / 0.30) ** 2)),
        "docks": np.exp(-((docks / 0.15) ** 2)),
        "hills": 1 / (1 + np.exp(-10 * (0.7 * x - 0.8 * y - 0.62))),
        "shore": np.exp(-((_distance(points, coast) / 0.08) ** 2)),
    }


def _distance(points: NDArray[np.float64], line: Any) -> NDArray[np.float64]:
    import shapely

    return np.asarray(shapely.distance(shapely.points(points), line), dtype=np.float64)


def _to_degrees(shape: Any, radius_km: float) -> Any:
    """The same shape in longitude and latitude."""
    import shapely

    return shapely.transform(
        shape,
        lambda xy: np.stack(_to_latlng(xy[:, 0], xy[:, 1], radius_km)[::-1], axis=1),
    )


def _to_latlng(x: Any, y: Any, radius_km: float) -> tuple[Any, Any]:
    """Latitude and longitude of a point of the plane: linear, so that shapes that touch still touch."""
    scale = radius_km / _KM_PER_DEGREE
    return ORIGIN[0] + y * scale, ORIGIN[1] + x * scale / np.cos(np.radians(ORIGIN[0]))


def _to_plane(latlng: NDArray[np.float64], radius_km: float) -> NDArray[np.float64]:
    """Inverse of `_to_latlng`: x and y of each row, in units of the city's radius."""
    scale = radius_km / _KM_PER_DEGREE
    x = (latlng[:, 1] - ORIGIN[1]) * np.cos(np.radians(ORIGIN[0])) / scale
    return np.stack([x, (latlng[:, 0] - ORIGIN[0]) / scale], axis=1)


def points_in_cells(
    cells: NDArray[np.int64], layout: CityLayout, rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Draw one point on land in each cell, nearly uniform over its hexagon.

    Parameters
    ----------
    cells : ndarray of int64, shape (n,)
        Row numbers in ``layout.grid``.
    layout : CityLayout
    rng : numpy Generator

    Returns
    -------
    dict of ndarray, shape (n,)
        ``lat`` and ``lng`` in degrees, six decimals (a tenth of a metre).
        Looking a point up in H3 gives back its cell.
    """
    import shapely

    corners, owner = shapely.get_coordinates(layout.grid.polygons, return_index=True)
    first = np.searchsorted(owner, np.arange(layout.grid.n_cells))
    sides = np.diff(np.append(first, len(owner))) - 1  # rings are closed
    found = layout.grid.centres[cells][:, ::-1].copy()
    todo = np.arange(len(cells))
    shapely.prepare(layout.study_area)
    for _ in range(40):  # enough for a cell that is a third land; a point still at sea then keeps the centre
        if not len(todo):
            break
        rows = cells[todo]
        centre = layout.grid.centres[rows][:, ::-1]
        corner = first[rows] + rng.integers(sides[rows])
        # Uniform in the triangle centre-corner-next corner, drawn in by 2 % so that rounding cannot leave it.
        outward, along = 0.98 * np.sqrt(rng.random(len(rows)))[:, None], rng.random(len(rows))[:, None]
        edge = corners[corner] + along * (corners[corner + 1] - corners[corner])
        drawn = np.round(centre + outward * (edge - centre), 6)
        ashore = shapely.contains_xy(layout.study_area, drawn)
        found[todo[ashore]] = drawn[ashore]
        todo = todo[~ashore]
    return {"lat": found[:, 1], "lng": found[:, 0]}
