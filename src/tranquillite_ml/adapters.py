"""Adapters: what another system delivers (ranked squares, points, hexagons) as Forecasts, areas kept true."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.delivered import MAP_KEYS, keys_of, numbers_of, read_delivered, refuse_repeats
from tranquillite_ml.errors import DataWarning, InputDataError, UsageError, check_in
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.grids import open_grid
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.placedsquares import PlacedSquares, around
from tranquillite_ml.schema import FORECAST_KEYS
from tranquillite_ml.timebins import TimeBins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.grid import Grid
    from tranquillite_ml.intake import Incidents

_COMBINE = {"mean": "mean", "sum": "sum", "highest": "max"}


def forecasts_from_squares(
    source: str | Path | pd.DataFrame,
    *,
    size_m: float,
    tz: str,
    crs: str | None = None,
    columns: Mapping[str, str] | None = None,
    days: int | None = None,
    study_area_km2: float | None = None,
    **keys: Any,
) -> Forecasts:
    """Forecasts from a list of squares with a rank, a risk or an expected count.

    Parameters
    ----------
    source : str, Path or DataFrame
        CSV or Parquet, one row a square of a map: south-west corner as ``x, y`` (in `crs`) or as ``lat, lng``
        (WGS 84), and one of ``rank`` (1 is the first), ``risk`` or ``expected_count``.
    size_m : float
        Side of the squares in metres.
    tz : str
        IANA time zone; times without one are local.
    crs : str, optional
        Projected coordinate system of ``x, y``, such as ``"EPSG:2154"``.
    columns : mapping of str to str, optional
        Our name → the file's column.
    days : int, optional
        Length of the period forecast in local days, where there is no ``period_end``.
    study_area_km2 : float, optional
        Area on which shares of area are stated. Give it where only the best squares were delivered: without
        it the squares are taken for the whole city.
    **keys
        ``model``, ``category``, ``cutoff``, ``horizon``, ``period_start``, ``period_end`` where they are the
        same for all rows and not a column. Without a horizon it is 1, and the period starts at the cutoff.

    Returns
    -------
    Forecasts
        On `PlacedSquares`. Ranks become 1/rank, and risks stay as they are: their `distribution` is
        ``"rank"``, for they order the squares and count nothing. Such maps have hit rates (`hotspot_curve`,
        `compare_hit_rates`) and no log score. A square that a map does not list is its last.

    Raises
    ------
    UsageError
        If `crs` is missing for x and y, or a key is given twice or not at all.
    InputDataError
        If columns are unknown, numbers are missing or negative, or squares repeat or overlap.

    Examples
    --------
    >>> rows = pd.DataFrame({"x": [0, 200, 400], "y": [0, 0, 0], "rank": [2, 1, 3]})
    >>> theirs = forecasts_from_squares(rows, size_m=200, crs="EPSG:32631", tz="Europe/Paris",
    ...     model="theirs", category="noise", cutoff="2024-01-01", days=7)
    >>> theirs.expected_count.round(2).tolist(), theirs.keys["distribution"].tolist()
    ([[0.5, 1.0, 0.33]], ['rank'])
    """
    table, value = read_delivered(source, columns, keys, places=("x", "y", "lat", "lng"))
    x, y, crs = _corners(table, crs)
    corners = np.round(np.stack([x, y], axis=1), 1)
    unique, square = np.unique(corners, axis=0, return_inverse=True)
    grid = PlacedSquares(*unique.T, size_m=size_m, crs=crs, study_area_km2=study_area_km2)
    # The grid sorts its cells by corner, east first, as `unique` does.
    return _assemble(table, value, square.reshape(-1), grid, tz=tz, days=days)


def forecasts_from_hexes(
    source: str | Path | pd.DataFrame,
    *,
    tz: str,
    columns: Mapping[str, str] | None = None,
    days: int | None = None,
    study_area_km2: float | None = None,
    **keys: Any,
) -> Forecasts:
    """Forecasts from H3 cells with an expected count, a risk or a rank.

    Parameters
    ----------
    source : str, Path or DataFrame
        CSV or Parquet, one row a cell of a map: ``cell`` (H3 in hexadecimal), and one of ``expected_count``,
        ``risk`` or ``rank``. Expected counts must be stated for every cell of every map.
    tz, columns, days, study_area_km2, **keys
        As for `forecasts_from_squares`.

    Returns
    -------
    Forecasts
        Expected counts are taken as means of Poisson counts; risks and ranks as in `forecasts_from_squares`.

    Raises
    ------
    UsageError
        If cells are not valid H3 cells of one resolution, or a key is given twice or not at all.
    InputDataError
        If columns are unknown, numbers are missing or negative, or cells repeat or are missing.

    Examples
    --------
    >>> rows = pd.DataFrame({"cell": ["893968152bbffff", "893968152b3ffff"], "expected_count": [0.2, 1.5]})
    >>> theirs = forecasts_from_hexes(rows, tz="Europe/Paris", model="theirs", category="noise",
    ...     cutoff="2024-01-01", days=7)
    >>> theirs.expected_count.tolist(), theirs.keys["distribution"].tolist()
    ([[1.5, 0.2]], ['poisson'])
    """
    table, value = read_delivered(source, columns, keys, places=("cell",))
    names = table["cell"].astype(str).str.lower()
    wrong = ~names.str.fullmatch("[0-9a-f]{15}")
    if wrong.any():
        msg = f"cell must hold H3 cells in hexadecimal, got {names[wrong].iloc[0]!r}."
        raise InputDataError(msg)
    numbers = np.array([int(name, 16) for name in names], dtype=np.uint64)
    grid = HexGrid(np.unique(numbers).tolist(), study_area_km2=study_area_km2)
    return _assemble(table, value, grid.rows_of(numbers), grid, tz=tz, days=days)


def forecasts_from_points(
    source: str | Path | pd.DataFrame,
    *,
    grid: Grid,
    tz: str,
    combine: str = "mean",
    columns: Mapping[str, str] | None = None,
    days: int | None = None,
    **keys: Any,
) -> Forecasts:
    """Forecasts on a grid from points with a risk or an expected count.

    Parameters
    ----------
    source : str, Path or DataFrame
        CSV or Parquet, one row a point of a map: ``lat, lng`` (WGS 84), and ``risk`` or ``expected_count``.
    grid : Grid
        Cells into which the points are put.
    combine : {"mean", "sum", "highest"}, default "mean"
        How the risks of a cell's points become its risk: their mean suits a surface that was sampled, their
        sum points that are places of their own. Expected counts are always summed.
    tz, columns, days, **keys
        As for `forecasts_from_squares`.

    Returns
    -------
    Forecasts
        Cells without a point have 0.

    Raises
    ------
    UsageError
        If `combine` is unknown, or a key is given twice or not at all.
    InputDataError
        If columns are unknown, numbers are missing or negative, or a map repeats a point.

    Warns
    -----
    DataWarning
        If points lie outside the grid.

    Examples
    --------
    >>> grid = HexGrid(["893968152bbffff", "893968152b3ffff"])
    >>> lat, lng = grid.centres[[0, 0, 1]].T
    >>> rows = pd.DataFrame({"lat": lat, "lng": lng + [0, 1e-5, 0], "risk": [3.0, 1.0, 5.0]})
    >>> theirs = forecasts_from_points(rows, grid=grid, tz="Europe/Paris", model="theirs", category="noise",
    ...     cutoff="2024-01-01", days=7)
    >>> theirs.expected_count.tolist()
    [[2.0, 5.0]]
    """
    check_in(combine, _COMBINE, "combine")
    table, value = read_delivered(
        source, columns, keys, places=("lat", "lng"), values=("expected_count", "risk")
    )
    lat, lng = (numbers_of(table, name, "finite") for name in ("lat", "lng"))
    maps = [name for name in MAP_KEYS if name in table]
    refuse_repeats(table.duplicated([*maps, "lat", "lng"]), table, "point")
    table["place"] = grid.locate(lat, lng)
    outside = int((table["place"] < 0).sum())
    if outside:
        import warnings

        msg = f"{outside} of {len(table)} points lie outside the grid and are left out."
        warnings.warn(msg, DataWarning, stacklevel=2)
    how = "sum" if value == "expected_count" else _COMBINE[combine]
    numbers_of(table, value, "≥ 0")
    table = table[table["place"] >= 0].groupby([*maps, "place"], as_index=False, sort=False)[value].agg(how)
    return _assemble(table, value, table["place"].to_numpy(), grid, tz=tz, days=days, gaps=True)


def observe_incidents(forecasts: Forecasts, incidents: Incidents, *, freq: str = "1D") -> Forecasts:
    """Give the forecasts with what was then recorded, each incident located in the forecasts' own cells.

    Parameters
    ----------
    forecasts : Forecasts
        Whose ``meta`` describes their grid, as those made here do; without it their cells are H3 cells.
    incidents : Incidents
        What was recorded, elsewhere in the city too: incidents outside the cells count as missed.
    freq : str, default "1D"
        Time bins on whose edges the periods lie.

    Returns
    -------
    Forecasts
        Maps of categories or periods that the incidents do not cover stay NaN.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> city = simulate_city(seed=0, days=30, radius_km=1.5)
    >>> rows = pd.DataFrame({"cell": city.grid.names(), "risk": 1.0})
    >>> theirs = forecasts_from_hexes(rows, tz="Europe/Paris", model="theirs", category="noise",
    ...     cutoff="2022-01-10", days=7)
    >>> bool(observe_incidents(theirs, city.incidents).observed_count.sum() > 0)
    True
    """
    grid = open_grid(forecasts.meta.get("grid"), forecasts.cells)
    return forecasts.observe(Panel.build(incidents, grid, TimeBins.covering(incidents, freq=freq)))


def _corners(table: pd.DataFrame, crs: str | None) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    on_map, in_degrees = {"x", "y"} <= set(table), {"lat", "lng"} <= set(table)
    if on_map == in_degrees:
        msg = f"corners must be x, y or lat, lng, one of the two; the table has {list(table.columns)}."
        raise InputDataError(msg)
    if on_map:
        if crs is None:
            msg = "x and y mean nothing without their coordinate system: give crs, such as 'EPSG:2154'."
            raise UsageError(msg)
        return numbers_of(table, "x", "finite"), numbers_of(table, "y", "finite"), crs
    if crs is not None:
        msg = f"corners in lat, lng are WGS 84 and need no crs, got {crs!r}; give x, y for another system."
        raise UsageError(msg)
    crs, x, y = around(numbers_of(table, "lat", "finite"), numbers_of(table, "lng", "finite"))
    return x, y, crs


def _assemble(
    table: pd.DataFrame,
    value: str,
    place: NDArray[np.int64],
    grid: Grid,
    *,
    tz: str,
    days: int | None,
    gaps: bool = False,
) -> Forecasts:
    """Forecasts from rows whose cell is known; `gaps`: expected counts of cells not listed are 0."""
    numbers = numbers_of(table, value, "≥ 1" if value == "rank" else "≥ 0")
    table = table.assign(horizon=1) if "horizon" not in table else table
    groups = table.groupby(list(FORECAST_KEYS), sort=False, observed=True)
    row = groups.ngroup().to_numpy()
    keys = keys_of(table.iloc[np.unique(row, return_index=True)[1]], tz, days)
    flat = pd.Series(row * grid.n_cells + place)
    refuse_repeats(flat.duplicated(), table, "cell")
    if value == "expected_count" and not gaps and len(table) != len(keys) * grid.n_cells:
        msg = (
            f"expected counts must be stated for each of the {grid.n_cells} cells in each of the {len(keys)} "
            f"maps, zeros too: {len(table)} rows came."
        )
        raise InputDataError(msg)
    dense = np.zeros((len(keys), grid.n_cells))
    dense[row, place] = 1 / numbers if value == "rank" else numbers
    keys["distribution"] = "poisson" if value == "expected_count" else "rank"
    described = grid.to_dict()
    meta = {"tz": tz, "grid": described, "study_area_km2": described["study_area_km2"], "value": value}
    return Forecasts(keys, grid.cells, grid.area_km2, {"expected_count": dense}, meta)
