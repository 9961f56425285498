"""Where a simulation starts: the smoothed field of what citizens reported, per week."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.config.sections import AGENT_ORIGINS
from tranquillite_ml.errors import UsageError
from tranquillite_ml.features import View, smoothed_rate
from tranquillite_ml.target import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.panel import Panel


def reported_rate(panel: Panel, category: str) -> NDArray[np.float64]:
    """Smoothed recorded incidents of a category per week, shape (n_cells,), as known at the panel's end.

    Raises
    ------
    UsageError
        If the panel lacks the category, holds none of it, or agents make its records, which then say where
        agents were.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=200, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> reported_rate(panel, "noise").shape == (panel.n_cells,)
    True
    """
    panel.check_categories(category)
    if panel.origins[category] in AGENT_ORIGINS:
        msg = (
            f"a simulation starts from what citizens reported; records of {category!r} are made by agents "
            f"(origin: {panel.origins[category]}). Use a category of citizen origin."
        )
        raise UsageError(msg)
    week = panel.bins.days(7)
    view = View(panel, category, Target(category), np.array([panel.n_bins]))
    if panel.n_bins < week or not (panel.records(category).cell >= 0).any():
        msg = f"a simulation needs a week and one incident of {category!r} at least; the panel has {panel!r}."
        raise UsageError(msg)
    return np.asarray(smoothed_rate(view)[0] * week, dtype=np.float64)


def weeks_of_history(panel: Panel) -> int:
    """Whole weeks that a panel covers, at least one."""
    return max(1, panel.n_bins // panel.bins.days(7))
