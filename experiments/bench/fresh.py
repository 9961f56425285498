"""Call a bench's function in a fresh process, so that neither its memory nor its imports are those of another.

`python experiments/bench/fresh.py MODULE FUNCTION ARGUMENTS` prints, as its last line, JSON.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}  # threads that wait leave the processor to others


def call(module: str, function: str, **arguments: Any) -> dict[str, Any]:
    """Result of a function in a process of its own: ``result, peak_mb, seconds, cpu_seconds``.

    Raises
    ------
    RuntimeError
        If it fails; its messages have gone to standard error.
    """
    command = [sys.executable, __file__, module, function, json.dumps(arguments)]
    done = subprocess.run(  # noqa: S603
        command, stdout=subprocess.PIPE, text=True, check=False, env=os.environ | ENVIRONMENT
    )
    if done.returncode != 0:
        msg = f"{module}.{function} failed with exit code {done.returncode}."
        raise RuntimeError(msg)
    return json.loads(done.stdout.splitlines()[-1])


def peak_mb() -> float:
    """Largest resident memory of this process since it became this program, in MB."""
    status = Path("/proc/self/status")
    if (
        status.exists()
    ):  # there, the other figure would remember the size of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1024**2 if sys.platform == "darwin" else 1024
    )


if __name__ == "__main__":
    name, function, arguments = sys.argv[1:]
    begin, used = time.perf_counter(), time.process_time()
    result = getattr(import_module(name), function)(**json.loads(arguments))
    cost = {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - used}
    print(json.dumps({"result": result, "peak_mb": peak_mb(), **cost}))
