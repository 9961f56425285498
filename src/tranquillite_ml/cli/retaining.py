"""The command that deletes what is older than a limit, and proves it: retain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tranquillite_ml.cli.options import JsonOption
from tranquillite_ml.cli.output import clean, emit, text_table


def retain(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Files of incidents (.csv, .parquet), folders of runs."),
    ],
    *,
    older_than: Annotated[str, typer.Option("--older-than", metavar="AGE", help="Age in days: 1095D.")],
    tz: Annotated[str, typer.Option("--tz", help="The city's time zone, such as Europe/Paris.")],
    column: Annotated[str, typer.Option("--column", help="The files' column of times.")] = "occurred_at",
    time_format: Annotated[
        str | None, typer.Option("--time-format", help="Such as %d/%m/%Y %H:%M; else ISO 8601.")
    ] = None,
    log: Annotated[
        str, typer.Option("--log", metavar="FILE", help="The log that says what was deleted.")
    ] = "runs/log.jsonl",
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Delete; without it, only what would go is shown.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete records, and runs, older than a limit; say what went, with hashes, and log it.

    Nothing is deleted without --confirm. Runs that are promoted stay. Copies elsewhere (backups, MLflow's
    store, the folder .fetched, a database) are not reached.
    """
    from tranquillite_ml import retention

    if confirm:
        Path(log).parent.mkdir(parents=True, exist_ok=True)
    found = retention.retain(
        paths,
        older_than,
        tz=tz,
        column=column,
        time_format=time_format,
        log=log,
        confirm=confirm,
    )
    emit(found | {"log": log}, as_json=as_json, show=_show)


def _show(found: Mapping[str, Any]) -> Iterator[str]:
    done = found["confirmed"]
    yield f"{'Deleted' if done else 'Would be deleted'}: what is older than {found['limit'][:10]}"
    if found["files"]:
        yield text_table(_FILE, [_file(one) for one in found["files"]])
    if found["runs"]:
        yield text_table(_RUN, [_run(one) for one in found["runs"]])
    if not (found["runs"] or any(one["deleted"] for one in found["files"])):
        yield "Nothing is that old."
    elif "log_line" in found:
        yield f"Logged in {clean(found['log'])}, line {found['log_line'][:16]}…"
    elif not done:
        yield "Nothing was deleted: add --confirm."


_FILE = ("file", "rows", "deleted", "left", "undated, left", "oldest left", "sha256 after")
_RUN = ("run", "made", "files", "MB", "kept because")


def _file(one: Mapping[str, Any]) -> list[str]:
    counts = [f"{one[name]:,}" for name in ("before", "deleted", "after", "undated")]
    return [one["path"], *counts, str(one["oldest_left"] or "–")[:10], one["sha256_after"][:12]]


def _run(one: Mapping[str, Any]) -> list[str]:
    size = [f"{one['files']:,}", f"{one['bytes'] / 1e6:,.1f}"]
    return [one["run_id"], one["made"][:10], *size, one["kept_because"] or "–"]
