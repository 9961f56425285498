"""What multiplies the rate of a simulated city: where it acts, when it acts, and by how much.

Every number here is invented. None is an estimate for a real city.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.intake.places import distance_km

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.city.law import CategoryLaw
    from tranquillite_ml.city.layout import CityLayout
    from tranquillite_ml.intake import Context

# Effect: zone, factors by category. The window of the same name says when (see `windows`).
EFFECTS: Final[dict[str, tuple[str, dict[str, float]]]] = {
    "weekend": ("everywhere", {
        "noise": 1.5, "dumping": 1.15, "graffiti": 1.2, "obstructive_parking": 0.7, "street_occupation": 0.8,
        "damage": 1.35, "burglary": 0.85, "theft": 1.1}),
    "holiday": ("everywhere", {
        "noise": 1.3, "dumping": 0.8, "obstructive_parking": 0.4, "street_occupation": 0.5, "burglary": 1.2,
        "theft": 0.8}),
    "business_hours": ("centre", {"obstructive_parking": 1.8, "street_occupation": 1.6, "theft": 1.5}),
    "nightlife": ("nightlife", {
        "noise": 3.0, "dumping": 1.4, "graffiti": 1.6, "obstructive_parking": 1.8, "damage": 2.5,
        "theft": 2.2}),
    "stadium_evening": ("stadium", {
        "noise": 4.0, "dumping": 2.0, "obstructive_parking": 5.0, "street_occupation": 4.0, "damage": 3.0,
        "theft": 3.5}),
    "coast_summer": ("coast", {
        "noise": 1.8, "dumping": 1.6, "obstructive_parking": 1.6, "street_occupation": 2.0, "theft": 1.7,
        "fires": 2.0}),
}  # fmt: skip

MAX_PLACES: Final = 50


@dataclass(frozen=True, eq=False)
class PlantedEffect:
    """An effect of a layer of context, planted in a simulated city so that it can be looked for.

    A series or a calendar acts everywhere while its value is above or below a bound; an event acts in the
    cells around it, from some hours before it begins to some hours after it ends; a point acts always, in the
    cells around it. The factor multiplies the baseline rate: near repeats follow only later.

    Parameters
    ----------
    name : str
        What `SimulatedCity.effects` calls it.
    layer : Context
        Of kind series (measured), calendar, events or points, real or simulated.
    factors : mapping of str to float
        By category; a category that is not named is left as it is.
    value : str, optional
        Column of numbers of a series or calendar.
    above, below : float, optional
        Bounds of that value: the effect acts where it is above the one and below the other.
    radius_m : float, default 800
        Distance from an event or point to a cell's centre up to which it acts; the nearest cell always.
    margin_hours : float, default 2
        Hours before an event begins and after it ends in which it acts.

    Raises
    ------
    UsageError
        If an argument is missing, out of range, or does not go with the layer.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_events
    >>> matches = simulate_events("matches", [(43.28, 5.40)], days=60, per_week=1)
    >>> PlantedEffect("match", matches, {"noise": 3.0}).factors
    {'noise': 3.0}
    >>> PlantedEffect("match", matches, {"noise": -1.0})
    Traceback (most recent call last):
    tranquillite_ml.errors.UsageError: match: the factor of 'noise' must be above 0 and at most 100, got -1.0.
    """

    name: str
    layer: Context
    factors: Mapping[str, float]
    value: str | None = None
    above: float | None = None
    below: float | None = None
    radius_m: float = 800.0
    margin_hours: float = 2.0

    def __post_init__(self) -> None:
        check_in(self.layer.kind, ["series", "calendar", "events", "points"], f"{self.name}: a layer's kind")
        for category, factor in self.factors.items():
            if not 0 < factor <= 100:
                msg = (
                    f"{self.name}: the factor of {category!r} must be above 0 and at most 100, got {factor}."
                )
                raise UsageError(msg)
        if self.layer.issued:
            msg = f"{self.name}: {self.layer.name!r} holds forecasts; what acts is what is measured."
            raise UsageError(msg)
        if (self.layer.kind in {"series", "calendar"}) != (self.value is not None):
            msg = (
                f"{self.name}: a value is for series and calendars, which need one; {self.layer!r} is given."
            )
            raise UsageError(msg)
        if self.value is not None:
            check_in(self.value, self.layer.numbers, f"{self.name}: a value of {self.layer.name!r}")
            if self.above is None and self.below is None:
                msg = f"{self.name}: say above or below what {self.value!r} acts."
                raise UsageError(msg)


@dataclass(frozen=True, eq=False)
class Planted:
    """Where and when an effect acts in a city: in a cell while any place that it is exposed to acts.

    Attributes
    ----------
    name, zone : str
    exposed : ndarray of bool, shape (n_cells, n_places)
    acting : ndarray of bool, shape (n_places, n_hours)
    factors : mapping of str to float
        By category.
    """

    name: str
    zone: str
    exposed: NDArray[np.bool_]
    acting: NDArray[np.bool_]
    factors: Mapping[str, float]

    @property
    def cells(self) -> NDArray[np.bool_]:
        """Cells in which the effect ever acts."""
        return np.asarray(self.exposed.any(axis=1))

    @property
    def hours(self) -> NDArray[np.bool_]:
        """Hours in which the effect acts anywhere."""
        return np.asarray(self.acting.any(axis=0))


def plant(
    layout: CityLayout,
    hours: pd.DatetimeIndex,
    matches: pd.DataFrame,
    added: Sequence[PlantedEffect] = (),
    categories: Sequence[str] = (),
) -> dict[str, Planted]:
    """Lay every effect into a map and a calendar: those of the drawn city that have their zone, those added.

    Raises
    ------
    UsageError
        If an effect's name is taken, a category of it is unknown, its layer does not cover the hours, or it
        has too many places.
    """
    acting = windows(hours, matches)
    found = {
        name: Planted(name, zone, layout.zones[zone][:, None], acting[name][None, :], factors)
        for name, (zone, factors) in EFFECTS.items()
        if zone in layout.zones
    }
    for effect in added:
        if effect.name in found or effect.name in layout.zones or not effect.name.isidentifier():
            taken = sorted({*found, *layout.zones})
            msg = (
                f"effects need names of their own, of letters and digits; got {effect.name!r} beside {taken}."
            )
            raise UsageError(msg)
        for category in effect.factors:
            check_in(category, categories, f"{effect.name}: a category")
        found[effect.name] = _planted(effect, layout, hours)
    return found


def _planted(effect: PlantedEffect, layout: CityLayout, hours: pd.DatetimeIndex) -> Planted:
    kind, table = effect.layer.kind, effect.layer.table
    if kind in {"series", "calendar"}:
        when = _while(effect, hours)[None, :]
        everywhere = np.ones((layout.grid.n_cells, 1), dtype=bool)
        return Planted(effect.name, "everywhere", everywhere, when, effect.factors)
    points = table[["lat", "lng"]].to_numpy(np.float64)
    if kind == "points":  # they always act, so that all of them are one place
        exposed = np.asarray(_around(points, effect.radius_m, layout).any(axis=1))[:, None]
        always = np.ones((1, len(hours)), dtype=bool)
        return Planted(effect.name, effect.name, exposed, always, effect.factors)
    places, place = np.unique(points.round(6), axis=0, return_inverse=True)
    if len(places) > MAX_PLACES:
        msg = f"{effect.name}: events of {len(places)} places; at most {MAX_PLACES} can be planted."
        raise UsageError(msg)
    margin = pd.Timedelta(hours=effect.margin_hours)
    begin, end = table["valid_from"] - margin, table["valid_to"].fillna(table["valid_from"]) + margin
    acting = np.stack(
        [_within(hours, begin[place.ravel() == n], end[place.ravel() == n]) for n in range(len(places))]
    )
    return Planted(effect.name, effect.name, _around(places, effect.radius_m, layout), acting, effect.factors)


def _while(effect: PlantedEffect, hours: pd.DatetimeIndex) -> NDArray[np.bool_]:
    """Hours in which the value of a series is beyond its bounds."""
    table = effect.layer.table
    told = _within(hours, table["valid_from"], table["valid_to"])
    if not told.all():
        missing = hours[int(np.argmin(told))]
        msg = (
            f"{effect.name}: {effect.layer.name!r} says nothing of {int((~told).sum())} of {len(hours)} "
            f"hours (first: {missing}). Simulate only the days that it covers."
        )
        raise UsageError(msg)
    numbers = table[str(effect.value)].to_numpy(np.float64)
    beyond = np.isfinite(numbers)
    if effect.above is not None:
        beyond &= numbers > effect.above
    if effect.below is not None:
        beyond &= numbers < effect.below
    return _within(hours, table["valid_from"][beyond], table["valid_to"][beyond])


def _within(
    hours: pd.DatetimeIndex, begin: pd.Series[pd.Timestamp], end: pd.Series[pd.Timestamp]
) -> NDArray[np.bool_]:
    """Whether each hour begins within any of the intervals [begin, end)."""
    at = hours.tz_convert("UTC")
    first = at.searchsorted(pd.DatetimeIndex(begin).tz_convert("UTC"))
    after = at.searchsorted(pd.DatetimeIndex(end).tz_convert("UTC"))
    change = np.zeros(len(hours) + 1, dtype=np.int64)
    np.add.at(change, first, 1)
    np.add.at(change, np.maximum(after, first), -1)
    return np.asarray(np.cumsum(change)[:-1] > 0)


def _around(points: NDArray[np.float64], radius_m: float, layout: CityLayout) -> NDArray[np.bool_]:
    """Cells whose centre is near each point, and the nearest one, shape (n_cells, n_points)."""
    centres = layout.grid.centres
    far = np.stack([distance_km(centres[:, 0], centres[:, 1], lat, lng) for lat, lng in points], axis=1)
    return np.asarray(far <= np.maximum(radius_m / 1000, far.min(axis=0)))


def windows(hours: pd.DatetimeIndex, matches: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """For each effect, whether it acts in each hour (local time), given the list of matches.

    Weekend is Saturday and Sunday; business hours are 9 to 18 h from Monday to Friday; nightlife is 22 to 4 h
    in the nights after Friday and Saturday; stadium evenings last from two hours before a match to two after
    it; summer is June to August; holidays are the public ones of France.
    """
    import holidays

    wall = hours.tz_localize(None)
    playing = np.zeros(len(hours), dtype=bool)
    for begin, end in zip(matches["start"], matches["end"], strict=True):
        margin = pd.Timedelta(hours=2)
        playing |= np.asarray((hours >= begin - margin) & (hours < end + margin))
    years = range(wall[0].year, wall[-1].year + 1)
    public = pd.DatetimeIndex(sorted(holidays.country_holidays("FR", years=years)))
    weekday, hour, night = wall.day_of_week, wall.hour, (wall - pd.Timedelta(hours=4)).day_of_week
    found = {
        "weekend": weekday >= 5,
        "holiday": wall.normalize().isin(public),
        "business_hours": (weekday < 5) & (hour >= 9) & (hour < 18),
        "nightlife": ((night == 4) | (night == 5)) & ((hour >= 22) | (hour < 4)),
        "stadium_evening": playing,
        "coast_summer": (wall.month >= 6) & (wall.month <= 8),
    }
    return {name: np.asarray(acts, dtype=bool) for name, acts in found.items()}


def effects_table(laws: Sequence[CategoryLaw], planted: Mapping[str, Planted]) -> pd.DataFrame:
    """List the planted effects of these categories: ``effect, category, zone, factor``."""
    rows = [
        (effect.name, law.name, effect.zone, 1.0 if law.flat else effect.factors.get(law.name, 1.0))
        for effect in planted.values()
        for law in laws
    ]
    rows += [("season", law.name, "everywhere", float(np.exp(2 * law.year_swing))) for law in laws]
    return pd.DataFrame(rows, columns=["effect", "category", "zone", "factor"])


def draw_matches(
    hours: pd.DatetimeIndex, place: tuple[float, float] | None, rng: np.random.Generator
) -> pd.DataFrame:
    """List match evenings: every other week from August to May, 21 to 23 h, at weekends or on a Wednesday.

    A city without a stadium has none.

    Returns
    -------
    DataFrame
        ``event, place, lat, lng, start, end, attendance, known_at``; attendance has no effect.
    """
    wall = hours.tz_localize(None)
    first = (wall[0] - pd.Timedelta(days=int(wall[0].day_of_week))).normalize()
    weeks = pd.date_range(first, wall[-1], freq="14D")
    day = rng.choice([2, 5, 6], size=len(weeks), p=[0.2, 0.5, 0.3])
    attendance = rng.integers(250, 650, size=len(weeks)) * 100
    start = weeks + pd.to_timedelta(day, unit="D") + pd.Timedelta(hours=21)
    played = ~start.month.isin([6, 7]) & (start >= wall[0]) & (start + pd.Timedelta(hours=4) <= wall[-1])
    played &= place is not None
    lat, lng = (np.nan, np.nan) if place is None else place
    begin = start[played].as_unit("us").tz_localize(hours.tz)
    return pd.DataFrame(
        {
            "event": [f"match {number}" for number in range(1, len(begin) + 1)],
            "place": "stadium",
            "lat": lat,
            "lng": lng,
            "start": begin,
            "end": begin + pd.Timedelta(hours=2),
            "attendance": attendance[played],
            "known_at": begin - pd.Timedelta(days=28),
        }
    )
