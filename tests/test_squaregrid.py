"""Squares: true areas, rings like a king's moves, names, and the engine on them from counts to map."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tranquillite_ml as tq
from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.grid import Grid
from tranquillite_ml.grids import open_grid
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.report.exports import write_exports
from tranquillite_ml.report.maps import write_map
from tranquillite_ml.squaregrid import SquareGrid

MARSEILLE = SquareGrid.from_tensor_shape((5, 4), size_km=1.0, south=43.25, west=5.30)


def test_both_grids_keep_the_protocol() -> None:
    for grid in (MARSEILLE, HexGrid(["893968152bbffff"])):
        assert isinstance(grid, Grid)
        assert grid.to_dict()["kind"] in {"h3", "squares"}
        assert grid.cells.dtype == np.uint64
        assert [int(name, 16) for name in grid.names()] == grid.cells.tolist()


@pytest.mark.parametrize(("south", "size_km"), [(-0.1, 1.0), (43.2, 0.3), (60.0, 5.0), (-35.0, 3.0)])
def test_areas_are_those_of_an_equal_area_projection(south: float, size_km: float) -> None:
    grid = SquareGrid.from_tensor_shape((6, 3), size_km=size_km, south=south, west=5.0)
    projected = grid.to_geodataframe().to_crs("EPSG:6933").area / 1e6
    np.testing.assert_allclose(grid.area_km2, projected, rtol=1e-9)
    np.testing.assert_allclose(grid.area_km2, size_km**2, rtol=0.02)


@pytest.mark.parametrize("k", [0, 1, 2, 4])
def test_a_ring_is_the_chebyshev_distance(k: int) -> None:
    kept = np.delete(MARSEILLE.cells, [6, 7])
    grid = SquareGrid(**_lattice(MARSEILLE), cells=kept.tolist())
    places = [(int(name[1:5]), int(name[5:])) for name in grid.names()]
    wanted = [[float(max(abs(a - c), abs(b - d)) == k) for c, d in places] for a, b in places]
    assert grid.ring(k).toarray().tolist() == wanted


def test_cells_run_from_the_south_west_by_rows() -> None:
    assert MARSEILLE.names()[[0, 1, 4, 19]].tolist() == ["c00000000", "c00000001", "c00010000", "c00040003"]
    lat, lng = MARSEILLE.centres.T
    assert (np.diff(lat[::4]) > 0).all()
    assert (np.diff(lng[:4]) > 0).all()


@given(st.integers(1, 9_999), st.integers(0, 9_999), st.integers(0, 9_999))
def test_a_name_says_row_and_column(extra: int, row: int, column: int) -> None:
    name = f"c{row:04d}{column:04d}"
    grid = SquareGrid(10_000, 10_000, south=0, west=0, step_lat=1e-3, step_lng=1e-3, cells=[name])
    assert (grid.row.tolist(), grid.column.tolist()) == ([row], [column])
    assert grid.names().tolist() == [name]
    other = SquareGrid(
        10_000, 10_000, south=0, west=0, step_lat=1e-3, step_lng=1e-3, cells=[name, f"c{extra:04d}{row:04d}"]
    )
    assert other.cells.tolist() == sorted(other.cells.tolist())


def test_centres_and_edges_are_located() -> None:
    found = MARSEILLE.locate(*MARSEILLE.centres.T)
    assert found.tolist() == list(range(20))
    south, west = MARSEILLE.south, MARSEILLE.west
    north = south + MARSEILLE.rows * MARSEILLE.step_lat + 1e-9
    lat = np.array([south, south - 1e-9, north, np.nan, south])
    lng = np.array([west, west, west, west, west - 1e-9])
    assert MARSEILLE.locate(lat, lng).tolist() == [0, -1, -1, -1, -1]
    kept = SquareGrid(**_lattice(MARSEILLE), cells=MARSEILLE.cells[1:].tolist())
    assert kept.locate(*MARSEILLE.centres.T).tolist() == [-1, *range(19)]


def test_bounds_are_covered() -> None:
    grid = SquareGrid.from_bounds(38.5, -90.4, 38.8, -90.1, size_km=0.325)
    box = grid.to_geodataframe().total_bounds
    assert box[0] == pytest.approx(-90.4)
    assert box[1] == pytest.approx(38.5)
    assert box[2] >= -90.1
    assert box[3] >= 38.8
    assert grid.area_km2.mean() == pytest.approx(0.325**2, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"rows": 0}, "rows and columns"),
        ({"south": 89.99}, "on the globe"),
        ({"step_lat": 0}, "on the globe"),
        ({"west": np.nan}, "on the globe"),
        ({"step_lat": 1e-5}, "single household"),
        ({"cells": ["c00090000"]}, "'c00090000' is none"),
        ({"cells": ["893968152bbffff"]}, "is none"),
        ({"cells": []}, "there are none"),
    ],
)
def test_what_is_no_grid_is_refused(change: dict[str, object], rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        SquareGrid(**_lattice(MARSEILLE) | change)


def test_bounds_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(UsageError, match="south < north"):
        SquareGrid.from_bounds(38.8, -90.4, 38.5, -90.1, size_km=1)


def test_a_grid_comes_back_from_its_description() -> None:
    for grid in (MARSEILLE, HexGrid(["893968152bbffff"], study_area_km2=3.0)):
        again = open_grid(grid.to_dict(), grid.cells)
        assert again.to_dict() == grid.to_dict()
        assert again.area_km2.tolist() == grid.area_km2.tolist()
    with pytest.raises(InputDataError, match="got 'triangles'"):
        open_grid({"kind": "triangles"}, MARSEILLE.cells)
    with pytest.raises(InputDataError, match="not complete"):
        open_grid({"kind": "squares", "rows": 3}, MARSEILLE.cells)


# ---------------------------------------------------------------------- the engine on squares


@pytest.fixture(scope="module")
def panel() -> Panel:
    counts = np.random.default_rng(0).poisson(0.2, size=(2, 200, 20))
    bins = tq.TimeBins("2024-01-01", 200, "1D", "Europe/Paris")
    return Panel.from_counts(counts, MARSEILLE, bins, ["theft", "noise"], {"noise": "citizen"})


def test_counts_come_back_as_they_went_in(panel: Panel) -> None:
    counts = np.random.default_rng(0).poisson(0.2, size=(2, 200, 20))
    assert panel.categories == ("noise", "theft")
    assert (panel.counts("theft") == counts[0]).all()
    assert (panel.counts("noise") == counts[1]).all()
    assert panel.origins == {"noise": "citizen", "theft": "unknown"}
    assert panel.until(10).counts("noise").sum() == counts[1][:10].sum()


@pytest.mark.parametrize(
    ("change", "rule"), [(-1, "whole numbers"), (0.5, "whole numbers"), (np.nan, "whole numbers")]
)
def test_counts_that_are_none_are_refused(change: float, rule: str) -> None:
    counts = np.full((1, 3, 20), 1.0)
    counts[0, 1, 5] = change
    bins = tq.TimeBins("2024-01-01", 3, "1D", "UTC")
    with pytest.raises(InputDataError, match=rule):
        Panel.from_counts(counts, MARSEILLE, bins, ["noise"])
    with pytest.raises(InputDataError, match="must have shape"):
        Panel.from_counts(counts[:, :2], MARSEILLE, bins, ["noise"])


def test_a_panel_of_squares_is_saved_and_opened(panel: Panel, tmp_path: Path) -> None:
    opened = Panel.open(panel.save(tmp_path / "panel"))
    assert opened.digest() == panel.digest()
    assert opened.grid.ring(1).toarray().tolist() == panel.grid.ring(1).toarray().tolist()
    assert panel.to_frame()["cell"].str.startswith("c000").all()


def test_a_model_forecasts_on_squares_and_everything_leaves(panel: Panel, tmp_path: Path) -> None:
    model = tq.LightGBMForecaster(tq.Target("noise", period=7), n_estimators=20, calibration_days=30)
    week = model.fit(panel).forecast(panel)
    table = week.to_geodataframe()
    assert table.geometry.tolist() == list(MARSEILLE.polygons)
    assert table["area_km2"].tolist() == MARSEILLE.area_km2.tolist()
    write_exports(week, tmp_path)
    assert gpd.read_parquet(tmp_path / "forecast.geoparquet")["cell"].tolist() == MARSEILLE.names().tolist()
    for path in (week.write(tmp_path / "week.parquet"), tmp_path / "forecast.csv"):
        again = tq.read_forecasts(path)
        assert (again.cells == week.cells).all()
        np.testing.assert_allclose(again.expected_count, week.expected_count, rtol=1e-5)
    html = write_map(week, tmp_path / "map.html", title="squares").read_text(encoding="utf-8")
    assert "c00040003" in html


def test_incidents_are_counted_into_squares() -> None:
    # Three in cell (0, 0), one in (4, 3), one two kilometres north of it: outside.
    lat, lng = MARSEILLE.centres[[0, 0, 0, 19, 19]].T
    lat[4] += 0.02
    frame = pd.DataFrame(
        {"occurred_at": ["2024-03-01 10:00"] * 5, "lat": lat, "lng": lng, "category": "noise"}
    )
    incidents = tq.read_incidents(frame, tz="Europe/Paris")
    panel = Panel.build(incidents, MARSEILLE, tq.TimeBins.covering(incidents))
    assert panel.counts("noise")[0, [0, 19]].tolist() == [3, 1]
    assert panel.funnel["outside_grid"] == 1


def _lattice(grid: SquareGrid) -> dict[str, float]:
    return {name: value for name, value in grid.to_dict().items() if name not in {"kind", "study_area_km2"}}
