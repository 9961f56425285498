"""No English of ours reaches the French report: methods, reasons, what measurements are about."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import tranquillite_ml.audit
from tranquillite_ml.audit import Check, audit
from tranquillite_ml.intake import accepting
from tranquillite_ml.report.methods import method_words
from tranquillite_ml.report.terms import PHRASES, about
from tranquillite_ml.report.wording import read_texts

AUDIT = Path(tranquillite_ml.audit.__file__).parent
ENGLISH = re.compile(
    r"\b(the|of|and|with|from|were|was|which|each|by|not|are|is|to|for|that|than|last|all|time|at|in)\b"
)
"""Words that no French text has and hardly any English sentence lacks."""


@pytest.fixture(scope="module")
def checks(audited: Any) -> list[Check]:
    forecasts, evidence = audited
    return list(audit(forecasts, evidence=evidence))


def test_every_method_of_an_audit_is_said_in_french(checks: list[Check]) -> None:
    told = [one for one in checks if one.method]
    assert len(told) > 8
    for one in told:
        said = method_words(one.method)
        assert said["en"] == one.method
        assert said["fr"] != one.method, f"{one.id}: texts/methods.yaml lacks a sentence of: {one.method}"
        assert not ENGLISH.search(said["fr"]), (one.id, said["fr"])


def test_every_reason_of_an_audit_is_said_in_french(checks: list[Check]) -> None:
    told = [one.reason["fr"] for one in checks if one.reason.get("fr")]
    assert told
    assert not [text for text in told if ENGLISH.search(text)]


def test_what_every_measurement_is_about_is_said_in_french(checks: list[Check]) -> None:
    for one in checks:
        for measured in one.measurements:
            said = about(measured.category, measured.group, measured.subject)
            if said is not None:
                assert not ENGLISH.search(said["fr"]), (one.id, said["fr"])


def test_each_way_to_set_a_row_aside_has_its_french() -> None:
    for reason in accepting._ADVICE:
        given = f"{reason} than 7 days" if reason == "interval longer" else reason
        said = about(given)
        assert said is not None
        assert said["fr"] != given, f"{given!r} is not among the phrases of texts/names.yaml"


def test_a_sentence_that_is_not_known_stays_english_and_nothing_is_lost() -> None:
    assert method_words("Seed 3. Something new was done.")["fr"] == "Seed 3. Something new was done."
    assert method_words("") == {"en": "", "fr": ""}


def test_numbers_and_names_are_carried_over() -> None:
    said = method_words("At 27.7% of the area. All else: the surrogate smoothed_count. Seed 12.")["fr"]
    assert said == (
        "À 27,7\u202f% de la surface. Tout le reste\u202f: le modèle de remplacement (comptage lissé). "
        "Graine 12."
    )
    assert "version 0.1.0," in method_words("Package: version 0.1.0, installed from a folder.")["fr"]


def test_every_known_sentence_is_one_that_a_check_can_say() -> None:
    """What no check says any more would only hide that its successor is missing."""
    said = " ".join([*_texts(AUDIT), *_texts(AUDIT.parent / "simulation")])
    known = set(re.findall(r"[A-Za-z]{3,}", said))
    for one in read_texts("methods")["methods"]:
        words = set(re.findall(r"[A-Za-z]{3,}", re.sub(r"\{\w+\}", " ", one["en"])))
        assert words <= known, (one["en"], words - known)


def _texts(folder: Path) -> list[str]:
    """Every piece of text in the files of a package."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py"))]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def test_names_from_data_stay_as_they_are() -> None:
    assert about("weather", "city hall: north", None) == {
        "en": "weather · city hall: north",
        "fr": "weather · city hall: north",
    }
    assert about("weather", None, "weather") == {"en": "weather · the weather", "fr": "weather · météo"}
    assert all(set(words) == {"en", "fr"} for words in PHRASES.values())
