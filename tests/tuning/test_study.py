"""A study: killed, resumed, shared, pruned; and what is refused."""

import json
import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tuning.conftest import parabola, result
from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.tuning import open_storage, tune
from tranquillite_ml.tuning.owners import this_process

SPACE = {"x": [0.0, 10.0]}


@pytest.fixture
def storage(tmp_path):
    with open_storage(tmp_path / "journal.log") as opened:
        yield opened


def all_trials(storage, name="study"):
    return storage.get_all_trials(storage.get_study_id_from_name(name))


# ---- going on after a kill --------------------


def kill_when_it_hangs(process: Any) -> None:
    """Kill −9 in the middle of a trial."""
    assert process.stdout.readline() == "hanging\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    process.stderr.close()


def check_killed_and_resumed(one: object, two: object, begin: Callable[..., Any]) -> None:
    kill_when_it_hangs(begin(two, 6, hang=3))
    resumed = result(begin(two, 6))
    assert resumed == result(begin(one, 6))
    assert resumed.count("complete") + resumed.count("pruned") == 6


def test_killed_and_resumed_is_uninterrupted(tmp_path, begin):
    whole, cut = tmp_path / "whole.log", tmp_path / "cut.log"
    check_killed_and_resumed(whole, cut, begin)
    with open_storage(cut) as storage:
        failed = [trial for trial in all_trials(storage, "script") if trial.state.name == "FAIL"]
        redone = {trial.user_attrs.get("redoes"): trial for trial in all_trials(storage, "script")}
    # The trial under way when the process was killed was failed, and its parameters were tried again.
    assert len(failed) == 1
    assert failed[0].user_attrs["orphan"] is True
    assert redone[failed[0].number].params == failed[0].params


def test_killed_and_resumed_in_sqlite_is_uninterrupted(tmp_path, begin):
    check_killed_and_resumed(tmp_path / "whole.log", f"sqlite:///{tmp_path}/cut.db", begin)


def test_stopped_by_hand_and_resumed_in_one_process_is_uninterrupted(storage, tmp_path):
    calls = []

    def stopping(params):
        for fold, value in enumerate(parabola(params)):
            calls.append(params)
            if len(calls) == 8 and fold == 1:
                raise KeyboardInterrupt
            yield value

    with pytest.raises(KeyboardInterrupt):
        tune(stopping, SPACE, storage=storage, trials=6)
    resumed = tune(parabola, SPACE, storage=storage, trials=6)
    with open_storage(tmp_path / "other.log") as other:
        whole = tune(parabola, SPACE, storage=other, trials=6)
    assert resumed.trials.drop(columns="seconds").equals(whole.trials.drop(columns="seconds"))
    assert (resumed.best, resumed.score) == (whole.best, whole.score)


def test_more_trials_go_on_from_fewer(storage, tmp_path):
    for n in (1, 4, 4, 9):
        found = tune(parabola, SPACE, storage=storage, trials=n)
        assert len(found.trials) == n
    with open_storage(tmp_path / "other.log") as other:
        whole = tune(parabola, SPACE, storage=other, trials=9)
    assert found.trials.drop(columns="seconds").equals(whole.trials.drop(columns="seconds"))
    other_seed = tmp_path / "seed.log"
    with open_storage(other_seed) as other:
        assert tune(parabola, SPACE, storage=other, trials=4, seed=1).best != found.best


