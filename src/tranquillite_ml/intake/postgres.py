"""PostgreSQL and PostGIS through Arrow: columns come as they are copied, not row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tranquillite_ml.errors import InputDataError, UsageError

if TYPE_CHECKING:
    from sqlalchemy import URL

_SHAPES = {"geometry", "geography"}
_CASTS = {"numeric": "float8", "date": "text", "uuid": "text"}
_INSTALL = "reading from PostgreSQL needs a driver: `pip install 'tranquillite-ml[postgres]'`."


class Postgres:
    """A connection in a read-only transaction that sees one state of the database.

    PostgreSQL itself refuses what would write, and a query that is several.

    Parameters
    ----------
    url : sqlalchemy.URL
        Without a password, libpq looks in ``PGPASSWORD`` and ``~/.pgpass``.

    Raises
    ------
    UsageError
        If the driver is not installed.
    """

    def __init__(self, url: URL) -> None:
        timeout = {} if "connect_timeout" in url.query else {"connect_timeout": "15"}
        address = url.update_query_dict(timeout).render_as_string(hide_password=False)
        self._uri = address.replace(" ", "%20")  # SQLAlchemy leaves spaces, libpq refuses them

    def __enter__(self) -> Postgres:
        try:
            from adbc_driver_postgresql import dbapi
        except ImportError as error:
            raise UsageError(_INSTALL) from error
        self._connection = dbapi.connect(self._uri)
        self._cursor = self._connection.cursor()
        self._cursor.execute("set transaction isolation level repeatable read, read only")
        return self

    def __exit__(self, *_: object) -> None:
        self._cursor.close()
        self._connection.close()

    def describe(self, query: str) -> tuple[list[str], str | None]:
        """Columns of a query, and the one that holds a PostGIS geometry if it is the only one."""
        # The line break ends a comment at the query's end.
        self._cursor.execute(f"select * from (\n{query}\n) as asked limit 0")  # noqa: S608 - read-only
        schema = self._cursor.fetch_arrow_table().schema
        self._fields = {field.name: field for field in schema}
        shapes = [field.name for field in schema if _kind(field) in _SHAPES]
        return list(schema.names), (shapes[0] if len(shapes) == 1 else None)

    def asked(self, name: str) -> str:
        """SQL for a column, as a number, a time or a text."""
        field = self._fields[name]
        kind, quoted = _kind(field), _quoted(name)
        if kind in _CASTS:
            return f"{quoted}::{_CASTS[kind]} as {quoted}"
        if not _is_plain(field.type):
            msg = f"the query's column {name!r} is of type {kind}: cast it or leave it out in the query."
            raise InputDataError(msg)
        return quoted

    def place(self, name: str) -> list[str]:
        """SQL for latitude and longitude of a geometry column in WGS 84, whatever its coordinate system."""
        shape = f"st_transform({_quoted(name)}::geometry, 4326)"
        return [f"st_y({shape}) as lat", f"st_x({shape}) as lng"]

    def rows(self, statement: str) -> Iterator[pa.Table]:
        """Chunks of the rows of a SELECT."""
        self._cursor.execute(statement)
        for batch in self._cursor.fetch_record_batch():
            yield pa.Table.from_batches([batch])


def _kind(field: Any) -> str:
    """PostgreSQL's name of a column's type."""
    return (field.metadata or {}).get(b"POSTGRESQL:type", b"unknown").decode()


def _is_plain(kind: pa.DataType) -> bool:
    return (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_string(kind)
        or pa.types.is_timestamp(kind)
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
