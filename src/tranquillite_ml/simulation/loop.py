"""The loop: forecast, send patrols to the highest places, record what they find, learn from it, forecast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation.bootstrap import percentile_interval, resample_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

Report = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps to do."""

HISTORY_BLOCK = 4
N_BOOT = 1000


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Arm:
    """What becomes of the records that patrols make.

    Parameters
    ----------
    name : str
    discovery : float
        Share of the incidents nobody reported that a patrol finds where it goes.
    taken : float
        Share of what is found that enters the records forecasts are made from; the rest is set aside.
    thinned : float
        Share of all records of a patrolled place that is kept.
    """

    name: str
    discovery: float
    taken: float
    thinned: float = 1.0


NO_DISCOVERY = Arm("nothing found", 0.0, 0.0)


class Learner(Protocol):
    """A model in the loop, for many runs at once."""

    def expected(self) -> NDArray[np.float64]:
        """Expected weekly count, shape (n_cells, n_runs)."""

    def learn(self, recorded: NDArray[np.int64], set_aside: NDArray[np.int64]) -> None:
        """Take in a week: what was recorded, and what the guard set aside, both (n_cells, n_runs)."""


@dataclass(frozen=True)
class Week:
    """What happened in a week, whatever the forecast.

    Attributes
    ----------
    reported : ndarray of int64, shape (n_cells, n_runs)
        Incidents that citizens reported.
    findable : dict of float to ndarray of int64
        By discovery rate, the unreported incidents that a patrol in the cell would find.
    jitter : ndarray, shape (n_cells, n_runs)
        Breaks ties by chance, alike in all arms.
    """

    reported: NDArray[np.int64]
    findable: dict[float, NDArray[np.int64]]
    jitter: NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Incidents that arise week by week at a true rate; the same for all arms, so that arms are paired.

    Parameters
    ----------
    rate : ndarray, shape (n_cells,)
        Incidents a week that citizens report.
    latent : float
        Incidents that nobody reports, for each one that is reported.
    discovery : sequence of float
        Discovery rates that arms have.
    runs : int
        Independent worlds.
    seed : int
    """

    rate: NDArray[np.float64]
    latent: float
    discovery: Sequence[float]
    runs: int
    seed: int = 0

    def __post_init__(self) -> None:
        shares = all(0 <= share <= 1 for share in self.discovery)
        if not shares or self.latent < 0 or self.runs < 1 or not (self.rate >= 0).all():
            msg = (
                f"expected discovery rates in [0, 1], latent ≥ 0, runs ≥ 1 and rates ≥ 0, got "
                f"{list(self.discovery)}, {self.latent}, {self.runs} and rates from {self.rate.min():.3g}."
            )
            raise UsageError(msg)

    def week(self, number: int) -> Week:
        """Draw a week; the same number gives the same week."""
        rng = np.random.default_rng([self.seed, 1, number])
        shape = (len(self.rate), self.runs)
        mean = np.broadcast_to(self.rate[:, None], shape)
        reported, left = rng.poisson(mean), rng.poisson(mean * self.latent)
        # Who finds more finds what who finds less finds, and then some.
        findable, before = {}, 1.0
        for share in sorted(set(self.discovery), reverse=True):
            left = rng.binomial(left, share / before if share else 0.0)
            findable[share], before = left, share
        return Week(reported, findable, 1 + 1e-9 * rng.random(shape))

    def history(self, weeks: int, ratio: float) -> tuple[NDArray[np.float64], float]:
        """Sum of `weeks` of reported counts, weighted by ratio^age, and the sum of weights.

        Four weeks are drawn at once, with their mean weight.
        """
        rng = np.random.default_rng([self.seed, 0])
        ages = np.arange(1, weeks + 1)
        total = np.zeros((len(self.rate), self.runs))
        for block in np.split(ages, np.arange(HISTORY_BLOCK, weeks, HISTORY_BLOCK)):
            mean = np.broadcast_to(len(block) * self.rate[:, None], total.shape)
            total += (ratio**block).mean() * rng.poisson(mean)
        return total, float((ratio**ages).sum())


def record(
    week: Week, arm: Arm, flagged: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts that enter the records, and those that the guard sets aside, both (n_cells, n_runs)."""
    found = week.findable[arm.discovery] * flagged if arm.discovery else np.zeros_like(week.reported)
    taken = found if arm.taken == 1 else rng.binomial(found, arm.taken) if arm.taken else found * 0
    recorded = week.reported + taken
    if arm.thinned < 1:
        recorded = np.where(flagged, rng.binomial(recorded, arm.thinned), recorded)
    return recorded, found - taken


