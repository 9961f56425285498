"""A run's configuration: YAML read strictly, checked, and written back."""

from tranquillite_ml.config.context import LayerConfig
from tranquillite_ml.config.run import RunConfig, find_config, load_config, ready_configs, shipped_files
from tranquillite_ml.config.sections import (
    AGENT_ORIGINS,
    EXTRA_BASELINES,
    EXTRA_FEATURE_BLOCKS,
    FEATURE_BLOCKS,
    MODEL_KINDS,
    ORIGINS,
    TABULAR_REGRESSORS,
    AuditConfig,
    BacktestConfig,
    CalibrationConfig,
    CategoryConfig,
    FeatureConfig,
    ForecastConfig,
    GovernanceConfig,
    GridConfig,
    GroupsConfig,
    IncidentsConfig,
    ModelConfig,
    TrackingConfig,
)
from tranquillite_ml.config.simulated import SimulateConfig
from tranquillite_ml.config.times import TimeConfig
from tranquillite_ml.config.tuning import TuningConfig

__all__ = [
    "AGENT_ORIGINS",
    "EXTRA_BASELINES",
    "EXTRA_FEATURE_BLOCKS",
    "FEATURE_BLOCKS",
    "MODEL_KINDS",
    "ORIGINS",
    "TABULAR_REGRESSORS",
    "AuditConfig",
    "BacktestConfig",
    "CalibrationConfig",
    "CategoryConfig",
    "FeatureConfig",
    "ForecastConfig",
    "GovernanceConfig",
    "GridConfig",
    "GroupsConfig",
    "IncidentsConfig",
    "LayerConfig",
    "ModelConfig",
    "RunConfig",
    "SimulateConfig",
    "TimeConfig",
    "TrackingConfig",
    "TuningConfig",
    "find_config",
    "load_config",
    "ready_configs",
    "shipped_files",
]
