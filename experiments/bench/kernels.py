"""Speed and agreement of kernel surfaces, beside the figures of a peer.

The peer, open_cp (2018), took 34 s for one density on 124,000 incidents, and 0.12 s and 1.1 s for the retrospective
and prospective surface on 50,000, on a machine with two cores. Machines differ: read the figures as orders.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tranquillite_ml.grid import to_metres
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.processes import (
    prospective_hotspot,
    quartic,
    retrospective_hotspot,
    space_time_density,
)

DATA = Path(__file__).parents[3] / "shared" / "data"
N_INCIDENTS = 124_000
BANDWIDTH_M, DECAY_DAYS = 300.0, 200.0
PEER_DENSITY_S, PEER_RETROSPECTIVE_S, PEER_PROSPECTIVE_S = 34.0, 0.12, 1.1
SIDE_M = 12_800.0  # of a square of 164 km², the area of St. Louis


def rows() -> list[dict[str, Any]]:
    """Figures as dicts of what, measured, unit, must, ok and note."""
    rng = np.random.default_rng(0)
    found = []
    for name, places, age, at in (_recorded(), _simulated(rng, 1_600), _simulated(rng, 10_000)):
        if len(places) == 0:
            continue
        seconds = _seconds(
            lambda p=places, a=age, c=at: space_time_density(
                p, a, c, bandwidth_m=BANDWIDTH_M, decay_days=DECAY_DAYS
            )
        )
        where = f"{len(places):,} {name} incidents at {len(at):,} points"
        note = f"{PEER_DENSITY_S / seconds:.0f} times as fast as open_cp's {PEER_DENSITY_S:g} s"
        found.append(_row(f"density, {where}", seconds, "s", PEER_DENSITY_S / 20, note))
    places, age, at = _simulated(rng, 1_600)[1:]
    places, age = places[:50_000], age[:50_000] * (365 / 3650)
    surfaces: list[tuple[str, Callable[[], object], float]] = [
        (
            "retrospective",
            lambda: retrospective_hotspot(places, age, at, kernel=quartic(650), window_days=365),
            PEER_RETROSPECTIVE_S,
        ),
        ("prospective", lambda: prospective_hotspot(places, age, at), PEER_PROSPECTIVE_S),
    ]
    for name, call, peer in surfaces:
        seconds = _seconds(call)
        what = f"{name}, 50,000 simulated incidents of a year at 1,600 points"
        found.append(_row(what, seconds, "s", peer, f"open_cp took {peer:g} s"))
    return found + _agreement()


def _row(what: str, measured: float, unit: str, must: float, note: str) -> dict[str, Any]:
    return {
        "what": what,
        "measured": measured,
        "unit": unit,
        "must": f"≤ {must:.3g}",
        "ok": measured <= must,
        "note": note,
    }


def _seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Processor seconds, which other programs on the machine change less than the clock on the wall."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def _simulated(rng: np.random.Generator, n_points: int) -> tuple[str, Any, Any, Any]:
    """Incidents around 300 places, no two at the same coordinates, over ten years; points of a lattice."""
    centres = rng.uniform(0, SIDE_M, (300, 2))
    spread = rng.normal(0, 500, (N_INCIDENTS, 2))
    places = np.clip(centres[rng.integers(300, size=N_INCIDENTS)] + spread, 0, SIDE_M)
    step = (np.arange(round(np.sqrt(n_points))) + 0.5) * (SIDE_M / round(np.sqrt(n_points)))
    at = np.stack(np.meshgrid(step, step), axis=-1).reshape(-1, 2)
    return "simulated", places, rng.uniform(0, 3650, N_INCIDENTS), at


def _recorded() -> tuple[str, Any, Any, Any]:
    """Recorded larcenies of St. Louis, 2009-2018, and the centres of the benchmark's cells."""
    files = DATA / "stlouis" / "incidents.parquet", DATA / "stlouis" / "benchmark_cells.parquet"
    if not all(file.is_file() for file in files):
        return "recorded", [], [], []
    table = pd.read_parquet(files[0], columns=["timestamp", "latitude", "longitude", "category"])
    table = table[(table["category"] == "larceny") & table["latitude"].notna()]
    for column in ("latitude", "longitude"):
        low, high = table[column].quantile([0.0005, 0.9995])
        table = table[table[column].between(low, high)]
    grid = HexGrid(pd.read_parquet(files[1])["cell"])
    around = (float(grid.centres[:, 0].mean()), float(grid.centres[:, 1].mean()))
    places = to_metres(table["latitude"], table["longitude"], around=around)
    age = (pd.Timestamp("2019-01-01") - table["timestamp"]) / pd.Timedelta(days=1)
    return "recorded", places, age.to_numpy(), to_metres(*grid.centres.T, around=around)


def _agreement() -> list[dict[str, Any]]:
    """Greatest difference to the values that open_cp printed."""
    files = [DATA / "reference" / f"kernels_{name}.parquet" for name in ("events", "expected")]
    if not all(file.is_file() for file in files):
        return []
    events, expected = (pd.read_parquet(file) for file in files)
    age = (pd.Timestamp("2010-07-01") - events["timestamp"]) / pd.Timedelta(days=1)
    places, at = events[["x", "y"]].to_numpy(), expected[["x", "y"]].to_numpy()
    surfaces = {
        "retro_quartic650_60d": retrospective_hotspot(places, age, at, kernel=quartic(650), window_days=60),
        "prospective_classic_325m_1w_8_8": prospective_hotspot(places, age, at),
    }
    note = f"greatest difference to open_cp's values at {len(at)} points, {len(places):,} incidents"
    return [
        _row(f"agreement, {name}", float(np.abs(found - expected[name]).max()), "weight", 1e-6, note)
        for name, found in surfaces.items()
    ]


if __name__ == "__main__":
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.max_colwidth", 80):
        print(pd.DataFrame(rows()).to_string(index=False))
