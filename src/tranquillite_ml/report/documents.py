"""Exports of a report's dict: model card, datasheet, ATRS record, FRIA fields, Annex IV cross-table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tranquillite_ml.report.wording import STATUS, shown

Report = Mapping[str, Any]
EMPTY = "left empty: nobody has filled this in"
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")


def documents(report: Report) -> dict[str, str]:
    """Text of every document, by the name of its file.

    Parameters
    ----------
    report : mapping
        As `summarise_report` gives it.

    Returns
    -------
    dict of str to str
        ``model_card.md, datasheet.md, atrs.json, fria.json, annex_iv.md``.
    """
    return {
        "model_card.md": model_card(report),
        "datasheet.md": datasheet(report),
        "atrs.json": _json(atrs(report)),
        "fria.json": _json(fria(report)),
        "annex_iv.md": annex_iv(report),
    }


def md(value: Any) -> str:
    r"""Text as Markdown shows it unchanged, on one line; what is empty says so.

    Examples
    --------
    >>> md("<b>|noise|"), md(None)
    ('\\<b\\>\\|noise\\|', 'left empty: nobody has filled this in')
    """
    if value is None or value == "":
        return EMPTY
    return _MARKS.sub(r"\\\1", " ".join(str(value).split()))


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return [*lines, *("| " + " | ".join(md(value) for value in row) + " |" for row in rows), ""]


def model_card(report: Report) -> str:
    """Model card: intended use, limits, metrics by group, caveats."""
    system, run = report["system"], report["run"]
    lines = [
        f"# Model card: {md(system['name'])}",
        "",
        *([f"**{md(system['notice'])}**", ""] if system["notice"] else []),
        f"**Verdict.** {md(report['verdict_sentence']['en'])}",
        "",
        "## Limits of use",
        "",
        md(report["limits_of_use"]["en"]),
        "",
        "## Details",
        "",
        *_table(
            ("field", "value"),
            [
                ("Purpose", system["intended_use"]),
                ("Not for", system["out_of_scope"]["en"]),
                ("Owner", system["owner"]),
                ("Contact", system["contact"]),
                ("Model", system["audited_model"]),
                ("Software version", system["version"]),
                ("Cells", system["n_cells"]),
                ("Model SHA-256", run["model_sha256"]),
                ("Forecasts SHA-256", run["forecast_sha256"]),
                ("Report", report["report_id"]),
            ],
        ),
        "## Checks",
        "",
        *_table(
            ("check", "status", "why"),
            [
                (f"{one['id']} {one['titles']['en']}", STATUS[one["status"]]["en"], one["reason"]["en"])
                for one in report["checks"]
            ],
        ),
        "## Measurements by group",
        "",
        *_table(
            ("check", "measure", "category", "group", "value", "95 % interval", "n"),
            [
                _measured(check["id"], one)
                for check in report["checks"]
                for one in check["measurements"]
                if one["group"]
            ],
        ),
        "## What this cannot tell",
        "",
        *(f"- {md(one['title']['en'])}: {md(one['cannot_tell']['en'])}" for one in report["sections"]),
        "",
    ]
    return "\n".join(lines)


def _measured(check: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    if one["suppressed"]:
        return check, one["name"], one["category"] or "all", one["group"], "suppressed", "–", "–"
    interval = (
        "–" if one["ci95"] is None else " to ".join(shown(end, one["unit"], "en") for end in one["ci95"])
    )
    n = "–" if one["n"] is None else f"{one['n']} {one['unit_of_n']}"
    return (
        check,
        one["name"],
        one["category"] or "all",
        one["group"],
        shown(one["value"], one["unit"], "en"),
        interval,
        n,
    )


def datasheet(report: Report) -> str:
    """Datasheet of the records: motivation, composition, collection, cleaning, maintenance."""
    system, data = report["system"], report["data"] or {}
    lines = [
        f"# Datasheet: records behind {md(system['name'])}",
        "",
        *([f"**{md(system['notice'])}**", ""] if system["notice"] else []),
        "## Motivation",
        "",
        f"Purpose of the forecasts: {md(system['intended_use'])}",
        "",
        "## Composition",
        "",
        "Each row is one recorded incident: a record, not a person, and not the truth about what happened.",
        "",
        *_table(
            ("category", "made of", "who makes the records"),
            [(one["name"], ", ".join(one["made_of"]), one["told"]["en"]) for one in system["categories"]],
        ),
        f"From {md(data.get('since'))} to {md(data.get('until'))}.",
        "",
        "## Collection and cleaning",
        "",
        *_table(
            ("step", "rows"),
            [(one["label"]["en"], one["n"]) for one in data.get("steps", [])]
            + [(f"set aside: {one['reason']}", one["n"]) for one in data.get("set_aside", [])],
        ),
        "## Doubtful periods",
        "",
        *_doubtful(report["governance"]["dirty_data"]),
        "## Maintenance",
        "",
        f"Contact: {md(system['contact'])}",
        "",
        f"SHA-256 of the rows: {md(data.get('digest'))}",
        "",
    ]
    return "\n".join(lines)


def _doubtful(register: Sequence[Mapping[str, Any]] | None) -> list[str]:
    if register is None:
        return ["Nobody has looked: there is no register.", ""]
    if not register:
        return ["Someone has looked, and there is none.", ""]
    rows = [
        (f"{one['period']['start']} to {one['period']['end']}", one["area"], one["reason"], one["source"])
        for one in register
    ]
    return _table(("period", "area", "reason", "source"), rows)


def atrs(report: Report) -> dict[str, Any]:
    """Record after the United Kingdom's Algorithmic Transparency Recording Standard, version 3."""
    system, legal, run = report["system"], report["legal_status"], report["run"]
    return {
        "standard": "ATRS v3",
        "tier_1": {
            "name": system["name"],
            "description": report["limits_of_use"]["en"],
            "why_used": system["intended_use"],
            "contact": system["contact"],
            "verdict": report["verdict_sentence"]["en"],
        },
        "tier_2": {
            "owner_and_responsibility": {"owner": system["owner"], "contact": system["contact"]},
            "description_and_rationale": {
                "purpose": system["intended_use"],
                "not_for": system["out_of_scope"]["en"],
            },
            "decision_making_process": {"human_decision": report["limits_of_use"]["en"]},
            "tool_specification": {
                "model": system["audited_model"],
                "version": system["version"],
                "inputs": run["inputs"],
                "outputs": "expected counts of recorded incidents by place and period, with intervals",
                "categories": [
                    {"name": one["name"], "origin": one["origin"]} for one in system["categories"]
                ],
            },
            "risks_mitigations_and_impact_assessments": {
                "impact_assessment": legal["dpia_ref"],
                "data_protection_officer": legal["data_protection_officer"],
                "checks": {one["id"]: one["status"] for one in report["checks"]},
            },
        },
    }


def fria(report: Report) -> dict[str, Any]:
    """The six fields of Article 27(1) of the AI Act; None where nobody has filled one in."""
    return {
        "basis": "Regulation (EU) 2024/1689, Article 27(1)",
        "reference": report["legal_status"]["dpia_ref"],
        "fields": [
            {"field": one["key"], "label": one["label"], "said": one["said"]} for one in report["impact"]
        ],
        "empty": [one["key"] for one in report["impact"] if one["said"] is None],
    }


def annex_iv(report: Report) -> str:
    """Where each item of Annex IV of the AI Act is to be found in the report, with its status."""
    status = {one["id"]: STATUS[one["status"]]["en"] for one in report["sections"]}
    rows = [
        (
            one["item"],
            one["title"]["en"],
            ", ".join(f"{name} ({status[name]})" for name in one["sections"].split() if name in status),
        )
        for one in report["annex_iv"]
    ]
    head = [
        f"# Annex IV cross-table: {md(report['system']['name'])}",
        "",
        "Section of the report, and its status.",
        "",
    ]
    return "\n".join([*head, *_table(("item", "asked", "sections"), rows)])


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
