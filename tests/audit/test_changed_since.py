"""What lay beside a run has changed or gone since: the audit says so, and still says all the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml.audit import audit
from tranquillite_ml.config import RunConfig, load_config
from tranquillite_ml.errors import BundleError
from tranquillite_ml.pipeline import run
from tranquillite_ml.report.collecting import collect
from tranquillite_ml.stages import load_incidents, make_panel


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folder of the inputs, and that of a run whose model learns from a layer and whose audit has groups."""
    folder = tmp_path_factory.mktemp("city")
    values = load_config("smoke", [f"output={folder / 'runs'}"]).to_dict()
    values |= {"model": {"kind": "poisson"}, "features": ["history", {"weather": {"observed": "weather"}}]}
    values["context"] = {
        "weather": {"path": str(folder / "weather.csv"), "kind": "series", "known": "6h after end"}
    }
    values["audit"] = {"groups": {"path": str(folder / "areas.geojson"), "column": "side", "residents": "n"}}
    simple = RunConfig.from_dict({**values, "audit": None, "context": {}, "features": ["history"]})
    incidents = load_incidents(simple)[0]
    start = incidents.table["occurred_at"].min().date() - pd.Timedelta(days=400)
    dates = pd.date_range(start, periods=1500)
    write_weather(folder, pd.DataFrame({"date": dates, "tmax": 15 + 10 * np.sin(np.arange(1500) / 58)}))
    write_areas(folder, make_panel(simple, incidents).grid.centres)
    made = run(RunConfig.from_dict(values), track=False, audited=False)
    return folder, Path(made["run_dir"])


def write_weather(folder: Path, table: pd.DataFrame) -> None:
    table.to_csv(folder / "weather.csv", index=False)


def write_areas(folder: Path, centres: Any) -> None:
    """Two boxes, west and east of the middle."""
    (south, west), (north, east) = centres.min(axis=0) - 0.01, centres.max(axis=0) + 0.01
    middle = (west + east) / 2
    features = [
        {
            "type": "Feature",
            "properties": {"side": name, "n": 1000},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[a, south], [b, south], [b, north], [a, north], [a, south]]],
            },
        }
        for name, a, b in (("west", west, middle), ("east", middle, east))
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    (folder / "areas.geojson").write_text(text, encoding="utf-8")


def reasons(path: Path, *names: str) -> list[tuple[str, str, str]]:
    forecasts, evidence = collect(path)
    found = audit(forecasts, evidence=evidence, checks=names)
    return [(one.status, one.reason["en"], one.reason["fr"]) for one in found]


@pytest.mark.slow
def test_as_it_was_everything_is_there(finished: tuple[Path, Path]) -> None:
    _, evidence = collect(finished[1])
    assert evidence.model is not None
    assert evidence.groups is not None
    assert not evidence.absent


@pytest.mark.slow
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_layer_that_changed_leaves_the_model_unopened(finished: tuple[Path, Path], how: str) -> None:
    folder, path = finished
    before = (folder / "weather.csv").read_bytes()
    try:
        if how == "gone":
            (folder / "weather.csv").unlink()
        else:
            table = pd.read_csv(folder / "weather.csv")
            write_weather(folder, table.assign(tmax=table["tmax"] + 1))
        [(other, *_), (status, english, french)] = reasons(path, "C11", "C15")
    finally:
        (folder / "weather.csv").write_bytes(before)
    assert status == "NOT_ASSESSABLE"
    assert "weather" in english
    assert "couche" in french
    assert "weather" in french
    assert other != "NOT_ASSESSABLE"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["changed", "broken", "gone"])
def test_groups_that_can_no_longer_be_read_are_not_compared(finished: tuple[Path, Path], how: str) -> None:
    folder, path = finished
    before = (folder / "areas.geojson").read_bytes()
    try:
        if how == "gone":
            (folder / "areas.geojson").unlink()
        elif how == "broken":
            (folder / "areas.geojson").write_bytes(before[:100])
        else:
            (folder / "areas.geojson").write_bytes(before.replace(b'"side"', b'"flank"'))
        [(status, english, french), (other, *_)] = reasons(path, "C03", "C11")
    finally:
        (folder / "areas.geojson").write_bytes(before)
    assert status == "NOT_ASSESSABLE"
    assert "areas.geojson" in english
    assert "areas.geojson" in french
    assert other != "NOT_ASSESSABLE"


@pytest.mark.slow
def test_a_model_whose_own_files_changed_is_refused(finished: tuple[Path, Path]) -> None:
    path = finished[1] / "model" / "forecaster.json"
    before = path.read_bytes()
    path.write_bytes(before + b" ")
    try:
        with pytest.raises(BundleError, match="has changed since it was saved"):
            collect(finished[1])
    finally:
        path.write_bytes(before)
