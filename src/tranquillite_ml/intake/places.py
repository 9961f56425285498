"""Guards on coordinates: missing, (0, 0), swapped, out of range, out of area, stray. Pure functions."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.intake.guards import Rejection
from tranquillite_ml.intake.times import as_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEARLY_ALL = 0.9
_STRAY_KM = 100.0
_STRAY_SPREADS = 20.0


class Bounds(NamedTuple):
    """A box in degrees."""

    south: float
    west: float
    north: float
    east: float

    def hold(self, lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each point lies in the box."""
        inside: NDArray[np.bool_] = (
            (lat >= self.south) & (lat <= self.north) & (lng >= self.west) & (lng <= self.east)
        )
        return inside


def area_bounds(study_area: Any) -> Bounds:
    """Bounding box of a study area, grown by 10 %.

    Parameters
    ----------
    study_area : GeoDataFrame, GeoSeries, shapely geometry (longitude, latitude) or path of a vector file

    Raises
    ------
    InputDataError
        If the file cannot be read, or the area has no coordinate system or is empty.

    Examples
    --------
    >>> from shapely.geometry import box
    >>> [round(degrees, 2) for degrees in area_bounds(box(5, 43, 6, 44))]
    [42.95, 4.95, 44.05, 6.05]
    """
    import geopandas as gpd

    if isinstance(study_area, str | Path):
        try:
            study_area = gpd.read_file(study_area)
        except Exception as error:  # pyogrio, GDAL and the file system each have their own
            msg = f"the study area {str(study_area)!r} cannot be read: {error}"
            raise InputDataError(msg) from error
    if not isinstance(study_area, gpd.GeoDataFrame | gpd.GeoSeries):
        study_area = gpd.GeoSeries([study_area], crs="EPSG:4326")
    if study_area.crs is None:
        msg = "the study area has no coordinate system; set one, for example `area.set_crs('EPSG:4326')`."
        raise InputDataError(msg)
    west, south, east, north = (float(edge) for edge in study_area.geometry.to_crs("EPSG:4326").total_bounds)
    if not np.isfinite([west, south, east, north]).all():
        msg = "the study area is empty: it holds no geometry."
        raise InputDataError(msg)
    tall, wide = 0.05 * (north - south), 0.05 * (east - west)
    return Bounds(south - tall, west - wide, north + tall, east + wide)


def zone_point(tz: str) -> tuple[float, float] | None:
    """Latitude and longitude of a time zone's main city, from the zone table; None if it is not there.

    Examples
    --------
    >>> zone_point("Europe/Paris") in {(48.87, 2.33), None}
    True
    """
    table = _zone_table()
    found = re.search(rf"^\S+\s+([+-]\d+)([+-]\d+)\s+{re.escape(tz)}(?:\s|$)", table, flags=re.MULTILINE)
    if found is None:
        return None
    degrees = []
    for text, digits in ((found[1], 2), (found[2], 3)):
        sign = -1 if text[0] == "-" else 1
        degrees.append(round(sign * (int(text[1 : 1 + digits]) + int(text[1 + digits : 3 + digits]) / 60), 2))
    return degrees[0], degrees[1]


def zone_country(tz: str) -> str | None:
    """ISO 3166 code of the country of a time zone, from the zone table; None if it is not there.

    Examples
    --------
    >>> zone_country("Europe/Paris") in {"FR", None}
    True
    """
    found = re.search(rf"^([A-Z]{{2}})\s+\S+\s+{re.escape(tz)}(?:\s|$)", _zone_table(), flags=re.MULTILINE)
    return None if found is None else found[1]


