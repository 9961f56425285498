"""Features: blocks that turn a panel into named columns."""

from tranquillite_ml.features.base import Column, FeatureBlock, View
from tranquillite_ml.features.calendar import Calendar
from tranquillite_ml.features.featureset import BLOCKS, FeatureSet
from tranquillite_ml.features.history import History
from tranquillite_ml.features.memory import Memory, Source, learn_memory
from tranquillite_ml.features.near_repeat import NearRepeat
from tranquillite_ml.features.neighbourhood import Neighbourhood
from tranquillite_ml.features.self_exciting import SelfExciting
from tranquillite_ml.features.smoothing import posterior_mean, smoothed_rate

__all__ = [
    "BLOCKS",
    "Calendar",
    "Column",
    "FeatureBlock",
    "FeatureSet",
    "History",
    "Memory",
    "NearRepeat",
    "Neighbourhood",
    "SelfExciting",
    "Source",
    "View",
    "learn_memory",
    "posterior_mean",
    "smoothed_rate",
]
