"""Retention: what is older than the limit goes, nothing else, and the log says what went."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tranquillite_ml import retention
from tranquillite_ml.bundle import sha256
from tranquillite_ml.cli.main import app
from tranquillite_ml.errors import InputDataError, TranquilliteError, UsageError
from tranquillite_ml.governance import log as chain
from tranquillite_ml.retention import retain

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TZ = "Europe/Paris"
CSV = (
    "occurred_at;remark\r\n"
    "2026-03-01 00:00;kept, the limit itself\r\n"
    '2026-02-28 23:59;"goes; with a quote ""x""\r\nand a line"\r\n'
    "2019-01-01;goes\r\n"
    ';"no time: stays\r\nwhole"\r\n'
    "2026-03-09T23:30:00+01:00;é stays"
)
LEFT = (
    "occurred_at;remark\r\n"
    "2026-03-01 00:00;kept, the limit itself\r\n"
    ';"no time: stays\r\nwhole"\r\n'
    "2026-03-09T23:30:00+01:00;é stays"
)


def call(*paths: Path, **more):
    return retain(paths, "9D", **({"tz": TZ, "now": NOW} | more))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "calls.csv"
    path.write_bytes(CSV.encode())
    return path


def test_without_confirm_nothing_is_deleted(table: Path) -> None:
    (said,) = call(table)["files"]
    assert (said["before"], said["deleted"], said["undated"], said["after"]) == (5, 2, 1, 3)
    assert said["sha256_before"] == said["sha256_after"] == sha256(CSV.encode())
    assert table.read_bytes() == CSV.encode()
    assert [path.name for path in table.parent.iterdir()] == ["calls.csv"]


def test_old_rows_go_and_the_others_stay_byte_for_byte(table: Path, tmp_path: Path) -> None:
    found = call(table, confirm=True, log=tmp_path / "log.jsonl")
    assert table.read_bytes() == LEFT.encode()
    (said,) = found["files"]
    assert found["limit"] == "2026-03-01T00:00:00+01:00"
    assert (said["before"], said["deleted"], said["after"]) == (5, 2, 3)
    assert said["oldest_left"] == "2026-03-01T00:00:00+01:00"
    assert said["sha256_after"] == sha256(LEFT.encode())
    (line,) = chain.read_log(tmp_path / "log.jsonl")
    assert (line.kind, line.sha256) == ("retain", found["log_line"])
    assert line.payload["files"] == [said]
    assert chain.verify(tmp_path / "log.jsonl").intact
    again = call(table, confirm=True, log=tmp_path / "log.jsonl")
    assert (again["files"][0]["deleted"], "log_line" in again) == (0, False)
    assert len(chain.read_log(tmp_path / "log.jsonl")) == 1


def test_parquet_keeps_its_types_and_metadata(tmp_path: Path) -> None:
    path = tmp_path / "calls.parquet"
    when = pd.to_datetime(["2026-02-28 23:59:59", "2026-03-01 00:00:00", None, "2026-03-09 00:00:00"])
    made = pa.table({"n": pa.array([1, 2, 3, 4], pa.int16()), "occurred_at": pa.array(when)})
    pq.write_table(made.replace_schema_metadata({b"licence": b"ODbL"}), path)
    (said,) = call(path, confirm=True, log=tmp_path / "log.jsonl")["files"]
    left = pq.read_table(path)
    assert left["n"].to_pylist() == [2, 3, 4]
    assert left.schema.field("n").type == pa.int16()
    assert left.schema.metadata[b"licence"] == b"ODbL"
    assert (said["deleted"], said["undated"], said["after"]) == (1, 1, 3)


def test_all_rows_may_go(table: Path, tmp_path: Path) -> None:
    table.write_text("occurred_at,x\n2019-01-01,1\n2019-01-02,2\n", encoding="utf-8")
    (said,) = call(table, confirm=True, log=tmp_path / "log.jsonl")["files"]
    assert table.read_text(encoding="utf-8") == "occurred_at,x\n"
    assert (said["after"], said["oldest_left"]) == (0, None)
    (said,) = call(table)["files"]  # and the next time there is nothing to do
    assert (said["before"], said["deleted"]) == (0, 0)


def make_run(output: Path, name: str, day: str) -> Path:
    folder = output / name
    (folder / "tables").mkdir(parents=True)
    for file in ("intake.json", "manifest.json", "tables/quarantine.csv"):
        (folder / file).write_text("{}", encoding="utf-8")
        moment = pd.Timestamp(day, tz=TZ).timestamp()
        os.utime(folder / file, (moment, moment))
    return folder


def test_runs_on_any_alias_stay_and_what_was_rejected_goes(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    for run_id in ("a-1", "a-2", "a-3"):
        make_run(output, run_id, "2019-01-01")
    told = {"model": "a", "by": "x", "reason": "y"}
    for run_id, alias in (("a-1", "champion"), ("a-2", "shadow"), ("a-3", "champion")):
        chain.append(output / "log.jsonl", "promote", told | {"run_id": run_id, "alias": alias}, NOW)
    kept = {one["run_id"]: one["kept_because"] for one in call(output)["runs"]}
    assert kept == {"a-1": None, "a-2": "it is promoted", "a-3": "it is promoted"}
    chain.append(output / "log.jsonl", "reject", told | {"run_id": "a-3"}, NOW)
    kept = {one["run_id"]: one["kept_because"] for one in call(output)["runs"]}
    assert kept == {"a-1": None, "a-2": "it is promoted", "a-3": None}


def test_old_runs_go_with_their_forecasts_and_promoted_ones_stay(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    old, used, new = (
        make_run(output, name, day)
        for name, day in (("a-1", "2026-02-28"), ("a-2", "2026-02-27"), ("a-3", "2026-03-01"))
    )
    (output / "forecasts" / "a-1" / "2026").mkdir(parents=True)
    (output / "forecasts" / "a-1" / "2026" / "forecast.csv").write_text("12345", encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    make_run(elsewhere, "kept", "2019-01-01")
    (output / "linked").symlink_to(elsewhere / "kept")
    told = {"model": "a", "run_id": "a-2", "by": "x", "reason": "y"}
    chain.append(output / "log.jsonl", "promote", told, NOW)
    dry = call(output)
    assert old.exists()
    found = call(output, confirm=True, log=output / "log.jsonl")
    assert found["runs"] == dry["runs"]
    assert [(one["run_id"], one["kept_because"]) for one in found["runs"]] == [
        ("a-1", None), ("a-2", "it is promoted")
    ]  # fmt: skip
    assert (found["runs"][0]["files"], found["runs"][0]["bytes"]) == (4, 3 * 2 + 5)
    assert [path.exists() for path in (old, used, new, output / "forecasts" / "a-1")] == [
        False,
        True,
        True,
        False,
    ]
    assert (elsewhere / "kept" / "manifest.json").exists()
    last = chain.read_log(output / "log.jsonl")[-1]
    assert (last.kind, [one["run_id"] for one in last.payload["runs"]]) == ("retain", ["a-1"])


def test_what_cannot_be_told_is_refused_and_left(table: Path, tmp_path: Path) -> None:
    for age in ("9", "0D", "-3D", "3Y", "9D; rm"):
        with pytest.raises(UsageError, match="age in days"):
            retain([table], age, tz=TZ, now=NOW)
    with pytest.raises(UsageError, match="needs a log"):
        call(table, confirm=True)
    with pytest.raises(UsageError, match=r"no column 'occured_at'.*Did you mean 'occurred_at'"):
        call(table, column="occured_at")
    with pytest.raises(UsageError, match="is not there"):
        call(tmp_path / "none.csv")
    (tmp_path / "link.csv").symlink_to(table)
    with pytest.raises(UsageError, match="a link"):
        call(tmp_path / "link.csv")
    with pytest.raises(UsageError, match="holds no runs"):
        call(tmp_path)
    (tmp_path / "odd.csv").write_text("occurred_at,x\n14/02/2019,1\n15/02/2019,2\n", encoding="utf-8")
    with pytest.raises(InputDataError, match="occurred_at"):
        call(tmp_path / "odd.csv", confirm=True, log=tmp_path / "log.jsonl")
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    with pytest.raises(InputDataError, match="cannot be read"):
        call(tmp_path / "bad.parquet")
    assert table.read_bytes() == CSV.encode()
    assert not (tmp_path / "log.jsonl").exists()


def test_what_is_gone_is_logged_even_if_the_next_path_fails(table: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("x\n1\n", encoding="utf-8")
    with pytest.raises(TranquilliteError):
        call(table, tmp_path / "odd.csv", confirm=True, log=tmp_path / "log.jsonl")
    (line,) = chain.read_log(tmp_path / "log.jsonl")
    assert line.payload["files"][0]["deleted"] == 2


def test_the_command_shows_then_deletes(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(table.parent)
    arguments = ["retain", "calls.csv", "--older-than", "9D", "--tz", TZ]
    dry = CliRunner().invoke(app, arguments)
    assert dry.exit_code == 0, dry.stderr
    assert "Would be deleted" in dry.stdout
    assert "add --confirm" in dry.stdout
    assert table.read_bytes() == CSV.encode()
    done = CliRunner().invoke(app, [*arguments, "--confirm", "--json"])
    found = json.loads(done.stdout)
    assert (found["files"][0]["deleted"], found["files"][0]["after"]) == (4, 1)  # all that have a time
    assert chain.verify("runs/log.jsonl").head == found["log_line"]
    assert CliRunner().invoke(app, [*arguments[:3], "9", "--tz", TZ]).exit_code == 2


def test_a_quotation_mark_that_is_never_closed_takes_nothing_with_it(tmp_path: Path) -> None:
    for text in (
        'occurred_at,x\n2019-01-01,"open\n2026-03-09,kept\n',
        'occurred_at,x\n2019-01-01,"open\n2026-03-09,kept\n2019-01-01,"again\n',
    ):
        path = tmp_path / "calls.csv"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputDataError, match=r"calls\.csv, line .*quotation mark"):
            call(path, confirm=True, log=tmp_path / "log.jsonl")
        assert path.read_text(encoding="utf-8") == text


def test_few_unreadable_times_do_not_stop_it_when_the_readable_ones_have_gone(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    rows = ["2019-01-01,old"] * 60 + ["soon,odd"] * 2 + ["2026-03-09,new"] * 3
    path.write_text("\n".join(["occurred_at,x", *rows]), encoding="utf-8")
    (said,) = call(path, confirm=True, log=tmp_path / "log.jsonl")["files"]
    assert (said["deleted"], said["undated"], said["after"]) == (60, 2, 5)
    assert path.read_text(encoding="utf-8").splitlines() == ["occurred_at,x", *rows[60:]]


def test_what_cannot_be_logged_is_not_deleted(table: Path, tmp_path: Path) -> None:
    broken = tmp_path / "log.jsonl"
    broken.write_text("no line of a log\n", encoding="utf-8")
    for log in (broken, tmp_path / "nowhere" / "log.jsonl", tmp_path):
        with pytest.raises(TranquilliteError, match="log"):
            call(table, confirm=True, log=log)
        assert table.read_bytes() == CSV.encode()


def test_a_deletion_that_is_interrupted_is_logged_and_can_be_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "runs"
    old = make_run(output, "a-1", "2026-02-28")
    rmtree = shutil.rmtree

    def interrupted(path: Path) -> None:
        rmtree(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(output, confirm=True, log=output / "log.jsonl")
    assert chain.read_log(output / "log.jsonl")[-1].payload["runs"][0]["run_id"] == "a-1"
    assert not (old / "tables").exists()
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    assert [one["run_id"] for one in call(output, confirm=True, log=output / "log.jsonl")["runs"]] == ["a-1"]
    assert not old.exists()


def test_models_of_the_deep_audit_go_with_their_run_and_links_are_not_followed(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    make_run(output, "a-1", "2026-02-28")
    (output / "simulations" / "a-1" / "refits").mkdir(parents=True)
    (output / "simulations" / "a-1" / "refits" / "model.txt").write_text("123", encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept.csv").write_text("1", encoding="utf-8")
    (output / "forecasts").mkdir()
    (output / "forecasts" / "a-1").symlink_to(tmp_path / "elsewhere")
    (output / "a-1" / "linked").symlink_to(tmp_path / "elsewhere")
    (one,) = call(output, confirm=True, log=output / "log.jsonl")["runs"]
    assert (one["files"], one["bytes"]) == (4, 9)
    assert not (output / "a-1").exists()
    assert not (output / "simulations" / "a-1").exists()
    assert (tmp_path / "elsewhere" / "kept.csv").exists()


def test_a_report_written_again_does_not_make_a_run_younger(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    make_run(output, "a-1", "2026-02-28")
    os.utime(output / "a-1" / "manifest.json")
    assert [one["run_id"] for one in call(output)["runs"]] == ["a-1"]


def test_each_file_that_loses_rows_has_its_line(table: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_bytes(CSV.encode())
    found = call(table, other, confirm=True, log=tmp_path / "log.jsonl")
    lines = chain.read_log(tmp_path / "log.jsonl")
    assert [line.payload["files"] for line in lines] == [[one] for one in found["files"]]
    assert lines[-1].sha256 == found["log_line"]


def test_rows_that_come_in_meanwhile_are_not_lost(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = retention._Csv.write

    def meanwhile(self, kept, path) -> None:
        write(self, kept, path)
        table.write_bytes(CSV.encode() + b"\r\n2026-03-10;came in")

    monkeypatch.setattr(retention._Csv, "write", meanwhile)
    with pytest.raises(InputDataError, match="changed while it was read"):
        call(table, confirm=True, log=tmp_path / "log.jsonl")
    assert table.read_bytes().endswith(b"came in")
    assert not (tmp_path / "log.jsonl").exists()
