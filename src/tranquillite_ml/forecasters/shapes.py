"""Curves of an additive booster: what each feature adds in each interval between its thresholds, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import lightgbm as lgb
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Knots = dict[str, Floats]
    Pairs = Sequence[tuple[str, str]]


def knots_of(booster: lgb.Booster) -> Knots:
    """Thresholds of each feature, ascending; a value v belongs left of a threshold t if v ≤ t."""
    names = booster.feature_name()
    found: dict[str, set[float]] = {name: set() for name in names}
    nodes = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    while nodes:
        node = nodes.pop()
        if "split_feature" in node:
            found[names[node["split_feature"]]].add(node["threshold"])
            nodes += [node["left_child"], node["right_child"]]
    return {name: np.array(sorted(values), dtype=np.float64) for name, values in found.items()}


def interval_of(values: NDArray[Any], knots: Floats) -> NDArray[np.int64]:
    """Number of the interval each value lies in; missing values have the last one.

    Examples
    --------
    >>> interval_of(np.array([0.5, 1.0, 1.5, np.nan]), np.array([1.0])).tolist()
    [0, 0, 1, 2]
    """
    wide = np.asarray(values, dtype=np.float64)
    return np.where(np.isnan(wide), len(knots) + 1, np.searchsorted(knots, wide, side="left"))


def intervals(knots: Floats) -> tuple[Floats, Floats]:
    """Left (open) and right (closed) ends of the intervals, NaN for missing values.

    Examples
    --------
    >>> intervals(np.array([1.0]))
    (array([-inf,   1.,  nan]), array([ 1., inf, nan]))
    """
    return np.array([-np.inf, *knots, np.nan]), np.array([*knots, np.inf, np.nan])


def mass_of(columns: dict[str, NDArray[Any]], expected: Floats, knots: Knots, pairs: Pairs) -> Floats:
    """Rows and expected counts in each interval and rectangle, in the order of the tables, shape (2, n)."""
    at = {name: interval_of(columns[name], found) for name, found in knots.items()}
    size = {name: len(found) + 2 for name, found in knots.items()}
    places = [(at[name], size[name]) for name in knots]
    places += [(at[one] * size[two] + at[two], size[one] * size[two]) for one, two in pairs]
    counted = [np.stack([np.bincount(k, w, n) for w in (None, expected)]) for k, n in places]
    return np.concatenate(counted, axis=1)


@dataclass(frozen=True)
class Shapes:
    """An additive function as its constant, curves and rectangles.

    Attributes
    ----------
    knots : dict of str to ndarray
    constant : float
    curves : dict of str to ndarray, shape (n_intervals,)
        Mean 0, weighted by expected count.
    grids : dict of (str, str) to ndarray, shape (n_intervals, n_intervals)
        Means over either feature 0.
    mass : ndarray, shape (2, n)
        Rows and expected counts, curves first, then rectangles.
    """

    knots: Knots
    constant: float
    curves: dict[str, Floats]
    grids: dict[tuple[str, str], Floats]
    mass: Floats

    @classmethod
    def of(cls, booster: lgb.Booster, mass: Floats, pairs: Pairs) -> Shapes:
        """Take a booster apart whose trees use one feature, or one of the pairs, each.

        Notes
        -----
        A curve is the score with all other features missing, less the score with all missing; what is left
        of a pair after its two curves is its own. Means are then moved to where they are read: a pair's into
        its curves, a curve's into the constant.
        """
        knots = knots_of(booster)
        points = {name: intervals(found)[1] for name, found in knots.items()}
        constant = float(_raw(booster, [{}])[0])
        curves = {name: _raw(booster, [{name: v} for v in points[name]]) - constant for name in knots}
        sizes = np.cumsum([len(curve) for curve in curves.values()])
        share = {
            name: _shares(part)
            for name, part in zip(knots, np.split(mass[1], sizes)[: len(knots)], strict=True)
        }
        grids = {}
        origin = constant
        bare = {name: curve.copy() for name, curve in curves.items()}
        for one, two in pairs:
            rows = [{one: v, two: w} for v in points[one] for w in points[two]]
            grid = _raw(booster, rows).reshape(len(points[one]), len(points[two])) - origin
            grid -= bare[one][:, None] + bare[two][None, :]
            across, down = grid @ share[two], share[one] @ grid
            middle = float(share[one] @ across)
            grids[one, two] = grid - across[:, None] - down[None, :] + middle
            curves[one] += across - middle
            curves[two] += down - middle
            constant += middle
        for name in knots:
            mean = float(share[name] @ curves[name])
            curves[name] -= mean
            constant += mean
        return cls(knots, constant, curves, grids, mass)

    def curve_table(self) -> pd.DataFrame:
        """One row an interval of a feature, the constant first."""
        first = next(iter(self.curves.values()))
        whole = self.mass[:, : len(first)].sum(axis=1)
        key: dict[str, Any] = {"feature": "constant", "left": np.nan, "right": np.nan}
        parts = [_rows(key, [self.constant], whole[:, None])]
        begin = 0
        for name, curve in self.curves.items():
            left, right = intervals(self.knots[name])
            held = self.mass[:, begin : begin + len(curve)]
            parts.append(_rows({"feature": name, "left": left, "right": right}, curve, held))
            begin += len(curve)
        return pd.concat(parts, ignore_index=True)

    def pair_table(self) -> pd.DataFrame:
        """One row a rectangle of two features."""
        begin = sum(len(curve) for curve in self.curves.values())
        parts = []
        for (one, two), grid in self.grids.items():
            key: dict[str, Any] = {"feature": one}
            key["left"], key["right"] = (np.repeat(e, grid.shape[1]) for e in intervals(self.knots[one]))
            key["feature_2"] = two
            key["left_2"], key["right_2"] = (np.tile(e, grid.shape[0]) for e in intervals(self.knots[two]))
            parts.append(_rows(key, grid.ravel(), self.mass[:, begin : begin + grid.size]))
            begin += grid.size
        names = ["feature", "left", "right", "feature_2", "left_2", "right_2"]
        empty = pd.DataFrame(columns=[*names, "log_factor", "factor", "n", "expected_count"])
        return pd.concat(parts, ignore_index=True) if parts else empty


def _rows(key: dict[str, Any], log_factor: Any, mass: Floats) -> pd.DataFrame:
    numbers = {"log_factor": log_factor, "factor": np.exp(log_factor)}
    return pd.DataFrame({**key, **numbers, "n": mass[0].astype(np.int64), "expected_count": mass[1]})


def _shares(weight: Floats) -> Floats:
    """Shares of the expected count; equal ones where nothing was expected."""
    total = weight.sum()
    return weight / total if total > 0 else np.full(len(weight), 1 / len(weight))


def _raw(booster: lgb.Booster, rows: list[dict[str, float]]) -> Floats:
    """Raw score of rows in which all features but those given are missing."""
    names = booster.feature_name()
    table = np.full((len(rows), len(names)), np.nan)
    number = {name: k for k, name in enumerate(names)}
    for at, row in enumerate(rows):
        for name, value in row.items():
            table[at, number[name]] = value
    return np.asarray(booster.predict(table, raw_score=True), dtype=np.float64)
