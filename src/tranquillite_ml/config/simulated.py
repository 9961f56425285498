"""The section of a configuration that describes a simulated city, its layers of context and their effects."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from tranquillite_ml.config.values import (
    DayOrNone,
    FilePath,
    Number,
    Resolution,
    Section,
    Seed,
    Text,
    sorted_keys,
)
from tranquillite_ml.config.words import shown

Degrees = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Place = tuple[Degrees, Degrees]
Real = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Range = tuple[Real, Real]


def _check_identifier(value: str) -> str:
    if not value.isidentifier():
        msg = f"expected letters, digits and underscores, such as match_evening, got {shown(value)}."
        raise ValueError(msg)
    return value


Identifier = Annotated[Text, AfterValidator(_check_identifier)]


class EventsConfig(Section):
    """A simulated calendar of events; the arguments of ``simulate_events``."""

    places: Annotated[tuple[Place, ...], Field(min_length=1, description="[lat, lng] of each place")]
    per_week: Number = 0.5
    weekdays: tuple[Annotated[int, Field(strict=True, ge=0, le=6)], ...] = Field(
        default=tuple(range(7)), min_length=1, description="days allowed, Monday 0"
    )
    months: tuple[Annotated[int, Field(strict=True, ge=1, le=12)], ...] = Field(
        default=tuple(range(1, 13)), min_length=1, description="months allowed"
    )
    begins: int = Field(default=21, strict=True, ge=0, le=23, description="local hour")
    hours: Number = 2.0
    attendance: tuple[int, int] = Field(default=(1_000, 1_000), description="least and most")
    announced_days: int = Field(default=28, strict=True, ge=1, le=365)


class SpellsConfig(Section):
    """A simulated daily series, calm or in a spell; the arguments of ``simulate_spells``."""

    value: Identifier = Field(description="name of the series' numbers")
    share: Number = Field(default=0.25, description="share of days in a spell")
    mean_days: Number = Field(default=3.0, description="mean length of a spell")
    calm: Range = (10.0, 50.0)
    spell: Range = (60.0, 110.0)


class IssuesConfig(Section):
    """Simulated forecasts of a simulated series; the arguments of ``simulate_issues``."""

    of: Identifier = Field(description="the simulated series that is forecast")
    days_ahead: int = Field(default=7, strict=True, ge=1, le=60)
    error: Number = Field(default=0.1, description="logarithmic error of the first day's forecast")


class SimulatedLayerConfig(Section):
    """One simulated layer of context: events, spells, or forecasts of spells."""

    events: EventsConfig | None = None
    spells: SpellsConfig | None = None
    issues: IssuesConfig | None = None

    @model_validator(mode="after")
    def _one(self) -> SimulatedLayerConfig:
        if len([part for part in (self.events, self.spells, self.issues) if part is not None]) != 1:
            msg = "expected exactly one of `events`, `spells` and `issues`."
            raise ValueError(msg)
        return self


class EffectConfig(Section):
    """An effect of a layer, planted in the simulated city; the arguments of ``PlantedEffect``."""

    layer: Identifier = Field(description="a layer of `context`, or a simulated one")
    factors: Annotated[
        dict[Text, Number], Field(min_length=1, description="category: factor"), AfterValidator(sorted_keys)
    ]
    value: Text | None = Field(default=None, description="column of numbers of a series or calendar")
    above: Real | None = None
    below: Real | None = None
    radius_m: Number = 800.0
    margin_hours: Annotated[float, Field(ge=0, le=1000)] = 2.0


class SimulateConfig(Section):
    """A simulated city instead of files; the arguments of ``simulate_city``."""

    seed: Seed = 0
    start: DayOrNone = Field(default=None, description="first day")
    days: int = Field(default=730, strict=True, ge=1, le=36_500, description="length of the simulated record")
    incidents_per_day: Number = 60.0
    resolution: Resolution = 9
    radius_km: Number | None = Field(default=None, description="from the harbour to the city limits")
    area: FilePath | None = Field(default=None, description="polygons on which the city is laid instead")
    centre: Place | None = Field(default=None, description="[lat, lng] of the area's simulated centre")
    near_repeat: Annotated[float, Field(ge=0, le=2)] | None = Field(
        default=None, description="multiplies the number of near repeats; 0: none"
    )
    layers: Annotated[dict[Identifier, SimulatedLayerConfig], AfterValidator(sorted_keys)] = Field(
        default={}, description="simulated layers of context, by name"
    )
    effects: Annotated[dict[Identifier, EffectConfig], AfterValidator(sorted_keys)] = Field(
        default={}, description="planted effects of layers, by name"
    )

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of ``simulate_city`` but its effects; what is not stated keeps its default there.

        Examples
        --------
        >>> SimulateConfig(days=100, incidents_per_day=20).arguments()
        {'seed': 0, 'days': 100, 'incidents_per_day': 20.0, 'resolution': 9}
        """
        given = self.model_dump(exclude_none=True, exclude={"layers", "effects"})
        return given | ({} if self.start is None else {"start": self.start.isoformat()})
