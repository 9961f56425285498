"""Small cities with groups of places, and forecasts on them with numbers that can be worked by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from shapely.geometry import Polygon, box, mapping

from tranquillite_ml.audit.check import Check, Measurement
from tranquillite_ml.audit.groups import Groups
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.governance import Thresholds, load_thresholds
from tranquillite_ml.hexgrid import HexGrid

CENTRE = "893968152bbffff"
STLOUIS = Path(__file__).parents[3] / "shared" / "data" / "stlouis"


class Boxes:
    """A row of square cells of 0.01° on the equator, as a grid."""

    def __init__(self, n: int) -> None:
        self.cells = np.arange(1, n + 1, dtype=np.uint64)
        self.polygons = np.array([box(0.01 * i, 0, 0.01 * (i + 1), 0.01) for i in range(n)], dtype=object)
        self.centres = np.array([(0.005, 0.01 * i + 0.005) for i in range(n)])
        self.area_km2 = np.full(n, 1.2364)  # (0.01° · 111.2 km)²
        self.n_cells = n


def write_areas(path: Path, areas: list[tuple[Any, Mapping[str, Any]]], **extra: Any) -> Path:
    """A GeoJSON file of areas: geometry and properties."""
    features = [
        {
            "type": "Feature",
            "properties": dict(said),
            "geometry": mapping(shape) if isinstance(shape, Polygon) else shape,
        }
        for shape, said in areas
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features} | extra), encoding="utf-8")
    return path


def make_forecasts(
    models: Mapping[str, Any],
    observed: Any,
    *,
    grid: HexGrid | None = None,
    step_days: int = 7,
    category: Any = "noise",
    outside: float = 0.0,
    distribution: str = "poisson",
    area: Any = None,
    first: str = "2023-01-02",
) -> Forecasts:
    """Weekly forecasts of several models of the same outcomes; a row of `observed` is a week."""
    seen = np.atleast_2d(np.asarray(observed, dtype=float))
    n_maps, n_cells = seen.shape
    cells = cells_of(n_cells) if grid is None else grid.cells
    begin = pd.Timestamp(first, tz="Europe/Paris")
    when = [begin + pd.DateOffset(days=step_days * number) for number in range(n_maps)]
    maps = pd.DataFrame(
        {
            "category": category,
            "cutoff": when,
            "horizon": 1,
            "period_start": when,
            "period_end": [start + pd.DateOffset(days=7) for start in when],
            "exposure_hours": 168.0,
            "distribution": distribution,
            "level": 0.9,
            "outside_count": outside,
        }
    )
    keys = pd.concat([maps.assign(model=name) for name in models], ignore_index=True)
    values = {
        "expected_count": np.concatenate([np.broadcast_to(one, seen.shape) for one in models.values()]),
        "observed_count": np.tile(seen, (len(models), 1)),
    }
    area_km2 = np.broadcast_to(np.asarray(0.1 if area is None else area, dtype=float), (n_cells,))
    return Forecasts(keys, cells, area_km2, values, {"tz": "Europe/Paris"})


def cells_of(n: int) -> Any:
    """So many H3 cells near each other."""
    rings = next(k for k in range(60) if 1 + 3 * k * (k + 1) >= n)
    return HexGrid([CENTRE]).dilated(rings).cells[:n]


def groups_of(forecasts: Forecasts, **residents: Any) -> Groups:
    """Groups with these residents in the cells of some forecasts."""
    return Groups.of_cells({name: np.asarray(one, float) for name, one in residents.items()}, forecasts.cells)


def lenient(**intervals: int) -> Thresholds:
    """Thresholds that ask for no incidents and few blocks, to see the figures of a hand-worked case."""
    values = load_thresholds().to_dict()
    values["intervals"] |= {"replicates": 100, "min_blocks": 2, "min_incidents": 1} | intervals
    return Thresholds.model_validate(values)


def covering(thresholds: Thresholds, coverage: float) -> Thresholds:
    """The same thresholds with another share of the area flagged."""
    values = thresholds.to_dict()
    values["checks"]["C01"]["settings"]["coverage"] = coverage
    return Thresholds.model_validate(values)


def found(check: Check, name: str, group: str | None = None, subject: str | None = None) -> Measurement:
    """The one measurement of a name, group and subject."""
    [one] = [
        one
        for one in check.measurements
        if (one.name, one.group) == (name, group) and (subject is None or one.subject == subject)
    ]
    return one
