"""Layers made of files: the squares of INSEE's grids, and the points of an OpenStreetMap extract."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.portals.dataset import Dataset, Row

if TYPE_CHECKING:
    from tranquillite_ml.portals.police_uk import Box

_SQUARE = r"CRS3035RES(?P<size>\d+)mN(?P<north>\d+)E(?P<east>\d+)"
_INSTALL = "reading OpenStreetMap extracts needs osmium: `pip install 'tranquillite-ml[osm]'`."
OSM_TYPES: Mapping[str, tuple[str, ...]] = {
    "bar": ("amenity=bar", "amenity=pub", "amenity=nightclub"),
    "school": ("amenity=school", "amenity=kindergarten", "amenity=college"),
    "station": ("railway=station", "station=subway"),
    "stop": ("highway=bus_stop", "railway=tram_stop"),
    "shop": ("shop=*",),
    "parking": ("amenity=parking",),
    "park": ("leisure=park",),
}
"""What a type of place is called in OpenStreetMap: ``key=value``, or ``key=*`` for any value."""


def insee_squares(
    path: Path, output: Path, *, columns: Sequence[str] = ("Ind", "Men"), box: Box | None = None
) -> tuple[Dataset, int]:
    """Write squares of an INSEE grid file as GeoParquet in its own coordinates (EPSG:3035).

    A square's identifier says where it lies: ``CRS3035RES200mN2280000E3960000`` is the square of 200 m whose
    south-west corner is there.

    Parameters
    ----------
    path : Path
        CSV with a column of identifiers.
    output : Path
        Ends in ``.parquet``.
    columns : sequence of str
        Numbers to keep: by default inhabitants and households.
    box : tuple of float, optional
        South, west, north, east in degrees: squares that touch it are kept.

    Raises
    ------
    InputDataError
        If the file holds no such identifiers, or lacks a column.
    UsageError
        If the output ends otherwise.
    """
    import geopandas as gpd
    import pandas as pd
    import shapely

    from tranquillite_ml.intake.files import reading

    if output.suffix.lower() not in {".parquet", ".geoparquet"}:
        msg = f"--output: expected a file that ends in .parquet, got {output.name!r}."
        raise UsageError(msg)
    with reading(path, "not a CSV file; unpack an archive first"):
        head = pd.read_csv(path, nrows=100, dtype=str)
        key = next(
            (n for n in head if head[n].dropna().astype(str).str.fullmatch(_SQUARE).all() and len(head)), None
        )
        absent = [name for name in columns if name not in head]
        if key is None or absent:
            msg = (
                f"{path.name} has no column of squares (CRS3035RES…), or lacks {absent}: its columns changed."
            )
            raise InputDataError(msg)
        table = pd.read_csv(path, usecols=[key, *columns], dtype={key: str})
    corners = table[key].str.extract(_SQUARE)
    if corners.isna().any(axis=None):
        msg = f"{path.name}, column {key!r}: {int(corners['size'].isna().sum())} rows name no square."
        raise InputDataError(msg)
    size, south, west = (corners[name].astype(float).to_numpy() for name in ("size", "north", "east"))
    squares = shapely.box(west, south, west + size, south + size)
    frame = gpd.GeoDataFrame(table[list(columns)], geometry=squares, crs="EPSG:3035")
    if box is not None:
        wanted = gpd.GeoSeries([shapely.box(box[1], box[0], box[3], box[2])], crs="EPSG:4326").to_crs(
            "EPSG:3035"
        )
        frame = frame[frame.intersects(wanted.iloc[0])].reset_index(drop=True)
    if len(frame) == 0:
        msg = f"{path.name} has no squares in the box."
        raise InputDataError(msg)
    partial = output.with_name(f".{output.name}.partial")
    output.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(partial)
    partial.replace(output)
    said = dict.fromkeys(columns, "number")
    return Dataset("INSEE grid", "Licence Ouverte 2.0", "INSEE", said, len(frame), ""), len(frame)  # type: ignore[arg-type]


@dataclass
class OsmPoints:
    """Points of an OpenStreetMap extract (``.osm.pbf``): nodes, and the middle of closed ways.

    Neither names nor any other tag is kept: only the type and the place.

    Parameters
    ----------
    path : Path
    types : mapping of str to sequence of str
        Our type → ``key=value``; the first that fits a place is its type.
    """

    path: Path
    types: Mapping[str, Sequence[str]]

    def describe(self) -> Dataset:
        """Type and place; the licence is OpenStreetMap's.

        Raises
        ------
        UsageError
            If osmium is not installed.
        """
        try:
            import osmium  # noqa: F401
        except ImportError as error:
            raise UsageError(_INSTALL) from error
        by = "© OpenStreetMap contributors"
        return Dataset(
            "OpenStreetMap extract",
            "ODbL 1.0",
            by,
            {"type": "text", "lat": "number", "lng": "number"},
            None,
            "",
        )

    def pages(self, dataset: Dataset) -> Iterator[Sequence[Row]]:
        """Places, as the extract has them."""
        import osmium

        rules = [(ours, *rule.split("=", 1)) for ours, theirs in self.types.items() for rule in theirs]
        keys = osmium.filter.KeyFilter(*sorted({key for _, key, _ in rules}))
        rows: list[Row] = []
        try:
            for found in osmium.FileProcessor(str(self.path)).with_locations().with_filter(keys):
                kind = next(
                    (o for o, key, value in rules if found.tags.get(key) in _any(found, key, value)), None
                )
                place = None if kind is None else _middle(found)
                if place is not None:
                    rows.append({"type": kind, "lat": place[0], "lng": place[1]})
                if len(rows) == 10_000:
                    yield rows
                    rows = []
        except RuntimeError as error:
            msg = f"{self.path.name} cannot be read as an OpenStreetMap extract: {str(error)[:200]}."
            raise InputDataError(msg) from error
        yield rows


def parse_types(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Types of places by name, or as ``name:key=value``.

    Raises
    ------
    UsageError
        If a type is neither.

    Examples
    --------
    >>> parse_types(["bar", "market:amenity=marketplace"])["market"]
    ('amenity=marketplace',)
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, _, rule = text.partition(":")
        if not rule and name in OSM_TYPES:
            found[name] = OSM_TYPES[name]
        elif re.fullmatch(r"[a-z_:]+=\S+", rule):
            found[name] = (*found.get(name, ()), rule)
        else:
            msg = f"--type: expected one of {sorted(OSM_TYPES)} or name:key=value, got {text[:60]!r}."
            raise UsageError(msg)
    return found


def _any(found: Any, key: str, value: str) -> tuple[str, ...]:
    """Values of a key that a rule accepts."""
    there = found.tags.get(key)
    return (there,) if value == "*" and there is not None else (value,)


def _middle(found: Any) -> tuple[float, float] | None:
    """Latitude and longitude of a node, or the mean of the corners of a closed way."""
    if found.is_node():
        return (found.location.lat, found.location.lon) if found.location.valid() else None
    if not found.is_way() or not found.is_closed():
        return None
    corners = [node.location for node in list(found.nodes)[1:] if node.location.valid()]
    if not corners:
        return None
    return sum(c.lat for c in corners) / len(corners), sum(c.lon for c in corners) / len(corners)
