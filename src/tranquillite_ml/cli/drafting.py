"""What `init` finds out about a file of incidents: columns, time zone, format of times, categories, folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tranquillite_ml.cli.columns import Columns, guess_columns, person_columns, time_of_day
from tranquillite_ml.cli.zones import guess_zone
from tranquillite_ml.errors import InputDataError, PersonLevelDataError

if TYPE_CHECKING:
    import pandas as pd

    from tranquillite_ml.intake import Incidents
    from tranquillite_ml.intake.files import Part

_FORMATS = tuple(
    f"{day}{clock}"
    for day in (
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%d.%m.%Y",
        "%d-%m-%Y",
        "%m-%d-%Y",
        "%Y/%m/%d",
        "%d/%m/%y",
        "%m/%d/%y",
    )
    for clock in ("", " %H:%M", " %H:%M:%S", " %I:%M:%S %p", " %I:%M %p", " %Hh%M")
)
_MONTH_FIRST = ("America/", "US/", "Pacific/Honolulu")
_READABLE = 0.95
_MANY_VALUES = 5_000


@dataclass(frozen=True)
class Plan:
    """Folds that fit a record's length."""

    period: int
    folds: int
    every: int
    window: int
    first_cutoff: date


@dataclass(frozen=True)
class Draft:
    """All that a config can be written from.

    Attributes
    ----------
    source : str
        The file, as it was named.
    columns : Columns
    tz, time_format : str
        `time_format` is empty for ISO 8601.
    tz_is_sure : bool
    incidents : Incidents
        As read with all of this.
    plan : Plan
    questions : list of str
        What only the file's owner can answer.
    """

    source: str
    columns: Columns
    tz: str
    tz_is_sure: bool
    time_format: str
    incidents: Incidents
    plan: Plan
    questions: list[str]


def draft(source: str, *, columns: Mapping[str, str], tz: str | None) -> Draft:
    """Look at a file and find out what a config must say of it.

    Parameters
    ----------
    source : str
        A path or a glob.
    columns : mapping of str to str
        Our name → the file's column, where the user says so.
    tz : str, optional
        The user's time zone.

    Raises
    ------
    InputDataError
        If the file cannot be read, or a column that is needed cannot be found.
    """
    from tranquillite_ml.intake.sources import expand

    parts = expand(source)
    found = guess_columns(parts[0], columns)
    for part in parts[1:]:
        found.dropped |= person_columns(part, found.mapped)
    values = _load(parts[0], found)
    zone, sure = (tz, True) if tz is not None else guess_zone(*_middle(values, parts[0].name))
    layout, doubt = guess_format(values["occurred_at"], zone)
    _drop_useless_id(found, values)
    incidents = _read(source, zone, found, layout)
    questions = [*found.questions, *([doubt] if doubt else [])]
    plan = make_plan(incidents)
    questions += _about(incidents, found, parts[0], zone, sure)
    return Draft(source, found, zone, sure, layout, incidents, plan, questions)


def _load(part: Part, found: Columns) -> pd.DataFrame:
    from tranquillite_ml.intake.files import GEOMETRY

    from_geometry = part.geometry and "lat" not in found.mapped
    names = list(dict.fromkeys(found.mapped.values()))
    table, *_ = part.load([*names, GEOMETRY] if from_geometry else names)
    return table.assign(**{ours: table[theirs] for ours, theirs in found.mapped.items()})


def _middle(values: pd.DataFrame, file: str) -> tuple[float, float]:
    """Latitude and longitude in the middle of all points.

    Raises
    ------
    InputDataError
        If there are none, or they are metres of a map projection.
    """
    import numpy as np

    from tranquillite_ml.intake.places import as_degrees

    lat, lng = (as_degrees(values[name])[0] for name in ("lat", "lng"))
    given = np.isfinite(lat) & np.isfinite(lng) & ((lat != 0) | (lng != 0))
    if not given.any():
        msg = (
            f"{file}: the columns for lat and lng hold no coordinates. Say which ones do: --column lat=NAME."
        )
        raise InputDataError(msg)
    middle = float(np.median(lat[given])), float(np.median(lng[given]))
    if max(map(abs, middle)) > 180:
        msg = (
            f"{file}: the coordinates are not degrees (their middle is {middle[0]:.0f}, {middle[1]:.0f}) but "
            "probably metres of a map projection such as Lambert 93. Convert them to WGS 84 first."
        )
        raise InputDataError(msg)
    return middle


