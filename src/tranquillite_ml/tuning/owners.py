"""Whose trial it is: a process can be told from a later one with the same number, and found dead."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

ABANDONED_AFTER = timedelta(hours=24)
"""Age from which a trial of another machine counts as abandoned: whether it still runs cannot be seen."""


def this_process() -> dict[str, Any]:
    """What identifies this process: machine, its boot, number, and when it began.

    Examples
    --------
    >>> this_process()["pid"] == os.getpid()
    True
    """
    pid = os.getpid()
    return {"host": socket.gethostname(), "boot": _boot(), "pid": pid, "began": _began(pid)}


def has_lost_its_owner(trial: Any) -> bool:
    """Whether a trial under way will never end: its process is gone, or it is of another machine and old."""
    owner = trial.user_attrs.get("owner")
    if not isinstance(owner, dict) or owner.get("host") != socket.gethostname():
        begun = trial.datetime_start
        return begun is not None and datetime.now(begun.tzinfo) - begun > ABANDONED_AFTER
    if owner.get("boot") != _boot():
        return True
    pid = int(owner.get("pid", 0))
    return not _alive(pid) or owner.get("began") != _began(pid)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's, but there
        return True
    return True


def _boot() -> str | None:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text(encoding="ascii").strip() if path.exists() else None


def _began(pid: int) -> str | None:
    """When a process began, in the system's ticks; None if that is not known, or it is dead."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
