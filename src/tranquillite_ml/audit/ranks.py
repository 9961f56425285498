"""Spearman's rank correlation of cells, resampled by neighbourhood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.evaluation.bootstrap import percentile_interval, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE = 1_000_000


def rank_correlations(
    values: NDArray[np.float64],
    others: NDArray[np.float64],
    parent: NDArray[np.int64],
    *,
    n_draws: int,
    seed: int,
) -> list[tuple[float, float, float]]:
    """Spearman's correlation with each of several columns, with an interval from resampled parent cells.

    Parameters
    ----------
    values : ndarray of float64, shape (n_cells,)
    others : ndarray of float64, shape (n_cells, n_columns)
    parent : ndarray of int64, shape (n_cells,)
        Cells of a parent are drawn together.
    n_draws, seed : int

    Returns
    -------
    list of tuple of float
        Value, lower and upper end for each column; NaN where one of the two does not vary.

    Examples
    --------
    >>> one = np.arange(12.0)
    >>> found = rank_correlations(one, np.stack([one**2, -one], axis=1), np.repeat(np.arange(6), 2),
    ...     n_draws=100, seed=0)
    >>> [round(value, 6) for value, _, _ in found]
    [1.0, -1.0]
    """
    found, code = np.unique(parent, return_inverse=True)
    columns = [values, *others.T]
    ties = [np.unique(column, return_inverse=True) for column in columns]
    exact = _correlated(np.ones((1, len(values))), ties)[0]
    rng = np.random.default_rng([seed, 1])
    step = max(1, _AT_ONCE // max(len(values), 1))
    parts = []
    for begin in range(0, n_draws, step):
        drawn = rng.multinomial(
            len(found), np.full(len(found), 1 / len(found)), size=min(step, n_draws - begin)
        )
        parts.append(_correlated(drawn[:, code].astype(np.float64), ties))
    draws = np.vstack(parts)
    return [
        (float(exact[number]), *percentile_interval(draws[:, number], len(found)))
        for number in range(others.shape[1])
    ]


def _correlated(
    weights: NDArray[np.float64], ties: list[tuple[NDArray[np.float64], NDArray[np.int64]]]
) -> NDArray[np.float64]:
    """Correlation of the weighted mid-ranks of the first column with those of the others."""
    ranked = [_mid_ranks(weights, place.reshape(-1), len(distinct)) for distinct, place in ties]
    total = weights.sum(axis=1, keepdims=True)
    centred = [rank - (weights * rank).sum(axis=1, keepdims=True) / total for rank in ranked]
    spread = [(weights * off**2).sum(axis=1) for off in centred]
    first, variance = centred[0], spread[0]
    scale = 1e-9 * total[:, 0] ** 3  # below it, ranks differ by rounding only
    return np.column_stack(
        [
            ratio(
                (weights * first * off).sum(axis=1),
                np.sqrt(np.where((variance > scale) & (own > scale), variance * own, 0.0)),
            )
            for off, own in zip(centred[1:], spread[1:], strict=True)
        ]
    )


def _mid_ranks(weights: NDArray[np.float64], place: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Rank of each cell if it came as often as its weight, ties at their middle."""
    order = np.argsort(place, kind="stable")
    begins = np.searchsorted(place[order], np.arange(n))
    mass = np.add.reduceat(weights[:, order], begins, axis=1)
    middle = np.cumsum(mass, axis=1) - mass / 2
    return middle[:, place]
