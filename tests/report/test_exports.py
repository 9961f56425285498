"""The exported files hold the forecast's numbers, can be read back, and run nothing in a spreadsheet."""

import csv
import json
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.report.conftest import MakeForecasts
from tranquillite_ml.forecasts import read_forecasts
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.limits import LIMITS_IN_BRIEF, LIMITS_OF_USE, LIMITS_VERSION, shows_limits
from tranquillite_ml.report.exports import significant, write_exports
from tranquillite_ml.schema import FORECAST_COLUMNS

SCRIPT = "<script>alert(1)</script>"


def test_the_three_files_hold_the_last_forecast(make_forecasts: MakeForecasts, tmp_path: Path) -> None:
    forecasts = make_forecasts(cutoffs=["2025-02-01", "2025-03-29"])
    paths = write_exports(forecasts, tmp_path / "new folder", notice=None)
    assert [path.name for path in paths] == ["forecast.geoparquet", "forecast.geojson", "forecast.csv"]
    assert {path.name for path in (tmp_path / "new folder").iterdir()} == {path.name for path in paths}

    last = forecasts.latest()
    shapes = HexGrid(last.cells.tolist()).polygons
    tables = [gpd.read_parquet(paths[0]), gpd.read_file(paths[1]), pd.read_csv(paths[2])]
    for table in tables:
        assert [name for name in table if name not in {"geometry", "limits_of_use"}] == list(FORECAST_COLUMNS)
        assert len(table) == len(last)
        np.testing.assert_allclose(table["expected_count"], last.expected_count.ravel(), rtol=5e-6)
        np.testing.assert_array_equal(table["upper"], last.upper.ravel())
        assert table["observed_count"].isna().all()
        moments = pd.to_datetime(table["period_end"], utc=True)
        assert (moments == last.to_frame()["period_end"].dt.tz_convert("UTC")).all()
    for spatial in tables[:2]:
        assert spatial.crs == "EPSG:4326"
        assert (
            spatial.geometry.iloc[: len(shapes)]
            .geom_equals_exact(gpd.GeoSeries(shapes, crs=4326), 1e-6)
            .all()
        )


def test_each_file_carries_the_limits_of_use(make_forecasts: MakeForecasts, tmp_path: Path) -> None:
    parquet, geojson, table = write_exports(make_forecasts(), tmp_path)
    said = pq.read_schema(parquet).metadata
    assert json.loads(said[b"limits_of_use"]) == dict(LIMITS_OF_USE)
    assert b"geo" in said
    description = json.loads(geojson.read_text(encoding="utf-8"))["description"]
    assert description == "\n".join(LIMITS_OF_USE.values())
    assert shows_limits(description)
    rows = pd.read_csv(table)
    assert (rows["limits_of_use"] == LIMITS_IN_BRIEF).all()
    for text in (*LIMITS_OF_USE.values(), LIMITS_IN_BRIEF):
        assert re.search(rf"(version|use) {LIMITS_VERSION}\b", text)


def test_the_csv_is_read_back_as_forecasts(make_forecasts: MakeForecasts, tmp_path: Path) -> None:
    forecasts = make_forecasts()
    path = write_exports(forecasts, tmp_path, notice="SIMULATED DATA")[2]
    again = read_forecasts(path)
    np.testing.assert_array_equal(again.cells, forecasts.cells)
    np.testing.assert_allclose(again.prob_any, forecasts.prob_any, rtol=5e-6)
    # Three days over the change to summer time: offsets are written.
    text = path.read_text(encoding="utf-8")
    assert "2025-03-30T00:00:00+01:00" in text
    assert "2025-03-31T00:00:00+02:00" in text


@pytest.mark.parametrize("category", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx", SCRIPT])
def test_no_cell_of_the_csv_is_a_formula(
    category: str, make_forecasts: MakeForecasts, tmp_path: Path
) -> None:
    paths = write_exports(make_forecasts(categories=[category]), tmp_path, notice="=NOTICE")
    with paths[2].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shown = category if category == SCRIPT else f"'{category}".replace("\r", " ")
    assert {row["category"] for row in rows} == {shown}
    assert {row["notice"] for row in rows} == {"'=NOTICE"}
    assert not any(
        value.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for value in row.values()
    )
    # JSON and Parquet run nothing: the name stays as it is.
    features = json.loads(paths[1].read_text(encoding="utf-8"))["features"]
    assert {feature["properties"]["category"] for feature in features} == {category}
    assert set(gpd.read_parquet(paths[0])["category"]) == {category}


def test_equal_forecasts_give_equal_bytes_and_leave_nothing_else(
    make_forecasts: MakeForecasts, tmp_path: Path
) -> None:
    first = [path.read_bytes() for path in write_exports(make_forecasts(), tmp_path, notice="n")]
    again = [path.read_bytes() for path in write_exports(make_forecasts(), tmp_path, notice="n")]
    assert first == again
    assert len(list(tmp_path.iterdir())) == 3


def test_the_notice_is_on_every_row_or_no_column(make_forecasts: MakeForecasts, tmp_path: Path) -> None:
    paths = write_exports(make_forecasts(), tmp_path / "a", notice="SIMULATED DATA")
    for table in (gpd.read_parquet(paths[0]), gpd.read_file(paths[1]), pd.read_csv(paths[2])):
        assert set(table["notice"]) == {"SIMULATED DATA"}
    without = write_exports(make_forecasts(), tmp_path / "b", notice=None)[2]
    assert "notice" not in pd.read_csv(without)


def test_numbers_print_with_six_significant_digits() -> None:
    rng = np.random.default_rng(1)
    values = 10.0 ** rng.uniform(-14, 9, 2000)
    printed = [f"{value:.5e}" for value in values]
    assert [float(text) for text in printed] == significant(values).tolist()
