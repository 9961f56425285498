"""Pairs: the maps that two models both made, and how much better one scored than the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, nearest
from tranquillite_ml.evaluation.bootstrap import sum_by
from tranquillite_ml.evaluation.scores import LARGER_IS_BETTER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.evaluation.bootstrap import Totals

PER_FOLD = {"log_score", "poisson_log_likelihood"}
"""Scores whose differences are stated a fold; those of the others are means over the cells."""

_PAIR = ["category", "cutoff", "horizon"]


def others_than(models: Sequence[str], reference: str) -> list[str]:
    """Sorted names of the models that can be compared with a reference.

    Raises
    ------
    UsageError
        If the reference is missing, or alone.

    Examples
    --------
    >>> others_than(["tree", "count_365d"], "count_365d")
    ['tree']
    """
    names = sorted(models)
    if reference not in names:
        msg = f"there is no reference {reference!r} among the models {names}.{nearest(reference, names)}"
        raise UsageError(msg)
    others = [name for name in names if name != reference]
    if not others:
        msg = f"there is nothing to compare with {reference!r}: it is the only model."
        raise UsageError(msg)
    return others


def pair_maps(
    keys: pd.DataFrame, observed: NDArray[np.bool_], model: str, reference: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Row numbers of the maps that both models have, and how many maps have no partner or no outcome."""
    name = keys["model"].to_numpy()
    mine, theirs = (np.flatnonzero((name == one) & observed) for one in (model, reference))
    index = pd.MultiIndex.from_frame(keys[_PAIR])
    partner = index[theirs].get_indexer(index[mine])
    paired = mine[partner >= 0]
    unpaired = int((name == model).sum() + (name == reference).sum()) - 2 * len(paired)
    return paired, theirs[partner[partner >= 0]], unpaired


def difference_parts(
    totals: Totals, score: str, mine: NDArray[np.int64], theirs: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """How much better each map scored than its partner (`gain`), and its cells (`per`)."""
    sign = 1 if LARGER_IS_BETTER[score] else -1
    return {
        "gain": sign * (totals[score][mine] - totals[score][theirs]),
        "per": totals["n_cells"][mine],
    }


def sum_folds(
    cutoffs: pd.Series, parts: dict[str, NDArray[np.float64]], score: str
) -> dict[str, NDArray[np.float64]]:
    """Sums by fold, in order of time, of what each pair of maps gave."""
    fold, found = pd.factorize(cutoffs, sort=True)
    folds = {name: sum_by(fold, values, len(found)) for name, values in parts.items()}
    if score in PER_FOLD:
        folds["per"] = np.ones(len(found))
    return folds


def overlapping(keys: pd.DataFrame) -> int:
    """How many later folds begin before the periods of a fold have ended, at most; 0 where that is unknown.

    Examples
    --------
    >>> days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"])
    >>> ends = days + pd.DateOffset(days=2)
    >>> overlapping(pd.DataFrame({"cutoff": days, "period_start": days, "period_end": ends}))
    1
    """
    if not {"period_start", "period_end"} <= set(keys):
        return 0
    folds = keys.groupby("cutoff").agg(start=("period_start", "min"), end=("period_end", "max"))
    start, end = (pd.DatetimeIndex(folds[name]).asi8 for name in ("start", "end"))
    order = np.arange(len(folds))
    return int((np.searchsorted(start, end, side="left") - 1 - order).max(initial=0))
