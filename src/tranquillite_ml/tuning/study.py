"""A study: trials of parameters, pruned fold by fold, that goes on after a kill as if nothing had been."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.tuning.owners import has_lost_its_owner, this_process
from tranquillite_ml.tuning.space import Space, distributions, inside
from tranquillite_ml.tuning.storage import open_storage
from tranquillite_ml.tuning.tables import importance_table, trial_row, trials_table

if TYPE_CHECKING:
    import pandas as pd

Scores = Callable[[dict[str, Any]], Iterable[float]]
"""Given parameters, their score fold by fold; larger is better."""

PRUNE_FROM = 5
"""Complete trials that a fold must have seen before a trial can be pruned at it."""


@dataclass(frozen=True)
class Tuned:
    """What a study has found so far.

    Attributes
    ----------
    best : dict of str to object
        Parameters of the best complete trial; the earliest of equals.
    score : float
        Its mean score over the folds. Larger is better. The best of many is flattered by having been chosen:
        later folds judge it.
    n_folds : int
        Folds in that mean.
    start_score : float
        Mean score of the parameters the study began with; NaN if it began with others or they were pruned.
    trials : DataFrame
        One row a trial that counts: ``trial, state, score, best_so_far, n_folds, seconds``, the running
        mean after each fold as ``fold_1, …``, and the parameters.
    importances : DataFrame
        ``param, importance, lower, upper, n_trials``.
    """

    best: dict[str, Any]
    score: float
    n_folds: int
    start_score: float
    trials: pd.DataFrame
    importances: pd.DataFrame = field(repr=False)

    @property
    def states(self) -> dict[str, int]:
        """Number of trials by state."""
        return {str(name): int(n) for name, n in self.trials["state"].value_counts().sort_index().items()}


def tune(
    scores: Scores,
    space: Space,
    *,
    storage: Any,
    trials: int = 30,
    timeout: float | None = None,
    seed: int = 0,
    name: str = "study",
    start: Mapping[str, Any] | None = None,
    on_trial: Callable[[dict[str, Any]], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Tuned:
    """Search parameters for the best mean score; the same call goes on with an unfinished study.

    Parameters
    ----------
    scores : callable
        Called with parameters; gives their score fold by fold (see `backtest_scores`). Larger is better.
    space : mapping
        ``{parameter: [low, high]}`` or a list of choices.
    storage : optuna.storages.BaseStorage
        From `open_storage`. Several processes may work on one study at once.
    trials : int, default 30
        Trials there shall be in all, those of earlier calls and other processes included. Pruned ones count.
    timeout : float, optional
        Seconds after which no trial is begun any more.
    seed : int, default 0
    name : str, default "study"
    start : mapping, optional
        Parameters of the first trial, such as those used so far, if they lie in the space.
    on_trial : callable, optional
        Told of each trial that ends here: its row of `Tuned.trials`.
    stop : callable, optional
        Asked before each trial; no other is begun once it says True.

    Returns
    -------
    Tuned

    Raises
    ------
    UsageError
        If the space or a number is out of range, the study was begun with another space or seed, or no trial
        is complete.
    InputDataError
        If a score is not finite.

    Notes
    -----
    *Sampling.* The tree-structured Parzen estimator (Bergstra et al. 2011; multivariate as in Falkner et al.
    2018, arXiv:1807.01774), made anew for each trial from ``SeedSequence([seed, trials finished or under
    way])`` and shown only trials that ended. Nothing but the storage carries state, so that a study killed
    and taken up again finds what an uninterrupted one finds.

    *Kills.* A trial whose process died is marked as failed, and its parameters are tried again first.

    *Pruning.* After each fold but the last, a trial ends if its running mean is worse than the median of the
    complete trials' at the same fold, once there are 5 of them (Golovin et al. 2017,
    doi:10.1145/3097983.3098043).

    Examples
    --------
    >>> import tempfile
    >>> from tranquillite_ml.tuning import open_storage
    >>> def scores(params):
    ...     yield from [-(params["x"] - 2) ** 2, -(params["x"] - 2) ** 2]
    >>> with tempfile.TemporaryDirectory() as folder, open_storage(f"{folder}/journal.log") as storage:
    ...     found = tune(scores, {"x": [0, 1, 2, 3]}, storage=storage, trials=12)
    >>> found.best, found.score, found.n_folds
    ({'x': 2}, 0.0, 2)
    """
    if trials < 1 or (timeout is not None and not timeout > 0):
        msg = f"tune needs at least one trial and a timeout above 0 s, got {trials=} and {timeout=}."
        raise UsageError(msg)
    study = _Study(storage, name, distributions(space), seed, dict(start or {}))
    until = math.inf if timeout is None else time.monotonic() + timeout
    while time.monotonic() < until and not (stop is not None and stop()):
        trial_id = study.begin(trials)
        if trial_id is None:
            break
        row = study.evaluate(trial_id, scores)
        if on_trial is not None and row is not None:
            on_trial(row)
    return study.result()


def count_ended(where: str, name: str) -> int:
    """Trials of a study that are complete or pruned, seen from outside; 0 if there is no such study yet."""
    from optuna.trial import TrialState

    with open_storage(where) as storage:
        studies = {study.study_name: study._study_id for study in storage.get_all_studies()}  # noqa: SLF001
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        return (
            len(storage.get_all_trials(studies[name], deepcopy=False, states=ended)) if name in studies else 0
        )


class _Study:
    """A study in a storage. Everything is read back from there: this object could be lost at any time."""

    def __init__(
        self, storage: Any, name: str, space: dict[str, Any], seed: int, start: dict[str, Any]
    ) -> None:
        import optuna

        self.storage, self.name, self.space, self.seed = storage, name, space, seed
        self.start = inside(start, space)
        optuna.create_study(storage=storage, study_name=name, direction="minimize", load_if_exists=True)
        self.id = storage.get_study_id_from_name(name)
        self.states = optuna.trial.TrialState
        self._check_definition()

    def _check_definition(self) -> None:
        """Refuse to mix trials of different spaces or seeds in one study."""
        from optuna.distributions import distribution_to_json

        space = {name: distribution_to_json(found) for name, found in self.space.items()}
        ours = json.dumps({"seed": self.seed, "space": space, "start": self.start}, sort_keys=True)
        theirs = self.storage.get_study_user_attrs(self.id).get("definition")
        if theirs is None:
            self.storage.set_study_user_attr(self.id, "definition", ours)
        elif theirs != ours:
            msg = (
                f"the study {self.name!r} was begun with another space, seed or start: trials of both could "
                "not be compared. Use another name or storage."
            )
            raise UsageError(msg)

    # ------------------------------------------------------------------ beginning a trial

    def begin(self, trials: int) -> int | None:
        """Put a new trial into the storage, in one write; None if there are enough."""
        while True:
            everything = self._take_up_orphans()
            lasting = self._lasting(everything)
            rank = len(lasting)
            if rank >= trials:
                return None
            params, attrs = self._choose(everything, lasting)
            trial_id = self._create(params, attrs | {"rank": rank, "owner": this_process()})
            # Another process may have begun one in between: then the earlier keeps the rank, and with it the
            # seed, the orphan or the last place; we choose again.
            number = self.storage.get_trial(trial_id).number
            before = [trial for trial in self._lasting(self._all()) if trial.number < number]
            if len(before) == rank:
                return trial_id
            self._fail(trial_id, "another process began the same trial first")

    def _all(self) -> list[Any]:
        found: list[Any] = self.storage.get_all_trials(self.id, deepcopy=False)
        return found

    def _lasting(self, trials: list[Any]) -> list[Any]:
        return [trial for trial in trials if trial.state != self.states.FAIL]

    def _take_up_orphans(self) -> list[Any]:
        """Mark trials whose process died as failed; all trials as they then are."""
        everything = self._all()
        lost = [trial for trial in everything if self._under_way(trial) and has_lost_its_owner(trial)]
        for trial in lost:
            self._orphan(trial._trial_id)  # noqa: SLF001 - Optuna's storages know trials by this number only
        return self._all() if lost else everything

    def _under_way(self, trial: Any) -> bool:
        return not trial.state.is_finished()

    def _orphan(self, trial_id: int) -> None:
        """Fail a trial, and leave word that its parameters are to be tried again."""
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            self.storage.set_trial_user_attr(trial_id, "orphan", True)
            self._fail(trial_id, "its process ended before it did")
        except UpdateFinishedTrialError:
            return  # another process was faster

    def _fail(self, trial_id: int, reason: str) -> None:
        self.storage.set_trial_user_attr(trial_id, "reason", reason[:500])
        self.storage.set_trial_state_values(trial_id, self.states.FAIL)

    def _choose(self, everything: list[Any], lasting: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parameters of the next trial: an orphan's, the start, or the sampler's."""
        orphans = {trial.number: trial for trial in everything if trial.user_attrs.get("orphan")}
        again = [*lasting, *orphans.values()]
        taken = {trial.user_attrs.get("redoes") for trial in again}
        waiting = sorted(number for number in orphans if number not in taken)
        if waiting:
            return dict(orphans[waiting[0]].params), {"redoes": waiting[0]}
        if not lasting and self.start is not None:
            return dict(self.start), {}
        return self._sample(lasting), {}

    def _sample(self, lasting: list[Any]) -> dict[str, Any]:
        """Parameters from a sampler made anew, which sees the trials that ended and nothing else."""
        import optuna

        state = np.random.SeedSequence([self.seed, len(lasting)]).generate_state(1)
        sampler = optuna.samplers.TPESampler(seed=int(state[0]), multivariate=True)
        study = optuna.create_study(direction="minimize", sampler=sampler)
        study.add_trials([trial for trial in lasting if trial.state.is_finished()])
        params: dict[str, Any] = study.ask(fixed_distributions=self.space).params
        return params

    def _create(self, params: dict[str, Any], attrs: dict[str, Any]) -> int:
        import optuna

        template = optuna.trial.create_trial(
            state=self.states.RUNNING, params=params, distributions=self.space, user_attrs=attrs
        )
        return int(self.storage.create_new_trial(self.id, template))

    # ------------------------------------------------------------------ evaluating it

    def evaluate(self, trial_id: int, scores: Scores) -> dict[str, Any] | None:
        """Score a trial fold by fold; its row, or None if another process had taken it for dead."""
        from optuna.exceptions import UpdateFinishedTrialError

        params = dict(self.storage.get_trial(trial_id).params)
        try:
            state, loss = self._folds(trial_id, params, scores)
            self.storage.set_trial_state_values(trial_id, state, [loss])
        except UpdateFinishedTrialError:
            return None
        except Exception as error:
            self._fail(trial_id, f"{type(error).__name__}: {error}")
            raise
        except BaseException:  # stopped by hand: to be tried again
            self._orphan(trial_id)
            raise
        return trial_row(self.storage.get_trial(trial_id))

    def _folds(self, trial_id: int, params: dict[str, Any], scores: Scores) -> tuple[Any, float]:
        losses: list[float] = []
        for fold, score in enumerate(scores(params)):
            if losses and self._behind(fold - 1, float(np.mean(losses))):
                return self.states.PRUNED, float(np.mean(losses))
            if not math.isfinite(score):
                msg = f"the score of fold {fold + 1} with {params} is {score}: no period of it was observed."
                raise InputDataError(msg)
            losses.append(-float(score))
            self.storage.set_trial_intermediate_value(trial_id, fold, float(np.mean(losses)))
        if not losses:
            msg = "there is no fold to score a trial on."
            raise UsageError(msg)
        return self.states.COMPLETE, float(np.mean(losses))

    def _behind(self, fold: int, loss: float) -> bool:
        """Whether a running mean is worse than the median of the complete trials' at the same fold."""
        complete = [trial for trial in self._all() if trial.state == self.states.COMPLETE]
        theirs = [t.intermediate_values[fold] for t in complete if fold in t.intermediate_values]
        return len(theirs) >= PRUNE_FROM and loss > float(np.median(theirs))

    # ------------------------------------------------------------------ what was found

    def result(self) -> Tuned:
        lasting = self._lasting(self._all())
        complete = [trial for trial in lasting if trial.state == self.states.COMPLETE]
        if not complete:
            failed = [t.user_attrs.get("reason") for t in self._all() if t.state == self.states.FAIL]
            msg = (
                f"no trial of {self.name!r} is complete: there is no best one. {(failed or [''])[-1]}".strip()
            )
            raise UsageError(msg)
        best = min(complete, key=lambda trial: (trial.value, trial.user_attrs["rank"]))
        return Tuned(
            dict(best.params),
            0.0 - float(best.value),
            len(best.intermediate_values),
            self._start_score(complete),
            trials_table(lasting),
            importance_table(complete, seed=self.seed),
        )

    def _start_score(self, complete: list[Any]) -> float:
        first = [trial for trial in complete if trial.user_attrs["rank"] == 0]
        return 0.0 - float(first[0].value) if first and self.start is not None else math.nan
