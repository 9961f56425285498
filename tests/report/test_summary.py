"""The report as a dict: its schema, its statuses, its words."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from tests.report.reports import AT, LIMITS, MIXED, make_check, mixed_checks, some_checks
from tranquillite_ml.audit import Check, Evidence, Measurement
from tranquillite_ml.city.simulated import NOTICE, NOTICE_ON_AREA
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.governance import CHECKS, Governance
from tranquillite_ml.report import objections, sections, terms, wording
from tranquillite_ml.report.sections import MUST_HOLD
from tranquillite_ml.report.sentences import reason_of
from tranquillite_ml.report.summary import SCHEMA, Inputs, canonical, leaves, seal, summarise_report
from tranquillite_ml.report.terms import as_said
from tranquillite_ml.report.verdicts import section_statuses, verdict

BANNED = (
    "dangerous area", "high-crime", "criminal", "risk score", "unbiased", "compliant", "crime prediction",
    "zone à risque", "zone dangereuse", "criminel", "criminogène", "conforme", "délinquant",
)  # fmt: skip
FILLED = Governance(
    purpose="repair and lighting", owner="City of Example", contact="ask@city.example",
    legal_status={"text": "GDPR", "date": "2026-01-05", "signed_by": "A. Martin"},
    data_protection_officer="B. Roy", dirty_data=[],
    impact_assessment={"reference": "DPIA 12", "date": "2026-01-06"},
)  # fmt: skip


def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def report_of(checks: list[Check], forecasts: Forecasts, **more: Any) -> dict[str, Any]:
    return summarise_report(forecasts, checks, LIMITS, inputs=Inputs(at=AT), **more)[0]


def test_the_report_follows_its_schema_and_reads_back(made: tuple[dict[str, Any], Any]) -> None:
    report = made[0]
    validator().validate(report)
    assert json.loads(canonical(report)) == report
    assert canonical(report).startswith(b'{"aia_ca":')  # keys are sorted


def test_the_schema_refuses_a_status_that_does_not_exist(made: tuple[dict[str, Any], Any]) -> None:
    wrong = json.loads(canonical(made[0]))
    wrong["checks"][0]["status"] = "GREEN"
    with pytest.raises(jsonschema.ValidationError, match="GREEN"):
        validator().validate(wrong)


def test_equal_inputs_give_equal_bytes(audited: tuple[Forecasts, Evidence]) -> None:
    forecasts, evidence = audited
    one, two = (report_of(mixed_checks(), forecasts, evidence=evidence) for _ in range(2))
    assert canonical(one) == canonical(two)
    other = summarise_report(forecasts, some_checks(), LIMITS, evidence=evidence, inputs=Inputs(at=AT))[0]
    assert other["report_id"] != one["report_id"]
    assert other["report_id"][:10] == one["report_id"][:10]  # the time, and then the content


def test_sections_take_the_worst_of_their_checks(made: tuple[dict[str, Any], Any]) -> None:
    status = {one["id"]: one["status"] for one in made[0]["sections"]}
    assert status["S10"] == "FAIL"  # C10
    assert status["S7"] == "WARN"  # C06
    assert status["S5"] == "NOT_ASSESSABLE"  # C12, and C13 and C28 pass
    assert status["S6"] == "PASS"
    assert status["S2"] == status["S3"] == "FAIL"  # C18 passes, but nobody has filled in the governance file
    assert status["S14"] == "NOT_ASSESSABLE"
    assert status["S18"] == status["S19"] == "NOT_ASSESSABLE"


@pytest.mark.parametrize("name", MUST_HOLD)
@pytest.mark.parametrize("status", ["FAIL", "NOT_ASSESSABLE"])
def test_it_must_not_be_used_if_a_check_that_must_hold_does_not(
    name: str, status: str, audited: tuple[Forecasts, Evidence]
) -> None:
    report = report_of(some_checks(**{name: status}), audited[0], evidence=Evidence(governance=FILLED))
    assert (report["verdict"], report["use"]) == ("FAIL", "must_not")
    assert report["verdict_sentence"]["en"].startswith(f"It must not be used: {name} ")
    assert report["verdict_sentence"]["fr"].startswith("Elle ne doit pas être utilisée")


def test_the_verdict_names_its_most_important_reasons_in_words(audited: tuple[Forecasts, Evidence]) -> None:
    checks = some_checks(C17="FAIL", C11="NOT_ASSESSABLE", C10="FAIL", C06="FAIL", C28="FAIL", C12="FAIL")
    said = report_of(checks, audited[0])["verdict_sentence"]
    assert said["en"] == (
        "It must not be used: C11 enforcement-driven records (not assessable); C17 proxies and prohibited "
        "features (fail); it is not shown to be better than simple counts, or than chance (S7: C06); in the "
        "simulations it feeds itself, or depends strongly on who reports (S10: C10); the legal status is not "
        "in order (S2); at least one field of the fundamental-rights impact assessment is empty (S3); more "
        "below: 1."
    )
    assert (
        "pas démontré qu'elle soit meilleure que de simples comptages, ou que le hasard (S7\u202f: C06)"
        in said["fr"]
    )
    only = report_of(some_checks(C17="FAIL"), audited[0], evidence=Evidence(governance=FILLED))
    assert "S6" not in only["verdict_sentence"]["en"]  # fails through C17 alone, which is named


def test_what_is_not_assessable_elsewhere_is_a_reservation_and_never_a_pass(
    audited: tuple[Forecasts, Evidence],
) -> None:
    report = report_of(some_checks(C26="NOT_ASSESSABLE"), audited[0], evidence=Evidence(governance=FILLED))
    statuses = section_statuses(report)
    assert statuses["S14"] == "NOT_ASSESSABLE"
    for check in report["checks"]:  # leave only what the checks say
        assert check["status"] == ("NOT_ASSESSABLE" if check["id"] == "C26" else "PASS")
    report["impact"] = [one | {"said": {"en": "x", "fr": "x"}} for one in report["impact"]]
    report["interval_coverage"] = {"value": 0.91, "nominal": 0.9, "n": 10, "unit_of_n": "maps"}
    assert verdict(report) == ("WARN", "with_reservations")
    for check in report["checks"]:
        check["status"] = "PASS"
    assert verdict(report) == ("PASS", "nothing_against")


def test_intervals_that_miss_their_promise_by_more_than_three_points_warn(
    made: tuple[dict[str, Any], Any],
) -> None:
    report = dict(made[0])
    report["checks"] = [one | {"status": "PASS"} for one in report["checks"]]
    for value, status in ((0.931, "WARN"), (0.929, "PASS"), (0.869, "WARN"), (None, "NOT_ASSESSABLE")):
        report["interval_coverage"] = {"value": value, "nominal": 0.9, "n": 9, "unit_of_n": "maps"}
        assert section_statuses(report)["S9"] == status


def test_an_empty_field_is_named_and_a_filled_one_printed(audited: tuple[Forecasts, Evidence]) -> None:
    empty = report_of(some_checks(), audited[0])
    said = next(one for one in empty["sections"] if one["id"] == "S2")["answer"]
    assert "Data-protection officer" in said["en"]
    assert "Délégué à la protection des données" in said["fr"]
    filled = report_of(some_checks(), audited[0], evidence=Evidence(governance=FILLED))
    assert filled["legal_status"]["data_protection_officer"] == "B. Roy"
    assert next(one for one in filled["sections"] if one["id"] == "S2")["status"] == "PASS"
    assert [one["key"] for one in filled["impact"] if one["said"] is None] == [
        "b",
        "c",
    ]  # no config, no groups


def test_what_cannot_be_assessed_is_said_with_the_template() -> None:
    reason = reason_of(make_check("C04", "NOT_ASSESSABLE"), LIMITS)
    assert reason["en"].startswith("We cannot answer this: no groups of places were given")
    assert reason["en"].endswith("Do not read it as 'no problem'.")
    assert reason["fr"].endswith("Ne pas lire comme «\u202faucun problème\u202f».")
    blind = Check("C07", "t", "NOT_ASSESSABLE", measurements=(Measurement("lift", float("nan"), "ratio"),))
    assert "rest on too little" in reason_of(blind, LIMITS)["en"]


def test_the_worst_measurement_tells_why_with_its_limit_in_its_unit() -> None:
    found = (
        Measurement("jaccard", 0.8, "share", 0.7, 0.9, n=20, category="noise"),
        Measurement("jaccard", 0.6, "share", 0.55, 0.65, n=20, category="theft", subject="successive months"),
    )
    reason = reason_of(Check("C14", "t", "WARN", measurements=found), LIMITS)
    assert reason["en"] == (
        "Overlap of selected places (Jaccard) (theft · successive months): "
        "60.0\u00a0% [55.0\u00a0% to 65.0\u00a0%]. "
        "The limit: Warning if below 70.0\u00a0%."
    )
    assert "(theft · mois successifs)\u202f: 60,0\u202f% [55,0\u202f% à 65,0\u202f%]" in reason["fr"]


def test_changes_since_the_last_report_ask_for_an_explanation(audited: tuple[Forecasts, Evidence]) -> None:
    before = report_of(some_checks(), audited[0])
    inputs = Inputs(at=AT, previous=before)
    now = summarise_report(audited[0], some_checks(C07="WARN"), LIMITS, inputs=inputs)[0]
    assert [(one["id"], one["before"], one["now"]) for one in now["changes"]] == [("C07", "PASS", "WARN")]
    assert section_statuses(now)["S18"] == "WARN"
    told = Inputs(at=AT, previous=before, explanations={"C07": "fewer incidents"})
    after = summarise_report(audited[0], some_checks(C07="WARN"), LIMITS, inputs=told)[0]
    assert section_statuses(after)["S18"] == "PASS"


def test_an_objection_that_nobody_measured_stays_open(audited: tuple[Forecasts, Evidence]) -> None:
    report = report_of(some_checks(C07="NOT_ASSESSABLE"), audited[0])
    status = {one["source"]: one["status"] for one in report["objections"]}
    assert status["The Markup, 2023"] == "WARN"  # C07 alone
    assert status["The Markup, 2021"] == "PASS"  # C01 and C02
    assert status["La Quadrature du Net, Technopolice"] == "WARN"  # nothing measures it


# ---------------------------------------------------------------------- words


def every_text() -> list[tuple[str, str, str]]:
    """Name, English and French of every text the report can say of itself."""
    held = {"wording": vars(wording)["_TEXTS"], "names": vars(terms)["_NAMES"]}
    held["sections"] = wording.read_texts("sections")
    held["objections"] = wording.read_texts("objections")
    found: dict[str, dict[str, str]] = {}
    for path, text in leaves(held):
        where, _, language = path.rpartition("/")
        if language in {"en", "fr"}:
            found.setdefault(where, {})[language] = text
    return [(where, texts.get("en", ""), texts.get("fr", "")) for where, texts in found.items()]


def test_every_text_is_there_in_both_languages() -> None:
    texts = every_text()
    assert len(texts) > 400
    missing = [name for name, en, fr in texts if (not en) != (not fr)]
    assert missing == []
    fields = {key: sorted(set(_places(en)) ^ set(_places(fr))) for key, en, fr in texts}
    assert {key: odd for key, odd in fields.items() if odd} == {}


def _places(text: str) -> list[str]:
    import string

    return [name for _, name, _, _ in string.Formatter().parse(text) if name]


def test_no_text_speaks_of_people_or_places_in_ways_we_do_not() -> None:
    found = [
        (name, word)
        for name, en, fr in every_text()
        for word in BANNED
        if word in en.lower() or word in fr.lower()
    ]
    assert found == []


def test_french_marks_have_narrow_spaces() -> None:
    wrong = [
        (name, fr)
        for name, _, fr in every_text()
        for mark in (" :", " ;", " ?", " !", " %", "« ", " »")
        if mark in fr
    ]
    assert wrong == []


def test_every_check_and_limit_has_a_name_in_both_languages() -> None:
    assert set(terms.CHECK_TITLES) == set(terms.ANCHORS) == set(CHECKS)
    named = {name for check in LIMITS.checks.values() for name in check.limits}
    assert named - set(terms.MEASURES) == set()
    home = {name for one in sections.SECTIONS for name in one.checks}
    assert home == set(CHECKS)
    assert {name for one in objections.OBJECTIONS for name in one.checks} <= set(CHECKS)


@pytest.mark.parametrize(
    ("value", "kind", "en", "fr"),
    [
        (1234567, "count", "1,234,567", "1\u202f234\u202f567"),
        (0.0005, "share", "0.05\u00a0%", "0,05\u202f%"),
        (0.98765, "ratio", "0.99", "0,99"),
        (0.004321, "ratio", "0.0043", "0,0043"),
        (1.7e-9, "number", "1.7 × 10⁻⁹", "1,7 × 10⁻⁹"),
        (-0.25, "share", "-25.0\u00a0%", "-25,0\u202f%"),
        (12.345, "hours", "12.3", "12,3"),
        (None, "ratio", "not measured", "non mesuré"),
    ],
)
def test_numbers_are_written_as_each_language_does(value: Any, kind: str, en: str, fr: str) -> None:
    assert wording.shown(value, kind, "en") == en
    assert wording.shown(value, kind, "fr") == fr


def test_a_report_sealed_again_is_the_same(made: tuple[dict[str, Any], Any]) -> None:
    report = json.loads(canonical(made[0]))
    del report["digests"], report["report_id"]
    assert seal(report, AT) == made[0]
    assert MIXED  # the statuses above come from it


@pytest.mark.parametrize("notice", [NOTICE, NOTICE_ON_AREA])
def test_what_every_output_says_of_simulated_data_is_said_in_french_too(notice: str) -> None:
    said = as_said(notice)
    assert said is not None
    assert said["en"] == notice
    assert said["fr"].startswith("Données simulées")


def test_what_a_check_has_to_say_does_not_hide_why_it_failed() -> None:
    worst = Measurement("stability_index", 0.4, "ratio", n=100, subject="target_365d")
    note = {"en": "the records do not say when they were reported", "fr": "la date de signalement manque"}
    said = reason_of(Check("C13", "t", "FAIL", measurements=(worst,), reason=note), LIMITS)
    assert said["en"].index("0.40") < said["en"].index("The records do not say")
    assert "Fail if above 0.25" in said["en"]
    assert said["fr"].endswith("La date de signalement manque.")
