"""Factors multiply to what was published, for every forecaster, and say what hand-worked examples say."""

from __future__ import annotations

import warnings
from itertools import combinations
from math import factorial

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from tests.explanation.conftest import KINDS, SMALL, make
from tranquillite_ml.errors import NotFittedError, UsageError
from tranquillite_ml.explanation import explain, in_words
from tranquillite_ml.explanation.contributions import Term, learnt_terms
from tranquillite_ml.explanation.factors import import_shap
from tranquillite_ml.forecasters import (
    Count365,
    EnsembleForecaster,
    LightGBMForecaster,
    PoissonForecaster,
    TabularForecaster,
)
from tranquillite_ml.forecasters.linear import LinearModel
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target


@pytest.mark.parametrize("name", KINDS)
def test_factors_multiply_to_every_published_count(name: str, panel: Panel) -> None:
    target = Target(["noise", "theft"], horizons=[1, 3])
    model = make(KINDS[name], target).fit(panel)
    published = model.forecast(panel)
    found = explain(model, panel, published)
    assert found.n_checked == len(found) == 4 * panel.n_cells
    assert found.largest_error <= 1e-6
    keys = ["cell", "period_start", "category", "horizon"]
    frame = found.to_frame()
    product = frame.groupby(keys, observed=True, sort=False)["factor"].prod()
    np.testing.assert_allclose(product, published.expected_count.ravel(), rtol=1e-6)
    summed = found.by_family().groupby(keys, observed=True, sort=False)["contribution"].sum()
    np.testing.assert_allclose(np.exp(summed), published.expected_count.ravel(), rtol=1e-6)
    assert len(frame) == len(found) * (len(found.terms) + 1)
    assert set(frame["horizon"]) == {1, 3}


