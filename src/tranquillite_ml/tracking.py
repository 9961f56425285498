"""Runs logged in MLflow: one parent and one child a fold, with the inputs' own digests.

Everything goes through a client with an explicit address: no active run, tracking address, logger or
environment variable of the caller is left changed, and nothing is printed.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from tranquillite_ml.config.words import HIDDEN, is_secret, redact
from tranquillite_ml.errors import TranquilliteError, UsageError

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
_SQLITE = "sqlite:///"
_DIGEST = 36  # what MLflow's column of dataset digests holds; the whole digest goes into the profile
_PER_BATCH = 100  # MLflow's limit for parameters and for tags
_SETTINGS = {  # quiet, and not patient for minutes; what the operator set wins
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",  # else a deleted store's file is kept open
}
_CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
_LOGGERS = ("mlflow", "alembic", "sqlalchemy", "urllib3")

DatasetLog = tuple[str, str, str, int]
"""Name, SHA-256, source and number of rows of an input."""
Measured = Mapping[str, float | None]
"""Metrics by name; what is None or not finite is left out."""


class TrackingError(TranquilliteError):
    """A run could not be logged; the run's own files are not touched by it."""


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


def default_uri(output: str | Path) -> str:
    """Address of the SQLite store that belongs to an output folder.

    Examples
    --------
    >>> default_uri("/data/runs")
    'sqlite:////data/runs/mlflow.db'

    Raises
    ------
    UsageError
        If MLflow could not write such a path in an address.
    """
    return _sqlite(Path(output) / DATABASE)


def log_run(
    *,
    uri: str,
    experiment: str,
    run_name: str,
    params: Mapping[str, str],
    metrics: Measured,
    datasets: Sequence[DatasetLog] = (),
    folds: Sequence[FoldLog] = (),
    artifacts: Sequence[tuple[Path, str]] = (),
    tags: Mapping[str, str] | None = None,
) -> str:
    """Log a run, its folds, inputs and files; give its MLflow run id.

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
    address = _Address.parse(uri)
    missing = [str(path) for path, _ in artifacts if not Path(path).exists()]
    if missing:
        msg = f"files to log do not exist: {missing[:5]}."
        raise UsageError(msg)
    with _mlflow(address) as client:
        experiment_id = _reach(client, address, experiment)
        shared = {"mlflow.source.name": "tranquillite_ml", **(tags or {})}
        digests = {f"dataset.{name}.sha256": digest for name, digest, _, _ in datasets}
        with _run(client, experiment_id, run_name, shared | digests) as run_id:
            _log_values(client, run_id, params, metrics)
            _log_datasets(client, run_id, datasets)
            for fold in folds:
                above = {**shared, "mlflow.parentRunId": run_id, "cutoff": fold.cutoff}
                with _run(client, experiment_id, fold.name, above) as child:
                    _log_values(client, child, {"cutoff": fold.cutoff}, fold.metrics)
            for path, folder in artifacts:
                log = client.log_artifacts if Path(path).is_dir() else client.log_artifact
                log(run_id, str(path), folder or None)
    return run_id


@dataclass(frozen=True)
class _Address:
    """An address without credentials, and the credentials as MLflow's environment variables."""

    uri: str
    credentials: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, uri: str) -> _Address:
        path = Path(uri.removeprefix(_SQLITE))
        if uri.startswith(_SQLITE) and path.name not in {"", ":memory:"}:
            return cls(_sqlite(path))
        with suppress(ValueError):
            if (parts := urlsplit(uri)).scheme in {"http", "https"} and parts.hostname:
                given = zip(_CREDENTIALS, (parts.username, parts.password), strict=True)
                host = parts.netloc.rpartition("@")[2]
                bare = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
                return cls(bare, {name: unquote(value) for name, value in given if value})
        msg = (
            f"tracking: uri must be sqlite:///FILE or http(s)://SERVER, got {redact(uri)!r}. A database is "
            "reached through `mlflow server`; `tracking: {uri: null}` uses the output folder's own store."
        )
        raise UsageError(msg)

    @property
    def database(self) -> Path | None:
        """File of a SQLite store."""
        return Path(self.uri.removeprefix(_SQLITE)) if self.uri.startswith(_SQLITE) else None

    def failed(self, error: BaseException) -> TrackingError:
        """Say what failed, without credentials, and how to mend it."""
        reason = " ".join(redact(str(error)).split()) or type(error).__name__
        reason = reason.replace(self.credentials.get(_CREDENTIALS[1], "\n"), HIDDEN)
        unheard = re.search(r"Max retries exceeded.*Caused by (\w+)", reason)
        reason = f"no answer ({unheard[1]})" if unheard else reason
        reason = reason[:300].rstrip(".")
        mend = (
            "Free the file, or set `output:` to a folder that can be written to."
            if self.database
            else "Start the server or correct `tracking: {uri: …}`; `tracking: {uri: null}` logs the run "
            "into the output folder's own store instead."
        )
        return TrackingError(f"MLflow at {self.uri} could not log the run: {reason}. {mend}")


