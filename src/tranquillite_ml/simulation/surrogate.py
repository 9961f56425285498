"""The surrogate of the default tier: the ladder's smoothed count, week by week in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.features.smoothing import RING_WEIGHTS, posterior_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from tranquillite_ml.grid import Grid
    from tranquillite_ml.simulation.loop import World

NAME = "smoothed_count, weekly"
MEMORY_DAYS = 365.0
RATIO = float(np.exp(-7 / MEMORY_DAYS))
"""Factor by which a week's weight shrinks with each further week."""


class Surrogate:
    """Decayed counts, drawn towards their neighbours, updated in place: no panel is built.

    It gives what `smoothed_rate` gives on a panel of weekly bins.

    Parameters
    ----------
    grid : Grid
    decayed : ndarray, shape (n_cells, n_runs)
        Sum of past weekly counts, each weighted by ``RATIO`` to the power of its age (1 for the last week).
    weight : float
        Sum of these weights.

    Examples
    --------
    >>> from tranquillite_ml.squaregrid import SquareGrid
    >>> model = Surrogate(SquareGrid.from_tensor_shape((2, 2), size_km=1.0), np.zeros((4, 1)), 0.0)
    >>> model.learn(np.array([[3], [0], [0], [0]]), np.zeros((4, 1), dtype=np.int64))
    >>> model.expected().ravel().round(2).tolist()
    [2.15, 0.38, 0.38, 0.38]
    """

    def __init__(self, grid: Grid, decayed: NDArray[np.float64], weight: float) -> None:
        self._decayed, self._weight = np.array(decayed, dtype=np.float64), float(weight)
        self._rings, self._size = smoothing_operator(grid)

    def twin(self) -> Surrogate:
        """Give one that has seen the same, to live on apart."""
        twin = object.__new__(Surrogate)
        vars(twin).update(vars(self), _decayed=self._decayed.copy())
        return twin

    def expected(self) -> NDArray[np.float64]:
        """Expected weekly count, shape (n_cells, n_runs)."""
        return smooth(self._decayed, self._weight, self._rings, self._size)

    def learn(self, recorded: NDArray[np.int64], set_aside: NDArray[np.int64]) -> None:
        """Take in a week's counts; what the guard set aside is not looked at."""
        del set_aside
        self._decayed += recorded
        self._decayed *= RATIO
        self._weight = RATIO * (self._weight + 1)


def start_surrogate(grid: Grid, world: World, weeks: int) -> Surrogate:
    """Make a surrogate that has seen `weeks` of records without any patrol's influence."""
    return Surrogate(grid, *world.history(weeks, RATIO))


def smoothing_operator(grid: Grid) -> tuple[csr_matrix, NDArray[np.float64]]:
    """Weighted sum over a cell and the rings around it as a sparse matrix, and the weight it sums."""
    from scipy.sparse import csr_matrix, identity

    # Ring 0 stands for the cell itself.
    rings = [identity(grid.n_cells, format="csr"), *(grid.ring(k) for k in range(1, len(RING_WEIGHTS)))]
    total = csr_matrix((grid.n_cells, grid.n_cells), dtype=np.float64)
    for share, ring in zip(RING_WEIGHTS, rings, strict=True):
        total = total + share * ring
    return total.tocsr(), np.asarray(total.sum(axis=1)).reshape(-1, 1)


def smooth(
    decayed: NDArray[np.float64], weight: float, rings: csr_matrix, size: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Posterior mean of each cell's weekly rate, as `smoothed_rate` has it; shape (n_cells, n_runs)."""
    mean = decayed / max(weight, 1e-12)
    level = np.maximum(mean.mean(axis=0, keepdims=True), 1e-9)
    around = posterior_mean((rings @ mean) / size, weight * size, level, 0.1)
    return np.asarray(posterior_mean(mean, np.float64(weight), around, 1.0))  # type: ignore[arg-type]
