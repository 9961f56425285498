"""LightGBM on counts: a Poisson factor on a count whose memory is learnt, deterministic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tranquillite_ml.bundle import Parts
from tranquillite_ml.errors import BundleError
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters.learned import LearnedForecaster, Start

if TYPE_CHECKING:
    import lightgbm as lgb
    import pyarrow as pa
    from numpy.typing import NDArray

    from tranquillite_ml.calibration.calibrator import Intervals, Law
    from tranquillite_ml.forecasters.sampling import Sample
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.target import Target


REFIT_BELOW = 12


class LightGBMForecaster(LearnedForecaster):
    """Gradient-boosted trees for expected counts (Poisson), learnt on pseudo-cutoffs of the past.

    Parameters
    ----------
    target : Target
    features : FeatureSet, optional
        History, neighbourhood, near repeat and calendar when not given.
    n_estimators : int, default 600
        Trees at most; fewer where the later window stops gaining.
    learning_rate : float, default 0.04
    num_leaves : int, default 31
    min_child_weight : float, default 20
        Least sum of expected incidents in a leaf.
    feature_fraction : float, default 0.5
    stopping_days : float, default 60
        Length of the later window on which training stops early. A history shorter than twelve such windows
        is then trained on whole, with the number of trees found.
    start : {"smoothed", "learned"}, default "learned"
        The count that the trees multiply: its memory learnt as in `LearnedCount`, or smoothed.
    zeros, max_rows, random_state, calibration_days, strata, level, law, intervals
        As for `LearnedForecaster` and `Forecaster`.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> LightGBMForecaster(Target("burglary", period=7), num_leaves=15).get_params()["num_leaves"]
    15
    """

    name = "lightgbm"

    def __init__(
        self,
        target: Target,
        features: FeatureSet | None = None,
        *,
        n_estimators: int = 600,
        learning_rate: float = 0.04,
        num_leaves: int = 31,
        min_child_weight: float = 20,
        feature_fraction: float = 0.5,
        stopping_days: float = 60,
        zeros: float = 0.1,
        max_rows: int = 600_000,
        random_state: int = 0,
        start: Start = "learned",
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
            start=start,
            calibration_days=calibration_days,
            strata=strata,
            level=level,
            law=law,
            intervals=intervals,
        )
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_child_weight = min_child_weight
        self.feature_fraction = feature_fraction
        self.stopping_days = stopping_days

    def _params(self, names: list[str]) -> dict[str, Any]:
        """LightGBM's parameters for features of these names; a subclass may add what depends on them."""
        del names
        return {
            "objective": "poisson",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_sum_hessian_in_leaf": self.min_child_weight,
            "min_data_in_leaf": 50,
            "feature_fraction": self.feature_fraction,
            "lambda_l2": 5.0,
            "boost_from_average": False,
            "seed": self.random_state,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": 0,
            "verbosity": -1,
        }

    def _train(self, panel: Panel, category: str) -> lgb.Booster:
        import lightgbm as lgb

        params = self._params(self._features().names(self.target, panel.bins))
        begin, stop, end = self._windows(panel, category, self.stopping_days)
        train = _dataset(self._sample(panel, category, begin, stop, 0), params)
        later = _dataset(self._sample(panel, category, stop, end, 1), params, train)
        quiet = lgb.early_stopping(40, verbose=False)
        booster = lgb.train(params, train, self.n_estimators, valid_sets=[later], callbacks=[quiet])
        trees = booster.best_iteration
        if stop - begin < REFIT_BELOW * (end - stop):
            # A short history cannot spare its last weeks: train again on all of it, with the trees found.
            whole = _dataset(self._sample(panel, category, begin, end, 2), params)
            booster = lgb.train(params, whole, trees)
        # Only the trees that helped are kept, as they will be read back from text.
        return lgb.Booster(model_str=booster.model_to_string(num_iteration=trees))

    def _log_factor(self, model: lgb.Booster, columns: dict[str, NDArray[np.float32]]) -> NDArray[Any]:
        table = _arrow(columns).select(model.feature_name())
        return np.asarray(model.predict(table, raw_score=True))

    def _parts(self) -> Parts:
        parts = super()._parts()
        params = parts.description["params"]
        params["features"] = None if self.features is None else self.features.to_list()
        return Parts(parts.description, {}, {n: b.model_to_string() for n, b in self.models_.items()})

    def _restore(self, parts: Parts) -> Self:
        import lightgbm as lgb

        super()._restore(parts)
        if set(parts.texts) != set(self.models_):
            msg = f"the bundle holds models of {sorted(parts.texts)}, not of {sorted(self.models_)}."
            raise BundleError(msg)
        try:
            self.models_ = {name: lgb.Booster(model_str=text) for name, text in parts.texts.items()}
        except lgb.basic.LightGBMError as error:
            msg = f"the bundle's trees cannot be read: {error}."
            raise BundleError(msg) from error
        return self


def _arrow(columns: dict[str, NDArray[np.float32]]) -> pa.Table:
    import pyarrow as pa

    return pa.table({name: pa.array(np.ascontiguousarray(values)) for name, values in columns.items()})


def _dataset(sample: Sample, params: dict[str, Any], reference: Any = None) -> lgb.Dataset:
    import lightgbm as lgb

    return lgb.Dataset(
        _arrow(sample.columns),
        sample.outcome,
        weight=sample.weight,
        init_score=sample.offset.astype(np.float64),
        params=params,
        reference=reference,
        free_raw_data=True,
    )
