"""A count whose memory is learnt: which past counts tell the next, from how long ago and how far away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError
from tranquillite_ml.features import Memory, View, learn_memory
from tranquillite_ml.forecasters.base import Forecaster, settle_bins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.bundle import Parts
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.target import Target

BURN_IN_DAYS = 28


class LearnedCount(Forecaster):
    """A sum of past counts, of the place, its rings and other categories, with weights learnt from the past.

    A glass box: an expected count is so many incidents per incident remembered, source by source, and never
    anything else. `memory` shows the weights.

    Parameters
    ----------
    target, calibration_days, strata, level, law, intervals
        As for `Forecaster`.

    Notes
    -----
    See `tranquillite_ml.features.memory`. Weights are learnt on the later half of the history, at most the
    last 900 days, when the longer memories have filled.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=240, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> model = LearnedCount(Target("noise", period=7)).fit(panel)
    >>> table = model.memory("noise")
    >>> table.columns.tolist()
    ['source', 'days', 'ring', 'weight', 'share']
    >>> bool(abs(table["share"].sum() - 1) < 1e-9)
    True
    """

    name = "learned_count"

    def memory(self, category: str) -> pd.DataFrame:
        """Sources by weight: ``source, days, ring, weight, share``.

        `weight` is incidents expected per incident remembered, `share` the part of what was expected at the
        training rows that came from the source; shares sum to 1. ``city`` is the city's mean level.

        Raises
        ------
        UsageError
            If the category is not the forecaster's.
        """
        self._check_fitted()
        if category not in self.models_:
            msg = f"{category!r} was not fitted; there is {sorted(self.models_)}."
            raise UsageError(msg)
        return memory_table(self.models_[category])

    def _train(self, panel: Panel, category: str) -> Memory:
        return train_memory(panel, category, self.target)

    def _rate(self, view: View) -> NDArray[Any]:
        memory: Memory = self.models_[view.category]
        return memory.rate(view) * (view.target.period * view.exposure_factor)

    def _parts(self) -> Parts:
        parts = super()._parts()
        parts.description["models"] = {name: memory.to_dict() for name, memory in self.models_.items()}
        return parts

    def _restore(self, parts: Parts) -> Self:
        super()._restore(parts)
        self.models_ = {name: Memory.from_dict(found) for name, found in self.models_.items()}
        return self


def train_memory(panel: Panel, category: str, target: Target) -> Memory:
    """Learn a memory from the later half of a panel, a pseudo-cutoff a week."""
    end = panel.n_bins - settle_bins(panel, category)
    last = end - target.reach
    first = max(panel.bins.days(BURN_IN_DAYS), last // 2, last - panel.bins.days(900))
    step = panel.bins.days(7)
    by_period = np.arange(last, min(first, last) - 1, -step)[::-1]
    # Where periods are shorter than the step, cutoffs move through the week's hours and days.
    moved = by_period - (np.arange(len(by_period)) % step if target.period < step else 0)
    rows = np.unique(np.maximum(moved, 1))
    if last < 1:
        msg = f"there is too little history to learn from for {category!r}: no whole period is over."
        raise UsageError(msg)
    horizons = np.array(target.horizons)[np.arange(len(rows)) % len(target.horizons)]
    return learn_memory(View(panel, category, target, rows, horizons))


def memory_table(memory: Memory) -> pd.DataFrame:
    """Sources of a memory, the largest share first: ``source, days, ring, weight, share``."""
    table = pd.DataFrame(
        {
            "source": [source.category or "city" for source in memory.sources],
            "days": [source.days for source in memory.sources],
            "ring": [source.ring for source in memory.sources],
            "weight": memory.weights,
            "share": memory.share,
        }
    )
    order = np.lexsort([np.arange(len(table)), -memory.share])
    return table.iloc[order].reset_index(drop=True)
