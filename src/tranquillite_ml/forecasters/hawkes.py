"""Self-exciting process as a forecaster: a smoothed background, and echoes of what was just recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.bundle import Parts
from tranquillite_ml.errors import UsageError, is_whole, positive_numbers
from tranquillite_ml.features import View, smoothed_rate
from tranquillite_ml.forecasters.base import Forecaster, settle_bins
from tranquillite_ml.processes.hawkes_binned import Mixture, expected_counts, fading, fit_mixture
from tranquillite_ml.processes.hawkes_sums import offspring_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from tranquillite_ml.grid import Grid
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.target import Target

PRIOR_BACKGROUND, PRIOR_THETA = 0.8, 0.2
TRUST = 2.0  # incidents that each prior is worth


class HawkesForecaster(Forecaster):
    """Self-exciting process: each recorded incident makes more of them likelier, near and for a while.

    Parameters
    ----------
    target, calibration_days, strata, level
        As for `Forecaster`.
    rings : int, default 2
        Rings of cells around an incident in which offspring may fall; their shares are learnt.
    memories_days : sequence of float, default (2, 4, 7, 14, 28, 56)
        Mean ages of an echo, 1/omega, to choose from.
    background_days : float, default 1000
        e-folding time of the memory of the background: long, as echoes are there for what is recent.
    history_days : float, default 730
        Length of the past from which is learnt.

    Attributes
    ----------
    models_ : dict of str to dict
        For each category ``background`` (a multiple of the smoothed rate), ``by_ring`` (offspring expected
        of an incident in its own cell, and in each ring), ``memory_days``, and the ``n`` incidents learnt
        from.

    Notes
    -----
    Mohler et al. (2015), doi:10.1080/01621459.2015.1077710, in the panel's bins and with offspring in rings
    (`processes.hawkes_binned`). Each cell's background is a multiple of its smoothed rate
    (`smoothed_rate`), drawn towards its neighbours where it has few records and never out of date. Weights
    are learnt by expectation and maximisation for each memory, and the most likely memory is kept. The
    forecast is the exact mean over the period, later generations included, given what was known at the
    cutoff; what was not yet reported has no echo.

    Offspring in rings is understated where a cell's neighbours are much busier or quieter than itself, as
    the background follows the cell's own rate: of 0.15 planted in the first ring, 0.02 was found; in the
    cell, all.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=200, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> fitted = HawkesForecaster(Target("noise", period=7), memories_days=[7]).fit(panel)
    >>> sorted(fitted.models_["noise"])
    ['background', 'by_ring', 'memory_days', 'n']
    """

    name = "hawkes"

    def __init__(
        self,
        target: Target,
        *,
        rings: int = 2,
        memories_days: Sequence[float] = (2, 4, 7, 14, 28, 56),
        background_days: float = 1000,
        history_days: float = 730,
        calibration_days: float = 60,
        strata: int = 5,
        level: float = 0.9,
    ) -> None:
        super().__init__(target, calibration_days=calibration_days, strata=strata, level=level)
        self.rings = rings
        self.memories_days = memories_days
        self.background_days = background_days
        self.history_days = history_days

    def _train(self, panel: Panel, category: str) -> dict[str, Any]:
        memories = positive_numbers(self.memories_days)
        if not memories or not is_whole(self.rings) or self.rings < 0:
            msg = (
                "memories_days must be positive numbers and rings a whole number from 0 on, "
                f"got {self.memories_days!r} and {self.rings!r}."
            )
            raise UsageError(msg)
        end = panel.n_bins - settle_bins(panel, category)
        begin = max(panel.bins.days(28), end - panel.bins.days(self.history_days), 1)
        view = View(panel, category, self.target, np.arange(min(begin, end - 1), end))
        usual = smoothed_rate(view, days=self.background_days)
        shares = self._shares(panel.grid)
        found = {days: self._weigh(view, usual, days, shares) for days in map(float, memories)}
        best = max(found, key=lambda days: found[days].log_likelihood)
        weights = found[best].weights.tolist()
        return {
            "background": weights[0],
            "by_ring": weights[1:],
            "memory_days": best,
            "n": found[best].n,
        }

    def _weigh(self, view: View, usual: NDArray[Any], days: float, shares: tuple[csr_matrix, ...]) -> Mixture:
        """Weights of the background and of each ring's echoes, from one bin to the next."""
        known = view.known("target")
        ratio = view.decay_ratio(days)
        faded = fading(known.decay(view.rows, ratio), ratio)
        records = known.records.where(
            (known.records.bin >= view.rows[0]) & (known.records.bin <= view.rows[-1])
        )
        row, cell = records.bin - view.rows[0], records.cell
        parts = [usual[row, cell].astype(np.float64)]
        totals = [float(usual.sum(dtype=np.float64))]
        by_cell = faded.sum(axis=0, dtype=np.float64)
        for share in shares:
            parts.append(_at(faded, share, row, cell))
            totals.append(float((share @ by_cell).sum()))
        n_rings = len(shares)
        return fit_mixture(
            np.stack(parts),
            totals,
            records.count,
            prior=[PRIOR_BACKGROUND] + [PRIOR_THETA / n_rings] * n_rings,
            trust=[TRUST] + [TRUST / n_rings] * n_rings,
        )

    def _rate(self, view: View) -> NDArray[Any]:
        model = self.models_[view.category]
        ratio = view.decay_ratio(model["memory_days"])
        faded = fading(view.known("target").decay(view.rows, ratio), ratio)
        background = model["background"] * smoothed_rate(view, days=self.background_days)
        shares = self._shares(view.panel.grid)
        spread = sum(weight * share for weight, share in zip(model["by_ring"], shares, strict=True))
        first = view.period_begin - view.rows
        expected = expected_counts(
            background, faded, spread, ratio=ratio, first=first, period=view.target.period
        )
        return np.asarray(expected * view.exposure_factor)

    def _shares(self, grid: Grid) -> tuple[csr_matrix, ...]:
        """Shares by ring, made once a grid."""
        if getattr(self, "_grid", None) is not grid:
            rings = [grid.ring(k) for k in range(self.rings + 1)]
            self._grid = grid
            self._made = tuple(share.tocsr() for share in offspring_shares(rings, grid.n_cells))
        return self._made

    def _parts(self) -> Parts:
        parts = super()._parts()
        return Parts(parts.description | {"models": self.models_}, parts.arrays, parts.texts)


def _at(
    faded: NDArray[Any], share: csr_matrix, row: NDArray[np.int32], cell: NDArray[np.int32]
) -> NDArray[np.float64]:
    """What reaches some cells in some rows: the neighbours of these alone are looked up."""
    size = np.diff(share.indptr)[cell]
    which = np.repeat(np.arange(len(cell)), size)
    offset = np.arange(len(which)) - np.repeat(np.cumsum(size) - size, size)
    link = share.indptr[cell[which]] + offset
    values = share.data[link] * faded[row[which], share.indices[link]]
    return np.bincount(which, weights=values, minlength=len(cell)).astype(np.float64)
