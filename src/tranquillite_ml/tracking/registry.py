"""The registry: a model's versions, and the alias that says which one is in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tranquillite_ml.errors import UsageError
from tranquillite_ml.tracking.address import Address
from tranquillite_ml.tracking.store import mlflow_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL = "model"
"""Folder of the bundle among a run's artifacts."""


def move_alias(
    uri: str, name: str, alias: str, mlflow_run_id: str, tags: Mapping[str, str] | None = None
) -> str:
    """Point an alias at the model of a run, registered if it is not yet; give its version.

    Parameters
    ----------
    uri : str
        ``sqlite:///…`` or ``http(s)://…``.
    name, alias : str
        Of the registered model, and such as ``champion``.
    mlflow_run_id : str
        The run that logged the bundle.
    tags : mapping of str to str, optional
        Of the version: digests that the decision rests on.

    Raises
    ------
    UsageError
        If the run is not there or logged no model.
    TrackingError
        If the store or server does not answer, or refuses.
    """
    address = Address.parse(uri)
    with mlflow_client(address) as client:
        _reach_model(client, name)
        version = _find_version(client, name, mlflow_run_id)
        if version is None:
            source = _bundle_of(client, mlflow_run_id)
            made = client.create_model_version(name, source, mlflow_run_id, tags=dict(tags or {}))
            version = str(made.version)
        client.set_registered_model_alias(name, alias, version)
    return version


def alias_version(uri: str, name: str, alias: str) -> tuple[str, str] | None:
    """Version that an alias points at, and the MLflow run it is of; None if there is none."""
    address = Address.parse(uri)
    with mlflow_client(address) as client:
        found = [model for model in client.search_registered_models() if model.name == name]
        if not found or alias not in found[0].aliases:
            return None
        version = client.get_model_version_by_alias(name, alias)
        return str(version.version), str(version.run_id)


def _reach_model(client: MlflowClient, name: str) -> None:
    if all(model.name != name for model in client.search_registered_models(f"name = '{name}'")):
        client.create_registered_model(name)


def _find_version(client: MlflowClient, name: str, run_id: str) -> str | None:
    found = client.search_model_versions(f"name = '{name}'")
    return next((str(one.version) for one in found if one.run_id == run_id), None)


def _bundle_of(client: MlflowClient, run_id: str) -> str:
    logged = {item.path for item in client.list_artifacts(run_id)}
    if MODEL not in logged:
        msg = f"the MLflow run {run_id} holds no model: run the config with tracking first."
        raise UsageError(msg)
    return f"{client.get_run(run_id).info.artifact_uri}/{MODEL}"
