"""Plots: each takes a table and an `ax` and returns the `ax`. Matplotlib is imported when one is called."""

from tranquillite_ml.plots.checks import interval_coverage, pit
from tranquillite_ml.plots.curves import folds, hotspot_curve, reliability
from tranquillite_ml.plots.dots import compare, scores
from tranquillite_ml.plots.maps import map

__all__ = [
    "compare",
    "folds",
    "hotspot_curve",
    "interval_coverage",
    "map",
    "pit",
    "reliability",
    "scores",
]
