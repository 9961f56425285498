"""The log: an append-only file of lines, each of which carries the hash of the one before."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from tranquillite_ml.errors import GateError, UsageError, check_in

KINDS = ("forecast", "decision", "promote", "reject", "acknowledge", "retain", "repair")
"""What a line can be about; ``repair`` is written by `append` itself."""

START = "0" * 64
"""What the first line carries in place of a hash."""

MAX_LINE = 1_000_000
_FORM = {"at": str, "kind": str, "payload": dict, "previous": str, "sha256": str}


@dataclass(frozen=True)
class Entry:
    """One line of a log.

    Parameters
    ----------
    at : str
        When, in UTC: ``2026-03-01T09:00:00Z``.
    kind : str
        One of `KINDS`.
    payload : dict
        Plain values.
    previous : str
        Hash of the line before.
    sha256 : str
        Hash of this line without this field.
    """

    at: str
    kind: str
    payload: dict[str, Any]
    previous: str
    sha256: str


@dataclass(frozen=True)
class LogState:
    """What `verify` found.

    Parameters
    ----------
    lines : int
        Sound lines, from the first.
    head : str
        Hash of the last of them. Kept elsewhere, it proves later that no line has gone.
    broken_line : int or None
        The first line that is not as it was written, counted from 1.
    reason : str or None
        What is wrong with it.
    """

    lines: int
    head: str
    broken_line: int | None = None
    reason: str | None = None

    @property
    def intact(self) -> bool:
        """Whether every line is as it was written."""
        return self.reason is None


class _Broken(Exception):  # noqa: N818 - never reaches a caller
    """A line that is not as it was written; the message says what is wrong with it."""


def _canonical(values: Mapping[str, Any]) -> bytes:
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.encode("ascii")


def _line(at: str, kind: str, payload: Mapping[str, Any], previous: str) -> tuple[bytes, str]:
    """A line with its end, and its hash."""
    values = {"at": at, "kind": kind, "payload": payload, "previous": previous}
    digest = hashlib.sha256(_canonical(values)).hexdigest()
    return _canonical(values | {"sha256": digest}) + b"\n", digest


def _parse(raw: bytes) -> Entry:
    """One line, whose own hash has been checked."""
    if not raw.endswith(b"\n"):
        msg = (
            "it is too long"
            if len(raw) > MAX_LINE
            else "it is unfinished: its end was never written, or is lost"
        )
        raise _Broken(msg)
    try:
        values = json.loads(raw)
        if {name: type(value) for name, value in values.items()} != _FORM or values["kind"] not in KINDS:
            msg = "it is not a line of a log"
            raise _Broken(msg)
        line, digest = _line(values["at"], values["kind"], values["payload"], values["previous"])
    except (ValueError, AttributeError, RecursionError) as error:
        msg = "it is not a line of a log"
        raise _Broken(msg) from error
    if line != raw or digest != values["sha256"]:
        msg = "it has been changed"
        raise _Broken(msg)
    return Entry(**values)


def _follow(file: BinaryIO) -> Iterator[Entry]:
    """Lines in order, each following from the one before."""
    previous = START
    while raw := file.readline(MAX_LINE + 1):
        entry = _parse(raw)
        if entry.previous != previous:
            msg = "it does not follow from the line before: lines are missing, added or in another order"
            raise _Broken(msg)
        previous = entry.sha256
        yield entry


def append(path: str | Path, kind: str, payload: Mapping[str, Any], at: datetime) -> str:
    """Add a line to a log and give its hash; when this returns, the line is on the disk.

    Several processes may add to one log: they wait for each other. What a crash has left unfinished at the
    end is set aside in ``PATH.torn`` and a line of kind ``repair`` says so.

    Parameters
    ----------
    path : str or Path
        Made if it is not there; its folder must be.
    kind : str
        One of `KINDS`.
    payload : mapping
        Plain values that JSON can hold.
    at : datetime
        When, with its time zone.

    Raises
    ------
    UsageError
        If an argument cannot be written.
    GateError
        If the log's last line is not as it was written: nothing is added to a broken log.

    Examples
    --------
    >>> import tempfile
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = Path(folder, "log.jsonl")
    ...     first = append(log, "forecast", {"run_id": "try-0123"}, noon)
    ...     second = append(log, "acknowledge", {"who": "A. Martin"}, noon)
    ...     state = verify(log)
    >>> state.lines, state.intact, state.head == second
    (2, True, True)
    """
    check_in(kind, KINDS, "the kind of a line")
    moment = _moment(at)
    content = _plain(payload)
    with _locked(Path(path)) as descriptor:
        previous = _mend(Path(path), descriptor, moment)
        line, digest = _line(moment, kind, content, previous)
        if len(line) > MAX_LINE:
            msg = f"a line of a log has at most {MAX_LINE:,} bytes, got {len(line):,}: log a digest instead."
            raise UsageError(msg)
        _write(descriptor, line)
    return digest


def _moment(at: datetime) -> str:
    if at.tzinfo is None:
        msg = f"at must have a time zone, got {at}. Use datetime.now(UTC)."
        raise UsageError(msg)
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload as it will be read back."""
    try:
        content = json.loads(_canonical(dict(payload)))
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"payload must be plain values that JSON can hold ({error})."
        raise UsageError(msg) from error
    if content != dict(payload):
        msg = "payload must be plain values: keys are text, and sequences are lists."
        raise UsageError(msg)
    return dict(content)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The log open for appending, while nobody else appends."""
    there = path.exists()
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        msg = f"the log {path} cannot be written to ({error.strerror})."
        raise UsageError(msg) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not there:
            _sync_folder(path)
        yield descriptor
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(descriptor: int, line: bytes) -> None:
    """Write a whole line, or nothing."""
    size = os.fstat(descriptor).st_size
    try:
        left = memoryview(line)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _mend(path: Path, descriptor: int, moment: str) -> str:
    """Hash of the last line, after what was left unfinished behind it has been set aside."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, 2 * MAX_LINE, max(0, size - 2 * MAX_LINE))
    whole, newline, torn = tail.rpartition(b"\n")
    previous = _last_hash(path, whole + newline)
    if not torn:
        return previous
    beside = path.with_name(f"{path.name}.torn")
    aside = os.open(beside, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _write(aside, torn + b"\n")
    finally:
        os.close(aside)
    os.ftruncate(descriptor, size - len(torn))
    told = {"bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest(), "kept_in": beside.name}
    line, digest = _line(moment, "repair", told, previous)
    _write(descriptor, line)
    return digest


def _last_hash(path: Path, lines: bytes) -> str:
    if not lines:
        return START
    begin = lines.rfind(b"\n", 0, -1) + 1
    try:
        return _parse(lines[begin:]).sha256
    except _Broken as broken:
        msg = (
            f"nothing is added to {path}: its last line is broken ({broken}). See `tranquillite log verify`."
        )
        raise GateError(msg) from None


def verify(path: str | Path, head: str | None = None) -> LogState:
    """Whether every line of a log is as it was written, and if not, which is the first that is not.

    A changed byte, and a line that is missing, added or moved, are found. What a chain alone cannot show is
    that lines are gone at its end, or that all of it has been written anew: for that, keep the head of a day
    elsewhere (in a signed report, with a third party) and give it here.

    Parameters
    ----------
    path : str or Path
    head : str, optional
        Hash of a line that must be there.

    Raises
    ------
    UsageError
        If the log cannot be read.
    """
    lines, last, met = 0, START, head is None or head == START
    try:
        for entry in _entries(path):
            lines, last = lines + 1, entry.sha256
            met = met or entry.sha256 == head
    except _Broken as broken:
        return LogState(lines, last, lines + 1, str(broken))
    if not met:
        return LogState(
            lines, last, lines + 1, f"the line {head} is not there: the log was cut or written anew"
        )
    return LogState(lines, last)


def read_log(path: str | Path) -> list[Entry]:
    """Lines of an intact log.

    Raises
    ------
    UsageError
        If the log cannot be read.
    GateError
        If a line is not as it was written.
    """
    found: list[Entry] = []
    try:
        found.extend(_entries(path))
    except _Broken as broken:
        msg = f"{path}, line {len(found) + 1}: the log is broken here: {broken}."
        raise GateError(msg) from None
    return found


def _entries(path: str | Path) -> Iterator[Entry]:
    """Lines from the first, each verified before it is given; nobody appends meanwhile."""
    try:
        with Path(path).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield from _follow(file)
    except OSError as error:
        msg = f"the log {path} cannot be read ({error.strerror})."
        raise UsageError(msg) from error
