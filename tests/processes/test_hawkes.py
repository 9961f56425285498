"""Self-exciting process: against all pairs, a peer's figures, planted values, and its own rescaled time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from tests.builders import CENTRE
from tranquillite_ml.errors import UsageError
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.processes import (
    HawkesPriors,
    Prior,
    fit_hawkes,
    hawkes_estimates,
    rescaled_gaps,
    rescaled_test,
    simulate_hawkes,
)
from tranquillite_ml.processes.hawkes_binned import expected_counts, fading, fit_mixture, share_in_period

REFERENCE = Path(__file__).parents[2] / "../shared/data/reference"
GRID = HexGrid([CENTRE]).dilated(2)
RINGS = [GRID.ring(k) for k in range(3)]


def all_pairs(times, cells, n_cells, duration, *, rings, edge, ties, priors, steps, theta=0.5, omega=1.0):
    """The same estimates from the N × N matrix of probabilities, one step after the other."""
    reach = [np.asarray(ring.todense(), dtype=float) for ring in rings]
    size = [matrix.sum(axis=0) for matrix in reach]
    share = [matrix / np.maximum(s, 1) for matrix, s in zip(reach, size, strict=True)]
    age = times[:, None] - times[None, :]  # of j at i
    rank = np.arange(len(times))
    earlier = (age > 0) | ((age == 0) & (rank[:, None] > rank[None, :]) & (ties == "listed"))
    link = np.array([matrix[np.ix_(cells, cells)] for matrix in share]) * earlier
    seen = np.array([np.minimum(s, 1)[cells] for s in size])
    by_ring = np.full(len(rings), theta / len(rings))
    back, off, fade = priors
    mu = (np.bincount(cells, minlength=n_cells) + back.weight) / (duration + back.weight / back.value)
    left = duration - times
    for _ in range(steps):
        pair = by_ring[:, None, None] * link * omega * np.exp(-omega * np.where(earlier, age, 0))
        rate = mu[cells] + pair.sum(axis=(0, 2))
        p = pair / rate[:, None]
        gone = np.exp(-omega * left) * edge
        exposed = (seen * (1 - gone)).sum(axis=1)
        delay = (p * age).sum() + (by_ring[:, None] * seen * left * gone).sum()
        own = np.bincount(cells, weights=mu[cells] / rate, minlength=n_cells)
        mu = (own + back.weight) / (duration + back.weight / back.value)
        weight = off.weight / len(rings)
        by_ring = (p.sum(axis=(1, 2)) + weight) / (exposed + off.weight / off.value)
        omega = (p.sum() + fade.weight) / (delay + fade.weight / fade.value)
    return mu, by_ring, omega


def some_incidents(seed: int, n: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """Incidents in ten days, to the tenth of one, so that some are simultaneous."""
    rng = np.random.default_rng(seed)
    return np.round(rng.uniform(0, 10, n), 1), rng.integers(0, GRID.n_cells, n)


@pytest.mark.parametrize("edge", [False, True])
@pytest.mark.parametrize("ties", ["apart", "listed"])
@pytest.mark.parametrize("rings", [RINGS[:1], RINGS])
@pytest.mark.parametrize("priors", [HawkesPriors(), HawkesPriors.weak(150, GRID.n_cells, 10)])
def test_the_recursions_give_what_all_pairs_give(edge, ties, rings, priors) -> None:
    times, cells = some_incidents(3)
    kind = {"rings": rings, "edge": edge, "ties": ties, "priors": priors, "steps": 12}
    fitted = fit_hawkes(times, cells, n_cells=GRID.n_cells, duration=10, tolerance=-np.inf, **kind)
    mu, by_ring, omega = all_pairs(times, cells, GRID.n_cells, 10, **kind)
    np.testing.assert_allclose(fitted.mu, mu, rtol=1e-9)
    np.testing.assert_allclose(fitted.by_ring, by_ring, rtol=1e-9)
    assert fitted.omega == pytest.approx(omega, rel=1e-9)


@pytest.mark.parametrize("kind", ["plain", "edge_corrected"])
def test_a_peer_s_figures_come_out(kind: str) -> None:
    if not REFERENCE.is_dir():
        pytest.skip("no ../shared/data/reference beside the project")
    events = pd.read_parquet(REFERENCE / "hawkes_events.parquet")
    expected = json.loads((REFERENCE / "hawkes_expected.json").read_text())[kind]
    names, cells = np.unique(events["cell"], return_inverse=True)
    times = events["t_days"].to_numpy()
    # The peer observes until its last incident, and lets one of two simultaneous incidents trigger the other.
    fitted = fit_hawkes(
        times,
        cells,
        n_cells=len(names),
        duration=times.max(),
        edge=kind != "plain",
        ties="listed",
        steps=100,
        tolerance=-np.inf,
    )
    assert fitted.theta == pytest.approx(expected["theta"], rel=1e-9)
    assert fitted.omega == pytest.approx(expected["omega_per_day"], rel=1e-9)
    assert fitted.mu.sum() == pytest.approx(expected["mu_total_per_day"], rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 999),
    n=st.integers(1, 60),
    edge=st.booleans(),
    weak=st.booleans(),
    omega=st.floats(0.05, 20),
)
def test_no_step_loses_likelihood_and_rows_have_no_order(seed, n, edge, weak, omega) -> None:
    times, cells = some_incidents(seed, n)
    priors = HawkesPriors.weak(n, GRID.n_cells, 10) if weak else None
    kind = {"n_cells": GRID.n_cells, "duration": 10, "rings": RINGS, "edge": edge, "priors": priors}
    fitted = fit_hawkes(times, cells, omega=omega, steps=40, **kind)
    assert np.diff(fitted.trace).min(initial=0) > -1e-9
    assert fitted.theta >= 0
    assert (fitted.mu >= 0).all()
    turned = fit_hawkes(times[::-1], cells[::-1], omega=omega, steps=40, **kind)
    assert turned.theta == pytest.approx(fitted.theta, rel=1e-6, abs=1e-12)


def test_planted_values_are_found_with_their_error() -> None:
    mu = np.random.default_rng(5).gamma(2, 0.03, GRID.n_cells)
    planted = np.array([0.3, 0.15, 0.05])
    times, cells = simulate_hawkes(mu, planted, 0.2, duration=6000, rings=RINGS, seed=1)
    fitted = fit_hawkes(times, cells, n_cells=GRID.n_cells, duration=6000, rings=RINGS)
    assert fitted.converged
    assert fitted.theta == pytest.approx(0.5, rel=0.1)
    assert fitted.omega == pytest.approx(0.2, rel=0.1)
    assert fitted.ring_shares == pytest.approx(planted / 0.5, abs=0.06)
    assert fitted.mu.sum() == pytest.approx(mu.sum(), rel=0.1)
    table = hawkes_estimates(fitted, times, cells).set_index("parameter")
    z = (table["value"] - [0.5, *planted, 0.2]) / table["standard_error"]
    assert (z.abs() < 3.5).all(), table
    assert (table["n"] == len(times)).all()


def test_standard_errors_are_those_of_repeated_simulation() -> None:
    found, errors = [], []
    for seed in range(40):
        times, cells = simulate_hawkes(np.full(20, 0.1), 0.4, 0.3, duration=600, seed=seed)
        fitted = fit_hawkes(times, cells, n_cells=20, duration=600)
        table = hawkes_estimates(fitted, times, cells).set_index("parameter")
        found.append(table.loc[["theta", "omega"], "value"])
        errors.append(table.loc[["theta", "omega"], "standard_error"])
    # The spread of 40 has itself an error of 11 %.
    ratio = np.mean(errors, axis=0) / np.std(found, axis=0, ddof=1)
    np.testing.assert_allclose(ratio, 1, atol=0.35)


def test_the_information_is_the_curvature_of_the_likelihood() -> None:
    """Against second differences of the log-likelihood over all parameters, backgrounds included."""
    ring = [csr_matrix(np.eye(2)), csr_matrix(1 - np.eye(2))]
    times, cells = simulate_hawkes([0.3, 0.5], [0.3, 0.2], 0.8, duration=400, rings=ring, seed=3)
    fitted = fit_hawkes(times, cells, n_cells=2, duration=400, rings=ring, tolerance=1e-12, steps=3000)

    age = times[:, None] - times[None, :]
    same = cells[:, None] == cells[None, :]

    def likelihood(x: np.ndarray) -> float:
        mu, theta, omega = x[:2], x[2:4], x[4]
        kernel = omega * np.exp(-omega * np.where(age > 0, age, 0)) * (age > 0)
        rate = mu[cells] + (kernel * np.where(same, theta[0], theta[1])).sum(axis=1)
        seen = (1 - np.exp(-omega * (400 - times))).sum()
        return float(np.log(rate).sum() - 400 * mu.sum() - theta.sum() * seen)

    at = np.array([*fitted.mu, *fitted.by_ring, fitted.omega])
    assert likelihood(at) == pytest.approx(fitted.log_likelihood, rel=1e-9)
    step = np.diag(1e-3 * at)
    hessian = np.array(
        [
            [
                (
                    likelihood(at + a + b)
                    - likelihood(at + a - b)
                    - likelihood(at - a + b)
                    + likelihood(at - a - b)
                )
                / (4 * a.sum() * b.sum())
                for b in step
            ]
            for a in step
        ]
    )
    error = np.sqrt(np.diag(np.linalg.inv(-hessian)))[2:]
    table = hawkes_estimates(fitted, times, cells).set_index("parameter")
    found = table.loc[["theta_ring_0", "theta_ring_1", "omega"], "standard_error"]
    np.testing.assert_allclose(found, error, rtol=1e-3)


def test_rescaled_time_is_the_integral_of_the_intensity() -> None:
    times, cells = np.array([1.0, 2.0, 4.0]), np.array([0, 0, 1])
    priors = HawkesPriors(theta=Prior(0.5, 5.0), omega=Prior(0.7, 5.0))
    fitted = fit_hawkes(times, cells, n_cells=2, duration=5, priors=priors)
    mu, theta, omega = fitted.mu, fitted.theta, fitted.omega
    # First cell: up to 1 the background, then the echo of the first; the rest, up to 5, is carried over.
    first = mu[0] * 1
    second = mu[0] * 2 + theta * (1 - np.exp(-omega))
    whole = mu[0] * 5 + theta * (2 - np.exp(-4 * omega) - np.exp(-3 * omega))
    expected = [first, second - first, whole - second + mu[1] * 4]
    np.testing.assert_allclose(rescaled_gaps(fitted, times, cells), expected, rtol=1e-12)


def test_rescaled_time_tells_a_right_process_from_a_wrong_one() -> None:
    times, cells = simulate_hawkes(np.full(19, 0.1), [0.3, 0.2], 0.5, duration=2000, rings=RINGS[:2], seed=2)
    kind = {"n_cells": GRID.n_cells, "duration": 2000}
    right = fit_hawkes(times, cells, rings=RINGS[:2], **kind)
    assert rescaled_test(right, times, cells).p_value > 0.05
    # The same with memory and echo held, by priors, at what they are not.
    held = HawkesPriors(theta=Prior(0.01, 1e6), omega=Prior(0.5, 1e6))
    wrong = fit_hawkes(times, cells, priors=held, **kind)
    found = rescaled_test(wrong, times, cells)
    assert found.p_value < 1e-6
    assert found.n == len(times)


def test_few_incidents_converge() -> None:
    alone = fit_hawkes([1.0, 2.0], [0, 1], n_cells=3, duration=10)
    assert alone.theta == 0
    assert np.isnan(alone.omega)
    assert alone.mu.tolist() == [0.1, 0.1, 0]
    assert hawkes_estimates(alone, [1.0, 2.0], [0, 1])["standard_error"].isna().all()
    assert rescaled_gaps(alone, [1.0, 2.0], [0, 1]).tolist() == pytest.approx([0.1, 1.1])
    weak = HawkesPriors.weak(2, 3, 10)
    with_prior = fit_hawkes([1.0, 2.0], [0, 1], n_cells=3, duration=10, priors=weak)
    assert with_prior.converged
    assert 0 < with_prior.theta < 1
    # No pair says anything of the memory: it is the prior's week, but for what would come after the end.
    assert 4 < 1 / with_prior.omega < 10
    assert (with_prior.mu > 0).all()


def test_no_incident_gives_nan_with_n_zero() -> None:
    none = fit_hawkes([], np.array([], dtype=int), n_cells=2, duration=10)
    assert none.n == 0
    assert np.isnan([none.theta, none.omega]).all()
    assert rescaled_test(none, [], np.array([], dtype=int)).n == 0


def test_simulated_numbers_are_those_of_branching() -> None:
    mu = np.full(GRID.n_cells, 0.5)
    times, cells = simulate_hawkes(mu, [0.4, 0.0, 0.0], 2.0, duration=2000, rings=RINGS)
    # Each background incident has a family of 1 / (1 − 0.4) on average; a family's variance is 0.4 / 0.6³.
    families = 0.5 * GRID.n_cells * 2000
    spread = np.sqrt(families * (1 / 0.6**2 + 0.4 / 0.6**3))
    assert abs(len(times) - families / 0.6) < 4 * spread
    assert (np.diff(times) >= 0).all()
    assert 0 <= times.min() < times.max() < 2000
    again = simulate_hawkes(mu, [0.4, 0.0, 0.0], 2.0, duration=2000, rings=RINGS)
    assert again[0].tobytes() == times.tobytes()
    assert set(cells) == set(range(GRID.n_cells))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: fit_hawkes([1], [0, 1], n_cells=2, duration=9), "one entry an incident"),
        (lambda: fit_hawkes([-1], [0], n_cells=2, duration=9), "between 0 and the duration"),
        (lambda: fit_hawkes([1], [2], n_cells=2, duration=9), "row numbers from 0 to 1"),
        (lambda: fit_hawkes([1], [0], n_cells=2, duration=0), "duration must be a positive"),
        (lambda: fit_hawkes([1], [0], n_cells=2, duration=9, ties="all"), "ties"),
        (lambda: fit_hawkes([1], [0], n_cells=2, duration=9, rings=RINGS), "rings must be"),
        (lambda: simulate_hawkes([0.1], 1.0, 1.0, duration=9), "sum to less than 1"),
        (lambda: simulate_hawkes([0.1], [0.1, 0.1], 1.0, duration=9), "one entry a ring"),
        (
            lambda: rescaled_gaps(fit_hawkes([1], [0], n_cells=1, duration=9), [1, 2], [0, 0]),
            "fitted to 1 incidents",
        ),
        (lambda: fit_mixture([[1]], [1, 2], [1], prior=[1], trust=[1]), "parts must have shape"),
        (lambda: fit_mixture([[1]], [1], [1], prior=[0], trust=[1]), "must be positive"),
    ],
)
def test_what_cannot_be_fitted_is_said(call: Callable[[], object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        call()


def test_mixture_weights_maximise_the_likelihood() -> None:
    from scipy.optimize import minimize

    rng = np.random.default_rng(0)
    x = rng.gamma(1, 1, (3, 500))
    counts = rng.poisson(np.array([0.5, 0.3, 0.05]) @ x)
    seen = counts > 0
    found = fit_mixture(
        x[:, seen],
        x.sum(axis=1),
        counts[seen],
        prior=[1, 1, 1],
        trust=[1e-9] * 3,
        steps=9999,
        tolerance=1e-10,
    )
    assert np.diff(found.trace).min() > -1e-9
    best = minimize(
        lambda w: -(counts[seen] @ np.log(w @ x[:, seen]) - w @ x.sum(axis=1)),
        np.ones(3),
        bounds=[(1e-9, None)] * 3,
    )
    np.testing.assert_allclose(found.weights, best.x, atol=2e-3)
    assert found.n == counts.sum()


def test_the_expected_count_is_the_mean_of_simulated_bins() -> None:
    """Geometric echoes, drawn bin by bin from a known past, against the closed form of the mean."""
    rng = np.random.default_rng(1)
    spread = np.array([[0.4, 0.2], [0.1, 0.3]])
    base, faded, ratio = np.array([0.5, 0.2]), np.array([1.5, 0.0]), 0.7
    runs = 40_000
    state, total = np.tile(faded, (runs, 1)), np.zeros((runs, 2))
    for step in range(5):
        counts = rng.poisson(base + state @ spread.T)
        total += counts * (step >= 2)
        state = ratio * state + (1 - ratio) * counts
    found = expected_counts(
        base[None], faded[None], csr_matrix(spread), ratio=ratio, first=np.array([2]), period=3
    )[0]
    error = total.std(axis=0) / np.sqrt(runs)
    assert (np.abs(found - total.mean(axis=0)) < 4 * error).all()


def test_an_echo_is_shared_out_over_all_bins() -> None:
    ratio = 0.8
    # An incident of the last bin: ratio^1. Its echo is (1 − r) r^(t − 1) in the t-th bin from now.
    faded = fading(np.array([ratio]), ratio)
    each = faded * share_in_period(ratio, np.arange(200), 1)
    np.testing.assert_allclose(each, (1 - ratio) * ratio ** np.arange(200))
    assert each.sum() == pytest.approx(1)
    assert (faded * share_in_period(ratio, [3], 4))[0] == pytest.approx(each[3:7].sum())