def _sqlite(path: Path) -> str:
    found = path.resolve().as_posix()
    if set(found) & set("%?#"):
        msg = f"an MLflow store's path may not hold %, ? or #, got {found!r}: choose another `output:`."
        raise UsageError(msg)
    return f"{_SQLITE}{found}"


@contextmanager
def _mlflow(address: _Address) -> Iterator[MlflowClient]:
    """A quiet client; failures leave as `TrackingError`, and the process's settings are as before."""
    with _settings(_SETTINGS, address.credentials), warnings.catch_warnings(), _silence():
        from mlflow import MlflowClient

        try:
            _prepare(address)
            yield MlflowClient(tracking_uri=address.uri, registry_uri=address.uri)
        except TranquilliteError:
            raise
        except Exception as error:  # mlflow lets errors of requests and sqlalchemy through, too
            raise address.failed(error) from None  # its traceback may hold credentials


def _prepare(address: _Address) -> None:
    """See that a SQLite store can be opened (MLflow would retry for an hour), and make its tables."""
    if (path := address.database) is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with closing(sqlite3.connect(path, timeout=5)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
    if new:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        # MLflow remembers the stores it opened; one deleted since then has no tables.
        SqlAlchemyStore(address.uri, (path.parent / ARTIFACTS).as_uri())


def _reach(client: MlflowClient, address: _Address, experiment: str) -> str:
    """Id of the experiment, made if need be: the first question to a server, which must answer soon."""
    with _settings({"MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}):
        found = client.get_experiment_by_name(experiment)
    if found is None:
        path = address.database
        location = None if path is None else (path.parent / ARTIFACTS).as_uri()
        with suppress(Exception):  # another process may have made it in between: the next look tells
            return str(client.create_experiment(experiment, artifact_location=location))
        found = client.get_experiment_by_name(experiment)
    if found is None or found.lifecycle_stage != "active":
        msg = (
            f"the experiment {experiment!r} cannot be made, or was deleted, at {address.uri}: "
            "restore it, or set `tracking: {experiment: …}` to another name."
        )
        raise TrackingError(msg)
    return str(found.experiment_id)


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


def _log_values(client: MlflowClient, run_id: str, params: Mapping[str, str], metrics: Measured) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    finite = {
        name: float(value) for name, value in metrics.items() if value is not None and math.isfinite(value)
    }
    measured = [Metric(key, value, now, 0) for key, value in _named(finite).items()]
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
        key = base = re.sub(r"[^\w.\- ]", "_", name)[:240].strip(". ") or "_"
        number = 1
        while key in named:
            number += 1
            key = f"{base}_{number}"
        named[key] = value
    return named


@contextmanager
def _settings(defaults: Mapping[str, str], forced: Mapping[str, str] | None = None) -> Iterator[None]:
    """Environment variables for a while: defaults where the operator set none, and what the address says."""
    wanted = {name: value for name, value in defaults.items() if name not in os.environ} | dict(forced or {})
    before = {name: os.environ[name] for name in wanted if name in os.environ}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name in wanted:
            os.environ.pop(name, None)
        os.environ.update(before)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep MLflow and the libraries below it from logging, and leave their loggers as they were."""
    warnings.simplefilter("ignore")
    import mlflow  # noqa: F401 - its import sets levels of its own

    before = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
