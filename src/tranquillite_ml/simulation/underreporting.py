"""Under-reporting: how far hotspots move if some groups of places report less than others.

After Akpinar, De-Arteaga and Chouldechova (2021), The effect of differential victim crime reporting on
predictive policing systems, FAccT '21, doi:10.1145/3442188.3445877.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError
from tranquillite_ml.simulation.loop import Report, number_of_cells, silent, top_cells
from tranquillite_ml.simulation.places import PlaceGroups, activity_quintiles
from tranquillite_ml.simulation.scenarios import HYPOTHETICAL, Scenario, make_scenarios
from tranquillite_ml.simulation.surrogate import MEMORY_DAYS, NAME, smooth, smoothing_operator
from tranquillite_ml.simulation.truth import reported_rate

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.panel import Panel

VARIANTS = ("as recorded", "rescaled")
MIN_CELLS = 5
_FORGOTTEN = 1e-3

Maps = Callable[["NDArray[np.float64]", int], "NDArray[np.float64]"]
"""Expected counts (n_cells,) from reporting rates by cell and the number of the draw (−1: everything)."""


@dataclass(frozen=True)
class Displacement:
    """How far hotspots move when records are thinned by reporting rates.

    Attributes
    ----------
    table : DataFrame
        By scenario and variant (``as recorded``, or ``rescaled``: expected counts over the reporting rates):
        ``hypothetical``, ``displaced_share`` (hot cells that are others than with all records, mean over
        draws) with ``lower, upper`` (the middle 95 % of draws), ``beyond_alike`` (the same less that of the
        scenario in which all report alike: what unequal reporting adds to chance) with
        ``beyond_alike_lower, beyond_alike_upper``, ``n_draws``.
    selection : DataFrame
        By scenario, variant and group: ``reporting_rate``, ``hot_full, hot_thinned`` (hot cells of the group,
        mean over draws), ``selection_ratio`` = thinned / full with ``lower, upper``, ``n_draws`` and ``few``
        (fewer than five hot cells: the ratio says little).
    method : str
    """

    table: pd.DataFrame
    selection: pd.DataFrame
    method: str


def simulate_underreporting(
    panel: Panel,
    category: str,
    *,
    groups: PlaceGroups | None = None,
    forecaster: Forecaster | None = None,
    survey: Mapping[str, Sequence[float]] | None = None,
    hypothetical: tuple[float, float] = HYPOTHETICAL,
    draws: int | None = None,
    top_share: float = 0.01,
    seed: int = 0,
    folder: Path | None = None,
    report: Report = silent,
) -> Displacement:
    """Thin the records of each group by its reporting rate, forecast again, and compare the hot cells.

    The records that there are stand for all incidents; each is kept with the reporting rate of its place.

    Parameters
    ----------
    panel : Panel
    category : str
    groups : PlaceGroups, optional
        In an order that means something; without them, five groups of cells with a fifth of the recorded
        incidents each, from the quietest to the busiest.
    forecaster : Forecaster, optional
        Deep tier: the real configuration, trained again on every draw. Without it, the surrogate.
    survey : mapping of str to sequence of float, optional
        Reporting rates by group from a survey, see `make_scenarios`; without it all scenarios are
        hypothetical, and say so.
    hypothetical : tuple of float
        Lowest and highest rate of the hypothetical scenarios.
    draws : int, optional
        200 for the surrogate, 5 for the deep tier.
    top_share : float, default 0.01
        Share of cells that is hot.
    seed : int, default 0
    folder : Path, optional
        Deep tier: where finished steps are kept.
    report : callable, optional

    Returns
    -------
    Displacement

    Raises
    ------
    UsageError
        As for `simulate_feedback`, and if a rate is out of range.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=200, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> found = simulate_underreporting(panel, "noise", draws=10, top_share=0.2)
    >>> found.table["scenario"].unique().tolist()
    ['alike', 'first reports least', 'first reports most']
    >>> bool(found.table["displaced_share"].between(0, 1).all())
    True
    """
    number = (200 if forecaster is None else 5) if draws is None else draws
    if number < 1:
        msg = f"draws must be at least 1, got {number}."
        raise UsageError(msg)
    places = activity_quintiles(reported_rate(panel, category)) if groups is None else groups
    scenarios = make_scenarios(places.names, survey=survey, hypothetical=hypothetical)
    k = number_of_cells(top_share, panel.n_cells)
    if forecaster is None:
        maps = surrogate_maps(panel, category, seed)
    else:
        from tranquillite_ml.simulation.refitting import refitted_maps

        total = len(scenarios) * number + 1
        maps = refitted_maps(
            panel, category, forecaster, seed=seed, folder=folder, total=total, report=report
        )
    full = top_cells(maps(np.ones(panel.n_cells), -1)[:, None], k)
    what = f"under-reporting: {category}"
    report(what, 0, len(scenarios))
    hot: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for done, one in enumerate(scenarios):
        rate = one.by_cell(places)
        expected = np.stack([maps(rate, draw) for draw in range(number)], axis=1)
        hot[one.name, VARIANTS[0]] = top_cells(expected, k)
        hot[one.name, VARIANTS[1]] = top_cells(expected / rate[:, None], k)
        report(what, done + 1, len(scenarios))
    model = f"{NAME} (surrogate)" if forecaster is None else forecaster.name
    method = (
        f"{number} draws of {model} a scenario, seed {seed}; the {k} highest of {panel.n_cells} cells; "
        f"hypothetical rates from {hypothetical[0]:g} to {hypothetical[1]:g}"
    )
    table = _displaced(full, hot, scenarios, k)
    return Displacement(table, _selected(full, hot, scenarios, places), method)


def surrogate_maps(panel: Panel, category: str, seed: int) -> Maps:
    """Expected weekly counts of the surrogate from records kept by chance, one draw at a time."""
    records = panel.records(category)
    week = panel.bins.days(7)
    age = (panel.n_bins - records.bin + week - 1) // week
    weight = np.exp(-7 / MEMORY_DAYS) ** age
    seen = (records.cell >= 0) & (records.known <= panel.n_bins) & (weight > _FORGOTTEN)
    cell, count, weight = records.cell[seen], records.count[seen], weight[seen]
    ages = np.arange(1, max(1, panel.n_bins // week) + 1)
    total = float((np.exp(-7 / MEMORY_DAYS) ** ages).sum())
    rings, size = smoothing_operator(panel.grid)

    def maps(rate: NDArray[np.float64], draw: int) -> NDArray[np.float64]:
        # The same draw spares the same records in every scenario, as far as rates allow.
        kept = count if draw < 0 else _thinned(count, rate[cell], np.random.default_rng([seed, 3, draw]))
        decayed = np.bincount(cell, weights=kept * weight, minlength=panel.n_cells).astype(np.float64)[
            :, None
        ]
        return smooth(decayed, total, rings, size)[:, 0]

    return maps


def _thinned(
    count: NDArray[np.int32], rate: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """How many of each record's incidents were reported; higher rates keep what lower rates keep."""
    owner = np.repeat(np.arange(len(count)), count)
    kept = rng.random(len(owner)) < rate[owner]
    return np.bincount(owner, weights=kept, minlength=len(count)).astype(np.int64)


