"""Guards on the shapes of a context layer: coordinate system, empty, invalid, 3-D, wrong kind, too large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.intake.guards import Rejection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.intake.reading import Reading

MAX_VERTICES = 20_000_000
_WANTED = {
    "points": {"Point"},
    "events": {"Point"},
    "lines": {"LineString", "MultiLineString"},
    "areas": {"Polygon", "MultiPolygon"},
}
_DIMENSION = {"points": 0, "events": 0, "lines": 1, "areas": 2}


def check_crs(crs: Any) -> Any:
    """The coordinate system that a name such as ``EPSG:2154`` stands for.

    Raises
    ------
    UsageError
        If there is none of that name.

    Examples
    --------
    >>> check_crs("EPSG:2154").name
    'RGF93 v1 / Lambert-93'
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(crs)
    except CRSError as error:
        msg = f"crs must name a coordinate system such as 'EPSG:2154' (Lambert 93), got {crs!r}."
        raise UsageError(msg) from error


def to_degrees(shapes: Any, crs: Any, file: str) -> Any:
    """Shapes in longitude and latitude, from the coordinate system that the file or `crs` states.

    Parameters
    ----------
    shapes : GeoSeries
    crs : str, optional
        What the file does not say.
    file : str
        Name for messages.

    Raises
    ------
    InputDataError
        If neither states a coordinate system, or coordinates said to be degrees are none.
    UsageError
        If both do, and differ.
    """
    wanted = None if crs is None else check_crs(crs)
    if shapes.crs is None and wanted is None:
        msg = (
            f"{file}: the geometry has no coordinate system (a Shapefile keeps it in its .prj). Find out "
            "which one it is and say so, for example crs='EPSG:2154'."
        )
        raise InputDataError(msg)
    if shapes.crs is not None and wanted is not None and shapes.crs != wanted:
        msg = (
            f"{file} says its coordinates are {shapes.crs.to_string()}, but crs={crs!r}. Keep the right one."
        )
        raise UsageError(msg)
    shapes = shapes if shapes.crs is not None else shapes.set_crs(wanted)
    if shapes.crs.is_geographic:
        bounds = shapes.bounds.to_numpy()
        off = (np.abs(bounds[:, [0, 2]]) > 360).any(axis=1) | (np.abs(bounds[:, [1, 3]]) > 90).any(axis=1)
        if off.mean() > 0.5:
            msg = (
                f"{file}: its coordinates are said to be degrees ({shapes.crs.to_string()}), but reach "
                f"{np.nanmax(np.abs(bounds)):,.0f}: they are metres of a map projection. Correct the file."
            )
            raise InputDataError(msg)
    return shapes.to_crs("EPSG:4326")


def from_plane(x: NDArray[np.float64], y: NDArray[np.float64], crs: Any) -> tuple[Any, Any]:
    """Latitude and longitude of coordinates in a coordinate system."""
    from pyproj import Transformer

    lng, lat = Transformer.from_crs(check_crs(crs), "EPSG:4326", always_xy=True).transform(x, y)
    return np.asarray(lat, dtype=np.float64), np.asarray(lng, dtype=np.float64)


def check_shapes(reading: Reading, shapes: NDArray[Any], kind: str) -> NDArray[Any]:
    """Shapes that can be used, in two dimensions; rows whose shape cannot are refused with the reason.

    Invalid shapes are made valid, which is noted: a ring that crosses itself is cut where it does.

    Parameters
    ----------
    reading : Reading
    shapes : ndarray of object, shape (n,)
        In longitude and latitude.
    kind : {"points", "events", "lines", "areas"}

    Raises
    ------
    InputDataError
        If there are too many vertices, or no shape is of the kind.
    """
    import shapely

    label = reading.raw.files[0]
    _refuse_too_large(shapes, label)
    none = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    high = shapely.has_z(shapes) & ~none
    if high.any():
        shapes = np.where(high, shapely.force_2d(shapes), shapes)
        reading.note("geometry in three dimensions", int(high.sum()), "Heights are left out.")
    shapes = _single(shapes)
    wanted = _WANTED[kind]
    names = np.array([shape.geom_type if shape is not None else "" for shape in shapes], dtype=object)
    right = np.isin(names, sorted(wanted))
    if not none.all() and not right.any():
        found = sorted(set(names[~none]))
        msg = f"{label}: {kind} must be {' or '.join(sorted(wanted))}, but the geometry holds {found}."
        raise InputDataError(msg)
    unbounded = ~np.isfinite(shapely.bounds(shapes)).all(axis=1) & ~none
    repaired = right & ~unbounded & ~shapely.is_valid(shapes)
    shapes, hopeless = _repaired(shapes, repaired, _DIMENSION[kind])
    found = [
        Rejection("geometry", "geometry missing or empty", none),
        Rejection("geometry", f"geometry is not of kind {kind}", ~right),
        Rejection("geometry", "coordinates out of range", unbounded),
        Rejection("geometry", "geometry invalid", hopeless),
    ]
    reading.reject(found, lambda rows: _words(names[rows]))
    advice = "Rings that cross themselves were cut there; look at these shapes in the source."
    reading.note("invalid geometry made valid", int((repaired & ~hopeless).sum()), advice)
    return shapes


def _refuse_too_large(shapes: NDArray[Any], label: str) -> None:
    import shapely

    n = int(shapely.get_num_coordinates(shapes).sum())
    if n > MAX_VERTICES:
        msg = (
            f"{label} has {n:,} vertices; more than {MAX_VERTICES:,} are not read. Simplify it to a metre or "
            "clip it to the city first."
        )
        raise InputDataError(msg)


def _single(shapes: NDArray[Any]) -> NDArray[Any]:
    """A collection of one point as that point."""
    import shapely

    one = (shapely.get_type_id(shapes) == 4) & (shapely.get_num_geometries(shapes) == 1)
    return np.where(one, shapely.get_geometry(shapes, 0), shapes)


def _repaired(
    shapes: NDArray[Any], which: NDArray[np.bool_], dimension: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Shapes made valid, parts of other dimensions left out; and which of them nothing is left of."""
    import shapely

    hopeless = np.zeros(len(shapes), dtype=bool)
    if not which.any():
        return shapes, hopeless
    out = shapes.copy()
    for row in np.flatnonzero(which):
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(shapes[row])))
        parts = parts[shapely.get_dimensions(parts) == dimension]
        hopeless[row] = len(parts) == 0
        if len(parts):
            out[row] = shapely.union_all(parts)
    return out, hopeless


def _words(names: NDArray[Any]) -> Any:
    import pandas as pd

    return pd.Series(names, dtype=object)
