"""Incidents from a database: one SELECT, read in chunks inside a read-only transaction."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from tranquillite_ml.config.sections import DATABASES
from tranquillite_ml.config.words import HIDDEN, is_secret, redact
from tranquillite_ml.errors import InputDataError, TranquilliteError, UsageError, nearest
from tranquillite_ml.intake.files import GEOMETRY, Loaded, none_ragged, texts
from tranquillite_ml.intake.postgres import Postgres

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import URL

CHUNK = 100_000
_SAMPLE_ROWS = 2_000
_TOLD = 300
_COMMENTS = re.compile(r"\s+|--[^\n]*(?:\n|$)|/\*.*?\*/", re.DOTALL)


class Backend(Protocol):
    """What a kind of database must do: name a query's columns, and give rows of a SELECT in chunks."""

    def __enter__(self) -> Any: ...
    def __exit__(self, *_: object) -> None: ...

    def describe(self, query: str) -> tuple[list[str], str | None]:
        """Columns of a query, and the one that holds a geometry."""

    def asked(self, name: str) -> str:
        """SQL for a column of the query described."""

    def place(self, name: str) -> list[str]:
        """SQL for latitude and longitude of a geometry column."""

    def rows(self, statement: str) -> Iterator[pa.Table]:
        """Chunks of a SELECT's rows, in types that incidents are read from."""


class Database:
    """The rows of one SELECT, as a part of a source: columns can be listed, sampled and loaded by name.

    The query runs in a read-only transaction and only the columns needed are asked for. Rows are numbered in
    the order in which they come; without ORDER BY that order is the database's own. Nothing that is shown
    names a password.

    Parameters
    ----------
    address : str
        SQLAlchemy URL: ``postgresql://user@host/database`` or ``sqlite:///file.db``.
    query : str
        One SELECT (or WITH … SELECT).

    Raises
    ------
    UsageError
        If the address is of another kind, or the query is no SELECT.
    InputDataError
        If the database does not answer or refuses the query.
    """

    def __init__(self, address: str, query: str) -> None:
        self.url = parse_address(address)
        self.query = check_select(query)
        self.name = str(redact(self.url.render_as_string(hide_password=True)))
        with self._connected():
            pass
        if self.shape is not None:
            self.columns.remove(self.shape)
        self.geometry = self.shape is not None

    def sample(self, columns: list[str]) -> pd.DataFrame:
        """Rows from the start, as text: a sample from the end would make the database run the query twice."""
        import pandas as pd

        if not columns:
            return pd.DataFrame()
        with self._connected() as backend:
            chunks = list(backend.rows(f"{self._select(backend, columns)} limit {_SAMPLE_ROWS}"))
        return texts(_joined(chunks, columns).to_pandas()) if chunks else pd.DataFrame(columns=columns)

    def load(self, columns: list[str]) -> Loaded:
        """Load the columns, in chunks."""
        names = [*dict.fromkeys(name for name in columns if name != GEOMETRY)]
        placed = ["lat", "lng"] if GEOMETRY in columns else []
        chunks: list[pa.Table] = []
        with self._connected(chunks) as backend:
            chunks.extend(backend.rows(self._select(backend, names, placed=bool(placed))))
        n = sum(chunk.num_rows for chunk in chunks)
        if n == 0:
            msg = f"{self.name}: the query gives no rows. Run it by hand, and look at its conditions."
            raise InputDataError(msg)
        table = _joined(chunks, [*names, *placed])
        chunks.clear()
        frame = table.to_pandas(self_destruct=True, split_blocks=True)
        return frame, np.arange(1, n + 1, dtype=np.int64), none_ragged(), []

    def _select(self, backend: Backend, names: Sequence[str], *, placed: bool = False) -> str:
        asked = [backend.asked(name) for name in names]
        if placed and self.shape is not None:
            asked += backend.place(self.shape)
        return f"select {', '.join(asked)} from (\n{self.query}\n) as asked"  # noqa: S608 - read-only

    @contextmanager
    def _connected(self, chunks: Sequence[pa.Table] = ()) -> Iterator[Backend]:
        """A connection that knows the query; its errors name the database, and never the password."""
        backend = Postgres(self.url) if self.url.get_backend_name() == "postgresql" else Sqlite(self.url)
        failed = ""
        try:
            with backend:
                self.columns, self.shape = backend.describe(self.query)
                yield backend
        except (TranquilliteError, MemoryError):
            raise
        except Exception as error:  # drivers, Arrow and the file system each have their own
            failed = self._told(error, sum(chunk.num_rows for chunk in chunks))
        if failed:  # outside the handler: the driver's own error may hold the address
            raise InputDataError(failed)

    def _told(self, error: Exception, n: int) -> str:
        lines = [line.strip() for line in str(error).splitlines()]
        line = next((line for line in lines if "ERROR:" in line or "FATAL:" in line), "".join(lines[:1]))
        why = str(redact(re.sub(r"^.*?(?:ERROR|FATAL):\s*", "", line)))[:_TOLD]
        hidden = [self.url.password, *(v for key, v in self.url.query.items() if is_secret(key))]
        for secret in (str(secret) for secret in hidden if secret):
            why = why.replace(secret, HIDDEN).replace(quote(secret), HIDDEN)
        if n:
            return f"{self.name}: reading stopped after {n:,} rows, and none of them are used ({why})."
        return f"{self.name} cannot be read: {why or type(error).__name__}."


