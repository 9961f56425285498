"""Evaluation: proper scores, hotspots, calibration and comparison, each with its n and its interval."""

from tranquillite_ml.evaluation.backtest import backtest
from tranquillite_ml.evaluation.canaries import CanaryResult, leakage_canary
from tranquillite_ml.evaluation.compare import Verdict, compare, verdict
from tranquillite_ml.evaluation.distributions import (
    count_cdf,
    crps_negative_binomial,
    crps_poisson,
    negative_binomial_log_likelihood,
    poisson_log_likelihood,
)
from tranquillite_ml.evaluation.hotspots import hotspot_curve, select_hotspot
from tranquillite_ml.evaluation.pit import pit_table, randomised_pit
from tranquillite_ml.evaluation.reliability import interval_coverage_table, reliability_curve
from tranquillite_ml.evaluation.scores import brier_score, poisson_deviance, score

__all__ = [
    "CanaryResult",
    "Verdict",
    "backtest",
    "brier_score",
    "compare",
    "count_cdf",
    "crps_negative_binomial",
    "crps_poisson",
    "hotspot_curve",
    "interval_coverage_table",
    "leakage_canary",
    "negative_binomial_log_likelihood",
    "pit_table",
    "poisson_deviance",
    "poisson_log_likelihood",
    "randomised_pit",
    "reliability_curve",
    "score",
    "select_hotspot",
    "verdict",
]
