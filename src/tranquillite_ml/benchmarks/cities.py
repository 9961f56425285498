"""Cities of the weekly benchmark: what is known of a file of incidents, its panel, and its series."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.config import AGENT_ORIGINS, RunConfig, load_config, ready_configs
from tranquillite_ml.errors import InputDataError, UsageError, check_file, nearest
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.intake import read_incidents
from tranquillite_ml.panel import Panel
from tranquillite_ml.splits import RollingOrigin
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

if TYPE_CHECKING:
    from tranquillite_ml.intake import Incidents

RESOLUTION, PERIOD, FOLDS, EVERY = 9, 7, 13, "28D"
STUDY_AREAS_KM2 = {"stlouis": 164.8, "chicago": 513.8}
LARGEST = 2
_TAIL = 0.0005
_COLUMNS = {
    "occurred_at": ("occurred_at", "timestamp"),
    "lat": ("lat", "latitude"),
    "lng": ("lng", "longitude"),
    "category": ("category",),
}


@dataclass(frozen=True)
class City:
    """A file of incidents and what the benchmark must know of it.

    A file in a folder named as a ready config (``stlouis/incidents.parquet``) needs nothing but its path.

    Parameters
    ----------
    path : Path
        Parquet or CSV with ``timestamp, latitude, longitude, category`` (or our names for them).
    tz : str, optional
        IANA time zone; from the ready config when not given.
    categories : sequence of str
        What is forecast; from the reference figures, else from the ready config, else the two largest
        categories that agents do not record.
    cells : Path, optional
        Table with a column ``cell``; ``benchmark_cells.parquet`` beside the incidents when not given, and if
        there is none, cells of resolution 9 with incidents before the first cutoff and one ring around them.
    study_area_km2 : float, optional
        Area on which shares of area are stated; all cells' area if not known.
    first_cutoff : str, optional
        Local date; that of the reference figures for their cities, else as late as the folds allow.
    folds : int, default 13

    Raises
    ------
    UsageError
        If the study area is not above 0, or the first cutoff is no date.

    Examples
    --------
    >>> city = City(Path("data/stlouis/incidents.parquet"))
    >>> city.name, city.timezone, city.start, city.area_km2
    ('stlouis', 'America/Chicago', '2018-01-05', 164.8)
    """

    path: Path
    tz: str | None = None
    categories: Sequence[str] = ()
    cells: Path | None = None
    study_area_km2: float | None = None
    first_cutoff: str | None = None
    folds: int = FOLDS
    config: RunConfig | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.study_area_km2 is not None and not self.study_area_km2 > 0:
            msg = f"the study area must be more than 0 km², got {self.study_area_km2:g}."
            raise UsageError(msg)
        try:
            pd.Timestamp(self.first_cutoff)  # None is none
        except ValueError:
            msg = f"the first cutoff must be a date such as 2024-01-31, got {self.first_cutoff!r}."
            raise UsageError(msg) from None
        known = ready_configs().get(self.name)
        config = None if known is None else load_config(known)
        real = config is not None and config.incidents.path is not None
        object.__setattr__(self, "config", config if real else None)

    @property
    def name(self) -> str:
        """Name of the folder the file is in."""
        return self.path.resolve().parent.name

    @property
    def timezone(self) -> str:
        """Time zone, given or known.

        Raises
        ------
        UsageError
            If it is neither.
        """
        known = None if self.config is None else self.config.incidents.tz
        if self.tz is None and known is None:
            msg = f"the time zone of {self.path} is not known: give one, such as tz='Europe/Paris'."
            raise UsageError(msg)
        return str(self.tz or known)

    @property
    def start(self) -> str | None:
        """First cutoff, given or known; None: as late as the folds allow."""
        if self.first_cutoff is not None or self.config is None or self.name not in STUDY_AREAS_KM2:
            return self.first_cutoff
        known = self.config.backtest.first_cutoff
        return None if known is None else known.isoformat()

    @property
    def area_km2(self) -> float | None:
        """Study area, given or known."""
        return self.study_area_km2 or STUDY_AREAS_KM2.get(self.name)

    def splits(self) -> RollingOrigin:
        """Cutoffs of the protocol."""
        return RollingOrigin(self.folds, EVERY, self.start)

    def series(self, category: str, year: int) -> str:
        """Name of a category's series, as in the reference figures.

        Examples
        --------
        >>> City(Path("data/chicago/incidents.parquet")).series("CRIMINAL DAMAGE", 2017)
        'chicago__criminal_damage__2017'
        """
        return f"{self.name}__{slug(category)}__{year}"


def slug(text: str) -> str:
    """Lower-case words joined by underscores.

    Examples
    --------
    >>> slug("Liquor laws (all)")
    'liquor_laws_all'
    """
    return "_".join(re.findall(r"\w+", text.lower()))


def read_city(city: City) -> Incidents:
    """Read a city's incidents as the protocol says: without stray points, duplicates kept, no delays.

    Raises
    ------
    InputDataError
        If the file cannot be read or lacks a column.
    """
    check_file(city.path, f"incidents ({', '.join(names[-1] for names in _COLUMNS.values())})")
    try:
        frame = pd.read_csv(city.path) if city.path.suffix == ".csv" else pd.read_parquet(city.path)
    except (OSError, ValueError) as error:
        msg = f"{city.path} cannot be read: {error}."
        raise InputDataError(msg) from error
    columns = {
        ours: next((name for name in names if name in frame), None) for ours, names in _COLUMNS.items()
    }
    missing = [" or ".join(_COLUMNS[ours]) for ours, theirs in columns.items() if theirs is None]
    if missing:
        msg = f"{city.path} lacks {missing}; it has {list(frame.columns)}."
        raise InputDataError(msg)
    lat, lng = (pd.to_numeric(frame[columns[name]], errors="coerce") for name in ("lat", "lng"))
    placed = lat.notna() & lng.notna()
    for values in (lat, lng):
        lower, upper = values[lat.notna() & lng.notna()].quantile([_TAIL, 1 - _TAIL])
        placed &= values.between(lower, upper)
    when = str(columns["occurred_at"])
    frame[when] = _existing(frame[when], city.timezone)
    origins = {} if city.config is None else _origins(city.config)
    present = set(frame[columns["category"]].dropna().astype(str).unique())
    return read_incidents(
        frame.loc[placed, list(columns.values())],
        tz=city.timezone,
        columns={ours: str(theirs) for ours, theirs in columns.items()},
        origins={name: origin for name, origin in origins.items() if name in present},
        duplicates="keep",
    )


def _existing(times: pd.Series[Any], tz: str) -> pd.Series[Any]:
    """Local times; one that a clock change skipped comes an hour later: the protocol drops no record."""
    if not pd.api.types.is_datetime64_dtype(times.dtype):
        return times
    there = times.dt.tz_localize(tz, nonexistent="NaT", ambiguous=np.ones(len(times), dtype=bool))
    return times.mask(there.isna() & times.notna(), times + pd.Timedelta(hours=1))


def _origins(config: RunConfig) -> dict[str, str]:
    """Origin of each of the file's categories, as a ready config states them."""
    found: dict[str, str] = {str(name): str(origin) for name, origin in config.incidents.origins.items()}
    listed: Mapping[str, Any] = config.to_dict()["incidents"]["categories"]
    for entry in listed.values():
        if isinstance(entry, Mapping):
            found |= dict.fromkeys(entry["from"], entry.get("origin", "unknown"))
    return found


