"""Exports of the report's dict say what it says."""

from __future__ import annotations

import json
from typing import Any

from tranquillite_ml.report.documents import WORDS, atrs, documents, fria

Made = tuple[dict[str, Any], Any]
NAMES = ("annex_iv", "datasheet", "model_card")


def test_every_document_is_written_in_both_languages(made: Made) -> None:
    texts = documents(made[0])
    wanted = [f"{name}.{language}.md" for name in NAMES for language in ("en", "fr")]
    assert sorted(texts) == sorted(["atrs.json", "fria.json", *wanted])
    assert json.loads(texts["atrs.json"]) == atrs(made[0])
    assert json.loads(texts["fria.json"]) == fria(made[0])


def test_the_french_documents_have_the_same_rows_and_no_english_heading(made: Made) -> None:
    texts = documents(made[0])
    english = {words["en"] for words in WORDS.values() if words["en"] != words["fr"]}
    for name in NAMES:
        en, fr = texts[f"{name}.en.md"], texts[f"{name}.fr.md"]
        assert en.count("\n|") == fr.count("\n|") > 0
        heads = [line.lstrip("# ").split("\u202f:")[0] for line in fr.splitlines() if line.startswith("#")]
        assert heads
        assert not english & set(heads)
    assert made[0]["verdict_sentence"]["fr"].split("\u202f")[0] in texts["model_card.fr.md"]


def test_the_model_card_has_each_group_with_its_interval_and_n(made: Made) -> None:
    texts = documents(made[0])
    card = texts["model_card.en.md"]
    line = next(line for line in card.splitlines() if "| Q3 |" in line)
    # Third group of C01 by hand: 1 + 0.04 · 2 = 1.08, ± 0.1, from 300 incidents.
    assert line.startswith("| C01 | exposure ratio")
    assert line.endswith("| noise | Q3 | 1.08 | 0.98 to 1.18 | 300 incidents |")
    assert "| noise | Q3 | 1,08 | 0,98 à 1,18 | 300 incidents |" in texts["model_card.fr.md"]
    assert card.count("\n| C") >= 28
    assert "left empty: nobody has filled this in" in card  # the purpose
    assert "laissé vide" in texts["model_card.fr.md"]


def test_empty_fields_of_the_impact_assessment_are_listed(made: Made) -> None:
    found = fria(made[0])
    assert [one["field"] for one in found["fields"]] == list("abcdef")
    assert found["empty"] == list("abcdef")


def test_the_cross_table_leads_to_sections_with_their_status(made: Made) -> None:
    text = documents(made[0])["annex_iv.en.md"]
    assert "S10 \\(Fail\\)" in text
    assert text.count("\n|") == 2 + len(made[0]["annex_iv"])


def test_the_transparency_record_carries_every_status(made: Made) -> None:
    checks = atrs(made[0])["tier_2"]["risks_mitigations_and_impact_assessments"]["checks"]
    assert checks == {one["id"]: one["status"] for one in made[0]["checks"]}
