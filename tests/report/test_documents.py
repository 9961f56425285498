"""Exports of the report's dict say what it says."""

from __future__ import annotations

import json
from typing import Any

from tranquillite_ml.report.documents import EMPTY, annex_iv, atrs, documents, fria, model_card

Made = tuple[dict[str, Any], Any]


def test_every_document_is_written(made: Made) -> None:
    texts = documents(made[0])
    assert sorted(texts) == ["annex_iv.md", "atrs.json", "datasheet.md", "fria.json", "model_card.md"]
    assert json.loads(texts["atrs.json"]) == atrs(made[0])
    assert json.loads(texts["fria.json"]) == fria(made[0])


def test_the_model_card_has_each_group_with_its_interval_and_n(made: Made) -> None:
    card = model_card(made[0])
    line = next(line for line in card.splitlines() if "Q3" in line)
    # Third group of C01 by hand: 1 + 0.04 · 2 = 1.08, ± 0.1, from 300 incidents.
    assert line == "| C01 | exposure\\_ratio | noise | Q3 | 1.08 | 0.98 to 1.18 | 300 incidents |"
    assert card.count("\n| C") >= 28
    assert EMPTY in card  # nobody has filled in the purpose


def test_empty_fields_of_the_impact_assessment_are_listed(made: Made) -> None:
    found = fria(made[0])
    assert [one["field"] for one in found["fields"]] == list("abcdef")
    assert found["empty"] == list("abcdef")


def test_the_cross_table_leads_to_sections_with_their_status(made: Made) -> None:
    text = annex_iv(made[0])
    assert "S10 \\(Fail\\)" in text
    assert text.count("\n|") == 2 + len(made[0]["annex_iv"])


def test_the_transparency_record_carries_every_status(made: Made) -> None:
    checks = atrs(made[0])["tier_2"]["risks_mitigations_and_impact_assessments"]["checks"]
    assert checks == {one["id"]: one["status"] for one in made[0]["checks"]}
