"""What a portal may do wrong, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.portals.conftest import Host
from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.portals import Web

Ask = Callable[..., Web]
ROWS = [{"n": number, "text": "é" * 50} for number in range(200)]


@pytest.fixture(autouse=True)
def _page(host: Host) -> None:
    host.routes["/rows"] = lambda query: ROWS
    host.troubled = "/rows"


PASSING = {
    "429 with seconds": ((429, {"Retry-After": "7"}), [7.0]),
    "429 without": ((429, {}), [1.0]),
    "503": ((503, {}), [1.0]),
    "500": ((500, {}), [1.0]),
    "cut": ("cut", [1.0]),
    "half": ("half", [1.0]),
    "drop": ("drop", [1.0]),
    "empty": (b"", [1.0]),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_tried_again(name: str, host: Host, ask: Ask, naps: list[float]) -> None:
    fault, waited = PASSING[name]
    host.faults = [fault]
    web = ask()
    assert web.page(f"{host.address}/rows", {"a": 1}, "v") == ROWS
    assert naps == waited
    assert len(host.queries("/rows")) == 2


def test_pauses_double_and_end(host: Host, ask: Ask, naps: list[float]) -> None:
    host.faults = [(503, {})] * 10
    with pytest.raises(InputDataError, match=r"HTTP 503: not now\). Run the same command again later"):
        ask(tries=5).page(f"{host.address}/rows", {}, "v")
    assert naps == [1.0, 2.0, 4.0, 8.0]


def test_a_silent_server_is_left(host: Host, ask: Ask) -> None:
    host.faults = ["silent", "silent"]
    with pytest.raises(InputDataError, match="no byte came in time"):
        ask(tries=2, timeout=0.2).page(f"{host.address}/rows", {}, "v")


def test_retry_after_may_be_a_date_and_too_long(host: Host, ask: Ask, naps: list[float]) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    host.faults = [(429, {"Retry-After": soon})]
    ask().page(f"{host.address}/rows", {}, "v")
    assert 20 < naps[0] <= 30
    host.faults = [(429, {"Retry-After": "86400"})]
    with pytest.raises(InputDataError, match="it asks to wait 86400 s"):
        ask().page(f"{host.address}/rows", {"b": 1}, "v")
    assert len(naps) == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("html", "answers with a web page where data were expected"),
        (b"<html><body>blocked</body></html>", "answers with a web page"),
        ((404, {}), "HTTP 404: not now. Is the name right?"),
        ((403, {}), "It needs a token, or is not public"),
        ((400, {}), "HTTP 400"),
    ],
)
def test_what_does_not_pass_is_not_tried_again(fault: object, told: str, host: Host, ask: Ask) -> None:
    host.faults = [fault]
    with pytest.raises(InputDataError, match=told.replace("?", r"\?")):
        ask().page(f"{host.address}/rows", {}, "v")
    assert len(host.queries("/rows")) == 1


def test_answers_are_kept_and_checked(host: Host, ask: Ask, tmp_path: pytest.TempPathFactory) -> None:
    for _ in range(2):
        web = ask()
        assert web.page(f"{host.address}/rows", {"a": 1}, "v") == ROWS
    assert len(host.queries("/rows")) == 1
    assert web.used[0]["cached"]
    body = next(path for path in web.cache.iterdir() if path.suffix == "")
    body.write_bytes(body.read_bytes()[:-5] + b"99}]\n")  # damaged, or meddled with
    assert ask().page(f"{host.address}/rows", {"a": 1}, "v") == ROWS
    assert len(host.queries("/rows")) == 2
    ask().page(f"{host.address}/rows", {"a": 1}, "another state")
    ask(fresh=True).page(f"{host.address}/rows", {"a": 1}, "v")
    assert len(host.queries("/rows")) == 4
    assert not list(web.cache.glob("*.part*"))


def test_a_file_that_came_half_is_resumed(host: Host, ask: Ask) -> None:
    content = bytes(range(256)) * 2000
    host.routes["/rows"] = lambda query: content
    host.faults = ["cut", None]
    path = ask().file(f"{host.address}/rows")
    assert path.read_bytes() == content
    resumed = host.asked[-1][2]
    begin = int(resumed["Range"].removeprefix("bytes=").removesuffix("-"))
    assert len(content) // 4 < begin <= len(content) // 2  # whole blocks of the half that came
    assert resumed["Accept-Encoding"] == "identity"


def test_a_file_that_changed_meanwhile_begins_again(host: Host, ask: Ask) -> None:
    content = bytes(range(256)) * 2000
    host.routes["/rows"] = lambda query: content
    host.faults = ["cut"]
    web = ask(tries=1)
    with pytest.raises(InputDataError):
        web.file(f"{host.address}/rows")
    next(web.cache.glob("*.tag")).write_text('"v0"')
    assert ask().file(f"{host.address}/rows").read_bytes() == content


def test_answers_have_a_largest_size(host: Host, ask: Ask) -> None:
    with pytest.raises(InputDataError, match="gives more than 0 MB: ask for less, or set --max-mb"):
        ask(max_mb=0.001).page(f"{host.address}/rows", {}, "v")


def test_only_hosts_that_the_user_named_are_asked(host: Host, ask: Ask) -> None:
    port = host.address.rpartition(":")[2]
    other = f"http://localhost:{port}"
    host.faults = [(302, {"Location": f"{other}/rows"})]
    with pytest.raises(InputDataError, match=f"--allow-host localhost:{port}"):
        ask().page(f"{host.address}/rows", {}, "v")
    host.faults = [(302, {"Location": f"{other}/rows"})]
    assert ask(hosts=[f"localhost:{port}"]).page(f"{host.address}/rows", {}, "v") == ROWS
    for there in ("file:///etc/hostname", "http://169.254.169.254/latest", "ftp://127.0.0.1/x", "//[::1]/x"):
        host.faults = [(302, {"Location": there})]
        with pytest.raises((InputDataError, UsageError), match=r"not asked unless|begins with http"):
            ask().page(f"{host.address}/rows", {"b": 1}, "v")
    host.faults = [(302, {"Location": "/rows"})] * 9
    with pytest.raises(InputDataError, match="from address to address without end"):
        ask().page(f"{host.address}/rows", {"c": 1}, "v")
    with pytest.raises(InputDataError, match="not asked unless you say so"):
        ask().page("http://example.org/rows", {}, "v")


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://x.org", "x.org", "", "http://", "http://[x"]
)
def test_only_http_is_asked(address: str, ask: Ask, tmp_path: pytest.TempPathFactory) -> None:
    with pytest.raises(UsageError, match="begins with http"):
        Web(address, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="holds a user or password"):
        Web("https://ana:hush@x.org", tmp_path)  # type: ignore[arg-type]


def test_a_token_is_sent_and_never_written(host: Host, ask: Ask) -> None:
    web = ask(headers={"X-App-Token": "hush-hush"})
    web.page(f"{host.address}/rows", {"key": "hush-hush"}, "v")
    assert host.asked[-1][2]["X-App-Token"] == "hush-hush"
    assert "hush-hush" not in repr(web)
    assert "hush-hush" not in json.dumps(web.used)
    assert all(b"hush-hush" not in path.read_bytes() for path in web.cache.iterdir())
