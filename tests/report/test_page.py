"""The page: every number is that of the JSON file, nothing from outside acts on it, anyone can read it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests.report.conftest import build
from tests.report.reading import Page, as_number, last_digit
from tests.report.reports import AT, LIMITS, make_check, mixed_checks, some_checks
from tranquillite_ml.audit import Check, Evidence, Measurement, derive_status
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.governance import Governance
from tranquillite_ml.limits import shows_limits
from tranquillite_ml.report.mapped import Drawing
from tranquillite_ml.report.public import public_edition
from tranquillite_ml.report.render import render, resolve
from tranquillite_ml.report.summary import Inputs, summarise_report
from tranquillite_ml.report.wording import TEXTS, shown

Made = tuple[dict[str, Any], dict[str, Drawing]]
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "\" onmouseover=\"alert(1)' style='x:y",
    "{{ 7 * 7 }}{% raw %}",
    "]]><svg/onload=alert(1)>",
    "javascript:alert(1)//\u2028\u202e",
    "&lt;b&gt;&amp;",
)


@pytest.fixture(scope="module")
def page(made: Made) -> Page:
    return Page(render(*made))


def mismatches(page: Page, report: dict[str, Any]) -> tuple[int, list[str]]:
    """Texts with a digit that were compared, and those that are not what the JSON file, or a label, says."""
    compared, wrong = 0, []
    for text, element in page.texts:
        if not re.search(r"\d", text):
            continue
        holder = element.nearest("data-path")
        label = element.nearest("data-word")
        if holder is None and label is not None:
            said = TEXTS[str(label.attributes["data-word"])][label.language]
            wrong += [] if label.text == said else [f"label {label.text!r}"]
        elif holder is None:
            wrong.append(f"no path: {text!r} in <{element.tag}>")
        else:
            path = str(holder.attributes["data-path"])
            value = resolve(report, path)
            kind = str(holder.attributes.get("data-as", "text"))
            if holder.text != shown(value, kind, holder.language):
                wrong.append(f"{path}: {holder.text!r} is not {value!r}")
            elif not isinstance(value, str | bool):
                read = as_number(holder.text, holder.language)
                if abs(read - value) > last_digit(holder.text, holder.language):
                    wrong.append(f"{path}: {holder.text!r} reads as {read}, not {value}")
        compared += 1
    return compared, wrong


def test_every_number_is_that_of_the_json_file(page: Page, made: Made) -> None:
    compared, wrong = mismatches(page, made[0])
    assert wrong == []
    assert compared > 1500


def test_a_number_that_differs_would_be_found(made: Made) -> None:
    html = render(*made)
    value = made[0]["checks"][0]["measurements"][3]["ci95"][0]
    assert value == 0.9
    path = 'data-path="/checks/0/measurements/3/ci95/0" data-as="ratio" class="number">'
    assert html.count(f"{path}0.90<") == html.count(f"{path}0,90<") == 1
    _, wrong = mismatches(Page(html.replace(f"{path}0.90<", f"{path}0.91<")), made[0])
    assert wrong == ["/checks/0/measurements/3/ci95/0: '0.91' is not 0.9"]


def test_every_path_leads_somewhere_and_every_id_comes_once(page: Page, made: Made) -> None:
    paths = [one.attributes["data-path"] for one in page.elements if "data-path" in one.attributes]
    for path in paths:
        resolve(made[0], str(path))
    ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    known = set(ids)
    for one in page.elements:
        for name in ("href", "for", "aria-labelledby"):
            target = one.attributes.get(name)
            if target is not None:
                assert target.removeprefix("#") in known, (one.tag, name, target)


def test_both_languages_say_the_same_things(page: Page) -> None:
    paths: dict[str, list[str]] = {"en": [], "fr": []}
    for one in page.elements:
        if "data-path" in one.attributes:
            paths[one.language].append(re.sub(r"/(en|fr)$", "", str(one.attributes["data-path"])))
    assert paths["en"] == paths["fr"]
    labels = [one for one in page.elements if one.attributes.get("id") in {"en", "fr"}]
    assert [one.attributes["lang"] for one in labels] == ["en", "fr"]


def test_nothing_can_act_on_the_page(made: Made) -> None:
    html = render(*made)
    page = Page(html)
    policy = next(one.attributes["content"] for one in page.elements if one.attributes.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'; style-src 'sha256-")
    assert not {one.tag for one in page.elements} & {
        "script",
        "iframe",
        "object",
        "embed",
        "img",
        "link",
        "form",
    }
    assert not [
        name for one in page.elements for name in one.attributes if name.startswith("on") or name == "style"
    ]
    addresses = [
        one.attributes[name] for one in page.elements for name in ("href", "src") if name in one.attributes
    ]
    assert all(str(address).startswith("#") for address in addresses)
    assert "http" not in re.sub(r'http-equiv="', "", html)


def test_tables_figures_and_headings_can_be_read_without_seeing(page: Page) -> None:
    for one in page.elements:
        if one.tag == "th":
            assert one.attributes.get("scope") in {"row", "col"}
        if one.tag == "svg":
            named = one.attributes.get("role") == "img" and one.attributes.get("aria-label")
            assert named or one.attributes.get("aria-hidden") == "true"
    levels = [
        int(one.tag[1]) for one in page.elements if re.fullmatch(r"h[1-6]", one.tag) and one.language == "en"
    ]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    headed = {id(_inside(one, "table")) for one in page.elements if one.tag == "th"}
    assert headed == {id(one) for one in page.elements if one.tag == "table"}
    figures = [one for one in page.elements if one.tag == "figure"]
    tables = [one for one in page.elements if one.tag == "table" and _inside(one, "figure")]
    assert len(figures) == len(tables) > 0


def _inside(one: Any, tag: str) -> Any:
    """The element of a kind that holds another; None if none does."""
    while one is not None and one.tag != tag:
        one = one.parent
    return one


def test_the_first_page_says_what_matters_first(made: Made, page: Page) -> None:
    report = made[0]
    html = render(*made)
    assert shows_limits(html)
    order = [str(one.attributes.get("data-path")) for one in page.elements if one.language == "en"]
    first = [order.index(path) for path in ("/system/notice", "/verdict_sentence/en", "/limits_of_use/en")]
    assert first == sorted(first)
    assert first[-1] < order.index("/sections/0/title/en") < order.index("/signoff/0/name_or_body")
    texts = [text for text, element in page.texts if element.language == "en"]
    assert "left empty: nobody has filled this in" in texts
    assert {"✓", "!", "✕", "?"} <= set(texts)  # not by colour alone
    assert [one["id"] for one in report["sections"]] == [f"S{k}" for k in range(1, 20)]


def test_the_first_page_says_how_to_say_no_and_the_last_is_a_form(page: Page) -> None:
    ids = [str(one.attributes.get("id")) for one in page.elements if one.attributes.get("id")]
    for language in ("en", "fr"):
        mine = [one for one in ids if one.startswith(f"{language}-")]
        assert mine[-1] == f"{language}-form"
        links = [str(one.attributes.get("href")) for one in page.elements if one.language == language]
        assert links.index(f"#{language}-form") < links.index(f"#{language}-S1")
    texts = [element.text for element in page.elements if element.tag == "h2"]
    assert "How to say no" in texts
    assert "Comment dire non" in texts


def test_waivers_in_force_stand_on_the_first_page_and_others_nowhere(audited: Any) -> None:
    waiver = {
        "category": "drugs",
        "origin": "agent",
        "who": "A. Martin",
        "when": "2026-01-05",
        "why": "a trial",
    }
    given = [waiver | {"until": "2026-03-01"}, waiver | {"until": "2026-02-28", "why": "run out"}]
    later = waiver | {"when": "2026-03-02", "until": "2026-12-31", "why": "to come"}
    governance = Governance(waivers=[*given, later])
    report, drawings = summarise_report(
        audited[0], some_checks(), LIMITS, evidence=Evidence(governance=governance), inputs=Inputs(at=AT)
    )
    assert [one["why"] for one in report["governance"]["waivers"]] == ["a trial"]
    html = render(report, drawings)
    first = html[: html.index('id="en-S1"')]
    assert "a trial" in first
    assert "A. Martin" in first
    assert "run out" not in html
    assert "to come" not in html


def colour(name: str, css: str) -> tuple[float, float, float]:
    found = re.search(rf"--{name}: #([0-9a-f]{{6}})", css)
    digits = found[1] if found else name.removeprefix("#")
    return tuple(int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4))  # type: ignore[return-value]


def contrast(one: tuple[float, float, float], two: tuple[float, float, float]) -> float:
    """Contrast ratio as WCAG 2.2 defines it."""

    def light(colour: tuple[float, float, float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_stands_out_from_what_is_behind_it() -> None:
    from tranquillite_ml.report.render import TEMPLATES

    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    assert contrast(colour("#000000", css), colour("#ffffff", css)) == pytest.approx(21)
    grounds = ("#ffffff", "#fdefef", "#fdf5e6", "#edf7f1", "#f1f3f5", "#eef2f6")
    for ink in ("ink", "soft", "accent", "pass", "warn", "fail", "open"):
        for ground in grounds:
            assert contrast(colour(ink, css), colour(ground, css)) >= 4.5, (ink, ground)
    assert contrast(colour("#ffffff", css), colour("fail", css)) >= 4.5
    assert contrast(colour("#ffffff", css), colour("#7a1f00", css)) >= 4.5


# ---------------------------------------------------------------------- bad input


def hostile_report(name: str) -> Page:
    """A report in which a name stands in every field that comes from outside."""
    forecasts = build(rings=1, categories=(name, f"{name} 2"), models=(name,), horizons=1)
    measured = (
        Measurement("exposure_ratio", 1.5, "ratio", 1.2, 1.9, n=9, category=name, group=name, subject=name),
        Measurement("exposure_ratio", 1.4, "ratio", 1.2, 1.9, n=9, category=name, group=f"{name} x"),
        Measurement(name, 1.0, name, unit_of_n=name, n=3, category=name),
    )
    said = Check(
        "C01", name, derive_status("C01", measured, LIMITS), measurements=measured, method=name,
        reason={"en": name, "fr": name},
    )  # fmt: skip
    missing = Check("C03", name, "NOT_ASSESSABLE", (name,), (name,), reason={"en": name, "fr": name})
    rest = [one for one in some_checks() if one.id not in {"C01", "C03"}]
    waiver = {
        "category": name,
        "origin": "agent",
        "who": name,
        "when": "2026-01-01",
        "why": name,
        "until": "2026-12-31",
    }
    governance = Governance(
        purpose=name, owner=name, contact=name, data_protection_officer=name,
        legal_status={"text": name, "date": "2026-01-05", "signed_by": name},
        impact_assessment={"reference": name, "date": "2026-01-06"}, waivers=[waiver], dirty_data=[],
    )  # fmt: skip
    bars = [{"id": "B1", "title": name, "status": "PASS"}]
    inputs = Inputs(at=AT, notice=name, bars=bars, previous={"checks": [{"id": "C02", "status": "FAIL"}]},
                    explanations={"C02": name})  # fmt: skip
    report, drawings = summarise_report(
        forecasts, [said, missing, *rest], LIMITS, evidence=Evidence(governance=governance), inputs=inputs
    )
    return Page(render(report, drawings))


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_files_are_text_and_nothing_else(name: str) -> None:
    benign, hostile = hostile_report("harmless"), hostile_report(name)
    assert hostile.shape() == benign.shape()
    assert sum(name in element.text for element in hostile.elements if element.tag in {"td", "span"}) > 20


@pytest.mark.parametrize("name", HOSTILE)
def test_documents_hold_no_html_from_names(name: str) -> None:
    from tranquillite_ml.report.documents import documents

    forecasts = build(rings=1, categories=(name,), models=(name,), horizons=1)
    report, _ = summarise_report(forecasts, some_checks(), LIMITS, inputs=Inputs(at=AT))
    for file, text in documents(report).items():
        if file.endswith(".md"):
            assert not re.search(r"(?<!\\)<[a-z/]", text), file


def test_ten_thousand_cells_and_twenty_categories_stay_small_and_quick() -> None:
    names = [f"category {k}" for k in range(20)]
    forecasts = build(rings=57, categories=names, horizons=1)  # 3 · 57 · 58 + 1 = 9,919 cells
    assert len(forecasts.cells) == 9919
    rng = np.random.default_rng(0)
    forecasts.values["observed_count"] = rng.poisson(6.0, forecasts.expected_count.shape).astype(float)
    groups = [f"district {k}" for k in range(8)]
    checks = []
    for one in mixed_checks():
        if one.status != "NOT_ASSESSABLE":
            added = [
                replace(found, category=category, group=group)
                for category in names
                for group in groups
                for found in one.measurements
            ]
            one = replace(one, measurements=(*one.measurements, *added))  # noqa: PLW2901
        checks.append(one)
    begin = time.process_time()
    html = render(*summarise_report(forecasts, checks, LIMITS, inputs=Inputs(at=AT)))
    assert time.process_time() - begin < 20
    assert len(html.encode()) < 5_000_000


# ---------------------------------------------------------------------- editions


def test_the_citizens_edition_withholds_what_is_small(
    audited: tuple[Forecasts, Evidence], made: Made
) -> None:
    forecasts, evidence = audited
    report = dict(made[0])
    small = make_check("C04", "PASS")
    small = replace(
        small, measurements=(*small.measurements, Measurement("recall_ratio", 1.1, "ratio", n=3, group="Q1"))
    )
    report, _ = summarise_report(
        forecasts, [small, *(one for one in mixed_checks() if one.id != "C04")], LIMITS, evidence=evidence,
        inputs=Inputs(at=AT),
    )  # fmt: skip
    public, drawings, published = public_edition(
        report, latest=forecasts.latest().select(model="smoothed_count"), evidence=evidence, thresholds=LIMITS
    )
    held = next(one for one in public["checks"] if one["id"] == "C04")["measurements"]
    assert [(one["value"], one["n"]) for one in held if one["suppressed"]] == [(None, None)]
    assert public["explanations"]["sheets"] == []
    assert {one["section"] for one in public["figures"]} <= {one["id"] for one in public["sections"]}
    assert published["incidents"].dropna().ge(5).all()
    assert (published["n_cells"] > 1).all()  # no household is known, so no cell stands alone
    html = render(public, drawings)
    compared, wrong = mismatches(Page(html), public)
    assert wrong == []
    assert compared > 200
    assert len(html) < len(render(*made))
    assert "How to contest" in html
    assert "Comment contester" in html
    for sheet in report["explanations"]["sheets"]:
        assert f"For area {sheet['cell']}" not in html


def test_another_system_s_forecasts_can_be_reported(make_forecasts: Callable[..., Forecasts]) -> None:
    checks = some_checks(
        C15="NOT_ASSESSABLE", C16="NOT_ASSESSABLE", C24="NOT_ASSESSABLE", C25="NOT_ASSESSABLE"
    )
    report, drawings = summarise_report(make_forecasts(), checks, LIMITS, inputs=Inputs(at=AT))
    status = {one["id"]: one["status"] for one in report["sections"]}
    assert status["S11"] == status["S12"] == "NOT_ASSESSABLE"
    assert report["system"]["h3_resolution"] == 9
    assert mismatches(Page(render(report, drawings)), report)[1] == []
