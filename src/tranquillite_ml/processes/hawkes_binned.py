"""Self-exciting process in time bins: geometric echoes, their expected offspring in a period to come.

An incident of bin s adds θ_k (1 − r) r^(t − s − 1) / n_k to the expected count of bin t > s in each of the
n_k cells k steps away: the exponential kernel, binned, with r = exp(−1 / memory in bins). Incidents of one
bin do not trigger each other, so times of day, real or placeholders, do not matter where bins are days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tranquillite_ml.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Mixture(NamedTuple):
    """Weights of the parts of an intensity, and how well they explain the counts.

    Attributes
    ----------
    weights : ndarray of float64, shape (n_parts,)
    log_likelihood : float
        Poisson, without what does not depend on the weights; larger is better.
    trace : tuple of float
        Log-likelihood plus log-prior of each step: it never falls.
    n : int
        Incidents.
    """

    weights: NDArray[np.float64]
    log_likelihood: float
    trace: tuple[float, ...]
    n: int


def fit_mixture(
    parts: ArrayLike,
    totals: ArrayLike,
    counts: ArrayLike,
    *,
    prior: ArrayLike,
    trust: ArrayLike,
    steps: int = 200,
    tolerance: float = 1e-6,
) -> Mixture:
    """Non-negative weights w of an expected count Σ w_m x_m, by expectation and maximisation.

    Only the places and bins where something was recorded are needed one by one; of the others, the sum.

    Parameters
    ----------
    parts : array_like, shape (n_parts, n_places)
        x_m where something was recorded.
    totals : array_like, shape (n_parts,)
        Sum of x_m over all places and bins.
    counts : array_like of int, shape (n_places,)
        What was recorded.
    prior, trust : array_like, shape (n_parts,)
        Weights thought of beforehand, and how many incidents that is worth; positive.
    steps : int, default 200
    tolerance : float, default 1e-6
        Stop when a step gains less than this in log-likelihood.

    Raises
    ------
    UsageError
        If shapes differ, or a prior is not positive.

    Notes
    -----
    The mixture's step, each part being credited with its share of every incident (Dempster, Laird and Rubin,
    1977, Journal of the Royal Statistical Society B 39(1)), with a gamma prior whose mode is `prior`.

    Examples
    --------
    >>> found = fit_mixture([[1, 1], [0, 2]], [100, 40], [30, 50], prior=[1, 1], trust=[1e-9, 1e-9])
    >>> found.weights.round(2).tolist(), found.n
    ([0.38, 1.06], 80)
    """
    x, total, n = (np.asarray(values, dtype=np.float64) for values in (parts, totals, counts))
    mode, worth = (np.asarray(values, dtype=np.float64) for values in (prior, trust))
    if x.shape != (len(total), len(n)) or mode.shape != total.shape or worth.shape != total.shape:
        msg = f"parts must have shape {(len(total), len(n))} and priors one entry a part, got {x.shape}."
        raise UsageError(msg)
    if not ((mode > 0) & (worth > 0)).all():
        msg = f"prior and trust must be positive, got {mode.tolist()} and {worth.tolist()}."
        raise UsageError(msg)
    weights = mode.copy()
    trace: list[float] = []
    likelihood = np.nan
    for _ in range(max(steps, 1)):
        rate = np.maximum(weights @ x, 1e-300)
        likelihood = float(n @ np.log(rate) - weights @ total)
        trace.append(likelihood + float((worth * (np.log(weights / mode) - weights / mode)).sum()))
        if len(trace) > 1 and trace[-1] - trace[-2] < tolerance:
            break
        credit = weights * (x @ (n / rate))
        weights = (credit + worth) / (total + worth / mode)
    return Mixture(weights, likelihood, tuple(trace), int(n.sum()))


def fading(decayed: NDArray[Any], ratio: float) -> NDArray[Any]:
    """Turn Σ ratio^age into the share of each past incident's echo that falls in the next bin.

    An incident's shares sum to 1 over all bins to come; age is 1 for the bin just over.

    Examples
    --------
    >>> fading(np.array([0.5]), 0.5).tolist()
    [0.5]
    """
    scaled: NDArray[Any] = decayed * ((1 - ratio) / ratio)
    return scaled


def share_in_period(ratio: float, first: ArrayLike, period: int) -> NDArray[np.float64]:
    """Of an echo whose next bin has the share 1 − ratio of it, what falls in a period.

    As a multiple of `fading`: Σ ratio^i over the period's bins.

    Parameters
    ----------
    ratio : float
    first : array_like of int
        Bins between now and the period.
    period : int
        Bins of the period.

    Examples
    --------
    >>> share_in_period(0.5, [0, 1], 2).tolist()
    [1.5, 0.75]
    """
    found: NDArray[np.float64] = ratio ** np.asarray(first, dtype=np.float64)
    return found * ((1 - ratio**period) / (1 - ratio))


def expected_counts(
    background: NDArray[Any],
    faded: NDArray[Any],
    spread: Any,
    *,
    ratio: float,
    first: NDArray[np.int64],
    period: int,
) -> NDArray[np.float64]:
    """Expected count of each row's period, with offspring of all generations, shape (n_rows, n_cells).

    Parameters
    ----------
    background : ndarray, shape (n_rows, n_cells)
        Expected count a bin without any echo.
    faded : ndarray, shape (n_rows, n_cells)
        From `fading`.
    spread : sparse matrix, shape (n_cells, n_cells)
        Offspring expected in the row's cell of an incident in the column's.
    ratio : float
        Share of an echo that is left after a bin.
    first : ndarray of int, shape (n_rows,)
        Bins between each row and its period.
    period : int
        Bins of the period.

    Notes
    -----
    With u the faded incidents: λ = background + spread · u, and on average u ← ratio · u + (1 − ratio) · λ
    from one bin to the next, which is exact, as the mean of a self-exciting process is linear in its past.

    Examples
    --------
    >>> from scipy.sparse import identity
    >>> one, half = np.ones((1, 1)), 0.5 * identity(1)
    >>> counts = expected_counts(one, one, half, ratio=0.5, first=np.array([0]), period=2)
    >>> counts.tolist()  # 1.5, then 1 + 0.5 · (0.5 · 1 + 0.5 · 1.5)
    [[3.125]]
    """
    base = np.asarray(background, dtype=np.float64).T
    state = np.asarray(faded, dtype=np.float64).T
    total = np.zeros_like(base)
    for step in range(int(first.max(initial=0)) + period):
        rate = base + spread @ state
        within = (first <= step) & (step < first + period)
        total += rate * within
        state = ratio * state + (1 - ratio) * rate
    return np.ascontiguousarray(total.T)
