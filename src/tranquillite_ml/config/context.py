"""The section of a configuration that names the city's other records: weather, holidays, events, places."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tranquillite_ml.config.values import FilePath, Section, Text
from tranquillite_ml.config.words import shown

LayerColumn = Literal["valid_from", "valid_to", "known_at", "issued_at", "lat", "lng", "type", "attendance"]


def _check_layer_name(value: str) -> str:
    if not value.isidentifier():
        msg = f"expected letters, digits and underscores, such as weather, got {shown(value)}."
        raise ValueError(msg)
    return value


class LayerConfig(Section):
    """One layer of context: where it is, what it is, and when its rows were known (see `read_context`)."""

    path: FilePath = Field(description="a file or a glob")
    kind: Literal["series", "calendar", "events", "points", "lines", "areas", "operations"]
    tz: Text | None = Field(default=None, description="time zone of its times; the city's when left out")
    columns: dict[LayerColumn, Text] = Field(default={}, description="our name: the file's column")
    values: tuple[Text, ...] | None = Field(default=None, description="columns of numbers to keep")
    known: Text | None = Field(default=None, description="such as '6h after end' or '7D before start'")
    crs: Text | None = Field(default=None, description="such as EPSG:2154, where the file states none")
    drop_columns: tuple[Text, ...] = Field(default=(), description="columns that are never loaded")
    time_format: Text | None = Field(default=None, description="such as %d/%m/%Y %H:%M")


Layers = Annotated[
    dict[Annotated[Text, AfterValidator(_check_layer_name)], LayerConfig],
    AfterValidator(lambda layers: dict(sorted(layers.items()))),
]
"""Layers by name."""
