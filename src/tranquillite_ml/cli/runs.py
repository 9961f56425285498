"""Commands that run a configuration: demo, run, backtest, fit, forecast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tranquillite_ml.cli.options import (
    AgainOption,
    ConfigArgument,
    JsonOption,
    NoTrackOption,
    OutputOption,
    QuietOption,
    SetOption,
    read_config,
)
from tranquillite_ml.cli.output import clean, emit, say
from tranquillite_ml.cli.progress import Work, at_work
from tranquillite_ml.cli.summary import print_summary

if TYPE_CHECKING:
    from tranquillite_ml.config import RunConfig
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.runfolder import RunFolder

AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        help="Local date or time; only what was known then is used. Default: all records.",
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
) -> None:
    """Run a config the whole way: intake, backtest, scores, forecast, map, MLflow.

    The same config on the same inputs gives the finished run back; one that was interrupted goes on after its
    last finished stage.
    """
    chosen = read_config(config, settings, output)
    _whole_way(chosen, quiet=quiet, as_json=as_json, again=again, track=not no_track)


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
    """Show a whole run on a simulated city, in about a minute.

    No incident in it is real, and every output says so.
    """
    from tranquillite_ml.config import ready_configs

    chosen = read_config(ready_configs()["demo"], settings, output)
    _whole_way(chosen, quiet=quiet, as_json=as_json, again=again, track=not no_track)


def _whole_way(config: RunConfig, *, quiet: bool, as_json: bool, again: bool, track: bool) -> None:
    with at_work(quiet=quiet) as work:
        from tranquillite_ml import pipeline

        summary = pipeline.run(config, report=work.report, again=again, track=track)
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
        summary = _backtest(chosen, work)
    emit(summary, as_json=as_json, show=print_summary)


def _backtest(config: RunConfig, work: Work) -> dict[str, Any]:
    from tranquillite_ml import pipeline, results

    with work.stage("intake"):
        incidents, notice = pipeline.load_incidents(config)
    folder = pipeline.open_run(config, incidents)
    if folder.finished:
        return folder.summary()
    with work.stage("panel"):
        results.write_intake(folder, config, incidents)
        panel = _panel(config, incidents, folder)
    with work.stage("backtest"):
        forecasts = pipeline.run_backtest(config, panel, folder, work.report)
        forecasts.write(folder.file("forecasts.parquet"))
    with work.stage("evaluate"):
        tables = results.evaluate(forecasts)
        results.write_tables(folder, tables, forecasts)
    summary = results.summarise(folder, config, incidents, panel, tables)
    there = {name: path for name, path in summary.get("paths", {}).items() if Path(path).exists()}
    return summary | {"paths": there, "notice": notice} | _cost(work)


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
        found = _fit(chosen, work)
    emit(found, as_json=as_json, show=_written)


def _fit(config: RunConfig, work: Work) -> dict[str, Any]:
    from tranquillite_ml import pipeline

    with work.stage("intake"):
        incidents, notice = pipeline.load_incidents(config)
    folder = pipeline.open_run(config, incidents)
    if not folder.finished:
        with work.stage("panel"):
            panel = _panel(config, incidents, folder)
        with work.stage("fit"):
            pipeline.fit_last(config, panel, folder)
    paths = {"model": str(folder.path / "model")}
    found = {"run_id": folder.run_id, "run_dir": str(folder.path), "paths": paths, "notice": notice}
    return found | _cost(work)


def forecast(
    config: ConfigArgument,
    *,
    as_of: AsOfOption = None,
    settings: SetOption = None,
    output: OutputOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Forecast with a finished run's model, from its inputs as they are now.

    Records that came since the run are used; the model is not trained anew.
    """
    chosen = read_config(config, settings, output)
    with at_work(quiet=quiet) as work:
        from tranquillite_ml import pipeline

        with work.stage("forecast"):
            found = pipeline.forecast_as_of(chosen, as_of)
    map_file = Path(str(found.get("run_dir", ""))) / "map.html"
    paths = {"forecast": found.get("forecasts")} | ({"map": str(map_file)} if map_file.exists() else {})
    emit({"paths": paths} | found, as_json=as_json, show=_written)


def _panel(config: RunConfig, incidents: Any, folder: RunFolder) -> Panel:
    from tranquillite_ml import pipeline

    panel = pipeline.make_panel(config, incidents)
    panel.save(folder.file("panel"))
    return panel


def _cost(work: Work) -> dict[str, Any]:
    from tranquillite_ml import pipeline

    return {"seconds": work.seconds, "peak_rss_mb": pipeline.peak_rss_mb()}


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
