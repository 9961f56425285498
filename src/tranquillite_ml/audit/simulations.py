"""C08, C09, C10: whether the forecast could feed itself, and what unreported incidents would change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Definition, Finding
from tranquillite_ml.audit.refits import described, step_folder
from tranquillite_ml.errors import UsageError
from tranquillite_ml.simulation import (
    EXCLUDED,
    INCLUDED,
    MISFILED,
    WEIGHTED,
    PlaceGroups,
    simulate_feedback,
    simulate_null_loop,
    simulate_underreporting,
    urn_table,
)
from tranquillite_ml.simulation.loop import silent

if TYPE_CHECKING:
    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

SUFFIX = {MISFILED: "", INCLUDED: "_guard_off", EXCLUDED: "_guard_on", WEIGHTED: "_weighted"}
"""Judged is the guard as it would be, with some finds filed as reports; the other arms inform."""
REFITTED = "the model itself, trained again"
"""What measurements of the deep tier are about."""


def place_groups(evidence: Evidence) -> PlaceGroups | None:
    """Groups of the evidence on the panel's cells; None if there are none, or nobody lives there."""
    if evidence.groups is None or evidence.panel is None:
        return None
    found = evidence.groups.on(evidence.panel.grid.cells)
    there = found.residents.sum(axis=0) > 0
    if not there.any():
        return None
    names = [name for name, kept in zip(found.names, there, strict=True) if kept]
    return PlaceGroups(names, found.residents[:, there])


@dataclass(frozen=True)
class Tier:
    """What a simulation is run with.

    Attributes
    ----------
    subject : str or None
        What its measurements are about: None for the surrogate.
    suffix : str
        Of the names of its tables.
    arguments : callable
        Given a category, the forecaster that is trained again and where its steps are kept.
    """

    subject: str | None
    suffix: str
    arguments: Callable[[str], dict[str, Any]]

    @property
    def deep(self) -> bool:
        """Whether the model itself is trained again."""
        return self.subject is not None


def tiers(evidence: Evidence, kind: str, check: str, thresholds: Thresholds) -> list[Tier]:
    """The surrogate, whose many runs give intervals; in a deep audit the model itself besides."""
    model, panel = evidence.model, evidence.panel
    tell = silent if evidence.report is None else evidence.report
    found = [Tier(None, "", lambda category: {"report": tell})]
    if evidence.deep and model is not None and panel is not None:
        asked = thresholds.to_dict()["checks"]
        identity = panel.digest(), described(model), evidence.seed, asked["C08"], asked[check]

        def arguments(category: str) -> dict[str, Any]:
            folder = step_folder(evidence.run, kind, category, *identity)
            return {"report": tell, "forecaster": model, "folder": folder}

        found.append(Tier(REFITTED, "_refitted", arguments))
    return found


def assumptions(thresholds: Thresholds, *, deep: bool) -> dict[str, Any]:
    """What the loops of C08 and C09 assume, as arguments of the simulations."""
    shares = thresholds.settings("C08", "deep_discovery" if deep else "discovery")
    return {
        "discovery": [share for share in shares if share > 0],
        "runs": int(thresholds.setting("C08", "deep_runs" if deep else "runs")),
        **{name: thresholds.setting("C08", name) for name in ("top_share", "latent", "misfiled")},
    }


def _each(
    forecasts: Forecasts, given: Sequence[Tier], judged: str, unit: str, simulate: Callable[[str, Tier], Any]
) -> Iterator[tuple[str, Tier, Any, list[Measurement]]]:
    """Category, tier, result, measurements; a category that cannot be simulated gives one that is NaN."""
    for tier in given:
        for category in forecasts.categories:
            try:
                yield category, tier, simulate(category, tier), []
            except UsageError as error:
                absent = Measurement(judged, np.nan, unit, category=category, n=0, subject=tier.subject)
                yield category, tier, str(error), [absent]