def test_chunks_and_many_horizons_keep_to_the_bit(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """70 horizons are more rows than sums of few rows are made for; chunks of 64 bring them back."""
    from tranquillite_ml.explanation import contributions
    from tranquillite_ml.forecasters import learned

    model = make(LightGBMForecaster, Target("noise", horizons=range(1, 71))).fit(panel)
    for module in (contributions, learned):
        monkeypatch.setattr(module, "RATES_AT_ONCE", 64 * panel.n_cells)
    assert explain(model, panel, cells=panel.grid.names()[:3]).largest_error < 1e-12


def test_some_cells_and_an_earlier_cutoff(trees: LightGBMForecaster, panel: Panel) -> None:
    names = panel.grid.names()
    some = explain(trees, panel, cells=[names[5], names[2]], cutoff=190)
    whole = explain(trees, panel, trees.forecast(panel, 190).select(horizon=3))
    assert some.rows["cell"].unique().tolist() == [names[5], names[2]]
    one, two = (part.why(names[5], category="theft", horizon=3) for part in (some, whole))
    pd.testing.assert_frame_equal(one, two)
    with pytest.raises(UsageError, match="give category, horizon and cutoff"):
        some.why(names[5])
    with pytest.raises(UsageError, match="was not explained"):
        some.why(names[0])
    with pytest.raises(UsageError, match="cells must be"):
        explain(trees, panel, cells=["nowhere"])
    with pytest.raises(UsageError, match="not both"):
        explain(trees, panel, trees.forecast(panel), cutoff=190)


def test_forecasts_of_another_fit_are_refused(trees: LightGBMForecaster, panel: Panel) -> None:
    published = trees.forecast(panel)
    values = dict(vars(published)["values"]) | {"expected_count": published.expected_count * (1 + 1e-5)}
    other = Forecasts(published.keys, published.cells, published.area_km2, values, published.meta)
    with pytest.raises(UsageError, match="not made by this model"):
        explain(trees, panel, other)
    # A change within the tolerance passes, and is told.
    values["expected_count"] = published.expected_count * (1 + 1e-7)
    near = Forecasts(published.keys, published.cells, published.area_km2, values, published.meta)
    assert 9e-8 < explain(trees, panel, near).largest_error < 1.1e-7
    with pytest.raises(UsageError, match="no forecast has"):
        explain(make(Count365, trees.target).fit(panel), panel, published)


def test_what_is_not_known_is_said(panel: Panel) -> None:
    regressor = HistGradientBoostingRegressor(loss="poisson", max_iter=5)
    model = TabularForecaster(Target("noise", period=7), regressor, SMALL, calibration_days=28)
    with pytest.raises(NotFittedError):
        explain(model, panel)
    with pytest.raises(UsageError, match="not known how TabularForecaster comes to its rate"):
        explain(model.fit(panel), panel)


def test_a_linear_model_by_hand() -> None:
    """x = (3, 0), sizes (1, 1): logs (log 4, 0); standardised ((log 4 − 1) / 2, (0 − 0.5) / 0.5).

    With coefficients (0.2, 0.4, −0.3) the amounts are 0.4 · (log 4 − 1) / 2 and −0.3 · (−1) = 0.3, base 0.2.
    """
    two = np.ones(2)
    model = PoissonForecaster(Target("noise"))
    linear = LinearModel(
        ["a", "b"],
        ["", ""],
        two,
        np.array([1.0, 0.5]),
        np.array([2.0, 0.5]),
        -9 * two,
        9 * two,
        np.array([0.2, 0.4, -0.3]),
        np.zeros(3),
        0.0,
        1,
        1,
        1,
    )
    model.models_ = {"noise": linear}
    table = [Term("b", "history", ""), Term("a", "history", "")]  # not the model's own order
    amounts, base = learnt_terms(model, "noise", np.array([[0.0, 3.0]], np.float32), table)
    np.testing.assert_allclose(amounts, [[0.3, 0.2 * (np.log(4) - 1)]])
    assert base == pytest.approx(0.2)


def test_trees_agree_with_shapley_by_brute_force() -> None:
    """On independent binary features the path-dependent game is the mean over like training rows."""
    import lightgbm as lgb

    grid = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)], dtype=np.float32)
    rows = np.repeat(grid, 50, axis=0)
    rate = np.exp(0.8 * rows[:, 0] - 0.5 * rows[:, 1] + 0.6 * rows[:, 0] * rows[:, 2])
    params = {"objective": "poisson", "num_leaves": 8, "min_data_in_leaf": 1, "verbosity": -1}
    booster = lgb.train(params, lgb.Dataset(rows, rate), 20)
    model = LightGBMForecaster(Target("noise"))
    model.models_ = {"noise": booster}
    table = [Term(name, "history", "") for name in booster.feature_name()]
    amounts, base = learnt_terms(model, "noise", grid, table)
    score = booster.predict(grid, raw_score=True)
    assert base == pytest.approx(score.mean())

    def worth(row: np.ndarray, known: tuple[int, ...]) -> float:
        same = (grid[:, known] == row[list(known)]).all(axis=1)
        return float(score[same].mean())

    for row, amount in zip(grid, amounts, strict=True):
        for k in range(3):
            others = [j for j in range(3) if j != k]
            shapley = sum(
                factorial(size) * factorial(2 - size) / 6 * (worth(row, (*some, k)) - worth(row, some))
                for size in range(3)
                for some in combinations(others, size)
            )
            assert amount[k] == pytest.approx(shapley, abs=1e-6)


def test_an_ensemble_names_its_members(panel: Panel) -> None:
    model = make(EnsembleForecaster, Target("noise", period=7)).fit(panel)
    found = explain(model, panel)
    pool = model.models_["noise"]
    assert found.contributions[:, found.features.index("normaliser")] == pytest.approx(pool.normaliser)
    kernel = explain(pool.members[0], panel, pool.members[0].forecast(panel))
    column = found.features.index("kde: kde")
    np.testing.assert_allclose(found.contributions[:, column], pool.weights[0] * kernel.contributions[:, 0])
    assert "past counts" in found.families
    assert "starting rate" in found.families


def test_why_here_not_there_is_antisymmetric(trees: LightGBMForecaster, panel: Panel) -> None:
    found = explain(trees, panel).select(category="noise", horizon=1)
    here, there = found.rows["cell"].iloc[[0, 7]]
    one, two = found.why_here_not_there(here, there), found.why_here_not_there(there, here)
    both = one.merge(two, on="family")
    np.testing.assert_allclose(both["difference_x"], -both["difference_y"], atol=1e-15)
    counts = found.rows.set_index("cell")["expected_count"]
    assert one["ratio"].prod() == pytest.approx(counts[here] / counts[there])
    assert found.why_here_not_there(here, there, by="feature")["ratio"].prod() == pytest.approx(
        counts[here] / counts[there]
    )


