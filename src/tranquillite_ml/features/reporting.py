"""How much of the recent past is usually known by now: shares by age, as they could be told at each row."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tranquillite_ml.errors import check_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.records import Records

Trailing = Literal["as_known", "exclude", "nowcast"]
COMPLETE = 0.8
"""With ``exclude``, windows of which a smaller share is usually known by then are missing."""
FLOOR = 0.2
"""With ``nowcast``, windows of which a smaller share is usually known are missing: too little to scale up."""
LONGEST_DAYS = 365

SUFFIX: dict[Trailing, str] = {"as_known": "", "exclude": "_complete", "nowcast": "_nowcast"}
"""What is added to the name of a column."""
TOLD: dict[Trailing, str] = {
    "as_known": "reported before the pseudo-cutoff",
    "exclude": f"reported before the pseudo-cutoff; missing where less than {COMPLETE:.0%} usually is",
    "nowcast": (
        "reported before the pseudo-cutoff, divided by the share that usually is; missing where that is less "
        f"than {FLOOR:.0%}"
    ),
}


def check_trailing(trailing: str) -> Trailing:
    """Give the policy, if it is one.

    Raises
    ------
    UsageError
        If it is not.
    """
    check_in(trailing, get_args(Trailing), "trailing")
    return next(name for name in SUFFIX if name == trailing)


def correction(share: NDArray[np.float64], trailing: Trailing) -> NDArray[np.float64]:
    """What known counts are multiplied by, NaN where they are left out.

    Examples
    --------
    >>> correction(np.array([0.1, 0.5, 0.9]), "nowcast").round(2).tolist()
    [nan, 2.0, 1.11]
    >>> correction(np.array([0.1, 0.5, 0.9]), "exclude").tolist()
    [nan, nan, 1.0]
    """
    least = {"as_known": 0.0, "exclude": COMPLETE, "nowcast": FLOOR}[trailing]
    factor = 1 / np.maximum(share, FLOOR) if trailing == "nowcast" else np.ones_like(share)
    return np.where(share >= least, factor, np.nan)


class KnownShare:
    """Share of records usually known so many days after they occurred, as each row's past tells it.

    Parameters
    ----------
    records : Records
    n_bins : int
    unit : int, default 1
        Bins in a day where bins are shorter than a day: ages are counted in days.
    longest : int, default 365
        Ages beyond which every record counts as known.

    Notes
    -----
    At each row t only records known at t are used, and the estimate accounts for those still to come: the
    reverse-time product limit F(a) = Π over delays x > a of (1 − D(x) / R(x)), with D the records of delay x
    and R those of delay ≤ x among the bins that are at least x old (Lagakos, Barraj and De Gruttola 1988,
    doi:10.1093/biomet/75.3.515). Dividing what is known by it is the estimate of Lawless (1994,
    doi:10.2307/3315826) with one reporting law for the whole past. Shares are of records reported within
    `longest`, of all places together.

    Examples
    --------
    Ten records a day, half of them known after one day and half after three:

    >>> from tranquillite_ml.records import Records
    >>> day = np.repeat(np.arange(50, dtype=np.int32), 2)
    >>> known = day + np.tile(np.array([1, 3], dtype=np.int32), 50)
    >>> shares = KnownShare(Records(day, day * 0, known, np.full(100, 5)), n_bins=50)
    >>> rows = np.array([40])
    >>> shares.mean(rows, rows - 1, rows).tolist(), shares.mean(rows, rows - 4, rows).tolist()
    ([0.5], [0.75])
    """

    def __init__(self, records: Records, n_bins: int, *, unit: int = 1, longest: int = LONGEST_DAYS) -> None:
        self.unit = unit
        self.records = records
        self.n_days = n_bins // unit + 1
        delay = self._delay
        self.longest = int(min(longest, delay.max(initial=1)))
        self._last: tuple[bytes, NDArray[np.float64]] = (b"", np.zeros((0, 0)))

    @cached_property
    def _delay(self) -> NDArray[np.int64]:
        """Days from that of each record to the first at whose begin it was known, at least 1."""
        known = -(-self.records.known.astype(np.int64) // self.unit)
        return known - self.records.bin.astype(np.int64) // self.unit

    @cached_property
    def _seen(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Records before each day, by delay and by delay of at most; shape (n_days + 1, longest + 1)."""
        kept = self._delay <= self.longest
        day = self.records.bin[kept].astype(np.int64) // self.unit + 1
        shape = (self.n_days + 1, self.longest + 1)
        where = day * shape[1] + self._delay[kept]
        flat = np.bincount(where, weights=self.records.count[kept], minlength=shape[0] * shape[1])
        exact = np.cumsum(flat.astype(np.float64).reshape(shape), axis=0)
        return exact, np.cumsum(exact, axis=1)

    def unknown(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """1 − F at the ages 0 … longest, shape (n_rows, longest + 1); the last answer is kept."""
        if self._last[0] != rows.tobytes():
            self._last = (rows.tobytes(), self._unknown(rows))
        return self._last[1]

    def _unknown(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        by_delay, up_to = self._seen
        age = np.arange(1, self.longest + 1)
        old = np.maximum((rows // self.unit)[:, None] - age + 1, 0)
        hit, risk = by_delay[old, age], up_to[old, age]
        left = 1 - np.divide(hit, risk, out=np.zeros_like(hit), where=risk > 0)
        known = np.cumprod(left[:, ::-1], axis=1)[:, ::-1]
        return 1 - np.concatenate([known, np.ones((len(rows), 1))], axis=1)

    def mean(
        self, rows: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Share of the records of bins begin … end − 1 that is usually known at each row (end ≤ row)."""
        row = rows // self.unit
        youngest = np.maximum(row - (end - 1) // self.unit, 1)
        oldest = np.maximum(row - np.maximum(begin, 0) // self.unit, youngest)
        missing = np.cumsum(self.unknown(rows), axis=1)
        which = np.arange(len(rows))
        inside = missing[which, np.minimum(oldest, self.longest)]
        inside = inside - missing[which, np.minimum(youngest - 1, self.longest)]
        return np.asarray(1 - inside / (oldest - youngest + 1))

    def decayed(self, rows: NDArray[np.int64], ratio: float) -> NDArray[np.float64]:
        """The same over all bins before each row, weighted by ratio^age in bins."""
        each = ratio**self.unit
        age = np.arange(self.longest + 1, dtype=np.float64)
        weight = np.where(age > 0, each**age, 0.0)
        n = np.maximum(rows // self.unit, 1)
        total = each * (1 - each**n) / (1 - each)
        within = np.where(age <= n[:, None], self.unknown(rows), 0.0)
        # Summed in order, so that ages that no record has yet change no digit.
        return np.asarray(1 - np.cumsum(within * weight, axis=1)[:, -1] / total)


def shares_of(records: Records, n_bins: int, bins_per_day: float) -> KnownShare:
    """Shares by age in days, or in bins where these are longer than a day."""
    unit, longest = max(1, round(bins_per_day)), max(1, round(LONGEST_DAYS * min(bins_per_day, 1)))
    return KnownShare(records, n_bins, unit=unit, longest=longest)
