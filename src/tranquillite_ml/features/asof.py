"""What context blocks share: moments of rows, values as they were known, layers of the right kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, UsageError, nearest
from tranquillite_ml.intake.canonical import instants_us

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.features.base import View
    from tranquillite_ml.intake.context import Context
    from tranquillite_ml.timebins import TimeBins


def need_layer(layer: Any, kinds: Iterable[str], block: str) -> Context:
    """Give a layer that a block can be made of.

    Raises
    ------
    UsageError
        If it is no layer, or of another kind. Operations are never features: where services went is what
        they decided, and a forecast made of it would send them there again.
    """
    from tranquillite_ml.intake.context import Context

    if not isinstance(layer, Context):
        msg = f"{block} is made of a layer of context (read_context), got {layer!r}."
        raise UsageError(msg)
    if layer.kind == "operations":
        msg = (
            f"{layer.name!r} holds operations: what services did follows what they decided, and is never a "
            "feature. It serves the audit, and the exposure of what is recorded."
        )
        raise UsageError(msg)
    if layer.kind not in kinds:
        wanted = " or ".join(kinds)
        msg = f"{block} is made of a layer of kind {wanted}; {layer.name!r} is of kind {layer.kind!r}."
        raise UsageError(msg)
    return layer


def choose(wanted: Iterable[str] | None, there: Iterable[str], what: str, layer: Context) -> tuple[str, ...]:
    """Those of a layer's names that are wanted; all of them when not given.

    Raises
    ------
    UsageError
        If one is not there.
    """
    known = list(there)
    chosen = tuple(known) if wanted is None else tuple(wanted)
    for name in chosen:
        if name not in known:
            msg = f"{layer.name!r} has no {what} {name!r}.{nearest(name, known)} It has {known}."
            raise UsageError(msg)
    return chosen


def check_span(layer: Context, bins: TimeBins) -> None:
    """Stop if a layer holds nothing of the time of a panel.

    Raises
    ------
    InputDataError
        If it ends before the first bin, or begins after the last.
    """
    when = layer.table["valid_from"].dt.tz_convert(bins.tz).dt.tz_localize(None)
    if when.max() < bins.first or when.min() > bins.end:
        msg = (
            f"{layer.name!r} holds {when.min():%Y-%m-%d} to {when.max():%Y-%m-%d}, but the incidents "
            f"{bins.first:%Y-%m-%d} to {bins.end:%Y-%m-%d}: no value of it would ever be used."
        )
        raise InputDataError(msg)


def cutoffs(view: View) -> NDArray[np.int64]:
    """Each row's pseudo-cutoff, in microseconds since 1970 UTC."""
    return instants_us(view.bins.instants(view.rows))


def period_bounds(view: View) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Begin and end of each row's target period, in microseconds since 1970 UTC."""
    begin = view.bins.instants(view.period_begin)
    return instants_us(begin), instants_us(view.bins.instants(view.period_begin + view.target.period))


def wall_moments(wall: pd.DatetimeIndex, tz: str) -> NDArray[np.int64]:
    """Instants of local wall-clock times, in microseconds since 1970 UTC; the first where there are two."""
    first = np.ones(len(wall), dtype=bool)
    return instants_us(wall.tz_localize(tz, nonexistent="shift_forward", ambiguous=first))