def _joined(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([part.assign(category=name) for name, part in parts.items()], ignore_index=True)


def feedback(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """C08: urns, and the loop on the audited categories."""
    panel = evidence.panel
    weeks = int(thresholds.setting("C08", "loop_weeks"))
    days, runs = (int(thresholds.setting("C08", name)) for name in ("urn_days", "urn_runs"))
    urns = urn_table(days=days, runs=runs, seed=evidence.seed)
    found = list(_urns(urns))
    methods = [f"urns: {days} days × {runs} runs, weak prior"]
    tables: dict[str, dict[str, pd.DataFrame]] = {}

    def simulate(category: str, tier: Tier) -> Any:
        return simulate_feedback(
            panel,  # type: ignore[arg-type]
            category,
            groups=place_groups(evidence),
            weeks=weeks,
            seed=evidence.seed,
            last_weeks=int(thresholds.setting("C08", "last_weeks")),
            min_flags=int(thresholds.setting("C08", "min_flags")),
            **assumptions(thresholds, deep=tier.deep),
            **tier.arguments(category),
        )

    given = tiers(evidence, "feedback", "C08", thresholds)
    for category, tier, result, failed in _each(forecasts, given, "amplification", "ratio", simulate):
        found += failed
        methods.append(f"{category}: {result if failed else result.method}")
        if not failed:
            found += list(_amplifications(category, result.amplification, tier.subject))
            found += list(_inflations(category, result.places, tier.subject))
            for name in ("table", "places", "amplification"):
                kept = tables.setdefault(f"{'feedback' if name == 'table' else name}{tier.suffix}", {})
                kept[category] = getattr(result, name)
    joined = {name: _joined(parts) for name, parts in tables.items()}
    return Finding(found, method="; ".join(methods), tables={"urns": urns, **joined})


def _read(
    row: Any,
    name: str,
    column: str,
    *,
    prefix: str = "",
    unit: str = "ratio",
    n: str = "runs",
    category: str | None = None,
    group: str | None = None,
    subject: str | None = None,
    suppressed: bool = False,
) -> Measurement:
    """Measurement from a column of a simulation's row, with its limits and its number of runs or draws."""
    return Measurement(
        name,
        float(getattr(row, column)),
        unit,
        float(getattr(row, f"{prefix}lower")),
        float(getattr(row, f"{prefix}upper")),
        n=int(getattr(row, f"n_{n}")),
        unit_of_n=n,
        category=category,
        group=group,
        subject=subject,
        suppressed=suppressed,
    )


def _urns(table: pd.DataFrame) -> Iterator[Measurement]:
    for row in table[(table["prior"] == "weak") & (table["rule"] != "mixed")].itertuples():
        yield _read(row, f"{row.rule}_urn_error", "error", unit="share", group=f"rates {row.ratio:g} to 1")


def _last(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the highest discovery rate."""
    return table[table["discovery"] == table["discovery"].max()]


def _amplifications(category: str, table: pd.DataFrame, subject: str | None) -> Iterator[Measurement]:
    for row in _last(table).itertuples():
        if not row.few:
            about = {"category": category, "group": row.group, "subject": subject}
            yield _read(row, f"amplification{SUFFIX[row.arm]}", "amplification", **about)
            name, column = f"expected_share_change{SUFFIX[row.arm]}", "expected_over_none"
            yield _read(row, name, column, prefix=f"{column}_", **about)


def _inflations(category: str, table: pd.DataFrame, subject: str | None) -> Iterator[Measurement]:
    end = _last(table)
    about: dict[str, Any] = {"prefix": "inflation_", "category": category, "subject": subject}
    for row in end[end["week"] == end["week"].max()].itertuples():
        yield _read(row, f"inflation{SUFFIX[row.arm]}", "inflation", **about)


def lock_in(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """C09: the loop where all cells are alike."""
    found: list[Measurement] = []
    methods: list[str] = []
    tables: dict[str, dict[str, pd.DataFrame]] = {}

    def simulate(category: str, tier: Tier) -> Any:
        return simulate_null_loop(
            evidence.panel,  # type: ignore[arg-type]
            category,
            apart=int(thresholds.setting("C09", "weeks")),
            seed=evidence.seed,
            **assumptions(thresholds, deep=tier.deep),
            **tier.arguments(category),
        )

    given = tiers(evidence, "null", "C09", thresholds)
    for category, tier, result, failed in _each(forecasts, given, "lock_in_ratio", "ratio", simulate):
        found += failed
        methods.append(f"{category}: {result if failed else result.method}")
        if not failed:
            tables.setdefault(f"lock_in{tier.suffix}", {})[category] = result.table
            about: dict[str, Any] = {"category": category, "subject": tier.subject}
            found += [
                _read(row, f"lock_in_ratio{SUFFIX[row.arm]}", "lock_in_ratio", **about)
                for row in _last(result.table).itertuples()
            ]
    joined = {name: _joined(parts) for name, parts in tables.items()}
    return Finding(found, method="; ".join(methods), tables=joined)


def underreporting(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """C10: how far hotspots move if some groups report less."""
    found: list[Measurement] = []
    methods: list[str] = []
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    low, high = thresholds.settings("C10", "hypothetical")

    def simulate(category: str, tier: Tier) -> Any:
        return simulate_underreporting(
            evidence.panel,  # type: ignore[arg-type]
            category,
            groups=place_groups(evidence),
            hypothetical=(low, high),
            draws=int(thresholds.setting("C10", "deep_draws" if tier.deep else "draws")),
            top_share=thresholds.setting("C10", "top_share"),
            seed=evidence.seed,
            **tier.arguments(category),
        )

    given = tiers(evidence, "underreporting", "C10", thresholds)
    for category, tier, result, failed in _each(forecasts, given, "displaced_share", "share", simulate):
        found += failed
        methods.append(f"{category}: {result if failed else result.method}")
        if not failed:
            told = labels(result.table, str(result.selection["group"].iloc[0]))
            mine = [_displaced(category, row, told, tier.subject) for row in result.table.itertuples()]
            ratios = [_selected(category, row, told, tier.subject) for row in result.selection.itertuples()]
            mine += [one for one in ratios if np.isfinite(one.value)]
            band = thresholds.settings("C10", "selection_band")
            found += [
                *mine,
                _left_out(category, result.selection, mine, band=band, told=told, subject=tier.subject),
            ]
            tables.setdefault(f"displacement{tier.suffix}", {})[category] = result.table
            tables.setdefault(f"selection{tier.suffix}", {})[category] = result.selection
    joined = {name: _joined(parts) for name, parts in tables.items()}
    return Finding(found, method="; ".join(methods), tables=joined)


def labels(table: pd.DataFrame, first: str) -> dict[str, str]:
    """What each scenario says, with the name of the group that it is about.

    Examples
    --------
    >>> table = pd.DataFrame({"scenario": ["first reports least", "survey"], "hypothetical": [True, False]})
    >>> labels(table, "Q1")
    {'first reports least': 'hypothetical · the group that reports least · Q1', 'survey': 'survey'}
    """
    words = {
        "alike": "all report alike",
        "first reports least": f"the group that reports least · {first}",
        "first reports most": f"the group that reports most · {first}",
    }
    rows = table.drop_duplicates("scenario").itertuples()
    return {
        str(row.scenario): ("hypothetical · " if row.hypothetical else "")
        + words.get(str(row.scenario), str(row.scenario))
        for row in rows
    }


def _displaced(category: str, row: Any, told: Mapping[str, str], subject: str | None) -> Measurement:
    name = "displaced_share" if row.variant == "as recorded" else "displaced_share_rescaled"
    about: dict[str, Any] = {"category": category, "group": told[row.scenario], "subject": subject}
    return _read(row, name, "displaced_share", unit="share", n="draws", **about)


def _selected(category: str, row: Any, told: Mapping[str, str], subject: str | None) -> Measurement:
    about: dict[str, Any] = {"category": category, "group": _about(row, told), "subject": subject}
    name = "selection_ratio"
    return _read(row, name, name, n="draws", suppressed=bool(row.few), **about)


def _about(row: Any, told: Mapping[str, str]) -> str:
    return f"{told[row.scenario]} · {row.variant} · {row.group}"


def _left_out(
    category: str,
    table: pd.DataFrame,
    found: list[Measurement],
    *,
    band: tuple[float, ...],
    told: Mapping[str, str],
    subject: str | None,
) -> Measurement:
    """Selection ratios outside the band that are not among the measurements."""
    said = {one.group for one in found if one.name == "selection_ratio"}
    outside = table[(table["selection_ratio"] < band[0]) | (table["selection_ratio"] > band[1])]
    left = sum(_about(row, told) not in said for row in outside.itertuples())
    about: dict[str, Any] = {"n": len(table), "unit_of_n": "ratios", "category": category, "subject": subject}
    return Measurement("unreported_selection_ratios", left, "count", **about)


DEFINITIONS = (
    Definition("C08", ("panel",), feedback),
    Definition("C09", ("panel",), lock_in),
    Definition("C10", ("panel",), underreporting),
)
