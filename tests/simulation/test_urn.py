"""The urn does what is known of it: Pólya's limit, runaway feedback, and a correction that ends it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tranquillite_ml.errors import UsageError
from tranquillite_ml.simulation import simulate_urn, urn_table
from tranquillite_ml.simulation.urn import PRIORS, RULES

TWO_TO_ONE = [2 / 3, 1 / 3]


def _exact_shares(n_draws: int, start: tuple[int, int]) -> np.ndarray:
    """Chances of 0 … n additions to the first colour of a Pólya urn, by going through all draws."""
    chance = np.array([1.0])
    for drawn in range(n_draws):
        first = start[0] + np.arange(drawn + 1)
        p = first / (sum(start) + drawn)
        chance = np.append(chance * (1 - p), 0.0) + np.append(0.0, chance * p)
    return chance


def test_the_brute_force_oracle_is_polyas() -> None:
    # One of each colour: after n draws every number of additions is equally likely, 1 / (n + 1).
    assert _exact_shares(7, (1, 1)) == pytest.approx(np.full(8, 1 / 8))


def test_a_naive_urn_with_equal_rates_ends_at_polyas_beta_limit() -> None:
    # Equal rates thin all draws alike, so that the urn of finds is a Pólya urn. A day adds Poisson(0.02)
    # finds: nearly always none or one. From (2, 3) records the share tends to a Beta(2, 3).
    urn = simulate_urn([0.02, 0.02], prior=[2, 3], days=20_000, runs=400, seed=1)
    share = urn.share[:, 0]
    assert stats.kstest(share, stats.beta(2, 3).cdf).pvalue > 0.01
    # And the exact law after as many draws as there are finds (about 400) says the same.
    exact = _exact_shares(400, (2, 3))
    middle = (2 + np.arange(401)) / 405
    assert share.mean() == pytest.approx(exact @ middle, abs=0.03)
    assert share.std() == pytest.approx(np.sqrt(exact @ middle**2 - (exact @ middle) ** 2), abs=0.03)


def test_the_naive_urn_diverges_and_the_corrected_one_converges() -> None:
    table = urn_table().set_index(["rule", "prior", "ratio"])
    naive, corrected = table.loc[("naive", "weak", 2.0)], table.loc[("corrected", "weak", 2.0)]
    assert naive["lower"] > 0.2  # the truth is 2/3; most urns are near 0.95
    assert naive["share"] > 0.85
    for ratio in (1.0, 1.2, 2.0):
        found = table.loc[("corrected", "weak", ratio)]
        assert found["upper"] <= 0.05
        assert found["n_runs"] == 200
    assert corrected["share"] == pytest.approx(2 / 3, abs=0.02)


def test_a_strong_prior_hides_the_divergence() -> None:
    table = urn_table(ratios=[2.0]).set_index(["rule", "prior"])
    assert table.loc[("naive", "strong"), "error"] < 0.01
    much_longer = simulate_urn(TWO_TO_ONE, prior=np.array([2, 1]) * 20, days=20_000, runs=50)
    assert much_longer.error.mean() > 0.1


def test_reports_attenuate_the_divergence_and_do_not_remove_it() -> None:
    table = urn_table(ratios=[2.0]).set_index(["rule", "prior"])["error"]
    assert table["corrected", "weak"] < table["mixed", "weak"] < table["naive", "weak"]
    without = simulate_urn(TWO_TO_ONE, rule="mixed", reported_weight=0.0, seed=3)
    more = simulate_urn(TWO_TO_ONE, rule="mixed", reported_weight=5.0, seed=3)
    assert more.error.mean() < without.error.mean()


def test_the_correction_holds_for_more_than_two_areas() -> None:
    rates = np.array([0.5, 0.3, 0.15, 0.05])
    corrected = simulate_urn(rates, rule="corrected", days=3000, runs=100)
    naive = simulate_urn(rates, rule="naive", days=3000, runs=100)
    assert corrected.share.mean(axis=0) == pytest.approx(rates, abs=0.03)
    assert corrected.error.mean() < 0.06 < naive.error.mean()


def test_forgetting_makes_room_for_what_is_found_lately() -> None:
    # With decay 0.02 the urn holds some 50 days: naive, it is driven to one area, whatever the rates.
    urn = simulate_urn([0.5, 0.5], decay=0.02, days=4000, runs=60)
    assert urn.error.mean() > 0.45
    assert urn.share[:, 0].mean() == pytest.approx(0.5, abs=0.25)


@given(st.sampled_from(RULES), st.integers(0, 2**31), st.floats(0.2, 5))
@settings(max_examples=15, deadline=None)
def test_shares_are_shares_and_the_seed_decides(rule: str, seed: int, ratio: float) -> None:
    first = simulate_urn([ratio, 1.0], rule=rule, days=20, runs=5, seed=seed)
    again = simulate_urn([ratio, 1.0], rule=rule, days=20, runs=5, seed=seed)
    assert first.share.sum(axis=1) == pytest.approx(np.ones(5))
    assert (first.share > 0).all()
    assert np.array_equal(first.share, again.share)
    assert first.truth == pytest.approx([ratio / (ratio + 1), 1 / (ratio + 1)])


@pytest.mark.parametrize("rule", RULES)
def test_labels_do_not_matter(rule: str) -> None:
    one = simulate_urn([0.6, 0.4], rule=rule, runs=400, days=300, seed=5).share[:, 0]
    other = simulate_urn([0.4, 0.6], rule=rule, runs=400, days=300, seed=6).share[:, 1]
    assert stats.ks_2samp(one, other).pvalue > 0.01


def test_records_are_conserved() -> None:
    # No decay: the urn grows by what is accepted, and only in the area that was patrolled.
    urn = simulate_urn([1.0, 0.0], prior=[1, 1], days=50, runs=20, seed=2)
    total = 1 / urn.share[:, 1]  # the second area keeps its one record
    grown = total - 2
    assert (grown >= 0).all()
    assert grown == pytest.approx(np.round(grown))


@pytest.mark.parametrize(
    "wrong",
    [
        {"rates": [1.0]},
        {"rates": [-1.0, 1.0]},
        {"rates": [0.0, 0.0]},
        {"rates": [1.0, 1.0], "prior": 0.0},
        {"rates": [1.0, 1.0], "decay": 1.0},
        {"rates": [1.0, 1.0], "runs": 0},
        {"rates": [1.0, 1.0], "rule": "polya"},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        simulate_urn(**wrong)  # type: ignore[arg-type]
    assert PRIORS["weak"] < PRIORS["strong"]
