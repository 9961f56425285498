"""Thirteen weekly forecasts of a real city by the model and the ladder of plain counts."""

from __future__ import annotations

import time
from typing import Any

from common import Bar, figure
from stlouis import CATEGORY, FILE, panel_of

from tranquillite_ml import backtest, verdict
from tranquillite_ml.stages import make_forecasters, make_splits

FOLDS = 13

BARS = {
    "seconds": Bar(
        f"{FOLDS}-fold weekly backtest of the model and the ladder, St. Louis, one category", "s", most=120
    ),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    if not FILE.is_file():
        return {"seconds": figure(None, note="needs ../shared/data/stlouis")}
    config, panel, _ = panel_of()
    forecasters = make_forecasters(config)
    begin = time.perf_counter()
    found = backtest(forecasters, panel, make_splits(config))
    seconds = time.perf_counter() - begin
    said = verdict(found, model=forecasters[0].name).text
    note = f"{CATEGORY}, {len(forecasters)} models, {panel.n_cells:,} cells, trained once; {said}"
    return {"seconds": figure(seconds, note=note)}
