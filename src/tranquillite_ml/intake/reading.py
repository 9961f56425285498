"""Rows on their way from a source to accepted incidents: each guard in turn, each refusal with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.intake import times
from tranquillite_ml.intake.canonical import instants_us
from tranquillite_ml.intake.columns import map_categories, settle_origins
from tranquillite_ml.intake.guards import Problem, Rejection
from tranquillite_ml.intake.intervals import (
    TimeRules,
    certain,
    first_given,
    no_times,
    read_intervals,
    told_of,
)
from tranquillite_ml.intake.persons import describes_person
from tranquillite_ml.intake.placeholders import find_placeholders, minutes_of_day
from tranquillite_ml.intake.places import Bounds, as_degrees, place_rejections, zone_point
from tranquillite_ml.intake.sources import WHERE, Raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUARANTINE_COLUMNS = ("file", "row", "column", "reason", "value")
_TRUE = {"true", "t", "yes", "y", "1", "1.0", "oui", "vrai"}
_FALSE = {"false", "f", "no", "n", "0", "0.0", "non", "faux"}
_SHORT = 80


class Reading:
    """Rows of a source, those still in the race, and what was refused.

    Parameters
    ----------
    raw : Raw
    tz : str
        IANA time zone.
    """

    def __init__(self, raw: Raw, tz: str) -> None:
        self.raw, self.tz = raw, tz
        self.table = raw.table
        self.open = np.ones(len(raw.table), dtype=bool)
        self.problems = list(raw.problems)
        self.refused = [raw.ragged.assign(column="", value="")] if len(raw.ragged) else []
        self.lat = self.lng = np.zeros(0)

    @property
    def n_read(self) -> int:
        """Rows found in the source, those that could not be split into columns included."""
        return len(self.table) + len(self.raw.ragged)

    def reject(
        self, rejections: Iterable[Rejection], show: Callable[[NDArray[np.int64]], pd.Series[Any]]
    ) -> None:
        """Take rows out of the race; a row already out keeps its first reason."""
        for column, reason, mask in rejections:
            rows = np.flatnonzero(mask & self.open)
            if len(rows):
                self.open[rows] = False
                files = np.array(self.raw.files, dtype=object)[self.raw.file[rows]]
                found = {"file": files, "row": self.raw.row[rows], "column": column, "reason": reason}
                self.refused.append(pd.DataFrame({**found, "value": show(rows).to_numpy(dtype=object)}))

    def note(self, what: str, n: int, advice: str, *, of: int | None = None) -> None:
        """Remember a problem, if any row has it."""
        if n:
            self.problems.append(Problem(what, n, n / (self.n_read if of is None else of), advice))

    def keep_where(self, where: Mapping[str, Any]) -> None:
        """Refuse the rows that the user filters out."""
        for name, wanted in where.items():
            values = self.table[WHERE + name]
            listed = list(wanted) if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
            keep = matches(values, listed)
            if not keep.any():
                shown = sorted({str(value) for value in values.dropna().unique()[:10]})
                msg = f"where keeps no row: {name!r} is never one of {listed}. It holds {shown}."
                raise InputDataError(msg)
            self.reject([Rejection(name, f"filtered: {name}", ~keep)], _shown(values))

    def check_places(self, bounds: Bounds | None) -> None:
        """Read coordinates and refuse the rows without a usable place."""
        (self.lat, lat_wrong), (self.lng, lng_wrong) = (
            as_degrees(self.table["lat"]),
            as_degrees(self.table["lng"]),
        )
        # Rows filtered out have no say in where the median place is.
        lat, lng = np.where(self.open, self.lat, np.nan), np.where(self.open, self.lng, np.nan)
        try:
            found = place_rejections(lat, lng, bounds=bounds, reference=zone_point(self.tz))
        except InputDataError as error:
            msg = f"{self.raw.files[0]}: {error}"
            raise InputDataError(msg) from error
        for column, wrong in (("lat", lat_wrong), ("lng", lng_wrong)):
            self.reject([Rejection(column, f"{column} is not a number", wrong)], _shown(self.table[column]))
        self.reject(found, lambda rows: pd.Series(_pairs(self.lat[rows], self.lng[rows]), dtype=object))

    def check_times(self, time_format: str | None, now: pd.Timestamp, rules: TimeRules) -> None:
        """Read times and refuse the rows without a usable one."""
        self.occurred = self._times("occurred_at", time_format)
        found: list[Rejection] = []
        self.uncertain = certain(len(self.table), self.tz)
        column = "occurred_from" if "occurred_from" in self.table else "occurred_at"
        values = self.table[column]
        if column == "occurred_from":
            begin, end = (self._times(name, time_format) for name in ("occurred_from", "occurred_to"))
            self.uncertain, found = read_intervals(begin, end, rules.longest, now, self.tz)
            self.occurred = first_given(begin, self.occurred)
            values = values.where(~begin.missing, self.table.get("occurred_at", values))
        future = Rejection(column, "in the future", np.asarray(self.occurred.instants > now))
        self.reject([*self.occurred.rejections(column), future], _shown(values))
        if found:
            self.reject(found, _shown(self.table.get("occurred_to", values)))
        self._check_placeholders(column, rules, values)
        if "reported_at" in self.table:
            self._check_reported(time_format, now)
        instants = self.uncertain.moment(self.occurred.instants, rules.interval_target)
        self.occurred = replace(self.occurred, instants=instants)

    def _times(self, ours: str, time_format: str | None) -> times.ParsedTimes:
        """One column of times, read; every time is missing if the column is not there."""
        if ours not in self.table:
            return no_times(len(self.table), self.tz)
        values = self.table[ours]
        found = times.parse_times(values, self.tz, time_format)
        if not (found.missing.all() and "occurred_from" in self.table):
            times.refuse_unreadable(values, found, self._label(ours))
        return found

    def _check_placeholders(self, column: str, rules: TimeRules, values: pd.Series[Any]) -> None:
        """Find the times of day that stand for "unknown", and do what the policy says."""
        rows = self.open & ~self.uncertain.given
        minute = np.where(rows, minutes_of_day(instants_us(self.occurred.wall)), -1)
        for found in find_placeholders(minute):
            mask = minute == found.minute
            told = told_of(found, rules.placeholder_times)
            self.note(f"placeholder time {found.clock}", found.n, told, of=int(rows.sum()))
            if rules.placeholder_times == "spread":
                self.uncertain.spread(self.occurred.wall, mask, self.tz)
            elif rules.placeholder_times == "quarantine":
                self.reject([Rejection(column, f"placeholder time {found.clock}", mask)], _shown(values))

    def _check_reported(self, time_format: str | None, now: pd.Timestamp) -> None:
        values = self.table["reported_at"]
        self.reported, begin = times.parse_reported(values, self.tz, self.occurred, time_format)
        missing, *others = self.reported.rejections("reported_at")
        if not missing.mask.all():
            times.refuse_unreadable(values, self.reported, self._label("reported_at"))
        early = np.asarray(self.reported.instants < self.uncertain.earliest(self.occurred.instants))
        found = [
            *(Rejection(column, reason, mask & ~missing.mask) for column, reason, mask in others),
            Rejection("reported_at", "in the future", np.asarray(begin > now)),
            Rejection("reported_at", "reported before it occurred", early),
        ]
        self.reject(found, _shown(values))
        advice = "These rows count as known when they occurred, which may be too early."
        self.note("reported_at missing", int((missing.mask & self.open).sum()), advice)
        cut = self.uncertain.cut(self.reported.instants) & self.open
        advice = "What is reported has occurred: these intervals end with the report."
        self.note("interval ends after its report", int(cut.sum()), advice)

    def check_categories(
        self, categories: Mapping[str, Any] | None, origins: Mapping[str, str] | None, *, require_listed: bool
    ) -> None:
        """Read categories, name them as the targets do, settle origins, and refuse rows without category."""
        text = pd.Series(times.as_text(self.table["category"]).to_numpy(zero_copy_only=False), dtype=object)
        codes, names = pd.factorize(text)
        target_of, declared = map_categories(names.tolist(), categories, require_listed=require_listed)
        self.origins, guessed, absent = settle_origins(target_of, declared, origins)
        self.names = sorted(set(target_of.values()))
        number = {name: rank for rank, name in enumerate(self.names)}
        ranks = np.array([number[target_of[name]] for name in names] + [-1], dtype=np.int64)
        self.category = ranks[codes]
        self.reject([Rejection("category", "category missing", codes < 0)], _shown(self.table["category"]))
        told = (
            "By its name, agents make these records: agent origin. Declare `origins` to confirm or correct."
        )
        for name in guessed:
            self.note(
                f"origin not declared: {name!r}", int((self.category[self.open] == number[name]).sum()), told
            )
        if absent:
            told = "Nothing depends on them; check their spelling."
            self.problems.append(Problem(f"origins for categories that never occur: {absent}", 0, 0.0, told))

    def _label(self, ours: str) -> str:
        files = self.raw.files
        return f"{files[0] if len(files) == 1 else f'{len(files)} files ({files[0]}, …)'}, column for {ours}"

    def quarantine(self) -> pd.DataFrame:
        """Every refused row with its file, its number in that file, the column, the reason and the value."""
        if not self.refused:
            empty = {
                name: pd.Series(dtype="int64" if name == "row" else "str") for name in QUARANTINE_COLUMNS
            }
            return pd.DataFrame(empty)
        whole = pd.concat(self.refused, ignore_index=True)[list(QUARANTINE_COLUMNS)]
        whole = whole.sort_values(["file", "row"], kind="stable", ignore_index=True)
        return whole.astype({name: "str" for name in QUARANTINE_COLUMNS if name != "row"} | {"row": "int64"})


def matches(values: pd.Series[Any], wanted: list[Any]) -> NDArray[np.bool_]:
    """Rows whose value is one of those wanted, whether the file holds it as a number, a truth value or text.

    Examples
    --------
    >>> matches(pd.Series(["TRUE", "false", None]), [True]).tolist()
    [True, False, False]
    >>> matches(pd.Series(["3", "3.0", "13"]), [3]).tolist()
    [True, True, False]
    """
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        return values.isin(wanted).to_numpy(dtype=bool)
    text = pd.Series(times.as_text(values).to_numpy(zero_copy_only=False), dtype=object)
    lower = text.str.casefold()
    keep = np.zeros(len(values), dtype=bool)
    for value in wanted:
        if isinstance(value, bool):
            keep |= lower.isin(_TRUE if value else _FALSE).to_numpy(dtype=bool)
        elif isinstance(value, int | float):
            keep |= (pd.to_numeric(text, errors="coerce") == value).to_numpy(dtype=bool)
        else:
            keep |= (text == str(value).strip()).to_numpy(dtype=bool)
    return keep


def _pairs(lat: NDArray[np.float64], lng: NDArray[np.float64]) -> list[str]:
    return [f"({a}, {b})" for a, b in zip(lat.tolist(), lng.tolist(), strict=True)]


def _shown(values: pd.Series[Any]) -> Callable[[NDArray[np.int64]], pd.Series[Any]]:
    """Give the values of some rows as short text; what describes a person is not repeated."""

    def show(rows: NDArray[np.int64]) -> pd.Series[Any]:
        codes, distinct = pd.factorize(values.iloc[rows])
        texts = [
            str(value) if isinstance(value, pd.Timestamp) else repr(value) for value in distinct.tolist()
        ]
        shown = ["(not shown)" if describes_person(text.strip("'\"")) else text[:_SHORT] for text in texts]
        return pd.Series(np.array([*shown, ""], dtype=object)[codes])

    return show
