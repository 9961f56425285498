"""Groups of places: areal weighting by hand, quantiles, and files that cannot be right."""

from __future__ import annotations

import json
import math

import geopandas as gpd
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon, box

from tests.audit.scenes import STLOUIS, Boxes, write_areas
from tranquillite_ml.audit.groups import Groups, read_groups
from tranquillite_ml.errors import InputDataError, TranquilliteError, UsageError
from tranquillite_ml.hexgrid import HexGrid

LEFT, MIDDLE, RIGHT = box(0, 0, 0.015, 0.01), box(0.015, 0, 0.03, 0.01), box(0.03, 0, 0.04, 0.01)


@pytest.fixture
def areas(tmp_path):
    def write(rows, **extra):
        return write_areas(tmp_path / "areas.geojson", rows, **extra)

    return write


def three(**columns):
    return [
        (shape, {name: values[i] for name, values in columns.items()})
        for i, shape in enumerate((LEFT, MIDDLE, RIGHT))
    ]


def test_residents_go_to_cells_by_the_share_of_the_area(areas):
    """Left is cell 1 and half of cell 2: of 300 residents 200 and 100; middle the other half and cell 3."""
    path = areas(three(name=["a", "b", "b"], people=[300, 30, 0], homes=[150, 15, 0]))
    groups = read_groups(path, "name", Boxes(5), residents="people", households="homes")
    assert groups.buckets == ("a", "b", "non-residential")
    assert groups.residents == pytest.approx(
        np.array([[200, 0], [100, 10], [0, 20], [0, 0], [0, 0]]), rel=1e-9
    )
    assert groups.share[1] == pytest.approx([100 / 110, 10 / 110, 0])
    assert groups.share[3:].tolist() == [[0, 0, 1], [0, 0, 1]]  # nobody there; no area there
    assert groups.households == pytest.approx([100, 55, 10, 0, 0])
    assert groups.notes["uncovered"] == pytest.approx(0.2, abs=1e-3)  # the fifth cell
    assert groups.notes["left_out"] == 1  # the area of zero residents
    assert groups.table["residents"].tolist() == pytest.approx([300, 30])


def test_without_residents_shares_are_by_area(areas):
    groups = read_groups(areas(three(name=["a", "b", "b"])), "name", Boxes(4))
    assert not groups.counted
    assert groups.share[:, :2] == pytest.approx(np.array([[1, 0], [0.5, 0.5], [0, 1], [0, 1]]), abs=1e-9)


def test_a_cell_with_less_than_half_a_resident_is_non_residential(areas):
    groups = read_groups(areas(three(name=["a", "b", "c"], n=[0.6, 9, 9])), "name", Boxes(4), residents="n")
    assert groups.share[0].tolist() == [0, 0, 0, 1]  # two thirds of 0.6
    assert groups.residents[1] == pytest.approx([0.2, 3, 0])


@given(people=st.lists(st.floats(1, 1e6), min_size=3, max_size=3))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nobody_is_lost_or_made_where_cells_cover_the_areas(tmp_path, people):
    path = write_areas(tmp_path / "areas.geojson", three(name=["a", "b", "c"], n=people))
    groups = read_groups(path, "name", Boxes(4), residents="n")
    assert groups.residents.sum(axis=0) == pytest.approx(people, rel=1e-9)
    assert groups.share.sum(axis=1) == pytest.approx(np.ones(4))
    assert np.asarray(groups.area_share.sum(axis=1)).ravel() == pytest.approx(np.ones(4))


# ---------------------------------------------------------------------- what groups


def test_quantiles_hold_about_as_many_residents_each(tmp_path):
    """Incomes 1..8 with residents 10 each, the last two equal: halves of 40 residents."""
    shapes = [box(0.005 * i, 0, 0.005 * (i + 1), 0.01) for i in range(8)]
    income = [3, 1, 2, 4, 5, 7, 6, 7]
    path = write_areas(
        tmp_path / "a.geojson", [(s, {"income": i, "n": 10}) for s, i in zip(shapes, income, strict=True)]
    )
    groups = read_groups(path, "income", Boxes(4), residents="n", quantiles=2)
    assert groups.names == ("Q1", "Q2")
    assert groups.table[["lowest", "highest", "areas"]].values.tolist() == [[1, 4, 4], [5, 7, 4]]
    assert groups.residents.sum(axis=0) == pytest.approx([40, 40])


