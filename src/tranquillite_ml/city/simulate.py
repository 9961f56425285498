"""Simulate a city whose true intensity is known: drawn by hand, or laid on given polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.city.areas import lay_area
from tranquillite_ml.city.effects import PlantedEffect, draw_matches, effects_table, plant
from tranquillite_ml.city.law import (
    CATEGORY_LAWS,
    CategoryLaw,
    build_process,
    categories_table,
    flattened,
    report,
    smooth_field,
)
from tranquillite_ml.city.layout import CityLayout, build_layout, points_in_cells
from tranquillite_ml.city.simulated import NOTICE, NOTICE_ON_AREA, TZ, SimulatedCity, Truth
from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.intake import Incidents
from tranquillite_ml.timebins import TimeBins

if TYPE_CHECKING:
    import geopandas as gpd


def simulate_city(
    seed: int = 0,
    *,
    days: int = 730,
    start: str = "2022-01-01",
    resolution: int = 9,
    incidents_per_day: float = 60.0,
    radius_km: float | None = None,
    area: gpd.GeoDataFrame | gpd.GeoSeries | str | Path | None = None,
    centre: tuple[float, float] | None = None,
    effects: Sequence[PlantedEffect] = (),
    categories: Sequence[str] | None = None,
    near_repeat: float = 1.0,
    reporting_delay: bool = True,
    flat: bool = False,
) -> SimulatedCity:
    """Simulate recorded incidents of *tranquillité* in a fictitious port, with their true intensity.

    A place to try a method where the answer is known: heterogeneous cells, a harbour, a nightlife quarter,
    match evenings, seasons, daily and weekly rhythms, public holidays, near repeats and reporting delays.

    Parameters
    ----------
    seed : int, default 0
        Same seed, same table. Each category has a random stream of its own. The map does not depend on it.
    days : int, default 730
        Local days simulated. The process starts without a past.
    start : str, default "2022-01-01"
        First day, local time in Europe/Paris.
    resolution : int, default 9
        H3 resolution of the cells. Near repeats spread over rings of cells, hence further at a coarser one.
    incidents_per_day : float, default 60.0
        Approximate number of incidents a day over all nine categories (near repeats at sea are lost).
    radius_km : float, optional
        Kilometres from the harbour to the limits of the drawn city; 10, the default, gives about 1,900 cells
        of resolution 9, 2.5 about 120.
    area : GeoDataFrame, GeoSeries or path of a vector file, optional
        Polygons, such as the neighbourhoods of a city, on which the simulated city is laid instead: see
        `lay_area` for where incidents then arise. Of the drawn city's effects, those everywhere and in the
        centre stay.
    centre : (lat, lng), optional
        The middle of the area's simulated centre; the area's own when not given.
    effects : sequence of PlantedEffect
        Effects of layers of context, planted beside the city's own.
    categories : sequence of str, optional
        Simulate only these; their incidents are the same as with all nine.
    near_repeat : float, default 1.0
        Multiplies the number of near repeats; 0 switches them off, the total stays.
    reporting_delay : bool, default True
        If False, incidents are reported when they occur.
    flat : bool, default False
        White noise: independent Poisson counts, one rate for all cells and hours, no effect, no near repeat.

    Returns
    -------
    SimulatedCity

    Raises
    ------
    UsageError
        If an argument is out of range, a category is unknown, or an effect's layer does not cover the days.
    InputDataError
        If the area cannot be used.

    References
    ----------
    Mohler, Short, Malinowski, Johnson, Tita, Bertozzi & Brantingham (2015), JASA 110(512), a self-exciting
    intensity on cells: https://doi.org/10.1080/01621459.2015.1077710; `process.py` has the formula.

    Examples
    --------
    >>> city = simulate_city(seed=1, days=28, radius_km=2.0, incidents_per_day=20)
    >>> city.grid.n_cells, len(city.districts)
    (75, 16)
    >>> city.intensity(city.bins("7D"), "noise").shape
    (4, 75)
    """
    names = [law.name for law in CATEGORY_LAWS]
    wanted = names if categories is None else [check_in(name, names, "categories") for name in categories]
    _check_between(len(wanted), 1, len(names), "number of categories")
    _check_between(near_repeat, 0, 0.95 / max(law.offspring for law in CATEGORY_LAWS), "near_repeat")
    laws = {
        number: replace(law, offspring=law.offspring * near_repeat)
        for number, law in enumerate(CATEGORY_LAWS)
        if law.name in wanted
    }
    if flat:
        laws = {number: flattened(law) for number, law in laws.items()}
    if area is None and centre is None:
        layout = build_layout(resolution, 10.0 if radius_km is None else radius_km)
    elif area is not None and radius_km is None:
        layout = lay_area(area, resolution, centre)
    else:
        msg = "radius_km is for the drawn city, and centre for a given area: give one or the other."
        raise UsageError(msg)
    hours = _hours(start, days)
    return _simulate(seed, layout, hours, laws, incidents_per_day, effects=effects, delayed=reporting_delay)


def simulate_white_noise(
    seed: int = 0,
    *,
    n_cells: int = 200,
    days: int = 730,
    rate: float = 0.05,
    start: str = "2022-01-01",
    resolution: int = 9,
) -> SimulatedCity:
    """Simulate independent Poisson counts of one category, ``noise``: there is nothing to learn but the rate.

    For leakage canaries: whoever beats the constant rate here has seen the future.

    Parameters
    ----------
    n_cells : int, default 200
        Cells, approximately: the map is scaled to about this number.
    rate : float, default 0.05
        Expected incidents a cell and 24 hours.
    seed, days, start, resolution
        As in `simulate_city`.

    Returns
    -------
    SimulatedCity
        Reported without delay.

    Raises
    ------
    UsageError
        If an argument is out of range.

    Examples
    --------
    >>> city = simulate_white_noise(n_cells=50, days=10)
    >>> set(city.intensity(city.bins(), "noise").ravel().round(12).tolist())
    {0.05}
    """
    _check_between(n_cells, 10, 100_000, "n_cells")
    _check_between(rate, 0, 1e4, "rate")
    cell_km2 = 0.104 * 7.0 ** (9 - resolution)
    layout = build_layout(resolution, float(np.sqrt(n_cells * cell_km2 / 1.96)))
    laws = {0: flattened(replace(CATEGORY_LAWS[0], share=1.0))}
    return _simulate(seed, layout, _hours(start, days), laws, rate * layout.grid.n_cells, delayed=False)


def _simulate(
    seed: int,
    layout: CityLayout,
    hours: pd.DatetimeIndex,
    laws: Mapping[int, CategoryLaw],
    per_day: float,
    *,
    effects: Sequence[PlantedEffect] = (),
    delayed: bool,
) -> SimulatedCity:
    """Draw what is common to all categories, then each category from its own streams."""
    _check_between(seed, 0, 2**63 - 1, "seed")
    _check_between(per_day, 0, 1e7, "incidents_per_day")
    common, *own = np.random.SeedSequence(seed).spawn(1 + len(CATEGORY_LAWS))
    match_rng, field_rng = (np.random.default_rng(stream) for stream in common.spawn(2))
    events = draw_matches(hours, layout.places.get("stadium"), match_rng)
    planted = plant(layout, hours, events, effects, [law.name for law in CATEGORY_LAWS])
    shared = smooth_field(layout, field_rng)
    tables, truths = [], {}
    for number, law in laws.items():
        streams = [np.random.default_rng(stream) for stream in own[number].spawn(4)]
        process = build_process(law, layout, hours, planted, streams[0], shared=shared, per_day=per_day)
        event_hours, event_cells = process.sample(streams[1])
        truths[law.name] = Truth(process, event_hours, event_cells)
        moments = report(law, hours[0], event_hours, streams[2], delayed=delayed)
        tables.append(moments.assign(**points_in_cells(event_cells, layout, streams[3])))
    origins = {law.name: law.origin for law in laws.values()}
    return SimulatedCity(
        incidents=Incidents.from_table(pd.concat(tables, ignore_index=True), tz=TZ, origins=origins),
        grid=layout.grid,
        districts=layout.districts,
        study_area=layout.study_area,
        events=events,
        effects=effects_table(list(laws.values()), planted),
        categories=categories_table(list(laws.values())),
        zones=layout.zones | {effect.zone: effect.cells for effect in planted.values()},
        windows={name: effect.hours for name, effect in planted.items()},
        planted=planted,
        hours=hours,
        notice=NOTICE if layout.polygon is None else NOTICE_ON_AREA,
        _truth=truths,
    )


def _hours(start: str, days: int) -> pd.DatetimeIndex:
    """Start of every real hour of these local days."""
    _check_between(days, 1, 100_000, "days")
    edges = TimeBins(start, days, "1D", TZ).edges
    return pd.date_range(edges[0], edges[-1], freq="h", inclusive="left", unit="us")


def _check_between(value: float, low: float, high: float, name: str) -> None:
    if not low <= value <= high:
        msg = f"{name} must be between {low:g} and {high:g}, got {value!r}."
        raise UsageError(msg)
