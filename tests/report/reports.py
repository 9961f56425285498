"""Checks of every status made by hand, and reports made from them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from tranquillite_ml.audit import Check, Evidence, Measurement, derive_status
from tranquillite_ml.audit.definition import MISSING
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.governance import CHECKS, Thresholds, load_thresholds
from tranquillite_ml.runfolder import RunFolder

LIMITS = load_thresholds()
AT = datetime(2026, 3, 1, 9, tzinfo=UTC)


def stored(audited: tuple[Forecasts, Evidence], output: Path) -> RunFolder:
    """A run's folder with backtest, panel and model."""
    forecasts, evidence = audited
    folder = RunFolder(output, "city-1")
    folder.prepare()
    forecasts.write(folder.file("forecasts.parquet"))
    assert evidence.panel is not None
    assert evidence.model is not None
    evidence.panel.save(folder.file("panel"))
    evidence.model.save(folder.file("model"))
    return folder


def good(check: str, thresholds: Thresholds = LIMITS, **named: Any) -> list[Measurement]:
    """A measurement of each limited name that crosses no limit."""
    found = []
    for name, limit in thresholds.checks[check].limits.items():
        value = next(v for v in (0.0, 1.0, 0.95, 3.0, 0.5) if limit.status(v, v, v) == "PASS")
        found.append(Measurement(name, value, "ratio", value, value, n=120, **named))
    return found


def bad(check: str, wanted: str, thresholds: Thresholds = LIMITS, **named: Any) -> Measurement:
    """A measurement that warns or fails."""
    for name, limit in thresholds.checks[check].limits.items():
        for value in (0.0, 0.006, 0.04, 0.1, 0.3, 0.6, 0.75, 0.93, 1.2, 1.3, 2.0, 9.0, 40.0):
            if limit.status(value, value, value) == wanted:
                return Measurement(name, value, "ratio", value, value, n=57, **named)
    msg = f"{check} never gives {wanted}"
    raise ValueError(msg)


def make_check(name: str, status: str, *, groups: tuple[str, ...] = (), category: str = "noise") -> Check:
    """A check that has a status because of its measurements."""
    title = LIMITS.checks[name].title
    if status == "NOT_ASSESSABLE":
        missing = ("groups",)
        return Check(name, title, "NOT_ASSESSABLE", missing, missing, reason=dict(MISSING["groups"]))
    found = good(name, category=category)
    for place, group in enumerate(groups):
        value = 1.0 + 0.04 * place
        found.append(
            Measurement("exposure_ratio", value, "ratio", value - 0.1, value + 0.1, n=300, category=category,
                        group=group, min_detectable=0.18)
        )  # fmt: skip
    if status != "PASS":
        found.append(bad(name, status, category=category))
    assert derive_status(name, found, LIMITS) == status
    return Check(
        name, title, derive_status(name, found, LIMITS), (), (), tuple(found), "Counted by hand, seed 0."
    )


def some_checks(**statuses: str) -> list[Check]:
    """All checks, passing unless said otherwise; C01 has groups."""
    groups = ("Q1 (lowest)", "Q2", "Q3", "Q4", "Q5 (highest)")
    made = []
    for name in CHECKS:
        status = statuses.get(name, "PASS")
        wanted = groups if name == "C01" and status != "NOT_ASSESSABLE" else ()
        made.append(make_check(name, status, groups=wanted))
    return made


MIXED = {"C06": "WARN", "C10": "FAIL", "C12": "NOT_ASSESSABLE", "C14": "WARN", "C19": "NOT_ASSESSABLE",
         "C21": "NOT_ASSESSABLE", "C22": "NOT_ASSESSABLE", "C26": "NOT_ASSESSABLE"}  # fmt: skip


def curves() -> pd.DataFrame:
    """A table as a feedback simulation gives it."""
    rows = [
        {"arm": arm, "discovery": 0.0 if arm == "nothing found" else 0.5, "group": group, "week": week}
        | {
            "amplification": 1 + slope * week,
            "lower": 1 + slope * week - 0.05,
            "upper": 1 + slope * week + 0.05,
        }
        for arm, slope in (("nothing found", 0.0), ("included", 0.02), ("excluded", 0.001))
        for group in ("Q1", "Q2")
        for week in range(12)
    ]
    return pd.DataFrame(rows).assign(n_runs=50, exposure_ratio=math.nan)


def mixed_checks() -> list[Check]:
    """Checks of every status, with curves of a simulation."""
    made = some_checks(**MIXED)
    return [replace(one, tables={"feedback": curves()}) if one.id == "C08" else one for one in made]
