"""RunConfig: one run described in YAML, checked before anything is read. Unknown keys are refused by name.

A configuration is frozen, and equal configurations have equal digests whatever the order of their keys: what
is declared is what runs. The ready ones (`ready_configs`) are commented and meant to be copied.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from tranquillite_ml.config.context import Layers
from tranquillite_ml.config.sections import (
    AGENT_ORIGINS,
    FEATURE_BLOCKS,
    AuditConfig,
    BacktestConfig,
    BaselineName,
    CalibrationConfig,
    FeatureConfig,
    FeatureList,
    ForecastConfig,
    GovernanceConfig,
    GridConfig,
    IncidentsConfig,
    ModelConfig,
    TrackingConfig,
)
from tranquillite_ml.config.strict_yaml import ConfigSource, apply_overrides, parse_yaml, read_yaml, to_yaml
from tranquillite_ml.config.times import TimeConfig
from tranquillite_ml.config.tuning import TuningConfig
from tranquillite_ml.config.values import FilePath, RunName, Section, Seed
from tranquillite_ml.config.words import KeyProblem, explain_errors, flatten, redact, shown
from tranquillite_ml.errors import ConfigError, nearest

_NOT_RUNS = ("thresholds", "governance")  # files beside the ready configs that do not describe a run
_OUTSIDE_DIGEST = ("output", "tracking", "tuning")  # they change nothing that a run says


_DEFAULT_FEATURES = tuple(FeatureConfig(name=name) for name in FEATURE_BLOCKS)


class RunConfig(Section):
    """Everything that decides a run, checked and frozen.

    Read one with `load_config`, or build one in a notebook with `from_dict`. Keys left out have the defaults
    of the sections' classes; a section left empty is a section left out.

    Examples
    --------
    >>> config = RunConfig.from_dict({
    ...     "name": "try",
    ...     "incidents": {"simulate": {"days": 400}, "categories": {"damage": ["damage"]}},
    ...     "forecast": {"period": 7},
    ... })
    >>> config.grid.resolution, config.backtest.every, config.incidents.simulate.days
    (9, '28D', 400)
    >>> RunConfig.from_yaml(config.to_yaml()) == config
    True
    """

    name: RunName = Field(description="the run's name")
    seed: Seed = 0
    incidents: IncidentsConfig = Field(description="where the recorded incidents are")
    context: Layers = Field(default={}, description="the city's other records, by name")
    grid: GridConfig = GridConfig()
    time: TimeConfig = TimeConfig()
    forecast: ForecastConfig = Field(description="what is forecast, such as {period: 7, horizons: [1]}")
    features: FeatureList = Field(default=_DEFAULT_FEATURES, description="feature blocks")
    model: ModelConfig = ModelConfig()
    baselines: tuple[BaselineName, ...] = Field(default=(), description="baselines in addition to the ladder")
    backtest: BacktestConfig = BacktestConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    audit: AuditConfig | None = None
    governance: GovernanceConfig | None = None
    tuning: TuningConfig = TuningConfig()
    tracking: TrackingConfig = TrackingConfig()
    output: FilePath = Field(default="runs", description="the folder of all runs")

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {k: v for k, v in values.items() if v is not None or k not in cls.model_fields}

    @model_validator(mode="after")
    def _no_agent_target(self) -> RunConfig:
        for target, category in self.incidents.categories.items():
            if category.origin in AGENT_ORIGINS and self.governance is None:
                msg = (
                    f"records of origin {category.origin} follow enforcement, and a forecast of them would "
                    "return it as demand. Leave the category as context; a target needs a waiver in a "
                    "governance file (governance: {path: governance.yaml})."
                )
                raise KeyProblem(("incidents", "categories", target), msg)
        return self

    @model_validator(mode="after")
    def _layers_are_there(self) -> RunConfig:
        section = self.incidents.simulate
        simulated = {} if section is None else section.layers
        where = ("incidents", "simulate")
        for name in sorted(set(simulated) & set(self.context)):
            raise KeyProblem((*where, "layers", name), "this is also a layer of `context`. Rename one.")
        for name, entry in simulated.items():
            spells = [other for other, layer in simulated.items() if layer.spells is not None]
            if entry.issues is not None and entry.issues.of not in spells:
                hint = nearest(entry.issues.of, spells)
                msg = f"{shown(entry.issues.of)} is no simulated series of spells.{hint}"
                raise KeyProblem((*where, "layers", name, "issues", "of"), msg)
        there = [*simulated, *self.context]
        for name, effect in ({} if section is None else section.effects).items():
            if effect.layer not in there:
                msg = f"{shown(effect.layer)} is no layer; there are {there}.{nearest(effect.layer, there)}"
                raise KeyProblem((*where, "effects", name, "layer"), msg)
        return self

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], name: str = "config") -> RunConfig:
        """Check nested plain values; `name` is what error messages call them.

        Raises
        ------
        ConfigError
            Naming each key, what was expected, what came, and the nearest known key.
        """
        return cls.from_source(ConfigSource(dict(values), {}, name))

    @classmethod
    def from_yaml(cls, text: str, name: str = "text", overrides: Sequence[str] = ()) -> RunConfig:
        r"""Check a YAML text, with ``key.path=value`` overrides laid over it.

        Raises
        ------
        ConfigError
            As `from_dict`, with the line.

        Examples
        --------
        >>> RunConfig.from_yaml("name: try\ngrid: {resolutoin: 9}")
        Traceback (most recent call last):
        tranquillite_ml.errors.ConfigError: text has 3 problems: ...
          text, line 2: unknown key 'resolutoin' in grid. Did you mean 'resolution'? ...
        """
        return cls.from_source(apply_overrides(parse_yaml(text, name), overrides))

    @classmethod
    def from_source(cls, source: ConfigSource) -> RunConfig:
        """Check values that know where they were written; see `from_yaml` and `load_config`."""
        try:
            return cls.model_validate(source.values)
        except ValidationError as error:
            raise explain_errors(error, cls, source.name, source.where) from None

    def to_dict(self) -> dict[str, Any]:
        """Every key, defaults included, as plain values: what `from_dict` reads back."""
        return self.model_dump(mode="json", by_alias=True)

    def to_yaml(self, *, hide_secrets: bool = False) -> str:
        """Every key, defaults included, as YAML; with `hide_secrets`, passwords and tokens become ``***``."""
        values = self.to_dict()
        return to_yaml(redact(values) if hide_secrets else values)

    def digest(self) -> str:
        """SHA-256 of what decides the results: all keys but `output`, `tracking`, `tuning`; in any order.

        Examples
        --------
        >>> config = load_config("smoke")
        >>> config.digest() == load_config("smoke", ["output=elsewhere"]).digest()
        True
        >>> config.digest() == load_config("smoke", ["seed=1"]).digest()
        False
        """
        values = {k: v for k, v in self.to_dict().items() if k not in _OUTSIDE_DIGEST}
        if self.incidents.query is not None:  # who asks changes nothing that is read
            address = re.sub("://.*@", "://", str(self.incidents.path), flags=re.DOTALL)
            values["incidents"]["path"] = redact(address)
        canonical = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def flat(self) -> dict[str, str]:
        """Dotted keys and text values for MLflow's parameters; secrets are hidden.

        Examples
        --------
        >>> flat = load_config("stlouis").flat()
        >>> flat["grid.resolution"], flat["incidents.categories.larceny.origin"], flat["forecast.horizons"]
        ('9', 'citizen', '[1]')
        """
        return flatten(self.to_dict())


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run's configuration from a file or a ready config's name.

    Parameters
    ----------
    path : str or Path
        A YAML file, or the name of a ready config such as ``"demo"``.
    overrides : sequence of str
        Settings such as ``"grid.resolution=8"``, laid over the file in their order.

    Raises
    ------
    ConfigError
        Naming the file, the line, the key, what was expected, and the nearest known key.

    Examples
    --------
    >>> load_config("stlouis", ["grid.resolution=8"]).grid.resolution
    8
    >>> load_config("stlouis", ["grid.resolution=11"])
    Traceback (most recent call last):
    tranquillite_ml.errors.ConfigError: stlouis, --set grid.resolution: expected ... at most 10 ...
    """
    found = find_config(path)
    return RunConfig.from_source(apply_overrides(read_yaml(found, str(path)), overrides))


