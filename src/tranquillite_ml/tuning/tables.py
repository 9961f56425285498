"""A study as tables: one row a trial, and how much each parameter mattered."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

LEAST_TRIALS = 10
"""Complete trials below which importances are not estimated (NaN)."""
_RESAMPLES = 50


def trial_row(trial: Any) -> dict[str, Any]:
    """One trial as plain values: what it was, how it ended, and its running mean after each fold."""
    steps = sorted(trial.intermediate_values)
    seconds = None if trial.duration is None else trial.duration.total_seconds()
    return {
        "trial": int(trial.user_attrs.get("rank", trial.number)),
        "state": trial.state.name.lower(),
        "score": np.nan if trial.value is None else 0.0 - float(trial.value),
        "n_folds": len(steps),
        "seconds": np.nan if seconds is None else round(seconds, 3),
        **{f"fold_{step + 1}": 0.0 - float(trial.intermediate_values[step]) for step in steps},
        **dict(sorted(trial.params.items())),
    }


def trials_table(trials: list[Any]) -> pd.DataFrame:
    """One row a trial in the order of their beginning, and the best complete score so far."""
    import pandas as pd

    rows = [trial_row(trial) for trial in sorted(trials, key=lambda trial: trial.user_attrs.get("rank", 0))]
    table = pd.DataFrame(rows)
    complete = table["score"].where(table["state"] == "complete").astype(float)
    table.insert(3, "best_so_far", complete.cummax().ffill())
    params = [name for name in table if any(name in trial.params for trial in trials)]
    folds = sorted((name for name in table if name.startswith("fold_") and name not in params), key=_number)
    first = ["trial", "state", "score", "best_so_far", "n_folds", "seconds"]
    return table[[*first, *folds, *params]]


def _number(fold: str) -> int:
    return int(fold.removeprefix("fold_"))


def importance_table(trials: list[Any], *, seed: int = 0, level: float = 0.9) -> pd.DataFrame:
    """Share of the differences between good trials and the rest that each parameter accounts for.

    Parameters
    ----------
    trials : list of optuna.trial.FrozenTrial
        Complete ones.
    seed : int, default 0
        Of the resamples.
    level : float, default 0.9
        Nominal coverage of the intervals.

    Returns
    -------
    DataFrame
        ``param, importance, lower, upper, n_trials``; importances sum to 1. NaN with fewer than 10 trials.

    Notes
    -----
    PED-ANOVA (Watanabe, Bansal and Hutter 2023, arXiv:2304.10255). Intervals: trials resampled with
    replacement; the search itself drew them towards good values, which no resampling undoes.
    """
    import pandas as pd

    names = sorted({name for trial in trials for name in trial.params})
    columns = ["importance", "lower", "upper"]
    if len(trials) < LEAST_TRIALS:
        values = np.full((len(names), 3), np.nan)
    else:
        rng = np.random.default_rng(seed)
        picks = [rng.integers(len(trials), size=len(trials)) for _ in range(_RESAMPLES)]
        drawn = np.array([_importances([trials[k] for k in pick], names) for pick in picks])
        tail = (1 - level) / 2
        bounds = np.quantile(drawn, [tail, 1 - tail], axis=0)
        values = np.column_stack([_importances(trials, names), bounds.T])
    table = pd.DataFrame(values, columns=columns).assign(n_trials=len(trials))
    table.insert(0, "param", names)
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _importances(trials: list[Any], names: list[str]) -> list[float]:
    """Importances in the order of names, summing to 1."""
    import optuna

    study = optuna.create_study(direction="minimize")
    study.add_trials(trials)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one parameter that never varies is told as a warning
        found = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
    return [float(found.get(name, 0.0)) for name in names]
