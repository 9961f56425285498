"""Guards on times: parsing, time zone, clock changes, impossible and future times. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.intake.guards import Rejection
from tranquillite_ml.intake.persons import describes_person
from tranquillite_ml.timebins import check_timezone

if TYPE_CHECKING:
    from numpy.typing import NDArray

TimePrecision = Literal["date", "hour", "minute"]

_EARLIEST = pd.Timestamp("1901-01-01")  # 1900-01-01 is what spreadsheets and databases write for "no date"
_ISO_DATE = r"^(\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{8})([T ]|$)"
_OFFSET = r"\d{2}:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"
_LEAP = r":\d{2}:60(\D|$)"
_MONTH = r"^(19|20)\d{4}$"
_UNREADABLE_SHARE = 0.05
_FORMATS = tuple(
    f"{date}{time}"
    for date in ("%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d")
    for time in ("", " %H:%M", " %H:%M:%S", " %I:%M:%S %p", " %I:%M %p", " %Hh%M")
)


def as_text(values: pd.Series[Any]) -> pa.Array:
    """Values as trimmed strings in an Arrow array, null where missing or blank; whole floats lose ``.0``.

    Examples
    --------
    >>> as_text(pd.Series([" a", "", None])).to_pylist(), as_text(pd.Series([7.0, None])).to_pylist()
    (['a', None, None], ['7', None])
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if pd.api.types.is_float_dtype(values.dtype):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        whole = np.isfinite(numbers) & (numbers == np.round(numbers)) & (np.abs(numbers) < 2**53)
        if whole[~np.isnan(numbers)].all():
            values = pd.Series(np.where(whole, numbers, 0)).astype("int64").astype("Int64").mask(~whole)
    try:
        array = pa.array(values, from_pandas=True)
    except (
        pa.ArrowInvalid,
        pa.ArrowTypeError,
        pa.ArrowNotImplementedError,
    ):  # an object column of mixed types
        array = pa.array(
            [None if missing else str(value) for value, missing in zip(values, values.isna(), strict=True)]
        )
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    text = pc.utf8_trim_whitespace(array.cast(pa.large_string()))
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text)


@dataclass(frozen=True)
class ParsedTimes:
    """One column of times, read: instants and local wall-clock times, and what went wrong, by row."""

    instants: pd.DatetimeIndex
    wall: pd.DatetimeIndex
    missing: NDArray[np.bool_]
    leap: NDArray[np.bool_]
    ambiguous: NDArray[np.bool_]

    def rejections(self, column: str) -> list[Rejection]:
        """Rows whose time cannot be used, and why."""
        no_wall = np.asarray(self.wall.isna())
        return [
            Rejection(column, "time missing", self.missing),
            Rejection(column, "time not understood: second 60 (leap second)", self.leap),
            Rejection(column, "time not understood", no_wall & ~self.missing),
            Rejection(
                column, "time does not exist (clock change)", np.asarray(self.instants.isna()) & ~no_wall
            ),
            Rejection(column, "time is a placeholder (before 1901)", np.asarray(self.wall < _EARLIEST)),
        ]


def parse_times(values: pd.Series[Any], tz: str, time_format: str | None = None) -> ParsedTimes:
    """Read a column of times: ISO 8601 text, text of a given format, or datetimes.

    Times with an offset or time zone are converted to `tz`. Times without are local wall-clock
    times: one that does not exist when clocks go forward becomes NaT (unless the column holds dates only:
    then the day starts when the clock does); one that exists twice when clocks go back is taken as the first
    of the two.

    Parameters
    ----------
    values : Series
    tz : str
        IANA time zone.
    time_format : str, optional
        As in `datetime.strptime`. Without it only ISO 8601 is understood: day and month are never guessed.

    Raises
    ------
    UsageError
        If `time_format` cannot be used.

    Examples
    --------
    >>> parse_times(pd.Series(["2024-03-31 02:30", "2024-07-14T12:00Z"]), "Europe/Paris").instants[1]
    Timestamp('2024-07-14 14:00:00+0200', tz='Europe/Paris')
    """
    check_timezone(tz)
    nothing = np.zeros(len(values), dtype=bool)
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        instants = pd.DatetimeIndex(values).tz_convert(tz).as_unit("us")
        return ParsedTimes(instants, instants.tz_localize(None), values.isna().to_numpy(), nothing, nothing)
    if pd.api.types.is_datetime64_dtype(values.dtype):
        wall = pd.DatetimeIndex(values).as_unit("us")
        instants, ambiguous = _localise(wall, tz)
        return ParsedTimes(instants, wall, values.isna().to_numpy(), nothing, ambiguous)
    text = as_text(values)
    missing = _mask(pc.is_null(text))
    leap = _mask(pc.match_substring_regex(text, _LEAP))
    wall, with_offset = _parse_text(text, tz, time_format)
    instants, ambiguous = _localise(wall, tz)
    if with_offset is not None:
        instants = instants.where(with_offset.isna(), with_offset)
        wall, ambiguous = (
            instants.tz_localize(None).where(~with_offset.isna(), wall),
            ambiguous & with_offset.isna(),
        )
    return ParsedTimes(instants, wall, missing, leap, np.asarray(ambiguous))


