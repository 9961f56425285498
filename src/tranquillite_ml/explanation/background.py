"""Background: place-periods of a model's recent past, against which one place-period is held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.explanation.contributions import Term, feature_table, feature_values
from tranquillite_ml.features import View

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from tranquillite_ml.forecasters.learned import LearnedForecaster
    from tranquillite_ml.panel import Panel

_MOMENTS = 24


@dataclass(frozen=True)
class Background:
    """Features of place-periods drawn evenly from the last year.

    Attributes
    ----------
    category : str
    terms : list of Term
    data : ndarray of float32, shape (n, n_features)
    cell : ndarray of int64, shape (n,)
        Row number of each one's cell in the grid.
    slot : ndarray of int64, shape (n,)
        Hour of the week in which each period starts; 0 for periods of whole weeks, which have none.
    """

    category: str
    terms: list[Term]
    data: NDArray[np.float32]
    cell: NDArray[np.int64]
    slot: NDArray[np.int64]

    @property
    def names(self) -> list[str]:
        """Names of the features."""
        return [term.name for term in self.terms]

    def typical(self) -> NDArray[np.float32]:
        """Median of each feature, missing values left out; NaN where all are missing."""
        seen = np.isfinite(self.data)
        filled = np.where(seen, self.data, np.inf)
        ordered = np.sort(filled, axis=0)
        middle = np.maximum(seen.sum(axis=0) - 1, 0) // 2
        found = ordered[middle, np.arange(ordered.shape[1])]
        return np.where(seen.any(axis=0), found, np.nan).astype(np.float32)

    def draws(self, slots: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """For each slot, the number of a row drawn from that slot, or from any where there is none."""
        found = rng.integers(len(self.slot), size=len(slots))
        for slot in np.unique(slots):
            same = np.flatnonzero(self.slot == slot)
            mine = np.flatnonzero(slots == slot)
            if len(same):
                found[mine] = same[rng.integers(len(same), size=len(mine))]
        return found


def draw_background(
    model: LearnedForecaster,
    panel: Panel,
    *,
    category: str | None = None,
    cutoff: int | str | pd.Timestamp | None = None,
    n_rows: int = 1000,
    days: float = 365,
    seed: int = 0,
) -> Background:
    """Draw place-periods evenly over the cells and over moments of the last `days` before a cutoff.

    Parameters
    ----------
    model : LearnedForecaster
    panel : Panel
    category : str, optional
        The target's first one when not given.
    cutoff : int, str or Timestamp, optional
        The end of the panel when not given; nothing reported later is used.
    n_rows : int, default 1000
    days : float, default 365
    seed : int, default 0
    """
    end = panel.n_bins if cutoff is None else panel.index_at(cutoff)
    named = model.target.categories[0] if category is None else category
    known = panel.until(end)
    first = max(end - panel.bins.days(days), min(panel.bins.days(28), end - 1), 1)
    rng = np.random.default_rng([seed, 20])
    rows = np.unique(np.linspace(first, end, _MOMENTS).astype(np.int64))
    horizons = np.resize(np.array(model.target.horizons, dtype=np.int64), len(rows))
    view = View(known, named, model.target, rows, horizons)
    picks = np.sort(rng.integers(len(rows) * panel.n_cells, size=n_rows))
    row = picks // panel.n_cells
    return Background(
        named,
        feature_table(model, view),
        feature_values(model, view, picks),
        picks % panel.n_cells,
        slots_of(view)[row],
    )


def slots_of(view: View) -> NDArray[np.int64]:
    """Hour of the week in which each row's period starts; 0 for periods of whole weeks.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> city = simulate_city(seed=0, days=20, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, city.bins("1D"))
    >>> slots_of(View(panel, "noise", Target("noise"), np.arange(3, 6))).tolist()  # Tuesday to Thursday
    [24, 48, 72]
    """
    if view.target.period % view.bins.days(7) == 0:
        return np.zeros(len(view.rows), dtype=np.int64)
    start = view.bins.wall_at(view.period_begin)
    return np.asarray(24 * start.day_of_week + start.hour, dtype=np.int64)
