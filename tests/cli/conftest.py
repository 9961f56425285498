"""The command line called in this process, a made-up summary, and small files of incidents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from tranquillite_ml.cli.main import app

Call = Callable[..., Result]
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
MODELS = ("lightgbm", "count_365d", "smoothed_count")


@pytest.fixture
def tranquillite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command line with some arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRANQUILLITE_DEBUG", raising=False)

    def call(*args: object) -> Result:
        return CliRunner().invoke(app, [str(arg) for arg in args])

    return call


@pytest.fixture
def summary() -> dict[str, Any]:
    """What a run gives back, as the pipeline's summary is described."""
    scores = [
        {
            **{"model": model, "category": "burglary", "n_folds": 13, "n_incidents": 1234},
            **{"log_score": -100.0 - 10 * place, "log_score_lower": -120.0, "log_score_upper": -90.0},
            **{"oe": 1.01, "oe_lower": 0.97, "oe_upper": 1.05},
        }
        for place, model in enumerate(MODELS)
    ]
    hotspots = [
        {
            **{"model": model, "category": "burglary", "coverage": coverage, "pai": 9.87},
            **{"hit_rate": 0.123, "hit_rate_lower": 0.1, "hit_rate_upper": float("nan")},
        }
        for model in MODELS
        for coverage in (0.01, 0.05, 0.10)
    ]
    return {
        "run_id": "try-0123456789ab",
        "run_dir": "runs/try-0123456789ab",
        "forecasts": "runs/try-0123456789ab/forecasts.parquet",
        "scores": scores,
        "hotspots": hotspots,
        "verdict": {"burglary": {"text": "beats counts", "sentence": "lightgbm beats counts (count_365d)."}},
        "paths": {
            "map": "runs/try-0123456789ab/map.html",
            "tables": "runs/try-0123456789ab/tables",
            "mlflow": "sqlite:////tmp/runs/mlflow.db",
        },
        "mlflow_run_id": "f00d",
        "seconds": {"intake": 0.5},
        "peak_rss_mb": 300.0,
        "notice": None,
    }


@pytest.fixture
def fake_run(monkeypatch: pytest.MonkeyPatch, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """A pipeline that does nothing but what is asked of a pipeline; gives the calls it got."""
    calls: list[dict[str, Any]] = []

    def run(config: Any, *, report: Any, **options: bool) -> dict[str, Any]:
        calls.append({"config": config, **options})
        report("intake", 0, 1)
        report("intake", 1, 1)
        report("panel", 0, 1)
        report("lightgbm", 13, 13)
        print("a library that prints")  # noqa: T201
        return summary

    monkeypatch.setattr("tranquillite_ml.pipeline.run", run)
    return calls


def last_json(result: Result) -> dict[str, Any]:
    """The one JSON object that is all of standard output."""
    lines = result.stdout.splitlines()
    assert len(lines) == 1

    def refuse(word: str) -> None:
        raise AssertionError(word)

    found: dict[str, Any] = json.loads(lines[0], parse_constant=refuse)
    return found


def rows(days: int = 200, n: int = 1500, lat: float = 43.3, lng: float = 5.4) -> pd.DataFrame:
    """Incidents around a place, with our column names, at whole minutes."""
    rng = np.random.default_rng(0)
    minutes = np.sort(rng.integers(0, days * 24 * 60, n))
    return pd.DataFrame(
        {
            "occurred_at": pd.Timestamp("2023-01-01") + pd.to_timedelta(minutes, unit="min"),
            "lat": (lat + rng.normal(0, 0.01, n)).round(5),
            "lng": (lng + rng.normal(0, 0.01, n)).round(5),
            "category": rng.choice(["noise", "dumping", "graffiti"], n, p=[0.5, 0.3, 0.2]),
        }
    )
