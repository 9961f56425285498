"""Daylight: how much of the period that is forecast is dark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import UsageError
from tranquillite_ml.features.asof import period_bounds
from tranquillite_ml.features.base import Column, FeatureBlock, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins

DAY = 86_400_000_000  # microseconds


class Daylight(FeatureBlock):
    """Share of the period that is dark, from the position of the sun, which is known in advance.

    Parameters
    ----------
    depression : float, default 6
        Degrees below the horizon at which it is dark: 6 is the end of civil twilight, 0.833 sunset.

    Raises
    ------
    UsageError
        If the angle does not lie between 0 and 18 degrees.

    Notes
    -----
    Dawn and dusk come from the `astral` library, at the middle of the grid. Above the polar circles a day
    without dawn and dusk is all dark or all light, after the height of the sun at noon.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> bins = TimeBins("2024-01-01", 9, "1h", "Europe/Paris")
    >>> [c.name for c in Daylight().describe(Target("noise"), bins)]
    ['dark_share']
    """

    family = "daylight"

    def __init__(self, depression: float = 6.0) -> None:
        if not 0 <= depression <= 18:
            msg = f"depression must lie between 0 (sunset) and 18 degrees (night), got {depression}."
            raise UsageError(msg)
        self.depression = float(depression)

    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column."""
        del target, bins
        yield Column(
            "dark_share", self.family, "share of the period's hours", "position of the sun", "always"
        )

    def columns(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values, shape (n_rows, 1)."""
        begin, end = period_bounds(view)
        lat, lng = (round(float(degrees), 2) for degrees in np.asarray(view.panel.grid.centres).mean(axis=0))
        first = int(begin.min(initial=0) // DAY) - 1 if len(begin) else 0
        light = [
            light_of(lat, lng, self.depression, day)
            for day in range(first, int(end.max(initial=0) // DAY) + 2)
        ]
        edges = np.array(light, dtype=np.int64).reshape(-1, 2)
        edges = np.maximum.accumulate(edges.ravel()).reshape(-1, 2)
        total = np.concatenate([[0], np.cumsum(edges[:, 1] - edges[:, 0])])

        def lit(moment: NDArray[np.int64]) -> NDArray[np.int64]:
            """Daylight before a moment."""
            number = np.searchsorted(edges[:, 0], moment, side="right")
            last = np.maximum(number - 1, 0)
            left = np.maximum(edges[last, 1] - moment, 0)
            return np.asarray(total[number] - np.where(number > 0, left, 0))

        length = np.maximum(end - begin, 1)
        yield "dark_share", np.where(end > begin, 1 - (lit(end) - lit(begin)) / length, 0.0)[:, None]


@lru_cache(maxsize=40_000)
def light_of(lat: float, lng: float, depression: float, day: int) -> tuple[int, int]:
    """Dawn and dusk of a day at a place, in microseconds since 1970 UTC; equal where it is never light.

    Parameters
    ----------
    lat, lng : float
        Degrees.
    depression : float
        Degrees of the sun below the horizon.
    day : int
        Days since 1970-01-01, of the place's own noon.

    Examples
    --------
    >>> dawn, dusk = light_of(43.3, 5.4, 0.833, 19_894)  # 2024-06-20
    >>> round((dusk - dawn) / 3_600_000_000, 1)
    15.4
    """
    from astral import Observer, SunDirection
    from astral.sun import elevation, noon, time_of_transit

    observer = Observer(lat, lng)
    date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
    middle = noon(observer, date)
    try:
        dawn = time_of_transit(observer, date, 90 + depression, SunDirection.RISING, with_refraction=False)
        dusk = time_of_transit(observer, date, 90 + depression, SunDirection.SETTING, with_refraction=False)
    except ValueError:
        at = _us(middle)
        half = DAY // 2 if elevation(observer, middle, with_refraction=False) > -depression else 0
        return at - half, at + half
    rise, fall, at = _us(dawn), _us(dusk), _us(middle)
    # The library gives clock times of one UTC date: bring both to the same noon.
    rise -= DAY * round((rise - (at - DAY // 4)) / DAY)
    fall -= DAY * round((fall - (at + DAY // 4)) / DAY)
    return rise, fall


def _us(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
