"""Tabular: any scikit-learn regressor of ratios."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import PoissonRegressor

from tests.builders import make_panel
from tranquillite_ml.errors import ConfigError
from tranquillite_ml.features import FeatureSet, History
from tranquillite_ml.forecasters import PoissonForecaster, SmoothedCount, TabularForecaster, make_model
from tranquillite_ml.target import Target

TARGET = Target("noise", period=7)
SMALL = FeatureSet([History(windows=(28,), decays=())])


def test_the_name_is_the_regressors() -> None:
    assert TabularForecaster(TARGET, PoissonRegressor()).name == "poisson"


def test_a_regressor_that_says_nothing_leaves_the_smoothed_count() -> None:
    """With a huge penalty the ratio is one constant: the total over the smoothed count's total."""
    panel = make_panel(250, 2, rate=0.3)
    nothing = TabularForecaster(TARGET, PoissonRegressor(alpha=1e9), SMALL, zeros=1.0, calibration_days=0)
    fitted = nothing.fit(panel)
    ours = fitted.forecast(panel).expected_count
    plain = SmoothedCount(TARGET, calibration_days=0).fit(panel).forecast(panel).expected_count
    sample = fitted._sample(panel, "noise", 28, panel.n_bins, 0)
    ratio = sample.outcome.sum() / np.exp(sample.offset).sum()
    np.testing.assert_allclose(ours / plain, ratio, rtol=1e-3)


def test_made_by_name() -> None:
    trees = make_model("tabular", TARGET, SMALL, regressor="hist_gradient_boosting", zeros=0.5)
    assert (trees.name, trees.zeros) == ("hist_gradient_boosting", 0.5)
    poisson = make_model("tabular", TARGET, FeatureSet(), regressor="poisson")
    assert isinstance(poisson, PoissonForecaster)
    with pytest.raises(ConfigError, match="does not take these parameters"):
        make_model("tabular", TARGET, SMALL, regressor="hist_gradient_boosting", leaves=3)


@pytest.mark.parametrize("kind", ["poisson", "negative_binomial", "additive", "lightgbm"])
def test_features_that_are_stated_are_used(kind: str) -> None:
    assert make_model(kind, TARGET, SMALL, random_state=3).features is SMALL
    assert make_model(kind, TARGET, FeatureSet()).features is None


def test_plain_counts_by_name_take_no_seed() -> None:
    assert make_model("count_365d", TARGET, FeatureSet(), random_state=3).name == "count_365d"
    with pytest.raises(ConfigError, match="Did you mean 'poisson'"):
        make_model("poison", TARGET, FeatureSet())
