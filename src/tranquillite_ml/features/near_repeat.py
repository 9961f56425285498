"""Near repeat: the echo that an incident leaves close by, for some days."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.features.base import Column, FeatureBlock, View, check_days

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins


class NearRepeat(FeatureBlock):
    """Recent incidents close in space and time, beyond what the place usually has.

    Parameters
    ----------
    decays : sequence of float, default (3, 14)
        e-folding times of the echo in days.
    weights : sequence of float, default (1.0, 0.5, 0.25)
        Weight of the cell itself and of each ring around it.

    Raises
    ------
    UsageError
        If a decay is not a number above 0.

    Notes
    -----
    Σ over incidents of weight(ring) · exp(−age / days), minus the same sum with each cell at its mean of the
    last year: an excess, so that a busy place is not called an echo. In the spirit of Bowers, Johnson and
    Pease (2004), British Journal of Criminology 44(5), doi:10.1093/bjc/azh036.

    Examples
    --------
    >>> NearRepeat(decays=(7,))
    NearRepeat(decays=(7,), weights=(1.0, 0.5, 0.25))
    """

    family = "near_repeat"

    def __init__(
        self, decays: tuple[float, ...] = (3, 14), weights: tuple[float, ...] = (1.0, 0.5, 0.25)
    ) -> None:
        self.decays = check_days(decays, "decays")
        self.weights = tuple(weights)

    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column."""
        del target, bins
        for days in self.decays:
            yield Column(
                f"near_repeat_{days:g}d",
                self.family,
                "incidents per bin, beyond the usual",
                "the category itself",
                "reported before the pseudo-cutoff",
            )

    def columns(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values."""
        usual = view.window(365) / view.bins.days(365)
        spread = view.known("target").spread
        for days in self.decays:
            excess = view.decay(days) - usual
            total = np.zeros_like(excess)
            for ring, weight in enumerate(self.weights):
                total += np.float32(weight) * spread(excess, ring)
            yield f"near_repeat_{days:g}d", total
