"""Neighbourhood: the same counts, in the rings around a cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import UsageError, is_whole
from tranquillite_ml.features.base import Column, FeatureBlock, Group, View, check_days
from tranquillite_ml.features.reporting import SUFFIX, TOLD, Trailing, check_trailing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins


class Neighbourhood(FeatureBlock):
    """Mean counts of the cells exactly 1 … k steps away, of the category and of all others.

    Parameters
    ----------
    rings : int, default 3
    windows : sequence of float, default (7, 28, 91, 365)
        Window lengths in days.
    others : bool, default True
        Also count all other categories of citizen and sensor origin together.
    trailing : {"as_known", "exclude", "nowcast"}, default "as_known"
        What windows do about late reports, as in `History`.

    Raises
    ------
    UsageError
        If rings or windows are not such numbers, or `trailing` is unknown.

    Notes
    -----
    A mean over the neighbours that exist in the grid, so that the border is not mistaken for a quiet place.

    Examples
    --------
    >>> Neighbourhood(rings=2)
    Neighbourhood(rings=2, windows=(7, 28, 91, 365), others=True, trailing='as_known')
    """

    family = "neighbourhood"

    def __init__(
        self,
        rings: int = 3,
        windows: tuple[float, ...] = (7, 28, 91, 365),
        *,
        others: bool = True,
        trailing: Trailing = "as_known",
    ) -> None:
        if not is_whole(rings) or rings < 0:
            msg = f"rings must be a whole number from 0 on, got {rings!r}: 3 counts the rings 1, 2 and 3."
            raise UsageError(msg)
        self.rings = int(rings)
        self.windows = check_days(windows, "windows")
        self.others = others
        self.trailing = check_trailing(trailing)

    def _columns(self, bins: TimeBins) -> Iterator[tuple[Group, int, float]]:
        groups: list[Group] = ["target", "others"] if self.others else ["target"]
        for group in groups:
            for ring in range(1, self.rings + 1):
                for days in self.windows:
                    if days * bins.bins_per_day >= 1:
                        yield group, ring, days

    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column."""
        del target
        for group, ring, days in self._columns(bins):
            source = "the category itself" if group == "target" else "all others of citizen or sensor origin"
            name = f"{group}_ring{ring}_{days:g}d{SUFFIX[self.trailing]}"
            yield Column(name, self.family, "incidents per cell", source, TOLD[self.trailing])

    def columns(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values."""
        for group, ring, days in self._columns(view.bins):
            name = f"{group}_ring{ring}_{days:g}d{SUFFIX[self.trailing]}"
            if not view.has(group):
                yield name, np.array([[np.nan]], dtype=np.float32)
                continue
            size = np.asarray(view.panel.grid.ring(ring).sum(axis=1)).ravel()
            found = view.window(days, group=group, ring=ring, trailing=self.trailing)
            found *= (1 / np.maximum(size, 1)).astype(np.float32)
            yield name, found
