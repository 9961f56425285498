"""Additive counts: the curves are the whole model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.builders import make_panel
from tranquillite_ml.errors import UsageError
from tranquillite_ml.features import Calendar, FeatureSet, View
from tranquillite_ml.forecasters import AdditiveForecaster, compact_features, open_bundle
from tranquillite_ml.target import Target

TARGET = Target("noise", period=7)
PAIR = ("target_28d", "season_sin")


def fit(**params: object) -> AdditiveForecaster:
    panel = make_panel(220, 3, rate=0.15, seed=1)
    return AdditiveForecaster(TARGET, n_estimators=80, calibration_days=28, **params).fit(panel)


@pytest.fixture(scope="module")
def single() -> AdditiveForecaster:
    return fit()


@pytest.fixture(scope="module")
def paired() -> AdditiveForecaster:
    return fit(pairs=[PAIR], min_child_weight=1.0)


def rows(fitted: AdditiveForecaster) -> dict[str, np.ndarray]:
    """Feature values met in the panel, and some never met: missing, at thresholds, far beyond."""
    panel = make_panel(220, 3, rate=0.15, seed=1)
    view = View(panel, "noise", TARGET, np.arange(60, 140))
    columns = {n: np.broadcast_to(v, view.shape).ravel() for n, v in compact_features().columns(view)}
    rng = np.random.default_rng(0)
    shapes = fitted.shapes("noise")
    for name, values in columns.items():
        edges = shapes.loc[(shapes["feature"] == name) & np.isfinite(shapes["right"]), "right"].to_numpy()
        odd = rng.choice(np.array([np.nan, -1e6, 1e6, 0.0, *edges]), 500)
        columns[name] = np.concatenate([values, odd]).astype(np.float32)
    return columns


def looked_up(table: pd.DataFrame, values: np.ndarray, suffix: str = "") -> np.ndarray:
    """Whether each value (rows) lies in each interval of a table (columns): left < v ≤ right, or missing."""
    left, right = table[f"left{suffix}"].to_numpy(), table[f"right{suffix}"].to_numpy()
    wide = values.astype(np.float64)[:, None]
    return np.where(np.isnan(wide), np.isnan(left), (left < wide) & (wide <= right))


def added_up(fitted: AdditiveForecaster, columns: dict[str, np.ndarray]) -> np.ndarray:
    shapes = fitted.shapes("noise")
    total = np.full(len(columns["target_28d"]), shapes["log_factor"].iloc[0])
    for name, table in shapes.iloc[1:].groupby("feature"):
        inside = looked_up(table, columns[str(name)])
        assert (inside.sum(axis=1) == 1).all()
        total += inside @ table["log_factor"].to_numpy()
    for (one, two), table in fitted.pair_shapes("noise").groupby(["feature", "feature_2"]):
        inside = looked_up(table, columns[one]) & looked_up(table, columns[two], "_2")
        total += inside @ table["log_factor"].to_numpy()
    return total


@pytest.mark.parametrize("which", ["single", "paired"])
def test_the_shapes_add_up_to_the_trees(which: str, request: pytest.FixtureRequest) -> None:
    fitted = request.getfixturevalue(which)
    columns = rows(fitted)
    raw = fitted._log_factor(fitted.models_["noise"], columns)
    assert raw.std() > 0.01
    np.testing.assert_allclose(added_up(fitted, columns), raw, rtol=0, atol=1e-9)


def test_every_tree_uses_one_feature(single: AdditiveForecaster) -> None:
    table = single.models_["noise"].trees_to_dataframe().dropna(subset=["split_feature"])
    assert len(table) > 0
    assert set(table.groupby("tree_index")["split_feature"].agg(lambda names: len(set(names)))) == {1}


def test_a_pair_is_used_together_and_nothing_else_is(paired: AdditiveForecaster) -> None:
    table = paired.models_["noise"].trees_to_dataframe().dropna(subset=["split_feature"])
    used = table.groupby("tree_index")["split_feature"].agg(frozenset)
    assert frozenset(PAIR) in set(used)
    assert all(len(names) == 1 or names == frozenset(PAIR) for names in used)


@pytest.mark.parametrize("which", ["single", "paired"])
def test_curves_have_mean_zero_and_say_what_they_rest_on(which: str, request: pytest.FixtureRequest) -> None:
    shapes = request.getfixturevalue(which).shapes("noise")
    constant = shapes.iloc[0]
    for _, table in shapes.iloc[1:].groupby("feature"):
        assert np.average(table["log_factor"], weights=table["expected_count"]) == pytest.approx(0, abs=1e-12)
        assert table["n"].sum() == constant["n"] == 40 * 37  # pseudo-cutoffs · cells
        assert table["expected_count"].sum() == pytest.approx(constant["expected_count"])
    np.testing.assert_allclose(shapes["factor"], np.exp(shapes["log_factor"]))


def test_a_pairs_means_are_zero(paired: AdditiveForecaster) -> None:
    table, shapes = paired.pair_shapes("noise"), paired.shapes("noise")
    grid = table["log_factor"].to_numpy().reshape(table["right"].nunique(dropna=False), -1)
    for axis, name in enumerate(PAIR):
        weight = shapes.loc[shapes["feature"] == name, "expected_count"].to_numpy()
        np.testing.assert_allclose(np.average(grid, axis=axis, weights=weight), 0, atol=1e-12)
    assert np.abs(grid).max() > 0


def test_without_pairs_the_table_of_pairs_is_empty(single: AdditiveForecaster) -> None:
    assert len(single.pair_shapes("noise")) == 0


def test_a_planted_step_is_drawn() -> None:
    """Counts triple in the second half of each year: the season's curve must show the step."""
    panel = make_panel(1100, 2, rate=0.3, seed=2)
    day = panel._arrays["bin"] % 365
    panel._arrays["count"] = panel._arrays["count"] * np.where(day < 182, 1, 3).astype(np.int32)
    season = AdditiveForecaster(TARGET, FeatureSet([Calendar()]), calibration_days=28)
    shapes = season.fit(panel).shapes("noise")
    curve = shapes[(shapes["feature"] == "season_sin") & shapes["right"].notna()]
    # sin > 0 is January to June. The smoothed count follows the season a little, and training stops early.
    step = curve["log_factor"].iloc[0] - curve["log_factor"].iloc[-1]
    assert 0.3 < step < np.log(3)


def test_saved_shapes_are_the_same(paired: AdditiveForecaster, tmp_path: Path) -> None:
    opened = open_bundle(paired.save(tmp_path / "model"))
    assert isinstance(opened, AdditiveForecaster)
    assert opened.shapes("noise").equals(paired.shapes("noise"))
    assert opened.pair_shapes("noise").equals(paired.pair_shapes("noise"))


def test_a_wrong_pair_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'target_28d'"):
        fit(pairs=[("target_28", "season_sin")])
    with pytest.raises(UsageError, match="two different features"):
        fit(pairs=[("target_28d", "target_28d")])
