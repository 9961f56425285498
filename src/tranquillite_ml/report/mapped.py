"""Maps of the report: classes with their numbers as data, and outlines of their cells for the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import TranquilliteError
from tranquillite_ml.grids import open_grid
from tranquillite_ml.report.colours import colour_classes
from tranquillite_ml.report.exhibits import Exhibit, column, exhibit
from tranquillite_ml.report.explained import family_words
from tranquillite_ml.report.wording import LANGUAGES, Words, both
from tranquillite_ml.report.wording import shown as number_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.audit import Evidence
    from tranquillite_ml.explanation import Explanation
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

MAX_OUTLINES = 36_000
"""Outlines that a page may hold, so that it stays small; further maps are left to ``map.html``."""

WIDTH = 4000
_START = ("starting rate", "past counts", "exposure")
_FEW = both("too few records: not shown", "trop peu d'enregistrements : non montré")
_TALL = 1.3


@dataclass(frozen=True)
class Drawing:
    """Picture of a map: one path a row of its table, in steps of a viewBox.

    Parameters
    ----------
    width, height : int
    paths : tuple of str
    """

    width: int
    height: int
    paths: tuple[str, ...]


class Outlines:
    """Outlines of a grid's cells in whole steps, north up, from which paths are put together."""

    def __init__(self, forecasts: Forecasts) -> None:
        import shapely

        polygons = open_grid(forecasts.meta.get("grid"), forecasts.cells).polygons
        corners, owner = shapely.get_coordinates(polygons, return_index=True)
        lng = (corners[:, 0] - corners[0, 0] + 180) % 360 - 180  # no tear at the date line
        x = lng * np.cos(np.radians(corners[:, 1].mean()))
        y = -corners[:, 1]
        x, y = x - x.min(), y - y.min()
        step = max(float(x.max()), float(y.max()) / _TALL) / WIDTH or 1.0
        self.width = max(round(float(x.max() / step)), 1)
        self.height = max(round(float(y.max() / step)), 1)
        points = np.round(np.stack([x, y], axis=1) / step).astype(np.int64)
        self._cells = [_path(part) for part in np.split(points, np.flatnonzero(np.diff(owner)) + 1)]

    def drawing(self, classes: NDArray[np.int64], n: int) -> Drawing:
        """Put the cells of each class into one path; classes are counted from 0."""
        paths = tuple("".join(self._cells[k] for k in np.flatnonzero(classes == one)) for one in range(n))
        return Drawing(self.width, self.height, paths)


def _path(points: NDArray[np.int64]) -> str:
    first, moves = points[0], np.diff(points[:-1], axis=0)
    return f"M{first[0]} {first[1]}l" + " ".join(f"{a} {b}" for a, b in moves.tolist()) + "z"