def _mask(answer: pa.Array) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = pc.fill_null(answer, False).to_numpy(zero_copy_only=False)
    return mask


def _parse_text(
    text: pa.Array, tz: str, time_format: str | None
) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex | None]:
    """Local wall times, and the instants of those rows that state their own offset."""
    if time_format is not None:
        return _parse_format(text, tz, time_format)
    try:  # the plain "YYYY-MM-DD HH:MM:SS" of most files, eight times faster than the general parser
        return pd.DatetimeIndex(text.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)), None
    except pa.ArrowInvalid:
        pass
    none = pa.scalar(None, pa.large_string())
    iso = pc.if_else(pc.match_substring_regex(text, _ISO_DATE), text, none)
    offset = pc.fill_null(pc.match_substring_regex(iso, _OFFSET), False)
    naive = pd.to_datetime(_objects(pc.if_else(offset, none, iso)), format="ISO8601", errors="coerce")
    wall = pd.DatetimeIndex(naive).as_unit("us")
    if not pc.any(offset).as_py():
        return wall, None
    aware = pd.to_datetime(
        _objects(pc.if_else(offset, iso, none)), format="ISO8601", errors="coerce", utc=True
    )
    return wall, pd.DatetimeIndex(aware).tz_convert(tz).as_unit("us")


def _parse_format(
    text: pa.Array, tz: str, time_format: str
) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex | None]:
    with_offset = "%z" in time_format
    try:
        parsed = pd.to_datetime(_objects(text), format=time_format, errors="coerce", utc=with_offset)
    except ValueError as error:
        msg = (
            f"time_format {time_format!r} cannot be used: {error}. Write it as for datetime.strptime, such "
            "as '%d/%m/%Y %H:%M'."
        )
        raise UsageError(msg) from error
    index = pd.DatetimeIndex(parsed).as_unit("us")
    if with_offset:
        index = index.tz_convert(tz)
        return pd.DatetimeIndex(np.full(len(index), "NaT", dtype="datetime64[us]")), index
    return index, None


def _objects(text: pa.Array) -> pd.Series[Any]:
    return pd.Series(text.to_numpy(zero_copy_only=False), dtype=object)


def _localise(wall: pd.DatetimeIndex, tz: str) -> tuple[pd.DatetimeIndex, NDArray[np.bool_]]:
    """Instants of local wall times, the first where there are two; and which rows have two."""
    dated_only = time_precision(wall) == "date"
    gap: Literal["shift_forward", "NaT"] = "shift_forward" if dated_only else "NaT"
    first = wall.tz_localize(tz, ambiguous=np.ones(len(wall), dtype=bool), nonexistent=gap)
    second = wall.tz_localize(tz, ambiguous=np.zeros(len(wall), dtype=bool), nonexistent=gap)
    return first, np.asarray((first != second) & ~first.isna())


def time_precision(wall: pd.DatetimeIndex) -> TimePrecision:
    """How finely times are known: "date" if all are at midnight, "hour" if on the hour, else "minute".

    Examples
    --------
    >>> time_precision(pd.DatetimeIndex(["2024-01-01 08:00", "2024-01-01 00:00"]))
    'hour'
    """
    minutes = wall[~wall.isna()].as_unit("us").asi8 // 60_000_000
    exact = wall[~wall.isna()].as_unit("us").asi8 % 60_000_000 == 0
    if not exact.all() or (minutes % 60).any():
        return "minute"
    return "hour" if (minutes % 1440).any() else "date"


def refuse_unreadable(values: pd.Series[Any], times: ParsedTimes, label: str) -> None:
    """Stop the reading if more than 5 % of the times given (and more than one row) are not understood.

    A leap second is not counted: its format is right.

    Raises
    ------
    InputDataError
        Showing examples and the formats that would fit them.
    """
    if times.missing.all():
        msg = f"{label}: no row has a time. Check `columns`."
        raise InputDataError(msg)
    failed = np.asarray(times.wall.isna()) & ~times.missing & ~times.leap
    given = int((~times.missing).sum())
    n = int(failed.sum())
    if n <= _UNREADABLE_SHARE * given or (n == 1 and given > 1):
        return
    examples = list(dict.fromkeys(as_text(values[failed].head(500)).to_pylist()))
    advice = _advice(examples, n_understood=given - n)
    harmless = [repr(text[:40]) for text in examples if not describes_person(text)]
    shown = f" (such as {', '.join(harmless[:3])})" if harmless else ""
    first = int(np.argmax(failed)) + 1
    msg = (
        f"{label}: {n} of {given} times are not ISO 8601 or of the given time_format, the first in data row "
        f"{first}{shown}. {advice}"
    )
    raise InputDataError(msg)


