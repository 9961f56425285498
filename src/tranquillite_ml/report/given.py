"""What a report is given by hand: records from the field, and results of the software's own tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tranquillite_ml.audit.from_the_field import RECORDS
from tranquillite_ml.config.words import shown
from tranquillite_ml.errors import InputDataError, UsageError, nearest
from tranquillite_ml.report.wording import STATUS

_BAR = re.compile(r"B[0-9]{1,2}")
_MOST = 200


def read_records(given: Iterable[str]) -> dict[str, Path]:
    """Files of records by name, from texts such as ``contests=contests.csv``; the audit checks their form.

    Raises
    ------
    UsageError
        If a name is unknown or there is no such file.

    Examples
    --------
    >>> read_records(["contest=contests.csv"])
    Traceback (most recent call last):
    tranquillite_ml.errors.UsageError: --record 'contest=contests.csv': ... Did you mean 'contests'?
    """
    found = {}
    for text in given:
        name, _, path = text.partition("=")
        if name not in RECORDS:
            told = f"expected NAME=FILE with one of {list(RECORDS)}.{nearest(name, RECORDS)}"
            msg = f"--record {shown(text)}: {told}"
            raise UsageError(msg)
        if not Path(path).is_file():
            msg = f"--record {shown(text)}: there is no such file."
            raise UsageError(msg)
        found[name] = Path(path)
    return found


def read_bars(path: str | Path) -> list[Mapping[str, Any]]:
    """Results of the tests of this version: a JSON list of ``id`` (B1 to B99), ``title``, ``status``.

    Raises
    ------
    InputDataError
        Naming the row and what was expected.
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{path}: expected results of tests as JSON, got something else ({type(error).__name__})."
        raise InputDataError(msg) from None
    if not isinstance(rows, list) or len(rows) > _MOST:
        msg = f"{path}: expected a list of at most {_MOST} results."
        raise InputDataError(msg)
    return [_bar(row, f"{path}, row {number}") for number, row in enumerate(rows, 1)]


def _bar(row: Any, where: str) -> Mapping[str, Any]:
    known = isinstance(row, dict) and set(row) <= {"id", "title", "status"}
    named = known and isinstance(row.get("id"), str) and _BAR.fullmatch(row["id"])
    if not named or row.get("status") not in STATUS or not isinstance(row.get("title", ""), str):
        msg = (
            f"{where}: expected id (such as B7), title and status (one of {list(STATUS)}), got {shown(row)}."
        )
        raise InputDataError(msg)
    return {"id": row["id"], "title": row.get("title", ""), "status": row["status"]}
