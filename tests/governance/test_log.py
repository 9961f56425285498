"""The log: any change is found, and what a crash leaves behind is mended in sight."""

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tranquillite_ml.errors import GateError, UsageError
from tranquillite_ml.governance.log import START, append, read_log, verify

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def write(path: Path, n: int = 4) -> bytes:
    for number in range(n):
        append(
            path, "decision", {"cell": f"8928308280{number:05x}", "action": "none", "é": [number, None]}, NOON
        )
    return path.read_bytes()


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.jsonl"


def state_of(content: bytes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.jsonl")
        path.write_bytes(content)
        return verify(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write(tmp_path_factory.mktemp("log") / "log.jsonl")


def test_what_is_logged_is_read_back(log):
    paris = timezone(timedelta(hours=1))
    first = append(log, "forecast", {"run": "a"}, NOON.astimezone(paris))
    second = append(log, "acknowledge", {"who": "Zoë"}, NOON)
    entries = read_log(log)
    assert [entry.at for entry in entries] == ["2026-03-01T12:00:00Z"] * 2
    assert [entry.previous for entry in entries] == [START, first]
    assert [entry.sha256 for entry in entries] == [first, second]
    assert entries[1].payload == {"who": "Zoë"}
    state = verify(log)
    assert (state.lines, state.head, state.intact) == (2, second, True)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_one_changed_byte_anywhere_is_found(whole, data):
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    state = state_of(whole[:at] + bytes([byte]) + whole[at + 1 :])
    assert not state.intact
    # The line that holds the byte is named; a line that swallows its successor too.
    assert state.broken_line == whole[:at].count(b"\n") + 1


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_byte_that_is_gone_or_added_is_found(whole, data):
    at = data.draw(st.integers(0, len(whole) - 1))
    assert not state_of(whole[:at] + whole[at + 1 :]).intact
    assert not state_of(whole[:at] + data.draw(st.binary(min_size=1, max_size=3)) + whole[at:]).intact


@given(order=st.permutations(range(4)), kept=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_lines_that_are_moved_or_missing_are_found(whole, order, kept):
    lines = whole.splitlines(keepends=True)
    chosen = list(order)[:kept]
    state = state_of(b"".join(lines[n] for n in chosen))
    # Only a beginning of the log is a sound log: the missing end needs the head, below.
    assert state.intact == (chosen == list(range(kept)))


def test_a_log_cut_at_its_end_is_found_with_the_head(log, whole):
    log.write_bytes(whole)
    head = verify(log).head
    log.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    assert verify(log).intact
    cut = verify(log, head)
    assert (cut.intact, cut.broken_line) == (False, 4)
    append(log, "reject", {}, NOON)
    assert not verify(log, head).intact
    log.write_bytes(whole)
    append(log, "reject", {}, NOON)
    assert verify(log, head).intact


@pytest.mark.parametrize("lost", [1, 20, 100])
def test_a_torn_last_line_is_found_and_set_aside_by_the_next(log, whole, lost):
    log.write_bytes(whole[:-lost])
    state = verify(log)
    assert (state.lines, state.broken_line) == (3, 4)
    assert "unfinished" in state.reason
    append(log, "promote", {"model": "a/1"}, NOON)
    entries = read_log(log)
    assert [entry.kind for entry in entries] == ["decision"] * 3 + ["repair", "promote"]
    torn = whole.splitlines(keepends=True)[3][:-lost]
    assert entries[3].payload["bytes"] == len(torn)
    assert (log.parent / "log.jsonl.torn").read_bytes() == torn + b"\n"


def test_nothing_is_added_to_a_broken_log(log, whole):
    log.write_bytes(whole.replace(b'"none"', b'"noon"'))
    with pytest.raises(GateError, match="last line is broken"):
        append(log, "reject", {}, NOON)
    with pytest.raises(GateError, match="line 1: the log is broken here: it has been changed"):
        read_log(log)


def test_many_writers_lose_nothing(log):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: append(log, "forecast", {"n": n}, NOON), range(40)))
    assert verify(log).lines == 40
    assert sorted(entry.payload["n"] for entry in read_log(log)) == list(range(40))


@pytest.mark.parametrize(
    ("kind", "payload", "at", "told"),
    [
        ("promot", {}, NOON, "Did you mean 'promote'"),
        ("promote", {"x": float("nan")}, NOON, "plain values"),
        ("promote", {"x": (1, 2)}, NOON, "sequences are lists"),
        ("promote", {1: "x"}, NOON, "keys are text"),
        ("promote", {"x": {1}}, NOON, "plain values"),
        ("promote", {}, datetime(2026, 3, 1), "time zone"),  # noqa: DTZ001
        ("promote", {"x": "y" * 1_000_000}, NOON, "at most 1,000,000 bytes"),
    ],
)
def test_what_cannot_be_logged_is_refused_and_leaves_the_log_alone(log, kind, payload, at, told):
    append(log, "forecast", {}, NOON)
    with pytest.raises(UsageError, match=told):
        append(log, kind, payload, at)
    assert verify(log).lines == 1


def test_a_failed_write_leaves_what_was_there(log, whole, monkeypatch):
    log.write_bytes(whole)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tranquillite_ml.governance.log.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        append(log, "reject", {}, NOON)
    assert log.read_bytes() == whole


def test_deep_and_foreign_lines_are_broken_lines():
    for line in (b"[" * 50_000, b"{}", b"null", b"3", b"\xff\xfe", json.dumps({"at": 1}).encode()):
        assert state_of(line + b"\n").broken_line == 1
    assert "too long" in state_of(b"x" * 1_000_002).reason


def test_a_log_that_is_not_there_is_a_wrong_argument(log):
    with pytest.raises(UsageError, match="cannot be read"):
        verify(log)
    with pytest.raises(UsageError, match="cannot be written"):
        append(log / "x", "reject", {}, NOON)
