"""A fitted model on small simulated counts, for all tests of checks."""

from __future__ import annotations

import pytest

from tests.builders import make_panel
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters import LightGBMForecaster
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

SMALL = FeatureSet.from_list(
    [
        {"history": {"windows": [7, 28], "decays": [60]}},
        {"neighbourhood": {"rings": 1, "windows": [28]}},
        "calendar",
    ]
)


@pytest.fixture(scope="session")
def small_panel() -> Panel:
    """61 cells, 220 days, two categories."""
    return make_panel(220, rings=4, rate=0.15, seed=1)


@pytest.fixture(scope="session")
def trees(small_panel: Panel) -> LightGBMForecaster:
    """Trained on it."""
    model = LightGBMForecaster(Target("noise", period=7), SMALL, n_estimators=30, calibration_days=28)
    return model.fit(small_panel)
