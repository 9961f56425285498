"""Runs that are killed, interrupted or out of room, in processes of their own: they go on, and end the same."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import rows
from tranquillite_ml.cli.progress import STAGES

COMMAND = [sys.executable, "-m", "tranquillite_ml"]
SMALL = [
    *("--set", "incidents.simulate.days=150", "--set", "incidents.simulate.radius_km=1.5"),
    *("--json", "--no-track"),
]


def start(*arguments, cwd, room=None, **environment):
    """Begin a command; with `room`, no file may become larger than so many bytes."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=None if room is None else limit,
        env={**os.environ, **environment},
    )


def ended(process):
    """Exit code, standard output and standard error."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def finished(*arguments, cwd, **environment):
    """What a command that must succeed prints as JSON: one line, and nothing else."""
    code, out, err = ended(start(*arguments, cwd=cwd, **environment))
    assert code == 0, err
    assert len(out.splitlines()) == 1
    return json.loads(out)


def results(folder):
    """Digest of every file of the one run in a folder that does not tell where or when it was made."""
    [run] = [path for path in (folder / "runs").glob("smoke-*") if path.is_dir()]
    told = {"config.yaml", "summary.json", "manifest.json"}
    files = (path for path in run.rglob("*") if path.is_file())
    names = {path.relative_to(run).as_posix(): path for path in files}
    return {name: hashlib.sha256(names[name].read_bytes()).hexdigest() for name in names.keys() - told}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The results of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    finished("run", "smoke", *SMALL, cwd=folder)
    return results(folder)


def signalled(process, stage, number):
    """Wait until a stage begins, send a signal, and give how the process ends."""
    for line in process.stderr:
        if STAGES[stage] in line:
            break
    time.sleep(0.05)
    process.send_signal(number)
    return ended(process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
@pytest.mark.parametrize("stage", ["intake", "backtest", "evaluate", "forecast"])
def test_a_run_that_was_stopped_goes_on_and_ends_the_same(tmp_path, undisturbed, stage, number):
    code, out, err = signalled(start("run", "smoke", *SMALL, cwd=tmp_path), stage, number)
    assert out == ""
    assert "Traceback" not in err
    if number == signal.SIGINT:
        assert code == 130
        assert err.splitlines()[-1] == "interrupted: run the same command again to go on"
    assert not list(tmp_path.glob("runs/*/manifest.json"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/backtest/*.parquet")}
    assert bool(before) == (stage in {"evaluate", "forecast"}) or stage == "backtest"
    finished("run", "smoke", *SMALL, cwd=tmp_path)
    assert results(tmp_path) == undisturbed
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize("delay", [0.08, 0.15, 0.25])
def test_ctrl_c_while_it_starts_is_one_line(tmp_path, delay):
    process = start("run", "smoke", *SMALL, cwd=tmp_path)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "", "interrupted: run the same command again to go on\n")
