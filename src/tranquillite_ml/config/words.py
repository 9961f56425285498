"""How a configuration is put into words: errors an operator can act on, and values without their secrets."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from tranquillite_ml.errors import ConfigError, nearest

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

KeyPath = tuple[str | int, ...]
"""Where a value stands: ``("incidents", "categories", "burglary", 0)``."""

MAX_PROBLEMS = 10
"""Problems told at once; the rest are counted."""

HIDDEN = "***"
_SECRET_KEY = re.compile(
    r"password|passwd|passphrase|pwd|token|secret|credential|(?:^|[^a-z]|api|access|private)key$",
    re.IGNORECASE,
)
_URL_WITH_PASSWORD = re.compile(r"://([^\s:@/]*):.*@", re.DOTALL)
_URL_WITH_USER = re.compile(r"://[^\s:@/]+@")
_URL_QUERY = re.compile(r"([?&;][^=&;\s]*(?:password|pwd|token|secret|key)[^=&;\s]*=)[^&;\s]*", re.IGNORECASE)

_EXPECTED = {
    "missing": "a value, and there is none",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text (in quotes if it looks like something else)",
    "bool_type": "true or false",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "tuple_type": "a list, such as [a, b]",
    "list_type": "a list, such as [a, b]",
    "too_short": "at least {min_length} entry",
    "too_long": "at most {max_length} entries",
    "string_too_short": "text that is not empty",
    "string_too_long": "text of at most {max_length} characters",
    "greater_than_equal": "a number that is at least {ge}",
    "greater_than": "a number above {gt}",
    "less_than_equal": "a number that is at most {le}",
    "date_type": "a date such as 2018-01-05",
    "literal_error": "one of {expected}",
}


class KeyProblem(ValueError):  # noqa: N818 - pydantic turns it into its own error; it never reaches a caller
    """A refused value some keys below the section whose validator found it.

    Parameters
    ----------
    path : tuple of str
        Keys from the section down to the value.
    message : str
        What was expected and what came.
    """

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


def explain_errors(
    error: ValidationError, model: type[BaseModel], name: str, where: Callable[[KeyPath], str]
) -> ConfigError:
    """Pydantic's findings in an operator's words: file, line, key, what was expected, the nearest known key.

    Parameters
    ----------
    error : pydantic.ValidationError
        What pydantic found.
    model : type of BaseModel
        The model that was checked; its keys are the known ones.
    name : str
        The configuration, as the operator named it.
    where : callable from key path to str
        File and line of a key path.
    """
    found = error.errors(include_url=False)
    # A list is not also too short because its entries were refused.
    found = [e for e in found if e["type"] != "too_short" or not _has_below(e["loc"], found)]
    lines = [_problem(details, model, where) for details in found[:MAX_PROBLEMS]]
    if len(found) == 1:
        return ConfigError(lines[0])
    rest = len(found) - len(lines)
    lines += [f"… and {rest} more"] if rest else []
    return ConfigError(f"{name} has {len(found)} problems:\n  " + "\n  ".join(lines))


def _has_below(path: KeyPath, found: list[ErrorDetails]) -> bool:
    return any(len(e["loc"]) > len(path) and e["loc"][: len(path)] == path for e in found)


def _problem(details: ErrorDetails, model: type[BaseModel], where: Callable[[KeyPath], str]) -> str:
    path = tuple(part for part in details["loc"] if part != "[key]")
    kind = details["type"]
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, KeyProblem):
        path += cause.path
    if kind == "extra_forbidden":
        return f"{where(path)}: {_unknown_key(path, model)}"
    place = where(path)
    place = f"{place}: " if place.endswith(dotted(path)) else f"{place}: {dotted(path)}: "
    if kind == "value_error":
        return f"{place}{cause}"
    template = _EXPECTED.get(kind, details["msg"])
    expected = template.format(**details.get("ctx", {}))
    field = _field_at(path, model)
    meaning = f" ({field.description})" if field is not None and field.description else ""
    if kind == "missing":
        return f"{place}expected {expected}{meaning}."
    secret = any(is_secret(str(part)) for part in path)
    hint = (
        nearest(str(details["input"]), re.findall(r"'([^']*)'", expected)) if kind == "literal_error" else ""
    )
    return f"{place}expected {expected}{meaning}, got {shown(details['input'], secret)}.{hint}"


def _unknown_key(path: KeyPath, model: type[BaseModel]) -> str:
    """Which key is unknown, and which known one was probably meant, here or in another section."""
    section = _model_at(path[:-1], model)
    known = sorted(_keys(section)) if section is not None else []
    key, above = str(path[-1]), dotted(path[:-1])
    here = f"in {above}" if above else "at the top level"
    hint = nearest(key, known)
    if not hint:
        elsewhere = [p for p in _all_keys(model, ()) if p[-1] == key]
        hint = f" Did you mean {dotted(min(elsewhere, key=len))!r}?" if elsewhere else ""
    return f"unknown key {key!r} {here}.{hint} Known there: {', '.join(known)}."


def dotted(path: KeyPath) -> str:
    """A key path as it is written in messages.

    Examples
    --------
    >>> dotted(("incidents", "categories", "burglary", "from", 0))
    'incidents.categories.burglary.from[0]'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Fields by the key a file uses for them; reserved ones are not offered."""
    return {f.alias or name: f for name, f in model.model_fields.items() if not f.exclude}


def _all_keys(model: type[BaseModel], path: KeyPath) -> list[KeyPath]:
    found: list[KeyPath] = []
    for key, field in _keys(model).items():
        found.append((*path, key))
        below = _section(field.annotation)
        if below is not None:
            found += _all_keys(below, (*path, key))
    return found


def _options(annotation: Any) -> list[Any]:
    """Alternatives of an annotation, without None and Annotated."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [option for part in get_args(annotation) for option in _options(part)]
    return [] if annotation is type(None) else [annotation]


