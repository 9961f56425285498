"""Panel: counts of recorded incidents by category, time bin and cell, and when each was known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import BundleError, InputDataError, UsageError, nearest
from tranquillite_ml.governance.names import is_enforcement
from tranquillite_ml.grids import open_grid
from tranquillite_ml.records import (
    COLUMNS,
    Records,
    aggregate,
    first_known,
    incident_keys,
    rows_where,
    sorted_once,
)
from tranquillite_ml.timebins import TimeBins

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from tranquillite_ml.grid import Grid
    from tranquillite_ml.intake import Incidents

FORMAT = 1
OUTSIDE = -1


class Panel:
    """Counts by category, time bin and cell, with true zeros, and what was known when.

    Stored sparsely (only what was recorded takes room); any dense view is made on demand. Incidents outside
    the grid stay countable: what is outside is missed, not forgotten.

    Parameters
    ----------
    grid : Grid
    bins : TimeBins
    categories : sequence of str
    origins : mapping of category to origin
        Who made the record: citizen, sensor, agent, arrest, fine, inspection, or unknown.
    arrays : mapping of str to ndarray
        ``category, bin, cell, known, count``; use `build` rather than this constructor.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> city = simulate_city(seed=0, days=60, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents, freq="1D"))
    >>> panel.funnel["accepted"] == len(city.incidents)
    True
    """

    def __init__(
        self,
        grid: Grid,
        bins: TimeBins,
        categories: Iterable[str],
        origins: Mapping[str, str],
        arrays: Mapping[str, NDArray[Any]],
        *,
        keys: NDArray[np.uint64] | None = None,
        outside_bins: int = 0,
    ) -> None:
        self.grid = grid
        self.bins = bins
        self.categories = tuple(categories)
        self.origins = {name: origins.get(name, "unknown") for name in self.categories}
        self._arrays = {name: arrays[name] for name in COLUMNS}
        self._keys = np.array([], dtype=np.uint64) if keys is None else keys
        self.outside_bins = outside_bins
        self._starts = np.searchsorted(self._arrays["category"], np.arange(len(self.categories) + 1))

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
        InputDataError
            If bins are finer than a day and times are known to the day only.
        """
        if bins.hours < 24 and incidents.time_precision == "date":
            msg = f"freq={bins.freq!r} needs times of day, but these incidents are dated by the day only."
            raise InputDataError(msg)
        empty = {name: np.array([], dtype=np.int32) for name in COLUMNS}
        return cls(grid, bins, (), {}, empty).append(incidents, extend=False)

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
        keys = incident_keys(incidents)
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
        codes, present = pd.factorize(table["category"])
        present = np.array([str(name) for name in present], dtype=object)
        names = sorted({*self.categories, *present})
        number = {name: rank for rank, name in enumerate(names)}
        new = {
            "category": np.array([number[name] for name in present], dtype=np.int32)[codes],
            "bin": position,
            "cell": self.grid.locate(table["lat"].to_numpy(), table["lng"].to_numpy()),
            "known": first_known(table, position, bins),
            "count": np.ones(len(table), dtype=np.int32),
        }
        old = dict(self._arrays)
        relabel = np.array([number[name] for name in self.categories], dtype=np.int32)
        old["category"] = relabel[old["category"]] if len(relabel) else old["category"]
        merged = {name: np.concatenate([old[name], new[name]]) for name in COLUMNS}
        return Panel(
            self.grid,
            bins,
            names,
            {**incidents.origins, **self.origins},
            aggregate(merged),
            keys=sorted_once(np.concatenate([self._keys, keys[fresh][inside]])),
            outside_bins=self.outside_bins + int((~inside).sum()),
        )

    def until(self, cutoff: int | str | pd.Timestamp) -> Panel:
        """What was known at a cutoff: later bins are gone, and so is what was reported later.

        Parameters
        ----------
        cutoff : int, str or Timestamp
            Number of bins, or a local moment that is an edge of a bin.
        """
        end = self.index_at(cutoff)
        mask = np.asarray(self._arrays["known"] <= end)
        arrays = {name: np.asarray(values)[mask] for name, values in self._arrays.items()}
        return Panel(self.grid, self.bins.extended(end), self.categories, self.origins, arrays)

    # ------------------------------------------------------------------ looking

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.grid.n_cells

    @property
    def n_bins(self) -> int:
        """Number of time bins."""
        return self.bins.n_bins

    @property
    def funnel(self) -> dict[str, int]:
        """``accepted = in_panel + outside_grid + outside_bins``, in incidents."""
        count = self._arrays["count"]
        outside = int(count[self._arrays["cell"] == OUTSIDE].sum())
        inside = int(count.sum()) - outside
        return {
            "accepted": inside + outside + self.outside_bins,
            "in_panel": inside,
            "outside_grid": outside,
            "outside_bins": self.outside_bins,
        }

    def index_at(self, cutoff: int | str | pd.Timestamp) -> int:
        """Number of bins before a cutoff.

        Raises
        ------
        UsageError
            If the cutoff is not an edge, or lies outside the panel.
        """
        end = int(cutoff) if isinstance(cutoff, int | np.integer) else self.bins.index_at(cutoff)
        if not 0 <= end <= self.n_bins:
            msg = f"cutoff {cutoff} lies outside the panel ({self.bins.first} to {self.bins.end})."
            raise UsageError(msg)
        return end

    def check_categories(self, categories: str | Iterable[str]) -> list[str]:
        """Give the categories as a list, if the panel holds them all.

        Raises
        ------
        UsageError
            If one is unknown.
        """
        wanted = [categories] if isinstance(categories, str) else list(categories)
        for name in wanted:
            if name not in self.categories:
                msg = (
                    f"the panel holds no category {name!r}.{nearest(name, self.categories)} "
                    f"It holds {list(self.categories)}."
                )
                raise UsageError(msg)
        return wanted

    def records(self, categories: str | Iterable[str]) -> Records:
        """Records of some categories, those outside the grid included (cell −1)."""
        numbers = sorted(self.categories.index(name) for name in self.check_categories(categories))
        parts = [slice(self._starts[n], self._starts[n + 1]) for n in numbers]
        columns = [
            np.concatenate(
                [np.asarray(self._arrays[name][part]) for part in parts] or [np.empty(0, np.int32)]
            )
            for name in ("bin", "cell", "known", "count")
        ]
        return Records(*(column.astype(np.int32, copy=False) for column in columns))

    def counts(
        self, categories: str | Iterable[str], begin: int = 0, end: int | None = None
    ) -> NDArray[np.int32]:
        """Counts inside the grid as a dense array, shape (end − begin, n_cells); categories are summed."""
        end = self.n_bins if end is None else end
        found = self.records(categories)
        found = found.where((found.cell >= 0) & (found.bin >= begin) & (found.bin < end))
        flat = (found.bin.astype(np.int64) - begin) * self.n_cells + found.cell
        dense = np.bincount(flat, weights=found.count, minlength=(end - begin) * self.n_cells)
        return dense.astype(np.int32).reshape(end - begin, self.n_cells)

    def outside(self, categories: str | Iterable[str], begin: int, end: int) -> int:
        """Incidents recorded outside the grid from bin `begin` up to bin `end`."""
        found = self.records(categories)
        mask = (found.cell == OUTSIDE) & (found.bin >= begin) & (found.bin < end)
        return int(found.count[mask].sum())

    def trainable(self, *, besides: str) -> list[str]:
        """Categories that may serve as context features of another one: citizen or sensor origin.

        A category whose name says that its records follow enforcement never may, whatever its origin.
        """
        return [
            name
            for name in self.categories
            if name != besides and self.origins[name] in {"citizen", "sensor"} and not is_enforcement(name)
        ]

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
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name in COLUMNS:
            np.save(folder / f"{name}.npy", np.ascontiguousarray(self._arrays[name], dtype=np.int32))
        np.save(folder / "keys.npy", self._keys)
        np.save(folder / "cells.npy", self.grid.cells)
        text = json.dumps(self._header() | {"digest": self.digest()}, indent=1)
        (folder / "panel.json").write_text(text, encoding="utf-8")
        return folder

    @classmethod
    def open(cls, path: str | Path) -> Panel:
        """Open a saved panel; its arrays stay on disk until they are read.

        Raises
        ------
        BundleError
            If a part is missing, or the format is unknown.
        """
        folder = Path(path)
        try:
            header = json.loads((folder / "panel.json").read_text(encoding="utf-8"))
            if header["format"] != FORMAT:
                msg = f"{folder}: panel format {header['format']} is unknown to this version ({FORMAT})."
                raise BundleError(msg)
            arrays = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in COLUMNS
            }
            keys = np.load(folder / "keys.npy", mmap_mode="r", allow_pickle=False)
            cells = np.load(folder / "cells.npy", allow_pickle=False)
        except (OSError, ValueError, KeyError) as error:
            msg = f"{folder} is not a complete saved panel: {error}."
            raise BundleError(msg) from error
        grid = open_grid(header["grid"], cells)
        bins = TimeBins.from_dict(header["bins"])
        return cls(
            grid,
            bins,
            header["categories"],
            header["origins"],
            arrays,
            keys=keys,
            outside_bins=header["outside_bins"],
        )
