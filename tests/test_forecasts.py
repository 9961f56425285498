"""Forecasts: one table in and out, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.builders import make_panel
from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.forecasters import Count365, CountAll
from tranquillite_ml.forecasts import Forecasts, from_frame, read_forecasts
from tranquillite_ml.schema import FORECAST_COLUMNS, FORECAST_VALUES
from tranquillite_ml.target import Target


@pytest.fixture(scope="module")
def forecasts() -> Forecasts:
    panel = make_panel(120, rings=2)
    target = Target(["noise", "theft"], horizons=(1, 2))
    parts = [
        kind(target, calibration_days=28).fit(panel, c).forecast(panel, c)
        for kind in (Count365, CountAll)
        for c in (100, 110)
    ]
    return Forecasts.concat(parts).observe(panel)


def same(one: Forecasts, two: Forecasts) -> None:
    np.testing.assert_array_equal(one.cells, two.cells)
    for name in FORECAST_VALUES:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    pd.testing.assert_frame_equal(one.keys, two.keys, check_dtype=False)
    assert one.meta == two.meta


def test_frame_and_back(forecasts: Forecasts) -> None:
    frame = forecasts.to_frame()
    assert tuple(frame.columns) == FORECAST_COLUMNS
    assert len(frame) == len(forecasts) == 16 * 19
    again = from_frame(frame.sample(frac=1, random_state=0).sort_index(), forecasts.meta)
    np.testing.assert_array_equal(again.expected_count, forecasts.expected_count)


def test_parquet_and_back_byte_for_byte(forecasts: Forecasts, tmp_path: Path) -> None:
    one = forecasts.write(tmp_path / "one.parquet")
    again = read_forecasts(one)
    same(forecasts, again)
    two = again.write(tmp_path / "two.parquet")
    assert one.read_bytes() == two.read_bytes()


def test_select_and_concat(forecasts: Forecasts) -> None:
    parts = [forecasts.select(model=name) for name in forecasts.models]
    same(forecasts, Forecasts.concat(parts))
    assert len(forecasts.latest().keys) == len(forecasts.keys) / 2
    with pytest.raises(UsageError, match="no forecast has"):
        forecasts.select(model="count_366d")
    with pytest.raises(UsageError, match="Did you mean 'model'"):
        forecasts.select(modle="x")


def test_geodataframe_has_one_hexagon_a_row(forecasts: Forecasts) -> None:
    found = forecasts.latest().to_geodataframe(model="count_all", category="noise", horizon=1)
    assert len(found) == 19
    assert found.crs == "EPSG:4326"
    assert found.to_crs("EPSG:6933").area.sum() / 1e6 == pytest.approx(
        found["area_km2"].sum(), rel=5e-3
    )  # H3 computes on a sphere


def test_outcomes_not_there_yet_stay_missing() -> None:
    panel = make_panel(120, rings=1)
    found = Count365(Target("noise", period=7), calibration_days=28).fit(panel).forecast(panel)
    assert np.isnan(found.observe(panel).observed_count).all()


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_a_rate_that_is_none_is_refused(forecasts: Forecasts, bad: float) -> None:
    frame = forecasts.to_frame()
    frame.loc[5, "expected_count"] = bad
    with pytest.raises(InputDataError, match="finite and ≥ 0"):
        from_frame(frame, {})


def test_repeated_and_missing_cells_are_refused(forecasts: Forecasts) -> None:
    frame = forecasts.to_frame()
    with pytest.raises(InputDataError, match="each map must hold each"):
        from_frame(pd.concat([frame, frame.iloc[:1]]), {})
    with pytest.raises(InputDataError, match="each map must hold each"):
        from_frame(frame.iloc[1:], {})


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    pd.DataFrame({"model": ["x"], "cell": ["89"]}).to_csv(path)
    with pytest.raises(InputDataError, match="expected_count"):
        read_forecasts(path)


def test_hostile_names_are_shown_as_text(forecasts: Forecasts) -> None:
    keys = forecasts.keys.assign(model="<img src=x onerror=alert(1)>")
    keys["horizon"] = range(len(keys))
    shown = Forecasts(keys, forecasts.cells, forecasts.area_km2, forecasts.values, {})._repr_html_()
    assert "<img" not in shown