def test_an_area_goes_where_the_middle_of_its_residents_lies(areas):
    """Of 30, 50 and 20 residents by rising income the middles lie at 15 %, 55 % and 90 %."""
    groups = read_groups(areas(three(v=[1, 2, 3], n=[30, 50, 20])), "v", Boxes(4), residents="n", quantiles=2)
    assert groups.group_of_area.tolist() == [0, 1, 1]


def test_areas_without_the_number_are_a_group_of_their_own(areas):
    groups = read_groups(areas(three(v=[1, None, 2], n=[9, 9, 9])), "v", Boxes(4), residents="n", quantiles=2)
    assert groups.names == ("Q1", "Q2", "not stated")
    assert groups.residents.sum(axis=0) == pytest.approx([9, 9, 9])


def test_equal_areas_are_never_torn_apart(areas):
    with pytest.raises(InputDataError, match="do not make 2 groups"):
        read_groups(areas(three(v=[5, 5, 5])), "v", Boxes(4), quantiles=2)


def test_whole_numbers_are_names_in_their_order(areas):
    assert read_groups(areas(three(v=[10, 2, 1])), "v", Boxes(4)).names == ("1", "2", "10")


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "=cmd()", "Belle de Mai — 3ᵉ", "'; DROP"])
def test_hostile_names_are_kept_as_the_text_they_are(areas, name):
    assert name in read_groups(areas(three(v=[name, "b", "c"])), "v", Boxes(4)).names


@pytest.mark.parametrize("name", ["", "  ", "a\u202eb", "a\x00b", "x" * 201, "non-residential", "not stated"])
def test_names_that_cannot_be_told_apart_are_refused(areas, name):
    with pytest.raises(InputDataError, match="area 1 must be a name"):
        read_groups(areas(three(v=[name, "b", "c"])), "v", Boxes(4))


@pytest.mark.parametrize(
    ("column", "options", "told"),
    [
        ("nmae", {}, "Did you mean 'name'"),
        ("name", {"quantiles": 3}, "only numbers can be cut"),
        ("income", {}, "for example with quantiles=5"),
        ("part", {}, "area 2 has no 'part'"),
        ("name", {"residents": "peple"}, "Did you mean 'people'"),
        ("name", {"residents": "gone"}, "1 are not, first in area 2"),
        ("name", {"residents": "minus"}, "first in area 3: '-1'"),
        ("name", {"residents": "name"}, "3 are not, first in area 1: 'a'"),
        ("name", {"residents": "none"}, "nobody lives on the grid"),
        ("name", {"households": "minus"}, "'minus' must be a number of at least 0"),
    ],
)
def test_wrong_columns_are_named(areas, column, options, told):
    path = areas(
        three(name=["a", "b", "c"], income=[1.5, 2.5, 3.0], part=["x", None, "y"], people=[1, 2, 3],
              gone=["1", None, "2"], minus=[1, 1, -1], none=[0, 0, 0])
    )  # fmt: skip
    with pytest.raises((InputDataError, UsageError)) as caught:
        read_groups(path, column, Boxes(4), **options)
    assert told in str(caught.value)


def test_one_quantile_is_no_group(areas):
    with pytest.raises(UsageError, match="at least 2"):
        read_groups(areas(three(v=[1, 2, 3])), "v", Boxes(4), quantiles=1)


def test_too_many_groups_are_refused(tmp_path):
    rows = [(box(1e-4 * i, 0, 1e-4 * (i + 1), 0.01), {"v": f"g{i}"}) for i in range(201)]
    with pytest.raises(InputDataError, match="makes 201 groups"):
        read_groups(write_areas(tmp_path / "a.geojson", rows), "v", Boxes(4))


