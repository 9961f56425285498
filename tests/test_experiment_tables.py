"""The tables kept with the experiments are those of the documentation, whole and unchanged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "experiments" / "results"
KEYS = {
    "12_intervals": ["city", "period", "model"],
    "17_limit": ["seed", "category", "model", "cutoff"],
}


@pytest.mark.parametrize("name", KEYS)
def test_the_table_of_the_documentation_is_the_one_kept(name: str) -> None:
    kept = RESULTS / f"{name}.csv"
    assert not pd.read_csv(kept).duplicated(KEYS[name]).any()
    command = [sys.executable, str(ROOT / "experiments" / f"{name}.py"), "--docs", "--output", str(kept)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    table = done.stdout.strip()
    assert len(table.splitlines()) > 2
    assert table in (ROOT / "docs" / "limits.md").read_text(encoding="utf-8"), (
        f"docs/limits.md does not hold the table that `experiments/{name}.py --docs` prints"
    )
