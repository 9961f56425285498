"""Rows of a context layer through their guards: places, times, what was known when, and one order for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.intake import context_series as series
from tranquillite_ml.intake import times
from tranquillite_ml.intake.canonical import counts_by, instants_us
from tranquillite_ml.intake.context_rules import refuse_foreknowledge, settle_rule
from tranquillite_ml.intake.context_shapes import check_shapes
from tranquillite_ml.intake.guards import Rejection
from tranquillite_ml.intake.places import as_degrees, distance_km, zone_point
from tranquillite_ml.intake.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tranquillite_ml.intake.context_files import Layer
    from tranquillite_ml.intake.context_rules import Kind, KnownRule

MAX_TYPES = 100
_FAR_KM = 5_000
_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Rows:
    """What passed the guards, in canonical order."""

    table: pd.DataFrame
    numbers: list[str]
    issued: bool
    known: str
    n_repeats: int
    reading: Reading


def settle_rows(layer: Layer, kind: Kind, tz: str, known: str | None, time_format: str | None) -> Rows:
    """Bring the rows of a layer to the canonical form, refusing those that cannot be used.

    Raises
    ------
    InputDataError
        If no row is left, or the layer is wrong as a whole.
    UsageError
        If nothing says when its rows were known.
    LookAheadError
        If measured values are said to be known too early.
    """
    reading, label = Reading(layer.raw, tz), layer.raw.files[0]
    given, issued = layer.raw.table, "issued_at" in layer.raw.table
    rule = settle_rule(kind, known, tz, column="known_at" in given, issued=issued)
    shapes = _check_places(reading, layer, kind)
    table = pd.DataFrame(index=given.index)
    table["valid_from"], table["valid_to"] = _validity(reading, kind, tz, time_format)
    _check_values(reading, layer, kind)
    table["known_at"] = _known(reading, table, rule, tz, time_format)
    for name in ("type", "attendance", *layer.numbers):
        if name in given:
            table[name] = _typed(reading, name)
    if kind in {"events", "points"} or (kind == "operations" and ("lat" in given or shapes is not None)):
        table["lat"], table["lng"] = reading.lat, reading.lng
    rows, repeats = np.flatnonzero(reading.open), np.zeros(0, dtype=bool)
    kept, values = table.iloc[rows], list(layer.numbers)
    if kind in {"series", "calendar"}:
        kept, values, repeats, rows = _slotted(reading, kept, kind, values, label)
    _refuse_empty(reading, len(kept))
    if kind in {"series", "operations"} and not issued:
        ends = pd.DatetimeIndex(kept["valid_to"])
        refuse_foreknowledge(pd.DatetimeIndex(kept["known_at"]), ends, label)
    if kind in {"lines", "areas"} and shapes is not None:
        kept = kept.assign(geometry=shapes[rows])
    if layer.ignored:
        told = "They are neither numbers nor named in `columns`, and were not kept."
        reading.note(f"columns left aside: {', '.join(layer.ignored[:5])}", reading.n_read, told)
    told = " or else ".join(
        [*(["column known_at"] if "known_at" in given else []), *([] if rule is None else [rule.text])]
    )
    return Rows(_ordered(kept, values), values, issued, told, int(repeats.sum()), reading)


def _refuse_empty(reading: Reading, n: int) -> None:
    if n == 0:
        reasons = ", ".join(
            f"{why}: {n}" for why, n in list(counts_by(reading.quarantine()["reason"]).items())[:5]
        )
        msg = f"none of the {reading.n_read} rows of {reading.raw.files[0]} can be used ({reasons})."
        raise InputDataError(msg)


def _check_places(reading: Reading, layer: Layer, kind: Kind) -> NDArray[Any] | None:
    """Refuse rows without a usable place; the shapes in longitude and latitude, if there are any."""
    import shapely

    shapes = layer.shapes
    if shapes is not None:
        kinds = ("points", "lines", "areas")
        largest = max(int(shapely.get_dimensions(shapes).max(initial=0)), 0)
        as_kind = kinds[largest] if kind == "operations" else kind
        shapes = check_shapes(reading, shapes, as_kind)
        _refuse_empty(reading, int(reading.open.sum()))
        inside = shapely.point_on_surface(shapes) if as_kind in {"lines", "areas"} else shapes
        inside[~reading.open] = None
        reading.table["lat"], reading.table["lng"] = shapely.get_y(inside), shapely.get_x(inside)
    if "lat" not in reading.table:
        return shapes
    reading.check_places(None)
    _refuse_empty(reading, int(reading.open.sum()))
    centre = float(np.median(reading.lat[reading.open])), float(np.median(reading.lng[reading.open]))
    home = zone_point(reading.tz)
    away = 0.0 if home is None else float(distance_km(np.array(centre[0]), np.array(centre[1]), *home))
    if away > _FAR_KM:
        msg = (
            f"{reading.raw.files[0]}: the layer lies around ({centre[0]:.2f}, {centre[1]:.2f}), {away:,.0f} "
            f"km from {reading.tz}: is its coordinate system the one it states?"
        )
        raise InputDataError(msg)
    return shapes


def _moments(
    reading: Reading, name: str, tz: str, time_format: str | None, *, next_day: bool
) -> pd.DatetimeIndex:
    """A column of moments, bad ones refused; with `next_day`, a column of dates counts from the day after."""
    values = reading.table[name]
    parsed = times.parse_times(values, tz, time_format)
    missing, *others = parsed.rejections(name)
    if not missing.mask.all():
        times.refuse_unreadable(values, parsed, f"{reading.raw.files[0]}, column for {name}")
    reading.reject(others, _shown(values))
    if next_day and times.time_precision(parsed.wall) == "date" and not missing.mask.all():
        return series.after(parsed.instants, _DAY)
    return parsed.instants


def _validity(
    reading: Reading, kind: Kind, tz: str, time_format: str | None
) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """From when and up to when each row holds."""
    given, n = reading.table, len(reading.table)
    none = pd.DatetimeIndex(np.full(n, "NaT", dtype="datetime64[us]")).tz_localize(tz)
    timed = kind in {"series", "calendar", "events", "operations"}
    start = none
    if "valid_from" in given and (timed or given["valid_from"].notna().any()):
        start = _moments(reading, "valid_from", tz, time_format, next_day=False)
        if timed:
            reading.reject(
                [Rejection("valid_from", "time missing", np.asarray(start.isna()))],
                _shown(given["valid_from"]),
            )
    end = none
    if "valid_to" in given and given["valid_to"].notna().any():
        end = _moments(reading, "valid_to", tz, time_format, next_day=True)
    if timed and end.isna().any():
        end = end.where(~end.isna(), _ends(reading, kind, start))
    early = np.asarray(end < start)
    if early.any():
        reading.reject([Rejection("valid_to", "ends before it begins", early)], _shown(given["valid_to"]))
    return start, end


def _ends(reading: Reading, kind: Kind, start: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """When rows without an end of their own end: a step later, with the day, or at once."""
    usable = start[reading.open & ~np.asarray(start.isna())]
    dated = times.time_precision(usable.tz_localize(None)) == "date"
    if kind == "series":
        step = series.step_of(usable, reading.raw.files[0])
        _note_steps(reading, usable, step)
        return series.after(start, step)
    return series.after(start, _DAY) if kind == "calendar" or dated else start


def _note_steps(reading: Reading, start: pd.DatetimeIndex, step: pd.Timedelta) -> None:
    missing, first = series.gaps(start, step)
    reading.note(
        f"gaps: steps of {step} missing, first {first}", missing, "Features that need them are missing there."
    )
    clock = (start.tz_localize(None) - start.tz_localize(None).normalize()).unique()
    if step == _DAY and len(clock) <= 2 and (clock != pd.Timedelta(0)).all():
        told = "Is the series in another time zone? Say which one as tz, or give times with an offset."
        reading.note(f"daily values begin at {clock.min()} local time", len(start), told)


def _check_values(reading: Reading, layer: Layer, kind: Kind) -> None:
    given = reading.table
    if kind in {"series", "operations"} and not layer.numbers:
        texts = ", ".join(repr(name) for name in layer.ignored)
        told = f"; there is none. No numbers are in {texts}." if texts else "; there is none."
        msg = f"{reading.raw.files[0]}: a layer of kind {kind!r} needs a column of numbers{told}"
        raise InputDataError(msg)
    if kind == "calendar" and not layer.numbers and "type" not in given:
        msg = f"{reading.raw.files[0]}: a calendar needs columns of true and false, or a column `type`."
        raise InputDataError(msg)
    for name in layer.numbers:
        endless = np.isinf(given[name].to_numpy(np.float64))
        reading.reject([Rejection(name, "value is not finite", endless)], _shown(given[name]))
        reading.note(
            f"{name} missing", int(given[name].isna().sum()), "Features that need them are missing there."
        )


def _typed(reading: Reading, name: str) -> Any:
    """Types as text, numbers as float64; rows without type are refused."""
    values = reading.table[name]
    if name != "type":
        numbers, wrong = as_degrees(values) if name == "attendance" else (values.to_numpy(np.float64), None)
        if wrong is not None:
            bad = wrong | (np.nan_to_num(numbers) < 0)
            reading.reject([Rejection(name, f"{name} is not a number ≥ 0", bad)], _shown(values))
            told = "Such events count as events, and with no one in sums of attendance."
            reading.note("attendance missing", int(np.isnan(numbers).sum()), told)
        return numbers
    text = pd.Series(times.as_text(values).to_numpy(zero_copy_only=False), dtype=object, index=values.index)
    reading.reject([Rejection("type", "type missing", text.isna().to_numpy())], _shown(values))
    n_types = text.nunique()
    if n_types > MAX_TYPES:
        msg = (
            f"{reading.raw.files[0]}: the column for type holds {n_types:,} different words; types are few "
            f"(at most {MAX_TYPES}), such as bar, school, stop. Name another column, or none."
        )
        raise InputDataError(msg)
    return text


def _known(
    reading: Reading, table: pd.DataFrame, rule: KnownRule | None, tz: str, time_format: str | None
) -> pd.DatetimeIndex:
    """When each row was known; rows of which neither a column nor the rule says it are refused."""
    given = reading.table
    start, end = pd.DatetimeIndex(table["valid_from"]), pd.DatetimeIndex(table["valid_to"])
    issue = _moments(reading, "issued_at", tz, time_format, next_day=True) if "issued_at" in given else None
    by_rule = None if rule is None else rule.instants(start, end, issue)
    if issue is not None:
        reading.reject(
            [Rejection("issued_at", "issue missing", np.asarray(issue.isna()))], _shown(given["issued_at"])
        )
    told = None
    if "known_at" in given and given["known_at"].notna().any():
        told = _moments(reading, "known_at", tz, time_format, next_day=True)
        by_rule = told if by_rule is None else told.where(~told.isna(), by_rule)
    if by_rule is None:
        by_rule = pd.DatetimeIndex(np.full(len(given), "NaT", dtype="datetime64[us]")).tz_localize(tz)
    if rule is None or rule.text != "always":
        lost = Rejection("known_at", "known_at missing", np.asarray(by_rule.isna()))
        reading.reject([lost], lambda rows: pd.Series(np.full(len(rows), ""), dtype=object))
    return by_rule


def _slotted(
    reading: Reading, kept: pd.DataFrame, kind: Kind, values: list[str], label: str
) -> tuple[pd.DataFrame, list[str], NDArray[np.bool_], NDArray[np.int64]]:
    """Series and calendars with one value for a slot and a moment it was known."""
    n, rows = len(reading.open), np.flatnonzero(reading.open)
    same = [*values, "valid_to", *(["type"] if "type" in kept else [])]
    if kind == "calendar" and "type" in kept:
        repeats = kept.duplicated(["valid_from", "valid_to", "known_at", "type"]).to_numpy()
        found: list[Rejection] = []
    else:
        found, repeats = series.conflicts(kept, same, rows, n)
    reading.reject(found, _shown(reading.table["valid_from"]))
    still = reading.open[rows] & ~repeats
    kept, rows = kept[still], rows[still]
    if kind == "series":
        late = series.overlaps(kept, rows, n)
        reading.reject([late], _shown(reading.table["valid_from"]))
        still = reading.open[rows]
        return kept[still], values, repeats, rows[still]
    _refuse_empty(reading, len(kept))
    kept, values = series.by_day(kept, values, label)
    twice = series.conflicts(kept, values, np.arange(len(kept)), len(kept))[0][0].mask
    if twice.any():
        first = kept["valid_from"][twice].iloc[0]
        msg = f"{label}: the calendar says two different things of {first:%Y-%m-%d}. Correct it."
        raise InputDataError(msg)
    return kept.drop_duplicates(ignore_index=True), values, repeats, np.arange(len(kept))


def _ordered(table: pd.DataFrame, values: list[str]) -> pd.DataFrame:
    """Columns and rows in canonical order."""
    import shapely

    structure = [
        n for n in ("known_at", "valid_from", "valid_to", "lat", "lng", "type", "attendance") if n in table
    ]
    table = table[[*structure, *values, *(["geometry"] if "geometry" in table else [])]].copy()
    keys: list[NDArray[Any]] = [instants_us(table[name]) for name in ("valid_from", "valid_to", "known_at")]
    keys += [
        table[name].to_numpy(np.float64) for name in ("lat", "lng", "attendance", *values) if name in table
    ]
    if "type" in table:
        table["type"] = table["type"].astype(str)
        keys.append(table["type"].astype("category").cat.codes.to_numpy())
    if "geometry" in table:
        keys.append(np.unique(shapely.to_wkb(table["geometry"].to_numpy()), return_inverse=True)[1])
    return table.iloc[np.lexsort(keys[::-1])].reset_index(drop=True)


def _shown(values: pd.Series[Any]) -> Callable[[NDArray[np.int64]], pd.Series[Any]]:
    """Give the values of some rows as short text; what describes a person is not repeated."""
    from tranquillite_ml.intake.persons import describes_person

    def show(rows: NDArray[np.int64]) -> pd.Series[Any]:
        texts = [str(value)[:80] for value in values.iloc[rows].tolist()]
        return pd.Series(["(not shown)" if describes_person(t) else t for t in texts], dtype=object)

    return show
