"""log verify, log show and log add."""

from datetime import UTC, datetime

import pytest

from tests.cli.conftest import last_json
from tranquillite_ml.audit.reviews import reviewed_cells
from tranquillite_ml.governance.log import append, read_log

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl"
    append(path, "forecast", {"run_id": "try-1"}, NOON)
    append(path, "decision", {"who": "Zoë", "action": "none\x1b[2J"}, NOON)
    return path


def test_a_sound_log_is_told_with_its_head(tranquillite, log):
    result = tranquillite("log", "verify", log)
    assert result.exit_code == 0
    assert "the chain holds over 2 lines" in result.stdout
    found = last_json(tranquillite("log", "verify", log, "--json"))
    assert (found["intact"], found["lines"]) == (True, 2)
    assert found["head"] in result.stdout
    assert tranquillite("log", "verify", log, "--head", found["head"]).exit_code == 0
    assert tranquillite("log", "verify", log, "--head", "f" * 64).exit_code == 4


def test_a_changed_or_torn_log_is_exit_code_4(tranquillite, log):
    whole = log.read_bytes()
    log.write_bytes(whole.replace(b"try-1", b"try-2"))
    result = tranquillite("log", "verify", log)
    assert result.exit_code == 4
    assert "line 1: the log is broken here: it has been changed" in result.stderr
    assert tranquillite("log", "show", log).exit_code == 4
    log.write_bytes(whole[:-9])
    result = tranquillite("log", "verify", log, "--json")
    assert result.exit_code == 4
    assert last_json(result)["broken_line"] == 2
    assert "unfinished" in result.stderr


def test_show_prints_the_last_lines_harmlessly(tranquillite, log):
    result = tranquillite("log", "show", log)
    assert result.exit_code == 0
    assert "Zoë" in result.stdout
    assert "\x1b" not in result.stdout
    found = last_json(tranquillite("log", "show", log, "--last", 1, "--json"))
    assert found["lines"] == 2
    assert [entry["kind"] for entry in found["entries"]] == ["decision"]


def test_a_log_that_is_not_there_is_exit_code_2(tranquillite):
    assert tranquillite("log", "verify", "no.jsonl").exit_code == 2
    assert tranquillite("log", "show", "no.jsonl").exit_code == 2


def test_a_decision_and_the_review_of_a_cell_are_added_and_read_back(tranquillite, tmp_path):
    path, digest = tmp_path / "use.jsonl", "ab" * 32
    append(path, "forecast", {"sha256": digest}, NOON)
    common = ("log", "add", path, "--role", "duty officer")
    assert tranquillite(*common, "--action", "followed").exit_code == 0
    cell = ("--action", "nothing", "--cell", "89396802c13ffff", "--period", "2026-03-02")
    assert tranquillite(*common, *cell, "--reason", "works nearby").exit_code == 0
    assert reviewed_cells(path) == {"89396802c13ffff"}
    assert [entry.payload["forecast_sha256"] for entry in read_log(path)[1:]] == [digest, digest]
    for refused, code in (
        (cell, 2),  # a review says what it came to
        (("--action", "overridden"), 2),
        (("--action", "shrugged"), 3),
        (("--action", "followed", "--period", "soon"), 3),
        (("--action", "followed", "--forecast", "0" * 64), 2),
    ):
        assert tranquillite(*common, *refused).exit_code == code, refused
    assert len(read_log(path)) == 3
