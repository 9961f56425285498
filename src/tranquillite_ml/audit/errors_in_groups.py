"""C04 and C05: whether flags find as much, and miss as much, in each group of places."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.compared import NO_OUTCOME, Compared, compared, how
from tranquillite_ml.audit.definition import Definition, Finding
from tranquillite_ml.audit.estimates import adjust, adjust_to_zero, interval, measure, p_of_zero
from tranquillite_ml.audit.selection import coverage_of
from tranquillite_ml.evaluation.bootstrap import ratio
from tranquillite_ml.evaluation.scores import poisson_deviance
from tranquillite_ml.evaluation.significance import holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tranquillite_ml.audit.blocks import Drawn, Totals
    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.audit.selection import Slots
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

ERRORS = {
    "false_positive_rate": ("share", "rate_gap"),
    "false_negative_rate": ("share", "rate_gap"),
    "mean_deviance": ("deviance", "deviance_gap"),
    "mean_signed_error": ("incidents", "signed_error_gap"),
}
"""Errors of C05, their units, and what the gap between groups is called."""

OF_COUNTS = ("mean_deviance", "mean_signed_error")
"""Errors that need an expected count; ranks have none."""


def hit_parity(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Compare precision and recall of the flags between groups and city (C04).

    precision_g = Σ f·1[y ≥ 1] / Σ f and recall_g = Σ f·y / Σ y. Cells where nobody lives are shown, and are
    part of the city; only groups of residents are compared with it.
    """
    scenes = compared(forecasts, evidence, thresholds)
    if not scenes:
        return Finding([], reason=NO_OUTCOME)
    found: list[Measurement] = []
    for scene in scenes:
        slots = scene.slots
        totals = {
            "flagged": scene.sums(slots.flags),
            "hits": scene.sums(slots.flags * slots.any_observed),
            "caught": scene.sums(slots.flags * slots.observed),
            "recorded": scene.sums(slots.observed),
        }
        drawn = scene.blocks.estimate(totals, hit_rates)
        whole = {name: part.sum(axis=1, keepdims=True) for name, part in totals.items()}
        city = scene.blocks.estimate(whole, hit_rates, whole_city=True)
        for name in ("precision", "recall"):
            found += measure(name, "share", drawn[name], scene.of_groups, category=scene.category)
            found += measure(name, "share", city[name], scene.of_city, category=scene.category)
            for kind, unit in (("ratio", "ratio"), ("difference", "share")):
                part = drawn[f"{name}_{kind}"]
                found += measure(f"{name}_{kind}", unit, part, scene.of_residents, category=scene.category)
    for name in ("precision_ratio", "recall_ratio"):
        found = adjust(found, name, thresholds.limit("C04", name))
    method = (
        f"Precision: share of flagged cell periods with an incident; recall: share of incidents that were "
        f"flagged; {_flags(thresholds)} Incidents outside the cells are in no group and count for neither. "
        f"{how(thresholds, evidence.seed, scenes[0].slots)}"
    )
    return Finding(found, method)


def hit_rates(sums: Totals) -> dict[str, NDArray[np.float64]]:
    """Precision and recall of each bucket, and their ratios and differences to the city for all but the last.

    Examples
    --------
    >>> found = hit_rates({"flagged": np.array([4.0, 4.0, 0.0]), "hits": np.array([3.0, 1.0, 0.0]),
    ...     "caught": np.array([6.0, 1.0, 0.0]), "recorded": np.array([8.0, 4.0, 2.0])})
    >>> found["precision"][:2].tolist(), found["precision_ratio"].tolist()  # the city: 4 of 8
    ([0.75, 0.25], [1.5, 0.5])
    >>> found["recall"].tolist(), found["recall_difference"].tolist()  # the city: 7 of 14
    ([0.75, 0.25, 0.0], [0.25, -0.25])
    """
    found = {}
    for name, top, bottom in (("precision", "hits", "flagged"), ("recall", "caught", "recorded")):
        rate = ratio(sums[top], sums[bottom])
        city = ratio(sums[top].sum(axis=-1, keepdims=True), sums[bottom].sum(axis=-1, keepdims=True))
        found[name] = rate
        found[f"{name}_ratio"] = ratio(rate, city)[..., :-1]
        found[f"{name}_difference"] = (rate - city)[..., :-1]
    return found


