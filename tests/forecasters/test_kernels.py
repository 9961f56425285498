"""Kernel hotspots: what the sums say, with the total kept, and a width and memory that can be found."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import CENTRE, make_panel
from tranquillite_ml.errors import UsageError
from tranquillite_ml.features import View
from tranquillite_ml.forecasters import KernelDensity, ProspectiveHotspot, RetrospectiveHotspot
from tranquillite_ml.forecasters.kernels import FLOOR, kernel_shares, side_m
from tranquillite_ml.grid import centres_in_metres, to_metres
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.processes import gaussian, inverse_age, inverse_distance, quartic
from tranquillite_ml.squaregrid import SquareGrid
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

TARGET = Target("noise", period=7)
BINS = TimeBins("2023-01-02", 120, "1D", "UTC")


def one_incident(age: int, *, rings: int = 3, known: int | None = None) -> Panel:
    """A daily panel with one incident in its first cell, so many days before the end."""
    grid = HexGrid([CENTRE]).dilated(rings)
    arrays = {
        "category": [0],
        "bin": [BINS.n_bins - age],
        "cell": [0],
        "known": [BINS.n_bins - age + 1 if known is None else known],
        "count": [1],
    }
    made = {name: np.array(values, dtype=np.int32) for name, values in arrays.items()}
    return Panel(grid, BINS, ["noise"], {"noise": "citizen"}, made)


def at_the_end(panel: Panel) -> View:
    return View(panel, "noise", TARGET, np.array([panel.n_bins]))


def without_floor(rate: np.ndarray, panel: Panel, total: float, exposure: float) -> np.ndarray:
    even = panel.grid.area_km2 / panel.grid.area_km2.sum()
    return (rate[0] / TARGET.period - FLOOR * (total + 0.5 / exposure) * even) / (1 - FLOOR)


def test_the_retrospective_rate_is_the_kernel_of_the_window_over_its_days() -> None:
    panel = one_incident(10)
    rate = RetrospectiveHotspot(TARGET, window_days=60, bandwidth_m=800)._rate(at_the_end(panel))
    metres = centres_in_metres(panel.grid)
    squared = ((metres - metres[0]) ** 2).sum(axis=1)
    kernel = np.where(squared < 800**2, (1 - squared / 800**2) ** 2, 0) * panel.grid.area_km2
    expected = kernel / kernel.sum() / 60  # one incident in 60 days
    found = without_floor(rate, panel, 1 / 60, 60)
    np.testing.assert_allclose(found, expected, atol=1e-8)
    gone = RetrospectiveHotspot(TARGET, window_days=9)._rate(at_the_end(panel))
    np.testing.assert_allclose(without_floor(gone, panel, 0, 9), 0, atol=1e-12)


def test_the_prospective_rate_is_the_weighted_mean_of_days() -> None:
    # 10 days old: the middle of that day is 9.5 days ago, so 1/(1 + 9.5/7), over the weights of 56 days.
    panel = one_incident(10)
    made = ProspectiveHotspot(TARGET)
    weights = 1 / (1 + (np.arange(56) + 0.5) / 7)
    mean = weights[9] / weights.sum()
    memory, exposure = made._memory(at_the_end(panel))
    assert memory[0, 0] == pytest.approx(mean, rel=1e-6)
    assert exposure[0, 0] == pytest.approx(weights.sum())
    shares = kernel_shares(panel.grid, inverse_distance(side_m(panel.grid)))
    found = without_floor(made._rate(at_the_end(panel)), panel, mean, weights.sum())
    np.testing.assert_allclose(found, mean * shares.toarray()[:, 0], atol=1e-8)
    for age, seen in ((56, True), (57, False)):
        assert bool(made._memory(at_the_end(one_incident(age)))[0].any()) is seen


@pytest.mark.parametrize(("freq", "n_bins", "lags"), [("8h", 400, 56), ("7D", 60, 8), ("1D", 30, 30)])
def test_prospective_ages_are_of_days_whatever_the_bin(freq: str, n_bins: int, lags: int) -> None:
    panel = make_panel(n_bins, rings=2, freq=freq, seed=4)
    view = View(panel, "noise", Target("noise"), np.array([n_bins]))
    memory, exposure = ProspectiveHotspot(Target("noise"))._memory(view)
    step = {"8h": 3, "7D": 1, "1D": 1}[freq]
    days = {"8h": 1, "7D": 7, "1D": 1}[freq]
    counts = panel.counts("noise")[::-1][: lags * step].reshape(lags, step, -1).sum(axis=1)
    weights = inverse_age((np.arange(lags) + 0.5) * days)
    np.testing.assert_allclose(memory[0], weights @ counts / (weights.sum() * step), rtol=1e-5)
    assert exposure[0, 0] == pytest.approx(weights.sum() * step)


KINDS = [RetrospectiveHotspot, ProspectiveHotspot, KernelDensity]


@pytest.mark.parametrize("kind", KINDS)
def test_the_total_is_that_of_the_memory(kind: type[RetrospectiveHotspot]) -> None:
    panel = make_panel(200, rings=4, seed=3)
    fitted = kind(TARGET, calibration_days=28).fit(panel)
    view = View(panel, "noise", TARGET, np.array([150, 200]))
    memory, exposure = fitted._memory(view)
    total = memory.sum(axis=1) + FLOOR * 0.5 / exposure[:, 0]
    np.testing.assert_allclose(fitted._rate(view).sum(axis=1), total * TARGET.period, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_yet_reported_has_no_weight(kind: type[RetrospectiveHotspot]) -> None:
    late, never = one_incident(5, known=BINS.n_bins + 3), one_incident(119, known=BINS.n_bins + 9)
    rates = [kind(TARGET, calibration_days=0).fit(panel)._rate(at_the_end(panel)) for panel in (late, never)]
    assert rates[0].tobytes() == rates[1].tobytes()
    assert (rates[0] > 0).all()


@pytest.mark.parametrize(
    "grid",
    [HexGrid([CENTRE]).dilated(3), SquareGrid.from_tensor_shape((5, 4), size_km=0.5)],
    ids=["hexagons", "squares"],
)
@pytest.mark.parametrize("kernel", [quartic(900), gaussian(400), inverse_distance(300)], ids=str)
def test_shares_keep_every_incident_on_any_grid(grid: HexGrid, kernel: object) -> None:
    shares = kernel_shares(grid, kernel)  # type: ignore[arg-type]
    np.testing.assert_allclose(np.asarray(shares.sum(axis=0)).ravel(), 1, rtol=1e-5)
    assert (shares.diagonal() >= shares.max(axis=0).toarray().ravel() * 0.99).all()


def test_centres_lie_as_far_apart_as_on_the_globe() -> None:
    from h3.api import basic_int as h3

    grid = HexGrid([CENTRE]).dilated(5)
    metres = centres_in_metres(grid)
    globe = [h3.great_circle_distance(tuple(grid.centres[0]), tuple(c), unit="m") for c in grid.centres]
    np.testing.assert_allclose(np.hypot(*(metres - metres[0]).T), globe, rtol=1e-3)
    # Across the 180th meridian it is 0.02 degrees, not 359.98.
    assert abs(to_metres([0.0], [-179.99], around=(0.0, 179.99))[0, 0] - 2223.9) < 0.1


def self_exciting(width_m: float, decay_days: float, *, n_days: int = 420, seed: int = 0) -> Panel:
    """Incidents drawn, day by day, from the very density that is to be found."""
    rng = np.random.default_rng(seed)
    grid = HexGrid([CENTRE]).dilated(9)
    shares = kernel_shares(grid, gaussian(width_m))
    counts = np.zeros((n_days, grid.n_cells), dtype=np.int64)
    state = np.zeros(grid.n_cells)
    for day in range(n_days):
        even = np.full(grid.n_cells, 1 / grid.n_cells)
        law = even if day < 20 else 0.9 * (shares @ state) / state.sum() + 0.1 * even
        counts[day] = rng.multinomial(60, law / law.sum())
        state = (state + counts[day]) * np.exp(-1 / decay_days)
    return Panel.from_counts(counts[None], grid, TimeBins("2022-01-01", n_days, "1D", "UTC"), ["noise"])


@pytest.mark.parametrize(("width_m", "decay_days"), [(200, 60), (600, 60), (350, 15), (350, 120)])
def test_the_planted_width_and_memory_are_found(width_m: float, decay_days: float) -> None:
    panel = self_exciting(width_m, decay_days)
    found = KernelDensity(TARGET, calibration_days=0).fit(panel).models_["noise"]
    assert 0.5 <= found["bandwidth_m"] / width_m <= 2
    assert 0.4 <= found["decay_days"] / decay_days <= 2.5
    assert found["n"] == 60 * 182


def test_without_evidence_the_smoothest_pair_is_taken() -> None:
    found = KernelDensity(TARGET, bandwidths_m=(200, 400), decays_days=(30, 90), calibration_days=0)
    assert found.fit(one_incident(119)).models_["noise"] == {"bandwidth_m": 400, "decay_days": 90, "n": 0}


def test_wrong_parameters_are_refused_when_fitted() -> None:
    panel = make_panel(100)
    for wrong, match in (
        (KernelDensity(TARGET, bandwidths_m=[]), "bandwidths_m must be one or more positive"),
        (KernelDensity(TARGET, decays_days=[30, -1]), "decays_days must be one or more positive"),
        (ProspectiveHotspot(TARGET, weeks=0), "weeks must be one or more positive"),
        (RetrospectiveHotspot(TARGET, window_days=-5), "window_days must be one or more positive"),
        (RetrospectiveHotspot(TARGET, bandwidth_m=-5), "scale_m must be a positive number"),
    ):
        with pytest.raises(UsageError, match=match):
            wrong.set_params(calibration_days=28).fit(panel)


def test_a_configuration_adds_them_to_the_ladder_once() -> None:
    from tranquillite_ml.config import RunConfig
    from tranquillite_ml.stages import make_forecasters

    config = RunConfig.model_validate(
        {
            "name": "added",
            "incidents": {"simulate": {"days": 400}, "categories": {"noise": ["noise"]}},
            "forecast": {"period": 7},
            "model": {"kind": "none"},
            "baselines": ["kde", "prospective", "retrospective", "kde"],
            "calibration": {"window": "45D"},
        }
    )
    made = make_forecasters(config)
    assert [step.name for step in made][5:] == ["kde", "prospective", "retrospective"]
    assert {step.calibration_days for step in made} == {45}
