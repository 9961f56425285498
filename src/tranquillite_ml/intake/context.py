"""Context: the city's other records (weather, holidays, events, places), each row with when it was known."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from tranquillite_ml.config.words import redact
from tranquillite_ml.errors import BundleError, DataWarning, UsageError, check_in
from tranquillite_ml.intake.accepting import all_problems
from tranquillite_ml.intake.canonical import instants_us
from tranquillite_ml.intake.context_files import read_layer
from tranquillite_ml.intake.context_rows import settle_rows
from tranquillite_ml.intake.context_rules import KINDS, Kind
from tranquillite_ml.intake.incidents import PROBLEM_COLUMNS, Funnel
from tranquillite_ml.intake.notes import read_note
from tranquillite_ml.timebins import check_timezone

Made = TypeVar("Made")
_LOST = 0.2


@dataclass(frozen=True, eq=False, repr=False)
class Context:
    """One layer of the city's other records. Made by `read_context`.

    Attributes
    ----------
    name : str
        What configurations and saved models call it.
    kind : {"series", "calendar", "events", "points", "lines", "areas", "operations"}
    table : DataFrame
        ``known_at, valid_from, valid_to`` (datetime64[us, tz]; NaT: always known, without begin, without
        end), then by kind ``lat, lng`` (degrees, WGS 84), ``type``, ``attendance``, the values (float64) and
        ``geometry`` (shapely, longitude and latitude). In an order that the source's does not change.
    numbers : tuple of str
        Columns of numbers.
    issued : bool
        Whether its values are forecasts, each known since it was issued.
    known : str
        What said when rows were known: a rule, such as ``6h after end``, or ``column known_at``.
    sources : dict of str to dict
        Each file read, and what its note says (`fetch` writes it): ``licence, attribution, address,
        fetched_at``.
    quarantine, funnel, problems
        As for `Incidents`.
    tz : str
        IANA time zone.

    Examples
    --------
    >>> days = pd.date_range("2024-05-01", periods=3)
    >>> weather = read_context(
    ...     pd.DataFrame({"date": days, "tmax": [21.0, 24.5, 19.0]}),
    ...     kind="series",
    ...     name="weather",
    ...     tz="Europe/Paris",
    ... )
    >>> weather
    Context('weather': series, 3 rows, 2024-05-01 to 2024-05-03)
    >>> weather.table["known_at"].iloc[0]
    Timestamp('2024-05-02 00:00:00+0200', tz='Europe/Paris')
    """

    name: str
    kind: Kind
    table: pd.DataFrame
    numbers: tuple[str, ...]
    issued: bool
    known: str
    sources: Mapping[str, Mapping[str, str]]
    quarantine: pd.DataFrame
    funnel: Funnel
    problems: pd.DataFrame
    tz: str
    _made: WeakKeyDictionary[Any, dict[Hashable, Any]] = field(default_factory=WeakKeyDictionary, init=False)

    def __len__(self) -> int:
        return len(self.table)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # nothing changes it, so that copies of a model share it

    @cached_property
    def known_us(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """When each row was known, in microseconds since 1970 UTC; the smallest integer: always."""
        return instants_us(self.table["known_at"])

    @cached_property
    def valid_us(self) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]:
        """From when and up to when each row holds, in microseconds since 1970 UTC; no end: the largest."""
        end = instants_us(self.table["valid_to"]).copy()
        end[end == np.iinfo(np.int64).min] = np.iinfo(np.int64).max
        return instants_us(self.table["valid_from"]), end

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the layer holds, whatever the order of the rows read, on every platform."""
        return self._digest(np.ones(len(self.table), dtype=bool), self.numbers)

    def as_of(self, moment: str | pd.Timestamp) -> pd.DataFrame:
        """Rows that were known at a moment (local time if it has no zone).

        Examples
        --------
        >>> rows = pd.DataFrame({"date": pd.date_range("2024-05-01", periods=3), "tmax": [21.0, 24.5, 19.0]})
        >>> weather = read_context(rows, kind="series", name="weather", tz="Europe/Paris")
        >>> weather.as_of("2024-05-03")["tmax"].tolist()
        [21.0, 24.5]
        """
        when = pd.Timestamp(moment)
        when = when.tz_localize(self.tz) if when.tz is None else when
        return self.table[self.known_us <= instants_us([when])[0]]

    def once(self, owner: Any, key: Hashable, make: Callable[[], Made]) -> Made:
        """What was made before from this layer for an owner (a grid) and a key; made now if it was not."""
        kept = self._made.setdefault(owner, {})
        if key not in kept:
            kept[key] = make()
        return kept[key]

    def stamp(self) -> dict[str, Any]:
        """Plain values by which a saved model recognises the layer when it is given again."""
        known, valid = self.known_us, self.valid_us[0]
        return {
            "name": self.name,
            "kind": self.kind,
            "issued": self.issued,
            "values": list(self.numbers),
            "known_until": int(known.max(initial=np.iinfo(np.int64).min)),
            "valid_until": int(valid.max(initial=np.iinfo(np.int64).min)),
            "digest": self.digest,
        }

    def check_stamp(self, stamp: Mapping[str, Any]) -> Self:
        """Give the layer if it holds what a stamp says, and at most rows that became known or begin later.

        Raises
        ------
        BundleError
            If anything that was there is missing or changed.
        """
        lacking = sorted(set(stamp["values"]) - set(self.numbers))
        if self.kind != stamp["kind"] or self.issued != stamp["issued"] or lacking:
            told = f"it lacks {lacking}" if lacking else f"it is {self.kind}, not {stamp['kind']}"
            msg = f"the layer {stamp['name']!r} is not the one the model was fitted with: {told}."
            raise BundleError(msg)
        old = (self.known_us <= stamp["known_until"]) & (self.valid_us[0] <= stamp["valid_until"])
        if self._digest(old, tuple(stamp["values"])) != stamp["digest"]:
            msg = (
                f"the layer {stamp['name']!r} has changed since the model was fitted: rows known then are "
                "missing or differ. Later rows may be added; what was known must stay as it was, or the "
                "model be fitted anew."
            )
            raise BundleError(msg)
        return self

    def _digest(self, rows: np.ndarray[Any, np.dtype[np.bool_]], values: Sequence[str]) -> str:
        head = {"kind": self.kind, "tz": self.tz, "n": int(rows.sum()), "values": list(values)}
        digest = hashlib.sha256(f"tranquillite_ml context 1\n{json.dumps(head)}\n".encode())
        for name in (*(c for c in self.table.columns if c not in self.numbers), *values):
            column = self.table[name].to_numpy() if name == "geometry" else self.table[name][rows]
            digest.update(name.encode())
            digest.update(_bytes(column[rows] if name == "geometry" else column))
        return digest.hexdigest()

    def summary(self) -> dict[str, Any]:
        """Plain values (for JSON) that say what the layer holds and what is wrong with it."""
        head = {"name": self.name, "kind": self.kind, "values": list(self.numbers), "issued": self.issued}
        ends = {"since": self.table["valid_from"].min(), "until": self.table["valid_to"].max()}
        span = {name: None if pd.isna(moment) else moment.isoformat() for name, moment in ends.items()}
        told = {"known": self.known, "sources": {file: dict(note) for file, note in self.sources.items()}}
        rest = {"problems": self.problems.to_dict(orient="records"), "digest": self.digest}
        return head | asdict(self.funnel) | span | told | rest

    def __repr__(self) -> str:
        when = self.table["valid_from"].dropna()
        span = f", {when.min():%Y-%m-%d} to {when.max():%Y-%m-%d}" if len(when) else ""
        return f"Context({self.name!r}: {self.kind}, {len(self.table):,} rows{span})"


