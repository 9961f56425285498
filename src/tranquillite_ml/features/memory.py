"""Memory: an expected count as a sum of past counts, each with a weight that is learnt and never negative."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.features.base import View

CITY = ""
OWN_DAYS = (7, 14, 60, 200, 600, 2000)
OWN_RINGS = 5
OTHER_DAYS = (60, 600)
OTHER_RINGS = 1
MAX_OTHERS = 8
STEPS = 400
CHUNK_VALUES = 4_000_000


@dataclass(frozen=True, order=True)
class Source:
    """One thing that is remembered: a category's counts, fading with age, in the cell or a ring around it.

    Attributes
    ----------
    category : str
        Whose records; empty for the target's mean over the whole city.
    days : float
        e-folding time of the memory.
    ring : int
        Steps from the cell; 0 is the cell itself. The mean over the neighbours that exist.
    """

    category: str
    days: float
    ring: int


@dataclass(frozen=True)
class Memory:
    """Sources and their weights: together an expected count per bin.

    Attributes
    ----------
    sources : tuple of Source
        In ascending order.
    weights : ndarray of float64, shape (n_sources,)
        Incidents expected per incident remembered; ≥ 0.
    share : ndarray of float64, shape (n_sources,)
        Share of the expected counts of the training rows that came from each source; they sum to 1.

    Notes
    -----
    λ = Σ wₖ xₖ with wₖ ≥ 0: a Poisson regression with identity link. Where the xₖ fade exponentially it is a
    self-exciting process in discrete time whose kernel is learnt instead of assumed; compare Mohler et al.
    (2011), doi:10.1198/jasa.2011.ap09546.
    """

    sources: tuple[Source, ...]
    weights: NDArray[np.float64]
    share: NDArray[np.float64]

    def rate(self, view: View) -> NDArray[Any]:
        """Expected count per bin, shape (n_rows, n_cells)."""
        total = np.zeros(view.shape, dtype=np.float32)
        for values, weight in zip(_values(view, self.sources), self.weights, strict=True):
            total += np.float32(weight) * values
        return np.maximum(total, np.float32(1e-9))

    def kept(self, *, least: float = 1e-4) -> Memory:
        """Give the sources that matter: those with at least this share of what is expected."""
        keep = self.share >= least
        sources = tuple(source for source, yes in zip(self.sources, keep, strict=True) if yes)
        lost = self.share[keep].sum()
        return Memory(sources, self.weights[keep] / lost, self.share[keep] / lost)

    def to_dict(self) -> dict[str, Any]:
        """Plain values from which `from_dict` makes the same memory."""
        return {
            "sources": [[source.category, source.days, source.ring] for source in self.sources],
            "weights": self.weights.tolist(),
            "share": self.share.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Memory:
        """Make the memory that `to_dict` described."""
        sources = tuple(Source(*source) for source in values["sources"])
        return cls(sources, np.array(values["weights"]), np.array(values["share"]))


def default_sources(view: View) -> tuple[Source, ...]:
    """The target's own past in six memories and five rings, that of other categories, and the city's level.

    Other categories are those of citizen or sensor origin, the eight with the most records.
    """
    own = [Source(view.category, days, ring) for ring in range(OWN_RINGS + 1) for days in OWN_DAYS]
    sizes = {name: int(view.panel.records(name).count.sum()) for name in view.categories("others")}
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:MAX_OTHERS]
    others = [
        Source(name, days, ring)
        for name in sorted(largest)
        for ring in range(OTHER_RINGS + 1)
        for days in OTHER_DAYS
    ]
    return (*own, *others, Source(CITY, 365, 0))


def learn_memory(view: View, sources: Sequence[Source] | None = None) -> Memory:
    """Learn the weights that make the outcomes of a view's rows most likely.

    Parameters
    ----------
    view : View
        Pseudo-cutoffs whose target periods are over.
    sources : sequence of Source, optional
        `default_sources` when not given.

    Notes
    -----
    Expectation-maximisation for a Poisson mean that is a sum (Shepp and Vardi 1982,
    doi:10.1109/TMI.1982.4307558): each step multiplies a weight by the incidents it explains over the
    incidents it expects, so that weights stay ≥ 0 and the likelihood never falls. A fixed number of steps
    from equal weights keeps sources that say nearly the same near each other.
    """
    sources = tuple(sorted(default_sources(view) if sources is None else sources))
    hit, count, totals = _gathered(view, sources)
    weights = np.full(len(sources), 1 / len(sources))
    usable = totals > 0
    weights[~usable] = 0
    for _ in range(STEPS):
        weights[usable] *= (hit[usable] @ (count / (weights @ hit))) / totals[usable]
    expected = weights * totals
    return Memory(sources, weights, expected / expected.sum()).kept()


def _gathered(
    view: View, sources: Sequence[Source]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Each source at the places and periods with incidents, their counts, and each source's total."""
    chunk = max(1, CHUNK_VALUES // view.panel.n_cells)
    totals = np.zeros(len(sources))
    hits, counts = [], []
    for k in range(0, len(view.rows), chunk):
        part = view.share(view.rows[k : k + chunk], view.horizons[k : k + chunk])
        outcome = part.outcome()
        where = np.nonzero(outcome)
        length = (part.target.period * part.exposure_factor).astype(np.float32)
        hit = np.empty((len(sources), len(where[0])))
        for number, values in enumerate(_values(part, sources)):
            scaled = np.broadcast_to(values * length, part.shape)
            totals[number] += scaled.sum(dtype=np.float64)
            hit[number] = scaled[where]
        hits.append(hit)
        counts.append(outcome[where].astype(np.float64))
    found = np.concatenate(hits, axis=1)
    # A place where nothing at all was remembered cannot be explained by memory: the city's level covers it.
    return np.maximum(found, 1e-12), np.concatenate(counts), totals


def _values(view: View, sources: Sequence[Source]) -> Iterator[NDArray[Any]]:
    """Yield what each source remembers at each row, as a mean count per bin; sources are in order.

    A fading count is made once for all its rings.
    """
    for (category, days), group in groupby(sources, key=lambda source: (source.category, source.days)):
        if category == CITY:
            found = view.decay(days).mean(axis=1, keepdims=True)
        else:
            found = view.of(category).decay(days)
        for source in group:
            yield found if source.ring == 0 else _ring_mean(view, found, source.ring)


def _ring_mean(view: View, dense: NDArray[Any], ring: int) -> NDArray[Any]:
    size = np.asarray(view.panel.grid.ring(ring).sum(axis=1)).ravel()
    return view.known().spread(dense, ring) / np.maximum(size, 1).astype(np.float32)
