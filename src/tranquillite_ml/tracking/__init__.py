"""Runs logged in MLflow: one parent and one child a fold or trial, with the inputs' own digests.

Everything goes through a client with an explicit address: no active run, tracking address, logger or
environment variable of the caller is left changed, and nothing is printed.
"""

from tranquillite_ml.tracking.address import TrackingError, default_uri
from tranquillite_ml.tracking.registry import alias_version, move_alias
from tranquillite_ml.tracking.runs import DatasetLog, FoldLog, Measured, TrialLog, log_run

__all__ = [
    "DatasetLog",
    "FoldLog",
    "Measured",
    "TrackingError",
    "TrialLog",
    "alias_version",
    "default_uri",
    "log_run",
    "move_alias",
]
