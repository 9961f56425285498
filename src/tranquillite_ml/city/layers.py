"""Simulated layers of context: events, spells of weather, forecasts of them. They describe nothing real."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.city.simulated import TZ
from tranquillite_ml.errors import UsageError
from tranquillite_ml.intake.context import read_context

if TYPE_CHECKING:
    from tranquillite_ml.intake import Context

AFTER_DAYS = 60
"""Days after the city's last for which layers are drawn, so that a forecast of what follows has them."""


def simulate_events(
    name: str,
    places: Sequence[tuple[float, float]],
    *,
    seed: int = 0,
    start: str = "2022-01-01",
    days: int = 730,
    per_week: float = 0.5,
    weekdays: Sequence[int] = tuple(range(7)),
    months: Sequence[int] = tuple(range(1, 13)),
    begins: int = 21,
    hours: float = 2.0,
    attendance: tuple[int, int] = (1_000, 1_000),
    announced_days: int = 28,
) -> Context:
    """Draw a calendar of events: on each day allowed, one with the same chance, at one of the places.

    Parameters
    ----------
    name : str
        The layer's name.
    places : sequence of (lat, lng)
        Each event takes place at one of them, drawn evenly.
    seed : int, default 0
        With the name, decides the calendar.
    start, days
        As in `simulate_city`; events are drawn for 60 days more.
    per_week : float, default 0.5
        Mean number of events in a week of an allowed month.
    weekdays : sequence of int
        Days allowed, Monday 0.
    months : sequence of int
        Months allowed, January 1.
    begins, hours : int, float
        Local hour at which events begin, and how long they last.
    attendance : (int, int)
        Least and most, drawn evenly.
    announced_days : int, default 28
        Days before its start at which an event is known.

    Returns
    -------
    Context
        Of kind events.

    Raises
    ------
    UsageError
        If there is no place, or more than one event would fall on an allowed day.

    Examples
    --------
    >>> simulate_events("calls", [(43.34, 5.34)], days=365, per_week=4, months=[7, 8], begins=8)
    Context('calls': events, 38 rows, 2022-07-01 to 2022-08-29)
    """
    chance = per_week / max(len(set(weekdays)), 1)
    if not places or not 0 < chance <= 1:
        msg = (
            f"{name}: expected places, and more than 0 and at most {len(set(weekdays))} events a week on "
            f"weekdays {list(weekdays)}, got {len(places)} places and per_week={per_week}."
        )
        raise UsageError(msg)
    rng = np.random.default_rng([seed, *name.encode()])
    day = pd.date_range(start, periods=days + AFTER_DAYS)
    drawn = rng.random(len(day)) < chance
    held = drawn & day.day_of_week.isin(list(weekdays)) & day.month.isin(list(months))
    place = np.array(places, dtype=np.float64)[rng.integers(len(places), size=len(day))]
    crowd = rng.integers(attendance[0], attendance[1] + 1, size=len(day))
    begin = day[held] + pd.Timedelta(hours=begins)
    table = pd.DataFrame(
        {
            "start": begin,
            "end": begin + pd.Timedelta(hours=hours),
            "lat": place[held, 0],
            "lng": place[held, 1],
            "attendance": crowd[held],
        }
    )
    return read_context(table, kind="events", name=name, tz=TZ, known=f"{announced_days}D before start")


def simulate_spells(
    name: str,
    *,
    value: str = "gust_kmh",
    seed: int = 0,
    start: str = "2022-01-01",
    days: int = 730,
    share: float = 0.25,
    mean_days: float = 3.0,
    calm: tuple[float, float] = (10.0, 50.0),
    spell: tuple[float, float] = (60.0, 110.0),
) -> Context:
    """Draw a daily series that is calm, or in a spell of some days, such as gusts of a regional wind.

    A chain of two states: a spell lasts `mean_days` on average, and `share` of all days belong to one. Within
    a state the value is drawn evenly from its range.

    Parameters
    ----------
    name, seed, start, days
        As in `simulate_events`.
    value : str
        Column of the series.
    share, mean_days : float
        Share of days in a spell, and mean length of one.
    calm, spell : (float, float)
        Range of the value in either state.

    Returns
    -------
    Context
        Of kind series, measured: a day's value is known when the day is over.

    Raises
    ------
    UsageError
        If the share or the length is out of range.

    Examples
    --------
    >>> wind = simulate_spells("wind", days=3650)
    >>> round(float((wind.table["gust_kmh"] > 55).mean()), 2)
    0.25
    """
    leave, enter = 1 / mean_days, share / max(1 - share, 1e-9) / mean_days
    if not (0 < share < 1 and mean_days >= 1 and enter <= 1):
        msg = f"{name}: share={share} of days in spells of {mean_days} days on average cannot be drawn."
        raise UsageError(msg)
    rng = np.random.default_rng([seed, *name.encode()])
    n = days + AFTER_DAYS
    chance = rng.random(n)
    on = np.zeros(n, dtype=bool)
    on[0] = chance[0] < share
    for t in range(1, n):
        on[t] = chance[t] >= leave if on[t - 1] else chance[t] < enter
    level = rng.random(n)
    low, high = np.where(on, spell[0], calm[0]), np.where(on, spell[1], calm[1])
    table = pd.DataFrame(
        {"date": pd.date_range(start, periods=n), value: (low + level * (high - low)).round(1)}
    )
    return read_context(table, kind="series", name=name, tz=TZ)


def simulate_issues(
    layer: Context, name: str, *, seed: int = 0, days_ahead: int = 7, error: float = 0.1
) -> Context:
    """Draw forecasts of a daily series: issued every evening, for some days ahead, worse the further.

    Parameters
    ----------
    layer : Context
        A series of measured days.
    name, seed
        As in `simulate_events`.
    days_ahead : int, default 7
        Days for which each issue forecasts.
    error : float, default 0.1
        Logarithmic standard deviation of the first day's forecast; it grows with the root of the days ahead.

    Returns
    -------
    Context
        Of kind series, each value with when it was issued: 18 h of the day before the first one forecast.

    Raises
    ------
    UsageError
        If the layer is no series of measurements.

    Examples
    --------
    >>> simulate_issues(simulate_spells("wind", days=30), "wind_forecast").issued
    True
    """
    if layer.kind != "series" or layer.issued:
        msg = f"{name}: forecasts are drawn of a series of measurements, not of {layer!r}."
        raise UsageError(msg)
    rng = np.random.default_rng([seed, *name.encode()])
    date = layer.table["valid_from"].dt.tz_localize(None).to_numpy()
    parts = []
    for ahead in range(1, days_ahead + 1):
        issued = date - pd.Timedelta(days=ahead) + pd.Timedelta(hours=18)
        part = pd.DataFrame({"date": date, "issued_at": issued})
        for number in layer.numbers:
            noise = np.exp(error * np.sqrt(ahead) * rng.normal(size=len(date)))
            part[number] = (layer.table[number].to_numpy() * noise).round(1)
        parts.append(part)
    return read_context(pd.concat(parts, ignore_index=True), kind="series", name=name, tz=layer.tz)
