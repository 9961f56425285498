"""The audit: every check in its order, on one Forecasts table and whatever evidence there is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tranquillite_ml.audit.deep import prepare
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.governance.thresholds import CHECKS, load_thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tranquillite_ml.audit.check import Check
    from tranquillite_ml.audit.definition import Definition
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

FAMILIES = (
    "exposure",
    "calibration_in_groups",
    "errors_in_groups",
    "skill",
    "simulations",
    "guards",
    "stability",
    "explanations",
    "publication",
    "provenance",
    "quality",
    "from_the_field",
)
"""The files that declare checks, each in its ``DEFINITIONS``."""


def definitions() -> dict[str, Definition]:
    """Give every check by its id, in the order of ids."""
    found = {
        one.id: one
        for family in FAMILIES
        for one in import_module(f"tranquillite_ml.audit.{family}").DEFINITIONS
    }
    return {name: found[name] for name in CHECKS}


def audit(
    forecasts: Forecasts,
    *,
    evidence: Evidence | None = None,
    thresholds: Thresholds | None = None,
    checks: Collection[str] | None = None,
    report: Callable[[str, int, int], None] | None = None,
) -> list[Check]:
    """Check a forecasting system: each check with its measurements, its status and what it lacked.

    Parameters
    ----------
    forecasts : Forecasts
        Of a backtest, with what was then recorded; its first model is the one that is audited, the others
        are what it is compared with.
    evidence : Evidence, optional
        What else may be looked at. What is missing makes a check NOT_ASSESSABLE and never a pass.
    thresholds : Thresholds, optional
        Those that ship with the package if not given.
    checks : collection of str, optional
        Ids of those to run; all if not given.
    report : callable, optional
        Called with what is being done, steps done, and steps to do; with the budget of a deep audit first.

    Returns
    -------
    list of Check
        In the order of their ids.
    """
    known = definitions()
    chosen = [one for name, one in known.items() if checks is None or name in checks]
    limits = load_thresholds() if thresholds is None else thresholds
    given = prepare(forecasts, Evidence() if evidence is None else evidence, limits, report)
    found = []
    for number, one in enumerate(chosen):
        if report is not None:
            report("checks", number, len(chosen))
        found.append(one.run(forecasts, given, limits))
    if report is not None:
        report("checks", len(chosen), len(chosen))
    return found
