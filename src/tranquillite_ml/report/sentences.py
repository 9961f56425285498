"""Sentences that are made from numbers: the rule of a check, why it has its status, a section's answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tranquillite_ml.audit.check import Check, Measurement, derive_status, judge
from tranquillite_ml.report.terms import CHECK_TITLES, EVIDENCE, MEASURES, about, named
from tranquillite_ml.report.wording import (
    LANGUAGES,
    NOT_ASSESSABLE,
    SENTENCES,
    STATUS,
    USE,
    Words,
    both,
    french,
    joined,
    shown,
)

if TYPE_CHECKING:
    from tranquillite_ml.governance.thresholds import Bound, Limit, Thresholds
    from tranquillite_ml.report.sections import Section


def fill(words: Words, **values: Words | str) -> Words:
    """A text with its places filled in, language by language."""
    return {
        language: words[language].format(
            **{name: value if isinstance(value, str) else value[language] for name, value in values.items()}
        )
        for language in LANGUAGES
    }


def number(value: Any, kind: str) -> Words:
    """A number in both languages."""
    return {language: shown(value, kind, language) for language in LANGUAGES}


def rule_of(check: str, thresholds: Thresholds, measurements: Sequence[Measurement] = ()) -> Words:
    """When a check warns and when it fails, in words; limits in the units of its measurements.

    Examples
    --------
    >>> from tranquillite_ml.governance import load_thresholds
    >>> rule_of("C14", load_thresholds())["en"]
    'Overlap of selected places (Jaccard): Warning if below 0.7, Fail if below 0.5.'
    """
    limits = thresholds.checks[check].limits
    units = {one.name: one.unit for one in measurements}
    return joined(
        [
            fill(
                SENTENCES["rule"],
                measure=_capital(named(name, MEASURES)),
                limits=_limit_words(limit, units.get(name, "limit")),
            )
            for name, limit in sorted(limits.items())
        ]
    )


def _limit_words(limit: Limit, unit: str) -> Words:
    parts = []
    for status, bound in (("WARN", limit.warn), ("FAIL", limit.fail)):
        if bound is not None:
            parts.append(
                fill(
                    both("{status} if {when}", "{status} si {when}"),
                    status=STATUS[status],
                    when=_bound_words(bound, unit),
                )
            )
    return joined(parts, (", ", ", "))


def _bound_words(bound: Bound, unit: str) -> Words:
    ends = [
        fill(SENTENCES[name], x=number(getattr(bound, name), unit))
        for name in ("below", "at_most", "above", "at_least")
        if getattr(bound, name) is not None
    ]
    said = joined(ends, (" or ", " ou "))
    return {language: said[language] + SENTENCES[f"by_{bound.judge}"][language] for language in LANGUAGES}


def reason_of(check: Check, thresholds: Thresholds) -> Words:
    """Why a check has its status: its worst measurement, then what the check itself has to say."""
    if check.status == "NOT_ASSESSABLE":
        return not_assessable(check)
    crossed = [one for one in check.measurements if _own(check, one, thresholds) == check.status]
    parts = [] if check.status == "PASS" or not crossed else _worst(check, crossed, thresholds)
    if all(check.reason.get(language) for language in LANGUAGES):
        parts.append(_sentence({"en": check.reason["en"], "fr": french(check.reason["fr"])}))
    return joined(parts) if parts else SENTENCES["all_pass"]


def _worst(check: Check, crossed: list[Measurement], thresholds: Thresholds) -> list[Words]:
    """The first measurement that crosses a limit, the limit, and how many do."""
    first = crossed[0]
    limit = thresholds.checks[check.id].limits[first.name]
    bound = limit.fail if check.status == "FAIL" else limit.warn
    parts = [measured(first)]
    if bound is not None:
        parts.append(
            fill(SENTENCES["limit"], status=STATUS[check.status], when=_bound_words(bound, first.unit))
        )
    if len(crossed) > 1:
        parts.append(fill(SENTENCES["more"], n=number(len(crossed), "count")))
    return parts


def _own(check: Check, one: Measurement, thresholds: Thresholds) -> str | None:
    """Status that one measurement gives its check, with those that it must be crossed together with."""
    if judge(check.id, one, thresholds) is None:
        return None
    about_same = (one.requires, one.category, one.group, one.subject)
    partners = [
        other
        for other in (check.measurements if one.requires is not None else ())
        if (other.name, other.category, other.group, other.subject) == about_same
    ]
    found = derive_status(check.id, [one, *partners], thresholds)
    return found if not partners or found == "FAIL" else judge(check.id, one, thresholds)


def status_of_measurement(check: Check, one: Measurement, thresholds: Thresholds) -> str | None:
    """Status of one measurement within its check; None if the thresholds have no limit for it."""
    return _own(check, one, thresholds)


def measured(one: Measurement) -> Words:
    """One measurement in a sentence."""
    said = about(one.category, one.group, one.subject)
    there = math.isfinite(one.lower) and math.isfinite(one.upper)
    interval: Words | str = ""
    if there:
        ends = {"low": number(one.lower, one.unit), "high": number(one.upper, one.unit)}
        interval = fill(both(" [{low} to {high}]", " [{low} à {high}]"), **ends)
    value = one.value if math.isfinite(one.value) else None
    return fill(
        SENTENCES["measured"],
        measure=_capital(named(one.name, MEASURES)),
        about="" if said is None else {language: f" ({text})" for language, text in said.items()},
        value=number(value, one.unit),
        interval=interval,
    )


def _sentence(words: Words) -> Words:
    """Words as a sentence: a capital first, a full stop last."""
    return {language: f"{text.rstrip('. ')}." for language, text in _capital(words).items()}


def _capital(words: Words) -> Words:
    return {language: text[:1].upper() + text[1:] for language, text in words.items()}


def not_assessable(check: Check) -> Words:
    """The sentence for what cannot be assessed, with what is missing."""
    said = {language: check.reason.get(language, "").rstrip(". ") for language in LANGUAGES}
    if not all(said.values()):
        listed = joined([named(name, EVIDENCE) for name in check.missing], (", ", ", "))
        said = listed if check.missing else SENTENCES["unmeasurable" if check.measurements else "nothing"]
    return fill(NOT_ASSESSABLE, missing={"en": said["en"], "fr": french(said["fr"])})


def answer_of(
    section: Section, status: str, checks: Sequence[Mapping[str, Any]], lacks: Words | None = None
) -> Words:
    """Two sentences: what the section comes to, and what decided it.

    Parameters
    ----------
    section : Section
    status : str
    checks : sequence of mapping
        Its checks, as the report holds them.
    lacks : mapping, optional
        What a rule of the section itself found wanting.
    """
    worst = next((one for one in checks if one["status"] == status), None)
    n, blind = len(checks), [one["id"] for one in checks if one["status"] == "NOT_ASSESSABLE"]
    if status == "NOT_ASSESSABLE":
        said = [
            fill(NOT_ASSESSABLE, missing=lacks or SENTENCES["nothing"]) if worst is None else worst["reason"]
        ]
    elif status == "PASS":
        said = [section.leads[status]]
        if n > 0:
            said.append(SENTENCES["one_passes"] if n == 1 else fill(SENTENCES["n_pass"], n=str(n)))
        said += [_told(one) for one in checks if one["reason"] != SENTENCES["all_pass"]]
    else:
        said = [section.leads[status]]
        if lacks is not None:
            said.append(fill(SENTENCES["lacks"], missing=lacks))
        if worst is not None:
            said.append(_told(worst))
    if n > 1 and blind:
        said.append(fill(SENTENCES["blind"], k=str(len(blind)), n=str(n), which=", ".join(blind)))
        if status == "NOT_ASSESSABLE" and len(blind) < n:
            said.append(SENTENCES["others_pass"])
    return joined(said)


def _told(check: Mapping[str, Any]) -> Words:
    """Title of a check of a report, and why it has its status."""
    return {
        language: f"{check['id']} ({_lower(check['titles'][language])}) – {check['reason'][language]}"
        for language in LANGUAGES
    }


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


MAX_REASONS = 6


def verdict_sentence(use: str, whys: Sequence[Words]) -> Words:
    """The verdict in one sentence, with the most important reasons."""
    told = list(whys[:MAX_REASONS])
    if len(whys) > MAX_REASONS:
        told.append(fill(SENTENCES["more_reasons"], n=str(len(whys) - MAX_REASONS)))
    return fill(USE[use], why=joined(told, ("; ", " ; ")))


def because_check(name: str, status: str) -> Words:
    """One reason for the verdict: a check, and its status."""
    state = {language: text.lower() for language, text in STATUS[status].items()}
    title = {language: _lower(text) for language, text in CHECK_TITLES[name].items()}
    return {language: f"{name} {title[language]} ({state[language]})" for language in LANGUAGES}


def because_section(section: Section, status: str, checks: Sequence[Mapping[str, Any]]) -> Words:
    """One reason for the verdict: what a section comes to, and the checks that it comes from."""
    through = ", ".join(one["id"] for one in checks if one["status"] == status)
    marks = {"en": ": ", "fr": french(" : ")}
    if status in section.leads:
        said = {language: _lower(text).rstrip(".") for language, text in section.leads[status].items()}
    else:
        state = {language: text.lower() for language, text in STATUS[status].items()}
        said = {language: f"{_lower(section.title[language])}, {state[language]}" for language in LANGUAGES}
    return {
        language: f"{text} ({section.id}{marks[language] + through if through else ''})"
        for language, text in said.items()
    }
