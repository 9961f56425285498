"""Any scikit-learn regressor of counts, behind the same contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tranquillite_ml.errors import NotSaveableError
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters.learned import LearnedForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.bundle import Parts
    from tranquillite_ml.calibration.calibrator import Intervals, Law
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.target import Target


class TabularForecaster(LearnedForecaster):
    """A scikit-learn regressor that learns the ratio of the count to the smoothed count.

    Parameters
    ----------
    target : Target
    regressor : estimator
        Fitted on the ratio with the smoothed count as weight, so that a Poisson loss is that of the count. It
        must take ``sample_weight`` and return ratios ≥ 0.
    features : FeatureSet, optional
        History, neighbourhood, near repeat and calendar when not given.
    zeros, max_rows, random_state, calibration_days, strata, level, law, intervals
        As for `LightGBMForecaster`.

    Notes
    -----
    Features reach the regressor as signed logarithms, missing ones as 0. It could only be written with
    pickle, so it is backtested, not saved; `PoissonForecaster` is a regression that can be saved.

    Examples
    --------
    >>> from sklearn.ensemble import HistGradientBoostingRegressor
    >>> from tranquillite_ml.target import Target
    >>> trees = HistGradientBoostingRegressor(loss="poisson")
    >>> TabularForecaster(Target("noise"), trees).name
    'hist_gradient_boosting'
    """

    def __init__(
        self,
        target: Target,
        regressor: Any,
        features: FeatureSet | None = None,
        *,
        zeros: float = 0.1,
        max_rows: int = 300_000,
        random_state: int = 0,
        calibration_days: float = 60,
        strata: int = 5,
        level: float = 0.9,
        law: Law = "negative_binomial",
        intervals: Intervals = "law",
    ) -> None:
        super().__init__(
            target,
            features,
            zeros=zeros,
            max_rows=max_rows,
            random_state=random_state,
            calibration_days=calibration_days,
            strata=strata,
            level=level,
            law=law,
            intervals=intervals,
        )
        self.regressor = regressor

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name after the regressor."""
        kind = type(self.regressor).__name__
        words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind)
        return words.strip("_").removesuffix("_regressor")

    def _train(self, panel: Panel, category: str) -> Any:
        begin, _, end = self._windows(panel, category, 0)
        sample = self._sample(panel, category, begin, end, 0)
        start = np.exp(sample.offset.astype(np.float64))
        # A Poisson loss on y with mean start · f equals start times the loss on the ratio y / start.
        step = type(self.regressor).__name__.lower()
        model = make_pipeline(StandardScaler(), clone(self.regressor))
        weights = {f"{step}__sample_weight": sample.weight * start}
        return model.fit(_matrix(sample.columns), sample.outcome / start, **weights)

    def _log_factor(self, model: Any, columns: dict[str, NDArray[np.float32]]) -> NDArray[Any]:
        return np.log(np.maximum(model.predict(_matrix(columns)), 1e-9))

    def _parts(self) -> Parts:
        msg = (
            f"{type(self.regressor).__name__} could only be written with pickle, which is never used: "
            "backtest it, or save a LightGBMForecaster, a PoissonForecaster or plain counts."
        )
        raise NotSaveableError(msg)


def _matrix(columns: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """Signed logarithms of the features, shape (n, n_columns); missing values are 0."""
    stacked = np.stack(list(columns.values()), axis=1).astype(np.float64)
    return np.nan_to_num(np.sign(stacked) * np.log1p(np.abs(stacked)))
