"""Models fitted once on small simulated counts, for all tests of explanations."""

from __future__ import annotations

import pytest

from tests.builders import make_panel
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters import (
    AdditiveForecaster,
    EnsembleForecaster,
    Forecaster,
    KernelDensity,
    LightGBMForecaster,
    PoissonForecaster,
    all_forecasters,
)
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

SMALL = FeatureSet.from_list(
    [
        {"history": {"windows": [7, 28], "decays": [60]}},
        {"neighbourhood": {"rings": 1, "windows": [28]}},
        "calendar",
    ]
)
KINDS = {kind.__name__: kind for kind in all_forecasters()}


def make(kind: type[Forecaster], target: Target) -> Forecaster:
    if kind is EnsembleForecaster:
        few = LightGBMForecaster(target, SMALL, n_estimators=20)
        return kind(
            target, [KernelDensity(target), PoissonForecaster(target, SMALL), few], calibration_days=28
        )
    params = kind(target).get_params(deep=False)
    given = {"calibration_days": 28}
    given |= {"features": SMALL} if "features" in params else {}
    given |= {"n_estimators": 40} if "n_estimators" in params else {}
    given |= {"pairs": [("target_28d", "season_sin")]} if kind is AdditiveForecaster else {}
    return kind(target, **given)


@pytest.fixture(scope="session")
def panel() -> Panel:
    return make_panel(200, rings=3, rate=0.15, seed=1)


@pytest.fixture(scope="session")
def trees(panel: Panel) -> LightGBMForecaster:
    return make(LightGBMForecaster, Target(["noise", "theft"], horizons=[1, 3])).fit(panel)
