"""Calibrated, explainable forecasts of recorded incidents per place and period.

Forecasts are about places and periods, never persons. A record is what was reported and recorded: it is not
the truth about what happened.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

_HOMES = {
    "Calendar": "features",
    "Count365": "forecasters",
    "CountAll": "forecasters",
    "DecayedCount": "forecasters",
    "FeatureBlock": "features",
    "FeatureSet": "features",
    "Forecaster": "forecasters",
    "Forecasts": "forecasts",
    "HexGrid": "hexgrid",
    "History": "features",
    "Incidents": "intake",
    "LightGBMForecaster": "forecasters",
    "NearRepeat": "features",
    "Neighbourhood": "features",
    "Panel": "panel",
    "RollingOrigin": "splits",
    "SeasonalNaive": "forecasters",
    "SmoothedCount": "forecasters",
    "TabularForecaster": "forecasters",
    "Target": "target",
    "TimeBins": "timebins",
    "backtest": "evaluation",
    "baseline_ladder": "forecasters",
    "compare": "evaluation",
    "hotspot_curve": "evaluation",
    "interval_coverage_table": "evaluation",
    "leakage_canary": "evaluation",
    "load_config": "config",
    "open_bundle": "forecasters",
    "pit_table": "evaluation",
    "read_forecasts": "forecasts",
    "read_incidents": "intake",
    "reliability_curve": "evaluation",
    "run": "pipeline",
    "score": "evaluation",
    "simulate_city": "city",
    "verdict": "evaluation",
}
_ROOMS = ("errors", "plots")

__all__ = sorted([*_HOMES, *_ROOMS])  # noqa: PLE0605 - sorted, and resolved when asked for
__version__ = version("tranquillite-ml")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"tranquillite_ml.{name}")
    if name in _HOMES:
        return getattr(import_module(f"tranquillite_ml.{_HOMES[name]}"), name)
    msg = f"module 'tranquillite_ml' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
