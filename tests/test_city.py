"""The simulated city: does it follow the law it says it follows?"""

from __future__ import annotations

import re
import time

import numpy as np
import pandas as pd
import pytest
import shapely

from tranquillite_ml.city import NOTICE, SimulatedCity, simulate_city, simulate_white_noise
from tranquillite_ml.city.law import CATEGORY_LAWS
from tranquillite_ml.city.process import SelfExcitingProcess, neighbour_table
from tranquillite_ml.errors import UsageError
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.timebins import TimeBins

CATEGORIES = [law.name for law in CATEGORY_LAWS]


@pytest.fixture(scope="module")
def city() -> SimulatedCity:
    return simulate_city(seed=3, days=365, radius_km=2.8, incidents_per_day=60)


@pytest.fixture(scope="module")
def busy() -> SimulatedCity:
    """No near repeats and very many incidents of one category: factors can be read off the counts."""
    return simulate_city(
        seed=5, days=730, radius_km=6, incidents_per_day=1500, categories=["noise"], near_repeat=0
    )


def counts(city: SimulatedCity, bins: TimeBins, category: str) -> np.ndarray:
    table = city.incidents.table
    table = table[table["category"] == category]
    cell = city.grid.locate(table["lat"].to_numpy(), table["lng"].to_numpy())
    found = np.zeros((bins.n_bins, city.grid.n_cells))
    row = bins.locate(table["occurred_at"])
    inside = row < bins.n_bins
    np.add.at(found, (row[inside], cell[inside]), 1)
    return found


def windowed(values: np.ndarray, period: int, horizon: int) -> np.ndarray:
    """Sum over the period from each row, as `intensity` documents it."""
    total = np.pad(np.cumsum(values, axis=0), ((1, 0), (0, 0)))
    rows = len(values) - horizon * period + 1
    return total[horizon * period :][:rows] - total[(horizon - 1) * period :][:rows]


def test_default_city_is_the_size_it_says() -> None:
    begin = time.perf_counter()
    city = simulate_city()
    seconds = time.perf_counter() - begin
    assert seconds < 6  # 0.5 s on an idle machine; the promise is 3 s
    assert 1_800 <= city.grid.n_cells <= 2_000
    assert 190 <= shapely.area(city.study_area) * 111.2**2 * np.cos(np.radians(43.3)) <= 205
    # 60 a day × 730 days, minus what the sea takes
    assert len(city.incidents.table) == pytest.approx(43_800, rel=0.04)
    assert re.fullmatch(
        r"SimulatedCity\(\d+ simulated incidents, \d+ cells, 2022-01-01 to 2023-12-31\)", repr(city)
    )
    assert city.notice.startswith("Simulated data")
    assert city.notice == NOTICE


