"""Exports of a report's dict: model card, datasheet, ATRS record, FRIA fields, Annex IV cross-table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tranquillite_ml.report.terms import MEASURES, UNITS, as_said, named
from tranquillite_ml.report.wording import LANGUAGES, STATUS, TEXTS, Words, read_texts, shown

Report = Mapping[str, Any]
WORDS: dict[str, Words] = read_texts("documents")
COLON = {"en": ": ", "fr": "\u202f: "}
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
        ``model_card.en.md, datasheet.en.md, annex_iv.en.md``, the same in French, ``atrs.json, fria.json``.
    """
    found = {"atrs.json": _json(atrs(report)), "fria.json": _json(fria(report))}
    for language in LANGUAGES:
        writer = _Writer(report, language)
        found |= {
            f"model_card.{language}.md": writer.model_card(),
            f"datasheet.{language}.md": writer.datasheet(),
            f"annex_iv.{language}.md": writer.annex_iv(),
        }
    return found


def md(value: Any, language: str = "en") -> str:
    r"""Text as Markdown shows it unchanged, on one line; what is empty says so.

    Examples
    --------
    >>> md("<b>|noise|"), md(None)
    ('\\<b\\>\\|noise\\|', 'left empty: nobody has filled this in')
    """
    if value is None or value == "":
        return TEXTS["empty"][language]
    return _MARKS.sub(r"\\\1", " ".join(str(value).split()))


