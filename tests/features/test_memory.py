"""Learnt memory: weights by hand, against an independent optimiser, and with planted weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from tests.builders import make_panel
from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation.canaries import panel_of
from tranquillite_ml.features import Memory, Source, View, learn_memory
from tranquillite_ml.features import memory as memory_module
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

CENTRE = "893968152bbffff"
SOURCES = (Source("noise", 7, 0), Source("noise", 60, 0), Source("noise", 60, 1), Source("", 365, 0))


def planted(days: int = 500, seed: int = 0) -> Panel:
    """Noise whose law is 0.5 of the cell's own mean of about two months plus 0.3 of its neighbours'."""
    grid = HexGrid([CENTRE]).dilated(6)
    rng = np.random.default_rng(seed)
    ring = grid.ring(1).toarray()
    ring = ring / ring.sum(axis=1, keepdims=True)
    level = rng.gamma(1.0, 0.3, grid.n_cells)
    ratio = np.exp(-1 / 60)
    decayed = level / (1 - ratio) * ratio
    counts = np.zeros((days, grid.n_cells), dtype=np.int64)
    for day in range(days):
        mean = decayed * (1 - ratio) / ratio
        counts[day] = rng.poisson(0.6 * mean + 0.3 * ring @ mean + 0.1 * mean.mean())
        decayed = (decayed + counts[day]) * ratio
    return panel_of(counts, grid)


def test_planted_weights_are_found() -> None:
    panel = planted()
    view = View(panel, "noise", Target("noise"), np.arange(250, 499))
    found = learn_memory(view, SOURCES)
    weights = dict(zip(found.sources, found.weights, strict=True))
    assert weights[Source("noise", 60, 0)] == pytest.approx(0.6, abs=0.08)
    assert weights[Source("noise", 60, 1)] == pytest.approx(0.3, abs=0.1)
    assert weights.get(Source("noise", 7, 0), 0) < 0.05


def test_weights_are_those_of_an_independent_optimiser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "STEPS", 4000)
    panel = planted(days=200)
    view = View(panel, "noise", Target("noise"), np.arange(100, 199, 3))
    sources = tuple(sorted(SOURCES))
    parts = np.stack([np.broadcast_to(v, view.shape).ravel() for v in memory_module._values(view, sources)])
    y = view.outcome().ravel()

    def loss(w: np.ndarray) -> float:
        mean = w @ parts
        return float(mean.sum() - (y * np.log(mean)).sum())

    free = minimize(loss, np.full(4, 0.25), bounds=[(1e-9, None)] * 4, method="L-BFGS-B", tol=1e-12)
    found = learn_memory(view, SOURCES)
    ours = np.array([dict(zip(found.sources, found.weights, strict=True)).get(s, 0) for s in sources])
    assert loss(np.maximum(ours, 1e-12)) <= free.fun + 0.05


def test_expected_counts_sum_to_what_was_recorded() -> None:
    panel = planted(days=200)
    view = View(panel, "noise", Target("noise", period=7), np.arange(60, 190, 7))
    found = learn_memory(view)
    # At the maximum of a Poisson likelihood with free weights, expected and recorded totals agree.
    assert 7 * found.rate(view).sum() == pytest.approx(view.outcome().sum(), rel=1e-3)
    assert found.share.sum() == pytest.approx(1)
    assert (found.weights >= 0).all()


def test_it_survives_a_round_trip() -> None:
    panel = planted(days=120)
    view = View(panel, "noise", Target("noise"), np.arange(60, 119))
    found = learn_memory(view)
    again = Memory.from_dict(found.to_dict())
    np.testing.assert_array_equal(again.rate(view), found.rate(view))


def test_what_is_reported_later_changes_nothing() -> None:
    panel = make_panel(90, rings=2, delay=5)
    memory = Memory(SOURCES[:3], np.array([0.5, 0.3, 0.1]), np.array([0.5, 0.3, 0.2]))
    rows = np.array([40, 60])
    whole = memory.rate(View(panel, "noise", Target("noise"), rows))
    for number, row in enumerate(rows.tolist()):
        known = panel.until(row)
        alone = memory.rate(View(known, "noise", Target("noise"), np.array([row])))
        np.testing.assert_allclose(alone[0], whole[number], rtol=1e-5)


def test_other_categories_must_not_be_agent_made() -> None:
    panel = make_panel(90, rings=1)
    view = View(panel, "noise", Target("noise"), np.array([50]))
    with pytest.raises(UsageError, match="only categories of citizen or sensor origin"):
        view.of("no such category")
