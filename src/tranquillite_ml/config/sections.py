"""The sections of a run's configuration: their keys, their defaults, and what each value must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    model_serializer,
    model_validator,
)

from tranquillite_ml.config.simulated import SimulateConfig
from tranquillite_ml.config.times import IntervalConfig
from tranquillite_ml.config.values import (
    DayOrNone,
    Days,
    FilePath,
    Number,
    Resolution,
    Section,
    Text,
    TimeZone,
    sorted_keys,
)
from tranquillite_ml.config.words import KeyProblem, shown
from tranquillite_ml.errors import check_in, nearest

FEATURE_BLOCKS = ("history", "neighbourhood", "near_repeat", "calendar")
LAYER_BLOCKS = ("weather", "events", "places", "area")
"""Blocks made of a layer of context, which may come once a layer."""
EXTRA_FEATURE_BLOCKS: tuple[str, ...] = ("self_exciting", "daylight", *LAYER_BLOCKS)
"""Blocks that a configuration can name, but that are not part of the default."""
MODEL_KINDS = (
    "lightgbm",
    "learned_count",
    "poisson",
    "negative_binomial",
    "additive",
    "ensemble",
    "tabular",
    "none",
)
TABULAR_REGRESSORS = ("poisson", "hist_gradient_boosting")
EXTRA_BASELINES: tuple[str, ...] = (
    "additive",
    "hawkes",
    "kde",
    "learned_count",
    "negative_binomial",
    "poisson",
    "prospective",
    "retrospective",
)
"""Baselines that can be added to the ladder. The ladder itself is always there and is not listed."""

Origin = Literal["citizen", "sensor", "agent", "arrest", "fine", "inspection", "unknown"]
ORIGINS: tuple[str, ...] = get_args(Origin)
AGENT_ORIGINS = ("agent", "arrest", "fine", "inspection")
"""Origins whose records follow enforcement: never a target or a feature without a waiver."""

Column = Literal[
    "incident_id", "occurred_at", "occurred_from", "occurred_to", "reported_at", "lat", "lng", "category"
]

DATABASES = ("postgresql", "sqlite")
"""Kinds of databases that incidents are read from."""


def _check_kind(value: str) -> str:
    return check_in(value, MODEL_KINDS, "a model's kind")


def _check_baseline(value: str) -> str:
    return check_in(value, EXTRA_BASELINES, "an added baseline")


def _check_source(value: str) -> str:
    kind = value.partition("://")[0] if "://" in value else None
    if kind is not None and kind.partition("+")[0] not in DATABASES:
        told = f"databases of kind {' and '.join(DATABASES)} are read"
        how = "`tranquillite fetch` brings a portal's data to a file" if kind.startswith("http") else told
        msg = f"expected a file, a glob or a database's address, got {shown(value)}: {how}."
        raise ValueError(msg)
    return value


def _to_values(value: object) -> object:
    """One value or a list of values, as a tuple."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(v, bool | int | float | str) for v in values):
        msg = f"expected a value or a list of values to keep, got {shown(value)}."
        raise ValueError(msg)
    return tuple(values)


def _to_category(value: object) -> object:
    """The short form ``[larceny]`` as ``{from: [larceny]}``."""
    if isinstance(value, list | tuple):
        return {"from": value}
    if isinstance(value, str):
        msg = f"expected a list of the file's categories, such as [{value}], got {shown(value)}."
        raise ValueError(msg)
    return value


def _to_feature(value: object) -> object:
    """``history`` or ``{neighbourhood: {rings: 2}}`` as a name with parameters."""
    if isinstance(value, FeatureConfig):
        return value
    entry = {value: None} if isinstance(value, str) else value
    if not isinstance(entry, Mapping) or len(entry) != 1:
        msg = f"expected a block's name or one block with parameters (rings: 2), got {shown(value)}."
        raise ValueError(msg)
    [(name, params)] = entry.items()
    check_in(str(name), (*FEATURE_BLOCKS, *EXTRA_FEATURE_BLOCKS), "a feature block")
    if not isinstance(params, Mapping | None):
        msg = f"expected the parameters of {name} as a mapping such as {{rings: 2}}, got {shown(params)}."
        raise ValueError(msg)
    return {"name": name, "params": params or {}}


SourcePath = Annotated[Text, AfterValidator(_check_source)]
Query = Annotated[str, Field(strict=True, min_length=1, max_length=20_000)]
BaselineName = Annotated[Text, AfterValidator(_check_baseline)]


