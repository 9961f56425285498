"""The report as one dict of plain values, from which page, JSON file and documents are made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tranquillite_ml.audit import Evidence
from tranquillite_ml.report import exhibits, explained, facts
from tranquillite_ml.report.curves import curves_of
from tranquillite_ml.report.mapped import Drawing, maps_of
from tranquillite_ml.report.methods import method_words
from tranquillite_ml.report.objections import OBJECTIONS
from tranquillite_ml.report.oversight import oversight_of
from tranquillite_ml.report.sections import SECTIONS
from tranquillite_ml.report.sentences import (
    answer_of,
    because_check,
    because_section,
    reason_of,
    rule_of,
    status_of_measurement,
    verdict_sentence,
)
from tranquillite_ml.report.terms import ANCHORS, CHECK_TITLES, about, named
from tranquillite_ml.report.verdicts import lacking, reasons_for_verdict, section_statuses, verdict
from tranquillite_ml.report.wording import AIA_CA, ALTAI, ANNEX_IV, LIMITS, LIMITS_VERSION, Words, both
from tranquillite_ml.report.worth import differences, worth_of
from tranquillite_ml.runfolder import plain

if TYPE_CHECKING:
    import pandas as pd

    from tranquillite_ml.audit import Check
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance import Thresholds

SCHEMA_VERSION = "1.0"
SCHEMA = Path(__file__).parent / "report.schema.json"
SIGNERS = {"ethics reviewer": both("Ethics reviewer", "Responsable de la revue éthique")}
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U


@dataclass(frozen=True)
class Inputs:
    """What a report is made from, besides forecasts, checks, evidence and thresholds.

    Parameters
    ----------
    latest : Forecasts, optional
        The last forecast, for the maps; the last cutoff of the backtest if not given.
    tables : mapping of str to DataFrame, optional
        Of the evaluation, as a run keeps them: ``compare, reliability, interval_coverage``.
    notice : str, optional
        What every output must say, such as that the data are simulated.
    previous : mapping, optional
        The last report, whose verdicts are compared.
    explanations : mapping of str to str, optional
        Why the status of a check changed, by its id.
    bars : sequence of mapping, optional
        Results of the tests of this version of the software: ``id, title, status``.
    at : datetime, optional
        When it is written; now if not given.
    """

    latest: Forecasts | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notice: str | None = None
    previous: Mapping[str, Any] | None = None
    explanations: Mapping[str, str] = field(default_factory=dict)
    bars: Sequence[Mapping[str, Any]] = ()
    at: datetime | None = None


def summarise_report(
    forecasts: Forecasts,
    checks: Sequence[Check],
    thresholds: Thresholds,
    *,
    evidence: Evidence | None = None,
    inputs: Inputs | None = None,
) -> tuple[dict[str, Any], dict[str, Drawing]]:
    """Everything a report says, as plain values.

    Parameters
    ----------
    forecasts : Forecasts
        Of the backtest; the first model is the audited one.
    checks : sequence of Check
        Of the audit.
    thresholds : Thresholds
        Those that the checks were judged by.
    evidence : Evidence, optional
    inputs : Inputs, optional

    Returns
    -------
    report : dict
        Valid by ``report.schema.json``.
    drawings : dict of str to Drawing
        Outlines of the maps, which no reader of the JSON needs.
    """
    given, more = evidence or Evidence(), inputs or Inputs()
    at = (more.at or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    system = facts.system_of(forecasts, given, more.notice)
    worth = worth_of(forecasts, str(forecasts.models[0]))
    figures, drawings = _figures(forecasts, checks, thresholds, given, more)
    report: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "edition": "full",
        "generated_at": at.isoformat().replace("+00:00", "Z"),
        "system": system,
        "legal_status": facts.legal_of(given),
        "governance": facts.governance_of(given, at.date()),
        "impact": facts.impact_of(system, given),
        "data": facts.data_of(given),
        "run": facts.run_of(forecasts, given),
        "thresholds": ratified(thresholds) | {"sha256": thresholds.digest, "values": thresholds.to_dict()},
        "worth": worth,
        "oversight": oversight_of(given),
        "checks": [check_entry(one, thresholds) for one in checks],
        "interval_coverage": _coverage(more.tables, str(forecasts.models[0])),
        "bars": [dict(one) for one in more.bars],
        "explanations": _explanations(given),
        "suppression": {"min_incidents": thresholds.setting("C19", "min_incidents")},
        "figures": differences(worth) + figures,
    }
    report["changes"] = _changes(report, more)
    report = plain(report)
    report |= always_said(report)
    report |= concluded(report)
    return seal(report, at), drawings


def ratified(thresholds: Thresholds) -> dict[str, str | None]:
    """By whom thresholds were ratified, and when."""
    on = thresholds.ratified_on
    return {"committed_at": None if on is None else on.isoformat(), "ratified_by": thresholds.ratified_by}


def check_entry(check: Check, thresholds: Thresholds) -> dict[str, Any]:
    """A check as the report holds it: its plain values, its texts, and how each measurement was judged."""
    return check.to_dict() | {
        "titles": CHECK_TITLES[check.id],
        "methods": method_words(check.method),
        "rule": rule_of(check.id, thresholds, check.measurements),
        "reason": reason_of(check, thresholds),
        "anchors": list(ANCHORS[check.id]),
        "about": [about(one.category, one.group, one.subject) for one in check.measurements],
        "judged": [status_of_measurement(check, one, thresholds) for one in check.measurements],
    }


def always_said(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a version of the software says in every report, and of each check: limits, objections, annexes."""
    found = {
        "objections": _objections(report["checks"]),
        "limits_of_use": LIMITS,
        "limits_version": LIMITS_VERSION,
        "signoff": [
            {"role": role, "told": told, "name_or_body": None, "decision": None, "date": None}
            for role, told in SIGNERS.items()
        ],
        "simulations": _simulations(report["checks"]),
        "annex_iv": ANNEX_IV,
        "altai": ALTAI,
        "aia_ca": AIA_CA,
    }
    return dict(plain(found))


