"""What a feature block is given (a View of the panel) and what it must give (named columns)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from tranquillite_ml.errors import UsageError, positive_numbers
from tranquillite_ml.features.reporting import Trailing, correction
from tranquillite_ml.features.sums import Known

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.panel import Panel
    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins

Group = Literal["target", "others"]
FEW_ROWS = 64


def check_days(lengths: object, name: str) -> tuple[float, ...]:
    """Give lengths in days as a tuple, if they are.

    Raises
    ------
    UsageError
        If they are not several finite numbers above 0.

    Examples
    --------
    >>> check_days([7, 28], "windows")
    (7, 28)
    """
    several = positive_numbers(lengths)
    if several is None:
        msg = f"{name} must be several numbers of days above 0, such as (7, 28), got {lengths!r}."
        raise UsageError(msg)
    return several


@dataclass(frozen=True)
class Column:
    """One feature: what it is called, and what a reviewer should know of it.

    Attributes
    ----------
    name : str
    family : str
        Block the column belongs to, under which explanations are summed.
    unit : str
    source : str
        Records it is made of: the target's, all others of citizen or sensor origin, or the calendar.
    known : str
        What must be known, when.
    """

    name: str
    family: str
    unit: str
    source: str
    known: str


class FeatureBlock(ABC):
    """A small family of columns.

    Write one by naming its family and yielding columns; each must use only what a `View` gives, which is what
    was known at each row's own pseudo-cutoff.

    Examples
    --------
    >>> class Weekend(FeatureBlock):
    ...     family = "calendar"
    ...
    ...     def describe(self, target, bins):
    ...         yield Column("weekend", self.family, "0/1", "calendar", "always")
    ...
    ...     def columns(self, view):
    ...         yield "weekend", (view.period_weekday >= 5)[:, None]
    >>> Weekend().family
    'calendar'
    """

    family: ClassVar[str]
    context: ClassVar[tuple[str, ...]] = ()
    """Names of the parameters that hold layers of context, one or a tuple of them."""

    @abstractmethod
    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column, in the order of `columns`."""

    @abstractmethod
    def columns(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values; values broadcast to shape (n_rows, n_cells)."""

    def params(self) -> dict[str, Any]:
        """Parameters as given, from which the block can be made again."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __repr__(self) -> str:
        listed = ", ".join(f"{name}={value!r}" for name, value in self.params().items())
        return f"{type(self).__name__}({listed})"


class View:
    """The panel as it was known at each of many pseudo-cutoffs.

    A row is a pair (pseudo-cutoff, horizon). Every quantity of a row uses only records known at that
    pseudo-cutoff, whatever was reported later: this is where look-ahead is made impossible.

    Parameters
    ----------
    panel : Panel
    category : str
        Category that is forecast.
    target : Target
    rows : ndarray of int64, shape (n_rows,)
        Pseudo-cutoffs as numbers of bins, ascending.
    horizons : ndarray of int64, shape (n_rows,), optional
        Horizon of each row; the target's first one when not given.
    shared : dict, optional
        Sums made for an earlier view of the same panel, to be used again.
    """

    def __init__(
        self,
        panel: Panel,
        category: str,
        target: Target,
        rows: NDArray[np.int64],
        horizons: NDArray[np.int64] | None = None,
        *,
        shared: dict[tuple[str, Group], Known] | None = None,
    ) -> None:
        self.panel, self.category, self.target = panel, category, target
        self.rows = np.asarray(rows, dtype=np.int64)
        default = np.full(len(self.rows), target.horizons[0], dtype=np.int64)
        self.horizons = default if horizons is None else np.asarray(horizons, dtype=np.int64)
        self._known: dict[tuple[str, Group], Known] = {} if shared is None else shared

    @property
    def bins(self) -> TimeBins:
        """Time bins of the panel."""
        return self.panel.bins

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and cells."""
        return len(self.rows), self.panel.n_cells

    @cached_property
    def period_begin(self) -> NDArray[np.int64]:
        """First bin of each row's target period."""
        return self.rows + (self.horizons - 1) * self.target.period

    @cached_property
    def period_weekday(self) -> NDArray[np.int64]:
        """Weekday (Monday 0) on which each row's target period starts."""
        return self.bins.weekday(self.period_begin)

    @cached_property
    def period_exposure(self) -> NDArray[np.float64]:
        """Real hours in each row's target period."""
        begin = self.bins.instants(self.period_begin).tz_convert("UTC").asi8
        end = self.bins.instants(self.period_begin + self.target.period).tz_convert("UTC").asi8
        return np.asarray((end - begin) / 3_600_000_000)

    @cached_property
    def exposure_factor(self) -> NDArray[np.float64]:
        """Real hours of the target period over its wall-clock hours, shape (n_rows, 1)."""
        return (self.period_exposure / (self.target.period * self.bins.hours))[:, None]

    def has(self, group: Group) -> bool:
        """Whether there are categories in a group of records."""
        return bool(self.categories(group))

    def categories(self, group: Group) -> list[str]:
        """Categories in a group: the target's, or all others of citizen or sensor origin."""
        return [self.category] if group == "target" else self.panel.trainable(besides=self.category)

    def known(self, group: Group = "target") -> Known:
        """Sums of a group's records as they were known."""
        key = (self.category, group)
        if key not in self._known:
            records = self.panel.weighted(self.categories(group))
            self._known[key] = Known(records, self.panel.n_bins, self.panel.grid)
        return self._known[key]

    def share(self, rows: NDArray[np.int64], horizons: NDArray[np.int64] | None = None) -> View:
        """Give a view of other rows of the same panel, with the sums already made."""
        return View(self.panel, self.category, self.target, rows, horizons, shared=self._known)

    def of(self, category: str) -> View:
        """Give the same rows of another category, if it may serve as context: citizen or sensor origin.

        Raises
        ------
        UsageError
            If its records are made by agents or of unknown origin.
        """
        if category != self.category and category not in self.panel.trainable(besides=self.category):
            msg = (
                f"{category!r} (origin: {self.panel.origins.get(category, 'not in the panel')}) cannot be a "
                f"feature of {self.category!r}: only categories of citizen or sensor origin can."
            )
            raise UsageError(msg)
        return View(self.panel, category, self.target, self.rows, self.horizons, shared=self._known)

    def window(
        self, days: float, *, group: Group = "target", ring: int = 0, trailing: Trailing = "as_known"
    ) -> NDArray[Any]:
        """Incidents of the last `days`, shape (n_rows, n_cells); scaled up where history is shorter."""
        width = self.bins.days(days)
        found = self.known(group).window(self.rows, width, ring)
        short = self.rows[: np.searchsorted(self.rows, width)]  # rows are ascending
        found[: len(short)] *= (width / np.maximum(short, 1)).astype(np.float32)[:, None]
        return self._settled(found, group, trailing, self.rows - width, self.rows)

    def decay(
        self, days: float, *, group: Group = "target", ring: int = 0, trailing: Trailing = "as_known"
    ) -> NDArray[Any]:
        """Incidents weighted by exp(−age / days), over their total weight: a mean count per bin."""
        ratio = self.decay_ratio(days)
        found = self.known(group).decay(self.rows, ratio, ring)
        found /= self.decay_weight(days).astype(np.float32)
        if trailing != "as_known":
            share = self.known(group).shares(self.bins.bins_per_day).decayed(self.rows, ratio)
            found *= correction(share, trailing).astype(np.float32)[:, None]
        return found

    def _settled(
        self,
        found: NDArray[Any],
        group: Group,
        trailing: Trailing,
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
    ) -> NDArray[Any]:
        """Known counts of bins begin … end − 1, with what is usually not known yet dealt with."""
        if trailing != "as_known":
            share = self.known(group).shares(self.bins.bins_per_day).mean(self.rows, begin, end)
            found *= correction(share, trailing).astype(np.float32)[:, None]
        return found

    def decay_ratio(self, days: float) -> float:
        """Factor by which a bin's weight shrinks with each further bin."""
        return float(np.exp(-1 / (days * self.bins.bins_per_day)))

    def decay_weight(self, days: float) -> NDArray[np.float64]:
        """Total weight of the bins known at each row, shape (n_rows, 1): the exposure of `decay`."""
        ratio = self.decay_ratio(days)
        weight = ratio * (1 - ratio ** np.maximum(self.rows, 1)) / (1 - ratio)
        return np.asarray(weight)[:, None]

    def seasonal(self, lags: NDArray[np.int64], *, group: Group = "target") -> NDArray[Any]:
        """Mean count of the same period `lags` bins earlier, over the lags that were then complete."""
        total = np.zeros(self.shape, dtype=np.float32)
        seen = np.zeros(len(self.rows), dtype=np.float32)
        for lag in lags:
            begin = self.period_begin - lag
            end = begin + self.target.period
            complete = (begin >= 0) & (end <= self.rows)
            if complete.any():
                where = _run(complete)
                total[where] += self.known(group).between(self.rows[where], begin[where], end[where])
                seen += complete
        total /= np.maximum(seen, 1)[:, None]
        total[seen == 0] = np.nan
        return total

    def outcome(self) -> NDArray[Any]:
        """Final counts of each row's target period, shape (n_rows, n_cells). Never a feature."""
        return self.recorded(self.period_begin, self.period_begin + self.target.period)

    def recorded(self, begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[Any]:
        """Final counts of bins begin … end − 1, as whole numbers, whenever known. Never a feature."""
        known = self.known("target")
        if self.panel.n_moved:
            records = self.panel.records(self.category)
            known = Known(records, self.panel.n_bins, self.panel.grid)
        return known.total(begin, end)


def _run(mask: NDArray[np.bool_]) -> slice | NDArray[np.bool_]:
    """Where a mask is true: a slice if that is one stretch, so that rows are viewed instead of copied."""
    where = np.flatnonzero(mask)
    whole = where[-1] - where[0] == len(where) - 1
    return slice(where[0], where[-1] + 1) if whole else mask
