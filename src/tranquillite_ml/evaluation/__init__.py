"""Evaluation: proper scores, hotspots, calibration and comparison, each with its n and its interval."""

from tranquillite_ml.calibration.counts import count_cdf
from tranquillite_ml.evaluation.across import compare_hit_rates
from tranquillite_ml.evaluation.backtest import backtest
from tranquillite_ml.evaluation.canaries import CanaryResult, leakage_canary
from tranquillite_ml.evaluation.compare import Verdict, compare, verdict
from tranquillite_ml.evaluation.distributions import (
    crps_hurdle,
    crps_negative_binomial,
    crps_poisson,
    hurdle_log_likelihood,
    negative_binomial_log_likelihood,
    poisson_log_likelihood,
)
from tranquillite_ml.evaluation.glass_box import GLASS_BOXES, GlassBoxCheck, glass_box_check
from tranquillite_ml.evaluation.hotspots import hotspot_curve, select_hotspot
from tranquillite_ml.evaluation.pit import pit_table, randomised_pit
from tranquillite_ml.evaluation.reliability import interval_coverage_table, reliability_curve
from tranquillite_ml.evaluation.scores import brier_score, poisson_deviance, score
from tranquillite_ml.evaluation.sensitivity import resolution_sensitivity
from tranquillite_ml.evaluation.significance import detectable_difference, diebold_mariano, holm, step_down
from tranquillite_ml.evaluation.slope import calibration_slope

__all__ = [
    "GLASS_BOXES",
    "CanaryResult",
    "GlassBoxCheck",
    "Verdict",
    "backtest",
    "brier_score",
    "calibration_slope",
    "compare",
    "compare_hit_rates",
    "count_cdf",
    "crps_hurdle",
    "crps_negative_binomial",
    "crps_poisson",
    "detectable_difference",
    "diebold_mariano",
    "glass_box_check",
    "holm",
    "hotspot_curve",
    "hurdle_log_likelihood",
    "interval_coverage_table",
    "leakage_canary",
    "negative_binomial_log_likelihood",
    "pit_table",
    "poisson_deviance",
    "poisson_log_likelihood",
    "randomised_pit",
    "reliability_curve",
    "resolution_sensitivity",
    "score",
    "select_hotspot",
    "step_down",
    "verdict",
]
