"""Commands about the log: log verify, log show, log add."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from tranquillite_ml.cli.options import JsonOption
from tranquillite_ml.cli.output import clean, emit, text_table
from tranquillite_ml.errors import GateError, UsageError

LogArgument = Annotated[str, typer.Argument(metavar="PATH", help="A log, such as runs/log.jsonl.")]


def verify(
    path: LogArgument,
    *,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="HASH", help="Hash of a line that must be there, kept elsewhere."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that every line of a log is as it was written, and say which is the first that is not.

    Exit code 0 if the chain holds, 4 if it is broken.
    """
    from tranquillite_ml.governance import log

    state = log.verify(path, head)
    found = {"path": path, "intact": state.intact} | asdict(state)
    emit(found, as_json=as_json, show=_state)
    if not state.intact:
        msg = f"{path}, line {state.broken_line}: the log is broken here: {state.reason}."
        raise GateError(msg)


def add(
    path: LogArgument,
    *,
    role: Annotated[str, typer.Option("--role", help="Who saw the forecast: an office, never a name.")],
    action: Annotated[str, typer.Option("--action", help="followed, overridden, nothing or not seen.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; an override and a review need one.")] = "",
    cell: Annotated[
        str, typer.Option("--cell", help="The cell it is about; the whole forecast if not given.")
    ] = "",
    period: Annotated[
        str | None, typer.Option("--period", metavar="DATE", help="First day of the period, if not today.")
    ] = None,
    forecast: Annotated[
        str | None,
        typer.Option("--forecast", metavar="SHA256", help="The forecast; the log's last if not given."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add what was done with a forecast, or the review of one cell, to a log; exit code 4 if it is broken."""
    from tranquillite_ml.audit.from_the_field import read_record
    from tranquillite_ml.governance import log

    now = datetime.now(UTC)
    issued = [entry.payload["sha256"] for entry in log.read_log(path) if entry.kind == "forecast"]
    if not issued or (forecast is not None and forecast not in issued):
        msg = f"{path} holds no such forecast: a decision is about one that was issued (log show tells them)."
        raise UsageError(msg)
    if (action == "overridden" or cell) and not reason.strip():
        msg = "an override, or the review of a cell, needs --reason."
        raise UsageError(msg)
    row = {
        "forecast_sha256": forecast or issued[-1],
        "period_start": period or now.date().isoformat(),
        "role": role,
        "action": action,
        "reason": reason,
        "cell": cell,
    }
    read_record("decisions", [row])
    digest = log.append(path, "decision", row, now)
    emit(row | {"path": path, "sha256": digest}, as_json=as_json, show=_added)


def _added(found: Mapping[str, Any]) -> Iterator[str]:
    about = f"cell {clean(found['cell'])}" if found["cell"] else "the forecast"
    yield f"{clean(found['path'])}: {clean(found['action'])}, about {about}. Head: {found['sha256']}"


def _state(found: Mapping[str, Any]) -> Iterator[str]:
    n = found["lines"]
    lines = f"{n:,} line{'' if n == 1 else 's'}"
    if found["intact"]:
        yield f"{clean(found['path'])}: the chain holds over {lines}."
        yield f"Head: {found['head']}"
        yield "Keep the head elsewhere: with --head it shows later that no line has gone."
    else:
        yield f"{clean(found['path'])}: the chain holds over {lines} and breaks then."


def show(
    path: LogArgument,
    *,
    last: Annotated[int, typer.Option("--last", min=1, help="How many lines, from the end.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Print the last lines of a log whose chain holds; exit code 4 if it is broken."""
    from tranquillite_ml.governance import log

    entries = log.read_log(path)
    kept = [asdict(entry) for entry in entries[-last:]]
    emit({"path": path, "lines": len(entries), "entries": kept}, as_json=as_json, show=_entries)


def _entries(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{clean(found['path'])}: {found['lines']:,} lines, the last {len(found['entries']):,}"
    rows = [
        (
            *(entry["at"], entry["kind"]),
            json.dumps(entry["payload"], ensure_ascii=False, sort_keys=True, allow_nan=False),
        )
        for entry in found["entries"]
    ]
    yield text_table(("at", "kind", "what"), rows, left=3)
