"""Figures as data: what each shows, row by row, from which the page makes both the picture and its table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.report.terms import CHECK_TITLES, MEASURES, UNITS, about, named
from tranquillite_ml.report.wording import TEXTS, Words, both

if TYPE_CHECKING:
    import pandas as pd

    from tranquillite_ml.audit.check import Check, Measurement
    from tranquillite_ml.governance.thresholds import Bound, Thresholds

Exhibit = dict[str, Any]
MAX_ROWS = 30
MAX_CATEGORIES = 3
_ROUND = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0, 1.25, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def column(key: str, label: Words, kind: str = "text") -> dict[str, Any]:
    """One column of a figure's table: its key in the rows, its heading, and how its values are written."""
    return {"key": key, "label": label, "as": kind}


def exhibit(
    name: str,
    section: str,
    kind: str,
    title: Words,
    *,
    columns: list[dict[str, Any]],
    rows: Iterable[Mapping[str, Any]],
    note: Words | None = None,
    **drawn: Any,
) -> Exhibit:
    """One figure; what it holds beyond `MAX_ROWS` rows is counted in ``omitted``.

    Parameters
    ----------
    name : str
        Its id.
    section : str
    kind : {"intervals", "lines", "bars", "map", "table"}
    title : mapping
    columns : list of dict
        See `column`.
    rows : iterable of mapping
    note : mapping, optional
    **drawn
        What the picture needs besides: ``ticks, scale, reference, band, value, x, y, series``.
    """
    every = [{key: _plain(value) for key, value in row.items()} for row in rows]
    kept = every if kind in {"lines", "map"} else every[:MAX_ROWS]
    alt = {
        "en": f"{title['en']}: {len(kept)} rows, given in the table below.",
        "fr": f"{title['fr']}\u202f: {len(kept)} lignes, données dans le tableau ci-dessous.",
    }
    found = {"id": name, "section": section, "kind": kind, "title": title, "alt": alt, "note": note}
    return found | {"columns": columns, "rows": kept, "omitted": len(every) - len(kept)} | drawn


def from_check(check: Check, section: str, thresholds: Thresholds) -> list[Exhibit]:
    """Intervals of each judged measurement that a check has for several groups or categories."""
    found = []
    for name, limit in thresholds.checks[check.id].limits.items():
        several = [one for one in check.measurements if one.name == name and math.isfinite(one.value)]
        alike = len({one.value for one in several}) == 1 and not any(
            math.isfinite(one.lower) for one in several
        )
        if len(several) < 2 or alike:
            continue
        unit = several[0].unit
        band = limit.warn or limit.fail
        title = _titled(check.id, named(name, MEASURES))
        found.append(_intervals(f"{check.id}-{name}", section, title, several, unit=unit, bound=band))
    return found


def _titled(check: str, measure: Words) -> Words:
    return {language: f"{CHECK_TITLES[check][language]} – {text}" for language, text in measure.items()}


def _intervals(
    name: str,
    section: str,
    title: Words,
    several: Sequence[Measurement],
    *,
    unit: str,
    bound: Bound | None,
) -> Exhibit:
    rows: list[dict[str, Any]] = [
        {
            "label": about(one.category, one.group, one.subject) or TEXTS["everything"],
            "value": one.value,
            "lower": one.lower,
            "upper": one.upper,
            "n": one.n,
        }
        for one in several
    ]
    ends = [row[key] for row in rows for key in ("value", "lower", "upper") if math.isfinite(row[key])]
    low = None if bound is None else _first(bound.below, bound.at_most)
    high = None if bound is None else _first(bound.above, bound.at_least)
    reference = 1.0 if unit == "ratio" else None
    marks = [end for end in (low, high, reference) if end is not None]
    scale = "log" if unit == "ratio" and min([*ends, *marks]) > 0 else "linear"
    return exhibit(
        name,
        section,
        "intervals",
        title,
        columns=interval_columns(unit, several[0].unit_of_n),
        rows=rows,
        scale=scale,
        ticks=ticks([*ends, *marks], scale),
        reference=reference,
        band=[low, high],
        unit=unit,
    )


def interval_columns(unit: str, unit_of_n: str = "incidents") -> list[dict[str, Any]]:
    """Columns of a table of estimates."""
    return [
        column("label", TEXTS["about"]),
        column("value", TEXTS["value"], unit),
        column("lower", both("from", "de"), unit),
        column("upper", both("to", "à"), unit),
        column("n", _with_unit(TEXTS["n"], named(unit_of_n, UNITS)), "count"),
    ]


