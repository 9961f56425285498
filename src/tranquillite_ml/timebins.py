"""Half-open time bins in local wall-clock time, with exact exposure across daylight-saving changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, UsageError, check_kind, is_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FREQ = re.compile(r"^(\d+)\s*(h|D)$")
_HOUR = 3_600_000_000  # microseconds
_DAY = 24 * _HOUR


def parse_freq(freq: str) -> int:
    """Hours of wall-clock time in one bin: ``"1h"`` 1, ``"8h"`` 8, ``"1D"`` 24, ``"7D"`` 168.

    Raises
    ------
    UsageError
        If `freq` is not a number of hours that divides a day, or a number of days.

    Examples
    --------
    >>> parse_freq("8h"), parse_freq("7D")
    (8, 168)
    """
    mend = "Give hours that divide a day ('1h', '8h', …) or days ('1D', '7D')."
    match = _FREQ.match(check_kind(freq, str, "freq", mend))
    hours = 0 if match is None else int(match[1]) * (1 if match[2] == "h" else 24)
    if hours < 1 or (24 % hours and hours % 24):
        msg = f"freq must be hours that divide a day ('1h', '8h', …) or days ('1D', '7D'), got {freq!r}."
        raise UsageError(msg)
    return hours


@dataclass(frozen=True)
class TimeBins:
    """A regular lattice of half-open local-time bins, each named by its start.

    Bins are cut on the wall clock: a day always holds the same number of bins, so that "the same hour last
    week" is a fixed number of bins away. What daylight saving adds or takes is in `exposure_hours`: with
    ``freq="1h"`` the hour that does not exist in spring has exposure 0 and the doubled hour in autumn has 2;
    with ``freq="1D"`` those days have 23 and 25.

    Parameters
    ----------
    first : str or Timestamp
        Local wall-clock start of the first bin, without time zone. Must lie on the lattice (midnight for
        daily bins).
    n_bins : int
        Number of bins.
    freq : str
        Length of a bin: ``"1h"``, ``"8h"``, ``"1D"``, ``"7D"``, …
    tz : str
        IANA time zone, such as ``"Europe/Paris"``.

    Raises
    ------
    UsageError
        If `freq`, `tz` or `first` cannot be used.

    Examples
    --------
    >>> bins = TimeBins("2024-03-30", 3, "1D", "Europe/Paris")
    >>> bins.exposure_hours.tolist()
    [24.0, 23.0, 24.0]
    >>> bins.index_at("2024-04-01")
    2
    """

    first: pd.Timestamp
    n_bins: int
    freq: str
    tz: str

    def __init__(self, first: str | pd.Timestamp, n_bins: int, freq: str, tz: str) -> None:
        hours = parse_freq(freq)
        start = _moment(first)
        if start.tz is not None:
            start = start.tz_convert(check_timezone(tz)).tz_localize(None)
        start = start.as_unit("us")
        if not is_whole(n_bins):
            msg = f"n_bins must be a whole number, got {n_bins!r}."
            raise UsageError(msg)
        if n_bins < 0:
            msg = f"n_bins must be zero or more, got {n_bins}."
            raise UsageError(msg)
        step = min(hours, 24) * _HOUR
        if int(start.value // 1 if start.unit == "ns" else start.asm8.astype("int64")) % step:
            msg = f"first must lie on the {freq} lattice of local midnight, got {first}."
            raise UsageError(msg)
        object.__setattr__(self, "first", start)
        object.__setattr__(self, "n_bins", int(n_bins))
        object.__setattr__(self, "freq", freq)
        object.__setattr__(self, "tz", check_timezone(tz))

    @classmethod
    def covering(
        cls, incidents: Any, *, freq: str = "1D", until: str | pd.Timestamp | None = None
    ) -> TimeBins:
        """Bins from the day of the first incident to the day of the last one (or up to `until`, exclusive).

        Whole days are covered, and whole bins of several days are aligned to the *end*, so that the last bin
        ends with the data.

        Raises
        ------
        UsageError
            If these are no incidents.
        InputDataError
            If there is no incident, or its times are known to the day only and `freq` is finer than a day.
        """
        hours = parse_freq(freq)
        if not hasattr(incidents, "time_precision"):
            came = type(incidents).__name__
            msg = f"incidents must be Incidents, got {came}. read_incidents(source, tz=…) makes them."
            raise UsageError(msg)
        table = incidents.table
        if len(table) == 0:
            msg = "cannot lay time bins over no incidents: the accepted table is empty (see `.quarantine`)."
            raise InputDataError(msg)
        if hours < 24 and incidents.time_precision == "date":
            msg = (
                f"freq={freq!r} needs times of day, but these incidents are dated by the day only. "
                "Use freq='1D' or coarser."
            )
            raise InputDataError(msg)
        wall = table["occurred_at"].dt.tz_localize(None)
        begin = wall.min().normalize()
        end = wall.max().normalize() + pd.Timedelta(days=1)
        if until is not None:
            end = _wall(until, incidents.tz)
        n_bins = int((end - begin) // pd.Timedelta(hours=hours))
        return cls(end - n_bins * pd.Timedelta(hours=hours), n_bins, freq, incidents.tz)

    @property
    def hours(self) -> int:
        """Wall-clock hours in one bin."""
        return parse_freq(self.freq)

    @property
    def bins_per_day(self) -> float:
        """Bins in one day: 24 for ``"1h"``, 1/7 for ``"7D"``."""
        return 24 / self.hours

    @property
    def end(self) -> pd.Timestamp:
        """Local wall-clock end of the last bin."""
        return self.first + self.n_bins * pd.Timedelta(hours=self.hours)

    @cached_property
    def wall_edges(self) -> pd.DatetimeIndex:
        """The n_bins + 1 edges as local wall-clock times, without time zone."""
        return self.wall_at(np.arange(self.n_bins + 1))

    @cached_property
    def edges(self) -> pd.DatetimeIndex:
        """The n_bins + 1 edges as instants in the local time zone."""
        return self.instants(np.arange(self.n_bins + 1))

    @cached_property
    def exposure_hours(self) -> NDArray[np.float64]:
        """Real hours in each bin, shape (n_bins,): 23 or 25 on the days the clock changes."""
        return np.diff(self.edges.tz_convert("UTC").asi8) / _HOUR

    def wall_at(self, index: NDArray[np.int64]) -> pd.DatetimeIndex:
        """Local wall-clock start of the bins numbered `index`; numbers outside the lattice continue it."""
        origin = np.datetime64(self.first, "us")
        offsets = (np.asarray(index, dtype=np.int64) * (self.hours * _HOUR)).astype("timedelta64[us]")
        return pd.DatetimeIndex(origin + offsets)

    def instants(self, index: NDArray[np.int64]) -> pd.DatetimeIndex:
        """Instants at which the bins numbered `index` start; a time that does not exist moves forward."""
        wall = self.wall_at(index)
        return wall.tz_localize(
            self.tz, nonexistent="shift_forward", ambiguous=np.ones(len(wall), dtype=bool)
        )

    def exposure(self, begin: int, end: int) -> float:
        """Real hours between the start of bin `begin` and the start of bin `end`."""
        edges = self.instants(np.array([begin, end])).tz_convert("UTC").asi8
        return float((edges[1] - edges[0]) / _HOUR)

    def locate(self, instants: pd.Series[Any]) -> NDArray[np.int64]:
        """Number of the bin each instant falls in; outside the bins the numbers go below 0 or past n_bins.

        Parameters
        ----------
        instants : Series of tz-aware datetimes

        Returns
        -------
        ndarray of int64, shape (len(instants),)
        """
        wall = instants.dt.tz_convert(self.tz).dt.tz_localize(None)
        delta = wall.to_numpy().astype("datetime64[us]") - np.datetime64(self.first, "us")
        return np.asarray(delta.astype(np.int64) // (self.hours * _HOUR), dtype=np.int64)

    def index_at(self, moment: str | pd.Timestamp) -> int:
        """Number of bins that end at or before `moment`, which must be an edge (local time if without zone).

        Raises
        ------
        UsageError
            If `moment` is not an edge of a bin.
        """
        wall = _wall(moment, self.tz)
        number, rest = divmod(wall - self.first, pd.Timedelta(hours=self.hours))
        if rest != pd.Timedelta(0):
            nearest_edge = self.first + number * pd.Timedelta(hours=self.hours)
            msg = f"{moment} is not the edge of a {self.freq} bin; the edge before it is {nearest_edge}."
            raise UsageError(msg)
        return int(number)

    def days(self, days: float) -> int:
        """Bins in a window stated in days, at least one."""
        return max(1, round(days * self.bins_per_day))

    def weekday(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Day of the week (Monday 0) on which each bin starts."""
        return np.asarray(self.wall_at(index).day_of_week, dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Plain values from which `from_dict` makes the same bins."""
        return {"first": self.first.isoformat(), "n_bins": self.n_bins, "freq": self.freq, "tz": self.tz}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TimeBins:
        """Make the bins that `to_dict` described."""
        return cls(values["first"], int(values["n_bins"]), values["freq"], values["tz"])

    def extended(self, n_bins: int) -> TimeBins:
        """Give the same lattice with another number of bins."""
        return TimeBins(self.first, n_bins, self.freq, self.tz)


def _moment(first: Any) -> pd.Timestamp:
    try:
        found = pd.Timestamp(first)
    except (ValueError, TypeError):
        found = pd.NaT
    if found is pd.NaT:
        msg = f"first must be a local moment such as '2024-01-01', got {first!r}."
        raise UsageError(msg)
    return found


def check_timezone(tz: str) -> str:
    """Return `tz` if it names an IANA time zone.

    Raises
    ------
    UsageError
        If it does not.

    Examples
    --------
    >>> check_timezone("Europe/Paris")
    'Europe/Paris'
    """
    from zoneinfo import ZoneInfo, available_timezones

    from tranquillite_ml.errors import nearest

    try:
        ZoneInfo(tz)
    except Exception:  # zoneinfo raises several kinds, ValueError and OSError among them
        hint = nearest(str(tz), available_timezones())
        msg = f"tz must be an IANA time zone such as 'Europe/Paris', got {tz!r}.{hint}"
        raise UsageError(msg) from None
    return str(tz)


def _wall(moment: str | pd.Timestamp, tz: str) -> pd.Timestamp:
    """Local wall-clock time of a moment: as it is without zone, converted with one."""
    try:
        stamp = pd.Timestamp(moment)
    except ValueError:
        stamp = pd.NaT
    if stamp is pd.NaT:
        msg = f"not a moment in time: {moment!r}. Give a local date or time, such as 2024-03-31 08:00."
        raise UsageError(msg)
    return stamp if stamp.tz is None else stamp.tz_convert(tz).tz_localize(None)