def choose_categories(city: City, incidents: Incidents, reference: pd.DataFrame | None = None) -> list[str]:
    """Categories of the file that the benchmark forecasts.

    Raises
    ------
    UsageError
        If one that was asked for is not in the file, or agents record it.
    InputDataError
        If nothing is left to forecast.
    """
    counts = incidents.table["category"].astype(str).value_counts()
    by_slug = {slug(name): str(name) for name in counts.index}
    open_ones = [name for name in counts.index if incidents.origins.get(name) not in AGENT_ORIGINS]
    if city.categories:
        return [_one_of(name, by_slug, open_ones) for name in city.categories]
    if reference is not None:
        parts = [name.split("__") for name in reference["series"].unique()]
        named = [slug(part[1]) for part in parts if len(part) == 3 and part[0] == city.name]
        found = [by_slug[name] for name in named if name in by_slug]
        if found:
            return found
    if city.config is not None:
        listed = city.config.to_dict()["incidents"]["categories"]
        names = [
            name
            for entry in listed.values()
            for name in (entry["from"] if isinstance(entry, dict) else entry)
        ]
        return [name for name in names if name in counts.index]
    if not open_ones:
        msg = f"{city.path} holds only records that agents make; these follow patrols and are not forecast."
        raise InputDataError(msg)
    return [str(name) for name in open_ones[:LARGEST]]


def _one_of(name: str, by_slug: Mapping[str, str], open_ones: Sequence[str]) -> str:
    found = by_slug.get(slug(name))
    if found is None:
        hint = nearest(name, by_slug.values())
        msg = f"the file has no category {name!r}.{hint} It has {sorted(by_slug.values())}."
        raise UsageError(msg)
    if found not in open_ones:
        msg = f"{found!r} is recorded on agents' own initiative: it follows patrols and is not forecast."
        raise UsageError(msg)
    return found


def make_city_panel(city: City, incidents: Incidents) -> Panel:
    """Count a city's incidents into days and the benchmark's cells.

    Raises
    ------
    InputDataError
        If the table of cells cannot be read.
    """
    bins = TimeBins.covering(incidents, freq="1D")
    beside = city.path.with_name("benchmark_cells.parquet")
    path = city.cells or (beside if beside.is_file() else None)
    if path is None:
        first = city.splits().cutoffs(bins, Target("any", period=PERIOD))[0]
        before = bins.wall_at(np.array([first]))[0]
        grid = HexGrid.from_incidents(incidents, resolution=RESOLUTION, dilate=1, before=before)
    else:
        check_file(path, "a table of H3 cells in a column 'cell'")
        try:
            table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
            grid = HexGrid(table["cell"].astype(str))
        except (OSError, KeyError, ValueError) as error:
            msg = f"{path} cannot be read as a table of cells with a column 'cell': {error}."
            raise InputDataError(msg) from error
    if city.area_km2 is not None:
        grid = HexGrid(grid.cells.tolist(), study_area_km2=city.area_km2)
    return Panel.build(incidents, grid, bins)
