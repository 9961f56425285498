"""Canaries: data in which nothing can be known, where no forecaster may look skilful."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import UsageError
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.splits import RollingOrigin
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.grid import Grid

CENTRE = "893968152bbffff"
SIMULATIONS = 2000


@dataclass(frozen=True)
class CanaryResult:
    """What a forecaster gained over the generating law, where nothing can be gained.

    Attributes
    ----------
    kind : str
        ``white noise`` or ``shuffled``.
    gain : float
        Mean log-likelihood gain over the law, nats a fold; honest forecasters lie a little below zero.
    upper : float
        Upper end of its one-sided 99.9 % interval under the law, simulated: more than this is a leak.
    n_folds, n_incidents : int
    leaks : bool
    """

    kind: str
    gain: float
    upper: float
    n_folds: int
    n_incidents: int

    @property
    def leaks(self) -> bool:
        """Whether the gain is more than chance allows."""
        return self.gain > self.upper


def leakage_canary(
    forecaster_factory: Callable[[Target], Forecaster],
    *,
    days: int = 420,
    rings: int = 6,
    rate: float = 0.03,
    folds: int = 20,
    seed: int = 0,
) -> list[CanaryResult]:
    """Backtest a forecaster on white noise and on time-shuffled incidents.

    A forecaster that sees even a little of what it forecasts beats the law that made the data; an honest one
    cannot, beyond chance.

    Parameters
    ----------
    forecaster_factory : callable
        Makes a forecaster for a `Target`.
    days, rings, rate, folds, seed
        Size of the simulated data: days, rings of cells around a centre, incidents per cell and day, cutoffs.

    Returns
    -------
    list of CanaryResult
        One for white noise (the same rate everywhere), one for incidents of unequal places whose times are
        shuffled.

    Raises
    ------
    UsageError
        If the data is too small to fit a forecaster.

    Examples
    --------
    >>> from tranquillite_ml.forecasters import Count365
    >>> results = leakage_canary(lambda target: Count365(target), days=240, rings=3, folds=4)
    >>> [(result.kind, result.leaks) for result in results]
    [('white noise', False), ('shuffled', False)]
    """
    grid = HexGrid([CENTRE]).dilated(rings)
    rng = np.random.default_rng(seed)
    even = np.full(grid.n_cells, rate)
    uneven = rate * rng.gamma(0.5, 2.0, size=grid.n_cells)
    results = []
    for kind, law in (("white noise", even), ("shuffled", uneven)):
        counts = rng.poisson(law, size=(days, grid.n_cells))
        results.append(_try(kind, forecaster_factory, panel_of(counts, grid), law, folds, rng=rng))
    return results


def panel_of(counts: NDArray[np.int64], grid: Grid) -> Panel:
    """Make a daily panel of one category, ``noise``, from dense counts of shape (n_bins, n_cells)."""
    bins = TimeBins("2022-01-01", len(counts), "1D", "Europe/Paris")
    return Panel.from_counts(counts[None], grid, bins, ["noise"], {"noise": "citizen"})


def _try(
    kind: str,
    factory: Callable[[Target], Forecaster],
    panel: Panel,
    law: NDArray[Any],
    folds: int,
    *,
    rng: np.random.Generator,
) -> CanaryResult:
    from tranquillite_ml.evaluation.backtest import backtest

    forecaster = factory(Target("noise"))
    if folds < 1:
        msg = f"folds must be at least 1, got {folds}."
        raise UsageError(msg)
    found = backtest([forecaster], panel, RollingOrigin(folds=folds, every="1D"))
    expected, observed = np.maximum(found.expected_count, 1e-9), found.observed_count
    gains = (observed * np.log(expected / law) - expected + law).sum(axis=1)
    # What chance gives these very forecasts, if the law is true and they know nothing of the outcome.
    drawn = rng.poisson(law, size=(SIMULATIONS, *expected.shape))
    by_chance = (drawn * np.log(expected / law) - expected + law).sum(axis=2).mean(axis=1)
    upper = float(max(np.quantile(by_chance, 0.999), 0.0))
    return CanaryResult(kind, float(gains.mean()), upper, len(gains), int(observed.sum()))
