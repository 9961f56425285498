"""A simulated city laid on given polygons, with effects of layers of context planted in it."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely.geometry import Point, box

from tranquillite_ml.city import (
    NOTICE,
    PlantedEffect,
    SimulatedCity,
    city_of,
    layers_of,
    simulate_city,
    simulate_events,
    simulate_issues,
    simulate_spells,
)
from tranquillite_ml.city.areas import lay_area
from tranquillite_ml.config import RunConfig, load_config
from tranquillite_ml.errors import ConfigError, InputDataError, UsageError
from tranquillite_ml.intake import Context, read_context
from tranquillite_ml.pipeline import fit_only
from tranquillite_ml.stages import input_digest, load_context, load_incidents

WEST, EAST = box(5.34, 43.27, 5.36, 43.29), box(5.36, 43.27, 5.42, 43.29)
AREA = gpd.GeoDataFrame({"name": ["west", "east"]}, geometry=[WEST, EAST], crs="EPSG:4326")
DAYS = {"start": "2022-03-20", "days": 21}  # the clock changes on the 27th


def layer(kind: Any, rows: dict[str, Any], **more: Any) -> Context:
    return read_context(pd.DataFrame(rows), kind=kind, name=f"my_{kind}", tz="Europe/Paris", **more)


def warm(hot: list[int]) -> Context:
    """Twenty-one days of 20 degrees, some of them of 32."""
    date = pd.date_range(DAYS["start"], periods=DAYS["days"])
    return layer("series", {"date": date, "tmax": [32.0 if n in hot else 20.0 for n in range(len(date))]})


def match(lat: float, lng: float, start: str, end: str) -> dict[str, Any]:
    return {"lat": lat, "lng": lng, "start": start, "end": end}


def two_places() -> Context:
    rows = [
        match(43.28, 5.345, "2022-03-26 20:00", "2022-03-26 22:00"),
        match(43.28, 5.415, "2022-03-30 18:00", "2022-03-30 20:00"),
    ]
    return layer("events", {name: [row[name] for row in rows] for name in rows[0]}, known="7D before start")


def laid(*effects: PlantedEffect, **more: Any) -> SimulatedCity:
    return simulate_city(**{"area": AREA, "incidents_per_day": 30, "effects": effects, **DAYS, **more})


def changed(effect: PlantedEffect, category: str = "noise", **more: Any) -> tuple[SimulatedCity, np.ndarray]:
    """By how much an effect multiplies the baseline of each hour and cell, up to one constant."""
    with_it, without = laid(effect, near_repeat=0, **more), laid(near_repeat=0, **more)
    bins = with_it.bins("1h")
    there = bins.exposure_hours > 0  # not the hour that spring leaves out
    ratio = with_it.baseline(bins, category)[there] / without.baseline(bins, category)[there]
    return with_it, ratio / ratio.min()


def test_the_map_is_the_area() -> None:
    layout = lay_area(AREA, resolution=9, centre=(43.28, 5.35))
    lat, lng = layout.grid.centres.T
    inside = (lng > 5.34) & (lng < 5.42) & (lat > 43.27) & (lat < 43.29)
    assert inside.all()
    assert layout.districts["name"].tolist() == ["west", "east"]
    np.testing.assert_array_equal(layout.polygon, (lng > 5.36).astype(int))
    # The west is a third of the east in size, and built the more densely by log 3.
    west, east = (layout.land_use["built"][layout.polygon == n] for n in (0, 1))
    assert np.ptp(west) == np.ptp(east) == 0
    assert west[0] - east[0] == pytest.approx(np.log(3), abs=1e-3)
    nearest = np.argmin(np.hypot(lat - 43.28, (lng - 5.35) * np.cos(np.radians(43.28))))
    assert layout.zones["centre"][nearest]
    assert layout.land_use["centre"].argmax() == nearest
    assert sorted(layout.zones) == ["centre", "everywhere"]


def test_incidents_lie_in_the_area_and_say_that_they_are_simulated() -> None:
    city = laid()
    table = city.incidents.table
    assert len(table) == pytest.approx(30 * 21, rel=0.2)
    assert table["lng"].between(5.338, 5.422).all()
    assert city.notice.startswith("Simulated data")
    assert city.notice != NOTICE
    assert len(city.events) == 0
    assert set(city.effects["effect"]) == {"weekend", "holiday", "business_hours", "season"}
    other = laid(seed=1)
    np.testing.assert_array_equal(other.grid.cells, city.grid.cells)
    pd.testing.assert_frame_equal(laid().incidents.table, table)


def test_the_area_may_be_a_file_in_another_coordinate_system(tmp_path: Any) -> None:
    AREA.to_crs("EPSG:2154").to_file(tmp_path / "area.gpkg")
    again = simulate_city(area=tmp_path / "area.gpkg", days=3)
    np.testing.assert_array_equal(again.grid.cells, laid().grid.cells)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"area": "nowhere.geojson"}, InputDataError, "cannot be read"),
        ({"area": AREA.set_crs(None, allow_override=True)}, InputDataError, "no coordinate system"),
        ({"area": gpd.GeoSeries([Point(5, 43)], crs="EPSG:4326")}, InputDataError, "must be polygons"),
        ({"area": gpd.GeoSeries([box(0, 40, 10, 50)], crs="EPSG:4326")}, InputDataError, "at most 10,000"),
        ({"area": 3}, UsageError, "must be a GeoDataFrame"),
        ({"area": AREA, "centre": (5.38, 43.28)}, UsageError, r"it is \(lat, lng\)"),
        ({"area": AREA, "radius_km": 3.0}, UsageError, "one or the other"),
        ({"centre": (43.28, 5.38)}, UsageError, "one or the other"),
    ],
)
def test_an_area_that_cannot_be_used_is_told(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        simulate_city(days=2, **options)


def test_a_series_multiplies_the_baseline_of_its_days_exactly() -> None:
    effect = PlantedEffect("hot", warm([2, 7]), {"noise": 1.4}, value="tmax", above=30.0)
    city, ratio = changed(effect)
    day = (np.arange(len(ratio)) + (np.arange(len(ratio)) >= 7 * 24 + 2)) // 24  # the 27th has 23 hours
    np.testing.assert_allclose(ratio, np.where(np.isin(day, [2, 7]), 1.4, 1.0)[:, None] * np.ones_like(ratio))
    assert city.windows["hot"].sum() == 24 + 23
    _, others = changed(effect, "theft")
    np.testing.assert_allclose(others, 1)


def test_a_factor_below_one_and_a_bound_from_above() -> None:
    effect = PlantedEffect("cold", warm(list(range(5))), {"noise": 0.5}, value="tmax", below=25.0)
    city, ratio = changed(effect)
    assert city.windows["cold"].sum() == (21 - 5) * 24 - 1
    np.testing.assert_allclose(np.unique(ratio.round(9)), [1, 2])
    assert ratio[0, 0] == pytest.approx(2)  # hours without the effect have twice those with it


def test_an_event_acts_around_its_own_place_while_it_lasts() -> None:
    effect = PlantedEffect("match", two_places(), {"noise": 4.0}, radius_m=700, margin_hours=1)
    city, ratio = changed(effect)
    lat, lng = city.grid.centres.T
    metres = np.hypot((lat - 43.28) * 111_195, (lng - 5.345) * 111_195 * np.cos(np.radians(43.28)))
    west = metres < 690
    clear = west | (metres > 710)
    first = 6 * 24 + 19  # the 26th, from 19 h to 23 h
    expected = np.ones_like(ratio)
    expected[first : first + 4, west] = 4
    np.testing.assert_allclose(ratio[: 8 * 24, clear], expected[: 8 * 24, clear])
    assert city.windows["match"].sum() == 8
    second = 10 * 24 - 1 + 17  # the 30th, an hour of which is missing before
    assert ratio[second : second + 4].max(axis=1) == pytest.approx([4, 4, 4, 4])
    assert ratio[[second - 1, second + 4]].max() == pytest.approx(1)
    np.testing.assert_allclose(ratio[second : second + 4, west], 1)


def test_places_that_overlap_do_not_multiply_twice() -> None:
    rows = [match(43.28, lng, "2022-03-22 20:00", "2022-03-22 22:00") for lng in (5.38, 5.382)]
    both = layer("events", {name: [row[name] for row in rows] for name in rows[0]}, known="7D before start")
    _, ratio = changed(PlantedEffect("match", both, {"noise": 4.0}, radius_m=700))
    assert ratio.max() == pytest.approx(4)


def test_points_act_always_in_the_cells_around_them() -> None:
    points = layer("points", {"lat": [43.28, 43.28], "lng": [5.35, 5.41]}, known="always")
    city, ratio = changed(PlantedEffect("sights", points, {"theft": 2.0}, radius_m=10), "theft")
    near = city.zones["sights"]
    assert near.sum() == 2  # the cells that the points are nearest to, however small the radius
    np.testing.assert_allclose(ratio, np.where(near, 2.0, 1.0)[None, :] * np.ones_like(ratio))


def test_the_table_of_effects_lists_what_was_planted() -> None:
    city = laid(PlantedEffect("match", two_places(), {"noise": 4.0}))
    row = city.effects.query("effect == 'match' and category == 'noise'").iloc[0]
    assert (row["zone"], row["factor"]) == ("match", 4.0)
    assert city.effects.query("effect == 'match' and category == 'theft'")["factor"].tolist() == [1.0]
    assert city.planted["match"].exposed.shape == (city.grid.n_cells, 2)


def test_a_planted_effect_can_be_read_off_the_counts() -> None:
    hot = PlantedEffect("hot", warm(list(range(1, 21, 2))), {"noise": 2.0}, value="tmax", above=30.0)
    city = laid(hot, categories=["noise"], near_repeat=0, incidents_per_day=40_000, reporting_delay=False)
    bins = city.bins()
    daily = np.bincount(bins.locate(city.incidents.table["occurred_at"]), minlength=21)
    even = daily / laid(categories=["noise"], near_repeat=0).baseline(bins, "noise").sum(axis=1)
    acts = np.arange(21) % 2 == 1
    ratio, error = even[acts].mean() / even[~acts].mean(), np.sqrt(2 / daily.sum() * 2)
    assert np.log(ratio) == pytest.approx(np.log(2), abs=4 * error)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PlantedEffect("hot", warm([1]), {"noise": 2.0}), "a value is for series"),
        (
            lambda: PlantedEffect("hot", warm([1]), {"noise": 2.0}, value="tmin", above=1),
            r"must be one of \['tmax'\], got 'tmin'",
        ),
        (lambda: PlantedEffect("hot", warm([1]), {"noise": 2.0}, value="tmax"), "above or below what"),
        (lambda: PlantedEffect("hot", warm([1]), {"noise": 0.0}, value="tmax", above=1), "must be above 0"),
        (lambda: PlantedEffect("match", two_places(), {"noise": 2.0}, value="tmax"), "a value is for series"),
        (
            lambda: PlantedEffect(
                "hot", simulate_issues(simulate_spells("w"), "f"), {"noise": 2.0}, value="gust_kmh", above=1
            ),
            "holds forecasts",
        ),
        (lambda: laid(PlantedEffect("match", two_places(), {"noize": 2.0})), "Did you mean 'noise'"),
        (lambda: laid(PlantedEffect("weekend", two_places(), {"noise": 2.0})), "names of their own"),
        (
            lambda: laid(
                PlantedEffect("hot", warm([1]), {"noise": 2.0}, value="tmax", above=1), start="2022-03-19"
            ),
            "says nothing of 24 of 503 hours",
        ),
    ],
)
def test_effects_that_cannot_be_planted_are_told(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_simulated_events_keep_to_their_days() -> None:
    options: dict[str, Any] = {
        "per_week": 2.0,
        "weekdays": [2, 5],
        "months": [5, 6],
        "begins": 21,
        "hours": 2.5,
        "days": 730,
    }
    events = simulate_events("matches", [(43.27, 5.39), (43.3, 5.4)], **options)
    table = events.table
    start = table["valid_from"]
    assert set(start.dt.day_of_week) == {2, 5}
    assert set(start.dt.month) == {5, 6}
    assert (start.dt.hour == 21).all()
    assert (table["valid_to"] - start == pd.Timedelta(hours=2.5)).all()
    spring = pd.date_range("2022-05-01", "2022-06-30").append(pd.date_range("2023-05-01", "2023-06-30"))
    assert len(table) == spring.day_of_week.isin([2, 5]).sum()  # two a week on two weekdays: every one
    assert set(zip(table["lat"], table["lng"], strict=True)) == {(43.27, 5.39), (43.3, 5.4)}
    assert simulate_events("matches", [(43.27, 5.39), (43.3, 5.4)], **options).digest == events.digest
    assert simulate_events("matches", [(43.27, 5.39)], seed=1, days=730).digest != events.digest
    with pytest.raises(UsageError, match="events a week"):
        simulate_events("matches", [(43.27, 5.39)], per_week=3, weekdays=[2, 5])
    with pytest.raises(UsageError, match="expected places"):
        simulate_events("matches", [])


def test_simulated_spells_have_the_share_and_length_asked_for() -> None:
    wind = simulate_spells("wind", days=20_000, share=0.3, mean_days=4.0, calm=(0, 40), spell=(60, 100))
    on = wind.table["gust_kmh"].to_numpy() > 50
    begins = np.flatnonzero(on[1:] & ~on[:-1])
    assert on.mean() == pytest.approx(0.3, abs=0.03)
    assert on.sum() / len(begins) == pytest.approx(4, rel=0.1)
    with pytest.raises(UsageError, match="cannot be drawn"):
        simulate_spells("wind", share=0.9, mean_days=1.0)


def test_simulated_forecasts_get_worse_the_further_ahead() -> None:
    wind = simulate_spells("wind", days=2_000)
    issues = simulate_issues(wind, "wind_forecast", days_ahead=4, error=0.1)
    table = issues.table
    truth = wind.table.set_index("valid_from")["gust_kmh"]
    ahead = (table["valid_from"].dt.tz_localize(None) - table["known_at"].dt.tz_localize(None)).dt.days + 1
    wrong = np.log(table["gust_kmh"].to_numpy() / truth[table["valid_from"]].to_numpy())
    spread = pd.Series(wrong).groupby(ahead.to_numpy()).std()
    np.testing.assert_allclose(spread, 0.1 * np.sqrt([1, 2, 3, 4]), rtol=0.07)
    assert (table["known_at"].dt.hour == 18).all()
    with pytest.raises(UsageError, match="series of measurements"):
        simulate_issues(issues, "again")


SIMULATED = {
    "wind": {"spells": {"value": "gust_kmh"}},
    "wind_forecast": {"issues": {"of": "wind"}},
    "matches": {"events": {"places": [[43.28, 5.39]], "per_week": 1.0}},
}
EFFECTS = {
    "mistral": {"layer": "wind", "value": "gust_kmh", "above": 57.0, "factors": {"noise": 0.6}},
    "match": {"layer": "matches", "factors": {"noise": 4.0}},
}


def described(folder: Any, **more: Any) -> RunConfig:
    values = load_config("smoke", [f"output={folder}", "model.kind=poisson"]).to_dict()
    values["incidents"]["categories"] = {"noise": {"from": ["noise"], "origin": "citizen"}}
    values["incidents"]["simulate"] |= {"layers": SIMULATED, "effects": EFFECTS} | more
    values["features"] = [
        "history",
        {"weather": {"observed": "wind", "forecast": "wind_forecast"}},
        {"events": {"layer": "matches"}},
    ]
    return RunConfig.from_dict(values)


def test_a_configuration_describes_layers_and_effects(tmp_path: Any) -> None:
    config = described(tmp_path)
    assert RunConfig.from_yaml(config.to_yaml()) == config
    layers = load_context(config)
    assert {name: entry.kind for name, entry in layers.items()} == {
        "matches": "events", "wind": "series", "wind_forecast": "series",
    }  # fmt: skip
    assert layers["wind"] is layers_of(config)["wind"]  # drawn once
    city = city_of(config)
    assert {"mistral", "match"} <= set(city.effects["effect"])
    incidents, notice = load_incidents(config)
    assert incidents.digest == city.incidents.digest
    assert notice == NOTICE
    other = described(tmp_path, seed=5)
    assert input_digest(other, incidents) != input_digest(config, incidents)


def test_a_model_is_fitted_from_simulated_layers(tmp_path: Any) -> None:
    done = fit_only(described(tmp_path))
    assert done["notice"] == NOTICE


@pytest.mark.parametrize(
    ("layers", "effects", "message"),
    [
        (SIMULATED, {"x": {"layer": "winds", "factors": {"noise": 2.0}}}, "Did you mean 'wind'"),
        ({"w": {"issues": {"of": "wind"}}}, {}, "is no simulated series of spells"),
        ({"w": {}}, {}, "exactly one of `events`, `spells` and `issues`"),
        ({"w": {"spells": {"value": "gust", "shaer": 0.2}}}, {}, "unknown key 'shaer'"),
        ({"w w": {"spells": {"value": "gust"}}}, {}, "letters, digits and underscores"),
        (SIMULATED, {"x": {"layer": "wind", "factors": {"noise": -1}}}, "factors"),
    ],
)
def test_wrong_descriptions_are_told(
    tmp_path: Any, layers: dict[str, Any], effects: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        described(tmp_path, layers=layers, effects=effects)


def test_a_layer_may_not_be_real_and_simulated(tmp_path: Any) -> None:
    values = described(tmp_path).to_dict()
    values["context"] = {"wind": {"path": "wind.csv", "kind": "series"}}
    with pytest.raises(ConfigError, match="also a layer of `context`"):
        RunConfig.from_dict(values)
