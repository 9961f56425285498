"""C14: whether the same places would be selected with another sample, moment, size of cells or seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.altered import panel_of, records_of
from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Definition, Finding
from tranquillite_ml.audit.overlap import Coverages, Trial, jaccard
from tranquillite_ml.audit.refits import Refits
from tranquillite_ml.audit.selection import audited_slots, coverage_of
from tranquillite_ml.evaluation import select_hotspot
from tranquillite_ml.features import View, smoothed_rate
from tranquillite_ml.hexgrid import MAX_RESOLUTION, HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.intake import Incidents

    Floats = NDArray[np.float64]
    Rate = Callable[..., Floats]

SURROGATE = "smoothed_count"
"""What stands in for the model where it would have to be trained many times."""

_NAMES = {
    "bootstrap": "records resampled in blocks of weeks",
    "retrain": "successive months",
    "seed": "other seeds",
    "coarser": "cells one resolution coarser",
    "finer": "cells one resolution finer",
    "nested": "cells and their parents as they are",
    "cutoff": "successive forecasts of the backtest",
}


def stability(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Select places again after a small change, and measure how many are the same (C14).

    The overlap is |A ∩ B| / |A ∪ B| of the selected areas, at the audited coverage and at a quarter more and
    less; tied cells share what is left of the area. Between two coverages of one map it is fixed by
    arithmetic, so coverages are compared across maps only. Ranks are compared by their rank-biased overlap.
    """
    if evidence.panel is None:  # pragma: no cover - the definition asks for it
        return Finding([])
    change, middle = thresholds.setting("C14", "top_change"), coverage_of(thresholds)
    shares = (middle, middle * (1 - change), middle * (1 + change))
    coverages = Coverages(shares, forecasts.study_area_km2)
    found, parts = [], []
    for category in forecasts.categories:
        if category not in evidence.panel.categories:
            continue
        trials = [*_backtest(forecasts, category, coverages, thresholds)]
        seeded = _other_seeds(evidence, category, thresholds)
        trials += _perturbed(forecasts, evidence, category, coverages, thresholds, seeded)
        for kind in dict.fromkeys(trial.kind for trial in trials):
            found += _measured([trial for trial in trials if trial.kind == kind], category, change)
        found += _multiplicity(seeded, evidence.panel.grid.area_km2, category, coverages)
        parts += [
            (category, _NAMES[trial.kind], share, overlap, trial.rbo)
            for trial in trials
            for share, overlap in zip(shares, trial.overlaps, strict=True)
        ]
    table = pd.DataFrame(parts, columns=["category", "change", "coverage", "jaccard", "rbo"])
    return Finding(found, _method(evidence, middle), tables={"trials": table})


def _measured(mine: list[Trial], category: str, change: float) -> list[Measurement]:
    """Mean overlap at each coverage, and mean agreement of ranks, of one kind of change."""
    name = _NAMES[mine[0].kind]
    shared: dict[str, Any] = {"n": len(mine), "unit_of_n": "pairs of maps", "category": category}
    suffixes = ("", f", coverage −{change:.0%}", f", coverage +{change:.0%}")
    rows = []
    for number, suffix in enumerate(suffixes):
        values = np.array([trial.overlaps[number] for trial in mine])
        low, high = np.quantile(values, [0.025, 0.975]) if len(values) >= 10 else (math.nan, math.nan)
        ends = float(low), float(high)
        # Cells against whole parents differ by arithmetic: shown, and not judged.
        label = "nested_overlap" if mine[0].kind == "nested" else "jaccard"
        rows.append(Measurement(label, float(values.mean()), "share", *ends, subject=name + suffix, **shared))
    agreement = float(np.mean([trial.rbo for trial in mine]))
    return [*rows, Measurement("rank_biased_overlap", agreement, "share", subject=name, **shared)]


def _method(evidence: Evidence, coverage: float) -> str:
    deep, seeded = _refits(evidence), _seeded(evidence)
    stands_in = "the model itself, trained anew" if deep else f"the surrogate {SURROGATE}"
    seeds = "" if seeded else " Other seeds need the model to be trained again and were not tried."
    seeds = " The model has no seed." if deep and not seeded else seeds
    return (
        f"At {coverage:.0%} of the area. Successive forecasts: the audited model. All else: {stands_in}. "
        f"Ranges are those of the trials. Seed {evidence.seed}.{seeds}"
    )


