"""Events: what takes place somewhere for a while and was announced: how near, how large, how soon."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tranquillite_ml.errors import LookAheadError
from tranquillite_ml.features.asof import check_span, choose, cutoffs, need_layer, period_bounds
from tranquillite_ml.features.base import Column, FeatureBlock, View
from tranquillite_ml.features.places import chord, metres, on_sphere, plain_part

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.intake.context import Context
    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins

HOUR = 3_600_000_000  # microseconds


class Events(FeatureBlock):
    """Events announced by the cutoff that take place in the period forecast, and how soon the next one is.

    Parameters
    ----------
    layer : Context
        Of kind events.
    types : sequence of str, optional
        Types told apart; all events together when not given.
    radius_m : float, default 1000
        Distance from the cell's centre within which attendance is summed.
    margin_hours : float, default 2
        Hours before an event begins and after it ends that count as its time.
    within_days : float, default 28
        Days from the period's start within which the next event, or the last one, is looked for.

    Raises
    ------
    UsageError
        If the layer is of another kind, or lacks a type.
    LookAheadError
        If no event was known before it began: nothing could then be said of the period forecast.

    Notes
    -----
    An event announced after a row's cutoff does not exist for that row. Distances run along a sphere. Nothing
    tells a layer that ends from a city without events: bring it up to date before a forecast.

    Examples
    --------
    >>> import pandas as pd
    >>> from tranquillite_ml.intake.context import read_context
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> match = pd.DataFrame(
    ...     {"start": ["2024-02-04 21:00"], "end": ["2024-02-04 23:00"], "lat": [43.27], "lng": [5.396]}
    ... )
    >>> told = dict(kind="events", name="matches", tz="Europe/Paris")
    >>> layer = read_context(match, known="28D before start", **told)
    >>> bins = TimeBins("2024-01-01", 60, "1D", "Europe/Paris")
    >>> [c.name for c in Events(layer).describe(Target("noise"), bins)]
    ['matches_n', 'matches_distance_m', 'matches_attendance', 'matches_hours_to_next', 'matches_hours_since']
    >>> Events(read_context(match, known="end", **told))
    Traceback (most recent call last):
    tranquillite_ml.errors.LookAheadError: no event of 'matches' was known before it began. ...
    """

    family = "events"
    context: ClassVar[tuple[str, ...]] = ("layer",)

    def __init__(
        self,
        layer: Context,
        types: Sequence[str] | None = None,
        *,
        radius_m: float = 1000.0,
        margin_hours: float = 2.0,
        within_days: float = 28.0,
    ) -> None:
        self.layer = need_layer(layer, ["events"], "Events")
        self.types = None if types is None else tuple(types)
        self.radius_m, self.margin_hours, self.within_days = (
            float(radius_m),
            float(margin_hours),
            float(within_days),
        )
        if types is not None:
            choose(types, sorted(set(layer.table.get("type", ()))), "type", layer)
        if not (layer.known_us < layer.valid_us[0]).any():
            msg = (
                f"no event of {layer.name!r} was known before it began. Say when events were announced: a "
                "column (columns={'known_at': …}), or known='7D before start'."
            )
            raise LookAheadError(msg)

    def _stems(self) -> dict[str, NDArray[np.bool_]]:
        """Beginning of the columns' names, and the events they are made of."""
        if self.types is None:
            return {self.layer.name: np.ones(len(self.layer), dtype=bool)}
        kinds = self.layer.table["type"].to_numpy()
        return {f"{self.layer.name}_{plain_part(name)}": kinds == name for name in self.types}

    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column."""
        del target
        check_span(self.layer, bins)
        units = {
            "n": "events in the period, whole city",
            "distance_m": "m to the nearest in the period",
            "attendance": f"persons expected within {self.radius_m:g} m in the period",
            "hours_to_next": "hours from the period's start",
            "hours_since": "hours up to the period's start",
        }
        for stem in self._stems():
            for name, unit in units.items():
                source, known = f"layer {self.layer.name}", "announced before the pseudo-cutoff"
                yield Column(f"{stem}_{name}", self.family, unit, source, known)

    def columns(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values, shape (n_rows, n_cells), or (n_rows, 1) where all cells have the same."""
        for stem, rows in self._stems().items():
            where = np.flatnonzero(rows)
            sets = self._in_period(view, where)
            # Before the first announcement of the layer, nothing is known of events: that is not none.
            known = cutoffs(view) >= self.layer.known_us.min()
            n = np.array([len(found) for found in sets], dtype=np.float32)
            yield f"{stem}_n", np.where(known, n, np.nan)[:, None]
            distance, attendance = self._around(view, sets)
            yield f"{stem}_distance_m", distance
            attendance[~known] = np.nan
            yield f"{stem}_attendance", attendance
            ahead, since = self._soon(view, where)
            yield f"{stem}_hours_to_next", ahead[:, None]
            yield f"{stem}_hours_since", since[:, None]

    def _in_period(self, view: View, where: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Numbers of the events of each row's period that were known at its cutoff."""
        margin = int(self.margin_hours * HOUR)
        start, end, known = self._times(where)
        start, end = start - margin, end + margin
        longest = int((end - start).max(initial=0))
        begin, stop = period_bounds(view)
        low = np.searchsorted(start, begin - longest, side="left")  # rows are in order of their start
        high = np.searchsorted(start, stop, side="left")
        found = []
        for cutoff, a, b, first in zip(cutoffs(view), low, high, begin, strict=True):
            part = slice(a, b)
            there = (end[part] > first) | (start[part] == first)  # an event without duration, too
            found.append(where[part][there & (known[part] <= cutoff)])
        return found

    def _times(
        self, where: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        start, end = self.layer.valid_us
        return start[where], np.minimum(end[where], np.iinfo(np.int64).max // 2), self.layer.known_us[where]

    def _around(
        self, view: View, sets: list[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Distance to the nearest event of each row, and attendance within the radius."""
        from scipy.spatial import cKDTree

        distance = np.full(view.shape, np.nan, dtype=np.float32)
        attendance = np.zeros(view.shape, dtype=np.float32)
        centres = on_sphere(*np.asarray(view.panel.grid.centres).T)
        places = on_sphere(*(self.layer.table[name].to_numpy(np.float64) for name in ("lat", "lng")))
        persons = self.layer.table.get("attendance")
        weight = np.zeros(len(places)) if persons is None else np.nan_to_num(persons.to_numpy(np.float64))
        cells = cKDTree(centres)
        for row, found in enumerate(sets):
            if row and np.array_equal(found, sets[row - 1]):  # hours of one day, say
                distance[row], attendance[row] = distance[row - 1], attendance[row - 1]
            elif len(found):
                distance[row] = metres(cKDTree(places[found]).query(centres)[0])
                near = cells.query_ball_point(places[found], chord(self.radius_m))
                for event, around in zip(found, near, strict=True):
                    attendance[row, around] += weight[event]
        return distance, attendance

    def _soon(self, view: View, where: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Hours from the period's start to the next event, and since the last one; NaN if none is near."""
        start, end, known = self._times(where)
        begin, _ = period_bounds(view)
        reach = int(self.within_days * 24 * HOUR)
        ahead, since = np.full(len(begin), np.nan), np.full(len(begin), np.nan)
        longest = int((end - start).max(initial=0))
        for row, (first, cutoff) in enumerate(zip(begin, cutoffs(view), strict=True)):
            later = slice(*np.searchsorted(start, [first, first + reach]))
            to_come = start[later][known[later] <= cutoff]
            if len(to_come):
                ahead[row] = (to_come[0] - first) / HOUR
            past = slice(*np.searchsorted(start, [first - reach - longest, first]))
            over = end[past][(known[past] <= cutoff) & (end[past] <= first) & (end[past] >= first - reach)]
            if len(over):
                since[row] = (first - over.max()) / HOUR
        return ahead, since
