"""The model a benchmark is about: by kind, or as a configuration describes it, its layers of context too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tranquillite_ml.benchmarks.models import model_maker
from tranquillite_ml.config import load_config
from tranquillite_ml.errors import UsageError
from tranquillite_ml.target import Target

TARGET = Target("noise", period=7)


def written(folder: Path, **more: Any) -> str:
    """A configuration with a layer of weather, as a file."""
    rows = pd.DataFrame({"date": pd.date_range("2021-06-01", periods=9), "tmax": 20.0})
    rows.to_csv(folder / "weather.csv", index=False)
    values = load_config("smoke").to_dict() | {
        "model": {"kind": "poisson", "params": {"ridge": 3.0}},
        "features": ["history", {"weather": {"observed": "weather", "windows": [7]}}],
        "context": {
            "weather": {
                "path": str(folder / "weather.csv"),
                "kind": "series",
                "known": "6h after end",
                "columns": {},
            }
        },
    }
    from tranquillite_ml.config.strict_yaml import to_yaml

    path = folder / "config.yaml"
    path.write_text(to_yaml(values | more), encoding="utf-8")
    return str(path)


def test_a_configuration_brings_its_layers_of_context(tmp_path: Path) -> None:
    model: Any = model_maker(written(tmp_path))(TARGET)
    assert (model.name, model.ridge, model.target) == ("poisson", 3.0, TARGET)
    weather = model.features.blocks[1]
    assert weather.family == "weather"
    assert weather.params()["observed"].table["tmax"].tolist() == [20.0] * 9


def test_a_layer_that_is_not_named_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, context={})
    with pytest.raises(UsageError, match="made of the layer of context 'weather'; none is given"):
        model_maker(path)(TARGET)


def test_neither_a_kind_nor_a_file_is_told() -> None:
    with pytest.raises(UsageError, match="Did you mean 'lightgbm'"):
        model_maker("lightgmb")