def _refits(evidence: Evidence) -> bool:
    return evidence.deep and evidence.refit is not None and evidence.surrogate is None


# ---------------------------------------------------------------------- perturbations


def _backtest(
    forecasts: Forecasts, category: str, coverages: Coverages, thresholds: Thresholds
) -> Iterator[Trial]:
    """The audited model from one cutoff to the next."""
    area = forecasts.area_km2
    for slots in audited_slots(forecasts, thresholds):
        if slots.category == category:
            for one, two in pairwise(slots.expected):
                yield coverages.compare("cutoff", (one, area), (two, area))


def _perturbed(  # noqa: PLR0917
    forecasts: Forecasts,
    evidence: Evidence,
    category: str,
    coverages: Coverages,
    thresholds: Thresholds,
    seeded: list[Floats],
) -> Iterator[Trial]:
    """The model or its surrogate, on other samples, at earlier moments, with other seeds and cells."""
    panel = evidence.panel
    if panel is None:  # pragma: no cover - asked for by the caller
        return
    deep, end = _refits(evidence), panel.n_bins
    rate: Rate = _refitted(evidence, category) if deep else _surrogate(category, _period(forecasts, evidence))
    area = panel.grid.area_km2
    usual = rate(panel, end), area
    rng = np.random.default_rng([evidence.seed, 14])
    for _ in range(int(thresholds.setting("C14", "bootstraps"))):
        drawn = resampled(panel, thresholds.intervals.block_weeks, rng)
        yield coverages.compare("bootstrap", usual, (rate(drawn, end), area))
    successive = moments(panel, int(thresholds.setting("C14", "retrains")))
    for one, two in pairwise([rate(panel, at) for at in successive]):
        yield coverages.compare("retrain", (one, area), (two, area))
    for other in seeded:
        yield coverages.compare("seed", usual, (other, area))
    if isinstance(panel.grid, HexGrid):
        # The model may learn from every category, its stand-in from one alone.
        incidents = evidence.incidents
        mine = incidents if deep or incidents is None else incidents.of(category)
        yield from _other_cells(panel, panel.grid, mine, rate, coverages)


