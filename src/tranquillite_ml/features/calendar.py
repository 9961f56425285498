"""Calendar: weekday, hour, season, public holidays and other known days of the period that is forecast."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tranquillite_ml.errors import DataWarning, LookAheadError, UsageError
from tranquillite_ml.features.asof import check_span, choose, cutoffs, need_layer, period_bounds, series_of
from tranquillite_ml.features.base import Column, FeatureBlock, View
from tranquillite_ml.intake.places import zone_country

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.intake.context import Context
    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins


class Calendar(FeatureBlock):
    """The calendar of the period forecast, which is known in advance.

    Parameters
    ----------
    country : str, optional
        ISO 3166 code whose public holidays count, such as ``"FR"`` or ``"US"``; none when not given.
    subdivision : str, optional
        Region with holidays of its own.
    layers : Context or sequence of Context, optional
        Layers of kind calendar: school holidays by zone, match days, closures.
    values : sequence of str, optional
        Which of the layers' values; all of them when not given.
    ramadan : bool, default False
        Count the days of Ramadan, by the Umm al-Qura calendar (1924 to 2077); the moon may be seen a day
        later.

    Raises
    ------
    UsageError
        If the country is unknown to the `holidays` library, or a layer is no calendar.
    LookAheadError
        If no day of a layer was known before it came.

    Warns
    -----
    DataWarning
        If the country is not that of the time zone.

    Examples
    --------
    >>> Calendar(country="FR").params()["country"]
    'FR'
    """

    family = "calendar"
    context: ClassVar[tuple[str, ...]] = ("layers",)

    def __init__(
        self,
        country: str | None = None,
        subdivision: str | None = None,
        *,
        layers: Context | Sequence[Context] = (),
        values: Sequence[str] | None = None,
        ramadan: bool = False,
    ) -> None:
        self.country = country
        self.subdivision = subdivision
        given = tuple(layers) if isinstance(layers, list | tuple) else (layers,)
        self.layers = tuple(need_layer(layer, ["calendar"], "Calendar") for layer in given)
        self.values = None if values is None else tuple(values)
        self.ramadan = ramadan
        self._of = {name: layer for layer in self.layers for name in layer.numbers}
        if self.layers:
            self._chosen = choose(values, self._of, "value", self.layers[0])
        for layer in self.layers:
            if not (layer.known_us < layer.valid_us[0]).any():
                msg = f"no day of {layer.name!r} was known before it came: say known='always', or since when."
                raise LookAheadError(msg)

    def _names(self, target: Target, bins: TimeBins) -> dict[str, str]:
        day = bins.days(1)
        names = {"season_sin": "−1 to 1", "season_cos": "−1 to 1"}
        if target.period % bins.days(7):
            names["weekday"] = "Monday 0"
        if bins.hours < 24 and target.period % day:
            names["hour"] = "hours"
        if self.country:
            names["holidays"] = "days in the period"
        if self.ramadan:
            names["ramadan"] = "days in the period"
        if self.layers:
            names |= dict.fromkeys(self._chosen, "days in the period")
        if len(target.horizons) > 1:
            names["horizon"] = "periods"
        return names

    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column."""
        for layer in self.layers:
            check_span(layer, bins)
        home = zone_country(bins.tz)
        if self.country and home not in {None, self.country.upper()}:
            msg = (
                f"holidays are those of {self.country}, but the time zone {bins.tz} lies in {home}: say "
                f"country={home!r}, or leave it out."
            )
            warnings.warn(msg, DataWarning, stacklevel=2)
        for name, unit in self._names(target, bins).items():
            told = self._of.get(name)
            source = "calendar" if told is None else f"layer {told.name}"
            yield Column(
                name, self.family, unit, source, "always" if told is None else "before the pseudo-cutoff"
            )

    def columns(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values, shape (n_rows, 1)."""
        middle = view.bins.wall_at(view.period_begin + view.target.period // 2)
        angle = 2 * np.pi * (middle.day_of_year.to_numpy() - 1) / 365.25
        start = view.bins.wall_at(view.period_begin)
        values = {
            "season_sin": lambda: np.sin(angle),
            "season_cos": lambda: np.cos(angle),
            "weekday": start.day_of_week.to_numpy,
            "hour": start.hour.to_numpy,
            "holidays": lambda: self._holidays(view),
            "horizon": lambda: view.horizons,
            "ramadan": lambda: _days_among(view, _ramadan_days(*_years(view))),
        }
        for name in self._names(view.target, view.bins):
            found = self._told(view, name) if name in self._of else values[name]()
            yield name, np.asarray(found, dtype=np.float32)[:, None]

    def _told(self, view: View, name: str) -> NDArray[np.float64]:
        """Days of each row's period on which a layer's value holds; NaN where it says nothing of a day."""
        begin, end = period_bounds(view)
        total, told = series_of(self._of[name]).sums(name, begin, end, cutoffs(view))
        first, last = _period_days(view)
        return np.where(told == (last - first).astype(np.int64) + 1, total, np.nan)

    def _holidays(self, view: View) -> NDArray[np.float64]:
        """Public holidays that touch each row's period."""
        import holidays

        first, last = _years(view)
        try:
            known: Any = holidays.country_holidays(
                str(self.country), subdiv=self.subdivision, years=range(first, last + 1)
            )
        except NotImplementedError as error:
            msg = f"country={self.country!r} with subdivision={self.subdivision!r} has no calendar: {error}"
            raise UsageError(msg) from None
        return _days_among(view, np.array(sorted(known), dtype="datetime64[D]"))


def _period_days(view: View) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """First and last local day that each row's period touches."""
    begin = view.bins.wall_at(view.period_begin).to_numpy()
    end = view.bins.wall_at(view.period_begin + view.target.period).to_numpy()
    return begin.astype("datetime64[D]"), (end - np.timedelta64(1, "us")).astype("datetime64[D]")


def _years(view: View) -> tuple[int, int]:
    first, last = _period_days(view)
    return int(first.min().astype(object).year), int(last.max().astype(object).year)


def _days_among(view: View, days: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """How many of some days, in order, each row's period touches."""
    first, last = _period_days(view)
    after = np.searchsorted(days, last, side="right")
    return np.asarray(after - np.searchsorted(days, first, side="left"), dtype=np.float64)


def _ramadan_days(first: int, last: int) -> NDArray[np.datetime64]:
    """Days of Ramadan in some years, in order.

    Raises
    ------
    UsageError
        If the calendar does not reach so far.

    Examples
    --------
    >>> _ramadan_days(2024, 2024)[[0, -1]].tolist()
    [datetime.date(2024, 3, 11), datetime.date(2024, 4, 9)]
    """
    from hijridate import Gregorian, Hijri

    try:
        lunar = range(Gregorian(first, 1, 1).to_hijri().year, Gregorian(last, 12, 31).to_hijri().year + 1)
        months = [(Hijri(year, 9, 1).to_gregorian(), Hijri(year, 9, 1).month_length()) for year in lunar]
    except OverflowError as error:
        msg = f"Ramadan is known from 1924 to 2077, not in {first} to {last}: leave ramadan out."
        raise UsageError(msg) from error
    days = [start + dt.timedelta(days=n) for start, length in months for n in range(length)]
    found = np.array([dt.date(day.year, day.month, day.day) for day in days], dtype="datetime64[D]")
    years = found.astype("datetime64[Y]").astype(np.int64) + 1970
    return found[(years >= first) & (years <= last)]
