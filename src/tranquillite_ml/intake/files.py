"""Tables and files of incidents, other than CSV: columns can be listed, sampled and loaded by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, TranquilliteError
from tranquillite_ml.intake.guards import Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLE_ROWS = 1_000

Loaded = tuple[pd.DataFrame, "NDArray[np.int64]", pd.DataFrame, list[Problem]]
"""Rows, their 1-based numbers, ``row, reason`` of rows that could not be split into columns, and problems."""

_STARTS = {
    ".geojson": b"{",
    ".json": b"{",
    ".gpkg": b"SQLite format 3",
    ".fgb": b"fgb",
    ".shp": b"\x00\x00\x27\x0a",
}

GEOMETRY = "\0geometry"
"""Asks a part for ``lat`` and ``lng`` from its geometry; no column has this name."""


class Part(Protocol):
    """One file or table: its columns can be listed, sampled and loaded by name."""

    name: str
    columns: list[str]
    geometry: bool

    def sample(self, columns: list[str]) -> pd.DataFrame:
        """Some rows of these columns."""

    def load(self, columns: list[str]) -> Loaded:
        """All rows of these columns (lat and lng from the geometry where asked for by GEOMETRY)."""


class FrameTable:
    """A DataFrame or GeoDataFrame in memory."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.name = "the DataFrame"
        self.frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
        self.geometry_name = getattr(frame, "_geometry_column_name", None)
        self.geometry = self.geometry_name in self.frame.columns
        self.columns = [
            name for name in self.frame.columns if not (self.geometry and name == self.geometry_name)
        ]
        if len(self.frame) == 0:
            msg = "the DataFrame has no rows."
            raise InputDataError(msg)

    def sample(self, columns: list[str]) -> pd.DataFrame:
        """Rows from the start and the end."""
        ends = np.unique(
            np.r_[
                : min(_SAMPLE_ROWS, len(self.frame)), max(len(self.frame) - _SAMPLE_ROWS, 0) : len(self.frame)
            ]
        )
        return texts(pd.DataFrame(self.frame[columns].iloc[ends]))

    def load(self, columns: list[str]) -> Loaded:
        """Load the columns."""
        table = pd.DataFrame(self.frame[[name for name in columns if name != GEOMETRY]]).reset_index(
            drop=True
        )
        if GEOMETRY in columns:
            table["lat"], table["lng"] = points(self.frame[self.geometry_name], self.name)
        return table, np.arange(1, len(table) + 1), none_ragged(), []


