"""Area: what a layer of areas says of a cell, each area weighted by how much of it lies there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.features.asof import by_cell, choose, need_layer
from tranquillite_ml.features.base import Column, FeatureBlock, View
from tranquillite_ml.features.overlay import areas_in_cells
from tranquillite_ml.features.places import plain_part

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.grid import Grid
    from tranquillite_ml.intake.context import Context
    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins


class Area(FeatureBlock):
    """Values of areas (districts, squares, land use) brought to cells by areal weighting.

    Parameters
    ----------
    layer : Context
        Of kind areas.
    sums : sequence of str
        Numbers that are divided among cells by area, such as a population: they keep their total.
    means : sequence of str
        Numbers of which a cell gets the mean, weighted by area, such as a share or a year of building.
    shares : sequence of str, optional
        Types of which the share of the cell's area is a feature, such as a land use.

    Raises
    ------
    UsageError
        If the layer is of another kind, lacks a value or a type, or nothing is asked for.

    Notes
    -----
    Areal weighting takes what is counted in an area as spread evenly over it (Goodchild and Lam 1980, "Areal
    interpolation: a variant of the traditional spatial problem", Geo-Processing 1). A cell that no area
    touches has no value.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely.geometry import box
    >>> from tranquillite_ml.intake.context import read_context
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> square = box(5.3, 43.2, 5.4, 43.3)
    >>> squares = gpd.GeoDataFrame({"population": [120]}, geometry=[square], crs="EPSG:4326")
    >>> layer = read_context(squares, kind="areas", name="insee", tz="Europe/Paris", known="2019-01-01")
    >>> bins = TimeBins("2024-01-01", 60, "1D", "Europe/Paris")
    >>> [c.name for c in Area(layer, sums=["population"]).describe(Target("noise"), bins)]
    ['insee_population']
    """

    family = "area"
    context: ClassVar[tuple[str, ...]] = ("layer",)

    def __init__(
        self,
        layer: Context,
        *,
        sums: Sequence[str] = (),
        means: Sequence[str] = (),
        shares: Sequence[str] = (),
    ) -> None:
        self.layer = need_layer(layer, ["areas"], "Area")
        self.sums = choose(sums, layer.numbers, "value", layer)
        self.means = choose(means, layer.numbers, "value", layer)
        self.shares = choose(shares, sorted(set(layer.table.get("type", ()))), "type", layer)
        if not (self.sums or self.means or self.shares):
            msg = f"Area: which of {list(layer.numbers)} are sums (population), which means (a share)?"
            raise UsageError(msg)

    def _columns(self) -> dict[str, str]:
        stem = self.layer.name
        named = {f"{stem}_{name}": "as in the layer, by area" for name in (*self.sums, *self.means)}
        return named | {
            f"{stem}_{plain_part(name)}_share": "share of the cell's area" for name in self.shares
        }

    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column."""
        del target, bins
        for name, unit in self._columns().items():
            source, known = f"layer {self.layer.name}", "known and in force at the pseudo-cutoff"
            yield Column(name, self.family, unit, source, known)

    def columns(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values, shape (n_rows or 1, n_cells)."""
        grid = view.panel.grid
        key = f"area {self.sums} {self.means} {self.shares}"
        found = by_cell(self.layer, view, key, partial(self._weighted, grid))
        yield from zip(self._columns(), found, strict=True)

    def _weighted(self, grid: Grid, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """All columns for the areas that a mask selects, shape (n_columns, n_cells)."""
        layer = self.layer
        laid = layer.once(
            grid, "areas in cells", lambda: areas_in_cells(grid, layer.table["geometry"].to_numpy())
        )
        common = laid.common
        if common.nnz == 0:
            msg = f"no area of {layer.name!r} touches the grid: is its coordinate system the one it states?"
            raise InputDataError(msg)
        found = []
        for name in self.sums:
            values = layer.table[name].to_numpy(np.float64) / laid.areas
            found.append(_spread(common, values, mask))
        for name in self.means:
            values = layer.table[name].to_numpy(np.float64)
            known = mask & ~np.isnan(values)
            with np.errstate(invalid="ignore"):
                found.append(_spread(common, values, mask) / (common @ known.astype(np.float64)))
        kinds = layer.table["type"].to_numpy() if self.shares else None
        for name in self.shares:
            share = common @ (mask & (kinds == name)).astype(np.float64) / laid.cells
            found.append(share if mask.any() else np.full(grid.n_cells, np.nan))
        return np.stack(found)


def _spread(common: Any, values: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sum of value times area over the areas with a value, NaN in cells that none of them touches."""
    known = mask & ~np.isnan(values)
    total = common @ np.where(known, values, 0.0)
    return np.where(common @ known.astype(np.float64) > 0, total, np.nan)
