"""A forecast of one period from an opened bundle and an opened panel: what a service waits for."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import fresh
import numpy as np
from common import Bar, figure

from tranquillite_ml import HexGrid, LightGBMForecaster, Panel, Target, TimeBins, open_bundle

RINGS, DAYS, MEAN_A_DAY = 58, 730, 0.02  # 3 · 58 · 59 + 1 = 10,267 cells
CATEGORIES = ("burglary", "noise", "theft")

BARS = {
    "first": Bar(
        "forecast of one week from an opened bundle and panel, 10,267 cells, the first", "s", most=0.5
    ),
    "later": Bar("the same again in the same process, median of 5", "s", most=0.5),
    "open": Bar("opening bundle and panel, hashes checked", "s"),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    with tempfile.TemporaryDirectory() as folder:
        note = fresh.call("forecast", "prepare", folder=folder)["result"]
        found = fresh.call("forecast", "answer", folder=folder)["result"]
    return {name: figure(value, note=note if name == "first" else "") for name, value in found.items()}


def prepare(folder: str) -> str:
    """Fit a model on simulated counts; bundle and panel are left in the folder."""
    rng = np.random.default_rng(0)
    grid = HexGrid(["893968152bbffff"]).dilated(RINGS)
    rate = rng.gamma(0.5, 2 * MEAN_A_DAY, grid.n_cells)
    counts = rng.poisson(rate, (len(CATEGORIES), DAYS, grid.n_cells))
    bins = TimeBins("2022-01-01", DAYS, "1D", "Europe/Paris")
    panel = Panel.from_counts(counts, grid, bins, CATEGORIES, dict.fromkeys(CATEGORIES, "citizen"))
    model = LightGBMForecaster(Target("burglary", period=7), max_rows=200_000).fit(panel)
    model.save(Path(folder, "model"))
    panel.save(Path(folder, "panel"))
    trees, columns = model.models_["burglary"].num_trees(), model.models_["burglary"].num_feature()
    return f"{DAYS} days, {int(counts.sum()):,} simulated incidents, {columns} features, {trees} trees"


def answer(folder: str) -> dict[str, float]:
    """Seconds to open, to forecast first, and to forecast again."""
    begin = time.perf_counter()
    panel, model = Panel.open(Path(folder, "panel")), open_bundle(Path(folder, "model"))
    found = {"open": time.perf_counter() - begin}
    taken = []
    for _ in range(6):
        begin = time.perf_counter()
        model.forecast(panel)
        taken.append(time.perf_counter() - begin)
    return found | {"first": taken[0], "later": median(taken[1:])}