def test_incidents_concentrate_in_few_cells_as_real_ones_do() -> None:
    city = simulate_city(days=365)
    for category in CATEGORIES:
        expected = np.sort(city.baseline(city.bins("7D"), category).sum(axis=0))[::-1]
        top = expected[: len(expected) // 20].sum() / expected.sum()
        assert 0.2 < top < 0.6


def test_same_seed_same_table() -> None:
    options = {"days": 60, "radius_km": 2.0, "incidents_per_day": 30}
    first, again = simulate_city(7, **options), simulate_city(7, **options)
    pd.testing.assert_frame_equal(first.incidents.table, again.incidents.table)
    other = simulate_city(8, **options)
    assert not first.incidents.table["lat"].equals(other.incidents.table["lat"])
    np.testing.assert_array_equal(first.grid.cells, other.grid.cells)


def test_a_category_alone_is_the_same_as_among_others() -> None:
    options = {"seed": 7, "days": 60, "radius_km": 2.0, "incidents_per_day": 30}
    together, alone = simulate_city(**options), simulate_city(categories=["burglary"], **options)
    columns = ["incident_id", "occurred_at", "reported_at", "lat", "lng"]
    table = together.incidents.table
    expected = table.loc[table["category"] == "burglary", columns].reset_index(drop=True)
    got = alone.incidents.table[columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(got, expected)
    bins = together.bins()
    np.testing.assert_array_equal(alone.intensity(bins, "burglary"), together.intensity(bins, "burglary"))


def test_reports_come_after_incidents_and_can_be_immediate(city: SimulatedCity) -> None:
    table = city.incidents.table
    delay = table["reported_at"] - table["occurred_at"]
    assert (delay >= pd.Timedelta(0)).all()
    assert (delay <= pd.Timedelta(days=120)).all()
    median = delay.groupby(table["category"].astype(str)).median()
    assert median["fires"] < pd.Timedelta(minutes=10) < median["burglary"] < median["graffiti"]
    same_day = (table["reported_at"].dt.normalize() == table["occurred_at"].dt.normalize()).mean()
    assert 0.3 < same_day < 0.9
    options = {"days": 30, "radius_km": 2.0}
    prompt, late = simulate_city(1, reporting_delay=False, **options), simulate_city(1, **options)
    assert (prompt.incidents.table["reported_at"] == prompt.incidents.table["occurred_at"]).all()
    assert prompt.incidents.table["occurred_at"].equals(late.incidents.table["occurred_at"])


def test_every_register_is_there(city: SimulatedCity) -> None:
    assert set(city.categories["source"]) == {"resident line", "police log", "camera", "agent", "fine"}
    assert set(city.categories["origin"]) == {"citizen", "sensor", "agent", "fine"}
    assert city.categories["share"].sum() == pytest.approx(1)
    assert set(city.incidents.table["category"].astype(str)) == set(CATEGORIES)
    assert city.categories.filter(like="ring_").sum(axis=1).round(9).eq(1).all()


def test_incidents_lie_on_land_in_the_cell_they_were_drawn_for(city: SimulatedCity) -> None:
    table = city.incidents.table
    for category in CATEGORIES:
        part = table[table["category"] == category].sort_values("incident_id")
        cell = city.grid.locate(part["lat"].to_numpy(), part["lng"].to_numpy())
        np.testing.assert_array_equal(cell, city._truth[category].event_cells)
    ashore = shapely.contains_xy(city.study_area, table["lng"], table["lat"])
    assert ashore.mean() > 0.999
    assert table.duplicated(["lat", "lng"]).mean() < 0.01


def test_sixteen_districts_partition_the_city(city: SimulatedCity) -> None:
    districts = city.districts
    assert districts["district"].tolist() == [f"district {number}" for number in range(1, 17)]
    assert districts.crs.to_epsg() == 4326
    assert districts.is_valid.all()
    assert (districts["residents"] > 0).all()
    assert set(districts["income_quintile"]) == {1, 2, 3, 4, 5}
    whole = city.study_area.area
    assert shapely.area(districts.geometry.to_numpy()).sum() == pytest.approx(whole, rel=1e-9)
    assert districts.union_all().symmetric_difference(city.study_area).area < 1e-9 * whole
    inside = np.stack(
        [
            shapely.contains_xy(shape, city.grid.centres[:, 1], city.grid.centres[:, 0])
            for shape in districts.geometry
        ]
    )
    assert (inside.sum(axis=0) == 1).all()


def test_the_sea_is_to_the_west() -> None:
    grid = simulate_city(days=1).grid
    assert grid.locate(np.array([43.30, 43.26]), np.array([5.34, 5.34])).tolist() == [-1, -1]
    assert (grid.locate(np.array([43.31, 43.27]), np.array([5.40, 5.42])) >= 0).all()
    assert grid.ring(1).sum(axis=1).min() >= 1


def test_clock_changes() -> None:
    # 27 March and 30 October 2022: 23 and 25 hours
    spring = simulate_city(days=3, start="2022-03-26", radius_km=2, incidents_per_day=20_000, near_repeat=0)
    assert len(spring.hours) == 71
    wall = spring.incidents.table["occurred_at"].dt.tz_localize(None)
    assert not wall.between("2022-03-27 02:00", "2022-03-27 02:59:59").any()
    hourly = spring.bins("1h")
    assert hourly.n_bins == 72
    assert spring.intensity(hourly, "noise")[26].sum() == 0
    for category in CATEGORIES:
        found, expected = counts(spring, hourly, category).sum(1), spring.intensity(hourly, category).sum(1)
        assert (np.abs(found - expected) <= 5 * np.sqrt(expected) + 1e-9).all()
    autumn = simulate_city(days=3, start="2022-10-29", radius_km=2, incidents_per_day=20_000, near_repeat=0)
    assert len(autumn.hours) == 73
    doubled = autumn.baseline(autumn.bins("1h"), "fires").sum(axis=1)
    assert doubled[26] == pytest.approx(2 * doubled[2], rel=0.05)
    table = autumn.incidents.table
    again = table["occurred_at"].dt.tz_localize(None).between("2022-10-30 02:00", "2022-10-30 02:59:59")
    assert table.loc[again, "occurred_at"].dt.tz_convert("UTC").dt.hour.nunique() == 2


@pytest.mark.parametrize(
    ("freq", "period", "horizon"), [("1D", 1, 1), ("7D", 1, 1), ("1D", 7, 1), ("1D", 7, 2), ("8h", 1, 3)]
)
def test_counts_follow_the_intensity(city: SimulatedCity, freq: str, period: int, horizon: int) -> None:
    bins = city.bins(freq)
    found, expected = [], []
    for category in CATEGORIES:
        found.append(windowed(counts(city, bins, category), period, horizon))
        expected.append(city.intensity(bins, category, period=period, horizon=horizon))
        assert expected[-1].shape == found[-1].shape
    y, mean = np.stack(found).ravel(), np.stack(expected).ravel()
    # Overlapping periods count each incident `period` times; triggered ones come in clusters of about 1.5.
    spread = 1.5 * np.sqrt(period)
    assert y.sum() / mean.sum() == pytest.approx(1, abs=3 * spread / np.sqrt(y.sum()))
    quartile = np.digitize(mean, np.quantile(mean, [0.25, 0.5, 0.75]))
    for number in range(4):
        part = quartile == number
        allowed = 3 * spread / np.sqrt(y[part].sum())
        assert y[part].sum() / mean[part].sum() == pytest.approx(1, abs=allowed)


def test_the_intensity_beats_what_knows_less(city: SimulatedCity) -> None:
    bins = city.bins()
    for category in ["noise", "burglary", "graffiti"]:
        y, mean, base = (
            counts(city, bins, category),
            city.intensity(bins, category),
            city.baseline(bins, category),
        )
        base *= y.sum() / base.sum()
        constant = np.broadcast_to(mean.mean(axis=0), mean.shape)
        gain = [float((y * np.log(mean / other) - mean + other).sum()) for other in (base, constant)]
        assert min(gain) > 20


def rosette(**options: object) -> SelfExcitingProcess:
    """Seven cells around one, and sea around them."""
    neighbours = neighbour_table([HexGrid(["89396818d33ffff"]).dilated(1).ring(1)])
    values = {
        "weight": np.array([0.05, 0.01, 0.02, 0.0, 0.03, 0.04, 0.01]),
        "zone": np.array([0, 1, 0, 1, 0, 1, 0]),
        "profile": np.stack([np.linspace(0.5, 3, 60), np.linspace(2, 0, 60)]),
        "neighbours": neighbours,
        "ring_shares": (0.5, 0.5),
        "offspring": 0.6,
        "decay_hours": 9.0,
    }
    return SelfExcitingProcess(**{**values, **options})  # type: ignore[arg-type]


def test_mean_without_a_past_equals_the_mean_of_many_samples() -> None:
    process, rng = rosette(), np.random.default_rng(1)
    none, repeats = (np.empty(0), np.empty(0, dtype=np.int64)), 4000
    total, squares = np.zeros(7), np.zeros(7)
    for _ in range(repeats):
        hours, cells = process.sample(rng)
        found = np.bincount(cells[(hours >= 20) & (hours < 55)], minlength=7)
        total += found
        squares += found**2
    expected = process.expected(np.array([0]), np.array([20]), np.array([55]), *none)[0]
    error = np.sqrt((squares / repeats - (total / repeats) ** 2) / repeats)
    assert (np.abs(total / repeats - expected) < 4 * error).all()


def test_mean_of_descendants_equals_the_mean_of_many_samples() -> None:
    # 200,000 incidents in cell 0 at hour 4 and no baseline: what do they leave from hour 10 to 30?
    process, number = rosette(profile=np.zeros((2, 60))), 200_000
    rng = np.random.default_rng(2)
    generation = np.full(number, 4.0), np.zeros(number, dtype=np.int64)
    total, past = np.zeros(7), [generation]
    while len(generation[0]):
        generation = process._sample_offspring(*generation, rng)
        past.append(generation)
        hours, cells = generation
        total += np.bincount(cells[(hours >= 10) & (hours < 30)], minlength=7)
    hours, cells = (np.concatenate([part[i] for part in past]) for i in (0, 1))
    order = np.argsort(hours)
    hours, cells = hours[order], cells[order]
    # The same counts seen from hour 10, when half of the family is born, and from hour 5
    for cutoff in (5, 10):
        expected = process.expected(np.array([cutoff]), np.array([10]), np.array([30]), hours, cells)[0]
        assert (np.abs(total - expected) < 3 * 1.5 * np.sqrt(expected)).all()  # families are clusters


def test_one_incident_by_hand() -> None:
    # One cell, θ = 0.5, decay 4 h, an incident at hour 1, no baseline. First generation from 3 to 7:
    # 0.5 × (e^(−2/4) − e^(−6/4)). The whole family fades with decay 4 / (1 − θ) = 8 h and θ / (1 − θ) = 1 is
    # the number of descendants, so that together they are e^(−2/4) × (1 − e^(−4/8)).
    process = SelfExcitingProcess(
        np.ones(1), np.zeros(1, dtype=np.int64), np.zeros((1, 10)), [], (1.0,), 0.5, 4.0
    )
    past = np.array([1.0]), np.array([0])
    got = process.expected(np.array([3]), np.array([3]), np.array([7]), *past)[0, 0]
    assert got == pytest.approx(np.exp(-0.5) * (1 - np.exp(-0.5)), rel=1e-7)
    # An incident at the cutoff itself is not yet past.
    assert process.expected(np.array([1]), np.array([1]), np.array([5]), *past)[0, 0] == 0


def test_baseline_cascade_by_hand() -> None:
    # Constant rate 1, θ = 0.5, decay 4 h: the mean rate is (1 − θ e^(−t/8)) / (1 − θ), integrated over 6 h.
    process = SelfExcitingProcess(
        np.ones(1), np.zeros(1, dtype=np.int64), np.ones((1, 10)), [], (1.0,), 0.5, 4.0
    )
    none = np.empty(0), np.empty(0, dtype=np.int64)
    got = process.expected(np.array([2]), np.array([2]), np.array([8]), *none)[0, 0]
    assert got == pytest.approx(2 * (6 - 0.5 * 8 * (1 - np.exp(-6 / 8))), rel=1e-7)


def test_horizons_add_up(city: SimulatedCity) -> None:
    bins = city.bins()
    both = city.intensity(bins, "graffiti", period=6)
    parts = [city.intensity(bins, "graffiti", period=3, horizon=horizon) for horizon in (1, 2)]
    np.testing.assert_allclose(parts[0][: len(both)] + parts[1], both, rtol=1e-7)


def test_the_intensity_does_not_see_the_future(city: SimulatedCity) -> None:
    bins, truth = city.bins(), city._truth["theft"]
    edges = city._hour_numbers(bins)
    kept = truth.event_hours < edges[100]
    args = edges[:101], edges[:101], edges[1:102]
    np.testing.assert_array_equal(
        truth.process.expected(*args, truth.event_hours[kept], truth.event_cells[kept]),
        city.intensity(bins, "theft")[:101],
    )


def only(city: SimulatedCity, zone: str) -> np.ndarray:
    """Cells of a zone that lie in no other; nightlife lies inside the centre, which acts by day only."""
    others = {name for name in city.zones if name not in {"everywhere", zone}}
    if zone == "nightlife":
        others.remove("centre")
    return city.zones[zone] & ~np.any([city.zones[name] for name in others], axis=0)


EFFECTS_IN_PLACES = ["stadium_evening", "nightlife", "coast_summer", "business_hours"]


@pytest.mark.parametrize("effect", EFFECTS_IN_PLACES)
def test_planted_effects_can_be_read_off_the_counts(busy: SimulatedCity, effect: str) -> None:
    row = busy.effects.query("effect == @effect and category == 'noise'").iloc[0]
    found, acting = counts(busy, busy.bins("1h"), "noise"), hourly(busy, busy.windows[effect])
    if effect == "nightlife":
        night = hourly(busy, ~busy.windows["business_hours"])
        found, acting = found[night], acting[night]
    # Both kinds of cells share all rhythms, so that the ratio of ratios leaves the factor alone.
    table = np.array(
        [
            [found[np.ix_(when, only(busy, zone))].sum() for when in (acting, ~acting)]
            for zone in (row["zone"], "everywhere")
        ]
    )
    log_factor = np.log(table[0, 0] * table[1, 1] / (table[0, 1] * table[1, 0]))
    error = np.sqrt((1 / table).sum())
    assert error < 0.1
    assert log_factor == pytest.approx(np.log(row["factor"]), abs=3.5 * error)


@pytest.mark.parametrize("effect", EFFECTS_IN_PLACES)
def test_planted_effects_multiply_the_true_rate_exactly(city: SimulatedCity, effect: str) -> None:
    acting, bins = hourly(city, city.windows[effect]), city.bins("1h")
    there = hourly(city, np.ones(len(city.hours), dtype=bool))  # not the hour that spring leaves out
    calm = there & ~acting & ~hourly(city, city.windows["business_hours"])
    for row in city.effects.query("effect == @effect").itertuples():
        rate = city.baseline(bins, row.category)
        ratio = (
            rate[:, only(city, row.zone)].sum(axis=1)[there]
            / rate[:, only(city, "everywhere")].sum(axis=1)[there]
        )
        calm_ratio = ratio[calm[there]]
        np.testing.assert_allclose(calm_ratio, calm_ratio[0])
        np.testing.assert_allclose(ratio[acting[there]] / calm_ratio[0], row.factor)


def hourly(city: SimulatedCity, mask: np.ndarray) -> np.ndarray:
    """Turn a mask of real hours into one of local-time bins."""
    number = city.bins("1h").locate(pd.Series(city.hours))
    found = np.zeros(city.bins("1h").n_bins, dtype=bool)
    found[number] = mask
    return found


def test_weekend_holiday_and_season_can_be_read_off_the_counts(busy: SimulatedCity) -> None:
    daily = counts(busy, busy.bins(), "noise")[:, only(busy, "everywhere")].sum(axis=1)
    bins = busy.bins()
    wall = bins.wall_edges[:-1]
    factor = busy.effects.query("category == 'noise'").set_index("effect")["factor"]
    by_day = pd.Series(busy.windows["weekend"], busy.hours).groupby(wall_days(busy)).first().to_numpy()
    public = pd.Series(busy.windows["holiday"], busy.hours).groupby(wall_days(busy)).first().to_numpy()
    assert public.sum() == 22  # eleven a year
    season = np.exp(
        0.5 * np.log(factor["season"]) * np.cos(2 * np.pi * (wall.day_of_year.to_numpy() - 196) / 365.25)
    )
    for acts, name in ((by_day & ~public, "weekend"), (public & ~by_day, "holiday")):
        plain = ~by_day & ~public
        ratio = (daily[acts].sum() / season[acts].sum()) / (daily[plain].sum() / season[plain].sum())
        error = np.sqrt(1 / daily[acts].sum() + 1 / daily[plain].sum())
        assert np.log(ratio) == pytest.approx(np.log(factor[name]), abs=3.5 * error + 0.005)


def wall_days(city: SimulatedCity) -> pd.DatetimeIndex:
    return city.hours.tz_localize(None).normalize()


def test_matches_are_a_table_of_evenings(city: SimulatedCity) -> None:
    events = city.events
    assert list(events.columns) == ["event", "place", "lat", "lng", "start", "end", "attendance", "known_at"]
    assert 15 <= len(events) <= 26
    assert (events["start"].dt.hour == 21).all()
    assert not events["start"].dt.month.isin([6, 7]).any()
    assert (events["known_at"] < events["start"]).all()
    assert city.windows["stadium_evening"].sum() == 6 * len(events)
    cell = city.grid.locate(events["lat"].to_numpy(), events["lng"].to_numpy())
    assert city.zones["stadium"][cell].all()


def test_white_noise_is_flat_and_has_the_rate_asked_for() -> None:
    city = simulate_white_noise(seed=4, n_cells=200, days=400, rate=0.2)
    assert city.grid.n_cells == pytest.approx(200, rel=0.1)
    bins = city.bins()
    mean = city.intensity(bins, "noise")
    np.testing.assert_allclose(mean, 0.2 * bins.exposure_hours[:, None] / 24 * np.ones_like(mean))
    found = counts(city, bins, "noise")
    assert found.sum() == pytest.approx(mean.sum(), abs=4 * np.sqrt(mean.sum()))
    assert found.var() / found.mean() == pytest.approx(1, abs=0.05)
    # cells and days do not differ more than Poisson counts do
    for axis in (0, 1):
        totals = found.sum(axis=axis)
        assert totals.var() / totals.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / len(totals)))
    table = city.incidents.table
    assert (table["reported_at"] == table["occurred_at"]).all()


