"""Features that tell who lives where are found, by oracles and planted proxies; names are looked at."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from tests.audit.builders import forecasts_of, groups_of
from tests.audit.conftest import SMALL
from tranquillite_ml.audit.blocks import parents_of
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.guards import DEFINITIONS
from tranquillite_ml.audit.proxies import cell_features, how_well_told
from tranquillite_ml.audit.telling import blocked_auc, held_out_scores, partial_correlation
from tranquillite_ml.explanation.contributions import Term
from tranquillite_ml.features import Column, FeatureBlock, FeatureSet
from tranquillite_ml.forecasters import Count365, LightGBMForecaster
from tranquillite_ml.governance import load_thresholds
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

LIMITS = load_thresholds()
C17 = DEFINITIONS[1]


# ---------------------------------------------------------------------- the statistics


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40))
def test_the_area_is_that_of_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    score, inside = np.array([float(a) for a, _ in rows]), np.array([b for _, b in rows])
    block = np.arange(len(rows)) % 3
    found = blocked_auc(score, inside, pd.factorize(block)[0])[0]
    if inside.all() or not inside.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(inside, score))


def test_the_interval_is_that_of_resampled_blocks() -> None:
    rng = np.random.default_rng(3)
    block = np.repeat(np.arange(30), 10)
    inside = rng.random(300) < 0.4
    score = inside * 0.8 + rng.normal(size=300) + rng.normal(size=30)[block]
    value, lower, upper = blocked_auc(score, inside, block)
    drawn = []
    for _ in range(400):
        at = np.concatenate([np.flatnonzero(block == k) for k in rng.integers(30, size=30)])
        drawn.append(roc_auc_score(inside[at], score[at]))
    assert lower < value < upper
    assert lower == pytest.approx(np.quantile(drawn, 0.025), abs=0.03)
    assert upper == pytest.approx(np.quantile(drawn, 0.975), abs=0.03)


def test_scores_are_those_of_a_ridge_regression_on_the_other_folds() -> None:
    rng = np.random.default_rng(0)
    x, fold = rng.normal(size=(60, 4)), np.arange(60) % 3
    share = rng.random((60, 2))
    found = held_out_scores(x, share, fold)
    for k in range(3):
        ridge = Ridge(alpha=1e-2 * (fold != k).sum()).fit(x[fold != k], share[fold != k])
        np.testing.assert_allclose(found[fold == k], ridge.predict(x[fold == k]))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000))
def test_partial_correlation_is_that_of_residuals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=50)
    a, b = y + rng.normal(size=50), rng.normal(size=50) - y
    ranks = [pd.Series(part).rank().to_numpy() for part in (a, b, y)]
    base = np.column_stack([np.ones(50), ranks[2]])
    left = [r - base @ np.linalg.lstsq(base, r, rcond=None)[0] for r in ranks[:2]]
    assert partial_correlation(a, b, y) == pytest.approx(np.corrcoef(left)[0, 1])


def test_partial_correlation_without_variation_is_unknown() -> None:
    assert np.isnan(partial_correlation([1, 1, 1], [1, 2, 3], [3, 1, 2]))
    assert np.isnan(partial_correlation([1, 2, 3], [3, 2, 1], [1, 2, 3]))  # nothing is left
    assert partial_correlation([1, 2, 3], [3, 2, 1], [5, 5, 5]) == pytest.approx(-1)


# ---------------------------------------------------------------------- planted proxies


class Where(FeatureBlock):
    """The latitude of a cell under an innocent name, and noise beside it."""

    family = "surroundings"

    def describe(self, target: Any, bins: Any) -> Any:
        yield Column("greenery", self.family, "index", "a map", "always")
        yield Column("noise", self.family, "index", "a map", "always")

    def columns(self, view: Any) -> Any:
        yield "greenery", view.panel.grid.centres[None, :, 0]
        yield "noise", np.random.default_rng(5).normal(size=(1, view.panel.n_cells))


@pytest.fixture(scope="module")
def proxied(small_panel: Panel) -> LightGBMForecaster:
    features = FeatureSet([*SMALL.blocks, Where()])
    model = LightGBMForecaster(Target("noise", period=7), features, n_estimators=10, calibration_days=28)
    return model.fit(small_panel)


def test_a_feature_that_stands_for_a_group_is_named(small_panel: Panel, proxied: LightGBMForecaster) -> None:
    seen, groups = forecasts_of(small_panel), groups_of(small_panel)
    evidence = Evidence(groups=groups, panel=small_panel, model=proxied)
    check = C17.run(seen, evidence, LIMITS)
    assert check.status == "WARN"
    told = [one for one in check.measurements if one.name == "blocked_auc"]
    assert {one.group for one in told} == {"south", "north"}
    assert all(one.value > 0.9 and one.n == small_panel.n_cells for one in told)
    table = check.tables["features"].set_index(["kind", "name", "group"])
    assert table.loc[("feature", "greenery", "south"), "auc"] > 0.95
    assert table.loc[("family", "surroundings", "south"), "r2"] > 0.5
    # Noise tells nothing, nor does what was recorded: the counts are drawn alike everywhere.
    assert table.loc[("feature", "noise", "south"), "auc"] < 0.7
    assert "south" in check.reason["en"]


def test_without_a_proxy_it_passes(small_panel: Panel) -> None:
    """Groups dealt out at random: nothing tells them, and the blocks are held out."""
    rng = np.random.default_rng(0)
    groups = groups_of(small_panel, south=rng.random(small_panel.n_cells) < 0.5)
    model = Count365(Target("noise", period=7), calibration_days=0).fit(small_panel)
    check = C17.run(
        forecasts_of(small_panel), Evidence(groups=groups, panel=small_panel, model=model), LIMITS
    )
    assert check.status == "PASS"
    assert check.tables["features"]["kind"].tolist() == ["feature"] * 2 + ["family"] * 2 + ["all"] * 2


def test_what_is_the_same_everywhere_tells_nothing(small_panel: Panel, trees: LightGBMForecaster) -> None:
    features = cell_features(trees, small_panel, "noise")
    assert "season_sin" not in features.columns.get_level_values(1)
    assert ("starting rate", "starting_rate") in features.columns


def test_few_cells_are_not_assessed(small_panel: Panel, trees: LightGBMForecaster) -> None:
    groups = groups_of(small_panel)
    empty = replace(
        groups, by_area=groups.by_area.multiply(np.arange(small_panel.n_cells)[:, None] < 10).tocsr()
    )
    features = cell_features(trees, small_panel, "noise")
    assert how_well_told(features, empty, parents_of(forecasts_of(small_panel))).empty


@pytest.mark.parametrize("name", ["part_immigres", "pct_black_residents", "arrests_28d", "prénom moyen"])
def test_denied_names_fail_wherever_they_are_seen(
    small_panel: Panel, trees: LightGBMForecaster, name: str
) -> None:
    told = SimpleNamespace(terms=[Term(name, "surroundings", "share")])
    evidence = Evidence(groups=groups_of(small_panel), panel=small_panel, model=trees, explanation=told)  # type: ignore[arg-type]
    check = C17.run(forecasts_of(small_panel), evidence, LIMITS)
    assert check.status == "FAIL"
    assert check.tables["denied"]["name"].tolist() == [name]


def test_hostile_names_are_text(small_panel: Panel, trees: LightGBMForecaster) -> None:
    name = "<img src=x onerror=alert(1)>"
    groups = replace(groups_of(small_panel), names=(name, "north"))
    check = C17.run(
        forecasts_of(small_panel), Evidence(groups=groups, panel=small_panel, model=trees), LIMITS
    )
    assert name in {one.group for one in check.measurements}
