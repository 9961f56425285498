"""C03: whether as much is recorded as was expected, in each group of places, from quiet to busy cells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.audit.compared import NO_OUTCOME, ONLY_RANKS, Compared, compared, how
from tranquillite_ml.audit.definition import Definition, Finding
from tranquillite_ml.audit.estimates import Support, adjust, measure
from tranquillite_ml.evaluation.bootstrap import ratio
from tranquillite_ml.evaluation.pit import activity_strata, randomised_pit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tranquillite_ml.audit.blocks import Totals
    from tranquillite_ml.audit.check import Measurement
    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

JUDGED = "observed_to_expected"
BINS = 10


def calibration_in_groups(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Compare recorded with expected incidents in each group of places (C03).

    O/E_g = Σ y / Σ λ̂ of each group of residents is judged. By tenth of activity and group, by month, hour and
    parent cell it is in tables, with the histogram of the randomised probability integral transform by group
    (Czado, Gneiting and Held 2009, https://doi.org/10.1111/j.1541-0420.2009.01191.x).
    """
    every = compared(forecasts, evidence, thresholds)
    scenes = [scene for scene in every if scene.slots.counts]
    if not scenes:
        return Finding([], reason=ONLY_RANKS if every else NO_OUTCOME)
    found: list[Measurement] = []
    for scene in scenes:
        totals = {"observed": scene.sums(scene.slots.observed), "expected": scene.sums(scene.slots.expected)}
        by_group = scene.blocks.estimate(totals, _observed_to_expected)["ratio"]
        measured = measure(JUDGED, "ratio", by_group, scene.of_groups, category=scene.category)
        found += [*measured[:-1], replace(measured[-1], name=f"{JUDGED}_elsewhere")]
        whole = scene.blocks.estimate(
            {name: part.sum(axis=1, keepdims=True) for name, part in totals.items()},
            _observed_to_expected,
            whole_city=True,
        )["ratio"]
        found += measure(f"overall_{JUDGED}", "ratio", whole, scene.of_city, category=scene.category)
    tables = {
        "deciles": pd.concat([_by_decile(scene) for scene in scenes], ignore_index=True),
        "when_and_where": pd.concat([_when_and_where(scene) for scene in scenes], ignore_index=True),
        "pit": pd.concat([_pit(scene, evidence.seed) for scene in scenes], ignore_index=True),
    }
    method = (
        "Recorded over expected incidents; those of a cell go to groups by their share of its residents. "
        "Cells where nobody lives are shown and not judged. Failures are judged by intervals adjusted for "
        "the number of groups and categories (Holm). "
        f"{how(thresholds, evidence.seed, scenes[0].slots)}"
    )
    return Finding(adjust(found, JUDGED, thresholds.limit("C03", JUDGED)), method, tables=tables)


def _observed_to_expected(sums: Totals) -> dict[str, NDArray[np.float64]]:
    return {"ratio": ratio(sums["observed"], sums["expected"])}


def _ratio_table(
    scene: Compared,
    observed: Sequence[NDArray[np.float64]],
    expected: Sequence[NDArray[np.float64]],
    labels: pd.DataFrame,
) -> pd.DataFrame:
    """One row a column of sums: recorded, expected, their ratio with its interval."""
    totals = {"observed": np.hstack(observed), "expected": np.hstack(expected)}
    drawn = scene.blocks.estimate(totals, _observed_to_expected)["ratio"]
    seen, hoped = (part.sum(axis=0) for part in totals.values())
    support = Support([""] * len(seen), seen, scene.blocks.n_blocks(totals["expected"]), scene.limits)
    rows = measure("", "ratio", drawn, support)
    ends = [(one.value, one.lower, one.upper) for one in rows]
    table = labels.assign(category=scene.category, observed=seen, expected=hoped)
    table[["observed_to_expected", "lower", "upper"]] = ends
    return table


def _by_decile(scene: Compared) -> pd.DataFrame:
    slots, buckets = scene.slots, scene.groups.buckets
    decile = activity_strata(slots.expected, BINS)
    parts = [decile == number for number in range(BINS)]
    labels = pd.DataFrame(
        {"decile": np.repeat(np.arange(1, BINS + 1), len(buckets)), "group": list(buckets) * BINS}
    )
    return _ratio_table(
        scene,
        [scene.sums(slots.observed * part) for part in parts],
        [scene.sums(slots.expected * part) for part in parts],
        labels,
    )


def _when_and_where(scene: Compared) -> pd.DataFrame:
    """By month of the period's start, by its hour where it varies, and by parent cell; all together."""
    slots, blocks = scene.slots, scene.blocks
    whole = np.ones((len(blocks.parent), 1))
    times = {"month": slots.starts.month.to_numpy(), "hour": slots.starts.hour.to_numpy()}
    observed, expected, labels = [], [], []
    for name, values in times.items():
        distinct = np.unique(values)
        if name == "hour" and len(distinct) == 1:
            continue
        for value in distinct:
            mine = (values == value)[:, None]
            observed.append(blocks.sums(slots.observed * mine, whole))
            expected.append(blocks.sums(slots.expected * mine, whole))
            labels.append((name, str(value)))
    member = np.eye(blocks.n_parents)[blocks.parent]
    observed.append(blocks.sums(slots.observed, member))
    expected.append(blocks.sums(slots.expected, member))
    labels += [("neighbourhood", str(number + 1)) for number in range(blocks.n_parents)]
    return _ratio_table(scene, observed, expected, pd.DataFrame(labels, columns=["by", "value"]))


def _pit(scene: Compared, seed: int) -> pd.DataFrame:
    """Share of each bucket's counts in tenths of their own forecast's law; a tenth each is right."""
    place = np.minimum((randomised_pit(scene.slots.forecasts, seed=seed) * BINS).astype(np.int64), BINS - 1)
    counted = [scene.sums(place == number) for number in range(BINS)]
    n = sum(counted)
    totals = {"counted": np.hstack(counted), "n": np.tile(n, BINS)}
    drawn = scene.blocks.estimate(totals, lambda sums: {"share": ratio(sums["counted"], sums["n"])})["share"]
    buckets = scene.groups.buckets
    support = Support(
        list(buckets) * BINS,
        np.tile(np.sum(n, axis=0), BINS),
        np.tile(scene.of_groups.blocks, BINS),
        scene.limits,
    )
    rows = measure("", "share", drawn, support)
    return pd.DataFrame(
        {
            "category": scene.category,
            "bin": np.repeat(np.arange(1, BINS + 1), len(buckets)),
            "group": [one.group for one in rows],
            "share": [one.value for one in rows],
            "lower": [one.lower for one in rows],
            "upper": [one.upper for one in rows],
            "n": [one.n for one in rows],
        }
    )


DEFINITIONS = (Definition("C03", ("groups",), calibration_in_groups),)
"""Checks of calibration."""
