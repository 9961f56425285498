"""Working in sight: what is being done on standard error, and nothing but the result on standard output."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from tranquillite_ml.cli.output import clean, debugging, say
from tranquillite_ml.errors import DataWarning, ForecastWarning

if TYPE_CHECKING:
    from rich.progress import Progress

STAGES = {
    "intake": "reading recorded incidents",
    "check": "laying grid and folds",
    "panel": "counting them into cells and time bins",
    "backtest": "backtest: forecasts made as if from the past",
    "evaluate": "scoring them",
    "tune": "tuning: trials on folds before those of the backtest",
    "fit": "fitting on everything there is",
    "forecast": "forecasting what follows the data",
    "report": "checking it all and writing the report",
    "track": "recording the run in MLflow",
    "fetch": "fetching",
    "refits": "training the model again",
}


class Work:
    """Tells what is being done, and remembers what was begun.

    Parameters
    ----------
    tell : callable
        Called like the pipeline's `report`: what, steps done, steps to do.
    """

    def __init__(self, tell: Callable[[str, int, int], None]) -> None:
        self.report = self._remember(tell)
        self.begun: list[str] = []

    def _remember(self, tell: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
        def report(what: str, done: int, total: int) -> None:
            if done == 0:
                self.begun.append(what)
            tell(what, done, total)

        return report


@contextmanager
def at_work(*, quiet: bool) -> Iterator[Work]:
    """Work in sight: progress and notes go to standard error, and so does what libraries print.

    A bar where standard error is a terminal, else a line a stage; nothing with `quiet`.
    """
    with ExitStack() as stack:
        work = Work(_silent if quiet else stack.enter_context(_bar()) if _on_terminal() else _lines())
        stack.enter_context(_notes(quiet=quiet))
        stack.enter_context(_without_chatter())
        stack.enter_context(redirect_stdout(sys.stderr))
        yield work


def _on_terminal() -> bool:
    from rich.console import Console

    return sys.stderr.isatty() and Console(stderr=True).is_interactive


def _silent(what: str, done: int, total: int) -> None:
    """Say nothing."""


def _lines() -> Callable[[str, int, int], None]:
    """One line when a stage begins, and one when a model has been through all folds."""
    begin = time.perf_counter()

    def tell(what: str, done: int, total: int) -> None:
        at = f"{time.perf_counter() - begin:7.1f} s"
        if done == 0:
            if what != "checks":
                say(f"{at}  {STAGES.get(what, what)}")
        elif what == "trials":
            say(f"{at}    trial {done} of {total}")
        elif what == "refits":
            say(f"{at}    refit {done} of {total}")
        elif ":" in what and done == total:  # a simulation: its steps are weeks or scenarios
            say(f"{at}    {clean(what)}: done")
        elif what == "checks":
            if done == total:
                say(f"{at}    {total} checks")
        elif what not in STAGES and done == total:
            say(f"{at}    {what}: {total} {'fold' if total == 1 else 'folds'}")

    return tell


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """A line with a bar for each stage and each model."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False) as bar:
        yield _on_bar(bar)


def _on_bar(bar: Progress) -> Callable[[str, int, int], None]:
    tasks: dict[str, Any] = {}

    def tell(what: str, done: int, total: int) -> None:
        is_stage = what in STAGES
        if what not in tasks:
            tasks[what] = bar.add_task(
                STAGES[what] if is_stage else f"  {what}", total=None if is_stage else total
            )
        if done:
            bar.update(tasks[what], completed=done, total=total)

    return tell


@contextmanager
def _notes(*, quiet: bool) -> Iterator[None]:
    """Show our own warnings as one-line notes, each once; others only to who looks for a fault."""
    told: set[str] = set()

    def show(  # noqa: PLR0917 - as `warnings` calls it
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        ours = issubclass(category, DataWarning | ForecastWarning)
        where = "" if ours else f" ({filename}:{lineno})"
        text = f"{'note' if ours else category.__name__}: {clean(message)}{where}"
        if text not in told and (debugging() or (ours and not quiet)):
            told.add(text)
            say(text)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.simplefilter("always", ForecastWarning)
        warnings.showwarning = show
        yield


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep libraries' informational logging out of sight."""
    before = logging.root.manager.disable
    logging.disable(logging.NOTSET if debugging() else logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)
