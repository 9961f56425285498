"""How cost grows: twice the incidents, twice the cells, twice the years, each in a process of its own.

Incidents are drawn at random places of a grid with few busy cells and many quiet ones. Time is that of reading,
panel, features, fit (a fixed number of trees) and the next forecast. Memory is that of a fit whose sample is kept
at the same number of rows while the panel doubles.
"""

from __future__ import annotations

import time
from typing import Any

import fresh
import numpy as np
import pandas as pd
from common import Bar, figure

from tranquillite_ml import HexGrid, LightGBMForecaster, Panel, Target, TimeBins
from tranquillite_ml.intake import read_incidents

BASE = {"n_incidents": 60_000, "n_cells": 1_500, "years": 3}
CATEGORIES = ("burglary", "noise", "theft")
TWICE = {"incidents": ["n_incidents"], "cells": ["n_cells"], "years": ["years", "n_incidents"]}
ROUNDS = 2
TREES = 60
SAMPLE = 50_000
LARGE = {"n_incidents": 240_000, "n_cells": 3_000, "years": 8}
VALUE_BYTES = 4  # of a feature of one cell and day

BARS = {
    "incidents": Bar("time with 2 × the incidents", "×", most=2.2),
    "cells": Bar("time with 2 × the cells", "×", most=2.2),
    "years": Bar("time with 2 × the years (and incidents)", "×", most=2.2),
    "memory": Bar(
        "memory of a fit whose panel doubles and whose sample does not: added for each cell and day, in columns",
        "columns",
        most=8,
    ),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    sizes = {"base": BASE} | {
        name: BASE | {key: 2 * BASE[key] for key in keys} for name, keys in TWICE.items()
    }
    # In turns, so that what else the machine does falls on all of them.
    turns = [
        {name: fresh.call("growth", "fit", **size)["result"] for name, size in sizes.items()}
        for _ in range(ROUNDS)
    ]
    wall, cpu = (
        {name: min(turn[name][key] for turn in turns) for name in sizes} for key in ("seconds", "cpu")
    )
    found = {}
    for name in TWICE:
        beside = f"{wall['base']:.1f} s → {wall[name]:.1f} s; in CPU seconds {cpu[name] / cpu['base']:.2f} ×"
        found[name] = figure(wall[name] / wall["base"], beside=beside, note=_said(sizes[name]))
    more = LARGE | {"years": 2 * LARGE["years"], "n_incidents": 2 * LARGE["n_incidents"]}
    before, after = (fresh.call("growth", "fit", **size, max_rows=SAMPLE) for size in (LARGE, more))
    added = (after["peak_mb"] - before["peak_mb"]) * 2**20 / (LARGE["n_cells"] * LARGE["years"] * 365)
    columns = before["result"]["columns"]
    found["memory"] = figure(
        added / VALUE_BYTES,
        beside=f"{before['peak_mb']:,.0f} MB → {after['peak_mb']:,.0f} MB; all rows would add {columns} columns",
        note=f"{SAMPLE:,} rows; {_said(LARGE)}, then twice the years and incidents",
    )
    return found


def _said(size: dict[str, int]) -> str:
    return f"{size['n_incidents']:,} incidents, {size['n_cells']:,} cells, {size['years']} years of days"


def fit(n_incidents: int, n_cells: int, years: int, max_rows: int = 10**9) -> dict[str, Any]:
    """From a table of incidents to the next forecast: seconds, and columns learnt from."""
    cells = HexGrid(["893968152bbffff"]).dilated(60).cells[:n_cells].tolist()
    grid = HexGrid(cells)
    frame = _incidents(grid, n_incidents, years)
    begin, used = time.perf_counter(), time.process_time()
    incidents = read_incidents(
        frame, tz="UTC", origins=dict.fromkeys(CATEGORIES, "citizen"), duplicates="keep"
    )
    panel = Panel.build(incidents, grid, TimeBins.covering(incidents, freq="1D"))
    model = LightGBMForecaster(Target("burglary", period=7), n_estimators=TREES, max_rows=max_rows)
    model.fit(panel).forecast(panel)
    cost = {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - used}
    return cost | {"columns": model.models_["burglary"].num_feature()}


def _incidents(grid: HexGrid, n: int, years: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    share = rng.gamma(0.5, 1.0, grid.n_cells)
    places = grid.centres[rng.choice(grid.n_cells, n, p=share / share.sum())] + rng.normal(0, 1e-5, (n, 2))
    minutes = np.sort(rng.integers(0, years * 365 * 1440, n))
    return pd.DataFrame(
        {
            "incident_id": np.arange(n).astype(str),
            "occurred_at": pd.Timestamp("2015-01-01") + pd.to_timedelta(minutes, unit="min"),
            "lat": places[:, 0],
            "lng": places[:, 1],
            "category": rng.choice(CATEGORIES, n),
        }
    )
