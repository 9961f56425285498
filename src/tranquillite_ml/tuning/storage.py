"""Where a study is kept: a journal that survives a kill, SQLite, or PostgreSQL. Never pickle."""

from __future__ import annotations

import fcntl
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from tranquillite_ml.config.words import redact
from tranquillite_ml.errors import BundleError, TranquilliteError, UsageError

_HEAD = b'{"op_code":'  # how every line of a journal begins
_ATTEMPTS = 5
_MADE_AT_ONCE = ("already exists", "UNIQUE constraint failed", "duplicate key")
"""What a database says to the slower of two processes that make its tables at once."""
_STALE_AFTER = 30.0  # seconds after which a lock file that other programs leave counts as abandoned
_SQLITE, _POSTGRESQL = "sqlite:///", "postgresql://"


class JournalLock:
    """A lock on the journal itself, which the system lets go when its holder dies, however it dies.

    Whoever holds it first mends what a killed writer left: a torn last line is cut off and kept beside the
    journal as ``.torn``. Optuna's own lock files outlive a kill and cost 30 s; they are neither made nor
    heeded here.

    Parameters
    ----------
    path : Path
        The journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Wait for the lock, and mend the end of the journal."""
        file = self._path.open("r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            _mend(file, self._path)
        except BaseException:
            file.close()
            raise
        self._file = file
        return True

    def release(self) -> None:
        """Let go."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _mend(file: IO[bytes], path: Path) -> None:
    """Cut a torn last line off, and keep it beside the journal."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    content = file.read()
    whole = content.rfind(b"\n") + 1
    with path.with_name(f"{path.name}.torn").open("ab") as torn:
        torn.write(content[whole:] + b"\n")
        torn.flush()
        os.fsync(torn.fileno())
    file.truncate(whole)
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def open_storage(where: str | Path) -> Iterator[Any]:
    """Open the storage of studies; it is mended if need be, and closed at the end.

    Parameters
    ----------
    where : str or Path
        A file (a journal: the default of the command line), ``sqlite:///FILE`` or ``postgresql://…``.

    Yields
    ------
    optuna.storages.BaseStorage

    Raises
    ------
    UsageError
        If the address is of another kind, or the database cannot be reached. Passwords are not told.
    BundleError
        If a journal is damaged before its last line.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, open_storage(f"{folder}/journal.log") as storage:
    ...     storage.get_all_studies()
    []
    >>> with open_storage("mongodb://ana:hush@server/tuning"):
    ...     pass
    Traceback (most recent call last):
    tranquillite_ml.errors.UsageError: storage must be a file, sqlite:///FILE or postgresql://…, got 'mongodb://ana:***@server/tuning'.
    """
    text = str(where)
    with _quiet():
        if "://" not in text:
            yield _journal(Path(text))
        elif text.startswith((_SQLITE, _POSTGRESQL, "postgresql+")):
            from optuna.storages import get_storage

            database = _database(text)
            try:
                yield get_storage(database)  # keeps trials that ended: they are not read again for each trial
            finally:
                database.remove_session()
                database.engine.dispose()
        else:
            msg = f"storage must be a file, sqlite:///FILE or postgresql://…, got {redact(text)!r}."
            raise UsageError(msg)


def _journal(path: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
        head = path.open("rb")
    except OSError as error:
        msg = f"storage: the journal {path} cannot be written ({error.strerror})."
        raise UsageError(msg) from error
    with head:
        begin = head.read(len(_HEAD))
    if not _HEAD.startswith(begin) and not begin.startswith(_HEAD):
        msg = f"storage: {path} is no journal of a study, and is left as it is. Name a new file."
        raise UsageError(msg)
    _clear_stale_lock(path)
    lock = JournalLock(path)
    lock.acquire()
    lock.release()
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except TranquilliteError:
        raise
    except Exception as error:  # a damaged line can fail in as many ways as there are operations
        told = f"{type(error).__name__}: {error}"[:200]
        msg = f"the journal {path} is damaged ({told}). Move it away: the study then begins anew."
        raise BundleError(msg) from error


def _clear_stale_lock(path: Path) -> None:
    """Remove an abandoned lock file, which another program would wait for."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        if time.time() - lock.lstat().st_mtime > _STALE_AFTER:
            lock.unlink()
    except FileNotFoundError:
        return


def _database(url: str) -> Any:
    from optuna.storages import RDBStorage

    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith(_SQLITE):
        file = Path(url.removeprefix(_SQLITE))
        if file.name in {"", ":memory:"}:
            msg = f"storage: a study needs a file to be resumed from, got {url!r}: write sqlite:///FILE."
            raise UsageError(msg)
        file.parent.mkdir(parents=True, exist_ok=True)
        options = {"connect_args": {"timeout": 60}}
    elif url.startswith(_POSTGRESQL):
        # Versions of SQLAlchemy differ in the driver they take if none is named: take one that is there.
        driver = next((name for name in ("psycopg", "psycopg2") if find_spec(name)), "psycopg")
        url = f"postgresql+{driver}://{url.removeprefix(_POSTGRESQL)}"
    for attempt in range(_ATTEMPTS):
        try:
            return RDBStorage(url, engine_kwargs=options)
        except Exception as error:
            if attempt < _ATTEMPTS - 1 and any(words in str(error) for words in _MADE_AT_ONCE):
                time.sleep(0.2 * (attempt + 1))
                continue
            reason = " ".join(str(redact(str(error))).split())[:300]
            missing = isinstance(error, ImportError)
            hint = " Install a driver: pip install 'tranquillite-ml[postgres]'." if missing else ""
            msg = f"storage {redact(url)} cannot be opened: {type(error).__name__}: {reason}{hint}"
            raise UsageError(msg) from None  # its traceback may hold the password
    raise AssertionError


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from telling each step, and its logger as it was."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="optuna")
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
