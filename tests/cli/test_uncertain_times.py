"""Uncertain times on the command line: told by check, guessed by init, with what to do."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Call, last_json, rows
from tranquillite_ml.cli.columns import guess_columns
from tranquillite_ml.intake.files import FrameTable

CONFIG = """\
name: try
incidents:
  path: incidents.csv
  tz: Europe/Paris
  categories: {noise: {from: [noise], origin: citizen}}
forecast: {period: 7}
backtest: {folds: 3, every: 7D}
calibration: {window: 28D}
"""


def config(folder: Path) -> str:
    """Every tenth record at 00:01, the others at every minute of the day."""
    table = rows()
    day = table["occurred_at"].astype(str).str[:10]
    minute = [(1 if number % 10 == 0 else number * 7) % 1440 for number in range(len(table))]
    table["occurred_at"] = [f"{d} {m // 60:02d}:{m % 60:02d}" for d, m in zip(day, minute, strict=True)]
    table.to_csv(folder / "incidents.csv", index=False)
    (folder / "run.yaml").write_text(CONFIG, encoding="utf-8")
    return "run.yaml"


def test_check_tells_a_placeholder_time_with_its_n_and_interval(tranquillite: Call, tmp_path: Path) -> None:
    told = last_json(tranquillite("check", config(tmp_path), "--json"))
    (found,) = (problem for problem in told["problems"] if problem["what"].startswith("placeholder"))
    assert (found["what"], found["n"]) == ("placeholder time 00:01", 151)
    assert "95 % interval" in found["advice"]


def test_check_warns_of_placeholder_times_in_shifts(tranquillite: Call, tmp_path: Path) -> None:
    by_shift = ("--set", "time.freq=8h", "--set", "forecast.period=21")
    told = last_json(tranquillite("check", config(tmp_path), "--json", *by_shift))
    (found,) = (p for p in told["problems"] if p["what"] == "placeholder times in bins of 8h")
    assert found["n"] == 151
    assert "placeholder_times: spread" in found["advice"]
    policy = ("--set", "incidents.placeholder_times=spread")
    told = last_json(tranquillite("check", config(tmp_path), "--json", *by_shift, *policy))
    assert not any(problem["what"].startswith("placeholder times in bins") for problem in told["problems"])


def test_columns_of_intervals_are_guessed_together() -> None:
    table = rows().assign(debut_des_faits="2024-05-01 10:00", fin_des_faits="2024-05-01 11:00")
    found = guess_columns(FrameTable(table), {}).mapped
    assert (found["occurred_from"], found["occurred_to"]) == ("debut_des_faits", "fin_des_faits")
    assert "occurred_to" not in guess_columns(FrameTable(table.drop(columns="debut_des_faits")), {}).mapped
