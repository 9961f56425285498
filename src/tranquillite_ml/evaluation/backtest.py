"""Backtest: every forecaster at every cutoff, with what was known there, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from tranquillite_ml.errors import UsageError, check_in, check_kind
from tranquillite_ml.forecasters import Forecaster
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.panel import Panel
from tranquillite_ml.splits import RollingOrigin

if TYPE_CHECKING:
    from tranquillite_ml.target import Target

Progress = Callable[[str, int, int], None]


def backtest(
    forecasters: Sequence[Forecaster],
    panel: Panel,
    splits: RollingOrigin,
    *,
    refit: Literal["never", "every_fold"] = "never",
    recalibrate: Literal["every_fold", "never"] = "every_fold",
    progress: Progress | None = None,
) -> Forecasts:
    """Forecast at each cutoff with what was known there, and put what was then recorded beside it.

    Parameters
    ----------
    forecasters : sequence of Forecaster
        All with the same target. They are fitted in place.
    panel : Panel
    splits : RollingOrigin
    refit : {"never", "every_fold"}, default "never"
        Train once before the first cutoff, or anew before each.
    recalibrate : {"every_fold", "never"}, default "every_fold"
        Learn the calibration anew before each cutoff.
    progress : callable, optional
        Called with the model's name, folds done and folds to do.

    Returns
    -------
    Forecasts
        One map a model, category, cutoff and horizon, with observed counts.

    Raises
    ------
    UsageError
        If an argument is of another kind, there is no forecaster, names repeat, or targets differ.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import Count365
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.splits import RollingOrigin
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=200, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> found = backtest([Count365(Target("noise", period=7))], panel, RollingOrigin(folds=2, every="7D"))
    >>> found.models, len(found.keys)
    (['count_365d'], 2)
    """
    check_in(refit, ["never", "every_fold"], "refit")
    check_in(recalibrate, ["never", "every_fold"], "recalibrate")
    check_kind(forecasters, (list, tuple), "forecasters", "One alone is a list too: [forecaster].")
    for number, forecaster in enumerate(forecasters):
        check_kind(forecaster, Forecaster, f"forecasters[{number}]", "Count365(target) makes one.")
    check_kind(panel, Panel, "panel", "Panel.build(incidents, grid, bins) makes one.")
    check_kind(splits, RollingOrigin, "splits", "RollingOrigin(folds=13, every='28D') is one.")
    target = _common_target(forecasters)
    cutoffs = splits.cutoffs(panel.bins, target)
    parts = []
    for forecaster in forecasters:
        folds = each_fold(forecaster, panel, cutoffs, refit=refit, recalibrate=recalibrate)
        for number, forecasts in enumerate(folds):
            parts.append(forecasts)
            if progress is not None:
                progress(forecaster.name, number + 1, len(cutoffs))
    return Forecasts.concat(parts).observe(panel)


def each_fold(
    forecaster: Forecaster,
    panel: Panel,
    cutoffs: Sequence[int],
    *,
    refit: Literal["never", "every_fold"] = "never",
    recalibrate: Literal["every_fold", "never"] = "every_fold",
) -> Iterator[Forecasts]:
    """Forecast cutoff by cutoff, each when it is asked for; arguments as for `backtest`."""
    for number, cutoff in enumerate(cutoffs):
        if number == 0 or refit == "every_fold":
            forecaster.fit(panel, cutoff)
        elif recalibrate == "every_fold":
            forecaster.recalibrate(panel, cutoff)
        yield forecaster.forecast(panel, cutoff)


def _common_target(forecasters: Sequence[Forecaster]) -> Target:
    names = [forecaster.name for forecaster in forecasters]
    if not names or len(set(names)) < len(names):
        msg = f"a backtest needs forecasters with different names, got {names}."
        raise UsageError(msg)
    if any(forecaster.target != forecasters[0].target for forecaster in forecasters):
        msg = "all forecasters of a backtest must share one target."
        raise UsageError(msg)
    return forecasters[0].target