def maps_of(
    forecasts: Forecasts,
    latest: Forecasts,
    evidence: Evidence,
    thresholds: Thresholds,
) -> tuple[list[Exhibit], dict[str, Drawing]]:
    """Maps of expected counts, of exposure and of the dominant family of features.

    Cells with fewer recorded incidents of the category than C19 asks for are not shown.

    Parameters
    ----------
    forecasts : Forecasts
        The backtest: its selected places make the exposure.
    latest : Forecasts
        The last forecast.
    evidence : Evidence
    thresholds : Thresholds

    Returns
    -------
    exhibits : list of dict
    drawings : dict of str to Drawing
        By the id of the figure.
    """
    try:
        outlines = Outlines(latest)
    except TranquilliteError:
        return [], {}  # cells of another system, whose outlines nobody has given
    room = max(MAX_OUTLINES // len(latest.cells), 1)
    few = thresholds.setting("C19", "min_incidents")
    model = latest.models[0]
    found: list[Exhibit] = []
    drawings: dict[str, Drawing] = {}

    def add(made: tuple[Exhibit, Drawing] | None) -> None:
        if made is not None and len(found) < room:
            found.append(made[0])
            drawings[made[0]["id"]] = made[1]

    first = latest.categories[0]
    add(_expected(0, latest.select(model=model, category=first), evidence, few, outlines))
    add(_exposure(forecasts, first, latest, evidence, thresholds, outlines=outlines))
    if evidence.explanation is not None:
        add(_dominant(evidence.explanation, first, latest, evidence, few=few, outlines=outlines))
    for number, name in enumerate(latest.categories[1:], start=1):
        add(_expected(number, latest.select(model=model, category=name), evidence, few, outlines))
    return found, drawings


def recorded(evidence: Evidence, forecasts: Forecasts, category: str) -> NDArray[np.float64] | None:
    """Incidents of a category that each cell has ever had recorded; None if nobody has given counts."""
    panel = evidence.panel
    if (
        panel is None
        or category not in panel.categories
        or not np.array_equal(panel.grid.cells, forecasts.cells)
    ):
        seen = forecasts.select(category=category).observed_count
        return None if np.isnan(seen).all() else np.nansum(seen, axis=0)
    return panel.counts(category, 0, panel.n_bins).sum(axis=0).astype(np.float64)


def _shown(evidence: Evidence, latest: Forecasts, category: str, few: float) -> NDArray[np.bool_]:
    counts = recorded(evidence, latest, category)
    return np.zeros(len(latest.cells), dtype=bool) if counts is None else counts >= few


def classed(
    name: str,
    section: str,
    title: Words,
    values: NDArray[np.float64],
    shown: NDArray[np.bool_],
    *,
    outlines: Outlines,
    unit: str,
    edges: list[float],
) -> tuple[Exhibit, Drawing]:
    """A map whose cells are put into classes; those that are not shown are a class of their own."""
    bounds = [0.0, *edges, float(values[shown].max()) if shown.any() else 0.0]
    classes = np.digitize(values, edges)
    classes[~shown] = len(edges) + 1
    rows: list[dict[str, Any]] = [
        {"told": _span(low, high, unit, last=high == bounds[-1]), "cells": int((classes == number).sum())}
        for number, (low, high) in enumerate(pairwise(bounds))
    ]
    rows.append({"told": _FEW, "cells": int((~shown).sum())})
    columns = [
        column("told", both("Class", "Classe"), "class"),
        column("cells", both("Cells", "Mailles"), "count"),
    ]
    return (
        exhibit(name, section, "map", title, columns=columns, rows=rows, unit=unit),
        outlines.drawing(classes, len(edges) + 2),
    )


def _span(low: float, high: float, unit: str, *, last: bool) -> Words:
    """Ends of a class in words; the highest value belongs to the last."""
    ends = {
        language: (number_in(low, unit, language), number_in(high, unit, language)) for language in LANGUAGES
    }
    between = {
        "en": "{} to {}" if last else "{} to under {}",
        "fr": "{} à {}" if last else "{} à moins de {}",
    }
    return {language: between[language].format(*ends[language]) for language in LANGUAGES}


def _expected(
    number: int, one: Forecasts, evidence: Evidence, few: float, outlines: Outlines
) -> tuple[Exhibit, Drawing]:
    category = str(one.categories[0])
    values = one.expected_count[0]
    start, end = one.keys["period_start"].iloc[0], one.keys["period_end"].iloc[0]
    title = both(
        f"Expected count of the last forecast: {category}, {_day(start)} to {_day(end)}",
        f"Nombre attendu de la dernière prévision : {category}, {_day(start)} à {_day(end)}",
    )
    shown = _shown(evidence, one, category, few)
    edges = colour_classes(values[shown]) if shown.any() else []
    return classed(
        f"map-expected-{number}", "S1", title, values, shown, outlines=outlines, unit="incidents", edges=edges
    )


def _exposure(
    forecasts: Forecasts,
    category: str,
    latest: Forecasts,
    evidence: Evidence,
    thresholds: Thresholds,
    *,
    outlines: Outlines,
) -> tuple[Exhibit, Drawing] | None:
    from tranquillite_ml.audit.selection import audited_slots

    slots = [one for one in audited_slots(forecasts, thresholds) if one.category == category]
    if not slots or not np.array_equal(forecasts.cells, latest.cells):
        return None
    values = slots[0].flags.mean(axis=0)
    few = thresholds.setting("C19", "min_incidents")
    shown = _shown(evidence, latest, category, few)
    title = both(
        f"Exposure: share of the periods of the backtest in which a place was selected, {category}",
        f"Exposition : part des périodes du test rétrospectif où un lieu fut retenu, {category}",
    )
    edges = [0.01, 0.25, 0.5, 0.75]
    return classed("map-exposure", "S8", title, values, shown, outlines=outlines, unit="share", edges=edges)


def _dominant(
    explanation: Explanation,
    category: str,
    latest: Forecasts,
    evidence: Evidence,
    *,
    few: float,
    outlines: Outlines,
) -> tuple[Exhibit, Drawing] | None:
    part = explanation.rows
    mine = (part["category"] == category) & (part["horizon"] == part["horizon"].min())
    mine &= part["cutoff"] == part.loc[mine, "cutoff"].max()
    place: Mapping[str, int] = {name: k for k, name in enumerate(latest.cell_names().tolist())}
    at = part.loc[mine, "cell"].map(place)
    if at.isna().any() or len(at) != len(latest.cells) or set(explanation.families) <= set(_START):
        return None
    held = explanation.family_contributions()[mine.to_numpy()]
    # What a model starts from nearly always weighs most; the map shows what weighs most besides.
    held = held[[name for name in held.columns if name not in _START]]
    strongest = np.empty(len(at), dtype=np.int64)
    strongest[at.to_numpy(dtype=np.int64)] = np.abs(held.to_numpy()).argmax(axis=1)
    shown = _shown(evidence, latest, category, few)
    listed = [k for k in range(held.shape[1]) if (strongest[shown] == k).any()]
    classes = np.array([listed.index(k) if k in listed else len(listed) for k in strongest.tolist()])
    classes[~shown] = len(listed)
    rows: list[dict[str, Any]] = [
        {"told": both(*family_words(str(held.columns[k]))), "cells": int((classes == n).sum())}
        for n, k in enumerate(listed)
    ]
    rows.append({"told": _FEW, "cells": int((~shown).sum())})
    columns = [
        column("told", both("Family", "Famille"), "class"),
        column("cells", both("Cells", "Mailles"), "count"),
    ]
    title = both(
        f"Family of features that moves a place most, besides its own past level: {category}",
        f"Famille de variables qui pèse le plus, hormis le niveau passé du lieu : {category}",
    )
    made = exhibit("map-family", "S11", "map", title, columns=columns, rows=rows, unit="class")
    return made, outlines.drawing(classes, len(listed) + 1)


def _day(moment: Any) -> str:
    return f"{moment:%Y-%m-%d}"
