"""The public names: sorted, documented, light to import."""

from __future__ import annotations

import subprocess
import sys

import tranquillite_ml as tq

HEAVY = (
    "lightgbm",
    "sklearn",
    "mlflow",
    "matplotlib",
    "geopandas",
    "shap",
    "optuna",
    "pandas",
    "scipy",
    "h3",
)


def test_names_are_sorted_and_resolve() -> None:
    assert list(tq.__all__) == sorted(tq.__all__)
    for name in tq.__all__:
        assert getattr(tq, name) is not None


def test_every_public_name_has_a_documented_example() -> None:
    without = [
        name
        for name in tq.__all__
        if name not in {"errors", "plots"} and ">>>" not in (getattr(tq, name).__doc__ or "")
    ]
    assert without == []


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, tranquillite_ml; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(tq, "predict_crime")
