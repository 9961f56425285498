"""How sure a fitted self-exciting process is of itself, and whether the incidents look as it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError
from tranquillite_ml.processes.hawkes_sums import Streams

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tranquillite_ml.processes.hawkes import Hawkes

NORMAL_95 = 1.959964


class Rescaled(NamedTuple):
    """Test of a process by rescaled time: distance to the exponential law, p-value and number of gaps."""

    statistic: float
    p_value: float
    n: int


def hawkes_estimates(model: Hawkes, times: ArrayLike, cells: ArrayLike) -> pd.DataFrame:
    """Offspring and memory with their standard errors and 95 % intervals.

    Parameters
    ----------
    model : Hawkes
    times, cells : array_like, shape (n_incidents,)
        What it was fitted to.

    Returns
    -------
    DataFrame
        ``parameter`` (theta, theta_ring_0 …, omega), ``value, standard_error, lower, upper, n``; NaN where
        the data do not say.

    Notes
    -----
    From the observed information, of which the backgrounds are taken out by their Schur complement. Intervals
    are those of the logarithm, so that they are positive: x · exp(± 1.96 s / x). A fit with priors has the
    curvature of its posterior. They hold where the fit has converged.

    Examples
    --------
    >>> from tranquillite_ml.processes import fit_hawkes, simulate_hawkes
    >>> times, cells = simulate_hawkes(np.full(50, 0.1), 0.3, 0.5, duration=1000)
    >>> fitted = fit_hawkes(times, cells, n_cells=50, duration=1000)
    >>> hawkes_estimates(fitted, times, cells).round(3).query("parameter == 'theta'").to_dict("records")
    [{'parameter': 'theta', 'value': 0.3, 'standard_error': 0.012, 'lower': 0.278, 'upper': 0.324, 'n': 7215}]
    """
    n_rings = len(model.by_ring)
    values = np.array([model.theta, *model.by_ring, model.omega])
    error = np.full(len(values), np.nan)
    if model.n and np.isfinite(values).all():
        information = _information(model, check_fit(model, times, cells))
        if np.linalg.matrix_rank(information) == n_rings + 1:
            variance = np.linalg.inv(information)
            spread = np.append(variance[:n_rings, :n_rings].sum(), np.diag(variance))
            error = np.sqrt(np.where(spread > 0, spread, np.nan))
    names = ["theta", *(f"theta_ring_{k}" for k in range(n_rings)), "omega"]
    factor = np.exp(NORMAL_95 * error / np.where(values > 0, values, np.nan))
    found = {"value": values, "standard_error": error, "lower": values / factor, "upper": values * factor}
    return pd.DataFrame({"parameter": names, **found, "n": model.n})


def rescaled_gaps(model: Hawkes, times: ArrayLike, cells: ArrayLike) -> NDArray[np.float64]:
    """Gaps between incidents in rescaled time, shape (n_incidents,): unit exponential if the process holds.

    Parameters
    ----------
    model : Hawkes
    times, cells : array_like, shape (n_incidents,)
        What it was fitted to.

    Notes
    -----
    Time is rescaled by the compensator of each cell, which makes a unit Poisson process of it (Papangelou,
    1972, Transactions of the AMS 165, doi:10.2307/1995893; Ogata, 1988, Journal of the American Statistical
    Association 83(401), doi:10.1080/01621459.1988.10478560). Cells are laid end to end: what a cell has
    left over at the end belongs to the next gap, so that short gaps are not favoured. Simultaneous
    incidents have gap 0.
    """
    streams = check_fit(model, times, cells)
    omega = model.omega if np.isfinite(model.omega) else 1.0
    echo = streams.sums(omega, moments=0)[0]
    mass = np.array([stream.mass_before() for stream in streams.by_ring])
    passed = model.mu[streams.cells] * streams.times + model.by_ring @ (mass - echo)
    left = model.duration - streams.times
    whole = model.mu * model.duration
    for share, offspring in zip(model.shares, model.by_ring, strict=True):
        come = np.bincount(streams.cells, weights=1 - np.exp(-omega * left), minlength=len(whole))
        whole = whole + offspring * (share @ come)
    start = np.cumsum(whole) - whole
    return np.diff(np.sort(start[streams.cells] + passed), prepend=0.0)


def rescaled_test(model: Hawkes, times: ArrayLike, cells: ArrayLike) -> Rescaled:
    """Kolmogorov–Smirnov test of `rescaled_gaps` against the unit exponential law.

    A small p-value says that incidents do not come as the process has it. As its parameters were fitted to
    the same incidents, a large one is a little too kind. No incidents give NaN with n = 0.

    Examples
    --------
    >>> from tranquillite_ml.processes import fit_hawkes, simulate_hawkes
    >>> times, cells = simulate_hawkes(np.full(50, 0.1), 0.3, 0.5, duration=1000)
    >>> fitted = fit_hawkes(times, cells, n_cells=50, duration=1000)
    >>> rescaled_test(fitted, times, cells).p_value > 0.01
    True
    """
    from scipy.stats import kstest

    gaps = rescaled_gaps(model, times, cells)
    if len(gaps) == 0:
        return Rescaled(np.nan, np.nan, 0)
    found = kstest(gaps, "expon")
    return Rescaled(float(found.statistic), float(found.pvalue), len(gaps))


def check_fit(model: Hawkes, times: ArrayLike, cells: ArrayLike) -> Streams:
    """Give the streams of the incidents that a process was fitted to.

    Raises
    ------
    UsageError
        If their number is another one.
    """
    streams = Streams.of(times, cells, model.shares, model.duration, model.ties)
    if len(streams.times) != model.n:
        msg = f"the process was fitted to {model.n} incidents, got {len(streams.times)}: give the same ones."
        raise UsageError(msg)
    return streams


def _information(model: Hawkes, streams: Streams) -> NDArray[np.float64]:
    """Observed information of the offspring by ring and of omega, shape (n_rings + 1, n_rings + 1)."""
    theta, omega = model.by_ring, model.omega
    echo, late, later = streams.sums(omega, moments=2)
    rate = model.mu[streams.cells] + omega * (theta @ echo)
    # Derivatives of the intensity by theta and omega, and the second ones that are not zero.
    slope = np.vstack([omega * echo, theta @ (echo - omega * late)]) / rate
    mixed = ((echo - omega * late) / rate).sum(axis=1)
    bent = float((theta @ (omega * later - 2 * late) / rate).sum())
    found: NDArray[np.float64] = slope @ slope.T
    found[:-1, -1] -= mixed
    found[-1, :-1] -= mixed
    found[-1, -1] -= bent
    if model.edge:
        left = model.duration - streams.times
        gone = streams.whole * (left * np.exp(-omega * left))
        found[:-1, -1] += gone.sum(axis=1)
        found[-1, :-1] += gone.sum(axis=1)
        found[-1, -1] -= float(theta @ (gone * left).sum(axis=1))
    weight = np.array([model.priors.theta.weight / len(theta)] * len(theta) + [model.priors.omega.weight])
    values = np.append(theta, omega)
    known = np.divide(weight, values**2, out=np.zeros(len(values)), where=values > 0)
    np.fill_diagonal(found, np.diag(found) + known)
    n_cells = len(model.mu)
    own = np.bincount(streams.cells, weights=rate**-2, minlength=n_cells).astype(np.float64)
    positive = model.mu > 0
    own[positive] += model.priors.background.weight / model.mu[positive] ** 2
    cross = np.stack(
        [np.bincount(streams.cells, weights=row / rate, minlength=n_cells) for row in slope], axis=1
    )
    seen = (own > 0) & positive
    return found - cross[seen].T @ (cross[seen] / own[seen, None])
