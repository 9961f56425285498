"""Tracking: what a store and a real server hold afterwards, and what is said when they cannot be reached."""

import logging
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tranquillite_ml.errors import TranquilliteError, UsageError
from tranquillite_ml.tracking import FoldLog, TrackingError, default_uri, log_run

DIGEST = "0123456789abcdef" * 4
FOLDS = [
    FoldLog(
        "fold 1", "2018-01-05T00:00:00-06:00", {"lightgbm.log_score": -0.25, "count_365d.log_score": -0.5}
    ),
    FoldLog("fold 2", "2018-02-02T00:00:00-06:00", {"lightgbm.log_score": float("nan")}),
]


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[Path, str]]:
    table = tmp_path / "scores.csv"
    table.write_text("model,log_score\n", encoding="utf-8")
    bundle = tmp_path / "model_folder"
    (bundle / "deep").mkdir(parents=True)
    (bundle / "deep" / "forecaster.json").write_text("{}", encoding="utf-8")
    return [(table, "tables"), (bundle, "model"), (table, "")]


def log(uri: str, files: list[tuple[Path, str]], **changes: Any) -> str:
    given: dict[str, Any] = {
        "uri": uri,
        "experiment": "stlouis",
        "run_name": "stlouis-weekly",
        "params": {
            "grid.resolution": "9",
            "incidents.password": "hush",
            "source": "postgresql://ana:hush@db/x",
        },
        "metrics": {
            "lightgbm.hit_rate@5%": 0.25,
            "count_all.pai": float("nan"),
            "o_e": float("inf"),
            "pei": None,
        },
        "datasets": [("incidents", DIGEST, "data/incidents.parquet", 510_564)],
        "folds": FOLDS,
        "artifacts": files,
        "tags": {"notice": "SIMULATED DATA"},
    }
    return log_run(**(given | changes))


def client_of(uri: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=uri)


