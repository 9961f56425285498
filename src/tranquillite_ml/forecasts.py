"""Forecasts: the one table that models write and everything else reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, UsageError, nearest
from tranquillite_ml.longtable import arrays_of, arrow_columns, long_frame, typed
from tranquillite_ml.schema import FORECAST_KEYS, FORECAST_VALUES, SCHEMA_VERSION

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    from tranquillite_ml.panel import Panel


class Forecasts:
    """Expected counts of recorded incidents by model, category, cutoff, horizon and cell.

    Held as one row of keys and one row of numbers per forecast map, so that 300 million cell forecasts are a
    few arrays; `to_frame` and `write` give the long table.

    Parameters
    ----------
    keys : DataFrame
        One row a map: ``model, category, cutoff, horizon, period_start, period_end, exposure_hours,
        distribution, level, outside_count``. `outside_count` is what was recorded outside the cells in that
        period, NaN while it is not known.
    cells : ndarray of uint64, shape (n_cells,)
    area_km2 : ndarray of float64, shape (n_cells,)
    values : mapping of str to ndarray of float64, shape (n_maps, n_cells)
        ``expected_count, dispersion, prob_any, lower, upper, observed_count``.
    meta : mapping
        ``tz``, ``study_area_km2``, ``freq`` and whatever a reader should know.

    Raises
    ------
    InputDataError
        If shapes differ, keys repeat, or a rate is negative or not finite.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import Count365
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=120, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> week = Count365(Target("noise", period=7)).fit(panel).forecast(panel)
    >>> week.expected_count.shape == (1, panel.n_cells)
    True
    >>> week.to_frame()[["model", "horizon"]].drop_duplicates().values.tolist()
    [['count_365d', 1]]
    """

    def __init__(
        self,
        keys: pd.DataFrame,
        cells: NDArray[np.uint64],
        area_km2: NDArray[np.float64],
        values: Mapping[str, NDArray[np.float64]],
        meta: Mapping[str, Any],
    ) -> None:
        self.keys = keys.reset_index(drop=True)
        self.cells = cells
        self.area_km2 = np.asarray(area_km2, dtype=np.float64)
        shape = (len(keys), len(cells))
        self.values = {
            name: np.asarray(values.get(name, np.full(shape, np.nan)), dtype=np.float64)
            for name in FORECAST_VALUES
        }
        self.meta = {"schema_version": SCHEMA_VERSION, **meta}
        self._check(shape)

    def _check(self, shape: tuple[int, int]) -> None:
        for name, array in self.values.items():
            if array.shape != shape:
                msg = f"{name} has shape {array.shape}, expected {shape} (maps × cells)."
                raise InputDataError(msg)
        expected = self.values["expected_count"]
        if not (np.isfinite(expected) & (expected >= 0)).all():
            row, column = np.argwhere(~(np.isfinite(expected) & (expected >= 0)))[0]
            key = self.keys.loc[row, ["model", "category", "cutoff"]].to_dict()
            msg = (
                f"expected_count must be finite and ≥ 0; got {expected[row, column]} "
                f"in cell {int(self.cells[column]):x} of {key}."
            )
            raise InputDataError(msg)
        repeated = self.keys.duplicated(list(FORECAST_KEYS))
        if repeated.any():
            first = self.keys.loc[repeated, list(FORECAST_KEYS)].iloc[0].to_dict()
            msg = f"each model, category, cutoff and horizon may come once; {first} repeats."
            raise InputDataError(msg)

    # ------------------------------------------------------------------ looking

    def __len__(self) -> int:
        return len(self.keys) * len(self.cells)

    def __getattr__(self, name: str) -> NDArray[np.float64]:
        if name in FORECAST_VALUES:
            found: NDArray[np.float64] = self.__dict__["values"][name]
            return found
        raise AttributeError(name)

    @property
    def models(self) -> list[str]:
        """Names of the models, in order of appearance."""
        return list(dict.fromkeys(self.keys["model"]))

    @property
    def categories(self) -> list[str]:
        """Names of the categories, in order of appearance."""
        return list(dict.fromkeys(self.keys["category"]))

    @property
    def study_area_km2(self) -> float:
        """Area on which shares of area are stated."""
        return float(self.meta.get("study_area_km2") or self.area_km2.sum())

    def cell_names(self) -> NDArray[np.str_]:
        """Cells as the hexadecimal strings that appear in files."""
        return np.array([format(cell, "x") for cell in self.cells.tolist()])

    def take(self, rows: Any) -> Forecasts:
        """Forecasts of some maps, by row number or mask of `keys`."""
        rows = np.asarray(rows)
        values = {name: array[rows] for name, array in self.values.items()}
        return Forecasts(
            self.keys.iloc[np.flatnonzero(rows) if rows.dtype == bool else rows],
            self.cells,
            self.area_km2,
            values,
            self.meta,
        )

    def select(self, **equal: Any) -> Forecasts:
        """Forecasts whose keys equal the values given: ``select(model="count_365d", horizon=1)``.

        Raises
        ------
        UsageError
            If a key or value is unknown.
        """
        mask = np.ones(len(self.keys), dtype=bool)
        for key, value in equal.items():
            if key not in self.keys:
                msg = f"there is no key {key!r}.{nearest(key, self.keys.columns)}"
                raise UsageError(msg)
            wanted = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
            mask &= self.keys[key].isin(wanted).to_numpy()
        if not mask.any():
            have = {key: list(dict.fromkeys(self.keys[key].astype(str)))[:8] for key in equal}
            msg = f"no forecast has {equal}; there is {have}."
            raise UsageError(msg)
        return self.take(mask)

    def latest(self) -> Forecasts:
        """Forecasts made at the last cutoff."""
        return self.take((self.keys["cutoff"] == self.keys["cutoff"].max()).to_numpy())

    # ------------------------------------------------------------------ making

    @staticmethod
    def concat(parts: Sequence[Forecasts]) -> Forecasts:
        """Put forecasts on the same cells together.

        Raises
        ------
        UsageError
            If there are none, or their cells differ.
        """
        if not parts:
            msg = "there are no forecasts to put together."
            raise UsageError(msg)
        first = parts[0]
        if any(not np.array_equal(first.cells, part.cells) for part in parts[1:]):
            msg = "forecasts on different cells cannot be put into one table; compare them fold by fold."
            raise UsageError(msg)
        values = {name: np.concatenate([getattr(part, name) for part in parts]) for name in FORECAST_VALUES}
        keys = pd.concat([part.keys for part in parts], ignore_index=True)
        return Forecasts(keys, first.cells, first.area_km2, values, first.meta)

    def observe(self, panel: Panel) -> Forecasts:
        """Give the forecasts with what was then recorded; periods the panel does not cover stay NaN."""
        observed = np.full(self.expected_count.shape, np.nan)
        keys = self.keys.copy()
        keys["outside_count"] = np.nan
        bins = panel.bins
        spans: dict[tuple[str, int, int], tuple[NDArray[np.float64], int]] = {}
        for row, key in enumerate(keys.itertuples(index=False)):
            begin, end = bins.index_at(key.period_start), bins.index_at(key.period_end)
            if begin < 0 or end > bins.n_bins or key.category not in panel.categories:
                continue
            span = (key.category, begin, end)
            if span not in spans:
                counts = panel.counts(key.category, begin, end).sum(axis=0).astype(np.float64)
                spans[span] = counts, panel.outside(key.category, begin, end)
            observed[row], keys.loc[row, "outside_count"] = spans[span]
        return Forecasts(
            keys, self.cells, self.area_km2, self.values | {"observed_count": observed}, self.meta
        )

    # ------------------------------------------------------------------ leaving

    def to_frame(self) -> pd.DataFrame:
        """The long table, one row a cell forecast, columns as in ``schema.FORECAST_COLUMNS``."""
        return long_frame(self.keys, self.cell_names(), self.area_km2, self.values)

    def to_geodataframe(self, **equal: Any) -> gpd.GeoDataFrame:
        """One map's long table with the cells' outlines; name the map by its keys where there are several."""
        import geopandas as gpd

        from tranquillite_ml.grids import open_grid

        chosen = self.select(**equal) if equal else self
        shapes = np.tile(open_grid(self.meta.get("grid"), self.cells).polygons, len(chosen.keys))
        frame = chosen.to_frame()
        frame["cell"] = frame["cell"].astype(str)
        return gpd.GeoDataFrame(frame, geometry=list(shapes), crs="EPSG:4326")

    def write(self, path: str | Path) -> Path:
        """Write the long table as Parquet, one row group a map; equal forecasts give equal bytes."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = Path(path)
        partial = path.with_name(f".{path.name}.partial")
        meta = json.dumps(self.meta | {"outside": _outside(self.keys)}, sort_keys=True)
        writer = None
        try:
            for row in range(len(self.keys)):
                columns = arrow_columns(self.take([row]).to_frame())
                table = pa.table(columns, metadata={b"tranquillite": meta.encode()})
                if writer is None:
                    writer = pq.ParquetWriter(partial, table.schema, compression="zstd")
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()
        partial.replace(path)
        return path

    def __repr__(self) -> str:
        cutoffs = self.keys["cutoff"].nunique()
        return (
            f"Forecasts({len(self.models)} models × {len(self.categories)} categories × {cutoffs} cutoffs × "
            f"{len(self.cells)} cells)"
        )

    def _repr_html_(self) -> str:
        from html import escape

        seen = int(np.isfinite(self.observed_count).all(axis=1).sum())
        since = self.keys["cutoff"].min()
        listed = ", ".join(escape(name) for name in self.models)
        return (
            f"<p>{escape(repr(self))}</p><p>Models: {listed}. Cutoffs since {since:%Y-%m-%d}; "
            f"{seen} of {len(self.keys)} maps have their outcome.</p>"
        )


