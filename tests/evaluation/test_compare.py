"""Comparison: paired, fold by fold, with a verdict that knows when it cannot tell."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation import compare, score, verdict
from tranquillite_ml.forecasts import Forecasts


def test_difference_by_hand(make_forecasts: Callable) -> None:
    """One cell, five folds of 2 incidents: log-likelihood 2·log μ − μ; μ = 2 gains 2·log 2 − 1 over μ = 1."""
    seen = make_forecasts({"count_365d": 1.0, "better": 2.0}, np.full((5, 1), 2))
    row = compare(seen).iloc[0]
    gain = 2 * np.log(2) - 1
    assert (row["model"], row["reference"], row["n_folds"], row["n_maps"]) == ("better", "count_365d", 5, 5)
    assert row[["difference", "lower", "upper"]].tolist() == pytest.approx([gain, gain, gain])
    assert row["share_not_better"] == 0
    assert row["verdict"] == "beats counts"
    assert row["hit_rate_5pct_difference"] == 0


def test_difference_is_that_of_the_scores(city: Forecasts) -> None:
    table = compare(city).set_index("model")
    scores = score(city).set_index("model")
    for name in ("truth", "constant"):
        plain = 2 * (scores.loc[name, "log_score"] - scores.loc["count_365d", "log_score"])  # two maps a fold
        assert table.loc[name, "difference"] == pytest.approx(plain)
        assert table.loc[name, "lower"] < plain < table.loc[name, "upper"]


@pytest.mark.parametrize("name", ["deviance", "brier", "crps", "poisson_log_likelihood"])
def test_positive_is_better_whatever_the_score(city: Forecasts, name: str) -> None:
    table = compare(city, score=name, hotspot=()).set_index("model")
    assert table.loc["truth", "verdict"] == "beats counts"
    assert table.loc["truth", "lower"] > 0
    scores = score(city).set_index("model")[name]
    if name != "poisson_log_likelihood":
        assert table.loc["truth", "difference"] == pytest.approx(scores["count_365d"] - scores["truth"])


def test_worse_model_does_not_beat_counts(city: Forecasts) -> None:
    table = compare(city).set_index("model")
    assert table.loc["constant", "verdict"] == "does not beat counts"
    assert table.loc["constant", "share_not_better"] == 1
    assert table.loc["constant", "hit_rate_5pct_difference_upper"] < 0


def test_copy_of_the_reference_does_not_beat_it(make_forecasts: Callable) -> None:
    seen = make_forecasts({"count_365d": 1.0, "copy": 1.0}, np.ones((13, 3)))
    assert compare(seen).loc[0, "verdict"] == "does not beat counts"


def test_noise_cannot_be_told(make_forecasts: Callable) -> None:
    rng = np.random.default_rng(2)
    rate = rng.gamma(1.0, 1.0, (13, 50))
    guess = {name: rate * np.exp(rng.normal(0, 0.2, rate.shape)) for name in ("count_365d", "other")}
    found = verdict(make_forecasts(guess, rng.poisson(rate)), model="other")
    assert found.text == "cannot tell"
    assert found.lower < 0 < found.upper


def test_four_folds_cannot_tell(make_forecasts: Callable) -> None:
    seen = make_forecasts({"count_365d": 1.0, "better": 2.0}, np.full((4, 1), 2))
    found = verdict(seen, model="better")
    assert found.text == "cannot tell"
    assert found.n_folds == 4
    assert np.isnan(found.lower)
    assert found.sentence == (
        "cannot tell whether better beats counts (count_365d): "
        "log score +0.386 nats a fold, 4 folds, at least 5 are needed."
    )


def test_sentence_of_a_verdict(city: Forecasts) -> None:
    found = verdict(city, model="truth")
    row = compare(city).set_index("model").loc["truth"]
    assert (found.difference, found.lower, found.upper) == tuple(row[["difference", "lower", "upper"]])
    assert found.sentence == (
        f"truth beats counts (count_365d): log score {found.difference:+.1f} "
        f"[{found.lower:.1f}, {found.upper:.1f}] nats a fold, 13 folds."
    )


def test_only_pairs_with_an_outcome_are_compared(make_forecasts: Callable) -> None:
    observed = np.full((7, 1), 2.0)
    observed[0] = np.nan
    seen = make_forecasts({"count_365d": 1.0, "better": 2.0}, observed)
    seen = seen.take(np.r_[0:13])  # the last fold of "better" is missing
    row = compare(seen).iloc[0]
    assert (row["n_maps"], row["n_folds"]) == (5, 5)
    assert row["n_unpaired"] == 3  # unobserved in both, and one without a partner


def test_models_without_common_maps_cannot_be_told(make_forecasts: Callable) -> None:
    seen = make_forecasts({"count_365d": 1.0, "other": 2.0}, np.ones((6, 1))).take([0, 1, 2, 9, 10, 11])
    found = verdict(seen, model="other")
    assert (found.text, found.n_folds) == ("cannot tell", 0)
    assert "no map with an outcome is in both" in found.sentence


def test_order_changes_nothing_and_names_are_sorted(city: Forecasts) -> None:
    shuffled = city.take(np.random.default_rng(1).permutation(len(city.keys)))
    pd.testing.assert_frame_equal(compare(city), compare(shuffled))
    assert compare(city)["model"].tolist() == ["constant", "truth"]


def test_several_coverages_name_their_columns(city: Forecasts) -> None:
    table = compare(city, hotspot=[0.005, 0.1])
    assert {"hit_rate_0.5pct_difference", "hit_rate_10pct_difference_upper"} <= set(table.columns)


def test_paired_interval_is_narrower_than_the_scores(city: Forecasts) -> None:
    row = compare(city).set_index("model").loc["truth"]
    scores = score(city).set_index("model").loc["truth"]
    assert row["upper"] - row["lower"] < 2 * (scores["log_score_upper"] - scores["log_score_lower"])


def test_missing_models_are_named(city: Forecasts) -> None:
    with pytest.raises(UsageError, match=r"no reference 'count_365' among .*Did you mean 'count_365d'"):
        compare(city, reference="count_365")
    with pytest.raises(UsageError, match="only model"):
        compare(city.select(model="count_365d"))
    with pytest.raises(UsageError, match="cannot be compared"):
        verdict(city, model="nobody")
    with pytest.raises(UsageError, match="score must be one of"):
        compare(city, score="pai")


def test_adjusted_verdicts_say_less_and_never_more(make_forecasts: Callable) -> None:
    """Six equal models beside a good one: what is told of one alone may not be told of the best of seven."""
    rng = np.random.default_rng(21)
    rate = rng.gamma(1.0, 1.0, (13, 250))
    noisy = {f"other_{k}": rate * np.exp(rng.normal(0, 0.3, rate.shape)) for k in range(6)}
    guess = {"count_365d": rate * np.exp(rng.normal(0, 0.3, rate.shape)), "truth": rate} | noisy
    table = compare(make_forecasts(guess, rng.poisson(rate)), hotspot=()).set_index("model")
    assert table.loc["truth", "verdict_adjusted"] == "beats counts"
    assert (table["p_adjusted"] >= table["p_value"]).all()
    changed = table[table["verdict"] != table["verdict_adjusted"]]
    assert (changed["verdict_adjusted"] == "cannot tell").all()
    assert (table.loc[table["p_adjusted"] > 0.05, "verdict_adjusted"] == "cannot tell").all()
    assert (table["detectable_difference"] > 0).all()


def test_both_verdicts_are_told_where_they_differ(make_forecasts: Callable) -> None:
    """μ = 2.3 against 1.8: y·log(2.3/1.8) − 0.5 a fold, t = (2.692 − 2.040)/(0.855/√13) = 2.75, p = 0.018.

    Among six models 6·p = 0.105 is above 5 %.
    """
    rng = np.random.default_rng(3)
    noise = {f"zz_{k}": np.exp(rng.normal(0.7, 0.5, (13, 1))) for k in range(5)}
    observed = np.array([3.0, 2, 3, 4, 2, 3, 3, 2, 4, 2, 3, 1, 3])[:, None]
    seen = make_forecasts({"count_365d": 1.8, "better": 2.3} | noise, observed)
    alone = verdict(seen.select(model=["count_365d", "better"]), model="better")
    among = verdict(seen, model="better")
    assert (alone.text, alone.adjusted, alone.n_models) == ("beats counts", "beats counts", 1)
    assert (among.text, among.adjusted, among.n_models) == ("beats counts", "cannot tell", 6)
    assert among.sentence == alone.sentence + " With 6 models judged at once: cannot tell."
    row = compare(seen).set_index("model").loc["better"]
    assert row["p_value"] == pytest.approx(0.0177, abs=5e-4)
    assert row["p_adjusted"] == pytest.approx(6 * row["p_value"])
    # 3.05 standard errors of 0.245·0.855/√13
    assert row["detectable_difference"] == pytest.approx(3.05 * 0.0581, rel=0.01)


def test_equal_folds_need_no_test(make_forecasts: Callable) -> None:
    seen = make_forecasts({"count_365d": 1.0, "better": 2.0}, np.full((5, 1), 2))
    row = compare(seen).iloc[0]
    assert np.isnan(row[["p_value", "p_adjusted", "detectable_difference"]].astype(float)).all()
    assert row["verdict_adjusted"] == "beats counts"


def test_blocks_of_folds_leave_the_difference(city: Forecasts) -> None:
    single, blocks = (compare(city, block=block).set_index("model") for block in (1, 3))
    np.testing.assert_array_equal(single["difference"], blocks["difference"])
    assert (blocks["lower"] < single["difference"]).all()
    assert compare(city, block=4)["lower"].isna().all()  # 13 folds hold 3 blocks of 4
