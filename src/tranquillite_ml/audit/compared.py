"""One category of an audit, laid out for comparing groups: slots, groups, blocks and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.audit.blocks import Blocks, parents_of
from tranquillite_ml.audit.estimates import Support
from tranquillite_ml.audit.selection import audited_slots
from tranquillite_ml.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.audit.groups import Groups
    from tranquillite_ml.audit.selection import Slots
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Intervals, Thresholds

NO_OUTCOME: Mapping[str, str] = {
    "en": "no forecast has its outcome yet",
    "fr": "aucune prévision n'a encore son résultat",
}
ONLY_RANKS: Mapping[str, str] = {
    "en": "the forecasts only rank the cells: they expect no counts",
    "fr": "les prévisions ne font que classer les cellules : elles n'attendent aucun compte",
}


@dataclass(frozen=True, eq=False)
class Compared:
    """One category's slots, the groups on their cells, and how they are resampled."""

    slots: Slots
    groups: Groups
    blocks: Blocks
    limits: Intervals

    @property
    def category(self) -> str:
        """Name of the category."""
        return self.slots.category

    def sums(self, values: ArrayLike) -> NDArray[np.float64]:
        """Sums of values by block and bucket: each cell counts for a group by its share of the residents."""
        return self.blocks.sums(values, self.groups.share)

    @cached_property
    def of_groups(self) -> Support:
        """What the figures of each bucket rest on."""
        incidents = self.slots.observed.sum(axis=0) @ self.groups.share
        return Support(self.groups.buckets, incidents, self.blocks.n_blocks(self.sums(1.0)), self.limits)

    @cached_property
    def of_residents(self) -> Support:
        """The same without the bucket of cells where nobody lives."""
        every = self.of_groups
        return Support(every.groups[:-1], every.incidents[:-1], every.blocks[:-1], every.limits)

    @cached_property
    def of_city(self) -> Support:
        """What figures of the whole city rest on: whole weeks."""
        return city_support(self.slots, self.blocks, self.limits)


def city_support(slots: Slots, blocks: Blocks, limits: Intervals) -> Support:
    """What figures of the whole city rest on: blocks of whole weeks."""
    return Support([None], np.array([slots.observed.sum()]), blocks.n_blocks(), limits)


def compared(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> list[Compared]:
    """Lay out each category of the audited model.

    Raises
    ------
    UsageError
        If there are no groups, or not on these cells.
    """
    if evidence.groups is None:
        msg = "groups of places are needed to compare them."
        raise UsageError(msg)
    groups, parents = evidence.groups.on(forecasts.cells), parents_of(forecasts)
    limits = thresholds.intervals
    return [
        Compared(slots, groups, Blocks.of(slots, parents, limits, evidence.seed), limits)
        for slots in audited_slots(forecasts, thresholds)
    ]


def how(thresholds: Thresholds, seed: int, slots: Slots) -> str:
    """How intervals are made, in a sentence that ends the description of a method."""
    given = thresholds.intervals
    return (
        f"{len(slots.starts)} periods; {given.replicates} resamples of blocks of {given.block_weeks} weeks, "
        f"for groups by parent cell two resolutions up, seed {seed}. Under {given.min_incidents} incidents "
        f"there is no figure, under {given.min_blocks} blocks none of a group and no interval of the city."
    )
