"""C01 and C02: who lives where the forecast points, how long, and how narrowly it points."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.compared import NO_OUTCOME, Compared, compared, how
from tranquillite_ml.audit.concentration import concentration
from tranquillite_ml.audit.definition import Definition, Finding
from tranquillite_ml.audit.estimates import adjust, measure
from tranquillite_ml.audit.ranks import rank_correlations
from tranquillite_ml.audit.selection import coverage_of
from tranquillite_ml.config.sections import AGENT_ORIGINS
from tranquillite_ml.evaluation.bootstrap import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.audit.blocks import Drawn, Totals
    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

NO_RESIDENTS = {
    "en": "the residents of the areas were not given: set audit.groups.residents",
    "fr": "les habitants des zones ne sont pas fournis : renseigner audit.groups.residents",
}


def exposure_parity(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Compare how long the places of each group's residents are flagged, as such and for their records (C01).

    X_g = Σ f·h·R_cg / Σ R_cg are the flagged hours per resident of group g, DR_g = X_g / X_city, and
    NDR_g = DR_g / (Y_g / Y_city) with Y_g the recorded incidents per resident. The first says who lives under
    the forecast; the second whether more than the records explain. Both are published, because the second
    inherits whatever is wrong with the records.
    """
    scenes = compared(forecasts, evidence, thresholds)
    if not scenes:
        return Finding([], reason=NO_OUTCOME)
    if not scenes[0].groups.counted:
        return Finding(_flagged_shares(scenes), _method(scenes, evidence, thresholds), NO_RESIDENTS)
    found: list[Measurement] = []
    for scene in scenes:
        found += _exposures(scene, counts_as_need=_counts_as_need(evidence, scene.category))
    found += _flagged_shares(scenes) + [_missing_figures(found, scene) for scene in scenes]
    found += [one for scene in scenes for one in _correlations(scene)]
    limit = thresholds.limit("C01", "need_adjusted_ratio")
    tables = {
        "groups": pd.concat([_by_group(scene) for scene in scenes], ignore_index=True),
        "deciles": pd.concat([_by_decile(scene) for scene in scenes], ignore_index=True),
    }
    method = _method(scenes, evidence, thresholds)
    return Finding(adjust(found, "need_adjusted_ratio", limit), method, tables=tables)


def exposure_ratios(totals: Totals) -> dict[str, NDArray[np.float64]]:
    """X_g, DR_g and NDR_g from ``exposed`` (hours × residents), ``residents`` and ``incidents``.

    Examples
    --------
    >>> found = exposure_ratios({"exposed": np.array([30.0, 10.0]), "residents": np.array([10.0, 10.0]),
    ...     "incidents": np.array([3.0, 1.0])})
    >>> [one.round(9).tolist() for one in found.values()]
    [[3.0, 1.0], [1.5, 0.5], [1.0, 1.0]]
    """

    def to_city(part: NDArray[np.float64]) -> NDArray[np.float64]:
        whole = ratio(part.sum(axis=-1, keepdims=True), totals["residents"].sum(axis=-1, keepdims=True))
        return ratio(ratio(part, totals["residents"]), whole)

    exposure, need = to_city(totals["exposed"]), to_city(totals["incidents"])
    return {
        "flagged_hours_per_resident": ratio(totals["exposed"], totals["residents"]),
        "exposure_ratio": exposure,
        "need_adjusted_ratio": ratio(exposure, need),
    }


def _exposures(scene: Compared, *, counts_as_need: bool) -> list[Measurement]:
    slots, residents = scene.slots, scene.groups.residents
    totals = {
        "exposed": scene.blocks.sums(slots.flags * slots.hours[:, None], residents),
        "residents": scene.blocks.sums(1 / len(slots.starts), residents),
        "incidents": scene.sums(slots.observed)[:, :-1],
    }
    drawn: dict[str, Drawn] = scene.blocks.estimate(totals, exposure_ratios)
    units = {"flagged_hours_per_resident": "hours", "exposure_ratio": "ratio", "need_adjusted_ratio": "ratio"}
    if not counts_as_need:
        del units["need_adjusted_ratio"]
    return [
        one
        for name, unit in units.items()
        for one in measure(name, unit, drawn[name], scene.of_residents, category=scene.category)
    ]


def _counts_as_need(evidence: Evidence, category: str) -> bool:
    """Whether records of a category may stand for what residents need: not if enforcement makes them."""
    for source in (evidence.panel, evidence.incidents):
        if source is not None and category in source.origins:
            return source.origins[category] not in AGENT_ORIGINS
    return True