def _bytes(column: Any) -> bytes:
    import shapely

    if not isinstance(column, pd.Series):
        return b"".join(shapely.to_wkb(column, byte_order=1))
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return instants_us(column).astype("<i8").tobytes()
    if pd.api.types.is_float_dtype(column.dtype):
        numbers = column.to_numpy(np.float64) + 0.0  # no −0, and one NaN
        return np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes()
    return json.dumps([str(text) for text in column.tolist()]).encode()


def read_context(
    source: str | Path | Sequence[str | Path] | pd.DataFrame,
    *,
    kind: Kind,
    name: str,
    tz: str,
    columns: Mapping[str, str] | None = None,
    values: Sequence[str] | None = None,
    known: str | None = None,
    crs: Any = None,
    drop_columns: Sequence[str] = (),
    time_format: str | None = None,
) -> Context:
    """Read a layer of context; every row is accepted, quarantined with a reason, or a duplicate.

    Parameters
    ----------
    source : path, glob, list of these, DataFrame or GeoDataFrame
        CSV, Parquet, GeoParquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf.
    kind : {"series", "calendar", "events", "points", "lines", "areas", "operations"}
        Values over time (weather); days (holidays); what takes place somewhere for a while (matches);
        points (bars, stops); lines (streets, tram); areas (population, land use); or the work of services
        (patrol hours), which serves audits and exposure and is never a feature.
    name : str
        Letters, digits and underscores; features and configurations call it so.
    tz : str
        IANA time zone of times without one.
    columns : mapping of str to str, optional
        Our name → the file's column, for ``valid_from, valid_to, known_at`` and by kind ``issued_at, lat,
        lng, type, attendance``. Without it our names and common others are found, if unambiguous. A date
        without time as `valid_to` is the last day included; as `known_at` or `issued_at` it counts from the
        next day.
    values : sequence of str, optional
        Columns of numbers to keep (series, calendar, areas, operations); all of them when not given.
    known : str, optional
        When rows were known if no column says so: ``end`` (measured: the default of series and operations),
        ``6h after end``, ``7D before start`` (announced), ``issue``, ``4h after issue`` (forecasts), a date
        (the layer's edition), or ``always`` (the default of calendars).
    crs : str, optional
        Coordinate system, such as ``EPSG:2154``, where the file states none.
    drop_columns : sequence of str
        Columns of the file that are never loaded.
    time_format : str, optional
        Format of the times as in `datetime.strptime`; without it they must be ISO 8601.

    Raises
    ------
    UsageError
        If an argument cannot be used, or nothing says when the layer was known.
    InputDataError
        If the source cannot be read, lacks a column or a coordinate system, or is wrong as a whole.
    PersonLevelDataError
        If a column describes persons and is not in `drop_columns`.
    LookAheadError
        If measured values are said to be known before the time they are about is over.

    Warns
    -----
    DataWarning
        If more than 20 % of the rows are quarantined.

    Examples
    --------
    >>> matches = read_context(
    ...     pd.DataFrame({
    ...         "start": ["2024-05-12 21:00"], "end": ["2024-05-12 23:00"], "lat": [43.27], "lng": [5.396],
    ...         "type": ["football"], "attendance": [61000],
    ...     }),
    ...     kind="events", name="matches", tz="Europe/Paris", known="28D before start",
    ... )
    >>> matches.table[["known_at", "attendance"]].astype(str).values.tolist()
    [['2024-04-14 21:00:00+02:00', '61000.0']]
    """
    check_in(kind, KINDS, "kind")
    if not name.isidentifier():
        msg = f"name must consist of letters, digits and underscores, such as 'weather', got {name!r}."
        raise UsageError(msg)
    zone = check_timezone(tz)
    layer = read_layer(source, kind, columns=columns, values=values, crs=crs, drop_columns=drop_columns)
    rows = settle_rows(layer, kind, zone, known, time_format)
    quarantine = rows.reading.quarantine()
    n_read, n_refused = rows.reading.n_read, len(quarantine)
    if n_refused > _LOST * n_read:
        reasons = ", ".join(quarantine["reason"].value_counts().index[:3])
        msg = f"{name}: {n_refused:,} of {n_read:,} rows are quarantined ({reasons})."
        warnings.warn(msg, DataWarning, stacklevel=2)
    problems = pd.DataFrame([asdict(p) for p in all_problems(rows.reading)], columns=list(PROBLEM_COLUMNS))
    return Context(
        name=name,
        kind=kind,
        table=rows.table,
        numbers=tuple(rows.numbers),
        issued=rows.issued,
        known=rows.known,
        sources={str(redact(file)): read_note(file) for file in layer.raw.files},
        quarantine=quarantine,
        funnel=Funnel(n_read, n_read - n_refused - rows.n_repeats, n_refused, rows.n_repeats),
        problems=problems.astype({"n": "int64", "share": "float64"}),
        tz=zone,
    )
