"""Forecaster: fit on what was known at a cutoff, calibrate on a window of its own, forecast what follows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from tranquillite_ml.bundle import Parts, write_parts
from tranquillite_ml.calibration import Calibrator, fit_calibrator, no_calibration
from tranquillite_ml.errors import BundleError, NotFittedError, UsageError, check_kind
from tranquillite_ml.features import View
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.governance.categories import require_allowed
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.calibration.calibrator import Intervals, Law

MAX_CALIBRATION_ROWS = 64


class Forecaster(BaseEstimator, ABC):  # type: ignore[misc]
    """Base of every forecaster: scikit-learn's conventions, and one calibrated Forecasts table out.

    A subclass says how a raw rate comes about, in two methods; windows, calibration, horizons, intervals and
    saving are done here, once.

    Parameters
    ----------
    target : Target
    calibration_days : float, default 60
        Length of the calibration window before the cutoff; 0 leaves rates as they are.
    strata : int, default 5
        Strata of activity in the calibration; 1 for one overall factor.
    level : float, default 0.9
        Nominal coverage of the intervals.
    law : {"poisson", "negative_binomial", "hurdle"}, default "negative_binomial"
        Law of the counts around the expected count. A negative binomial is learnt by stratum of activity; a
        hurdle states the probability of any incident on its own. Neither changes the expected count.
    intervals : {"law", "conformal"}, default "law"
        Quantiles of the law at the nominal levels, or at levels that held on the calibration window in each
        stratum of activity.

    Attributes
    ----------
    models_ : dict of str to object
        What was learnt for each category, on data before the calibration window.
    calibrator_ : dict of str to Calibrator
        What was learnt on the calibration window.
    fitted_until_ : str
        Local time up to which models were trained.

    Examples
    --------
    >>> class Zero(Forecaster):
    ...     name = "next_to_nothing"
    ...
    ...     def _train(self, panel, category):
    ...         return None
    ...
    ...     def _rate(self, view):
    ...         return np.full(view.shape, 1e-3)
    """

    name: ClassVar[str]

    def __init__(
        self,
        target: Target,
        *,
        calibration_days: float = 60,
        strata: int = 5,
        level: float = 0.9,
        law: Law = "negative_binomial",
        intervals: Intervals = "law",
    ) -> None:
        self.target = target
        self.calibration_days = calibration_days
        self.strata = strata
        self.level = level
        self.law = law
        self.intervals = intervals

    # ------------------------------------------------------------------ what a subclass says

    @abstractmethod
    def _train(self, panel: Panel, category: str) -> Any:
        """Learn from a panel that ends at the training cutoff; what is returned is kept in `models_`."""

    @abstractmethod
    def _rate(self, view: View) -> NDArray[Any]:
        """Raw expected count of each row's target period, shape (n_rows, n_cells)."""

    # ------------------------------------------------------------------ what everyone calls

    def fit(self, panel: Panel, cutoff: int | str | pd.Timestamp | None = None) -> Self:
        """Train on what was known before the calibration window, then calibrate up to the cutoff.

        Parameters
        ----------
        panel : Panel
        cutoff : int, str or Timestamp, optional
            Last instant whose reports may be used; the end of the panel when not given.

        Raises
        ------
        UsageError
            If the panel lacks a category, or there is too little history.
        ConfigError
            If agents make the records of a category and no waiver holds: its forecast would return
            enforcement as demand.
        """
        end = self._end(panel, cutoff)
        panel.check_categories(self.target.categories)
        start = end - self._window(panel)
        if start < panel.bins.days(28) + self.target.reach:
            msg = (
                f"{self.name} needs at least 28 days and one period before its calibration window of "
                f"{self.calibration_days:g} days; {panel.bins.first:%Y-%m-%d} to the cutoff is too short. "
                "Use a later cutoff or a shorter calibration window."
            )
            raise UsageError(msg)
        names = {name: [name] for name in self.target.categories}
        require_allowed(names, panel.origins, self.target.waivers, on=datetime.now(UTC).date())
        known = panel.until(start)
        self.models_ = {name: self._train(known, name) for name in self.target.categories}
        self.fitted_until_ = str(known.bins.end)
        return self.recalibrate(panel, end)

    def recalibrate(self, panel: Panel, cutoff: int | str | pd.Timestamp | None = None) -> Self:
        """Learn the calibration anew on the window before a cutoff; the models stay as they are."""
        self._check_fitted()
        end = self._end(panel, cutoff)
        known = panel.until(end)
        self.calibrator_ = {name: self._calibrate(known, name) for name in self.target.categories}
        self.calibrated_until_ = str(known.bins.end)
        return self

    def forecast(self, panel: Panel, cutoff: int | str | pd.Timestamp | None = None) -> Forecasts:
        """Forecast the target's periods after a cutoff, calibrated, on the panel's cells.

        Parameters
        ----------
        panel : Panel
        cutoff : int, str or Timestamp, optional
            The end of the panel when not given.

        Returns
        -------
        Forecasts
            One map a category and horizon.
        """
        self._check_fitted()
        end = self._end(panel, cutoff)
        known = panel.until(end)
        horizons = np.array(self.target.horizons, dtype=np.int64)
        parts = []
        for category in self.target.categories:
            view = View(known, category, self.target, np.full(len(horizons), end), horizons)
            expected = self.calibrator_[category].expected(self._rate(view))
            calibrator = self.calibrator_[category]
            values = calibrator.distribution(expected, level=self.level)
            values["expected_count"] = expected
            parts.append(_as_forecasts(self.name, view, values, calibrator.law, self.level))
        return Forecasts.concat(parts)

    def save(self, path: str | Path) -> Path:
        """Write the forecaster as a bundle: text, JSON and arrays with their hashes, never pickle.

        Raises
        ------
        NotSaveableError
            If it could only be written with pickle.
        """
        self._check_fitted()
        return write_parts(path, self._parts())

    # ------------------------------------------------------------------ how it is done

    def _window(self, panel: Panel) -> int:
        return panel.bins.days(self.calibration_days) if self.calibration_days > 0 else 0

    def _check_fitted(self) -> None:
        if not hasattr(self, "models_"):
            msg = f"{type(self).__name__} has not been fitted: call fit(panel) first."
            raise NotFittedError(msg)

    def _calibrate(self, known: Panel, category: str) -> Calibrator:
        """Rates at the pseudo-cutoffs of the calibration window, against what was recorded since."""
        last = known.n_bins - settle_bins(known, category)
        first = max(known.n_bins - self._window(known), 1)
        chosen = _calibration_rows(first, last, self.target, known.bins.days(7))
        if self.calibration_days <= 0 or not len(chosen):
            return no_calibration()
        view = View(known, category, self.target, chosen[:, 0], chosen[:, 1])
        # Periods overlap: together they weigh as much as the window holds whole periods.
        covered = last - int(view.period_begin.min())
        weight = np.full(len(chosen), min(1.0, covered / self.target.period / len(chosen)))
        return fit_calibrator(
            view.outcome(),
            self._rate(view),
            weight=weight,
            strata=self.strata,
            law=self.law,
            intervals=self.intervals,
            level=self.level,
        )

    def _end(self, panel: Panel, cutoff: int | str | pd.Timestamp | None) -> int:
        """Bin that the cutoff begins, of arguments that are what they should be."""
        check_kind(self.target, Target, "target", "Target('burglary', period=7) is a week of daily bins.")
        check_kind(panel, Panel, "panel", "Panel.build(incidents, grid, bins) makes one.")
        return panel.n_bins if cutoff is None else panel.index_at(cutoff)

    def _parts(self) -> Parts:
        """The forecaster as data; a subclass adds what it has learnt."""
        params = {name: value for name, value in self.get_params(deep=False).items() if name != "target"}
        description = {
            "class": type(self).__name__,
            "params": params,
            "target": self.target.to_dict(),
            "fitted_until": self.fitted_until_,
            "calibrated_until": self.calibrated_until_,
            "calibrator": {name: found.to_dict() for name, found in self.calibrator_.items()},
            "models": dict.fromkeys(self.models_),
        }
        return Parts(description)

    def _restore(self, parts: Parts) -> Self:
        """Take up what `_parts` gave."""
        described = parts.description
        self.fitted_until_ = described["fitted_until"]
        self.calibrated_until_ = described["calibrated_until"]
        self.calibrator_ = {n: Calibrator.from_dict(v) for n, v in described["calibrator"].items()}
        self.models_ = dict(described["models"])
        wanted = sorted(self.target.categories)
        if not sorted(self.calibrator_) == sorted(self.models_) == wanted:
            msg = f"the bundle holds no model and calibration of each of {wanted}."
            raise BundleError(msg)
        return self