def ready_configs() -> dict[str, Path]:
    """The configurations that ship with the package, by name.

    Examples
    --------
    >>> sorted(ready_configs())
    ['chicago', 'demo', 'houston', 'marseille', 'portland', 'smoke', 'stlouis', 'vancouver']
    """
    return {name: file for name, file in shipped_files().items() if name not in _NOT_RUNS}


def shipped_files() -> dict[str, Path]:
    """Every YAML file that ships with the package: the ready configurations, thresholds and governance.

    Examples
    --------
    >>> set(shipped_files()) - set(ready_configs()) == {"governance", "thresholds"}
    True
    """
    here = Path(__file__).resolve()
    # In a wheel the folder is inside the package; in an editable checkout it is the repository's.
    folder = next((f for f in (here.parents[1] / "configs", here.parents[3] / "configs") if f.is_dir()), None)
    files = sorted(folder.glob("*.yaml")) if folder is not None else []
    return {file.stem: file for file in files}


def find_config(name_or_path: str | Path) -> Path:
    """The file of a configuration, given its path or the name of a ready one. An existing file comes first.

    Raises
    ------
    ConfigError
        If there is neither such a file nor such a ready config.

    Examples
    --------
    >>> find_config("demo").name
    'demo.yaml'
    """
    path, ready = Path(name_or_path), ready_configs()
    try:
        if path.exists() and not path.is_dir():
            return path
    except OSError as error:
        msg = f"{shown(str(path))}: the configuration cannot be read ({error.strerror})."
        raise ConfigError(msg) from error
    if str(name_or_path) in ready:
        return ready[str(name_or_path)]
    what = "is a folder" if path.is_dir() else "does not exist"
    msg = (
        f"{name_or_path}: expected a YAML file or a ready config's name, but this {what}."
        f"{nearest(path.stem, ready)} Ready configs: {', '.join(ready)}."
    )
    raise ConfigError(msg)
