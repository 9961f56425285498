"""Speed and agreement of the self-exciting process, beside the figures of a peer.

The peer, open_cp (2018), took 32 s for one forecast from 124,000 incidents, on a machine with two cores. Machines
differ: read the figures as orders.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from common import DATA, Bar, cpu_seconds, figure

from tranquillite_ml.processes import fit_hawkes, hawkes_estimates, rescaled_test, simulate_hawkes

REFERENCE = DATA / "reference"
N_INCIDENTS = 124_000
N_CELLS, DAYS = 1_600, 3_650
THETA, OMEGA = 0.4, 0.2
PEER_S = 32.0


SIZE = f"{N_INCIDENTS:,} simulated incidents in {N_CELLS:,} cells"
KINDS = ("plain", "edge_corrected")

BARS = {
    "fit": Bar(
        f"self-exciting fit on own cells, {SIZE}, until it has converged",
        "CPU s",
        most=2,
        elsewhere=f"open_cp {PEER_S:g} s",
    ),
    "steps": Bar(
        f"self-exciting fit on own cells, {SIZE}, 100 steps",
        "CPU s",
        most=2,
        elsewhere=f"open_cp {PEER_S:g} s",
    ),
    "planted": Bar(f"planted theta and omega, {SIZE}, greatest relative difference", "", most=0.1),
    "rescaled": Bar(
        "rescaled time, distance to the exponential law, in its 1 % critical distances", "", most=1
    ),
    **{
        f"agreement_{kind}": Bar(
            f"agreement with open_cp, {kind}, theta, omega and mu, relative", "", most=1e-3
        )
        for kind in KINDS
    },
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    total = (1 - THETA) * N_INCIDENTS / DAYS
    mu = np.random.default_rng(0).gamma(0.5, 1, N_CELLS)
    times, cells = simulate_hawkes(mu * (total / mu.sum()), THETA, OMEGA, duration=DAYS)
    kind = {"n_cells": N_CELLS, "duration": DAYS}
    fitted = fit_hawkes(times, cells, **kind)
    seconds = cpu_seconds(lambda: fit_hawkes(times, cells, **kind))
    many = cpu_seconds(lambda: fit_hawkes(times, cells, steps=100, tolerance=-np.inf, **kind))
    table = hawkes_estimates(fitted, times, cells).set_index("parameter")
    off = max(abs(fitted.theta / THETA - 1), abs(fitted.omega / OMEGA - 1))
    found = rescaled_test(fitted, times, cells)
    said = f"theta {_said(table, 'theta')}, omega {_said(table, 'omega')}"
    rescaled = f"distance {found.statistic:.4f}, p {found.p_value:.2f}, n {found.n:,}"
    return {
        "fit": figure(seconds, note=f"{len(fitted.trace)} steps"),
        "steps": figure(many),
        "planted": figure(off, note=said),
        "rescaled": figure(found.statistic / (1.63 / np.sqrt(found.n)), note=rescaled),
        **_agreement(),
    }


def _said(table: pd.DataFrame, name: str) -> str:
    row = table.loc[name]
    return f"{row['value']:.3f} ({row['lower']:.3f} to {row['upper']:.3f})"


def _events() -> tuple[np.ndarray, np.ndarray]:
    events = pd.read_parquet(REFERENCE / "hawkes_events.parquet")
    return events["t_days"].to_numpy(), np.unique(events["cell"], return_inverse=True)[1]


def _agreement() -> dict[str, Any]:
    """Greatest relative difference to what open_cp printed."""
    if not REFERENCE.is_dir():
        return {}
    expected = json.loads((REFERENCE / "hawkes_expected.json").read_text())
    times, cells = _events()
    found = {}
    for kind, values in expected.items():
        fitted = fit_hawkes(
            times,
            cells,
            n_cells=cells.max() + 1,
            duration=times.max(),
            edge=kind != "plain",
            ties="listed",
            steps=100,
            tolerance=-np.inf,
        )
        ours = np.array([fitted.theta, fitted.omega, fitted.mu.sum()])
        off = np.abs(ours / list(values.values()) - 1).max()
        found[f"agreement_{kind}"] = figure(off, note=f"{len(times):,} incidents, 100 steps")
    return found


def memory_without_doubtful() -> str:
    """Hours of memory with and without placeholder times and exact repeats, in a sentence."""
    times, cells = _events()
    minute = np.rint(times % 1 * 1440)
    repeats = pd.DataFrame({"t": times, "cell": cells}).duplicated().to_numpy()
    sure = ~np.isin(minute, [1, 720]) & ~repeats
    hours = []
    for kept, ties in ((np.ones(len(times), dtype=bool), "listed"), (sure, "apart")):
        fitted = fit_hawkes(times[kept], cells[kept], n_cells=cells.max() + 1, duration=365, ties=ties)
        hours.append(24 / fitted.omega)
    left = f"without placeholder times and repeats ({sure.sum():,} left)"
    return f"Memory of {len(times):,} larcenies: {hours[0]:.2f} hours; {left}: {hours[1]:.2f} hours."


if __name__ == "__main__":
    print(memory_without_doubtful())
