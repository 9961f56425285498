"""The folder a fitted forecaster becomes: text, JSON and arrays, each with its SHA-256. Never pickle."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from tranquillite_ml.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Parts:
    """What a forecaster consists of, as data.

    Attributes
    ----------
    description : dict
        Plain values: the class's name, its parameters, target, calibrators.
    arrays : dict of str to ndarray
    texts : dict of str to str
        LightGBM models as text.
    context : mapping of str to Context
        Layers of context given on opening; never written.
    """

    description: dict[str, Any]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)


def sha256(content: bytes) -> str:
    """SHA-256 as hexadecimal.

    Examples
    --------
    >>> sha256(b"")[:12]
    'e3b0c44298fc'
    """
    return hashlib.sha256(content).hexdigest()


def write_manifest(folder: Path, extra: Mapping[str, Any]) -> None:
    """Hash every file of a folder into its manifest, written last: a folder without one is unfinished."""
    files = {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }
    text = json.dumps({"format": FORMAT, **extra, "files": files}, indent=1, sort_keys=True)
    partial = folder / f".{MANIFEST}.partial"
    partial.write_text(text, encoding="utf-8")
    partial.replace(folder / MANIFEST)


def check_manifest(folder: Path) -> dict[str, Any]:
    """Give the manifest of a folder whose files all are what it says.

    Raises
    ------
    BundleError
        If the manifest is missing, of another format, or a file is missing, added or changed.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        listed = dict(manifest["files"])
        known = manifest["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"{folder} has no readable {MANIFEST}: it is unfinished, or not ours ({error})."
        raise BundleError(msg) from error
    if not known:
        msg = f"{folder}: format {manifest['format']} is unknown to this version ({FORMAT})."
        raise BundleError(msg)
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {MANIFEST}
    if found != set(listed):
        msg = f"{folder}: files differ from the manifest: {sorted(found ^ set(listed))[:5]}."
        raise BundleError(msg)
    for name, digest in listed.items():
        if sha256((folder / name).read_bytes()) != digest:
            msg = f"{folder / name} has changed since it was saved: its SHA-256 is not the manifest's."
            raise BundleError(msg)
    return manifest


def write_parts(path: str | Path, parts: Parts) -> Path:
    """Write the parts as a bundle, through a temporary folder.

    Parameters
    ----------
    path : str or Path
        Folder to make; an older bundle there is replaced.
    parts : Parts
    """
    folder = Path(path)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    names = {name: f"text_{number}.txt" for number, name in enumerate(sorted(parts.texts))}
    for name, file in names.items():
        (partial / file).write_text(parts.texts[name], encoding="utf-8", newline="\n")
    buffer = io.BytesIO()
    np.savez(buffer, **parts.arrays)  # type: ignore[arg-type]
    (partial / "arrays.npz").write_bytes(buffer.getvalue())
    text = json.dumps(parts.description | {"texts": names}, indent=1, sort_keys=True)
    (partial / "forecaster.json").write_text(text, encoding="utf-8")
    write_manifest(partial, {"kind": "forecaster"})
    if folder.exists():
        shutil.rmtree(folder)
    partial.replace(folder)
    return folder


def read_parts(path: str | Path) -> Parts:
    """Read a bundle, after every file's hash has been checked.

    Raises
    ------
    BundleError
        If anything is missing, changed, or not what a bundle holds.
    """
    folder = Path(path)
    check_manifest(folder)
    try:
        description = json.loads((folder / "forecaster.json").read_text(encoding="utf-8"))
        names = description.pop("texts")
        listed = {p.name for p in folder.iterdir()}
        if not set(names.values()) <= listed:
            msg = f"{folder}: a text is missing."
            raise BundleError(msg)
        texts = {name: (folder / file).read_text(encoding="utf-8") for name, file in names.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        msg = f"{folder} is not a bundle of ours: {error}."
        raise BundleError(msg) from error
    return Parts(description, _arrays(folder / "arrays.npz"), texts)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read plain arrays of numbers; whatever else such a file may hold is refused, and not quoted."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, TypeError, RuntimeError, BadZipFile, zlib.error) as error:
        msg = f"{path} does not hold plain arrays: it is damaged, or not ours. Save the forecaster again."
        raise BundleError(msg) from error
