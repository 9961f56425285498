"""What a log says was done: forecasts issued, models approved and refused, forecasts followed or not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tranquillite_ml.audit.from_the_field import read_record
from tranquillite_ml.errors import TranquilliteError
from tranquillite_ml.governance import log
from tranquillite_ml.governance.standing import LOG
from tranquillite_ml.report.wording import OVERSIGHT

if TYPE_CHECKING:
    from tranquillite_ml.audit import Evidence

ABOUT_MODELS = ("forecast", "promote", "reject")
"""Kinds of lines that name a model."""


def oversight_of(evidence: Evidence) -> dict[str, Any]:
    """Decisions that are logged: of the run's model in the log of its output folder, and in the record given.

    Parameters
    ----------
    evidence : Evidence
        With the run, its configuration, and the record ``decisions`` if there is one.

    Returns
    -------
    dict
        ``log``: ``lines, head, intact`` of the log, None without one; ``decisions``: rows of ``key, label, n,
        last`` (how many, and when the last was made), every kind there is a row for, with 0 if there is none.
    """
    found = _of_log(evidence)
    state = found["log"]
    given = evidence.records.get("decisions")
    rows = [*found["lines"], *([] if given is None else _of_record(given))]
    counted = [_row(key, [moment for kind, moment in rows if kind == key]) for key in OVERSIGHT]
    return {"log": state, "decisions": counted}


def _of_log(evidence: Evidence) -> dict[str, Any]:
    path = None if evidence.run is None else evidence.run.parent / LOG
    if path is None or not path.is_file():
        return {"log": None, "lines": []}
    try:
        state = log.verify(path)
        entries = log.read_log(path) if state.intact else []
    except TranquilliteError:  # it cannot be read
        return {"log": {"lines": 0, "head": log.START, "intact": False}, "lines": []}
    name = None if evidence.config is None else evidence.config.name
    lines = [
        (one.kind, one.at[:10])
        for one in entries
        if one.kind in ABOUT_MODELS and one.payload.get("model") == name
    ]
    lines += [
        (str(one.payload.get("action")), one.at[:10])
        for one in entries
        if one.kind == "decision" and evidence.records.get("decisions") is None
    ]
    return {"log": {"lines": state.lines, "head": state.head, "intact": state.intact}, "lines": lines}


def _of_record(given: Any) -> Iterable[tuple[str, str]]:
    """What was done, and the day of the period it was about."""
    if isinstance(given, str | Path) and Path(given).suffix == ".jsonl":
        try:
            entries = log.read_log(given)
        except TranquilliteError:  # C22 says where it is broken
            return []
        return [(str(one.payload.get("action")), one.at[:10]) for one in entries if one.kind == "decision"]
    table = read_record("decisions", given)
    return zip(table["action"], table["period_start"].dt.strftime("%Y-%m-%d"), strict=True)


def _row(key: str, moments: list[str]) -> dict[str, Any]:
    return {"key": key, "label": OVERSIGHT[key], "n": len(moments), "last": max(moments, default=None)}