def orphan(storage: Any, owner: Any) -> None:
    """Put a trial under way into a study, as another process would."""
    import optuna
    from optuna.distributions import FloatDistribution

    template = optuna.trial.create_trial(
        state=optuna.trial.TrialState.RUNNING,
        params={"x": 2.5},
        distributions={"x": FloatDistribution(0.0, 10.0)},
        user_attrs={"rank": 1, "owner": owner},
    )
    storage.create_new_trial(storage.get_study_id_from_name("study"), template)


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({}, False),
        ({"pid": 999_999_999}, True),
        ({"boot": "another"}, True),
        ({"began": "1"}, True),  # the number was given to a later process
        ({"host": "elsewhere", "pid": 999_999_999}, False),  # whether it still runs cannot be seen from here
    ],
)
def test_only_trials_of_the_dead_are_taken_up(storage, change, lost):
    tune(parabola, SPACE, storage=storage, trials=1)
    orphan(storage, this_process() | change)
    found = tune(parabola, SPACE, storage=storage, trials=3)
    states = [trial.state.name for trial in all_trials(storage)]
    assert states[1] == ("FAIL" if lost else "RUNNING")
    assert found.states == ({"complete": 3} if lost else {"complete": 2, "running": 1})
    assert (2.5 in [trial.params["x"] for trial in all_trials(storage)[2:]]) == lost


# ---- several processes --------------------


@pytest.mark.parametrize("where", ["{}/journal.log", "sqlite:///{}/study.db"])
def test_two_processes_share_a_study(tmp_path, begin, where):
    check_processes_share_a_study(where.format(tmp_path), begin)


def check_processes_share_a_study(where: object, begin: Callable[..., Any]) -> None:
    one, two = begin(where, 12, 0.02), begin(where, 12, 0.02)
    found = [result(one), result(two)]
    assert any(text.count("\n") >= 12 for text in found)
    with open_storage(where) as storage:
        trials = all_trials(storage, "script")
    lasting = [trial for trial in trials if trial.state.name != "FAIL"]
    assert sorted(trial.user_attrs["rank"] for trial in lasting) == list(
        range(12)
    )  # none twice, none too many
    assert len({tuple(trial.params.items()) for trial in lasting}) == 12
    assert len({trial.user_attrs["owner"]["pid"] for trial in lasting}) == 2


# ---- pruning --------------------


def test_a_trial_behind_the_median_is_pruned_and_others_are_not(storage):
    seen = []

    def scores(params):
        for fold, value in enumerate(parabola(params)):
            seen.append((params["x"], fold))
            yield value

    found = tune(scores, SPACE, storage=storage, trials=25)
    pruned = found.trials[found.trials["state"] == "pruned"]
    assert 0 < len(pruned) < 20
    assert len(seen) < 25 * 3
    complete = found.trials[found.trials["state"] == "complete"]
    assert (found.trials["state"].head(5) == "complete").all()  # five must have been through a fold first
    for row in pruned.itertuples():
        earlier = complete[complete["trial"] < row.trial]
        assert row.score < np.median(earlier[f"fold_{row.n_folds}"])
    assert found.score == complete["score"].max()
    assert abs(found.best["x"] - 3) < 1


def test_the_last_fold_does_not_prune(storage):
    found = tune(lambda params: iter([-params["x"]]), SPACE, storage=storage, trials=12)
    assert found.states == {"complete": 12}


def test_the_reported_value_is_the_running_mean(storage):
    # Folds −1, −3 and −8: running means −1, −2 and −4.
    found = tune(lambda params: iter([-1.0, -3.0, -8.0]), SPACE, storage=storage, trials=1)
    assert found.trials[["fold_1", "fold_2", "fold_3", "score"]].to_numpy().tolist() == [[-1, -2, -4, -4]]
    assert (found.score, found.n_folds) == (-4.0, 3)


# ---- start, tables --------------------


def test_the_first_trial_is_the_start(storage):
    found = tune(parabola, SPACE, storage=storage, trials=2, start={"x": 5.0, "other": None})
    assert found.trials["x"][0] == 5.0
    assert found.start_score == -5.0  # −(5 − 3)² − mean of 0, 1, 2
    with pytest.raises(UsageError, match="another space, seed or start"):
        tune(parabola, SPACE, storage=storage, trials=2)


def test_without_a_start_there_is_no_score_of_it(storage):
    assert math.isnan(tune(parabola, SPACE, storage=storage, trials=2, start={"x": 11.0}).start_score)


