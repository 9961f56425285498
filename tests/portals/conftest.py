"""A portal on this machine that speaks each protocol, and misbehaves as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tranquillite_ml.portals import Web

Query = dict[str, str]
Route = Callable[[Query], Any]
"""Gives the JSON, or the bytes, of an answer."""


@dataclass
class Host:
    """What the server says: a route a path, faults before the answers, and what it was asked.

    Attributes
    ----------
    routes : dict of str to callable
    faults : list of str or None
        What goes wrong with the next answers of paths in `troubled`; None for a good one.
    asked : list of (str, dict, dict)
        Path, query and headers of each request.
    """

    address: str
    routes: dict[str, Route] = field(default_factory=dict)
    faults: list[Any] = field(default_factory=list)
    troubled: str = ""
    asked: list[tuple[str, Query, dict[str, str]]] = field(default_factory=list)

    def queries(self, path: str) -> list[Query]:
        return [query for there, query, _ in self.asked if there == path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: Host

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.host.asked.append((parts.path, query, dict(self.headers)))
        route = self.host.routes.get(parts.path)
        if route is None:
            self.send(404, b'{"message": "no such thing"}')
            return
        found = route(query)
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        kind = "application/json"
        faulty = parts.path.startswith(self.host.troubled) and self.host.troubled and self.host.faults
        self.fault(self.host.faults.pop(0) if faulty else None, body, kind)

    def fault(self, name: Any, body: bytes, kind: str) -> None:
        if isinstance(name, bytes):
            self.send(200, name)
        elif name == "html":
            self.send(200, b"\n<!DOCTYPE html><title>Sign in</title>", "text/html; charset=utf-8")
        elif name == "silent":
            self.host.stopped.wait(3)  # type: ignore[attr-defined]
            self.close_connection = True
        elif name == "cut":  # fewer bytes than announced
            self.send(200, body, kind, length=len(body) + 10, sent=len(body) // 2)
        elif name == "half":  # whole by its length, cut by its content
            self.send(200, body[: len(body) // 2], kind)
        elif name == "drop":
            self.close_connection = True
        elif isinstance(name, tuple):
            status, headers = name
            self.send(status, b'{"message": "not now"}', kind, headers=headers)
        elif "Range" in self.headers and self.headers.get("If-Range") == '"v1"':
            begin = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            headers = {"Content-Range": f"bytes {begin}-{len(body) - 1}/{len(body)}"}
            self.send(206, body[begin:], kind, headers=headers)
        else:
            self.send(200, body, kind)

    def send(
        self,
        status: int,
        body: bytes,
        kind: str = "application/json",
        *,
        headers: dict[str, str] | None = None,
        length: int | None = None,
        sent: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "ETag": '"v1"', **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body[: len(body) if sent is None else sent])
        if sent is not None:
            self.close_connection = True


@pytest.fixture
def host() -> Iterator[Host]:
    """A server of its own for each test."""
    handler = type("Own", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.host = Host(f"http://127.0.0.1:{server.server_port}")
    handler.host.stopped = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield handler.host
    handler.host.stopped.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def naps() -> list[float]:
    """Seconds that were waited between tries."""
    return []


@pytest.fixture
def ask(host: Host, naps: list[float], tmp_path: Path) -> Callable[..., Web]:
    """Make a client of the server that does not really wait."""

    def make(path: str = "", **options: Any) -> Web:
        chosen = {"cache": tmp_path / "cache", "sleep": naps.append, "timeout": 5.0, **options}
        return Web(host.address + path, **chosen)

    return make
