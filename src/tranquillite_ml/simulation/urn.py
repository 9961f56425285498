"""The urn of runaway feedback: where patrols go, records come from, and where records come from, patrols go.

After Ensign, Friedler, Neville, Scheidegger and Venkatasubramanian (2018), Runaway feedback loops in
predictive policing, Proceedings of Machine Learning Research 81,
https://proceedings.mlr.press/v81/ensign18a.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.evaluation.bootstrap import percentile_interval, resample_folds

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

RULES = ("naive", "corrected", "mixed")
RATE_RATIOS = (1.0, 1.2, 2.0)
PRIORS = {"weak": 2.0, "strong": 10_000.0}
"""Records that an urn begins with: a weak prior spreads them evenly, a strong one as the true rates are."""


@dataclass(frozen=True)
class Urn:
    """What became of the share of each area.

    Attributes
    ----------
    share : ndarray, shape (runs, n_areas)
        Share of the urn at the end: where patrols would go next.
    truth : ndarray, shape (n_areas,)
        Share of the true rates.
    """

    share: NDArray[np.float64]
    truth: NDArray[np.float64]

    @property
    def error(self) -> NDArray[np.float64]:
        """Largest distance of a share to the truth in each run, shape (runs,); smaller is better."""
        return np.asarray(np.abs(self.share - self.truth).max(axis=1))


def simulate_urn(
    rates: ArrayLike,
    *,
    rule: str = "naive",
    prior: ArrayLike = 1.0,
    days: int = 1000,
    runs: int = 200,
    decay: float = 0.0,
    reported_weight: float = 1.0,
    discovered_weight: float = 1.0,
    seed: int = 0,
) -> Urn:
    """Send one patrol a day where the urn says, and put what it finds into the urn.

    Parameters
    ----------
    rates : array_like, shape (n_areas,)
        Incidents a day that a patrol would find in each area.
    rule : {"naive", "corrected", "mixed"}, default "naive"
        ``"naive"`` adds everything that is found. ``"corrected"`` accepts a day's finds of area i with
        probability min_j p_j / p_i, p the chances of being patrolled, so that areas enter in proportion to
        their rates. ``"mixed"`` is naive, and adds incidents that citizens report in every area.
    prior : array_like, default 1
        Records of each area at the beginning.
    days, runs : int
        Steps, and independent urns.
    decay : float, default 0
        Share of the urn that is forgotten each day.
    reported_weight, discovered_weight : float, default 1
        What a reported and a found incident add to the urn; the first matters to ``"mixed"`` only.
    seed : int, default 0

    Raises
    ------
    UsageError
        If the rule is unknown, or a number is out of range.

    Notes
    -----
    For two areas the correction is the one of the paper up to a common factor: there an observation of an
    area is accepted with the share of the other one.

    Examples
    --------
    >>> naive = simulate_urn([2 / 3, 1 / 3], rule="naive")
    >>> corrected = simulate_urn([2 / 3, 1 / 3], rule="corrected")
    >>> bool(naive.error.mean() > 0.1), bool(corrected.error.mean() < 0.05)
    (True, True)
    """
    check_in(rule, RULES, "rule")
    rate = np.asarray(rates, dtype=np.float64)
    start = np.broadcast_to(np.asarray(prior, dtype=np.float64), rate.shape)
    if rate.ndim != 1 or len(rate) < 2 or not ((rate >= 0).all() and rate.sum() > 0 and (start > 0).all()):
        msg = f"rates must be those of two or more areas, ≥ 0, and priors above 0, got {rates!r}, {prior!r}."
        raise UsageError(msg)
    if days < 1 or runs < 1 or not 0 <= decay < 1 or min(reported_weight, discovered_weight) < 0:
        msg = f"expected days, runs ≥ 1, decay in [0, 1) and weights ≥ 0, got {days=}, {runs=}, {decay=}."
        raise UsageError(msg)
    rng = np.random.default_rng(seed)
    urn = np.tile(start, (runs, 1))
    every = np.arange(runs)
    for _ in range(days):
        chance = urn / urn.sum(axis=1, keepdims=True)
        # Rounding may leave the last cumulated chance below 1: the last area takes what is left.
        area = np.minimum((rng.random((runs, 1)) > chance.cumsum(axis=1)).sum(axis=1), len(rate) - 1)
        found = rng.poisson(rate[area]).astype(np.float64)
        if rule == "corrected":
            found *= rng.random(runs) < chance.min(axis=1) / chance[every, area]
        urn *= 1 - decay
        urn[every, area] += discovered_weight * found
        if rule == "mixed":
            urn += reported_weight * rng.poisson(np.broadcast_to(rate, urn.shape))
    return Urn(urn / urn.sum(axis=1, keepdims=True), rate / rate.sum())


def urn_table(
    *,
    ratios: Sequence[float] = RATE_RATIOS,
    days: int = 1000,
    runs: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Error of each rule for two areas, one incident a day in all: equal rates, 1.2 times, twice.

    Parameters
    ----------
    ratios : sequence of float
        Rate of the first area over that of the second.
    days, runs, seed
        As for `simulate_urn`.

    Returns
    -------
    DataFrame
        ``rule, prior, ratio, truth, share`` (mean share of the first area at the end), ``error`` (mean
        distance to the truth; *smaller is better*), ``lower, upper`` (95 % interval of that mean over runs),
        ``n_runs``. A strong prior holds the true shares: it hides what the rule does within these days.

    Examples
    --------
    >>> table = urn_table(ratios=[2.0], days=200, runs=20).set_index(["rule", "prior"])
    >>> bool(table.loc[("naive", "weak"), "error"] > table.loc[("corrected", "weak"), "error"])
    True
    """
    weights = resample_folds(runs, 1000, seed) / runs
    rows = []
    for rule in RULES:
        for name, records in PRIORS.items():
            for ratio in ratios:
                truth = np.array([ratio, 1.0]) / (ratio + 1)
                prior = records * (truth if name == "strong" else np.full(2, 0.5))
                urn = simulate_urn(truth, rule=rule, prior=prior, days=days, runs=runs, seed=seed)
                lower, upper = percentile_interval(weights @ urn.error, runs)
                rows.append(
                    {
                        **{"rule": rule, "prior": name, "ratio": ratio, "truth": truth[0]},
                        **{"share": urn.share[:, 0].mean(), "error": urn.error.mean()},
                        **{"lower": lower, "upper": upper, "n_runs": runs},
                    }
                )
    return pd.DataFrame(rows)
