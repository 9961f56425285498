"""The engine's sums against a loop over records and against SQLite, with and without late reports."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.builders import make_panel
from tranquillite_ml.features import FeatureSet, View
from tranquillite_ml.features.sums import Known
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

N_BINS = 90


def known(delay: int) -> tuple[Panel, Known]:
    panel = make_panel(N_BINS, rings=2, delay=delay)
    return panel, Known(panel.records("noise"), panel.n_bins, panel.grid)


def brute_window(panel: Panel, row: int, begin: int, end: int) -> NDArray[np.float64]:
    out = np.zeros(panel.n_cells)
    records = panel.records("noise")
    for b, c, k, n in zip(records.bin, records.cell, records.known, records.count, strict=True):
        if begin <= b < end and k <= row:
            out[c] += n
    return out


@pytest.mark.parametrize("delay", [0, 5])
@pytest.mark.parametrize("rows", [np.arange(1, N_BINS + 1), np.array([40]), np.array([5, 17, 80])])
@pytest.mark.parametrize("width", [1, 3, 28])
@pytest.mark.parametrize("ring", [0, 1])
def test_windows_equal_a_loop(delay: int, rows: NDArray[np.int64], width: int, ring: int) -> None:
    panel, sums = known(delay)
    found = sums.window(rows, width, ring)
    matrix = panel.grid.ring(ring)
    for number, row in enumerate(rows):
        expected = matrix @ brute_window(panel, row, row - width, row)
        np.testing.assert_allclose(found[number], expected)


@pytest.mark.parametrize("delay", [0, 5])
@pytest.mark.parametrize("rows", [np.arange(N_BINS + 1), np.array([33, 60])])
def test_decay_equals_a_loop(delay: int, rows: NDArray[np.int64]) -> None:
    panel, sums = known(delay)
    found = sums.decay(rows, 0.9)
    records = panel.records("noise")
    for number, row in enumerate(rows):
        expected = np.zeros(panel.n_cells)
        for b, c, k, n in zip(records.bin, records.cell, records.known, records.count, strict=True):
            if k <= row:
                expected[c] += n * 0.9 ** (row - b)
        np.testing.assert_allclose(found[number], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("delay", [0, 5])
def test_bins_since_last_equals_a_loop(delay: int) -> None:
    panel, sums = known(delay)
    rows = np.arange(N_BINS + 1)
    found = sums.bins_since_last(rows)
    records = panel.records("noise")
    for row in rows:
        for cell in range(panel.n_cells):
            mine = records.bin[(records.cell == cell) & (records.known <= row)]
            assert found[row, cell] == (row - mine.max() if len(mine) else row + 1)


def test_windows_equal_sqlite() -> None:
    panel, sums = known(0)
    dense = panel.counts("noise")
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE counts (cell INT, bin INT, n INT)")
    rows = [(c, b, int(dense[b, c])) for b in range(N_BINS) for c in range(panel.n_cells)]
    database.executemany("INSERT INTO counts VALUES (?, ?, ?)", rows)
    query = (
        "SELECT bin, cell, SUM(n) OVER (PARTITION BY cell ORDER BY bin "
        "ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) FROM counts"
    )
    found = sums.window(np.arange(1, N_BINS + 1), 7)
    seen = 0
    for time_bin, cell, total in database.execute(query):
        assert found[time_bin, cell] == total  # the row after a bin sees that bin and the six before
        seen += 1
    database.close()
    assert seen == N_BINS * panel.n_cells


@pytest.mark.parametrize("freq", ["1D", "8h"])
@pytest.mark.parametrize("delay", [0, 4])
def test_no_column_changes_when_the_future_does(freq: str, delay: int) -> None:
    """Deleting everything reported after row t leaves every column at t as it is, for every t tried."""
    panel = make_panel(420 if freq == "1D" else 300, delay=delay, freq=freq)
    target = Target("noise", period=2, horizons=(1, 2))
    rows = np.arange(30, panel.n_bins + 1)
    horizons = 1 + rows % 2
    features = FeatureSet()
    whole = dict(features.columns(View(panel, "noise", target, rows, horizons)))
    for row in (30, 57, 131, 299):
        cut = panel.until(row)
        at = rows == row
        past = dict(features.columns(View(cut, "noise", target, rows[at], horizons[at])))
        assert set(past) == set(whole) == set(features.names(target, panel.bins))
        for name, values in past.items():
            expected = whole[name][at] if len(whole[name]) > 1 else whole[name]
            np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6, err_msg=name)


def test_seasonal_is_the_mean_of_complete_lags() -> None:
    panel = make_panel(60)
    view = View(panel, "noise", Target("noise"), np.array([20]))
    dense = panel.counts("noise")
    found = view.seasonal(np.array([7, 14, 21]))
    np.testing.assert_allclose(found[0], (dense[13] + dense[6]) / 2)  # bin −1 does not exist


def test_short_history_is_scaled_up() -> None:
    panel = make_panel(60)
    view = View(panel, "noise", Target("noise"), np.array([10]))
    np.testing.assert_allclose(view.window(28)[0], panel.counts("noise")[:10].sum(axis=0) * 2.8, rtol=1e-6)
