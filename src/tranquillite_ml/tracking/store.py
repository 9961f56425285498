"""A quiet MLflow client: a store that is opened soon or refused, and a process left as it was."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tranquillite_ml.errors import TranquilliteError
from tranquillite_ml.tracking.address import Address, TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

ARTIFACTS = "mlartifacts"
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
_LOGGERS = ("mlflow", "alembic", "sqlalchemy", "urllib3")


@contextmanager
def mlflow_client(address: Address) -> Iterator[MlflowClient]:
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


def _prepare(address: Address) -> None:
    """See that a SQLite store is whole and can be opened: MLflow would retry for an hour."""
    if (path := address.database) is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with _alone_in(path.parent):
            _make_tables(path)
    with closing(sqlite3.connect(path, timeout=5)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()


def _make_tables(path: Path) -> None:
    """Make a store under a temporary name: one that is half made can neither be used nor finished."""
    if path.exists():  # another process has made it in the meantime
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with TemporaryDirectory(prefix=".mlflow-", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        SqlAlchemyStore(f"sqlite:///{partial.as_posix()}", (path.parent / ARTIFACTS).as_uri())
        partial.replace(path)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for the same folder waiting; the end of a process lets go of it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for left in folder.glob(".mlflow-*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def reach_experiment(client: MlflowClient, address: Address, experiment: str) -> str:
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
