"""Placed squares: true areas, whose incident it is, neighbours, names that hold the corner."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.grid import Grid
from tranquillite_ml.grids import open_grid
from tranquillite_ml.placedsquares import PlacedSquares, around

LAMBERT = "EPSG:2154"
X, Y = (
    part.ravel() for part in np.meshgrid(890_000 + 150.0 * np.arange(5), 6_240_000 + 150.0 * np.arange(4))
)
MARSEILLE = PlacedSquares(X, Y, size_m=150, crs=LAMBERT)


def test_it_keeps_the_protocol_and_opens_again() -> None:
    assert isinstance(MARSEILLE, Grid)
    again = open_grid(MARSEILLE.to_dict(), MARSEILLE.cells)
    np.testing.assert_array_equal(again.cells, MARSEILLE.cells)
    np.testing.assert_array_equal(again.centres, MARSEILLE.centres)
    assert again.to_dict() == MARSEILLE.to_dict()
    assert [int(name, 16) for name in MARSEILLE.names()] == MARSEILLE.cells.tolist()
    with pytest.raises(InputDataError, match="not complete"):
        open_grid({"kind": "placed_squares", "size_m": 150}, MARSEILLE.cells)


@given(st.lists(st.tuples(st.integers(-900, 900), st.integers(-900, 900)), min_size=1, unique=True))
@settings(max_examples=25, deadline=None)
def test_names_hold_the_corners(places: list[tuple[int, int]]) -> None:
    corners = np.array(places) * 150 + 0.3
    squares = PlacedSquares(*corners.T, size_m=150, crs="EPSG:32631")
    np.testing.assert_allclose(np.stack([squares.x, squares.y], axis=1), sorted(corners.tolist()))


def test_areas_are_true_whatever_the_projection_says() -> None:
    """150 m squares of Lambert 93 at Marseille are larger than they look: its scale there is about 1.0006."""
    geodesic = [abs(_geod().geometry_area_perimeter(shape)[0]) / 1e6 for shape in MARSEILLE.polygons]
    np.testing.assert_allclose(MARSEILLE.area_km2, geodesic, rtol=1e-4)
    assert MARSEILLE.area_km2[0] == pytest.approx(0.0225, rel=3e-3)
    mercator = PlacedSquares([600_000.0], [5_360_000.0], size_m=150, crs="EPSG:3857")
    assert mercator.area_km2[0] == pytest.approx(0.0225 * np.cos(np.radians(43.3)) ** 2, rel=0.01)


def _geod():
    from pyproj import Geod

    return Geod(ellps="WGS84")


def test_feet_are_converted() -> None:
    """EPSG:2263 is in US feet: 150 m are 492.1 of them."""
    squares = PlacedSquares([980_000.0], [190_000.0], size_m=150, crs="EPSG:2263")
    assert squares.side == pytest.approx(492.125)
    assert squares.area_km2[0] == pytest.approx(0.0225, rel=1e-3)


def test_locate_agrees_with_polygons() -> None:
    rng = np.random.default_rng(0)
    south, west = MARSEILLE.centres.min(axis=0) - 0.002
    north, east = MARSEILLE.centres.max(axis=0) + 0.002
    lat, lng = rng.uniform(south, north, 3000), rng.uniform(west, east, 3000)
    points = gpd.GeoSeries(shapely.points(lng, lat), crs="EPSG:4326").to_crs(LAMBERT)
    boxes = shapely.box(MARSEILLE.x, MARSEILLE.y, MARSEILLE.x + 150, MARSEILLE.y + 150)
    inside = shapely.contains_xy(boxes[None, :], points.x.to_numpy()[:, None], points.y.to_numpy()[:, None])
    wanted = np.where(inside.any(axis=1), inside.argmax(axis=1), -1)
    found = MARSEILLE.locate(lat, lng)
    assert 0.1 < (wanted >= 0).mean() < 0.9
    assert (found != wanted).mean() < 0.002  # within a decimetre of an edge
    assert MARSEILLE.locate(np.array([np.nan, 43.3]), np.array([5.4, np.inf])).tolist() == [-1, -1]


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_a_ring_is_a_king_s_walk(k: int) -> None:
    steps = np.stack([MARSEILLE.x, MARSEILLE.y], axis=1) / 150
    apart = np.abs(steps[:, None] - steps[None, :]).max(axis=2).round()
    np.testing.assert_array_equal(MARSEILLE.ring(k).toarray(), apart == k)


def test_a_city_in_degrees_gets_a_map_of_its_own() -> None:
    crs, x, y = around([43.20, 43.40], [5.30, 5.50])
    assert np.hypot(np.diff(x), np.diff(y))[0] == pytest.approx(
        _geod().inv(5.30, 43.20, 5.50, 43.40)[2], rel=1e-5
    )
    assert PlacedSquares([0.0], [0.0], size_m=200, crs=crs).area_km2[0] == pytest.approx(0.04, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"crs": "EPSG:4326"}, UsageError, "must be projected"),
        ({"crs": "nowhere"}, UsageError, "must be a coordinate system"),
        ({"size_m": 0}, UsageError, "size_m must be"),
        ({"size_m": 50}, UsageError, "single household"),
        ({"x": [0.0, 100.0]}, InputDataError, "must not overlap"),
        ({"x": [0.0, 0.0]}, InputDataError, "must not overlap"),
        ({"x": [0.0, np.nan]}, InputDataError, "finite coordinates"),
        ({"x": [], "y": []}, InputDataError, "there are none"),
    ],
)
def test_what_cannot_be_squares_is_refused(change: dict, error: type[Exception], match: str) -> None:
    given_ = {"x": [0.0, 150.0], "y": [0.0, 0.0], "size_m": 150, "crs": "EPSG:32631"} | change
    with pytest.raises(error, match=match):
        PlacedSquares(given_.pop("x"), given_.pop("y"), **given_)


def test_corners_rounded_to_a_metre_are_no_overlap() -> None:
    assert PlacedSquares([0.0, 149.0], [0.0, 0.0], size_m=150, crs="EPSG:32631").n_cells == 2