@pytest.mark.parametrize("options", [{"n_cells": 2}, {"rate": -0.1}])
def test_white_noise_names_wrong_arguments(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        simulate_white_noise(days=2, **options)  # type: ignore[arg-type]


def test_flat_city_has_no_effects() -> None:
    city = simulate_city(seed=1, days=40, radius_km=2, flat=True)
    assert (city.effects["factor"] == 1).all()
    assert (city.categories["offspring"] == 0).all()
    mean = city.intensity(city.bins(), "theft")
    assert np.ptp(mean[:3]) < 1e-12


@pytest.mark.parametrize("resolution", [7, 8, 10])
def test_other_resolutions(resolution: int) -> None:
    city = simulate_city(days=14, resolution=resolution, radius_km=5)
    assert city.grid.resolution == resolution
    assert city.intensity(city.bins(), "noise").shape == (14, city.grid.n_cells)
    table = city.incidents.table
    assert (city.grid.locate(table["lat"].to_numpy(), table["lng"].to_numpy()) >= 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"days": 0}, "days must be between 1 and"),
        ({"radius_km": 0.1}, "radius_km must be between 0.5 and 30"),
        ({"incidents_per_day": -1}, "incidents_per_day must be between"),
        ({"near_repeat": 5}, "near_repeat must be between"),
        ({"categories": ["burglery"]}, "Did you mean 'burglary'"),
        ({"categories": []}, "number of categories must be between 1 and 9"),
        ({"categories": ["noise"], "seed": -1}, "seed must be between"),
        ({"resolution": 12}, "resolution must be"),
        ({"start": "2022-01-01 05:00"}, "first must lie on"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        simulate_city(**{"days": 3, "radius_km": 2.0, **options})  # type: ignore[arg-type]


def test_wrong_bins_are_named(city: SimulatedCity) -> None:
    with pytest.raises(UsageError, match="Did you mean 'noise'"):
        city.intensity(city.bins(), "nois")
    with pytest.raises(UsageError, match="must lie within"):
        city.baseline(TimeBins("2021-12-30", 5, "1D", "Europe/Paris"), "noise")
    with pytest.raises(UsageError, match="must lie within"):
        city.intensity(TimeBins("2022-03-01", 5, "1D", "UTC"), "noise")
    with pytest.raises(UsageError, match="period and horizon"):
        city.intensity(city.bins(), "noise", period=366)