class CategoryConfig(Section):
    """One target: the file's categories it is made of, and who makes such records (None: unknown)."""

    from_: Annotated[
        tuple[Text, ...], Field(alias="from", min_length=1, description="categories of the file")
    ]
    origin: Origin | None = Field(default=None, description="who makes the record")


class IncidentsConfig(Section):
    """Where the recorded incidents are and how their columns and categories are read."""

    path: SourcePath | None = Field(default=None, description="a file, a glob or a database's address")
    query: Query | None = Field(default=None, description="one SELECT, if the path is a database's address")
    simulate: SimulateConfig | None = Field(default=None, description="a simulated city instead of a path")
    tz: TimeZone | None = Field(default=None, description="the city's time zone")
    columns: dict[Column, Text] = Field(default={}, description="our name: the file's column")
    categories: Annotated[
        dict[Text, Annotated[CategoryConfig, BeforeValidator(_to_category)]],
        Field(min_length=1, description="what is forecast; all others are context"),
        AfterValidator(sorted_keys),
    ]
    origins: Annotated[dict[Text, Origin], AfterValidator(sorted_keys)] = Field(
        default={}, description="category of the file: who makes such records"
    )
    where: dict[Text, Annotated[tuple[bool | int | float | str, ...], BeforeValidator(_to_values)]] = Field(
        default={}, description="column: value, or list of values, to keep"
    )
    drop_columns: tuple[Text, ...] = Field(default=(), description="columns that are never loaded")
    time_format: Text | None = Field(default=None, description="such as %d/%m/%Y %H:%M")
    interval: IntervalConfig = IntervalConfig()
    placeholder_times: Literal["keep", "spread", "quarantine"] = Field(
        default="keep", description="what happens to rows whose time of day stands for unknown"
    )
    duplicates: Literal["flag", "drop", "keep"] = Field(
        default="keep", description="what happens to exact duplicates"
    )
    keep_coordinates: bool = Field(
        default=False, strict=True, description="store coordinates of refused rows as they are"
    )

    @model_validator(mode="after")
    def _one_source(self) -> IncidentsConfig:
        if (self.path is None) == (self.simulate is None):
            msg = "expected exactly one of `path` (files) and `simulate` (a simulated city)."
            raise ValueError(msg)
        if self.path is not None and self.tz is None:
            msg = "expected the city's time zone, such as Europe/Paris: without it, times mean nothing."
            raise KeyProblem(("tz",), msg)
        is_database = self.path is not None and "://" in self.path
        if is_database != (self.query is not None):
            msg = "a database's address in `path` and one SELECT in `query` go together."
            raise KeyProblem(("query",), msg)
        for key in ("tz", "columns", "where", "drop_columns", "time_format"):
            if self.simulate is not None and getattr(self, key):
                msg = "this is about files and says nothing about a simulated city. Leave it out."
                raise KeyProblem((key,), msg)
        return self

    @model_validator(mode="after")
    def _said_once(self) -> IncidentsConfig:
        owner: dict[str, str] = {}
        for target, category in self.categories.items():
            for name in category.from_:
                if name in owner:
                    msg = f"the file's category {shown(name)} is already part of {shown(owner[name])}."
                    raise KeyProblem(("categories", target), msg)
                owner[name] = target
        for name in self.origins:
            if name in owner or name in self.categories:
                where = f"`categories.{owner.get(name, name)}`"
                raise KeyProblem(("origins", name), f"origins are for context categories; see {where}.")
        for name in self.drop_columns:
            if name in self.columns.values():
                msg = f"the column {shown(name)} is also in `columns`. Keep one."
                raise KeyProblem(("drop_columns",), msg)
        return self


class GridConfig(Section):
    """Which cells are forecast. By default those active before the first cutoff, dilated by one ring."""

    resolution: Resolution = 9
    study_area: FilePath | None = Field(default=None, description="a polygon file: the cells inside it")
    cells: FilePath | None = Field(default=None, description="a Parquet or CSV file with a column `cell`")
    study_area_km2: Number | None = Field(default=None, description="area by which coverage is measured")
    dilate: int = Field(default=1, strict=True, ge=0, le=50, description="rings added around active cells")

    @model_validator(mode="after")
    def _one_area(self) -> GridConfig:
        if self.study_area is not None and self.cells is not None:
            msg = "expected at most one of `study_area` (a polygon) and `cells` (a list of cells)."
            raise ValueError(msg)
        return self


