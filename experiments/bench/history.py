"""Windows and lags of many places, beside a library for many series and beside plain NumPy.

14 columns of 8,000 places × 730 days: windows of 1 (yesterday's count) to 730 days, and the counts 7, 14, 21 and 28
days back. All start from the counts as they keep them (a sparse panel, a sorted long table, a dense array), and sums
made on the way count. Ours are also scaled up where history is short. We make them one at a time and drop them, as a
fit does, and once more keep all 14, which is how the others give them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from common import Bar, figure, wall_seconds

from tranquillite_ml import Panel, SquareGrid, Target, TimeBins
from tranquillite_ml.features import View

N_CELLS, N_DAYS, MEAN_A_DAY = 8_000, 730, 0.05
WINDOWS = (1, 3, 7, 14, 28, 56, 91, 182, 365, 730)
LAGS = (7, 14, 21, 28)
VALUES = N_CELLS * N_DAYS * (len(WINDOWS) + len(LAGS))
ROUNDS = 5

PEER = "mlforecast 103 M values/s with two threads, 24 with one"

BARS = {
    "speed": Bar(
        "history features, 8,000 cells × 730 days × 14 columns, one after the other", "M values/s", least=400
    ),
    "ratio": Bar("the same, as a multiple of mlforecast with two threads", "×", least=4, elsewhere=PEER),
    "held": Bar("the same, all 14 columns kept in memory", "M values/s", least=400),
    "held_ratio": Bar("all 14 kept, as a multiple of mlforecast with two threads", "×", least=4),
    "same": Bar("greatest difference of our windows to plain NumPy's", "incidents", most=0),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    counts = np.random.default_rng(0).poisson(MEAN_A_DAY, (N_DAYS, N_CELLS))
    bins = TimeBins("2022-01-01", N_DAYS, "1D", "UTC")
    grid = SquareGrid.from_tensor_shape((80, N_CELLS // 80), size_km=0.3)
    panel = Panel.from_counts(counts[None], grid, bins, ["noise"], {"noise": "citizen"})
    dense = counts.astype(np.float32)
    calls = {
        "speed": lambda: [column.shape for column in ours(panel)],
        "held": lambda: list(ours(panel)),
        "numpy": lambda: plain(dense),
    }
    try:
        calls["peer"], peer = _peer(counts)
    except ImportError:
        peer = "mlforecast was not measured: it needs the extra, pip install '.[bench]'"
    # In turns, so that what else the machine does falls on all of them.
    turns = [{name: wall_seconds(call, 1) for name, call in calls.items()} for _ in range(ROUNDS)]
    speed = {name: VALUES / min(turn[name] for turn in turns) / 1e6 for name in calls}
    beside = ", ".join(
        f"{name} {speed[key]:,.0f}" for name, key in ((peer, "peer"), ("NumPy", "numpy")) if key in speed
    )
    note = f"one thread, {int(counts.sum()):,} simulated incidents, best of {ROUNDS} in turns"
    found = {
        "speed": figure(speed["speed"], beside=f"{beside} M values/s (both keep all)", note=note),
        "held": figure(speed["held"]),
        "same": figure(_difference(panel, dense), note="where the window is whole"),
    }
    for name, top in (("ratio", "speed"), ("held_ratio", "held")):
        found[name] = (
            figure(speed[top] / speed["peer"], note=peer) if "peer" in speed else figure(None, note=peer)
        )
    return found


def ours(panel: Panel) -> Iterator[np.ndarray]:
    """Our columns, from the panel's records."""
    view = View(panel, "noise", Target("noise"), np.arange(panel.n_bins))
    yield from (view.window(days) for days in WINDOWS)
    yield from (view.seasonal(np.array([lag])) for lag in LAGS)


def plain(counts: np.ndarray) -> list[np.ndarray]:
    """The same as a few lines of NumPy: differences of a cumulated array."""
    total = np.concatenate([np.zeros((1, N_CELLS), np.float32), np.cumsum(counts, axis=0)])
    columns = []
    for width in WINDOWS:
        column = total[:N_DAYS].copy()
        column[width:] -= total[: N_DAYS - width]
        columns.append(column)
    return columns + [
        np.concatenate([np.full((lag, N_CELLS), np.nan, np.float32), counts[:-lag]]) for lag in LAGS
    ]


def _difference(panel: Panel, counts: np.ndarray) -> float:
    pairs = zip(WINDOWS, ours(panel), plain(counts), strict=False)
    return max(float(np.abs(a[width:] - b[width:]).max(initial=0)) for width, a, b in pairs)


def _peer(counts: np.ndarray) -> tuple[Callable[[], object], str]:
    """A call that makes the peer's columns, and the peer's name and version."""
    import mlforecast  # noqa: PLC0415 - an extra, that may not be there
    from mlforecast.lag_transforms import RollingMean  # noqa: PLC0415

    long = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(N_CELLS), N_DAYS),
            "ds": np.tile(pd.date_range("2022-01-01", periods=N_DAYS), N_CELLS),
            "y": counts.T.ravel().astype(np.float32),
        }
    )
    rolling = [RollingMean(width, min_samples=1) for width in WINDOWS[1:]]
    peer = mlforecast.MLForecast([], freq="D", lags=[1, *LAGS], lag_transforms={1: rolling}, num_threads=2)
    kind = {"static_features": [], "dropna": False}
    peer.preprocess(long.head(N_DAYS * 10), **kind)  # imports what it needs
    return lambda: peer.preprocess(long, **kind), f"mlforecast {mlforecast.__version__}"
