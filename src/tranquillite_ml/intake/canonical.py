"""The canonical table of incidents: one order, one set of types, one digest, whatever order rows came in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, nearest
from tranquillite_ml.intake.times import as_text, parse_times

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTERVAL = ("occurred_from", "occurred_to")
COLUMNS = ("incident_id", "occurred_at", *INTERVAL, "reported_at", "lat", "lng", "category", "duplicate")


def canonical_order(keys: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Row numbers that sort by the first key, then the second, …; later keys only matter where rows tie.

    Examples
    --------
    >>> canonical_order([np.array([2, 1, 1]), np.array(["a", "c", "b"], dtype=object)]).tolist()
    [2, 1, 0]
    """
    order = np.arange(len(keys[0]))
    tied, run = order.copy(), np.zeros(len(order), dtype=np.int64)
    for number, key in enumerate(keys):
        values = key[order[tied]]
        if values.dtype == object:
            values = np.unique(values.astype(str), return_inverse=True)[1]
        local = np.argsort(values, kind="stable") if number == 0 else np.lexsort((values, run))
        order[tied] = order[tied][local]
        values, run = values[local], run[local]
        changed = np.ones(len(values), dtype=bool)
        changed[1:] = (values[1:] != values[:-1]) | (run[1:] != run[:-1])
        run = np.cumsum(changed) - 1
        several = np.bincount(run, minlength=1)[run] > 1 if len(run) else changed
        tied, run = tied[several], run[several]
        if len(tied) == 0:
            break
    return order


def instants_us(instants: Any) -> NDArray[np.int64]:
    """Microseconds since 1970-01-01 UTC; the smallest integer where there is no instant."""
    numbers: NDArray[np.int64] = pd.DatetimeIndex(instants).as_unit("us").asi8
    return numbers


def content_digest(table: pd.DataFrame, tz: str, ids_given: NDArray[np.bool_]) -> str:
    """SHA-256 of a canonical table, the same on every platform; made-up identifiers do not count."""
    digest = hashlib.sha256(f"tranquillite_ml incidents 1\n{tz}\n{len(table)}\n".encode())
    for name in ("occurred_at", "reported_at", *INTERVAL):
        if name in table:
            digest.update(name.encode() + instants_us(table[name]).astype("<i8").tobytes())
    for name in ("lat", "lng"):
        digest.update(
            name.encode() + (table[name].to_numpy(np.float64) + 0.0).astype("<f8").tobytes()
        )  # no −0
    categories = table["category"].cat
    digest.update(json.dumps([str(name) for name in categories.categories]).encode())
    digest.update(categories.codes.to_numpy().astype("<i4").tobytes())
    if ids_given.any():
        given = table["incident_id"].astype(object).where(ids_given, None)
        digest.update(json.dumps(given.tolist()).encode())
    return digest.hexdigest()


