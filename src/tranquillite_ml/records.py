"""Records of incidents as arrays: what a panel counts, each with the bin at which it became known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    count : ndarray of int32
    """

    bin: NDArray[np.int32]
    cell: NDArray[np.int32]
    known: NDArray[np.int32]
    count: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.bin)

    def where(self, mask: NDArray[np.bool_]) -> Records:
        """Give the records that a mask selects."""
        return Records(self.bin[mask], self.cell[mask], self.known[mask], self.count[mask])


def first_known(table: pd.DataFrame, position: NDArray[np.int64], bins: TimeBins) -> NDArray[np.int64]:
    """First bin at whose start each record was known: once its bin is over and it has been reported."""
    known = position + 1
    if "reported_at" in table.columns:
        reported = table["reported_at"]
        given = reported.notna().to_numpy()
        instants = reported[given]
        slot = bins.locate(instants)
        on_edge = (
            bins.instants(slot).tz_convert("UTC").asi8
            == pd.DatetimeIndex(instants).tz_convert("UTC").as_unit("us").asi8
        )
        known[given] = np.maximum(known[given], np.where(on_edge, slot, slot + 1))
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


def aggregate(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.int32]]:
    """Sort by category, bin, cell and known, and sum the counts of equal keys."""
    keys = [arrays[name] for name in ("category", "bin", "cell", "known")]
    order = np.lexsort(keys[::-1])
    keys = [key[order] for key in keys]
    if len(order) == 0:
        return {name: np.array([], dtype=np.int32) for name in COLUMNS}
    change = np.flatnonzero(np.logical_or.reduce([np.diff(key) != 0 for key in keys])) + 1
    begin = np.concatenate([[0], change])
    counts = np.add.reduceat(arrays["count"][order], begin)
    columns = [*(key[begin] for key in keys), counts]
    return {name: column.astype(np.int32) for name, column in zip(COLUMNS, columns, strict=True)}
