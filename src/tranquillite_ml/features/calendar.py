"""Calendar: weekday, hour, season and public holidays of the period that is forecast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import UsageError
from tranquillite_ml.features.base import Column, FeatureBlock, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

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

    Raises
    ------
    UsageError
        If the country is unknown to the `holidays` library.

    Examples
    --------
    >>> Calendar(country="FR")
    Calendar(country='FR', subdivision=None)
    """

    family = "calendar"

    def __init__(self, country: str | None = None, subdivision: str | None = None) -> None:
        self.country = country
        self.subdivision = subdivision

    def _names(self, target: Target, bins: TimeBins) -> dict[str, str]:
        day = bins.days(1)
        names = {"season_sin": "−1 to 1", "season_cos": "−1 to 1"}
        if target.period % bins.days(7):
            names["weekday"] = "Monday 0"
        if bins.hours < 24 and target.period % day:
            names["hour"] = "hours"
        if self.country:
            names["holidays"] = "days in the period"
        if len(target.horizons) > 1:
            names["horizon"] = "periods"
        return names

    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column."""
        for name, unit in self._names(target, bins).items():
            yield Column(name, self.family, unit, "calendar", "always")

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
        }
        for name in self._names(view.target, view.bins):
            yield name, np.asarray(values[name](), dtype=np.float32)[:, None]

    def _holidays(self, view: View) -> NDArray[np.float64]:
        """Public holidays that touch each row's period."""
        import holidays

        begin = view.bins.wall_at(view.period_begin).normalize()
        last = view.bins.wall_at(view.period_begin + view.target.period - 1).normalize()
        years = range(begin.min().year, last.max().year + 1)
        try:
            known: Any = holidays.country_holidays(str(self.country), subdiv=self.subdivision, years=years)
        except NotImplementedError as error:
            msg = f"country={self.country!r} with subdivision={self.subdivision!r} has no calendar: {error}"
            raise UsageError(msg) from None
        days = np.array(sorted(known), dtype="datetime64[D]")
        first = np.searchsorted(days, begin.to_numpy().astype("datetime64[D]"), side="left")
        after = np.searchsorted(days, last.to_numpy().astype("datetime64[D]"), side="right")
        return np.asarray(after - first, dtype=np.float64)
