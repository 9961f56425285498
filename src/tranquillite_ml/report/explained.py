"""What drives the forecasts: families of features overall and by region, and six places in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.explanation import in_words
from tranquillite_ml.explanation.words import FAMILIES
from tranquillite_ml.report.exhibits import Exhibit, column, exhibit, ticks
from tranquillite_ml.report.terms import about
from tranquillite_ml.report.wording import Words, both, shown

if TYPE_CHECKING:
    from tranquillite_ml.audit.groups import Groups
    from tranquillite_ml.explanation import Explanation

N_SHEETS = 6
_KINDS = (
    ("highest expected count", "nombre attendu le plus élevé"),
    ("second highest expected count", "deuxième nombre attendu"),
    ("last place that is selected", "dernier lieu retenu"),
    ("first place that is not selected", "premier lieu non retenu"),
    ("expected count in the middle", "nombre attendu médian"),
    ("lowest expected count", "nombre attendu le plus bas"),
)
_AGAINST = both(
    "Against the first place that is not selected ({there}), its expected count is {ratio} times as high.",
    "Face au premier lieu non retenu ({there}), son nombre attendu est {ratio} fois plus élevé.",
)


def cell_sheets(explanation: Explanation, selected_share: float = 0.05) -> list[dict[str, Any]]:
    """Sheets of the first category of the last forecast.

    Parameters
    ----------
    explanation : Explanation
    selected_share : float, default 0.05
        Share of the cells that is taken as selected.

    Returns
    -------
    list of dict
        ``cell, category, kind, sentences`` (a list of texts in both languages), ``expected_count``.
    """
    rows = explanation.rows
    category = rows["category"].iloc[0]
    mine = (rows["category"] == category) & (rows["cutoff"] == rows["cutoff"].max())
    mine &= rows["horizon"] == rows.loc[mine, "horizon"].min()
    ranked = rows[mine].sort_values("expected_count", ascending=False, kind="stable")
    n = len(ranked)
    edge = min(max(round(selected_share * n), 1), n - 1) if n > 1 else 0
    wanted = dict.fromkeys((0, 1, edge - 1, edge, n // 2, n - 1))
    places = [place for place in wanted if 0 <= place < n][:N_SHEETS]
    kinds = dict(zip((0, 1, edge - 1, edge, n // 2, n - 1), _KINDS, strict=True))
    key = {name: ranked[name].iloc[0] for name in ("category", "cutoff", "horizon")}
    there = ranked.iloc[edge]
    found = []
    for place in places:
        row = ranked.iloc[place]
        cell = str(row["cell"])
        said = {language: in_words(explanation, cell, language=language, **key) for language in ("en", "fr")}
        sentences: list[Words] = [{"en": en, "fr": fr} for en, fr in zip(said["en"], said["fr"], strict=True)]
        if place < edge and there["expected_count"] > 0:
            sentences.insert(1, _against(row["expected_count"] / there["expected_count"], str(there["cell"])))
        found.append(
            {"cell": cell, "category": str(category), "kind": both(*kinds[place]), "sentences": sentences}
            | {"expected_count": float(row["expected_count"])}
        )
    return found


def _against(ratio: float, there: str) -> Words:
    value = float(np.round(ratio, 6))
    return {
        language: text.format(there=there, ratio=shown(value, "ratio", language))
        for language, text in _AGAINST.items()
    }


def families(explanation: Explanation) -> list[Exhibit]:
    """What moves the forecasts overall, by family of features."""
    table = explanation.overview()
    rows = [
        {
            "label": both(*family_words(row.family)),
            "value": row.share,
            "low": row.factor_low,
            "high": row.factor_high,
            "n": row.n,
        }
        for row in table.itertuples()
    ]
    columns = [
        column("label", both("Family", "Famille"), "words"),
        column("value", both("Share of the size of all factors", "Part de la taille des facteurs"), "share"),
        column("low", both("Factor, from", "Facteur, de"), "ratio"),
        column("high", both("to (nine of ten places)", "à (neuf lieux sur dix)"), "ratio"),
        column("n", both("Place-periods", "Lieux-périodes"), "count"),
    ]
    return [
        exhibit(
            "families",
            "S11",
            "bars",
            both("What moves the forecasts", "Ce qui fait varier les prévisions"),
            columns=columns,
            rows=rows,
            ticks=ticks([0.0, *(row["value"] for row in rows)]),
            unit="share",
            note=both(
                "This describes the computation, not causes.", "Ceci décrit le calcul, pas des causes."
            ),
        )
    ]


def regions(explanation: Explanation, groups: Groups) -> list[Exhibit]:
    """Mean factor of each family by group in which most of a cell's residents are, as a table."""
    most = groups.share.argmax(axis=1)
    region_of = {
        format(int(cell), "x"): groups.buckets[k] for cell, k in zip(groups.cells, most, strict=True)
    }
    table = explanation.regional(region_of)
    if len(table) == 0:
        return []
    listed = list(dict.fromkeys(table["family"]))
    columns = [column("region", both("Group of places", "Groupe de lieux"))]
    columns += [column(f"f{k}", both(*family_words(family)), "ratio") for k, family in enumerate(listed)]
    columns.append(column("n", both("Place-periods", "Lieux-périodes"), "count"))
    rows = []
    for region, part in table.groupby("region", sort=True):
        factors = {f"f{listed.index(row.family)}": row.factor for row in part.itertuples()}
        rows.append({"region": about(str(region)), "n": int(part["n"].iloc[0])} | factors)
    title = both(
        "Mean factor of each family by group of places", "Facteur moyen de chaque famille par groupe de lieux"
    )
    return [exhibit("regions", "S11", "table", title, columns=columns, rows=rows)]


def family_words(name: str) -> tuple[str, str]:
    """Name of a family of features in English and in French."""
    if name == "typical level":
        return "Typical level", "Niveau type"
    parts = [FAMILIES.get(part, (part, part)) for part in name.split(" + ")]
    return " and ".join(part[0] for part in parts), " et ".join(part[1] for part in parts)
