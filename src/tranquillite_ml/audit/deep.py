"""The deep audit: what it will train again, how long that takes, and where it is kept."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tranquillite_ml.audit import stability
from tranquillite_ml.audit.doubtful import has_doubtful
from tranquillite_ml.audit.refits import Refits
from tranquillite_ml.audit.removal import families_without
from tranquillite_ml.audit.simulations import assumptions, tiers
from tranquillite_ml.forecasters.learned import LearnedForecaster
from tranquillite_ml.simulation.feedback import make_arms
from tranquillite_ml.simulation.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.simulation.loop import Report

_MIB = 1024**2


@dataclass(frozen=True)
class Budget:
    """What a deep audit will do, told before it begins.

    Attributes
    ----------
    refits : mapping of str to int
        Fits of the whole model, by the check that asks for them first.
    steps : mapping of str to int
        Fits for one category and one week ahead, in the simulations of each check.
    kept : int
        Fits of either kind that are there from before.
    seconds : float
        Of one fit of the whole model, measured.
    n_categories : int
        A fit for one of them is taken to last the same share of a whole one.
    memory_mib : float
        Largest resident memory so far, and what the panels of the simulations will hold.
    model : str
    """

    refits: Mapping[str, int]
    steps: Mapping[str, int]
    kept: int
    seconds: float
    n_categories: int
    memory_mib: float
    model: str

    @property
    def hours(self) -> float:
        """How long everything takes that is not kept from before, at most."""
        whole, parts = sum(self.refits.values()), sum(self.steps.values())
        return self.seconds * (whole + parts / self.n_categories) / 3600

    def __str__(self) -> str:
        def listed(counts: Mapping[str, int]) -> str:
            return ", ".join(f"{name} {n:,}" for name, n in counts.items() if n)

        return (
            f"budget: {sum(self.refits.values()):,} fits of {self.model} ({listed(self.refits)}) and "
            f"{sum(self.steps.values()):,} for one category and one week ahead ({listed(self.steps)}); "
            f"one fit took {self.seconds:.1f} s: at most {_duration(self.hours)} on this machine and about "
            f"{self.memory_mib:,.0f} MiB; {self.kept:,} are kept from before and not made again"
        )


def prepare(
    forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds, report: Report | None
) -> Evidence:
    """Evidence that tells its progress; in a deep audit the budget is told before anything else.

    The first fit is made here, unless it is kept from before, to measure how long one takes.
    """
    told = evidence if report is None else replace(evidence, report=report)
    refit = told.refit
    if not told.deep or not isinstance(refit, Refits) or told.panel is None or report is None:
        return told
    refit(told.panel)
    found = budget(forecasts, told, thresholds)
    report(str(found), 0, 1)
    refit.reporting(report, sum(found.refits.values()))
    report("refits", 0, refit.total)
    return told


def budget(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Budget:
    """Count what a deep audit trains again. Fits that several checks ask for are made once.

    Parameters
    ----------
    forecasts : Forecasts
    evidence : Evidence
        With `Refits`, a panel and a model.
    thresholds : Thresholds
    """
    refit, panel, model = evidence.refit, evidence.panel, evidence.model
    if not isinstance(refit, Refits) or panel is None or model is None:
        msg = "a budget needs a panel and a model that can be trained again"
        raise TypeError(msg)
    categories = [name for name in forecasts.categories if name in panel.categories]
    steps = _steps(thresholds, len(categories))
    folders = [
        tier.arguments(category)["folder"]
        for check, kind in (("C08", "feedback"), ("C09", "null"), ("C10", "underreporting"))
        for tier in tiers(evidence, kind, check, thresholds)
        if tier.deep
        for category in categories
    ]
    there = [folder for folder in folders if folder is not None and folder.is_dir()]
    arms = 1 + 4 * len(assumptions(thresholds, deep=True)["discovery"])
    loops = arms * int(thresholds.setting("C08", "deep_runs"))
    return Budget(
        _refits(evidence, thresholds),
        steps,
        refit.kept() + sum(len(list(folder.glob("[!.]*.npy"))) for folder in there),
        refit.seconds,
        max(1, len(model.target.categories)),
        _peak_mib() + loops * _held_mib(panel),
        model.name,
    )


def _refits(evidence: Evidence, thresholds: Thresholds) -> dict[str, int]:
    """Fits of the whole model by the check that asks for them first."""

    def asked(check: str, name: str) -> int:
        return int(thresholds.setting(check, name))

    model, panel, refit = evidence.model, evidence.panel, evidence.refit
    if panel is None or not isinstance(refit, Refits):  # pragma: no cover - asked for by the caller
        return {}
    seeds = asked("C14", "seeds") if refit.seeded else 0
    months = len(stability.moments(panel, asked("C14", "retrains")))
    own = asked("C15", "permutations") + max(0, asked("C15", "months") - asked("C14", "retrains"))
    own += max(0, asked("C15", "seeds") - seeds) if refit.seeded else 0
    return {
        "C12": int(has_doubtful(evidence)),
        "C14": months + asked("C14", "bootstraps") + seeds + stability.other_grids(evidence),
        "C15": own if isinstance(model, LearnedForecaster) else 0,
        "C16": _families(evidence),
    }


def _families(evidence: Evidence) -> int:
    """Families of features that the model can be trained without, if there are groups to compare."""
    model = evidence.model
    if not isinstance(model, LearnedForecaster) or evidence.groups is None:
        return 0
    return len(families_without(model))


def _steps(thresholds: Thresholds, n_categories: int) -> dict[str, int]:
    """Fits for one category and one week ahead."""
    given = assumptions(thresholds, deep=True)
    arms = make_arms(given["discovery"], latent=given["latent"], misfiled=given["misfiled"])
    weeks = {"C08": thresholds.setting("C08", "loop_weeks"), "C09": 2 * thresholds.setting("C09", "weeks")}
    found = {name: n_categories * (len(arms) * given["runs"] * (int(n) - 1) + 1) for name, n in weeks.items()}
    draws = int(thresholds.setting("C10", "deep_draws"))
    return found | {"C10": n_categories * (SCENARIOS * draws + 1)}


def _duration(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else _MIB)


def _held_mib(panel: Panel) -> float:
    """Memory of a panel's records."""
    parts = [panel.records(name) for name in panel.categories]
    fields = ("bin", "cell", "known", "count")
    return sum(int(getattr(part, field).nbytes) for part in parts for field in fields) / _MIB
