"""What can go wrong, as a tree.

::

    TranquilliteError
    ├── UsageError            a wrong argument or a wrong order of calls            (exit code 2)
    │   ├── ConfigError       a key or value in a run's YAML
    │   ├── NotFittedError    `forecast` before `fit`
    │   └── NotSaveableError  a forecaster that only pickle could write
    ├── InputDataError        incidents or context that cannot be used              (exit code 3)
    │   ├── PersonLevelDataError   a column that describes persons
    │   └── LookAheadError    a value that was not known at the cutoff
    ├── BundleError           a saved model or panel that is incomplete or changed  (exit code 3)
    └── GateError             a gate said no                                        (exit code 4)

    DataWarning               something in the data deserves a look; nothing is lost
    ForecastWarning           a forecast was made, but with less than it should have had

Every message says what was expected, what came, where, and how to mend it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

_MOST_OPTIONS = 12


class TranquilliteError(Exception):
    """Base of every error this package raises on purpose; `exit_code` is what the command line returns."""

    exit_code: ClassVar[int] = 1


class UsageError(TranquilliteError, ValueError):
    """A wrong argument, or calls in the wrong order."""

    exit_code = 2


class ConfigError(UsageError):
    """A key or a value in a run's configuration that cannot be used."""


class NotFittedError(UsageError):
    """A forecaster was asked to forecast before it was fitted."""


class NotSaveableError(UsageError):
    """A forecaster that could only be written with pickle, which this package never uses."""


class InputDataError(TranquilliteError, ValueError):
    """Input data that cannot be used as it is."""

    exit_code = 3


class PersonLevelDataError(InputDataError):
    """The input holds a column that describes persons. Such columns are never loaded."""


class LookAheadError(InputDataError):
    """A value would have been used before it was known."""


class BundleError(TranquilliteError):
    """A saved model, panel or run is incomplete, changed, or from an unknown version."""

    exit_code = 3


class GateError(TranquilliteError):
    """A gate said no: the reasons are in the message, and in `reasons` one by one."""

    exit_code = 4

    def __init__(self, message: str, reasons: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.reasons = tuple(reasons) or (message,)


class DataWarning(UserWarning):
    """Something in the data deserves a look. Nothing was lost."""


class ForecastWarning(UserWarning):
    """A forecast was made, but with less than it should have had."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Name the known word nearest to a misspelt one, as the end of a sentence.

    Examples
    --------
    >>> nearest("resoluton", ["resolution", "study_area"])
    " Did you mean 'resolution'?"
    >>> nearest("zzz", ["resolution"])
    ''
    """
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {found[0]!r}?" if found else ""


def check_in(value: str, options: Iterable[str], name: str) -> str:
    """Return `value` if it is one of `options`, else say which ones there are.

    Raises
    ------
    UsageError
        If `value` is not one of `options`.

    Examples
    --------
    >>> check_in("keep", ["flag", "drop", "keep"], "duplicates")
    'keep'
    """
    known = list(options)
    if value in known:
        return value
    others = len(known) - _MOST_OPTIONS
    listed = f"{known[:_MOST_OPTIONS]} and {others} others" if others > 0 else str(known)
    msg = f"{name} must be one of {listed}, got {value!r}.{nearest(str(value), known)}"
    raise UsageError(msg)


def check_file(path: str | Path, holds: str) -> Path:
    """Give a path back, if there is a file.

    Parameters
    ----------
    path : path
    holds : str
        What the file must hold, for the error.

    Raises
    ------
    InputDataError
        If nothing is there, or a folder.

    Examples
    --------
    >>> check_file("gone.npz", "a tensor of counts")
    Traceback (most recent call last):
    tranquillite_ml.errors.InputDataError: gone.npz does not exist: give a file with a tensor of counts.
    """
    found = Path(path)
    if found.is_file():
        return found
    if not found.is_dir():
        msg = f"{path} does not exist: give a file with {holds}."
        raise InputDataError(msg)
    names = sorted(one.name for one in found.iterdir() if one.is_file())
    inside = f" It holds {', '.join(names[:5])}{' …' if len(names) > 5 else ''}." if names else ""
    msg = f"{path} is a folder: give a file with {holds}.{inside}"
    raise InputDataError(msg)


def check_kind(value: Any, kind: type | tuple[type, ...], name: str, mend: str) -> Any:
    """Return `value` if it is of a kind, else say what came instead and how the right one is made.

    Raises
    ------
    UsageError
        If it is of another kind.

    Examples
    --------
    >>> check_kind("week", int, "period", "Count bins: 7 is a week.")
    Traceback (most recent call last):
    tranquillite_ml.errors.UsageError: period must be an int, got str. Count bins: 7 is a week.
    """
    if isinstance(value, kind):
        return value
    kinds = [one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,))]
    wanted = " or ".join(f"{'an' if one[0] in 'AEIOUaeiou' else 'a'} {one}" for one in kinds)
    came = f"the class {value.__name__} itself" if isinstance(value, type) else type(value).__name__
    msg = f"{name} must be {wanted}, got {came}. {mend}"
    raise UsageError(msg)


def is_whole(value: object) -> bool:
    """Whether a value is a whole number; truth values are not.

    Examples
    --------
    >>> is_whole(7), is_whole(7.0), is_whole(True)
    (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a value is a finite number; truth values are not.

    Examples
    --------
    >>> is_number(0.5), is_number("0.5"), is_number(float("nan"))
    (True, False, False)
    """
    return not isinstance(value, bool) and isinstance(value, Real) and isfinite(value)


def positive_numbers(values: object) -> tuple[Any, ...] | None:
    """Give several values as a tuple if each is a finite number above 0, else None; a text is none.

    Examples
    --------
    >>> positive_numbers([7, 0.5]), positive_numbers([7, 0]), positive_numbers(7), positive_numbers("7")
    ((7, 0.5), None, None, None)
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        return None
    several = tuple(values)
    return several if all(is_number(one) and one > 0 for one in several) else None