def _with_unit(heading: Words, unit: Words) -> Words:
    return {language: f"{text} ({unit[language]})" for language, text in heading.items()}


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def ticks(values: Sequence[float], scale: str = "linear") -> list[float]:
    """Round numbers that span some values.

    Examples
    --------
    >>> ticks([0.1, 0.93]), ticks([0.7, 1.9], "log")
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.5, 0.8, 1.0, 1.25, 2.0])
    """
    low, high = min(values), max(values)
    if scale == "log":
        first = max((x for x in _ROUND if x <= low), default=None)
        last = min((x for x in _ROUND if x >= high), default=None)
        if first is not None and last is not None and first < last:
            inside = [x for x in _ROUND if first <= x <= last]
            return inside if len(inside) <= 7 else [x for x in inside if x not in {0.8, 1.25}][-7:]
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        every = [10.0**power for power in powers]
        return every if len(every) > 1 else [every[0], every[0] * 10]
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= 6)
    begin, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{number * step:.12g}") for number in range(begin, max(end, begin + 1) + 1)]


# ---------------------------------------------------------------------- figures of a backtest


def differences(table: pd.DataFrame) -> list[Exhibit]:
    """Log score of each model against a year's count, by category."""
    found = []
    for number, (category, part) in enumerate(table.groupby("category", sort=False)):
        if number >= MAX_CATEGORIES:
            break
        shown = part[np.isfinite(part["difference"])]
        rows = [
            {"label": about(str(row.model)), "value": row.difference, "lower": row.lower, "upper": row.upper}
            | {"n": row.n_incidents}
            for row in shown.itertuples()
        ]
        if not rows:
            continue
        ends = [row[key] for row in rows for key in ("value", "lower", "upper") if np.isfinite(row[key])]
        title = both(
            f"Log score against a 365-day count: {category}",
            f"Score logarithmique face à un comptage sur 365 jours : {category}",
        )
        note = both(
            "Nats a fold; above zero is better than the count.",
            "Nats par pli ; au-dessus de zéro, mieux que le comptage.",
        )
        found.append(
            exhibit(
                f"compare-{number}",
                "S7",
                "intervals",
                title,
                columns=interval_columns("nats"),
                rows=rows,
                note=note,
                scale="linear",
                ticks=ticks([*ends, 0.0]),
                reference=0.0,
                band=[None, None],
                unit="nats",
            )
        )
    return found


def reliability(table: pd.DataFrame, model: str) -> list[Exhibit]:
    """Observed against forecast counts of the audited model, by category."""
    found = []
    mine = table[(table["model"] == model) & (table["quantity"] == "expected_count")]
    for number, (category, part) in enumerate(mine.groupby("category", sort=False)):
        if number >= MAX_CATEGORIES:
            break
        rows = [
            {"x": row.forecast, "y": row.observed, "lower": row.lower, "upper": row.upper, "n": row.n}
            for row in part.itertuples()
            if np.isfinite(row.forecast) and np.isfinite(row.observed)
        ]
        if len(rows) < 2:
            continue
        ends = [row[key] for row in rows for key in ("x", "y", "upper") if np.isfinite(row[key])]
        title = both(
            f"Do expected counts come true? {category}", f"Les nombres attendus se réalisent-ils ? {category}"
        )
        columns = [
            column("x", both("Expected", "Attendu"), "incidents"),
            column("y", both("Recorded", "Enregistré"), "incidents"),
            column("lower", both("from", "de"), "incidents"),
            column("upper", both("to", "à"), "incidents"),
            column("n", both("Place-periods", "Lieux-périodes"), "count"),
        ]
        note = both(
            "On the diagonal, what was expected is what was recorded.",
            "Sur la diagonale, ce qui était attendu est ce qui fut enregistré.",
        )
        found.append(
            exhibit(
                f"reliability-{number}",
                "S7",
                "lines",
                title,
                columns=columns,
                rows=rows,
                note=note,
                ticks=ticks([0.0, *ends]),
                x_ticks=ticks([0.0, *(row["x"] for row in rows)]),
                diagonal=True,
            )
        )
    return found


def _plain(value: Any) -> Any:
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
