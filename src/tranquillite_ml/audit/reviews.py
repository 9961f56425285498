"""Cells whose standing selection somebody has looked at, as the record of decisions says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tranquillite_ml.audit.from_the_field import read_record
from tranquillite_ml.governance import log

UNSEEN = "not seen"


def reviewed_cells(given: Any) -> frozenset[str]:
    """Cells that a decision is about by name, with a reason; whoever did not see them has not reviewed them.

    Parameters
    ----------
    given : DataFrame, sequence of mappings, or path
        The record ``decisions``: a table, a CSV, or a hash-chained log (``.jsonl``) that is whole.

    Raises
    ------
    InputDataError, GateError
        If a row has another form, or the log is broken.

    Examples
    --------
    >>> seen = {"forecast_sha256": "0" * 64, "period_start": "2026-03-02", "role": "duty officer"}
    >>> rows = [seen | {"action": "nothing", "reason": "works nearby", "cell": "89396802c13ffff"},
    ...         seen | {"action": "not seen", "reason": "on leave", "cell": "89396802c17ffff"},
    ...         seen | {"action": "followed"}]
    >>> sorted(reviewed_cells(rows))
    ['89396802c13ffff']
    """
    if isinstance(given, str | Path) and Path(given).suffix == ".jsonl":
        given = [entry.payload for entry in log.read_log(given) if entry.kind == "decision"]
        if not given:
            return frozenset()
    table = read_record("decisions", given)
    about = (table["cell"] != "") & (table["reason"] != "") & (table["action"] != UNSEEN)
    return frozenset(table.loc[about, "cell"])
