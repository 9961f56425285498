"""The command that tunes: tune."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from tranquillite_ml.cli.options import (
    ConfigArgument,
    JsonOption,
    NoTrackOption,
    OutputOption,
    QuietOption,
    SetOption,
    read_config,
)
from tranquillite_ml.cli.output import clean, emit, number, text_table
from tranquillite_ml.cli.progress import at_work


def tune(
    config: ConfigArgument,
    *,
    trials: Annotated[
        int | None, typer.Option("--trials", metavar="N", help="Trials in all. Default: the config's.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="S", help="Seconds after which no trial is begun.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="A file, sqlite:///FILE or postgresql://… Default: a journal in the study's folder.",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="P", help="Processes. With 1, a rerun finds the same.")
    ] = 1,
    settings: SetOption = None,
    output: OutputOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    no_track: NoTrackOption = False,
) -> None:
    """Tune a config's model on folds before its backtest; the winner is a config for `run`.

    The same command goes on with an interrupted study.
    """
    chosen = read_config(config, settings, output)
    with at_work(quiet=quiet) as work:
        from tranquillite_ml import search

        found = search.tune_config(
            chosen,
            trials=trials,
            timeout=timeout,
            storage=storage,
            jobs=jobs,
            track=not no_track,
            report=work.report,
        )
    emit(found, as_json=as_json, show=print_tuned)


def print_tuned(found: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines that tell what a study found."""
    notice = found.get("notice")
    yield from [clean(notice), ""] if notice else []
    yield f"Study {clean(found['run_id'])} in {clean(found['run_dir'])}"
    states = ", ".join(f"{n} {state}" for state, n in found["trials"].items())
    yield f"  trials  {states}, on {found['n_folds']} folds before {clean(found['judged_from'])}"
    start = number(found.get("start_score"), 2)
    told = f" ({start} with the config's own parameters)" if start != "–" else ""
    score = f"{found['score_name']} {number(found['score'], 2)}"
    yield f"  best    trial {found['best']['trial'] + 1}: {score}{told}"
    yield ""
    rows = [
        [
            row["param"],
            _value(found["best"]["params"].get(row["param"])),
            f"{number(row['importance'], 2)} [{number(row['lower'], 2)}, {number(row['upper'], 2)}]",
        ]
        for row in found["importances"]
    ]
    yield text_table(["parameter", "best", "importance"], rows)
    yield ""
    yield "The score is the best of many, and flattered by having been chosen. Later folds judge it:"
    yield f"  tranquillite run {clean(found['config'])}"
    yield from ["", clean(notice)] if notice else []


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
