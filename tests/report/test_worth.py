"""What a model adds to plain counts: each finding from forecasts made by hand, in both languages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.report.conftest import build
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.report.worth import differences, finding_of, told, worth_of

CELLS = 60


def backtest_of(rates: dict[str, float], *, folds: int = 8, category: str = "noise") -> Forecasts:
    """Folds in which half of the cells had one incident; each model splits its rate with a contrast."""
    keys = pd.DataFrame(
        [(name, category, fold) for name in rates for fold in range(folds)],
        columns=["model", "category", "fold"],
    )
    keys["cutoff"] = pd.Timestamp("2025-01-06", tz="UTC") + pd.to_timedelta(keys.pop("fold") * 7, unit="D")
    keys["horizon"], keys["distribution"], keys["outside_count"] = 1, "poisson", 0.0
    rng = np.random.default_rng(0)
    observed = np.stack([rng.permutation(np.repeat([0.0, 1.0], CELLS // 2)) for _ in range(folds)])
    expected = [np.where(observed > 0, 0.5 + contrast, 0.5 - contrast) for contrast in rates.values()]
    values = {
        "expected_count": np.concatenate(expected),
        "observed_count": np.tile(observed, (len(rates), 1)),
    }
    return Forecasts(keys, np.arange(CELLS, dtype=np.uint64), np.full(CELLS, 0.1), values, {})


def entry(rates: dict[str, float], **given: Any) -> dict[str, Any]:
    found = worth_of(backtest_of(rates, **given), next(iter(rates)))
    assert len(found) == 1
    return found[0]


def test_what_the_model_adds_is_counted_against_the_best_plain_count_by_hand() -> None:
    found = entry({"lightgbm": 0.3, "count_365d": 0.0, "smoothed_count": 0.1})
    assert (found["finding"], found["counts"]) == ("model", "smoothed_count")
    each = CELLS / 2 * (math.log(0.8 / 0.6))  # rates of all cells add up to the same under both
    assert found["difference"] == pytest.approx(each, rel=1e-5)
    assert found["ci95"] == pytest.approx([each, each], rel=1e-5)  # every fold is alike
    assert found["gain"] == pytest.approx(0.8 / 0.6 - 1, rel=1e-5)
    assert found["gain_ci95"] == pytest.approx([0.8 / 0.6 - 1] * 2, rel=1e-5)
    assert (found["n_folds"], found["n_incidents"]) == (8, 8 * CELLS // 2)
    assert found["told"]["en"] == (
        "noise: lightgbm adds to the best plain count (smoothed count): each recorded incident was "
        "33.3\u00a0% [33.3\u00a0% to 33.3\u00a0%] more probable under it (8 past forecasts, 240 incidents). "
        "No model that can be read was run beside it, so whether one would be enough is not known."
    )
    assert found["told"]["fr"].startswith(
        "noise\u202f: lightgbm ajoute au meilleur comptage simple (comptage lissé)"
    )


@pytest.mark.parametrize(
    ("rates", "finding", "said"),
    [
        ({"lightgbm": 0.1, "smoothed_count": 0.1}, "counts", "plain counts are enough"),
        ({"lightgbm": 0.0, "smoothed_count": 0.1}, "counts", "is not shown to add"),
        ({"lightgbm": 0.3, "poisson": 0.3, "smoothed_count": 0.1}, "glass_box", "that can be read is enough"),
        ({"lightgbm": 0.3, "poisson": 0.1, "smoothed_count": 0.1}, "model", "No model that can be read is"),
        ({"poisson": 0.3, "smoothed_count": 0.1}, "model", "It can be read itself."),
        ({"smoothed_count": 0.3, "count_365d": 0.1}, "itself", "is itself a plain count"),
        ({"lightgbm": 0.3}, "unknown", "What it adds is not known."),
    ],
)
def test_each_finding_has_its_sentence(rates: dict[str, float], finding: str, said: str) -> None:
    found = entry(rates)
    assert found["finding"] == finding == finding_of(found)
    assert said in found["told"]["en"]
    assert found["told"] == told(found)
    assert not [text for text in found["told"].values() if "None" in text or "{" in text]


def test_too_few_folds_are_not_enough_to_tell() -> None:
    found = entry({"lightgbm": 0.3, "smoothed_count": 0.1}, folds=2)
    assert (found["finding"], found["gain_ci95"]) == ("too_few", None)
    assert "too few past forecasts" in found["told"]["en"]


def test_without_outcomes_nothing_is_claimed() -> None:
    found = worth_of(build(models=("lightgbm", "count_365d")), "lightgbm")
    assert {one["finding"] for one in found} == {"unknown"}
    assert differences(found) == []


def test_the_figure_holds_what_the_sentence_says() -> None:
    found = worth_of(backtest_of({"lightgbm": 0.3, "smoothed_count": 0.1}), "lightgbm")
    figure = differences(found)[0]
    assert figure["rows"][0]["value"] == found[0]["gain"]
    assert figure["rows"][0]["n"] == 240
