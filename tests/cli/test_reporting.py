"""Commands report and verify."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import Result

from tests.report.conftest import build
from tests.report.reading import Page
from tranquillite_ml.cli.reporting import _incidents
from tranquillite_ml.config import load_config, ready_configs

Call = Callable[..., Result]


def test_another_system_s_forecasts_are_reported_and_verified(tranquillite: Call, tmp_path: Path) -> None:
    build(rings=1, horizons=1, categories=("noise",)).write(tmp_path / "theirs.parquet")
    made = tranquillite("report", "theirs.parquet", "--json", "--quiet")
    assert made.exit_code == 0, made.output
    found = json.loads(made.stdout)
    assert found["use"] == "must_not"  # nothing is known of how it was made
    assert Path(found["paths"]["html"]) == Path("theirs-report/report.html")
    report = json.loads(Path(found["paths"]["json"]).read_text(encoding="utf-8"))
    status = {one["id"]: one["status"] for one in report["checks"]}
    assert status["C15"] == status["C24"] == status["C27"] == "NOT_ASSESSABLE"
    held = tranquillite("verify", found["paths"]["json"])
    assert held.exit_code == 0, held.output
    assert "it holds" in held.stdout


def test_a_tampered_report_is_refused_with_exit_code_4(tranquillite: Call, tmp_path: Path) -> None:
    build(rings=1, horizons=1, categories=("noise",)).write(tmp_path / "theirs.parquet")
    assert tranquillite("report", "theirs.parquet", "--quiet").exit_code == 0
    path = Path("theirs-report/report.json")
    text = path.read_text(encoding="utf-8")
    assert text.count('"n_cells":7,') == 1
    path.write_text(text.replace('"n_cells":7,', '"n_cells":8,'), encoding="utf-8")
    found = tranquillite("verify", path)
    assert found.exit_code == 4
    assert "/system/n_cells" in found.stderr
    assert "it does not hold" in found.stdout


def test_what_is_no_run_is_refused(tranquillite: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = tranquillite("report", "empty")
    assert found.exit_code == 2
    assert "holds no backtest" in found.stderr
    assert tranquillite("verify", "nothing.json").exit_code == 2


SPOILT = {
    "negative": ("expected_count", -1.0, "expected_count: -1.0 must be finite and ≥ 0"),
    "not a number": ("expected_count", None, "expected_count: nan must be finite and ≥ 0"),
    "endless": ("expected_count", math.inf, "expected_count: inf must be finite and ≥ 0"),
    "a word": ("expected_count", "many", "expected_count: 'many' is not a number"),
    "no probability": ("prob_any", 1.5, "prob_any: 1.5 must lie between 0 and 1"),
    "ends before": (
        "period_end",
        "2025-03-01T00:00:00+01:00",
        "period_end: '2025-03-01T00:00:00+01:00' does",
    ),
    "crossed": ("lower", 99.0, "upper: "),
    "no area": ("area_km2", 0.0, "area_km2: 0.0 must be finite and above 0"),
    "no category": ("category", None, "category: nan is no name"),
    "no horizon": ("horizon", 0, "horizon: 0 must be 1 or more"),
    "unknown cell": ("cell", "not-a-cell", "cell: 'not-a-cell' is not a cell's hexadecimal name"),
    "no cell": ("cell", None, "cell: nan is not a cell's hexadecimal name"),
    "elsewhere": ("cell", "8928308280fffff", "cell: 8928308280fffff is in 1 of 4 maps only"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_one_value_of_another_system_that_cannot_be_right_is_named(
    name: str, tranquillite: Call, tmp_path: Path
) -> None:
    rows = theirs()
    column, value, told = SPOILT[name]
    rows[column] = rows[column].astype(object).where(rows.index != 2, value)
    rows.to_csv(tmp_path / "theirs.csv", index=False)
    found = tranquillite("report", "theirs.csv", "--quiet")
    assert found.exit_code == 3, (found.stdout, found.stderr)
    assert f"theirs.csv, row 4, column {told}" in found.stderr
    assert not list(tmp_path.glob("theirs-report/*.json"))


def theirs() -> pd.DataFrame:
    rows = build(rings=1, horizons=4, categories=("noise",)).to_frame().reset_index(drop=True)
    return rows.astype({"cell": str, "period_end": str})


def test_a_cell_that_comes_twice_or_is_missing_is_named(tranquillite: Call, tmp_path: Path) -> None:
    rows = theirs()
    cell = rows["cell"][2]
    pd.concat([rows, rows.iloc[[2]]]).to_csv(tmp_path / "theirs.csv", index=False)
    twice = tranquillite("report", "theirs.csv", "--quiet")
    assert twice.exit_code == 3
    assert f"row 30, column cell: {cell} comes twice in its map, first in row 4 (model light" in twice.stderr
    rows.drop(index=2).to_csv(tmp_path / "theirs.csv", index=False)
    missing = tranquillite("report", "theirs.csv", "--quiet")
    assert missing.exit_code == 3
    assert (
        f"row 2, column cell: the map that begins here lacks 1 of 7 cells, such as {cell}" in missing.stderr
    )


def test_hostile_names_of_another_system_leave_the_page_as_it_is(tranquillite: Call, tmp_path: Path) -> None:
    shapes = []
    for name in ("harmless", "<img src=x onerror=alert(1)>"):
        build(rings=1, horizons=1, categories=(name,), models=(name,)).write(tmp_path / "theirs.parquet")
        assert tranquillite("report", "theirs.parquet", "--quiet", "--again").exit_code == 0
        shapes.append(Page(Path("theirs-report/report.html").read_text(encoding="utf-8")).shape())
    assert shapes[0] == shapes[1]


def test_records_and_results_of_tests_are_taken_in_or_refused(tranquillite: Call, tmp_path: Path) -> None:
    build(rings=1, horizons=1, categories=("noise",)).write(tmp_path / "theirs.parquet")
    (tmp_path / "contests.csv").write_text("contest_id,received_on,about\n1,2026-01-02,89396802c13ffff\n")
    (tmp_path / "bars.json").write_text('[{"id": "B7", "title": "additivity", "status": "FAIL"}]')
    given = ("--record", "contests=contests.csv", "--tests", "bars.json")
    made = tranquillite("report", "theirs.parquet", "--json", "--quiet", *given)
    assert made.exit_code == 0, made.output
    report = json.loads(Path(json.loads(made.stdout)["paths"]["json"]).read_text(encoding="utf-8"))
    status = {one["id"]: one["status"] for one in report["checks"]} | {
        one["id"]: one["status"] for one in report["sections"]
    }
    assert status["C21"] == "FAIL"  # there is a log, and nobody to write to
    assert status["S19"] == "FAIL"
    (tmp_path / "bars.json").write_text('[{"id": "B7", "status": "GREEN"}]')
    for wrong, code in (
        (("--tests", "bars.json"), 3),
        (("--tests", "none.json"), 3),
        (("--record", "contest=contests.csv"), 2),
        (("--record", "contests=none.csv"), 2),
    ):
        assert tranquillite("report", "theirs.parquet", "--again", "--quiet", *wrong).exit_code == code, wrong


@pytest.mark.slow
def test_a_run_is_reported_verified_and_made_again(tranquillite: Call) -> None:
    ran = tranquillite("run", ready_configs()["smoke"], "--output", "runs", "--no-track", "--json", "--quiet")
    folder = json.loads(ran.stdout)["run_dir"]
    made = tranquillite("report", folder, "--json", "--quiet")
    assert made.exit_code == 0, made.output
    paths = json.loads(made.stdout)["paths"]
    assert (
        tranquillite("report", folder, "--json", "--quiet").stdout == made.stdout
    )  # given back, not made anew
    again = tranquillite("verify", paths["json"], "--rerun", "--json", "--quiet")
    assert again.exit_code == 0, again.output
    found = json.loads(again.stdout)
    assert found["sound"]
    assert found["rerun"] == dict.fromkeys(
        ("forecasts.parquet", "model/manifest.json", "panel/panel.json"), "the same"
    )
    public = json.loads(tranquillite("report", folder, "--public", "--json", "--quiet").stdout)
    assert Path(public["paths"]["html"]).is_file()
    assert Path(public["paths"]["html"]).parent.parent.name == "published"


def test_simulated_records_are_said_to_be_even_where_they_cannot_be_read_again(tmp_path: Path) -> None:
    config = load_config("smoke", [f"governance.path={tmp_path / 'gone.yaml'}"])
    incidents, notice = _incidents(config)
    assert incidents is None
    assert notice is not None
    assert notice.startswith("Simulated data")
