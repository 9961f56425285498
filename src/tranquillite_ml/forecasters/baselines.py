"""The ladder of plain counts that every model is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.features import View, smoothed_rate
from tranquillite_ml.forecasters.base import Forecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.calibration.calibrator import Intervals, Law
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.target import Target


class _Counting(Forecaster):
    """A forecaster that learns nothing but its calibration."""

    def _train(self, panel: Panel, category: str) -> None:
        """Nothing to learn."""

    def _rate(self, view: View) -> NDArray[Any]:
        return self._per_bin(view) * (view.target.period * view.exposure_factor)

    def _per_bin(self, view: View) -> NDArray[Any]:
        raise NotImplementedError


class Count365(_Counting):
    """Count of the last 365 days, as a rate; half an incident more than counted, so that no rate is zero.

    Parameters
    ----------
    target, calibration_days, strata, level, law, intervals
        As for `Forecaster`.

    Notes
    -----
    (n + 1/2) / days is the mean of the Poisson rate's posterior under Jeffreys' prior.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> Count365(Target("noise")).name
    'count_365d'
    """

    name = "count_365d"

    def _per_bin(self, view: View) -> NDArray[Any]:
        width = view.bins.days(365)
        return (view.window(365) + 0.5) / width


class CountAll(_Counting):
    """Count of the whole history, as a rate; half an incident more than counted.

    Parameters
    ----------
    target, calibration_days, strata, level, law, intervals
        As for `Forecaster`.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> CountAll(Target("noise")).name
    'count_all'
    """

    name = "count_all"

    def _per_bin(self, view: View) -> NDArray[Any]:
        counts = view.known("target").between(view.rows, np.zeros_like(view.rows), view.rows)
        return (counts + 0.5) / np.maximum(view.rows, 1)[:, None]


class SeasonalNaive(_Counting):
    """Mean of the same weekday and hour over the last 12 weeks (of the last 12 whole weeks, for a week).

    Parameters
    ----------
    target, calibration_days, strata, level, law, intervals
        As for `Forecaster`.

    Notes
    -----
    Half an incident is added over the 12 weeks, so that no rate is zero.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> SeasonalNaive(Target("noise")).name
    'seasonal_naive'
    """

    name = "seasonal_naive"

    def _rate(self, view: View) -> NDArray[Any]:
        week = view.bins.days(7)
        step = week * -(-view.target.period // week)
        mean = view.seasonal(step * np.arange(1, 13))
        return (np.nan_to_num(mean) + 0.5 / 12) * view.exposure_factor


class DecayedCount(_Counting):
    """Count that fades with age: an incident of 200 days ago counts half as much as one of today.

    Parameters
    ----------
    target, calibration_days, strata, level, law, intervals
        As for `Forecaster`.
    half_life_days : float, default 200

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> DecayedCount(Target("noise"), half_life_days=100).half_life_days
    100
    """

    name = "decayed_count"

    def __init__(
        self,
        target: Target,
        *,
        half_life_days: float = 200,
        calibration_days: float = 60,
        strata: int = 5,
        level: float = 0.9,
        law: Law = "negative_binomial",
        intervals: Intervals = "law",
    ) -> None:
        super().__init__(
            target,
            calibration_days=calibration_days,
            strata=strata,
            level=level,
            law=law,
            intervals=intervals,
        )
        self.half_life_days = half_life_days

    def _per_bin(self, view: View) -> NDArray[Any]:
        days = self.half_life_days / np.log(2)
        return view.decay(days) + 0.5 / view.decay_weight(days)


class SmoothedCount(_Counting):
    """Fading count, drawn towards the rings around the cell where it has few records (empirical Bayes).

    Parameters
    ----------
    target, calibration_days, strata, level, law, intervals
        As for `Forecaster`.
    days : float, default 365
        e-folding time of the memory.
    trust : float, default 1
        Incidents' worth of trust in the rings around a cell.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> SmoothedCount(Target("noise")).name
    'smoothed_count'
    """

    name = "smoothed_count"

    def __init__(
        self,
        target: Target,
        *,
        days: float = 365,
        trust: float = 1,
        calibration_days: float = 60,
        strata: int = 5,
        level: float = 0.9,
        law: Law = "negative_binomial",
        intervals: Intervals = "law",
    ) -> None:
        super().__init__(
            target,
            calibration_days=calibration_days,
            strata=strata,
            level=level,
            law=law,
            intervals=intervals,
        )
        self.days = days
        self.trust = trust

    def _per_bin(self, view: View) -> NDArray[Any]:
        return smoothed_rate(view, days=self.days, own=self.trust)


def baseline_ladder(target: Target, **params: Any) -> list[Forecaster]:
    """Plain counts, from the plainest up: they are part of every result.

    Parameters
    ----------
    target : Target
    **params
        Parameters that all forecasters share, such as ``calibration_days``.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> [step.name for step in baseline_ladder(Target("noise"))]
    ['count_365d', 'count_all', 'seasonal_naive', 'decayed_count', 'smoothed_count']
    """
    kinds = (Count365, CountAll, SeasonalNaive, DecayedCount, SmoothedCount)
    return [kind(target, **params) for kind in kinds]
