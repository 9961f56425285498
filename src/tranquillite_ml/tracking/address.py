"""Where runs are logged: an address without its credentials, and what is said when it does not answer."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from tranquillite_ml.config.words import HIDDEN, redact
from tranquillite_ml.errors import TranquilliteError, UsageError

DATABASE = "mlflow.db"
_SQLITE = "sqlite:///"
_CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")


class TrackingError(TranquilliteError):
    """A run could not be logged; the run's own files are not touched by it."""


def default_uri(output: str | Path) -> str:
    """Address of the SQLite store that belongs to an output folder.

    Examples
    --------
    >>> default_uri("/data/runs")
    'sqlite:////data/runs/mlflow.db'

    Raises
    ------
    UsageError
        If MLflow could not write such a path in an address.
    """
    return _sqlite(Path(output) / DATABASE)


@dataclass(frozen=True)
class Address:
    """An address without credentials, and the credentials as MLflow's environment variables."""

    uri: str
    credentials: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, uri: str) -> Address:
        """Take an address apart, and refuse those of another kind."""
        path = Path(uri.removeprefix(_SQLITE))
        if uri.startswith(_SQLITE) and path.name not in {"", ":memory:"}:
            return cls(_sqlite(path))
        with suppress(ValueError):
            if (parts := urlsplit(uri)).scheme in {"http", "https"} and parts.hostname:
                given = zip(_CREDENTIALS, (parts.username, parts.password), strict=True)
                host = parts.netloc.rpartition("@")[2]
                bare = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
                return cls(bare, {name: unquote(value) for name, value in given if value})
        msg = (
            f"tracking: uri must be sqlite:///FILE or http(s)://SERVER, got {redact(uri)!r}. A database is "
            "reached through `mlflow server`; `tracking: {uri: null}` uses the output folder's own store."
        )
        raise UsageError(msg)

    @property
    def database(self) -> Path | None:
        """File of a SQLite store."""
        return Path(self.uri.removeprefix(_SQLITE)) if self.uri.startswith(_SQLITE) else None

    def failed(self, error: BaseException) -> TrackingError:
        """Say what failed, without credentials, and how to mend it."""
        reason = " ".join(redact(str(error)).split()) or type(error).__name__
        reason = reason.replace(self.credentials.get(_CREDENTIALS[1], "\n"), HIDDEN)
        unheard = re.search(r"Max retries exceeded.*Caused by (\w+)", reason)
        reason = f"no answer ({unheard[1]})" if unheard else reason
        reason = re.sub(r" (\[SQL: |\(Background on ).*", "", reason)[:300].rstrip(".")
        mend = (
            "Make room on the disk and free the file, or set `output:` to a folder that can be written to."
            if self.database
            else "Start the server or correct `tracking: {uri: …}`; `tracking: {uri: null}` logs the run "
            "into the output folder's own store instead."
        )
        return TrackingError(f"MLflow at {self.uri} could not log the run: {reason}. {mend}")


def _sqlite(path: Path) -> str:
    found = path.resolve().as_posix()
    if set(found) & set("%?#"):
        msg = f"an MLflow store's path may not hold %, ? or #, got {found!r}: choose another `output:`."
        raise UsageError(msg)
    return f"{_SQLITE}{found}"
