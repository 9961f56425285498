"""Runs that are killed, interrupted or out of room, in processes of their own: they end the same."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from tranquillite_ml.cli.progress import STAGES

INTERRUPTED = "interrupted: run the same command again to go on"
COMMAND = [sys.executable, "-m", "tranquillite_ml"]
SMALL = [
    *("--set", "incidents.simulate.days=150", "--set", "incidents.simulate.radius_km=1.5"),
    *("--json", "--no-track", "--no-report"),
]


def start(*arguments, cwd, room=None, **environment):
    """Begin a command; with `room`, no file may become larger than so many bytes."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    if room is not None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, room))
    return process


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
    """Digest of each file of the one run in a folder, save those that tell where, when or how fast."""
    [run] = [path for path in (folder / "runs").glob("smoke-*") if path.is_dir()]
    telling = ("config.", "summary.", "manifest.")
    files = [path for path in run.rglob("*") if path.is_file()]
    found = {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    return {name: digest for name, digest in found.items() if not name.startswith(telling)}


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


STOPPED = {
    "interrupted at the start": ("intake", signal.SIGINT),
    "killed in the backtest": ("backtest", signal.SIGKILL),
    "interrupted while scoring": ("evaluate", signal.SIGINT),
    "killed in the last forecast": ("forecast", signal.SIGKILL),
}


@pytest.mark.parametrize(("stage", "number"), STOPPED.values(), ids=STOPPED)
def test_a_run_that_was_stopped_goes_on_and_ends_the_same(tmp_path, undisturbed, stage, number):
    code, out, err = signalled(start("run", "smoke", *SMALL, cwd=tmp_path), stage, number)
    assert out == ""
    assert "Traceback" not in err
    if number == signal.SIGINT:
        assert (code, err.splitlines()[-1]) == (130, INTERRUPTED)
    assert not list(tmp_path.glob("runs/*/manifest.json"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/backtest/*.parquet")}
    assert len(before) == 6 or stage in {"intake", "backtest"}
    finished("run", "smoke", *SMALL, cwd=tmp_path)
    assert results(tmp_path) == undisturbed
    assert before == {path: path.stat().st_mtime_ns for path in before}  # what was finished was kept


INTERRUPTING = """
import os, signal, sys

wanted = sys.argv[1]

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from tranquillite_ml.__main__ import main
sys.argv[0:2] = ["tranquillite"]
main()
"""


@pytest.mark.parametrize("module", ["typer", "tranquillite_ml.cli.runs", "pydantic", "pandas", "h3"])
def test_ctrl_c_while_something_is_imported_is_one_line(tmp_path, module):
    found = subprocess.run(
        [sys.executable, "-c", INTERRUPTING, module, "run", "smoke", "--no-track", "--quiet"],
        check=False,
        **{"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 120},
    )
    assert (found.returncode, found.stdout, found.stderr) == (130, "", f"{INTERRUPTED}\n")


def test_ctrl_c_while_a_class_is_made_ends_with_the_exit_code_and_not_by_the_signal(tmp_path):
    (tmp_path / "interrupted.py").write_text(
        "from tranquillite_ml.cli.output import exit_code\n"
        "try:\n    exec('raise KeyboardInterrupt')  # as dataclasses run their texts\n"
        "except KeyboardInterrupt as error:\n    raise SystemExit(exit_code(error)) from None\n"
    )
    found = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        check=False,
        **{"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 60},
    )
    assert (found.returncode, found.stderr) == (130, f"{INTERRUPTED}\n")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs a limit on the size of a process's files")
@pytest.mark.parametrize("room", [3_000, 60_000], ids=["panel", "figure"])
def test_a_full_disk_is_told_and_with_room_the_run_goes_on(tmp_path, undisturbed, room):
    code, out, err = ended(start("run", "smoke", *SMALL, cwd=tmp_path, room=room))
    assert (code, out) == (1, "")
    told = "error: the disk is full. Make room and run the same command again: what is finished is kept."
    assert err.splitlines()[-1] == told
    assert not list(tmp_path.glob("runs/*/manifest.json"))
    finished("run", "smoke", *SMALL, cwd=tmp_path)
    assert results(tmp_path) == undisturbed


@pytest.mark.slow
def test_a_finished_run_comes_back_at_once_and_again_makes_another_of_the_same_bytes(tmp_path, undisturbed):
    others = {"OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7"}
    first = finished("run", "smoke", *SMALL, cwd=tmp_path, **others)
    assert results(tmp_path) == undisturbed
    assert finished("run", "smoke", *SMALL, cwd=tmp_path) == first
    again = finished("run", "smoke", *SMALL, "--again", cwd=tmp_path)
    assert again["run_id"] == f"{first['run_id']}-2"
    assert (tmp_path / again["forecasts"]).read_bytes() == (tmp_path / first["forecasts"]).read_bytes()


@pytest.mark.slow
def test_a_run_that_is_killed_while_mlflow_makes_its_store_can_be_recorded_later(tmp_path):
    arguments = ("run", "smoke", "--set", "model.kind=none", "--no-report", "--json")
    process = start(*arguments, cwd=tmp_path)
    deadline = time.monotonic() + 100
    while not list(tmp_path.glob("runs/.mlflow-*/mlflow.db")) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.15)  # some of its tables are there
    process.kill()
    ended(process)
    assert not (tmp_path / "runs" / "mlflow.db").exists()
    assert finished(*arguments, cwd=tmp_path)["mlflow_run_id"]
    assert {path.name for path in (tmp_path / "runs").iterdir() if path.name.startswith(".")} == set()


def told(folder):
    """What the report of the one run says, save when it was written and digests of it all."""
    [path] = folder.glob("runs/smoke-*/report.json")
    report = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: value for name, value in report.items() if name not in {"generated_at", "report_id", "digests"}
    }


@pytest.mark.slow
def test_a_run_killed_while_its_report_is_made_ends_with_the_same_report(tmp_path):
    asked = [part for part in SMALL if part != "--no-report"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    finished("run", "smoke", *asked, cwd=whole)
    process = start("run", "smoke", *asked, cwd=killed)
    next(line for line in process.stderr if "C16:" in line)
    process.kill()
    process.communicate()
    assert not list(killed.glob("runs/*/report.json"))
    finished("run", "smoke", *asked, cwd=killed)
    assert told(killed) == told(whole)
