"""C02: how narrowly flags fall, and how long they stay on the same cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.blocks import Blocks, parents_of
from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.compared import NO_OUTCOME, city_support
from tranquillite_ml.audit.definition import Finding
from tranquillite_ml.audit.estimates import measure
from tranquillite_ml.audit.reviews import reviewed_cells
from tranquillite_ml.audit.selection import audited_slots, coverage_of
from tranquillite_ml.evaluation.bootstrap import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.audit.selection import Slots
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

_LISTED = 50
_HALF = 0.5


def concentration(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Measure how unevenly flagged hours fall on cells, and how long a cell stays flagged (C02).

    Gini and Lorenz of flagged hours over all cells, the share of the few most flagged cells, the longest
    streak and the share of cells never flagged. How much of a quarter a cell is flagged is judged only where
    periods follow each other without a gap for so long, and only of cells that no logged decision reviews.
    """
    found: list[Measurement] = []
    curves, listed, untold = [], [], []
    every = audited_slots(forecasts, thresholds)
    logged = evidence.records.get("decisions")
    reviewed = frozenset() if logged is None else reviewed_cells(logged)
    weeks, top = thresholds.setting("C02", "weeks"), thresholds.setting("C02", "top_share")
    for slots in every:
        blocks = Blocks.of(slots, parents_of(forecasts), thresholds.intervals, evidence.seed)
        found += _unevenness(slots, blocks, thresholds, top)
        found += _plain(slots)
        share = highest_share(slots, weeks)
        if share is None:
            untold.append(slots.category)
        else:
            unseen = ~np.isin(slots.forecasts.cell_names(), sorted(reviewed))
            found.append(_relentlessness(slots, share[unseen], logged=logged is not None))
            found.append(_reviewed(slots, unseen))
        curves.append(_curve(slots))
        listed.append(_most_flagged(slots, share))
    if not every:
        return Finding([], reason=NO_OUTCOME)
    tables = {"lorenz": pd.concat(curves, ignore_index=True), "cells": pd.concat(listed, ignore_index=True)}
    return Finding(found, _method(thresholds, every, untold), _reason(untold, weeks), tables)


