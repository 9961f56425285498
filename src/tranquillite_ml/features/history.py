"""History: what was recorded in a cell before, over windows, decays and the same times of earlier weeks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.features.base import Column, FeatureBlock, Group, View, check_days
from tranquillite_ml.features.reporting import SUFFIX, TOLD, Trailing, check_trailing
from tranquillite_ml.features.smoothing import smoothed_rate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins

_SOURCE: dict[Group, str] = {
    "target": "the category itself",
    "others": "all others of citizen or sensor origin",
}


class History(FeatureBlock):
    """Counts of a cell's own past: windows, decays, the same weekdays and hours, time since the last record.

    Parameters
    ----------
    windows : sequence of float, default (1, 3, 7, 14, 28, 56, 91, 182, 365, 730)
        Window lengths in days, whatever the bin; those shorter than a bin are left out.
    decays : sequence of float, default (14, 60, 200, 600)
        e-folding times in days.
    others : bool, default True
        Also count all other categories of citizen and sensor origin together.
    trailing : {"as_known", "exclude", "nowcast"}, default "as_known"
        What windows and decays do about late reports: hold what was known; be missing where less than 80 % of
        their records is usually known by then (``…_complete``); or divide what was known by that share, and
        be missing where it is under 20 % (``…_nowcast``). The share is told by the past of each row.

    Raises
    ------
    UsageError
        If a window or decay is not a number above 0, or `trailing` is unknown.

    Notes
    -----
    Where history is shorter than a window, its count is scaled up to the window's length.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> bins = TimeBins("2024-01-01", 60, "1D", "Europe/Paris")
    >>> [c.name for c in History(windows=[7], decays=[], others=False).describe(Target("noise"), bins)]
    ['target_7d', 'same_weekday', 'same_period_last_year', 'days_since_last', 'long_run_mean', 'city_28d', \
'city_91d', 'city_last_year']
    """

    family = "history"

    def __init__(
        self,
        windows: tuple[float, ...] = (1, 3, 7, 14, 28, 56, 91, 182, 365, 730),
        decays: tuple[float, ...] = (14, 60, 200, 600),
        *,
        others: bool = True,
        trailing: Trailing = "as_known",
    ) -> None:
        self.windows = check_days(windows, "windows")
        self.decays = check_days(decays, "decays")
        self.others = others
        self.trailing = check_trailing(trailing)

    def _groups(self) -> list[Group]:
        return ["target", "others"] if self.others else ["target"]

    def _windows(self, bins: TimeBins) -> list[float]:
        return [days for days in self.windows if days * bins.bins_per_day >= 1]

    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column."""
        known, late = TOLD["as_known"], TOLD[self.trailing]
        for group in self._groups():
            source = _SOURCE[group]
            for days in self._windows(bins):
                yield Column(self._named(f"{group}_{days:g}d"), self.family, "incidents", source, late)
            for days in self.decays:
                name = self._named(f"{group}_decay_{days:g}d")
                yield Column(name, self.family, "incidents per bin", source, late)
        own = _SOURCE["target"]
        for name in self._seasons(target, bins):
            yield Column(name, self.family, "incidents per period", own, known)
        yield Column("days_since_last", self.family, "days", own, known)
        yield Column("long_run_mean", self.family, "incidents per bin", own, known)
        for name in ("city_28d", "city_91d"):
            yield Column(self._named(name), "city", "ratio to the last 365 days", own, late)
        name = self._named("city_last_year")
        yield Column(name, "city", "same weeks a year ago, ratio to 365 days", own, late)

    def _named(self, name: str) -> str:
        return name + SUFFIX[self.trailing]

    def _seasons(self, target: Target, bins: TimeBins) -> dict[str, NDArray[np.int64]]:
        """Lags in bins of the same weekday, the same hour, and the same weeks of the year before."""
        week, day = bins.days(7), bins.days(1)
        seasons: dict[str, NDArray[np.int64]] = {}
        if target.period % week:
            name = "same_weekday" if bins.hours >= 24 else "same_hour_of_week"
            seasons[name] = week * np.arange(1, 13)
        if bins.hours < 24 and target.period % day:
            seasons["same_hour"] = day * np.arange(1, 29)
        step = max(target.period, week)
        seasons["same_period_last_year"] = 52 * week + step * np.arange(-1, 2)
        return seasons

    def columns(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values."""
        late = self.trailing
        for group in self._groups():
            there = view.has(group)
            for days in self._windows(view.bins):
                name = self._named(f"{group}_{days:g}d")
                yield name, view.window(days, group=group, trailing=late) if there else _nothing()
            for days in self.decays:
                name = self._named(f"{group}_decay_{days:g}d")
                yield name, view.decay(days, group=group, trailing=late) if there else _nothing()
        for name, lags in self._seasons(view.target, view.bins).items():
            yield name, view.seasonal(lags)
        since = view.known("target").bins_since_last(view.rows)
        yield "days_since_last", since / np.float32(view.bins.bins_per_day)
        yield "long_run_mean", smoothed_rate(view, days=3650.0)
        yield from self._city(view)

    def _city(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Level of the whole city against its last year, shape (n_rows, 1): season without a clock."""
        year = self._per_day(view, 365)
        safe = np.where(year > 0, year, np.nan)
        for days in (28, 91):
            yield self._named(f"city_{days}d"), self._per_day(view, days) / safe
        week = view.bins.days(7)
        step = max(view.target.period, week)
        lags = 52 * week + step * np.arange(-1, 2)
        then = view.seasonal(lags).sum(axis=1, keepdims=True)
        yield self._named("city_last_year"), then / (view.target.period / view.bins.bins_per_day) / safe

    def _per_day(self, view: View, days: float) -> NDArray[Any]:
        found: NDArray[Any] = view.window(days, trailing=self.trailing).sum(axis=1, keepdims=True)
        return found / days


def _nothing() -> NDArray[np.float32]:
    return np.array([[np.nan]], dtype=np.float32)
