"""The long table of forecasts: from arrays to columns, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.schema import FORECAST_COLUMNS, FORECAST_KEYS, FORECAST_VALUES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_TEXTS = {"model", "category", "distribution"}
_NUMBERS = {"horizon", "exposure_hours", "level"}
_INSTANTS = ("cutoff", "period_start", "period_end")
_ZONE = r"(?:Z|[+-]\d\d:?\d\d)$"
_WHY = {"cell": "is not a cell's hexadecimal name"} | dict.fromkeys(_INSTANTS, "is not an instant")
_BOUNDS: dict[str, tuple[float, float, str]] = {
    "horizon": (1, np.inf, "must be 1 or more"),
    "exposure_hours": (0, np.inf, "must be 0 or more"),
    "level": (0, 1, "must lie between 0 and 1"),
    "area_km2": (np.finfo(float).tiny, np.inf, "must be finite and above 0"),
    "expected_count": (0, np.inf, "must be finite and ≥ 0"),
    "prob_any": (0, 1, "must lie between 0 and 1"),
    "lower": (0, np.inf, "must be 0 or more"),
    "upper": (0, np.inf, "must be 0 or more"),
    "dispersion": (0, np.inf, "must be 0 or more"),
    "observed_count": (0, np.inf, "must be 0 or more, or empty where nothing is known yet"),
}
_NEEDED = {"horizon", "area_km2", "expected_count"}
"""Numbers that no row may lack; others may be empty."""
_OF_A_MAP = ("period_start", "period_end", "exposure_hours", "distribution", "level")


def long_frame(
    keys: pd.DataFrame, cells: NDArray[np.str_], area_km2: Floats, values: Mapping[str, Floats]
) -> pd.DataFrame:
    """One row a map and cell, from one row of `keys` a map and arrays of maps × cells."""
    n_maps, n_cells = len(keys), len(cells)
    frame: dict[str, Any] = {}
    for name in keys.columns:
        column = keys[name].repeat(n_cells)
        if name in _TEXTS:
            frame[name] = pd.Categorical(column)
        else:
            frame[name] = column.to_numpy() if name in _NUMBERS else column.array
    frame["cell"] = pd.Categorical.from_codes(np.tile(np.arange(n_cells), n_maps), categories=list(cells))
    frame["area_km2"] = np.tile(area_km2, n_maps)
    frame.update({name: values[name].ravel() for name in FORECAST_VALUES})
    return pd.DataFrame(frame)[list(FORECAST_COLUMNS)]


def typed(frame: pd.DataFrame, at: tuple[str, int]) -> pd.DataFrame:
    """Columns of a long table from outside as instants, numbers and names of cells.

    Instants must say their time zone; texts of several offsets become UTC.

    Raises
    ------
    InputDataError
        If the table has no rows, or a value cannot be used: with its file, row and column.

    Examples
    --------
    >>> typed(pd.DataFrame({"cell": ["89"], "expected_count": ["many"]}), ("theirs.csv", 2))
    Traceback (most recent call last):
    tranquillite_ml.errors.InputDataError: theirs.csv, row 2, column expected_count: 'many' is not a number.
    """
    if frame.empty:
        msg = f"{at[0]} has no rows: a Forecasts table has one a map and cell."
        raise InputDataError(msg)
    found = {}
    for name in (name for name in _INSTANTS if name in frame):
        column = frame[name]
        if not isinstance(column.dtype, pd.DatetimeTZDtype):
            texts = column.astype(str)
            _refuse(column, ~texts.str.contains(_ZONE), name, at)
            column = pd.to_datetime(texts, errors="coerce", utc=True, format="ISO8601")
        _refuse(frame[name], column.isna(), name, at)
        found[name] = column
    for name in (*_NUMBERS, "area_km2", *FORECAST_VALUES):
        if name in frame:
            found[name] = pd.to_numeric(frame[name], errors="coerce")
            _refuse(frame[name], found[name].isna() & frame[name].notna(), name, at)
            low, high, why = _BOUNDS[name]
            wrong = (found[name] < low) | (found[name] > high) | np.isinf(found[name])
            wrong |= found[name].isna() & (name in _NEEDED)
            _refuse(frame[name], wrong, name, at, why)
    for name in (name for name in ("model", "category") if name in frame):
        _refuse(frame[name], frame[name].isna(), name, at, "is no name")
    for first, second in (("lower", "upper"), ("period_start", "period_end")):
        if first in found and second in found:
            wrong = found[second] < found[first] if second == "upper" else found[second] <= found[first]
            _refuse(frame[second], wrong, second, at, f"does not come after {first}")
    cells = frame["cell"].astype(str)
    names = pd.Series(cells.unique(), dtype=str)
    wrong = names[~names.str.fullmatch("[0-9a-fA-F]{1,16}")]
    _refuse(cells, cells.isin(wrong), "cell", at)
    return frame.assign(**found)


def _refuse(
    column: pd.Series[Any], wrong: pd.Series[bool], name: str, at: tuple[str, int], because: str | None = None
) -> None:
    """Raise for the first value of a column that is wrong."""
    if not wrong.any():
        return
    row = int(np.flatnonzero(wrong)[0])
    value = column.iloc[row : row + 1].tolist()[0]
    why = because or _WHY.get(name, "is not a number")
    if because is None and name in _INSTANTS and not pd.isna(pd.to_datetime(str(value), errors="coerce")):
        why = "has no time zone: write it with its offset, such as 2024-05-01T00:00:00+02:00"
    msg = f"{at[0]}, row {at[1] + row}, column {name}: {value!r} {why}."
    raise InputDataError(msg)


def arrays_of(
    frame: pd.DataFrame, at: tuple[str, int] = ("the table", 1)
) -> tuple[pd.DataFrame, NDArray[np.uint64], Floats, dict[str, Floats]]:
    """Keys, cells in order of their number, areas and values of a long table in any order.

    Raises
    ------
    InputDataError
        If keys repeat or a map lacks cells.
    """
    names = np.array(sorted(frame["cell"].astype(str).unique()))
    numbers = np.array([int(name, 16) for name in names], dtype=np.uint64)
    order = np.argsort(numbers)
    names, numbers = names[order], numbers[order]
    frame = frame.assign(**{name: np.nan for name in _OF_A_MAP if name not in frame})
    groups = frame.groupby(list(FORECAST_KEYS), sort=False, observed=True)
    keys = groups[list(_OF_A_MAP)].first().reset_index()
    keys[["model", "category"]] = keys[["model", "category"]].astype(str)
    keys["distribution"] = keys["distribution"].astype(object).where(keys["distribution"].notna(), "poisson")
    row = groups.ngroup().to_numpy()
    column = pd.Index(names).get_indexer(frame["cell"].astype(str))
    if len(frame) != len(keys) * len(names) or len(np.unique(row * len(names) + column)) < len(frame):
        _refuse_holes(frame, row, column, at)
    values = {}
    for name in FORECAST_VALUES:
        values[name] = np.full((len(keys), len(names)), np.nan)
        if name in frame:
            values[name][row, column] = frame[name].to_numpy(dtype=np.float64)
    area = np.empty(len(names))
    area[column] = frame["area_km2"].to_numpy(dtype=np.float64)
    return keys, numbers, area, values


def _refuse_holes(
    frame: pd.DataFrame, maps: NDArray[np.intp], cells: NDArray[np.intp], at: tuple[str, int]
) -> None:
    """Raise for the first cell that comes twice in a map, or that a map lacks."""
    held = np.zeros((maps.max() + 1, cells.max() + 1), dtype=bool)
    held[maps, cells] = True
    found = pd.DataFrame({"map": maps, "cell": cells})
    twice, scarce = np.flatnonzero(found.duplicated()), held.sum(axis=0).argmin()
    names = frame["cell"].astype(str)
    if len(twice):
        row = int(twice[0])
        first = int(np.flatnonzero((maps == maps[row]) & (cells == cells[row]))[0])
        told = f"{names.iloc[row]} comes twice in its map, first in row {at[1] + first}"
    else:
        row = int(np.flatnonzero(cells == scarce)[0])
        told = f"{names.iloc[row]} is in {held[:, scarce].sum()} of {len(held)} maps only"
        if held[:, scarce].mean() > 0.5:
            lacking = int(np.flatnonzero(~held[:, scarce])[0])
            row, other = int(np.flatnonzero(maps == lacking)[0]), names.iloc[row]
            n = int((~held[lacking]).sum())
            told = f"the map that begins here lacks {n} of {len(held[0])} cells, such as {other}"
    key = ", ".join(f"{name} {frame[name].iloc[row]}" for name in FORECAST_KEYS)
    msg = (
        f"{at[0]}, row {at[1] + row}, column cell: {told} ({key}); "
        f"each map must hold each of the {held.shape[1]} cells once."
    )
    raise InputDataError(msg)


def arrow_columns(frame: pd.DataFrame) -> dict[str, Any]:
    """Columns of the long table as Arrow: texts as dictionaries, instants in microseconds with their zone."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name, values in frame.items():
        if isinstance(values.dtype, pd.CategoricalDtype):
            columns[str(name)] = pa.array(values.astype(object).to_list(), pa.string()).dictionary_encode()
        elif isinstance(values.dtype, pd.DatetimeTZDtype):
            naive = pd.DatetimeIndex(values).tz_convert("UTC").tz_localize(None).as_unit("us")
            kind = pa.timestamp("us", str(values.dtype.tz))
            columns[str(name)] = pa.array(naive.to_numpy().astype("int64")).cast(kind)
        else:
            columns[str(name)] = pa.array(values.to_numpy())
    return columns