class ForecastConfig(Section):
    """How many bins make one forecast, and how many such periods ahead are forecast."""

    period: int = Field(strict=True, ge=1, le=10_000, description="time bins summed into one forecast")
    horizons: tuple[Annotated[int, Field(strict=True, ge=1, le=1000)], ...] = Field(
        default=(1,), min_length=1, description="periods ahead, counted from 1"
    )

    @model_validator(mode="after")
    def _increasing(self) -> ForecastConfig:
        if list(self.horizons) != sorted(set(self.horizons)):
            msg = f"expected `horizons` in increasing order, each once, got {list(self.horizons)}."
            raise ValueError(msg)
        return self


class FeatureConfig(Section):
    """A feature block by name, with its parameters."""

    name: str
    params: dict[str, JsonValue] = Field(default={})

    @model_serializer
    def _short(self) -> str | dict[str, Any]:
        return {self.name: self.params} if self.params else self.name


def _each_once(blocks: tuple[FeatureConfig, ...]) -> tuple[FeatureConfig, ...]:
    names = [block.name for block in blocks]
    for i, name in enumerate(names):
        if name in names[:i] and name not in LAYER_BLOCKS:
            msg = f"the feature block {name} is listed more than once. Keep one, with its parameters."
            raise ValueError(msg)
    return blocks


FeatureEntry = Annotated[FeatureConfig, BeforeValidator(_to_feature)]
FeatureList = Annotated[tuple[FeatureEntry, ...], Field(min_length=1), AfterValidator(_each_once)]


class ModelConfig(Section):
    """The model beside the baseline ladder; ``none`` runs the ladder alone."""

    kind: Annotated[Text, AfterValidator(_check_kind)] = "lightgbm"
    params: dict[str, JsonValue] = Field(default={}, description="parameters of the model")

    @model_validator(mode="after")
    def _known(self) -> ModelConfig:
        regressor = self.params.get("regressor", "none")
        if self.kind == "tabular" and regressor not in TABULAR_REGRESSORS:
            hint = nearest(str(regressor), TABULAR_REGRESSORS)
            msg = f"expected one of {', '.join(TABULAR_REGRESSORS)}, got {shown(regressor)}.{hint}"
            raise KeyProblem(("params", "regressor"), msg)
        if self.kind == "none" and self.params:
            raise KeyProblem(("params",), "the ladder alone (kind: none) has no parameters.")
        if self.params.get("linear_tree"):
            msg = "not accepted: forecasts of linear trees cannot be explained exactly. Leave it out."
            raise KeyProblem(("params", "linear_tree"), msg)
        return self


class BacktestConfig(Section):
    """The cutoffs a model is judged at. Without `first_cutoff`, the latest that the data allow."""

    folds: int = Field(default=13, strict=True, ge=1, le=1000, description="number of cutoffs")
    every: Days = "28D"
    first_cutoff: DayOrNone = None
    refit: Literal["never", "every_fold"] = Field(
        default="never", description="when the model is fitted anew"
    )


class CalibrationConfig(Section):
    """The window, after training and before the cutoff, on which rates are recalibrated."""

    window: Days = "60D"
    strata: Literal["activity", "none"] = Field(
        default="activity", description="groups of cells with their own factor"
    )
    refresh: Literal["every_fold", "never"] = Field(
        default="every_fold", description="when the factors are learnt anew"
    )


class GroupsConfig(Section):
    """Areas and the column that groups them, for the audit only: never a feature."""

    path: FilePath
    column: Text
    residents: Text | None = Field(default=None, description="column with the residents of each area")
    households: Text | None = Field(default=None, description="column with the households of each area")
    quantiles: int | None = Field(
        default=None, strict=True, ge=2, le=20, description="groups into which a number such as income is cut"
    )


class AuditConfig(Section):
    """What the audit compares."""

    groups: GroupsConfig | None = None


class GovernanceConfig(Section):
    """The file that says who answers for this run, and which waivers hold."""

    path: FilePath


class TrackingConfig(Section):
    """Where runs are recorded; without `uri`, in a local SQLite store of the output folder."""

    uri: Text | None = Field(default=None, description="an MLflow tracking address")
    experiment: Text = "tranquillite"
