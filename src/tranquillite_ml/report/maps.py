"""A forecast as one HTML file: a map of its cells that opens offline, without a network or a background."""

from __future__ import annotations

import base64
import hashlib
import json
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError
from tranquillite_ml.grids import open_grid
from tranquillite_ml.limits import LIMITS_OF_USE
from tranquillite_ml.report.colours import colour_scale
from tranquillite_ml.report.exports import significant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.grid import Grid

TOP = 20
DIGITS = 4
ALWAYS = (
    "Forecast of recorded incidents per place and period, never of persons. "
    "A record is what was reported and recorded."
)
_TEMPLATES = Path(__file__).parent / "templates"
_EARTH_M = 6_371_008.8
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def write_map(
    forecasts: Forecasts,
    path: str | Path,
    *,
    title: str,
    notice: str | None = None,
    reference: Forecasts | None = None,
) -> Path:
    """Write the last forecast of one model as a map in one self-contained HTML file.

    Cells are coloured by their expected count; pointing at one, or moving to it with the arrow keys, shows
    its numbers. The twenty cells with the highest expected count stand in a table as well. The limits of use
    stand above the map, in English and French.

    Parameters
    ----------
    forecasts : Forecasts
        Categories and horizons of one model; only the last cutoff is shown.
    path : str or Path
        The file; its folder is made if it does not exist.
    title : str
    notice : str, optional
        What every reader must know, such as that the data is simulated: a banner.
    reference : Forecasts, optional
        Another model's forecasts on the same cells, such as a plain count: shown beside, as numbers.

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        If there are several models, or the reference has other cells.
    """
    forecasts = _one_model(forecasts, "forecasts")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(_render(_payload(forecasts, reference), title, notice), encoding="utf-8", newline="\n")
    return partial.replace(path)


def moment(value: Any) -> str:
    """A local moment in words that no reader can take for another.

    Examples
    --------
    >>> moment(pd.Timestamp("2025-03-29 08:00", tz="Europe/Paris"))
    'Sat 29 Mar 2025, 08:00'
    """
    when = pd.Timestamp(value)
    return f"{_day(when)}, {when:%H:%M}"


def period_label(start: Any, end: Any) -> str:
    """A period in words; whole days by their names, its end included in them.

    Examples
    --------
    >>> period_label("2025-03-29", "2025-04-05"), period_label("2025-03-29", "2025-03-30")
    ('Sat 29 Mar 2025 to Fri 4 Apr 2025', 'Sat 29 Mar 2025')
    >>> period_label("2025-03-29 16:00", "2025-03-30")
    'Sat 29 Mar 2025, 16:00 to Sun 30 Mar 2025, 00:00'
    """
    first, last = pd.Timestamp(start), pd.Timestamp(end)
    if first != first.normalize() or last != last.normalize():
        return f"{moment(first)} to {moment(last)}"
    included = (last - pd.DateOffset(days=1)).normalize()
    return _day(first) if included <= first else f"{_day(first)} to {_day(included)}"


def _day(when: pd.Timestamp) -> str:
    return f"{_DAYS[when.weekday()]} {when.day} {_MONTHS[when.month - 1]} {when.year}"


def _one_model(forecasts: Forecasts, name: str) -> Forecasts:
    latest = forecasts.latest()
    if len(latest.models) > 1:
        msg = f"a map shows one model, and {name} has {latest.models}: choose with `{name}.select(model=…)`."
        raise UsageError(msg)
    return latest


def _payload(forecasts: Forecasts, reference: Forecasts | None) -> dict[str, Any]:
    """Everything the page shows, as plain values: outlines once, numbers of four significant digits."""
    keys = forecasts.keys
    periods = keys[["horizon", "period_start", "period_end", "exposure_hours"]].drop_duplicates("horizon")
    periods = periods.sort_values("horizon")
    expected = significant(forecasts.expected_count, DIGITS)
    return {
        "model": forecasts.models[0],
        "reference": None if reference is None else reference.latest().models[0],
        "cutoff": moment(keys["cutoff"].iloc[0]),
        "tz": str(forecasts.meta.get("tz") or pd.Timestamp(keys["cutoff"].iloc[0]).tz or "not stated"),
        "study_area_km2": round(forecasts.study_area_km2, 1),
        "cells": forecasts.cell_names().tolist(),
        "area": significant(forecasts.area_km2, DIGITS).tolist(),
        **_outlines(open_grid(forecasts.meta.get("grid"), forecasts.cells)),
        "categories": forecasts.categories,
        "periods": [
            {"label": period_label(row.period_start, row.period_end), "hours": _number(row.exposure_hours)}
            for row in periods.itertuples()
        ],
        "scales": [
            colour_scale(expected[(keys["category"] == name).to_numpy()]) for name in forecasts.categories
        ],
        "maps": _maps(forecasts, expected, reference, periods["horizon"].tolist()),
    }


def _maps(
    forecasts: Forecasts, expected: NDArray[np.float64], reference: Forecasts | None, horizons: list[int]
) -> list[dict[str, Any]]:
    beside = [None] * len(expected) if reference is None else _beside(forecasts, reference)
    return [
        {
            "category": forecasts.categories.index(key.category),
            "period": horizons.index(key.horizon),
            "level": _number(key.level),
            "expected": expected[row].tolist(),
            "prob": _numbers(significant(forecasts.prob_any[row], DIGITS)),
            "lower": _numbers(forecasts.lower[row]),
            "upper": _numbers(forecasts.upper[row]),
            "reference": beside[row],
        }
        for row, key in enumerate(forecasts.keys.itertuples())
    ]