# ---------------------------------------------------------------------- geometry and files


def test_overlapping_areas_are_refused(areas):
    """The second reaches 0.001° into the first: a tenth of the smaller one's 0.01°."""
    rows = [(box(0, 0, 0.02, 0.01), {"v": "a"}), (box(0.019, 0, 0.029, 0.01), {"v": "b"})]
    with pytest.raises(InputDataError, match=r"areas 1 and 2 share 10\.0% of the smaller"):
        read_groups(areas(rows), "v", Boxes(4))


def test_a_sliver_between_neighbours_is_no_overlap(areas):
    rows = [(box(0, 0, 0.02, 0.01), {"v": "a"}), (box(0.019999, 0, 0.04, 0.01), {"v": "b"})]
    assert read_groups(areas(rows), "v", Boxes(4)).names == ("a", "b")


def test_gaps_are_stated(areas):
    rows = [(box(0, 0, 0.01, 0.01), {"v": "a"}), (box(0.03, 0, 0.04, 0.01), {"v": "b"})]
    groups = read_groups(areas(rows), "v", Boxes(4))
    assert groups.notes["uncovered"] == pytest.approx(0.5, abs=1e-3)
    assert groups.share[1:3, 2].tolist() == [1, 1]


def test_an_outline_that_crosses_itself_is_repaired_and_counted(areas):
    bowtie = Polygon([(0, 0), (0.02, 0.01), (0.02, 0), (0, 0.01)])
    groups = read_groups(areas([(bowtie, {"v": "a", "n": 80})]), "v", Boxes(2), residents="n")
    assert groups.notes["repaired"] == 1
    assert groups.residents.ravel() == pytest.approx([40, 40], rel=1e-3)


def test_areas_off_the_grid_are_left_out_and_counted(areas):
    rows = [*three(v=["a", "b", "c"]), (box(1, 1, 1.1, 1.1), {"v": "far"})]
    groups = read_groups(areas(rows), "v", Boxes(4))
    assert groups.names == ("a", "b", "c")
    assert groups.notes["left_out"] == 1


def test_swapped_coordinates_cover_no_cell(areas):
    grid = HexGrid(["893968152bbffff"]).dilated(2)  # Marseille: latitude 43, longitude 5
    rows = [(box(43.2, 5.3, 43.4, 5.5), {"v": "a"})]
    with pytest.raises(InputDataError, match="Were they swapped"):
        read_groups(areas(rows), "v", grid)


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:EPSG::2154", "EPSG:3857", "EPSG:14326"])
def test_another_coordinate_system_is_refused_in_geojson(areas, name):
    with pytest.raises(InputDataError, match="Reproject it to EPSG:4326"):
        read_groups(areas(three(v=list("abc")), crs={"properties": {"name": name}}), "v", Boxes(4))


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326"])
def test_degrees_by_any_name_are_accepted(areas, name):
    path = areas(three(v=list("abc")), crs={"type": "name", "properties": {"name": name}})
    assert len(read_groups(path, "v", Boxes(4)).names) == 3


def test_geoparquet_in_metres_gives_the_same_as_geojson_in_degrees(tmp_path):
    rows = three(v=["a", "b", "c"], n=[300, 30, 7])
    frame = gpd.GeoDataFrame([said for _, said in rows], geometry=[s for s, _ in rows], crs="EPSG:4326")
    frame.to_crs("EPSG:32631").to_parquet(tmp_path / "areas.parquet")
    ours = read_groups(tmp_path / "areas.parquet", "v", Boxes(4), residents="n")
    theirs = read_groups(write_areas(tmp_path / "a.geojson", rows), "v", Boxes(4), residents="n")
    assert ours.residents == pytest.approx(theirs.residents, abs=1e-3)


