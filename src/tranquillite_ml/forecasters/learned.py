"""What the learnt forecasters share: pseudo-cutoffs, sampling, an early-stopping window, and the offset."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.features import FeatureSet, Memory, View, smoothed_rate
from tranquillite_ml.forecasters.base import Forecaster, settle_bins
from tranquillite_ml.forecasters.learned_count import train_memory
from tranquillite_ml.forecasters.sampling import Sample, draw_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import pandas as pd
    from numpy.typing import NDArray

    from tranquillite_ml.bundle import Parts
    from tranquillite_ml.calibration.calibrator import Intervals, Law
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.target import Target

Start = Literal["smoothed", "learned"]
BURN_IN_DAYS = 28
RATES_AT_ONCE = 400_000  # place-periods whose features are held at a time


class LearnedForecaster(Forecaster):
    """A forecaster that learns a factor on a count it starts from, from features.

    Parameters
    ----------
    target : Target
    features : FeatureSet, optional
        History, neighbourhood, near repeat and calendar when not given.
    zeros : float, default 0.1
        Share of rows without incident that is kept for training, with weights; 1 keeps all.
    max_rows : int, default 600000
        Rows trained on at most.
    random_state : int, default 0
    start : {"smoothed", "learned"}, default "smoothed"
        The count it starts from: smoothed over rings, or with a memory that is learnt (`LearnedCount`).
    calibration_days, strata, level, law, intervals
        As for `Forecaster`.

    Attributes
    ----------
    memories_ : dict of str to Memory
        What was learnt of each category's memory, where that is the start.
    """

    recall: Callable[[Hashable, Callable[[], Sample]], Sample] | None = None
    """Given a key and how to draw, gives the sample: fits on the same rows can share them."""

    def __init__(
        self,
        target: Target,
        features: FeatureSet | None = None,
        *,
        zeros: float = 0.1,
        max_rows: int = 600_000,
        random_state: int = 0,
        start: Start = "smoothed",
        calibration_days: float = 60,
        strata: int = 5,
        level: float = 0.9,
        law: Law = "negative_binomial",
        intervals: Intervals = "law",
    ) -> None:
        super().__init__(
            target,
            calibration_days=calibration_days,
            strata=strata,
            level=level,
            law=law,
            intervals=intervals,
        )
        self.features = features
        self.zeros = zeros
        self.max_rows = max_rows
        self.random_state = random_state
        self.start = start

    def fit(self, panel: Panel, cutoff: int | str | pd.Timestamp | None = None) -> Self:
        """Train on what was known before the calibration window, then calibrate up to the cutoff.

        Parameters
        ----------
        panel : Panel
        cutoff : int, str or Timestamp, optional
            Last instant whose reports may be used; the end of the panel when not given.

        Raises
        ------
        UsageError
            If the panel lacks a category, there is too little history, or a parameter is out of range.
        """
        check_in(self.start, ["smoothed", "learned"], "start")
        self.memories_: dict[str, Memory] = {}
        return super().fit(panel, cutoff)

    def starting_rate(self, view: View) -> NDArray[Any]:
        """Expected count of the target period that the learnt factor multiplies, shape (n_rows, n_cells)."""
        memory = self.memories_[view.category] if self.start == "learned" else None
        per_bin = smoothed_rate(view) if memory is None else memory.rate(view)
        return per_bin * (view.target.period * view.exposure_factor)

    def _features(self) -> FeatureSet:
        return FeatureSet() if self.features is None else self.features

    def _sample(self, panel: Panel, category: str, begin: int, end: int, salt: int) -> Sample:
        """Rows whose pseudo-cutoff is at or after `begin` and whose target period ends by `end`."""
        if self.start == "learned" and category not in self.memories_:
            self.memories_[category] = train_memory(panel, category, self.target)
        if self.recall is None:
            return self._draw_sample(panel, category, begin, end, salt)
        drawn = (self.start, self.zeros, self.max_rows, self.random_state)
        key = (*drawn, panel.n_bins, category, begin, end, salt)
        return self.recall(key, lambda: self._draw_sample(panel, category, begin, end, salt))

    def _draw_sample(self, panel: Panel, category: str, begin: int, end: int, salt: int) -> Sample:
        if not 0 < self.zeros <= 1:
            msg = f"zeros must lie in (0, 1], got {self.zeros}."
            raise UsageError(msg)
        rng = np.random.default_rng([self.random_state, salt, zlib.crc32(category.encode())])
        rows = np.arange(begin, end - self.target.reach + 1)
        if len(rows) < 1:
            msg = f"there is too little history to train on {category!r}: no whole period to learn from."
            raise UsageError(msg)
        horizons = np.array(self.target.horizons)[rng.integers(len(self.target.horizons), size=len(rows))]
        view = View(panel, category, self.target, rows, horizons)
        return draw_sample(
            view, self._features(), self.starting_rate, zeros=self.zeros, max_rows=self.max_rows, rng=rng
        )

    def _windows(self, panel: Panel, category: str, stopping_days: float) -> tuple[int, int, int]:
        """Bins where training starts, where early stopping starts, and where both have settled."""
        end = panel.n_bins - settle_bins(panel, category)
        begin = panel.bins.days(BURN_IN_DAYS)
        wanted = min(panel.bins.days(stopping_days), (end - begin) // 4)
        return begin, end - max(wanted, self.target.reach), end

    def _rate(self, view: View) -> NDArray[Any]:
        """Starting rate times the learnt factor; rows are taken in chunks so that memory stays bounded."""
        chunk = max(1, RATES_AT_ONCE // view.panel.n_cells)
        parts = []
        for k in range(0, len(view.rows), chunk):
            part = view.share(view.rows[k : k + chunk], view.horizons[k : k + chunk])
            columns = {
                name: np.broadcast_to(v, part.shape).ravel() for name, v in self._features().columns(part)
            }
            factor = np.exp(self._log_factor(self.models_[view.category], columns))
            parts.append(self.starting_rate(part) * factor.reshape(part.shape))
        return np.concatenate(parts)

    def _log_factor(self, model: Any, columns: dict[str, NDArray[np.float32]]) -> NDArray[Any]:
        raise NotImplementedError

    def _parts(self) -> Parts:
        parts = super()._parts()
        parts.description["memories"] = {name: found.to_dict() for name, found in self.memories_.items()}
        return parts

    def _restore(self, parts: Parts) -> Self:
        super()._restore(parts)
        found = parts.description.get("memories", {})
        self.memories_ = {name: Memory.from_dict(values) for name, values in found.items()}
        return self
