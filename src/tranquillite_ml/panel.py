"""Panel: counts of recorded incidents by category, time bin and cell, and when each was known."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import DataWarning, InputDataError, UsageError, check_kind
from tranquillite_ml.grids import open_grid
from tranquillite_ml.intake import Incidents
from tranquillite_ml.intake.placeholders import at_placeholders
from tranquillite_ml.panelcounts import Counted
from tranquillite_ml.panelfiles import FORMAT, read_panel, write_panel
from tranquillite_ml.records import (
    COLUMNS,
    count_incidents,
    incident_keys,
    joined,
    moved_weights,
    no_entries,
    rows_where,
    sorted_once,
)
from tranquillite_ml.timebins import TimeBins

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from tranquillite_ml.grid import Grid


_INCIDENTS = "read_incidents(source, tz=…) makes them."


class Panel(Counted):
    """Counts by category, time bin and cell, with true zeros, and what was known when.

    Stored sparsely (only what was recorded takes room); any dense view is made on demand. Incidents outside
    the grid stay countable: what is outside is missed, not forgotten.

    An incident is counted once, in the bin of its ``occurred_at``: counts are whole numbers, and what is
    forecast. One whose time is an interval is also spread over the bins it may belong to: features are made
    of these weights. Only the difference is kept, so that certain times take no room.

    Parameters
    ----------
    grid : Grid
    bins : TimeBins
    categories : sequence of str
    origins : mapping of category to origin
        Who made the record: citizen, sensor, agent, arrest, fine, inspection, or unknown.
    arrays : mapping of str to ndarray
        ``category, bin, cell, known, count``; use `build` rather than this constructor.
    moved : mapping of str to ndarray, optional
        As `arrays`, with real numbers as ``count``: what uncertain times add to the counts, for features.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> city = simulate_city(seed=0, days=60, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents, freq="1D"))
    >>> panel.funnel["accepted"] == len(city.incidents)
    True
    """

    # ------------------------------------------------------------------ making

    @classmethod
    def build(cls, incidents: Incidents, grid: Grid, bins: TimeBins) -> Panel:
        """Count incidents into the cells of a grid and the bins of a lattice.

        Parameters
        ----------
        incidents : Incidents
        grid : Grid
        bins : TimeBins

        Raises
        ------
        UsageError
            If an argument is of another kind.
        InputDataError
            If bins are finer than a day and times are known to the day only.

        Warns
        -----
        DataWarning
            If bins are finer than a day and records stand at times of day that mean "unknown".
        """
        check_kind(incidents, Incidents, "incidents", _INCIDENTS)
        if not hasattr(grid, "locate"):
            msg = (
                f"grid must be a grid, got {type(grid).__name__}. HexGrid.from_incidents(incidents) lays one."
            )
            raise UsageError(msg)
        check_kind(bins, TimeBins, "bins", "TimeBins.covering(incidents, freq='1D') lays them.")
        if bins.hours < 24 and incidents.time_precision == "date":
            msg = f"freq={bins.freq!r} needs times of day, but these incidents are dated by the day only."
            raise InputDataError(msg)
        if bins.hours < 24 and (n := at_placeholders(incidents)):
            msg = (
                f"{n:,} of {len(incidents):,} records stand at a time of day that means 'unknown' (see "
                f"`problems`), and bins of {bins.freq} take it as known. Read them with placeholder_times="
                "'spread' or 'quarantine', or use bins of a day."
            )
            warnings.warn(msg, DataWarning, stacklevel=2)
        return cls(grid, bins, (), {}, no_entries()).append(incidents, extend=False)

    @classmethod
    def from_counts(
        cls,
        counts: NDArray[np.int64],
        grid: Grid,
        bins: TimeBins,
        categories: Iterable[str],
        origins: Mapping[str, str] | None = None,
    ) -> Panel:
        """Make a panel from dense counts, each known when its bin is over.

        Parameters
        ----------
        counts : ndarray of int, shape (n_categories, n_bins, n_cells)
            Cells in the order of ``grid.cells``.
        grid : Grid
        bins : TimeBins
        categories : iterable of str
        origins : mapping of category to origin, optional

        Raises
        ------
        InputDataError
            If shapes differ, names repeat, or a count is negative or not whole.

        Examples
        --------
        >>> from tranquillite_ml.squaregrid import SquareGrid
        >>> grid = SquareGrid.from_tensor_shape((2, 2), size_km=3.0)
        >>> counts = np.arange(12).reshape(1, 3, 4)
        >>> Panel.from_counts(counts, grid, TimeBins("2024-01-01", 3, "1D", "UTC"), ["noise"])
        Panel(1 categories × 3 bins of 1D × 4 cells, 66 incidents in, 0 outside)
        """
        names = list(categories)
        dense = np.asarray(counts)
        shape = (len(names), bins.n_bins, grid.n_cells)
        if dense.shape != shape or len(set(names)) < len(names):
            msg = f"counts must have shape {shape} (categories {names} × bins × cells), got {dense.shape}."
            raise InputDataError(msg)
        if not (np.isfinite(dense) & (dense >= 0) & (dense == np.floor(dense))).all():
            msg = f"counts must be whole numbers ≥ 0, got {dense.min()} to {dense.max()}."
            raise InputDataError(msg)
        order = np.argsort(np.array(names, dtype=object), kind="stable")
        category, time_bin, cell = np.nonzero(dense[order])
        found = {
            "category": category,
            "bin": time_bin,
            "cell": cell,
            "known": time_bin + 1,
            "count": dense[order][category, time_bin, cell],
        }
        arrays = {name: values.astype(np.int32) for name, values in found.items()}
        return cls(grid, bins, [names[n] for n in order], dict(origins or {}), arrays)

    def append(self, incidents: Incidents, *, extend: bool = True) -> Panel:
        """Give a panel that holds these incidents too; those it already has are not counted twice.

        Parameters
        ----------
        incidents : Incidents
        extend : bool, default True
            Lengthen the bins so that they cover the last incident.
        """
        keys = incident_keys(check_kind(incidents, Incidents, "incidents", _INCIDENTS))
        fresh = ~np.isin(keys, self._keys)
        table = rows_where(incidents.table, fresh)
        bins = self.bins
        position = bins.locate(table["occurred_at"])
        if extend and len(table):
            per_day = max(1, round(bins.bins_per_day))
            last = (int(position.max()) // per_day + 1) * per_day
            bins = bins.extended(max(bins.n_bins, last))
        inside = (position >= 0) & (position < bins.n_bins)
        table, position = rows_where(table, inside), position[inside]
        names = sorted({*self.categories, *(str(name) for name in table["category"].unique())})
        number = {name: rank for rank, name in enumerate(names)}
        relabel = np.array([number[name] for name in self.categories], dtype=np.int32)
        counted = count_incidents(table, position, bins, self.grid, number)
        return Panel(
            self.grid,
            bins,
            names,
            {**incidents.origins, **self.origins},
            joined([self._arrays, counted], relabel),
            moved=joined([self._moved, moved_weights(table, counted, bins)], relabel),
            keys=sorted_once(np.concatenate([self._keys, keys[fresh][inside]])),
            outside=_still_outside(self._outside, keys[fresh], inside),
        )

    def until(self, cutoff: int | str | pd.Timestamp) -> Panel:
        """What was known at a cutoff: later bins are gone, and so is what was reported later.

        Parameters
        ----------
        cutoff : int, str or Timestamp
            Number of bins, or a local moment that is an edge of a bin.
        """
        end = self.index_at(cutoff)
        arrays, moved = (
            {name: np.asarray(values)[known["known"] <= end] for name, values in known.items()}
            for known in (self._arrays, self._moved)
        )
        return Panel(self.grid, self.bins.extended(end), self.categories, self.origins, arrays, moved=moved)

    # ------------------------------------------------------------------ showing

    def to_frame(self) -> pd.DataFrame:
        """Non-zero counts: ``category, time_bin, cell, count`` (cells as in files; outside is ``""``)."""
        arrays = self._arrays
        names = np.append(self.grid.names(), "")
        frame = pd.DataFrame(
            {
                "category": pd.Categorical.from_codes(arrays["category"], categories=list(self.categories)),
                "time_bin": self.bins.wall_at(np.asarray(arrays["bin"], dtype=np.int64)),
                "cell": names[arrays["cell"]],
                "count": arrays["count"],
            }
        )
        keys = ["category", "time_bin", "cell"]
        return frame.groupby(keys, observed=True, as_index=False)["count"].sum()

    def to_xarray(self) -> xr.DataArray:
        """Dense counts as ``count[category, time_bin, cell]``: zeros take room here."""
        import xarray as xr

        dense = np.stack([self.counts(name) for name in self.categories])
        coords = {
            "category": list(self.categories),
            "time_bin": self.bins.wall_edges[:-1].tz_localize(None),
            "cell": self.grid.names(),
        }
        return xr.DataArray(dense, coords=coords, dims=("category", "time_bin", "cell"), name="count")

    def digest(self) -> str:
        """SHA-256 of grid, bins and counts: equal panels have equal digests."""
        state = hashlib.sha256(json.dumps(self._header(), sort_keys=True).encode())
        state.update(np.ascontiguousarray(self.grid.cells).tobytes())
        for name in COLUMNS:
            state.update(np.ascontiguousarray(self._arrays[name], dtype=np.int32).tobytes())
        for name in COLUMNS if self.n_moved else ():
            state.update(np.ascontiguousarray(self._moved[name]).tobytes())
        return state.hexdigest()

    def _header(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "grid": self.grid.to_dict(),
            "bins": self.bins.to_dict(),
            "categories": list(self.categories),
            "origins": self.origins,
            "outside_bins": self.outside_bins,
        }

    def __repr__(self) -> str:
        found = self.funnel
        return (
            f"Panel({len(self.categories)} categories × {self.n_bins} bins of {self.bins.freq} × "
            f"{self.n_cells} cells, {found['in_panel']:,} incidents in, {found['outside_grid']:,} outside)"
        )

    def _repr_html_(self) -> str:
        from html import escape

        counts = np.bincount(
            self._arrays["category"], weights=self._arrays["count"], minlength=len(self.categories)
        )
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{escape(self.origins[name])}</td><td>{int(n):,}</td></tr>"
            for name, n in zip(self.categories, counts, strict=True)
        )
        head = "<tr><th>category</th><th>origin</th><th>recorded incidents</th></tr>"
        return f"<p>{escape(repr(self))}, since {self.bins.first:%Y-%m-%d}</p><table>{head}{rows}</table>"

    # ------------------------------------------------------------------ keeping

    def save(self, path: str | Path) -> Path:
        """Write the panel as a folder of arrays and one JSON, which `open` maps into memory."""
        arrays = {name: np.asarray(values, dtype=np.int32) for name, values in self._arrays.items()}
        if self.n_moved:
            arrays |= {f"moved_{name}": values for name, values in self._moved.items()}
        header = self._header() | {"digest": self.digest(), "moved": self.n_moved}
        folder = Path(path)
        write_panel(
            folder, header, arrays | {"keys": self._keys, "outside": self._outside, "cells": self.grid.cells}
        )
        return folder

    @classmethod
    def open(cls, path: str | Path) -> Panel:
        """Open a saved panel; its arrays stay on disk until they are read.

        Raises
        ------
        BundleError
            If a part is missing, or the format is unknown.
        """
        header, arrays = read_panel(Path(path))
        moved = {name: arrays[f"moved_{name}"] for name in COLUMNS} if header.get("moved") else None
        return cls(
            open_grid(header["grid"], arrays["cells"]),
            TimeBins.from_dict(header["bins"]),
            header["categories"],
            header["origins"],
            arrays,
            moved=moved,
            keys=arrays["keys"],
            outside=arrays["outside"],
        )


def _still_outside(
    before: NDArray[np.uint64], came: NDArray[np.uint64], inside: NDArray[np.bool_]
) -> NDArray[np.uint64]:
    """Keys of incidents outside the bins: those that were, less those that bins now cover, and new ones."""
    waiting = before[~np.isin(before, came[inside])]
    return sorted_once(np.concatenate([waiting, came[~inside]]))
