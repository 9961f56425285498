"""Calibrated, explainable forecasts of recorded incidents per place and period.

Forecasts are about places and periods, never persons. A record is what was reported and recorded: it is not
the truth about what happened.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "AdditiveForecaster": "forecasters",
    "Area": "features",
    "Calendar": "features",
    "Context": "intake",
    "Count365": "forecasters",
    "CountAll": "forecasters",
    "Daylight": "features",
    "DecayedCount": "forecasters",
    "EnsembleForecaster": "forecasters",
    "Events": "features",
    "FeatureBlock": "features",
    "FeatureSet": "features",
    "Forecaster": "forecasters",
    "Forecasts": "forecasts",
    "HawkesForecaster": "forecasters",
    "HexGrid": "hexgrid",
    "History": "features",
    "Incidents": "intake",
    "KernelDensity": "forecasters",
    "LearnedCount": "forecasters",
    "LightGBMForecaster": "forecasters",
    "NearRepeat": "features",
    "NegativeBinomialForecaster": "forecasters",
    "Neighbourhood": "features",
    "Panel": "panel",
    "PlacedSquares": "placedsquares",
    "Places": "features",
    "PlantedEffect": "city",
    "PoissonForecaster": "forecasters",
    "ProspectiveHotspot": "forecasters",
    "RetrospectiveHotspot": "forecasters",
    "RollingOrigin": "splits",
    "SeasonalNaive": "forecasters",
    "SelfExciting": "features",
    "SmoothedCount": "forecasters",
    "SquareGrid": "squaregrid",
    "TabularForecaster": "forecasters",
    "Target": "target",
    "TimeBins": "timebins",
    "Waiver": "governance",
    "Weather": "features",
    "backtest": "evaluation",
    "backtest_scores": "tuning",
    "baseline_ladder": "forecasters",
    "calibration_slope": "evaluation",
    "compare": "evaluation",
    "compare_hit_rates": "evaluation",
    "cutoffs_before": "tuning",
    "detectable_difference": "evaluation",
    "diebold_mariano": "evaluation",
    "effect_curve": "explanation",
    "explain": "explanation",
    "explanation_quality": "explanation",
    "forecasts_from_hexes": "adapters",
    "forecasts_from_points": "adapters",
    "forecasts_from_squares": "adapters",
    "glass_box_check": "evaluation",
    "hotspot_curve": "evaluation",
    "interactions": "explanation",
    "interval_coverage_table": "evaluation",
    "leakage_canary": "evaluation",
    "load_config": "config",
    "observe_incidents": "adapters",
    "open_bundle": "forecasters",
    "open_storage": "tuning",
    "pit_table": "evaluation",
    "read_context": "intake",
    "read_forecasts": "forecasts",
    "read_incidents": "intake",
    "reliability_curve": "evaluation",
    "reporting_delay": "intake",
    "resolution_sensitivity": "evaluation",
    "run": "pipeline",
    "score": "evaluation",
    "simulate_city": "city",
    "simulate_events": "city",
    "simulate_feedback": "simulation",
    "simulate_issues": "city",
    "simulate_spells": "city",
    "simulate_underreporting": "simulation",
    "street_km": "features",
    "tune": "tuning",
    "tune_config": "search",
    "verdict": "evaluation",
    "what_if": "explanation",
}
_ROOMS = ("errors", "plots")

__all__ = sorted([*_HOMES, *_ROOMS])  # noqa: PLE0605 - sorted, and resolved when asked for
__version__: str


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # it takes as long as all the rest

        return version("tranquillite-ml")
    if name in _ROOMS:
        return import_module(f"tranquillite_ml.{name}")
    if name in _HOMES:
        return getattr(import_module(f"tranquillite_ml.{_HOMES[name]}"), name)
    msg = f"module 'tranquillite_ml' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
