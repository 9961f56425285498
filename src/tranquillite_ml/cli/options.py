"""The arguments and options that commands share, and how they become a configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tranquillite_ml.config import RunConfig

ConfigArgument = Annotated[
    str, typer.Argument(help="A YAML file, or the name of a ready config such as demo.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Set a key of the config for this run. Repeatable."),
]
OutputOption = Annotated[
    str | None,
    typer.Option("--output", metavar="DIR", help="The folder of all runs, in place of the config's."),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", help="No progress and no notes; errors are still told.")
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print the result as one line of JSON, and nothing else on standard output."),
]
KeepOption = Annotated[
    bool,
    typer.Option("--keep-coordinates", help="Store coordinates of refused rows as they are, not blurred."),
]
AgainOption = Annotated[bool, typer.Option("--again", help="Make a new run even if this one is finished.")]
NoReportOption = Annotated[
    bool, typer.Option("--no-report", help="Leave the report for later: `tranquillite report RUN`.")
]
NoTrackOption = Annotated[bool, typer.Option("--no-track", help="Do not record the run in MLflow.")]


def read_config(config: str | Path, settings: Sequence[str] | None, output: str | None) -> RunConfig:
    """Read a configuration, with the settings of the command line laid over it."""
    from tranquillite_ml.config import load_config

    # As a JSON string, a folder's name is YAML that means itself, whatever it is.
    folder = [] if output is None else [f"output={json.dumps(output, ensure_ascii=False)}"]
    return load_config(config, [*(settings or []), *folder])
