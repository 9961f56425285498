"""Self-exciting block: one incident's echo by hand, and nothing known too early."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import CENTRE, make_panel
from tranquillite_ml.errors import UsageError
from tranquillite_ml.features import FeatureSet, SelfExciting, View
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins


def one_incident(grid: HexGrid, cell: int, *, known: int = 391) -> Panel:
    """One incident on day 390 of 400."""
    found = {"category": 0, "bin": 390, "cell": cell, "known": known, "count": 1}
    arrays = {name: np.array([value], dtype=np.int32) for name, value in found.items()}
    bins = TimeBins("2023-01-02", 400, "1D", "UTC")
    return Panel(grid, bins, ["noise"], {"noise": "citizen"}, arrays)


def column(panel: Panel, target: Target, rows: list[int], horizons: list[int] | None = None) -> np.ndarray:
    chosen = None if horizons is None else np.array(horizons)
    view = View(panel, "noise", target, np.array(rows), chosen)
    return dict(SelfExciting(memories=(5,), by_ring=(0.3, 0.12)).columns(view))["self_exciting_5d"]


@pytest.mark.parametrize("horizon", [1, 3])
def test_one_incident_by_hand(horizon: int) -> None:
    grid = HexGrid([CENTRE]).dilated(2)
    middle = int(grid.ring(1).sum(axis=1).argmax())
    panel = one_incident(grid, middle)
    found = column(panel, Target("noise", period=7, horizons=[1, 2, 3]), [395], [horizon])[0]
    # Age 5 at day 395 (390 … 394). Bin 395 + o is 5 + o bins after it: (1 − r) r^(4 + o); seven of these.
    ratio = np.exp(-1 / 5)
    lags = 4 + (horizon - 1) * 7 + np.arange(7)
    echo = ((1 - ratio) * ratio**lags).sum()
    # The usual: 1/365 a day, over all 395 days there have been.
    ages = np.arange(1, 396)
    usual = ((1 - ratio) * ratio ** (ages[:, None] - 1 + (lags - 4))).sum() / 365
    inside = grid.ring(1).toarray()[middle] > 0
    assert found[middle] == pytest.approx(0.3 * (echo - usual), rel=1e-4)
    np.testing.assert_allclose(found[inside], 0.12 / 6 * (echo - usual), rtol=1e-4)
    rest = ~inside
    rest[middle] = False
    np.testing.assert_allclose(found[rest], 0, atol=1e-9)


def test_at_the_border_offspring_stays_inside() -> None:
    grid = HexGrid([CENTRE]).dilated(1)
    corner = int(grid.ring(1).sum(axis=1).argmin())
    found = column(one_incident(grid, corner), Target("noise"), [391])[0]
    # Three neighbours share what six would.
    assert found[found > 0].size == 4
    assert found.sum() / found[corner] == pytest.approx((0.3 + 0.12) / 0.3, rel=1e-5)


def test_an_echo_waits_for_the_report() -> None:
    grid = HexGrid([CENTRE]).dilated(1)
    found = column(one_incident(grid, 0, known=396), Target("noise"), [391, 395, 396])
    assert not found[:2].any()
    assert found[2].any()


@pytest.mark.parametrize("delay", [0, 6])
@pytest.mark.parametrize("freq", ["1D", "8h"])
def test_no_row_sees_what_came_later(delay: int, freq: str) -> None:
    panel = make_panel(200, rings=2, delay=delay, freq=freq, seed=2)
    rows = np.arange(30, 200)  # more than a few, which are added up another way
    target = Target("noise", period=3)
    block = SelfExciting()
    whole = dict(block.columns(View(panel, "noise", target, rows)))
    for row in (40, 111, 187):
        past = dict(block.columns(View(panel.until(row), "noise", target, np.array([row]))))
        for name, values in past.items():
            np.testing.assert_allclose(whole[name][row - 30], values[0], rtol=2e-4, atol=1e-6)


def test_it_can_be_named_and_described() -> None:
    features = FeatureSet.from_list([{"self_exciting": {"memories": [3, 9], "by_ring": [0.1]}}])
    panel = make_panel(60)
    table = features.table(Target("noise"), panel.bins)
    assert table["name"].tolist() == ["self_exciting_3d", "self_exciting_9d"]
    view = View(panel, "noise", Target("noise"), np.array([50]))
    assert [name for name, _ in features.columns(view)] == table["name"].tolist()
    assert repr(FeatureSet.from_list(features.to_list())) == repr(features)
    for wrong in ({"memories": [0]}, {"by_ring": []}, {"by_ring": [-0.1]}):
        with pytest.raises(UsageError, match="self_exciting needs"):
            FeatureSet.from_list([{"self_exciting": wrong}])
