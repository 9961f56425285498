"""Adapters: ranked squares, points and hexagons of other systems, read, located and scored by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tranquillite_ml as tq
from tranquillite_ml.adapters import (
    forecasts_from_hexes,
    forecasts_from_points,
    forecasts_from_squares,
    observe_incidents,
)
from tranquillite_ml.errors import DataWarning, InputDataError, UsageError
from tranquillite_ml.forecasts import Forecasts, read_forecasts
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.intake import Incidents
from tranquillite_ml.placedsquares import PlacedSquares

KEYS = {"model": "theirs", "category": "noise", "cutoff": "2024-01-08", "days": 7, "tz": "Europe/Paris"}
SQUARES = pd.DataFrame(
    {"x": [890_000.0, 890_200.0, 890_400.0, 890_600.0], "y": 6_240_000.0, "rank": [2, 1, 3, 3]}
)
HEXES = pd.DataFrame({"cell": ["893968152bbffff", "893968152b3ffff"], "expected_count": [0.2, 1.5]})


def squares(table: pd.DataFrame = SQUARES, **change: object) -> Forecasts:
    return forecasts_from_squares(table, **({"size_m": 200, "crs": "EPSG:2154"} | KEYS | change))


def incidents_in(
    grid: PlacedSquares | HexGrid, cells: list[int], *, at: str = "2024-01-09 12:00"
) -> Incidents:
    """One incident in the middle of each cell named (−1: far away), and one a day to cover January."""
    middles = np.vstack([grid.centres, [43.0, 5.0]])
    rows = pd.DataFrame({"occurred_at": at, "category": "noise"}, index=range(len(cells)))
    rows["lat"], rows["lng"] = middles[cells].T
    days = pd.DataFrame({"occurred_at": ["2024-01-01 00:30", "2024-01-31 00:30"], "category": "other"})
    days["lat"], days["lng"] = 43.0, 5.0
    return Incidents.from_table(pd.concat([rows, days], ignore_index=True), tz="Europe/Paris")


def test_ranks_become_an_order_that_can_be_hit() -> None:
    """Four squares, ranks 2, 1, 3, 3; incidents: two in the first rank, one in a third, one elsewhere."""
    found = squares()
    np.testing.assert_allclose(found.expected_count, [[1 / 2, 1, 1 / 3, 1 / 3]])
    grid = PlacedSquares(SQUARES["x"], SQUARES["y"], size_m=200, crs="EPSG:2154")
    seen = observe_incidents(found, incidents_in(grid, [1, 1, 3, -1]))
    assert seen.observed_count.tolist() == [[0, 2, 0, 1]]
    assert seen.keys["outside_count"].tolist() == [1]
    curve = tq.hotspot_curve(seen, coverage=[0.25, 0.75])
    # A quarter of the area: 2 of 4. Three quarters: 2 and half of the two tied thirds' incident, 2.5 of 4.
    np.testing.assert_allclose(curve["hit_rate"], [2 / 4, 2.5 / 4], rtol=1e-3)
    np.testing.assert_allclose(curve["pai"], [2, 2.5 / 3], rtol=1e-3)
    assert curve["rri"].isna().all()


def test_an_order_has_no_log_score_and_no_calibration() -> None:
    grid = PlacedSquares(SQUARES["x"], SQUARES["y"], size_m=200, crs="EPSG:2154")
    seen = observe_incidents(squares(), incidents_in(grid, [1]))
    for judge in (tq.score, tq.reliability_curve, tq.pit_table):
        with pytest.raises(UsageError, match=r"'theirs'\] are ranks.*only hit rates"):
            judge(seen)


def test_an_order_stays_one_in_files_and_beside_counts(tmp_path: Path) -> None:
    ranks = forecasts_from_hexes(HEXES.rename(columns={"expected_count": "risk"}), **KEYS)
    ours = forecasts_from_hexes(HEXES, **(KEYS | {"model": "ours"}))
    both = Forecasts.concat([ours, ranks])
    again = read_forecasts(both.write(tmp_path / "both.parquet"))
    assert again.keys["distribution"].tolist() == ["poisson", "rank"]
    assert again.meta["grid"] == ours.meta["grid"]
    seen = observe_incidents(again, incidents_in(HexGrid(HEXES["cell"]), [0]))
    with pytest.raises(UsageError, match="are ranks"):
        tq.score(seen)
    assert tq.score(seen.select(model="ours"))["n_incidents"].tolist() == [1]


def test_squares_that_were_not_listed_come_last() -> None:
    """Week 1 lists squares 0 and 1, week 2 squares 1 and 2: each map has all three, the missing one last."""
    table = pd.DataFrame(
        {
            "x": [0.0, 200.0, 200.0, 400.0],
            "y": 0.0,
            "rank": [1, 2, 1, 2],
            "cutoff": ["2024-01-01"] * 2 + ["2024-01-08"] * 2,
        }
    )
    keys = {name: value for name, value in KEYS.items() if name != "cutoff"}
    found = forecasts_from_squares(table, size_m=200, crs="EPSG:32631", study_area_km2=10.0, **keys)
    assert found.expected_count.tolist() == [[1, 0.5, 0], [0, 1, 0.5]]
    assert found.study_area_km2 == 10.0
    assert found.keys["period_end"].tolist() == [
        pd.Timestamp("2024-01-08", tz="Europe/Paris"),
        pd.Timestamp("2024-01-15", tz="Europe/Paris"),
    ]


def test_rows_in_any_order_from_csv_under_their_names(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    SQUARES.rename(columns={"rank": "box_rank", "x": "E"}).sample(frac=1, random_state=0).to_csv(
        path, index=False
    )
    found = forecasts_from_squares(
        path, size_m=200, crs="EPSG:2154", columns={"rank": "box_rank", "x": "E"}, **KEYS
    )
    np.testing.assert_array_equal(found.expected_count, squares().expected_count)
    np.testing.assert_array_equal(found.cells, squares().cells)


def test_corners_in_degrees_need_no_projection() -> None:
    lat, lng = np.meshgrid(43.3 + np.arange(3) * 150 / 111_100, 5.37 + np.arange(3) * 150 / 81_090)
    table = pd.DataFrame({"lat": lat.ravel(), "lng": lng.ravel(), "risk": np.arange(9.0)})
    found = forecasts_from_squares(table, size_m=150, **KEYS)
    assert found.area_km2 == pytest.approx(np.full(9, 0.0225), rel=1e-4)
    drawn = found.to_geodataframe()
    west, south = drawn.bounds[["minx", "miny"]].to_numpy().min(axis=0)
    assert (south, west) == pytest.approx((43.3, 5.37), abs=1e-5)
    assert drawn.loc[drawn["expected_count"].idxmax()].geometry.bounds[:2] == pytest.approx(
        (lng.max(), lat.max()), abs=1e-5
    )


def test_hours_of_a_week_with_a_clock_change() -> None:
    found = squares(cutoff="2024-03-25")
    assert found.keys["exposure_hours"].tolist() == [167.0]
    assert found.keys["period_end"].iloc[0] == pd.Timestamp("2024-04-01", tz="Europe/Paris")


def test_expected_counts_of_hexes_are_scored_like_ours() -> None:
    found = forecasts_from_hexes(HEXES, **KEYS)
    grid = HexGrid(HEXES["cell"])
    np.testing.assert_array_equal(found.cells, grid.cells)
    np.testing.assert_allclose(found.area_km2, grid.area_km2)
    seen = observe_incidents(found, incidents_in(grid, [0, 0, 1]))
    assert seen.observed_count.tolist() == [[2, 1]]
    # 2·log 1.5 − 1.5 − log 2! + log 0.2 − 0.2
    wanted = 2 * np.log(1.5) - 1.5 - np.log(2) + np.log(0.2) - 0.2
    assert tq.score(seen)["log_score"].item() == pytest.approx(wanted)


def test_periods_and_categories_without_records_stay_unknown() -> None:
    grid = HexGrid(HEXES["cell"])
    for change in ({"cutoff": "2024-01-29"}, {"category": "parking"}):
        seen = observe_incidents(forecasts_from_hexes(HEXES, **(KEYS | change)), incidents_in(grid, [0]))
        assert np.isnan(seen.observed_count).all()


def test_points_are_put_into_cells() -> None:
    """Cell 0 holds points of 3 and 1, cell 1 one of 5; the fourth point lies outside."""
    grid = HexGrid(HEXES["cell"])
    lat, lng = grid.centres[[0, 0, 1, 1]].T + np.array([[0, 1e-5, 0, 1.0], [0, 0, 0, 0]])
    table = pd.DataFrame({"lat": lat, "lng": lng, "risk": [3.0, 1.0, 5.0, 9.0]})
    for combine, wanted in (("mean", [2, 5]), ("sum", [4, 5]), ("highest", [3, 5])):
        with pytest.warns(DataWarning, match="1 of 4 points"):
            found = forecasts_from_points(table, grid=grid, combine=combine, **KEYS)
        assert found.expected_count.tolist() == [wanted]
    counts = table[:3].rename(columns={"risk": "expected_count"})
    found = forecasts_from_points(counts, grid=grid, **KEYS)
    assert found.expected_count.tolist() == [[4, 5]]
    assert found.keys["distribution"].tolist() == ["poisson"]


def test_our_forecaster_runs_on_their_squares() -> None:
    city = tq.simulate_city(seed=0, days=160, radius_km=1.5)
    theirs = PlacedSquares(
        *[part.ravel() for part in np.meshgrid(np.arange(6) * 400.0 - 1200, np.arange(6) * 400.0 - 1200)],
        size_m=400,
        crs="+proj=tmerc +lat_0={} +lon_0={} +ellps=WGS84 +units=m".format(*city.grid.centres.mean(axis=0)),
    )
    panel = tq.Panel.build(city.incidents, theirs, tq.TimeBins.covering(city.incidents))
    found = tq.Count365(tq.Target("noise", period=7)).fit(panel).forecast(panel)
    assert found.expected_count.shape == (1, 36)
    assert len(found.to_geodataframe()) == 36


@pytest.mark.parametrize(
    ("table", "change", "error", "match"),
    [
        (SQUARES.assign(score=1), {}, InputDataError, "each column once"),
        (SQUARES.drop(columns="rank"), {}, InputDataError, "must hold one of"),
        (SQUARES.assign(risk=1.0), {}, InputDataError, "must hold one of"),
        (SQUARES.assign(rank=[0, 1, 2, 3]), {}, InputDataError, "rank must be ≥ 1; 1 rows"),
        (SQUARES.assign(rank=[np.nan, 1, 2, 3]), {}, InputDataError, "rank must be ≥ 1"),
        (SQUARES.assign(rank=["A", 1, 2, 3]), {}, InputDataError, "first: A in row 1"),
        (SQUARES.drop(columns="rank").assign(risk=-1.0), {}, InputDataError, "risk must be ≥ 0"),
        (pd.concat([SQUARES, SQUARES[:1]]), {}, InputDataError, "each cell once; row 5"),
        (SQUARES, {"size_m": 250}, InputDataError, "must not overlap"),
        (SQUARES.assign(x=[np.nan, 1, 2, 3]), {}, InputDataError, "x is missing in row 1"),
        (SQUARES.assign(lat=43.0, lng=5.0), {}, InputDataError, "one of the two"),
        (SQUARES[:0], {}, InputDataError, "0 rows"),
        (SQUARES, {"crs": None}, UsageError, "give crs"),
        (SQUARES.rename(columns={"x": "lng", "y": "lat"}), {}, UsageError, "need no crs"),
        (SQUARES.rename(columns={"x": "lng", "y": "lat"}), {"crs": None}, InputDataError, "must be finite"),
        (SQUARES, {"days": None}, UsageError, "give period_end"),
        (SQUARES, {"period_end": "2024-01-08"}, InputDataError, "end after it starts"),
        (SQUARES, {"cutoff": "soon"}, InputDataError, "cutoff must hold times"),
        (SQUARES.assign(model="a"), {}, UsageError, "give it once"),
        (SQUARES, {"colour": "red"}, UsageError, "a key must be one of"),
    ],
)
def test_bad_squares_are_refused(
    table: pd.DataFrame, change: dict, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        squares(table, **change)


def test_keys_must_be_given_and_files_readable(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\['category'\] must be columns"):
        forecasts_from_squares(
            SQUARES, size_m=200, crs="EPSG:2154", tz="UTC", model="a", cutoff="2024-01-01", days=7
        )
    with pytest.raises(InputDataError, match="cannot be read"):
        squares(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("table", "error", "match"),
    [
        (HEXES.assign(cell=["893968152bbffff", "Paris"]), InputDataError, "hexadecimal, got 'paris'"),
        (
            HEXES.assign(cell=["893968152bbffff", "8a3968152bbffff"]),
            UsageError,
            "not valid H3|one resolution",
        ),
        (HEXES.assign(expected_count=[1.0, -0.1]), InputDataError, "expected_count must be ≥ 0"),
        (pd.concat([HEXES, HEXES]), InputDataError, "each cell once"),
        (
            pd.concat([HEXES.assign(horizon=1), HEXES[:1].assign(horizon=2)]),
            InputDataError,
            "each of the 2 cells in each of the 2 maps",
        ),
    ],
)
def test_bad_hexes_are_refused(table: pd.DataFrame, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        forecasts_from_hexes(table, **KEYS)


def test_repeated_points_are_refused() -> None:
    grid = HexGrid(HEXES["cell"])
    table = pd.DataFrame({"lat": grid.centres[[0, 0], 0], "lng": grid.centres[[0, 0], 1], "risk": 1.0})
    with pytest.raises(InputDataError, match="each point once; row 2"):
        forecasts_from_points(table, grid=grid, **KEYS)
    with pytest.raises(UsageError, match="combine must be one of"):
        forecasts_from_points(table, grid=grid, combine="median", **KEYS)
