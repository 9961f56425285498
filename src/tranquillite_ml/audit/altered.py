"""Panels with other records: what a forecast says if some are taken away, repeated or made up."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.panel import Panel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

_ORDER = ("category", "bin", "cell", "known")


def records_of(panel: Panel) -> dict[str, NDArray[np.int32]]:
    """All records as parallel arrays: ``category`` (its number), ``bin, cell, known, count``.

    Examples
    --------
    >>> from tranquillite_ml.squaregrid import SquareGrid
    >>> from tranquillite_ml.timebins import TimeBins
    >>> grid = SquareGrid.from_tensor_shape((1, 2), size_km=1.0)
    >>> counts = np.array([[[2, 0], [0, 1]]])
    >>> panel = Panel.from_counts(counts, grid, TimeBins("2024-01-01", 2, "1D", "UTC"), ["noise"])
    >>> {name: values.tolist() for name, values in records_of(panel).items()}
    {'category': [0, 0], 'bin': [0, 1], 'cell': [0, 1], 'known': [1, 2], 'count': [2, 1]}
    """
    parts = [panel.records(name) for name in panel.categories]
    found = {
        name: np.concatenate([getattr(part, name) for part in parts] or [np.empty(0, np.int32)])
        for name in ("bin", "cell", "known", "count")
    }
    numbers = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    return {"category": numbers, **found}


def panel_of(panel: Panel, arrays: Arrays) -> Panel:
    """A panel on the same cells, bins and categories that holds these records.

    Parameters
    ----------
    panel : Panel
    arrays : mapping of str to ndarray
        As `records_of` gives them; records of count 0 are left out.
    """
    order = np.lexsort([arrays[name] for name in reversed(_ORDER)])
    order = order[arrays["count"][order] > 0]
    held = {name: np.asarray(values)[order].astype(np.int32) for name, values in arrays.items()}
    return Panel(panel.grid, panel.bins, panel.categories, panel.origins, held)


def without(panel: Panel, categories: Collection[str]) -> Panel:
    """The panel without any record of some categories; the categories stay.

    Examples
    --------
    >>> from tranquillite_ml.squaregrid import SquareGrid
    >>> from tranquillite_ml.timebins import TimeBins
    >>> grid = SquareGrid.from_tensor_shape((1, 2), size_km=1.0)
    >>> counts = np.ones((2, 3, 2), dtype=int)
    >>> panel = Panel.from_counts(counts, grid, TimeBins("2024-01-01", 3, "1D", "UTC"), ["drugs", "noise"])
    >>> bare = without(panel, ["drugs"])
    >>> bare.categories, int(bare.counts("drugs").sum()), int(bare.counts("noise").sum())
    (('drugs', 'noise'), 0, 6)
    """
    arrays = records_of(panel)
    gone = np.isin(arrays["category"], [panel.categories.index(name) for name in categories])
    return panel_of(panel, {name: values[~gone] for name, values in arrays.items()})
