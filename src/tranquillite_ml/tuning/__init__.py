"""Tuning: a resumable study of parameters over folds that lie before those that will judge the model."""

from tranquillite_ml.tuning.objective import backtest_scores, cutoffs_before
from tranquillite_ml.tuning.space import usual_space
from tranquillite_ml.tuning.storage import open_storage
from tranquillite_ml.tuning.study import Tuned, tune

__all__ = ["Tuned", "backtest_scores", "cutoffs_before", "open_storage", "tune", "usual_space"]
