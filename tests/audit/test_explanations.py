"""Explanations that are wrong fail, families that only move exposure fail, and gaps add up exactly."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.audit.builders import forecasts_of, groups_of
from tests.audit.conftest import SMALL
from tranquillite_ml.audit import explanations, removal
from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.decomposition import _why as decomposition_reason
from tranquillite_ml.audit.decomposition import gaps
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.explanations import DEFINITIONS, p_below_one
from tranquillite_ml.audit.groups import Groups
from tranquillite_ml.audit.refits import Refits
from tranquillite_ml.audit.removal import REFIT, _Scene, held_at_median
from tranquillite_ml.audit.removal import _why as removal_reason
from tranquillite_ml.errors import UsageError
from tranquillite_ml.explanation import Effort, Explanation, explain, what_if
from tranquillite_ml.explanation.contributions import Term
from tranquillite_ml.features import Column, FeatureBlock, FeatureSet
from tranquillite_ml.forecasters import Count365, LightGBMForecaster, PoissonForecaster
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.governance import load_thresholds
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

LIMITS = load_thresholds()
C15, C16, C24 = DEFINITIONS


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanations, "_effort", lambda *_: Effort(rows=15, subsets=20, backgrounds=3))


def tampered(explanation: Explanation, **parts: Any) -> Explanation:
    kept = {name: getattr(explanation, name) for name in ("data", "contributions", "base")}
    return Explanation(
        explanation.model,
        explanation.rows,
        explanation.terms,
        **(kept | parts),
        n_checked=explanation.n_checked,
        largest_error=explanation.largest_error,
        level=explanation.level,
    )


def named(check: Any, name: str, **equal: Any) -> list[Any]:
    found = [one for one in check.measurements if one.name == name]
    return [one for one in found if all(getattr(one, key) == value for key, value in equal.items())]


# ---------------------------------------------------------------------- C15


def test_every_measure_has_the_name_of_its_limit(small_panel: Panel, trees: LightGBMForecaster) -> None:
    evidence = Evidence(panel=small_panel, model=trees, explanation=explain(trees, small_panel))
    check = C15.run(forecasts_of(small_panel), evidence, LIMITS)
    judged = {one.name for one in check.measurements} & set(LIMITS.checks["C15"].limits)
    assert judged >= {
        "completeness_error",
        "product_error",
        "faithfulness_correlation",
        "deletion_gain",
        "control_p_value",
        "background_tau",
        "compact_share",
        "largest_feature_share",
    }
    assert named(check, "product_error")[0].value < 1e-12
    assert "seeds" in check.reason["en"]
    assert "seed_tau" not in judged


def test_explanations_of_each_category_are_looked_at(small_panel: Panel) -> None:
    target = Target(["noise", "theft"], period=7)
    model = PoissonForecaster(target, SMALL, calibration_days=28).fit(small_panel)
    forecasts = Forecasts.concat([forecasts_of(small_panel, name) for name in ("noise", "theft")])
    check = C15.run(forecasts, Evidence(panel=small_panel, model=model), LIMITS)
    assert {one.category for one in named(check, "faithfulness_correlation")} == {"noise", "theft"}
    assert check.method.startswith("Measured for ")
    busiest = max(("noise", "theft"), key=lambda name: small_panel.counts(name).sum())
    settings = LIMITS.checks["C15"].settings | {"categories": 1}
    fewer = LIMITS.model_copy(
        update={
            "checks": LIMITS.checks | {"C15": LIMITS.checks["C15"].model_copy(update={"settings": settings})}
        }
    )
    check = C15.run(forecasts, Evidence(panel=small_panel, model=model), fewer)
    assert {one.category for one in named(check, "faithfulness_correlation")} == {busiest}
    assert "Not looked at, fewer being recorded: " in check.method


def test_a_category_that_cannot_be_explained_leaves_the_others_and_is_named(
    small_panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = PoissonForecaster(Target(["noise", "theft"], period=7), SMALL, calibration_days=28)
    whole = explanations.explanation_quality

    def sometimes(*args: Any, category: str, **given: Any) -> pd.DataFrame:
        if category == "theft":
            msg = "nothing is known of it"
            raise UsageError(msg)
        return whole(*args, category=category, **given)

    monkeypatch.setattr(explanations, "explanation_quality", sometimes)
    forecasts = Forecasts.concat([forecasts_of(small_panel, name) for name in ("noise", "theft")])
    check = C15.run(forecasts, Evidence(panel=small_panel, model=model.fit(small_panel)), LIMITS)
    assert {one.category for one in named(check, "faithfulness_correlation")} == {"noise"}
    assert check.reason["en"] == "the model could not be explained for theft: nothing is known of it"
    assert "theft" in check.reason["fr"]
    [lacking] = named(check, "completeness_error", category="theft")
    assert math.isnan(lacking.value)
    assert lacking.n == 0


def test_a_category_that_cannot_be_explained_is_no_pass(
    small_panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **given: Any) -> pd.DataFrame:
        msg = "nothing is known of it"
        raise UsageError(msg)

    monkeypatch.setattr(explanations, "explanation_quality", never)
    model = Count365(Target("noise", period=7), calibration_days=28).fit(small_panel)
    evidence = Evidence(panel=small_panel, model=model, explanation=explain(model, small_panel))
    check = C15.run(forecasts_of(small_panel), evidence, LIMITS)
    assert named(check, "product_error")  # right, and too little
    assert check.status == "NOT_ASSESSABLE"


def test_a_slow_check_is_told_when_it_begins(small_panel: Panel, trees: LightGBMForecaster) -> None:
    told: list[tuple[str, int, int]] = []
    evidence = Evidence(panel=small_panel, model=trees, report=lambda *step: told.append(step))
    C15.run(forecasts_of(small_panel), evidence, LIMITS)
    assert told == [("C15: quality of explanations", 0, 1), ("C15: quality of explanations", 1, 1)]


def test_a_changed_contribution_fails(small_panel: Panel, trees: LightGBMForecaster) -> None:
    right = explain(trees, small_panel)
    changed = right.contributions.copy()
    changed[3, 0] += 1e-5
    evidence = Evidence(panel=small_panel, model=trees, explanation=tampered(right, contributions=changed))
    check = C15.run(forecasts_of(small_panel), evidence, LIMITS)
    assert check.status == "FAIL"
    # exp(1e-5) − 1, relative.
    assert named(check, "product_error")[0].value == pytest.approx(1e-5, rel=1e-3)
    unknown = changed.copy()
    unknown[0, 0] = np.nan
    evidence = replace(evidence, explanation=tampered(right, contributions=unknown))
    assert C15.run(forecasts_of(small_panel), evidence, LIMITS).status == "FAIL"


def test_a_plain_count_is_complete(small_panel: Panel) -> None:
    model = Count365(Target("noise", period=7), calibration_days=28).fit(small_panel)
    check = C15.run(forecasts_of(small_panel), Evidence(panel=small_panel, model=model), LIMITS)
    assert [one.name for one in check.measurements] == ["completeness_error"]
    assert check.status == "PASS"


def test_a_deep_audit_trains_again(small_panel: Panel, trees: LightGBMForecaster) -> None:
    quick = LightGBMForecaster(**trees.get_params(deep=False) | {"n_estimators": 5}).fit(small_panel)
    evidence = Evidence(panel=small_panel, model=quick, refit=Refits(quick), deep=True)
    check = C15.run(forecasts_of(small_panel), evidence, LIMITS)
    assert named(check, "seed_tau")
    assert named(check, "retrain_tau")
    assert named(check, "permuted_tau")
    assert len(named(check, "known_factor_error")) == 2
    assert check.reason["en"] == ""


def test_the_p_value_of_a_ratio() -> None:
    assert p_below_one(1.0, 0.5, 2.0) == pytest.approx(0.5)
    # log(1/2) / ((log 1 − log 1/4) / (2 · 2.3263)) = −2.3263: 1 %.
    assert p_below_one(0.5, 0.25, 1.0) == pytest.approx(0.01)
    assert p_below_one(2.0, 1.0, 4.0) == pytest.approx(0.99)
    assert math.isnan(p_below_one(0.5, math.nan, math.nan))


# ---------------------------------------------------------------------- C16


def test_medians_are_those_of_what_if(small_panel: Panel, trees: LightGBMForecaster) -> None:
    cutoff = small_panel.n_bins - 7
    usual, removed = held_at_median(trees, small_panel, "noise", np.array([cutoff]))
    for family, rates in removed.items():
        asked = what_if(trees, small_panel, cutoff, remove=[family])
        np.testing.assert_allclose(usual[0], asked["expected_count"])
        np.testing.assert_allclose(rates[0], asked["what_if"])


def scene(observed: Any) -> _Scene:
    """Four cells of 1 km², two groups of two; one cell is selected."""
    groups = Groups.of_cells({"south": [100, 100, 0, 0], "north": [0, 0, 100, 100]}, [1, 2, 3, 4])
    return _Scene(np.array([observed], float), groups, np.arange(4), np.ones(4), 1.0, 0)


def test_exposure_and_deviance_by_hand() -> None:
    here, there = np.array([[4.0, 1.0, 1.0, 1.0]]), np.array([[1.0, 1.0, 1.0, 4.0]])
    found = removal._row("x", "history", here, there, scene([4, 1, 1, 1]))
    # Selected: cell 0 with the family, cell 3 without. South: all of 1/200 over 1/400 = 2, then 0.
    assert (found["ratio_with"], found["ratio_without"], found["group"]) == (2.0, 0.0, "south")
    assert found["exposure_shift"] == 2 / 0.1
    assert found["reselected"] == 1
    # Deviance 0 with the family: it lowers all there is.
    assert found["deviance_gain"] == 1


class Place(FeatureBlock):
    """Something of a place that says nothing of what happens there."""

    family = "surroundings"

    def describe(self, target: Any, bins: Any) -> Any:
        yield Column("south", self.family, "0/1", "a map", "always")

    def columns(self, view: Any) -> Any:
        lat = view.panel.grid.centres[None, :, 0]
        yield "south", (lat < np.median(lat)).astype(np.float32)


@pytest.fixture(scope="module")
def linear(small_panel: Panel) -> PoissonForecaster:
    """A model that was told that the south has more, which is not so."""
    features = FeatureSet([*SMALL.blocks, Place()])
    model = PoissonForecaster(Target("noise", period=7), features, calibration_days=28).fit(small_panel)
    fitted = model.models_["noise"]
    at = list(fitted.names).index("south")
    coefficients = fitted.coefficients.copy()
    coefficients[1 + at] += 0.6
    model.models_["noise"] = replace(fitted, coefficients=coefficients)
    return model


def test_a_proxy_that_moves_exposure_for_nothing_fails(small_panel: Panel, linear: PoissonForecaster) -> None:
    evidence = Evidence(groups=groups_of(small_panel), panel=small_panel, model=linear)
    check = C16.run(forecasts_of(small_panel), evidence, LIMITS)
    assert check.status == "FAIL"
    assert "surroundings" in check.reason["en"]
    rows = check.tables["families"].set_index("family")
    assert rows.loc["surroundings", "exposure_shift"] > 0.1
    assert rows.loc["surroundings", "deviance_gain"] < 0.01
    assert named(check, "unjustified_groups", category="noise")[0].value >= 1


def test_what_is_the_same_everywhere_moves_nobody(small_panel: Panel, trees: LightGBMForecaster) -> None:
    evidence = Evidence(groups=groups_of(small_panel), panel=small_panel, model=trees)
    check = C16.run(forecasts_of(small_panel), evidence, LIMITS)
    rows = check.tables["families"].set_index("family")
    assert set(rows.index) == {"starting rate", "history", "city", "neighbourhood", "calendar"}
    assert (rows["n"] > 0).all()
    assert check.status in {"PASS", "FAIL"}
    assert named(check, "unjustified_groups")[0].n == 5


def test_trained_without_a_family_is_what_is_judged(small_panel: Panel, linear: PoissonForecaster) -> None:
    def refit(panel: Panel, cutoff: int, **changes: Any) -> Any:
        return PoissonForecaster(linear.target, calibration_days=28, **changes).fit(panel, cutoff)

    evidence = Evidence(
        groups=groups_of(small_panel), panel=small_panel, model=linear, refit=refit, deep=True
    )
    check = C16.run(forecasts_of(small_panel), evidence, LIMITS)
    rows = check.tables["families"]
    assert set(rows.loc[rows["how"] == REFIT, "family"]) == {
        "history",
        "neighbourhood",
        "calendar",
        "surroundings",
    }
    assert named(check, "unjustified_groups")[0].n == 6


def test_a_count_has_nothing_to_take_away(small_panel: Panel) -> None:
    model = Count365(Target("noise", period=7), calibration_days=28).fit(small_panel)
    evidence = Evidence(groups=groups_of(small_panel), panel=small_panel, model=model)
    check = C16.run(forecasts_of(small_panel), evidence, LIMITS)
    assert check.status == "NOT_ASSESSABLE"
    assert "no features" in check.reason["en"]


# ---------------------------------------------------------------------- C24


def by_hand(rows: list[tuple[float, float]], names: list[tuple[str, str]]) -> Explanation:
    """Four cells, a base of 0, contributions as given; what is published is their product."""
    amounts = np.array(rows)
    table = pd.DataFrame(
        {
            "cell": ["1", "2", "3", "4"],
            "category": "noise",
            "cutoff": pd.Timestamp("2024-01-01", tz="UTC"),
            "horizon": 1,
            "period_start": pd.Timestamp("2024-01-01", tz="UTC"),
            "expected_count": np.exp(amounts.sum(axis=1)),
            "lower": 0.0,
            "upper": 1.0,
        }
    )
    terms = [Term(name, family, "") for name, family in names]
    return Explanation(
        "ours",
        table,
        terms,
        data=np.full(amounts.shape, np.nan, np.float32),
        contributions=amounts,
        base=np.zeros(4),
        n_checked=4,
        largest_error=0.0,
        level=0.9,
    )


def test_gaps_by_hand() -> None:
    # South: cells 1 and half of 2; north: half of 2 and 3; nobody in 4.
    groups = Groups.of_cells({"south": [10, 5, 0, 0], "north": [0, 5, 10, 0]}, [1, 2, 3, 4])
    told = by_hand([(1, 0), (0, 1), (-1, 0), (9, 9)], [("a", "history"), ("b", "surroundings")])
    found = gaps(told, groups, np.array(["1", "2", "3", "4"])).set_index(["group", "family"])["contribution"]
    # Lived in: history mean (1 + 0 − 1) / 3 = 0; south (1 + 0 · ½) / 1.5 = 2/3.
    assert found["south", "history"] == pytest.approx(2 / 3)
    # Surroundings: mean 1/3; south (0 + ½) / 1.5 = 1/3, so no gap.
    assert found["south", "surroundings"] == pytest.approx(0)
    assert found["north", "history"] == pytest.approx(-2 / 3)
    assert found["non-residential", "history"] == pytest.approx(9)


def test_a_proxy_that_makes_the_gap_fails_and_history_does_not(small_panel: Panel) -> None:
    seen = forecasts_of(small_panel)
    south = small_panel.grid.centres[:, 0] < np.median(small_panel.grid.centres[:, 0])
    rows = by_hand([(0, 0)] * 4, [("a", "starting rate"), ("b", "surroundings")])

    def check(history: float, surroundings: float) -> Any:
        amounts = np.column_stack([history * south, surroundings * south])
        table = pd.concat([rows.rows.iloc[[0]]] * small_panel.n_cells, ignore_index=True)
        table = table.assign(cell=seen.cell_names(), expected_count=np.exp(amounts.sum(axis=1)))
        told = Explanation(
            "ours",
            table,
            rows.terms,
            data=np.full(amounts.shape, np.nan, np.float32),
            contributions=amounts,
            base=np.zeros(len(table)),
            n_checked=len(table),
            largest_error=0.0,
            level=0.9,
        )
        return C24.run(seen, Evidence(groups=groups_of(small_panel), explanation=told), LIMITS)

    assert check(0.8, 0.1).status == "PASS"  # .1 / .9 = 11 %
    assert check(0.6, 0.4).status == "WARN"  # 40 %
    failed = check(0.2, 0.8)  # 80 %
    assert failed.status == "FAIL"
    assert named(failed, "largest_proxy_share", group="south")[0].value == pytest.approx(0.8)
    assert "surroundings" in failed.reason["fr"]
    assert check(0.01, 0.02).status == "PASS"  # a gap that is hardly there


def test_the_real_gap_adds_up(small_panel: Panel, trees: LightGBMForecaster) -> None:
    told, groups = explain(trees, small_panel), groups_of(small_panel)
    evidence = Evidence(groups=groups, panel=small_panel, model=trees, explanation=told)
    check = C24.run(forecasts_of(small_panel), evidence, LIMITS)
    rate = np.log(told.rows["expected_count"].to_numpy())
    for number, group in enumerate(groups.names):
        gap = np.average(rate, weights=groups.share[:, number]) - rate.mean()
        assert named(check, "log_gap", group=group)[0].value == pytest.approx(gap, abs=1e-12)
    assert named(check, "unexplained_gap")[0].value < 1e-12
    families = set(check.tables["gaps"]["family"])
    assert {"history", "history, from all others of citizen or sensor origin"} <= families


def test_reasons_name_families_in_the_language_of_the_page() -> None:
    unjustified = pd.DataFrame({"family": ["neighbourhood", "history"], "category": "noise"})
    said = removal_reason(unjustified)
    assert said["en"].endswith("what was recorded around (noise); the recent history of the place (noise)")
    assert said["fr"].endswith("ce qui a été enregistré autour (noise) ; l'historique récent du lieu (noise)")
    subject = "history, from all others of citizen or sensor origin"
    gap = Measurement("largest_proxy_share", 0.8, "share", subject=subject, group="Q1", n=9, unit_of_n="x")
    said = decomposition_reason([gap], LIMITS)
    told = (
        "the recent history of the place (from all others of citizen or sensor origin): 80% of the gap of Q1"
    )
    assert said["en"].startswith(told)
    told = "l'historique récent du lieu (d'après les autres catégories) : 80\u202f% de l'écart de Q1"
    assert said["fr"].startswith(told)
