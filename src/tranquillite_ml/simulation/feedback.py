"""Feedback: what becomes of a forecast that decides where the next records are made.

After Lum and Isaac (2016), To predict and serve?, Significance 13(5), doi:10.1111/j.1740-9713.2016.00960.x: a
known intensity, patrols where the forecast is highest, and what they find there among the next records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.simulation.loop import (
    NO_DISCOVERY,
    Arm,
    Learner,
    OverRuns,
    Report,
    World,
    gini,
    jaccard,
    number_of_cells,
    run_loop,
    silent,
    top_cells,
)
from tranquillite_ml.simulation.places import PlaceGroups, activity_quintiles
from tranquillite_ml.simulation.surrogate import NAME, start_surrogate
from tranquillite_ml.simulation.truth import reported_rate, weeks_of_history

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.panel import Panel

INCLUDED, MISFILED, EXCLUDED, WEIGHTED = "included", "misfiled", "excluded", "weighted"
ARMS = (INCLUDED, MISFILED, EXCLUDED, WEIGHTED)
MIN_FLAGS = 30
LAST_WEEKS = 4


@dataclass(frozen=True)
class Feedback:
    """What a year of feedback does to a forecast.

    Attributes
    ----------
    table : DataFrame
        By arm, discovery rate, group and week: ``exposure_ratio`` (flags per resident of the group over the
        city's), ``expected_ratio`` (share of the expected count in the group over its share of the true rate;
        1 is right), ``amplification, lower, upper`` (exposure ratio over that of week 0), ``n_runs``.
    places : DataFrame
        By arm, discovery rate and week, each with its limits: ``inflation`` (expected count of the flagged
        cells over their true rate), ``jaccard`` (flagged cells against the truly highest ones), ``gini`` (of
        weeks flagged so far, over cells), ``n_runs``.
    amplification : DataFrame
        By arm, discovery rate and group: ``start, end`` (exposure ratio in week 0 and over the last
        weeks), ``amplification`` = end / start; ``over_none`` = end over the end with nothing found in the
        same worlds, which is sharper; ``expected_over_none``, the same of the share of the expected count;
        each with ``_lower, _upper`` (95 % over runs; ``lower, upper`` of the first), ``n_runs, n_flags``
        (flags of the group in week 0, all runs together) and ``few`` (too few flags to be judged).
    method : str
        How it was computed.
    """

    table: pd.DataFrame
    places: pd.DataFrame
    amplification: pd.DataFrame
    method: str


def simulate_feedback(
    panel: Panel,
    category: str,
    *,
    groups: PlaceGroups | None = None,
    forecaster: Forecaster | None = None,
    discovery: Sequence[float] = (0.1, 0.2, 0.5),
    weeks: int = 52,
    runs: int | None = None,
    top_share: float = 0.05,
    latent: float = 1.0,
    misfiled: float = 0.2,
    last_weeks: int = LAST_WEEKS,
    min_flags: int = MIN_FLAGS,
    seed: int = 0,
    folder: Path | None = None,
    report: Report = silent,
) -> Feedback:
    """Let a forecast decide where patrols go and learn from what they find, week after week.

    Each week the highest cells are flagged, patrols there find some of the incidents that nobody reported,
    and the model learns from that week's records. Four arms differ in what becomes of the finds. Arms live
    through the same incidents, so that they are paired.

    ============  ======================================================================================
    included      every find is one more record: no guard on who made a record
    excluded      finds are told apart by their origin and set aside: the guard as it is meant
    misfiled      the guard, but a share of the finds (`misfiled`) is filed as if a citizen had reported
    weighted      finds are included, and records of patrolled places kept with the inverse of how much
                  more is recorded there; needs that to be known
    ============  ======================================================================================

    Parameters
    ----------
    panel : Panel
    category : str
        Of citizen or sensor origin: its smoothed field is taken for the true intensity.
    groups : PlaceGroups, optional
        Groups to compare; without them, five groups of cells with a fifth of the recorded incidents each.
    forecaster : Forecaster, optional
        Deep tier: the real configuration, trained again every week in every arm, on the panel as it would be
        then. Without it, the surrogate: a smoothed count, weekly, in closed form.
    discovery : sequence of float
        Shares of unreported incidents that a patrol finds in a flagged cell.
    weeks : int, default 52
    runs : int, optional
        Independent years: 50 for the surrogate, 1 for the deep tier.
    top_share : float, default 0.05
        Share of cells that is flagged.
    latent : float, default 1
        Incidents that nobody reports for each one that is reported: an assumption, not an estimate.
    misfiled : float, default 0.2
        Also an assumption.
    last_weeks : int, default 4
        Weeks that are averaged for the end.
    min_flags : int, default 30
        Flags in week 0, all runs together, below which a group is not to be judged.
    seed : int, default 0
    folder : Path, optional
        Deep tier: where finished steps are kept, so that an interrupted simulation goes on.
    report : callable, optional
        Called with what is being done, steps done, and steps to do.

    Returns
    -------
    Feedback

    Raises
    ------
    UsageError
        If the category is unknown or made by agents, or a number is out of range.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=200, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> found = simulate_feedback(panel, "noise", weeks=8, runs=5)
    >>> sorted(found.amplification["arm"].unique())
    ['excluded', 'included', 'misfiled', 'nothing found', 'weighted']
    """
    rate = reported_rate(panel, category)
    places = activity_quintiles(rate) if groups is None else groups
    number = (50 if forecaster is None else 1) if runs is None else runs
    world = World(rate, latent, tuple(discovery), number, seed)
    arms = make_arms(discovery, latent=latent, misfiled=misfiled)
    k = number_of_cells(top_share, len(rate))
    learners = start_learners(
        panel, category, world, arms, forecaster=forecaster, weeks=weeks, folder=folder, report=report
    )
    diary = Diary(places, rate, k)
    run_loop(
        world, learners, weeks=weeks, k=k, watch=diary.watch, report=report, what=f"feedback: {category}"
    )
    runs_of = OverRuns(number, seed)
    model = f"{NAME} (surrogate)" if forecaster is None else forecaster.name
    method = (
        f"{weeks} weeks × {number} runs of {model}, seed {seed}; {k} of {len(rate)} cells flagged a week; "
        f"{latent:g} unreported for each reported incident, of which patrols find "
        f"{', '.join(f'{share:g}' for share in discovery)}; {misfiled:g} of the finds misfiled"
    )
    ends = diary.amplification(runs_of, last_weeks=last_weeks, min_flags=min_flags)
    return Feedback(diary.table(runs_of), diary.places(runs_of), ends, method)


def make_arms(discovery: Sequence[float], *, latent: float, misfiled: float) -> list[Arm]:
    """Arm without finds, and the four arms for each discovery rate above 0."""
    arms = [NO_DISCOVERY]
    for share in sorted({share for share in discovery if share > 0}):
        arms += [
            Arm(INCLUDED, share, 1.0),
            Arm(MISFILED, share, misfiled),
            Arm(EXCLUDED, share, 0.0),
            Arm(WEIGHTED, share, 1.0, thinned=1 / (1 + share * latent)),
        ]
    return arms


def start_learners(
    panel: Panel,
    category: str,
    world: World,
    arms: Sequence[Arm],
    *,
    forecaster: Forecaster | None = None,
    weeks: int = 0,
    folder: Path | None = None,
    report: Report = silent,
) -> dict[Arm, Learner]:
    """One model an arm: surrogates that have seen as much history as the panel has, or refitted models."""
    if forecaster is None:
        first = start_surrogate(panel.grid, world, weeks_of_history(panel))
        return {arm: first.twin() for arm in arms}
    from tranquillite_ml.simulation.refitting import start_refitted

    return start_refitted(panel, category, world, arms, forecaster, weeks=weeks, folder=folder, report=report)


class Diary:
    """Notes of every arm's weeks, made into tables at the end."""

    def __init__(self, groups: PlaceGroups, rate: NDArray[np.float64], k: int) -> None:
        self.groups, self._rate = groups, rate[:, None]
        self._best = top_cells(self._rate, k)
        self._true_share = self._spread(self._rate)
        self._notes: dict[Arm, list[dict[str, NDArray[np.float64]]]] = {}
        self._flags: dict[Arm, NDArray[np.float64]] = {}

    def _spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        held = self.groups.share.T @ values
        return np.asarray(held / held.sum(axis=0))

    def watch(self, week: int, arm: Arm, expected: NDArray[np.float64], flagged: NDArray[np.bool_]) -> None:
        """Note a week of an arm."""
        del week
        self._flags[arm] = self._flags.get(arm, np.zeros(flagged.shape)) + flagged
        self._notes.setdefault(arm, []).append(
            {
                "exposure": self.groups.exposure_ratio(flagged),
                "expected": self._spread(expected) / self._true_share,
                "flags": self.groups.share.T @ flagged,
                "inflation": (expected * flagged).sum(axis=0) / (self._rate * flagged).sum(axis=0),
                "jaccard": jaccard(flagged, np.broadcast_to(self._best, flagged.shape)),
                "gini": gini(self._flags[arm]),
            }
        )

    def table(self, over: OverRuns) -> pd.DataFrame:
        """By arm, discovery, group and week."""
        rows = [
            {
                **{"arm": arm.name, "discovery": arm.discovery, "group": name, "week": week},
                **{"exposure_ratio": note["exposure"][place].mean()},
                **{"expected_ratio": note["expected"][place].mean()},
                **_interval(
                    "amplification", over.ratio(note["exposure"][place], notes[0]["exposure"][place])
                ),
                "n_runs": over.runs,
            }
            for arm, notes in self._notes.items()
            for place, name in enumerate(self.groups.names)
            for week, note in enumerate(notes)
        ]
        return pd.DataFrame(rows)

    def places(self, over: OverRuns) -> pd.DataFrame:
        """By arm, discovery and week."""
        rows = []
        for arm, notes in self._notes.items():
            for week, note in enumerate(notes):
                row = {"arm": arm.name, "discovery": arm.discovery, "week": week}
                for name in ("inflation", "jaccard", "gini"):
                    row |= _interval(name, over.ratio(note[name]), f"{name}_")
                rows.append(row | {"n_runs": over.runs})
        return pd.DataFrame(rows)

    def amplification(self, over: OverRuns, *, last_weeks: int, min_flags: int) -> pd.DataFrame:
        """By arm, discovery and group, the end against the beginning, and against nothing found."""
        last = {
            arm: {
                name: np.stack([note[name] for note in notes[-last_weeks:]]).mean(axis=0)
                for name in ("exposure", "expected")
            }
            for arm, notes in self._notes.items()
        }
        none = last[NO_DISCOVERY]
        rows = []
        for arm, notes in self._notes.items():
            start, end = notes[0]["exposure"], last[arm]
            flags = notes[0]["flags"].sum(axis=1)
            for place, name in enumerate(self.groups.names):
                ends, expected = end["exposure"][place], end["expected"][place]
                row = {"arm": arm.name, "discovery": arm.discovery, "group": name}
                row |= {"start": start[place].mean(), "end": ends.mean()}
                row |= _interval("amplification", over.ratio(ends, start[place]))
                row |= _interval("over_none", over.ratio(ends, none["exposure"][place]), "over_none_")
                found = over.ratio(expected, none["expected"][place])
                row |= _interval("expected_over_none", found, "expected_over_none_")
                few = bool(flags[place] < min_flags)
                rows.append(row | {"n_runs": over.runs, "n_flags": round(float(flags[place])), "few": few})
        return pd.DataFrame(rows)


def _interval(name: str, found: tuple[float, float, float], prefix: str = "") -> dict[str, Any]:
    return dict(zip((name, f"{prefix}lower", f"{prefix}upper"), found, strict=True))
