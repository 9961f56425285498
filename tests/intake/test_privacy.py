"""What a run stores of refused rows says where to mend the file, not where something happened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml.city import simulate_city
from tranquillite_ml.config import RunConfig
from tranquillite_ml.errors import DataWarning
from tranquillite_ml.intake import read_incidents
from tranquillite_ml.intake.privacy import hide_places
from tranquillite_ml.results import write_intake
from tranquillite_ml.runfolder import RunFolder


@pytest.fixture
def refused(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows refused for their place in every way there is."""
    rows = rows.astype({"lat": object, "lng": object})
    rows.loc[0, "lat"] = "Vieux-Port"
    rows.loc[1, ["lat", "lng"]] = [5.412345, 43.312345]
    rows.loc[2, ["lat", "lng"]] = [892_390.12, 6_247_035.98]
    rows.loc[3, ["lat", "lng"]] = [48.856613, 2.352222]
    rows.loc[4, ["lat", "lng"]] = [43.312345, np.nan]
    rows.loc[5, ["lat", "lng"]] = [0.0, 0.0]
    return rows


def test_every_coordinate_is_blurred_and_every_text_left_out(refused: pd.DataFrame) -> None:
    raw = read_incidents(refused, tz="Europe/Paris").quarantine
    found = hide_places(raw)
    assert len(found) == 6
    assert found.drop(columns="value").equals(raw.drop(columns="value"))
    assert found["value"].tolist() == [
        "(not shown)",
        "(5.4, 43.3)",
        "(8.92e+05, 6.25e+06)",
        "(48.9, 2.4)",
        "(43.3, nan)",
        "(0.0, 0.0)",
    ]
    assert raw["value"].str.contains("48.856613").any()  # a notebook still sees what was read


def test_other_values_stay() -> None:
    rows = pd.DataFrame({"column": ["occurred_at", "incident_id"], "value": ["'2024-03-31 02:30'", "7.25"]})
    assert hide_places(rows).equals(rows)


@pytest.mark.parametrize("keep", [False, True])
def test_a_run_stores_blurred_coordinates_unless_told(
    keep: bool, refused: pd.DataFrame, tmp_path: Path
) -> None:
    config = RunConfig.from_dict(
        {
            "name": "try",
            "incidents": {
                "path": "a.csv",
                "tz": "Europe/Paris",
                "categories": {"noise": ["noise"]},
                "keep_coordinates": keep,
            },
            "forecast": {"period": 7},
        }
    )
    folder = RunFolder(tmp_path, "try")
    incidents = read_incidents(refused, tz="Europe/Paris")
    if keep:
        with pytest.warns(DataWarning, match="handle the run's folder like the data"):
            write_intake(folder, config, incidents)
    else:
        write_intake(folder, config, incidents)
    stored = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file())
    for text in ("48.856613", "43.312345", "Vieux-Port", "892390.12"):
        assert (text in stored) == keep


def test_a_pile_of_incidents_is_told_without_its_exact_place() -> None:
    city = simulate_city(seed=0, days=60, radius_km=1.5).incidents.table
    city = city.assign(occurred_at=city["occurred_at"].dt.tz_localize(None))
    city.loc[: len(city) // 20, ["lat", "lng"]] = [43.312345, 5.412345]
    summary = str(read_incidents(city, tz="Europe/Paris").summary()["problems"])
    assert "pile-up on one coordinate" in summary
    assert "(43.31, 5.41)" in summary
    assert "43.3123" not in summary
