"""Tuning: what the study itself costs a trial, and what drawing rows once saves."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from common import Bar, figure

from tranquillite_ml.city import simulate_city
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters import LightGBMForecaster
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins
from tranquillite_ml.tuning import backtest_scores, open_storage, tune

TRIALS, FOLDS = 100, 4
SPACE = {
    "rate": [0.01, 0.2],
    "leaves": [7, 63],
    "fraction": [0.2, 1.0],
    "weight": [5, 200],
    "zeros": [0.05, 0.1, 0.2],
}


SIZE = f"{TRIALS} trials of {FOLDS} folds"
STORES = ("journal", "SQLite")

BARS = {
    **{
        f"trial_{kind}": Bar(f"study machinery a trial, {kind}, {SIZE}", "CPU ms", most=100)
        for kind in STORES
    },
    **{f"reopen_{kind}": Bar(f"reopening a study, {kind}, {SIZE}", "CPU s", most=2) for kind in STORES},
    "journal_size": Bar("journal a trial", "kB", most=10),
    "sharing": Bar("time of a trial whose rows are known, over that of one that draws them", "×", most=1),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, where in zip(
            STORES, (f"{folder}/journal.log", f"sqlite:///{folder}/study.db"), strict=True
        ):
            first, each = _study_seconds(where)
            found[f"trial_{kind}"] = figure(1000 * each, note="5 parameters")
            found[f"reopen_{kind}"] = figure(first, note="importances with intervals included")
        found["journal_size"] = figure(Path(folder, "journal.log").stat().st_size / TRIALS / 1000)
    return found | {"sharing": _sharing()}


def _scores(params: dict[str, Any]) -> Any:
    for fold in range(FOLDS):
        yield -abs(params["leaves"] - 31) - params["rate"] - fold


def _study_seconds(where: str) -> tuple[float, float]:
    """Processor seconds to reopen the finished study, and a trial: other work on the machine does not count."""
    with open_storage(where) as storage:
        tune(_scores, SPACE, storage=storage, trials=1)  # libraries are imported
        begin = time.process_time()
        tune(_scores, SPACE, storage=storage, trials=TRIALS)
        each = (time.process_time() - begin) / (TRIALS - 1)
    begin = time.process_time()
    with open_storage(where) as storage:
        tune(_scores, SPACE, storage=storage, trials=TRIALS)
    return time.process_time() - begin, each


def _sharing() -> dict[str, Any]:
    """Time of a LightGBM trial whose rows are known, over that of one that draws them."""
    city = simulate_city(seed=0, days=500, incidents_per_day=40, radius_km=3)
    panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    forecaster = LightGBMForecaster(Target("damage", period=7), FeatureSet(), n_estimators=100)
    cutoffs = [panel.n_bins - 35, panel.n_bins - 21, panel.n_bins - 7]
    scores = backtest_scores(forecaster, panel, cutoffs)
    seconds = []
    for leaves in (15, 15, 15):
        begin = time.perf_counter()
        list(scores({"num_leaves": leaves}))
        seconds.append(time.perf_counter() - begin)
    ratio = min(seconds[1:]) / seconds[0]
    note = f"500 days, {panel.n_cells} cells, 3 folds, 100 trees; first trial {seconds[0]:.2f} s"
    return figure(ratio, note=note)
