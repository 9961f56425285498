"""Sensitivity to the grid: whether a conclusion survives other cells, larger, smaller or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation.backtest import backtest
from tranquillite_ml.evaluation.bootstrap import check_level, estimate_folds, ratio, sum_by
from tranquillite_ml.evaluation.compare import compare
from tranquillite_ml.evaluation.distributions import RATE_FLOOR
from tranquillite_ml.evaluation.hotspots import hotspot_curve
from tranquillite_ml.evaluation.scores import observed_maps
from tranquillite_ml.forecasters import Count365, SmoothedCount
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.grid import EARTH_RADIUS_M
from tranquillite_ml.hexgrid import HexGrid, check_resolution
from tranquillite_ml.panel import Panel
from tranquillite_ml.splits import RollingOrigin
from tranquillite_ml.timebins import TimeBins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.evaluation.bootstrap import Totals
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.intake import Incidents
    from tranquillite_ml.target import Target

SHIFTS = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5))
"""Half a cell east and half a cell north, beside the grid as it is."""

_MEASURES = ("hit_rate", "pai", "pei_star")


def resolution_sensitivity(
    incidents: Incidents,
    target: Target,
    make_forecaster: Callable[[Target], Forecaster] = SmoothedCount,
    *,
    resolutions: Sequence[int] = (8, 9, 10),
    shifts: Sequence[tuple[float, float]] = SHIFTS,
    splits: RollingOrigin | None = None,
    study_area: Any = None,
    freq: str = "1D",
    coverage: Sequence[float] = (0.01, 0.05, 0.10),
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> pd.DataFrame:
    """Backtest one forecaster on grids of several resolutions and origins, side by side.

    Cells are a choice, and any one choice cuts some cluster in two. What holds on every row of this table is
    said of the city; what changes from row to row is said of the grid.

    Parameters
    ----------
    incidents : Incidents
    target : Target
    make_forecaster : callable, default SmoothedCount
        Makes the forecaster from the target, anew for each grid.
    resolutions : sequence of int, default (8, 9, 10)
        H3 resolutions.
    shifts : sequence of tuple of float, default ((0, 0), (0.5, 0), (0, 0.5))
        Where the grid is moved to, east and north, as shares of the distance between neighbouring cells.
    splits : RollingOrigin, optional
        Thirteen cutoffs 28 days apart when not given.
    study_area : GeoDataFrame, geometry or path, optional
        As in `HexGrid.from_polygon`. Without it cells are laid where incidents were known before the first
        cutoff, with one ring around them.
    freq : str, default "1D"
        Time bins.
    coverage : sequence of float, default (0.01, 0.05, 0.10)
        Shares of the study area, the same km² on every grid.
    n_boot, level, seed
        Resamples of the folds, nominal coverage of the intervals, seed.
    progress : callable, optional
        Called with what was done, grids done and grids to do.

    Returns
    -------
    DataFrame
        One row a grid and coverage: ``model, resolution, shift_east, shift_north, n_cells, cell_km2,
        study_area_km2, coverage, n_folds, n_incidents, n_outside``; ``hit_rate, pai, pei_star`` (as in
        `hotspot_curve`), ``log_likelihood`` (nats an incident, *larger is better*) and ``oe`` (incidents
        recorded, those outside the cells included, over incidents expected), each with ``_lower`` and
        ``_upper``; and ``gain, gain_lower, gain_upper, verdict`` against `count_365d` on the same cells, by
        the log score in nats a fold.

    Raises
    ------
    UsageError
        If a resolution or shift is out of range, or the forecaster is count_365d itself.

    Notes
    -----
    H3 has one origin for the whole Earth, so the incidents (and the study area) are moved the other way: by
    less than a cell, which leaves the distances between them as they are to a few parts in 10,000; on a map
    the cells would be moved back. H3's rows run in no compass direction, so that the two default moves are
    simply two other grids.

    The log-likelihood is that of a density, y·log(μ/a) − μ over the cells, a in km², floor 1e-6 a km², over
    the number of incidents: sums over cells of log μ would reward large cells. Hit rates at 1 % of the area
    are made of a handful of cells at resolution 8: read the intervals. PEI* falls with finer cells, as the
    best cells of hindsight get better, and is comparable between shifts only.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.target import Target
    >>> city = simulate_city(seed=0, days=200, radius_km=1.5)
    >>> table = resolution_sensitivity(city.incidents, Target("noise", period=7), resolutions=[8, 9],
    ...     shifts=[(0, 0)], splits=RollingOrigin(folds=2, every="7D"), coverage=[0.1])
    >>> table[["model", "resolution", "n_folds", "verdict"]].values.tolist()
    [['smoothed_count', 8, 2, 'cannot tell'], ['smoothed_count', 9, 2, 'cannot tell']]
    """
    check_level(level, n_boot)
    splits = RollingOrigin() if splits is None else splits
    grids = _grids(resolutions, shifts)
    chosen = incidents.table["category"].isin(target.categories)
    used = replace(incidents, table=_only(incidents.table[chosen]), ids_given=incidents.ids_given[chosen])
    bins = TimeBins.covering(incidents, freq=freq)
    before = bins.wall_at(np.array(splits.cutoffs(bins, target)[:1]))[0]
    km2 = _grid(used, study_area, max(resolutions), before).study_area_km2
    parts = []
    for number, (resolution, east, north) in enumerate(grids):
        moved, area = _moved(used, study_area, resolution, east, north)
        grid = _grid(moved, area, resolution, before)
        panel = Panel.build(moved, grid, bins)
        forecaster = make_forecaster(target)
        if forecaster.name == Count365.name:
            msg = "make_forecaster must make another forecaster than count_365d, which is the reference."
            raise UsageError(msg)
        found = backtest([Count365(target), forecaster], panel, splits)
        meta = found.meta | {"study_area_km2": km2}
        found = Forecasts(found.keys, found.cells, found.area_km2, found.values, meta)
        what = {"model": forecaster.name, "resolution": resolution, "shift_east": east, "shift_north": north}
        what |= {"n_cells": grid.n_cells, "cell_km2": float(grid.area_km2.mean()), "study_area_km2": km2}
        numbers = {"n_boot": n_boot, "level": level, "seed": seed}
        parts.append(_judge(found, forecaster.name, coverage, numbers).assign(**what)[[*what, *_COLUMNS]])
        if progress is not None:
            progress(f"resolution {resolution}, {east:g} east, {north:g} north", number + 1, len(grids))
    return pd.concat(parts, ignore_index=True)


_COLUMNS = [
    "coverage",
    "n_folds",
    "n_incidents",
    "n_outside",
    *(f"{name}{end}" for name in (*_MEASURES, "log_likelihood", "oe") for end in ("", "_lower", "_upper")),
    "gain",
    "gain_lower",
    "gain_upper",
    "verdict",
]


def _grids(
    resolutions: Sequence[int], shifts: Sequence[tuple[float, float]]
) -> list[tuple[int, float, float]]:
    """Resolution and shift of each grid."""
    if len(resolutions) == 0 or not all(abs(part) < 1 for shift in shifts for part in shift) or not shifts:
        msg = (
            f"at least one resolution and one shift are needed, shifts above −1 and below 1 cell; got "
            f"{list(resolutions)} and {list(shifts)}."
        )
        raise UsageError(msg)
    return [
        (check_resolution(resolution), float(east), float(north))
        for resolution in resolutions
        for east, north in shifts
    ]


def _only(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(category=table["category"].cat.remove_unused_categories()).reset_index(drop=True)


def _grid(incidents: Incidents, area: Any, resolution: int, before: pd.Timestamp) -> HexGrid:
    if area is None:
        return HexGrid.from_incidents(incidents, resolution=resolution, before=before)
    return HexGrid.from_polygon(area, resolution=resolution)


def _moved(
    incidents: Incidents, area: Any, resolution: int, east: float, north: float
) -> tuple[Incidents, Any]:
    """Incidents and study area moved against a shift of the grid."""
    if east == north == 0:
        return incidents, area
    table = incidents.table
    lat, lng = float(table["lat"].median()), float(table["lng"].median())
    up, along = (_degrees(lat, lng, resolution) * part for part in (north, east))
    along /= float(np.cos(np.radians(lat)))
    moved = replace(incidents, table=table.assign(lat=table["lat"] - up, lng=table["lng"] - along))
    return moved, None if area is None else _moved_area(area, -along, -up)


def _degrees(lat: float, lng: float, resolution: int) -> float:
    """Distance between the middles of neighbouring cells, in degrees of latitude."""
    from tranquillite_ml.hexgrid import latlng_to_cells

    cell = int(latlng_to_cells(np.array([lat]), np.array([lng]), resolution)[0])
    apart_m = np.sqrt(2 / np.sqrt(3) * HexGrid([cell]).area_km2[0]) * 1000
    return float(np.degrees(apart_m / EARTH_RADIUS_M))


def _moved_area(area: Any, along: float, up: float) -> Any:
    import geopandas as gpd

    if isinstance(area, gpd.GeoDataFrame | gpd.GeoSeries):
        return area.geometry.to_crs("EPSG:4326").translate(along, up)
    if hasattr(area, "geom_type"):
        return gpd.GeoSeries([area], crs="EPSG:4326").translate(along, up)
    return gpd.read_file(area).geometry.to_crs("EPSG:4326").translate(along, up)


def _judge(found: Forecasts, model: str, coverage: Sequence[float], numbers: dict[str, Any]) -> pd.DataFrame:
    """One row a coverage: hotspots, likelihood and calibration of the model, and its gain over counts."""
    own = found.select(model=model)
    table = hotspot_curve(own, coverage=coverage, **numbers)
    for name, estimate in estimate_folds(_folds(own), _densities, **numbers).items():
        ends = {name: estimate.value, f"{name}_lower": estimate.lower, f"{name}_upper": estimate.upper}
        table = table.assign(**ends)
    gain = compare(found, hotspot=(), **numbers).iloc[0]
    return table.assign(
        gain=gain["difference"], gain_lower=gain["lower"], gain_upper=gain["upper"], verdict=gain["verdict"]
    )


def _folds(own: Forecasts) -> dict[str, NDArray[np.float64]]:
    own = own.take(observed_maps(own))
    y, mu = own.observed_count, own.expected_count
    outside = own.keys["outside_count"].to_numpy(dtype=np.float64)
    density = np.maximum(mu / own.area_km2, RATE_FLOOR)
    fold, cutoffs = pd.factorize(own.keys["cutoff"], sort=True)
    sums = {
        "log_likelihood": (y * np.log(density)).sum(axis=1) + outside * np.log(RATE_FLOOR) - mu.sum(axis=1),
        "expected": mu.sum(axis=1),
        "recorded": y.sum(axis=1) + outside,
    }
    return {name: sum_by(fold, values, len(cutoffs)) for name, values in sums.items()}


def _densities(sums: Totals) -> dict[str, NDArray[np.float64]]:
    seen = sums["recorded"]
    return {
        "log_likelihood": ratio(sums["log_likelihood"], seen),
        "oe": ratio(seen, sums["expected"] * (seen > 0)),
    }
