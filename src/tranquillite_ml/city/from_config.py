"""The simulated city of a configuration, and its layers of context, simulated ones included."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from tranquillite_ml.city.effects import PlantedEffect
from tranquillite_ml.city.layers import simulate_events, simulate_issues, simulate_spells
from tranquillite_ml.city.simulate import simulate_city
from tranquillite_ml.city.simulated import TZ
from tranquillite_ml.errors import UsageError
from tranquillite_ml.intake.context_layers import read_layers

if TYPE_CHECKING:
    from tranquillite_ml.city.simulated import SimulatedCity
    from tranquillite_ml.config import RunConfig, SimulateConfig
    from tranquillite_ml.intake import Context


def city_of(config: RunConfig) -> SimulatedCity:
    """Simulate the city of a configuration, with the effects that it plants.

    Raises
    ------
    UsageError
        If the configuration reads incidents from files, or an effect cannot be planted.
    InputDataError
        If the area or a layer cannot be used.

    Examples
    --------
    >>> from tranquillite_ml.config import load_config
    >>> city_of(load_config("smoke", ["incidents.simulate.days=30"])).hours[0]
    Timestamp('2022-01-01 00:00:00+0100', tz='Europe/Paris')
    """
    section = config.incidents.simulate
    if section is None:
        msg = f"{config.name}: incidents are read from {config.incidents.path}; no city is simulated."
        raise UsageError(msg)
    layers = layers_of(config) if section.effects else {}
    effects = []
    for name, entry in section.effects.items():
        given = entry.model_dump()
        effects.append(PlantedEffect(name, layers[given.pop("layer")], **given))
    return simulate_city(**section.arguments(), effects=effects)


def layers_of(config: RunConfig) -> dict[str, Context]:
    """Read the layers of a configuration and simulate those of its simulated city, by name.

    Raises
    ------
    InputDataError
        If a layer cannot be used; see `read_context`.
    UsageError
        If a simulated layer cannot be drawn as it is described.

    Examples
    --------
    >>> from tranquillite_ml.config import load_config
    >>> layers_of(load_config("smoke", ["incidents.simulate.layers={wind: {spells: {value: gust_kmh}}}"]))
    {'wind': Context('wind': series, 300 rows, 2022-01-01 to 2022-10-27)}
    """
    section = config.incidents.simulate
    read = read_layers(config, config.incidents.tz or TZ)
    return read if section is None else read | _simulated(section)


def _simulated(section: SimulateConfig) -> dict[str, Context]:
    kept = section.model_dump_json(include={"seed", "start", "days", "layers"}, exclude_none=True)
    return dict(_drawn(kept))


@lru_cache(maxsize=8)
def _drawn(described: str) -> tuple[tuple[str, Context], ...]:
    """Layers by name, drawn once; forecasts last, as they are of others."""
    told = json.loads(described)
    layers = told.pop("layers")
    seed = told["seed"]
    found: dict[str, Context] = {}
    for name, entry in layers.items():
        if "events" in entry:
            found[name] = simulate_events(name, **told, **entry["events"])
        elif "spells" in entry:
            found[name] = simulate_spells(name, **told, **entry["spells"])
    for name, entry in layers.items():
        if "issues" in entry:
            given = entry["issues"]
            found[name] = simulate_issues(found[given.pop("of")], name, seed=seed, **given)
    return tuple(sorted(found.items()))
