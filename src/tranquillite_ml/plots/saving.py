"""Plots as files, without a display and without anything in them that differs from one run to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def save_plot(draw: Callable[[Any], object], stem: Path) -> list[Path]:
    """Draw on new axes and write ``<stem>.png`` and ``<stem>.svg``.

    Parameters
    ----------
    draw : callable
        Called with the axes.
    stem : Path
        Path without suffix.

    Returns
    -------
    list of Path
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure.add_subplot())
    png, svg = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
    figure.savefig(png, dpi=120, metadata={"Software": None})
    with mpl.rc_context({"svg.hashsalt": stem.name, "svg.fonttype": "none"}):
        figure.savefig(svg, metadata={"Date": None})
    return [png, svg]
