"""Surfaces over past incidents: retrospective, prospective, and a density that fades with age.

Each is a sum of weight × age weight × distance weight, so ages are settled first and one kernel sum is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.errors import LookAheadError
from tranquillite_ml.processes.kernels import (
    Kernel,
    check_positive,
    check_vector,
    gaussian,
    inverse_distance,
    kernel_sum,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def retrospective_hotspot(
    incidents: ArrayLike,
    age_days: ArrayLike,
    at: ArrayLike,
    *,
    kernel: Kernel,
    window_days: float = 60,
    weights: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Kernel sum over the incidents of a past window, all ages alike, shape (n_points,).

    Parameters
    ----------
    incidents, at : array_like, shape (n, 2)
        Metres east and north.
    age_days : array_like, shape (n_incidents,)
        Days from each incident to the cutoff.
    kernel : Kernel
        Usually `quartic` or `gaussian`.
    window_days : float, default 60
        Older incidents are left out.
    weights : array_like, shape (n_incidents,), optional

    Raises
    ------
    LookAheadError
        If an age is negative.

    Examples
    --------
    >>> from tranquillite_ml.processes.kernels import quartic
    >>> retrospective_hotspot([[0, 0], [0, 0]], [5, 90], [[325, 0]], kernel=quartic(650)).tolist()
    [0.5625]
    """
    age, weight = _ages(age_days, weights)
    check_positive(window_days, "window_days", "days")
    return kernel_sum(incidents, at, kernel, weight * (age <= window_days))


def prospective_hotspot(
    incidents: ArrayLike,
    age_days: ArrayLike,
    at: ArrayLike,
    *,
    unit_m: float = 325,
    reach: float = 8,
    unit_days: float = 7,
    reach_age: float = 8,
    weights: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Sum of 1/((1 + d)(1 + t)): what is near and recent counts most, shape (n_points,).

    Parameters
    ----------
    incidents, at : array_like, shape (n, 2)
        Metres east and north.
    age_days : array_like, shape (n_incidents,)
        Days from each incident to the cutoff.
    unit_m, reach : float
        d is stated in units of `unit_m` metres; incidents at `reach` units or more are left out.
    unit_days, reach_age : float
        t is stated in units of `unit_days` days; incidents of `reach_age` units or more are left out.
    weights : array_like, shape (n_incidents,), optional

    Raises
    ------
    LookAheadError
        If an age is negative.

    Notes
    -----
    Bowers, Johnson and Pease (2004), British Journal of Criminology 44(5), doi:10.1093/bjc/azh036, with d and
    t as they are rather than rounded down to whole units.

    Examples
    --------
    >>> prospective_hotspot([[0, 0]], [7], [[325, 0], [0, 0]]).tolist()
    [0.25, 0.5]
    """
    age, weight = _ages(age_days, weights)
    mass = weight * inverse_age(age, unit_days=unit_days, reach=reach_age)
    return kernel_sum(incidents, at, inverse_distance(unit_m, reach=reach), mass)


def space_time_density(
    incidents: ArrayLike,
    age_days: ArrayLike,
    at: ArrayLike,
    *,
    bandwidth_m: float,
    decay_days: float,
    weights: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Incidents per km² and day around each point, from a Gaussian in space that fades with age.

    Parameters
    ----------
    incidents, at : array_like, shape (n, 2)
        Metres east and north.
    age_days : array_like, shape (n_incidents,)
        Days from each incident to the cutoff.
    bandwidth_m : float
        Standard deviation of the Gaussian, which is cut off at four of them.
    decay_days : float
        e-folding time of the memory.
    weights : array_like, shape (n_incidents,), optional

    Raises
    ------
    LookAheadError
        If an age is negative.

    Notes
    -----
    Σ w · exp(−t/τ)/τ · exp(−d²/2h²)/(2πh²): with a history much longer than τ, the mean of an even Poisson
    process is its intensity, but for the 0.03 % of the Gaussian that is cut off.

    Examples
    --------
    >>> found = space_time_density([[0, 0]], [0], [[0, 0]], bandwidth_m=500, decay_days=10)
    >>> round(float(found[0]), 6)  # 1 / (10 days · 2π · 0.25 km²)
    0.063662
    """
    age, weight = _ages(age_days, weights)
    check_positive(decay_days, "decay_days", "days")
    kernel = gaussian(bandwidth_m)
    found = kernel_sum(incidents, at, kernel, weight * np.exp(-age / decay_days))
    return found * (1e6 / (decay_days * 2 * np.pi * bandwidth_m**2))


def inverse_age(age_days: ArrayLike, *, unit_days: float = 7, reach: float = 8) -> NDArray[np.float64]:
    """Weight 1/(1 + t) of each age, t in units of `unit_days`, and 0 from `reach` units on.

    Examples
    --------
    >>> inverse_age([0, 7, 56]).tolist()
    [1.0, 0.5, 0.0]
    """
    check_positive(unit_days, "unit_days", "days")
    units = np.asarray(age_days, dtype=np.float64) / unit_days
    return np.where(units < reach, 1 / (1 + units), 0.0)


def _ages(age_days: ArrayLike, weights: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    given = np.asarray(age_days, dtype=np.float64)
    age = check_vector(given, given.size, "age_days")
    if (age < 0).any():
        msg = (
            f"age_days has {int((age < 0).sum())} negative ages (least {age.min():g}): these incidents come "
            "after the cutoff. Leave them out, or use a later cutoff."
        )
        raise LookAheadError(msg)
    return age, check_vector(weights, len(age), "weights")
