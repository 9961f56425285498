"""Self-exciting: incidents that recent ones are expected to set off in the period to come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import UsageError
from tranquillite_ml.features.base import Column, FeatureBlock, View
from tranquillite_ml.processes.hawkes_binned import fading, share_in_period
from tranquillite_ml.processes.hawkes_sums import offspring_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins


class SelfExciting(FeatureBlock):
    """Offspring that a self-exciting process expects in the period, beyond what the place usually has.

    Parameters
    ----------
    memories : sequence of float, default (4, 28)
        Mean ages of an echo, 1/omega, in days; one column each.
    by_ring : sequence of float, default (0.06, 0.03, 0.03)
        Offspring expected of an incident in its own cell, and in each ring around it.

    Notes
    -----
    Σ over known incidents of θ_k / n_k times the share of their echo that falls in the period, horizon
    included, as in Mohler et al. (2015), doi:10.1080/01621459.2015.1077710, in the panel's bins
    (`processes.hawkes_binned`); minus the same sum with each cell at its mean of the last year. Unlike
    `NearRepeat` it counts incidents of the period, and no offspring is laid outside the grid.

    Examples
    --------
    >>> SelfExciting(memories=(7,))
    SelfExciting(memories=(7,), by_ring=(0.06, 0.03, 0.03))
    """

    family = "self_exciting"

    def __init__(
        self, memories: tuple[float, ...] = (4, 28), by_ring: tuple[float, ...] = (0.06, 0.03, 0.03)
    ) -> None:
        self.memories = tuple(memories)
        self.by_ring = tuple(by_ring)
        if not self.memories or min(self.memories) <= 0 or not self.by_ring or min(self.by_ring) < 0:
            msg = (
                "self_exciting needs positive memories in days and offspring by ring of 0 or more, "
                f"got {self.memories} and {self.by_ring}."
            )
            raise UsageError(msg)

    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column."""
        del target, bins
        for days in self.memories:
            yield Column(
                f"self_exciting_{days:g}d",
                self.family,
                "expected incidents in the period, beyond the usual",
                "the category itself",
                "reported before the pseudo-cutoff",
            )

    def columns(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values."""
        grid = view.panel.grid
        rings = [grid.ring(k) for k in range(len(self.by_ring))]
        shares = offspring_shares(rings, grid.n_cells)
        spread = sum(mean * share for mean, share in zip(self.by_ring, shares, strict=True)).tocsr()
        usual = view.window(365) / np.float32(view.bins.days(365))
        for days in self.memories:
            ratio = view.decay_ratio(days)
            # At its usual rate a cell's echo is that rate times the weight of the bins there have been.
            normal = usual * view.decay_weight(days).astype(np.float32)
            excess = fading(view.known("target").decay(view.rows, ratio) - normal, ratio)
            part = share_in_period(ratio, view.period_begin - view.rows, view.target.period)
            laid = (spread @ np.ascontiguousarray(excess.T)).T * part[:, None]
            yield f"self_exciting_{days:g}d", np.asarray(laid, dtype=np.float32)