def guess_format(values: pd.Series[Any], tz: str) -> tuple[str, str | None]:
    """Format of a column of times (empty if ISO 8601), and a question if another one fits as well.

    Examples
    --------
    >>> import pandas as pd
    >>> guess_format(pd.Series(["31/12/2023 22:10", "01/02/2024 08:00"]), "Europe/Paris")
    ('%d/%m/%Y %H:%M', None)
    """
    import pandas as pd

    from tranquillite_ml.intake.times import as_text, parse_times

    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return "", None
    text = pd.Series(as_text(values).to_pylist(), dtype=object).dropna().drop_duplicates()
    text = text.iloc[:: max(1, len(text) // _MANY_VALUES)]
    if len(text) == 0 or float(parse_times(text, tz).wall.notna().mean()) >= _READABLE:
        return "", None
    fitting = [
        layout
        for layout in _FORMATS
        if float(pd.to_datetime(text, format=layout, errors="coerce").notna().mean()) >= _READABLE
    ]
    month_first = [layout for layout in fitting if layout.startswith("%m")]
    if not fitting or len(month_first) in {0, len(fitting)}:
        return (fitting[0] if fitting else ""), None
    american = tz.startswith(_MONTH_FIRST)
    chosen = month_first[0] if american else next(layout for layout in fitting if layout not in month_first)
    return (
        chosen,
        f"time_format: do the times begin with the {'month' if american else 'day'}? Both would fit.",
    )


def _drop_useless_id(found: Columns, values: pd.DataFrame) -> None:
    """Leave out an identifier that does not tell records apart."""
    if "incident_id" in found.mapped and values["incident_id"].nunique() < _READABLE * len(values):
        del found.mapped["incident_id"]


def _read(source: str, tz: str, found: Columns, layout: str) -> Incidents:
    """Read the whole source; a time of report that cannot be read is left out."""
    from tranquillite_ml.intake import read_incidents

    def read() -> Incidents:
        return read_incidents(
            source,
            tz=tz,
            columns=found.mapped,
            drop_columns=list(found.dropped),
            time_format=layout or None,
            duplicates="keep",
        )

    try:
        return read()
    except PersonLevelDataError:
        raise
    except InputDataError:
        if "reported_at" not in found.mapped:
            raise
        theirs = found.mapped.pop("reported_at")
        found.questions.append(f"reported_at: {theirs!r} could not be read as times and is left out.")
        return read()


# Shortest record in days, then period, folds, every and calibration window in days: a year to learn from at
# best, and never less than four weeks and one period before the calibration window.
_PLANS = (
    (720, (7, 13, 28, 90)),
    (290, (7, 8, 14, 56)),
    (140, (7, 6, 7, 28)),
    (84, (7, 3, 7, 14)),
    (42, (1, 5, 1, 7)),
    (0, (1, 1, 1, 7)),
)


def make_plan(incidents: Incidents) -> Plan:
    """Folds that fit the record, the last of which ends with it."""
    from tranquillite_ml.timebins import TimeBins

    bins = TimeBins.covering(incidents, freq="1D")
    period, folds, every, window = next(plan for days, plan in _PLANS if bins.n_bins >= days)
    first = bins.end.date() - timedelta(days=period + (folds - 1) * every)
    return Plan(period, folds, every, window, first)


def _about(incidents: Incidents, found: Columns, part: Part, tz: str, sure: bool) -> list[str]:
    """What is left to ask."""
    asked: list[str] = []
    days = (incidents.table["occurred_at"].max() - incidents.table["occurred_at"].min()).days + 1
    if not sure:
        asked.append(f"tz: is {tz} the time zone of the file's times? It is a guess from the coordinates.")
    if days < 42:
        asked.append(f"the record is only {days} days long: training needs six weeks, and a year is better.")
    apart = time_of_day(set(part.columns) - set(found.mapped.values()))
    if incidents.time_precision == "date" and apart is not None:
        asked.append(f"times are dates only; does {apart!r} hold the time of day? Join the two to use it.")
    return asked


def rank_categories(incidents: Incidents) -> list[tuple[str, int, bool]]:
    """Categories by count, and whether a target can be made of each: not what agents record.

    Returns
    -------
    list of (str, int, bool)
        Name, recorded incidents, whether it looks like what the public reports.
    """
    counts = incidents.table["category"].value_counts()
    rows = [(str(name), int(n)) for name, n in counts.items() if n]
    rows.sort(key=lambda row: (-row[1], row[0]))
    return [(name, n, incidents.origins[name] != "agent" and writable(name)) for name, n in rows]


def writable(name: str) -> bool:
    """Whether a config can hold this name: no control characters, not longer than its reader allows."""
    import unicodedata

    return len(name) <= 200 and not any(unicodedata.category(c) in {"Cc", "Cs"} for c in name)


def choose_target(ranked: Sequence[tuple[str, int, bool]]) -> str:
    """The most frequent category that the public seems to report.

    Raises
    ------
    InputDataError
        If there is none.
    """
    for name, _, fits in ranked:
        if fits:
            return name
    told = ", ".join(repr(name[:40]) for name, _, _ in ranked[:5])
    msg = (
        f"every category looks like the record of an agent's own initiative ({told}): these follow patrols, "
        "and a forecast of them would return patrols as demand."
    )
    raise InputDataError(msg)
