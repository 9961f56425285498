"""Blocks made of context: worked by hand, against oracles, and blind to what was not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import make_panel
from tranquillite_ml.errors import DataWarning, InputDataError, LookAheadError, UsageError
from tranquillite_ml.features import (
    Area,
    Calendar,
    Daylight,
    Events,
    FeatureBlock,
    FeatureSet,
    Places,
    View,
    Weather,
)
from tranquillite_ml.features.overlay import areas_in_cells
from tranquillite_ml.grid import EARTH_RADIUS_M
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.intake import Context, read_context
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

PARIS = "Europe/Paris"
PANEL = make_panel(n_bins=60)  # days from Monday 2 January 2023, seven cells around 43.297, 5.370
DAY = Target("noise")
LAT, LNG = (float(degrees) for degrees in PANEL.grid.centres.mean(axis=0))


def at(*days: str, horizon: int = 1, period: int = 1) -> View:
    target = Target("noise", period=period, horizons=(horizon,))
    return View(PANEL, "noise", target, np.array([PANEL.index_at(day) for day in days]))


def made(block: FeatureBlock, view: View) -> dict[str, Any]:
    """Columns of a block, in the order it describes them."""
    columns = {name: np.asarray(values) for name, values in block.columns(view)}
    assert list(columns) == [c.name for c in block.describe(view.target, view.bins)]
    return columns


def series(values: Any, first: str = "2023-01-02", **told: Any) -> Context:
    rows = pd.DataFrame(
        {"date": pd.date_range(first, periods=len(values)), "tmax": np.asarray(values, float)}
    )
    return read_context(rows, **({"kind": "series", "name": "weather", "tz": PARIS} | told))


# ---------------------------------------------------------------- weather


def test_lags_and_windows_by_hand() -> None:
    layer = series(range(60))  # 0 on 2 January, 1 on 3 January, …
    found = made(Weather(layer, lags=[1, 3], windows=[2, 7], anomalies=False), at("2023-01-05", "2023-01-20"))
    # 1 and 3 days back from 5 January are the 4th (2) and 2nd (0), from the 20th the 19th (17) and 17th (15).
    assert found["tmax_lag_1d"].ravel().tolist() == [2, 17]
    assert found["tmax_lag_3d"].ravel().tolist() == [0, 15]
    assert found["tmax_mean_2d"].ravel().tolist() == [1.5, 16.5]
    # Three days are there of the seven before 5 January: (0 + 1 + 2) / 3; 11 … 17 before 20 January.
    assert found["tmax_mean_7d"].ravel().tolist() == [1, 14]


def test_what_is_known_a_day_late_is_used_a_day_late() -> None:
    layer = series(range(60), known="1D after end")
    found = made(Weather(layer, lags=[1, 2], windows=[2], anomalies=False), at("2023-01-20"))
    assert np.isnan(found["tmax_lag_1d"]).all()
    assert found["tmax_lag_2d"].ravel().tolist() == [16]
    assert found["tmax_mean_2d"].ravel().tolist() == [16]


def test_anomalies_by_hand() -> None:
    # 10 in 2021, 14 in 2022, 20 from 2023 on: normal is 12, where each earlier year gives as many days.
    days = pd.date_range("2021-01-01", "2023-02-28")
    values = days.year.map({2021: 10.0, 2022: 14.0, 2023: 20.0}).to_numpy()
    layer = series(values, "2021-01-01")
    found = made(Weather(layer, lags=[], windows=[7]), at("2023-02-01"))
    assert found["tmax_mean_7d"].ravel().tolist() == [20]
    assert found["tmax_anomaly_7d"].ravel().tolist() == [8]
    first_year = made(Weather(series(range(60)), lags=[], windows=[7]), at("2023-02-01"))
    assert np.isnan(first_year["tmax_anomaly_7d"]).all()


def test_the_last_forecast_issued_counts() -> None:
    rows = pd.DataFrame(
        {
            "date": ["2023-01-20", "2023-01-21", "2023-01-22"] * 2,
            "tmax": [1.0, 2, 3, 11, 12, 13],
            "issued_at": ["2023-01-18 06:00"] * 3 + ["2023-01-19 18:00"] * 3,
        }
    )
    told = read_context(rows, kind="series", name="told", tz=PARIS)
    block = Weather(forecast=told)
    assert np.isnan(made(block, at("2023-01-19"))["tmax_forecast"]).all()
    # On the 19th the run of the 18th was known, on the 20th that of the 19th.
    assert made(block, at("2023-01-19", horizon=3))["tmax_forecast"].tolist() == [[2]]
    assert made(block, at("2023-01-20"))["tmax_forecast"].tolist() == [[11]]
    assert made(block, at("2023-01-20", period=3))["tmax_forecast"].tolist() == [[12]]


def test_measurements_are_no_forecast() -> None:
    layer = series(range(60))
    with pytest.raises(LookAheadError, match="not known in advance"):
        Weather(layer, forecast=layer)
    with pytest.raises(UsageError, match=r"has no value 'tmx'\. Did you mean 'tmax'"):
        Weather(layer, values=["tmx"])
    with pytest.raises(InputDataError, match="no value of it would ever be used"):
        list(Weather(series(range(60), "1990-01-01")).describe(DAY, PANEL.bins))


def test_hours_inside_days() -> None:
    panel = make_panel(n_bins=24 * 20, freq="1h")
    view = View(panel, "noise", DAY, np.array([24 * 9 + 14]))
    found = dict(Weather(series(range(20)), lags=[1], windows=[2], anomalies=False).columns(view))
    # At 14:00 of the tenth day: of today nothing is known, yesterday is 8, the day before 7.
    assert found["tmax_lag_1d"].tolist() == [[8]]
    assert found["tmax_mean_2d"].tolist() == [[7.5]]


# ---------------------------------------------------------------- calendar, daylight


def test_school_holidays_are_counted_by_day() -> None:
    rows = pd.DataFrame({"start": ["2023-02-11"], "end": ["2023-02-26"], "type": ["zone_b"]})
    rows = pd.concat(
        [rows, pd.DataFrame({"start": ["2023-01-01"], "end": ["2023-01-02"], "type": ["zone_b"]})]
    )
    school = read_context(rows, kind="calendar", name="school", tz=PARIS)
    block = Calendar(layers=school)
    weeks = made(block, at("2023-02-06", "2023-02-13", "2023-02-20", period=7))
    # 6–12 February holds the 11th and 12th; 13–19 all seven; 20–26 all seven.
    assert weeks["zone_b"].ravel().tolist() == [2, 7, 7]
    # Beyond the calendar's last day nothing is known.
    assert np.isnan(made(block, at("2023-02-21", period=7))["zone_b"]).all()


def test_ramadan_of_2023() -> None:
    panel = make_panel(n_bins=120)
    rows = np.array([panel.index_at(day) for day in ("2023-03-20", "2023-03-27", "2023-04-17")])
    found = dict(Calendar(ramadan=True).columns(View(panel, "noise", Target("noise", period=7), rows)))
    # 23 March to 20 April 2023: 20–26 March holds four days of it, 17–23 April four.
    assert found["ramadan"].ravel().tolist() == [4, 7, 4]


def test_holidays_of_another_country_are_told() -> None:
    with pytest.warns(DataWarning, match="are those of US, but the time zone Europe/Paris lies in FR"):
        list(Calendar(country="US").describe(DAY, PANEL.bins))


def test_a_calendar_known_afterwards() -> None:
    rows = pd.DataFrame({"date": pd.date_range("2023-01-02", periods=9), "strike": 1})
    layer = read_context(rows, kind="calendar", name="strikes", tz=PARIS, known="end")
    with pytest.raises(LookAheadError, match="no day of 'strikes' was known before it came"):
        Calendar(layers=[layer])


def test_daylight_against_the_formula() -> None:
    panel = make_panel(n_bins=400)
    rows = np.array([panel.index_at(day) for day in ("2023-06-21", "2023-12-21", "2023-03-20")])
    found = made(Daylight(0.833), View(panel, "noise", DAY, rows))["dark_share"].ravel()
    # cos H = (sin(−0.833°) − sin φ sin δ) / (cos φ cos δ) with φ = 43.297°, and 2 H / 15° hours of light:
    # δ = 23.44°: cos H = −0.4302, H = 115.48°, 15.40 h; δ = −23.44°: 0.3867, 67.25°, 8.97 h;
    # δ = −0.16° at noon of 20 March: −0.0174, 91.00°, 12.13 h.
    assert found == pytest.approx([1 - 15.40 / 24, 1 - 8.97 / 24, 1 - 12.13 / 24], abs=5e-4)


def test_daylight_by_hour_adds_up_to_the_day() -> None:
    hourly, daily = make_panel(n_bins=24 * 90, freq="1h"), make_panel(n_bins=90)
    by_hour = dict(Daylight().columns(View(hourly, "noise", DAY, np.arange(24 * 90))))["dark_share"].ravel()
    by_day = dict(Daylight().columns(View(daily, "noise", DAY, np.arange(90))))["dark_share"].ravel()
    hours = hourly.bins.exposure_hours
    total = (by_hour * hours).reshape(90, 24).sum(axis=1)
    np.testing.assert_allclose(total, by_day * daily.bins.exposure_hours, atol=1e-6)
    assert by_hour[[12, 0, 3]].tolist() == [0, 1, 1]  # noon and night of 2 January
    assert (by_hour[hours == 0] == 0).all()


def test_days_without_night() -> None:
    grid = HexGrid.from_polygon(shapely.box(18.9, 69.6, 19.0, 69.7), resolution=7)
    panel = make_panel(n_bins=365)
    tromso = type(panel)(
        grid,
        TimeBins("2023-01-02", 365, "1D", "Europe/Oslo"),
        panel.categories,
        panel.origins,
        {name: values[:0] for name, values in panel._arrays.items()},
    )
    rows = np.array([tromso.index_at("2023-06-21"), tromso.index_at("2023-12-21")])
    sun = dict(Daylight(0.833).columns(View(tromso, "noise", DAY, rows)))["dark_share"].ravel()
    assert sun == pytest.approx([0, 1], abs=1e-3)
    with pytest.raises(UsageError, match="between 0"):
        Daylight(30)


# ---------------------------------------------------------------- places


def haversine(lat: Any, lng: Any, to_lat: Any, to_lng: Any) -> Any:
    """Great-circle distance by the formula of the haversine, an independent route to the same metres."""
    a, b = np.radians(lat), np.radians(to_lat)
    h = np.sin((a - b) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(lng - to_lng) / 2) ** 2
    return 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(h))


def points(n: int = 40, seed: int = 0, **columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    place = {"lat": LAT + rng.normal(0, 0.01, n), "lng": LNG + rng.normal(0, 0.01, n)}
    return pd.DataFrame(place | {"type": rng.choice(["Bar", "school"], n)} | columns)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_distances_and_densities_against_every_pair(seed: int) -> None:
    rows = points(seed=seed)
    layer = read_context(rows, kind="points", name="osm", tz=PARIS, known="always")
    found = made(Places(layer, radius_m=700), at("2023-01-20"))
    centres = PANEL.grid.centres
    for kind in set(rows["type"]):
        there = rows[rows["type"] == kind]
        away = haversine(centres[:, :1], centres[:, 1:], there["lat"].to_numpy(), there["lng"].to_numpy())
        stem = f"osm_{kind.lower()}"
        np.testing.assert_allclose(found[f"{stem}_distance_m"][0], away.min(axis=1), rtol=1e-9, atol=1e-4)
        near = (away <= 700).sum(axis=1) / (np.pi * 0.7**2)
        np.testing.assert_allclose(found[f"{stem}_per_km2"][0], near, rtol=1e-12)
        cell = PANEL.grid.locate(there["lat"].to_numpy(), there["lng"].to_numpy())
        assert found[f"{stem}_count"][0].tolist() == [(cell == number).sum() for number in range(7)]


def test_a_place_counts_from_when_it_was_known_until_it_closes() -> None:
    rows = pd.DataFrame(
        {
            "lat": LAT,
            "lng": LNG,
            "valid_from": ["2023-01-10"],
            "valid_to": ["2023-01-19"],
            "known_at": ["2023-01-14"],
        }
    )
    layer = read_context(rows, kind="points", name="bars", tz=PARIS)
    found = made(Places(layer), at("2023-01-10", "2023-01-14", "2023-01-15", "2023-01-19", "2023-01-20"))
    # Opened on the 10th, recorded on the 14th (so known on the 15th), last day the 19th.
    # Without any place in force, nothing is known of places: not 0.
    assert found["bars_count"][2:4].sum(axis=1).tolist() == [1, 1]
    assert np.isnan(found["bars_count"][[0, 1, 4]]).all()
    assert np.isnan(found["bars_distance_m"][[0, 1, 4]]).all()


def test_none_of_a_type_is_not_unknown() -> None:
    rows = pd.DataFrame(
        {"lat": LAT, "lng": LNG, "type": ["bar", "school"], "known_at": ["2023-01-09", "2023-01-19"]}
    )
    found = made(
        Places(read_context(rows, kind="points", name="osm", tz=PARIS)), at("2023-01-09", "2023-01-15")
    )
    assert np.isnan(found["osm_school_count"][0]).all()
    assert (found["osm_school_count"][1] == 0).all()
    assert np.isnan(found["osm_school_distance_m"]).all()


def test_places_elsewhere_are_refused() -> None:
    layer = read_context(
        pd.DataFrame({"lat": [48.85], "lng": [2.35]}), kind="points", name="bars", tz=PARIS, known="always"
    )
    with pytest.raises(InputDataError, match="nothing of 'bars' lies within 100 km"):
        made(Places(layer), at("2023-01-20"))


def test_lines_by_kilometre() -> None:
    west, _, east, _ = shapely.total_bounds(PANEL.grid.polygons)
    street = shapely.LineString([(west - 0.01, LAT), (east + 0.01, LAT)])
    frame = gpd.GeoDataFrame({"type": ["tram"]}, geometry=[street], crs="EPSG:4326")
    layer = read_context(frame, kind="lines", name="net", tz=PARIS, known="always")
    found = made(Places(layer), at("2023-01-20"))
    union = shapely.union_all(PANEL.grid.polygons)
    inside = shapely.intersection(union, street)
    (a, b, c, d) = shapely.bounds(inside)
    length = haversine(np.array(b), np.array(a), np.array(d), np.array(c)) / 1000
    assert found["net_tram_km"].sum() == pytest.approx(length, rel=3e-3)  # ellipsoid against sphere
    away = np.abs(PANEL.grid.centres[:, 0] - LAT) * np.pi / 180 * EARTH_RADIUS_M
    np.testing.assert_allclose(found["net_tram_distance_m"][0], away, rtol=5e-3, atol=0.5)


# ---------------------------------------------------------------- area


def tiles(step: float, seed: int = 0, turn: float = 0.0) -> gpd.GeoDataFrame:
    """Squares over the seven cells, turned by an angle."""
    west, south, east, north = shapely.total_bounds(PANEL.grid.polygons)
    xs, ys = np.meshgrid(
        np.arange(west - 0.004, east + 0.004, step), np.arange(south - 0.004, north + 0.004, step)
    )
    shapes = shapely.box(xs.ravel(), ys.ravel(), xs.ravel() + step, ys.ravel() + step)
    middle = np.array([LNG, LAT])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shapes = shapely.transform(shapes, lambda p: (p - middle) @ rotation.T + middle)
    rng = np.random.default_rng(seed)
    values = {
        "population": rng.poisson(40, len(shapes)).astype(float),
        "built": rng.normal(1960, 20, len(shapes)),
    }
    return gpd.GeoDataFrame(values, geometry=shapes, crs="EPSG:4326")


@given(st.floats(0.0007, 0.005), st.floats(0, 1.5))
@settings(max_examples=15, deadline=None)
def test_areal_weighting_conserves_totals(step: float, turn: float) -> None:
    # Many small cells cover every square; what is handed out is what there was.
    grid = HexGrid(PANEL.grid.names().tolist()).dilated(9)
    squares = tiles(step, turn=turn)
    laid = areas_in_cells(grid, squares.geometry.to_numpy())
    population = squares["population"].to_numpy()
    spread = laid.common @ (population / laid.areas)
    assert spread.sum() == pytest.approx(population.sum(), rel=1e-9)
    # The other way round: squares that cover the cells give each cell its whole area.
    inner = areas_in_cells(PANEL.grid, tiles(step).geometry.to_numpy())
    np.testing.assert_allclose(np.asarray(inner.common.sum(axis=1)).ravel(), inner.cells, rtol=1e-9)


def test_area_values_against_an_overlay() -> None:
    squares = tiles(0.002, turn=0.3)
    layer = read_context(squares, kind="areas", name="insee", tz=PARIS, known="2019-01-01")
    found = made(Area(layer, sums=["population"], means=["built"]), at("2023-01-20"))
    plane = f"+proj=laea +lat_0={LAT} +lon_0={LNG}"
    cells = PANEL.grid.to_geodataframe().to_crs(plane)
    pieces = gpd.overlay(squares.to_crs(plane).assign(whole=lambda f: f.area), cells)
    share = pieces.area / pieces["whole"]
    people = (pieces["population"] * share).groupby(pieces["cell"]).sum()
    built = (pieces["built"] * pieces.area).groupby(pieces["cell"]).sum() / pieces.area.groupby(
        pieces["cell"]
    ).sum()
    names = PANEL.grid.names()
    np.testing.assert_allclose(found["insee_population"][0], people[names], rtol=1e-6)
    np.testing.assert_allclose(found["insee_built"][0], built[names], rtol=1e-6)


def test_a_coastline_is_cut_and_keeps_its_area() -> None:
    angle = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    radius = 0.006 * (1 + 0.2 * np.cos(40 * angle))
    coast = shapely.Polygon(
        np.stack([LNG + radius * np.cos(angle), LAT + 0.7 * radius * np.sin(angle)], axis=1)
    )
    grid = PANEL.grid.dilated(5)  # type: ignore[attr-defined]
    laid = areas_in_cells(grid, np.array([coast]))
    assert laid.common.sum() == pytest.approx(laid.areas[0], rel=1e-9)


def test_shares_of_land_use() -> None:
    west, south, east, north = shapely.total_bounds(PANEL.grid.polygons)
    halves = [
        shapely.box(west - 1e-3, south - 1e-3, LNG, north + 1e-3),
        shapely.box(LNG, south - 1e-3, east + 1e-3, north + 1e-3),
    ]
    frame = gpd.GeoDataFrame({"type": ["park", "port"]}, geometry=halves, crs="EPSG:4326")
    layer = read_context(frame, kind="areas", name="use", tz=PARIS, known="always")
    found = made(Area(layer, shares=["park", "port"]), at("2023-01-20"))
    np.testing.assert_allclose(found["use_park_share"] + found["use_port_share"], 1, rtol=1e-9)
    middle = np.argmin(np.abs(PANEL.grid.centres - [LAT, LNG]).sum(axis=1))
    assert found["use_park_share"][0, middle] == pytest.approx(0.5, abs=0.01)


def test_cells_that_no_area_touches_have_no_value() -> None:
    near = read_context(
        gpd.GeoDataFrame(
            {"population": [9.0]}, geometry=[shapely.Point(LNG, LAT).buffer(1e-4)], crs="EPSG:4326"
        ),
        kind="areas",
        name="dot",
        tz=PARIS,
        known="always",
    )
    found = made(Area(near, sums=["population"]), at("2023-01-20"))["dot_population"][0]
    assert np.isnan(found).sum() == 6
    assert np.nansum(found) == pytest.approx(9)
    far = gpd.GeoDataFrame({"population": [9.0]}, geometry=[shapely.box(2, 48, 2.1, 48.1)], crs="EPSG:4326")
    layer = read_context(far, kind="areas", name="far", tz=PARIS, known="always")
    with pytest.raises(InputDataError, match="touches the grid"):
        made(Area(layer, sums=["population"]), at("2023-01-20"))
    with pytest.raises(UsageError, match="which of"):
        Area(layer)


def test_denied_names_are_refused_as_features() -> None:
    frame = gpd.GeoDataFrame(
        {"pct_hispanic": [9.0]}, geometry=[shapely.Point(LNG, LAT).buffer(1e-2)], crs="EPSG:4326"
    )
    layer = read_context(frame, kind="areas", name="census", tz=PARIS, known="always")
    with pytest.raises(UsageError, match="is refused"):
        FeatureSet([Area(layer, means=["pct_hispanic"])]).names(DAY, PANEL.bins)


# ---------------------------------------------------------------- events


def matches(**told: Any) -> Context:
    rows = pd.DataFrame(
        {
            "start": ["2023-01-15 21:00", "2023-01-22 21:00", "2023-01-22 15:00"],
            "end": ["2023-01-15 23:00", "2023-01-22 23:00", "2023-01-22 17:00"],
            "lat": [LAT, LAT, LAT + 0.02],
            "lng": [LNG, LNG, LNG],
            "type": ["football", "football", "market"],
            "attendance": [60_000, 55_000, 3_000],
        }
    )
    return read_context(
        rows, **({"kind": "events", "name": "city", "tz": PARIS, "known": "5D before start"} | told)
    )


def test_events_by_hand() -> None:
    found = made(Events(matches(), radius_m=1000), at("2023-01-15", "2023-01-18", "2023-01-22"))
    assert found["city_n"].ravel().tolist() == [1, 0, 2]
    away = haversine(PANEL.grid.centres[:, 0], PANEL.grid.centres[:, 1], LAT, LNG)
    np.testing.assert_allclose(found["city_distance_m"][0], away, rtol=1e-5)
    assert np.isnan(found["city_distance_m"][1]).all()
    assert found["city_attendance"][0].tolist() == [60_000 if metres <= 1000 else 0 for metres in away]
    # From midnight of the 15th 21 h to the match; on the 18th the market of the 22nd is announced (5 days
    # before is the 17th at 15:00): 4 × 24 + 15 h; on the 22nd 15 h.
    assert found["city_hours_to_next"].ravel().tolist() == [21, 111, 15]
    # The match of the 15th ended at 23:00: 49 h before the 18th, 145 h before the 22nd.
    assert found["city_hours_since"].ravel().tolist()[1:] == [49, 145]
    assert np.isnan(found["city_hours_since"][0]).all()


def test_an_event_that_was_not_yet_announced_does_not_exist() -> None:
    early = made(Events(matches()), at("2023-01-05"))
    assert np.isnan(early["city_n"]).all()
    assert np.isnan(early["city_attendance"]).all()
    found = made(
        Events(matches()), at("2023-01-17", horizon=6)
    )  # the 22nd, five days ahead: too early by hours
    assert found["city_n"].tolist() == [[0]]
    assert made(Events(matches()), at("2023-01-18", horizon=5))["city_n"].tolist() == [[2]]


def test_events_by_type_and_long_ones() -> None:
    found = made(Events(matches(), types=["market"]), at("2023-01-22"))
    assert next(iter(found)) == "city_market_n"
    assert found["city_market_n"].tolist() == [[1]]
    fair = pd.DataFrame(
        {"start": ["2023-01-03 10:00"], "end": ["2023-02-03 10:00"], "lat": [LAT], "lng": [LNG]}
    )
    layer = read_context(fair, kind="events", name="fair", tz=PARIS, known="9D before start")
    assert made(Events(layer), at("2023-01-20"))["fair_n"].tolist() == [[1]]
    with pytest.raises(LookAheadError, match="known before it began"):
        Events(matches(known="end"))


# ---------------------------------------------------------------- nothing from the future


def _moments(rng: np.random.Generator, n: int) -> pd.Series[Any]:
    return pd.Series(pd.Timestamp("2023-01-02") + pd.to_timedelta(rng.integers(0, 60 * 24, n), unit="h"))


def _rows(seed: int) -> dict[str, pd.DataFrame]:
    """Rows of one layer of each kind, each with its own `known_at`."""
    rng = np.random.default_rng(seed)
    days = pd.Series(pd.date_range("2023-01-02", periods=60))
    late = pd.to_timedelta(rng.integers(25, 200, 60), unit="h")
    starts = _moments(rng, 20)
    place = {"lat": LAT + rng.normal(0, 0.01, 20), "lng": LNG + rng.normal(0, 0.01, 20)}
    squares = tiles(0.004, seed=seed).reset_index(drop=True)
    issued = pd.DataFrame({"date": np.repeat(days, 2).to_numpy(), "tmax": rng.normal(0, 9, 120)})
    ahead = np.tile([30, 100], 60)
    return {
        "measured": pd.DataFrame({"date": days, "tmax": rng.normal(0, 9, 60), "known_at": days + late}),
        "issued": issued.assign(issued_at=issued["date"] - pd.to_timedelta(ahead, unit="h")),
        "closed": pd.DataFrame({"date": days, "closed": rng.integers(0, 2, 60), "known_at": days - late}),
        "events": pd.DataFrame(
            place
            | {
                "start": starts,
                "end": starts + pd.Timedelta(hours=3),
                "attendance": 100.0,
                "known_at": starts - pd.Timedelta(days=3),
            }
        ),
        "points": pd.DataFrame(place | {"known_at": _moments(rng, 20) + pd.Timedelta(minutes=1)}),
        "areas": squares.assign(known_at=_moments(rng, len(squares)) + pd.Timedelta(minutes=1)),
    }


def _blocks(rows: dict[str, pd.DataFrame]) -> list[FeatureBlock]:
    kinds = {"measured": "series", "issued": "series", "closed": "calendar"}
    layers = {
        name: read_context(frame, kind=kinds.get(name, name), name=name, tz=PARIS)  # type: ignore[arg-type]
        for name, frame in rows.items()
    }
    return [
        Weather(layers["measured"], layers["issued"], windows=[3, 14]),
        Calendar(layers=layers["closed"]),
        Events(layers["events"]),
        Places(layers["points"]),
        Area(layers["areas"], sums=["population"], means=["built"]),
    ]


@given(st.integers(0, 1_000), st.integers(20, 55), st.sampled_from(["changed", "deleted"]))
@settings(max_examples=12, deadline=None)
def test_what_became_known_after_a_cutoff_changes_nothing(seed: int, cutoff: int, how: str) -> None:
    rows = _rows(seed)
    moment = PANEL.bins.wall_at(np.array([cutoff]))[0]
    later = {}
    for name, frame in rows.items():
        future = frame["issued_at" if name == "issued" else "known_at"] > moment
        if how == "deleted":
            later[name] = frame[~future].reset_index(drop=True)
        else:
            numbers = [c for c in ("tmax", "attendance", "population", "built") if c in frame]
            moved = frame[[*numbers, *(["lat"] if "lat" in frame else [])]] + 0.001
            later[name] = frame.where(~future, frame.assign(**moved))
            if name == "closed":
                later[name]["closed"] = frame["closed"].where(~future, 1 - frame["closed"])
    seen = View(PANEL, "noise", Target("noise", period=2, horizons=(1, 3)), np.arange(10, cutoff + 1))
    for before, after in zip(_blocks(rows), _blocks(later), strict=True):
        for (name, one), (_, other) in zip(before.columns(seen), after.columns(seen), strict=True):
            assert np.asarray(one).tobytes() == np.asarray(other).tobytes(), name


def test_rows_do_not_depend_on_the_rows_beside_them() -> None:
    for block in _blocks(_rows(3)):
        whole = dict(block.columns(View(PANEL, "noise", DAY, np.arange(10, 50))))
        for row in (10, 31, 49):
            alone = dict(block.columns(View(PANEL, "noise", DAY, np.array([row]))))
            for name, values in alone.items():
                there = np.asarray(whole[name])
                expected = there[row - 10] if len(there) > 1 else there[0]
                np.testing.assert_array_equal(values[0], expected, err_msg=name)


# ---------------------------------------------------------------- operations, names


def test_operations_are_never_features() -> None:
    hours = pd.DataFrame({"date": pd.date_range("2023-01-02", periods=9), "hours": 8.0})
    layer = read_context(hours, kind="operations", name="rounds", tz=PARIS)
    for block in (Weather, Places, Area, Events):
        with pytest.raises(UsageError, match="never a feature"):
            block(layer)
    with pytest.raises(UsageError, match="made of a layer of kind points or lines"):
        Places(series(range(9)))
    with pytest.raises(UsageError, match="made of a layer of context"):
        Places("bars")  # type: ignore[arg-type]


SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/data is not there")
def test_the_real_weather_of_marseille() -> None:
    layer = read_context(
        SHARED / "marseille" / "context_weather_daily.parquet",
        kind="series",
        name="weather",
        tz=PARIS,
        values=["tmax"],
    )
    panel = make_panel(n_bins=400)
    rows = np.array([panel.index_at("2023-08-24"), panel.index_at("2023-01-20")])
    found = dict(Weather(layer).columns(View(panel, "noise", DAY, rows)))
    table = pd.read_parquet(SHARED / "marseille" / "context_weather_daily.parquet").set_index("date")["tmax"]
    week = table["2023-08-17":"2023-08-23"].mean()  # type: ignore[misc]
    assert found["tmax_mean_7d"][0, 0] == pytest.approx(week)
    normal = pd.concat([table[f"{year}-08-10" : f"{year}-08-30"] for year in range(2013, 2023)]).mean()  # type: ignore[misc]
    assert found["tmax_anomaly_7d"][0, 0] == pytest.approx(week - normal)
    assert found["tmax_anomaly_7d"][0, 0] > 5  # the heat wave of late August 2023
