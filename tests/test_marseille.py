"""Marseille as it is ready to run, made small: the real layers, the check, the whole way, the effects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tranquillite_ml.city import city_of
from tranquillite_ml.cli.main import app
from tranquillite_ml.config import load_config
from tranquillite_ml.stages import load_context

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "marseille"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the layers of Marseille (../shared/data) are not there"
)

SMALL = (
    "incidents.simulate.days=150",
    "incidents.simulate.resolution=8",
    "incidents.categories={noise: {from: [noise], origin: citizen}}",
    "grid.resolution=8",
    "model={kind: poisson}",
    "backtest.folds=2",
    "backtest.first_cutoff=2022-05-10",
    "calibration.window=28D",
)


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # the paths of a configuration are relative to where it is run


def call(*args: object, settings: tuple[str, ...] = SMALL) -> Any:
    sets = [part for setting in settings for part in ("--set", setting)]
    done = CliRunner().invoke(app, [str(arg) for arg in args] + sets)
    assert done.exit_code == 0, done.stderr
    return done


def test_the_check_passes() -> None:
    found = json.loads(call("check", "marseille", "--json").stdout)
    assert found["notice"].startswith("Simulated data")
    layers = {layer["name"]: layer for layer in found["context"]}
    assert layers["monuments"]["accepted"] == 113
    assert layers["school_holidays"]["accepted"] == 14_245
    assert layers["weather"]["quarantined"] == 0
    assert {"matches", "cruise_calls", "wind", "wind_forecast"} <= set(layers)


@pytest.mark.slow
def test_a_small_run_goes_the_whole_way(tmp_path: Path) -> None:
    done = json.loads(
        call("run", "marseille", "--no-track", "--json", "--quiet", "--output", tmp_path).stdout.splitlines()[
            -1
        ]
    )
    folder = Path(done["run_dir"])
    for name in ("map.html", "report.html", "forecast.geojson"):
        assert "Simulated data" in (folder / name).read_text(encoding="utf-8"), name
    assert pd.read_csv(folder / "forecast.csv")["notice"].str.startswith("Simulated data").all()
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    # The model is opened again with its layers, simulated ones included.
    assert not [check["id"] for check in report["checks"] if "model" in (check["missing"] or ())]
    # The sixteen arrondissements are the audit's groups, and no column describes a person.
    assert {f"132{n:02d}" for n in range(1, 17)} <= set(json.dumps(report).replace('"', " ").split())


def test_every_effect_is_planted_where_and_when_it_says() -> None:
    config = load_config("marseille", ["incidents.simulate.days=400", "incidents.simulate.resolution=8"])
    city = city_of(config)
    weather = load_context(config)["weather"].table.set_index("valid_from")["tmax"]
    hot = weather[(weather > 30) & (weather.index >= city.hours[0]) & (weather.index <= city.hours[-1])]
    day = city.hours.normalize()
    assert set(day[city.windows["hot_day"]]) == set(hot.index)
    # The cell of the stadium is exposed, the old harbour's is not.
    cells = city.grid.locate(np.array([43.2698, 43.2965]), np.array([5.3959, 5.3698]))
    assert city.zones["match_evening"][cells].tolist() == [True, False]
    hour = city.hours[city.windows["match_evening"]].hour
    assert set(hour) == {19, 20, 21, 22, 23, 0}
    planted = city.effects[city.effects["factor"] != 1].groupby("effect")["category"].agg(set)
    assert planted["mistral"] == {"noise", "fires"}
    assert planted["cruise_call"] == {"theft"}


@pytest.mark.slow
def test_planted_weather_and_matches_are_recovered_from_the_counts() -> None:
    """Without near repeats, counts in and out of an effect's hours give its factor back within 10 %."""
    many = ["incidents.simulate.incidents_per_day=600", "incidents.simulate.near_repeat=0"]
    city = city_of(load_config("marseille", many))
    table = city.incidents.table.query("category == 'noise'")
    hour = ((table["occurred_at"] - city.hours[0]) // pd.Timedelta(hours=1)).to_numpy()
    cell = city.grid.locate(table["lat"].to_numpy(), table["lng"].to_numpy())
    factor = city.effects.query("category == 'noise'").set_index("effect")["factor"]
    there = city.zones["match_evening"]
    stadium, rest = (np.bincount(hour[zone[cell]], minlength=len(city.hours)) for zone in (there, ~there))
    wall = city.hours.tz_localize(None)
    for name in ("mistral", "hot_day"):
        strata = [wall.year, wall.month, wall.day_of_week >= 5, city.windows["holiday"]]
        strata += [city.windows[other] for other in ("mistral", "hot_day", "school_holiday") if other != name]
        assert rate_ratio(rest, city.windows[name], strata) == pytest.approx(factor[name], rel=0.1)
    acts = city.windows["match_evening"]
    ratio = stadium[acts].sum() / rest[acts].sum() / (stadium[~acts].sum() / rest[~acts].sum())
    assert stadium[acts].sum() > 500
    assert ratio == pytest.approx(factor["match_evening"], rel=0.1)


def rate_ratio(counts: np.ndarray, acts: np.ndarray, strata: list[Any]) -> float:
    """Mantel and Haenszel's ratio of the rates with and without an effect, over strata of hours."""
    table = pd.DataFrame({f"stratum {n}": np.asarray(values) for n, values in enumerate(strata)})
    keys = list(table)
    with_it = table.assign(y=counts, n=1)[acts].groupby(keys)[["y", "n"]].sum()
    without = table.assign(y=counts, n=1)[~acts].groupby(keys)[["y", "n"]].sum()
    both = with_it.add_suffix("_with").join(without.add_suffix("_without"), how="inner")
    total = both["n_with"] + both["n_without"]
    up = (both["y_with"] * both["n_without"] / total).sum()
    return float(up / (both["y_without"] * both["n_with"] / total).sum())
