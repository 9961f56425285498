"""Groups of places that simulations compare, and how much of a selection falls on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

QUINTILES = tuple(f"quintile {number} by recorded incidents" for number in range(1, 6))


@dataclass(frozen=True)
class PlaceGroups:
    """Groups of places: how many residents of each group live in each cell, or how much of the cell it has.

    Parameters
    ----------
    names : sequence of str
    residents : array_like, shape (n_cells, n_groups)
        At least 0; a cell without any belongs to no group.

    Raises
    ------
    UsageError
        If shapes differ, a number is negative or missing, or a group has nobody.

    Examples
    --------
    >>> groups = PlaceGroups(["east", "west"], [[10, 0], [10, 0], [5, 15], [0, 0]])
    >>> groups.exposure_ratio(np.array([[True], [False], [False], [True]])).ravel().tolist()
    [1.6, 0.0]
    """

    names: tuple[str, ...]
    residents: NDArray[np.float64]

    def __init__(self, names: Sequence[str], residents: ArrayLike) -> None:
        values = np.asarray(residents, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(names) or len(set(names)) < len(names):
            msg = f"residents must have one column for each of {list(names)}, got shape {values.shape}."
            raise UsageError(msg)
        if not (np.isfinite(values) & (values >= 0)).all() or not (values.sum(axis=0) > 0).all():
            sums = dict(zip(names, values.sum(axis=0).tolist(), strict=True))
            msg = f"residents must be numbers ≥ 0, and no group empty, got in all {sums}."
            raise UsageError(msg)
        object.__setattr__(self, "names", tuple(names))
        object.__setattr__(self, "residents", values)

    @property
    def share(self) -> NDArray[np.float64]:
        """Share of each group in each cell, shape (n_cells, n_groups): rows sum to 1, or to 0 with nobody."""
        total = self.residents.sum(axis=1, keepdims=True)
        return np.divide(self.residents, total, out=np.zeros_like(self.residents), where=total > 0)

    def exposure_ratio(self, flagged: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Flags per resident of each group over flags per resident of all, shape (n_groups, n_runs).

        Parameters
        ----------
        flagged : ndarray of bool, shape (n_cells, n_runs)
        """
        seen = self.residents.T @ flagged
        own = seen / self.residents.sum(axis=0)[:, None]
        city = seen.sum(axis=0) / self.residents.sum()
        return np.divide(own, city, out=np.full_like(own, np.nan), where=city > 0)


def activity_quintiles(rate: ArrayLike) -> PlaceGroups:
    """Five groups of cells, from the quietest to the busiest, each with a fifth of the recorded incidents.

    They stand in where no groups are given. The fifth is the few busiest cells, which patrols know best.

    Parameters
    ----------
    rate : array_like, shape (n_cells,)
        Incidents of each cell.

    Raises
    ------
    UsageError
        If there are fewer than five cells with incidents.

    Examples
    --------
    >>> activity_quintiles([1, 1, 1, 1, 1, 1, 2, 2, 5, 5]).residents.sum(axis=0).astype(int).tolist()
    [4, 3, 1, 1, 1]
    """
    values = np.asarray(rate, dtype=np.float64)
    if (values > 0).sum() < 5:
        msg = f"five groups need five cells with recorded incidents, got {(values > 0).sum()}."
        raise UsageError(msg)
    order = np.argsort(values, kind="stable")
    through = values[order].cumsum()
    # A cell belongs where its middle incident does; the busiest cells must not leave a group empty.
    number = np.floor(5 * (through - values[order] / 2) / through[-1]).astype(np.int64)
    for group in range(5):
        if group not in number:
            number = np.searchsorted(np.linspace(0, len(values), 6)[1:-1], np.arange(len(values)), "right")
            break
    member = np.zeros((len(values), 5))
    member[order, np.clip(number, 0, 4)] = 1
    return PlaceGroups(QUINTILES, member)
