"""Weights of a geometric pool: those that make what was recorded most likely, drawn together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PARTS = 10
MIN_PARTS = 5


def pool_weights(
    outcome: NDArray[Any], logs: Floats, weight: Floats, *, trust: float = 5.0
) -> tuple[Floats, Floats, float]:
    """Weights ≥ 0 with sum 1 of members' log rates, their standard errors, and the log of the normaliser.

    Parameters
    ----------
    outcome : ndarray, shape (n_rows, n_cells)
        Recorded counts.
    logs : ndarray, shape (n_members, n_rows, n_cells)
        Log rates of the members.
    weight : ndarray, shape (n_rows,)
        Weight of each row; overlapping periods weigh less than one each.
    trust : float, default 5
        Incidents' worth of trust in equal weights.

    Notes
    -----
    Maximises the Poisson log-likelihood of exp(normaliser + Σ w · log rate) over the normaliser and all w ≥ 0
    with sum 1, less trust / 2 · n · Σ (w − 1/n)² for n members: a concave problem with one solution. Errors
    are the jackknife's over ten consecutive parts of the rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.gamma(1.0, 0.5, size=(50, 100))
    >>> noise = rng.gamma(1.0, 0.5, size=(50, 100))
    >>> logs = np.log(np.stack([truth, noise]))
    >>> weights, errors, normaliser = pool_weights(rng.poisson(truth), logs, np.ones(50))
    >>> weights.round(1).tolist()
    [1.0, 0.0]
    """
    count = np.asarray(outcome, dtype=np.float64)
    start = np.full(len(logs), 1 / len(logs))
    best = _solve(count, logs, weight, trust, start)
    part = np.arange(len(count)) * PARTS // max(len(count), PARTS)
    left_out = [
        _solve(count[part != k], logs[:, part != k], weight[part != k], trust, best)
        for k in range(PARTS)
        if 0 < (part == k).sum() < len(count)
    ]
    found = np.array(left_out)
    errors = np.full(len(logs), np.nan)
    if len(found) >= MIN_PARTS:
        errors = np.sqrt((len(found) - 1) * found.var(axis=0))
    return best, errors, _normaliser(count, np.tensordot(best, logs, 1), weight)


def _normaliser(count: Floats, pooled: Floats, weight: Floats) -> float:
    """Log of recorded over pooled, half an incident added to what was recorded."""
    seen = float((weight[:, None] * count).sum()) + 0.5
    return float(np.log(seen) - np.log((weight[:, None] * np.exp(pooled)).sum()))


def _solve(count: Floats, logs: Floats, weight: Floats, trust: float, start: Floats) -> Floats:
    """Weights on the simplex by sequential quadratic programming (Kraft 1988).

    With the normaliser at its best, the Poisson likelihood is that of a multinomial over rows and cells.
    """
    from scipy.optimize import minimize

    equal = np.full(len(logs), 1 / len(logs))
    seen = weight[:, None] * count
    total, direct = float(seen.sum()), np.tensordot(logs, seen, 2)
    scale, pull = max(total, 1.0), trust * len(logs)

    def loss(at: Floats) -> tuple[float, Floats]:
        pooled = np.tensordot(at, logs, 1)
        top = float(pooled.max())
        share = weight[:, None] * np.exp(pooled - top)
        mass = float(share.sum())
        value = direct @ at - total * (top + np.log(mass)) - 0.5 * pull * ((at - equal) ** 2).sum()
        slope = direct - total * np.tensordot(logs, share, 2) / mass - pull * (at - equal)
        return -float(value) / scale, -slope / scale

    whole = {"type": "eq", "fun": lambda at: at.sum() - 1, "jac": np.ones_like}
    found = minimize(
        loss,
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(logs),
        constraints=whole,
        options={"ftol": 1e-12, "maxiter": 500},
    )
    kept = np.where(found.x > 1e-9, found.x, 0.0)
    return np.asarray(kept / kept.sum())
