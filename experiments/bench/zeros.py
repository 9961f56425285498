"""Training on a sample of the rows without incident, beside training on every row (Houston, theft, next day).

Each fit is a process of its own; both forecast the same later days. D² is the share of the Poisson deviance of a
constant that the forecast explains.
"""

from __future__ import annotations

import time
from typing import Any

import fresh
import pandas as pd
from common import DATA, Bar, figure

from tranquillite_ml import HexGrid, LightGBMForecaster, Panel, Target, TimeBins, score
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.intake import read_incidents

FILE = DATA / "houston" / "incidents.parquet"
CATEGORY = "theft"
CUTOFF = "2010-07-01"
DAYS = 61  # July and August
ALL_ROWS = 10**9

BARS = {
    "faster": Bar(
        "zero sampling, Houston theft, res 9, next day: training time on all rows over that on the sample",
        "×",
        least=10,
        elsewhere="a plain script 15 ×",
    ),
    "cpu": Bar("the same in CPU seconds of both cores", "×"),
    "fewer": Bar("the same with 3 % of the zeros instead of a tenth, in CPU seconds", "×"),
    "lost": Bar("the same: D² lost by sampling, relative", "%", most=0.5, elsewhere="a plain script 0.6 %"),
    "memory": Bar("the same: largest memory on all rows over that on the sample", "×"),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    if not FILE.is_file():
        return {name: figure(None, note="needs ../shared/data/houston") for name in BARS}
    some, few, whole = (fresh.call("zeros", "fit", zeros=share) for share in (0.1, 0.03, 1.0))
    mine, fewer, theirs = some["result"], few["result"], whole["result"]
    lost, more = (100 * (1 - found["d2"]["value"] / theirs["d2"]["value"]) for found in (mine, fewer))
    return {
        "faster": figure(
            theirs["seconds"] / mine["seconds"],
            beside=f"all rows {theirs['seconds']:.1f} s, sample {mine['seconds']:.1f} s",
            note=f"{theirs['trees']} and {mine['trees']} trees, {mine['n_cells']:,} cells",
        ),
        "cpu": figure(
            theirs["cpu"] / mine["cpu"],
            beside=f"all rows {theirs['cpu']:.1f} CPU s, sample {mine['cpu']:.1f} CPU s",
        ),
        "fewer": figure(
            theirs["cpu"] / fewer["cpu"], beside=f"{fewer['cpu']:.1f} CPU s", note=f"D² lost {more:.2g} %"
        ),
        "lost": figure(lost, beside=f"all rows {_said(theirs)}, sample {_said(mine)}", note=f"{DAYS} days"),
        "memory": figure(
            whole["peak_mb"] / some["peak_mb"],
            beside=f"all rows {whole['peak_mb']:,.0f} MB, sample {some['peak_mb']:,.0f} MB",
        ),
    }


def fit(zeros: float) -> dict[str, Any]:
    """Fit before the later days, forecast each of them: seconds of the fit, and D²."""
    frame = pd.read_parquet(FILE)
    names = {"occurred_at": "timestamp", "lat": "latitude", "lng": "longitude", "category": "category"}
    kept = frame.loc[frame["geocode_ok"], list(names.values())]
    origins = dict.fromkeys(kept["category"].astype(str).unique(), "citizen")
    incidents = read_incidents(kept, tz="America/Chicago", columns=names, origins=origins, duplicates="keep")
    grid = HexGrid.from_incidents(incidents, resolution=9, dilate=1, before=CUTOFF)
    panel = Panel.build(incidents, grid, TimeBins.covering(incidents, freq="1D"))
    first = panel.index_at(CUTOFF)
    model = LightGBMForecaster(Target(CATEGORY), zeros=zeros, max_rows=ALL_ROWS, calibration_days=28)
    begin, used = time.perf_counter(), time.process_time()
    model.fit(panel, first)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - used
    days = range(first, first + DAYS)
    found = Forecasts.concat([model.forecast(panel, day) for day in days]).observe(panel)
    row = score(found).iloc[0]
    d2 = {"value": float(row["d2"]), "lower": float(row["d2_lower"]), "upper": float(row["d2_upper"])}
    size = {"trees": model.models_[CATEGORY].num_trees(), "n_cells": panel.n_cells}
    return {"seconds": seconds, "cpu": cpu, "d2": d2, "n_incidents": int(row["n_incidents"]), **size}


def _said(found: dict[str, Any]) -> str:
    d2 = found["d2"]
    return f"{d2['value']:.4f} [{d2['lower']:.4f}, {d2['upper']:.4f}], n = {found['n_incidents']:,}"