def _section(annotation: Any) -> type[BaseModel] | None:
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _walk(path: KeyPath, model: type[BaseModel]) -> tuple[FieldInfo | None, Any]:
    """The last field met on the way down a key path, and the annotation at its end."""
    field: FieldInfo | None = None
    annotation: Any = model
    for part in path:
        section = _section(annotation)
        containers = [o for o in _options(annotation) if get_origin(o) in (dict, tuple, list)]
        if section is not None:
            field = section.model_fields.get(str(part)) or _keys(section).get(str(part))
            annotation = None if field is None else field.annotation
        elif containers:
            arguments = get_args(containers[0])
            annotation = arguments[1] if get_origin(containers[0]) is dict else arguments[0]
        else:
            return field, None
    return field, annotation


def _field_at(path: KeyPath, model: type[BaseModel]) -> FieldInfo | None:
    return _walk(path, model)[0]


def _model_at(path: KeyPath, model: type[BaseModel]) -> type[BaseModel] | None:
    return _section(_walk(path, model)[1])


def shown(value: object, secret: bool = False) -> str:
    """A value as an error message may show it: short, on one line, without passwords.

    Examples
    --------
    >>> shown("postgresql://ana:hush@db/city")
    "'postgresql://ana:***@db/city'"
    """
    if secret:
        return HIDDEN
    text = repr(redact(value)) if value is not None and not isinstance(value, bool) else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def redact(value: Any, key: str = "") -> Any:
    """A copy without secrets: values of keys such as ``password`` or ``api_key``, and passwords inside URLs.

    Examples
    --------
    >>> redact({"uri": "https://ana:hush@server/", "token": "abc", "folds": 13})
    {'uri': 'https://ana:***@server/', 'token': '***', 'folds': 13}
    """
    if value is not None and is_secret(key):
        return HIDDEN
    if isinstance(value, Mapping):
        return {k: redact(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact(v) for v in value]
    if isinstance(value, str):
        value = _URL_WITH_PASSWORD.sub(rf"://\1:{HIDDEN}@", value)
        value = _URL_WITH_USER.sub(f"://{HIDDEN}@", value)
        return _URL_QUERY.sub(rf"\1{HIDDEN}", value)
    return value


def is_secret(key: str) -> bool:
    """Whether the value of a key of this name must not be shown.

    Examples
    --------
    >>> is_secret("db_password"), is_secret("api_key"), is_secret("monkey")
    (True, True, False)
    """
    return _SECRET_KEY.search(key) is not None


def flatten(values: Mapping[str, Any]) -> dict[str, str]:
    """Dotted keys and text values, as MLflow's parameters want them: lists as JSON, secrets hidden.

    Characters that MLflow refuses in a key become ``_``; keys that would then collide are numbered.

    Examples
    --------
    >>> flatten({"grid": {"resolution": 9}, "forecast": {"horizons": [1, 2]}, "token": "abc"})
    {'grid.resolution': '9', 'forecast.horizons': '[1, 2]', 'token': '***'}
    """
    flat: dict[str, str] = {}
    for path, value in _leaves(redact(values), ()):
        key = base = ".".join(re.sub(r"[^\w\- ]", "_", part) or "_" for part in path)
        number = 1
        while key in flat:
            number += 1
            key = f"{base}_{number}"
        flat[key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return flat


def _leaves(values: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    leaves: list[tuple[tuple[str, ...], Any]] = []
    for key, value in values.items():
        below = (*path, str(key))
        leaves += _leaves(value, below) if isinstance(value, dict) and value else [(below, value)]
    return leaves
