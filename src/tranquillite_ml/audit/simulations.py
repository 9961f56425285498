"""C08, C09, C10: whether the forecast could feed itself, and what unreported incidents would change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Definition, Finding
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

if TYPE_CHECKING:
    from pathlib import Path

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

SUFFIX = {MISFILED: "", INCLUDED: "_guard_off", EXCLUDED: "_guard_on", WEIGHTED: "_weighted"}
"""Judged is the guard as it would be, with some finds filed as reports; the other arms inform."""


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


def _deep(evidence: Evidence, kind: str, category: str) -> dict[str, Any]:
    """Arguments of the deep tier, with a folder for its steps beside the run's; none for the default tier."""
    if not evidence.deep or evidence.model is None or evidence.panel is None:
        return {}
    folder: Path | None = None
    if evidence.run is not None:
        # A category's name comes from data and never becomes a path: its number does.
        place = evidence.panel.categories.index(category)
        folder = evidence.run.parent / "simulations" / evidence.run.name / f"{kind}-{place}"
    return {"forecaster": evidence.model, "folder": folder}


def _each(
    forecasts: Forecasts, judged: str, unit: str, simulate: Callable[[str], Any]
) -> Iterator[tuple[str, Any, list[Measurement]]]:
    """Category, result and measurements; a category that cannot be simulated gives one that is NaN."""
    for category in forecasts.categories:
        try:
            yield category, simulate(category), []
        except UsageError as error:
            yield category, str(error), [Measurement(judged, np.nan, unit, category=category, n=0)]


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
    tables: dict[str, dict[str, pd.DataFrame]] = {"feedback": {}, "places": {}, "amplification": {}}

    def simulate(category: str) -> Any:
        return simulate_feedback(
            panel,  # type: ignore[arg-type]
            category,
            groups=place_groups(evidence),
            discovery=[share for share in thresholds.settings("C08", "discovery") if share > 0],
            weeks=weeks,
            seed=evidence.seed,
            **_deep(evidence, "feedback", category),
        )

    for category, result, failed in _each(forecasts, "amplification", "ratio", simulate):
        found += failed
        methods.append(f"{category}: {result if failed else result.method}")
        if not failed:
            found += list(_amplifications(category, result.amplification))
            found += list(_inflations(category, result.places))
            tables["feedback"][category] = result.table
            tables["places"][category] = result.places
            tables["amplification"][category] = result.amplification
    kept = {name: _joined(parts) for name, parts in tables.items() if parts}
    return Finding(found, method="; ".join(methods), tables={"urns": urns, **kept})


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
        suppressed=suppressed,
    )


def _urns(table: pd.DataFrame) -> Iterator[Measurement]:
    for row in table[(table["prior"] == "weak") & (table["rule"] != "mixed")].itertuples():
        yield _read(row, f"{row.rule}_urn_error", "error", unit="share", group=f"rates {row.ratio:g} to 1")


def _last(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the highest discovery rate."""
    return table[table["discovery"] == table["discovery"].max()]


def _amplifications(category: str, table: pd.DataFrame) -> Iterator[Measurement]:
    for row in _last(table).itertuples():
        if not row.few:
            name = f"amplification{SUFFIX[row.arm]}"
            yield _read(row, name, "amplification", category=category, group=row.group)
            name, column = f"expected_share_change{SUFFIX[row.arm]}", "expected_over_none"
            yield _read(row, name, column, prefix=f"{column}_", category=category, group=row.group)


def _inflations(category: str, table: pd.DataFrame) -> Iterator[Measurement]:
    end = _last(table)
    for row in end[end["week"] == end["week"].max()].itertuples():
        yield _read(row, f"inflation{SUFFIX[row.arm]}", "inflation", prefix="inflation_", category=category)


def lock_in(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """C09: the loop where all cells are alike."""
    found: list[Measurement] = []
    methods, tables = [], {}

    def simulate(category: str) -> Any:
        return simulate_null_loop(
            evidence.panel,  # type: ignore[arg-type]
            category,
            discovery=[share for share in thresholds.settings("C08", "discovery") if share > 0],
            apart=int(thresholds.setting("C09", "weeks")),
            seed=evidence.seed,
        )

    for category, result, failed in _each(forecasts, "lock_in_ratio", "ratio", simulate):
        found += failed
        methods.append(f"{category}: {result if failed else result.method}")
        if not failed:
            tables[category] = result.table
            found += [
                _read(row, f"lock_in_ratio{SUFFIX[row.arm]}", "lock_in_ratio", category=category)
                for row in _last(result.table).itertuples()
            ]
    return Finding(found, method="; ".join(methods), tables={"lock_in": _joined(tables)} if tables else {})


def underreporting(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """C10: how far hotspots move if some groups report less."""
    found: list[Measurement] = []
    methods = []
    tables: dict[str, dict[str, pd.DataFrame]] = {"displacement": {}, "selection": {}}
    band = thresholds.settings("C10", "selection_band")

    def simulate(category: str) -> Any:
        deep = _deep(evidence, "underreporting", category)
        return simulate_underreporting(
            evidence.panel,  # type: ignore[arg-type]
            category,
            groups=place_groups(evidence),
            draws=None if deep else int(thresholds.setting("C10", "draws")),
            top_share=thresholds.setting("C10", "top_share"),
            seed=evidence.seed,
            **deep,
        )

    for category, result, failed in _each(forecasts, "displaced_share", "share", simulate):
        found += failed
        methods.append(f"{category}: {result if failed else result.method}")
        if not failed:
            found += [_displaced(category, row) for row in result.table.itertuples()]
            ratios = [_selected(category, row) for row in result.selection.itertuples()]
            found += [one for one in ratios if np.isfinite(one.value)]
            found.append(_left_out(category, result.selection, found, band))
            tables["displacement"][category] = result.table
            tables["selection"][category] = result.selection
    kept = {name: _joined(parts) for name, parts in tables.items() if parts}
    return Finding(found, method="; ".join(methods), tables=kept)


def _displaced(category: str, row: Any) -> Measurement:
    name = "displaced_share" if row.variant == "as recorded" else "displaced_share_rescaled"
    told = f"{row.scenario} (hypothetical)" if row.hypothetical else row.scenario
    return _read(row, name, "displaced_share", unit="share", n="draws", category=category, group=told)


def _selected(category: str, row: Any) -> Measurement:
    about = _about(row)
    few = bool(row.few)
    name = "selection_ratio"
    return _read(row, name, name, n="draws", category=category, group=about, suppressed=few)


def _about(row: Any) -> str:
    return f"{row.scenario} · {row.variant} · {row.group}"


def _left_out(
    category: str, table: pd.DataFrame, found: list[Measurement], band: tuple[float, ...]
) -> Measurement:
    """Selection ratios outside the band that are not among the measurements."""
    told = {one.group for one in found if one.name == "selection_ratio" and one.category == category}
    outside = table[(table["selection_ratio"] < band[0]) | (table["selection_ratio"] > band[1])]
    left = sum(_about(row) not in told for row in outside.itertuples())
    return Measurement(
        "unreported_selection_ratios", left, "count", n=len(table), unit_of_n="ratios", category=category
    )


DEFINITIONS = (
    Definition("C08", ("panel",), feedback),
    Definition("C09", ("panel",), lock_in),
    Definition("C10", ("panel",), underreporting),
)
