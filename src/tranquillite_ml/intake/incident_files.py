"""Reading incidents from files, databases and tables: each step in turn, to accepted incidents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.intake.accepting import accept, all_problems, warn_of_lost_places
from tranquillite_ml.intake.incidents import PROBLEM_COLUMNS, Funnel, Incidents
from tranquillite_ml.intake.intervals import IntervalTarget, TimeRules
from tranquillite_ml.intake.placeholders import PlaceholderPolicy
from tranquillite_ml.intake.places import area_bounds
from tranquillite_ml.intake.reading import Reading
from tranquillite_ml.intake.sources import read_raw
from tranquillite_ml.timebins import check_timezone


def read_incidents(
    source: str | Path | Sequence[str | Path] | pd.DataFrame,
    *,
    tz: str | None = None,
    query: str | None = None,
    columns: Mapping[str, str] | None = None,
    categories: Mapping[str, Any] | None = None,
    origins: Mapping[str, str] | None = None,
    duplicates: Literal["keep", "flag", "drop"] = "keep",
    drop_columns: Sequence[str] = (),
    study_area: Any = None,
    time_format: str | None = None,
    interval_target: IntervalTarget = "midpoint",
    longest_interval: str = "7D",
    placeholder_times: PlaceholderPolicy = "keep",
    where: Mapping[str, Any] | None = None,
    now: str | pd.Timestamp | None = None,
    require_listed: bool = True,
) -> Incidents:
    """Read recorded incidents; every row is accepted, quarantined with a reason, or a duplicate.

    Nothing is repaired or guessed: a row that cannot be used is set aside with its file, number and reason,
    and a file that as a whole cannot be right (swapped coordinates, unreadable times, columns about persons)
    stops the reading with an error that says how to mend it.

    Parameters
    ----------
    source : path, glob, list of these, DataFrame, GeoDataFrame, or a database's address
        CSV, Parquet, GeoParquet, GeoJSON or another vector file; or a SQLAlchemy URL of PostgreSQL or SQLite.
        Only the columns needed are loaded.
    tz : str
        IANA time zone of the city, such as ``"Europe/Paris"``. Required.
    query : str, optional
        One SELECT, with the address of a database; it runs in a read-only transaction.
    columns : mapping of str to str, optional
        Our name → the file's column, for ``occurred_at, lat, lng, category`` and optionally ``incident_id,
        reported_at``; ``occurred_from`` and ``occurred_to`` beside or in place of ``occurred_at``, which then
        serves the rows without interval. Without it our names and common others are found, if unambiguous. A
        geometry of points gives lat and lng when no column is named for them. ``reported_at`` may hold months
        (``200901``): then the record was known when the month ended.
    categories : mapping, optional
        Target → list of the file's categories, or ``{"from": [...], "origin": "citizen"}``. Categories not
        listed keep their name.
    origins : mapping of str to str, optional
        Category → citizen, sensor, agent, arrest, fine, inspection or unknown. Undeclared, a category is of
        unknown origin, or of agent origin if its name is that of enforcement (drugs, stops, …).
    duplicates : {"keep", "flag", "drop"}, default "keep"
        What to do with rows that repeat time, place and category: count them only, mark them in a column
        ``duplicate``, or drop all but the first.
    drop_columns : sequence of str
        Columns of the file that are never loaded.
    study_area : GeoDataFrame, geometry or path, optional
        Rows outside its bounding box, grown by 10 %, are quarantined. Without it, stray points are: farther
        from the median place than 100 km and than 20 times the median distance to it.
    time_format : str, optional
        Format of the times as in `datetime.strptime`; without it they must be ISO 8601.
    interval_target : {"midpoint", "start", "end"}, default "midpoint"
        The moment of an interval that becomes ``occurred_at``, by which the incident is counted; features see
        it anywhere in the interval (`Panel`).
    longest_interval : str, default "7D"
        Rows with longer intervals are quarantined: they say nothing of when.
    placeholder_times : {"keep", "spread", "quarantine"}, default "keep"
        What becomes of rows at a minute of the day that holds far more than minutes as round as it, and so
        stands for "unknown": kept at that minute, taken as any time of their day, or quarantined.
    where : mapping, optional
        Column of the file → value or list of values to keep; other rows are quarantined as filtered.
    now : str or Timestamp, optional
        Later times are quarantined as being in the future; the present when not given.
    require_listed : bool, default True
        Whether every name listed in `categories` must occur; False for a small file of new records.

    Raises
    ------
    UsageError
        If an argument cannot be used.
    InputDataError
        If the source cannot be read, lacks a column, holds no usable row, or is wrong as a whole.
    PersonLevelDataError
        If a column describes persons and is not in `drop_columns`.

    Warns
    -----
    DataWarning
        If more than 20 % of the rows have no usable place.

    Examples
    --------
    >>> rows = pd.DataFrame(
    ...     {
    ...         "occurred_at": ["2024-05-01 22:10", "2024-05-02 23:40", "2024-03-31 02:30"],
    ...         "lat": [43.30, 43.31, 43.30],
    ...         "lng": [5.40, 5.39, 5.41],
    ...         "category": ["noise", "dumping", "noise"],
    ...     }
    ... )
    >>> incidents = read_incidents(rows, tz="Europe/Paris", origins={"noise": "citizen"})
    >>> incidents.funnel
    Funnel(read=3, accepted=2, quarantined=1, duplicate=0)
    >>> incidents.quarantine[["row", "column", "reason"]].values.tolist()
    [[3, 'occurred_at', 'time does not exist (clock change)']]
    >>> incidents.origins
    {'dumping': 'unknown', 'noise': 'citizen'}
    """
    zone = _check_tz(tz)
    rules = TimeRules(interval_target, longest_interval, placeholder_times)
    check_in(duplicates, ["keep", "flag", "drop"], "duplicates")
    raw = read_raw(source, query=query, columns=columns, drop_columns=drop_columns, where=list(where or {}))
    reading = Reading(raw, zone)
    reading.keep_where(where or {})
    reading.check_places(None if study_area is None else area_bounds(study_area))
    reading.check_times(time_format, _moment(now, zone), rules)
    reading.check_categories(categories, origins, require_listed=require_listed)
    accepted = accept(reading, duplicates)
    quarantine = reading.quarantine()
    warn_of_lost_places(quarantine, reading.n_read)
    present = [str(name) for name in accepted.table["category"].cat.categories]
    problems = pd.DataFrame(
        [asdict(problem) for problem in all_problems(reading)], columns=list(PROBLEM_COLUMNS)
    )
    return Incidents(
        table=accepted.table,
        quarantine=quarantine,
        funnel=Funnel(reading.n_read, len(accepted.table), len(quarantine), accepted.n_dropped),
        problems=problems.astype({"n": "int64", "share": "float64"}),
        origins={name: reading.origins[name] for name in present},
        tz=zone,
        time_precision=accepted.time_precision,
        ids_given=accepted.ids_given,
    )


def _check_tz(tz: str | None) -> str:
    if tz is None:
        msg = (
            "tz is required: files hold local wall-clock times, and without a time zone neither the start of "
            "a day nor the hours lost and doubled by clock changes are known. Give an IANA name, such as "
            "tz='Europe/Paris'."
        )
        raise UsageError(msg)
    return check_timezone(tz)


def _moment(now: str | pd.Timestamp | None, tz: str) -> pd.Timestamp:
    if now is None:
        return pd.Timestamp.now(tz="UTC")
    moment = pd.Timestamp(now)
    return moment.tz_localize(tz) if moment.tz is None else moment
