"""What trials are scored on: the evaluation's own scores, on folds that end before the judged ones."""

import numpy as np
import pytest

from tests.builders import make_panel
from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation import backtest, score
from tranquillite_ml.features import FeatureSet, History
from tranquillite_ml.forecasters import DecayedCount, LightGBMForecaster
from tranquillite_ml.splits import RollingOrigin
from tranquillite_ml.target import Target
from tranquillite_ml.tuning import backtest_scores, cutoffs_before
from tranquillite_ml.tuning.memory import SampleMemory

TARGET = Target("noise", period=7)


@pytest.mark.parametrize("name", ["log_score", "poisson_log_likelihood"])
@pytest.mark.parametrize("refit", ["never", "every_fold"])
def test_a_trial_is_scored_as_a_backtest_is(name, refit):
    panel, target = make_panel(150), Target(["noise", "theft"], period=7)
    cutoffs = [122, 129, 136, 143]
    scores = backtest_scores(DecayedCount(target), panel, cutoffs, refit=refit, score=name)
    ours = list(scores({"half_life_days": 30}))
    splits = RollingOrigin(4, "7D")
    assert splits.cutoffs(panel.bins, target) == cutoffs
    table = score(
        backtest([DecayedCount(target, half_life_days=30)], panel, splits, refit=refit),
        by=("model", "cutoff"),
        n_boot=10,
    )
    # The Poisson log-likelihood is a sum over maps there, and two categories are two maps.
    theirs = table[name] / (1 if name == "log_score" else table["n_maps"])
    assert ours == pytest.approx(theirs.tolist())


def test_folds_end_where_their_outcomes_had_been_recorded_and_reported():
    panel = make_panel(120, delay=5).until(100)
    cutoffs = cutoffs_before(panel, TARGET, RollingOrigin(3, "7D"))
    records = panel.records("noise")
    late = int(np.quantile(records.known - records.bin - 1, 0.95, method="higher"))
    assert late > 0
    assert cutoffs == [100 - late - 7 - 14, 100 - late - 7 - 7, 100 - late - 7]
    with pytest.raises(UsageError, match="do not fit"):
        cutoffs_before(panel, TARGET, RollingOrigin(20, "7D"))


def test_what_comes_after_the_first_judged_cutoff_changes_nothing():
    one, two = make_panel(120, delay=5, rate=0.2), make_panel(120, delay=5, rate=0.2)
    after = two._arrays["known"] > 100
    assert after.any()
    two._arrays["count"] = np.where(after, 50, two._arrays["count"])
    found = []
    for panel in (one, two):
        known = panel.until(100)
        cutoffs = cutoffs_before(known, TARGET, RollingOrigin(3, "7D"))
        forecaster = DecayedCount(TARGET, calibration_days=14)
        found.append(list(backtest_scores(forecaster, known, cutoffs)({"half_life_days": 50})))
    assert found[0] == found[1]


def test_the_forecaster_given_stays_as_it_is():
    given = DecayedCount(TARGET, calibration_days=0)
    list(backtest_scores(given, make_panel(80), [66])({"half_life_days": 5}))
    assert given.half_life_days == 200
    assert not hasattr(given, "models_")


def test_an_unknown_score_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'log_score'"):
        backtest_scores(DecayedCount(TARGET), make_panel(80), [66], score="log_scores")  # type: ignore[arg-type]


def test_rows_are_drawn_once_for_trials_that_would_draw_the_same(monkeypatch):
    panel = make_panel(160, rings=2)
    given = LightGBMForecaster(TARGET, FeatureSet([History()]), n_estimators=5, calibration_days=14)
    drawn = []
    original = LightGBMForecaster._draw_sample

    def counting(self, *args):
        drawn.append(self.zeros)
        return original(self, *args)

    monkeypatch.setattr(LightGBMForecaster, "_draw_sample", counting)
    scores = backtest_scores(given, panel, [140, 147])
    tries = [{"num_leaves": 4, "zeros": 0.5}, {"num_leaves": 8, "zeros": 0.5}, {"num_leaves": 4, "zeros": 1}]
    shared = [list(scores(params)) for params in tries]
    once = drawn.count(0.5)
    assert once >= 2  # rows to train on, and to stop early on
    assert drawn.count(1) == once
    alone = [list(backtest_scores(given, panel, [140, 147])(params)) for params in tries]
    assert alone == shared
    assert drawn.count(0.5) == 3 * once


def test_samples_are_forgotten_above_a_size_the_oldest_first():
    class Kept:
        columns = {"a": np.zeros(100)}  # noqa: RUF012 - 800 bytes

    memory, drawn = SampleMemory(max_bytes=2000), []

    def recall(key):
        memory.recall(key, lambda: drawn.append(key) or Kept())

    for key in (1, 2, 1, 3, 1, 2):  # 3 drives out 2, which was used before 1
        recall(key)
    assert drawn == [1, 2, 3, 2]
