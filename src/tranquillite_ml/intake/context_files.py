"""From the files of a context layer to rows under our names: columns found, persons refused, shapes read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, UsageError, check_in, nearest
from tranquillite_ml.governance.names import plain_words
from tranquillite_ml.intake.context_shapes import from_plane, to_degrees
from tranquillite_ml.intake.files import FrameTable, ParquetFile, Part, VectorFile, reading
from tranquillite_ml.intake.persons import refuse_person_columns
from tranquillite_ml.intake.places import as_degrees
from tranquillite_ml.intake.sources import Raw, expand
from tranquillite_ml.intake.times import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from tranquillite_ml.intake.context_rules import Kind

_TIMES = ("valid_from", "valid_to", "known_at", "issued_at")
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "valid_from": (
        "date",
        "start",
        "start date",
        "debut",
        "date debut",
        "begin",
        "time",
        "datetime",
        "timestamp",
    ),
    "valid_to": ("end", "end date", "fin", "date fin"),
    "known_at": ("announced at", "published at", "date annonce", "date publication"),
    "issued_at": ("issue time", "reference time", "date emission"),
    "lat": ("latitude",),
    "lng": ("longitude", "lon", "long"),
    "type": ("category", "categorie", "kind", "amenity"),
    "attendance": ("affluence", "spectators", "spectateurs", "visitors", "passengers", "passagers"),
}
_TAKES: Mapping[str, tuple[str, ...]] = {
    "series": _TIMES,
    "calendar": ("valid_from", "valid_to", "known_at", "type"),
    "events": ("valid_from", "valid_to", "known_at", "lat", "lng", "type", "attendance"),
    "points": ("valid_from", "valid_to", "known_at", "lat", "lng", "type"),
    "lines": ("valid_from", "valid_to", "known_at", "type"),
    "areas": ("valid_from", "valid_to", "known_at", "type"),
    "operations": ("valid_from", "valid_to", "known_at", "lat", "lng", "type"),
}
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "series": ("valid_from",),
    "calendar": ("valid_from",),
    "events": ("valid_from", "lat", "lng"),
    "points": ("lat", "lng"),
    "lines": (),
    "areas": (),
    "operations": ("valid_from",),
}
_SHAPED = ("events", "points", "lines", "areas")
_VALUED = ("series", "calendar", "areas", "operations")
_REMOTE = ("/vsi", "\\vsi")


@dataclass(frozen=True)
class Layer:
    """Rows of a layer as they were found.

    Attributes
    ----------
    raw : Raw
        Structural columns under our names, values under their own.
    shapes : ndarray of object, shape (n,), optional
        Shapely shapes in longitude and latitude.
    numbers : tuple of str
        Columns of numbers.
    ignored : list of str
        Columns that are neither structure nor numbers; they are not kept.
    """

    raw: Raw
    shapes: NDArray[Any] | None
    numbers: tuple[str, ...]
    ignored: list[str]


def read_layer(
    source: Any,
    kind: Kind,
    *,
    columns: Mapping[str, str] | None,
    values: Sequence[str] | None,
    crs: Any,
    drop_columns: Sequence[str],
) -> Layer:
    """Read every part of a source; arguments are those of `read_context`.

    Raises
    ------
    InputDataError
        If a file cannot be read, lacks a column or a coordinate system.
    PersonLevelDataError
        If a column that is not dropped describes persons.
    UsageError
        If an argument cannot be used.
    """
    dropped = [drop_columns] if isinstance(drop_columns, str) else list(drop_columns)
    _refuse_remote(source)
    parts = expand(source)
    tables, shapes, ignored, problems, ragged = [], [], [], [], []
    for number, part in enumerate(parts):
        mapped, rest = _columns(part, kind, columns, values, dropped)
        loaded, shape, rows, wrong, told = _load(
            part, [*mapped.values(), *rest], shaped=_has_shapes(part, kind)
        )
        table = pd.DataFrame({ours: loaded[theirs] for ours, theirs in mapped.items()}, index=loaded.index)
        numbers, others = _numbers(loaded, rest, values, part.name)
        tables.append(table.assign(**numbers, _file=number, _row=rows))
        ignored += [name for name in others if name not in ignored]
        shapes.append(_located(tables[-1], shape, crs, part.name))
        problems += told
        ragged.append(wrong.assign(file=part.name))
    whole = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    file, row = whole.pop("_file").to_numpy(np.int64), whole.pop("_row").to_numpy(np.int64)
    raw = Raw(whole, [p.name for p in parts], file, row, pd.concat(ragged, ignore_index=True), problems)
    kept = tuple(name for name in whole.columns if name not in _ALIASES)
    given = [shape for shape in shapes if shape is not None]
    return Layer(raw, np.concatenate(given) if len(given) == len(parts) else None, kept, ignored)


def _refuse_remote(source: Any) -> None:
    listed = source if isinstance(source, list | tuple) else [source]
    for item in listed:
        text = str(item).lower() if isinstance(item, str | Path) else ""
        if text.startswith(_REMOTE) or "://" in text or text.endswith((".zip", ".vrt")):
            msg = f"{str(item)[:80]!r}: a layer is a file of this machine. Download and unpack it first."
            raise InputDataError(msg)


def _has_shapes(part: Part, kind: Kind) -> bool:
    return part.geometry and kind in (*_SHAPED, "operations")


def _columns(
    part: Part,
    kind: Kind,
    columns: Mapping[str, str] | None,
    values: Sequence[str] | None,
    dropped: list[str],
) -> tuple[dict[str, str], list[str]]:
    """Our name → the file's column, and the columns that may hold values; persons are refused."""
    kept = [name for name in part.columns if name not in dropped]
    twice = sorted({name for name in kept if kept.count(name) > 1})
    if twice:
        msg = f"{part.name}: columns occur twice: {twice}. Rename them in the file."
        raise InputDataError(msg)
    mapped = resolve_layer_columns(kind, columns, kept, file=part.name, geometry=_has_shapes(part, kind))
    if kind in {"lines", "areas"} and not part.geometry:
        msg = f"{part.name}: {kind} need a file with geometry (GeoParquet, GeoJSON, GeoPackage, Shapefile)."
        raise InputDataError(msg)
    wanted = [] if kind not in _VALUED else list(kept if values is None else values)
    for name in wanted:
        if name not in kept:
            msg = f"{part.name}: there is no column {name!r} (in values).{nearest(name, kept)} It has {kept}."
            raise InputDataError(msg)
    structure = {ours: theirs for ours, theirs in mapped.items() if ours != "type"}
    refuse_person_columns(part.name, kept, part.sample, structure)
    return mapped, [name for name in wanted if name not in mapped.values()]


