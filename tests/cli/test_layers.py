"""What check and a run's folder say of the layers of context."""

from __future__ import annotations

import json

import pandas as pd

from tranquillite_ml.config import RunConfig, load_config
from tranquillite_ml.pipeline import run
from tranquillite_ml.stages import load_context


def weather(folder):
    """A file of daily weather with a hole, and the note that a fetch leaves beside it."""
    days = pd.date_range("2020-01-01", "2023-12-31")
    table = pd.DataFrame({"date": days, "tmax": 20.0}).drop(index=700)
    table.to_csv(folder / "weather.csv", index=False)
    note = {
        "licence": "Licence Ouverte 2.0",
        "attribution": "Météo-France",
        "address": "https://x.org",
        "rows": 9,
    }
    (folder / "weather.csv.source.json").write_text(json.dumps(note), encoding="utf-8")
    return len(table)


def ours(folder):
    values = load_config("smoke", [f"output={folder / 'runs'}"]).to_dict()
    values["context"] = {
        "weather": {"path": str(folder / "weather.csv"), "kind": "series", "known": "6h after end"}
    }
    return RunConfig.from_dict(values | {"model": {"kind": "none"}})


def test_check_tells_of_each_layer(tranquillite, tmp_path):
    n = weather(tmp_path)
    (tmp_path / "config.yaml").write_text(ours(tmp_path).to_yaml(), encoding="utf-8")
    done = tranquillite("check", "config.yaml", "--json")
    assert done.exit_code == 0, done.stderr
    (layer,) = json.loads(done.stdout.splitlines()[-1])["context"]
    assert (layer["read"], layer["accepted"], layer["quarantined"]) == (n, n, 0)
    assert (layer["since"][:10], layer["until"][:10]) == ("2020-01-01", "2024-01-01")
    assert layer["known"] == "6h after end"
    ((file, note),) = layer["sources"].items()
    assert file.endswith("weather.csv")
    assert note == {
        "licence": "Licence Ouverte 2.0",
        "attribution": "Météo-France",
        "address": "https://x.org",
    }
    text = tranquillite("check", "config.yaml").stdout
    row = next(line for line in text.splitlines() if line.split()[:1] == ["weather"])
    for word in ("series", "1,460", "2020-01-01 to 2024-01-01", "6h after end", "Licence Ouverte 2.0"):
        assert word in row
    assert layer["digest"][:12] in row
    assert "weather: gaps: steps of 1 days 00:00:00 missing" in text


def test_a_runs_folder_keeps_what_its_layers_were(tmp_path):
    weather(tmp_path)
    config = ours(tmp_path)
    done = run(config, track=False, audited=False)
    intake = json.loads((tmp_path / "runs" / done["run_id"] / "intake.json").read_text(encoding="utf-8"))
    assert intake["context"] == [load_context(config)["weather"].summary()]
    (tmp_path / "weather.csv.source.json").write_text("no JSON", encoding="utf-8")
    from tranquillite_ml.intake.notes import read_note

    assert read_note(tmp_path / "weather.csv") == {}


def test_check_tells_of_holidays_of_another_country_and_of_layers_of_another_time(tranquillite, tmp_path):
    weather(tmp_path)
    here = ours(tmp_path).to_dict() | {"features": ["history", {"calendar": {"country": "US"}}]}
    (tmp_path / "config.yaml").write_text(RunConfig.from_dict(here).to_yaml(), encoding="utf-8")
    done = tranquillite("check", "config.yaml")
    assert done.exit_code == 0
    assert "lies in FR: say country='FR'" in " ".join(done.stderr.split())
    table = pd.read_csv(tmp_path / "weather.csv")
    table[table["date"] < "2021"].to_csv(tmp_path / "weather.csv", index=False)
    here = ours(tmp_path).to_dict() | {"features": ["history", {"weather": {"observed": "weather"}}]}
    (tmp_path / "config.yaml").write_text(RunConfig.from_dict(here).to_yaml(), encoding="utf-8")
    done = tranquillite("check", "config.yaml")
    assert done.exit_code == 3
    assert "'weather' holds 2020-01-01 to 2020-12-31" in " ".join(done.stderr.split())
