"""The folder of a run: who it is, what is finished in it, and how its files are written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from tranquillite_ml.bundle import MANIFEST, check_manifest, sha256, write_manifest
from tranquillite_ml.errors import BundleError, UsageError

SUMMARY = "summary.json"
INTAKE = "intake.json"


SOURCES = frozenset({".py", ".j2", ".css", ".js", ".json", ".yaml"})
"""Endings of the files that decide what a run computes and what its report says."""


@cache
def package_digest() -> str:
    """SHA-256 over this package, its code, templates and texts: what made a run and its report."""
    return source_digest(Path(__file__).parent)


def source_digest(root: Path) -> str:
    """SHA-256 over the names and contents of a package's sources; see `SOURCES`.

    Ready configurations are left out: a checkout has them elsewhere, and a run's identity holds its own.
    """
    state = hashlib.sha256()
    for path in sorted(root.rglob("*"), key=lambda path: path.relative_to(root).parts):
        parts = path.relative_to(root).parts
        if path.suffix in SOURCES and parts[0] != "configs" and path.is_file():
            state.update("/".join(parts).encode())
            state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def run_identity(config_digest: str, input_digest: str) -> str:
    """Digest of config, inputs and package: the same identity is the same run.

    Examples
    --------
    >>> run_identity("a", "b") == run_identity("a", "b"), len(run_identity("a", "b"))
    (True, 64)
    """
    return sha256("\n".join([config_digest, input_digest, package_digest()]).encode())


class RunFolder:
    """Writes a run's files through temporary names; the manifest, written last, is the commit point.

    Parameters
    ----------
    output : str or Path
        Folder of all runs.
    run_id : str
    """

    def __init__(self, output: str | Path, run_id: str) -> None:
        self.output = Path(output)
        self.run_id = run_id
        self.path = self.output / run_id

    def prepare(self) -> None:
        """Make the folder.

        Raises
        ------
        UsageError
            If it cannot be written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / ".probe"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            msg = f"the output folder {self.path} cannot be written to ({error.strerror}): set `output:`."
            raise UsageError(msg) from error

    @property
    def finished(self) -> bool:
        """Whether the run is complete and unchanged; a folder without manifest is never read as a result."""
        if not (self.path / MANIFEST).exists():
            return False
        check_manifest(self.path)
        return True

    def summary(self) -> dict[str, Any]:
        """What a finished run said at its end.

        Raises
        ------
        BundleError
            If the run is unfinished or changed.
        """
        if not self.finished:
            msg = f"{self.path} is an unfinished run: run the same config again to finish it."
            raise BundleError(msg)
        found: dict[str, Any] = json.loads((self.path / SUMMARY).read_text(encoding="utf-8"))
        return found

    def intake(self) -> dict[str, Any]:
        """What the run said of its inputs and configuration; empty if it did not get that far."""
        path = self.path / INTAKE
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}

    def file(self, name: str) -> Path:
        """Path of one of the run's files; its folder exists."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file through a temporary name."""
        path = self.file(name)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
        return path

    def write_json(self, name: str, values: Mapping[str, Any]) -> Path:
        """Write plain values as JSON; NaN becomes null."""
        return self.write_text(name, json.dumps(plain(values), indent=1, allow_nan=False))

    def write_table(self, name: str, table: pd.DataFrame) -> Path:
        """Write a table as CSV, with cells that a spreadsheet would run as a formula made harmless."""
        texts = [column for column in table if not pd.api.types.is_numeric_dtype(table[column].dtype)]
        safe = table.assign(**{str(column): table[column].astype(object).map(_safe) for column in texts})
        return self.write_text(name, safe.to_csv(index=False, float_format="%.9g"))

    def commit(self, summary: Mapping[str, Any]) -> None:
        """Write the summary and then the manifest: from here on the run is a result."""
        for left in self.path.rglob(".*.partial"):
            left.unlink()
        self.write_json(SUMMARY, summary)
        write_manifest(self.path, {"kind": "run", "run_id": self.run_id})


def harmless(text: str) -> str:
    """Text on one line that a spreadsheet shows instead of running as a formula.

    Examples
    --------
    >>> harmless("=1+1"), harmless("noise")
    ("'=1+1", 'noise')
    """
    line = " ".join(text.splitlines())
    return f"'{line}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else line


def _safe(value: Any) -> Any:
    return harmless(value) if isinstance(value, str) else value


def plain(value: Any) -> Any:
    """Values that JSON can hold: NaN and infinity as null, NumPy numbers as numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str):
        return plain(value.item())
    if isinstance(value, float) and (value != value or value in {float("inf"), float("-inf")}):  # noqa: PLR0124
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