class _Writer:
    """Writes the documents of a report in one language."""

    def __init__(self, report: Report, language: str) -> None:
        self.report, self.language = report, language

    def word(self, key: str) -> str:
        return WORDS[key][self.language]

    def md(self, value: Any) -> str:
        """A value, or the text of this language, escaped."""
        if isinstance(value, Mapping):
            value = value[self.language]
        return md(value, self.language)

    def table(self, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
        lines = ["| " + " | ".join(map(self.word, head)) + " |", "|" + " --- |" * len(head)]
        return [*lines, *("| " + " | ".join(map(self.md, row)) + " |" for row in rows), ""]

    def begin(self, title: str) -> list[str]:
        """Title of a document, and what every output must say."""
        notice = as_said(self.report["system"]["notice"])
        told = [] if notice is None else [f"**{self.md(notice)}**", ""]
        return [f"# {self.line(title, self.report['system']['name'])}", "", *told]

    def line(self, key: str, value: Any) -> str:
        """A value after its name."""
        return f"{self.word(key)}{COLON[self.language]}{self.md(value)}"

    def heading(self, key: str) -> list[str]:
        return [f"## {self.word(key)}", ""]

    def model_card(self) -> str:
        """Model card: intended use, limits, waivers, checks, metrics by group, caveats."""
        report, system, run = self.report, self.report["system"], self.report["run"]
        details = {
            "purpose": system["intended_use"],
            "not_for": system["out_of_scope"],
            "owner": system["owner"],
            "contact": system["contact"],
            "model": system["audited_model"],
            "version": system["version"],
            "cells": system["n_cells"],
            "model_sha": run["model_sha256"],
            "forecasts_sha": run["forecast_sha256"],
            "report": report["report_id"],
        }
        waivers = [
            f"- {self.md(one['category'])} ({self.md(one['origin'])}): {self.md(one['who'])}, "
            f"{self.md(one['when'])} {self.word('to')} {self.md(one['until'])}, {self.md(one['why'])}"
            for one in report["governance"]["waivers"]
        ]
        lines = [
            *self.begin("model_card"),
            *self.heading("verdict"),
            self.md(report["verdict_sentence"]),
            "",
            *self.heading("limits"),
            self.md(report["limits_of_use"]),
            "",
            *self.heading("waivers"),
            *(waivers or [self.word("none")]),
            "",
            *self.heading("details"),
            *self.table(("field", "value"), [(self.word(key), value) for key, value in details.items()]),
            *self.heading("checks"),
            *self.table(
                ("check", "status", "why"),
                [
                    (f"{one['id']} {one['titles'][self.language]}", STATUS[one["status"]], one["reason"])
                    for one in report["checks"]
                ],
            ),
            *self.heading("by_group"),
            *self.table(
                ("check", "measure", "category", "group", "value", "interval", "n"),
                [
                    self.measured(check["id"], one)
                    for check in report["checks"]
                    for one in check["measurements"]
                    if one["group"]
                ],
            ),
            *self.heading("cannot_tell"),
            *(
                f"- {self.md(one['title'])}{COLON[self.language]}{self.md(one['cannot_tell'])}"
                for one in report["sections"]
            ),
            "",
        ]
        return "\n".join(lines)

    def measured(self, check: str, one: Mapping[str, Any]) -> tuple[Any, ...]:
        """Row of one measurement."""
        about = (
            check,
            named(one["name"], MEASURES),
            one["category"] or self.word("everything"),
            one["group"],
        )
        if one["suppressed"]:
            return (*about, self.word("suppressed"), "–", "–")
        ends = [shown(end, one["unit"], self.language) for end in one["ci95"] or ()]
        unit = named(one["unit_of_n"], UNITS)[self.language]
        n = "–" if one["n"] is None else f"{shown(one['n'], 'count', self.language)} {unit}"
        value = shown(one["value"], one["unit"], self.language)
        return (*about, value, f" {self.word('to')} ".join(ends) or "–", n)

    def datasheet(self) -> str:
        """Datasheet of the records: motivation, composition, collection, cleaning, maintenance."""
        system, data = self.report["system"], self.report["data"] or {}
        steps = [(one["label"], one["n"]) for one in data.get("steps", [])]
        steps += [
            (f"{self.word('set_aside')}: {one['reason']}", one["n"]) for one in data.get("set_aside", [])
        ]
        never = ", ".join(map(self.md, data.get("never_loaded", []))) or self.word("none")
        lines = [
            *self.begin("datasheet"),
            *self.heading("motivation"),
            self.line("purpose_is", system["intended_use"]),
            "",
            *self.heading("composition"),
            self.word("row"),
            "",
            *self.table(
                ("category", "made_of", "who_makes"),
                [(one["name"], ", ".join(one["made_of"]), one["told"]) for one in system["categories"]],
            ),
            f"{self.line('span', data.get('since'))} – {self.md(data.get('until'))}",
            "",
            *self.heading("collection"),
            *self.table(("step", "rows"), steps),
            f"{self.word('never_loaded')}{COLON[self.language]}{never}",
            "",
            *self.heading("doubtful"),
            *self.doubtful(self.report["governance"]["dirty_data"]),
            *self.heading("maintenance"),
            self.line("contact", system["contact"]),
            "",
            self.line("rows_sha", data.get("digest")),
            "",
        ]
        return "\n".join(lines)

    def doubtful(self, register: Sequence[Mapping[str, Any]] | None) -> list[str]:
        """The register of doubtful periods, or that nobody has looked."""
        if not register:
            return [self.word("no_register" if register is None else "empty_register"), ""]
        rows = [
            (f"{one['period']['start']} – {one['period']['end']}", one["area"], one["reason"], one["source"])
            for one in register
        ]
        return self.table(("period", "area", "reason", "source"), rows)

    def annex_iv(self) -> str:
        """Where each item of Annex IV of the AI Act is to be found in the report, with its status."""
        status = {one["id"]: STATUS[one["status"]][self.language] for one in self.report["sections"]}
        rows = [
            (
                one["item"],
                one["title"],
                ", ".join(f"{name} ({status[name]})" for name in one["sections"].split() if name in status),
            )
            for one in self.report["annex_iv"]
        ]
        head = [*self.begin("annex_iv"), self.word("where"), ""]
        return "\n".join([*head, *self.table(("item", "asked", "sections"), rows)])


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


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
