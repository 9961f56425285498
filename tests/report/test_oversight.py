"""What the report says of logged decisions, of alternatives, and of how unevenly exposure falls."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.report.conftest import build
from tests.report.reading import Page
from tests.report.reports import AT, LIMITS, make_check, some_checks
from tranquillite_ml.audit import Evidence
from tranquillite_ml.config import load_config
from tranquillite_ml.governance import Governance
from tranquillite_ml.governance.log import append
from tranquillite_ml.governance.standing import LOG
from tranquillite_ml.report.curves import lorenz
from tranquillite_ml.report.oversight import oversight_of
from tranquillite_ml.report.render import render
from tranquillite_ml.report.summary import Inputs, summarise_report

DAY = datetime(2026, 2, 3, 9, tzinfo=UTC)


@pytest.fixture
def run(tmp_path: Path) -> Evidence:
    """A run of the configuration ``smoke`` with nothing beside it."""
    (tmp_path / "smoke-1").mkdir()
    return Evidence(run=tmp_path / "smoke-1", config=load_config("smoke"))


def logged(evidence: Evidence) -> Path:
    """A log of two forecasts, a yes, a no, an override, and a yes to another model."""
    assert evidence.run is not None
    path = evidence.run.parent / LOG
    append(path, "forecast", {"model": "smoke", "sha256": "a"}, DAY)
    append(path, "forecast", {"model": "smoke", "sha256": "b"}, DAY.replace(day=10))
    append(path, "promote", {"model": "smoke"}, DAY.replace(day=11))
    append(path, "promote", {"model": "other"}, DAY.replace(day=12))
    append(path, "reject", {"model": "smoke"}, DAY.replace(day=13))
    append(path, "decision", {"forecast_sha256": "a", "action": "overridden"}, DAY.replace(day=14))
    return path


def counted(found: dict[str, Any]) -> dict[str, tuple[int, str | None]]:
    return {one["key"]: (one["n"], one["last"]) for one in found["decisions"] if one["n"]}


def test_decisions_in_the_log_are_counted_by_hand(run: Evidence) -> None:
    path = logged(run)
    found = oversight_of(run)
    assert found["log"]["lines"] == 6
    assert found["log"]["intact"]
    assert counted(found) == {
        "forecast": (2, "2026-02-10"),
        "promote": (1, "2026-02-11"),
        "reject": (1, "2026-02-13"),
        "overridden": (1, "2026-02-14"),
    }
    again = oversight_of(replace(run, records={"decisions": path}))
    assert again == found  # a record that is the log itself is not counted twice


def test_without_a_log_there_are_none_and_the_page_says_so(run: Evidence) -> None:
    assert oversight_of(run)["log"] is None
    assert counted(oversight_of(run)) == {}
    assert counted(oversight_of(Evidence())) == {}
    report, drawings = summarise_report(build(), some_checks(), LIMITS, evidence=run, inputs=Inputs(at=AT))
    texts = " ".join(text for text, _ in Page(render(report, drawings)).texts)
    assert "There is no log beside this run" in texts
    assert "Il n'y a pas de registre à côté de cette exécution" in texts


def test_nothing_is_counted_from_a_broken_log(run: Evidence) -> None:
    path = logged(run)
    path.write_bytes(path.read_bytes().replace(b"overridden", b"followed.."))
    found = oversight_of(run)
    assert not found["log"]["intact"]
    assert counted(found) == {}


def test_a_table_of_decisions_is_counted_beside_the_log(run: Evidence) -> None:
    logged(run)
    row = {"forecast_sha256": "a", "period_start": "2026-02-16", "role": "duty officer"}
    rows = [row | {"action": "followed"}, row | {"action": "not seen"}]
    found = counted(oversight_of(replace(run, records={"decisions": rows})))
    assert found["followed"] == found["not seen"] == (1, "2026-02-16")
    assert "overridden" not in found  # the record stands for what was done
    assert found["forecast"][0] == 2


@pytest.mark.parametrize("given", [None, "lighting of the underpass; doing nothing"])
def test_alternatives_are_shown_as_they_are_filled_in(given: str | None) -> None:
    evidence = Evidence(governance=Governance(alternatives=given))
    report, drawings = summarise_report(
        build(), some_checks(), LIMITS, evidence=evidence, inputs=Inputs(at=AT)
    )
    fields = report["governance"]["fields"]
    place = next(k for k, one in enumerate(fields) if one["key"] == "alternatives")
    shown = [
        one.text
        for one in Page(render(report, drawings)).elements
        if one.attributes.get("data-path") == f"/governance/fields/{place}/said"
    ]
    empty = ["left empty: nobody has filled this in", "laissé vide\u202f: personne n'a rempli ce champ"]
    assert shown == ([given, given] if given else empty)


def test_the_curve_of_exposure_is_that_of_the_check() -> None:
    table = pd.DataFrame(
        {"category": "noise", "share_of_cells": [0.1, 0.5, 1.0], "share_of_hours": [0.4, 0.9, 1.0]}
    )
    figure = lorenz(replace(make_check("C02", "PASS"), tables={"lorenz": table}))[0]
    assert [(row["x"], row["y"]) for row in figure["rows"]] == [(0.1, 0.4), (0.5, 0.9), (1.0, 1.0)]
    assert lorenz(make_check("C02", "PASS")) == []
