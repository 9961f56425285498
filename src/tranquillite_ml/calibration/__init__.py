"""Calibration: rates, probabilities and count intervals, learnt on a dated window of their own."""

from tranquillite_ml.calibration.calibrator import Calibrator, fit_calibrator, no_calibration
from tranquillite_ml.calibration.counts import count_interval, fit_dispersion, prob_zero
from tranquillite_ml.calibration.probabilities import fit_probability, recalibrate_probability
from tranquillite_ml.calibration.rates import RateCurve, fit_rate_curve

__all__ = [
    "Calibrator",
    "RateCurve",
    "count_interval",
    "fit_calibrator",
    "fit_dispersion",
    "fit_probability",
    "fit_rate_curve",
    "no_calibration",
    "prob_zero",
    "recalibrate_probability",
]
