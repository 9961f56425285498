"""Curves from the tables of checks: how a simulated loop grows, how unevenly flagged hours fall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.report.exhibits import Exhibit, column, exhibit, ticks
from tranquillite_ml.report.terms import MEASURES, about, named
from tranquillite_ml.report.wording import TEXTS, both

if TYPE_CHECKING:
    from tranquillite_ml.audit.check import Check

_POINTS = 9  # points of a curve, so that its table can be read


def curves_of(check: Check) -> list[Exhibit]:
    """Curves of a check that has the tables for them."""
    if check.id == "C02":
        return lorenz(check)
    return feedback(check) if check.id == "C08" else []


def feedback(check: Check) -> list[Exhibit]:
    """Curves of a feedback simulation, of the group that it amplifies most, one line an arm."""
    needed = {"arm", "discovery", "group", "week", "amplification"}
    table = next((one for one in check.tables.values() if needed <= set(one.columns)), None)
    if table is None or len(table) == 0:
        return []
    strongest = table[table["discovery"].isin([0.0, table["discovery"].max()])]
    if "category" in strongest:
        strongest = strongest[strongest["category"] == strongest["category"].iloc[0]]
    last = strongest[strongest["week"] == strongest["week"].max()]
    group = last.loc[last["amplification"].fillna(-1).idxmax(), "group"]
    weeks = np.linspace(strongest["week"].min(), strongest["week"].max(), _POINTS).round()
    mine = strongest[(strongest["group"] == group) & np.isfinite(strongest["amplification"])]
    mine = mine[mine["week"].isin(weeks)]
    rows = [
        {
            "series": about(row.arm),
            "x": row.week,
            "y": row.amplification,
            "lower": row.lower,
            "upper": row.upper,
        }
        for row in mine.itertuples()
    ]
    title = both(
        f"Amplification over the weeks of the simulation: {group}",
        f"Amplification au fil des semaines simulées : {group}",
    )
    columns = [
        column("series", both("What becomes of finds", "Sort des découvertes")),
        column("x", both("Week", "Semaine"), "count"),
        column("y", named("amplification", MEASURES), "ratio"),
        column("lower", both("from", "de"), "ratio"),
        column("upper", both("to", "à"), "ratio"),
    ]
    return [
        exhibit(
            "loop",
            "S10",
            "lines",
            title,
            columns=columns,
            rows=rows,
            ticks=ticks([*(row["y"] for row in rows), 1.0]),
            x_ticks=ticks([0.0, *(float(row["x"]) for row in rows)]),
            reference=1.0,
            series="series",
            note=TEXTS["hypothetical"],
        )
    ]


def lorenz(check: Check) -> list[Exhibit]:
    """Share of all flagged hours that fell on the most flagged cells, one line a category."""
    table = check.tables.get("lorenz")
    if table is None or len(table) == 0:
        return []
    shown = table[np.isfinite(table["share_of_hours"])]
    rows = [
        {"series": about(str(row.category)), "x": row.share_of_cells, "y": row.share_of_hours}
        for row in shown.itertuples()
    ]
    columns = [
        column("series", both("Category", "Catégorie")),
        column(
            "x",
            both("Most flagged cells, as a share of all", "Mailles les plus retenues, part de toutes"),
            "share",
        ),
        column("y", both("Share of all flagged hours", "Part de toutes les heures retenues"), "share"),
    ]
    return [
        exhibit(
            "lorenz",
            "S8",
            "lines",
            both("How unevenly exposure falls on cells", "Inégalité de l'exposition entre mailles"),
            columns=columns,
            rows=rows,
            ticks=ticks([0.0, 1.0]),
            x_ticks=ticks([0.0, 1.0]),
            diagonal=True,
            series="series",
            note=both(
                "On the diagonal, every cell is flagged as long as any other. The higher the curve rises at "
                "once, the fewer the cells that attention falls on.",
                "Sur la diagonale, chaque maille est retenue aussi longtemps que toute autre. Plus la courbe "
                "monte vite, moins il y a de mailles sur lesquelles l'attention tombe.",
            ),
        )
    ]
