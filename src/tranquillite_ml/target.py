"""Target: what is forecast, over how long, how far ahead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tranquillite_ml.errors import UsageError


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

    Raises
    ------
    UsageError
        If there is no category, or a period or horizon is below 1.

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

    def __init__(
        self, categories: str | Iterable[str], *, period: int = 1, horizons: Iterable[int] = (1,)
    ) -> None:
        names = (categories,) if isinstance(categories, str) else tuple(categories)
        ahead = tuple(sorted({int(horizon) for horizon in horizons}))
        if not names or len(set(names)) < len(names):
            msg = f"categories must be one or several different names, got {names!r}."
            raise UsageError(msg)
        if period < 1 or not ahead or ahead[0] < 1:
            msg = f"period and horizons count from 1, got {period=} and horizons={ahead}."
            raise UsageError(msg)
        object.__setattr__(self, "categories", names)
        object.__setattr__(self, "period", int(period))
        object.__setattr__(self, "horizons", ahead)

    @property
    def reach(self) -> int:
        """Bins from the cutoff to the end of the last period forecast."""
        return self.period * self.horizons[-1]

    def to_dict(self) -> dict[str, object]:
        """Plain values from which `from_dict` makes the same target."""
        return {"categories": list(self.categories), "period": self.period, "horizons": list(self.horizons)}

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> Target:
        """Make the target that `to_dict` described."""
        return cls(values["categories"], period=values["period"], horizons=values["horizons"])  # type: ignore[arg-type]
