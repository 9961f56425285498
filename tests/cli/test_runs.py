"""run, demo, backtest, fit, forecast: options, output, exit codes; and a small run the whole way."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from tests.cli.conftest import last_json
from tranquillite_ml.errors import DataWarning, GateError, InputDataError, UsageError

COMMAND = [sys.executable, "-m", "tranquillite_ml.cli.main"]


# ---- what is printed --------------------


def test_run_prints_table_verdict_paths_and_how_to_open_mlflow(tranquillite, fake_run):
    result = tranquillite("run", "smoke")
    assert result.exit_code == 0
    for text in ("lightgbm", "-100.00", "0.123", "9.9", "1.010 [0.970, 1.050]", "lightgbm beats counts"):
        assert text in result.stdout
    for text in ("map.html", "tables", "ui --backend-store-uri sqlite:////tmp/runs/mlflow.db"):
        assert text in result.stdout
    assert "a library that prints" not in result.stdout
    assert "crime" not in result.output


def test_json_is_all_of_standard_output(tranquillite, fake_run, summary):
    result = tranquillite("run", "smoke", "--json")
    found = last_json(result)
    assert found["hotspots"][0]["hit_rate_upper"] is None
    wanted = (
        "run_id",
        "run_dir",
        "forecasts",
        "scores",
        "verdict",
        "mlflow_run_id",
        "seconds",
        "peak_rss_mb",
    )
    assert set(wanted) <= set(found)
    assert found["run_id"] == summary["run_id"]
    assert "a library that prints" in result.stderr


def test_progress_goes_to_standard_error_and_quiet_stops_it(tranquillite, fake_run):
    loud = tranquillite("run", "smoke")
    assert "reading recorded incidents" in loud.stderr
    assert "lightgbm: 13 folds" in loud.stderr
    quiet = tranquillite("run", "smoke", "--quiet")
    assert quiet.stderr.strip() == "a library that prints"
    assert quiet.stdout == loud.stdout


def test_again_track_and_settings_reach_the_pipeline(tranquillite, fake_run):
    tranquillite("run", "smoke")
    arguments = ("--set", "seed=3", "--set", "backtest.folds=2", "--again", "--no-track")
    tranquillite("run", "smoke", *arguments, "--output", "a: [b]")
    first, second = fake_run
    assert (first["again"], first["track"]) == (False, True)
    assert (second["again"], second["track"]) == (True, False)
    assert (second["config"].seed, second["config"].backtest.folds) == (3, 2)
    assert second["config"].output == "a: [b]"


def test_a_summary_without_most_of_its_keys_can_be_told(tranquillite, monkeypatch):
    monkeypatch.setattr("tranquillite_ml.pipeline.run", lambda config, **options: {"run_id": "x"})
    result = tranquillite("run", "smoke")
    assert result.exit_code == 0
    assert "Run x" in result.stdout


def test_demo_says_first_and_last_that_its_data_are_simulated(tranquillite, fake_run, summary):
    summary["notice"] = "Simulated data: no real place."
    result = tranquillite("demo")
    lines = result.stdout.splitlines()
    assert lines[0] == lines[-1] == "Simulated data: no real place."
    assert fake_run[0]["config"].output == "demo-run"
    assert fake_run[0]["config"].incidents.simulate is not None
    assert last_json(tranquillite("demo", "--json"))["notice"] == "Simulated data: no real place."


def test_demo_is_ours_even_beside_a_file_of_that_name(tranquillite, fake_run, tmp_path):
    (tmp_path / "demo").write_text("name: other")
    assert tranquillite("demo").exit_code == 0
    assert fake_run[0]["config"].name == "demo"


def test_a_finished_run_is_said_to_be_one(tranquillite, monkeypatch, summary):
    def finished(config, *, report, **options):
        report("intake", 0, 1)
        return summary

    monkeypatch.setattr("tranquillite_ml.pipeline.run", finished)
    assert "--again" in tranquillite("run", "smoke").stderr


def test_forecast_tells_what_was_written_between_two_notices(tranquillite, monkeypatch):
    def forecast_as_of(config, as_of, *, report, allow_unsigned):
        report("forecast", 0, 1)
        found = {
            "run_id": "try-1",
            "run_dir": "runs/forecasts/try-1",
            "as_of": as_of,
            "notice": "Simulated data.",
        }
        return found | {
            "forecasts": "runs/forecasts/try-1/forecast.parquet",
            "paths": {"forecast": "runs/forecasts/try-1/forecast.parquet"},
            "seconds": {},
            "peak_rss_mb": 1.0,
        }

    monkeypatch.setattr("tranquillite_ml.pipeline.forecast_as_of", forecast_as_of)
    result = tranquillite("forecast", "smoke", "--as-of", "2024-08-28")
    lines = result.stdout.splitlines()
    assert lines[0] == lines[-1] == "Simulated data."
    assert "2024-08-28" in result.stdout
    assert "forecast.parquet" in result.stdout
    found = last_json(tranquillite("forecast", "smoke", "--json"))
    assert found["as_of"] is None


def test_passwords_of_a_tracking_server_are_not_printed(tranquillite, fake_run, summary):
    summary["paths"]["mlflow"] = "https://ana:hush@server/mlflow"
    for arguments in ((), ("--json",)):
        result = tranquillite("run", "smoke", *arguments)
        assert "hush" not in result.output
        assert "server/mlflow" in result.stdout


# ---- what goes wrong --------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("wrong"), 2),
        (InputDataError("refused"), 3),
        (GateError("no"), 4),
        (RuntimeError("broken"), 1),
        (MemoryError(), 1),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
    ],
)
def test_exit_codes(tranquillite, monkeypatch, error, code):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr("tranquillite_ml.pipeline.run", fail)
    result = tranquillite("run", "smoke", "--json")
    assert result.exit_code == code
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_warnings_are_notes_each_once(tranquillite, monkeypatch):
    def warn(*args, **options):
        for _ in range(2):
            warnings.warn("half the rows\nhave no place", DataWarning, stacklevel=1)
        return {}

    monkeypatch.setattr("tranquillite_ml.pipeline.run", warn)
    assert tranquillite("run", "smoke").stderr == "note: half the rows\\nhave no place\n"
    assert tranquillite("run", "smoke", "--quiet").stderr == ""


def test_a_misspelt_key_gets_the_nearest_one_and_code_2(tranquillite, tmp_path):
    (tmp_path / "run.yaml").write_text("name: try\ngrid: {resolutoin: 9}\n")
    result = tranquillite("run", "run.yaml")
    assert result.exit_code == 2
    assert "run.yaml, line 2: unknown key 'resolutoin'" in result.stderr
    assert "Did you mean 'resolution'?" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "stlous"), "Did you mean 'stlouis'?"),
        (("run", "smoke", "--set", "seed"), "--set expects key.path=value"),
        (("run", "smoke", "--set", "sed=1"), "Did you mean 'seed'?"),
        (("run", "smoke", "--output", "s3://bucket"), "--set output"),
        (("run",), "Missing argument"),
        (("run", "smoke", "--frobnicate"), "No such option"),
        (("rum", "smoke"), "No such command"),
        (("forecast", "smoke", "--as-of", "2024-01-01"), "there is no model"),
    ],
)
def test_wrong_usage_is_code_2_and_told_on_standard_error(tranquillite, arguments, told):
    result = tranquillite(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert told in result.stderr


def test_a_missing_file_of_incidents_is_code_3(tranquillite):
    for command in ("run", "backtest", "fit"):
        result = tranquillite(command, "stlouis", "--set", "incidents.path=nowhere.parquet")
        assert result.exit_code == 3
        assert "there is no file 'nowhere.parquet'" in result.stderr


def test_an_output_folder_that_cannot_be_written_is_code_2(tranquillite, tmp_path):
    (tmp_path / "runs").write_text("a file, not a folder")
    result = tranquillite("backtest", "smoke", "--output", "runs")
    assert result.exit_code == 2
    assert "cannot be written to" in result.stderr


# ---- in a process of its own --------------------


def called(*arguments, cwd):
    return subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )


def test_ctrl_c_ends_with_one_line_and_130(tmp_path):
    with subprocess.Popen(
        [*COMMAND, "backtest", "smoke", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()  # it has begun
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    # Python may end itself by the signal, which is 130 to a shell as well.
    assert process.returncode in {130, -signal.SIGINT}
    assert out == ""
    assert err.splitlines()[-1] == "interrupted: run the same command again to go on"
    assert "Traceback" not in err


def test_nobody_reading_the_output_is_no_noise(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    found = subprocess.run(
        [*COMMAND, "schema"], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (found.returncode, found.stderr) == (141, "")


def test_backtest_then_fit_in_one_folder(tmp_path):
    backtest = called("backtest", "smoke", "--json", cwd=tmp_path)
    assert backtest.returncode == 0, backtest.stderr
    found = json.loads(backtest.stdout)
    assert len(backtest.stdout.splitlines()) == 1
    assert {row["model"] for row in found["scores"]} >= {"lightgbm", "count_365d"}
    assert all(Path(tmp_path / path).exists() for path in found["paths"].values())
    assert "map" not in found["paths"]
    assert found["notice"].startswith("Simulated data")
    fit = called("fit", "smoke", "--json", cwd=tmp_path)
    assert fit.returncode == 0, fit.stderr
    model = tmp_path / json.loads(fit.stdout)["paths"]["model"]
    assert (model / "manifest.json").exists()


def test_a_run_the_whole_way_and_a_forecast_from_it(tmp_path):
    run = called("run", "smoke", "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == 1
    found = json.loads(run.stdout)
    assert found["mlflow_run_id"]
    assert set(found["seconds"]) == {"intake", "panel", "backtest", "evaluate", "forecast", "report", "track"}
    assert (tmp_path / found["paths"]["map"]).exists()
    assert (tmp_path / found["paths"]["report"]).exists()
    assert found["report"]["use"] == "not_as_it_is"  # nobody has filled in a governance file
    forecast = called("forecast", "smoke", cwd=tmp_path)
    assert forecast.returncode == 0, forecast.stderr
    lines = forecast.stdout.splitlines()
    assert lines[0] == lines[-1] == f"{found['notice']} Not signed off: nobody has signed off this model."
    assert "map.html" in forecast.stdout
    wrong = called("forecast", "smoke", "--as-of", "2030-01-01", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "lies outside the panel" in wrong.stderr