def test_regions_and_overview(trees: LightGBMForecaster, panel: Panel) -> None:
    found = explain(trees, panel)
    cells = panel.grid.names()
    district = pd.Series(np.where(np.arange(len(cells)) < 10, "north", "south"), index=cells)
    table = found.regional(district)
    north = found.rows["cell"].map(district) == "north"
    summed = table[table["region"] == "north"]["contribution"].sum()
    assert summed == pytest.approx(np.log(found.rows["expected_count"])[north].mean())
    assert table["n"].unique().tolist() == [40, 4 * (panel.n_cells - 10)]
    assert (table["factor_low"] <= table["factor_high"]).all()
    # Horizons 1 and 3 of days from Friday, 21 July 2023: weekdays 4 and 6.
    assert found.regional("weekday")["region"].unique().tolist() == [4, 6]
    assert found.regional("hour")["region"].unique().tolist() == [0]
    assert found.overview()["share"].sum() == pytest.approx(1)
    assert len(found.overview("feature")) == len(found.terms)
    with pytest.raises(UsageError, match="has a region"):
        found.regional({"elsewhere": "north"})
    with pytest.raises(UsageError, match="by must be one of"):
        found.regional("year")


def test_shap_gets_the_same_numbers(trees: LightGBMForecaster, panel: Panel) -> None:
    found = explain(trees, panel)
    given = found.to_shap()
    total = given.base_values + np.asarray(given.values).sum(axis=1)
    np.testing.assert_allclose(np.exp(total), found.rows["expected_count"], rtol=1e-6)
    assert list(given.feature_names) == found.features
    assert found.to_shap(by="family").shape == (len(found), len(found.families))


@pytest.mark.parametrize("by", ["feature", "family"])
def test_every_plot_of_shap_draws(trees: LightGBMForecaster, panel: Panel, by: str) -> None:
    mpl.use("Agg")
    given = explain(trees, panel).to_shap(by=by)
    shap = import_shap()
    over_all = (shap.plots.bar, shap.plots.beeswarm, shap.plots.heatmap, shap.plots.violin)
    drawn = [(draw, given) for draw in over_all]
    drawn += [(shap.plots.waterfall, given[0]), (shap.plots.scatter, given[:, 0])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what that library's plots use of others
        for draw, part in drawn:
            plt.close("all")
            draw(part, show=False)
            assert plt.gcf().axes, draw
    plt.close("all")


def test_a_family_shows_its_factor_in_plots_of_shap(trees: LightGBMForecaster, panel: Panel) -> None:
    given = explain(trees, panel).to_shap(by="family")
    np.testing.assert_allclose(given.data, np.exp(given.values))


def test_words_in_both_languages(trees: LightGBMForecaster, panel: Panel) -> None:
    found = explain(trees, panel)
    cell = found.rows["cell"][0]
    english = in_words(found, cell, category="noise", horizon=1)
    assert "reported incidents expected" in english[0]
    assert "in 9 of 10 similar cases" in english[0]
    assert english[-1].endswith("It may not ground a stop, search or fine.")
    french = in_words(found, cell, language="fr", category="noise", horizon=1)
    assert len(french) == len(english) == 2 + len(found.families)
    assert "\u202f:" in french[0]
    assert "times the mean of all places" in english[0]
    assert english[1].startswith("The past of the place puts the estimate at ")
    assert french[1].startswith("Le passé du lieu place l'estimation à ")
    numbers = [text.split("par ")[1].split(" (")[0] for text in french if "multiplie l'estimation" in text]
    assert len(numbers) == len(found.families) - 1
    assert not any("." in number for number in numbers)


def test_the_factors_in_words_multiply_to_the_forecast(trees: LightGBMForecaster, panel: Panel) -> None:
    found = explain(trees, panel)
    row = found.rows.iloc[0]
    table = found.why(row["cell"], category=row["category"], horizon=1).set_index("family")["contribution"]
    level = np.exp(found.base[0] + table["starting rate"])
    rest = table.drop(["starting rate", "typical level"], errors="ignore")
    np.testing.assert_allclose(level * np.exp(rest.sum()), row["expected_count"], rtol=1e-6)


def test_words_need_a_known_language(trees: LightGBMForecaster, panel: Panel) -> None:
    found = explain(trees, panel)
    cell = found.rows["cell"][0]
    with pytest.raises(UsageError, match="language"):
        in_words(found, cell, language="de", category="noise", horizon=1)


def test_it_shows_itself(trees: LightGBMForecaster, panel: Panel) -> None:
    found = explain(trees, panel)
    assert "not causes" in found._repr_html_()
    assert repr(found).startswith("Explanation(lightgbm: 148 place-periods")
