"""Addresses that may be asked, and what an answer is: data, a web page, an error, or a reason to wait."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tranquillite_ml.config.words import redact
from tranquillite_ml.errors import InputDataError, UsageError

TOLD = 200
_PORTS = {"http": 80, "https": 443}

Params = Mapping[str, str | int]
Asked = dict[str, str | int]


class StatusError(InputDataError):
    """An answer that is an error; `status` is its HTTP code."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class TryAgain(Exception):  # noqa: N818 - never leaves this room
    """Something that may pass; `wait` is what the server asks for, in seconds."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


def check_url(url: str) -> Any:
    """Split an address that may be asked: http or https, with a host and without a password.

    Raises
    ------
    UsageError
        If it is another.

    Examples
    --------
    >>> check_url("https://data.example.org/resource").hostname
    'data.example.org'
    >>> check_url("file:///etc/hostname")
    Traceback (most recent call last):
    tranquillite_ml.errors.UsageError: expected an address that begins with http:// or https://, got ...
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        msg = f"expected an address that begins with http:// or https://, got {str(redact(url))[:TOLD]!r}."
        raise UsageError(msg)
    if parts.username or parts.password:
        msg = f"{shown(url)!r} holds a user or password: give a token in an environment variable instead."
        raise UsageError(msg)
    return parts


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def host_of(parts: Any) -> str:
    """Host of an address, with its port if that is not the usual one."""
    port = parts.port
    return str(parts.hostname).casefold() + (f":{port}" if port not in {None, _PORTS[parts.scheme]} else "")


def key_of(url: str, params: Params | None, version: str) -> str:
    """Digest that names an answer in the cache."""
    said = json.dumps([url, sorted((params or {}).items()), version])
    return hashlib.sha256(said.encode()).hexdigest()


def replace(path: Path, content: bytes) -> None:
    """Write a small file through a temporary name."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def parsed(path: Path) -> Any:
    """JSON of an answer; one that is cut is to be asked for again."""
    content = path.read_bytes()
    try:
        return json.loads(content)
    except ValueError:
        path.unlink()
        why = "the answer is cut, or no JSON" if content.strip() else "the answer is empty"
        raise TryAgain(why) from None


def is_page(block: bytes) -> bool:
    """Whether an answer begins as a web page does."""
    begin = block[:200].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    return begin.startswith((b"<!doctype html", b"<html"))


def message_of(answer: Any) -> str:
    """What an error says in its JSON, on one short line."""
    with suppress(Exception):
        said = json.loads(answer.raw.read(20_000, decode_content=True))
        for name in ("message", "error", "detail"):
            value = said.get(name)
            value = value.get("message") if isinstance(value, dict) else value
            if isinstance(value, str) and value:
                return ": " + " ".join(value.split())[:TOLD]
    return ""


def retry_after(value: str | None) -> float | None:
    """Seconds that a server asks to wait, given as such or as a date.

    Examples
    --------
    >>> retry_after("7"), retry_after(None), retry_after("soon")
    (7.0, None, None)
    """
    if value is None:
        return None
    with suppress(ValueError):
        return max(float(value), 0.0)
    with suppress(ValueError, TypeError):
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    return None


def words_of(error: Exception) -> str:
    """What broke, in a few words and without the address."""
    name = type(error).__name__
    return {"ReadTimeout": "no byte came in time", "ConnectTimeout": "no connection in time"}.get(
        name, f"{name}: the connection broke or was refused"
    )


def shown(url: str) -> str:
    """An address as it may be shown."""
    return str(redact(url))[:TOLD]
