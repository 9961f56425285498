"""Commands that look without training: check, schema, init."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tranquillite_ml.cli.checking import find, print_check
from tranquillite_ml.cli.options import (
    ConfigArgument,
    JsonOption,
    OutputOption,
    QuietOption,
    SetOption,
    read_config,
)
from tranquillite_ml.cli.output import emit, text_table
from tranquillite_ml.cli.progress import at_work
from tranquillite_ml.errors import TranquilliteError


def check(
    config: ConfigArgument,
    *,
    settings: SetOption = None,
    output: OutputOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a config's data without training: the funnel, what was refused and why, folds, grid.

    Exit code 0 if they can be used, 3 if the data are refused, 2 if the config does not fit them.
    """
    chosen = read_config(config, settings, output)
    found: dict[str, Any] = {"config": config, "name": chosen.name, "usable": False, "error": None}
    try:
        with at_work(quiet=quiet) as work:
            find(found, chosen, work)
    except TranquilliteError as error:
        found["error"] = str(error)
        emit(found, as_json=as_json, show=print_check)
        raise
    emit(found | {"usable": True}, as_json=as_json, show=print_check)


def schema(
    table: Annotated[
        str | None,
        typer.Argument(help="incidents, context, forecasts or quarantine; all if not given."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the tables' contracts: columns, types, units and meaning."""
    from tranquillite_ml.schema import SCHEMA_VERSION, TABLES, describe

    names = list(TABLES) if table is None else [table]
    tables = {name: describe(name).to_dict("records") for name in names}
    emit({"schema_version": SCHEMA_VERSION, "tables": tables}, as_json=as_json, show=_contracts)


def _contracts(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"Schema version {found['schema_version']}"
    for name, rows in found["tables"].items():
        yield f"\n{name}"
        header = ("column", "type", "meaning", "made_by", "personal")
        yield text_table(header, [[row[key] for key in header] for row in rows], left=3)


def init(
    file: Annotated[str, typer.Argument(help="Incidents as CSV, Parquet or GeoJSON, or a glob.")],
    *,
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="The config to write.")
    ] = "config.yaml",
    force: Annotated[bool, typer.Option("--force", help="Overwrite a config that is there.")] = False,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="OURS=THEIRS", help="Which column is lat, lng, … Repeatable."),
    ] = None,
    tz: Annotated[
        str | None, typer.Option("--tz", help="The city's time zone, such as Europe/Paris.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Look at a file of incidents and write a commented config for it.

    Columns, time zone, categories and folds are guessed; what only you can know is marked CHECK THIS.
    """
    from tranquillite_ml.cli.columns import parse_columns
    from tranquillite_ml.cli.draft_text import print_draft, refuse_overwrite, write_draft
    from tranquillite_ml.cli.drafting import draft

    path = Path(output)
    refuse_overwrite(path, force=force)
    with at_work(quiet=quiet):
        found = draft(file, columns=parse_columns(columns or []), tz=tz)
        write_draft(found, path, force=force)
    typer.echo("\n".join(print_draft(found, path)))
