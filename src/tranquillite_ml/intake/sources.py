"""Where incidents come from: paths, globs and tables; each row knows its file and number."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.config.words import redact
from tranquillite_ml.errors import InputDataError, UsageError, nearest
from tranquillite_ml.intake.columns import resolve_columns
from tranquillite_ml.intake.csv_files import CsvFile
from tranquillite_ml.intake.databases import Database
from tranquillite_ml.intake.files import GEOMETRY, FrameTable, Loaded, ParquetFile, Part, VectorFile, reading
from tranquillite_ml.intake.guards import Problem
from tranquillite_ml.intake.persons import refuse_person_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PARQUET = {".parquet", ".pq", ".geoparquet"}
_CSV = {".csv", ".tsv", ".txt"}
_VECTOR = {".geojson", ".json", ".gpkg", ".fgb", ".shp"}

WHERE = "where:"
"""Prefix of columns that are loaded only to filter by them."""


@dataclass(frozen=True)
class Raw:
    """Rows as they were found, under our column names, with their provenance.

    Attributes
    ----------
    table : DataFrame
        Our column names; columns to filter by are prefixed with ``where:``.
    files : list of str
        Names of the files; `file` is each row's number in it, `row` its 1-based number among the data rows.
    ragged : DataFrame
        ``file, row, reason`` of rows that could not be split into columns.
    """

    table: pd.DataFrame
    files: list[str]
    file: NDArray[np.int64]
    row: NDArray[np.int64]
    ragged: pd.DataFrame
    problems: list[Problem]


def expand(source: Any, query: str | None = None) -> list[Part]:
    """Files that a path, a glob or a list of these name, in sorted order; or the one table or query given.

    Raises
    ------
    InputDataError
        If nothing matches, a file is named twice, or its kind is not known.
    """
    if isinstance(source, pd.DataFrame):
        return [FrameTable(source)]
    if query is not None or (isinstance(source, str) and "://" in source):
        return [_ask(source, query)]
    if isinstance(source, str | Path):
        paths = _matching(source)
    elif isinstance(source, Sequence) and source and all(isinstance(item, str | Path) for item in source):
        paths = [path for item in source for path in _matching(item)]
    else:
        msg = f"source must be a path, a glob, a list of these or a DataFrame, got {type(source).__name__}."
        raise UsageError(msg)
    resolved = [path.resolve() for path in paths]
    twice = sorted(
        {str(path) for path, real in zip(paths, resolved, strict=True) if resolved.count(real) > 1}
    )
    if twice:
        msg = f"the same file is named twice, which would count its incidents twice: {twice[:3]}."
        raise InputDataError(msg)
    return [_open(path) for path in paths]


def _ask(source: Any, query: str | None) -> Part:
    if not isinstance(source, str) or "://" not in source:
        msg = "query belongs to the address of a database, such as postgresql://user@host/database."
        raise UsageError(msg)
    if source.startswith(("http://", "https://", "ftp://", "s3://")):
        msg = f"{redact(source)!r} is not read: fetch it to a file first (`tranquillite fetch --help`)."
        raise UsageError(msg)
    if query is None:
        msg = f"{redact(source)!r} is a database: say what to read with `query`, one SELECT."
        raise UsageError(msg)
    return Database(source, query)


def _matching(source: str | Path) -> list[Path]:
    path = Path(source)
    if path.is_file():
        return [path]
    if glob.has_magic(str(source)):
        found = sorted(Path(name) for name in glob.glob(str(source), recursive=True) if Path(name).is_file())
        if found:
            return found
        msg = f"no file matches {str(source)!r} (looked in {Path.cwd()})."
        raise InputDataError(msg)
    if path.is_dir():
        msg = f"{path} is a folder; name its files with a glob, such as {str(path / '*.parquet')!r}."
        raise InputDataError(msg)
    folder = path.parent
    there = sorted(item.name for item in folder.iterdir()) if folder.is_dir() else []
    told = nearest(path.name, there) if folder.is_dir() else f" There is no folder {str(folder)!r} either."
    msg = f"there is no file {str(path)!r} (looked from {Path.cwd()}).{told}"
    raise InputDataError(msg)


def _open(path: Path) -> Part:
    kind = path.suffix.lower()
    if kind in _PARQUET:
        return ParquetFile(path)
    if kind in _CSV:
        with reading(path, "not readable"):
            return CsvFile(path)
    if kind in _VECTOR:
        return VectorFile(path)
    msg = f"{path}: files of kind {kind!r} are not read; known are {sorted(_PARQUET | _CSV | _VECTOR)}."
    raise InputDataError(msg)


def read_raw(
    source: Any,
    *,
    query: str | None = None,
    columns: Mapping[str, str] | None = None,
    drop_columns: Sequence[str] = (),
    where: Sequence[str] = (),
) -> Raw:
    """Read the columns that are needed from every part of a source.

    Parameters
    ----------
    source : path, glob, list of these, DataFrame, or a database's address
    query : str, optional
        One SELECT, with a database's address.
    columns : mapping of str to str, optional
        Our name → the file's column.
    drop_columns : sequence of str
        Columns of the files that are never loaded.
    where : sequence of str
        Columns of the files to load for filtering.

    Raises
    ------
    InputDataError
        If a file cannot be read or lacks a column.
    PersonLevelDataError
        If a column that is not dropped describes persons.
    """
    dropped = [drop_columns] if isinstance(drop_columns, str) else list(drop_columns)
    used = sorted({*(columns or {}).values(), *where} & set(dropped))
    if used:
        msg = f"drop_columns and columns (or where) both name {used}."
        raise UsageError(msg)
    parts = expand(source, query)
    tables, ragged, problems = [], [], []
    for number, part in enumerate(parts):
        table, rows, wrong, told = _load_part(part, columns, dropped, where)
        tables.append(table.assign(_file=number, _row=rows))
        ragged.append(wrong.assign(file=part.name))
        problems.extend(told)
    absent = [name for name in dropped if not any(name in part.columns for part in parts)]
    if absent:
        hint = "".join(nearest(name, [c for part in parts for c in part.columns]) for name in absent)
        problems.append(
            Problem(
                f"drop_columns names columns that are not there: {absent}", 0, 0.0, f"Nothing to do.{hint}"
            )
        )
    whole = tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)
    file, row = whole.pop("_file").to_numpy(np.int64), whole.pop("_row").to_numpy(np.int64)
    return Raw(
        whole, [part.name for part in parts], file, row, pd.concat(ragged, ignore_index=True), problems
    )


def _load_part(
    part: Part, columns: Mapping[str, str] | None, dropped: list[str], where: Sequence[str]
) -> Loaded:
    kept = [name for name in part.columns if name not in dropped]
    twice = sorted({name for name in kept if kept.count(name) > 1})
    if twice:
        msg = f"{part.name}: columns occur twice: {twice}. Rename them in the file."
        raise InputDataError(msg)
    mapped = resolve_columns(columns, kept, file=part.name, geometry=part.geometry)
    for name in where:
        if name not in kept:
            hint = nearest(name, kept)
            msg = f"{part.name}: there is no column {name!r} (in where).{hint} The file's columns are {kept}."
            raise InputDataError(msg)
    refuse_person_columns(part.name, kept, part.sample, mapped)
    wanted = list(dict.fromkeys([*mapped.values(), *where]))
    asks_geometry = part.geometry and "lat" not in mapped
    loaded, rows, ragged, problems = part.load([*wanted, GEOMETRY] if asks_geometry else wanted)
    table = {ours: loaded[theirs] for ours, theirs in mapped.items()}
    if asks_geometry:
        table |= {"lat": loaded["lat"], "lng": loaded["lng"]}
    table |= {WHERE + name: loaded[name] for name in where}
    return pd.DataFrame(table), rows, ragged, problems
