"""Asking a portal politely: pages kept with their SHA-256, retried, resumed, and refused when not data."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

from tranquillite_ml.config.words import redact
from tranquillite_ml.errors import InputDataError, UsageError

_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_MOVED = {301, 302, 303, 307, 308}
_BLOCK = 1 << 16
_TOLD = 200
_PORTS = {"http": 80, "https": 443}

Params = Mapping[str, str | int]


class StatusError(InputDataError):
    """An answer that is an error; `status` is its HTTP code."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _TryAgain(Exception):  # noqa: N818 - never leaves this file
    """Something that may pass; `wait` is what the server asks for, in seconds."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass
class Web:
    """One portal, asked with patience.

    Parameters
    ----------
    address : str
        ``http(s)://host/…`` as the user gave it. No other host is asked.
    cache : Path
        Folder of answers. Their names are digests: nothing that a portal says becomes a path.
    hosts : iterable of str
        More hosts that may be asked, such as one that the portal keeps its files on.
    headers : mapping of str to str
        Such as a token; never written anywhere.
    timeout : float
        Seconds without a byte after which a try has failed.
    tries : int
        Tries for each answer, with pauses that double from `pause` seconds.
    max_wait : float
        Longest pause in seconds that a portal may ask for.
    max_mb : float
        Largest answer.
    fresh : bool
        Ask again for what is in the cache.

    Attributes
    ----------
    used : list of dict
        ``url, sha256, bytes, cached`` of each answer that data came from.
    """

    address: str
    cache: Path
    hosts: Iterable[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 60.0
    tries: int = 6
    pause: float = 1.0
    max_wait: float = 300.0
    max_mb: float = 4_000.0
    fresh: bool = False
    sleep: Callable[[float], object] = time.sleep
    used: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.address = self.address.rstrip("/")
        self._allowed = {_host(check_url(self.address)), *(host.casefold() for host in self.hosts)}
        self._session: Any = None

    def ask(self, url: str, params: Params | None = None) -> Any:
        """JSON of an answer about the data, never from the cache.

        Raises
        ------
        InputDataError
            As `page`.
        """
        path = self.cache / f"{_key(url, params, 'asked')}.asked"
        found = self._patient(url, params, path, as_json=True)
        path.unlink()
        return found

    def page(self, url: str, params: Params, version: str, *, final: frozenset[int] = frozenset()) -> Any:
        """JSON of a page of data, from the cache if this version of it is there.

        Parameters
        ----------
        url : str
        params : mapping
        version : str
            What the portal says of the state of its data: pages of another state are not used.
        final : frozenset of int
            HTTP codes that are an answer here and are not tried again.

        Raises
        ------
        InputDataError
            If it is no data, too large, or does not come.
        StatusError
            If the portal answers with an error.
        """
        path = self._kept(url, params, version)
        if path is not None:
            return json.loads(path.read_bytes())
        path = self.cache / _key(url, params, version)
        found = self._patient(url, params, path, as_json=True, final=final)
        self._keep(path, url, params, cached=False)
        return found

    def file(self, url: str, params: Params | None = None, version: str = "") -> Path:
        """A file in the cache; one that came half is resumed where the server can.

        Raises
        ------
        InputDataError
            As `page`.
        """
        path = self._kept(url, params, version)
        if path is None:
            path = self.cache / _key(url, params, version)
            self._patient(url, params, path, as_json=False)
            self._keep(path, url, params, cached=False)
        return path

    # ------------------------------------------------------------------ the cache

    def _kept(self, url: str, params: Params | None, version: str) -> Path | None:
        path = self.cache / _key(url, params, version)
        try:
            said = json.loads(path.with_suffix(".json").read_bytes())
            whole = not self.fresh and digest_of(path) == said["sha256"]
        except (OSError, ValueError, KeyError):
            return None
        if not whole:
            return None
        self._keep(path, url, params, cached=True)
        return path

    def _keep(self, path: Path, url: str, params: Params | None, *, cached: bool) -> None:
        shown = str(redact(url + ("?" + "&".join(f"{k}={v}" for k, v in params.items()) if params else "")))
        found = {"url": shown, "sha256": digest_of(path), "bytes": path.stat().st_size}
        if not cached:
            said = json.dumps(found | {"at": datetime.now(UTC).isoformat(timespec="seconds")}, indent=1)
            _replace(path.with_suffix(".json"), said.encode())
        self.used.append(found | {"cached": cached})

    # ------------------------------------------------------------------ one answer

    def _patient(
        self, url: str, params: Params | None, path: Path, *, as_json: bool, final: frozenset[int] = frozenset()
    ) -> Any:
        """Try until the answer is whole; give it if it is JSON."""
        import requests

        self.cache.mkdir(parents=True, exist_ok=True)
        pause, why = self.pause, ""
        for left in reversed(range(self.tries)):
            wait = None
            try:
                self._download(url, params, path, resumable=not as_json, final=final)
                return _parsed(path) if as_json else None
            except _TryAgain as error:
                why, wait = str(error), error.wait
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                why = _words(error)
            except requests.RequestException as error:
                msg = f"{_shown(url)} cannot be asked: {_words(error)}."
                raise InputDataError(msg) from None
            if wait is not None and wait > self.max_wait:
                why += f"; it asks to wait {wait:.0f} s"
                break
            if left:
                self.sleep(pause if wait is None else wait)
                pause = min(2 * pause, 60.0)
        msg = (
            f"{_shown(url)} does not answer as it should ({why}). Run the same command again later: what came "
            "is kept and not asked for again."
        )
        raise InputDataError(msg)

    def _download(
        self, url: str, params: Params | None, path: Path, *, resumable: bool, final: frozenset[int]
    ) -> None:
        part, tag = path.with_suffix(".part"), path.with_suffix(".tag")
        known = tag.read_text(encoding="utf-8") if resumable and tag.exists() else ""
        have = part.stat().st_size if known and part.exists() else 0
        headers = dict(self.headers)
        if resumable:
            # Bytes are counted as they lie in the file, so they must not be packed on the way.
            headers["Accept-Encoding"] = "identity"
        if have:  # the rest of the same state of the file, or else all of the new one
            headers |= {"Range": f"bytes={have}-", "If-Range": known}
        with self._open(url, params, headers) as answer:
            if answer.status_code == 416:
                part.unlink(missing_ok=True)
                why = "what came before does not fit"
                raise _TryAgain(why)
            if answer.status_code not in {200, 206}:
                self._refuse(answer, url, final)
            if not str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-"):
                have = 0
                _replace(tag, str(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "").encode())
            self._write(answer, part, have, url)
        part.replace(path)
        tag.unlink(missing_ok=True)

    def _open(self, url: str, params: Params | None, headers: Mapping[str, str]) -> Any:
        """Open an answer, following the portal only to hosts that may be asked."""
        import requests

        if self._session is None:
            self._session = requests.Session()
            self._session.headers["User-Agent"] = "tranquillite-ml"
        for _ in range(5):
            parts = check_url(url)
            if _host(parts) not in self._allowed:
                msg = (
                    f"the portal sends to another host, {_host(parts)!r}, which is not asked unless you say so: "
                    f"--allow-host {_host(parts)}."
                )
                raise InputDataError(msg)
            answer = self._session.get(
                url, params=params, headers=headers, stream=True, timeout=self.timeout, allow_redirects=False
            )
            if answer.status_code not in _MOVED:
                return answer
            there = urljoin(url, answer.headers.get("Location", ""))
            answer.close()
            if url.startswith("https://") and not there.startswith("https://"):
                msg = f"{_shown(url)} sends from https to an address that is not: it is not followed."
                raise InputDataError(msg)
            url, params = there, None
        msg = f"{_shown(url)} sends from address to address without end."
        raise InputDataError(msg)

    def _refuse(self, answer: Any, url: str, final: frozenset[int]) -> NoReturn:
        status = answer.status_code
        said = _message(answer)
        if status in _AGAIN and status not in final:
            raise _TryAgain(f"HTTP {status}{said}", _retry_after(answer.headers.get("Retry-After")))
        hint = {401: " It needs a token.", 403: " It needs a token, or is not public.", 404: " Is the name right?"}
        raise StatusError(f"{_shown(url)} answers with HTTP {status}{said}.{hint.get(status, '')}", status)

    def _write(self, answer: Any, part: Path, have: int, url: str) -> None:
        limit = self.max_mb * 1e6
        kind = str(answer.headers.get("Content-Type", "")).casefold()
        size = have
        with part.open("ab" if have else "wb") as file:
            for block in answer.iter_content(_BLOCK):
                if size == 0 and ("text/html" in kind or _is_page(block)):
                    msg = (
                        f"{_shown(url)} answers with a web page where data were expected: it may be the page about "
                        "the data instead of their address, a login, or a proxy of your network."
                    )
                    raise InputDataError(msg)
                size += len(block)
                if size > limit:
                    msg = f"{_shown(url)} gives more than {self.max_mb:,.0f} MB: ask for less, or set --max-mb."
                    raise InputDataError(msg)
                file.write(block)


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
        msg = f"expected an address that begins with http:// or https://, got {str(redact(url))[:_TOLD]!r}."
        raise UsageError(msg)
    if parts.username or parts.password:
        msg = f"{_shown(url)!r} holds a user or password: give a token in an environment variable instead."
        raise UsageError(msg)
    return parts


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _host(parts: Any) -> str:
    port = parts.port
    return str(parts.hostname).casefold() + (f":{port}" if port not in {None, _PORTS[parts.scheme]} else "")


def _key(url: str, params: Params | None, version: str) -> str:
    said = json.dumps([url, sorted((params or {}).items()), version])
    return hashlib.sha256(said.encode()).hexdigest()


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def _parsed(path: Path) -> Any:
    content = path.read_bytes()
    try:
        return json.loads(content)
    except ValueError:
        path.unlink()
        why = "the answer is cut, or no JSON" if content.strip() else "the answer is empty"
        raise _TryAgain(why) from None


def _is_page(block: bytes) -> bool:
    begin = block[:200].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    return begin.startswith((b"<!doctype html", b"<html"))


def _message(answer: Any) -> str:
    """What an error says in its JSON, on one short line."""
    with suppress(Exception):
        said = json.loads(answer.raw.read(20_000, decode_content=True))
        for name in ("message", "error", "detail"):
            value = said.get(name)
            value = value.get("message") if isinstance(value, dict) else value
            if isinstance(value, str) and value:
                return ": " + " ".join(value.split())[:_TOLD]
    return ""


def _retry_after(value: str | None) -> float | None:
    """Seconds that a server asks to wait, given as such or as a date.

    Examples
    --------
    >>> _retry_after("7"), _retry_after(None), _retry_after("soon")
    (7.0, None, None)
    """
    if value is None:
        return None
    with suppress(ValueError):
        return max(float(value), 0.0)
    with suppress(ValueError, TypeError):
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    return None


def _words(error: Exception) -> str:
    name = type(error).__name__
    return {"ReadTimeout": "no byte came in time", "ConnectTimeout": "no connection in time"}.get(
        name, f"{name}: the connection broke or was refused"
    )


def _shown(url: str) -> str:
    return str(redact(url))[:_TOLD]
