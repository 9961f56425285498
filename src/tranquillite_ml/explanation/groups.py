"""Which features rise and fall together: their effects cannot be told apart, so they are named together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def rank_correlation(values: NDArray[Any]) -> Floats:
    """Absolute Spearman correlation of columns, shape (n_columns, n_columns).

    Missing values stand at the middle rank; a column that never varies goes with no other.

    Examples
    --------
    >>> rank_correlation(np.array([[1.0, 8.0, 5.0], [2.0, 4.0, 5.0], [3.0, 1.0, 5.0]])).round(2).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    ranks = pd.DataFrame(values).rank()
    centred = (ranks - ranks.mean()).fillna(0.0).to_numpy()
    size = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(size > 0, size, 1.0)
    found: Floats = np.clip(np.abs(scaled.T @ scaled), 0.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return found


def feature_clusters(values: NDArray[Any], *, threshold: float = 0.7) -> NDArray[np.int64]:
    """Number of the cluster each column is in: average linkage, cut where |ρ| falls below the threshold.

    Parameters
    ----------
    values : ndarray, shape (n, n_columns)
    threshold : float, default 0.7

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> labels = feature_clusters(np.column_stack([x[:, 0], np.exp(x[:, 0]), x[:, 1]]))
    >>> bool(labels[0] == labels[1] != labels[2])
    True
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if values.shape[1] < 2:
        return np.zeros(values.shape[1], dtype=np.int64)
    distance = 1 - rank_correlation(values)
    tree = linkage(squareform(distance, checks=False), method="average")
    found = fcluster(tree, 1 - threshold, criterion="distance")
    return np.asarray(pd.factorize(found)[0], dtype=np.int64)


def merged_families(
    values: NDArray[Any], families: Sequence[str], *, threshold: float = 0.7, apart: Sequence[str] = ()
) -> dict[str, str]:
    """Name under which each family is summed once entangled families are put together.

    Parameters
    ----------
    values : ndarray, shape (n, n_columns)
    families : sequence of str, shape (n_columns,)
        Family of each column.
    threshold : float, default 0.7
        Two families are put together where the mean |ρ| between their columns is at least this.
    apart : sequence of str
        Families left as they are.

    Notes
    -----
    Average linkage that starts from whole families, on Spearman's ρ.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> columns = np.column_stack([x[:, 0], np.exp(x[:, 0]), x[:, 1]])
    >>> merged_families(columns, ["history", "neighbourhood", "calendar"])
    {'history': 'history + neighbourhood', 'neighbourhood': 'history + neighbourhood', 'calendar': 'calendar'}
    """
    near = rank_correlation(values)
    of = np.array(families, dtype=object)
    groups: list[tuple[str, ...]] = [(name,) for name in dict.fromkeys(families) if name not in apart]
    while len(groups) > 1:
        columns = [np.flatnonzero(np.isin(of, group)) for group in groups]
        link = np.array([[near[np.ix_(a, b)].mean() for b in columns] for a in columns])
        np.fill_diagonal(link, -1.0)
        one, two = sorted(np.unravel_index(int(link.argmax()), link.shape))
        if link[one, two] < threshold:
            break
        groups[one] = groups[one] + groups[two]
        del groups[two]
    named = {name: " + ".join(group) for group in groups for name in group}
    return {name: named.get(name, name) for name in dict.fromkeys(families)}
