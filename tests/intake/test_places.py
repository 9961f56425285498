"""Coordinates: every way of being wrong, one row each."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from shapely.geometry import Point, box

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.intake.places import (
    Bounds,
    area_bounds,
    as_degrees,
    distance_km,
    place_rejections,
    zone_point,
)

PARIS = (48.87, 2.33)


def reasons(lat: list[float], lng: list[float], **options: object) -> list[str]:
    """First reason that fits each row, empty where none does."""
    found = [""] * len(lat)
    for _, reason, mask in place_rejections(np.array(lat), np.array(lng), **options):  # type: ignore[arg-type]
        found = [
            reason if wrong and not before else before for before, wrong in zip(found, mask, strict=True)
        ]
    return found


def good(n: int) -> tuple[list[float], list[float]]:
    return [43.3 + i * 0.001 for i in range(n)], [5.4 + i * 0.001 for i in range(n)]


def test_every_kind_of_wrong_place_has_its_reason() -> None:
    lat, lng = good(20)
    nan, inf = float("nan"), float("inf")
    wrong = [
        (nan, nan),
        (nan, 5.4),
        (43.3, nan),
        (0.0, 0.0),
        (5.4, 43.3),
        (95.0, 5.4),
        (inf, 5.4),
        (-33.9, 151.2),
    ]
    found = reasons(lat + [a for a, _ in wrong], lng + [b for _, b in wrong])
    assert found[:20] == [""] * 20
    assert found[20:] == [
        *("coordinates missing",) * 3,
        "(0, 0) is not a place",
        "lat and lng look swapped",
        *("coordinates out of range",) * 2,
        "stray point: more than 100 km from the median place",
    ]


def test_the_column_at_fault_is_named() -> None:
    lat, lng = good(3)
    found = place_rejections(np.array([*lat, np.nan, np.nan]), np.array([*lng, 5.4, np.nan]))
    missing = {column: mask.tolist() for column, reason, mask in found if reason == "coordinates missing"}
    assert missing["lat, lng"] == [False] * 4 + [True]
    assert missing["lat"][3]
    assert not missing["lng"][3]


def test_one_row_is_enough() -> None:
    assert reasons([43.3], [5.4], reference=PARIS) == [""]


@pytest.mark.parametrize(
    ("lat", "lng", "options"),
    [
        (-90.2, 38.6, {}),  # St. Louis: a latitude beyond the pole is enough
        (-87.6, 41.8, {"reference": (41.85, -87.65)}),  # Chicago: a point in Antarctica
        (5.4, 43.3, {"reference": PARIS}),  # Marseille: a point in Somalia
        (5.4, 43.3, {"bounds": Bounds(43.1, 5.1, 43.5, 5.7)}),
    ],
)
def test_a_wholly_swapped_file_is_refused(lat: float, lng: float, options: dict[str, object]) -> None:
    with pytest.raises(
        InputDataError, match=r"look swapped in nearly all rows.*columns=\{'lat': 'longitude'"
    ):
        reasons([lat] * 20, [lng] * 20, **options)


@pytest.mark.parametrize("place", [(16.2, -61.5), (0.1, 0.2), (64.1, -21.9)])
def test_a_place_far_from_the_zones_city_is_not_called_swapped(place: tuple[float, float]) -> None:
    assert reasons([place[0]] * 5, [place[1]] * 5, reference=PARIS) == [""] * 5


def test_without_any_coordinates_the_reading_stops() -> None:
    with pytest.raises(InputDataError, match="no row has coordinates"):
        reasons([float("nan")] * 3, [float("nan")] * 3)


def test_a_wide_spread_widens_what_counts_as_stray() -> None:
    # Median distance about 28 km → limit about 560 km: a village 300 km away is kept.
    lat = [43.0 + 0.01 * i for i in range(101)]
    assert reasons([*lat, 46.2], [5.4] * 102)[-1] == ""


def test_outside_the_study_area_grown_by_a_tenth() -> None:
    bounds = area_bounds(box(5, 43, 6, 44))
    assert reasons([43.5, 44.04, 44.06], [5.5, 5.5, 5.5], bounds=bounds) == ["", "", "outside the study area"]


def test_area_bounds_from_file_frame_and_other_coordinate_systems(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame(geometry=[box(5, 43, 6, 44)], crs="EPSG:4326")
    frame.to_file(tmp_path / "area.geojson")
    expected = area_bounds(box(5, 43, 6, 44))
    assert area_bounds(tmp_path / "area.geojson") == pytest.approx(expected)
    assert area_bounds(frame.geometry) == pytest.approx(expected)
    assert area_bounds(frame.to_crs("EPSG:3857")) == pytest.approx(expected, abs=1e-6)


def test_areas_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="no coordinate system"):
        area_bounds(gpd.GeoSeries([Point(0, 0)]))
    with pytest.raises(InputDataError, match=r"nowhere\.geojson' cannot be read"):
        area_bounds(tmp_path / "nowhere.geojson")
    with pytest.raises(InputDataError, match="is empty"):
        area_bounds(gpd.GeoSeries([], crs="EPSG:4326"))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["43.25", " 43.5", None, ""], [43.25, 43.5, np.nan, np.nan]),
        (["43,25", "-5,4", "nan"], [43.25, -5.4, np.nan]),
        ([43, 44], [43.0, 44.0]),
        ([43.25, None], [43.25, np.nan]),
    ],
)
def test_degrees_are_read_with_point_or_comma(values: list[object], expected: NDArray[np.float64]) -> None:
    degrees, wrong = as_degrees(pd.Series(values))
    np.testing.assert_array_equal(degrees, expected)
    assert not wrong.any()


def test_text_that_is_no_number_is_told_from_a_missing_one() -> None:
    degrees, wrong = as_degrees(pd.Series(["north", None, "43.2"]))
    assert np.isnan(degrees).tolist() == [True, True, False]
    assert wrong.tolist() == [True, False, False]


def test_distance_crosses_the_date_line() -> None:
    assert distance_km(np.array([0.0]), np.array([179.5]), 0.0, -179.5)[0] == pytest.approx(111.2, abs=0.1)


def test_zone_points() -> None:
    assert zone_point("America/Chicago") == (41.85, -87.65)
    assert zone_point("Etc/GMT+1") is None
