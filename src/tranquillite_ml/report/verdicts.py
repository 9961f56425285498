"""Statuses of sections and the verdict, derived from nothing but what the report itself holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tranquillite_ml.audit.check import WORST_FIRST
from tranquillite_ml.governance.thresholds import Status
from tranquillite_ml.report.sections import IN_VERDICT, MUST_HOLD, SECTIONS, Section
from tranquillite_ml.report.wording import Words, both, joined

COVERAGE_TOLERANCE = 0.03
"""How far the share of outcomes inside intervals may be from what they promise."""

Report = Mapping[str, Any]


def worst(statuses: list[Status]) -> Status:
    """The worst of some statuses; NOT_ASSESSABLE if there is none.

    Examples
    --------
    >>> worst(["PASS", "NOT_ASSESSABLE", "WARN"]), worst([])
    ('WARN', 'NOT_ASSESSABLE')
    """
    return next((status for status in WORST_FIRST if status in statuses), "NOT_ASSESSABLE")


def section_status(section: Section, report: Report) -> Status:
    """Status of a section: the worst of its checks, and of what else it has a rule for."""
    if section.id == "S1":
        return verdict(report)[0]
    of = {check["id"]: check["status"] for check in report["checks"]}
    found: list[Status] = [of.get(name, "NOT_ASSESSABLE") for name in section.checks]
    if section.id in _OWN:
        found.append(_OWN[section.id](report))
    return worst(found)


def section_statuses(report: Report) -> dict[str, Status]:
    """Status of every section but the first, by id."""
    return {one.id: section_status(one, report) for one in SECTIONS if one.id != "S1"}


def verdict(report: Report) -> tuple[Status, str]:
    """Overall status, and what it means for use.

    Returns
    -------
    status : str
    use : {"must_not", "not_as_it_is", "with_reservations", "nothing_against"}
    """
    of = {check["id"]: check["status"] for check in report["checks"]}
    if any(of.get(name, "NOT_ASSESSABLE") in {"FAIL", "NOT_ASSESSABLE"} for name in MUST_HOLD):
        return "FAIL", "must_not"
    statuses = section_statuses(report)
    status = worst([statuses[name] for name in IN_VERDICT])
    if status == "FAIL":
        return status, "not_as_it_is"
    if status == "PASS":
        return status, "nothing_against"
    return "WARN", "with_reservations"


FIRST = ("S7", "S8", "S10")
"""Sections whose failure is told first: no use, unequal treatment, feedback."""


def reasons_for_verdict(report: Report) -> list[str]:
    """Ids of the checks and sections that the verdict comes from, the most important first.

    Checks that must hold come before all; a section that fails through them alone is not named again.
    """
    status, use = verdict(report)
    of = {check["id"]: check["status"] for check in report["checks"]}
    lost = [name for name in MUST_HOLD if of.get(name, "NOT_ASSESSABLE") in {"FAIL", "NOT_ASSESSABLE"}]
    wanted = {"FAIL"} if status == "FAIL" else {"WARN", "NOT_ASSESSABLE"}
    sections = {one.id: one for one in SECTIONS}
    found = [
        name for name, given in section_statuses(report).items() if name in IN_VERDICT and given in wanted
    ]
    if use == "must_not":
        found = [name for name in found if not _through(sections[name], of, report) <= set(lost)]
    else:
        lost = []
    return lost + sorted(found, key=lambda name: (name not in FIRST, IN_VERDICT.index(name)))


def _through(section: Section, of: Mapping[str, Status], report: Report) -> set[str]:
    """What makes a section fail: its checks, and its own rule by the section's id."""
    failed = {name for name in section.checks if of.get(name) == "FAIL"}
    own = section.id in _OWN and _OWN[section.id](report) == "FAIL"
    return failed | ({section.id} if own else set())


# ---------------------------------------------------------------------- sections with rules of their own


def lacking(section: str, report: Report) -> Words | None:
    """What a rule of a section itself found wanting, in words; None if nothing, or it has no such rule."""
    if section == "S2":
        keys = {"data_protection_officer", "legal_status.signed_by", "legal_status.date"}
        empty = [
            one["label"]
            for one in report["governance"]["fields"]
            if one["key"] in keys and one["said"] is None
        ]
    elif section == "S3":
        empty = [
            {language: f"({one['key']}) {text}" for language, text in one["label"].items()}
            for one in report["impact"]
            if one["said"] is None
        ]
    elif section == "S17":
        open_ = [one["source"] for one in report["objections"] if one["status"] != "PASS"]
        told = both(f"measured answers to {'; '.join(open_)}", f"des réponses mesurées à {' ; '.join(open_)}")
        empty = [told] if open_ else []
    elif section in _ABSENT and _OWN[section](report) == "NOT_ASSESSABLE":
        empty = [_ABSENT[section]]
    else:
        return None
    return joined(empty, ("; ", " ; ")) if empty else None


_ABSENT = {
    "S9": both(
        "the coverage of intervals was not measured", "la couverture des intervalles n'est pas mesurée"
    ),
    "S18": both("no earlier report was given", "aucun rapport antérieur n'est fourni"),
    "S19": both(
        "no results of the software's tests were given", "aucun résultat des tests du logiciel n'est fourni"
    ),
}


def _legal(report: Report) -> Status:
    legal = report["legal_status"]
    needed = ("data_protection_officer", "reviewed_by", "reviewed_on")
    return "FAIL" if any(legal[name] is None for name in needed) else "PASS"


def _impact(report: Report) -> Status:
    return "FAIL" if any(field["said"] is None for field in report["impact"]) else "PASS"


def _intervals(report: Report) -> Status:
    found = report["interval_coverage"]
    if found is None or found["value"] is None:
        return "NOT_ASSESSABLE"
    return "WARN" if abs(found["value"] - found["nominal"]) > COVERAGE_TOLERANCE else "PASS"


def _objections(report: Report) -> Status:
    return "WARN" if any(one["status"] != "PASS" for one in report["objections"]) else "PASS"


def _changes(report: Report) -> Status:
    if report["changes"] is None:
        return "NOT_ASSESSABLE"
    return "WARN" if any(not one["explanation"] for one in report["changes"]) else "PASS"


def _bars(report: Report) -> Status:
    if not report["bars"]:
        return "NOT_ASSESSABLE"
    return worst([one["status"] for one in report["bars"]])


_OWN: dict[str, Callable[[Report], Status]] = {
    "S2": _legal,
    "S3": _impact,
    "S9": _intervals,
    "S17": _objections,
    "S18": _changes,
    "S19": _bars,
}
