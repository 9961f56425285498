"""Where studies are kept: journals that were torn, locks that were left, addresses that are wrong."""

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.postgresql import running
from tests.tuning.conftest import parabola
from tranquillite_ml.errors import BundleError, UsageError
from tranquillite_ml.tuning import open_storage, tune

SPACE = {"x": [0.0, 10.0]}


def trials_of(where, n=4):
    with open_storage(where) as storage:
        return tune(parabola, SPACE, storage=storage, trials=n).trials.drop(columns="seconds")


@pytest.mark.parametrize("torn", [b'{"op_code":5,"worker', b"\0\0\0", b"{", b'{"op_code":8}'])
def test_a_torn_last_line_is_cut_off_and_kept_beside(tmp_path, torn):
    journal = tmp_path / "journal.log"
    trials_of(journal)
    whole = journal.read_bytes()
    journal.write_bytes(whole + torn)
    with open_storage(journal):
        assert journal.read_bytes() == whole
    assert (tmp_path / "journal.log.torn").read_bytes() == torn + b"\n"
    assert trials_of(journal, 6).equals(trials_of(tmp_path / "other.log", 6))


def test_a_journal_cut_anywhere_ends_as_an_uncut_one(tmp_path):
    whole = tmp_path / "whole.log"
    expected = trials_of(whole, 5)
    content = whole.read_bytes()
    for size in range(0, len(content), 211):  # about 15 places, most of them inside a line
        cut = tmp_path / f"cut_{size}.log"
        # Owners that are alive keep their trials: here they are made to be of processes that ended.
        cut.write_bytes(content[:size].replace(f'"pid":{os.getpid()}'.encode(), b'"pid":999999999'))
        assert trials_of(cut, 5).equals(expected), size


def test_a_writer_that_was_torn_while_another_has_the_journal_open_is_mended(tmp_path):
    journal = tmp_path / "journal.log"
    with open_storage(journal) as storage:
        tune(parabola, SPACE, storage=storage, trials=2)
        with journal.open("ab") as file:
            file.write(b'{"op_code":4,"work')
        assert len(tune(parabola, SPACE, storage=storage, trials=4).trials) == 4
    assert len(trials_of(journal)) == 4


@pytest.mark.parametrize("kind", ["symlink", "file"])
def test_a_lock_file_left_behind_costs_no_time(tmp_path, kind):
    journal, lock = tmp_path / "journal.log", tmp_path / "journal.log.lock"
    trials_of(journal, 1)
    if kind == "symlink":
        lock.symlink_to(journal)
        os.utime(lock, (1, 1), follow_symlinks=False)
    else:
        lock.write_text("")
        os.utime(lock, (1, 1))
    began = time.monotonic()
    trials_of(journal, 2)
    assert time.monotonic() - began < 10  # Optuna's own lock waits 30 s
    assert not lock.is_symlink()
    assert not lock.exists()


def test_a_lock_ends_with_its_holder(tmp_path):
    journal = tmp_path / "journal.log"
    trials_of(journal, 1)
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from tranquillite_ml.tuning.storage import JournalLock;"
        "JournalLock(Path(sys.argv[1])).acquire(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(journal)], check=False)
    assert done.returncode == -9
    began = time.monotonic()
    trials_of(journal, 2)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "line", [b"not json\n", b"[]\n", b'{"op_code":99,"worker_id":"x"}\n', b'{"op_code":4}\n']
)
def test_a_damaged_journal_is_named(tmp_path, line):
    journal = tmp_path / "journal.log"
    trials_of(journal, 1)
    journal.write_bytes(journal.read_bytes() + line + b'{"op_code":5}\n')
    before = journal.read_bytes()
    with pytest.raises(BundleError, match=r"journal\.log is damaged"), open_storage(journal):
        pass
    assert journal.read_bytes() == before


@pytest.mark.parametrize("content", [b"name: smoke\nseed: 0", b"PAR1", b"{}"])
def test_a_file_that_is_no_journal_is_left_as_it_is(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is no journal"), open_storage(path):
        pass
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("mongodb://ana:hush@db/x", "storage must be a file"),
        ("mysql://ana:hush@db/x", "storage must be a file"),
        ("sqlite://", "storage must be a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("postgresql+nonsense://ana:hush@db/x", "cannot be opened"),
    ],
)
def test_other_addresses_are_refused_without_their_passwords(where, told):
    with pytest.raises(UsageError, match=told) as caught, open_storage(where):
        pass
    assert "hush" not in str(caught.value)


def test_a_folder_or_a_file_that_is_no_database_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"), open_storage(tmp_path):
        pass
    (tmp_path / "x.db").write_text("not a database, but long enough to be looked at as one" * 9)
    with pytest.raises(UsageError, match="cannot be opened"), open_storage(f"sqlite:///{tmp_path}/x.db"):
        pass


def test_sqlite_and_journal_find_the_same(tmp_path):
    url = f"sqlite:///{tmp_path}/deep/study.db"
    trials_of(url, 3)
    assert trials_of(url, 7).equals(trials_of(tmp_path / "journal.log", 7))


@pytest.fixture(scope="module")
def server():
    if not (find_spec("psycopg") or find_spec("psycopg2")):
        pytest.skip("needs the extra `postgres`: a driver, psycopg or psycopg2")
    with running() as started:
        yield started


@pytest.fixture
def postgresql(server, request):
    """Address of a database of the test's own."""
    name = f"study_{request.node.name.removeprefix('test_')[:40]}"
    server.run(f"CREATE DATABASE {name}")
    return f"{server.url.rpartition('/')[0]}/{name}"


def test_postgresql_and_journal_find_the_same(tmp_path, postgresql):
    trials_of(postgresql, 3)
    assert trials_of(postgresql, 7).equals(trials_of(tmp_path / "journal.log", 7))


def test_postgresql_survives_a_kill(tmp_path, postgresql, begin):
    from tests.tuning.test_study import check_killed_and_resumed

    check_killed_and_resumed(tmp_path / "whole.log", postgresql, begin)


def test_processes_share_a_study_in_postgresql(postgresql, begin):
    from tests.tuning.test_study import check_processes_share_a_study

    check_processes_share_a_study(postgresql, begin)


def test_a_wrong_password_is_told_without_either(postgresql):
    with pytest.raises(UsageError, match="cannot be opened") as caught:
        trials_of(postgresql.replace("hush-hush", "wrong-hush"))
    assert "hush" not in str(caught.value)


def test_no_pickle_is_written(tmp_path):
    trials_of(tmp_path / "journal.log", 3)
    files = [path.name for path in Path(tmp_path).iterdir()]
    assert files == ["journal.log"]
    assert b"\x80\x04" not in (tmp_path / "journal.log").read_bytes()
