"""A PostgreSQL server of the tests' own: on a free loopback port, in a temporary folder, gone at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Any

import pandas as pd
import pytest


def find_binaries() -> Path | None:
    """The folder of the newest server that is installed."""
    homes = [*glob("/usr/lib/postgresql/*/bin"), *glob("/usr/local/opt/postgresql*/bin"), "/usr/pgsql/bin"]
    found = shutil.which("initdb")
    there = [Path(home) for home in sorted(homes, reverse=True) if (Path(home) / "initdb").exists()]
    return Path(found).parent if found else next(iter(there), None)


class Server:
    """A running server; tables can be written to it.

    Attributes
    ----------
    url : str
        SQLAlchemy URL, with the password of a user that owns the database.
    """

    def __init__(self, port: int) -> None:
        self.url = f"postgresql://city:hush-hush@127.0.0.1:{port}/postgres"

    def run(self, statement: str) -> None:
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.url, autocommit=True) as link, link.cursor() as cursor:
            cursor.execute(statement)

    def write(self, name: str, table: pd.DataFrame) -> None:
        """Make a table of these rows."""
        import pyarrow as pa
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.url, autocommit=True) as link, link.cursor() as cursor:
            arrow = pa.Table.from_pandas(table, preserve_index=False)
            cursor.adbc_ingest(name, arrow.cast(_plain(arrow.schema)), mode="replace")


def _plain(schema: Any) -> Any:
    import pyarrow as pa

    def kind(field: Any) -> Any:
        return pa.string() if pa.types.is_large_string(field.type) else field.type

    return pa.schema([(field.name, kind(field)) for field in schema])


@contextmanager
def running() -> Iterator[Server]:
    """Start a server in a folder of its own; skip the test where there is none to start."""
    pytest.importorskip("adbc_driver_postgresql", reason="needs the extra `postgres`")
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("needs a PostgreSQL server (initdb, pg_ctl), and none is installed")
    with tempfile.TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True) as name:
        folder, as_user = Path(name), []
        secret, data, log = folder / "secret", folder / "data", folder / "log"
        secret.write_text("hush-hush", encoding="utf-8")
        if os.geteuid() == 0:  # the server refuses to run as root
            try:
                shutil.chown(folder, "postgres")
            except LookupError:
                pytest.skip("needs a user postgres: the server refuses to run as root")
            secret.chmod(0o644)
            as_user = ["runuser", "-u", "postgres", "--"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]

        def call(tool: str, *arguments: str) -> None:
            command = [*as_user, str(binaries / tool), "-D", str(data), *arguments]
            subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL)

        begin = ("-A", "scram-sha-256", "-U", "city", f"--pwfile={secret}", "-N", "-E", "UTF8", "--no-locale")
        call("initdb", *begin)
        own = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=32MB"
        call("pg_ctl", "-w", "-o", own, "-l", str(log), "start")
        try:
            yield Server(port)
        finally:
            call("pg_ctl", "-w", "-m", "immediate", "stop")