class ParquetFile:
    """A Parquet or GeoParquet file."""

    def __init__(self, path: Path) -> None:
        from pyarrow import parquet

        self.path, self.name = path, str(path)
        with reading(path, "truncated or not a Parquet file"):
            self.file = parquet.ParquetFile(path)
        if self.file.metadata.num_rows == 0:
            msg = f"{path} has no rows."
            raise InputDataError(msg)
        self.schema = self.file.schema_arrow
        self.geometry = b"geo" in (self.schema.metadata or {})
        self.columns = list(self.schema.names)
        if self.geometry:
            self.geometry_name = json.loads(self.schema.metadata[b"geo"])["primary_column"]
            self.columns.remove(self.geometry_name)

    def sample(self, columns: list[str]) -> pd.DataFrame:
        """Text and date columns of rows from the first, middle and last row group."""
        worded = [name for name in columns if _is_worded(str(self.schema.field(name).type))]
        last = self.file.num_row_groups - 1
        batches = []
        for group in sorted({0, last // 2, last}):
            with reading(self.path, "truncated or not a Parquet file"):
                batch = next(self.file.iter_batches(_SAMPLE_ROWS, row_groups=[group], columns=worded), None)
            if batch is not None:
                batches.append(batch.to_pandas())
        return texts(pd.concat(batches, ignore_index=True)) if batches else pd.DataFrame()

    def load(self, columns: list[str]) -> Loaded:
        """Load the columns."""
        names = [name for name in columns if name != GEOMETRY]
        with reading(self.path, "truncated or not a Parquet file"):
            table = self.file.read(columns=names).select(names).to_pandas(ignore_metadata=True)
        if GEOMETRY in columns:
            import geopandas as gpd

            with reading(self.path, "not a GeoParquet file"):
                shapes = gpd.read_parquet(self.path, columns=[self.geometry_name])
            table["lat"], table["lng"] = points(shapes.geometry, self.name)
        return table, np.arange(1, len(table) + 1), none_ragged(), []


class VectorFile:
    """GeoJSON, GeoPackage and whatever else GDAL reads."""

    geometry = True

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)
        _check_content(path)
        shape = self._rows(None, rows=0)
        self.columns = [str(name) for name in shape.columns if name != "geometry"]

    def _rows(self, columns: list[str] | None, **options: Any) -> Any:
        import geopandas as gpd

        with reading(self.path, "truncated or not a file of shapes"):
            return gpd.read_file(self.path, columns=columns, **options)

    def sample(self, columns: list[str]) -> pd.DataFrame:
        """Rows from the start."""
        if not columns:
            return pd.DataFrame()
        rows = self._rows(columns, rows=2 * _SAMPLE_ROWS, ignore_geometry=True)
        return texts(pd.DataFrame(rows)[columns])

    def load(self, columns: list[str]) -> Loaded:
        """Load the columns."""
        names = [name for name in columns if name != GEOMETRY]
        shapes = self._rows(names)
        if len(shapes) == 0:
            msg = f"{self.path} has no features."
            raise InputDataError(msg)
        table = pd.DataFrame(shapes[names])
        if GEOMETRY in columns:
            table["lat"], table["lng"] = points(shapes.geometry, self.name)
        return table, np.arange(1, len(table) + 1), none_ragged(), []


def _check_content(path: Path) -> None:
    """Refuse a file that is not what its name says, or that holds several layers.

    GDAL goes by content: a text that names another source, even a remote one, would be followed.

    Raises
    ------
    InputDataError
        Saying which of the two.
    """
    from pyogrio import list_layers

    with path.open("rb") as file:
        head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    start = _STARTS[path.suffix.lower()]
    if head and not head.startswith(start):
        msg = f"{path} is no {path.suffix} file: it begins with {head[:16]!r}. Export it again."
        raise InputDataError(msg)
    with reading(path, "truncated or not a file of shapes"):
        names = [str(name) for name, _ in list_layers(path)]
    if len(names) > 1:
        told = f"{len(names)} layers ({', '.join(names[:5])})"
        msg = f"{path} holds {told}. Export the one wanted to a file of its own."
        raise InputDataError(msg)


@contextmanager
def reading(path: Path, otherwise: str) -> Iterator[None]:
    """Turn whatever a reader raises into an error that names the file."""
    try:
        yield
    except TranquilliteError:
        raise
    except Exception as error:  # Arrow, GDAL and the file system each have their own
        size = path.stat().st_size if path.exists() else 0
        what = "empty (0 bytes)" if path.exists() and size == 0 else otherwise
        msg = f"{path} cannot be read: it is {what}. ({type(error).__name__}: {str(error)[:200]})"
        raise InputDataError(msg) from error


def points(shapes: Any, file: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latitude and longitude of a series of points, NaN where there is none.

    Raises
    ------
    InputDataError
        If the series has no coordinate system, or holds other shapes than points.
    """
    import shapely

    if shapes.crs is None:
        msg = f"{file}: the geometry has no coordinate system; set one, such as `frame.set_crs('EPSG:4326')`."
        raise InputDataError(msg)
    kinds = sorted(set(shapes.geom_type.dropna().astype(str)) - {"Point"})
    if kinds:
        msg = f"{file}: incidents must be points, but the geometry holds {kinds}."
        raise InputDataError(msg)
    found = shapes.to_crs("EPSG:4326").to_numpy()
    return shapely.get_y(found), shapely.get_x(found)


def _is_worded(kind: str) -> bool:
    return any(word in kind for word in ("string", "date", "timestamp", "utf8"))


def texts(sample: pd.DataFrame) -> pd.DataFrame:
    """Columns that hold text or dates, as text."""
    kept = {
        name: sample[name]
        .astype(object)
        .where(sample[name].notna(), None)
        .map(lambda v: None if v is None else str(v))
        for name in sample.columns
        if not pd.api.types.is_numeric_dtype(sample[name].dtype)
    }
    return pd.DataFrame(kept, index=sample.index)


def none_ragged() -> pd.DataFrame:
    """Say that every row could be split into columns."""
    return pd.DataFrame({"row": np.zeros(0, dtype=np.int64), "reason": np.zeros(0, dtype=object)})
