"""The model that a benchmark is about: named by its kind, or by a configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tranquillite_ml.config import MODEL_KINDS, RunConfig, load_config
from tranquillite_ml.errors import UsageError, nearest
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters import make_model
from tranquillite_ml.stages import make_features

if TYPE_CHECKING:
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.target import Target

ModelMaker = Callable[["Target"], "Forecaster | None"]


def model_maker(named: str = "lightgbm") -> ModelMaker:
    """Give what makes the model for a target, calibrated as it comes.

    Parameters
    ----------
    named : str, default "lightgbm"
        Kind of model, with its defaults; ``none`` for the ladder alone; or a configuration's path, whose
        model, features, layers of context and calibration are used.

    Raises
    ------
    UsageError
        If it is neither, or a feature needs a layer of context that the configuration does not name.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> model_maker("tabular")(Target("noise")).name
    'poisson'
    >>> model_maker("none")(Target("noise")) is None
    True
    """
    if named == "none":
        return lambda target: None
    if named in MODEL_KINDS:
        return lambda target: make_model(named, target, FeatureSet())
    if not Path(named).is_file():
        hint = nearest(named, MODEL_KINDS)
        msg = f"the model must be one of {list(MODEL_KINDS)} or a config's path, got {named!r}.{hint}"
        raise UsageError(msg)
    config = load_config(named)
    return lambda target: _of_config(config, target)


def _of_config(config: RunConfig, target: Target) -> Forecaster | None:
    if config.model.kind == "none":
        return None
    section = config.calibration
    return make_model(
        config.model.kind,
        target,
        make_features(config),
        random_state=config.seed,
        calibration_days=float(section.window.removesuffix("D")),
        strata=1 if section.strata == "none" else 5,
        **dict(config.model.params),
    )
