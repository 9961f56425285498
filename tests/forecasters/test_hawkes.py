"""Self-exciting forecaster: what is planted is found, the mean is the process's, reports count when known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import CENTRE, make_panel
from tranquillite_ml.errors import UsageError
from tranquillite_ml.features import FeatureSet, View, smoothed_rate
from tranquillite_ml.forecasters import HawkesForecaster, make_model
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.processes.hawkes_sums import offspring_shares
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

WEEK = Target("noise", period=7)


def planted(by_ring: list[float], memory_days: float, *, n_days: int = 1000, seed: int = 0) -> Panel:
    """A daily panel of the process itself: geometric echoes in rings on an uneven background."""
    rng = np.random.default_rng(seed)
    grid = HexGrid([CENTRE]).dilated(8)
    shares = offspring_shares([grid.ring(k) for k in range(len(by_ring))], grid.n_cells)
    spread = sum(mean * share for mean, share in zip(by_ring, shares, strict=True)).tocsr()
    ratio = np.exp(-1 / memory_days)
    rate = rng.gamma(1, 0.2, grid.n_cells)
    state = rate / (1 - sum(by_ring))
    counts = np.empty((1, n_days, grid.n_cells), dtype=np.int64)
    for day in range(n_days):
        counts[0, day] = rng.poisson(rate + spread @ state)
        state = ratio * state + (1 - ratio) * counts[0, day]
    return Panel.from_counts(counts, grid, TimeBins("2021-01-04", n_days, "1D", "UTC"), ["noise"])


def test_planted_echoes_are_found() -> None:
    model = HawkesForecaster(WEEK, memories_days=[2, 7, 28]).fit(planted([0.35], 7)).models_["noise"]
    assert model["memory_days"] == 7
    assert model["by_ring"] == pytest.approx([0.35, 0, 0], abs=0.05)
    # The background is a share of the smoothed rate, which holds the echoes too.
    assert model["background"] == pytest.approx(0.65, abs=0.05)


def test_echoes_in_rings_are_understated_where_neighbours_differ() -> None:
    # Neighbours' echoes raise a cell by what they are, its own smoothed rate by a share of what it is.
    model = HawkesForecaster(WEEK, memories_days=[7]).fit(planted([0.25, 0.15], 7)).models_["noise"]
    assert model["by_ring"][0] == pytest.approx(0.25, abs=0.05)
    assert 0 < model["by_ring"][1] < 0.15


def test_without_echoes_none_is_found() -> None:
    model = HawkesForecaster(WEEK).fit(planted([0.0], 7)).models_["noise"]
    assert sum(model["by_ring"]) < 0.05
    assert model["background"] == pytest.approx(1, abs=0.05)


def test_the_rate_is_the_background_and_the_expected_offspring() -> None:
    panel = make_panel(100, rings=2, seed=5)
    target = Target("noise", horizons=[1])
    made = HawkesForecaster(target, rings=1)
    made.models_ = {"noise": {"background": 0.7, "by_ring": [0.2, 0.1], "memory_days": 5.0, "n": 1}}
    view = View(panel, "noise", target, np.array([100]))
    counts = panel.counts("noise")[::-1].astype(float)
    ratio = np.exp(-1 / 5)
    echo = (1 - ratio) * ratio ** np.arange(100) @ counts
    ring = panel.grid.ring(1).toarray()
    expected = 0.7 * smoothed_rate(view, days=1000)[0] + 0.2 * echo + 0.1 * (ring / ring.sum(axis=0)) @ echo
    np.testing.assert_allclose(made._rate(view)[0], expected, rtol=1e-4)


def test_later_horizons_hold_less_of_the_echo() -> None:
    grid = HexGrid([CENTRE]).dilated(2)
    found = {"category": 0, "bin": 99, "cell": 0, "known": 100, "count": 9}
    arrays = {name: np.array([value], dtype=np.int32) for name, value in found.items()}
    panel = Panel(grid, TimeBins("2023-01-02", 100, "1D", "UTC"), ["noise"], {}, arrays)
    target = Target("noise", period=7, horizons=[1, 2, 3])
    made = HawkesForecaster(target, rings=0)
    made.models_ = {"noise": {"background": 0.8, "by_ring": [0.3], "memory_days": 4.0, "n": 9}}
    view = View(panel, "noise", target, np.full(3, 100), np.array([1, 2, 3]))
    rate = made._rate(view)[:, 0]
    assert (np.diff(rate) < 0).all()
    background = 0.8 * smoothed_rate(view, days=1000)[0, 0] * 7
    # Direct offspring of the first week: 9 · 0.3 · (1 − r⁷); with all generations below 1 / (1 − 0.3) of it.
    direct = 9 * 0.3 * (1 - np.exp(-7 / 4))
    assert background + direct < rate[0] < (background + direct) / 0.7


def test_what_was_not_yet_reported_has_no_echo() -> None:
    grid = HexGrid([CENTRE]).dilated(1)
    rates = []
    for known in (100, 101):
        found = {"category": 0, "bin": 98, "cell": 0, "known": known, "count": 1}
        arrays = {name: np.array([value], dtype=np.int32) for name, value in found.items()}
        panel = Panel(grid, TimeBins("2023-01-02", 120, "1D", "UTC"), ["noise"], {}, arrays)
        made = HawkesForecaster(WEEK, rings=1)
        made.models_ = {"noise": {"background": 1e-9, "by_ring": [0.3, 0.1], "memory_days": 4.0, "n": 1}}
        rates.append(made._rate(View(panel, "noise", WEEK, np.array([100]))))
    assert rates[0].max() > 0.05
    assert rates[1].max() < 1e-6


def test_a_category_without_incidents_can_be_fitted() -> None:
    panel = make_panel(200, rings=2, rate=0.0, categories=("noise",))
    fitted = HawkesForecaster(WEEK, calibration_days=28).fit(panel)
    assert fitted.models_["noise"]["n"] == 0
    assert (fitted.forecast(panel).expected_count > 0).all()


def test_it_can_be_named_and_refuses_what_it_cannot_use() -> None:
    assert make_model("hawkes", WEEK, FeatureSet(), rings=1).get_params()["rings"] == 1
    for wrong in ({"memories_days": []}, {"memories_days": [0]}, {"rings": -1}):
        with pytest.raises(UsageError, match="memories_days must be positive"):
            HawkesForecaster(WEEK, **wrong).fit(make_panel(200))
