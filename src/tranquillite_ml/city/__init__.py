"""A simulated city whose true intensity is known: the demo's data, and the oracle for tests."""

from tranquillite_ml.city.effects import PlantedEffect
from tranquillite_ml.city.from_config import city_of, layers_of
from tranquillite_ml.city.layers import simulate_events, simulate_issues, simulate_spells
from tranquillite_ml.city.simulate import simulate_city, simulate_white_noise
from tranquillite_ml.city.simulated import NOTICE, TZ, SimulatedCity

__all__ = [
    "NOTICE",
    "TZ",
    "PlantedEffect",
    "SimulatedCity",
    "city_of",
    "layers_of",
    "simulate_city",
    "simulate_events",
    "simulate_issues",
    "simulate_spells",
    "simulate_white_noise",
]