class Series:
    """Values of a series or a calendar as they were known at any moment.

    Parameters
    ----------
    layer : Context
        Of kind series or calendar. Where a slot of time has several values, the one that became known last
        counts: a later run of a forecast, or a corrected measurement.

    Examples
    --------
    >>> from tranquillite_ml.intake.context import read_context
    >>> rows = pd.DataFrame(
    ...     {"date": pd.date_range("2024-05-01", periods=4), "tmax": [21.0, 25.0, 20.0, 18.0]}
    ... )
    >>> weather = read_context(rows, kind="series", name="weather", tz="UTC")
    >>> moments = instants_us(pd.DatetimeIndex(["2024-05-01", "2024-05-03"], tz="UTC"))

    Of the first to the fourth of May, the first two days are known on the third:

    >>> total, n = Series(weather).sums("tmax", moments[:1], moments[:1] + 4 * 86_400_000_000, moments[1:])
    >>> total.tolist(), n.tolist()
    ([46.0], [2])
    """

    def __init__(self, layer: Context) -> None:
        begin, end = layer.valid_us
        known = layer.known_us
        order = np.lexsort([known, begin])
        self.layer = layer
        self.starts, first = np.unique(begin[order], return_index=True)
        self.ends = end[order][first]
        self.moments = np.unique(known)
        slot = np.searchsorted(self.starts, begin[order])
        self._slot, self._order = slot, order
        # One number a row, ascending with its slot and, inside it, with the moment it became known.
        self._key = slot * (len(self.moments) + 1) + np.searchsorted(self.moments, known[order], side="right")

    def sums(
        self, name: str, begin: NDArray[np.int64], end: NDArray[np.int64], known: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Sum of the values whose slots overlap [begin, end), as known at a moment, and how many there are.

        Parameters
        ----------
        name : str
        begin, end, known : ndarray of int64, shape (n,)
            Microseconds since 1970 UTC.
        """
        values = self.layer.table[name].to_numpy(np.float64)[self._order]
        low = np.searchsorted(self.ends, begin, side="right")
        count = np.maximum(np.searchsorted(self.starts, end, side="left") - low, 0)
        which = np.repeat(np.arange(len(begin)), count)
        slot = low[which] + np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        rank = np.searchsorted(self.moments, known, side="right")
        latest = np.searchsorted(self._key, slot * (len(self.moments) + 1) + rank[which], side="right") - 1
        found = np.where((latest >= 0) & (self._slot[latest] == slot), values[latest], np.nan)
        there = ~np.isnan(found)
        total = np.bincount(which[there], weights=found[there], minlength=len(begin))
        n = np.bincount(which[there], minlength=len(begin))
        return total.astype(np.float64), n.astype(np.int64)

    def mean(
        self, name: str, begin: NDArray[np.int64], end: NDArray[np.int64], known: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Mean of the values whose slots overlap [begin, end), as known at a moment; NaN if there is none."""
        total, n = self.sums(name, begin, end, known)
        return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def series_of(layer: Context) -> Series:
    """The series of a layer, made once."""
    return layer.once(Series, "series", lambda: Series(layer))


def in_force(layer: Context, view: View) -> tuple[list[NDArray[np.bool_]], NDArray[np.int64]]:
    """Which rows of a layer hold and were known at each pseudo-cutoff: the distinct answers, and each row's.

    Returns
    -------
    masks : list of ndarray of bool, shape (len(layer),)
    which : ndarray of int64, shape (n_rows,)
    """
    begin, end = layer.valid_us
    enter = np.maximum(layer.known_us, begin)
    edges = np.unique(np.concatenate([enter, end]))
    moments = cutoffs(view)
    epochs, which = np.unique(np.searchsorted(edges, moments, side="right"), return_inverse=True)
    masks = []
    for epoch in epochs:
        moment = edges[epoch - 1] if epoch else np.iinfo(np.int64).min
        masks.append((enter <= moment) & (end > moment) & bool(epoch))
    return masks, which.reshape(-1)


def by_cell(
    layer: Context, view: View, key: str, make: Callable[[NDArray[np.bool_]], NDArray[np.float64]]
) -> Iterator[NDArray[np.float64]]:
    """Yield columns made of a layer's rows in force, each shape (n_rows or 1, n_cells).

    Parameters
    ----------
    layer : Context
    view : View
    key : str
        Under which what is made is kept: once a grid and set of rows in force.
    make : callable
        Given a mask of the layer's rows, gives the columns, shape (n_columns, n_cells).
    """
    masks, which = in_force(layer, view)
    made = [
        layer.once(view.panel.grid, (key, np.packbits(mask).tobytes()), partial(make, mask)) for mask in masks
    ]
    for column in zip(*made, strict=True):
        yield column[0][None] if len(column) == 1 else np.stack(column)[which]
