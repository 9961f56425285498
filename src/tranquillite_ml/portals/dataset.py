"""What a portal says of its data, and the one table that its pages become."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

from tranquillite_ml.errors import InputDataError, UsageError, nearest
from tranquillite_ml.runfolder import harmless

Kind = Literal["text", "number", "flag", "time"]
Row = Mapping[str, Any]

_ARROW = {"text": pa.string(), "number": pa.float64(), "flag": pa.bool_(), "time": pa.string()}
_FLAGS = {"true": True, "false": False, True: True, False: False}


@dataclass(frozen=True)
class Dataset:
    """What a portal says of a data set before any of it comes.

    Attributes
    ----------
    title, licence, attribution : str
        As the portal gives them; ``""`` where it says nothing.
    columns : dict of str to str
        Name → text, number, flag or time.
    rows : int, optional
        Rows that it announces.
    version : str
        Changes when the data do.
    left : tuple of str
        Columns of kinds that are not fetched, such as shapes.
    """

    title: str
    licence: str
    attribution: str
    columns: dict[str, Kind]
    rows: int | None
    version: str
    left: tuple[str, ...] = field(default=())


class Portal(Protocol):
    """A protocol: what there is, and its pages."""

    def describe(self) -> Dataset:
        """What the portal says of the data set."""

    def pages(self, dataset: Dataset) -> Iterator[Sequence[Row]]:
        """Rows, page by page, in an order that does not change."""


def choose(
    there: Mapping[str, Kind], wanted: Sequence[str], dropped: Sequence[str], title: str
) -> dict[str, Kind]:
    """Columns to fetch: those wanted, or all, without those dropped.

    Raises
    ------
    UsageError
        If a column named is not there, or none is left.

    Examples
    --------
    >>> choose({"id": "text", "date": "time"}, [], ["id"], "thefts")
    {'date': 'time'}
    """
    for name in [*wanted, *dropped]:
        if name not in there:
            msg = f"{title}: there is no column {name!r}.{nearest(name, there)} It has {sorted(there)}."
            raise UsageError(msg)
    kept = {name: there[name] for name in (wanted or there) if name not in dropped}
    if not kept:
        msg = f"{title}: no column is left to fetch."
        raise UsageError(msg)
    return kept


def as_table(rows: Sequence[Row], columns: Mapping[str, Kind], title: str) -> pa.Table:
    """Rows of a page in the types announced.

    Raises
    ------
    InputDataError
        If a column came that was not announced, or a value is of another kind.

    Examples
    --------
    >>> as_table([{"n": "7"}, {}], {"n": "number"}, "thefts").to_pydict()
    {'n': [7.0, None]}
    """
    strange = sorted({name for row in rows for name in row} - set(columns))
    if strange:
        msg = f"{title}: its columns changed while they were read: {strange[:5]} came and were not announced."
        raise InputDataError(msg)
    arrays = {}
    for name, kind in columns.items():
        try:
            values = [_value(row.get(name), kind) for row in rows]
        except (TypeError, ValueError, KeyError):
            wrong = next(row[name] for row in rows if not _fits(row.get(name), kind))
            msg = (
                f"{title}: column {name!r} is announced as {kind}, but holds {str(wrong)[:40]!r}: it changed."
            )
            raise InputDataError(msg) from None
        arrays[name] = pa.array(values, _ARROW[kind])
    return pa.table(arrays)


def _value(value: Any, kind: Kind) -> Any:
    if value is None or value == "":
        return None
    if kind == "number":
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    if kind == "flag":
        return _FLAGS[value.casefold() if isinstance(value, str) else value]
    if isinstance(value, dict | list):
        raise TypeError
    return str(value)


def _fits(value: Any, kind: Kind) -> bool:
    try:
        _value(value, kind)
    except (TypeError, ValueError, KeyError):
        return False
    return True


def write_pages(pages: Iterable[pa.Table], schema: pa.Schema, path: Path) -> int:
    """Write tables one after the other as Parquet or CSV, through a temporary name; give their rows.

    Raises
    ------
    UsageError
        If the name ends otherwise.
    """
    from pyarrow import csv, parquet

    kind = path.suffix.lower()
    if kind not in {".parquet", ".csv"}:
        msg = f"--output: expected a file that ends in .parquet or .csv, got {path.name!r}."
        raise UsageError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, n = path.with_name(f".{path.name}.partial"), 0
    try:
        with (
            parquet.ParquetWriter(partial, schema)
            if kind == ".parquet"
            else csv.CSVWriter(partial, schema) as to
        ):
            for table in pages:
                to.write_table(table if kind == ".parquet" else _harmless(table))
                n += table.num_rows
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return n


def arrow_schema(columns: Mapping[str, Kind]) -> pa.Schema:
    """Arrow types of columns."""
    return pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()])


def _harmless(table: pa.Table) -> pa.Table:
    """Texts that a spreadsheet shows instead of running."""
    for place, column in enumerate(table.schema):
        if column.type == pa.string():
            texts = [None if text is None else harmless(text) for text in table[column.name].to_pylist()]
            table = table.set_column(place, column.name, pa.array(texts, pa.string()))
    return table
