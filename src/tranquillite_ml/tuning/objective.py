"""What a trial is scored on: a proper score fold by fold, on folds before those that will judge the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.evaluation.backtest import each_fold
from tranquillite_ml.evaluation.scores import map_totals
from tranquillite_ml.forecasters import settle_bins
from tranquillite_ml.tuning.memory import SampleMemory

if TYPE_CHECKING:
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.splits import RollingOrigin
    from tranquillite_ml.target import Target

SCORES = ("log_score", "poisson_log_likelihood")


def cutoffs_before(panel: Panel, target: Target, splits: RollingOrigin) -> list[int]:
    """Cutoffs whose outcomes had been recorded, and reported, by the end of a panel.

    Give a panel that ends at the first cutoff of the backtest that will judge the model
    (``panel.until(cutoff)``): neither the features nor the outcomes of these folds reach beyond it, so that
    what is chosen on them has not seen what later judges it.

    Parameters
    ----------
    panel : Panel
    target : Target
    splits : RollingOrigin
        Folds and their distance; they are laid backwards from the end, less the time that reports take.

    Raises
    ------
    UsageError
        If they do not fit.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.splits import RollingOrigin
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=200, radius_km=1.5, reporting_delay=False)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> cutoffs_before(panel.until(150), Target("noise", period=7), RollingOrigin(3, "14D"))  # 150 − 7 = 143
    [115, 129, 143]
    """
    late = max(settle_bins(panel, name) for name in panel.check_categories(target.categories))
    if late >= panel.n_bins:
        msg = f"reports take {late} bins to come in, and the panel has {panel.n_bins}: no fold has settled."
        raise UsageError(msg)
    return splits.cutoffs(panel.until(panel.n_bins - late).bins, target)


def backtest_scores(
    forecaster: Forecaster,
    panel: Panel,
    cutoffs: Sequence[int],
    *,
    refit: Literal["never", "every_fold"] = "never",
    recalibrate: Literal["every_fold", "never"] = "every_fold",
    score: Literal["log_score", "poisson_log_likelihood"] = "log_score",
) -> Callable[[dict[str, Any]], Iterator[float]]:
    """Give the function that scores parameters of a forecaster, fold by fold; larger is better.

    Parameters
    ----------
    forecaster : Forecaster
        It stays as it is: each trial has its own, with its parameters laid over this one's. Rows drawn for
        one trial are kept for those that would draw the same.
    panel : Panel
        All that the trials may know, outcomes included.
    cutoffs : sequence of int
        See `cutoffs_before`.
    refit, recalibrate
        As for `backtest`.
    score : {"log_score", "poisson_log_likelihood"}, default "log_score"
        Mean over the fold's maps of the log-likelihood of all cells, under the forecast's own law or under a
        Poisson law of its mean (without log y!), in nats. Incidents outside the cells count at the floor.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import DecayedCount
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=200, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> scores = backtest_scores(DecayedCount(Target("noise", period=7)), panel, [150, 178])
    >>> len(list(scores({"half_life_days": 90})))
    2
    """
    check_in(score, SCORES, "score")
    given = forecaster.get_params(deep=False)
    memory = SampleMemory()

    def scores(params: dict[str, Any]) -> Iterator[float]:
        tried = type(forecaster)(**(given | params))
        if hasattr(tried, "recall"):
            tried.recall = memory.recall
        for forecasts in each_fold(tried, panel, cutoffs, refit=refit, recalibrate=recalibrate):
            yield _fold_score(forecasts.observe(panel), score)

    return scores


def _fold_score(forecasts: Forecasts, score: str) -> float:
    """Mean over the maps that have their outcome; NaN without any."""
    totals, observed = map_totals(forecasts)
    return float(totals[score][observed].mean()) if observed.any() else float("nan")