def test_importances_find_the_parameter_that_matters(storage):
    def scores(params):
        yield -((params["matters"] - 0.5) ** 2)

    space = {"matters": [0.0, 1.0], "idle": [0.0, 1.0]}
    few = tune(scores, space, storage=storage, trials=9, name="few")
    assert few.importances["importance"].isna().all()
    assert (few.importances["n_trials"] == 9).all()
    found = tune(scores, space, storage=storage, trials=40)
    table = found.importances
    assert table["param"].tolist() == ["matters", "idle"]
    assert table["importance"].sum() == pytest.approx(1)
    assert table["importance"][0] > 0.6
    assert (table["lower"] <= table["upper"]).all()
    assert found.importances.equals(tune(scores, space, storage=storage, trials=40).importances)


def test_the_earliest_of_equals_is_the_best(storage):
    found = tune(lambda params: iter([-1.0]), SPACE, storage=storage, trials=4)
    assert found.best["x"] == found.trials["x"][0]


def test_trials_leave_through_the_callback(storage):
    rows: list[dict[str, Any]] = []
    found = tune(parabola, SPACE, storage=storage, trials=3, on_trial=rows.append)
    assert [row["trial"] for row in rows] == [0, 1, 2]
    assert [row["x"] for row in rows] == found.trials["x"].tolist()
    json.dumps(rows, allow_nan=False)


# ---- what ends it, what is refused --------------------


def test_no_trial_is_begun_after_the_timeout_or_a_stop(storage):
    found = tune(parabola, SPACE, storage=storage, trials=5)
    assert len(tune(parabola, SPACE, storage=storage, trials=50, stop=lambda: True).trials) == len(
        found.trials
    )
    assert len(tune(parabola, SPACE, storage=storage, trials=10_000, timeout=0.3).trials) < 10_000


@pytest.mark.parametrize(("trials", "timeout"), [(0, None), (-1, None), (3, 0.0), (3, -1.0), (3, math.nan)])
def test_numbers_out_of_range_are_refused(storage, trials, timeout):
    with pytest.raises(UsageError, match="at least one trial and a timeout above 0"):
        tune(parabola, SPACE, storage=storage, trials=trials, timeout=timeout)


def test_another_space_or_seed_is_another_study(storage):
    tune(parabola, SPACE, storage=storage, trials=1)
    for changes in ({"space": {"x": [0.0, 5.0]}}, {"seed": 1}):
        with pytest.raises(UsageError, match="another space, seed or start"):
            tune(parabola, **({"space": SPACE, "storage": storage, "trials": 1} | changes))
    assert len(tune(parabola, SPACE, storage=storage, trials=1, seed=1, name="other").trials) == 1


def test_a_failing_trial_is_told_and_stays_failed(storage):
    def failing(params):
        yield from [-1.0]
        msg = "no leaves left"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="no leaves left"):
        tune(failing, SPACE, storage=storage, trials=2)
    with pytest.raises(UsageError, match=r"no trial of 'study' is complete.*no leaves left"):
        tune(failing, SPACE, storage=storage, trials=2, stop=lambda: True)
    assert [trial.state.name for trial in all_trials(storage)] == ["FAIL"]


def test_scores_that_are_none_are_refused(storage):
    with pytest.raises(InputDataError, match="score of fold 1"):
        tune(lambda params: iter([math.nan]), SPACE, storage=storage, trials=1)
    with pytest.raises(UsageError, match="no fold"):
        tune(lambda params: iter([]), SPACE, storage=storage, trials=1)


def test_the_library_leaves_optunas_logger_alone(tmp_path: Path):
    import optuna

    before = optuna.logging.get_verbosity()
    with open_storage(tmp_path / "journal.log") as storage:
        tune(parabola, SPACE, storage=storage, trials=1)
    assert optuna.logging.get_verbosity() == before
