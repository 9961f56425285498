"""Calibration tables: hand-worked bins, right forecasts that pass and wrong ones that do not."""

from collections.abc import Callable

import numpy as np
import pytest

from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation import (
    calibration_slope,
    interval_coverage_table,
    pit_table,
    randomised_pit,
    reliability_curve,
    score,
)
from tranquillite_ml.evaluation.pit import activity_strata
from tranquillite_ml.forecasts import Forecasts


@pytest.fixture(scope="module")
def calibrated(make_forecasts: Callable) -> Forecasts:
    """Negative binomial outcomes, forecast by their own law and by a law at twice the rate."""
    rng = np.random.default_rng(3)
    rate = np.tile(rng.gamma(0.5, 0.8, 600), (13, 1))
    seen = rng.negative_binomial(2.0, 1 / (1 + 0.5 * rate))
    from scipy.stats import nbinom

    law = nbinom(2.0, 1 / (1 + 0.5 * rate))
    return make_forecasts(
        {"right": rate, "double": 2 * rate},
        seen,
        distribution="negative_binomial",
        dispersion=0.5,
        lower=law.ppf(0.05),
        upper=law.ppf(0.95),
    )


def test_bins_by_hand(make_forecasts: Callable) -> None:
    """Forecast total 10; the quiet bin holds up to 1 %, then two bins up to 5.05 and 10."""
    seen = make_forecasts({"a": [[0.0, 0.0, 1, 1, 2, 6]]}, [[0, 1, 1, 0, 3, 6]])
    table = reliability_curve(seen, bins=3)
    assert table["bin"].tolist() == [1, 2, 3]
    assert table["n"].tolist() == [2, 3, 1]  # zeros; 1 + 1 + 2 = 4 of 10; 6
    assert table["forecast"].tolist() == pytest.approx([0, 4 / 3, 6])
    assert table["observed"].tolist() == pytest.approx([0.5, 4 / 3, 6])
    assert table["n_incidents"].tolist() == [1, 4, 6]
    assert np.isnan(table["oe"][0])
    assert table["oe"].tolist()[1:] == pytest.approx([1, 1])
    assert table["lower"].isna().all()


def test_bins_hold_all_cells_and_incidents(city: Forecasts) -> None:
    for quantity in ("expected_count", "prob_any"):
        table = reliability_curve(city, quantity=quantity)
        assert table.groupby("model")["n"].sum().tolist() == [26 * 300] * 3
        assert (table["lower"] <= table["observed"]).all()
        assert (table["observed"] <= table["upper"]).all()
        assert (table.groupby("model")["forecast"].diff().dropna() > 0).all()
    counts = reliability_curve(city, model="truth")
    assert counts["model"].unique().tolist() == ["truth"]
    assert counts["n_incidents"].sum() == city.select(model="truth").observed_count.sum()
    carried = (counts["n"] * counts["forecast"])[1:]
    assert carried.max() < 1.5 * carried.min()


def test_groups_of_places_by_hand(make_forecasts: Callable) -> None:
    seen = make_forecasts({"a": [[1.0, 2, 3, 4]] * 2}, [[1, 1, 0, 4], [3, 1, 0, 5]])
    table = reliability_curve(seen, places=["south", "north", "north", "south"])
    assert table["bin"].tolist() == ["north", "south"]
    assert table[["n", "n_incidents"]].to_numpy().tolist() == [[4, 2], [4, 13]]
    assert table["forecast"].tolist() == [2.5, 2.5]
    assert table["oe"].tolist() == pytest.approx([2 / 10, 13 / 10])


def test_groups_of_places_have_intervals_over_folds(city: Forecasts) -> None:
    places = np.arange(len(city.cells)) % 4
    table = reliability_curve(city, places=places, level=1 - 0.05 / 4, n_boot=2000)
    assert table.groupby("model")["n"].sum().tolist() == [26 * 300] * 3
    right = table[table["model"] == "truth"]
    assert right["bin"].tolist() == [0, 1, 2, 3]
    assert ((right["oe_lower"] <= 1) & (right["oe_upper"] >= 1)).all()


@pytest.mark.parametrize("places", [["a"], ["a", None, "b", "c"]])
def test_each_cell_needs_a_label(make_forecasts: Callable, places: list) -> None:
    seen = make_forecasts({"a": [[1.0, 2, 3, 4]]}, [[1, 1, 0, 4]])
    with pytest.raises(UsageError, match="one label for each of the 4 cells"):
        reliability_curve(seen, places=places)


def test_tied_forecasts_share_a_bin(city: Forecasts) -> None:
    table = reliability_curve(city, model="constant")
    assert len(table) == 1
    assert table["forecast"][0] == 0.5


