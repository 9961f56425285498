"""The note that `fetch` leaves beside a file: where it came from, and under what licence."""

from __future__ import annotations

import json
from pathlib import Path

NOTE = ".source.json"
_KEPT = ("licence", "attribution", "address", "fetched_at")


def note_path(path: str | Path) -> Path:
    """Where the note of a file is.

    Examples
    --------
    >>> note_path("weather.csv").name
    'weather.csv.source.json'
    """
    return Path(f"{path}{NOTE}")


def read_note(path: str | Path) -> dict[str, str]:
    """What the note of a file says: ``licence, attribution, address, fetched_at``; empty where there is none.

    Examples
    --------
    >>> read_note("typed-in-by-hand.csv")
    {}
    """
    try:
        said = json.loads(note_path(path).read_bytes())
        return {name: str(said[name]) for name in _KEPT if said.get(name)}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
