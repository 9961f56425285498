"""Shapes of context layers: coordinate systems, empty, invalid, 3-D, wrong kind, many vertices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from shapely.geometry import LineString, MultiPoint, Point, Polygon, box

from tranquillite_ml.errors import DataWarning, InputDataError, UsageError
from tranquillite_ml.intake import Context, context_shapes, read_context

VELODROME = (5.3959, 43.2698)
LAMBERT = (894_458.0, 6_244_000.0)


def layer(shapes: list[Any], *, kind: Any = "areas", crs: Any = "EPSG:4326", **told: Any) -> Context:
    frame = gpd.GeoDataFrame({"n": range(len(shapes))}, geometry=shapes, crs=crs)
    return read_context(frame, kind=kind, name="layer", tz="Europe/Paris", known="2020-01-01", **told)


def squares(n: int = 8) -> list[Polygon]:
    return [box(5.3 + k / 100, 43.2, 5.31 + k / 100, 43.21) for k in range(n)]


def test_a_layer_without_coordinate_system_needs_one() -> None:
    here = Point(LAMBERT)
    with pytest.raises(InputDataError, match="has no coordinate system"):
        layer([here], kind="points", crs=None)
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[here])
    given = read_context(
        frame, kind="points", name="layer", tz="Europe/Paris", known="always", crs="EPSG:2154"
    )
    assert given.table[["lat", "lng"]].round(1).to_numpy().tolist() == [[43.3, 5.4]]


def test_two_coordinate_systems_are_one_too_many() -> None:
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[Point(VELODROME)], crs="EPSG:4326")
    with pytest.raises(UsageError, match="Keep the right one"):
        read_context(frame, kind="points", name="layer", tz="Europe/Paris", known="always", crs="EPSG:2154")
    with pytest.raises(UsageError, match="must name a coordinate system"):
        read_context(frame, kind="points", name="layer", tz="Europe/Paris", known="always", crs="Lambert")


def test_metres_that_are_said_to_be_degrees() -> None:
    with pytest.raises(InputDataError, match="metres of a map projection"):
        layer([Point(LAMBERT), Point(LAMBERT)], kind="points")


def test_degrees_that_are_said_to_be_metres() -> None:
    with pytest.raises(InputDataError, match="is its coordinate system the one it states"):
        layer([Point(VELODROME), Point(VELODROME)], kind="points", crs="EPSG:2154")


def test_a_shapefile_without_prj(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[Point(LAMBERT)], crs="EPSG:2154")
    path = tmp_path / "stops.shp"
    frame.to_file(path)
    read = {"kind": "points", "name": "stops", "tz": "Europe/Paris", "known": "always"}
    digest = read_context(path, **read).digest  # type: ignore[arg-type]
    path.with_suffix(".prj").unlink()
    with pytest.raises(InputDataError, match=r"\.prj"):
        read_context(path, **read)  # type: ignore[arg-type]
    assert read_context(path, crs="EPSG:2154", **read).digest == digest  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["geojson", "gpkg", "fgb", "shp", "parquet"])
def test_formats_say_the_same(suffix: str, tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"population": np.arange(8.0)}, geometry=squares(), crs="EPSG:4326")
    frame = frame.rename(columns={"population": "pop"})
    path = tmp_path / f"squares.{suffix}"
    frame.to_parquet(path) if suffix == "parquet" else frame.to_file(path)
    found = read_context(path, kind="areas", name="squares", tz="Europe/Paris", known="2020-01-01")
    assert found.numbers == ("pop",)
    assert found.table["pop"].tolist() == list(range(8))
    assert shapely.area(found.table["geometry"].to_numpy()).round(9).tolist() == [1e-4] * 8


def test_columns_of_a_projection() -> None:
    rows = pd.DataFrame({"x": [LAMBERT[0]], "y": [LAMBERT[1]]})
    found = read_context(
        rows,
        kind="points",
        name="bars",
        tz="Europe/Paris",
        known="always",
        crs="EPSG:2154",
        columns={"lat": "y", "lng": "x"},
    )
    assert found.table[["lat", "lng"]].round(1).to_numpy().tolist() == [[43.3, 5.4]]


def test_shapes_that_cannot_be_used_are_told() -> None:
    found = layer([*squares(), Polygon(), None])
    assert found.quarantine[["row", "reason"]].to_numpy().tolist() == [
        [9, "geometry missing or empty"],
        [10, "geometry missing or empty"],
    ]
    assert found.funnel.read == 10


def test_a_ring_that_crosses_itself_is_cut_there() -> None:
    # A bow tie: two triangles of half a square each, together half of 0.01° × 0.01°.
    bow = Polygon([(5.3, 43.2), (5.31, 43.21), (5.31, 43.2), (5.3, 43.21)])
    found = layer([bow])
    assert found.problems[["what", "n"]].to_numpy().tolist() == [["invalid geometry made valid", 1]]
    assert shapely.is_valid(found.table["geometry"].to_numpy()).all()
    assert shapely.area(found.table["geometry"].to_numpy())[0] == pytest.approx(0.5e-4)


def test_an_area_without_extent() -> None:
    flat = Polygon([(5.3, 43.2), (5.31, 43.2), (5.3, 43.2)])
    found = layer([*squares(), flat])
    assert found.quarantine["reason"].tolist() == ["geometry invalid"]


def test_heights_are_left_out() -> None:
    found = layer([Point(*VELODROME, 12.0)], kind="points")
    assert found.problems["what"].tolist() == ["geometry in three dimensions"]
    high = Polygon([(5.3, 43.2, 1), (5.31, 43.2, 2), (5.31, 43.21, 3)])
    assert not shapely.has_z(layer([high]).table["geometry"].to_numpy()).any()


def test_the_wrong_kind_of_shape() -> None:
    with pytest.raises(InputDataError, match="areas must be MultiPolygon or Polygon, but the geometry holds"):
        layer([Point(VELODROME)])
    with pytest.warns(DataWarning, match="is not of kind lines"):
        found = layer([LineString([VELODROME, (5.4, 43.3)]), Point(VELODROME)], kind="lines")
    assert len(found) == 1


def test_a_collection_of_one_point_is_a_point() -> None:
    assert layer([MultiPoint([VELODROME])], kind="points").table[["lng", "lat"]].to_numpy().tolist() == [
        list(VELODROME)
    ]


def test_lines_and_areas_need_a_geometry() -> None:
    with pytest.raises(InputDataError, match="need a file with geometry"):
        read_context(pd.DataFrame({"n": [1]}), kind="areas", name="layer", tz="Europe/Paris", known="always")


def test_too_many_vertices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_shapes, "MAX_VERTICES", 1_000)
    with pytest.raises(InputDataError, match="has 1,001 vertices"):
        layer([Point(VELODROME).buffer(0.01, quad_segs=250)])


def test_a_circle_of_a_million_vertices_is_read() -> None:
    angle = np.linspace(0, 2 * np.pi, 1_000_000, endpoint=False)
    found = layer([Polygon(np.stack([5.4 + np.cos(angle) / 100, 43.3 + np.sin(angle) / 100], axis=1))])
    assert shapely.get_num_coordinates(found.table["geometry"].to_numpy())[0] == 1_000_001
