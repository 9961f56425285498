"""Forecasts, groups and evidence made by hand for the tests of checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tranquillite_ml.audit.groups import Groups
from tranquillite_ml.evaluation import backtest
from tranquillite_ml.forecasters import Count365, Forecaster
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.governance import Waiver
from tranquillite_ml.panel import Panel
from tranquillite_ml.splits import RollingOrigin
from tranquillite_ml.target import Target


def forecasts_of(panel: Panel, category: str = "noise", *, folds: int = 2) -> Forecasts:
    """A short backtest of a plain count, of what agents record too, for an audit to find."""
    held = Waiver(
        category=category,
        origin=panel.origins[category],
        who="A. Martin, council",
        when="2020-01-01",
        why="a test",
        until="2090-12-31",
    )
    target = Target(category, period=7, waivers=[held])
    counted: Forecaster = Count365(target, calibration_days=0)
    return backtest([counted], panel, RollingOrigin(folds=folds, every="7D"))


def groups_of(panel: Panel, homes: float | None = 50, *, south: Any = None) -> Groups:
    """Two groups: the southern half of the cells and the northern, 100 residents a cell."""
    lower = (
        panel.grid.centres[:, 0] < np.median(panel.grid.centres[:, 0]) if south is None else np.asarray(south)
    )
    found = Groups.of_cells({"south": 100.0 * lower, "north": 100.0 * ~lower}, panel.grid.cells)
    return replace(found, households=None if homes is None else np.full(panel.n_cells, float(homes)))
