"""C12, C13, C21, C22, C25, C26: what only the field can tell, and the form its records must have.

A record is a table, a list of rows or the path of a CSV, given as ``Evidence(records={"contests": …})``. Its
columns are checked; without it the check says NOT_ASSESSABLE and what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Definition, Finding
from tranquillite_ml.audit.doubtful import doubtful_windows
from tranquillite_ml.audit.drift import drift
from tranquillite_ml.errors import InputDataError, nearest
from tranquillite_ml.governance import log

if TYPE_CHECKING:
    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds


@dataclass(frozen=True)
class Field:
    """One column of a record: its kind, what it means, whether every row must have it.

    Attributes
    ----------
    kind : {"text", "day", "number", "yes or no"}
    meaning : str
    required : bool
    options : tuple of str
        What a text may say; anything if empty.
    """

    kind: str
    meaning: str
    required: bool = True
    options: tuple[str, ...] = ()


CONTESTS: Mapping[str, Field] = {
    "contest_id": Field("text", "identifier of the objection, never of a person"),
    "received_on": Field("day", "day it came"),
    "answered_on": Field("day", "day it was answered; empty while it is open", required=False),
    "about": Field("text", "cell, record or output that it is about"),
    "outcome": Field(
        "text", "what came of it", required=False, options=("upheld", "rejected", "partly", "open")
    ),
}
DECISIONS: Mapping[str, Field] = {
    "forecast_sha256": Field("text", "digest of the forecast that was seen"),
    "period_start": Field("day", "first day of the period"),
    "role": Field("text", "who saw it: a role, never a name"),
    "action": Field("text", "what was done", options=("followed", "overridden", "nothing", "not seen")),
    "reason": Field("text", "why it was overridden, or what a review of a cell came to", required=False),
    "cell": Field("text", "the cell it is about; empty: the whole forecast", required=False),
    "minutes_on_site": Field("number", "time spent there", required=False),
}
FRONTIER: Mapping[str, Field] = {
    "penalty": Field("number", "weight on the difference between shares of patrol and of population"),
    "capture": Field("number", "share of incidents in the selected area"),
    "largest_gap": Field("number", "largest difference of an exposure ratio from 1"),
    "chosen": Field("yes or no", "whether this row is the one in use"),
    "owner": Field("text", "who chose it: a body or office", required=False),
}
TRIAL: Mapping[str, Field] = {
    "outcome": Field("text", "what was counted: incidents, stops, fines, arrests"),
    "group": Field("text", "group of places; empty for the city", required=False),
    "randomised": Field("yes or no", "whether slots were drawn at random"),
    "claimed": Field("yes or no", "whether an effect is claimed"),
    "effect": Field("number", "difference, treated minus control", required=False),
    "lower": Field("number", "lower end of its 95 % interval", required=False),
    "upper": Field("number", "upper end", required=False),
    "min_detectable": Field("number", "smallest effect the trial could have seen", required=False),
    "slots": Field("number", "slots compared"),
}
RECORDS: Mapping[str, Mapping[str, Field]] = {
    "contests": CONTESTS,
    "decisions": DECISIONS,
    "frontier": FRONTIER,
    "trial": TRIAL,
}
"""The form of each record, by its name in `Evidence.records`."""

_MAX_ROWS = 1_000_000
_YES = {
    "true": True,
    "yes": True,
    "1": True,
    "oui": True,
    "false": False,
    "no": False,
    "0": False,
    "non": False,
}


def read_record(name: str, given: Any) -> pd.DataFrame:
    """Check a record from the field: a table with the columns of `RECORDS`.

    Parameters
    ----------
    name : str
        ``contests``, ``decisions``, ``frontier`` or ``trial``.
    given : DataFrame, sequence of mappings, or path of a CSV

    Raises
    ------
    InputDataError
        Naming the column, the row and what was expected.

    Examples
    --------
    >>> rows = [{"contest_id": "1", "received_on": "2026-01-02", "about": "89396802c13ffff"}]
    >>> read_record("contests", rows)["received_on"].tolist()
    [Timestamp('2026-01-02 00:00:00')]
    """
    form = RECORDS[name]
    if isinstance(given, str | Path):
        table = pd.read_csv(given, dtype=str)
    else:
        table = pd.DataFrame(list(given) if isinstance(given, Sequence) else given)
    unknown = [str(column) for column in table.columns if column not in form]
    missing = [column for column, field in form.items() if field.required and column not in table]
    if missing or unknown:
        wrong = (
            f"{missing} are missing" if missing else f"{unknown[0]!r} is unknown.{nearest(unknown[0], form)}"
        )
        msg = f"the record {name!r} has the columns {list(form)}: {wrong}"
        raise InputDataError(msg)
    if len(table) > _MAX_ROWS:
        msg = f"the record {name!r} holds {len(table)} rows; at most {_MAX_ROWS} can be read."
        raise InputDataError(msg)
    return pd.DataFrame({column: _read(name, column, field, table) for column, field in form.items()})


def _read(name: str, column: str, field: Field, table: pd.DataFrame) -> pd.Series[Any]:
    """One column as its kind."""
    given = table[column] if column in table else pd.Series([None] * len(table), dtype=object)
    empty = given.isna() | (given.astype(str).str.strip() == "")
    text = given.astype(str).str.strip()
    if field.kind == "day":
        found = pd.to_datetime(text.where(~empty), errors="coerce", format="ISO8601")
        wrong = found.isna()
    elif field.kind == "number":
        found = pd.to_numeric(text.where(~empty), errors="coerce").astype(np.float64)
        wrong = ~np.isfinite(found)
    elif field.kind == "yes or no":
        found = text.str.lower().map(_YES)
        wrong = found.isna()
    else:
        found = text.where(~empty, "")
        wrong = ~text.isin(field.options) if field.options else pd.Series(data=False, index=text.index)
    bad = np.flatnonzero((wrong & ~empty) | (empty & field.required))
    if len(bad):
        expected = f"one of {list(field.options)}" if field.options else f"a {field.kind}"
        msg = (
            f"the record {name!r}, row {bad[0] + 1}, {column}: expected {expected} ({field.meaning}), "
            f"got {ascii(str(given.iloc[bad[0]]))[:60]}."
        )
        raise InputDataError(msg)
    return found


# ---------------------------------------------------------------------- the checks


def contestability(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Measure how long objections wait for an answer, and whether there is somebody to write to (C21).

    Open ones count with the days they have waited until the last one was received or answered.
    """
    del forecasts, thresholds
    table = read_record("contests", evidence.records["contests"])
    contact = None if evidence.governance is None else evidence.governance.contact
    last = pd.concat([table["received_on"], table["answered_on"]]).max()
    days = (table["answered_on"].fillna(last) - table["received_on"]).dt.days.to_numpy(dtype=np.float64)
    if (days < 0).any():
        msg = f"the record 'contests', row {int(np.argmax(days < 0)) + 1}: answered before it was received."
        raise InputDataError(msg)
    missing = float(contact is None)
    found = [
        Measurement("missing_contacts_or_logs", missing, "things"),
        Measurement(
            "median_days",
            float(np.median(days)) if len(days) else 0.0,
            "days",
            n=len(days),
            unit_of_n="objections",
        ),
        Measurement("open_objections", float(table["answered_on"].isna().sum()), "objections", n=len(table)),
    ]
    reason = {"en": "", "fr": ""}
    if missing:
        reason = {
            "en": "nobody is named to whom an objection can be sent (governance: contact)",
            "fr": "nul n'est nommé à qui adresser une contestation (gouvernance : contact)",
        }
    counts = table["outcome"].replace("", "open").value_counts().rename_axis("outcome").reset_index(name="n")
    return Finding(found, reason=reason, tables={"outcomes": counts})


