"""A plain map of one forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import UsageError, nearest
from tranquillite_ml.plots.style import axes, safe_name

if TYPE_CHECKING:
    import geopandas as gpd
    from matplotlib.axes import Axes

    from tranquillite_ml.forecasts import Forecasts

_LABELS = {
    "expected_count": "expected incidents a cell",
    "observed_count": "recorded incidents a cell",
    "prob_any": "probability of at least one incident",
    "lower": "lower limit (incidents)",
    "upper": "upper limit (incidents)",
}


def map(
    forecasts: Forecasts | gpd.GeoDataFrame,
    ax: Axes | None = None,
    *,
    column: str = "expected_count",
    **equal: Any,
) -> Axes:
    """One forecast map as coloured cells, on a scale that is even to the eye.

    Parameters
    ----------
    forecasts : Forecasts or GeoDataFrame
        A forecast, or what `Forecasts.to_geodataframe` makes of it.
    ax : Axes, optional
        Where to draw; a new figure without it.
    column : str, default "expected_count"
        What colours the cells.
    **equal
        Keys that choose the map where there are several: ``model="lightgbm", cutoff=…``.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        If there is not exactly one map, or no such column.
    """
    shapes, title = _one_map(forecasts, equal)
    if column not in shapes:
        msg = f"there is no column {column!r}.{nearest(column, shapes.columns)}"
        raise UsageError(msg)
    ax = axes(ax, width=6.4, height=5.6)
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import PathPatch

    values = shapes[column].to_numpy(dtype=float)
    patches = [PathPatch(_outline(shape)) for shape in shapes.geometry]
    cells = PatchCollection(patches, cmap="cividis", linewidth=0.1, edgecolor="face")
    cells.set_array(np.ma.masked_invalid(values))
    cells.set_clim(0, max(float(np.nanmax(values, initial=0.0)), 1e-9))
    ax.add_collection(cells)
    west, south, east, north = shapes.total_bounds
    ax.set_xlim(west, east)
    ax.set_ylim(south, north)
    ax.set_aspect(1 / np.cos(np.radians((south + north) / 2)))
    ax.figure.colorbar(cells, ax=ax, label=_LABELS.get(column, safe_name(column)), shrink=0.8)
    ax.grid(visible=False)
    ax.set_title(title, fontsize="medium")
    ax.set_xlabel(f"longitude (°)\nn = {len(shapes):,} cells, sum {np.nansum(values):,.1f}")
    ax.set_ylabel("latitude (°)")
    ax.ticklabel_format(useOffset=False)
    ax.locator_params(nbins=5)
    return ax


def _one_map(forecasts: Forecasts | gpd.GeoDataFrame, equal: dict[str, Any]) -> tuple[gpd.GeoDataFrame, str]:
    from tranquillite_ml.forecasts import Forecasts

    if not isinstance(forecasts, Forecasts):
        if equal:
            msg = f"keys choose a map of Forecasts; of a GeoDataFrame choose the rows, got {sorted(equal)}."
            raise UsageError(msg)
        if not hasattr(forecasts, "total_bounds"):
            msg = f"what a map shows must be Forecasts or a GeoDataFrame, got {type(forecasts).__name__}."
            raise UsageError(msg)
        return forecasts, ""
    chosen = forecasts.select(**equal) if equal else forecasts
    if len(chosen.keys) != 1:
        there = {name: list(dict.fromkeys(chosen.keys[name]))[:5] for name in ("model", "category")}
        msg = (
            f"a map shows one forecast and there are {len(chosen.keys)}: "
            f"choose by model, category, cutoff and horizon; there is {there}."
        )
        raise UsageError(msg)
    key = chosen.keys.iloc[0]
    title = (
        f"{safe_name(key['model'])} · {safe_name(key['category'])} · cutoff {key['cutoff']:%Y-%m-%d %H:%M}"
    )
    return chosen.to_geodataframe(), title


def _outline(shape: Any) -> Any:
    """Path of a polygon or several, holes included."""
    from matplotlib.path import Path

    rings = [
        np.asarray(ring.coords)[:, :2]
        for polygon in getattr(shape, "geoms", [shape])
        for ring in (polygon.exterior, *polygon.interiors)
    ]
    return Path.make_compound_path(*[Path(ring, closed=True) for ring in rings])
