"""How long a command or a notebook waits before anything happens: fresh processes, median of five."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import Bar, figure

REPEATS = 5
COMMAND = str(Path(sys.executable).with_name("tranquillite"))

BARS = {
    "import": Bar("import tranquillite_ml", "s", most=0.5),
    "help": Bar("tranquillite --help", "s", most=0.4),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    bare = _median([sys.executable, "-c", "pass"])
    beside = f"an empty Python program {bare:.2f} s"
    note = f"median of {REPEATS}, the interpreter's own start included"
    return {
        "import": figure(_median([sys.executable, "-c", "import tranquillite_ml"]), beside=beside, note=note),
        "help": figure(_median([COMMAND, "--help"]), beside=beside, note=note),
    }


def _median(command: list[str]) -> float:
    taken = []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[1:])  # the first fills the disk's cache
