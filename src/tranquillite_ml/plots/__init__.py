"""Plots: each takes a table and an `ax` and returns the `ax`. Matplotlib is imported when one is called."""

from tranquillite_ml.plots.checks import interval_coverage, pit
from tranquillite_ml.plots.curves import folds, hotspot_curve, reliability
from tranquillite_ml.plots.delays import reporting_delay
from tranquillite_ml.plots.dots import compare, scores
from tranquillite_ml.plots.explain import effect_curve, factor_ranges, factors
from tranquillite_ml.plots.maps import map
from tranquillite_ml.plots.sensitivity import resolution_sensitivity
from tranquillite_ml.plots.simulation import amplification, displacement, inflation
from tranquillite_ml.plots.tuning import tuning_history, tuning_importance

__all__ = [
    "amplification",
    "compare",
    "displacement",
    "effect_curve",
    "factor_ranges",
    "factors",
    "folds",
    "hotspot_curve",
    "inflation",
    "interval_coverage",
    "map",
    "pit",
    "reliability",
    "reporting_delay",
    "resolution_sensitivity",
    "scores",
    "tuning_history",
    "tuning_importance",
]
