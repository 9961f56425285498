"""Forecasters: plain counts and learnt models behind one contract."""

import os

# Idle OpenMP threads that spin make every small fit wait where cores are shared. It must be set before the
# native libraries are loaded; what the operator set wins.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from tranquillite_ml.forecasters.additive import AdditiveForecaster
from tranquillite_ml.forecasters.base import Forecaster, settle_bins
from tranquillite_ml.forecasters.baselines import (
    Count365,
    CountAll,
    DecayedCount,
    SeasonalNaive,
    SmoothedCount,
    baseline_ladder,
)
from tranquillite_ml.forecasters.boosting import LightGBMForecaster
from tranquillite_ml.forecasters.ensemble import EnsembleForecaster
from tranquillite_ml.forecasters.hawkes import HawkesForecaster
from tranquillite_ml.forecasters.kernels import KernelDensity, ProspectiveHotspot, RetrospectiveHotspot
from tranquillite_ml.forecasters.learned_count import LearnedCount
from tranquillite_ml.forecasters.linear import (
    NegativeBinomialForecaster,
    PoissonForecaster,
    compact_features,
)
from tranquillite_ml.forecasters.opening import all_forecasters, make_model, open_bundle
from tranquillite_ml.forecasters.tabular import TabularForecaster

__all__ = [
    "AdditiveForecaster",
    "Count365",
    "CountAll",
    "DecayedCount",
    "EnsembleForecaster",
    "Forecaster",
    "HawkesForecaster",
    "KernelDensity",
    "LearnedCount",
    "LightGBMForecaster",
    "NegativeBinomialForecaster",
    "PoissonForecaster",
    "ProspectiveHotspot",
    "RetrospectiveHotspot",
    "SeasonalNaive",
    "SmoothedCount",
    "TabularForecaster",
    "all_forecasters",
    "baseline_ladder",
    "compact_features",
    "make_model",
    "open_bundle",
    "settle_bins",
]
