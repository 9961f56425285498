"""Records of incidents as arrays: what a panel counts, each with the bin at which it became known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.aoristic import aoristic_weights
from tranquillite_ml.intake.canonical import INTERVAL, known_since

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.grid import Grid
    from tranquillite_ml.intake import Incidents
    from tranquillite_ml.timebins import TimeBins

COLUMNS = ("category", "bin", "cell", "known", "count")


@dataclass(frozen=True)
class Records:
    """Counts of some categories as parallel arrays, sorted by category, bin, cell and known.

    Attributes
    ----------
    bin, cell : ndarray of int32
        Time bin and row number of the cell (−1: outside the grid).
    known : ndarray of int32
        First bin at whose start the records were known; at least ``bin + 1``.
    count : ndarray of int32, or of float64 where uncertain times are spread over bins
    """

    bin: NDArray[np.int32]
    cell: NDArray[np.int32]
    known: NDArray[np.int32]
    count: NDArray[Any]

    def __len__(self) -> int:
        return len(self.bin)

    def where(self, mask: NDArray[np.bool_]) -> Records:
        """Give the records that a mask selects."""
        return Records(self.bin[mask], self.cell[mask], self.known[mask], self.count[mask])


def first_known(table: pd.DataFrame, position: NDArray[np.int64], bins: TimeBins) -> NDArray[np.int64]:
    """First bin at whose start each record was known: once its bin is over and it has been reported."""
    known = position + 1
    if "reported_at" in table.columns or "occurred_to" in table.columns:
        since = known_since(table)
        slot = bins.locate(since)
        instants = pd.DatetimeIndex(since).tz_convert("UTC").as_unit("us").asi8
        on_edge = bins.instants(slot).tz_convert("UTC").asi8 == instants
        known = np.maximum(known, np.where(on_edge, slot, slot + 1))
    return known


def incident_keys(incidents: Incidents) -> NDArray[np.uint64]:
    """64-bit identity of each incident: its content, and its rank among incidents of equal content."""
    table = incidents.table
    content = table[["occurred_at", "lat", "lng"]].copy(deep=False)
    content["occurred_at"] = pd.DatetimeIndex(content["occurred_at"]).tz_convert("UTC").as_unit("us").asi8
    content["category"] = table["category"].astype("category")
    if getattr(incidents, "has_ids", True):
        content["incident_id"] = table["incident_id"].astype(str)
    # Texts are hashed one by one: as categories they would be sorted first, and the hashes are the same.
    hashed = pd.util.hash_pandas_object(content, index=False, categorize=False)
    if "occurred_from" in table:
        uncertain = table["occurred_from"].notna().to_numpy()
        interval = pd.util.hash_pandas_object(
            pd.DataFrame({name: pd.DatetimeIndex(table[name]).as_unit("us").asi8 for name in INTERVAL}),
            index=False,
        )
        hashed ^= interval.where(uncertain, 0).astype(np.uint64)
    rank = hashed.groupby(hashed).cumcount().to_numpy().astype(np.uint64)
    keys: NDArray[np.uint64] = hashed.to_numpy().astype(np.uint64) + rank * np.uint64(0x9E3779B97F4A7C15)
    return keys


def rows_where(table: pd.DataFrame, mask: NDArray[np.bool_]) -> pd.DataFrame:
    """Rows of a table; the table itself, uncopied, where that is all of them."""
    return table if mask.all() else table.loc[mask]


def sorted_once(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each key once, in order; NumPy's own `unique` hashes, which takes ten times as long here."""
    keys = np.sort(keys)
    first = np.ones(len(keys), dtype=bool)
    first[1:] = keys[1:] != keys[:-1]
    return keys[first]


def count_incidents(
    table: pd.DataFrame, position: NDArray[np.int64], bins: TimeBins, grid: Grid, number: Mapping[str, int]
) -> dict[str, NDArray[Any]]:
    """One entry a row of a table of incidents: category, bin, cell and when it was known.

    Parameters
    ----------
    table : DataFrame
    position : ndarray of int64
        Bin of each row.
    bins : TimeBins
    grid : Grid
    number : mapping of str to int
        Number of each category.
    """
    codes, present = pd.factorize(table["category"])
    return {
        "category": np.array([number[str(name)] for name in present], dtype=np.int32)[codes],
        "bin": position,
        "cell": grid.locate(table["lat"].to_numpy(), table["lng"].to_numpy()),
        "known": first_known(table, position, bins),
        "count": np.ones(len(table), dtype=np.int32),
    }


def moved_weights(
    table: pd.DataFrame, counted: Mapping[str, NDArray[Any]], bins: TimeBins
) -> dict[str, NDArray[Any]]:
    """What features add to the counts: −1 where an uncertain time counts, + its weights where it may lie.

    Parameters
    ----------
    table : DataFrame
    counted : mapping
        From `count_incidents`.
    bins : TimeBins

    Returns
    -------
    dict of ndarray
        As `counted`, with real numbers as ``count``; bins past the last one are kept, in case bins are added.
    """
    if "occurred_from" not in table:
        return no_entries(np.float64)
    uncertain = np.flatnonzero(table["occurred_from"].notna())
    begin, end = (table[name].iloc[uncertain].reset_index(drop=True) for name in INTERVAL)
    row, time_bin, weight = aoristic_weights(begin, end, bins)
    apart = np.bincount(row, minlength=len(uncertain)) > 1
    apart[row[time_bin != counted["bin"][uncertain[row]]]] = True
    kept = apart[row] & (time_bin >= 0)
    whence, where = uncertain[apart], uncertain[row[kept]]
    parts = {
        name: np.concatenate([counted[name][whence], counted[name][where]])
        for name in ("category", "cell", "known")
    }
    parts["bin"] = np.concatenate([counted["bin"][whence], time_bin[kept]])
    parts["known"] = np.maximum(parts["known"], parts["bin"] + 1)
    parts["count"] = np.concatenate([-np.ones(len(whence)), weight[kept]])
    return parts


def no_entries(dtype: Any = np.int32) -> dict[str, NDArray[Any]]:
    """Arrays that hold nothing, counts of a type."""
    return {name: np.array([], dtype=dtype if name == "count" else np.int32) for name in COLUMNS}


def joined(
    parts: Sequence[Mapping[str, NDArray[Any]]], relabel: NDArray[np.int32]
) -> dict[str, NDArray[Any]]:
    """Old and new entries as one, the categories of the old ones renumbered, equal keys summed."""
    old, new = parts
    renumbered = relabel[old["category"]] if len(relabel) else old["category"]
    merged = {name: np.concatenate([old[name], new[name]]) for name in COLUMNS if name != "category"}
    return aggregate({"category": np.concatenate([renumbered, new["category"]]), **merged})


def aggregate(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Sort by category, bin, cell and known, and sum the counts of equal keys; sums of zero are left out."""
    keys = [arrays[name] for name in ("category", "bin", "cell", "known")]
    kind = np.float64 if np.issubdtype(arrays["count"].dtype, np.floating) else np.int32
    order = np.lexsort(keys[::-1])
    keys = [key[order] for key in keys]
    if len(order) == 0:
        return no_entries(kind)
    change = np.flatnonzero(np.logical_or.reduce([np.diff(key) != 0 for key in keys])) + 1
    begin = np.concatenate([[0], change])
    counts = np.add.reduceat(arrays["count"][order], begin)
    there = counts != 0
    begin, counts = begin[there], counts[there]
    columns = [key[begin].astype(np.int32) for key in keys]
    return dict(zip(COLUMNS, [*columns, counts.astype(kind)], strict=True))
