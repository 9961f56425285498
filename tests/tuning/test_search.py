"""tune from a configuration: what it leaves, what it says, what it refuses."""

import json
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from tranquillite_ml.bundle import check_manifest
from tranquillite_ml.cli.main import app
from tranquillite_ml.config import load_config
from tranquillite_ml.errors import UsageError
from tranquillite_ml.search import tune_config, winning_config

SPACE = "tuning={folds: 2, every: 7D, trials: 3, space: {ridge: [1, 100], zeros: [0.02, 0.05, 0.1]}}"
CHEAP = ["model={kind: poisson}", "features=[history]", SPACE]


def config(output: object, *overrides: str) -> Any:
    return load_config("smoke", [*CHEAP, f"output={output}", *overrides])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    told: list[tuple[str, int, int]] = []
    found = tune_config(config(tmp_path_factory.mktemp("runs")), report=lambda *step: told.append(step))
    return found | {"told": told}


def test_a_study_leaves_everything_it_names(done):
    folder = Path(done["run_dir"])
    check_manifest(folder)
    assert [
        path for name, path in done["paths"].items() if name != "mlflow" and not Path(path).exists()
    ] == []
    assert {"history.png", "importance.png"} <= {path.name for path in (folder / "figures").iterdir()}
    trials = pd.read_csv(done["paths"]["trials"])
    assert trials["trial"].tolist() == [0, 1, 2]
    assert done["score"] == pytest.approx(trials["score"].max())
    assert done["n_folds"] == 2
    assert done["start_score"] == pytest.approx(trials["score"][0])  # the config's own parameters came first
    assert (trials["ridge"][0], trials["zeros"][0]) == (10, 0.1)
    assert done["notice"].startswith("Simulated data")
    assert [step for step in done["told"] if step[0] == "trials"] == [("trials", n, 3) for n in (1, 2, 3)]
    json.dumps({name: value for name, value in done.items() if name != "told"}, allow_nan=False)


def test_the_folds_end_before_those_that_judge(done):
    from tranquillite_ml.stages import load_incidents, make_panel, make_splits, make_target

    ours = load_config(done["config"])
    panel = make_panel(ours, load_incidents(ours)[0])
    first = make_splits(ours).table(panel.bins, make_target(ours))["cutoff"][0]
    assert pd.Timestamp(done["judged_from"]) == first
    ends = [pd.Timestamp(moment) + pd.Timedelta(days=7) for moment in done["folds"]]
    assert max(ends) <= first


def test_the_winner_is_a_config_that_runs(done):
    winner = load_config(done["config"])
    assert dict(winner.model.params) == done["best"]["params"]
    before = config(Path(done["run_dir"]).parents[1])
    assert winner == winning_config(before, done["best"]["params"])
    from tranquillite_ml.stages import make_forecasters

    assert make_forecasters(winner)[0].ridge == done["best"]["params"]["ridge"]  # type: ignore[attr-defined]


def test_a_study_is_a_parent_run_with_a_child_for_each_trial(done):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=done["paths"]["mlflow"])
    parent = client.get_run(done["mlflow_run_id"])
    assert parent.info.run_name == f"tuning {done['run_id']}"
    assert parent.data.metrics["score"] == pytest.approx(done["score"])
    assert parent.data.params["best.ridge"] == str(done["best"]["params"]["ridge"])
    assert {item.path for item in client.list_artifacts(done["mlflow_run_id"])} >= {"best.yaml", "tables"}
    children = client.search_runs(
        [parent.info.experiment_id], f"tags.mlflow.parentRunId = '{done['mlflow_run_id']}'"
    )
    assert sorted(child.info.run_name for child in children) == ["trial 1", "trial 2", "trial 3"]
    for child in children:
        assert child.data.tags["state"] in {"complete", "pruned"}
        assert set(child.data.params) == {"ridge", "zeros"}
        assert child.data.metrics["n_folds"] == 2
        assert len(client.get_metric_history(child.info.run_id, "score_by_fold")) == 2


def test_the_same_again_repeats_no_trial_and_finds_the_same(done):
    output = Path(done["run_dir"]).parents[1]
    told: list[str] = []
    again = tune_config(config(output), track=False, report=lambda what, *_: told.append(what))
    assert "trials" not in told
    same = ("run_id", "best", "score", "trials", "folds", "importances")
    assert {name: again[name] for name in same} == {name: done[name] for name in same}


