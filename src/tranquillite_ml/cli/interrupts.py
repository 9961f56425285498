"""Ctrl-C: one line and exit code 130, at any moment; light, so that it can come before everything else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130
TOLD = "interrupted: run the same command again to go on"


def leave_on_interrupt() -> None:
    """Leave at once on Ctrl-C: while commands are imported there is nothing to put away."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is to be ignored
        signal.signal(signal.SIGINT, _leave)


def _leave(*_: object) -> None:
    os.write(2, f"{TOLD}\n".encode())
    os._exit(INTERRUPTED)


def keep_exit_code() -> None:
    """Let the process end with its own exit code after an interrupt that was handled.

    CPython keeps a note when an interrupt ends a text given to ``exec``, as dataclasses are made, and at its
    end kills itself by the signal, handled or not. The next text that it runs takes the note back.
    """
    exec("")  # noqa: S102 - an empty text


@contextmanager
def interrupts_as_errors() -> Iterator[None]:
    """While a command works, Ctrl-C is an exception, so that what is open can be put away."""
    if signal.getsignal(signal.SIGINT) is not _leave:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _leave)
