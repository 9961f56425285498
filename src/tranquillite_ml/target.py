"""Target: what is forecast, over how long, how far ahead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tranquillite_ml.errors import UsageError, is_whole
from tranquillite_ml.governance.waivers import Waiver


@dataclass(frozen=True)
class Target:
    """The question a forecaster answers: how many recorded incidents, of what, when.

    Parameters
    ----------
    categories : str or iterable of str
        Categories forecast, each on its own.
    period : int, default 1
        Time bins summed into one forecast: 7 with daily bins is a week.
    horizons : iterable of int, default (1,)
        Which periods after the cutoff, counted from 1: ``range(1, 8)`` with ``period=1`` is the next seven
        days, one by one.
    waivers : iterable of Waiver, optional
        Who allowed categories whose records agents make, why, and until when; without it no model is fitted
        to them.

    Raises
    ------
    UsageError
        If there is no category, or a period or horizon is not a whole number from 1 on.

    Examples
    --------
    >>> Target("burglary", period=7)
    Target(categories=('burglary',), period=7, horizons=(1,))
    >>> Target("noise", horizons=range(1, 4)).reach
    3
    """

    categories: tuple[str, ...]
    period: int
    horizons: tuple[int, ...]
    waivers: tuple[Waiver, ...] = field(repr=False)

    def __init__(
        self,
        categories: str | Iterable[str],
        *,
        period: int = 1,
        horizons: Iterable[int] = (1,),
        waivers: Iterable[Waiver] = (),
    ) -> None:
        names = (categories,) if isinstance(categories, str) else tuple(categories)
        ahead = tuple(sorted({_whole(one) for one in _several(horizons)}))
        if not names or len(set(names)) < len(names):
            msg = f"categories must be one or several different names, got {names!r}."
            raise UsageError(msg)
        if _whole(period) < 1 or not ahead or ahead[0] < 1:
            msg = f"period and horizons count from 1, got {period=} and horizons={ahead}."
            raise UsageError(msg)
        object.__setattr__(self, "categories", names)
        object.__setattr__(self, "period", _whole(period))
        object.__setattr__(self, "horizons", ahead)
        object.__setattr__(self, "waivers", tuple(waivers))

    @property
    def reach(self) -> int:
        """Bins from the cutoff to the end of the last period forecast."""
        return self.period * self.horizons[-1]

    def only(self, category: str) -> Target:
        """The same question of one category.

        Examples
        --------
        >>> Target(["burglary", "noise"], period=7).only("noise")
        Target(categories=('noise',), period=7, horizons=(1,))
        """
        return Target(category, period=self.period, horizons=self.horizons, waivers=self.waivers)

    def to_dict(self) -> dict[str, object]:
        """Plain values from which `from_dict` makes the same target."""
        values = {"categories": list(self.categories), "period": self.period, "horizons": list(self.horizons)}
        waivers = [waiver.model_dump(mode="json") for waiver in self.waivers]
        return values | ({"waivers": waivers} if waivers else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Target:
        """Make the target that `to_dict` described."""
        waivers = [Waiver(**waiver) for waiver in values.get("waivers", ())]
        given = {name: values[name] for name in ("categories", "period", "horizons")}
        return cls(given.pop("categories"), waivers=waivers, **given)


def _several(horizons: object) -> Iterable[object]:
    if isinstance(horizons, str) or not isinstance(horizons, Iterable):
        msg = f"horizons must be several whole numbers, such as (1,) or range(1, 4), got {horizons!r}."
        raise UsageError(msg)
    return horizons


def _whole(value: Any) -> int:
    if not is_whole(value):
        msg = (
            f"period and horizons are whole numbers of time bins, got {value!r}. "
            "With daily bins, period=7 is a week."
        )
        raise UsageError(msg)
    return int(value)