def resolve_layer_columns(
    kind: Kind, columns: Mapping[str, str] | None, names: Iterable[str], *, file: str, geometry: bool
) -> dict[str, str]:
    """Our name → the file's column, for every structural column of a kind that is there.

    Raises
    ------
    UsageError
        If `columns` has a key that a layer of this kind does not have.
    InputDataError
        If a column that is needed is missing, or several could be meant.

    Examples
    --------
    >>> resolve_layer_columns("series", None, ["date", "tmax"], file="weather.csv", geometry=False)
    {'valid_from': 'date'}
    """
    there, found = list(names), {}
    for key in columns or {}:
        check_in(key, _TAKES[kind], f"a key of columns of a layer of kind {kind!r}")
    for ours in _TAKES[kind]:
        if geometry and ours in {"lat", "lng"}:
            continue
        theirs = (columns or {}).get(ours)
        if theirs is not None and theirs not in there:
            msg = (
                f"{file}: there is no column {theirs!r} (for {ours}).{nearest(theirs, there)} It has {there}."
            )
            raise InputDataError(msg)
        if theirs is None and (columns is None or ours in _NEEDS[kind]):
            theirs = _alias(ours, there, file, needed=ours in _NEEDS[kind])
        if theirs is not None:
            found[ours] = theirs
        elif ours in _NEEDS[kind]:
            msg = f"{file}: which column is {ours}? Say columns={{{ours!r}: '…'}}. It has {there}."
            raise InputDataError(msg)
    return found


