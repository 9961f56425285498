"""From a statistic and its resamples to measurements: interval, n, what could be seen, Holm's adjustment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.evaluation.bootstrap import percentile_interval
from tranquillite_ml.evaluation.significance import detectable_difference, holm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.audit.blocks import Drawn
    from tranquillite_ml.governance.thresholds import Bound, Intervals, Limit

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Support:
    """What the figures of some groups rest on.

    Attributes
    ----------
    groups : sequence of str or None, length n_groups
    incidents, blocks : ndarray, shape (n_groups,)
    limits : Intervals
        What is too little.
    unit_of_n : str, default "incidents"
        What `incidents` are, where a figure rests on something else.
    """

    groups: Sequence[str | None]
    incidents: NDArray[np.float64]
    blocks: NDArray[np.int64]
    limits: Intervals
    unit_of_n: str = "incidents"

    @property
    def enough(self) -> NDArray[np.bool_]:
        """Groups with enough incidents and blocks."""
        return self.enough_incidents & (self.blocks >= self.limits.min_blocks)

    @property
    def enough_incidents(self) -> NDArray[np.bool_]:
        """Groups with enough incidents."""
        return np.asarray(np.round(self.incidents) >= self.limits.min_incidents)


def measure(
    name: str,
    unit: str,
    drawn: Drawn,
    support: Support,
    *,
    category: str | None = None,
    subject: str | None = None,
) -> list[Measurement]:
    """One measurement a group, with its 95 % interval and the smallest difference that could have been seen.

    With too few incidents the value is NaN. With too few blocks the interval is; the value of a group is then
    NaN, too, and that of the whole city stays, for a limit that asks for no interval.

    Parameters
    ----------
    name, unit : str
    drawn : Drawn
    support : Support
    category, subject : str, optional
        As in `Measurement`.
    """
    found = []
    for number, group in enumerate(support.groups):
        n, blocks = float(support.incidents[number]), int(support.blocks[number])
        value, draws = float(drawn.value[number]), drawn.draws[:, number]
        lower, upper, seen = interval(draws, blocks, support.limits)
        if not support.enough_incidents[number] or (group is not None and not support.enough[number]):
            value = lower = upper = seen = math.nan
        found.append(
            Measurement(
                name=name,
                value=value,
                unit=unit,
                lower=lower,
                upper=upper,
                n=round(n),
                unit_of_n=support.unit_of_n,
                category=category,
                group=group,
                subject=subject,
                min_detectable=None if math.isnan(seen) else seen,
            )
        )
    return found


def interval(draws: NDArray[np.float64], n_blocks: int, limits: Intervals) -> tuple[float, float, float]:
    """Interval and smallest difference that a two-sided test would have seen in 80 % of cases.

    NaN with too few blocks, or if more than 5 % of the resamples give no number.
    """
    lower, upper = percentile_interval(draws, n_blocks, LEVEL)
    if n_blocks < limits.min_blocks or math.isnan(lower):
        return math.nan, math.nan, math.nan
    seen = detectable_difference(np.nanstd(draws), n_blocks, level=LEVEL)
    return lower, upper, float(seen)


def adjust(measurements: Iterable[Measurement], name: str, limit: Limit) -> list[Measurement]:
    """Give the measurements of a name the interval by which a failure is judged, adjusted for their number.

    Parameters
    ----------
    measurements : iterable of Measurement
        Of all groups and categories; those of other names pass unchanged.
    name : str
    limit : Limit
        Its bound for failing is what is tested.

    Notes
    -----
    Holm (1979): the smallest of m p-values is compared with 0.05/m, the next with 0.05/(m − 1) and so on
    until one is above. Each interval is stretched about its value to that level, on the log scale where it
    lies above 0: it clears the bound if and only if Holm's test rejects.

    Examples
    --------
    >>> from tranquillite_ml.governance import load_thresholds
    >>> limit = load_thresholds().limit("C03", "observed_to_expected")
    >>> two = [Measurement("observed_to_expected", 1.5, "ratio", 1.27, 1.77, group=name) for name in "ab"]
    >>> [[round(end, 2) for end in one.adjusted] for one in adjust(two, "observed_to_expected", limit)]
    [[1.24, 1.81], [1.24, 1.81]]
    """
    given = list(measurements)
    if limit.fail is None:
        return given
    tested = [one for one in given if one.name == name and not math.isnan(one.lower)]
    p = np.array([_p_value(one, limit.fail) for one in tested])
    reach = dict(zip(map(id, tested), _reaches(p).tolist(), strict=True))
    return [
        replace(one, adjusted=_stretched(one, reach[id(one)])) if id(one) in reach else one for one in given
    ]


def p_of_zero(measurements: Sequence[Measurement]) -> NDArray[np.float64]:
    """Two-sided p-values of differences against 0, from their intervals; NaN where there is none."""
    return np.array([_two_sided(one.value, one.lower, one.upper, 0.0) for one in measurements])


def adjust_to_zero(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Give differences the intervals adjusted for their number, tested against 0; see `adjust`."""
    p = p_of_zero(measurements)
    tested = np.flatnonzero(~np.isnan(p))
    found = list(measurements)
    for number, reach in zip(tested, _reaches(p[tested]).tolist(), strict=True):
        one = found[number]
        found[number] = replace(one, adjusted=_stretched(one, reach, log=False))
    return found


def _reaches(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much wider each interval must be at the level at which Holm's procedure leaves it."""
    from scipy.special import ndtri

    m = len(p)
    order = np.argsort(p, kind="stable")
    rejected = holm(p)[order] <= 1 - LEVEL
    passed = int(rejected.sum())  # Holm's p-values rise along the order
    rank = np.minimum(np.arange(m), min(passed, m - 1) if m else 0)
    level = (1 - LEVEL) / (m - rank)
    reach = np.empty(m)
    reach[order] = ndtri(1 - level / 2) / ndtri((1 + LEVEL) / 2)
    return reach


def _stretched(one: Measurement, reach: float, *, log: bool = True) -> tuple[float, float]:
    if log and one.lower > 0:
        middle = math.log(one.value)
        ends = (math.log(end) for end in (one.lower, one.upper))
        lower, upper = (math.exp(middle + (end - middle) * reach) for end in ends)
    else:
        lower, upper = (one.value + (end - one.value) * reach for end in (one.lower, one.upper))
    return lower, upper


def _p_value(one: Measurement, bound: Bound) -> float:
    """Smaller of the p-values against the ends of a bound that an interval must clear."""
    tops = [end for end in (bound.above, bound.at_least) if end is not None]
    bottoms = [end for end in (bound.below, bound.at_most) if end is not None]
    found = [_two_sided(one.value, one.lower, one.upper, end) for end in tops if one.value > end]
    found += [_two_sided(one.value, one.lower, one.upper, end) for end in bottoms if one.value < end]
    return min(found, default=1.0)


def _two_sided(value: float, lower: float, upper: float, end: float) -> float:
    """P-value against `end`, such that it is 5 % where the interval just reaches it."""
    from scipy.special import ndtr, ndtri

    if math.isnan(lower):
        return math.nan
    log = lower > 0 and end > 0
    gap, reach = (
        (math.log(value / end), math.log(value / lower if value > end else upper / value))
        if log
        else (value - end, value - lower if value > end else upper - value)
    )
    if reach <= 0:
        return 1.0 if gap == 0 else 0.0
    return float(2 * ndtr(-abs(gap) / reach * ndtri((1 + LEVEL) / 2)))
