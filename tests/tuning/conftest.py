"""A script that tunes plain counts on a small panel, to be killed and run again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import sys, time
from tests.builders import make_panel
from tranquillite_ml.forecasters import SmoothedCount
from tranquillite_ml.target import Target
from tranquillite_ml.tuning import backtest_scores, open_storage, tune

where, trials, slow, hang = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
begun = []
forecaster = SmoothedCount(Target("noise", period=7), calibration_days=0)
panel = make_panel(120)
inner = backtest_scores(forecaster, panel, [92, 99, 106])

def scores(params):
    begun.append(params)
    for fold, value in enumerate(inner(params)):
        if fold == 1 and len(begun) == hang:
            print("hanging", flush=True)
            time.sleep(60)
        time.sleep(slow)
        yield value

with open_storage(where) as storage:
    found = tune(
        scores, {"days": [30, 2000], "trust": [0.1, 10.0]},
        storage=storage, trials=trials, seed=7, name="script",
    )
columns = [name for name in found.trials if name != "seconds"]
print(found.trials[columns].to_csv(index=False), found.best, found.score)
"""


@pytest.fixture
def begin() -> Callable[..., subprocess.Popen[str]]:
    """Begin the script in a process of its own: storage, trials, seconds a fold, trial in which it hangs."""

    def start(where: object, trials: int, slow: float = 0.0, hang: int = 0) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(where), str(trials), str(slow), str(hang)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def result(process: subprocess.Popen[str]) -> str:
    """What the script found: its trials as CSV, the best parameters and score."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out[out.index("trial,") :]


def parabola(params: dict[str, Any]) -> Any:
    """Three folds whose mean score is greatest at x = 3."""
    for fold in range(3):
        yield -((params["x"] - 3) ** 2) - fold
