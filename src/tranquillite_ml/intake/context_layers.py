"""The layers of context that a configuration names, each read once while its files stay as they are."""

from __future__ import annotations

import glob
import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tranquillite_ml.intake.context import Context, read_context

if TYPE_CHECKING:
    from tranquillite_ml.config import RunConfig


def read_layers(config: RunConfig, tz: str) -> dict[str, Context]:
    """Read the layers of a configuration, by name.

    Parameters
    ----------
    config : RunConfig
    tz : str
        Time zone of the layers that state none: the city's.

    Raises
    ------
    InputDataError
        If a layer cannot be used; see `read_context`.

    Examples
    --------
    >>> from tranquillite_ml.config import load_config
    >>> read_layers(load_config("smoke"), "Europe/Paris")
    {}
    """
    return {
        name: _read_layer(name, json.dumps(entry.model_dump(mode="json")), tz, _state_of(entry.path))
        for name, entry in config.context.items()
    }


@lru_cache(maxsize=32)
def _read_layer(name: str, described: str, tz: str, state: tuple[tuple[str, int, int], ...]) -> Context:
    del state  # a changed file is another key
    told = json.loads(described)
    told["columns"] = told["columns"] or None
    return read_context(told.pop("path"), name=name, tz=told.pop("tz") or tz, **told)


def _state_of(path: str) -> tuple[tuple[str, int, int], ...]:
    found = sorted(Path(name) for name in glob.glob(path, recursive=True))
    return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in found)
