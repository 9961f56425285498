"""Strict YAML for run configurations: what is read and what is refused.

A configuration is written by hand, so a slip must be found and named rather than guessed around: duplicate
keys are refused with their line. It is also a door into the program, so only plain mappings, lists and
scalars pass: no tags (``!!python/object``), no anchors or aliases (a few lines of them expand to gigabytes),
no file above 1 MB.

Scalars follow YAML 1.2's JSON rules, not YAML 1.1: ``NO`` is Norway and not false, ``12:30`` is not 750,
``007`` keeps its zeros, ``1e-3`` is a number, and a date stays text until a field asks for a date.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from tranquillite_ml.config.words import KeyPath, shown
from tranquillite_ml.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_VALUES = 20_000

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class ConfigSource:
    """The plain values of a configuration, and where each of them was written.

    Parameters
    ----------
    values : dict
        Nested dicts, lists and scalars, as written.
    places : dict of key path to str
        ``"line 12"`` or ``"--set grid.resolution"`` for each key path.
    name : str
        The file, as the operator named it.
    """

    values: dict[str, Any]
    places: dict[KeyPath, str]
    name: str

    def where(self, path: KeyPath) -> str:
        r"""File and line of a key path, or of the nearest key above it.

        Examples
        --------
        >>> parse_yaml("grid:\n  resolution: 9", "run.yaml").where(("grid", "resolution"))
        'run.yaml, line 2'
        """
        for end in range(len(path), 0, -1):
            place = self.places.get(path[:end])
            if place is not None:
                return f"{self.name}, {place}"
        return self.name


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that composes plain nodes only, and stops at the first anchor, alias, tag or flood."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            msg = "anchors (&name) and aliases (*name) are not accepted. Write the value out in each place"
            raise yaml.MarkedYAMLError(problem=msg, problem_mark=event.start_mark)
        if event.tag is not None:
            tag = shown(event.tag.replace(_TAG, "!!"))
            msg = f"tags are not accepted, got {tag}. Write plain values, lists and mappings"
            raise yaml.MarkedYAMLError(problem=msg, problem_mark=event.start_mark)
        self.depth, self.values = self.depth + 1, self.values + 1
        if self.depth > MAX_DEPTH or self.values > MAX_VALUES:
            msg = f"a configuration holds at most {MAX_VALUES} values, nested at most {MAX_DEPTH} deep"
            raise yaml.MarkedYAMLError(problem=msg, problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_RESOLVERS = {
    "null": (r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    "bool": (r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
    "int": (r"-?(?:0|[1-9][0-9]{0,17})", list("-0123456789")),
    "float": (
        r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)",
        list("-0123456789"),
    ),
}


class _PlainDumper(yaml.SafeDumper):
    """A SafeDumper that quotes whatever either YAML 1.1 or the reader above would not take as text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


# Emptied, so that none of YAML 1.1's rules (yes/no, octal, base 60, timestamps, merge keys) are inherited.
_StrictLoader.yaml_implicit_resolvers = {}
for _name, (_pattern, _first) in _RESOLVERS.items():
    _StrictLoader.add_implicit_resolver(_TAG + _name, re.compile(f"^{_pattern}$"), _first)
    _PlainDumper.add_implicit_resolver(_TAG + _name, re.compile(f"^{_pattern}$"), _first)