def _displaced(
    full: NDArray[np.bool_],
    hot: Mapping[tuple[str, str], NDArray[np.bool_]],
    scenarios: Sequence[Scenario],
    k: int,
) -> pd.DataFrame:
    moved = {key: 1 - (cells & full).sum(axis=0) / k for key, cells in hot.items()}
    rows: list[dict[str, Any]] = []
    for one in scenarios:
        for variant in VARIANTS:
            share = moved[one.name, variant]
            beyond = share - moved[scenarios[0].name, VARIANTS[0]]
            rows.append(
                {
                    **{"scenario": one.name, "variant": variant, "hypothetical": one.hypothetical},
                    **_middle("displaced_share", share, ""),
                    **_middle("beyond_alike", beyond, "beyond_alike_"),
                    "n_draws": len(share),
                }
            )
    return pd.DataFrame(rows)


def _selected(
    full: NDArray[np.bool_],
    hot: Mapping[tuple[str, str], NDArray[np.bool_]],
    scenarios: Sequence[Scenario],
    groups: PlaceGroups,
) -> pd.DataFrame:
    before = (groups.share.T @ full)[:, 0]
    rows: list[dict[str, Any]] = []
    for one in scenarios:
        for variant in VARIANTS:
            after = groups.share.T @ hot[one.name, variant]
            for place, name in enumerate(groups.names):
                cells = before[place]
                ratio = after[place] / cells if cells > 0 else np.full(after.shape[1], np.nan)
                rows.append(
                    {
                        **{"scenario": one.name, "variant": variant, "group": name},
                        **{"reporting_rate": one.rates[place], "hot_full": cells},
                        **{"hot_thinned": after[place].mean(), **_middle("selection_ratio", ratio, "")},
                        **{"n_draws": after.shape[1], "few": bool(cells < MIN_CELLS)},
                    }
                )
    return pd.DataFrame(rows)


def _middle(name: str, draws: NDArray[np.float64], prefix: str) -> dict[str, float]:
    """Mean of the draws and the middle 95 % of them; NaN limits with fewer than five draws."""
    ends = np.quantile(draws, [0.025, 0.975]) if len(draws) >= 5 else (np.nan, np.nan)
    return {name: float(draws.mean()), f"{prefix}lower": float(ends[0]), f"{prefix}upper": float(ends[1])}
