"""How far two maps select the same places."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.evaluation import select_hotspot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trial:
    """How two maps compare.

    Attributes
    ----------
    kind : str
        What was changed between them.
    overlaps : tuple of float
        Selected area in both over selected area in either, at each coverage.
    rbo : float
        Rank-biased overlap.
    """

    kind: str
    overlaps: tuple[float, ...]
    rbo: float


@dataclass(frozen=True, eq=False)
class Coverages:
    """The areas that are selected: shares of a study area.

    Attributes
    ----------
    shares : tuple of float
        The first is the audited one.
    study_area_km2 : float
    """

    shares: tuple[float, ...]
    study_area_km2: float

    def compare(
        self,
        kind: str,
        one: tuple[Floats, Floats],
        two: tuple[Floats, Floats],
        parent: NDArray[np.int64] | None = None,
    ) -> Trial:
        """Compare two maps, each a rate and an area of its cells.

        Parameters
        ----------
        kind : str
        one, two : tuple of ndarray
            Expected counts and areas in km².
        parent : ndarray of int64, optional
            For each cell of the first map, the cell of the second it lies in; the same cells when not given.
            A cell is as much selected as the one it lies in.
        """
        (rate, area), (other, around) = one, two
        at = np.arange(len(rate)) if parent is None else parent
        overlaps = []
        for share in self.shares:
            target = share * self.study_area_km2
            inside = select_hotspot(rate, area, target)
            overlaps.append(jaccard(inside, select_hotspot(other, around, target)[at], area))
        depth = max(1, round(self.shares[0] * len(rate)))
        return Trial(kind, tuple(overlaps), rank_biased_overlap(rate, other[at], depth))


def jaccard(one: Floats, two: Floats, area_km2: Floats) -> float:
    """Area in both selections over area in either; NaN if nothing is selected.

    Examples
    --------
    >>> jaccard(np.array([1.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0]), np.full(3, 0.1))  # one of three
    0.333...
    """
    either = float((np.maximum(one, two) * area_km2).sum())
    return float((np.minimum(one, two) * area_km2).sum()) / either if either > 0 else math.nan


def rank_biased_overlap(one: Floats, two: Floats, depth: int) -> float:
    """Agreement of two orders of cells, the first places counting most, extrapolated beyond `depth`.

    Parameters
    ----------
    one, two : ndarray, shape (n_cells,)
        Values, the highest first; ties in the order of the cells.
    depth : int
        Places compared; the persistence is depth / (depth + 1).

    Notes
    -----
    RBO_ext = X_k/k · p^k + (1 − p)/p · Σ X_d/d · p^d, X_d the overlap of the first d (Webber, Moffat and
    Zobel 2010, doi:10.1145/1852102.1852106).

    Examples
    --------
    >>> rank_biased_overlap(np.array([3.0, 2.0, 1.0]), np.array([3.0, 2.0, 1.0]), 2)
    1.0
    >>> round(rank_biased_overlap(np.array([3.0, 2.0, 1.0]), np.array([2.0, 3.0, 1.0]), 2), 4)  # p = 2/3
    0.6667
    """
    depth = min(depth, len(one))
    p = depth / (depth + 1)
    first, second = (np.argsort(-values, kind="stable")[:depth] for values in (one, two))
    place = np.full(len(one), len(one))
    place[first] = np.arange(depth)
    # A cell counts from the depth at which both lists hold it.
    both = np.maximum(place[second], np.arange(depth))
    overlap = np.cumsum(np.bincount(both[both < depth], minlength=depth))
    d = np.arange(1, depth + 1)
    return float(overlap[-1] / depth * p**depth + (1 - p) / p * (overlap / d * p**d).sum())
