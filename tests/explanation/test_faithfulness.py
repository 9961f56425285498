"""Measures of quality pass a faithful explanation and fail a false one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.explanation.conftest import make
from tranquillite_ml.errors import UsageError
from tranquillite_ml.explanation import (
    Effort,
    explanation_quality,
    faithfulness,
    fit_on_permuted_labels,
    recover_planted_effects,
)
from tranquillite_ml.explanation import measures as statistics
from tranquillite_ml.explanation.background import draw_background
from tranquillite_ml.explanation.probe import Probe
from tranquillite_ml.forecasters import (
    AdditiveForecaster,
    Count365,
    LightGBMForecaster,
    PoissonForecaster,
)
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

WEEK = Target("noise", period=7)
LITTLE = Effort(rows=30, subsets=40, draws=2, backgrounds=4)


@pytest.fixture(scope="module")
def poisson(panel: Panel) -> PoissonForecaster:
    return make(PoissonForecaster, WEEK).fit(panel)


@pytest.fixture(scope="module")
def probe(poisson: PoissonForecaster, panel: Panel) -> Probe:
    rows = draw_background(poisson, panel, n_rows=30, seed=1)
    return Probe.of(poisson, rows, draw_background(poisson, panel, n_rows=400))


def test_every_measure_has_a_row(poisson: PoissonForecaster, panel: Panel) -> None:
    again = make(PoissonForecaster, WEEK).set_params(random_state=1).fit(panel)
    earlier = make(PoissonForecaster, WEEK).fit(panel, 172)
    fake = [fit_on_permuted_labels(poisson, panel, seed=seed) for seed in (0, 1)]
    planted = recover_planted_effects(PoissonForecaster)
    found = explanation_quality(
        poisson,
        panel,
        reseeded=[again],
        successive=[earlier],
        permuted=fake,
        planted=planted,
        effort=LITTLE,
    )
    assert list(found.columns) == ["metric", "value", "lower", "upper", "bar", "n", "met"]
    by = found.set_index("metric")
    assert by.loc["completeness", "value"] <= 1e-6
    assert by.loc["completeness", "n"] == panel.n_cells
    assert by.loc["faithfulness", "met"]
    assert by.loc["infidelity", "met"]
    assert by.loc["deletion 1", "met"]
    assert by.loc["planted effect: often", "met"]
    assert by.loc["stability over seeds", "n"] == 1
    assert by.loc["permuted labels", "n"] == 2
    inside = by.dropna(subset=["lower", "upper"])
    assert (inside["lower"] <= inside["upper"]).all()


def test_what_was_not_given_is_not_a_pass(poisson: PoissonForecaster, panel: Panel) -> None:
    found = explanation_quality(poisson, panel, effort=LITTLE).set_index("metric")
    for name in (
        "stability over seeds",
        "stability over months",
        "top three reasons",
        "permuted labels",
        "planted effects",
    ):
        assert pd.isna(found.loc[name, "met"])
        assert found.loc[name, "n"] == 0
        assert np.isnan(found.loc[name, "value"])


def test_plain_counts_have_what_can_be_said(panel: Panel) -> None:
    found = explanation_quality(make(Count365, WEEK).fit(panel), panel)
    assert found["metric"].tolist() == ["completeness", "planted effects"]


def test_a_false_explanation_is_found_out(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contributions with the wrong sign say the contrary of what the model does, and miss the bars."""

    def rows() -> dict[str, list[object]]:
        made = faithfulness._faithful(probe, LITTLE, np.random.default_rng(0))
        return {row[0]: row for row in made}

    true = rows()
    real = Probe.contributions

    def lied(self: Probe, model: object = None) -> np.ndarray:
        return -real(self, model)

    monkeypatch.setattr(Probe, "contributions", lied)
    false = rows()
    for name in ("faithfulness", "infidelity"):
        assert true[name][-1] is True
        assert false[name][-1] is False
    assert false["faithfulness"][1] < true["faithfulness"][1]


def test_marginal_contributions_add_up(probe: Probe) -> None:
    """With one lender every walk leads from its score to the row's: sums are exact whatever the orders."""
    lender = np.array([5])
    found = probe.marginal(lender, 2, np.random.default_rng(0))
    there = probe.score(probe.others.data[lender])[0]
    np.testing.assert_allclose(found.sum(axis=1), probe.score(probe.rows.data) - there, atol=1e-9)


def test_borrowing_nothing_changes_nothing(probe: Probe) -> None:
    nothing = np.zeros((1, probe.n_groups), dtype=bool)
    found = probe.borrowed(nothing, 1, np.random.default_rng(0))[:, 0]
    np.testing.assert_array_equal(found, probe.score(probe.rows.data))


def test_models_of_other_features_are_not_compared(probe: Probe, panel: Panel) -> None:
    other = PoissonForecaster(WEEK, calibration_days=28).fit(panel)
    with pytest.raises(UsageError, match="same features"):
        probe.contributions(other)


def test_permuted_labels_leave_the_model_alone(poisson: PoissonForecaster, panel: Panel) -> None:
    before = poisson.models_["noise"].coefficients.copy()
    fake = fit_on_permuted_labels(poisson, panel, seed=1)
    assert poisson.recall is None
    np.testing.assert_array_equal(poisson.models_["noise"].coefficients, before)
    assert not np.array_equal(fake.models_["noise"].coefficients, before)
    same = fit_on_permuted_labels(poisson, panel, seed=1)
    np.testing.assert_array_equal(same.models_["noise"].coefficients, fake.models_["noise"].coefficients)
    with pytest.raises(UsageError, match="count_365d does not"):
        fit_on_permuted_labels(make(Count365, WEEK).fit(panel), panel)


@pytest.mark.parametrize("kind", [PoissonForecaster, AdditiveForecaster, LightGBMForecaster])
def test_planted_effects_are_recovered_within_a_tenth(kind: type[PoissonForecaster]) -> None:
    found = recover_planted_effects(kind)
    assert found["true"].tolist() == [1.8, 0.6]
    assert found["ratio"].between(0.9, 1.1).all()
    assert (found["n_incidents"] > 10_000).all()


def test_small_statistics_by_hand() -> None:
    """Top three of two rows: {0, 1, 2} against {0, 1, 3} share two of three; the same three share all."""
    one = np.array([[9.0, 8.0, 7.0, 1.0], [1.0, 2.0, 3.0, 0.0]])
    two = np.array([[9.0, -8.0, 1.0, 7.0], [3.0, 2.0, 1.0, 0.0]])
    np.testing.assert_allclose(statistics.shared_top(one, two), [2 / 3, 1])
    assert statistics.tau(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])) == pytest.approx(1 / 3)
    assert np.isnan(statistics.tau(np.ones(3), np.arange(3.0)))
    mean, low, high, n = statistics.over(np.array([0.0, 0.2]))
    # Student's t with one degree of freedom: 12.706 · 0.1414 / √2 = 1.2706.
    assert (mean, n) == (pytest.approx(0.1), 2)
    assert (low, high) == (pytest.approx(0.1 - 1.2706, abs=1e-4), pytest.approx(0.1 + 1.2706, abs=1e-4))
    assert np.isnan(statistics.over(np.array([0.5]))[1])
