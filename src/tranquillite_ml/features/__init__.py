"""Features: blocks that turn a panel into named columns."""

from tranquillite_ml.features.area import Area
from tranquillite_ml.features.base import Column, FeatureBlock, View
from tranquillite_ml.features.calendar import Calendar
from tranquillite_ml.features.daylight import Daylight
from tranquillite_ml.features.events import Events
from tranquillite_ml.features.featureset import BLOCKS, FeatureSet
from tranquillite_ml.features.history import History
from tranquillite_ml.features.memory import Memory, Source, learn_memory
from tranquillite_ml.features.near_repeat import NearRepeat
from tranquillite_ml.features.neighbourhood import Neighbourhood
from tranquillite_ml.features.overlay import street_km
from tranquillite_ml.features.places import Places
from tranquillite_ml.features.self_exciting import SelfExciting
from tranquillite_ml.features.smoothing import posterior_mean, smoothed_rate
from tranquillite_ml.features.weather import Weather

__all__ = [
    "BLOCKS",
    "Area",
    "Calendar",
    "Column",
    "Daylight",
    "Events",
    "FeatureBlock",
    "FeatureSet",
    "History",
    "Memory",
    "NearRepeat",
    "Neighbourhood",
    "Places",
    "SelfExciting",
    "Source",
    "View",
    "Weather",
    "learn_memory",
    "posterior_mean",
    "smoothed_rate",
    "street_km",
]