def _calibration_rows(first: int, last: int, target: Target, week: int) -> NDArray[np.int64]:
    """Pseudo-cutoff and horizon of each period the calibration looks at, shape (n, 2), by pseudo-cutoff.

    Every period that ends by `last` comes once, the horizons taking turns; where these are too many, every
    so-manieth, by a step that shares no factor with the week, so that all hours and weekdays come equally.
    """
    starts = np.arange(first + (target.horizons[0] - 1) * target.period, last - target.period + 1)
    if len(starts) == 0:
        return np.empty((0, 2), dtype=np.int64)
    step = max(1, -(-len(starts) // MAX_CALIBRATION_ROWS))
    while np.gcd(step, week) > 1 and step < len(starts):
        step += 1
    starts = starts[::-1][::step][::-1]
    horizons = np.array(target.horizons)[np.arange(len(starts)) % len(target.horizons)]
    rows = starts - (horizons - 1) * target.period
    # A far horizon whose pseudo-cutoff lies before the window gives way to one that does not.
    early = rows < first
    nearest = target.horizons[0]
    horizons[early], rows[early] = nearest, starts[early] - (nearest - 1) * target.period
    order = np.lexsort((horizons, rows))
    return np.stack([rows, horizons], axis=1)[order]


def settle_bins(panel: Panel, category: str, *, share: float = 0.95) -> int:
    """Bins after which `share` of a category's records were known: younger outcomes are incomplete.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=60, radius_km=1.5, reporting_delay=False)
    >>> settle_bins(Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents)), "noise")
    0
    """
    records = panel.records(category)
    delay = records.known - records.bin - 1
    if len(delay) == 0 or not delay.any():
        return 0
    # Only records old enough to have been seen whatever their delay say how long it takes.
    old = records.bin < panel.n_bins - int(np.quantile(delay, 0.999)) - 1
    return int(np.quantile(delay[old] if old.any() else delay, share, method="higher"))


def _as_forecasts(
    name: str, view: View, values: dict[str, NDArray[Any]], law: str, level: float
) -> Forecasts:
    bins, period = view.bins, view.target.period
    n_rows = len(view.rows)
    keys = pd.DataFrame(
        {
            "model": [name] * n_rows,
            "category": [view.category] * n_rows,
            "cutoff": bins.instants(view.rows),
            "horizon": view.horizons,
            "period_start": bins.instants(view.period_begin),
            "period_end": bins.instants(view.period_begin + period),
            "exposure_hours": view.period_exposure,
            "distribution": [law] * n_rows,
            "level": level,
            "outside_count": np.nan,
        }
    )
    grid = view.panel.grid
    meta = {"tz": bins.tz, "freq": bins.freq, "grid": grid.to_dict()}
    meta["study_area_km2"] = grid.to_dict().get("study_area_km2", float(grid.area_km2.sum()))
    return Forecasts(keys, grid.cells, grid.area_km2, values, meta)