def _alias(ours: str, there: list[str], file: str, *, needed: bool) -> str | None:
    if ours in there:
        return ours
    fitting = [name for name in there if plain_words(name) in (*_ALIASES[ours], plain_words(ours))]
    if len(fitting) > 1 and needed:
        msg = f"{file}: several columns could be {ours}: {fitting}. Say columns={{{ours!r}: {fitting[0]!r}}}."
        raise InputDataError(msg)
    return fitting[0] if len(fitting) == 1 else None


def _load(part: Part, names: list[str], *, shaped: bool) -> Any:
    """Columns, shapes (or None), row numbers, rows that did not fit, and problems."""
    names = list(dict.fromkeys(names))
    if not shaped:
        table, rows, ragged, problems = part.load(names)
        return table, None, rows, ragged, problems
    import geopandas as gpd

    none = pd.DataFrame({"row": np.zeros(0, dtype=np.int64), "reason": np.zeros(0, dtype=object)})
    if isinstance(part, FrameTable):
        frame, shapes = part.frame, part.frame[part.geometry_name]
    elif isinstance(part, ParquetFile):
        with reading(part.path, "not a GeoParquet file"):
            frame = gpd.read_parquet(part.path, columns=[*names, part.geometry_name])
        shapes = frame.geometry
    elif isinstance(part, VectorFile):
        with reading(part.path, "truncated or not a file of shapes"):
            frame = gpd.read_file(part.path, columns=names)
        shapes = frame.geometry
    if len(frame) == 0:
        msg = f"{part.name} has no features."
        raise InputDataError(msg)
    table = pd.DataFrame(frame[names]).reset_index(drop=True)
    return table, gpd.GeoSeries(shapes.reset_index(drop=True)), np.arange(1, len(table) + 1), none, []


def _located(table: pd.DataFrame, shapes: Any, crs: Any, file: str) -> NDArray[Any] | None:
    """Bring shapes, or the columns lat and lng, to degrees."""
    if shapes is not None:
        return np.asarray(to_degrees(shapes, crs, file).array)
    if crs is not None and "lat" not in table:
        msg = f"crs={crs!r}: {file} has neither geometry nor columns lat and lng."
        raise UsageError(msg)
    if crs is not None:
        y, x = as_degrees(table["lat"])[0], as_degrees(table["lng"])[0]
        table["lat"], table["lng"] = from_plane(x, y, crs)
    return None


def _numbers(
    loaded: pd.DataFrame, names: list[str], values: Sequence[str] | None, file: str
) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """Columns of numbers (true is 1), and the names of those that hold something else."""
    found, others = {}, []
    for name in names:
        if name in _ALIASES:
            msg = (
                f"{file}: values cannot be called {name!r}, a column of ours. Rename the column, or drop it."
            )
            raise InputDataError(msg)
        numbers = _as_numbers(loaded[name])
        if numbers is None and values is not None:
            msg = f"{file}: the values of {name!r} are not numbers."
            raise InputDataError(msg)
        if numbers is None:
            others.append(name)
        else:
            found[name] = numbers
    return found, others


def _as_numbers(values: pd.Series[Any]) -> NDArray[np.float64] | None:
    if pd.api.types.is_bool_dtype(values.dtype):
        return values.astype("float64").to_numpy()
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    if not (pd.api.types.is_string_dtype(values.dtype) or values.dtype == object):
        return None
    text = pd.Series(as_text(values).to_numpy(zero_copy_only=False), dtype=object)
    numbers, wrong = as_degrees(text.replace({"true": "1", "True": "1", "false": "0", "False": "0"}))
    return None if wrong.any() or np.isnan(numbers).all() else numbers
