"""A run's figures as PNG files, drawn from its tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tranquillite_ml import plots

if TYPE_CHECKING:
    import pandas as pd


def write_figures(tables: dict[str, pd.DataFrame], model: str, folder: Path) -> list[Path]:
    """Draw one category's tables and write one PNG each.

    Parameters
    ----------
    tables : dict of DataFrame
        As `tranquillite_ml.results.evaluate` gives them, one category's rows.
    model : str
        Model whose calibration is shown.
    folder : Path

    Returns
    -------
    list of Path
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    draw = {
        "scores": plots.scores,
        "hotspots": plots.hotspot_curve,
        "compare": plots.compare,
        "scores_by_fold": plots.folds,
        "reliability": plots.reliability,
        "interval_coverage": plots.interval_coverage,
        "pit": plots.pit,
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, function in draw.items():
        table = tables[name]
        if name in {"reliability", "interval_coverage", "pit"}:
            table = table[table["model"] == model]
        figure = Figure(figsize=(8, 4.6), layout="constrained")
        FigureCanvasAgg(figure)
        function(table.drop(columns="category"), figure.add_subplot())
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=120, metadata={"Software": None})
        written.append(path)
    return written
