"""Places: how many points and how much of lines a cell holds, how many are near, how far the nearest is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.features.asof import by_cell, choose, need_layer
from tranquillite_ml.features.base import Column, FeatureBlock, View
from tranquillite_ml.features.overlay import line_km, line_metres
from tranquillite_ml.grid import EARTH_RADIUS_M

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.grid import Grid
    from tranquillite_ml.intake.context import Context
    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins

FAR_M = 100_000.0


def on_sphere(lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points on the unit sphere, shape (n, 3): straight distances between them order as those on the ground.

    Examples
    --------
    >>> on_sphere(np.array([0.0]), np.array([90.0])).round(6).tolist()
    [[0.0, 1.0, 0.0]]
    """
    north, east = np.radians(lat), np.radians(lng)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)


def metres(chord: NDArray[np.float64]) -> NDArray[np.float64]:
    """Metres along the ground between points a straight distance apart on the unit sphere.

    Examples
    --------
    >>> metres(np.array([2.0])).round().tolist()
    [20015115.0]
    """
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.clip(chord / 2, 0, 1)))


def chord(distance_m: float) -> float:
    """Straight distance on the unit sphere between points so many metres apart along the ground."""
    return float(2 * np.sin(distance_m / (2 * EARTH_RADIUS_M)))


class Places(FeatureBlock):
    """Points (or lines) of a layer by type: in the cell, around it, and how far the nearest is.

    Parameters
    ----------
    layer : Context
        Of kind points or lines.
    types : sequence of str, optional
        All types of the layer when not given; where it has none, all its rows together.
    radius_m : float, default 500
        Radius around the cell's centre within which points are counted for the density.

    Raises
    ------
    UsageError
        If the layer is of another kind, or lacks a type.

    Notes
    -----
    Distances run along a sphere of 6,371,009 m from the centre of the cell; those to lines are measured on an
    equal-area plane around the grid's middle. A row counts from when it was known and holds until it ends.
    Where no row of the layer does, nothing is known of places (NaN), which is not the same as none (0).

    Examples
    --------
    >>> import pandas as pd
    >>> from tranquillite_ml.intake.context import read_context
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> rows = pd.DataFrame({"lat": [43.30, 43.29], "lng": [5.37, 5.38], "type": ["bar", "school"]})
    >>> layer = read_context(rows, kind="points", name="osm", tz="Europe/Paris", known="2020-01-01")
    >>> bins = TimeBins("2024-01-01", 60, "1D", "Europe/Paris")
    >>> [c.name for c in Places(layer, types=["bar"]).describe(Target("noise"), bins)]
    ['osm_bar_count', 'osm_bar_per_km2', 'osm_bar_distance_m']
    """

    family = "places"
    context: ClassVar[tuple[str, ...]] = ("layer",)

    def __init__(
        self, layer: Context, types: Sequence[str] | None = None, *, radius_m: float = 500.0
    ) -> None:
        self.layer = need_layer(layer, ["points", "lines"], "Places")
        self.types = None if types is None else tuple(types)
        self.radius_m = float(radius_m)
        there = sorted(layer.table["type"].unique()) if "type" in layer.table else []
        self._chosen = choose(types, there, "type", layer)

    def _stems(self) -> dict[str, NDArray[np.bool_]]:
        """Beginning of the columns' names of each type, and the rows of that type."""
        if not self._chosen:
            return {self.layer.name: np.ones(len(self.layer), dtype=bool)}
        kinds = self.layer.table["type"].to_numpy()
        return {f"{self.layer.name}_{plain_part(name)}": kinds == name for name in self._chosen}

    def _columns(self) -> dict[str, str]:
        if self.layer.kind == "lines":
            return {"km": "km in the cell", "distance_m": "m"}
        density = f"points per km² within {self.radius_m:g} m"
        return {"count": "points in the cell", "per_km2": density, "distance_m": "m"}

    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column."""
        del target, bins
        for stem in self._stems():
            for name, unit in self._columns().items():
                source, known = f"layer {self.layer.name}", "known and in force at the pseudo-cutoff"
                yield Column(f"{stem}_{name}", self.family, unit, source, known)

    def columns(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values, shape (n_rows or 1, n_cells)."""
        grid = view.panel.grid
        make = self._of_lines if self.layer.kind == "lines" else self._of_points
        for stem, rows in self._stems().items():
            found = by_cell(self.layer, view, f"{stem} {self.radius_m}", partial(make, grid, rows))
            for name, column in zip(self._columns(), found, strict=True):
                yield f"{stem}_{name}", column

    def _of_points(
        self, grid: Grid, of_type: NDArray[np.bool_], in_force: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Count, density and distance of the points of a type that are in force, shape (3, n_cells)."""
        from scipy.spatial import cKDTree

        mask = of_type & in_force
        lat, lng = (self.layer.table[name].to_numpy(np.float64)[mask] for name in ("lat", "lng"))
        if len(lat) == 0:
            return _nothing(3, grid.n_cells, known=bool(in_force.any()))
        cell = grid.locate(lat, lng)
        count = np.bincount(cell[cell >= 0], minlength=grid.n_cells).astype(np.float64)
        tree, centres = cKDTree(on_sphere(lat, lng)), on_sphere(*np.asarray(grid.centres).T)
        near = tree.query_ball_point(centres, chord(self.radius_m), return_length=True)
        distance = metres(tree.query(centres)[0])
        _refuse_elsewhere(self.layer, float(distance.min()))
        return np.stack([count, near / (np.pi * (self.radius_m / 1000) ** 2), distance])

    def _of_lines(
        self, grid: Grid, of_type: NDArray[np.bool_], in_force: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Length and distance of the lines of a type that are in force, shape (2, n_cells)."""
        shapes = self.layer.table["geometry"].to_numpy()[of_type & in_force]
        if len(shapes) == 0:
            return _nothing(2, grid.n_cells, known=bool(in_force.any()))
        distance = line_metres(grid, shapes)
        _refuse_elsewhere(self.layer, float(distance.min()))
        return np.stack([line_km(grid, shapes), distance])


def _nothing(n_columns: int, n_cells: int, *, known: bool) -> NDArray[np.float64]:
    """Columns where nothing of a type is in force: none of it, at no distance; unknown if no type is."""
    found = np.full((n_columns, n_cells), 0.0 if known else np.nan)
    found[-1] = np.nan
    return found


def _refuse_elsewhere(layer: Context, nearest_m: float) -> None:
    if nearest_m > FAR_M:
        msg = (
            f"nothing of {layer.name!r} lies within {FAR_M / 1000:.0f} km of the grid (the nearest is "
            f"{nearest_m / 1000:,.0f} km away): is its coordinate system the one it states?"
        )
        raise InputDataError(msg)


def plain_part(name: str) -> str:
    """A type as part of a column's name."""
    from tranquillite_ml.governance.names import plain_words

    return "_".join(plain_words(name).split())