def check_logged(uri: str, run_id: str) -> None:
    client = client_of(uri)
    parent = client.get_run(run_id)
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "stlouis-weekly"
    assert parent.data.params == {
        "grid.resolution": "9",
        "incidents.password": "***",
        "source": "postgresql://ana:***@db/x",
    }
    assert parent.data.metrics == {"lightgbm.hit_rate_5_": 0.25}
    assert parent.data.tags["notice"] == "SIMULATED DATA"
    assert parent.data.tags["dataset.incidents.sha256"] == DIGEST
    (dataset,) = [found.dataset for found in parent.inputs.dataset_inputs]
    assert (dataset.name, dataset.digest) == ("incidents", DIGEST[:36])
    assert "510564" in dataset.profile
    assert DIGEST in dataset.profile

    experiment = client.get_experiment_by_name("stlouis").experiment_id
    children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run_id}'")
    by_name = {child.info.run_name: child for child in children}
    assert set(by_name) == {"fold 1", "fold 2"}
    assert by_name["fold 1"].data.metrics == FOLDS[0].metrics
    assert by_name["fold 1"].data.params["cutoff"] == FOLDS[0].cutoff
    assert by_name["fold 2"].data.metrics == {}  # NaN is left out
    assert {child.info.status for child in children} == {"FINISHED"}

    held = {
        item.path
        for folder in (None, "tables", "model/deep")
        for item in client.list_artifacts(run_id, folder)
    }
    assert held == {"tables", "model", "scores.csv", "tables/scores.csv", "model/deep/forecaster.json"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store that has its tables already: making them takes seconds."""
    uri = default_uri(tmp_path_factory.mktemp("runs é"))
    log_run(uri=uri, experiment="first", run_name="first", params={}, metrics={})
    return uri


def test_a_local_store_holds_everything_and_nothing_is_written_elsewhere(
    store: str,
    files: list[tuple[Path, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    working = tmp_path / "working directory"
    working.mkdir()
    monkeypatch.chdir(working)
    environment, root = dict(os.environ), list(logging.getLogger().handlers)
    run_id = log(store, files)
    assert dict(os.environ) == environment
    assert list(logging.getLogger().handlers) == root
    assert capfd.readouterr() == ("", "")
    assert list(working.iterdir()) == []  # no ./mlruns
    output = Path(store.removeprefix("sqlite:///")).parent
    assert {path.name for path in output.iterdir()} == {"mlflow.db", "mlartifacts"}
    assert (output / "mlartifacts" / run_id / "artifacts" / "tables" / "scores.csv").is_file()
    check_logged(store, run_id)


def test_the_callers_own_tracking_address_is_left_alone(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    log(store, [])
    import mlflow

    assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:9"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "3"
    assert mlflow.active_run() is None


def test_many_and_long_parameters_are_logged(store: str) -> None:
    params = {f"features.{number}": "x" * 7000 for number in range(250)}
    metrics = {f"model {number}.a/b": 1.0 for number in range(1200)}
    run_id = log(store, [], params=params, metrics=metrics, folds=[], tags={"long": "y" * 9000})
    data = client_of(store).get_run(run_id).data
    assert len(data.params) == 250
    assert len(data.metrics) == 1200
    assert len(data.params["features.0"]) == 6000
    assert "model 0.a_b" in data.metrics


def test_names_that_collide_once_cleaned_are_all_kept(store: str) -> None:
    run_id = log(store, [], metrics={"a@1": 1.0, "a%1": 2.0, "..": 3.0}, folds=[])
    assert client_of(store).get_run(run_id).data.metrics == {"a_1": 1.0, "a_1_2": 2.0, "_": 3.0}


def test_a_failing_upload_leaves_a_run_marked_as_failed(
    store: str, files: list[tuple[Path, str]], tmp_path: Path
) -> None:
    with pytest.raises(TrackingError, match="could not log the run"):
        log(store, [(files[0][0], "../../outside")], experiment="failing")
    client = client_of(store)
    experiment = client.get_experiment_by_name("failing").experiment_id
    runs = client.search_runs([experiment], "tags.notice = 'SIMULATED DATA'")
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED", "FINISHED"]


def test_a_deleted_experiment_is_named(store: str) -> None:
    client = client_of(store)
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(TrackingError, match="'gone' cannot be made, or was deleted"):
        log(store, [], experiment="gone")


def test_a_store_that_was_deleted_is_made_again(tmp_path: Path, files: list[tuple[Path, str]]) -> None:
    uri = default_uri(tmp_path / "runs")
    log(uri, [], folds=[])
    (tmp_path / "runs" / "mlflow.db").unlink()
    check_logged(uri, log(uri, files))


def test_a_file_that_is_no_database_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be looked at as one" * 9)
    began = time.monotonic()
    with pytest.raises(TrackingError, match="not a database"):
        log(default_uri(tmp_path), [])
    assert time.monotonic() - began < 5


def test_a_locked_store_is_told_and_not_waited_for(store: str) -> None:
    with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TrackingError, match="locked"):
            log(store, [])


@pytest.mark.parametrize(
    "uri",
    ["mlruns", "file:///tmp/x", "sqlite://", "sqlite:///:memory:", "postgresql://ana:hush@db/x", "http://"],
)
def test_other_addresses_are_refused_without_their_passwords(uri: str) -> None:
    with pytest.raises(UsageError, match="tracking: uri must be") as caught:
        log(uri, [])
    assert "hush" not in str(caught.value)


def test_a_path_mlflow_cannot_write_in_an_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="may not hold"):
        default_uri(tmp_path / "100%")


def test_a_missing_file_is_named_before_anything_is_logged(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.csv"):
        log(default_uri(tmp_path / "runs"), [(tmp_path / "nothing.csv", "tables")])
    assert not (tmp_path / "runs").exists()


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_an_unreachable_server_is_told_soon_and_without_credentials(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    began = time.monotonic()
    with pytest.raises(TranquilliteError) as caught:
        log(f"http://ana:hush%21@127.0.0.1:{port}/?token=whisper", [])
    assert time.monotonic() - began < 15
    message = str(caught.value)
    assert f"http://127.0.0.1:{port}" in message
    assert "tracking: {uri: null}" in message
    said = message + caplog.text + "".join(capfd.readouterr())
    assert not any(secret in said for secret in ("hush", "ana:", "whisper"))
    assert caught.value.__cause__ is None
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    folder = tmp_path / "server"
    folder.mkdir()
    options = ["--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    options += ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
    options += ["--artifacts-destination", (folder / "artifacts").as_uri()]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options],
            cwd=folder,
            env=os.environ | quiet,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    try:
        uri = f"http://127.0.0.1:{port}"
        if not answers(f"{uri}/health", process):
            pytest.skip(f"mlflow server did not start: {(folder / 'log').read_text()[-500:]}")
        yield uri
    finally:
        os.killpg(process.pid, 15)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait(10)


def answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + 40
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.3)
    return False


@pytest.mark.slow
def test_a_real_server_holds_everything(
    server: str, files: list[tuple[Path, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = tmp_path / "working directory"
    working.mkdir()
    monkeypatch.chdir(working)
    check_logged(server, log(server, files))
    assert list(working.iterdir()) == []
