"""The whole path on the smallest simulated city: same bytes, resumed or not, and as of any day."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tranquillite_ml import pipeline, stages
from tranquillite_ml.bundle import check_manifest
from tranquillite_ml.city import simulate_city
from tranquillite_ml.config import RunConfig, load_config
from tranquillite_ml.errors import BundleError, UsageError
from tranquillite_ml.forecasts import read_forecasts
from tranquillite_ml.runfolder import RunFolder

FILES = [
    "config.yaml",
    "intake.json",
    "forecasts.parquet",
    "forecast.parquet",
    "forecast.geoparquet",
    "forecast.geojson",
    "forecast.csv",
    "map.html",
    "summary.json",
    "manifest.json",
    "model/manifest.json",
    "panel/panel.json",
    "tables/scores.csv",
    "tables/quarantine.csv",
    "figures/category_0/reliability.png",
]


def config(output: Path, *overrides: str) -> RunConfig:
    return load_config("smoke", [f"output={output}", *overrides])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return pipeline.run(config(tmp_path_factory.mktemp("runs")))


def test_a_run_leaves_everything_it_names(finished: dict[str, Any]) -> None:
    folder = Path(finished["run_dir"])
    assert [name for name in FILES if not (folder / name).exists()] == []
    assert Path(finished["forecasts"]).exists()
    assert finished["mlflow_run_id"]
    assert {"intake", "panel", "backtest", "evaluate", "forecast", "report", "track"} <= set(
        finished["seconds"]
    )
    assert finished["notice"].startswith("Simulated data")
    assert finished["verdict"]["damage"]["text"] == "cannot tell"  # three folds cannot tell
    check_manifest(folder)
    assert not list(folder.rglob("*.partial"))
    json.dumps(finished, allow_nan=False)


def test_the_ladder_is_in_every_result(finished: dict[str, Any]) -> None:
    models = {row["model"] for row in finished["scores"]}
    assert {
        "lightgbm",
        "count_365d",
        "count_all",
        "seasonal_naive",
        "decayed_count",
        "smoothed_count",
    } == models
    assert all(row["n_incidents"] > 0 for row in finished["scores"])


def test_simulated_data_says_so_on_every_output(finished: dict[str, Any]) -> None:
    folder = Path(finished["run_dir"])
    assert "Simulated data" in (folder / "map.html").read_text()
    assert pd.read_csv(folder / "forecast.csv")["notice"].str.contains("Simulated data").all()
    assert "Simulated data" in (folder / "forecast.geojson").read_text()


def test_the_same_config_returns_the_finished_run(finished: dict[str, Any]) -> None:
    output = Path(finished["run_dir"]).parent
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}
    assert pipeline.run(config(output)) == finished
    assert before == {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}


def test_the_same_config_elsewhere_gives_the_same_bytes(finished: dict[str, Any], tmp_path: Path) -> None:
    again = pipeline.run(config(tmp_path), audited=False, track=False)
    assert again["run_id"] == finished["run_id"]
    assert set(finished["seconds"]) - set(again["seconds"]) == {"report", "track"}  # which were not wanted
    for name in ("forecasts.parquet", "forecast.parquet", "forecast.csv", "forecast.geojson", "map.html"):
        one, two = Path(finished["run_dir"]) / name, Path(again["run_dir"]) / name
        assert one.read_bytes() == two.read_bytes(), name


def test_a_run_stopped_half_way_resumes_and_ends_the_same(
    finished: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def stop(what: str, done: int, total: int) -> None:
        del total
        calls.append(what)
        if what == "seasonal_naive" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.run(config(tmp_path), audited=False, report=stop, track=False)
    folder = tmp_path / finished["run_id"]
    assert not (folder / "manifest.json").exists()
    with pytest.raises(UsageError, match="there is no model"):
        pipeline.find_model(config(tmp_path))
    calls.clear()
    monkeypatch.undo()
    again = pipeline.run(
        config(tmp_path), audited=False, report=lambda what, *_: calls.append(what), track=False
    )
    assert "lightgbm" not in calls  # it was finished before
    assert "seasonal_naive" in calls
    one, two = Path(finished["forecasts"]), Path(again["forecasts"])
    assert one.read_bytes() == two.read_bytes()


def test_a_changed_result_is_not_read_as_one(finished: dict[str, Any], tmp_path: Path) -> None:
    again = pipeline.run(config(tmp_path, "model.kind=none"), audited=False, track=False)
    table = Path(again["run_dir"]) / "tables" / "scores.csv"
    table.write_text(table.read_text().replace("0", "1", 1))
    with pytest.raises(BundleError, match="has changed"):
        pipeline.run(config(tmp_path, "model.kind=none"), audited=False, track=False)


def test_forecast_as_of_is_idempotent_and_takes_new_records(tmp_path: Path) -> None:
    incidents = simulate_city(seed=0, days=240, incidents_per_day=40, radius_km=2.5).incidents
    table = incidents.table.assign(category=incidents.table["category"].astype(str))
    columns = {name: name for name in ("incident_id", "occurred_at", "reported_at", "lat", "lng", "category")}
    path = tmp_path / "incidents.csv"
    early = table[table["reported_at"] < pd.Timestamp("2022-08-15", tz="Europe/Paris")]
    early.to_csv(path, index=False)
    values = config(tmp_path / "runs").to_dict()
    values["incidents"] = {
        "path": str(path),
        "tz": "Europe/Paris",
        "columns": columns,
        "duplicates": "keep",
        "categories": {"damage": {"from": ["damage"], "origin": "citizen"}},
        "origins": {"noise": "citizen"},
    }
    ours = RunConfig.from_dict(values)
    done = pipeline.run(ours, audited=False, track=False)
    table.to_csv(path, index=False)  # the file has grown
    first = pipeline.forecast_as_of(ours, "2022-08-22")
    assert first["run_id"] == done["run_id"]
    found = read_forecasts(first["forecasts"])
    assert str(found.keys["cutoff"][0])[:10] == "2022-08-22"
    content = Path(first["forecasts"]).read_bytes()
    assert Path(pipeline.forecast_as_of(ours, "2022-08-22")["forecasts"]).read_bytes() == content
    # What was reported after the day does not matter: the forecast of that day is reproduced from later data.
    table[table["reported_at"] < pd.Timestamp("2022-08-22", tz="Europe/Paris")].to_csv(path, index=False)
    assert Path(pipeline.forecast_as_of(ours, "2022-08-22")["forecasts"]).read_bytes() == content
    path.unlink()  # a moment that cannot be used is told before any record is read
    for wrong, told in {"2022-08-22 10:00": "not the edge of", "soon": "such as", "": "such as"}.items():
        with pytest.raises(UsageError, match=told):
            pipeline.forecast_as_of(ours, wrong)
    with pytest.raises(UsageError, match="not the edge"):
        pipeline.forecast_as_of(ours, "2022-08-22 05:00")


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        pipeline.run(config(tmp_path / "file"))


def test_unknown_parameters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not take these parameters"):
        stages.make_forecasters(config(tmp_path, "model.params.leaves=3"))


def test_tables_hold_no_formula(tmp_path: Path) -> None:
    table = pd.DataFrame({"category": ["=cmd|' /C calc'!A0", "@x", "noise"], "n": [-1, 2, 3]})
    path = RunFolder(tmp_path, "run").write_table("table.csv", table)
    assert path.read_text().splitlines() == ["category,n", "'=cmd|' /C calc'!A0,-1", "'@x,2", "noise,3"]


def test_a_fitted_model_can_forecast_before_there_is_a_whole_run(tmp_path: Path) -> None:
    ours = config(tmp_path, "model.kind=none")
    fitted = pipeline.fit_only(ours)
    assert Path(fitted["paths"]["model"], "manifest.json").exists()
    made = pipeline.forecast_as_of(ours)
    assert made["run_id"] == fitted["run_id"]
    assert Path(made["paths"]["map"]).exists()


def test_a_backtest_is_taken_up_by_the_run(tmp_path: Path) -> None:
    ours = config(tmp_path, "model.kind=none")
    scored = pipeline.backtest_only(ours)
    assert scored["verdict"]["damage"]["n_folds"] == 3
    assert "map" not in scored["paths"]
    calls: list[str] = []
    whole = pipeline.run(ours, audited=False, report=lambda what, *_: calls.append(what), track=False)
    assert "count_365d" not in calls
    assert whole["scores"] == scored["scores"]


def test_the_summary_hides_the_password_of_the_tracking_server(tmp_path: Path) -> None:
    ours = config(tmp_path, "model.kind=none", "tracking.uri='https://ana:hush@server/mlflow'")
    done = pipeline.run(ours, audited=False, track=False)
    assert done["paths"]["mlflow"] == "https://ana:***@server/mlflow"
    assert "hush" not in (Path(done["run_dir"]) / "summary.json").read_text()
