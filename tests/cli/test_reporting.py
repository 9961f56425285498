"""Commands report and verify."""

from __future__ import annotations

import json
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


BAD = {
    "negative": (
        lambda rows: rows.assign(expected_count=rows["expected_count"].where(rows.index != 2, -1.0)),
        "≥ 0",
    ),
    "not a number": (
        lambda rows: rows.assign(expected_count=rows["expected_count"].where(rows.index != 2)),
        "≥ 0",
    ),
    "twice": (lambda rows: pd.concat([rows, rows.iloc[[2]]]), "each map must hold each"),
    "missing": (lambda rows: rows.drop(index=2), "each map must hold each"),
    "unknown cell": (
        lambda rows: rows.assign(cell=rows["cell"].where(rows.index != 2, "not-a-cell")),
        "cell",
    ),
    "no cell of H3": (
        lambda rows: rows.assign(cell=rows["cell"].where(rows.index != 2, "ffffffffffffffff")),
        "cell",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_another_system_s_forecasts_that_cannot_be_right_are_refused(
    name: str, tranquillite: Call, tmp_path: Path
) -> None:
    rows = build(rings=1, horizons=2, categories=("noise",)).to_frame()
    spoil, told = BAD[name]
    spoil(rows.reset_index(drop=True).astype({"cell": str})).to_csv(tmp_path / "theirs.csv", index=False)
    found = tranquillite("report", "theirs.csv", "--quiet")
    assert found.exit_code == 3, (found.stdout, found.stderr)
    assert told in found.stderr
    assert not list(tmp_path.glob("theirs-report/*.json"))


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
