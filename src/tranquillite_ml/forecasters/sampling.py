"""Which rows a model learns from: every row with an incident, and some zeros with weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.features import FeatureSet, View

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CHUNK_VALUES = 8_000_000  # values of one column held at a time


@dataclass(frozen=True)
class Sample:
    """Rows to learn from, column by column.

    Attributes
    ----------
    columns : dict of str to ndarray of float32, shape (n,)
    outcome : ndarray of float32, shape (n,)
        Recorded counts of the target period.
    weight : ndarray of float32, shape (n,)
        Inverse of the chance with which a row was kept.
    offset : ndarray of float32, shape (n,)
        Log of the expected count the model starts from.
    row : ndarray of int64, shape (n,)
        Pseudo-cutoff each row stands at, as a number of bins.
    n_rows : int
        Rows there were before sampling.
    """

    columns: dict[str, NDArray[np.float32]]
    outcome: NDArray[np.float32]
    weight: NDArray[np.float32]
    offset: NDArray[np.float32]
    row: NDArray[np.int64]
    n_rows: int


def draw_sample(
    view: View,
    features: FeatureSet,
    start: Callable[[View], NDArray[Any]],
    *,
    zeros: float,
    max_rows: int,
    rng: np.random.Generator,
) -> Sample:
    """Keep rows with incidents and a share of the zeros, and gather their features.

    Parameters
    ----------
    view : View
        All pseudo-cutoffs of the training window.
    features : FeatureSet
    start : callable
        Gives the expected count that the model starts from, shape (n_rows, n_cells).
    zeros : float
        Share of the rows without incident that is kept, drawn in proportion to that expected count (1 keeps
        all).
    max_rows : int
        Above this many rows everything is thinned evenly.
    rng : Generator

    Notes
    -----
    A row kept with chance π weighs 1/π, so that every weighted sum has the expectation of the full one
    (Horvitz and Thompson 1952, doi:10.1080/01621459.1952.10483446).
    """
    chunk = max(1, CHUNK_VALUES // view.panel.n_cells)
    blocks = [slice(k, k + chunk) for k in range(0, len(view.rows), chunk)]
    views = [view.share(view.rows[block], view.horizons[block]) for block in blocks]
    drawn = [_draw(part, start(part), zeros, rng) for part in views]
    total = sum(len(picks) for picks, *_ in drawn)
    thin = min(1.0, max_rows / max(total, 1))
    names = features.names(view.target, view.bins)
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    kept, rows = [], []
    for part, (picks, outcome, weight, offset) in zip(views, drawn, strict=True):
        keep = np.ones(len(picks), dtype=bool) if thin == 1 else rng.random(len(picks)) < thin
        kept.append((outcome[keep], weight[keep] / thin, offset[keep]))
        rows.append(part.rows[picks[keep] // view.panel.n_cells])
        for name, values in features.gather(part, picks[keep]):
            parts[name].append(values)
    outcome, weight, offset = (
        np.concatenate(column).astype(np.float32) for column in zip(*kept, strict=True)
    )
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    n_rows = len(view.rows) * view.panel.n_cells
    return Sample(columns, outcome, weight, offset, np.concatenate(rows), n_rows)


def _draw(view: View, rate: NDArray[Any], zeros: float, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
    """Flat positions kept, with their outcome, weight and offset."""
    outcome, start = view.outcome().ravel(), rate.ravel()
    empty = outcome == 0
    chance = np.ones_like(start)
    if zeros < 1 and empty.any():
        # Half in proportion to the expected count, half evenly: no weight grows beyond 2 / zeros.
        drawn = zeros * (0.5 + 0.5 * start / start[empty].mean())
        chance[empty] = np.minimum(drawn[empty], 1.0)
    picks = np.flatnonzero(rng.random(len(chance), dtype=np.float32) < chance)
    return picks, outcome[picks], 1 / chance[picks], np.log(start[picks])
