"""Last steps of a reading: the canonical table, repeated identifiers, duplicates, and what else to know."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import DataWarning, InputDataError
from tranquillite_ml.intake import guards
from tranquillite_ml.intake.canonical import INTERVAL, build_table, counts_by, instants_us, name_rows
from tranquillite_ml.intake.guards import Problem, Rejection
from tranquillite_ml.intake.times import TimePrecision, as_text, time_precision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.intake.reading import Reading

_FEW = 30
_MANY = 0.2

_ADVICE = {
    "coordinates missing": (
        "No place: geocode these rows, and check that their absence does not depend on the category."
    ),
    "(0, 0) is not a place": "0, 0 stands for 'not geocoded'.",
    "lat and lng look swapped": "Repair these rows in the file.",
    "coordinates out of range": (
        "Degrees are expected (WGS 84): convert metres of a map projection, such as Lambert 93, first."
    ),
    "outside the study area": "The box of the study area, grown by 10 %, does not hold these rows.",
    "time does not exist (clock change)": (
        "Local times skipped when the clocks went forward: are the file's times in `tz`?"
    ),
    "in the future": "These times are later than now: check the clock and the year.",
    "time not understood": "These times are not ISO 8601, or not of the given time_format.",
    "incident_id repeats with other content": (
        "The earliest record of each was kept: an update, or an identifier used twice?"
    ),
    "reported before it occurred": "One of the two times is wrong.",
    "interval ends before it begins": "Are `occurred_from` and `occurred_to` swapped?",
    "interval longer": "So long an interval says little of when: `longest_interval` sets how long it may be.",
}


def _advice(reason: str, otherwise: str) -> str:
    """What to do about a reason; one that ends in a figure is found by its first two words."""
    return _ADVICE.get(reason) or _ADVICE.get(" ".join(reason.split()[:2]), otherwise)


@dataclass(frozen=True)
class Accepted:
    """The canonical table and what must be known with it."""

    table: pd.DataFrame
    ids_given: NDArray[np.bool_]
    time_precision: TimePrecision
    n_dropped: int


def accept(reading: Reading, duplicates: str) -> Accepted:
    """Bring the rows that passed all guards to the canonical form and apply the policy on duplicates.

    Parameters
    ----------
    reading : Reading
        After its guards; rows whose identifier repeats with other content are refused here.
    duplicates : {"keep", "flag", "drop"}

    Raises
    ------
    InputDataError
        If no row passed.
    """
    rows = np.flatnonzero(reading.open)
    if len(rows) == 0:
        reasons = counts_by(reading.quarantine()["reason"])
        told = ", ".join(f"{reason}: {n}" for reason, n in list(reasons.items())[:5])
        advice = _advice(next(iter(reasons), ""), "Look at the file and at `columns`.")
        msg = f"none of the {reading.n_read} rows of {reading.raw.files[0]} can be used ({told}). {advice}"
        raise InputDataError(msg)
    ids = np.full(len(rows), None, dtype=object)
    if "incident_id" in reading.table:
        ids = as_text(reading.table["incident_id"].iloc[rows]).to_numpy(zero_copy_only=False)
    table, order = build_table(
        ids=ids,
        occurred_at=reading.occurred.instants[rows],
        interval=reading.uncertain.of(rows),
        reported_at=reading.reported.instants[rows] if "reported_at" in reading.table else None,
        place=(reading.lat[rows], reading.lng[rows]),
        category=(reading.category[rows], reading.names),
    )
    del ids  # millions of texts, which the table now holds
    rows = rows[order]
    table, rows = _refuse_reused_ids(reading, table, rows)
    repeats = _repeats(table)
    _note_repeats(reading, table, repeats)
    n_dropped = 0
    if duplicates == "flag":
        table["duplicate"] = repeats
    elif duplicates == "drop" and repeats.any():
        n_dropped = int(repeats.sum())
        table, rows = _only(table, ~repeats), rows[~repeats]
    table, given = name_rows(table)
    wall = reading.occurred.wall[rows]
    precision = time_precision(wall)
    _note_records(reading, table, rows, precision)
    return Accepted(table, given, precision, n_dropped)


def _only(table: pd.DataFrame, keep: NDArray[np.bool_]) -> pd.DataFrame:
    kept = table[keep].reset_index(drop=True)
    kept["category"] = kept["category"].cat.remove_unused_categories()
    return kept


def _content(table: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """What a record says, as numbers, without its identifier."""
    content = {
        "occurred_at": instants_us(table["occurred_at"]),
        "category": table["category"].cat.codes.to_numpy(),
        "lat": table["lat"].to_numpy(),
        "lng": table["lng"].to_numpy(),
    }
    for name in (*INTERVAL, "reported_at"):
        if name in table:
            content[name] = instants_us(table[name])
    return content


def _repeats(table: pd.DataFrame) -> NDArray[np.bool_]:
    content = _content(table)
    content.pop("reported_at", None)
    return guards.repeats_of_previous(list(content.values()))


def _refuse_reused_ids(
    reading: Reading, table: pd.DataFrame, rows: NDArray[np.int64]
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Refuse rows whose identifier an earlier row of other content has."""
    ids = table["incident_id"]
    reused = (ids.duplicated(keep=False) & ids.notna()).to_numpy()
    if not reused.any():
        return table, rows
    content = pd.DataFrame(_content(table))[reused]
    first = content.groupby(ids[reused].to_numpy(dtype=object), sort=False).transform("first")
    differs = np.zeros(len(table), dtype=bool)
    differs[reused] = (content != first).any(axis=1).to_numpy()
    mask = np.zeros(len(reading.open), dtype=bool)
    mask[rows[differs]] = True
    refused = reading.table["incident_id"]
    rejection = Rejection("incident_id", "incident_id repeats with other content", mask)
    reading.reject([rejection], lambda which: refused.iloc[which].astype(str).str.slice(0, 80))
    exact = int(ids[~differs & reused].duplicated().sum())
    reading.note(
        "rows repeated with their incident_id", exact, "The same record is in the files more than once."
    )
    return (_only(table, ~differs), rows[~differs]) if differs.any() else (table, rows)


