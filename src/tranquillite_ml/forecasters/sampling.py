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
WHOLE = 500_000  # a window of no more rows is learnt from whole
ZEROS_EACH = 20  # at most so many zeros for each row with an incident: more say next to nothing new
LEAST_SOME = 1_000  # rows with incidents that zeros are counted for at least
LEAST_CUTOFFS = 200  # so many pseudo-cutoffs are kept at least: all seasons and weekdays come


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

    Half a million rows or fewer are all kept. Where rows with incidents and the share of the zeros are more
    than `max_rows`, pseudo-cutoffs are drawn first, so that features are made at these only. Where incidents
    are rare, no more than twenty zeros are kept for each row with some.

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
        Rows kept, about, at most.
    rng : Generator

    Notes
    -----
    A row kept with chance π weighs 1/π, so that every weighted sum has the expectation of the full one
    (Horvitz and Thompson 1952, doi:10.1080/01621459.1952.10483446). Periods of neighbouring pseudo-cutoffs
    overlap, so that little is lost with those left out. Below 200 pseudo-cutoffs rows are thinned instead.
    """
    n_rows = len(view.rows) * view.panel.n_cells
    if n_rows <= WHOLE:
        zeros, share, thin = 1.0, 1.0, 1.0
    else:
        some = sum(int(np.count_nonzero(part.outcome())) for part in _chunks(view))
        if zeros < 1:
            zeros = min(zeros, ZEROS_EACH * max(some, LEAST_SOME) / max(n_rows - some, 1))
        room = max_rows / (some + zeros * (n_rows - some))
        view, share, thin = _fewer_cutoffs(view, room, rng)
    views = _chunks(view)
    drawn = [_draw(part, start(part), zeros, rng) for part in views]
    names = features.names(view.target, view.bins)
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    kept, rows = [], []
    for part, (picks, outcome, weight, offset) in zip(views, drawn, strict=True):
        keep = np.ones(len(picks), dtype=bool) if thin == 1 else rng.random(len(picks)) < thin
        kept.append((outcome[keep], weight[keep] / (thin * share), offset[keep]))
        rows.append(part.rows[picks[keep] // view.panel.n_cells])
        for name, values in features.gather(part, picks[keep]):
            parts[name].append(values)
    outcome, weight, offset = (
        np.concatenate(column).astype(np.float32) for column in zip(*kept, strict=True)
    )
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    return Sample(columns, outcome, weight, offset, np.concatenate(rows), n_rows)


def _chunks(view: View) -> list[View]:
    """The view in parts of which one column fits."""
    chunk = max(1, CHUNK_VALUES // view.panel.n_cells)
    blocks = [slice(k, k + chunk) for k in range(0, len(view.rows), chunk)]
    return [view.share(view.rows[block], view.horizons[block]) for block in blocks]


def _fewer_cutoffs(view: View, room: float, rng: np.random.Generator) -> tuple[View, float, float]:
    """As many pseudo-cutoffs as there is room for, their share, and the share of their rows that is kept."""
    every = len(view.rows)
    n = min(every, max(LEAST_CUTOFFS, int(every * min(room, 1.0))))
    if n < every:
        taken = np.sort(rng.choice(every, n, replace=False))
        view = view.share(view.rows[taken], view.horizons[taken])
    return view, n / every, min(1.0, room * every / n)


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
