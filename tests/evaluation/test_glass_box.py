"""Glass boxes: excess of deviance by hand, pairing, and what the sentence may say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation import glass_box_check, poisson_deviance
from tranquillite_ml.forecasts import Forecasts

Make = Callable[..., Forecasts]


def outcome(n_folds: int = 13, n_cells: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.5, 2.0, n_cells)
    return rate, rng.poisson(rate, (n_folds, n_cells)).astype(float)


def test_numbers_by_hand(make_forecasts: Make) -> None:
    # One cell, two folds with a count of 0: deviance 2·μ. Model 1 + 1, glass box 1.05 + 1.05, counts 2 + 2:
    # sums 4, 4.2 and 8. Excess 4.2 / 4 − 1 = 5 %; kept (8 − 4.2) / (8 − 4) = 95 %.
    seen = make_forecasts({"smoothed_count": 2.0, "lightgbm": 1.0, "poisson": 1.05}, [[0], [0]])
    check = glass_box_check(seen)
    row = check.table.iloc[0]
    assert row["excess"] == pytest.approx(0.05)
    assert row["kept"] == pytest.approx(0.95)
    assert (row["n_folds"], row["n_maps"], row["n_incidents"]) == (2, 2, 0)
    assert row["verdict"] == "cannot tell"  # two folds are too few
    assert check.recommended is None
    assert check.sentence == (
        "cannot tell whether a glass box does as well as lightgbm within 2 % of deviance: "
        "poisson +5.00 %, 2 folds, 0 incidents."  # no share of the gain without its interval
    )


def test_against_a_sum_over_all_cells(make_forecasts: Make) -> None:
    rate, seen = outcome()
    models = {"lightgbm": rate, "additive": rate * 1.1, "smoothed_count": np.full(rate.shape, rate.mean())}
    row = glass_box_check(make_forecasts(models, seen)).table.iloc[0]
    best, box, plain = (poisson_deviance(seen, models[name]).sum() for name in models)
    assert row["excess"] == pytest.approx(box / best - 1)
    assert row["kept"] == pytest.approx((plain - box) / (plain - best))
    assert row["lower"] < row["excess"] < row["upper"]
    assert row["kept_lower"] < row["kept"] < row["kept_upper"]
    kept, lower, upper = (f"{100 * row[name]:.0f}" for name in ("kept", "kept_lower", "kept_upper"))
    said = glass_box_check(make_forecasts(models, seen)).sentence
    assert f"{kept} % [{lower}, {upper}] of the gain over smoothed_count kept" in said


def test_the_plainest_of_those_that_do_as_well_is_recommended(make_forecasts: Make) -> None:
    rate, seen = outcome()
    models = {"lightgbm": rate, "additive": rate, "negative_binomial": rate * 1.01, "poisson": rate * 2}
    check = glass_box_check(make_forecasts(models, seen))
    assert check.table["model"].tolist() == ["poisson", "negative_binomial", "additive"]
    assert check.table["verdict"].tolist() == ["worse", "as good", "as good"]
    assert check.recommended == "negative_binomial"
    assert check.sentence.startswith(
        "negative_binomial does as well as lightgbm within 2 % of deviance and can"
    )
    assert check.sentence.endswith("13 folds, " + f"{int(seen.sum())} incidents. Prefer negative_binomial.")
    assert np.isnan(check.table["kept"]).all()  # there are no plain counts here
    assert "kept" not in check.sentence


def test_none_does_as_well(make_forecasts: Make) -> None:
    rate, seen = outcome()
    check = glass_box_check(make_forecasts({"lightgbm": rate, "poisson": np.full(rate.shape, 1.0)}, seen))
    assert check.recommended is None
    assert check.sentence.startswith(
        "no glass box does as well as lightgbm within 2 % of deviance: poisson +"
    )


def test_plain_counts_are_never_recommended_but_named(make_forecasts: Make) -> None:
    rate, seen = outcome()
    models = {"lightgbm": rate, "poisson": rate * 1.001, "smoothed_count": rate * 1.01}
    check = glass_box_check(make_forecasts(models, seen))
    assert check.table["model"].tolist() == ["poisson", "smoothed_count"]
    assert check.table["verdict"].tolist() == ["as good", "as good"]
    assert check.table["kept"].iloc[-1] == 0
    assert check.recommended == "poisson"
    assert check.sentence.endswith("Prefer poisson. Plain counts (smoothed_count) are within 2 %, too.")


def test_a_wider_tolerance_never_takes_a_recommendation_back(make_forecasts: Make) -> None:
    rate, seen = outcome()
    noise = np.exp(np.random.default_rng(1).normal(0, 0.25, rate.shape))
    forecasts = make_forecasts({"lightgbm": rate, "poisson": rate * noise}, seen)
    found = [glass_box_check(forecasts, tolerance=t).recommended for t in (0.0, 0.02, 0.05, 0.5)]
    assert found[0] is None
    assert found[-1] == "poisson"
    assert found == sorted(found, key=lambda name: name is not None)


def test_only_shared_maps_are_compared(make_forecasts: Make) -> None:
    rate, seen = outcome(8)
    models = {"lightgbm": rate, "poisson": rate * 1.1, "smoothed_count": rate * 2}
    whole = make_forecasts(models, seen)
    drop = (whole.keys["model"] == "poisson") & (whole.keys["cutoff"] == whole.keys["cutoff"].min())
    part = glass_box_check(whole.take(~drop.to_numpy())).table.iloc[0]
    later = glass_box_check(make_forecasts(models, seen[1:], cutoffs=range(1, 8))).table.iloc[0]
    assert part["n_maps"] == 7
    assert part["excess"] == pytest.approx(later["excess"])
    assert part["kept"] == pytest.approx(later["kept"])


def test_what_is_missing_is_named(make_forecasts: Make) -> None:
    rate, seen = outcome(6)
    forecasts = make_forecasts({"lightgbm": rate, "smoothed_count": rate}, seen)
    with pytest.raises(UsageError, match="one of \\['learned_count', 'poisson', "):
        glass_box_check(forecasts)
    with pytest.raises(UsageError, match="Did you mean 'lightgbm'"):
        glass_box_check(forecasts, model="lightgmb", glass_boxes=["smoothed_count"], counts="count_all")
    with pytest.raises(UsageError, match="tolerance must be at least 0"):
        glass_box_check(forecasts, tolerance=-0.1)