def read_yaml(path: Path, name: str) -> ConfigSource:
    """Read one configuration file.

    Raises
    ------
    ConfigError
        If it cannot be read, is larger than 1 MB, is not UTF-8, or is refused by `parse_yaml`.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        msg = f"{name}: the configuration cannot be read ({getattr(error, 'strerror', None) or error})."
        raise ConfigError(msg) from error
    if len(raw) > MAX_BYTES:
        msg = f"{name}: a configuration has at most {MAX_BYTES:,} bytes; this file is larger."
        raise ConfigError(msg)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        msg = f"{name}, line {line}: expected UTF-8 text, got byte 0x{raw[error.start]:02x}. Save as UTF-8."
        raise ConfigError(msg) from error
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str = "text") -> ConfigSource:
    r"""Values of a YAML text whose top level is a mapping, with the line of each.

    Raises
    ------
    ConfigError
        If the text is not YAML, or holds anchors, aliases, tags, duplicate keys, keys that are not text, or
        control characters.

    Examples
    --------
    >>> parse_yaml("grid: {resolution: 9}").values
    {'grid': {'resolution': 9}}
    >>> parse_yaml("seed: 0\nseed: 1")
    Traceback (most recent call last):
    tranquillite_ml.errors.ConfigError: text, line 2: the key 'seed' is given twice (first in line 1).
    """
    places: dict[KeyPath, str] = {}
    values = _parse(text, name, places)
    if not isinstance(values, dict):
        what = "is empty" if values is None else f"holds {shown(values)}"
        msg = f"{name}: expected a mapping (key: value) at the top level, but the configuration {what}."
        raise ConfigError(msg)
    return ConfigSource(values, places, name)


def _parse(text: str, name: str, places: dict[KeyPath, str]) -> Any:
    """Any YAML value; YAML errors become ConfigErrors with a line."""
    try:
        loader = _StrictLoader(text)
        node = loader.get_single_node()
        return None if node is None else _build(node, (), places)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = "" if mark is None else f", line {mark.line + 1}"
        problem = error.problem or "not valid YAML"
        if error.context and problem.startswith("but "):
            problem = f"{error.context}, {problem}"
        msg = f"{name}{place}: {problem.rstrip('.')}."
        raise ConfigError(msg) from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        msg = f"{name}, line {line}: the character {error.character!r} is not allowed in YAML."
        raise ConfigError(msg) from error


def _build(node: yaml.Node, path: KeyPath, places: dict[KeyPath, str]) -> Any:
    places.setdefault(path, f"line {node.start_mark.line + 1}")
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(node, path, places)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, i), places) for i, item in enumerate(node.value)]
    return _build_scalar(node)


def _build_mapping(node: yaml.MappingNode, path: KeyPath, places: dict[KeyPath, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _build_scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            what = shown(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "a list or a mapping"
            msg = f"keys are text, got {what}. Put it in quotes if it is meant as a name"
            raise yaml.MarkedYAMLError(problem=msg, problem_mark=key_node.start_mark)
        if key in values:
            first = places[(*path, key)]
            msg = f"the key {key!r} is given twice (first in {first})"
            raise yaml.MarkedYAMLError(problem=msg, problem_mark=key_node.start_mark)
        places[(*path, key)] = f"line {key_node.start_mark.line + 1}"
        values[key] = _build(value_node, (*path, key), places)
    return values


def _build_scalar(node: yaml.Node) -> str | int | float | bool | None:
    text: str = node.value
    kind = node.tag.removeprefix(_TAG)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text)
    if kind == "float":
        if not math.isfinite(float(text)):
            raise yaml.MarkedYAMLError(problem=f"{shown(text)} is too large", problem_mark=node.start_mark)
        return float(text)
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n" for c in text):
        msg = f"text without control characters is expected, got {shown(text)}"
        raise yaml.MarkedYAMLError(problem=msg, problem_mark=node.start_mark)
    return text


def apply_overrides(source: ConfigSource, overrides: Sequence[str]) -> ConfigSource:
    """The configuration with ``key.path=value`` settings laid over it, in their order.

    Values are YAML: ``grid.resolution=8``, ``forecast.horizons=[1, 2]``, ``grid.study_area=null``. An unknown
    key is found when the whole configuration is checked, like one in the file.

    Raises
    ------
    ConfigError
        If a setting has no ``=``, or leads through a value that is not a mapping.

    Examples
    --------
    >>> apply_overrides(parse_yaml("grid: {resolution: 9}"), ["grid.resolution=8"]).values
    {'grid': {'resolution': 8}}
    """
    for text in overrides:
        source = _override(source, text)
    return source


def _override(source: ConfigSource, text: str) -> ConfigSource:
    key, equals, value_text = text.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not all(path):
        msg = f"--set expects key.path=value, such as grid.resolution=8, got {shown(key.strip())}."
        raise ConfigError(msg)
    place = f"--set {'.'.join(path)}"
    value = _parse(value_text, place, {})
    values = dict(source.values)
    level = values
    for depth, part in enumerate(path[:-1], start=1):
        below = level.get(part)
        if below is not None and not isinstance(below, dict):
            here = ".".join(path[:depth])
            msg = f"{place}: {here} is {shown(below)}, not a mapping. Set {here} as a whole."
            raise ConfigError(msg)
        level[part] = dict(below or {})
        level = level[part]
    level[path[-1]] = value
    kept = {k: v for k, v in source.places.items() if k[: len(path)] != path}
    above = {path[:depth]: place for depth in range(1, len(path) + 1)}  # sections that this setting creates
    return replace(source, values=values, places=above | kept | {path: place})


def to_yaml(values: Mapping[str, Any]) -> str:
    r"""YAML of plain values, in their order, which `parse_yaml` reads back unchanged.

    Examples
    --------
    >>> to_yaml({"calendar": {"country": "NO"}})
    "calendar:\n  country: 'NO'\n"
    """
    return yaml.dump(dict(values), Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=110)
