"""What another system delivered: a table under our names, with keys, places and one value, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, UsageError, check_in, nearest
from tranquillite_ml.timebins import check_timezone

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAP_KEYS = ("model", "category", "cutoff", "horizon", "period_start", "period_end")
VALUES = ("expected_count", "risk", "rank")


def read_delivered(
    source: str | Path | pd.DataFrame,
    columns: Mapping[str, str] | None,
    keys: Mapping[str, Any],
    *,
    places: tuple[str, ...],
    values: tuple[str, ...] = VALUES,
) -> tuple[pd.DataFrame, str]:
    """Give the table under our names with its keys, and the name of the one value it holds.

    Raises
    ------
    UsageError
        If a key is given twice or not at all.
    InputDataError
        If the file cannot be read, or columns are unknown or missing.
    """
    table = _open(source).rename(columns={theirs: ours for ours, theirs in (columns or {}).items()})
    known = [*places, *values, *MAP_KEYS]
    unknown = [str(name) for name in table.columns if name not in known]
    if unknown or table.columns.duplicated().any() or len(table) == 0:
        hint = nearest(unknown[0], known) if unknown else ""
        msg = (
            f"the table needs rows, and each column once, among {known}; it has {len(table)} rows and "
            f"{list(table.columns)}.{hint} Name others by columns={{'rank': 'theirs'}} or leave them out."
        )
        raise InputDataError(msg)
    held = [name for name in values if name in table]
    if len(held) != 1:
        msg = f"the table must hold one of {list(values)}, got {held or list(table.columns)}."
        raise InputDataError(msg)
    for name, given in keys.items():
        if check_in(name, MAP_KEYS, "a key") in table:
            msg = f"{name} is a column of the table and an argument ({given!r}); give it once."
            raise UsageError(msg)
    table = table.assign(**keys)
    needed = [name for name in ("model", "category", "cutoff") if name not in table]
    if needed:
        msg = f"{needed} must be columns of the table or arguments, such as {needed[0]}=…"
        raise UsageError(msg)
    missing = [name for name in places if name in table and table[name].isna().any()]
    missing += [name for name in MAP_KEYS if name in table and table[name].isna().any()]
    if missing:
        row = int(np.flatnonzero(table[missing[0]].isna())[0]) + 1
        msg = f"{missing[0]} is missing in row {row}; every row needs its place and its keys."
        raise InputDataError(msg)
    return table, held[0]


def _open(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        return source
    if not isinstance(source, str | Path):
        msg = f"source must be a path or a DataFrame, got {type(source).__name__}."
        raise UsageError(msg)
    path = Path(source)
    try:
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read as a table of forecasts: {error}."
        raise InputDataError(msg) from error


def numbers_of(table: pd.DataFrame, name: str, rule: str) -> NDArray[np.float64]:
    """Numbers of a column, by a rule: "finite", "≥ 0" or "≥ 1".

    Raises
    ------
    InputDataError
        If one breaks the rule.
    """
    found = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
    limit = {"finite": -np.inf, "≥ 0": 0.0, "≥ 1": 1.0}[rule]
    bad = ~(np.isfinite(found) & (found >= limit))
    if name in {"lat", "lng"}:
        bad |= np.abs(found) > {"lat": 90, "lng": 180}[name]
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        first = f"first: {table[name].iloc[row]} in row {row + 1}"
        msg = f"{name} must be {rule}; {int(bad.sum())} rows are not ({first})."
        raise InputDataError(msg)
    return found


def refuse_repeats(repeated: Any, table: pd.DataFrame, noun: str) -> None:
    """Refuse a table in which a map holds a place twice.

    Raises
    ------
    InputDataError
        If one is repeated.
    """
    repeated = np.asarray(repeated)
    if repeated.any():
        row = int(np.flatnonzero(repeated)[0])
        msg = f"a map may hold each {noun} once; row {row + 1} repeats one: {table.iloc[row].to_dict()}."
        raise InputDataError(msg)


def keys_of(first: pd.DataFrame, tz: str, days: int | None) -> pd.DataFrame:
    """Keys of the maps, from the first row of each.

    Raises
    ------
    UsageError
        If the end of the period is not known.
    InputDataError
        If a time cannot be read, or a period starts before its cutoff or ends before it starts.
    """
    keys = first[[name for name in MAP_KEYS if name in first]].reset_index(drop=True)
    keys[["model", "category"]] = keys[["model", "category"]].astype(str)
    check_timezone(tz)
    keys["cutoff"] = _times(keys["cutoff"], tz, "cutoff")
    start = keys.get("period_start")
    keys["period_start"] = keys["cutoff"] if start is None else _times(start, tz, "period_start")
    if "period_end" in keys:
        keys["period_end"] = _times(keys["period_end"], tz, "period_end")
    elif isinstance(days, int | np.integer) and days >= 1:
        keys["period_end"] = keys["period_start"] + pd.DateOffset(days=days)
    else:
        msg = f"the period's end is not known: give period_end, or days of at least 1 (got days={days!r})."
        raise UsageError(msg)
    early = keys["period_start"] < keys["cutoff"]
    if early.any() or (keys["period_end"] <= keys["period_start"]).any():
        first = keys.iloc[0].to_dict()
        msg = f"a period must start at its cutoff or later and end after it starts, got {first}."
        raise InputDataError(msg)
    keys["exposure_hours"] = (keys["period_end"] - keys["period_start"]) / pd.Timedelta(hours=1)
    return keys.assign(level=np.nan, outside_count=np.nan)


def _times(values: pd.Series, tz: str, name: str) -> pd.Series:
    try:
        found = pd.to_datetime(values)
    except (ValueError, TypeError):
        row = int(np.argmax(pd.to_datetime(values.astype(str), errors="coerce").isna()))
        got = f"got {values.iloc[row]!r} in map {row + 1}"
        msg = f"{name} must hold times such as '2024-01-31', all written alike, {got}."
        raise InputDataError(msg) from None
    return found.dt.tz_localize(tz) if found.dt.tz is None else found.dt.tz_convert(tz)