def test_geoparquet_without_a_coordinate_system_is_refused(tmp_path):
    gpd.GeoDataFrame({"v": ["a"]}, geometry=[LEFT]).to_parquet(tmp_path / "areas.parquet")
    with pytest.raises(InputDataError, match="has no coordinate system"):
        read_groups(tmp_path / "areas.parquet", "v", Boxes(4))


@pytest.mark.parametrize(
    ("geometry", "told"),
    [
        (None, "area 1 must be a polygon, got nothing"),
        ({"type": "Point", "coordinates": [0, 0]}, "got a Point"),
        ({"type": "Polygon", "coordinates": []}, "got nothing"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [0, "x"]]]}, "no geometry that can be read"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [900, 0], [900, 900], [0, 0]]]}, "are no degrees"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [2, 2], [0, 0]]]}, "has no surface"),
        (
            {"type": "Polygon", "coordinates": [[[0, 0], [math.nan, 1], [1, 1], [0, 0]]]},
            "no geometry that can be read",
        ),
        ("POLYGON", "no geometry that can be read"),
    ],
)
def test_a_geometry_that_is_no_area_is_refused(areas, geometry, told):
    with pytest.raises(InputDataError) as caught:
        read_groups(areas([(geometry, {"v": "a"})]), "v", Boxes(4))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"features": 3}', '{"features": []}', "[" * 100_000, '{"features": [1]}',
             '{"features": [{"geometry": null}]}', '{"crs": 7, "features": []}', "\x00\xff"],
)  # fmt: skip
def test_a_file_that_is_no_collection_is_refused(tmp_path, text):
    path = tmp_path / "areas.geojson"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputDataError):
        read_groups(path, "v", Boxes(4))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "coordinates", "features", "geometry", "properties", "v"]), inner
        )
    ),
    max_leaves=12,
)


@given(value=JSON)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_groups_or_an_error_of_ours(tmp_path, value):
    path = tmp_path / "areas.geojson"
    path.write_text(json.dumps({"features": [value]}), encoding="utf-8")
    with pytest.raises(TranquilliteError):
        read_groups(path, "v", Boxes(2))


def test_a_parquet_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "areas.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputDataError, match="cannot be read"):
        read_groups(tmp_path / "areas.parquet", "v", Boxes(4))


# ---------------------------------------------------------------------- on other cells


def test_groups_follow_the_order_of_the_forecasts_cells():
    groups = Groups.of_cells({"a": [1.0, 0, 5], "b": [0, 2.0, 5]}, [1, 2, 3])
    moved = groups.on(np.array([3, 1], dtype=np.uint64))
    assert moved.residents.tolist() == [[5, 5], [1, 0]]
    with pytest.raises(UsageError, match="1 of the 2 cells"):
        groups.on(np.array([3, 9], dtype=np.uint64))


@pytest.mark.parametrize("wrong", [[1.0], [1.0, -1.0], [1.0, math.nan]])
def test_residents_of_cells_are_one_number_a_cell(wrong):
    with pytest.raises(UsageError, match="for each of the 2 cells"):
        Groups.of_cells({"a": wrong}, [1, 2])


@pytest.mark.skipif(not STLOUIS.exists(), reason="the folder ../shared/data is not there")
def test_the_income_fifths_of_st_louis_hold_a_fifth_of_the_residents_each():
    path = STLOUIS / "context_tracts_demographics.geojson"
    grid = HexGrid.from_polygon(gpd.read_file(path), resolution=9)
    groups = read_groups(path, "median_income", grid, residents="pop_total", quantiles=5)
    people = groups.residents.sum(axis=0)
    assert groups.names == ("Q1", "Q2", "Q3", "Q4", "Q5")
    assert people / people.sum() == pytest.approx([0.2] * 5, abs=0.02)
    # The file's own total, but for cells in which less than half a resident was left out.
    assert people.sum() + groups.notes["outside"] == pytest.approx(314_867)
    assert (groups.table["highest"].to_numpy()[:-1] <= groups.table["lowest"].to_numpy()[1:]).all()
    assert groups.notes["repaired"] == groups.notes["left_out"] == 0
