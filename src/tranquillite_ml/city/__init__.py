"""A simulated city whose true intensity is known: the demo's data, and the oracle for tests."""

from tranquillite_ml.city.simulated import NOTICE, TZ, SimulatedCity, simulate_city, simulate_white_noise

__all__ = ["NOTICE", "TZ", "SimulatedCity", "simulate_city", "simulate_white_noise"]
