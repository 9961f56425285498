"""A panel with a busy corner and a quiet rest, and its groups."""

from __future__ import annotations

import numpy as np
import pytest

from tranquillite_ml.panel import Panel
from tranquillite_ml.simulation import PlaceGroups
from tranquillite_ml.squaregrid import SquareGrid
from tranquillite_ml.timebins import TimeBins


def planted_rate(side: int = 12) -> np.ndarray:
    """Weekly rates that fall from one corner of the city to the other."""
    row, column = np.divmod(np.arange(side * side), side)
    return 4.0 * np.exp(-(row + column) / 5)


def planted_panel(n_weeks: int = 104, *, seed: int = 0, origin: str = "citizen", freq: str = "1D") -> Panel:
    rate = planted_rate()
    grid = SquareGrid.from_tensor_shape((12, 12), size_km=0.5)
    per_week = 7 if freq == "1D" else 1
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rate / per_week, size=(2, n_weeks * per_week, len(rate)))
    bins = TimeBins("2022-01-03", n_weeks * per_week, freq, "UTC")
    return Panel.from_counts(counts, grid, bins, ["noise", "theft"], {"noise": origin, "theft": "citizen"})


@pytest.fixture(scope="session")
def panel() -> Panel:
    return planted_panel()


@pytest.fixture(scope="session")
def parts() -> PlaceGroups:
    """The three busiest cells, and the other 141; 100 residents in each cell."""
    row, column = np.divmod(np.arange(144), 12)
    corner = (row + column < 2).astype(float)
    return PlaceGroups(["corner", "rest"], np.column_stack([corner, 1 - corner]) * 100)
