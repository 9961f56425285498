"""The Grid protocol: what the engine needs to know of a partition of the study area into cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix


@runtime_checkable
class Grid(Protocol):
    """Cells with true areas and neighbours. Nothing in the engine needs more, so a grid need not be H3.

    Attributes
    ----------
    cells : ndarray of uint64, shape (n_cells,)
        Sorted cell identifiers.
    area_km2 : ndarray of float64, shape (n_cells,)
        True area of each cell.
    centres : ndarray of float64, shape (n_cells, 2)
        Latitude and longitude of each centre, in that order.
    """

    cells: NDArray[np.uint64]
    area_km2: NDArray[np.float64]
    centres: NDArray[np.float64]

    @property
    def n_cells(self) -> int:
        """Number of cells."""

    def ring(self, k: int) -> csr_matrix:
        """0/1 matrix, shape (n_cells, n_cells): which cells of the grid are exactly k steps away."""

    def locate(self, lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.int64]:
        """Row number of the cell that holds each point, −1 outside the grid."""

    def names(self) -> NDArray[np.str_]:
        """Cell identifiers as they appear in files."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values that describe the grid, without its cells."""
