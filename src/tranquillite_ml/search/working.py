"""The search itself: in this process, or in several that share a study."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tranquillite_ml.config import RunConfig
from tranquillite_ml.errors import UsageError
from tranquillite_ml.stages import make_forecasters

if TYPE_CHECKING:
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.runfolder import RunFolder
    from tranquillite_ml.tuning import Tuned

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Task:
    """What is to be searched, on which folds, where the study is kept, and when it ends.

    Attributes
    ----------
    config : RunConfig
    known : Panel
        All that trials may know.
    cutoffs : list of int
    study, storage : str
    trials : int
    until : float
        Moment (seconds since 1970) from which on no trial is begun.
    """

    config: RunConfig
    known: Panel
    cutoffs: list[int]
    study: str
    storage: str
    trials: int
    until: float

    @property
    def expired(self) -> bool:
        """Whether no trial may be begun any more."""
        return time.time() > self.until


def forecaster_and_space(config: RunConfig) -> tuple[Any, dict[str, Any]]:
    """The configuration's model, and the space it is searched in.

    Raises
    ------
    UsageError
        If there is nothing to tune, or a parameter is unknown.
    """
    from tranquillite_ml.tuning.space import check_names, usual_space

    if config.model.kind == "none":
        msg = "tune: the ladder alone (kind: none) has nothing to tune. Name a model, such as lightgbm."
        raise UsageError(msg)
    forecaster = make_forecasters(config)[0]
    space = {name: list(values) for name, values in config.tuning.space.items()} or usual_space(forecaster)
    if not space:
        msg = (
            f"tune: {config.model.kind} has no usual ranges. State them, such as "
            "tuning: {space: {zeros: [0.05, 0.2]}}."
        )
        raise UsageError(msg)
    check_names(space, forecaster)
    return forecaster, space


def search(task: Task, folder: RunFolder, *, jobs: int, tell: Callable[[int], None]) -> Tuned:
    """Bring a study to its number of trials, in one process or several; `tell` is told how many ended."""
    if jobs > 1 and not task.expired:
        task.known.save(folder.file("panel"))
        with _workers(task, folder, jobs) as processes:
            _watch(processes, task, tell)
    # With several processes nothing is left to do here, unless one of them died.
    return _work(task, on_trial=lambda row: tell(row["trial"] + 1))


def _work(task: Task, **hooks: Any) -> Tuned:
    """Work on the study in this process until it has its trials."""
    from tranquillite_ml.tuning import backtest_scores, open_storage, tune

    config = task.config
    forecaster, space = forecaster_and_space(config)
    scores = backtest_scores(
        forecaster,
        task.known,
        task.cutoffs,
        refit=config.backtest.refit,
        recalibrate=config.calibration.refresh,
        score=config.tuning.score,
    )
    leave = hooks.pop("stop", lambda: False)
    with open_storage(task.storage) as storage:
        return tune(
            scores,
            space,
            storage=storage,
            trials=task.trials,
            seed=config.seed,
            name=task.study,
            start=forecaster.get_params(deep=False),
            stop=lambda: task.expired or leave(),
            **hooks,
        )


@contextmanager
def _workers(task: Task, folder: RunFolder, jobs: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes at work on the study, which end with us. They are told through a pipe: it may be secret."""
    told = {name: getattr(task, name) for name in ("cutoffs", "study", "storage", "trials")}
    told |= {"config": task.config.to_dict(), "known": str(folder.path / "panel")}
    told |= {"until": None if math.isinf(task.until) else task.until}
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))}
    processes = []
    try:
        for number in range(jobs):
            with folder.file(f"worker_{number + 1}.log").open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tranquillite_ml.search"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=threads | os.environ,
                )
            processes.append(process)
            if process.stdin is not None:
                process.stdin.write(json.dumps(told).encode())
                process.stdin.close()
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
            process.wait()


def _watch(processes: list[subprocess.Popen[bytes]], task: Task, tell: Callable[[int], None]) -> None:
    """Wait until all have ended, and tell of trials as they end."""
    from tranquillite_ml.tuning.study import count_ended

    before = 0
    while any(process.poll() is None for process in processes):
        time.sleep(_POLL_SECONDS)
        ended = count_ended(task.storage, task.study)
        if ended > before:
            tell(ended)
            before = ended


def worker() -> None:
    """One of several processes: works until there are enough trials, or its parent is gone."""
    from tranquillite_ml.panel import Panel

    parent = os.getppid()
    told = json.load(sys.stdin)
    told["config"] = RunConfig.from_dict(told["config"])
    told["known"] = Panel.open(told["known"])
    told["until"] = told["until"] or math.inf
    _work(Task(**told), stop=lambda: os.getppid() != parent)