def test_right_and_wrong_rates_show(calibrated: Forecasts) -> None:
    table = reliability_curve(calibrated).set_index("model")
    right, wrong = table.loc["right"].iloc[1:], table.loc["double"].iloc[1:]
    assert right["oe"].between(0.7, 1.4).all()
    assert ((right["oe_lower"] <= 1) & (right["oe_upper"] >= 1)).mean() >= 0.7
    assert (wrong["oe_upper"] < 1).all()


def test_probabilities_are_compared_with_cells_that_had_any(make_forecasts: Callable) -> None:
    seen = make_forecasts({"a": 1.0}, [[3, 0, 1, 0]], prob_any=0.5)
    row = reliability_curve(seen, quantity="prob_any").iloc[0]
    assert (row["forecast"], row["observed"], row["n_incidents"]) == (0.5, 0.5, 2)


def test_coverage_by_hand(make_forecasts: Callable) -> None:
    seen = make_forecasts(
        {"a": [[1, 2, 3, 4]]}, [[0, 3, 3, 9]], lower=[[0, 0, 1, 1]], upper=[[1, 2, 4, np.nan]]
    )
    table = interval_coverage_table(seen, strata=2)
    assert table["n"].tolist() == [2, 1]  # the last cell states no interval
    assert table["coverage"].tolist() == [0.5, 1.0]
    assert table["mean_width"].tolist() == [1.5, 3.0]
    assert table["nominal"].tolist() == [0.9, 0.9]


def test_discrete_intervals_cover_more_and_randomised_ones_what_they_say(calibrated: Forecasts) -> None:
    table = interval_coverage_table(calibrated).set_index(["model", "stratum"])
    right = table.loc["right"]
    assert (right["coverage"] >= 0.9).all()
    assert (right["randomised_coverage"] - 0.9).abs().max() < 0.02
    assert (right["n"] == 13 * 150).all()
    poisson = calibrated.select(model="right")
    poisson.keys["distribution"] = "poisson"  # too sure: the dispersion is left out
    assert interval_coverage_table(poisson).iloc[-1]["randomised_coverage_upper"] < 0.9


def test_empty_strata_have_n_zero(make_forecasts: Callable) -> None:
    seen = make_forecasts({"a": 1.0}, np.ones((6, 4)), lower=0.0, upper=2.0)
    table = interval_coverage_table(seen)
    assert table["n"].tolist() == [0, 0, 24, 0]
    assert table.loc[0, ["coverage", "randomised_coverage_lower", "mean_width"]].isna().all()


def test_strata_are_by_rank_within_the_map() -> None:
    assert activity_strata(np.array([[1.0, 2, 3, 4], [40, 30, 20, 10]]), 4).tolist() == [
        [0, 1, 2, 3],
        [3, 2, 1, 0],
    ]
    with pytest.raises(UsageError, match="strata"):
        activity_strata(np.ones((1, 2)), 0)


def test_pit_is_uniform_for_the_right_law(calibrated: Forecasts) -> None:
    from scipy.stats import kstest

    values = randomised_pit(calibrated, seed=1)
    right = (calibrated.keys["model"] == "right").to_numpy()
    assert values.shape == calibrated.expected_count.shape
    assert kstest(values[right].ravel(), "uniform").pvalue > 0.01
    assert kstest(values[~right].ravel(), "uniform").pvalue < 1e-6
    assert np.isnan(randomised_pit(calibrated.take([0]))).sum() == 0


def test_pit_lies_between_the_steps_of_the_law(make_forecasts: Callable) -> None:
    seen = make_forecasts({"a": 1.0}, [[0, 1, np.nan]])
    first, second, unknown = randomised_pit(seen)[0]
    assert 0 <= first <= np.exp(-1) <= second <= 2 * np.exp(-1)  # P(0) = P(1) = e⁻¹
    assert np.isnan(unknown)


def test_pit_table_passes_right_forecasts_and_catches_wrong_ones(calibrated: Forecasts) -> None:
    table = pit_table(calibrated)
    assert len(table) == 2 * 4 * 10
    assert table.groupby(["model", "stratum"])["share"].sum().tolist() == pytest.approx([1] * 8)
    assert table.loc[table["model"] == "right", "inside"].all()
    assert not table.loc[table["model"] == "double", "inside"].all()
    assert ((table["lower"] <= 0.1) & (table["upper"] >= 0.1)).all()


