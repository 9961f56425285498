"""A configuration with layers of context, the whole way: run, forecast, changed and added rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml.config import RunConfig, load_config
from tranquillite_ml.errors import BundleError, ConfigError, UsageError
from tranquillite_ml.pipeline import forecast_as_of, run
from tranquillite_ml.stages import load_context, make_features


def config(folder: Path, **more: Any) -> RunConfig:
    values = load_config("smoke", [f"output={folder / 'runs'}"]).to_dict()
    values["model"] = {"kind": "poisson"}
    values["context"] = {
        "weather": {"path": str(folder / "weather.csv"), "kind": "series", "known": "6h after end"}
    }
    values["features"] = ["history", {"weather": {"observed": "weather", "windows": [7]}}, "daylight"]
    return RunConfig.from_dict(values | more)


@pytest.mark.slow
def test_a_run_with_weather(tmp_path: Path) -> None:
    from tranquillite_ml.stages import load_incidents

    path = tmp_path / "weather.csv"
    ours = config(tmp_path)
    start = load_incidents(ours)[0].table["occurred_at"].min()
    dates = pd.date_range(start.date() - pd.Timedelta(days=400), periods=1_500)
    table = pd.DataFrame({"date": dates, "tmax": 15 + 10 * np.sin(np.arange(1_500) / 58)})
    table.to_csv(path, index=False)
    first = run(ours, track=False)
    assert run(ours, track=False)["run_id"] == first["run_id"]
    written = json.loads((Path(first["run_dir"]) / "report.json").read_text(encoding="utf-8"))
    provenance = next(check for check in written["checks"] if check["id"] == "C20")
    # While a report is written its run is unfinished: its name is the digest of all that it read, layers too.
    assert "another package" not in provenance["reason"]["en"]
    # The model is asked for a forecast: its layer is read again and recognised.
    assert Path(forecast_as_of(ours)["forecasts"]).exists()
    table.assign(tmax=table["tmax"] + (table.index == 3)).to_csv(path, index=False)
    assert load_context(ours)["weather"].table["tmax"][3] == pytest.approx(table["tmax"][3] + 1)
    with pytest.raises(BundleError, match="'weather' has changed"):
        forecast_as_of(ours)


def test_mistakes_are_told(tmp_path: Path) -> None:
    rows = pd.DataFrame({"date": pd.date_range("2021-06-01", periods=9), "tmax": 20.0})
    rows.to_csv(tmp_path / "weather.csv", index=False)
    with pytest.raises(
        UsageError, match=r"layer of context 'wether'; given are \['weather'\]\. Did you mean"
    ):
        make_features(config(tmp_path, features=[{"weather": {"observed": "wether"}}]))
    with pytest.raises(ConfigError, match=r"context\.weather\.kind"):
        config(tmp_path, context={"weather": {"path": "weather.csv", "kind": "clouds"}})
    with pytest.raises(ConfigError, match="letters, digits and underscores"):
        config(tmp_path, context={"the weather": {"path": "weather.csv", "kind": "series"}})
    with pytest.raises(ConfigError, match="unknown key 'colums'"):
        config(tmp_path, context={"weather": {"path": "weather.csv", "kind": "series", "colums": {}}})


def test_a_block_of_layers_may_come_twice_and_others_once(tmp_path: Path) -> None:
    twice = [{"places": {"layer": "bars"}}, {"places": {"layer": "stops"}}]
    assert len(config(tmp_path, features=twice).features) == 2
    with pytest.raises(ConfigError, match="listed more than once"):
        config(tmp_path, features=["daylight", "daylight"])