@cache
def _zone_table() -> str:
    """Text of `zone.tab`, from the system or the tzdata package."""
    from importlib import resources
    from zoneinfo import TZPATH

    for folder in TZPATH:
        path = Path(folder) / "zone.tab"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    try:
        return (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    except (ModuleNotFoundError, OSError):
        return ""


def distance_km(
    lat: NDArray[np.float64], lng: NDArray[np.float64], to_lat: float, to_lng: float
) -> NDArray[np.float64]:
    """Great-circle distance of each point to one point, in kilometres.

    Examples
    --------
    >>> distance_km(np.array([0.0]), np.array([1.0]), 0.0, 0.0).round(1).tolist()
    [111.2]
    """
    north, other = np.radians(lat), np.radians(to_lat)
    half_lng = np.radians(lng - to_lng) / 2
    h = np.sin((north - other) / 2) ** 2 + np.cos(north) * np.cos(other) * np.sin(half_lng) ** 2
    km: NDArray[np.float64] = 2 * 6371.0088 * np.arcsin(np.sqrt(np.clip(h, 0, 1)))
    return km


def as_degrees(values: pd.Series[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Numbers of a column of degrees, NaN where missing; and which values are given but are no number.

    A decimal comma is understood.

    Examples
    --------
    >>> degrees, wrong = as_degrees(pd.Series(["43,25", "north", None]))
    >>> degrees.tolist(), wrong.tolist()
    ([43.25, nan, nan], [False, True, False])
    """
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan), np.zeros(len(values), dtype=bool)
    text = as_text(values)
    try:
        numbers = text.cast(pa.float64())
        return numbers.to_numpy(zero_copy_only=False), np.zeros(len(values), dtype=bool)
    except pa.ArrowInvalid:
        given = pd.Series(text.to_numpy(zero_copy_only=False), dtype=object)
    found = pd.to_numeric(given, errors="coerce")
    with_comma = found.isna() & given.notna()
    found[with_comma] = pd.to_numeric(given[with_comma].str.replace(",", ".", n=1), errors="coerce")
    wrong = found.isna() & given.notna() & ~given.astype(str).str.fullmatch(r"[+-]?nan", case=False)
    return found.to_numpy(dtype=np.float64), wrong.to_numpy(dtype=bool)


def place_rejections(
    lat: NDArray[np.float64],
    lng: NDArray[np.float64],
    *,
    bounds: Bounds | None = None,
    reference: tuple[float, float] | None = None,
) -> list[Rejection]:
    """Which points cannot be used, and why; the first reason that fits a row is its reason.

    Parameters
    ----------
    lat, lng : array of float
        Degrees; NaN where missing.
    bounds : Bounds, optional
        Box of the study area. Without it a point is stray when it lies farther from the median point than
        100 km and than 20 times the median distance to it.
    reference : tuple of float, optional
        A point known to be on the right part of the globe, such as the time zone's main city: tells whether
        all coordinates are swapped.

    Raises
    ------
    InputDataError
        If no row has coordinates, or nearly all rows have lat and lng swapped.
    """
    no_lat, no_lng = np.isnan(lat), np.isnan(lng)
    lat, lng = (np.nan_to_num(degrees, nan=np.nan, posinf=1e9, neginf=-1e9) for degrees in (lat, lng))
    given = ~no_lat & ~no_lng
    if not given.any():
        msg = (
            "no row has coordinates: the columns for lat and lng hold no number. Check `columns`, or geocode "
            "the file first."
        )
        raise InputDataError(msg)
    zero = given & (lat == 0) & (lng == 0)
    in_range = given & (np.abs(lat) <= 90) & (np.abs(lng) <= 180)
    turned_in_range = given & (np.abs(lng) <= 90) & (np.abs(lat) <= 180)
    if bounds is None:
        near, turned_near, why = _near_most(lat, lng, in_range & ~zero, turned_in_range & ~zero, reference)
    else:
        near, turned_near, why = bounds.hold(lat, lng), bounds.hold(lng, lat), "outside the study area"
    swapped = given & ~zero & ~(in_range & near) & turned_in_range & turned_near
    if swapped.sum() >= _NEARLY_ALL * max((given & ~zero).sum(), 1):
        _refuse_swapped()
    return [
        Rejection("lat, lng", "coordinates missing", no_lat & no_lng),
        Rejection("lat", "coordinates missing", no_lat),
        Rejection("lng", "coordinates missing", no_lng),
        Rejection("lat, lng", "(0, 0) is not a place", zero),
        Rejection("lat, lng", "lat and lng look swapped", swapped),
        Rejection("lat, lng", "coordinates out of range", given & ~in_range),
        Rejection("lat, lng", why, given & ~near),
    ]


def _near_most(
    lat: NDArray[np.float64],
    lng: NDArray[np.float64],
    valid: NDArray[np.bool_],
    turned_valid: NDArray[np.bool_],
    reference: tuple[float, float] | None,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], str]:
    """Whether each point, and each point turned round, lies near the median point; and the reason if not."""
    if turned_valid.sum() * (1 - _NEARLY_ALL) > valid.sum():  # most latitudes lie beyond the poles
        _refuse_swapped()
    if not valid.any():
        nowhere = np.zeros(len(lat), dtype=bool)
        return ~nowhere, nowhere, ""
    centre = float(np.median(lat[valid])), float(np.median(lng[valid]))
    if reference is not None:
        here, turned = distance_km(np.array(centre), np.array(centre[::-1]), *reference).tolist()
        # A country's far end is rarely 2,000 km from its zone's main city; swapping moves a city farther.
        if here > 2_000 and turned < here / 2 and abs(centre[1]) <= 90:
            _refuse_swapped()
    away = distance_km(lat, lng, *centre)
    limit = max(_STRAY_KM, _STRAY_SPREADS * float(np.median(away[valid])))
    why = f"stray point: more than {limit:.0f} km from the median place"
    return away <= limit, distance_km(lng, lat, *centre) <= limit, why


def _refuse_swapped() -> NoReturn:
    msg = (
        "the columns lat and lng look swapped in nearly all rows. Swap the two in `columns`, for example "
        "columns={'lat': 'longitude', 'lng': 'latitude'}, or rename them in the file. If they are right, "
        "check tz and give study_area."
    )
    raise InputDataError(msg)
