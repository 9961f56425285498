"""Asking a portal politely: pages kept with their SHA-256, retried, resumed, and refused when not data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urljoin

from tranquillite_ml.config.words import redact
from tranquillite_ml.errors import InputDataError
from tranquillite_ml.portals.answers import (
    Params,
    StatusError,
    TryAgain,
    check_url,
    digest_of,
    host_of,
    is_page,
    key_of,
    message_of,
    parsed,
    replace,
    retry_after,
    shown,
    words_of,
)

_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_MOVED = {301, 302, 303, 307, 308}
_BLOCK = 1 << 16


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
        self._allowed = {host_of(check_url(self.address)), *(host.casefold() for host in self.hosts)}

    def ask(self, url: str, params: Params | None = None) -> Any:
        """JSON of an answer about the data, never from the cache.

        Raises
        ------
        InputDataError
            As `page`.
        """
        path = self.cache / f"{key_of(url, params, 'asked')}.asked"
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
        path = self.cache / key_of(url, params, version)
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
            path = self.cache / key_of(url, params, version)
            self._patient(url, params, path, as_json=False)
            self._keep(path, url, params, cached=False)
        return path

    # ------------------------------------------------------------------ the cache

    def _kept(self, url: str, params: Params | None, version: str) -> Path | None:
        path = self.cache / key_of(url, params, version)
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
            replace(path.with_suffix(".json"), said.encode())
        self.used.append(found | {"cached": cached})

    # ------------------------------------------------------------------ one answer

    def _patient(
        self,
        url: str,
        params: Params | None,
        path: Path,
        *,
        as_json: bool,
        final: frozenset[int] = frozenset(),
    ) -> Any:
        """Try until the answer is whole; give it if it is JSON."""
        import requests

        self.cache.mkdir(parents=True, exist_ok=True)
        pause, why = self.pause, ""
        for left in reversed(range(self.tries)):
            wait = None
            try:
                self._download(url, params, path, resumable=not as_json, final=final)
                return parsed(path) if as_json else None
            except TryAgain as error:
                why, wait = str(error), error.wait
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ) as error:
                why = words_of(error)
            except requests.RequestException as error:
                msg = f"{shown(url)} cannot be asked: {words_of(error)}."
                raise InputDataError(msg) from None
            if wait is not None and wait > self.max_wait:
                why += f"; it asks to wait {wait:.0f} s"
                break
            if left:
                self.sleep(pause if wait is None else wait)
                pause = min(2 * pause, 60.0)
        msg = (
            f"{shown(url)} does not answer as it should ({why}). Run the same command again later: what came "
            "is kept and not asked for again."
        )
        raise InputDataError(msg)

    def _download(
        self, url: str, params: Params | None, path: Path, *, resumable: bool, final: frozenset[int]
    ) -> None:
        import requests

        part, tag = path.with_suffix(".part"), path.with_suffix(".tag")
        known = tag.read_text(encoding="utf-8") if resumable and tag.exists() else ""
        have = part.stat().st_size if known and part.exists() else 0
        headers = {"User-Agent": "tranquillite-ml", **self.headers}
        if resumable:
            # Bytes are counted as they lie in the file, so they must not be packed on the way.
            headers["Accept-Encoding"] = "identity"
        if have:  # the rest of the same state of the file, or else all of the new one
            headers |= {"Range": f"bytes={have}-", "If-Range": known}
        with requests.Session() as session, self._open(session, url, params, headers) as answer:
            if answer.status_code == 416:
                part.unlink(missing_ok=True)
                why = "what came before does not fit"
                raise TryAgain(why)
            if answer.status_code not in {200, 206}:
                self._refuse(answer, url, final)
            if not str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-"):
                have = 0
                state = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
                replace(tag, str(state).encode())
            self._write(answer, part, have, url)
        part.replace(path)
        tag.unlink(missing_ok=True)

    def _open(self, session: Any, url: str, params: Params | None, headers: Mapping[str, str]) -> Any:
        """Open an answer, following the portal only to hosts that may be asked."""
        for _ in range(5):
            parts = check_url(url)
            if host_of(parts) not in self._allowed:
                msg = (
                    f"the portal sends to another host, {host_of(parts)!r}, which is not asked unless you "
                    f"say so: --allow-host {host_of(parts)}."
                )
                raise InputDataError(msg)
            answer = session.get(
                url, params=params, headers=headers, stream=True, timeout=self.timeout, allow_redirects=False
            )
            if answer.status_code not in _MOVED:
                return answer
            there = urljoin(url, answer.headers.get("Location", ""))
            answer.close()
            if url.startswith("https://") and not there.startswith("https://"):
                msg = f"{shown(url)} sends from https to an address that is not: it is not followed."
                raise InputDataError(msg)
            url, params = there, None
        msg = f"{shown(url)} sends from address to address without end."
        raise InputDataError(msg)

    def _refuse(self, answer: Any, url: str, final: frozenset[int]) -> NoReturn:
        status = answer.status_code
        said = message_of(answer)
        if status in _AGAIN and status not in final:
            why = f"HTTP {status}{said}"
            raise TryAgain(why, retry_after(answer.headers.get("Retry-After")))
        hint = {
            401: " It needs a token.",
            403: " It needs a token, or is not public.",
            404: " Is the name right?",
        }
        msg = f"{shown(url)} answers with HTTP {status}{said}.{hint.get(status, '')}"
        raise StatusError(msg, status)

    def _write(self, answer: Any, part: Path, have: int, url: str) -> None:
        limit = self.max_mb * 1e6
        kind = str(answer.headers.get("Content-Type", "")).casefold()
        size = have
        with part.open("ab" if have else "wb") as file:
            for block in answer.iter_content(_BLOCK):
                if size == 0 and ("text/html" in kind or is_page(block)):
                    msg = (
                        f"{shown(url)} answers with a web page where data were expected: it may be the page "
                        "about the data instead of their address, a login, or a proxy of your network."
                    )
                    raise InputDataError(msg)
                size += len(block)
                if size > limit:
                    msg = (
                        f"{shown(url)} gives more than {self.max_mb:,.0f} MB: ask for less, or set --max-mb."
                    )
                    raise InputDataError(msg)
                file.write(block)
