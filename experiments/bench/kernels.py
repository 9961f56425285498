"""Speed and agreement of kernel surfaces, beside the figures of a peer.

The peer, open_cp (2018), took 34 s for one density on 124,000 incidents, and 0.12 s and 1.1 s for the retrospective
and prospective surface on 50,000, on a machine with two cores. Machines differ: read the figures as orders.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from common import DATA, Bar, cpu_seconds, figure

from tranquillite_ml.grid import to_metres
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.processes import (
    prospective_hotspot,
    quartic,
    retrospective_hotspot,
    space_time_density,
)

N_INCIDENTS = 124_000
BANDWIDTH_M, DECAY_DAYS = 300.0, 200.0
PEER_DENSITY_S, PEER_RETROSPECTIVE_S, PEER_PROSPECTIVE_S = 34.0, 0.12, 1.1
SIDE_M = 12_800.0  # of a square of 164 km², the area of St. Louis


YEAR = "50,000 simulated incidents of a year at 1,600 points"
SURFACES = ("retro_quartic650_60d", "prospective_classic_325m_1w_8_8")

BARS = {
    **{
        f"density_{name}": Bar(
            f"density, {what}",
            "CPU s",
            most=PEER_DENSITY_S / 20,
            elsewhere=f"open_cp {PEER_DENSITY_S:g} s",
        )
        for name, what in (
            ("recorded", "ten years of recorded larcenies at the benchmark's cells"),
            ("1600", f"{N_INCIDENTS:,} simulated incidents at 1,600 points"),
            ("10000", f"{N_INCIDENTS:,} simulated incidents at 10,000 points"),
        )
    },
    "retrospective": Bar(
        f"retrospective, {YEAR}", "CPU s", most=PEER_RETROSPECTIVE_S, elsewhere="open_cp, the bar"
    ),
    "prospective": Bar(
        f"prospective, {YEAR}", "CPU s", most=PEER_PROSPECTIVE_S, elsewhere="open_cp, the bar"
    ),
    **{
        name: Bar(f"agreement with open_cp, {name}, greatest difference", "weight", most=1e-6)
        for name in SURFACES
    },
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    rng = np.random.default_rng(0)
    kind = {"bandwidth_m": BANDWIDTH_M, "decay_days": DECAY_DAYS}
    cases = {"recorded": _recorded(), "1600": _simulated(rng, 1_600), "10000": _simulated(rng, 10_000)}
    found = {}
    for name, (places, age, at) in cases.items():
        if len(places):
            seconds = cpu_seconds(lambda p=places, a=age, c=at: space_time_density(p, a, c, **kind))
            found[f"density_{name}"] = figure(seconds, note=f"{len(places):,} incidents, {len(at):,} points")
    places, age, at = _simulated(rng, 1_600)
    places, age = places[:50_000], age[:50_000] * (365 / 3650)
    retrospective = {"kernel": quartic(650), "window_days": 365}
    found["retrospective"] = figure(
        cpu_seconds(lambda: retrospective_hotspot(places, age, at, **retrospective))
    )
    found["prospective"] = figure(cpu_seconds(lambda: prospective_hotspot(places, age, at)))
    return found | _agreement()


def _simulated(rng: np.random.Generator, n_points: int) -> tuple[Any, Any, Any]:
    """Incidents around 300 places, no two at the same coordinates, over ten years; points of a lattice."""
    centres = rng.uniform(0, SIDE_M, (300, 2))
    spread = rng.normal(0, 500, (N_INCIDENTS, 2))
    places = np.clip(centres[rng.integers(300, size=N_INCIDENTS)] + spread, 0, SIDE_M)
    step = (np.arange(round(np.sqrt(n_points))) + 0.5) * (SIDE_M / round(np.sqrt(n_points)))
    at = np.stack(np.meshgrid(step, step), axis=-1).reshape(-1, 2)
    return places, rng.uniform(0, 3650, N_INCIDENTS), at


def _recorded() -> tuple[Any, Any, Any]:
    """Recorded larcenies of St. Louis, 2009-2018, and the centres of the benchmark's cells."""
    files = DATA / "stlouis" / "incidents.parquet", DATA / "stlouis" / "benchmark_cells.parquet"
    if not all(file.is_file() for file in files):
        return [], [], []
    table = pd.read_parquet(files[0], columns=["timestamp", "latitude", "longitude", "category"])
    table = table[(table["category"] == "larceny") & table["latitude"].notna()]
    for column in ("latitude", "longitude"):
        low, high = table[column].quantile([0.0005, 0.9995])
        table = table[table[column].between(low, high)]
    grid = HexGrid(pd.read_parquet(files[1])["cell"])
    around = (float(grid.centres[:, 0].mean()), float(grid.centres[:, 1].mean()))
    places = to_metres(table["latitude"], table["longitude"], around=around)
    age = (pd.Timestamp("2019-01-01") - table["timestamp"]) / pd.Timedelta(days=1)
    return places, age.to_numpy(), to_metres(*grid.centres.T, around=around)


def _agreement() -> dict[str, Any]:
    """Greatest difference to the values that open_cp printed."""
    files = [DATA / "reference" / f"kernels_{name}.parquet" for name in ("events", "expected")]
    if not all(file.is_file() for file in files):
        return {}
    events, expected = (pd.read_parquet(file) for file in files)
    age = (pd.Timestamp("2010-07-01") - events["timestamp"]) / pd.Timedelta(days=1)
    places, at = events[["x", "y"]].to_numpy(), expected[["x", "y"]].to_numpy()
    surfaces = {
        "retro_quartic650_60d": retrospective_hotspot(places, age, at, kernel=quartic(650), window_days=60),
        "prospective_classic_325m_1w_8_8": prospective_hotspot(places, age, at),
    }
    note = f"{len(at)} points, {len(places):,} incidents"
    return {name: figure(np.abs(found - expected[name]).max(), note=note) for name, found in surfaces.items()}