def moments(panel: Panel, retrains: int) -> list[int]:
    """Ends of what is known, four weeks apart, in the second half of the panel; the last one first."""
    month = panel.bins.days(28)
    return [at for k in range(retrains + 1) if (at := panel.n_bins - k * month) > panel.n_bins // 2]


def other_grids(evidence: Evidence) -> int:
    """On how many other resolutions maps are made."""
    grid = None if evidence.panel is None else evidence.panel.grid
    if not isinstance(grid, HexGrid):
        return 0
    finer = grid.resolution < MAX_RESOLUTION and evidence.incidents is not None
    return int(grid.resolution > 0) + int(finer)


def _seeded(evidence: Evidence) -> bool:
    """Whether the model can be trained again with another seed."""
    return _refits(evidence) and (not isinstance(evidence.refit, Refits) or evidence.refit.seeded)


def _other_seeds(evidence: Evidence, category: str, thresholds: Thresholds) -> list[Floats]:
    """Expected counts of the model trained with other seeds; none where it cannot be."""
    if evidence.panel is None or not _seeded(evidence):
        return []
    rate, end = _refitted(evidence, category), evidence.panel.n_bins
    seeds = range(int(thresholds.setting("C14", "seeds")))
    return [rate(evidence.panel, end, random_state=evidence.seed + 1 + number) for number in seeds]


def _multiplicity(
    maps: list[Floats], area: Floats, category: str, coverages: Coverages
) -> Iterator[Measurement]:
    """How far models that differ only by their seed disagree, in what they select and what they expect.

    ``seed_ambiguity``: of the area that any of them selects, the share that not all select (Marx, Calmon and
    Ustun 2020, arXiv:1909.06677). ``seed_spread``: standard deviation of a cell's expected count between
    seeds, all cells together, over their mean.
    """
    if len(maps) < 2:
        return
    rates = np.stack(maps)
    selected = select_hotspot(rates, area, coverages.shares[0] * coverages.study_area_km2)
    about: dict[str, Any] = {"n": len(rates), "unit_of_n": "models", "category": category}
    about["subject"] = _NAMES["seed"]
    ambiguity = 1 - jaccard(selected.min(axis=0), selected.max(axis=0), area)
    yield Measurement("seed_ambiguity", ambiguity, "share", **about)
    spread = float(rates.std(axis=0, ddof=1).sum() / rates.mean(axis=0).sum())
    yield Measurement("seed_spread", spread, "share", **about)


def _period(forecasts: Forecasts, evidence: Evidence) -> int:
    """Bins of a forecast period."""
    if evidence.model is not None:
        return int(evidence.model.target.period)
    key = forecasts.keys.iloc[0]
    days = (pd.Timestamp(key["period_end"]) - pd.Timestamp(key["period_start"])) / pd.Timedelta(days=1)
    return max(1, round(days * evidence.panel.bins.bins_per_day)) if evidence.panel is not None else 1


def _surrogate(category: str, period: int) -> Rate:
    def rate(panel: Panel, end: int, **_: Any) -> Floats:
        view = View(panel.until(end), category, Target(category, period=period), np.array([end]))
        return np.asarray(smoothed_rate(view)[0], dtype=np.float64)

    return rate


def _refitted(evidence: Evidence, category: str) -> Rate:
    def rate(panel: Panel, end: int, **changes: Any) -> Floats:
        if evidence.refit is None:  # pragma: no cover - asked for by the caller
            return np.empty(0)
        found = evidence.refit(panel, end, **changes).forecast(panel, end).select(category=category)
        return np.asarray(found.expected_count[0], dtype=np.float64)

    return rate


def resampled(panel: Panel, weeks: int, rng: np.random.Generator) -> Panel:
    """The panel with blocks of weeks left out or repeated where they are, so that what is recent stays so.

    Parameters
    ----------
    panel : Panel
    weeks : int
        Length of a block.
    rng : Generator
    """
    arrays = records_of(panel)
    block = arrays["bin"] // (panel.bins.days(7) * weeks)
    n = int(block.max(initial=0)) + 1
    times = rng.multinomial(n, np.full(n, 1 / n))
    return panel_of(panel, arrays | {"count": arrays["count"] * times[block]})


def _other_cells(
    panel: Panel, grid: HexGrid, incidents: Incidents | None, rate: Rate, coverages: Coverages
) -> Iterator[Trial]:
    """Cells one resolution coarser and finer: the finer map summed over the larger cells, and the coarser.

    Where selected cells and selected parents are laid over each other as they are, ``nested``, they differ by
    arithmetic as well: a parent is selected whole or not at all.
    """
    end = panel.n_bins
    if grid.resolution > 0:
        coarse, number, area = _merged(panel, grid)
        usual, other = rate(panel, end), rate(coarse, end)
        yield coverages.compare("coarser", (_summed(number, usual, len(area)), area), (other, area))
        yield coverages.compare("nested", (usual, grid.area_km2), (other, area), number)
    if grid.resolution < MAX_RESOLUTION and incidents is not None:
        around = HexGrid.from_incidents(incidents, resolution=grid.resolution + 1, dilate=1)
        parents, number = around.parents(grid.resolution)
        row = grid.rows_of(parents)[number]
        fine = HexGrid(around.cells[row >= 0].tolist())
        finer = rate(Panel.build(incidents, fine, panel.bins), end)
        summed = _summed(row[row >= 0], finer, grid.n_cells)
        yield coverages.compare("finer", (summed, grid.area_km2), (rate(panel, end), grid.area_km2))


def _merged(panel: Panel, grid: HexGrid) -> tuple[Panel, NDArray[np.int64], Floats]:
    """The panel on parent cells, the parent of each cell, and the area of each parent that is in the grid."""
    parents, number = grid.parents(grid.resolution - 1)
    arrays = records_of(panel)
    inside = arrays["cell"] >= 0
    held = {name: values[inside] for name, values in arrays.items()}
    held["cell"] = number[held["cell"]].astype(np.int32)
    coarse = Panel(HexGrid(parents.tolist()), panel.bins, panel.categories, panel.origins, held)
    return panel_of(coarse, held), number, _summed(number, grid.area_km2, len(parents))


def _summed(number: NDArray[np.int64], values: Floats, n: int) -> Floats:
    return np.bincount(number, values, n).astype(np.float64)


DEFINITIONS = (Definition("C14", ("panel",), stability, slow=True),)