def error_disparity(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Compare the errors of groups of residents: the largest gap, and whether chance makes such gaps (C05).

    False positives are flagged cell periods without an incident, as a share of those without; false negatives
    are cell periods with an incident that were not flagged, as a share of those with one.
    """
    scenes = compared(forecasts, evidence, thresholds)
    if not scenes:
        return Finding([], reason=NO_OUTCOME)
    found: list[Measurement] = []
    tests: list[Measurement] = []
    for scene in scenes:
        measured, tested = _errors(scene)
        found += measured
        tests += tested
    permuting = (
        f"{thresholds.intervals.replicates} permutations of the groups' labels over their areas say how "
        "often any such grouping has as large a gap; "
        if _several_areas(scenes[0])
        else "each group is one area, so that labels cannot be permuted; "
    )
    method = (
        "Gap: largest minus smallest figure of the groups of residents, for the deviance over that of the "
        f"city. Two tests: {permuting}the contrasts of the groups to the city say whether it would be there "
        "in other weeks. The p-value judged is the smaller of the two, adjusted for the number of tests, "
        f"errors and categories (Holm). {_flags(thresholds)} "
        f"{how(thresholds, evidence.seed, scenes[0].slots)}"
    )
    return Finding(found + _judged(tests) + tests, method)


def _judged(tests: list[Measurement]) -> list[Measurement]:
    """For each category and error the smallest p-value, adjusted for the number of all tests."""
    corrected = holm([one.value for one in tests])
    best: dict[tuple[str | None, str | None], Measurement] = {}
    for one, p in zip(tests, corrected.tolist(), strict=True):
        key = (one.category, one.subject)
        if key not in best or not best[key].value <= p:
            best[key] = replace(one, name="p_value", value=p)
    return list(best.values())


def error_rates(sums: Totals) -> dict[str, NDArray[np.float64]]:
    """Errors of each bucket from its sums: `ERRORS` by name.

    Examples
    --------
    >>> sums = {"false_positives": [1.0], "without": [4.0], "false_negatives": [2.0], "with": [8.0],
    ...     "deviance": [6.0], "error": [-3.0], "n": [12.0]}
    >>> {name: value.item() for name, value in error_rates(sums).items()}
    {'false_positive_rate': 0.25, 'false_negative_rate': 0.25,
     'mean_deviance': 0.5, 'mean_signed_error': -0.25}
    """
    return {
        "false_positive_rate": ratio(sums["false_positives"], sums["without"]),
        "false_negative_rate": ratio(sums["false_negatives"], sums["with"]),
        "mean_deviance": ratio(sums["deviance"], sums["n"]),
        "mean_signed_error": ratio(sums["error"], sums["n"]),
    }


def _parts(slots: Slots) -> dict[str, NDArray[np.float64]]:
    """What errors are made of, in each period and cell."""
    some = slots.any_observed
    return {
        "false_positives": slots.flags * (1 - some),
        "without": 1 - some,
        "false_negatives": (1 - slots.flags) * some,
        "with": some,
        "deviance": poisson_deviance(slots.observed, slots.expected),
        "error": slots.expected - slots.observed,
        "n": np.ones_like(some),
    }


def _errors(scene: Compared) -> tuple[list[Measurement], list[Measurement]]:
    """Errors by group, contrasts to the city and gaps; and the p-values of the gaps, not adjusted."""
    parts = _parts(scene.slots)
    usable = np.flatnonzero(scene.of_residents.enough)

    def statistic(sums: Totals) -> dict[str, NDArray[np.float64]]:
        rates = error_rates(sums)
        city = error_rates({name: part.sum(axis=-1, keepdims=True) for name, part in sums.items()})
        contrasts = {f"{name}_difference": (rates[name] - city[name])[..., :-1] for name in rates}
        return rates | contrasts | {f"{name}_gap": _gap(name, rates, city, usable) for name in rates}

    drawn = scene.blocks.estimate({name: scene.sums(part) for name, part in parts.items()}, statistic)
    kept = [name for name in ERRORS if scene.slots.counts or name not in OF_COUNTS]
    permuted = _permuted_gaps(scene, parts, usable) if _several_areas(scene) else None
    found, tests = [], []
    for name in kept:
        unit, gap = ERRORS[name]
        found += measure(name, unit, drawn[name], scene.of_groups, category=scene.category)
        contrasts = adjust_to_zero(
            measure(f"{name}_difference", unit, drawn[f"{name}_difference"], scene.of_residents,
                    category=scene.category)
        )  # fmt: skip
        found += contrasts
        gaps = _gap_measurement(gap, name, drawn[f"{name}_gap"], scene, usable)
        found.append(gaps)
        p_values = {"contrast_p_value": _of_contrasts(contrasts)}
        if permuted is not None:
            p_values["permutation_p_value"] = _of_permutations(gaps.value, permuted[name])
        tests += [
            Measurement(test, p, "probability", n=gaps.n, category=scene.category, subject=name)
            for test, p in p_values.items()
        ]
    return found, tests


def _gap(name: str, rates: Totals, city: Totals, usable: NDArray[np.int64]) -> NDArray[np.float64]:
    """Largest minus smallest of the usable groups, shape (…, 1); NaN with fewer than two."""
    held = rates[name][..., usable]
    if len(usable) < 2:
        return np.full((*held.shape[:-1], 1), np.nan)
    gap = np.asarray(held.max(axis=-1, keepdims=True) - held.min(axis=-1, keepdims=True))
    return ratio(gap, city[name]) if name == "mean_deviance" else gap


def _gap_measurement(
    gap: str, name: str, drawn: Drawn, scene: Compared, usable: NDArray[np.int64]
) -> Measurement:
    support = scene.of_residents
    blocks = int(support.blocks[usable].min()) if len(usable) else 0
    lower, upper, seen = interval(drawn.draws[:, 0], blocks, scene.limits)
    return Measurement(
        name=gap,
        value=float(drawn.value[0]),
        unit="ratio" if name == "mean_deviance" else ERRORS[name][0],
        lower=lower,
        upper=upper,
        n=round(float(support.incidents[usable].sum())),
        category=scene.category,
        subject=name,
        requires="p_value" if gap != "signed_error_gap" else None,
        min_detectable=None if math.isnan(seen) else seen,
    )


def _several_areas(scene: Compared) -> bool:
    return len(scene.groups.group_of_area) > len(scene.groups.names)


def _permuted_gaps(
    scene: Compared, parts: dict[str, NDArray[np.float64]], usable: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Gaps where the labels are dealt out anew to the areas of the usable groups, shape (n_draws,)."""
    labels = scene.groups.group_of_area
    mine = np.isin(labels, usable)
    labels, n_groups, n = labels[mine], len(scene.groups.names), scene.blocks.n_draws
    dealt = np.random.default_rng([scene.blocks.seed, 2]).permuted(np.tile(labels, (n, 1)), axis=1)
    place = (dealt + n_groups * np.arange(n)[:, None]).ravel()
    sums, whole = {}, {}
    for name, part in parts.items():
        by_area = np.asarray(scene.groups.area_share.T @ part.sum(axis=0))[mine]
        found = np.bincount(place, np.tile(by_area, n), minlength=n * n_groups)
        sums[name] = found.reshape(n, n_groups).astype(np.float64)
        whole[name] = np.array([part.sum()], dtype=np.float64)
    rates, city = error_rates(sums), error_rates(whole)
    return {name: _gap(name, rates, city, usable)[:, 0] for name in rates}


def _of_permutations(gap: float, permuted: NDArray[np.float64]) -> float:
    """Share of dealt groupings with a gap at least as large, the real one among them."""
    usable = permuted[~np.isnan(permuted)]
    if math.isnan(gap) or len(usable) == 0:
        return math.nan
    return float((1 + (usable >= gap * (1 - 1e-12)).sum()) / (1 + len(usable)))


def _of_contrasts(contrasts: Sequence[Measurement]) -> float:
    """Smallest p-value of the contrasts, adjusted for their number."""
    p = holm(p_of_zero(contrasts))
    return math.nan if np.isnan(p).all() else float(np.nanmin(p))


def _flags(thresholds: Thresholds) -> str:
    return f"Flagged is the {coverage_of(thresholds):.0%} of the area with the highest forecasts each period."


DEFINITIONS = (
    Definition("C04", ("groups",), hit_parity),
    Definition("C05", ("groups",), error_disparity),
)
"""Checks of hits and errors."""
