"""Benchmarks: the weekly protocol, the ST-HSL tensor and the NIJ challenge, beside published figures."""

from tranquillite_ml.benchmarks.cities import City
from tranquillite_ml.benchmarks.models import model_maker
from tranquillite_ml.benchmarks.nij import WINDOWS, run_nij
from tranquillite_ml.benchmarks.sthsl import run_sthsl
from tranquillite_ml.benchmarks.tables import compare_methods, fold_table, read_reference, score_methods
from tranquillite_ml.benchmarks.weekly import run_weekly

__all__ = [
    "WINDOWS",
    "City",
    "compare_methods",
    "fold_table",
    "model_maker",
    "read_reference",
    "run_nij",
    "run_sthsl",
    "run_weekly",
    "score_methods",
]
