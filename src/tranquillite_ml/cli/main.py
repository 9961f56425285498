"""The `tranquillite` command: its commands, and what happens to errors."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from tranquillite_ml.cli import (
    benchmarks,
    fetching,
    governance,
    looking,
    promoting,
    reporting,
    retaining,
    runs,
    simulating,
    tuning,
)
from tranquillite_ml.cli.interrupts import interrupts_as_errors
from tranquillite_ml.cli.output import exit_code

HELP = """Calibrated forecasts of recorded incidents per place and period, that say if they beat plain counts.

Forecasts are about places, never persons. Results go to standard output, progress and messages to standard
error. Exit codes: 0 done, whatever the verdict; 1 a failure of ours; 2 wrong usage or config; 3 input data
refused; 4 a gate said no."""


class CarefulCommand(TyperCommand):
    """A command whose errors become one line on standard error and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            with interrupts_as_errors():
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except (Exception, KeyboardInterrupt) as error:
            raise typer.Exit(exit_code(error)) from None


app = typer.Typer(
    name="tranquillite",
    help=HELP,
    epilog="Example: tranquillite demo",
    rich_markup_mode=None,  # with it, --help takes three times as long
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)


def _version(asked: bool) -> None:
    if asked:
        from tranquillite_ml import __version__

        typer.echo(f"tranquillite_ml {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


for _command, _example in (
    (runs.demo, "tranquillite demo --output demo-run"),
    (runs.run, "tranquillite run configs/stlouis.yaml --set grid.resolution=8 --json"),
    (looking.check, "tranquillite check configs/vancouver.yaml"),
    (runs.backtest, "tranquillite backtest configs/stlouis.yaml --set backtest.folds=5"),
    (runs.fit, "tranquillite fit configs/stlouis.yaml --output runs"),
    (tuning.tune, "tranquillite tune configs/stlouis.yaml --trials 50 --jobs 2"),
    (runs.forecast, "tranquillite forecast configs/stlouis.yaml --as-of 2018-12-28"),
    (reporting.report, "tranquillite report runs/stlouis-1234 --public"),
    (reporting.verify, "tranquillite verify runs/stlouis-1234/report.json --rerun"),
    (promoting.signoff, "tranquillite signoff runs/stlouis-1234 --name 'A. Martin' --decision approve …"),
    (
        promoting.promote,
        "tranquillite promote runs/stlouis-1234 --to champion --by 'B. Roy, city' --reason review",
    ),
    (
        promoting.reject,
        "tranquillite reject runs/stlouis-1234 --by 'A. Martin, board' --reason 'no necessity'",
    ),
    (
        retaining.retain,
        "tranquillite retain incidents.csv runs --older-than 1095D --tz Europe/Paris --confirm",
    ),
    (looking.schema, "tranquillite schema forecasts"),
    (looking.init, "tranquillite init incidents.csv --output config.yaml"),
):
    app.command(cls=CarefulCommand, epilog=f"Example: {_example}")(_command)

_benchmark = typer.Typer(
    help="Measure models beside published figures: weekly, sthsl, nij.",
    epilog="Example: tranquillite benchmark weekly --data stlouis/incidents.parquet --output weekly",
    rich_markup_mode=None,
    no_args_is_help=True,
)
for _measuring, _how in (
    (benchmarks.weekly, "tranquillite benchmark weekly --data stlouis/incidents.parquet --output weekly"),
    (benchmarks.sthsl, "tranquillite benchmark sthsl --data chicago/sthsl_tensor.npz --output sthsl"),
    (benchmarks.nij, "tranquillite benchmark nij --data portland/incidents.parquet --output nij"),
):
    _benchmark.command(cls=CarefulCommand, epilog=f"Example: {_how}")(_measuring)
app.add_typer(_benchmark, name="benchmark")

_log = typer.Typer(
    help="The log of forecasts and decisions: verify, show, add.",
    epilog="Example: tranquillite log verify runs/log.jsonl",
    rich_markup_mode=None,
    no_args_is_help=True,
)
_log.command(cls=CarefulCommand, epilog="Example: tranquillite log verify runs/log.jsonl")(governance.verify)
_log.command(cls=CarefulCommand, epilog="Example: tranquillite log show log.jsonl --last 5")(governance.show)
_log.command(
    cls=CarefulCommand, epilog="Example: tranquillite log add log.jsonl --role duty --action followed"
)(governance.add)
app.add_typer(_log, name="log")

_fetch = typer.Typer(
    help="Bring a partner's open data to a file, with its licence and checksums.",
    epilog=f"Example: tranquillite fetch {fetching.COMMANDS[0][1]}",
    rich_markup_mode=None,
    no_args_is_help=True,
)
for _fetching, _how in fetching.COMMANDS:
    _fetch.command(_how.split(" ", 1)[0], cls=CarefulCommand, epilog=f"Example: tranquillite fetch {_how}")(
        _fetching
    )
app.add_typer(_fetch, name="fetch")

_simulate = typer.Typer(
    help="Simulate what a forecast does to its own records: feedback, underreporting.",
    epilog="Example: tranquillite simulate feedback configs/stlouis.yaml",
    rich_markup_mode=None,
    no_args_is_help=True,
)
for _simulating, _how in (
    (simulating.feedback, "tranquillite simulate feedback configs/stlouis.yaml --runs 20 --json"),
    (simulating.underreporting, "tranquillite simulate underreporting configs/stlouis.yaml --output runs"),
):
    _simulate.command(cls=CarefulCommand, epilog=f"Example: {_how}")(_simulating)
app.add_typer(_simulate, name="simulate")


def main() -> None:
    """Run the command line."""
    # Threads that wait busily for each other take minutes instead of seconds where cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a terminal without UTF-8 is no reason to fail
            reconfigure(errors="backslashreplace")
    app()


if __name__ == "__main__":
    main()
