"""Curves, interactions and changed features, against models whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.explanation.conftest import SMALL, make
from tranquillite_ml.errors import UsageError
from tranquillite_ml.explanation import effect_curve, interactions, what_if
from tranquillite_ml.explanation.background import draw_background
from tranquillite_ml.explanation.contributions import learnt_terms
from tranquillite_ml.forecasters import (
    AdditiveForecaster,
    Count365,
    EnsembleForecaster,
    LightGBMForecaster,
    PoissonForecaster,
)
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

WEEK = Target("noise", period=7)


@pytest.fixture(scope="module")
def poisson(panel: Panel) -> PoissonForecaster:
    return make(PoissonForecaster, WEEK).fit(panel)


def test_the_curve_of_a_linear_model_is_its_line(poisson: PoissonForecaster, panel: Panel) -> None:
    curve = effect_curve(poisson, panel, "target_28d")
    model = poisson.models_["noise"]
    k = model.names.index("target_28d")
    logs = np.clip(np.log1p(curve["value"] / model.size[k]), model.low[k], model.high[k])
    line = model.coefficients[k + 1] * logs / model.deviation[k]
    np.testing.assert_allclose(np.diff(curve["log_factor"]), np.diff(line), rtol=1e-4, atol=1e-7)
    assert curve["n"].iloc[1:].sum() == 4000
    assert (curve["lower"] <= curve["factor"]).all()
    assert effect_curve(poisson, panel, "same_period_last_year").empty  # the history is shorter than a year
    with pytest.raises(UsageError, match="feature must be one of"):
        effect_curve(poisson, panel, "target_29d")


def test_interactions_are_those_of_the_pairs(panel: Panel, trees: LightGBMForecaster) -> None:
    additive = make(AdditiveForecaster, WEEK).fit(panel)
    found = interactions(additive, panel, n_rows=20)
    assert {tuple(sorted(pair)) for pair in found[["feature", "feature_2"]].to_numpy()} <= {
        ("season_sin", "target_28d")
    }
    many = interactions(trees, panel, n_rows=20, top=3)
    assert len(many) == 3
    assert many["mean_abs"].is_monotonic_decreasing
    assert many["share"].between(0, 1).all()
    with pytest.raises(UsageError, match="between 1 and 500"):
        interactions(trees, panel, n_rows=501)


def test_interaction_values_add_up_to_contributions(panel: Panel, trees: LightGBMForecaster) -> None:
    from tranquillite_ml.explanation.factors import import_shap

    drawn = draw_background(trees, panel, n_rows=10)
    booster = trees.models_["noise"]
    assert booster.feature_name() == drawn.names
    values = np.asarray(
        import_shap().TreeExplainer(booster).shap_interaction_values(drawn.data.astype(np.float64))
    )
    amounts = learnt_terms(trees, "noise", drawn.data, drawn.terms)[0]
    np.testing.assert_allclose(values.sum(axis=2), amounts, atol=1e-9)


def test_removing_what_is_not_used_changes_nothing(panel: Panel, trees: LightGBMForecaster) -> None:
    noise = trees.models_["noise"].feature_importance()
    theft = trees.models_["theft"].feature_importance()
    names = trees.models_["noise"].feature_name()
    unused = [name for name, a, b in zip(names, noise, theft, strict=True) if a == b == 0]
    assert unused
    found = what_if(trees, panel, remove=unused)
    assert (found["change"] == 0).all()
    np.testing.assert_array_equal(found["expected_count"], trees.forecast(panel).expected_count.ravel())
    assert (found["ratio"] == 1).all()


def test_setting_a_feature_of_a_linear_model_by_hand(poisson: PoissonForecaster, panel: Panel) -> None:
    """Without calibration, moving one feature multiplies the count by exp(coefficient · change)."""
    bare = make(PoissonForecaster, WEEK).set_params(calibration_days=0).fit(panel)
    model = bare.models_["noise"]
    k = model.names.index("target_28d")
    low, high = (what_if(bare, panel, set={"target_28d": value}) for value in (2.0, 6.0))
    logs = np.log1p(np.array([2.0, 6.0]) / model.size[k])
    factor = np.exp(model.coefficients[k + 1] * (logs[1] - logs[0]) / model.deviation[k])
    np.testing.assert_allclose(high["what_if"] / low["what_if"], factor, rtol=1e-6)


def test_removing_the_starting_rate_levels_the_map(poisson: PoissonForecaster, panel: Panel) -> None:
    families = ["starting rate", "history", "city", "neighbourhood", "calendar"]
    known = set(SMALL.table(WEEK, panel.bins)["family"]) | {"starting rate"}
    found = what_if(poisson, panel, remove=[name for name in families if name in known])
    np.testing.assert_allclose(found["what_if"], found["what_if"][0], rtol=1e-6)


def test_what_cannot_be_changed_is_said(panel: Panel, poisson: PoissonForecaster) -> None:
    with pytest.raises(UsageError, match="Did you mean 'calendar'"):
        what_if(poisson, panel, remove=["calender"])
    with pytest.raises(UsageError, match="say what to change"):
        what_if(poisson, panel)
    with pytest.raises(UsageError, match="set takes features"):
        what_if(poisson, panel, set={"calendar": 1.0})
    with pytest.raises(UsageError, match="count_365d does not"):
        what_if(make(Count365, WEEK).fit(panel), panel, remove=["history"])
    with pytest.raises(UsageError, match="Ask its members"):
        what_if(make(EnsembleForecaster, WEEK).fit(panel), panel, remove=["history"])


def test_medians_leave_missing_values_out(poisson: PoissonForecaster, panel: Panel) -> None:
    drawn = draw_background(poisson, panel, n_rows=301)
    with np.errstate(all="ignore"):
        expected = [
            np.nan if np.isnan(column).all() else np.nanquantile(column, 0.5, method="lower")
            for column in drawn.data.T
        ]
    np.testing.assert_allclose(drawn.typical(), expected)


def test_lenders_have_the_hour_of_the_week(panel: Panel) -> None:
    daily = make(PoissonForecaster, Target("noise")).fit(panel)
    drawn = draw_background(daily, panel, n_rows=500)
    slots = np.array([0, 24, 48, 999])
    chosen = drawn.slot[drawn.draws(slots, np.random.default_rng(0))]
    for slot, found in zip(slots, chosen, strict=True):
        assert found == slot or slot not in drawn.slot
