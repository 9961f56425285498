"""Rolling origin: the cutoffs at which a backtest stands still and looks ahead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, is_whole
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins


@dataclass(frozen=True)
class RollingOrigin:
    """Evenly spaced cutoffs; at each, what was reported later is out of reach.

    Parameters
    ----------
    folds : int, default 13
        Number of cutoffs.
    every : str, default "28D"
        Distance between cutoffs, whole days.
    first_cutoff : str, optional
        Local date of the first cutoff. Without it the last fold ends with the data.
    gap : int, default 0
        Periods left out between the cutoff and the first period forecast.

    Raises
    ------
    UsageError
        If a number is out of range, or the folds do not fit the bins.

    Examples
    --------
    >>> bins = TimeBins("2024-01-01", 60, "1D", "Europe/Paris")
    >>> RollingOrigin(folds=2, every="14D").table(bins, Target("noise", period=7))
       fold      cutoff first_period  last_period_end
    0     0  2024-02-09   2024-02-09       2024-02-16
    1     1  2024-02-23   2024-02-23       2024-03-01
    """

    folds: int = 13
    every: str = "28D"
    first_cutoff: str | None = None
    gap: int = 0

    def __post_init__(self) -> None:
        try:
            apart = isinstance(self.every, str) and pd.Timedelta(self.every) > pd.Timedelta(0)
        except ValueError:
            apart = False
        if not apart:
            msg = f"every must be a number of days such as '28D', got {self.every!r}."
            raise UsageError(msg)
        for name, number, least in (("folds", self.folds, 1), ("gap", self.gap, 0)):
            if not is_whole(number) or number < least:
                msg = f"{name} must be a whole number from {least} on, got {number!r}."
                raise UsageError(msg)

    def cutoffs(self, bins: TimeBins, target: Target) -> list[int]:
        """Cutoffs as numbers of bins, ascending; each leaves room for the target's last period.

        Raises
        ------
        UsageError
            If the folds do not fit the bins.
        """
        days = pd.Timedelta(self.every) / pd.Timedelta(days=1)
        step = days * bins.bins_per_day
        if step != int(step):
            msg = f"every must be whole bins, got {self.every!r} on bins of {bins.freq}."
            raise UsageError(msg)
        reach = target.reach + self.gap * target.period
        if self.first_cutoff is None:
            first = bins.n_bins - reach - (self.folds - 1) * int(step)
        else:
            first = bins.index_at(self.first_cutoff)
        found = [first + number * int(step) for number in range(self.folds)]
        if first < 1 or found[-1] + reach > bins.n_bins:
            msg = (
                f"{self.folds} folds every {self.every} do not fit the data: they need "
                f"{bins.wall_at(np.array([first]))[0]:%Y-%m-%d} to "
                f"{bins.wall_at(np.array([found[-1] + reach]))[0]:%Y-%m-%d}, and there is "
                f"{bins.first:%Y-%m-%d} to {bins.end:%Y-%m-%d}. Use fewer folds or another first_cutoff."
            )
            raise UsageError(msg)
        return found

    def table(self, bins: TimeBins, target: Target) -> pd.DataFrame:
        """One row a fold: its cutoff, the start of its first period and the end of its last."""
        cutoffs = np.array(self.cutoffs(bins, target))
        shift = self.gap * target.period
        return pd.DataFrame(
            {
                "fold": np.arange(len(cutoffs)),
                "cutoff": bins.wall_at(cutoffs),
                "first_period": bins.wall_at(cutoffs + shift + (target.horizons[0] - 1) * target.period),
                "last_period_end": bins.wall_at(cutoffs + shift + target.reach),
            }
        )
