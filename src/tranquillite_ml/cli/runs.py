"""Commands that run a configuration: demo, run, backtest, fit, forecast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tranquillite_ml.cli.options import (
    AgainOption,
    ConfigArgument,
    JsonOption,
    KeepOption,
    NoReportOption,
    NoTrackOption,
    OutputOption,
    QuietOption,
    SetOption,
    read_config,
)
from tranquillite_ml.cli.output import clean, emit, refusals, say
from tranquillite_ml.cli.progress import at_work
from tranquillite_ml.cli.summary import print_summary

if TYPE_CHECKING:
    from tranquillite_ml.config import RunConfig

AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        help="Local date or time; only records known then are used. Default: all.",
    ),
]


def run(
    config: ConfigArgument,
    *,
    settings: SetOption = None,
    output: OutputOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    again: AgainOption = False,
    no_track: NoTrackOption = False,
    no_report: NoReportOption = False,
    keep_coordinates: KeepOption = False,
) -> None:
    """Run a config the whole way: intake, backtest, scores, forecast, map, report, MLflow.

    The same config on the same inputs gives the finished run back; one that was interrupted goes on after its
    last finished stage.
    """
    kept = ["incidents.keep_coordinates=true"] if keep_coordinates else []
    chosen = read_config(config, [*(settings or []), *kept], output)
    _whole_way(chosen, quiet=quiet, as_json=as_json, again=again, track=not no_track, audited=not no_report)


def demo(
    *,
    output: Annotated[
        str, typer.Option("--output", metavar="DIR", help="The folder of all runs.")
    ] = "demo-run",
    settings: SetOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    again: AgainOption = False,
    no_track: NoTrackOption = False,
) -> None:
    """Show a whole run on a simulated city, in about two minutes.

    No incident in it is real, and every output says so.
    """
    from tranquillite_ml.config import ready_configs

    chosen = read_config(ready_configs()["demo"], settings, output)
    _whole_way(chosen, quiet=quiet, as_json=as_json, again=again, track=not no_track)


def _whole_way(
    config: RunConfig, *, quiet: bool, as_json: bool, again: bool, track: bool, audited: bool = True
) -> None:
    with at_work(quiet=quiet) as work:
        from tranquillite_ml import pipeline

        summary = pipeline.run(config, report=work.report, again=again, track=track, audited=audited)
    if work.begun == ["intake"] and not quiet:
        say("this run was finished before, and this is what it said: --again makes a new one")
    emit(summary, as_json=as_json, show=print_summary)


def backtest(
    config: ConfigArgument,
    *,
    settings: SetOption = None,
    output: OutputOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Backtest and score a config's models, without a final forecast and without MLflow.

    `run` on the same config goes on from there.
    """
    chosen = read_config(config, settings, output)
    with at_work(quiet=quiet) as work:
        from tranquillite_ml import pipeline

        summary = pipeline.backtest_only(chosen, report=work.report)
    emit(summary, as_json=as_json, show=print_summary)


def fit(
    config: ConfigArgument,
    *,
    settings: SetOption = None,
    output: OutputOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fit a config's model on all records and save it as a bundle in the run's folder."""
    chosen = read_config(config, settings, output)
    with at_work(quiet=quiet) as work:
        from tranquillite_ml import pipeline

        found = pipeline.fit_only(chosen, report=work.report)
    emit(found, as_json=as_json, show=_written)


def forecast(
    config: ConfigArgument,
    *,
    as_of: AsOfOption = None,
    allow_unsigned: Annotated[
        bool,
        typer.Option("--allow-unsigned", help="Use a model without a signed approval; every output says so."),
    ] = False,
    settings: SetOption = None,
    output: OutputOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Forecast with the model of `run` or `fit`, from its inputs as they are now.

    Records that came since are used; the model is not trained anew. The model that was promoted is used, or
    else the newest. Exit code 4 if it was rejected, or its approval is missing, unsigned or expired.
    """
    chosen = read_config(config, settings, output)
    with refusals(as_json=as_json), at_work(quiet=quiet) as work:
        from tranquillite_ml import pipeline

        found = pipeline.forecast_as_of(chosen, as_of, allow_unsigned=allow_unsigned, report=work.report)
    emit(found, as_json=as_json, show=_written)


def _written(found: Mapping[str, Any]) -> Iterator[str]:
    """Lines that tell what was written where, between two notices if the data are simulated."""
    notice = found.get("notice")
    yield from [clean(notice)] if notice else []
    yield f"Run {clean(found.get('run_id', ''))} in {clean(found.get('run_dir', ''))}"
    if found.get("as_of"):
        yield f"  as of  {clean(found['as_of'])}"
    for name, path in found["paths"].items():
        yield f"  {name}  {clean(path)}"
    yield from [clean(notice)] if notice else []
