"""Uncertain times: intervals in place of instants, those that cannot be used, and the moment that counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.intake.guards import Rejection
from tranquillite_ml.intake.placeholders import POLICIES, PlaceholderPolicy
from tranquillite_ml.intake.times import ParsedTimes, parse_times, start_of_days, time_precision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.intake.placeholders import Placeholder

IntervalTarget = Literal["midpoint", "start", "end"]
_DAYS = re.compile(r"([1-9]\d{0,4})D")
_INSTANT = pd.Timedelta(microseconds=1)


@dataclass(frozen=True)
class TimeRules:
    """How uncertain times are read.

    Parameters
    ----------
    interval_target : {"midpoint", "start", "end"}
        The moment of an interval that counts as `occurred_at`.
    longest_interval : str
        In days, such as ``"7D"``; rows with a longer one are quarantined.
    placeholder_times : {"keep", "spread", "quarantine"}
        What becomes of rows whose time of day stands for "unknown".

    Raises
    ------
    UsageError
        If a value is not one of these.
    """

    interval_target: IntervalTarget = "midpoint"
    longest_interval: str = "7D"
    placeholder_times: PlaceholderPolicy = "keep"

    def __post_init__(self) -> None:
        check_in(self.interval_target, get_args(IntervalTarget), "interval_target")
        check_in(self.placeholder_times, POLICIES, "placeholder_times")
        if not _DAYS.fullmatch(str(self.longest_interval)):
            msg = f"longest_interval must be a number of days such as '7D', got {self.longest_interval!r}."
            raise UsageError(msg)

    @property
    def longest(self) -> pd.Timedelta:
        """`longest_interval` as a length of time."""
        return pd.Timedelta(days=int(self.longest_interval.removesuffix("D")))


@dataclass
class Intervals:
    """The half-open interval [begin, end) in which each row's incident lies; NaT where a time is certain."""

    begin: pd.DatetimeIndex
    end: pd.DatetimeIndex

    @property
    def given(self) -> NDArray[np.bool_]:
        """Rows whose time is an interval."""
        return np.asarray(self.begin.notna())

    def of(self, rows: NDArray[np.int64]) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex] | None:
        """Begin and end of some rows; None if no row has an interval."""
        return (self.begin[rows], self.end[rows]) if self.given[rows].any() else None

    def earliest(self, instants: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """First moment at which each incident may have occurred."""
        given = self.given
        return self.begin.where(given, instants) if given.any() else instants

    def moment(self, instants: pd.DatetimeIndex, target: IntervalTarget) -> pd.DatetimeIndex:
        """The moment that counts: the rule's where there is an interval, else the instant.

        The end is the last microsecond, since the interval is half-open. The midpoint is that of elapsed
        time; among bins of equal length none has a larger weight than the midpoint's.
        """
        given = self.given
        if not given.any():
            return instants
        found = self.begin
        if target == "midpoint":
            found = self.begin + (self.end - self.begin) / 2
        elif target == "end":
            found = self.end - _INSTANT
        return instants.where(~given, found.as_unit("us"))

    def cut(self, reported: pd.DatetimeIndex) -> NDArray[np.bool_]:
        """End intervals when they were reported, since that has occurred; give the rows that changed."""
        late = self.given
        if not late.any():
            return late
        late &= np.asarray((self.end > reported) & (reported >= self.begin))
        self.end = self.end.where(~late, reported)
        nothing = certain(len(late), str(self.begin.tz)).begin
        some = np.asarray(self.end > self.begin)
        self.begin, self.end = self.begin.where(some, nothing), self.end.where(some, nothing)
        return late

    def spread(self, wall: pd.DatetimeIndex, rows: NDArray[np.bool_], tz: str) -> None:
        """Make the whole day of some rows their interval."""
        day = wall.normalize()
        self.begin = self.begin.where(~rows, start_of_days(day, tz))
        self.end = self.end.where(~rows, start_of_days(day + pd.Timedelta(days=1), tz))


def certain(n: int, tz: str) -> Intervals:
    """No interval in any of n rows."""
    nothing = pd.DatetimeIndex(np.full(n, "NaT", dtype="datetime64[us]")).tz_localize(tz)
    return Intervals(nothing, nothing)


def read_intervals(
    begin: ParsedTimes, end: ParsedTimes, longest: pd.Timedelta, now: pd.Timestamp, tz: str
) -> tuple[Intervals, list[Rejection]]:
    """Intervals of the rows that have both ends, and the rows whose interval cannot be used.

    An end without time of day means the end of that day. A row with a begin only, or whose interval has no
    length, occurred at its begin.

    Parameters
    ----------
    begin, end : ParsedTimes
    longest : Timedelta
    now : Timestamp
        Later ends are in the future.
    tz : str
    """
    until = end.instants
    if time_precision(end.wall) == "date":
        until = start_of_days(end.wall + pd.Timedelta(days=1), tz)
    begun, ended = np.asarray(begin.instants.notna()), np.asarray(until.notna())
    given = begun & ended & np.asarray(until > begin.instants)
    blank = certain(len(given), tz).begin
    _, *unread = end.rejections("occurred_to")
    rejections = [
        *(Rejection(column, reason, mask & ~end.missing) for column, reason, mask in unread),
        Rejection("occurred_to", "interval ends before it begins", np.asarray(until < begin.instants)),
        Rejection(
            "occurred_to",
            f"interval longer than {longest.days} days",
            given & np.asarray(until - begin.instants > longest),
        ),
        Rejection("occurred_to", "in the future", np.asarray(end.instants > now)),
    ]
    return Intervals(begin.instants.where(given, blank), until.where(given, blank)), rejections


def first_given(begin: ParsedTimes, occurred: ParsedTimes) -> ParsedTimes:
    """Begins of intervals, and the times of `occurred` where there is none."""
    here = ~begin.missing
    return ParsedTimes(
        begin.instants.where(here, occurred.instants),
        begin.wall.where(here, occurred.wall),
        begin.missing & occurred.missing,
        np.where(here, begin.leap, occurred.leap),
        np.where(here, begin.ambiguous, occurred.ambiguous),
    )


def no_times(n: int, tz: str) -> ParsedTimes:
    """A column that is not there, as one in which every time is missing."""
    empty = pd.Series(np.full(n, None, dtype=object))
    return parse_times(empty, tz)


def told_of(found: Placeholder, policy: PlaceholderPolicy) -> str:
    """What to do about a placeholder time."""
    seen = (
        f"Times near it that are as round hold {found.expected:,.0f}; it holds {found.ratio:.1f} times that "
        f"(95 % interval {found.lower:.1f} to {found.upper:.1f}), so some {found.n - found.expected:,.0f} "
        "of these rows may stand for 'time unknown'. "
    )
    done = {
        "keep": (
            "They are kept at that time: right for bins of a day or longer. For shorter bins use "
            "placeholder_times: spread (features see them anywhere in the day) or quarantine."
        ),
        "spread": "Features see them anywhere in their day; they are counted at its interval_target.",
        "quarantine": "They are quarantined.",
    }
    return seen + done[policy]