def decisions(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Measure which share of the forecasts has a line of what was done, and whether the log is whole (C22).

    The record is a hash-chained log (``.jsonl``), whose forecasts and ``decision`` payloads are counted, or a
    table of what was done, whose forecasts are then taken as all that were issued for the audited periods.
    """
    del thresholds
    given = evidence.records["decisions"]
    if isinstance(given, str | Path) and Path(given).suffix == ".jsonl":
        return _of_log(Path(given))
    table = read_record("decisions", given)
    issued = forecasts.keys.loc[forecasts.keys["model"] == forecasts.models[0], "period_start"]
    days = {pd.Timestamp(moment).tz_localize(None).normalize() for moment in issued.unique()}
    logged = set(table["period_start"].dt.normalize()) & days
    silent = ((table["action"] == "overridden") & (table["reason"] == "")).sum()
    found = [
        Measurement(
            "logged_share",
            len(logged) / len(days) if days else math.nan,
            "share",
            n=len(days),
            unit_of_n="periods",
        ),
        Measurement("broken_lines", math.nan, "lines"),
        Measurement("overrides_without_reason", float(silent), "decisions", n=len(table)),
    ]
    reason = {
        "en": "a plain table can be changed without trace: keep a hash-chained log",
        "fr": "un simple tableau peut être modifié sans trace : tenir un registre chaîné",
    }
    counts = table["action"].value_counts().rename_axis("action").reset_index(name="n")
    return Finding(found, reason=reason, tables={"actions": counts})


def _of_log(path: Path) -> Finding:
    state = log.verify(path)
    broken = Measurement("broken_lines", float(not state.intact), "lines", n=state.lines, unit_of_n="lines")
    if not state.intact:
        told = {
            "en": f"line {state.broken_line}: {state.reason}",
            "fr": f"ligne {state.broken_line} : chaîne rompue",
        }
        return Finding([broken], reason=told)
    entries = log.read_log(path)
    issued = {str(entry.payload.get("sha256")) for entry in entries if entry.kind == "forecast"}
    answered = {str(entry.payload.get("forecast_sha256")) for entry in entries if entry.kind == "decision"}
    share = len(issued & answered) / len(issued) if issued else math.nan
    return Finding(
        [Measurement("logged_share", share, "share", n=len(issued), unit_of_n="forecasts"), broken]
    )


def frontier(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Look whether somebody owns the choice between accuracy and evenness, which is theirs (C25)."""
    del forecasts
    table = read_record("frontier", evidence.records["frontier"])
    asked = thresholds.settings("C25", "penalties")
    absent = [value for value in asked if not np.isclose(table["penalty"], value).any()]
    chosen = table[table["chosen"].astype(bool)]
    unowned = float((chosen["owner"] == "").sum()) if len(chosen) == 1 else 1.0
    found = [
        Measurement("choices_without_owner", unowned, "choices", n=len(chosen), unit_of_n="choices"),
        Measurement(
            "penalties_not_tried", float(len(absent)), "penalties", n=len(asked), unit_of_n="penalties"
        ),
    ]
    return Finding(found, tables={"frontier": table})


def field_effect(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Count claims of an effect that rest on observation alone or on nothing (C26)."""
    del forecasts, thresholds
    table = read_record("trial", evidence.records["trial"])
    randomised = table["randomised"].astype(bool)
    claimed = table["claimed"].astype(bool)
    measured = table[["effect", "lower", "upper"]].notna().all(axis=1)
    shared: dict[str, Any] = {"n": int(claimed.sum()), "unit_of_n": "claims"}
    found = [
        Measurement(
            "observational_claims", float((claimed & ~randomised & measured).sum()), "claims", **shared
        ),
        Measurement("claims_without_trial", float((claimed & ~measured).sum()), "claims", **shared),
        *(
            Measurement(
                "field_effect",
                row.effect,
                str(row.outcome),
                row.lower,
                row.upper,
                n=int(row.slots),
                unit_of_n="slots",
                group=row.group or None,
                min_detectable=None if math.isnan(row.min_detectable) else row.min_detectable,
            )
            for row in table[randomised & measured].itertuples()
        ),
    ]
    return Finding(found, tables={"trial": table})


DEFINITIONS = (
    Definition("C12", ("governance", "panel"), doubtful_windows),
    Definition("C13", ("panel",), drift),
    Definition("C21", ("contests",), contestability),
    Definition("C22", ("decisions",), decisions),
    Definition("C25", ("frontier",), frontier),
    Definition("C26", ("trial",), field_effect),
)
