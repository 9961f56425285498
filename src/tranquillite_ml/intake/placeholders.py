"""Times of day that stand for "unknown": minutes that hold far more records than times as round as they."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.intake.incidents import Incidents

PlaceholderPolicy = Literal["keep", "spread", "quarantine"]
POLICIES: tuple[str, ...] = get_args(PlaceholderPolicy)
EXCESS = 1.5
"""A time stands for "unknown" if it holds more than this many times what its neighbours hold."""

_MINUTE = 60_000_000  # microseconds
_DAY = 1440  # minutes
_NEIGHBOURS = 4
_LEVEL = 0.001 / _DAY  # of one test: one false finding in a thousand files


@dataclass(frozen=True)
class Placeholder:
    """A minute of the day with more records than its neighbours.

    Attributes
    ----------
    minute : int
        Minutes since midnight.
    n : int
        Records at this minute.
    expected : float
        Mean of the four nearest minutes that are as round.
    ratio, lower, upper : float
        `n` over `expected`, with its 95 % interval.
    """

    minute: int
    n: int
    expected: float
    ratio: float
    lower: float
    upper: float

    @property
    def clock(self) -> str:
        """Such as ``"00:01"``."""
        return f"{self.minute // 60:02d}:{self.minute % 60:02d}"


def minutes_of_day(wall_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Minutes since midnight of local wall-clock times in microseconds; a time with seconds gets −1.

    Examples
    --------
    >>> minutes_of_day(np.array([0, 60_000_000, 61_000_000]) + 1440 * 60_000_000).tolist()
    [0, 1, -1]
    """
    minute, rest = np.divmod(wall_us, _MINUTE)
    return np.where(rest == 0, minute % _DAY, -1)


def at_placeholders(incidents: Incidents) -> int:
    """How many accepted records stand at a placeholder time as if it were known."""
    problems = incidents.problems["what"].astype(str)
    clocks = problems[problems.str.startswith("placeholder time ")].str.removeprefix("placeholder time ")
    if clocks.empty:
        return 0
    table = incidents.table
    certain = table["occurred_from"].isna() if "occurred_from" in table else True
    return int((table["occurred_at"].dt.strftime("%H:%M").isin(clocks) & certain).sum())


def find_placeholders(minute: NDArray[np.int64]) -> list[Placeholder]:
    """Minutes of the day that hold more than 1.5 times what as round minutes near them hold.

    Parameters
    ----------
    minute : ndarray of int64
        Minute of the day of each record (`minutes_of_day`); those below 0 are not looked at.

    Returns
    -------
    list of Placeholder
        By minute. Nothing if all records are at midnight: then they are dated by the day.

    Notes
    -----
    People round: 18:00 holds many times what 18:01 does, and means it. A whole hour is therefore compared
    with whole hours, a half with halves, quarters, tens, fives and other minutes likewise: the two nearest
    before and after. Given the sum of a minute's n and its four neighbours' counts, n is binomial; the test
    is exact, one-sided, of a ratio of 1.5 (Przyborowski and Wilenski 1940, doi:10.1093/biomet/31.3-4.313), at
    a level of 0.001 over all 1,440 minutes. The interval of the ratio is Clopper and Pearson's (1934,
    doi:10.1093/biomet/26.4.404). What is found is no neighbour: the test is repeated without it.
    """
    minute = minute[minute >= 0]
    counts = np.bincount(minute, minlength=_DAY)
    if counts[0] == len(minute):
        return []
    found = np.zeros(_DAY, dtype=bool)
    while True:
        around = counts[_neighbours(found)].sum(axis=1)
        fresh = _exceeds(counts, around) & ~found
        if not fresh.any():
            break
        found |= fresh
    return [_placeholder(m, int(counts[m]), int(around[m])) for m in np.flatnonzero(found).tolist()]


def _exceeds(n: NDArray[np.int64], around: NDArray[np.int64]) -> NDArray[np.bool_]:
    from scipy.special import betainc

    chance = EXCESS / (EXCESS + _NEIGHBOURS)
    # The chance of n or more of n + around, as the incomplete beta function.
    p_value = np.where(n > 0, betainc(np.maximum(n, 1), around + 1, chance), 1.0)
    return np.asarray(p_value < _LEVEL)


def _placeholder(minute: int, n: int, around: int) -> Placeholder:
    from scipy.special import betaincinv

    low = betaincinv(n, around + 1, 0.025)
    high = betaincinv(n + 1, around, 0.975) if around else 1.0
    ratio, lower, upper = (
        _NEIGHBOURS * share / (1 - share) if share < 1 else np.inf for share in (n / (n + around), low, high)
    )
    return Placeholder(minute, n, around / _NEIGHBOURS, float(ratio), float(lower), float(upper))


def _neighbours(found: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The four nearest minutes of each minute's own roundness, around the clock; shape (1440, 4)."""
    minute = np.arange(_DAY)
    roundness = np.select([minute % step == 0 for step in (60, 30, 15, 10, 5)], (60, 30, 15, 10, 5), 1)
    near = np.zeros((_DAY, _NEIGHBOURS), dtype=np.int64)
    for kind in np.unique(roundness):
        same = np.flatnonzero(roundness == kind)
        usual = np.flatnonzero((roundness == kind) & ~found)
        before = np.searchsorted(usual, same, side="left")
        after = np.searchsorted(usual, same, side="right")
        places = np.stack([before - 2, before - 1, after, after + 1], axis=1)
        near[same] = usual[places % len(usual)]
    return near
