"""The tutorials run, on simulated data, as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parents[1] / "experiments").glob("0*.py"))
MARSEILLE = Path(__file__).parents[2] / "shared" / "data" / "marseille"
SMALL = {"02_marseille": ["--jours", "330", "--resolution", "8"]}


def test_there_are_tutorials() -> None:
    assert TUTORIALS


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_runs(path: Path, tmp_path: Path) -> None:
    if path.stem == "02_marseille" and not MARSEILLE.is_dir():
        pytest.skip("the layers of Marseille (../shared/data) are not there")
    env = os.environ | {"MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path), *SMALL.get(path.stem, [])],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert any(told in done.stdout for told in ("of what could be known", "de ce qui pouvait être su"))
    assert not list(tmp_path.iterdir())
