"""A smoothed rate: each cell's own past, drawn towards its neighbours and the city where it knows little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.features.base import View

RING_WEIGHTS = (1.0, 0.5, 0.25)


def smoothed_rate(view: View, *, days: float = 365.0, own: float = 1.0, city: float = 0.1) -> NDArray[Any]:
    """Empirical-Bayes mean count per bin, shape (n_rows, n_cells).

    A cell's decayed count is combined with the mean of the rings around it, as if the neighbours had been
    watched for as long as it takes to expect `own` incidents, and that mean with the city's in the same way.
    Cells with many records keep their own rate; quiet cells borrow.

    Parameters
    ----------
    view : View
    days : float, default 365
        e-folding time of the memory.
    own : float, default 1
        Incidents' worth of trust in the neighbours.
    city : float, default 0.1
        Incidents' worth of trust in the city's mean.

    Notes
    -----
    The gamma–Poisson posterior mean (n + a) / (E + a / m), with prior mean m and prior weight a; the prior
    mean is local, in the way of Marshall (1991), Applied Statistics 40(2), doi:10.2307/2347593.
    """
    mean = view.decay(days)
    weight = view.decay_weight(days).astype(np.float32)
    level = np.maximum(mean.mean(axis=1, keepdims=True), 1e-9)
    spread = view.known("target").spread
    total: NDArray[Any] = np.zeros(1, np.float32)
    size: NDArray[Any] = np.zeros(1, np.float32)
    for ring, share in enumerate(RING_WEIGHTS):
        total = total + np.float32(share) * spread(mean, ring)
        size = size + np.float32(share) * np.asarray(view.panel.grid.ring(ring).sum(axis=1)).ravel()
    around = posterior_mean(total / size, weight * size, level, city)
    return posterior_mean(mean, weight, around, own)


def posterior_mean(
    mean: NDArray[Any], exposure: NDArray[Any], prior: NDArray[Any], trust: float
) -> NDArray[Any]:
    """Gamma–Poisson posterior mean of a rate; `trust` is the prior's weight in incidents.

    Examples
    --------
    >>> posterior_mean(np.array([0.0, 1.0]), np.array([10.0, 10.0]), np.array([0.1, 0.1]), 1.0)
    array([0.05, 0.55])
    """
    result: NDArray[Any] = (mean * exposure + trust) / (exposure + trust / prior)
    return result