def _advice(examples: list[str], *, n_understood: int) -> str:
    """How times that are not understood can be, where so many others are."""
    fitting = [layout for layout in _FORMATS if _fits(examples, layout)]
    if n_understood > _UNREADABLE_SHARE * len(examples) and fitting:
        named = " or ".join(map(repr, fitting[:3]))
        return (
            f"The other {n_understood} are: the column mixes formats (these fit {named}). Bring all to one, "
            "such as 2024-03-31 02:30; day and month are never guessed."
        )
    if len(fitting) == 1:
        return f"Give time_format={fitting[0]!r}."
    if all(text.isdigit() and len(text) in {10, 13} for text in examples):
        return (
            "They may be seconds or milliseconds since 1970: convert them to ISO 8601 with an offset first."
        )
    if fitting:
        return f"Several formats fit ({', '.join(map(repr, fitting))}): give the right one as time_format."
    return "Give time_format, such as '%d/%m/%Y %H:%M'; if formats are mixed, bring them to one first."


def _fits(examples: list[str], layout: str) -> bool:
    return bool(
        pd.to_datetime(pd.Series(examples, dtype=object), format=layout, errors="coerce").notna().all()
    )


def parse_reported(
    values: pd.Series[Any], tz: str, occurred: ParsedTimes, time_format: str | None = None
) -> tuple[ParsedTimes, pd.DatetimeIndex]:
    """Read when incidents were reported.

    A month (``200901``, as integer or text) was known at the first instant of the next month. A date without
    time of day, where incidents have one, was known at the first instant of the next day: otherwise a record
    would be used hours before it existed.

    Returns
    -------
    times : ParsedTimes
        When each incident was known; NaT where missing.
    begin : DatetimeIndex
        Start of the month, day or instant that the file states: later than now means a wrong date.
    """
    months = _months(values)
    if months is not None:
        wall = pd.DatetimeIndex((months + np.timedelta64(1, "M")).astype("datetime64[us]"))
        begin = pd.DatetimeIndex(months.astype("datetime64[us]")).tz_localize(tz, nonexistent="shift_forward")
        return _at_start_of(wall, tz, values), begin
    is_text = not pd.api.types.is_datetime64_any_dtype(values.dtype)
    times = parse_times(values, tz, time_format if is_text else None)
    if is_text and time_format is not None:  # the format is that of occurred_at; this column may be plain ISO
        iso, unread = parse_times(values, tz), times.wall.isna()
        wall, instants = times.wall.where(~unread, iso.wall), times.instants.where(~unread, iso.instants)
        times = replace(times, wall=wall, instants=instants)
    if time_precision(times.wall) == "date" and time_precision(occurred.wall) != "date":
        return _at_start_of(times.wall + pd.Timedelta(days=1), tz, values), times.instants
    return times, times.instants


def _months(values: pd.Series[Any]) -> NDArray[np.datetime64] | None:
    """Months of a column of YYYYMM, NaT where there is none; None if most values are something else."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return None
    text = as_text(values)
    months = _mask(pc.match_substring_regex(text, _MONTH))
    if not months.any() or months.sum() < 0.5 * (len(text) - text.null_count):
        return None
    only = pc.if_else(pa.array(months), text, pa.scalar(None, pa.large_string()))
    start = pd.to_datetime(_objects(only), format="%Y%m", errors="coerce")
    result: NDArray[np.datetime64] = start.to_numpy().astype("datetime64[M]")
    return result


def _at_start_of(wall: pd.DatetimeIndex, tz: str, values: pd.Series[Any]) -> ParsedTimes:
    """Times moved to the start of a day."""
    instants = start_of_days(wall, tz)
    nothing = np.zeros(len(wall), dtype=bool)
    return ParsedTimes(instants, wall, values.isna().to_numpy(), nothing, nothing)


def start_of_days(wall: pd.DatetimeIndex, tz: str) -> pd.DatetimeIndex:
    """Instants at which days start: where midnight does not exist, when the clock does."""
    return wall.tz_localize(tz, ambiguous=np.ones(len(wall), dtype=bool), nonexistent="shift_forward")