def test_pit_band_is_simultaneous(make_forecasts: Callable) -> None:
    """Right forecasts leave the band somewhere in 5 % of the cases: 300 cases, standard error 1.3 points."""
    rng = np.random.default_rng(5)
    rate = rng.gamma(0.5, 0.5, (1, 400))
    left = 0
    for case in range(300):
        seen = make_forecasts({"a": rate}, rng.poisson(rate))
        left += not pit_table(seen, seed=case, n_sim=199)["inside"].all()
    assert 0.01 <= left / 300 <= 0.10


def test_wrong_arguments_are_refused(city: Forecasts) -> None:
    with pytest.raises(UsageError, match="quantity must be one of"):
        reliability_curve(city, quantity="upper")
    with pytest.raises(UsageError, match="bins"):
        reliability_curve(city, bins=0)
    with pytest.raises(UsageError, match="n_sim"):
        pit_table(city, n_sim=10)
    with pytest.raises(UsageError, match="no forecast has"):
        reliability_curve(city, model="nobody")


def test_nothing_observed_gives_an_empty_curve(make_forecasts: Callable) -> None:
    seen = make_forecasts({"a": 1.0}, [[np.nan, np.nan]], lower=0.0, upper=1.0)
    assert len(reliability_curve(seen)) == 0
    assert (interval_coverage_table(seen)["n"] == 0).all()
    table = pit_table(seen)
    assert (table["n"] == 0).all()
    assert table["share"].isna().all()


def test_randomised_coverage_by_hand(make_forecasts: Callable) -> None:
    """Poisson 0.05: P(0) = 0.951, of whose PIT [0, 0.951] the part 0.05–0.95 is inside: 0.9 / 0.951."""
    seen = make_forecasts({"a": 0.05}, [[0, 1]], lower=0.0, upper=1.0)
    row = interval_coverage_table(seen, strata=1).iloc[0]
    assert row["randomised_coverage"] == pytest.approx(0.9 / np.exp(-0.05) / 2)


def test_randomised_coverage_is_that_of_randomised_intervals(calibrated: Forecasts) -> None:
    from tranquillite_ml.calibration import randomised_interval

    part = calibrated.select(model="right")
    edges = randomised_interval(part.expected_count, part.dispersion, level=0.9)
    lower, upper, at_lower, at_upper = edges
    y = part.observed_count
    chance = np.where(y == lower, at_lower, np.where(y == upper, at_upper, (y > lower) & (y < upper)))
    row = interval_coverage_table(part, strata=1).iloc[0]
    assert row["randomised_coverage"] == pytest.approx(chance.mean())


def test_counts_that_come_together_are_better_told_by_a_hurdle(make_forecasts: Callable) -> None:
    """Where there is one incident there are more: a Poisson of the same mean fails, whatever its mean."""
    rng = np.random.default_rng(8)
    rate = np.full((13, 600), 0.8)
    some = 1 - np.exp(-rate / 2)
    seen = np.where(rng.random(rate.shape) < some, 1 + rng.poisson(1.3, rate.shape), 0)
    mean = some * 2.3
    hurdle = make_forecasts({"a": mean}, seen, distribution="hurdle", dispersion=0.0, prob_any=some)
    poisson = make_forecasts({"a": mean}, seen)
    assert not pit_table(poisson)["inside"].all()
    assert score(hurdle)["log_score"][0] > score(poisson)["log_score"][0]
    assert score(hurdle)["crps"][0] < score(poisson)["crps"][0]


def test_slope_is_that_of_a_poisson_regression(city: Forecasts) -> None:
    """Oracle: a generalised linear model on every cell, without bins."""
    from sklearn.linear_model import PoissonRegressor

    table = calibration_slope(city).set_index("model")
    for name in ("truth", "count_365d"):
        part = city.select(model=name)
        x = np.log(part.expected_count).reshape(-1, 1)
        fitted = PoissonRegressor(alpha=0, tol=1e-10, max_iter=1000).fit(x, part.observed_count.ravel())
        assert table.loc[name, "slope"] == pytest.approx(fitted.coef_[0], abs=0.01)
        assert table.loc[name, "slope_lower"] < table.loc[name, "slope"] < table.loc[name, "slope_upper"]
    assert table.loc["truth", "slope_lower"] <= 1 <= table.loc["truth", "slope_upper"]
    assert table.loc["count_365d", "slope_upper"] < 1  # blurred counts are too extreme
    assert np.isnan(table.loc["constant", "slope"])


def test_nothing_recorded_has_no_slope(make_forecasts: Callable) -> None:
    row = calibration_slope(make_forecasts({"a": [[1.0, 2.0]]}, [[0, 0]])).iloc[0]
    assert (row["n"], row["n_incidents"]) == (2, 0)
    assert np.isnan([row["slope"], row["oe"]]).all()
