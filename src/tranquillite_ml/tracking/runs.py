"""Runs: one parent, and one child a fold or trial, with the inputs' own digests."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tranquillite_ml.config.words import HIDDEN, is_secret, redact
from tranquillite_ml.errors import UsageError
from tranquillite_ml.tracking.address import Address
from tranquillite_ml.tracking.store import mlflow_client, reach_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient

_DIGEST = 36  # what MLflow's column of dataset digests holds; the whole digest goes into the profile
_LONGEST = 240  # of a name; MLflow's limit is 250
_PER_BATCH = 100  # MLflow's limit for parameters and for tags

DatasetLog = tuple[str, str, str, int]
"""Name, SHA-256, source and number of rows of an input."""
Measured = Mapping[str, float | None]
"""Metrics by name; what is None or not finite is left out."""


@dataclass(frozen=True)
class FoldLog:
    """One fold of a backtest, as its child run shows it.

    Attributes
    ----------
    name : str
    cutoff : str
        Last instant whose reports were used.
    metrics : dict of str to float
        By model and score, such as ``lightgbm.log_score``.
    """

    name: str
    cutoff: str
    metrics: Measured = field(default_factory=dict)


@dataclass(frozen=True)
class TrialLog:
    """One trial of a study, as its child run shows it.

    Attributes
    ----------
    name : str
    state : str
        How it ended: complete or pruned.
    params : dict of str to str
    metrics : dict of str to float
    folds : sequence of float
        Running mean of the score after each fold.
    """

    name: str
    state: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Measured = field(default_factory=dict)
    folds: Sequence[float] = ()


def log_run(
    *,
    uri: str,
    experiment: str,
    run_name: str,
    params: Mapping[str, str],
    metrics: Measured,
    datasets: Sequence[DatasetLog] = (),
    folds: Sequence[FoldLog] = (),
    trials: Sequence[TrialLog] = (),
    artifacts: Sequence[tuple[Path, str]] = (),
    tags: Mapping[str, str] | None = None,
) -> str:
    """Log a run, its folds or trials, inputs and files; give its MLflow run id.

    Parameters
    ----------
    uri : str
        ``sqlite:///…`` (see `default_uri`) or ``http(s)://…``. Credentials in it are used, never shown.
    experiment, run_name : str
    params : mapping of str to str
        Values of keys such as ``password`` are hidden, whoever passed them.
    metrics : mapping of str to float
        Those that are None or not finite are left out.
    datasets : sequence of (name, digest, source, n_rows)
        The digest is our own SHA-256: MLflow's reads the first 10,000 rows only. MLflow shows its first
        36 characters; the tag ``dataset.<name>.sha256`` and the profile hold it whole.
    folds : sequence of FoldLog
        One child run each.
    trials : sequence of TrialLog
        One child run each.
    artifacts : sequence of (path, folder)
        A file goes into the folder, a directory becomes it; ``""`` is the top.
    tags : mapping of str to str, optional

    Raises
    ------
    UsageError
        If the address is of another kind, or a file does not exist.
    TrackingError
        If the store or server does not answer, or refuses.
    """
    address = Address.parse(uri)
    missing = [str(path) for path, _ in artifacts if not Path(path).exists()]
    if missing:
        msg = f"files to log do not exist: {missing[:5]}."
        raise UsageError(msg)
    with mlflow_client(address) as client:
        experiment_id = reach_experiment(client, address, experiment)
        shared = {"mlflow.source.name": "tranquillite_ml", **(tags or {})}
        digests = {f"dataset.{name}.sha256": digest for name, digest, _, _ in datasets}
        with _run(client, experiment_id, run_name, shared | digests) as run_id:
            _log_values(client, run_id, params, metrics)
            _log_datasets(client, run_id, datasets)
            for fold in folds:
                above = {**shared, "mlflow.parentRunId": run_id, "cutoff": fold.cutoff}
                with _run(client, experiment_id, fold.name, above) as child:
                    _log_values(client, child, {"cutoff": fold.cutoff}, fold.metrics)
            for trial in trials:
                above = {**shared, "mlflow.parentRunId": run_id, "state": trial.state}
                with _run(client, experiment_id, trial.name, above) as child:
                    _log_values(client, child, trial.params, trial.metrics, trial.folds)
            for path, folder in artifacts:
                log = client.log_artifacts if Path(path).is_dir() else client.log_artifact
                log(run_id, str(path), folder or None)
    return run_id


@contextmanager
def _run(client: MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    """A run that ends as finished, or as failed if anything goes wrong in it."""
    run = client.create_run(experiment_id, run_name=name, tags=_named(_texts(tags, 8000)))
    run_id = str(run.info.run_id)
    try:
        yield run_id
    except BaseException:
        with suppress(Exception):  # the first error is the one to tell
            client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")


def _log_values(
    client: MlflowClient,
    run_id: str,
    params: Mapping[str, str],
    metrics: Measured,
    steps: Sequence[float] = (),
) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    finite = {
        name: float(value) for name, value in metrics.items() if value is not None and math.isfinite(value)
    }
    measured = [Metric(key, value, now, 0) for key, value in _named(finite).items()]
    measured += [Metric("score_by_fold", value, now, step) for step, value in enumerate(steps, start=1)]
    given = [Param(key, value) for key, value in _named(_texts(params, 6000)).items()]
    for start in range(0, max(len(measured), len(given)), _PER_BATCH):
        part = slice(start, start + _PER_BATCH)
        client.log_batch(run_id, metrics=measured[part], params=given[part])


def _log_datasets(client: MlflowClient, run_id: str, datasets: Sequence[DatasetLog]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = []
    for name, digest, source, n_rows in datasets:
        remote = source.startswith(("http://", "https://"))
        kind, key = ("http", "url") if remote else ("local", "uri")
        place, profile = {key: redact(source)}, {"num_rows": n_rows, "sha256": digest}
        entity = Dataset(name, digest[:_DIGEST], kind, json.dumps(place), profile=json.dumps(profile))
        inputs.append(DatasetInput(entity, [InputTag("mlflow.data.context", "input")]))
    if inputs:
        client.log_inputs(run_id, inputs)


def _texts(values: Mapping[str, Any], longest: int) -> dict[str, str]:
    """Values as text that MLflow takes, without secrets: a second net under the configuration's own."""
    texts = {key: HIDDEN if is_secret(key) else str(redact(str(value))) for key, value in values.items()}
    return {key: text if len(text) <= longest else f"{text[: longest - 1]}…" for key, text in texts.items()}


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values under names that MLflow accepts; names that would then collide are numbered.

    Examples
    --------
    >>> _named({"lightgbm.PAI@1%": 3.0, "lightgbm.PAI@1§": 4.0})
    {'lightgbm.PAI_1_': 3.0, 'lightgbm.PAI_1__2': 4.0}
    """
    named: dict[str, Any] = {}
    for name, value in values.items():
        legal = re.sub(r"[^\w.\- ]", "_", name)
        # A long category's name is cut in its middle: the model and the measure come after it.
        short = legal if len(legal) <= _LONGEST else f"{legal[:120]}__{legal[122 - _LONGEST :]}"
        key = base = short.strip(". ") or "_"
        number = 1
        while key in named:
            number += 1
            key = f"{base}_{number}"
        named[key] = value
    return named
