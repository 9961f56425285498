"""Processes: kernel sums and self-exciting sums as pure functions of arrays."""

from tranquillite_ml.processes.hawkes import Hawkes, HawkesPriors, Prior, fit_hawkes
from tranquillite_ml.processes.hawkes_checks import hawkes_estimates, rescaled_gaps, rescaled_test
from tranquillite_ml.processes.hawkes_simulation import simulate_hawkes
from tranquillite_ml.processes.kernels import (
    Kernel,
    gaussian,
    inverse_distance,
    kernel_matrix,
    kernel_sum,
    quartic,
)
from tranquillite_ml.processes.surfaces import (
    inverse_age,
    prospective_hotspot,
    retrospective_hotspot,
    space_time_density,
)

__all__ = [
    "Hawkes",
    "HawkesPriors",
    "Kernel",
    "Prior",
    "fit_hawkes",
    "gaussian",
    "hawkes_estimates",
    "inverse_age",
    "inverse_distance",
    "kernel_matrix",
    "kernel_sum",
    "prospective_hotspot",
    "quartic",
    "rescaled_gaps",
    "rescaled_test",
    "retrospective_hotspot",
    "simulate_hawkes",
    "space_time_density",
]