def _note_repeats(reading: Reading, table: pd.DataFrame, repeats: NDArray[np.bool_]) -> None:
    advice = (
        "One row a victim or count, or double entries? duplicates='drop' counts each time, place and "
        "category once; 'flag' marks the repeats."
    )
    n = len(table)
    reading.note("exact repeats of time, place and category", int(repeats.sum()), advice, of=n)
    content = _content(table)
    category = content["category"].astype(np.int64)
    near = 0
    if time_precision(pd.DatetimeIndex(table["occurred_at"]).tz_localize(None)) != "date":
        near = guards.near_repeats(content["occurred_at"], content["lat"], content["lng"], category)
    advice = (
        "Same category within about 50 m and 5 minutes: perhaps one incident entered twice. They are kept."
    )
    reading.note("near repeats (50 m, 5 minutes)", near, advice, of=n)


def _note_records(
    reading: Reading, table: pd.DataFrame, rows: NDArray[np.int64], precision: TimePrecision
) -> None:
    """Remember what is doubtful about the accepted rows."""
    n = len(table)
    advice = "These local times came twice when the clocks went back; they are taken as the first of the two."
    reading.note("ambiguous time (clock change)", int(reading.occurred.ambiguous[rows].sum()), advice, of=n)
    if precision == "date":
        reading.note(
            "times are dates only", n, "Use bins of a day or longer; finer panels are refused.", of=n
        )
    if pile := guards.pile_ups(table["lat"].to_numpy(), table["lng"].to_numpy()):
        reading.problems.append(pile)
    counts = counts_by(table["category"])
    few = [name for name, count in counts.items() if count < _FEW]
    named = ", ".join([repr(name[:40]) for name in few[:5]] + (["…"] if few[5:] else []))
    advice = f"Too few to forecast on their own: {named}."
    reading.note(
        f"categories with fewer than {_FEW} incidents", sum(counts[name] for name in few), advice, of=n
    )


def all_problems(reading: Reading) -> list[Problem]:
    """What was quarantined, by reason, then what else there is to know."""
    refused = counts_by(reading.quarantine()["reason"])
    quarantined = [
        Problem(
            f"quarantined: {reason}",
            n,
            n / reading.n_read,
            _advice(reason, "See `.quarantine` for the rows."),
        )
        for reason, n in refused.items()
    ]
    return quarantined + reading.problems


def warn_of_lost_places(quarantine: pd.DataFrame, n_read: int) -> None:
    """Warn if more than 20 % of the rows have no usable place."""
    n = int(
        quarantine.loc[~quarantine["reason"].str.startswith("filtered"), "column"]
        .isin(["lat", "lng", "lat, lng"])
        .sum()
    )
    if n > _MANY * n_read:
        msg = (
            f"{n:,} of {n_read:,} rows ({n / n_read:.1%}) have no usable place and are quarantined: what is "
            "left may not be representative."
        )
        warnings.warn(msg, DataWarning, stacklevel=3)
