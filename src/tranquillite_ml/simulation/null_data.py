"""Lock-in on records without pattern: whether a loop finds hotspots where there are none, and keeps them.

After Chapman, Ugwudike, Grylls, Gammack and Ayling (2022), A data-driven analysis of the interplay between
criminological theory and predictive policing algorithms, FAccT '22, https://eprints.soton.ac.uk/457426.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError
from tranquillite_ml.panel import Panel
from tranquillite_ml.simulation.feedback import make_arms, start_learners
from tranquillite_ml.simulation.loop import (
    NO_DISCOVERY,
    Arm,
    OverRuns,
    Report,
    World,
    jaccard,
    number_of_cells,
    run_loop,
    silent,
)
from tranquillite_ml.simulation.surrogate import NAME
from tranquillite_ml.simulation.truth import reported_rate

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tranquillite_ml.forecasters import Forecaster


@dataclass(frozen=True)
class NullLoop:
    """How much of the flagged cells stays flagged half a year later, where all cells are alike.

    Attributes
    ----------
    table : DataFrame
        By arm and discovery rate: ``jaccard`` (of the flagged cells and those 26 weeks later, mean over weeks
        and runs), ``jaccard_random`` (of two random selections), ``lock_in_ratio`` (over the same worlds with
        nothing found; 1: the loop adds nothing) with ``lower, upper`` (95 % over runs), ``n_runs``.
    method : str
    """

    table: pd.DataFrame
    method: str


def simulate_null_loop(
    panel: Panel,
    category: str,
    *,
    forecaster: Forecaster | None = None,
    discovery: Sequence[float] = (0.1, 0.2, 0.5),
    apart: int = 26,
    runs: int | None = None,
    top_share: float = 0.05,
    latent: float = 1.0,
    misfiled: float = 0.2,
    seed: int = 0,
    folder: Path | None = None,
    report: Report = silent,
) -> NullLoop:
    """Run the loop of `simulate_feedback` where every cell has the same rate: the mean of the category.

    A slowly fading count keeps its cells by itself; what counts is how much longer it keeps them when what
    patrols find is learnt from.

    Parameters
    ----------
    panel, category, forecaster, discovery, runs, top_share, latent, misfiled, seed, folder, report
        As for `simulate_feedback`. In the deep tier the history that the real configuration is trained on is
        without pattern too, in every category.
    apart : int, default 26
        Weeks between the selections that are compared; the loop lasts twice as long.

    Returns
    -------
    NullLoop

    Raises
    ------
    UsageError
        As for `simulate_feedback`.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=200, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> table = simulate_null_loop(panel, "noise", runs=5, apart=4).table.set_index("arm")
    >>> float(table.loc["nothing found", "lock_in_ratio"])
    1.0
    """
    if apart < 1:
        msg = f"apart must be at least one week, got {apart}."
        raise UsageError(msg)
    history = panel if forecaster is None else without_pattern(panel, seed)
    level = reported_rate(history, category).mean()
    number = (50 if forecaster is None else 1) if runs is None else runs
    world = World(np.full(panel.n_cells, level), latent, tuple(discovery), number, seed)
    arms = make_arms(discovery, latent=latent, misfiled=misfiled)
    k = number_of_cells(top_share, panel.n_cells)
    kept = _Kept(apart)
    learners = start_learners(
        history, category, world, arms, forecaster=forecaster, weeks=2 * apart, folder=folder, report=report
    )
    what = f"loop without pattern: {category}"
    run_loop(world, learners, weeks=2 * apart, k=k, watch=kept.watch, report=report, what=what)
    model = f"{NAME} (surrogate)" if forecaster is None else forecaster.name
    method = (
        f"{2 * apart} weeks × {number} runs of {model}, seed {seed}, on {panel.n_cells} cells of "
        f"{level:.3g} incidents a week each; {k} cells flagged a week, compared {apart} weeks apart; "
        f"{latent:g} unreported for each reported incident; {misfiled:g} of the finds misfiled"
    )
    return NullLoop(kept.table(OverRuns(number, seed), k, panel.n_cells), method)


def without_pattern(panel: Panel, seed: int = 0) -> Panel:
    """The panel with as many records of each category, dealt out evenly by chance among cells and bins.

    Each is known when its bin is over. Records outside the grid are left out.

    Examples
    --------
    >>> from tranquillite_ml.squaregrid import SquareGrid
    >>> from tranquillite_ml.timebins import TimeBins
    >>> grid = SquareGrid.from_tensor_shape((1, 2), size_km=1.0)
    >>> bins = TimeBins("2024-01-01", 3, "1D", "UTC")
    >>> panel = Panel.from_counts(np.array([[[6, 0], [0, 0], [0, 0]]]), grid, bins, ["noise"])
    >>> flat = without_pattern(panel)
    >>> int(flat.counts("noise").sum()), bool(flat.counts("noise").max() < 6)
    (6, True)
    """
    parts = []
    for number, name in enumerate(panel.categories):
        records = panel.records(name)
        total = int(records.count[records.cell >= 0].sum())
        drawn = np.random.default_rng([seed, 5, number]).integers(panel.n_bins * panel.n_cells, size=total)
        at, count = np.unique(drawn, return_counts=True)
        time_bin, cell = np.divmod(at, panel.n_cells)
        parts.append((np.full(len(at), number), time_bin, cell, time_bin + 1, count))
    names = ("category", "bin", "cell", "known", "count")
    columns = (np.concatenate(column).astype(np.int32) for column in zip(*parts, strict=True))
    arrays = dict(zip(names, columns, strict=True))
    return Panel(panel.grid, panel.bins, panel.categories, panel.origins, arrays)


class _Kept:
    """Overlap of each selection with the one some weeks later, by arm."""

    def __init__(self, apart: int) -> None:
        self.apart = apart
        self._flags: dict[Arm, list[NDArray[np.bool_]]] = {}
        self._overlap: dict[Arm, list[NDArray[np.float64]]] = {}

    def watch(self, week: int, arm: Arm, expected: NDArray[np.float64], flagged: NDArray[np.bool_]) -> None:
        del expected
        self._flags.setdefault(arm, []).append(flagged)
        if week >= self.apart:
            earlier = self._flags[arm][week - self.apart]
            self._overlap.setdefault(arm, []).append(jaccard(earlier, flagged))

    def table(self, over: OverRuns, k: int, n_cells: int) -> pd.DataFrame:
        mean = {arm: np.mean(overlaps, axis=0) for arm, overlaps in self._overlap.items()}
        # Two random selections of k share k²/n cells in expectation.
        shared = k * k / n_cells
        rows = []
        for arm, kept in mean.items():
            value, lower, upper = over.ratio(kept, mean[NO_DISCOVERY])
            rows.append(
                {
                    **{"arm": arm.name, "discovery": arm.discovery, "jaccard": kept.mean()},
                    **{"jaccard_random": shared / (2 * k - shared), "lock_in_ratio": value},
                    **{"lower": lower, "upper": upper, "n_runs": over.runs},
                }
            )
        return pd.DataFrame(rows)
