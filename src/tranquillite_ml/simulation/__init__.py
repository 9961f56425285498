"""Simulation: what a forecast would do to its own records, and what unreported incidents do to it."""

from tranquillite_ml.simulation.feedback import (
    EXCLUDED,
    INCLUDED,
    MISFILED,
    WEIGHTED,
    Feedback,
    simulate_feedback,
)
from tranquillite_ml.simulation.null_data import NullLoop, simulate_null_loop
from tranquillite_ml.simulation.places import PlaceGroups, activity_quintiles
from tranquillite_ml.simulation.scenarios import Scenario, make_scenarios
from tranquillite_ml.simulation.underreporting import Displacement, simulate_underreporting
from tranquillite_ml.simulation.urn import Urn, simulate_urn, urn_table

__all__ = [
    "EXCLUDED",
    "INCLUDED",
    "MISFILED",
    "WEIGHTED",
    "Displacement",
    "Feedback",
    "NullLoop",
    "PlaceGroups",
    "Scenario",
    "Urn",
    "activity_quintiles",
    "make_scenarios",
    "simulate_feedback",
    "simulate_null_loop",
    "simulate_underreporting",
    "simulate_urn",
    "urn_table",
]