def concluded(report: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from the rest of a report: ``verdict, use, verdict_sentence, sections``."""
    of = {one["id"]: one for one in report["checks"]}
    statuses: dict[str, str] = dict(section_statuses(report))
    statuses["S1"], use = verdict(report)
    sentence = verdict_sentence(use, [_why(name, of, statuses) for name in reasons_for_verdict(report)])
    sections = []
    for one in SECTIONS:
        mine = [of[name] for name in one.checks if name in of]
        answer = answer_of(one, statuses[one.id], mine, lacking(one.id, report))
        entry = {
            "id": one.id,
            "status": statuses[one.id],
            "check_ids": list(one.checks),
            "public": one.public,
            "title": one.title,
            "question": one.question,
            "rule": one.rule,
            "cannot_tell": one.cannot_tell,
            "pointers": list(one.pointers),
            "answer": sentence if one.id == "S1" else answer,
        }
        sections.append(entry)
    return {"verdict": statuses["S1"], "use": use, "verdict_sentence": sentence, "sections": sections}


def _why(name: str, of: Mapping[str, Any], statuses: Mapping[str, str]) -> Words:
    """One reason for the verdict: a check, or a section."""
    section = next((one for one in SECTIONS if one.id == name), None)
    if section is None:
        return because_check(name, of[name]["status"] if name in of else "NOT_ASSESSABLE")
    return because_section(section, statuses[name], [of[one] for one in section.checks if one in of])


def _figures(
    forecasts: Forecasts, checks: Sequence[Check], thresholds: Thresholds, evidence: Evidence, more: Inputs
) -> tuple[list[dict[str, Any]], dict[str, Drawing]]:
    latest = forecasts.latest() if more.latest is None else more.latest
    latest = latest.select(model=latest.models[0], horizon=int(latest.keys["horizon"].min()))
    mapped, drawings = maps_of(forecasts, latest, evidence, thresholds)
    found = list(mapped)
    if "compare" in more.tables:
        found += exhibits.differences(more.tables["compare"])
    if "reliability" in more.tables:
        found += exhibits.reliability(more.tables["reliability"], str(forecasts.models[0]))
    for check in checks:
        found += exhibits.from_check(check, home_of(check.id), thresholds)
        found += curves_of(check)
    if evidence.explanation is not None:
        found += explained.families(evidence.explanation)
        if evidence.groups is not None:
            found += explained.regions(evidence.explanation, evidence.groups)
    return found, drawings


def home_of(check: str) -> str:
    """Section that shows the figures of a check: the first that has it, fairness for groups of places."""
    if check in {"C01", "C02", "C03", "C04", "C05"}:
        return "S8"
    return next(one.id for one in SECTIONS if check in one.checks)


def _coverage(tables: Mapping[str, pd.DataFrame], model: str) -> dict[str, Any] | None:
    """Share of outcomes inside the audited model's intervals, ends counted in part as counts ask for."""
    if "interval_coverage" not in tables:
        return None
    table = tables["interval_coverage"]
    mine = table[(table["model"] == model) & table["randomised_coverage"].notna()]
    n = int(mine["n"].sum())
    if n == 0:
        return None
    value = float((mine["randomised_coverage"] * mine["n"]).sum() / n)
    return {"value": value, "nominal": float(mine["nominal"].iloc[0]), "n": n, "unit_of_n": "place-periods"}


def _objections(checks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Objections, of which those that no check has measured are open."""
    assessed = {one["id"] for one in checks if one["status"] != "NOT_ASSESSABLE"}
    return [
        {"source": one.source, "claim": one.claim, "reply": one.reply, "unresolved": one.unresolved}
        | {"check_ids": list(one.checks)}
        | {"status": "PASS" if assessed & set(one.checks) else "WARN"}
        for one in OBJECTIONS
    ]


def _explanations(evidence: Evidence) -> dict[str, Any]:
    found = evidence.explanation
    if found is None:
        return {"there": False, "rows_checked": None, "largest_error": None, "sheets": []}
    told = {"there": True, "rows_checked": found.n_checked, "largest_error": found.largest_error}
    return told | {"sheets": explained.cell_sheets(found)}


def _simulations(checks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        one["id"]: one["method"] for one in checks if one["id"] in {"C08", "C09", "C10"} and one["method"]
    }


def _changes(report: Mapping[str, Any], more: Inputs) -> list[dict[str, Any]] | None:
    if more.previous is None:
        return None
    before = {one["id"]: one["status"] for one in more.previous["checks"]}
    return [
        {"id": one["id"], "title": named(one["id"], CHECK_TITLES), "before": before[one["id"]]}
        | {"now": one["status"], "explanation": more.explanations.get(one["id"])}
        for one in report["checks"]
        if one["id"] in before and before[one["id"]] != one["status"]
    ]


# ---------------------------------------------------------------------- bytes


def canonical(report: Mapping[str, Any]) -> bytes:
    r"""The report's bytes: sorted keys, UTF-8, no NaN, one line.

    Examples
    --------
    >>> canonical({"b": "é", "a": 1.0})
    b'{"a":1.0,"b":"\xc3\xa9"}\n'
    """
    text = json.dumps(report, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return (text + "\n").encode()


def seal(report: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Give a report its id and the digest of each of its values, by which a changed one is found."""
    report["report_id"] = _ulid(at, hashlib.sha256(canonical(report)).digest())
    report["digests"] = {
        "whole": hashlib.sha256(canonical(report)).hexdigest(),
        "values": "".join(digest for _, digest in value_digests(report)),
    }
    return report


def value_digests(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and short digest of each value of a report, its own digests left out, in a fixed order."""
    for path, value in leaves({key: part for key, part in report.items() if key != "digests"}):
        told = json.dumps([path, value], ensure_ascii=True, allow_nan=False)
        yield path, hashlib.sha256(told.encode()).hexdigest()[:8]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path (RFC 6901) and value of all that is no list or mapping, and of those that are empty.

    Examples
    --------
    >>> list(leaves({"b": [1, {"c/d": None}], "a": []}))
    [('/a', []), ('/b/0', 1), ('/b/1/c~1d', None)]
    """
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            yield from leaves(value[key], f"{path}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list) and value:
        for number, part in enumerate(value):
            yield from leaves(part, f"{path}/{number}")
    else:
        yield path, value


def _ulid(at: datetime, digest: bytes) -> str:
    """Time and content as 26 letters: the same content at the same time has the same id."""
    number = (int(at.timestamp() * 1000) << 80) | int.from_bytes(digest[:10])
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -5, -5))