def _beside(forecasts: Forecasts, reference: Forecasts) -> list[Any]:
    """The reference's expected counts for each map of the forecasts, or None where it has none."""
    other = _one_model(reference, "reference")
    if not np.array_equal(other.cells, forecasts.cells):
        msg = (
            f"the reference has {len(other.cells)} cells and the forecasts {len(forecasts.cells)}: "
            "both must be on the same cells."
        )
        raise UsageError(msg)
    rounded = significant(other.expected_count, DIGITS)
    moments = [pd.Timestamp(value) for value in other.keys["period_start"]]
    rows = {key: row for row, key in enumerate(zip(other.keys["category"], moments, strict=True))}
    wanted = zip(forecasts.keys["category"], forecasts.keys["period_start"], strict=True)
    found = [rows.get((category, pd.Timestamp(start))) for category, start in wanted]
    return [None if row is None else rounded[row].tolist() for row in found]


def _outlines(grid: Grid) -> dict[str, Any]:
    """Outlines in whole steps of about a metre from a centre: each cell's first corner, then the moves."""
    import shapely

    corners, owner = shapely.get_coordinates(grid.polygons, return_index=True)
    lng = (corners[:, 0] - corners[0, 0] + 180) % 360 - 180  # no tear at the date line
    middle = (lng.min() + lng.max()) / 2
    centre = np.array([middle + corners[0, 0], (corners[:, 1].min() + corners[:, 1].max()) / 2])
    per_degree = np.radians(1) * _EARTH_M * np.array([np.cos(np.radians(centre[1])), 1.0])
    metres = np.stack([lng - middle, corners[:, 1] - centre[1]], axis=1) * per_degree
    step = float(f"{np.hypot(*(metres[1] - metres[0])) / 200:.2g}")
    whole = np.round(metres / step).astype(np.int64)
    shapes = []
    for outline in np.split(whole, np.flatnonzero(np.diff(owner)) + 1):
        moves = np.diff(outline[:-1], axis=0, prepend=0)  # the last corner repeats the first
        shapes.append(moves.ravel().tolist())
    return {
        "shapes": shapes,
        "step_m": step,
        "centre": np.round(centre, 6).tolist(),
        "m_per_degree": np.round(per_degree, 2).tolist(),
    }


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    """Numbers for JSON: whole ones without a point, missing ones as null."""
    if np.isfinite(values).all() and (values == np.round(values)).all():
        return list(values.astype(np.int64).tolist())
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _render(payload: dict[str, Any], title: str, notice: str | None) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    script = (_TEMPLATES / "map.js").read_text(encoding="utf-8")
    style = (_TEMPLATES / "map.css").read_text(encoding="utf-8")
    return environment.get_template("map.html.j2").render(
        title=title,
        notice=notice,
        always=ALWAYS,
        limits=LIMITS_OF_USE,
        top=TOP,
        d=payload,
        rows=_top_rows(payload),
        data=_embedded(payload),
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
    )


def _embedded(payload: dict[str, Any]) -> str:
    """JSON that can stand inside a script element: no text in it can end the element."""
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _hash(text: str) -> str:
    """What a content security policy asks for: only this script and style may act on the page."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _top_rows(payload: dict[str, Any]) -> list[list[str]]:
    """The table of the first map as the page writes it, for readers without scripts."""
    first = payload["maps"][0]
    order = np.argsort(-np.array(first["expected"]), kind="stable")[:TOP]
    rows = []
    for place, cell in enumerate(order.tolist()):
        row = [str(place + 1), payload["cells"][cell], count_text(first["expected"][cell])]
        if payload["reference"] is not None:
            row.append("not given" if first["reference"] is None else count_text(first["reference"][cell]))
        ends = first["lower"][cell], first["upper"][cell]
        row.append("not given" if None in ends else f"{ends[0]:g} to {ends[1]:g}")
        row += [chance_text(first["prob"][cell]), f"{payload['area'][cell]:g} km²"]
        rows.append(row)
    return rows


def count_text(value: float) -> str:
    """An expected count as the map writes it.

    Examples
    --------
    >>> count_text(0.1234), count_text(0.00001234), count_text(0.0)
    ('0.1234', 'under 0.0001', '0')
    """
    return "under 0.0001" if 0 < value < 1e-4 else f"{value:.10g}"


def chance_text(value: float | None) -> str:
    """A probability as the map writes it: never rounded to certain or impossible.

    Examples
    --------
    >>> chance_text(0.1234), chance_text(0.99999), chance_text(0.0), chance_text(None)
    ('12.3 %', 'over 99.9 %', '0 %', 'not given')
    """
    if value is None:
        return "not given"
    if 0 < value < 1e-3:
        return "under 0.1 %"
    percent = Decimal(100 * value).quantize(Decimal("0.1"), ROUND_HALF_UP)  # as browsers round
    return "over 99.9 %" if 0.999 < value < 1 else f"{percent} %".replace(".0 %", " %")
