"""Tuning from a configuration: config, folds before its backtest, study, and the winner as a ready config."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tranquillite_ml.bundle import MANIFEST, sha256
from tranquillite_ml.config import RunConfig
from tranquillite_ml.errors import UsageError
from tranquillite_ml.pipeline import Stopwatch
from tranquillite_ml.runfolder import RunFolder, run_identity
from tranquillite_ml.search import leaving
from tranquillite_ml.search.working import Task, forecaster_and_space, search
from tranquillite_ml.stages import Report, load_incidents, make_panel, make_splits, make_target, silent

if TYPE_CHECKING:
    from tranquillite_ml.intake import Incidents
    from tranquillite_ml.panel import Panel


def tune_config(
    config: RunConfig,
    *,
    trials: int | None = None,
    timeout: float | None = None,
    storage: str | None = None,
    jobs: int = 1,
    track: bool = True,
    report: Report = silent,
) -> dict[str, Any]:
    """Tune the model of a configuration on folds before its backtest, and write the winner as a ready config.

    Called again with the same configuration and inputs it goes on with the study; finished trials are not
    repeated. With one job the result is the same whether it was interrupted or not.

    Parameters
    ----------
    config : RunConfig
        Its section `tuning` says how.
    trials : int, optional
        Trials in all, in place of the configuration's.
    timeout : float, optional
        Seconds after which no trial is begun.
    storage : str, optional
        A file, ``sqlite:///FILE`` or ``postgresql://…``; a journal in the study's folder if not given.
    jobs : int, default 1
        Processes that work on the study.
    track : bool, default True
        Log the study in MLflow, with a child run for each trial.
    report : callable, optional
        Told what is being done.

    Returns
    -------
    dict
        ``run_id, run_dir, config, best, score, n_folds, start_score, trials, importances, folds, …``.

    Raises
    ------
    UsageError
        If there is nothing to tune, a number is out of range, or the folds do not fit before the backtest.

    Examples
    --------
    >>> import tempfile
    >>> from tranquillite_ml.config import load_config
    >>> tuning = "tuning={folds: 2, space: {ridge: [1, 100]}}"
    >>> settings = ["model={kind: poisson}", "features=[history]", tuning]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     config = load_config("smoke", [*settings, f"output={folder}"])
    ...     done = tune_config(config, trials=2, track=False)
    ...     tuned = load_config(done["config"])
    >>> dict(tuned.model.params) == done["best"]["params"], done["trials"]
    (True, {'complete': 2})
    """
    trials = config.tuning.trials if trials is None else trials
    timeout = config.tuning.timeout if timeout is None else timeout
    if trials < 1 or jobs < 1 or (timeout is not None and not 0 < timeout < math.inf):
        msg = f"tune needs trials ≥ 1, jobs ≥ 1 and a timeout above 0 s, got {trials=}, {jobs=}, {timeout=}."
        raise UsageError(msg)
    forecaster_and_space(config)
    watch = Stopwatch(report)
    with watch.stage("intake"):
        incidents, notice = load_incidents(config)
    folder = _open_folder(config, incidents)
    with watch.stage("panel"):
        known, cutoffs = _folds(config, make_panel(config, incidents))
    until = math.inf if timeout is None else time.time() + timeout
    where = str(folder.path / "journal.log") if storage is None else storage
    task = Task(config, known, cutoffs, folder.run_id, where, trials, until)
    with watch.stage("tune"):
        found = search(
            task, folder, jobs=jobs, tell=lambda ended: report("trials", min(ended, trials), trials)
        )
    summary = leaving.summarise(task, folder, found) | {"notice": notice}
    leaving.write(config, folder, found, summary)
    with watch.stage("track"):
        logged = leaving.track(config, folder, incidents, found, summary) if track else None
    folder.commit(summary | {"mlflow_run_id": logged} | watch.cost())
    return folder.summary()


def _open_folder(config: RunConfig, incidents: Incidents) -> RunFolder:
    """The study's folder: the same configuration, inputs and package are the same study."""
    section = config.tuning.model_dump(mode="json", exclude={"trials", "timeout"})
    asked = sha256(json.dumps([config.digest(), section], sort_keys=True).encode())
    identity = run_identity(asked, incidents.digest)
    folder = RunFolder(Path(config.output) / "tuning", f"{config.name}-{identity[:12]}")
    folder.prepare()
    (folder.path / MANIFEST).unlink(missing_ok=True)  # unfinished again until it is committed
    folder.write_text("config.yaml", config.to_yaml(hide_secrets=True))
    return folder


def _folds(config: RunConfig, panel: Panel) -> tuple[Panel, list[int]]:
    """What was known at the backtest's first cutoff, and cutoffs whose outcomes were known by then."""
    from tranquillite_ml.splits import RollingOrigin
    from tranquillite_ml.tuning import cutoffs_before

    target, section = make_target(config), config.tuning
    known = panel.until(make_splits(config).cutoffs(panel.bins, target)[0])
    splits = RollingOrigin(section.folds, section.every or config.backtest.every)
    try:
        return known, cutoffs_before(known, target, splits)
    except UsageError as error:
        msg = (
            f"tuning: its folds lie before the backtest's first cutoff ({known.bins.end:%Y-%m-%d}); {error} "
            "Set tuning.folds, tuning.every, or a later backtest.first_cutoff."
        )
        raise UsageError(msg) from error
