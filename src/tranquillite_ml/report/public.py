"""The citizens' edition: the same report, shorter, with small numbers withheld and no cell on its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.report.collecting import published_numbers
from tranquillite_ml.report.colours import colour_classes
from tranquillite_ml.report.exhibits import Exhibit
from tranquillite_ml.report.mapped import Drawing, Outlines, classed
from tranquillite_ml.report.summary import seal
from tranquillite_ml.report.wording import both

if TYPE_CHECKING:
    from tranquillite_ml.audit import Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance import Thresholds

_HIDDEN = {
    "value": None,
    "ci95": None,
    "adjusted": None,
    "n": None,
    "min_detectable": None,
    "suppressed": True,
}


def public_edition(
    report: Mapping[str, Any],
    *,
    latest: Forecasts | None = None,
    evidence: Evidence | None = None,
    thresholds: Thresholds | None = None,
) -> tuple[dict[str, Any], dict[str, Drawing], pd.DataFrame]:
    """Give the citizens' edition of a report.

    Measurements that rest on too few incidents are withheld; sheets of single cells, maps by cell and curves
    are left out. The map shows areas that each hold enough recorded incidents and households, as
    `tranquillite_ml.audit.publication.publishable` sums them.

    Parameters
    ----------
    report : mapping
        The full edition.
    latest : Forecasts, optional
        The last forecast. Without it, or without counts in the evidence, there is no map.
    evidence : Evidence, optional
    thresholds : Thresholds, optional

    Returns
    -------
    report : dict
    drawings : dict of str to Drawing
    published : DataFrame
        Every number of recorded incidents that the map rests on: what C19 attacks.
    """
    found = copy.deepcopy(dict(report))
    found.pop("digests", None)
    few = found["suppression"]["min_incidents"]
    found["edition"] = "public"
    found["sections"] = [one for one in found["sections"] if one["public"]]
    kept = {one["id"] for one in found["sections"]}
    for check in found["checks"]:
        check["measurements"] = [_withheld(one, few) for one in check["measurements"]]
    found["figures"] = [
        _without_few(one, few)
        for one in found["figures"]
        if one["section"] in kept and one["kind"] == "intervals"
    ]
    found["worth"] = [one for one in found["worth"] if (one["n_incidents"] or few) >= few]
    found["explanations"]["sheets"] = []
    maps: list[Exhibit] = []
    drawings: dict[str, Drawing] = {}
    published = pd.DataFrame()
    if latest is not None and evidence is not None and evidence.panel is not None and thresholds is not None:
        maps, drawings, published = _maps(latest, evidence, thresholds)
    found["figures"] = maps + found["figures"]
    return seal(found, datetime.fromisoformat(found["generated_at"])), drawings, published


def _withheld(one: dict[str, Any], few: float) -> dict[str, Any]:
    small = one["unit_of_n"] == "incidents" and one["n"] is not None and one["n"] < few
    return one | _HIDDEN if small or one["suppressed"] else one


def _without_few(figure: dict[str, Any], few: float) -> dict[str, Any]:
    rows = [row for row in figure["rows"] if row.get("n") is None or row["n"] >= few]
    return figure | {"rows": rows, "omitted": figure["omitted"] + len(figure["rows"]) - len(rows)}


def _maps(
    latest: Forecasts, evidence: Evidence, thresholds: Thresholds
) -> tuple[list[Exhibit], dict[str, Drawing], pd.DataFrame]:
    """A map of each category: mean expected count a cell, of areas that may be published."""
    panel = evidence.panel
    published = published_numbers(evidence, latest.categories, thresholds)
    if panel is None or published is None or not np.array_equal(panel.grid.cells, latest.cells):
        return [], {}, pd.DataFrame()
    place = {name: k for k, name in enumerate(panel.grid.names().tolist())}
    outlines = Outlines(latest)
    maps: list[Exhibit] = []
    drawings: dict[str, Drawing] = {}
    for number, (category, table) in enumerate(published.groupby("category", sort=False)):
        expected = latest.select(category=category).expected_count[0]
        values, shown = np.zeros(len(place)), np.zeros(len(place), dtype=bool)
        for row in table[table["incidents"].notna()].itertuples():
            cells = [place[name] for name in str(row.cells).split()]
            values[cells], shown[cells] = expected[cells].mean(), True
        title = both(
            f"Expected count a cell, as the mean of areas with enough records: {category}",
            f"Nombre attendu par maille, en moyenne de zones assez fournies : {category}",
        )
        edges = colour_classes(values[shown]) if shown.any() else []
        made, drawing = classed(
            f"map-public-{number}",
            "S1",
            title,
            values,
            shown,
            outlines=outlines,
            unit="incidents",
            edges=edges,
        )
        maps.append(made)
        drawings[made["id"]] = drawing
    return maps, drawings, published
