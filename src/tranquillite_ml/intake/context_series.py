"""Series and calendars: one slot of time a row, no two values for one slot, gaps known. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.intake.guards import Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_DAYS = 200_000


def step_of(start: pd.DatetimeIndex, label: str) -> pd.Timedelta:
    """The most common step between the starts of a series, on the wall clock.

    Raises
    ------
    InputDataError
        If there are fewer than two starts, or no step stands out.

    Examples
    --------
    >>> days = pd.DatetimeIndex(["2024-03-30", "2024-03-31", "2024-04-01"], tz="Europe/Paris")
    >>> step_of(days, "weather")
    Timedelta('1 days 00:00:00')
    """
    wall = start.tz_localize(None).unique().sort_values()
    steps, counts = np.unique(np.diff(wall.to_numpy()), return_counts=True)
    if not len(steps) or counts.max() < 0.5 * counts.sum():
        msg = (
            f"{label}: the series has no regular step ({len(wall)} times), so that nothing says how long a "
            "value holds. Name the column that says when it ends (columns={'valid_to': …})."
        )
        raise InputDataError(msg)
    return pd.Timedelta(steps[np.argmax(counts)])


def after(start: pd.DatetimeIndex, step: pd.Timedelta) -> pd.DatetimeIndex:
    """The moments one step later on the wall clock; one that does not exist moves forward."""
    wall = start.tz_localize(None) + step
    return wall.tz_localize(start.tz, nonexistent="shift_forward", ambiguous=np.ones(len(wall), dtype=bool))


def gaps(start: pd.DatetimeIndex, step: pd.Timedelta) -> tuple[int, pd.Timestamp | None]:
    """How many steps are missing between the first and the last start, and the first that is."""
    wall = start.tz_localize(None).unique().sort_values()
    jumps = np.diff(wall.to_numpy()) // step.to_timedelta64()
    long = np.flatnonzero(jumps > 1)
    return int((jumps[long] - 1).sum()), (wall[long[0]] + step if len(long) else None)


def conflicts(
    table: pd.DataFrame, values: Sequence[str], rows: NDArray[np.int64], n: int
) -> tuple[list[Rejection], NDArray[np.bool_]]:
    """Rows that give a second value for one slot known at one moment, and rows that only repeat another.

    Both values of a conflict are refused: nothing says which is right, and which comes first means nothing.

    Parameters
    ----------
    table : DataFrame
        Rows still in the race, with ``valid_from, known_at`` and the values.
    values : sequence of str
    rows : ndarray of int64, shape (len(table),)
        Their numbers in the source, of which there are `n`.

    Returns
    -------
    rejections : list of Rejection
    repeats : ndarray of bool, shape (len(table),)
    """
    keys = ["valid_from", "known_at"]
    repeats = table.duplicated([*keys, *values]).to_numpy()
    twice = np.zeros(len(table), dtype=bool)
    twice[~repeats] = table[~repeats].duplicated(keys, keep=False).to_numpy()
    if twice.any():  # a repeat of a row in conflict is in conflict, too
        slots = pd.MultiIndex.from_frame(table[keys])
        twice = np.asarray(slots.isin(slots[twice]))
    mask = np.zeros(n, dtype=bool)
    mask[rows[twice]] = True
    return [Rejection("valid_from", "two values for one time", mask)], repeats & ~twice


def overlaps(table: pd.DataFrame, rows: NDArray[np.int64], n: int) -> Rejection:
    """Rows whose slot begins before the slot before it has ended."""
    slots = table.groupby("valid_from", sort=True)["valid_to"].max()
    ends = pd.DatetimeIndex(slots).as_unit("us").asi8
    starts = pd.DatetimeIndex(slots.index).as_unit("us").asi8
    inside = np.zeros(len(slots), dtype=bool)
    inside[1:] = starts[1:] < np.maximum.accumulate(ends)[:-1]
    mask = np.zeros(n, dtype=bool)
    mask[rows[table["valid_from"].isin(slots.index[inside]).to_numpy()]] = True
    return Rejection("valid_from", "overlaps the time of another value", mask)


def by_day(table: pd.DataFrame, values: list[str], label: str) -> tuple[pd.DataFrame, list[str]]:
    """One row a local day and moment it was known: what each stretch of days says of its days.

    Where a stretch has a type, each type becomes a value, 1 on its days and 0 on all others between the first
    and the last day of the layer. A day told more than once, from different moments on, has as many rows.

    Parameters
    ----------
    table : DataFrame
        ``valid_from, valid_to, known_at``, and a ``type`` or values.
    values : list of str
    label : str
        Name for messages.

    Raises
    ------
    InputDataError
        If the stretches hold more than 200,000 days.
    """
    tz = table["valid_from"].dt.tz
    first = table["valid_from"].dt.tz_localize(None).dt.normalize()
    after_last = (table["valid_to"].dt.tz_localize(None) - pd.Timedelta(1, "us")).dt.normalize()
    length = np.maximum(((after_last - first) // pd.Timedelta(days=1)).to_numpy() + 1, 1)
    span = int((after_last.max() - first.min()) // pd.Timedelta(days=1)) + 1
    if max(length.sum(), span) > MAX_DAYS:
        msg = f"{label}: the calendar holds {max(int(length.sum()), span):,} days; its dates must be wrong."
        raise InputDataError(msg)
    which = np.repeat(np.arange(len(table)), length)
    offset = np.arange(len(which)) - np.repeat(np.cumsum(length) - length, length)
    days = first.to_numpy()[which].astype("datetime64[D]") + offset
    known = table["known_at"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    told = pd.DataFrame({"day": days, "known_at": known[which]})
    if "type" in table:
        names = sorted(table["type"].unique())
        for name in names:
            told[name] = (table["type"].to_numpy() == name)[which].astype(np.float64)
        told, values = _filled(told, names, first.min(), span), names
    else:
        told = told.assign(**{name: table[name].to_numpy()[which] for name in values})
    return _dated(told, values, tz), values


def _filled(told: pd.DataFrame, names: list[str], first: Any, span: int) -> pd.DataFrame:
    """Zeros known always on every day, and from each moment on all that had been told of the day by then."""
    every = np.datetime64(first, "D") + np.arange(span)
    zeros = pd.DataFrame({"day": every, "known_at": np.datetime64("NaT", "us")} | dict.fromkeys(names, 0.0))
    zeros["known_at"] = zeros["known_at"].astype(told["known_at"].dtype)
    whole = pd.concat([zeros, told], ignore_index=True)
    whole = whole.sort_values(["day", "known_at"], kind="stable", na_position="first", ignore_index=True)
    whole[names] = whole.groupby("day", sort=False)[names].cummax()
    return whole.drop_duplicates(["day", "known_at"], keep="last", ignore_index=True)


def _dated(told: pd.DataFrame, values: list[str], tz: Any) -> pd.DataFrame:
    wall = pd.DatetimeIndex(told["day"]).as_unit("us")
    start = wall.tz_localize(tz, nonexistent="shift_forward", ambiguous=np.ones(len(wall), dtype=bool))
    known = pd.DatetimeIndex(told["known_at"]).as_unit("us").tz_localize("UTC").tz_convert(tz)
    dated = pd.DataFrame(
        {"valid_from": start, "valid_to": after(start, pd.Timedelta(days=1)), "known_at": known}
    )
    return dated.assign(**{name: told[name].to_numpy(np.float64) for name in values})