def read_forecasts(path: str | Path) -> Forecasts:
    """Read a Forecasts table, ours or another system's.

    Parameters
    ----------
    path : str or Path
        Parquet or CSV in the Forecasts schema (``tranquillite schema forecasts`` prints it). Only the keys,
        ``cell``, ``area_km2`` and ``expected_count`` are required. Instants in a CSV are written with their
        offset, and become UTC.

    Raises
    ------
    InputDataError
        If columns are missing, keys repeat, a map lacks cells, a rate is negative, or a value is no number,
        cell, or instant with its time zone: with its row and column.

    Examples
    --------
    >>> read_forecasts("no_such_file.parquet")
    Traceback (most recent call last):
    tranquillite_ml.errors.InputDataError: there is no file no_such_file.parquet. A Forecasts table is ...
    """
    import pyarrow.parquet as pq

    path = Path(path)
    if not path.is_file():
        told = f"{path} is a folder: name the file in it" if path.is_dir() else f"there is no file {path}"
        msg = f"{told}. A Forecasts table is one Parquet or CSV file."
        raise InputDataError(msg)
    try:
        if path.suffix == ".csv":
            frame, raw = pd.read_csv(path, dtype=dict.fromkeys(("cell", "model", "category"), str)), None
        else:
            frame = pd.read_parquet(path)
            raw = (pq.read_schema(path).metadata or {}).get(b"tranquillite")
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read as a Forecasts table: {str(error).rstrip('.')}."
        raise InputDataError(msg) from error
    required = [*FORECAST_KEYS, "cell", "area_km2", "expected_count", "period_start", "period_end"]
    missing = [name for name in required if name not in frame]
    if missing:
        msg = f"{path} lacks the columns {missing}; it has {list(frame.columns)}."
        raise InputDataError(msg)
    at = (str(path), 2 if path.suffix == ".csv" else 1)
    return from_frame(typed(frame, at), json.loads(raw) if raw else {}, at)


def from_frame(
    frame: pd.DataFrame, meta: Mapping[str, Any], at: tuple[str, int] = ("the table", 1)
) -> Forecasts:
    """Make Forecasts from the long table.

    Raises
    ------
    InputDataError
        If keys repeat or a map lacks cells.
    """
    meta = dict(meta)
    outside = meta.pop("outside", None)
    keys, numbers, area, values = arrays_of(frame, at)
    keys["outside_count"] = np.nan if outside is None else np.array(outside, dtype=np.float64)
    return Forecasts(keys, numbers, area, values, meta)


def _outside(keys: pd.DataFrame) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in keys["outside_count"]]
