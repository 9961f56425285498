"""A report whose writing is killed leaves an unfinished run, and is written again to the same bytes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tranquillite_ml.bundle import write_manifest
from tranquillite_ml.runfolder import RunFolder

WRITE = """
import os, signal, sys
from pathlib import Path
from tests.report.conftest import build
from tests.report.reports import AT, LIMITS, mixed_checks
from tranquillite_ml.report import facts
from tranquillite_ml.report.summary import Inputs
from tranquillite_ml.report.writing import write_report
from tranquillite_ml.runfolder import RunFolder

folder, point = RunFolder(*sys.argv[1:3]), sys.argv[3]
facts.package_digest = lambda: "0" * 64  # whoever edits the package meanwhile changes nothing here
real = Path.replace
def replace(self, target):
    if Path(target).name == point:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)
Path.replace = replace
folder.prepare()
write_report(folder, mixed_checks(), build(rings=1), thresholds=LIMITS, inputs=Inputs(at=AT))
"""
ROOT = Path(__file__).parents[2]


def child(script: str, *given: str | Path) -> int:
    command = [sys.executable, "-c", script, *map(str, given)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300, check=False).returncode


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of a report that nobody interrupted."""
    output = tmp_path_factory.mktemp("whole")
    assert child(WRITE, output, "city-1", "") == 0
    return files(output / "city-1")


@pytest.mark.parametrize("point", ["report.json", "fria.json"])
def test_a_report_killed_at_any_of_its_files_is_written_again_to_the_same_bytes(
    point: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path, "city-1")
    folder.prepare()
    folder.write_text("config.yaml", "name: city")
    folder.write_text("report.html", "the report before")
    write_manifest(folder.path, {"kind": "run", "run_id": "city-1"})
    assert child(WRITE, tmp_path, "city-1", point) == -signal.SIGKILL
    assert not folder.finished
    left = {name: content for name, content in files(folder.path).items() if name in whole}
    assert left.pop("report.html", b"") in {b"the report before", whole["report.html"]}
    assert left == {name: whole[name] for name in left}  # what is there is whole
    assert point == "report.html" or point not in {Path(name).name for name in left}
    assert child(WRITE, tmp_path, "city-1", "") == 0
    assert files(folder.path) == whole | {"config.yaml": b"name: city"}
    write_manifest(folder.path, {"kind": "run", "run_id": "city-1"})
    assert folder.finished
