"""Write the pages made from the code: `docs/api.md` from the public names, `data/README.md` from the tables.

`make docs` runs it; the tests fail while a page differs from what it would write.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import tranquillite_ml as tq
from tranquillite_ml.schema import ABOUT, SCHEMA_VERSION, TABLES, describe

ROOT = Path(__file__).parents[1]
MADE = "*Made from the code by `make docs`: change the docstring, not this page.*"


def pages() -> dict[str, str]:
    """Text of each page by its path from the project's root."""
    made = {"docs/api.md": api(), "data/README.md": dictionary()}
    return {path: "\n".join(lines) + "\n" for path, lines in made.items()}


def api() -> Iterator[str]:
    """Lines of the page of public names, room by room."""
    yield "# Public names"
    yield f"\n{MADE}"
    yield "\nEach is found at the top: `import tranquillite_ml as tq`, then `tq.score`. `help(tq.score)` says"
    yield "all of it, with parameters, errors, sources of formulas and an example that runs."
    homes = tq._HOMES  # noqa: SLF001 - the only list of where each public name lives
    rooms = {home: [name for name in sorted(homes) if homes[name] == home] for home in sorted(homes.values())}
    for room, names in rooms.items():
        yield from _heading(room)
        for name in names:
            yield from _entry(getattr(tq, name), name)
    for room in ("plots", "errors"):
        yield from _heading(room)
        yield ""
        module = getattr(tq, room)
        for name in sorted(getattr(module, "__all__", None) or _classes(module)):
            value = getattr(module, name)
            yield f"- `{room}.{_call(value, name)}`: {_first(value)}"


def dictionary() -> Iterator[str]:
    """Lines of the data dictionary: each column with its unit, who makes it, and whether it is personal."""
    yield f"# Data dictionary\n\n{MADE}"
    yield "\nNo data are shipped. A city may keep its files in this folder: only this page is versioned."
    yield "How files, databases and portals are read: [docs/sources.md](../docs/sources.md)."
    yield f"\nSchema version {SCHEMA_VERSION}. `tranquillite schema TABLE` prints the same."
    yield "\n**Made by**: the `publisher` of the records, our `reading` of them, or a `model`."
    yield "**Personal**: `no`, or `indirectly` where the place and time of one record can point at a person,"
    yield "joined with what somebody else knows. Columns that describe persons (names, dates of birth,"
    yield "telephone and plate numbers, …) are in no table: reading stops at them."
    for table in TABLES:
        yield f"\n## {table}"
        yield f"\n{ABOUT[table]}"
        yield "\n| column | type and unit | meaning | made by | personal |\n|---|---|---|---|---|"
        for row in describe(table).itertuples():
            yield f"| `{row.column}` | {row.type} | {row.meaning} | {row.made_by} | {row.personal} |"


def _heading(room: str) -> Iterator[str]:
    yield f"\n## {room}"
    yield f"\n{_first(import_module(f'tranquillite_ml.{room}'))}"


def _entry(value: Any, name: str) -> Iterator[str]:
    """A name with its call and what it is; of a class also its own public methods and properties."""
    yield f"\n### {name}"
    yield f"\n```\n{_call(value, name)}\n```"
    yield f"\n{_first(value)}"
    if inspect.isclass(value):
        members = [
            f"- `{_call(member, key)}`: {_first(member)}"
            for key in dir(value)
            if (member := _member(value, key)) is not None
        ]
        if members:
            yield ""
            yield from members


def _member(owner: type, key: str) -> Any:
    """A public, documented member: not inherited from elsewhere, nor from a class that is listed itself."""
    home = next((base for base in owner.__mro__ if key in vars(base)), owner)
    if home is not owner and home.__name__ in tq.__all__:
        return None
    value = getattr(owner, key)
    ours = home.__module__.startswith("tranquillite_ml") and not key.startswith("_")
    shows = inspect.isroutine(value) or isinstance(inspect.getattr_static(owner, key), property)
    return value if ours and shows and value.__doc__ else None


def _classes(module: Any) -> list[str]:
    made_there = [
        value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__
    ]
    return [value.__name__ for value in made_there if inspect.isclass(value)]


class _Shown:
    """A default that is a function or class, by its name."""

    def __init__(self, value: Any) -> None:
        self.name = value.__name__

    def __repr__(self) -> str:
        return self.name


def _call(value: Any, name: str) -> str:
    """How it is called: parameters and defaults, without types."""
    if not callable(value):
        return name
    if inspect.isclass(value) and issubclass(value, BaseException):
        return name
    signature = inspect.signature(value)
    bare = []
    for parameter in signature.parameters.values():
        if parameter.name in {"self", "cls"}:
            continue
        default = _Shown(parameter.default) if hasattr(parameter.default, "__name__") else parameter.default
        default = parameter.empty if parameter.default is parameter.empty else default
        bare.append(parameter.replace(annotation=parameter.empty, default=default))
    return f"{name}{signature.replace(parameters=bare, return_annotation=signature.empty)}"


def _first(value: Any) -> str:
    """First paragraph of a docstring, on one line."""
    text = (inspect.getdoc(value) or "").split("\n\n")[0]
    return " ".join(text.split()).replace("``", "`")


if __name__ == "__main__":
    for path, text in pages().items():
        (ROOT / path).write_text(text, encoding="utf-8")
