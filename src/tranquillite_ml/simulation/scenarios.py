"""Who reports how much: scenarios of reporting rates by group of places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.errors import UsageError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.simulation.places import PlaceGroups

HYPOTHETICAL = (0.4, 0.8)
"""Lowest and highest reporting rate of the scenarios that no survey stands behind."""
SCENARIOS = 3
"""How many of them there are."""


@dataclass(frozen=True)
class Scenario:
    """A reporting rate for each group.

    Parameters
    ----------
    name : str
    rates : ndarray, shape (n_groups,)
        Share of incidents that is reported, above 0 and at most 1.
    hypothetical : bool
        Whether nothing but an assumption stands behind it.
    """

    name: str
    rates: NDArray[np.float64]
    hypothetical: bool = True

    def by_cell(self, groups: PlaceGroups) -> NDArray[np.float64]:
        """Reporting rate of each cell, its groups' mean; the mean of all where nobody lives."""
        share = groups.share
        mixed = share @ self.rates
        return np.asarray(np.where(share.sum(axis=1) > 0, mixed, self.rates.mean()))


def make_scenarios(
    names: Sequence[str],
    *,
    survey: Mapping[str, Sequence[float]] | None = None,
    hypothetical: tuple[float, float] = HYPOTHETICAL,
) -> list[Scenario]:
    """Scenarios for groups in their order: alike, the first reports least, the first reports most, a survey.

    Parameters
    ----------
    names : sequence of str
        Groups, in an order that means something, such as from the poorest to the richest.
    survey : mapping of str to sequence of float, optional
        For each group its reporting rate, or rate, lower and upper limit of its interval. With limits there
        are two more scenarios: the first half of the groups at the lower end and the others at the upper one,
        and the other way round.
    hypothetical : tuple of float
        Lowest and highest rate of the scenarios without a survey.

    Raises
    ------
    UsageError
        If a group has no rate, or a rate is not in (0, 1].

    Examples
    --------
    >>> for one in make_scenarios(["poorest", "middle", "richest"]):
    ...     print(one.name, one.rates.round(2).tolist())
    alike [0.6, 0.6, 0.6]
    first reports least [0.4, 0.6, 0.8]
    first reports most [0.8, 0.6, 0.4]
    """
    low, high = hypothetical
    ladder = np.linspace(low, high, len(names))
    found = [
        Scenario("alike", np.full(len(names), (low + high) / 2)),
        Scenario("first reports least", ladder),
        Scenario("first reports most", ladder[::-1]),
    ]
    if survey is not None:
        found += _from_survey(names, survey)
    for one in found:
        if not ((one.rates > 0) & (one.rates <= 1)).all():
            msg = f"reporting rates must lie above 0 and up to 1, got {one.rates.tolist()} ({one.name})."
            raise UsageError(msg)
    return found


def _from_survey(names: Sequence[str], survey: Mapping[str, Sequence[float]]) -> list[Scenario]:
    for name in names:
        if name not in survey or len(survey[name]) not in {1, 3}:
            hint = nearest(name, survey) if name not in survey else ""
            msg = f"a survey needs (rate,) or (rate, lower, upper) of {name!r}; got {dict(survey)}.{hint}"
            raise UsageError(msg)
    point = np.array([survey[name][0] for name in names], dtype=np.float64)
    found = [Scenario("survey", point, hypothetical=False)]
    if all(len(survey[name]) == 3 for name in names):
        lower, upper = (np.array([survey[name][end] for name in names], dtype=np.float64) for end in (1, 2))
        first = np.arange(len(names)) < (len(names) + 1) // 2
        found.append(Scenario("survey, first half low", np.where(first, lower, upper), hypothetical=False))
        found.append(Scenario("survey, first half high", np.where(first, upper, lower), hypothetical=False))
    return found
