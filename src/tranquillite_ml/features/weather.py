"""Weather, or any other series: as measured and as forecast, each as it was known at the cutoff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from tranquillite_ml.errors import LookAheadError, UsageError
from tranquillite_ml.features.asof import (
    check_span,
    choose,
    cutoffs,
    need_layer,
    period_bounds,
    series_of,
    wall_moments,
)
from tranquillite_ml.features.base import Column, FeatureBlock, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.intake.context import Context
    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins

NORMAL_YEARS = 10
NORMAL_DAYS = 7


class Weather(FeatureBlock):
    """Values of a series before the cutoff, how unusual they are, and what was forecast for the period.

    Parameters
    ----------
    observed : Context, optional
        A series of measurements.
    forecast : Context, optional
        A series of forecasts, each with its issue; the last one issued by the cutoff counts.
    values : sequence of str, optional
        Which of their numbers; all that both have when not given.
    lags : sequence of int, default (1,)
        Days before the cutoff whose mean is a feature: 1 is the last day.
    windows : sequence of int, default (7, 28)
        Days up to the cutoff over which the mean is a feature.
    anomalies : bool, default True
        Also the difference of each window, and of the forecast, to normal.

    Raises
    ------
    UsageError
        If there is no layer, a layer is not a series, or lacks a value.
    LookAheadError
        If `forecast` holds measurements: they would not have been known.

    Notes
    -----
    Normal is the mean of the same days, seven days more on either side, over the ten years before, as far as
    it was known at the cutoff. All columns are the same in all cells.

    Examples
    --------
    >>> from tranquillite_ml.intake.context import read_context
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> rows = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=60), "tmax": 10.0})
    >>> weather = read_context(rows, kind="series", name="weather", tz="Europe/Paris")
    >>> block = Weather(weather, windows=[7])
    >>> [c.name for c in block.describe(Target("noise"), TimeBins("2024-01-01", 60, "1D", "Europe/Paris"))]
    ['tmax_lag_1d', 'tmax_mean_7d', 'tmax_anomaly_7d']
    >>> Weather(weather, forecast=weather)
    Traceback (most recent call last):
    tranquillite_ml.errors.LookAheadError: 'weather' holds measurements, which are not known in advance. ...
    """

    family = "weather"
    context: ClassVar[tuple[str, ...]] = ("observed", "forecast")

    def __init__(
        self,
        observed: Context | None = None,
        forecast: Context | None = None,
        values: Sequence[str] | None = None,
        *,
        lags: Sequence[int] = (1,),
        windows: Sequence[int] = (7, 28),
        anomalies: bool = True,
    ) -> None:
        given = [
            need_layer(layer, ["series"], "Weather") for layer in (observed, forecast) if layer is not None
        ]
        if not given:
            msg = "Weather needs a series: observed=…, forecast=…, or both."
            raise UsageError(msg)
        if forecast is not None and not forecast.issued:
            msg = (
                f"{forecast.name!r} holds measurements, which are not known in advance. A forecast says when "
                "each value was issued: read_context(…, columns={'issued_at': …})."
            )
            raise LookAheadError(msg)
        if observed is not None and observed.issued:
            msg = f"{observed.name!r} holds forecasts: give it as forecast=…, and measurements as observed=…."
            raise UsageError(msg)
        self.observed, self.forecast, self.values = (
            observed,
            forecast,
            None if values is None else tuple(values),
        )
        self.lags, self.windows, self.anomalies = tuple(lags), tuple(windows), anomalies
        both = [name for name in given[0].numbers if all(name in layer.numbers for layer in given)]
        self._names = choose(values, both, "value", given[0])

    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column."""
        for layer in (self.observed, self.forecast):
            if layer is not None:
                check_span(layer, bins)
        for name in self._names:
            for column, unit in self._columns(name).items():
                known = "issued before" if column.startswith(f"{name}_forecast") else "measured and known by"
                yield Column(
                    column, self.family, unit, self._source(column, name), f"{known} the pseudo-cutoff"
                )

    def _source(self, column: str, name: str) -> str:
        forecast = column.startswith(f"{name}_forecast")
        layer = self.forecast if forecast else self.observed
        return f"layer {layer.name}" if layer is not None else ""

    def _columns(self, name: str) -> dict[str, str]:
        """Names and units of one value's columns, in order."""
        columns: dict[str, str] = {}
        if self.observed is not None:
            columns |= {f"{name}_lag_{days}d": "as in the layer" for days in self.lags}
            for days in self.windows:
                columns[f"{name}_mean_{days}d"] = "as in the layer"
                if self.anomalies:
                    columns[f"{name}_anomaly_{days}d"] = "difference to normal"
        if self.forecast is not None:
            columns[f"{name}_forecast"] = "as in the layer"
            if self.anomalies and self.observed is not None:
                columns[f"{name}_forecast_anomaly"] = "difference to normal"
        return columns

    def columns(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values, shape (n_rows, 1)."""
        for name in self._names:
            if self.observed is not None:
                yield from self._measured(view, name)
            if self.forecast is not None:
                begin, end = period_bounds(view)
                ahead = series_of(self.forecast).mean(name, begin, end, cutoffs(view))
                yield f"{name}_forecast", ahead[:, None]
                if self.anomalies and self.observed is not None:
                    start = view.bins.wall_at(view.period_begin)
                    length = pd.Timedelta(hours=view.target.period * view.bins.hours)
                    normal = self._normal(view, name, start, start + length)
                    yield f"{name}_forecast_anomaly", (ahead - normal)[:, None]

    def _measured(self, view: View, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
        now = view.bins.wall_at(view.rows)
        for days in self.lags:
            begin, end = now - pd.Timedelta(days=days), now - pd.Timedelta(days=days - 1)
            yield f"{name}_lag_{days}d", self._mean(view, name, begin, end)[:, None]
        for days in self.windows:
            begin = now - pd.Timedelta(days=days)
            mean = self._mean(view, name, begin, now)
            yield f"{name}_mean_{days}d", mean[:, None]
            if self.anomalies:
                yield f"{name}_anomaly_{days}d", (mean - self._normal(view, name, begin, now))[:, None]

    def _mean(
        self, view: View, name: str, begin: pd.DatetimeIndex, end: pd.DatetimeIndex
    ) -> NDArray[np.float64]:
        tz = view.bins.tz
        return self._observed().mean(name, wall_moments(begin, tz), wall_moments(end, tz), cutoffs(view))

    def _normal(
        self, view: View, name: str, begin: pd.DatetimeIndex, end: pd.DatetimeIndex
    ) -> NDArray[np.float64]:
        """Mean of the same days of earlier years, as known at each pseudo-cutoff; NaN if there is none."""
        total, seen = np.zeros(len(view.rows)), np.zeros(len(view.rows))
        around, tz = pd.Timedelta(days=NORMAL_DAYS), view.bins.tz
        for years in range(1, NORMAL_YEARS + 1):
            back = pd.DateOffset(years=years)
            low, high = wall_moments(begin - back - around, tz), wall_moments(end - back + around, tz)
            found, n = self._observed().sums(name, low, high, cutoffs(view))
            total += found
            seen += n
        return np.where(seen > 0, total / np.maximum(seen, 1), np.nan)

    def _observed(self) -> Any:
        return series_of(self.observed)  # type: ignore[arg-type]
