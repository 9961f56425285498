"""What a study leaves behind: the winner as a ready config, tables, figures, and its record in MLflow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.config import RunConfig
from tranquillite_ml.config.words import redact
from tranquillite_ml.runfolder import RunFolder, plain

if TYPE_CHECKING:
    from tranquillite_ml.intake import Incidents
    from tranquillite_ml.search.working import Task
    from tranquillite_ml.tuning import Tuned


def summarise(task: Task, folder: RunFolder, found: Tuned) -> dict[str, Any]:
    """Give a study's summary as plain values."""
    from tranquillite_ml.tracking import default_uri

    config, bins = task.config, task.known.bins
    moments = bins.wall_at(np.array([*task.cutoffs, bins.n_bins]))
    won = found.trials[found.trials["state"] == "complete"].sort_values(
        ["score", "trial"], ascending=[False, True], kind="stable"
    )
    return {
        "run_id": folder.run_id,
        "run_dir": str(folder.path),
        "config": str(folder.path / "best.yaml"),
        "storage": redact(task.storage),
        "score_name": config.tuning.score,
        "best": {"trial": int(won["trial"].iloc[0]), "params": found.best},
        "score": found.score,
        "n_folds": found.n_folds,
        "start_score": found.start_score,
        "trials": found.states,
        "folds": [f"{moment:%Y-%m-%d %H:%M}" for moment in moments[:-1]],
        "judged_from": f"{moments[-1]:%Y-%m-%d %H:%M}",
        "importances": found.importances.to_dict("records"),
        "paths": {
            "config": str(folder.path / "best.yaml"),
            "trials": str(folder.path / "tables" / "trials.csv"),
            "importances": str(folder.path / "tables" / "importances.csv"),
            "figures": str(folder.path / "figures"),
            "mlflow": redact(config.tracking.uri or default_uri(Path(config.output))),
        },
    }


def winning_config(config: RunConfig, params: Mapping[str, Any]) -> RunConfig:
    """The configuration with a trial's parameters in place of the model's.

    Examples
    --------
    >>> from tranquillite_ml.config import load_config
    >>> winning_config(load_config("smoke"), {"num_leaves": 15}).model.params
    {'num_leaves': 15}
    """
    values = config.to_dict()
    values["model"]["params"] = {**values["model"]["params"], **plain(params)}
    return RunConfig.from_dict(values)


def write(config: RunConfig, folder: RunFolder, found: Tuned, summary: Mapping[str, Any]) -> None:
    """Write the winner as a configuration, the tables and the figures."""
    from tranquillite_ml import plots
    from tranquillite_ml.plots.saving import save_plot

    winner = winning_config(config, found.best)
    hidden = winner.to_yaml(hide_secrets=True)
    lines = [
        f"# The best of {len(found.trials)} trials on {found.n_folds} folds before {summary['judged_from']}.",
        "# Its score there is flattered by having been chosen: `tranquillite run` judges it on later folds.",
    ]
    if hidden != winner.to_yaml():
        lines.append("# Passwords are not written here: put them in where *** stands.")
    folder.write_text("best.yaml", "\n".join([*lines, hidden]))
    folder.write_table("tables/trials.csv", found.trials)
    folder.write_table("tables/importances.csv", found.importances)
    save_plot(lambda ax: plots.tuning_history(found.trials, ax), folder.file("figures/history"))
    save_plot(lambda ax: plots.tuning_importance(found.importances, ax), folder.file("figures/importance"))


def track(
    config: RunConfig, folder: RunFolder, incidents: Incidents, found: Tuned, summary: Mapping[str, Any]
) -> str:
    """Log the study in MLflow: one parent, one child a trial."""
    from tranquillite_ml.tracking import TrialLog, default_uri, log_run

    folds = [name for name in found.trials if name.startswith("fold_")]
    children = []
    for row in found.trials.to_dict("records"):
        names = [name for name in found.best if row.get(name) is not None]
        metrics = {"score": row["score"], "n_folds": row["n_folds"], "seconds": row["seconds"]}
        steps = [float(row[name]) for name in folds if math.isfinite(row[name])]
        params = {name: str(row[name]) for name in names}
        children.append(TrialLog(f"trial {row['trial'] + 1}", row["state"], params, metrics, steps))
    source = config.incidents.path or "simulated"
    files = ("best.yaml", "config.yaml", "tables", "figures")
    return log_run(
        uri=config.tracking.uri or default_uri(Path(config.output)),
        experiment=config.tracking.experiment,
        run_name=f"tuning {folder.run_id}",
        params=config.flat() | {f"best.{name}": str(value) for name, value in found.best.items()},
        metrics={"score": found.score, "start_score": summary["start_score"], "n_folds": found.n_folds},
        datasets=[("incidents", incidents.digest, str(source), len(incidents))],
        trials=children,
        artifacts=[(folder.path / name, name if (folder.path / name).is_dir() else "") for name in files],
        tags={"study": folder.run_id, "config": config.digest()},
    )
