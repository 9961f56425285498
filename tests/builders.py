"""Small panels with known contents, shared by the tests."""

from __future__ import annotations

import numpy as np

from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.timebins import TimeBins

CENTRE = "893968152bbffff"


def make_panel(
    n_bins: int = 60,
    rings: int = 1,
    *,
    seed: int = 0,
    rate: float = 0.2,
    delay: int = 0,
    freq: str = "1D",
    categories: tuple[str, ...] = ("noise", "theft"),
) -> Panel:
    """Poisson counts on a small disk of cells; with `delay`, known up to that many bins late."""
    rng = np.random.default_rng(seed)
    grid = HexGrid([CENTRE]).dilated(rings)
    counts = rng.poisson(rate, size=(len(categories), n_bins, grid.n_cells))
    category, time_bin, cell = np.nonzero(counts)
    late = rng.integers(0, delay + 1, size=len(cell))
    arrays = {
        "category": category.astype(np.int32),
        "bin": time_bin.astype(np.int32),
        "cell": cell.astype(np.int32),
        "known": (time_bin + 1 + late).astype(np.int32),
        "count": counts[category, time_bin, cell].astype(np.int32),
    }
    bins = TimeBins("2023-01-02", n_bins, freq, "Europe/Paris")
    return Panel(grid, bins, categories, dict.fromkeys(categories, "citizen"), arrays)
