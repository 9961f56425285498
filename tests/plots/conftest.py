"""Tables to plot: two folds too few and enough of them, with names that matplotlib could misread."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.hexgrid import HexGrid

NAMES = ("count_365d", "_hidden $x^2$ and $y$", "truth")


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture(scope="session")
def forecasts() -> Forecasts:
    import h3

    rng = np.random.default_rng(0)
    grid = HexGrid(h3.grid_disk(h3.latlng_to_cell(43.3, 5.4, 9), 5))
    cells = np.array(
        [int(cell, 16) if isinstance(cell, str) else cell for cell in grid.cells], dtype=np.uint64
    )
    rate = np.tile(rng.gamma(0.5, 0.8, len(cells)), (6, 1))
    when = pd.date_range("2024-01-01", periods=6, freq="28D", tz="Europe/Paris")
    maps = pd.DataFrame({"category": "<b>noise</b>", "cutoff": when, "horizon": 1, "distribution": "poisson"})
    maps = maps.assign(
        level=0.9,
        outside_count=1.0,
        period_start=when,
        period_end=when + pd.DateOffset(days=7),
        exposure_hours=168.0,
    )
    keys = pd.concat([maps.assign(model=name) for name in NAMES], ignore_index=True)
    guesses = [rng.poisson(rate * 4) / 4, np.full(rate.shape, 0.4), rate]
    values = {
        "expected_count": np.concatenate(guesses),
        "observed_count": np.tile(rng.poisson(rate) * 1.0, (3, 1)),
        "lower": np.zeros((18, len(cells))),
        "upper": np.full((18, len(cells)), 2.0),
    }
    return Forecasts(keys, cells, np.asarray(grid.area_km2), values, {"tz": "Europe/Paris"})


@pytest.fixture(scope="session")
def one_fold(forecasts: Forecasts) -> Forecasts:
    return forecasts.take([0, 6, 12])
