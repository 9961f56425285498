"""The city's other records and its database: places and areas brought to cells, 8 million incidents to a panel.

Points, squares and incidents are made at random over 10,000 H3 cells, in files and a database of the bench's own. What is
timed begins with layers that are read, or with the file or database; a bare COPY is psql's, of the same query, to nowhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fresh
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from common import Bar, figure, wall_seconds

from tranquillite_ml import Area, HexGrid, Panel, Places, Target, TimeBins, read_context, read_incidents
from tranquillite_ml.features import View

MIDDLE, STEPS, RESOLUTION = (43.30, 5.40), 58, 9
N_POINTS, N_TYPES, SQUARES_A_SIDE, N_INCIDENTS, N_ROWS = 100_000, 10, 317, 8_000_000, 2_000_000
TZ = "Europe/Paris"
QUERY = "select incident_id, occurred_at, lat, lng, category from incidents"

BARS = {
    "places": Bar("places: 10,267 cells × 100,000 points × 10 types, three columns a type", "s", most=10),
    "areas": Bar("areal weighting of 100,489 squares to 10,267 cells", "s", most=20),
    "parquet": Bar("8 million incidents from Parquet to a panel of 10,267 cells", "s", most=60),
    "memory": Bar("the same, largest resident memory", "MB", most=3_000),
    "copy": Bar("2 million incidents from PostgreSQL to a table, beside a bare COPY", "×", most=2),
    "database": Bar("the same to a panel, every guard passed, beside a bare COPY", "×"),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    found = {"places": figure(places()), "areas": figure(areas())}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "incidents.parquet"
        write_incidents(path, N_INCIDENTS)
        read = fresh.call("context", "to_panel", source=str(path))
        found |= {
            "parquet": figure(read["seconds"], note=read["result"]),
            "memory": figure(read["peak_mb"]),
        }
        write_incidents(path, N_ROWS)
        return found | from_database(path)


def grid() -> HexGrid:
    """The cells up to 58 steps around a middle: 10,267."""
    import h3  # noqa: PLC0415

    return HexGrid(h3.grid_disk(h3.latlng_to_cell(*MIDDLE, RESOLUTION), STEPS))


def places() -> float:
    """Seconds for the columns of ten types of points, nothing made before."""
    cells = grid()
    lat, lng = _spread(cells, N_POINTS)
    kinds = [f"kind{number % N_TYPES}" for number in range(N_POINTS)]
    rows = pd.DataFrame({"lat": lat, "lng": lng, "type": kinds})
    layer = read_context(rows, kind="points", name="places", tz=TZ, known="2020-01-01")
    return _seconds(Places(layer), cells)


def areas() -> float:
    """Seconds for a number divided among cells by area, nothing made before."""
    import geopandas as gpd  # noqa: PLC0415
    import shapely  # noqa: PLC0415

    cells = grid()
    (south, west), (north, east) = (np.asarray(cells.centres).min(0), np.asarray(cells.centres).max(0))
    x, y = (np.linspace(*ends, SQUARES_A_SIDE + 1) for ends in ((west, east), (south, north)))
    left, low = (found.ravel() for found in np.meshgrid(x[:-1], y[:-1]))
    shapes = shapely.box(left, low, left + (x[1] - x[0]), low + (y[1] - y[0]))
    rows = gpd.GeoDataFrame({"residents": np.arange(len(shapes)) * 1.0}, geometry=shapes, crs=4326)
    layer = read_context(rows, kind="areas", name="squares", tz=TZ, known="2020-01-01")
    return _seconds(Area(layer, sums=["residents"]), cells)


def _seconds(block: Any, cells: HexGrid) -> float:
    bins = TimeBins("2024-01-01", 60, "1D", TZ)
    panel = Panel.from_counts(
        np.zeros((1, 60, cells.n_cells), int), cells, bins, ["noise"], {"noise": "citizen"}
    )
    view = View(panel, "noise", Target("noise"), np.array([50]))
    return wall_seconds(lambda: list(block.columns(view)), repeats=1)


def _spread(cells: HexGrid, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Random points in the box of a grid's centres."""
    centres, rng = np.asarray(cells.centres), np.random.default_rng(0)
    low, high = centres.min(0), centres.max(0)
    return tuple(rng.uniform(low[axis], high[axis], n) for axis in (0, 1))


def write_incidents(path: Path, n: int) -> None:
    """A file of random incidents over ten years, a million rows at a time."""
    rng, start = np.random.default_rng(1), np.datetime64("2014-01-01", "us")
    names = np.array(["noise", "damage", "theft", "burglary"])
    cells, step, writer = grid(), 1_000_000, None
    for first in range(0, n, step):
        size = min(step, n - first)
        lat, lng = _spread(cells, size)
        when = start + (rng.uniform(0, 3650 * 86_400, size) * 1e6).astype("timedelta64[us]")
        table = pa.table(
            {
                "incident_id": pa.array([f"c{number:07d}" for number in range(first, first + size)]),
                "occurred_at": when,
                "lat": lat + rng.normal(0, 1e-3, size),
                "lng": lng,
                "category": names[rng.integers(4, size=size)],
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def to_panel(source: str, query: str | None = None) -> str:
    """Read incidents and count them; what came of it in words."""
    begin = time.perf_counter()
    origins = dict.fromkeys(("noise", "damage", "theft", "burglary"), "citizen")
    incidents = read_incidents(source, query=query, tz=TZ, origins=origins)
    read = time.perf_counter() - begin
    panel = Panel.build(incidents, grid(), TimeBins.covering(incidents))
    return f"reading {read:.1f} s of it; {panel.funnel['accepted']:,} accepted, {panel.n_bins:,} days"


def load(source: str, query: str) -> float:
    """Seconds from a query to a table in memory, imports not counted; shortest of three."""
    from tranquillite_ml.intake.databases import Database  # noqa: PLC0415

    part = Database(source, query)
    return wall_seconds(lambda: part.load(part.columns), repeats=3)


def from_database(path: Path) -> dict[str, Any]:
    """Seconds of reading from a server of the bench's own, beside a bare COPY of the same rows."""
    with _server() as (server, why):
        if server is None:
            return {name: figure(None, note=why) for name in ("copy", "database")}
        server.write("incidents", pd.read_parquet(path))
        copy = wall_seconds(lambda: _copy(server.url), repeats=3)
        read = fresh.call("context", "load", source=server.url, query=QUERY)["result"]
        whole = fresh.call("context", "to_panel", source=server.url, query=QUERY)
    note = f"COPY {copy:.1f} s, {N_ROWS:,} rows"
    return {
        "copy": figure(read / copy, beside=note, note=f"{read:.1f} s"),
        "database": figure(whole["seconds"] / copy, note=f"{whole['seconds']:.1f} s, {whole['result']}"),
    }


def _copy(url: str) -> None:
    command = ["psql", url, "-q", "-c", f"\\copy ({QUERY}) to '{os.devnull}' with (format binary)"]
    subprocess.run(command, check=True)  # noqa: S603 - of our own making


@contextmanager
def _server() -> Iterator[tuple[Any, str]]:
    """A server, or none and why."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    import pytest  # noqa: PLC0415
    from tests.postgresql import running  # noqa: PLC0415

    started = running()
    try:
        server = started.__enter__()
    except pytest.skip.Exception as missing:
        yield None, str(missing)
        return
    try:
        yield server, ""
    finally:
        started.__exit__(None, None, None)