def top_cells(expected: NDArray[np.float64], k: int) -> NDArray[np.bool_]:
    """Flag the k highest cells of each run, shape (n_cells, n_runs).

    Examples
    --------
    >>> top_cells(np.array([[0.1], [0.9], [0.5]]), 2).ravel().tolist()
    [False, True, True]
    """
    highest = np.argpartition(-expected, k - 1, axis=0)[:k]
    flagged = np.zeros(expected.shape, dtype=np.bool_)
    np.put_along_axis(flagged, highest, values=True, axis=0)
    return flagged


def number_of_cells(top_share: float, n_cells: int) -> int:
    """Cells in a share of all, at least one.

    Raises
    ------
    UsageError
        If the share is not above 0 and below 1.
    """
    if not 0 < top_share < 1:
        msg = f"top_share must lie between 0 and 1 (0.05 flags 5 % of the cells), got {top_share}."
        raise UsageError(msg)
    return max(1, round(top_share * n_cells))


Watch = Callable[[int, Arm, "NDArray[np.float64]", "NDArray[np.bool_]"], None]
"""Called with the week, the arm, expected counts and flags."""


def run_loop(
    world: World,
    learners: dict[Arm, Learner],
    *,
    weeks: int,
    k: int,
    watch: Watch,
    report: Report = silent,
    what: str = "feedback",
) -> None:
    """Let every arm's model live through the same weeks.

    Parameters
    ----------
    world : World
    learners : dict of Arm to Learner
    weeks : int
    k : int
        Cells flagged a week.
    watch : callable
    report : callable
    what : str
        Name under which progress is told.
    """
    report(what, 0, weeks)
    for number in range(weeks):
        week = world.week(number)
        for place, (arm, learner) in enumerate(learners.items()):
            expected = learner.expected()
            flagged = top_cells(expected * week.jitter, k)
            watch(number, arm, expected, flagged)
            rng = np.random.default_rng([world.seed, 2, number, place])
            learner.learn(*record(week, arm, flagged, rng))
        report(what, number + 1, weeks)


def jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Cells in both selections over cells in either, by run; 1 where they are the same.

    Examples
    --------
    >>> jaccard(np.array([[True], [True], [False]]), np.array([[True], [False], [True]])).tolist()
    [0.3333333333333333]
    """
    return np.asarray((one & other).sum(axis=0) / (one | other).sum(axis=0))


def gini(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gini coefficient over cells, by run: 0 if all have the same, near 1 if one has all.

    Examples
    --------
    >>> gini(np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 8.0]])).tolist()
    [0.0, 0.75]
    """
    ordered = np.sort(values, axis=0)
    n = len(ordered)
    rank = 2 * np.arange(1, n + 1)[:, None] - n - 1
    return np.asarray((rank * ordered).sum(axis=0) / (n * ordered.sum(axis=0)))


@dataclass(frozen=True)
class OverRuns:
    """Ratios of means over runs with 95 % intervals; the same resamples for all, so that arms are paired."""

    runs: int
    seed: int = 0
    weights: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        drawn = resample_folds(self.runs, N_BOOT, self.seed) / self.runs
        object.__setattr__(self, "weights", drawn)

    def ratio(
        self, top: NDArray[np.float64], bottom: NDArray[np.float64] | None = None
    ) -> tuple[float, float, float]:
        """Mean of `top` over mean of `bottom` (1 if None), and its limits; NaN over nothing."""
        below = np.ones_like(top) if bottom is None else bottom
        if not np.isfinite(top).all() or not below.mean() > 0:
            return np.nan, np.nan, np.nan
        drawn = self.weights @ below
        draws = np.divide(self.weights @ top, drawn, out=np.full_like(drawn, np.nan), where=drawn > 0)
        return float(top.mean() / below.mean()), *percentile_interval(draws, self.runs)
