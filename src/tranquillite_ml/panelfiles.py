"""A panel as a folder: arrays that are mapped into memory, and one JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import BundleError
from tranquillite_ml.records import COLUMNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 2


def write_panel(folder: Path, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays and the header that describes them.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    header : mapping
        Plain values.
    arrays : mapping of str to ndarray
        By name of the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(values))
    (folder / "panel.json").write_text(json.dumps(header, indent=1), encoding="utf-8")


def read_panel(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `write_panel` wrote; the arrays stay on disk until they are used.

    Raises
    ------
    BundleError
        If a part is missing, or the format is unknown.
    """
    try:
        header = json.loads((folder / "panel.json").read_text(encoding="utf-8"))
        if header["format"] != FORMAT:
            msg = f"{folder}: panel format {header['format']} is unknown to this version ({FORMAT})."
            raise BundleError(msg)
        names = [*COLUMNS, "keys", "outside", *(f"moved_{name}" for name in COLUMNS if header.get("moved"))]
        arrays: dict[str, NDArray[Any]] = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names
        }
        arrays["cells"] = np.load(folder / "cells.npy", allow_pickle=False)
    except (OSError, ValueError, KeyError) as error:
        msg = f"{folder} is not a complete saved panel: {error}."
        raise BundleError(msg) from error
    return header, arrays
