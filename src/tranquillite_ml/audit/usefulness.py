"""C07: what a flag is worth in absolute terms."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.audit.blocks import Blocks, parents_of
from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.compared import NO_OUTCOME, city_support, how
from tranquillite_ml.audit.definition import Finding
from tranquillite_ml.audit.estimates import measure
from tranquillite_ml.audit.hotspot_sums import city_sums
from tranquillite_ml.audit.selection import audited_slots, coverage_of
from tranquillite_ml.evaluation.bootstrap import ratio
from tranquillite_ml.grids import open_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.audit.blocks import Totals
    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.audit.selection import Slots
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.intake import Incidents

UNITS = {
    "hit_rate": "share",
    "base_rate": "share",
    "lift": "ratio",
    "capture": "share",
    "area_share": "share",
    "flags_per_incident": "flags",
}


def usefulness(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Measure how often a flag is followed by an incident, against any cell and period (C07).

    A hit is a flagged cell and period in which at least one incident of the category was recorded (The Markup
    2023). The interval of hit rate and lift is that of a share under Jeffreys's prior, Beta(½ + hits,
    ½ + misses). It takes flags to be independent; where there are enough weeks, it is widened to what
    resampled weeks give.
    """
    every = audited_slots(forecasts, thresholds)
    if not every:
        return Finding([], reason=NO_OUTCOME)
    parents = parents_of(forecasts)
    found: list[Measurement] = []
    for slots in every:
        blocks = Blocks.of(slots, parents, thresholds.intervals, evidence.seed)
        support = city_support(slots, blocks, thresholds.intervals)
        totals = city_sums(slots, blocks)
        drawn = blocks.estimate(totals, flag_rates, whole_city=True)
        measured = [
            one
            for name, unit in UNITS.items()
            for one in measure(name, unit, drawn[name], support, category=slots.category)
        ]
        sums = {name: float(part.sum()) for name, part in totals.items()}
        found += [with_beta(one, sums) if one.name in {"hit_rate", "lift"} else one for one in measured]
        found += _distinct(evidence.incidents, slots)
    return Finding(found, _method(evidence, thresholds, every))


def flag_rates(sums: Totals) -> dict[str, NDArray[np.float64]]:
    """What flags find, against what is found anywhere: `UNITS` by name, from `hotspot_sums.city_sums`.

    Examples
    --------
    >>> found = flag_rates({"flags": np.array([8.0]), "flagged_with_incident": np.array([2.0]),
    ...     "with_incident": np.array([5.0]), "slots": np.array([80.0]), "hits": np.array([4.0]),
    ...     "recorded": np.array([10.0]), "flagged_km2": np.array([0.8]), "km2": np.array([8.0])})
    >>> {name: value.item() for name, value in found.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'hit_rate': 0.25, 'base_rate': 0.0625, 'lift': 4.0, 'capture': 0.4, 'area_share': 0.1,
     'flags_per_incident': 2.0}
    """
    hit_rate = ratio(sums["flagged_with_incident"], sums["flags"])
    base_rate = ratio(sums["with_incident"], sums["slots"])
    return {
        "hit_rate": hit_rate,
        "base_rate": base_rate,
        "lift": ratio(hit_rate, base_rate),
        "capture": ratio(sums["hits"], sums["recorded"]),
        "area_share": ratio(sums["flagged_km2"], sums["km2"]),
        "flags_per_incident": ratio(sums["flags"], sums["hits"]),
    }


def with_beta(one: Measurement, sums: dict[str, float]) -> Measurement:
    """Hit rate or lift with the interval of Jeffreys's prior, or a wider one that it already had.

    Examples
    --------
    >>> sums = {"flags": 10.0, "flagged_with_incident": 2.0, "with_incident": 5.0, "slots": 100.0}
    >>> found = with_beta(Measurement("hit_rate", 0.2, "share"), sums)
    >>> round(found.lower, 3), round(found.upper, 3)  # the 2.5 % and 97.5 % quantiles of Beta(2.5, 8.5)
    (0.044, 0.503)
    """
    from scipy.special import betaincinv

    if math.isnan(one.value):
        return one
    hits = sums["flagged_with_incident"]
    ends = betaincinv(0.5 + hits, 0.5 + sums["flags"] - hits, np.array([0.025, 0.975]))
    scale = sums["with_incident"] / sums["slots"] if one.name == "lift" else 1.0
    lower, upper = (ends / scale).tolist()
    return replace(one, lower=float(np.fmin(lower, one.lower)), upper=float(np.fmax(upper, one.upper)))


def _distinct(incidents: Incidents | None, slots: Slots) -> list[Measurement]:
    """Flags per incident where records of the same time, place and category count once; and those repeats."""
    if incidents is None or slots.category not in incidents.origins:
        return []
    table = incidents.of(slots.category).table
    repeats = table.duplicated(["occurred_at", "lat", "lng"]).to_numpy()
    grid = open_grid(slots.forecasts.meta.get("grid"), slots.forecasts.cells)
    cell = grid.locate(table["lat"].to_numpy(), table["lng"].to_numpy())
    when = table["occurred_at"].dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    begins, ends = (
        np.searchsorted(when, times.to_numpy().astype("datetime64[us]"))
        for times in (slots.starts, slots.ends)
    )
    flagged, n, repeated = 0.0, 0, 0
    for flags, begin, end in zip(slots.flags, begins, ends, strict=True):
        once = ~repeats[begin:end] & (cell[begin:end] >= 0)
        flagged += float(flags[cell[begin:end][once]].sum())
        n += int(once.sum())
        repeated += int(repeats[begin:end].sum())
    common: dict[str, Any] = {"n": n, "category": slots.category}
    return [
        Measurement(
            "flags_per_distinct_incident", float(ratio(slots.flags.sum(), flagged)), "flags", **common
        ),
        Measurement("repeated_records", float(repeated), "count", **common),
    ]


def _method(evidence: Evidence, thresholds: Thresholds, every: list[Slots]) -> str:
    if evidence.incidents is None:
        told = "The incidents were not given: repeats and pile-ups are not counted. "
    else:
        problems = evidence.incidents.problems
        piled = problems.loc[problems["what"].str.startswith("pile-up"), "n"]
        told = f"{int(piled.sum())} records are piled up on a few coordinates and were not removed. "
    return (
        f"The {coverage_of(thresholds):.0%} of the area with the highest forecasts is flagged each period. "
        "Intervals of hit rate and lift: Beta(½ + hits, ½ + misses), widened to resampled weeks where these "
        "are enough. Patrolled places and times could not be left out: no log of them is known. "
        f"{told}{how(thresholds, evidence.seed, every[0])}"
    )
