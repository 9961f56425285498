"""Colours of a map: classes with round edges, and a scale that is even to the eye."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_CLASSES = 8
SPAN = 200.0  # what is a two-hundredth of the highest, or less, shares the lowest colour
# Viridis: even steps to the eye, also for colour-blind readers. On a dark ground, bright reads as more.
_VIRIDIS = (
    (68, 1, 84),
    (72, 36, 117),
    (65, 68, 135),
    (53, 95, 141),
    (42, 120, 142),
    (33, 145, 140),
    (34, 168, 132),
    (68, 191, 112),
    (122, 209, 81),
    (189, 223, 38),
    (253, 231, 37),
)
_STEPS = (
    (1.0,),
    (1.0, 3.0),
    (1.0, 2.0, 5.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    tuple(np.arange(10, 100, 5) / 10),
    tuple(np.arange(10, 100) / 10),
    tuple(np.arange(100, 1000) / 100),
)


def colour_scale(values: NDArray[np.float64]) -> dict[str, Any]:
    """Edges, colours and legend of a map whose values share a scale.

    Examples
    --------
    >>> scale = colour_scale(np.array([0.0, 0.25, 0.5, 1.0, 1.25]))
    >>> scale["edges"], scale["labels"][0], scale["labels"][-1]
    ([0.3, 0.5, 0.7, 1.0], 'under 0.3', '1 to 1.25')
    """
    edges = colour_classes(values)
    ends = [f"{edge:g}" for edge in edges]
    middle = [f"{low} to under {high}" for low, high in pairwise(ends)]
    low, high = f"{values.min():g}", f"{values.max():g}"
    if ends:
        labels = [f"under {ends[0]}", *middle, f"{ends[-1]} to {high}" if ends[-1] != high else high]
    else:
        labels = [high if low == high else f"{low} to {high}"]
    return {"edges": edges, "colours": colours(len(labels)), "labels": labels}


def colour_classes(values: NDArray[np.float64]) -> list[float]:
    """Edges between the colours of a map: round numbers that grow by factors, as counts of places do.

    Parameters
    ----------
    values : ndarray of float64
        Expected counts that share a scale. The lowest twentieth shares the first colour with zero,
        and so does what is less than a two-hundredth of the highest.

    Returns
    -------
    list of float
        At most seven edges; none if all values are alike.

    Examples
    --------
    >>> colour_classes(np.geomspace(0.003, 1.7, 500))
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    """
    positive = values[values > 0]
    if len(positive) == 0:
        return []
    high = float(positive.max())
    low = max(float(np.quantile(positive, 0.05)), high / SPAN)
    decades = range(int(np.floor(np.log10(low))), int(np.floor(np.log10(high))) + 1)
    edges: list[float] = []
    for steps in _STEPS:
        found = [float(f"{step * 10.0**decade:.6g}") for decade in decades for step in steps]
        found = [edge for edge in found if low < edge <= high]
        if len(found) >= MAX_CLASSES:
            return edges or found[-MAX_CLASSES + 1 :]
        edges = found
    return edges


def colours(n: int) -> list[str]:
    """So many colours from low to high, at even steps of a scale that is even to the eye.

    Examples
    --------
    >>> colours(3)
    ['#440154', '#21918c', '#fde725']
    """
    anchors = np.array(_VIRIDIS, dtype=np.float64)
    at = np.linspace(0, len(anchors) - 1, n) if n > 1 else np.array([0.0])
    mixed = [np.interp(at, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return [f"#{round(r):02x}{round(g):02x}{round(b):02x}" for r, g, b in zip(*mixed, strict=True)]
