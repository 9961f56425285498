"""Calibration: rates, probabilities and count intervals, learnt on a dated window of their own."""

from tranquillite_ml.calibration.calibrator import LAWS, Calibrator, fit_calibrator, no_calibration
from tranquillite_ml.calibration.conformal import Tails, fit_tails
from tranquillite_ml.calibration.counts import (
    above_zero,
    count_cdf,
    count_interval,
    prob_zero,
    randomised_interval,
)
from tranquillite_ml.calibration.dispersion import fit_dispersion, fit_truncated_dispersion
from tranquillite_ml.calibration.probabilities import fit_probability, recalibrate_probability
from tranquillite_ml.calibration.rates import RateCurve, fit_rate_curve

__all__ = [
    "LAWS",
    "Calibrator",
    "RateCurve",
    "Tails",
    "above_zero",
    "count_cdf",
    "count_interval",
    "fit_calibrator",
    "fit_dispersion",
    "fit_probability",
    "fit_rate_curve",
    "fit_tails",
    "fit_truncated_dispersion",
    "no_calibration",
    "prob_zero",
    "randomised_interval",
    "recalibrate_probability",
]
