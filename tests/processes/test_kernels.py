"""Kernel sums against values worked by hand, a loop over all pairs, and values that open_cp printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tranquillite_ml.errors import LookAheadError, UsageError
from tranquillite_ml.processes import kernels as module
from tranquillite_ml.processes.kernels import (
    Kernel,
    gaussian,
    inverse_distance,
    kernel_matrix,
    kernel_sum,
    quartic,
)
from tranquillite_ml.processes.surfaces import (
    inverse_age,
    prospective_hotspot,
    retrospective_hotspot,
    space_time_density,
)

REFERENCE = Path(__file__).parents[2].parent / "shared" / "data" / "reference"
KERNELS = [quartic(650), gaussian(300), gaussian(80), inverse_distance(325), Kernel("inverse", 50, 9000)]


@pytest.fixture(scope="module")
def reference() -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Houston robberies as metres and ages in days, and the expected surfaces."""
    files = [REFERENCE / f"kernels_{name}.parquet" for name in ("events", "expected")]
    if not all(file.is_file() for file in files):
        pytest.skip("needs the reference values in ../shared/data, which are not part of the project")
    events, expected = (pd.read_parquet(file) for file in files)
    age = (pd.Timestamp("2010-07-01") - events["timestamp"]) / pd.Timedelta(days=1)
    return events[["x", "y"]].to_numpy(), age.to_numpy(), expected


def test_the_retrospective_surface_is_the_published_one(
    reference: tuple[np.ndarray, np.ndarray, pd.DataFrame],
) -> None:
    places, age, expected = reference
    found = retrospective_hotspot(places, age, expected[["x", "y"]], kernel=quartic(650), window_days=60)
    assert found.max() > 5
    np.testing.assert_allclose(found, expected["retro_quartic650_60d"], rtol=0, atol=1e-9)


def test_the_prospective_surface_is_the_published_one(
    reference: tuple[np.ndarray, np.ndarray, pd.DataFrame],
) -> None:
    places, age, expected = reference
    found = prospective_hotspot(places, age, expected[["x", "y"]], unit_m=325, reach=8, reach_age=8)
    assert found.max() > 5
    np.testing.assert_allclose(found, expected["prospective_classic_325m_1w_8_8"], rtol=0, atol=1e-9)


def in_a_loop(places: np.ndarray, at: np.ndarray, kernel: Kernel, mass: np.ndarray) -> np.ndarray:
    """Every pair, one by one, from the formulas as written."""
    weight: dict[str, Callable[[float], float]] = {
        "quartic": lambda d: (1 - (d / kernel.scale_m) ** 2) ** 2,
        "gaussian": lambda d: float(np.exp(-(d**2) / (2 * kernel.scale_m**2))),
        "inverse": lambda d: 1 / (1 + d / kernel.scale_m),
    }
    out = np.zeros(len(at))
    for number, point in enumerate(at):
        for place, own in zip(places, mass, strict=True):
            distance = float(np.hypot(*(point - place)))
            if distance < kernel.reach_m:
                out[number] += own * weight[kernel.shape](distance)
    return out


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_buckets_miss_no_pair_and_add_none(kernel: Kernel) -> None:
    rng = np.random.default_rng(5)
    # Clusters, stray points, repeats and points on the edges of buckets.
    places = np.concatenate(
        [
            rng.normal(0, 400, (120, 2)),
            rng.uniform(-6000, 6000, (120, 2)),
            rng.integers(-8, 8, (80, 2)) * kernel.reach_m / 3,
            np.repeat([[100.0, 50.0]], 30, axis=0),
        ]
    )
    at = np.concatenate([rng.uniform(-7000, 7000, (60, 2)), places[::9], [[1e6, 1e6]]])
    mass = rng.exponential(size=len(places))
    expected = in_a_loop(places, at, kernel, mass)
    np.testing.assert_allclose(kernel_sum(places, at, kernel, mass), expected, rtol=1e-9, atol=1e-9)
    assert expected[-1] == 0


def test_small_blocks_give_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    places, at = rng.uniform(0, 3000, (500, 2)), rng.uniform(0, 3000, (90, 2))
    whole = kernel_sum(places, at, gaussian(200))
    monkeypatch.setattr(module, "BLOCK_PAIRS", 7)
    np.testing.assert_allclose(kernel_sum(places, at, gaussian(200)), whole, rtol=1e-12)


def test_worked_by_hand() -> None:
    # Two incidents at 300 m and 400 m of the point, north and east; a third beyond the reach.
    places, at = [[0, 300], [400, 0], [5000, 0]], [[0, 0]]
    # (1 − .36)² + (1 − .64)² = .4096 + .1296
    assert kernel_sum(places, at, quartic(500)) == pytest.approx(0.5392)
    # Ages 7, 21 and 0 days with d = 3 and 4 units of 100 m: 1/(4·2) + 1/(5·4)
    assert prospective_hotspot(places, [7, 21, 0], at, unit_m=100) == pytest.approx(0.175)
    # Only the first lies in the window of 10 days, with weight 2.
    found = retrospective_hotspot(
        places, [7, 21, 0], at, kernel=quartic(500), window_days=10, weights=[2, 1, 1]
    )
    assert found == pytest.approx(0.8192)


