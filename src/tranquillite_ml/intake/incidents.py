"""Incidents: the accepted table, what was quarantined and why, and what else to know about the records."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, nearest
from tranquillite_ml.intake.canonical import check_table, content_digest, counts_by, known_since, name_rows
from tranquillite_ml.intake.columns import settle_origins
from tranquillite_ml.intake.reading import QUARANTINE_COLUMNS
from tranquillite_ml.intake.times import TimePrecision, time_precision
from tranquillite_ml.timebins import check_timezone

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROBLEM_COLUMNS = ("what", "n", "share", "advice")


@dataclass(frozen=True)
class Funnel:
    """Where every row went: ``read = accepted + quarantined + duplicate``, exactly.

    Raises
    ------
    UsageError
        If the numbers do not add up.

    Examples
    --------
    >>> Funnel(read=10, accepted=7, quarantined=2, duplicate=1).accepted
    7
    """

    read: int
    accepted: int
    quarantined: int
    duplicate: int = 0

    def __post_init__(self) -> None:
        if self.read != self.accepted + self.quarantined + self.duplicate or min(asdict(self).values()) < 0:
            msg = f"the funnel does not add up: {self}."
            raise UsageError(msg)


@dataclass(frozen=True, eq=False, repr=False)
class Incidents:
    """Recorded incidents that can be used, and everything known about those that cannot.

    Made by `read_incidents` or `Incidents.from_table`. A record is what somebody recorded: neither a person
    nor the whole of what happened.

    Attributes
    ----------
    table : DataFrame
        ``incident_id`` (str), ``occurred_at`` and, if given, ``reported_at`` (datetime64[us, tz]), ``lat``,
        ``lng`` (float64, degrees, WGS 84), ``category`` (categorical, sorted); ``duplicate`` (bool) too with
        ``duplicates="flag"``; where times are intervals, ``occurred_from`` and ``occurred_to``, the half-open
        interval in which an incident lies, NaT where its time is certain. Sorted by occurred_at, category,
        lat, lng, incident_id.
    quarantine : DataFrame
        ``file, row, column, reason, value`` of each row refused; `row` counts the file's data rows from 1.
    funnel : Funnel
        Where every row went.
    problems : DataFrame
        ``what, n, share, advice``; quarantined rows are a share of the rows read, others of the accepted
        rows.
    origins : dict of str to str
        Who makes the records of each category present.
    tz : str
        IANA time zone.
    time_precision : {"date", "hour", "minute"}
        How finely `occurred_at` is known.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> incidents = simulate_city(seed=0, days=30, radius_km=1.5).incidents
    >>> incidents.funnel.read == incidents.funnel.accepted == len(incidents)
    True
    >>> incidents.origins["fires"], incidents.origins["obstructive_parking"]
    ('sensor', 'fine')
    """

    table: pd.DataFrame
    quarantine: pd.DataFrame
    funnel: Funnel
    problems: pd.DataFrame
    origins: dict[str, str]
    tz: str
    time_precision: TimePrecision
    ids_given: NDArray[np.bool_] = field(compare=False)

    @classmethod
    def from_table(cls, table: pd.DataFrame, tz: str, origins: Mapping[str, str] | None = None) -> Incidents:
        """Make incidents from a table that is known to be sound, such as a simulator's.

        Parameters
        ----------
        table : DataFrame
            ``occurred_at, lat, lng, category`` and optionally ``incident_id, reported_at, occurred_from,
            occurred_to``. Times without time zone are local times of `tz`.
        tz : str
            IANA time zone.
        origins : mapping of str to str, optional
            Category → origin.

        Raises
        ------
        InputDataError
            If a column is missing or unknown, or a value is missing or impossible.

        Examples
        --------
        >>> table = pd.DataFrame(
        ...     {"occurred_at": ["2024-05-01 22:10"], "lat": [43.3], "lng": [5.4], "category": ["noise"]}
        ... )
        >>> Incidents.from_table(table, tz="Europe/Paris", origins={"noise": "citizen"})
        Incidents(1 accepted of 1 read, 1 category, 2024-05-01 to 2024-05-01, Europe/Paris)
        """
        built, wall = check_table(table, check_timezone(tz))
        built, given = name_rows(built)
        names = [str(name) for name in built["category"].cat.categories]
        settled, _, _ = settle_origins({name: name for name in names}, {}, origins)
        return cls(
            table=built,
            quarantine=pd.DataFrame(columns=list(QUARANTINE_COLUMNS)).astype({"row": "int64"}),
            funnel=Funnel(len(built), len(built), 0),
            problems=pd.DataFrame(columns=list(PROBLEM_COLUMNS)).astype({"n": "int64", "share": "float64"}),
            origins=settled,
            tz=tz,
            time_precision=time_precision(wall),
            ids_given=given,
        )

    @property
    def has_ids(self) -> bool:
        """Whether every row came with an identifier of its own; otherwise some are made up."""
        return bool(self.ids_given.all())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the accepted records, whatever the order of the rows read, on every platform."""
        return content_digest(self.table, self.tz, self.ids_given)

    def __len__(self) -> int:
        return len(self.table)

    def of(self, categories: str | Iterable[str]) -> Incidents:
        """Give the accepted incidents of one or several categories, as incidents of their own.

        Raises
        ------
        UsageError
            If a category is not there.
        """
        wanted = [categories] if isinstance(categories, str) else list(categories)
        for name in wanted:
            if name not in self.origins:
                msg = f"there is no category {name!r}.{nearest(name, self.origins)}"
                raise UsageError(msg)
        return self._kept(self.table["category"].isin(wanted).to_numpy(dtype=bool))

    def known_at(self, moment: pd.Timestamp) -> Incidents:
        """Give the accepted incidents that were known at a moment: that had occurred and been reported.

        Parameters
        ----------
        moment : Timestamp
            With a time zone. What was reported exactly then is known. Without report, a record is known when
            it occurred, and one whose time is an interval when that is over.
        """
        known = (known_since(self.table) <= moment) & (self.table["occurred_at"] < moment)
        return self._kept(known.to_numpy(dtype=bool))

    def _kept(self, keep: NDArray[np.bool_]) -> Incidents:
        """Some of the accepted rows, as incidents of their own."""
        table = self.table[keep].reset_index(drop=True)
        table["category"] = table["category"].cat.remove_unused_categories()
        return Incidents(
            table=table,
            quarantine=self.quarantine.iloc[:0],
            problems=self.problems.iloc[:0],
            funnel=Funnel(len(table), len(table), 0),
            origins={name: self.origins[name] for name in table["category"].cat.categories},
            tz=self.tz,
            time_precision=self.time_precision,
            ids_given=self.ids_given[keep],
        )

    def summary(self) -> dict[str, Any]:
        """Plain values (for JSON) that say what these incidents hold, since when, and what is wrong."""
        counts = counts_by(self.table["category"])
        when = self.table["occurred_at"]
        return {
            **asdict(self.funnel),
            "since": when.min().isoformat() if len(when) else None,
            "until": when.max().isoformat() if len(when) else None,
            "tz": self.tz,
            "time_precision": self.time_precision,
            "intervals": int(self.table["occurred_from"].count()) if "occurred_from" in self.table else 0,
            "categories": {name: {"n": n, "origin": self.origins[name]} for name, n in counts.items()},
            "quarantine": dict(counts_by(self.quarantine["reason"])),
            "problems": self.problems.to_dict(orient="records"),
            "digest": self.digest,
        }

    def _span(self) -> str:
        when = self.table["occurred_at"]
        return f"{when.min():%Y-%m-%d} to {when.max():%Y-%m-%d}" if len(when) else "no time"

    def __repr__(self) -> str:
        kinds = f"{len(self.origins)} {'category' if len(self.origins) == 1 else 'categories'}"
        told = f"{self.funnel.accepted:,} accepted of {self.funnel.read:,} read"
        return f"Incidents({told}, {kinds}, {self._span()}, {self.tz})"

    def _repr_html_(self) -> str:
        def rows(cells: Iterable[Sequence[object]]) -> str:
            lines = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in line) for line in cells)
            return "".join(f"<tr>{line}</tr>" for line in lines)

        counts = counts_by(self.table["category"])
        kinds = rows((name, f"{n:,}", self.origins[name]) for name, n in counts.items())
        told = ((p.what, f"{p.n:,}", f"{p.share:.1%}", p.advice) for p in self.problems.itertuples())
        return (
            f"<p><b>{html.escape(repr(self))}</b><br>{self.funnel.quarantined:,} quarantined, "
            f"{self.funnel.duplicate:,} duplicates dropped; times known to the {self.time_precision}</p>"
            f"<table><tr><th>category</th><th>recorded incidents</th><th>origin</th></tr>{kinds}</table>"
            f"<table><tr><th>to know</th><th>rows</th><th>share</th><th>advice</th></tr>{rows(told)}</table>"
        )