def test_a_study_elsewhere_finds_the_same(done, tmp_path):
    other = tune_config(config(tmp_path), storage=f"sqlite:///{tmp_path}/study.db", track=False)
    assert (other["best"], other["score"]) == (done["best"], done["score"])
    assert not (Path(other["run_dir"]) / "journal.log").exists()


def test_two_jobs_share_the_trials(tmp_path):
    found = tune_config(config(tmp_path), trials=6, jobs=2, track=False)
    assert sum(found["trials"].values()) == 6
    assert found["trials"].get("running", 0) == 0
    logs = [path.read_text() for path in Path(found["run_dir"]).glob("worker_*.log")]
    assert logs == ["", ""]


# ---- the command --------------------


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["tune", *map(str, arguments)])


def settings(output: Path) -> list[object]:
    cheap = [word for setting in CHEAP for word in ("--set", setting)]
    return ["smoke", *cheap, "--output", output, "--no-track"]


def test_json_is_all_of_standard_output(tmp_path):
    result = call(*settings(tmp_path), "--trials", 2, "--json")
    assert result.exit_code == 0, result.output
    [line] = result.stdout.splitlines()
    found = json.loads(line)
    wanted = {
        "run_id",
        "run_dir",
        "config",
        "best",
        "score",
        "trials",
        "seconds",
        "peak_rss_mb",
        "mlflow_run_id",
    }
    assert wanted <= set(found)
    assert found["trials"] == {"complete": 2}
    assert "trial 2 of 2" in result.stderr
    told = call(*settings(tmp_path), "--trials", 2, "--quiet")
    assert told.stderr == ""
    lines = told.stdout.splitlines()
    assert lines[0] == lines[-1] == found["notice"]
    assert f"tranquillite run {found['config']}" in told.stdout
    assert "ridge" in told.stdout
    assert "flattered" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--trials", 0], "trials ≥ 1"),
        (["--jobs", 0], "jobs ≥ 1"),
        (["--timeout", -1], "timeout above 0"),
        (["--timeout", "nan"], "timeout above 0"),
        (["--set", "model={kind: none}"], "nothing to tune"),
        (["--set", "tuning.space={rigde: [1, 2]}"], "Did you mean 'ridge'?"),
        (["--set", "tuning.space={features: [a, b]}"], "has no parameter 'features'"),
        (["--set", "tuning.folds=900"], "do not fit the data"),
        (["--set", "tuning.trials=many"], "whole number"),
        (["--storage", "ftp://ana:hush@server/x"], "storage must be a file"),
        (["--storage", "sqlite://"], "storage must be a file"),
    ],
)
def test_wrong_usage_is_code_2(tmp_path, arguments, told):
    result = call(*settings(tmp_path), *arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert told in result.stderr
    assert "hush" not in result.stderr


def test_parameters_the_model_refuses_are_told(tmp_path):
    with pytest.raises(UsageError, match="zeros must lie in"):
        tune_config(config(tmp_path, "tuning.space={zeros: [3, 4, 5]}"), trials=1, track=False)


def test_killed_and_run_again_is_uninterrupted(tmp_path):
    command = [
        sys.executable,
        "-m",
        "tranquillite_ml.cli.main",
        "tune",
        *map(str, settings(tmp_path / "cut")),
    ]
    command += ["--trials", "5"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "trial 2 of 5" in line:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    resumed = tune_config(config(tmp_path / "cut"), trials=5, track=False)
    whole = tune_config(config(tmp_path / "whole"), trials=5, track=False)
    assert (resumed["best"], resumed["score"]) == (whole["best"], whole["score"])
    columns = ["trial", "state", "score", "ridge", "zeros"]
    tables = [pd.read_csv(found["paths"]["trials"])[columns] for found in (resumed, whole)]
    assert tables[0].equals(tables[1])


def test_passwords_are_not_written(tmp_path):
    secret = config(tmp_path, "tracking.uri=https://ana:hush@server/mlflow")
    found = tune_config(secret, trials=1, track=False)
    for path in Path(found["run_dir"]).rglob("*"):
        assert path.is_dir() or b"hush" not in path.read_bytes(), path
    text = Path(found["config"]).read_text()
    assert "put them in where *** stands" in text