def gini(hours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gini coefficient over the last axis: 0 if all cells are flagged as long, near 1 if one always is.

    Notes
    -----
    ``2·Σ i·x_(i) / (n·Σ x) − (n + 1)/n`` with x in ascending order (Gini 1912).

    Examples
    --------
    >>> gini(np.array([1.0, 1.0, 1.0, 1.0])).item(), gini(np.array([0.0, 0.0, 0.0, 8.0])).item()
    (0.0, 0.75)
    """
    ordered = np.sort(hours, axis=-1)
    n = ordered.shape[-1]
    weighted = (ordered * np.arange(1, n + 1)).sum(axis=-1)
    return np.asarray(2 * ratio(weighted, n * ordered.sum(axis=-1)) - (n + 1) / n)


def top_part(hours: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Part of all hours that fell on the share of cells with the most, over the last axis.

    Examples
    --------
    >>> top_part(np.array([4.0, 3.0, 2.0, 1.0]), 0.375).item()  # one cell and a half: 4 + 1.5 of 10
    0.55
    """
    ordered = -np.sort(-hours, axis=-1)
    taken = np.clip(share * ordered.shape[-1] - np.arange(ordered.shape[-1]), 0.0, 1.0)
    return ratio((ordered * taken).sum(axis=-1), ordered.sum(axis=-1))


def longest_streaks(flagged: NDArray[np.bool_], follows: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Longest run of periods in which each cell is flagged, shape (n_cells,).

    Parameters
    ----------
    flagged : ndarray of bool, shape (n_periods, n_cells)
    follows : ndarray of bool, shape (n_periods,)
        Whether a period begins when the one before ends; a gap ends every run.

    Examples
    --------
    >>> flagged = np.array([[1, 0], [1, 1], [0, 1], [1, 1]], dtype=bool)
    >>> longest_streaks(flagged, np.array([False, True, True, True])).tolist()
    [2, 3]
    """
    run = np.zeros(flagged.shape[1], dtype=np.int64)
    best = run.copy()
    for row, joined in zip(flagged, follows, strict=True):
        run = np.where(row, np.where(joined, run, 0) + 1, 0)
        best = np.maximum(best, run)
    return best


def highest_share(slots: Slots, weeks: float) -> NDArray[np.float64] | None:
    """Largest share of time each cell is flagged over any so many weeks in a row; None if there are none."""
    length = pd.Timedelta(days=7 * weeks)
    run = np.cumsum(~_follows(slots))
    flagged = np.vstack(
        [np.zeros(slots.flags.shape[1]), np.cumsum(slots.flags * slots.hours[:, None], axis=0)]
    )
    hours = np.r_[0.0, np.cumsum(slots.hours)]
    best: NDArray[np.float64] | None = None
    # The shortest run of periods from each start that reaches the length.
    reached = np.searchsorted(slots.ends.asi8, (slots.starts + length).asi8)
    for begin, end in enumerate(reached):
        if end < len(run) and run[end] == run[begin]:
            share = (flagged[end + 1] - flagged[begin]) / (hours[end + 1] - hours[begin])
            best = share if best is None else np.maximum(best, share)
    return best


def _follows(slots: Slots) -> NDArray[np.bool_]:
    return np.r_[False, slots.starts[1:] == slots.ends[:-1]]


def _unevenness(slots: Slots, blocks: Blocks, thresholds: Thresholds, top: float) -> list[Measurement]:
    support = city_support(slots, blocks, thresholds.intervals)
    used, week = np.unique(blocks.week, return_inverse=True)
    hours = np.zeros((len(used), slots.flags.shape[1]))
    np.add.at(hours, week, slots.flags * slots.hours[:, None])
    drawn = blocks.over_weeks(hours, lambda cells: np.stack([gini(cells), top_part(cells, top)], axis=-1))
    found: list[Measurement] = []
    for number, name in enumerate(("gini", "top_cells_share")):
        part = type(drawn)(drawn.value[number : number + 1], drawn.draws[:, number : number + 1])
        found += measure(name, "share", part, support, category=slots.category)
    return found


def _plain(slots: Slots) -> list[Measurement]:
    """What describes these periods and is no estimate of others."""
    n = len(slots.starts)
    streak = longest_streaks(slots.flags >= _HALF, _follows(slots)).max(initial=0)
    never = float((slots.flags.sum(axis=0) == 0).mean())
    common: dict[str, Any] = {"n": n, "unit_of_n": "periods", "category": slots.category}
    return [
        Measurement("longest_streak", float(streak), "periods", **common),
        Measurement("never_flagged_share", never, "share", **common),
    ]


def _relentlessness(slots: Slots, share: NDArray[np.float64], *, logged: bool) -> Measurement:
    return Measurement(
        "selected_share",
        float(share.max(initial=0.0)),
        "share",
        n=len(slots.starts),
        unit_of_n="periods",
        category=slots.category,
        cap=None if logged else "WARN",
    )


def _reviewed(slots: Slots, unseen: NDArray[np.bool_]) -> Measurement:
    return Measurement(
        "reviewed_cells",
        float((~unseen).sum()),
        "cells",
        n=len(unseen),
        unit_of_n="cells",
        category=slots.category,
    )


def _curve(slots: Slots) -> pd.DataFrame:
    """Share of flagged hours on the most flagged share of cells."""
    hours = slots.hours @ slots.flags
    shares = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    parts = [float(top_part(hours, share)) for share in shares]
    return pd.DataFrame({"category": slots.category, "share_of_cells": shares, "share_of_hours": parts})


def _most_flagged(slots: Slots, share: NDArray[np.float64] | None) -> pd.DataFrame:
    hours = slots.hours @ slots.flags / slots.hours.sum()
    first = np.argsort(-hours, kind="stable")[:_LISTED]
    streaks = longest_streaks(slots.flags >= _HALF, _follows(slots))
    return pd.DataFrame(
        {
            "category": slots.category,
            "cell": slots.forecasts.cell_names()[first],
            "flagged_share": hours[first],
            "highest_share": np.nan if share is None else share[first],
            "longest_streak": streaks[first],
        }
    )


def _method(thresholds: Thresholds, every: list[Slots], untold: list[str]) -> str:
    weeks = thresholds.setting("C02", "weeks")
    judged = (
        f"No {weeks:g} weeks in a row were forecast in {', '.join(untold)}: how long a "
        "cell stays flagged cannot be judged there. "
        if untold
        else f"The share of time is the largest over any {weeks:g} weeks without a gap. "
    )
    return (
        f"The {coverage_of(thresholds):.0%} of the area with the highest forecasts is flagged in each of "
        f"{len(every[0].starts)} periods; a streak counts periods in which at least half a cell is flagged. "
        f"{judged}The cells listed are a working table and not for publication as they are."
    )


def _reason(untold: list[str], weeks: float) -> dict[str, str]:
    if not untold:
        return {"en": "", "fr": ""}
    return {
        "en": f"the backtest has gaps: no {weeks:g} weeks in a row were forecast ({', '.join(untold)})",
        "fr": f"le test rétrospectif a des trous : jamais {weeks:g} semaines de suite ({', '.join(untold)})",
    }
