"""A self-exciting process on cells and hours: sampled exactly, with its conditional mean in closed form.

Plain arrays only: cells are row numbers, times are hours since the start. `law.py` fills them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

_NEGLIGIBLE = 1e-9  # generations are followed until the expected share of incidents in the next falls below


def neighbour_table(rings: list[csr_matrix]) -> list[NDArray[np.int64]]:
    """For each ring k, the cells exactly k steps away, shape (n_cells, 6k); −1 where there is none (sea).

    Parameters
    ----------
    rings : list of sparse 0/1 matrices
        Ring 1, ring 2, … as `HexGrid.ring` gives them.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> neighbour_table([csr_matrix([[0, 1], [1, 0]])])[0].tolist()
    [[1, -1, -1, -1, -1, -1], [0, -1, -1, -1, -1, -1]]
    """
    tables = []
    for k, ring in enumerate(rings, start=1):
        table = np.full((ring.shape[0], 6 * k), -1, dtype=np.int64)
        row = np.repeat(np.arange(ring.shape[0]), np.diff(ring.indptr))
        table[row, np.arange(ring.nnz) - ring.indptr[row]] = ring.indices
        tables.append(table)
    return tables


@dataclass(frozen=True, eq=False)
class SelfExcitingProcess:
    r"""Baseline incidents with rhythms, each of which may trigger further ones nearby and soon after.

    The intensity, in incidents an hour and cell, given the incidents :math:`(t_i, s_i)` before :math:`t`, is

    .. math:: \lambda(t, s) = a_s F_{z(s)}(t)
              + \sum_{t_i < t} \theta\, \omega e^{-\omega (t - t_i)} K(s_i, s)

    with weight :math:`a`, profile :math:`F` (constant within an hour) of the cell's zone :math:`z`, number of
    offspring :math:`\theta`, :math:`1/\omega` the decay time, and :math:`K` spreading offspring over rings.
    Offspring that would fall on no cell (into the sea) are lost, in the sample and in the mean alike.

    Parameters
    ----------
    weight : ndarray, shape (n_cells,)
        Spatial weight a, zero or more.
    zone : ndarray of int, shape (n_cells,)
        Row of `profile` that each cell follows.
    profile : ndarray, shape (n_zones, n_hours)
        Temporal profile F, zero or more.
    neighbours : list of ndarray
        See `neighbour_table`.
    ring_shares : tuple of float
        Shares of offspring that fall in the same cell, in ring 1, in ring 2, …; they sum to 1.
    offspring : float
        Mean number θ of incidents triggered directly by one incident, below 1.
    decay_hours : float
        Mean time from an incident to one it triggers, in hours.

    References
    ----------
    Mohler, Short, Brantingham, Schoenberg & Tita (2011), Self-exciting point process modeling of crime,
    JASA 106(493), https://doi.org/10.1198/jasa.2011.ap09546.

    Examples
    --------
    >>> process = SelfExcitingProcess(
    ...     weight=np.array([0.1, 0.3]), zone=np.array([0, 0]), profile=np.ones((1, 48)),
    ...     neighbours=[], ring_shares=(1.0,), offspring=0.5, decay_hours=4.0)
    >>> process.baseline(np.array([0]), np.array([24]))
    array([[2.4, 7.2]])
    >>> hours, cells = process.sample(np.random.default_rng(0))
    >>> process.expected(np.array([24]), np.array([24]), np.array([48]), hours, cells).shape
    (1, 2)
    """

    weight: NDArray[np.float64]
    zone: NDArray[np.int64]
    profile: NDArray[np.float64]
    neighbours: list[NDArray[np.int64]]
    ring_shares: tuple[float, ...]
    offspring: float
    decay_hours: float

    @property
    def n_hours(self) -> int:
        """Hours in the profile."""
        return int(self.profile.shape[1])

    def sample(self, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw one realisation, starting from no past.

        Returns
        -------
        hours : ndarray, shape (n,)
            Times in hours since the start, sorted, in whole seconds.
        cells : ndarray of int64, shape (n,)
        """
        generation = self._sample_baseline(rng)
        drawn = [generation]
        while len(generation[0]) and self.offspring > 0:
            generation = self._sample_offspring(*generation, rng)
            drawn.append(generation)
        hours = np.floor(np.concatenate([part[0] for part in drawn]) * 3600) / 3600
        cells = np.concatenate([part[1] for part in drawn])
        order = np.lexsort((cells, hours))
        return hours[order], cells[order]

    def _sample_baseline(self, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        # Within a zone space and time are independent: a Poisson total, then two categorical draws.
        hours: list[NDArray[np.float64]] = []
        cells: list[NDArray[np.int64]] = []
        for zone, profile in enumerate(self.profile):
            members = np.flatnonzero(self.zone == zone)
            space, time = np.cumsum(self.weight[members]), np.cumsum(profile)
            if not len(members) or space[-1] * time[-1] <= 0:
                continue
            number = rng.poisson(space[-1] * time[-1])
            hour = np.searchsorted(time, rng.random(number) * time[-1], side="right")
            hours.append(hour + rng.random(number))
            cells.append(members[np.searchsorted(space, rng.random(number) * space[-1], side="right")])
        if not hours:
            return np.empty(0), np.empty(0, dtype=np.int64)
        return np.concatenate(hours), np.concatenate(cells)

    def _sample_offspring(
        self, hours: NDArray[np.float64], cells: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        number = rng.poisson(self.offspring, len(hours))
        born = np.repeat(hours, number) + rng.exponential(self.decay_hours, int(number.sum()))
        place = np.repeat(cells, number)
        ring = np.searchsorted(np.cumsum(self.ring_shares)[:-1], rng.random(len(place)), side="right")
        for k, table in enumerate(self.neighbours, start=1):
            moved = np.flatnonzero(ring == k)
            place[moved] = table[place[moved], rng.integers(6 * k, size=len(moved))]
        kept = (place >= 0) & (born < self.n_hours)
        return born[kept], place[kept]

    def baseline(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.float64]:
        """Expected baseline count of each cell from hour `first` to hour `last`, shape (n, n_cells)."""
        total = np.pad(np.cumsum(self.profile, axis=1), ((0, 0), (1, 0)))
        by_zone = (total[:, last] - total[:, first]).T
        return np.asarray(by_zone[:, self.zone] * self.weight)

    def expected(
        self,
        cutoff: NDArray[np.int64],
        first: NDArray[np.int64],
        last: NDArray[np.int64],
        hours: NDArray[np.float64],
        cells: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Expected count of each cell from hour `first` to hour `last`, given the incidents before `cutoff`.

        Exact: with exponential delays the n-th generation born after the cutoff arrives a Gamma(n, ω) time
        later, whatever came before, so that all generations add up in closed form.

        Parameters
        ----------
        cutoff, first, last : ndarray of int64, shape (n,)
            Hour numbers, ascending, ``cutoff <= first <= last`` row by row.
        hours, cells : ndarray
            The realised incidents, as `sample` returns them.

        Returns
        -------
        ndarray, shape (n, n_cells)
        """
        mean = self.baseline(first, last)
        if self.offspring > 0 and len(cutoff):
            mean += self._triggered_by_past(cutoff, first, last, hours, cells)
            mean += self._triggered_by_baseline(cutoff, first, last)
        return mean

    @cached_property
    def _spread(self) -> csr_matrix:
        """θ K transposed: expected direct offspring in a cell (row) of one incident in another (column)."""
        from scipy.sparse import coo_matrix, identity

        n_cells = len(self.weight)
        spread = self.ring_shares[0] * identity(n_cells, format="csr")
        for share, table in zip(self.ring_shares[1:], self.neighbours, strict=True):
            parent, slot = np.nonzero(table >= 0)
            values = np.full(len(parent), share / table.shape[1])
            ring = coo_matrix((values, (table[parent, slot], parent)), shape=(n_cells, n_cells))
            spread = spread + ring.tocsr()
        return self.offspring * spread

    def _generations(self) -> Iterator[int]:
        last = int(np.ceil(np.log(_NEGLIGIBLE) / np.log(self.offspring)))
        return iter(range(1, max(last, 1) + 1))

    def _triggered_by_past(
        self,
        cutoff: NDArray[np.int64],
        first: NDArray[np.int64],
        last: NDArray[np.int64],
        hours: NDArray[np.float64],
        cells: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """All generations of descendants of the incidents before the cutoff."""
        from scipy.special import gammainc

        begin, end = (first - cutoff) / self.decay_hours, (last - cutoff) / self.decay_hours
        alive = self._alive(cutoff, hours, cells)
        mean = np.zeros_like(alive)
        for n in self._generations():
            alive = self._spread @ alive
            mean += alive * (gammainc(n, end) - gammainc(n, begin))
        return np.ascontiguousarray(mean.T)

    def _alive(
        self, cutoff: NDArray[np.int64], hours: NDArray[np.float64], cells: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Sum of exp(−ω age) over the incidents before each cutoff, shape (n_cells, n)."""
        alive = np.zeros((len(cutoff), len(self.weight)))
        row = np.searchsorted(cutoff, hours, side="right")
        seen = row < len(cutoff)
        row = row[seen]
        np.add.at(alive, (row, cells[seen]), np.exp((hours[seen] - cutoff[row]) / self.decay_hours))
        decay = np.exp(-np.diff(cutoff) / self.decay_hours)
        for number, kept in enumerate(decay, start=1):
            alive[number] += kept * alive[number - 1]
        return np.ascontiguousarray(alive.T)

    def _triggered_by_baseline(
        self, cutoff: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """All generations of descendants of baseline incidents that fall after the cutoff."""
        numbers = np.array(list(self._generations()))
        timing = self._cascade(numbers, cutoff, last)
        if (first > cutoff).any():
            timing = timing - self._cascade(numbers, cutoff, first)
        n_zones = len(self.profile)
        member = (self.zone[:, None] == np.arange(n_zones)) * self.weight[:, None]
        mean = np.zeros((len(cutoff), len(self.weight)))
        for column in range(len(numbers)):
            member = self._spread @ member
            mean += timing[:, :, column].T @ member.T
        return mean

    def _cascade(
        self, numbers: NDArray[np.int64], cutoff: NDArray[np.int64], last: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """∫ F(u) G_n(last − u) du from cutoff on, G_n the Gamma(n, ω) law: (n_zones, n, generations)."""
        from scipy.special import gammainc

        longest = int((last - cutoff).max())
        # ∫_0^x G_n = x G_n(x) − (n/ω) G_{n+1}(x); differences over whole hours weigh the hours before `last`.
        lag = np.arange(longest + 1)[:, None]
        scaled = lag / self.decay_hours
        integral = lag * gammainc(numbers, scaled) - numbers * self.decay_hours * gammainc(
            numbers + 1, scaled
        )
        hour = last[:, None] - np.arange(1, longest + 1)
        inside = hour >= cutoff[:, None]
        timed = np.where(inside, self.profile[:, np.maximum(hour, 0)], 0.0)
        return np.asarray(timed @ np.diff(integral, axis=0))