def _missing_figures(found: list[Measurement], scene: Compared) -> Measurement:
    """Groups with enough records of which only one of the two ratios is there."""
    given = {
        (one.name, one.group) for one in found if one.category == scene.category and not math.isnan(one.value)
    }
    support = scene.of_residents
    missing = sum(
        (name, group) not in given
        for group, enough in zip(support.groups, support.enough, strict=True)
        if enough
        for name in ("exposure_ratio", "need_adjusted_ratio")
    )
    n = int(support.enough.sum())
    return Measurement(
        "missing_figures", float(missing), "count", n=n, unit_of_n="groups", category=scene.category
    )


def _flagged_shares(scenes: list[Compared]) -> list[Measurement]:
    found: list[Measurement] = []
    for scene in scenes:
        hours = scene.sums(scene.slots.flags * scene.slots.hours[:, None])
        support = replace(
            scene.of_groups,
            incidents=scene.groups.share.sum(axis=0) * len(scene.slots.starts),
            unit_of_n="cell periods",
        )
        drawn = scene.blocks.estimate(
            {"hours": hours},
            lambda sums: {"share": ratio(sums["hours"], sums["hours"].sum(axis=-1, keepdims=True))},
        )
        found += measure("flagged_hours_share", "share", drawn["share"], support, category=scene.category)
    return found


def _correlations(scene: Compared) -> list[Measurement]:
    """Spearman's correlation of flagged hours per resident with each group's share (The Markup, 2021)."""
    residents = scene.groups.residents.sum(axis=1)
    lived = residents > 0
    flagged = (scene.slots.hours @ scene.slots.flags)[lived] / residents[lived]
    found = rank_correlations(
        flagged,
        scene.groups.share[lived, :-1],
        scene.blocks.parent[lived],
        n_draws=scene.blocks.n_draws,
        seed=scene.blocks.seed,
    )
    return [
        Measurement(
            "rank_correlation", value, "correlation", lower, upper, n=int(lived.sum()), unit_of_n="cells",
            category=scene.category, group=name,
        )
        for name, (value, lower, upper) in zip(scene.groups.names, found, strict=True)
    ]  # fmt: skip


def _by_group(scene: Compared) -> pd.DataFrame:
    """Residents, flagged hours and incidents of each bucket, as they are."""
    slots, groups = scene.slots, scene.groups
    hours = slots.hours @ slots.flags
    return pd.DataFrame(
        {
            "category": scene.category,
            "group": groups.buckets,
            "residents": [*groups.residents.sum(axis=0), 0.0],
            "cells": groups.share.sum(axis=0),
            "flagged_cell_hours": hours @ groups.share,
            "incidents": slots.observed.sum(axis=0) @ groups.share,
        }
    )


def _by_decile(scene: Compared) -> pd.DataFrame:
    """Residents by group in tenths of the inhabited cells, ordered by flagged hours per resident."""
    residents = scene.groups.residents
    lived = np.flatnonzero(residents.sum(axis=1) > 0)
    flagged = (scene.slots.hours @ scene.slots.flags)[lived] / residents[lived].sum(axis=1)
    place = pd.Series(flagged).rank(method="average").to_numpy()
    decile = np.minimum(((place - 0.5) * 10 / len(lived)).astype(np.int64), 9)
    rows = []
    for number in np.unique(decile):
        mine = residents[lived[decile == number]].sum(axis=0)
        rows.append(
            {"category": scene.category, "decile": number + 1, "cells": int((decile == number).sum())}
            | {
                "lowest_hours": flagged[decile == number].min(),
                "highest_hours": flagged[decile == number].max(),
            }
            | dict(zip([f"share of {name}" for name in scene.groups.names], mine / mine.sum(), strict=True))
        )
    return pd.DataFrame(rows)


def _method(scenes: list[Compared], evidence: Evidence, thresholds: Thresholds) -> str:
    by_agents = [scene.category for scene in scenes if not _counts_as_need(evidence, scene.category)]
    without = (
        f"Records of {', '.join(by_agents)} follow enforcement and stand for no need: no adjusted ratio. "
        if by_agents
        else ""
    )
    uncovered = scenes[0].groups.notes.get("uncovered")
    gaps = "" if uncovered is None else f"No area covers {uncovered:.1%} of the grid. "
    return (
        f"The {coverage_of(thresholds):.0%} of the area with the highest forecasts is flagged each period; "
        "residents by areal weighting; incidents of a cell go to groups by their share of its residents, and "
        "those where nobody lives to none. Recorded incidents stand for need, and inherit what is not "
        f"reported. {without}{gaps}{how(thresholds, evidence.seed, scenes[0].slots)}"
    )


DEFINITIONS = (
    Definition("C01", ("groups",), exposure_parity),
    Definition("C02", (), concentration),
)
"""Checks of exposure."""
