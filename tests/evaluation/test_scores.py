"""Scores against hand-worked tables, scikit-learn and plain loops."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import d2_tweedie_score, mean_poisson_deviance

from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation import brier_score, poisson_deviance, score
from tranquillite_ml.evaluation import scores as module
from tranquillite_ml.forecasts import Forecasts

FLOOR = np.log(1e-6)


def test_deviance_by_hand() -> None:
    # y = 0: 2μ.  y = μ: 0.  y = 2, μ = 1: 2·(2·log 2 − 1)
    found = poisson_deviance([0, 3, 2], [0.4, 3.0, 1.0])
    assert found.tolist() == pytest.approx([0.8, 0.0, 2 * (2 * np.log(2) - 1)])


@given(st.integers(0, 500), st.floats(1e-6, 500))
def test_deviance_is_zero_only_where_equal(y: int, mu: float) -> None:
    value = float(poisson_deviance(y, mu))
    assert value >= 0
    assert float(poisson_deviance(y, float(y))) == 0
    if abs(y - mu) > 1e-3:
        assert value > 0


def test_deviance_is_sklearns() -> None:
    rng = np.random.default_rng(0)
    mu = rng.gamma(0.5, 1.0, 200) + 1e-3
    y = rng.poisson(mu)
    assert poisson_deviance(y, mu).mean() == pytest.approx(mean_poisson_deviance(y, mu))


def test_brier_by_hand() -> None:
    assert brier_score([0, 1, 4], [0.2, 0.2, 1.0]).tolist() == pytest.approx([0.04, 0.64, 0.0])


def test_one_map_by_hand(make_forecasts: Callable) -> None:
    seen = make_forecasts(
        {"a": [[0.5, 1.0, 0.0, 2.5]]},
        [[0, 2, 0, 1]],
        outside=2.0,
        prob_any=[[0.4, 0.6, 0.0, 0.9]],
        lower=[[0, 0, 0, 2]],
        upper=[[1, 2, 0, 5]],
    )
    row = score(seen).iloc[0]
    assert (row["n_folds"], row["n_maps"], row["n_cells"], row["n_incidents"], row["n_outside"]) == (
        1,
        1,
        4,
        3,
        2,
    )
    # Σ y·log μ − μ = −0.5 + (0 − 1) − 1e-6 + (log 2.5 − 2.5); two outside at log 1e-6 each
    plain = -4.000001 + np.log(2.5) + 2 * FLOOR
    assert row["poisson_log_likelihood"] == pytest.approx(plain)
    assert row["log_score"] == pytest.approx(plain - np.log(2))  # − log 2! of the cell with 2
    # deviances: 2·0.5; 2·(2 log 2 − 1); 0; 2·(log 0.4 + 1.5)
    total = 1 + 2 * (2 * np.log(2) - 1) + 0 + 2 * (np.log(0.4) + 1.5)
    assert row["deviance"] == pytest.approx(total / 4)
    # null: 0.75 in each cell: 1.5, 1.5, 2·(2·log(2/0.75) − 1.25), 2·(log(1/0.75) − 0.25)
    null = 3 + 2 * (2 * np.log(2 / 0.75) - 1.25) + 2 * (np.log(1 / 0.75) - 0.25)
    assert row["d2"] == pytest.approx(1 - total / null)
    assert row["brier"] == pytest.approx((0.16 + 0.16 + 0 + 0.01) / 4)
    assert row["oe"] == pytest.approx(3 / 4)
    assert row["oe_with_outside"] == pytest.approx(5 / 4)
    assert row["interval_coverage"] == pytest.approx(3 / 4)  # 1 is not in [2, 5]
    assert np.isnan(row["log_score_lower"])


def test_d2_is_sklearns_on_one_map(make_forecasts: Callable) -> None:
    mu, y = np.array([0.5, 1.0, 0.2, 2.5]), np.array([0, 2, 0, 1])
    row = score(make_forecasts({"a": mu}, y)).iloc[0]
    assert row["d2"] == pytest.approx(d2_tweedie_score(y, mu, power=1))


def test_scores_are_those_of_a_plain_loop(city: Forecasts) -> None:
    table = score(city, by=("category", "model"), n_boot=20)
    assert list(table.columns[:2]) == ["category", "model"]
    keys = city.keys
    for row in table.itertuples():
        maps = np.flatnonzero((keys["model"] == row.model) & (keys["category"] == row.category))
        likelihood = deviance = crps = 0.0
        for number in maps:
            likelihood += keys["outside_count"][number] * FLOOR
            for y, mu in zip(city.observed_count[number], city.expected_count[number], strict=True):
                likelihood += y * np.log(max(mu, 1e-6)) - max(mu, 1e-6)
                deviance += 2 * ((y * np.log(y / mu) if y else 0) - y + mu)
            law = np.cumsum(_pmf(city.expected_count[number]), axis=1)
            crps += np.square(law - (np.arange(60) >= city.observed_count[number][:, None])).sum()
        assert row.poisson_log_likelihood == pytest.approx(likelihood)
        assert row.deviance == pytest.approx(deviance / row.n_cells)
        assert row.crps == pytest.approx(crps / row.n_cells, rel=1e-6)


def _pmf(mu: np.ndarray) -> np.ndarray:
    from scipy.stats import poisson

    return poisson.pmf(np.arange(60), mu[:, None])


def test_truth_scores_best(city: Forecasts) -> None:
    table = score(city).set_index("model")
    for name, larger in module.LARGER_IS_BETTER.items():
        best = table[name].idxmax() if larger else table[name].idxmin()
        assert best == "truth"


def test_table_is_complete_and_intervals_hold_the_estimate(city: Forecasts) -> None:
    table = score(city)
    assert table["model"].tolist() == ["constant", "count_365d", "truth"]
    assert (table["n_folds"] == 13).all()
    assert (table["n_maps"] == 26).all()
    for name in module.SCORES:
        assert (table[f"{name}_lower"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_upper"]).all()


def test_order_of_maps_and_repeats_change_nothing(city: Forecasts) -> None:
    shuffled = city.take(np.random.default_rng(0).permutation(len(city.keys)))
    pd.testing.assert_frame_equal(score(city), score(shuffled))
    pd.testing.assert_frame_equal(score(city), score(city))


def test_blocks_change_nothing(city: Forecasts, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = score(city)
    monkeypatch.setattr(module, "_CELLS_AT_ONCE", 700)
    pd.testing.assert_frame_equal(whole, score(city))


def test_by_cutoff_gives_each_fold_without_interval(city: Forecasts) -> None:
    table = score(city, by=("cutoff",))
    assert len(table) == 3 * 13
    assert list(table.columns[:2]) == ["model", "cutoff"]
    assert table["log_score_lower"].isna().all()
    whole = score(city).set_index("model")["log_score"]
    assert table.groupby("model")["log_score"].mean().to_dict() == pytest.approx(whole.to_dict())


def test_maps_without_outcome_are_left_out_and_counted(make_forecasts: Callable) -> None:
    seen = make_forecasts({"a": 1.0}, [[1, 1], [np.nan, np.nan], [0, np.nan]])
    row = score(seen).iloc[0]
    assert (row["n_maps"], row["n_unobserved"], row["n_cells"]) == (1, 2, 2)
    assert row["oe"] == 1


def test_nothing_observed_gives_nan_with_n_zero(make_forecasts: Callable) -> None:
    row = score(make_forecasts({"a": 1.0}, [[np.nan, np.nan]])).iloc[0]
    assert (row["n_folds"], row["n_maps"], row["n_cells"], row["n_incidents"]) == (0, 0, 0, 0)
    assert row[list(module.SCORES)].isna().all()


def test_no_incidents_leave_ratios_undefined(make_forecasts: Callable) -> None:
    row = score(make_forecasts({"a": 1.0}, np.zeros((6, 2)))).iloc[0]
    assert row["n_incidents"] == 0
    assert row[["oe", "oe_with_outside", "d2", "oe_lower"]].isna().all()
    assert row["log_score"] == -2  # −μ in each of two cells: what was not recorded still counts


def test_unknown_outside_counts_stay_unknown(make_forecasts: Callable) -> None:
    row = score(make_forecasts({"a": 1.0}, [[1, 1]], outside=np.nan)).iloc[0]
    assert np.isnan(row["n_outside"])
    assert row["oe_with_outside"] == row["oe"]


def test_missing_intervals_give_no_coverage(make_forecasts: Callable) -> None:
    assert np.isnan(score(make_forecasts({"a": 1.0}, [[1, 1]])).loc[0, "interval_coverage"])


def test_impossible_zero_costs_the_floor(make_forecasts: Callable) -> None:
    row = score(make_forecasts({"a": 0.0}, [[1, 0]])).iloc[0]
    assert row["log_score"] == pytest.approx(FLOOR, abs=1e-5)
    assert np.isfinite(row["deviance"])


def test_wrong_arguments_are_refused(city: Forecasts) -> None:
    with pytest.raises(UsageError, match="by must be one of"):
        score(city, by=("fold",))
    with pytest.raises(UsageError, match="n_boot"):
        score(city, n_boot=0)