def build_table(
    *,
    ids: NDArray[np.object_],
    occurred_at: pd.DatetimeIndex,
    interval: tuple[pd.DatetimeIndex, pd.DatetimeIndex] | None = None,
    reported_at: pd.DatetimeIndex | None,
    place: tuple[NDArray[np.float64], NDArray[np.float64]],
    category: tuple[NDArray[np.int64], Sequence[str]],
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Sort rows into the canonical order and give them the canonical types.

    Parameters
    ----------
    ids : array of object
        Identifiers, None where there is none.
    occurred_at, reported_at : DatetimeIndex
        Instants in the local time zone.
    interval : pair of DatetimeIndex, optional
        Begin and end of uncertain times, NaT where a time is certain.
    place : tuple of array
        Latitude and longitude in degrees.
    category : tuple
        Number of each row's category, and the sorted names.

    Returns
    -------
    table : DataFrame
        Columns in canonical order; identifiers still None where there was none.
    order : array of int
        For each row of `table`, the row it was.
    """
    lat, lng = place
    codes, names = category
    keys: list[NDArray[Any]] = [instants_us(occurred_at), codes, lat, lng]
    keys.append(np.where(ids == None, "", ids))  # noqa: E711 — compares element by element
    if reported_at is not None:
        keys.append(instants_us(reported_at))
    spans = [] if interval is None else list(zip(INTERVAL, interval, strict=True))
    keys += [instants_us(times) for _, times in spans]
    order = canonical_order(keys)
    present, new_codes = np.unique(codes[order], return_inverse=True)
    columns: dict[str, Any] = {"incident_id": ids[order], "occurred_at": occurred_at[order]}
    columns |= {name: times[order] for name, times in spans}
    if reported_at is not None:
        columns["reported_at"] = reported_at[order]
    columns |= {"lat": lat[order], "lng": lng[order]}
    kinds = pd.Index([names[number] for number in present], dtype="str" if len(present) else object)
    columns["category"] = pd.Categorical.from_codes(new_codes.reshape(-1), categories=kinds)
    return pd.DataFrame(columns), order


def known_since(table: pd.DataFrame) -> pd.Series[Any]:
    """When each record became known: reported; else when its interval was over; else when it occurred."""
    since = table["occurred_at"]
    for name in ("occurred_to", "reported_at"):
        since = table[name].fillna(since) if name in table else since
    return since


def name_rows(table: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Make up identifiers (row-0000001, …, in canonical order) where there is none; say which were given."""
    given = table["incident_id"].notna().to_numpy()
    if given.all():
        return table.astype({"incident_id": str}), given
    ids = table["incident_id"].to_numpy(dtype=object, copy=True)
    missing = np.flatnonzero(~given)
    ids[missing] = [f"row-{number + 1:07d}" for number in missing.tolist()]
    return table.assign(incident_id=pd.Series(ids, index=table.index).astype(str)), given


def check_table(table: pd.DataFrame, tz: str) -> tuple[pd.DataFrame, pd.DatetimeIndex]:
    """Bring a ready-made table (a simulator's) to the canonical form, refusing whatever a guard would refuse.

    Returns
    -------
    table : DataFrame
        In canonical order and types; identifiers None where there were none.
    wall : DatetimeIndex
        Local wall-clock times of its rows.

    Raises
    ------
    InputDataError
        If a column is missing or unknown, or a value is missing or impossible.
    """
    for name in ("occurred_at", "lat", "lng", "category"):
        if name not in table:
            msg = f"the table has no column {name!r}.{nearest(name, map(str, table.columns))}"
            raise InputDataError(msg)
    unknown = [str(name) for name in table.columns if name not in COLUMNS[:-1]]
    if unknown:
        msg = f"the table has columns that incidents do not have: {unknown}. Known are {list(COLUMNS[:-1])}."
        raise InputDataError(msg)
    occurred = _instants(table["occurred_at"], tz, "occurred_at", complete=True)
    reported = _instants(table["reported_at"], tz, "reported_at") if "reported_at" in table else None
    interval = _interval(table, tz, occurred, reported)
    lat, lng = (table[name].to_numpy(dtype=np.float64) for name in ("lat", "lng"))
    if not (np.isfinite(lat) & np.isfinite(lng) & (np.abs(lat) <= 90) & (np.abs(lng) <= 180)).all():
        msg = "the table has rows without a place: lat must lie in −90…90 and lng in −180…180."
        raise InputDataError(msg)
    text = as_text(table["category"].reset_index(drop=True))
    if text.null_count:
        msg = f"the table has {text.null_count} rows without category."
        raise InputDataError(msg)
    names, codes = np.unique(text.to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    ids = np.full(len(table), None, dtype=object)
    if "incident_id" in table:
        ids = as_text(table["incident_id"].reset_index(drop=True)).to_numpy(zero_copy_only=False)
    built, order = build_table(
        ids=ids,
        occurred_at=occurred,
        interval=interval,
        reported_at=reported,
        place=(lat, lng),
        category=(codes, names.tolist()),
    )
    return built, occurred[order].tz_localize(None)


def _instants(values: pd.Series[Any], tz: str, name: str, *, complete: bool = False) -> pd.DatetimeIndex:
    parsed = parse_times(values.reset_index(drop=True), tz)
    lost = np.asarray(parsed.instants.isna()) & (complete | ~parsed.missing)
    if lost.any():
        first = int(lost.argmax()) + 1
        msg = f"{int(lost.sum())} rows lack a {name} that exists in {tz} (first: row {first})."
        raise InputDataError(msg)
    return parsed.instants


def _interval(
    table: pd.DataFrame, tz: str, occurred: pd.DatetimeIndex, reported: pd.DatetimeIndex | None
) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex] | None:
    """Begin and end of a ready-made table's uncertain times.

    Raises
    ------
    InputDataError
        If one is there without the other, or they do not lie as begin ≤ occurred_at ≤ end ≤ reported_at.
    """
    there = [name for name in INTERVAL if name in table]
    if not there:
        return None
    if len(there) == 1:
        msg = f"the table has {there[0]} alone: intervals need both {INTERVAL[0]} and {INTERVAL[1]}."
        raise InputDataError(msg)
    begin, end = (_instants(table[name], tz, name) for name in INTERVAL)
    wrong = begin.isna() != end.isna()
    wrong |= (begin >= end) | (occurred < begin) | (occurred > end)
    wrong |= np.zeros(len(end), dtype=bool) if reported is None else np.asarray(reported < end)
    if wrong.any():
        first = int(np.argmax(wrong)) + 1
        msg = (
            f"{int(wrong.sum())} rows have an impossible interval (first: row {first}); expected "
            "occurred_from ≤ occurred_at ≤ occurred_to ≤ reported_at, with some length, or neither end."
        )
        raise InputDataError(msg)
    return None if begin.isna().all() else (begin, end)


def counts_by(values: pd.Series[Any]) -> Mapping[str, int]:
    """Count rows by value, most frequent first, ties by name."""
    counts = values.astype(str).value_counts()
    return {
        str(name): int(n) for name, n in sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    }
