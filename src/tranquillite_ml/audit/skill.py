"""C06 and C07: whether the forecast is better than plain counts, and whether its flags are worth anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.audit.compared import NO_OUTCOME, ONLY_RANKS, Compared, compared, how
from tranquillite_ml.audit.definition import Definition, Finding
from tranquillite_ml.audit.estimates import measure
from tranquillite_ml.audit.hotspot_sums import bucket_sums, city_sums, hotspot_indices
from tranquillite_ml.audit.selection import coverage_of
from tranquillite_ml.audit.usefulness import usefulness
from tranquillite_ml.evaluation.bootstrap import ratio
from tranquillite_ml.evaluation.pairing import pair_maps
from tranquillite_ml.evaluation.scores import observed_maps, poisson_deviance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.audit.blocks import Drawn, Totals
    from tranquillite_ml.audit.check import Measurement
    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

NAIVE = {
    "seasonal_naive": "the same period last year",
    "count_365d": "the mean of 52 weeks",
    "kde": "kernel density",
    "decayed_count": "the exponentially weighted mean",
}
"""Baselines that must be beaten, by the name under which they may be among the forecasts."""

ALSO = ("count_all", "smoothed_count")
"""Plain counts that are compared with, too, if they are there."""

NO_BASELINE = {
    "en": "no plain count is among the forecasts to compare with",
    "fr": "aucun comptage simple ne figure parmi les prévisions pour comparer",
}


def skill_over_counts(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Compare the deviance with that of plain counts, overall and by group (C06).

    Skill is 1 − D_model / D_base. What is judged is the skill over the best of the baselines that are among
    the forecasts; the others are shown. PAI and PEI* say how much the flags hold, of what they could hold.
    """
    every = compared(forecasts, evidence, thresholds)
    scenes = [scene for scene in every if scene.slots.counts]
    if not scenes:
        return Finding([], reason=ONLY_RANKS if every else NO_OUTCOME)
    bases = _baselines(forecasts)
    found: list[Measurement] = []
    best: dict[str, str] = {}
    for scene in scenes:
        skills = {name: one for name in bases if (one := _skill(scene, forecasts, name)) is not None}
        for name, (by_group, overall) in skills.items():
            label = {"category": scene.category, "subject": name}
            found += measure("skill", "share", by_group, scene.of_groups, **label)
            found += measure("skill", "share", overall, scene.of_city, **label)
        if skills:
            base = min(skills, key=lambda name: (skills[name][1].value[0], name))
            best[scene.category] = base
            by_group, overall = skills[base]
            label = {"category": scene.category, "subject": base}
            found += measure("group_skill", "share", by_group, scene.of_residents, **label)
            found += measure("overall_skill", "share", overall, scene.of_city, **label)
        found += _held(scene)
    method = _method(bases, best, forecasts.models[0], thresholds)
    method += how(thresholds, evidence.seed, scenes[0].slots)
    return Finding(found, method, reason={"en": "", "fr": ""} if best else NO_BASELINE)


def _baselines(forecasts: Forecasts) -> list[str]:
    """Plain counts among the forecasts, without the audited model and without those that only rank."""
    keys = forecasts.keys
    ranked = set(keys.loc[keys["distribution"] == "rank", "model"])
    others = set(forecasts.models[1:]) - ranked
    return [name for name in (*NAIVE, *ALSO) if name in others]


def _skill(scene: Compared, forecasts: Forecasts, base: str) -> tuple[Drawn, Drawn] | None:
    """Skill over a baseline by bucket and overall, on the periods that both forecast; None if none."""
    slots = scene.slots
    mine, theirs, _ = pair_maps(forecasts.keys, observed_maps(forecasts), forecasts.models[0], base)
    partner = dict(zip(mine.tolist(), theirs.tolist(), strict=True))
    paired = np.array([row in partner for row in slots.rows.tolist()])
    if not paired.any():
        return None
    rows = np.array([partner.get(row, row) for row in slots.rows.tolist()])
    ours = poisson_deviance(slots.observed, slots.expected) * paired[:, None]
    plain = poisson_deviance(slots.observed, forecasts.expected_count[rows]) * paired[:, None]
    totals = {"model": scene.sums(ours), "base": scene.sums(plain)}
    whole = {name: part.sum(axis=1, keepdims=True) for name, part in totals.items()}
    return (
        scene.blocks.estimate(totals, _share_saved)["skill"],
        scene.blocks.estimate(whole, _share_saved, whole_city=True)["skill"],
    )


def _share_saved(sums: Totals) -> dict[str, NDArray[np.float64]]:
    return {"skill": 1 - ratio(sums["model"], sums["base"])}


def _held(scene: Compared) -> list[Measurement]:
    """PAI and PEI* of the flags in each bucket, and in the city, where incidents outside are missed."""
    drawn = scene.blocks.estimate(bucket_sums(scene), hotspot_indices)
    city = city_sums(scene.slots, scene.blocks)
    whole = scene.blocks.estimate(city, hotspot_indices, whole_city=True)
    return [
        one
        for name in ("pai", "pei_star")
        for part, support in ((drawn, scene.of_groups), (whole, scene.of_city))
        for one in measure(name, "ratio", part[name], support, category=scene.category)
    ]


def _method(bases: list[str], best: dict[str, str], model: str, thresholds: Thresholds) -> str:
    """What was compared with what, and which baseline is not there."""
    absent = [f"{name} ({what})" for name, what in NAIVE.items() if name not in bases and name != model]
    chosen = "; ".join(f"{category}: {name}" for category, name in best.items())
    return (
        f"Poisson deviance of {model} against {', '.join(bases) or 'nothing'}; judged against the best of "
        f"them ({chosen or 'none'}). Cells where nobody lives are shown and not judged. "
        + (f"Not among the forecasts: {', '.join(absent)}. " if absent else "")
        + f"PAI and PEI* at {coverage_of(thresholds):.0%} of the area. "
    )


DEFINITIONS = (
    Definition("C06", ("groups",), skill_over_counts),
    Definition("C07", (), usefulness),
)
"""Checks of skill."""
