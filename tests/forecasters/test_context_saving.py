"""Forecasters whose features are made of context: fitted, saved, and opened with the same layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tests.builders import make_panel
from tranquillite_ml.errors import BundleError
from tranquillite_ml.features import Calendar, Daylight, Events, FeatureSet, History, Places, Weather
from tranquillite_ml.forecasters import (
    EnsembleForecaster,
    Forecaster,
    LightGBMForecaster,
    PoissonForecaster,
    open_bundle,
)
from tranquillite_ml.intake import Context, read_context
from tranquillite_ml.target import Target

PANEL = make_panel(n_bins=200, rings=2)
TARGET = Target("noise", period=7)
LAT, LNG = (float(degrees) for degrees in PANEL.grid.centres.mean(axis=0))


def layers(days: int = 260, *, shift: float = 0.0) -> dict[str, Context]:
    rng = np.random.default_rng(0)
    told: dict[str, Any] = {"tz": "Europe/Paris"}
    dates = pd.date_range("2023-01-02", periods=500)[:days]
    warm = pd.DataFrame(
        {"date": dates, "tmax": (rng.normal(15, 5, 500) + shift * (np.arange(500) == 7))[:days]}
    )
    free = pd.DataFrame({"date": dates, "holiday": (np.arange(500) % 50 < 10)[:days]})
    start = dates[::14] + pd.Timedelta(hours=21)
    match = pd.DataFrame({"start": start, "end": start + pd.Timedelta(hours=2), "lat": LAT, "lng": LNG})
    bars = pd.DataFrame({"lat": LAT + rng.normal(0, 0.005, 30), "lng": LNG + rng.normal(0, 0.005, 30)})
    return {
        "weather": read_context(warm, kind="series", name="weather", **told),
        "school": read_context(free, kind="calendar", name="school", **told),
        "matches": read_context(match, kind="events", name="matches", known="28D before start", **told),
        "bars": read_context(bars, kind="points", name="bars", known="2022-01-01", **told),
    }


def features(context: dict[str, Context]) -> FeatureSet:
    return FeatureSet(
        [
            History(windows=(28,), decays=(), others=False),
            Weather(context["weather"], windows=[7]),
            Calendar(layers=[context["school"]]),
            Events(context["matches"]),
            Places(context["bars"]),
            Daylight(),
        ]
    )


def forecasters(context: dict[str, Context]) -> list[Forecaster]:
    boosted = LightGBMForecaster(TARGET, features(context), n_estimators=10, calibration_days=28)
    poisson = PoissonForecaster(TARGET, features(context), calibration_days=28)
    return [boosted, EnsembleForecaster(TARGET, [poisson, boosted], calibration_days=28)]


@pytest.mark.parametrize("number", [0, 1])
def test_opened_with_its_layers_a_model_forecasts_the_same(number: int, tmp_path: Path) -> None:
    fitted = forecasters(layers())[number].fit(PANEL)
    path = fitted.save(tmp_path / "model")
    expected = fitted.forecast(PANEL).expected_count
    assert open_bundle(path, context=layers()).forecast(PANEL).expected_count.tobytes() == expected.tobytes()
    # What came since is welcome; it was not known at the cutoff and changes nothing.
    assert (
        open_bundle(path, context=layers(400)).forecast(PANEL).expected_count.tobytes() == expected.tobytes()
    )
    with pytest.raises(BundleError, match="made of the layer of context 'weather'; none is given"):
        open_bundle(path)
    with pytest.raises(BundleError, match="'weather' has changed since the model was fitted"):
        open_bundle(path, context=layers(shift=0.5))
    again = open_bundle(path, context=layers()).save(tmp_path / "again")
    assert open_bundle(again, context=layers()).forecast(PANEL).expected_count.tobytes() == expected.tobytes()


def test_copies_share_the_layers() -> None:
    context = layers()
    copy = clone(forecasters(context)[0])
    assert copy.features.blocks[1].observed is context["weather"]


def test_a_description_names_its_layers_and_holds_none_of_their_rows() -> None:
    described = features(layers()).to_list()
    stamp = described[1]["weather"]["observed"]
    assert (stamp["name"], stamp["kind"], stamp["values"]) == ("weather", "series", ["tmax"])
    assert set(stamp) == {"name", "kind", "issued", "values", "known_until", "valid_until", "digest"}
    made = FeatureSet.from_list(described, layers())
    assert made.to_list() == described
