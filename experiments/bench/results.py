"""Results of benches: kept as JSON in a folder, shown as a Markdown table."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import Bar, shown

HEADER = "| what | must reach | reached | in the same run | |\n|---|---|---|---|---|"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def make_rows(bars: Mapping[str, Bar], figures: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a bar, whether or not it was measured."""
    rows = []
    for key, bar in bars.items():
        found = figures.get(key, {"value": None, "beside": "", "note": "not measured"})
        verdict = bar.reached(found["value"])
        row = {"key": key, "what": bar.what, "unit": bar.unit, "must": bar.must, "elsewhere": bar.elsewhere}
        rows.append(row | {"reached": verdict} | dict(found))
    return rows


def line(row: Mapping[str, Any]) -> str:
    """A row as a line of the table."""
    value = "–" if row["value"] is None else f"{shown(row['value'])} {row['unit']}".strip()
    said = [row["beside"], row["note"], row["elsewhere"] and f"elsewhere: {row['elsewhere']}"]
    verdict = {None: "", True: "yes", False: "**no**"}[row["reached"]]
    cells = [row["what"], row["must"] or "–", value, "; ".join(part for part in said if part), verdict]
    return "| " + " | ".join(cells) + " |"


def save(folder: Path, name: str, found: Mapping[str, Any]) -> None:
    """Keep a bench's result, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.json.part"
    part.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(folder / f"{name}.json")


def page(folder: Path, order: Sequence[str]) -> str:
    """Table of all results kept in a folder, in the order of the benches, and where they were measured."""
    kept = [folder / f"{name}.json" for name in order]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in kept if path.exists()]
    lines = [HEADER, *(line(row) for bench in found for row in bench["rows"])]
    places = list(dict.fromkeys(bench["machine"] for bench in found))
    missed = [row for bench in found for row in bench["rows"] if row["reached"] is False]
    return "\n".join([*places, "", *lines, "", f"Rows that miss their bar: {len(missed)}."])


def machine() -> str:
    """Cores and versions a figure belongs to, without a name or a date."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    words = {1: "One CPU core", 2: "Two CPU cores"}
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pandas", "lightgbm"))
    return f"{words.get(cores or 0, f'{cores} CPU cores')}, Python {platform.python_version()}, {versions}."


def replace_figures(path: Path, text: str) -> None:
    """Put a table between the marks of a page."""
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def missed(rows: Iterable[Mapping[str, Any]]) -> int:
    """Rows below their bar."""
    return sum(row["reached"] is False for row in rows)
