"""What flags held, and what they could have held: sums of which hit rates and hotspot indices are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.evaluation.bootstrap import ratio
from tranquillite_ml.evaluation.hotspots import Ranking

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tranquillite_ml.audit.blocks import Blocks, Totals
    from tranquillite_ml.audit.compared import Compared
    from tranquillite_ml.audit.selection import Slots


def city_sums(slots: Slots, blocks: Blocks) -> dict[str, NDArray[np.float64]]:
    """Sums of the whole city by block; incidents outside the cells are recorded and never flagged."""
    area = slots.forecasts.area_km2
    n_cells = len(area)
    every = np.ones((n_cells, 1))
    parts: dict[str, ArrayLike] = {
        "hits": slots.flags * slots.observed,
        "recorded": slots.observed + slots.outside[:, None] / n_cells,
        "flagged_km2": slots.flags * area,
        "km2": slots.forecasts.study_area_km2 / n_cells,
        "best": most_held(slots, np.ones(n_cells)),
        "flags": slots.flags,
        "flagged_with_incident": slots.flags * slots.any_observed,
        "with_incident": slots.any_observed,
        "slots": 1.0,
    }
    return {name: blocks.sums(part, every) for name, part in parts.items()}


def bucket_sums(scene: Compared) -> dict[str, NDArray[np.float64]]:
    """Sums of each bucket by block, incidents inside the cells only."""
    slots, share = scene.slots, scene.groups.share
    area = slots.forecasts.area_km2
    every = np.ones((len(area), 1))
    best = [scene.blocks.sums(most_held(slots, column), every) for column in share.T]
    return {
        "hits": scene.sums(slots.flags * slots.observed),
        "recorded": scene.sums(slots.observed),
        "flagged_km2": scene.sums(slots.flags * area),
        "km2": scene.sums(area[None, :]),
        "best": np.hstack(best),
    }


def hotspot_indices(sums: Totals) -> dict[str, NDArray[np.float64]]:
    """PAI = (hits / recorded) / (flagged area / area), and PEI* = hits / the most so many cells could hold.

    Sources as in `evaluation.hotspot_curve`.

    Examples
    --------
    >>> found = hotspot_indices({"hits": np.array([3.0]), "recorded": np.array([6.0]),
    ...     "best": np.array([4.0]), "flagged_km2": np.array([1.0]), "km2": np.array([10.0])})
    >>> found["pai"].tolist(), found["pei_star"].tolist()
    ([5.0], [0.75])
    """
    return {
        "pai": ratio(ratio(sums["hits"], sums["recorded"]), ratio(sums["flagged_km2"], sums["km2"])),
        "pei_star": ratio(sums["hits"], sums["best"]),
    }


def most_held(slots: Slots, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Incidents of the busiest cells of a bucket, as many cells as are flagged there, (n_periods, n_cells).

    Parameters
    ----------
    slots : Slots
    share : ndarray of float64, shape (n_cells,)
        Share of each cell that is in the bucket.
    """
    found = np.zeros_like(slots.observed)
    mine = np.flatnonzero(share > 0)
    if len(mine) == 0:
        return found
    observed, weight = slots.observed[:, mine], share[mine]
    ranking = Ranking(observed, weight)
    taken = np.empty_like(observed)
    np.put_along_axis(taken, ranking.order, ranking.weights(slots.flags[:, mine] @ weight), axis=1)
    found[:, mine] = taken * observed * weight
    return found
