"""Small tables worked by hand, and the real files at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def rows() -> pd.DataFrame:
    """Thirty good rows in Marseille, 37 minutes and about 130 m apart, of two categories."""
    when = pd.Timestamp("2024-05-01 10:03") + pd.to_timedelta(np.arange(30) * 37, unit="min")
    return pd.DataFrame(
        {
            "incident_id": [f"m{number:02d}" for number in range(30)],
            "occurred_at": when.strftime("%Y-%m-%d %H:%M:%S"),
            "lat": 43.30 + np.arange(30) * 0.001,
            "lng": 5.40 - np.arange(30) * 0.001,
            "category": ["noise", "dumping"] * 15,
        }
    )


@pytest.fixture
def city_file() -> Callable[[str], Path]:
    """Path of a real city's incidents; skips the test where the shared data are absent."""

    def path(city: str) -> Path:
        file = SHARED / city / "incidents.parquet"
        if not file.is_file():
            pytest.skip(
                f"needs the real incidents of {city} in ../shared/data, which are not part of the project"
            )
        return file

    return path
