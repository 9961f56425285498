"""A tiny city's file, a tiny tensor, and the real files at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2].parent / "shared"


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """Path of a shared file; skips the test where it is absent."""

    def path(name: str) -> Path:
        file = ROOT / name
        if not file.is_file():
            pytest.skip(f"needs ../shared/{name}, which is not part of the project")
        return file

    return path


def tiny_incidents(days: int = 500, seed: int = 0) -> pd.DataFrame:
    """Incidents at six places, one of them busy, in two categories and one that agents record."""
    rng = np.random.default_rng(seed)
    n = days * 5
    place = rng.choice(6, size=n, p=[0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    start = pd.Timestamp("2023-01-01")
    return pd.DataFrame(
        {
            "timestamp": start + pd.to_timedelta(np.sort(rng.integers(0, days * 1440, n)), unit="min"),
            "latitude": 43.29 + place * 0.004 + rng.normal(0, 2e-4, n),
            "longitude": 5.37 + place * 0.004 + rng.normal(0, 2e-4, n),
            "category": rng.choice(["noise", "theft", "drugs"], size=n, p=[0.5, 0.3, 0.2]),
        }
    )


@pytest.fixture
def city_file(tmp_path: Path) -> Path:
    """The tiny city as a Parquet file in a folder of its own."""
    folder = tmp_path / "tinytown"
    folder.mkdir()
    path = folder / "incidents.parquet"
    tiny_incidents().to_parquet(path)
    return path


@pytest.fixture
def tensor_file(tmp_path: Path) -> Path:
    """Two categories of daily counts on 3 × 2 squares."""
    rate = np.array([3.0, 0.2, 0.5, 0.1, 1.0, 0.05]).reshape(3, 2, 1, 1) * np.array([1.0, 0.5])
    counts = np.random.default_rng(1).poisson(np.broadcast_to(rate, (3, 2, 400, 2))).astype(np.int16)
    path = tmp_path / "tensor.npz"
    np.savez(
        path, counts=counts, categories=np.array(["THEFT", "ASSAULT"]), start_date="2023-01-01", test_days=6
    )
    return path


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take most of the time; the weekly test draws them."""
    for room in ("weekly", "nij", "sthsl"):
        monkeypatch.setattr(f"tranquillite_ml.benchmarks.{room}.write_plots", lambda *args, **kwargs: [])
