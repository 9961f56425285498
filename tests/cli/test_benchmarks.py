"""The benchmark commands: parse, call, print one object, and refuse politely."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.benchmarks.conftest import city_file, no_plots, tensor_file  # noqa: F401 - fixtures

Call = Callable[..., Result]


pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.mark.parametrize("name", ["weekly", "sthsl", "nij"])
def test_help_has_an_example(tranquillite: Call, name: str) -> None:
    found = tranquillite("benchmark", name, "--help")
    assert found.exit_code == 0
    assert f"tranquillite benchmark {name} --data" in " ".join(found.stdout.split())


def last_json(found: Result) -> dict[str, Any]:
    assert found.exit_code == 0, found.stderr
    assert len(found.stdout.splitlines()) == 1
    return dict(json.loads(found.stdout))


def test_weekly_prints_one_object(tranquillite: Call, city_file: Path, tmp_path: Path) -> None:  # noqa: F811
    call = ["benchmark", "weekly", "--data", city_file, "--output", tmp_path / "w", "--tz", "Europe/Paris"]
    found = tranquillite(*call, "--folds", 5, "--category", "NOISE", "--model", "none", "--json")
    told = last_json(found)
    assert told["benchmark"] == "weekly"
    assert len(told["series"]) == 1
    assert Path(told["paths"]["folds"][0]).is_file()
    assert "backtest" in found.stderr
    shown = tranquillite(*call, "--folds", 5, "--model", "none", "--quiet")
    assert "h3_smoothed365" in shown.stdout
    assert shown.stderr == ""


def test_sthsl_prints_a_table_a_category(tranquillite: Call, tensor_file: Path, tmp_path: Path) -> None:  # noqa: F811
    call = ["benchmark", "sthsl", "--data", tensor_file, "--output", tmp_path / "s", "--model", "none"]
    shown = tranquillite(*call)
    assert shown.exit_code == 0, shown.stderr
    assert "THEFT" in shown.stdout
    assert "masked MAE" in shown.stdout
    assert last_json(tranquillite(*call, "--json"))["n_days"] == 6


def test_nij_prints_what_one_incident_is(tranquillite: Call, city_file: Path, tmp_path: Path) -> None:  # noqa: F811
    call = ["benchmark", "nij", "--data", city_file, "--output", tmp_path / "n", "--tz", "Europe/Paris"]
    more = ["--first-cutoff", "2024-04-01", "--window", "1_week", "--model", "none"]
    small = tranquillite(*call, *more)
    assert small.exit_code == 2
    assert "no larger than the area to choose" in small.stderr
    more += ["--study-area-km2", "50"]
    shown = tranquillite(*call, *more)
    assert shown.exit_code == 0, shown.stderr
    assert "one incident" in shown.stdout
    assert last_json(tranquillite(*call, *more, "--json"))["forecast_from"].startswith("2024-05")


def test_what_cannot_be_used_is_said(tranquillite: Call, tmp_path: Path) -> None:
    nothing = tranquillite("benchmark", "weekly", "--data", "no.parquet", "--output", "w", "--tz", "UTC")
    assert nothing.exit_code == 3
    assert "no.parquet does not exist: give a file with incidents" in nothing.stderr
    window = tranquillite("benchmark", "nij", "--data", "x", "--output", "n", "--window", "1_weak")
    assert window.exit_code == 2
    assert "Did you mean '1_week'" in window.stderr
    model = tranquillite("benchmark", "sthsl", "--data", "x", "--output", "n", "--model", "lightgmb")
    assert model.exit_code == 2
    assert "Did you mean 'lightgbm'" in model.stderr
    two = ["--data", "a/x.parquet", "--data", "b/x.parquet", "--cells", "c.csv"]
    assert tranquillite("benchmark", "weekly", *two, "--output", "w").exit_code == 2