def test_limits_are_where_they_are_said_to_be() -> None:
    one, here = [[0.0, 0.0]], [[0.0, 0.0]]
    assert retrospective_hotspot(one, [60], here, kernel=quartic(650), window_days=60) == 1
    assert retrospective_hotspot(one, [60.01], here, kernel=quartic(650), window_days=60) == 0
    assert inverse_age([55.9, 56.0]).tolist() == [pytest.approx(1 / (1 + 55.9 / 7)), 0]
    assert kernel_sum(one, [[7.99, 0.0], [8.0, 0.0]], inverse_distance(1, reach=8))[1] == 0


def test_the_density_is_one_of_incidents_per_km2_and_day() -> None:
    """Over a fine lattice it integrates to each incident's share of the memory: exp(−t/τ)/τ."""
    step = np.arange(-3000, 3001, 50.0)
    lattice = np.stack(np.meshgrid(step, step), axis=-1).reshape(-1, 2)
    found = space_time_density([[20.0, 10.0]], [30], lattice, bandwidth_m=400, decay_days=60)
    # The Gaussian is cut off at four bandwidths: 1 − exp(−8) of its volume is left.
    expected = np.exp(-0.5) / 60 * (1 - np.exp(-8))
    assert found.sum() * 0.05**2 == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kernel", KERNELS[:4], ids=str)
def test_counts_of_cells_times_the_matrix_are_the_sum_at_their_centres(kernel: Kernel) -> None:
    rng = np.random.default_rng(2)
    centres = rng.uniform(0, 4000, (150, 2))
    counts = rng.poisson(2.0, 150)
    found = kernel_matrix(centres, kernel) @ counts
    np.testing.assert_allclose(found, kernel_sum(centres, centres, kernel, counts), rtol=1e-9)


planes = arrays(np.float64, st.tuples(st.integers(1, 25), st.just(2)), elements=st.floats(-3000, 3000))


@settings(max_examples=40, deadline=None)
@given(planes, planes, st.sampled_from(KERNELS[:4]), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_moving_everything_changes_nothing(
    places: np.ndarray, at: np.ndarray, kernel: Kernel, east: float, north: float
) -> None:
    # A pair just at the reach may fall on either side of it once rounded: such examples say nothing.
    distance = np.hypot(*(places[:, None] - at).transpose(2, 0, 1))
    if (np.abs(distance - kernel.reach_m) < 1e-6).any():
        return
    shift = np.array([east, north])
    moved = kernel_sum(places + shift, at + shift, kernel)
    np.testing.assert_allclose(moved, kernel_sum(places, at, kernel), rtol=1e-6, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(planes, planes, planes, st.sampled_from(KERNELS[:4]))
def test_the_sum_over_two_lists_is_the_sum_of_the_sums(
    one: np.ndarray, two: np.ndarray, at: np.ndarray, kernel: Kernel
) -> None:
    both = kernel_sum(np.concatenate([one, two]), at, kernel)
    apart = kernel_sum(one, at, kernel) + kernel_sum(two, at, kernel)
    np.testing.assert_allclose(both, apart, rtol=1e-9, atol=1e-9)


def test_the_order_of_incidents_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    places, at = rng.uniform(0, 3000, (300, 2)), rng.uniform(0, 3000, (50, 2))
    found = kernel_sum(places, at, gaussian(250))
    assert found.tobytes() == kernel_sum(places[::-1], at, gaussian(250)).tobytes()


def test_without_incidents_there_is_nothing() -> None:
    assert kernel_sum(np.empty((0, 2)), [[0, 0]], quartic(100)).tolist() == [0]
    assert kernel_sum([[0, 0]], np.empty((0, 2)), quartic(100)).tolist() == []


def test_incidents_after_the_cutoff_are_refused() -> None:
    for surface in (
        lambda: retrospective_hotspot([[0, 0]], [-1], [[0, 0]], kernel=quartic(650)),
        lambda: prospective_hotspot([[0, 0]], [-1], [[0, 0]]),
        lambda: space_time_density([[0, 0]], [-1], [[0, 0]], bandwidth_m=1, decay_days=1),
    ):
        with pytest.raises(LookAheadError, match="1 negative ages"):
            surface()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: quartic(0), "scale_m must be a positive number of metres, got 0"),
        (lambda: gaussian(float("nan")), "scale_m must be a positive"),
        (lambda: inverse_distance(325, reach=0), "reach_m must be a positive"),
        (lambda: Kernel("quartic", 100, 200), "would rise again"),
        (lambda: Kernel("cubic", 100, 200), "shape must be quartic, gaussian or inverse"),
        (lambda: kernel_sum([[0, 0, 0]], [[0, 0]], quartic(1)), "incidents must have shape"),
        (lambda: kernel_sum([[0, 0]], [[0, np.inf]], quartic(1)), "at must be finite, but row 0"),
        (lambda: kernel_sum([[0, 0]], [[0, 0]], quartic(1), [1, 2]), "mass must be 1 finite numbers"),
        (lambda: inverse_age([1], unit_days=-7), "unit_days must be a positive"),
        (
            lambda: space_time_density([[0, 0]], [1], [[0, 0]], bandwidth_m=9, decay_days=0),
            "decay_days must be a positive",
        ),
    ],
)
def test_what_cannot_be_summed_is_said(call: Callable[[], object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        call()


def test_a_matrix_that_would_not_be_sparse_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAIRS", 10)
    with pytest.raises(UsageError, match="use a smaller bandwidth"):
        kernel_matrix(np.zeros((4, 2)), gaussian(100))
