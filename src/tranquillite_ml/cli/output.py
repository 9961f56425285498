"""What the command line prints: results on standard output, everything else on standard error."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import typer

from tranquillite_ml.cli.interrupts import INTERRUPTED, TOLD, keep_exit_code
from tranquillite_ml.errors import GateError, TranquilliteError

DEBUG = "TRANQUILLITE_DEBUG"
"""Environment variable: when it is set, errors come with their traceback."""

PIPE_CLOSED = 141
_UNSHOWN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_WIDEST = 80
_FULL = ("No space left on device", "disk is full", " requested and ")  # the last is NumPy's


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return bool(os.environ.get(DEBUG))


# ---------------------------------------------------------------------- text


def clean(value: object, widest: int | None = None) -> str:
    r"""One line of text for a terminal: what could move the cursor or turn the line round is escaped.

    Names of categories and columns come from files, and files come from anywhere.

    Examples
    --------
    >>> clean("noise\x1b[2J\n"), clean("a long name", widest=6)
    ('noise\\x1b[2J\\n', 'a lon…')
    """
    text = "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in _UNSHOWN else char
        for char in str(value)
    )
    return text if widest is None or len(text) <= widest else f"{text[: widest - 1]}…"


def number(value: Any, digits: int = 3) -> str:
    """A number with fixed digits, or a dash where there is none.

    Examples
    --------
    >>> number(0.1234), number(None), number(float("nan")), number(1234.5, 0)
    ('0.123', '–', '–', '1,234')
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    return f"{value:,.{digits}f}"


def text_table(header: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """A plain table: the first `left` columns aligned left, the others right.

    Examples
    --------
    >>> text_table(["category", "n"], [["noise", 7], ["dumping", 12]]).splitlines()
    ['  category   n', '  noise      7', '  dumping   12']
    """
    cells = [list(header), *([clean(cell, _WIDEST) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = (
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "\n".join(f"  {line}".rstrip() for line in lines)


def say(text: str) -> None:
    """Tell something on standard error."""
    typer.echo(text, err=True)


# ---------------------------------------------------------------------- results


def plain(value: Any) -> Any:
    """Values that JSON can hold: no NaN or infinity, no NumPy, no dates, and no passwords inside addresses.

    Examples
    --------
    >>> plain({"oe": float("nan"), "folds": (1, 2)})
    {'oe': None, 'folds': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        return plain(value.item())
    if isinstance(value, float) and math.isfinite(value):
        return value
    if value is None or isinstance(value, bool | int):
        return value
    missing = isinstance(value, float) or type(value).__name__ in {"NaTType", "NAType"}  # as pandas has it
    return None if missing else hide_secrets(str(value))


def hide_secrets(text: str) -> str:
    """The text with the passwords inside addresses replaced by ``***``.

    Examples
    --------
    >>> hide_secrets("see https://ana:hush@server/mlflow")
    'see https://ana:***@server/mlflow'
    """
    if "://" not in text:
        return text
    from tranquillite_ml.config.words import redact

    return str(redact(text))


def emit(
    values: Mapping[str, Any], *, as_json: bool, show: Callable[[Mapping[str, Any]], Iterator[str]]
) -> None:
    """Print a result: one line of JSON, or the lines that `show` makes of it."""
    if as_json:
        typer.echo(json.dumps(plain(values), allow_nan=False))
    else:
        typer.echo("\n".join(show(values)))


@contextmanager
def refusals(*, as_json: bool) -> Iterator[None]:
    """Where JSON is asked for, a gate's no is a result too: ``refused, reasons`` on standard output."""
    try:
        yield
    except GateError as error:
        if as_json:
            typer.echo(json.dumps(plain({"refused": True, "reasons": error.reasons}), allow_nan=False))
        raise


# ---------------------------------------------------------------------- errors


def exit_code(error: BaseException) -> int:
    """Tell on standard error what went wrong, and give the exit code that says it.

    0 done, whatever the verdict; 1 a failure of ours; 2 wrong usage or config; 3 input data refused; 4 a gate
    said no. Beside them, as shells have it: 130 interrupted, 141 nobody reads the output any more.
    """
    if isinstance(error, BrokenPipeError):
        _stop_writing()
        return PIPE_CLOSED
    if debugging():
        say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, KeyboardInterrupt):
        say(TOLD)
        keep_exit_code()
        return INTERRUPTED
    say(f"error: {_message(error)}")
    return error.exit_code if isinstance(error, TranquilliteError) else 1


def _message(error: BaseException) -> str:
    told = "\n".join(clean(line) for line in hide_secrets(str(error)).splitlines())
    if isinstance(error, TranquilliteError):
        return told
    if _disk_is_full(error):
        return "the disk is full. Make room and run the same command again: what is finished is kept."
    if isinstance(error, MemoryError):
        return (
            "there is not enough memory. A coarser grid (--set grid.resolution=8), longer time bins or fewer "
            "categories need less."
        )
    if isinstance(error, OSError) and error.strerror:
        where = f": {clean(error.filename)}" if error.filename else ""
        return f"{clean(error.strerror)}{where}"
    first = told.splitlines()[0] if told else ""
    why = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return f"unexpected, and a failure of ours ({why}). Run again with {DEBUG}=1 for the traceback."


def _disk_is_full(error: BaseException) -> bool:
    """Whether this error, or one that it came from, says so: libraries wrap it in their own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return True
        if any(text in str(seen) for text in _FULL):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _stop_writing() -> None:
    """Let nothing more be written: not by us, and not by Python when it ends."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
