"""Text, JSON, errors and exit codes."""

import errno
import json
import math

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml.cli.output import clean, exit_code, hide_secrets, number, plain, text_table
from tranquillite_ml.errors import (
    BundleError,
    ConfigError,
    GateError,
    InputDataError,
    PersonLevelDataError,
    TranquilliteError,
    UsageError,
)


def test_names_cannot_move_the_cursor_or_turn_the_line_round():
    assert clean("a\x1b[2Jb\u202ec\nd\u2028e") == "a\\x1b[2Jb\\u202ec\\nd\\u2028e"
    assert clean("Dépôt <script>") == "Dépôt <script>"


def test_long_cells_are_cut_and_columns_aligned():
    table = text_table(("category", "n"), [["x" * 200, 1], ["noise", 1000]])
    assert {len(line) for line in table.splitlines()} == {2 + 80 + 2 + 4}
    assert "…" in table


def test_numbers_that_are_not_there_are_dashes():
    assert [number(value) for value in (None, math.nan, math.inf, "x", 0.5)] == ["–", "–", "–", "–", "0.500"]


def test_json_holds_no_nan_no_numpy_and_no_dates():
    values = {
        "a": np.float64("nan"),
        "b": [np.int64(3), float("inf"), True, None],
        "c": pd.Timestamp("2024-01-01"),
        "d": pd.NaT,
        1: np.array(2.5),
    }
    found = json.loads(json.dumps(plain(values), allow_nan=False))
    assert found == {"a": None, "b": [3, None, True, None], "c": "2024-01-01 00:00:00", "d": None, "1": 2.5}


def test_json_holds_no_password_but_all_categories():
    values = {"mlflow": "https://ana:hush@server/", "verdict": {"stolen key": {"text": "cannot tell"}}}
    found = plain(values)
    assert "hush" not in str(found)
    assert found["verdict"]["stolen key"]["text"] == "cannot tell"
    assert "hush" not in hide_secrets("cannot reach postgresql://ana:hush@db/city")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TranquilliteError("x"), 1),
        (UsageError("x"), 2),
        (ConfigError("x"), 2),
        (InputDataError("x"), 3),
        (PersonLevelDataError("x"), 3),
        (BundleError("x"), 3),
        (GateError("x"), 4),
        (ZeroDivisionError("x"), 1),
        (MemoryError(), 1),
        (OSError(errno.ENOSPC, "No space left on device"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_error_is_told_in_one_line_and_has_its_code(error, code, capsys):
    assert exit_code(error) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert "Traceback" not in told.err
    assert told.err.startswith("interrupted" if code == 130 else "error: ")


def test_an_unexpected_error_says_how_to_see_more(capsys):
    exit_code(ZeroDivisionError("division\nby zero"))
    told = capsys.readouterr().err
    assert "ZeroDivisionError: division" in told
    assert "TRANQUILLITE_DEBUG=1" in told


def test_debug_shows_the_traceback(capsys, monkeypatch):
    monkeypatch.setenv("TRANQUILLITE_DEBUG", "1")
    with pytest.raises(InputDataError) as caught:
        check_sign(-1)
    assert exit_code(caught.value) == 3
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "check_sign" in told
    assert told.splitlines()[-1] == "error: refused"


def check_sign(value):
    if value < 0:
        msg = "refused"
        raise InputDataError(msg)


def test_a_full_disk_is_named_whatever_wraps_it(capsys):
    wrapped = RuntimeError("commit failed")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    for error in (wrapped, RuntimeError("(sqlite3.OperationalError) database or disk is full")):
        assert exit_code(error) == 1
        assert "the disk is full" in capsys.readouterr().err


def test_memory_and_files_are_named(capsys):
    exit_code(MemoryError())
    assert "not enough memory" in capsys.readouterr().err
    exit_code(PermissionError(errno.EACCES, "Permission denied", "/srv/x"))
    assert capsys.readouterr().err == "error: Permission denied: /srv/x\n"


def test_errors_hide_passwords_and_control_characters(capsys):
    exit_code(UsageError("cannot reach https://ana:hush@server/ \x1b[2J"))
    told = capsys.readouterr().err
    assert "hush" not in told
    assert "\x1b" not in told
