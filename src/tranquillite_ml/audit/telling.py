"""How well numbers tell groups of places apart, in neighbourhoods that they were not taught on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.evaluation.bootstrap import percentile_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FOLDS = 5
DRAWS = 200
_RIDGE = 1e-2


def design(features: pd.DataFrame) -> NDArray[np.float64]:
    """Ranks from −1 to 1 and their squares, missing values in the middle; shape (n_cells, 2 · n_features)."""
    ranks = (features.rank() - 0.5) / features.notna().sum() * 2 - 1
    flat = ranks.fillna(0.0).to_numpy()
    return np.hstack([flat, flat**2])


def folds_of(block: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Fold of each cell; neighbourhoods are dealt out whole."""
    n = int(block.max()) + 1
    dealt = np.random.default_rng([seed, 17]).permutation(n) % min(FOLDS, n)
    return np.asarray(dealt[block])


def held_out_scores(x: Floats, share: Floats, fold: NDArray[np.int64]) -> Floats:
    """What a ridge regression taught on the other folds says of shares, shape (n_cells, n_groups)."""
    score = np.empty_like(share)
    for k in np.unique(fold):
        out = fold == k
        taught = ~out if (~out).any() else out
        mean_x, mean_y = x[taught].mean(axis=0), share[taught].mean(axis=0)
        centred = x[taught] - mean_x
        gram = centred.T @ centred + _RIDGE * taught.sum() * np.eye(x.shape[1])
        score[out] = mean_y + (x[out] - mean_x) @ np.linalg.solve(gram, centred.T @ (share[taught] - mean_y))
    return score


def blocked_auc(
    score: Floats, inside: NDArray[np.bool_], block: NDArray[np.int64], *, seed: int = 0
) -> tuple[float, float, float]:
    """Area under the ROC curve with its 95 % interval, neighbourhoods resampled whole.

    Parameters
    ----------
    score : ndarray, shape (n,)
    inside : ndarray of bool, shape (n,)
        Cells in which the group is the majority.
    block : ndarray of int64, shape (n,)

    Notes
    -----
    The share of pairs (inside, outside) in which the cell inside has the higher score, ties counting half
    (Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747). Pairs are counted by pair of
    neighbourhoods, so that a resample is a weighted sum.

    Examples
    --------
    >>> blocked_auc(np.array([3.0, 1.0, 2.0, 0.0]), np.array([True, True, False, False]), np.arange(4))[0]
    0.75
    """
    if inside.all() or not inside.any():
        return np.nan, np.nan, np.nan
    n = int(block.max()) + 1
    pairs = np.zeros((n, n))
    beaten = (score[inside, None] > score[None, ~inside]) + 0.5 * (
        score[inside, None] == score[None, ~inside]
    )
    part = np.zeros((n, beaten.shape[1]))
    np.add.at(part, block[inside], beaten)
    np.add.at(pairs.T, block[~inside], part.T)
    ours, others = (np.bincount(block[mask], minlength=n).astype(np.float64) for mask in (inside, ~inside))
    weight = (
        np.random.default_rng([seed, 18]).multinomial(n, np.full(n, 1 / n), size=DRAWS).astype(np.float64)
    )
    weight = np.vstack([np.ones(n), weight])
    won = np.einsum("ri,ij,rj->r", weight, pairs, weight, optimize=True)
    below = (weight @ ours) * (weight @ others)
    auc = np.divide(won, below, out=np.full(len(won), np.nan), where=below > 0)
    lower, upper = percentile_interval(auc[1:], n)
    return float(auc[0]), lower, upper


def held_out_r2(score: Floats, share: Floats, fold: NDArray[np.int64]) -> float:
    """Share of the variance explained in neighbourhoods held out, against the mean of those taught on."""
    mean = np.empty_like(share)
    for k in np.unique(fold):
        out = fold == k
        mean[out] = share[~out].mean() if (~out).any() else share.mean()
    total = float(((share - mean) ** 2).sum())
    return 1 - float(((share - score) ** 2).sum()) / total if total > 0 else np.nan


def partial_correlation(one: Any, two: Any, given: Any) -> float:
    """Spearman's correlation of two variables, given a third; NaN where one of them never varies.

    Notes
    -----
    (r₁₂ − r₁₃ r₂₃) / √((1 − r₁₃²)(1 − r₂₃²)) of the ranks.

    Examples
    --------
    >>> round(partial_correlation([1, 2, 3, 4], [1, 2, 4, 3], [2, 1, 3, 4]), 3)  # (.8 − .8·.6)/(.6·.8)
    0.667
    """
    ranks = np.array([pd.Series(part).rank().to_numpy() for part in (one, two, given)])
    if (np.ptp(ranks[:2], axis=1) == 0).any():
        return np.nan
    if np.ptp(ranks[2]) == 0:
        return float(np.corrcoef(ranks[:2])[0, 1])
    r = np.corrcoef(ranks)
    below = (1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2)
    return float((r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt(below)) if below > 1e-12 else np.nan
