"""Any scikit-learn regressor of counts, behind the same contract."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tranquillite_ml.bundle import Parts
from tranquillite_ml.errors import NotSaveableError
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters.learned import LearnedForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.panel import Panel
    from tranquillite_ml.target import Target


class TabularForecaster(LearnedForecaster):
    """A scikit-learn regressor that learns the ratio of the count to the smoothed count.

    Parameters
    ----------
    target : Target
    regressor : estimator, optional
        Fitted on the ratio with the smoothed count as weight, so that a Poisson loss is that of the count. It
        must take ``sample_weight`` and return ratios ≥ 0. A Poisson regression when not given.
    features : FeatureSet, optional
        History, neighbourhood, near repeat and calendar when not given.
    zeros, max_rows, random_state, calibration_days, strata, level
        As for `LightGBMForecaster`.

    Notes
    -----
    Features reach the regressor as signed logarithms, missing ones as 0. Poisson regression can be saved;
    others could only be written with pickle, so they are backtested, not saved.

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
        regressor: Any = None,
        features: FeatureSet | None = None,
        *,
        zeros: float = 0.1,
        max_rows: int = 300_000,
        random_state: int = 0,
        calibration_days: float = 60,
        strata: int = 5,
        level: float = 0.9,
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
        )
        self.regressor = regressor

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name after the regressor."""
        kind = "PoissonRegressor" if self.regressor is None else type(self.regressor).__name__
        words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind)
        return words.strip("_").removesuffix("_regressor")

    def _train(self, panel: Panel, category: str) -> Any:
        begin, _, end = self._windows(panel, category, 0)
        sample = self._sample(panel, category, begin, end, 0)
        start = np.exp(sample.offset.astype(np.float64))
        regressor = PoissonRegressor(alpha=1e-3, max_iter=300) if self.regressor is None else self.regressor
        # A Poisson loss on y with mean start · f equals start times the loss on the ratio y / start.
        step = type(regressor).__name__.lower()
        model = make_pipeline(StandardScaler(), clone(regressor))
        weights = {f"{step}__sample_weight": sample.weight * start}
        return model.fit(_matrix(sample.columns), sample.outcome / start, **weights)

    def _log_factor(self, model: Any, columns: dict[str, NDArray[np.float32]]) -> NDArray[Any]:
        if isinstance(model, dict):
            scaled = (_matrix(columns) - model["mean"]) / model["scale"]
            return np.asarray(scaled @ model["coef"] + model["intercept"])
        return np.log(np.maximum(model.predict(_matrix(columns)), 1e-9))

    def _parts(self) -> Parts:
        if self.regressor is not None and not isinstance(self.regressor, PoissonRegressor):
            msg = (
                f"{type(self.regressor).__name__} could only be written with pickle, which is never used: "
                "backtest it, or save a LightGBMForecaster, a Poisson regression or plain counts."
            )
            raise NotSaveableError(msg)
        parts = super()._parts()
        params = parts.description["params"]
        params["features"] = None if self.features is None else self.features.to_list()
        params["regressor"] = None if self.regressor is None else self.regressor.get_params()
        texts = {name: json.dumps(_linear(model)) for name, model in self.models_.items()}
        return Parts(parts.description, {}, texts)

    def _restore(self, parts: Parts) -> Self:
        super()._restore(parts)
        self.models_ = {
            name: {key: np.array(value) for key, value in json.loads(text).items()}
            for name, text in parts.texts.items()
        }
        return self


def _linear(model: Any) -> dict[str, Any]:
    """Coefficients of a standardised linear model as plain numbers."""
    if isinstance(model, dict):
        return {key: value.tolist() for key, value in model.items()}
    scaler, linear = model[0], model[-1]
    return {
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "coef": linear.coef_.tolist(),
        "intercept": float(linear.intercept_),
    }


def _matrix(columns: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """Signed logarithms of the features, shape (n, n_columns); missing values are 0."""
    stacked = np.stack(list(columns.values()), axis=1).astype(np.float64)
    return np.nan_to_num(np.sign(stacked) * np.log1p(np.abs(stacked)))