class Sqlite:
    """A SQLite file, opened for reading only."""

    def __init__(self, url: URL) -> None:
        path = Path(str(url.database or ""))
        if not path.is_file():
            folder = path.parent
            there = [item.name for item in folder.iterdir()] if folder.is_dir() else []
            hint = nearest(path.name, there)
            msg = f"there is no SQLite file {str(path)!r} (looked from {Path.cwd()}).{hint}"
            raise InputDataError(msg)
        self.path = path

    def __enter__(self) -> Sqlite:
        self.connection = sqlite3.connect(f"file:{quote(str(self.path.resolve()))}?mode=ro", uri=True)
        self.connection.execute("pragma query_only = on")
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def describe(self, query: str) -> tuple[list[str], str | None]:
        """Columns of a query; SQLite itself knows no geometry."""
        with closing(self.connection.execute(f"select * from (\n{query}\n) limit 0")) as cursor:  # noqa: S608
            names = [str(column[0]) for column in cursor.description]
        # A name that occurs twice is given as `name` and `name:1`; our caller refuses it, as elsewhere.
        bases = [re.sub(r":\d+$", "", name) for name in names]
        return [base if base in names else name for name, base in zip(names, bases, strict=True)], None

    def asked(self, name: str) -> str:
        """The name in double quotes."""
        return '"' + name.replace('"', '""') + '"'

    def place(self, name: str) -> list[str]:
        """Nothing: there is no geometry."""
        return []

    def rows(self, statement: str) -> Iterator[pa.Table]:
        """Chunks of rows; a column of several types becomes text."""
        with closing(self.connection.execute(statement)) as cursor:
            names = [column[0] for column in cursor.description]
            while found := cursor.fetchmany(CHUNK):
                columns = zip(*found, strict=True)
                arrays = [_array(name, values) for name, values in zip(names, columns, strict=True)]
                yield pa.Table.from_arrays(arrays, names=names)


def parse_address(address: str) -> URL:
    """Read a SQLAlchemy URL of a database that can be read from.

    Raises
    ------
    UsageError
        If it is none, or of another kind.

    Examples
    --------
    >>> parse_address("postgresql://ana@db.city/records").drivername
    'postgresql'
    >>> parse_address("mysql://db/records")
    Traceback (most recent call last):
    tranquillite_ml.errors.UsageError: 'mysql' databases are not read; known are ['postgresql', 'sqlite']. ...
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        url = None
    if url is None:
        msg = f"{redact(address)!r} is no address of a database, such as postgresql://user@host/database."
        raise UsageError(msg)
    kind = url.drivername.split("+", maxsplit=1)[0]
    if kind not in DATABASES:
        msg = (
            f"{kind!r} databases are not read; known are {list(DATABASES)}.{nearest(kind, DATABASES)} Export "
            "the query to a CSV or Parquet file."
        )
        raise UsageError(msg)
    return url.set(drivername=kind)


def check_select(query: str) -> str:
    """Give a query without its last semicolon, if it is one that reads.

    The database has the last word: the query runs alone, in a read-only transaction.

    Raises
    ------
    UsageError
        If it does not begin with SELECT or WITH.

    Examples
    --------
    >>> check_select("select 1;")
    'select 1'
    >>> check_select("delete from incidents")
    Traceback (most recent call last):
    tranquillite_ml.errors.UsageError: a query must be one SELECT ...: this begins with 'delete'.
    """
    bare, begin = query.strip().rstrip(";").rstrip(), 0
    while found := _COMMENTS.match(bare, begin):
        begin = found.end()
    word = re.match(r"\(*\s*(\w*)", bare[begin:])
    first = word[1] if word else ""
    if first.casefold() not in {"select", "with"}:
        msg = f"a query must be one SELECT (or WITH … SELECT): this begins with {first or bare[:20]!r}."
        raise UsageError(msg)
    return bare


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    if any(isinstance(value, bytes) for value in values):
        msg = f"the query's column {name!r} holds binary values: leave it out or cast it in the query."
        raise InputDataError(msg)
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return _texts(values)


def _texts(values: Sequence[Any]) -> pa.Array:
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _joined(chunks: list[pa.Table], names: list[str]) -> pa.Table:
    """Chunks as one table; a column whose type differs between them becomes the wider number, or text."""
    chunks = [chunk.rename_columns(names) for chunk in chunks]
    for name in names:
        kinds = {chunk.schema.field(name).type for chunk in chunks} - {pa.null()}
        if len(kinds) > 1 and not kinds <= {pa.int64(), pa.float64()}:
            place = names.index(name)
            chunks = [chunk.set_column(place, name, _texts(chunk[name].to_pylist())) for chunk in chunks]
    return pa.concat_tables(chunks, promote_options="permissive")
