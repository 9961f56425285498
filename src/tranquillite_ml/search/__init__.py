"""Search: a configuration's model tuned on folds before its backtest, the winner a ready config."""

from tranquillite_ml.search.leaving import winning_config
from tranquillite_ml.search.run import tune_config

__all__ = ["tune_config", "winning_config"]
