"""Kernel hotspots as forecasters: past incidents, each spread over the places around it.

A kernel sum over cells is a sparse matrix times the counts of the past. Its columns are made to sum to one,
so that every incident keeps its weight on the grid, edges included: what comes out is a rate with the right
total, the mean count per bin over the memory laid out anew.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.bundle import Parts
from tranquillite_ml.errors import UsageError, positive_numbers
from tranquillite_ml.features import View
from tranquillite_ml.forecasters.base import Forecaster, settle_bins
from tranquillite_ml.grid import centres_in_metres
from tranquillite_ml.processes.kernels import (
    Kernel,
    gaussian,
    inverse_distance,
    kernel_matrix,
    quartic,
)
from tranquillite_ml.processes.surfaces import inverse_age

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from tranquillite_ml.grid import Grid
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.target import Target

FLOOR = 0.02
"""Share of the city's rate that is laid evenly over its area, so that no place has rate zero."""

SIDES = (0.35, 0.5, 0.7, 1, 1.4, 2, 2.8)  # widths of the Gaussian to choose from, in sides of a cell


class _KernelForecaster(Forecaster):
    """A forecaster that says how the past is weighted, by age and by distance."""

    @abstractmethod
    def _kernel(self, view: View) -> Kernel:
        """Weight by distance."""

    @abstractmethod
    def _memory(self, view: View) -> tuple[NDArray[Any], NDArray[Any]]:
        """Mean count per bin, shape (n_rows, n_cells), and the bins it rests on, shape (n_rows, 1)."""

    def _rate(self, view: View) -> NDArray[Any]:
        mean, exposure = self._memory(view)
        shares = self._shares(view.panel.grid, self._kernel(view))
        per_bin = _laid_out(mean, exposure, shares, view.panel.grid)
        return per_bin * (view.target.period * view.exposure_factor)

    def _shares(self, grid: Grid, kernel: Kernel) -> csr_matrix:
        """Shares of a grid and kernel, made once."""
        if getattr(self, "_grid", None) is not grid:
            self._grid, self._made = grid, dict[Kernel, "csr_matrix"]()
        if kernel not in self._made:
            self._made[kernel] = kernel_shares(grid, kernel)
        return self._made[kernel]


class RetrospectiveHotspot(_KernelForecaster):
    """Incidents of a past window, each spread over the cells around it; all ages count alike.

    Parameters
    ----------
    target, calibration_days, strata, level
        As for `Forecaster`.
    window_days : float, default 365
        Length of the window.
    bandwidth_m : float, optional
        Distance at which the quartic kernel ends; twice a cell's side when not given (650 m at resolution 9).

    Notes
    -----
    Σ (1 − d²/b²)² over the window, between centres of cells; see `kernel_shares` for the total and `FLOOR`
    for places without any. Such surfaces are compared in Chainey, Tompson and Uhlig (2008), Security Journal
    21, doi:10.1057/palgrave.sj.8350066.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> RetrospectiveHotspot(Target("noise"), window_days=60).name
    'retrospective'
    """

    name = "retrospective"

    def __init__(
        self,
        target: Target,
        *,
        window_days: float = 365,
        bandwidth_m: float | None = None,
        calibration_days: float = 60,
        strata: int = 5,
        level: float = 0.9,
    ) -> None:
        super().__init__(target, calibration_days=calibration_days, strata=strata, level=level)
        self.window_days = window_days
        self.bandwidth_m = bandwidth_m

    def _train(self, panel: Panel, category: str) -> None:
        _positive([self.window_days], "window_days")

    def _kernel(self, view: View) -> Kernel:
        return quartic(2 * side_m(view.panel.grid) if self.bandwidth_m is None else self.bandwidth_m)

    def _memory(self, view: View) -> tuple[NDArray[Any], NDArray[Any]]:
        width = view.bins.days(self.window_days)
        return view.window(self.window_days) / np.float32(width), np.minimum(view.rows, width)[:, None]


class ProspectiveHotspot(_KernelForecaster):
    """What was recorded near and of late: weights 1/((1 + d)(1 + t)), d in cells, t in weeks.

    Parameters
    ----------
    target, calibration_days, strata, level
        As for `Forecaster`.
    weeks : float, default 8
        Older incidents are left out.
    reach : float, default 8
        Units of distance beyond which incidents are left out.
    unit_m : float, optional
        Unit of distance; a cell's side when not given (325 m at resolution 9).

    Notes
    -----
    Bowers, Johnson and Pease (2004), British Journal of Criminology 44(5), doi:10.1093/bjc/azh036. Ages are
    those of the middles of bins, or of days where bins are shorter.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> ProspectiveHotspot(Target("noise")).weeks
    8
    """

    name = "prospective"

    def __init__(
        self,
        target: Target,
        *,
        weeks: float = 8,
        reach: float = 8,
        unit_m: float | None = None,
        calibration_days: float = 60,
        strata: int = 5,
        level: float = 0.9,
    ) -> None:
        super().__init__(target, calibration_days=calibration_days, strata=strata, level=level)
        self.weeks = weeks
        self.reach = reach
        self.unit_m = unit_m

    def _train(self, panel: Panel, category: str) -> None:
        _positive([self.weeks], "weeks")

    def _kernel(self, view: View) -> Kernel:
        unit = side_m(view.panel.grid) if self.unit_m is None else self.unit_m
        return inverse_distance(unit, reach=self.reach)

    def _memory(self, view: View) -> tuple[NDArray[Any], NDArray[Any]]:
        step = view.bins.days(1)
        days = step / view.bins.bins_per_day
        middles = np.arange(0.5, max(7 * self.weeks / days, 1)) * days
        total = np.zeros(view.shape, dtype=np.float32)
        exposure = np.zeros((len(view.rows), 1))
        for number, weight in enumerate(inverse_age(middles, reach=np.inf).tolist()):
            end = np.maximum(view.rows - number * step, 0)
            begin = np.maximum(end - step, 0)
            total += np.float32(weight) * view.known("target").between(view.rows, begin, end)
            exposure += weight * (end - begin)[:, None]
        return total / exposure.astype(np.float32), exposure


class KernelDensity(_KernelForecaster):
    """Fading counts smoothed by a Gaussian, whose width and memory are those that foretold the past best.

    Parameters
    ----------
    target, calibration_days, strata, level
        As for `Forecaster`.
    bandwidths_m : sequence of float, optional
        Standard deviations to choose from; 0.35 to 2.8 sides of a cell when not given.
    decays_days : sequence of float, default (15, 30, 60, 120, 240, 480, 960)
        e-folding times of the memory to choose from.
    search_days : float, default 182
        Length of the past on which the choice is made.

    Attributes
    ----------
    models_ : dict of str to dict
        ``bandwidth_m`` and ``decay_days`` of each category, and the ``n`` incidents that chose them.

    Notes
    -----
    The last `search_days` before the calibration window are cut into weeks (or periods, if these are longer).
    Each is forecast from what was known at its start, and the pair with the greatest Σ n log p is taken, p
    being a cell's share of the rate: the total is the calibration's business. A smoother pair wins a tie.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=200, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> fitted = KernelDensity(Target("noise", period=7), bandwidths_m=[150, 300, 600]).fit(panel)
    >>> sorted(fitted.models_["noise"])
    ['bandwidth_m', 'decay_days', 'n']
    """

    name = "kde"

    def __init__(
        self,
        target: Target,
        *,
        bandwidths_m: Sequence[float] | None = None,
        decays_days: Sequence[float] = (15, 30, 60, 120, 240, 480, 960),
        search_days: float = 182,
        calibration_days: float = 60,
        strata: int = 5,
        level: float = 0.9,
    ) -> None:
        super().__init__(target, calibration_days=calibration_days, strata=strata, level=level)
        self.bandwidths_m = bandwidths_m
        self.decays_days = decays_days
        self.search_days = search_days

    def _kernel(self, view: View) -> Kernel:
        return gaussian(self.models_[view.category]["bandwidth_m"])

    def _memory(self, view: View) -> tuple[NDArray[Any], NDArray[Any]]:
        days = self.models_[view.category]["decay_days"]
        return view.decay(days), view.decay_weight(days)

    def _train(self, panel: Panel, category: str) -> dict[str, float]:
        grid = panel.grid
        sides = [share * side_m(grid) for share in SIDES]
        widths = _positive(sides if self.bandwidths_m is None else self.bandwidths_m, "bandwidths_m")
        decays = _positive(self.decays_days, "decays_days")
        view, outcome = self._rehearsals(panel, category)
        memories = [(view.decay(days), view.decay_weight(days)) for days in decays]
        best, chosen = -np.inf, (widths[0], decays[0])
        for width in widths:
            shares = kernel_shares(grid, gaussian(width))
            for days, memory in zip(decays, memories, strict=True):
                rate = _laid_out(*memory, shares, grid)
                share = rate / rate.sum(axis=1, keepdims=True)
                gain = float((outcome * np.log(share)).sum())
                if gain > best:
                    best, chosen = gain, (width, days)
        return {"bandwidth_m": chosen[0], "decay_days": chosen[1], "n": int(outcome.sum())}

    def _rehearsals(self, panel: Panel, category: str) -> tuple[View, NDArray[Any]]:
        """Starts of the last weeks whose outcome is complete, and that outcome."""
        length = max(self.target.period, panel.bins.days(7))
        end = panel.n_bins - settle_bins(panel, category)
        n_weeks = max(min(panel.bins.days(self.search_days), end // 2) // length, 0)
        rows = end - length * np.arange(n_weeks, 0, -1)
        view = View(panel, category, self.target, rows)
        return view, view.recorded(rows, rows + length)

    def _parts(self) -> Parts:
        parts = super()._parts()
        return Parts(parts.description | {"models": self.models_}, parts.arrays, parts.texts)


def kernel_shares(grid: Grid, kernel: Kernel) -> csr_matrix:
    """Share of each cell's count that a kernel lays on each cell, shape (n_cells, n_cells); columns sum to 1.

    Parameters
    ----------
    grid : Grid
    kernel : Kernel
        Taken between centres, times the receiving cell's area: a density becomes a count.

    Examples
    --------
    >>> from tranquillite_ml.hexgrid import HexGrid
    >>> shares = kernel_shares(HexGrid(["893968152bbffff"]).dilated(1), quartic(650))
    >>> shares.sum(axis=0).round(5).tolist()
    [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]
    """
    from scipy.sparse import diags

    laid = diags(grid.area_km2) @ kernel_matrix(centres_in_metres(grid), kernel)
    whole = np.asarray(laid.sum(axis=0)).ravel()
    return (laid @ diags(1 / whole)).tocsr().astype(np.float32)


def side_m(grid: Grid) -> float:
    """Side in metres of a square as large as the grid's mean cell.

    Examples
    --------
    >>> from tranquillite_ml.hexgrid import HexGrid
    >>> round(side_m(HexGrid(["893968152bbffff"])))
    322
    """
    return 1000 * float(np.sqrt(grid.area_km2.mean()))


def _laid_out(
    mean: NDArray[Any], exposure: NDArray[Any], shares: csr_matrix, grid: Grid
) -> NDArray[np.float64]:
    """Mean count per bin, spread by the shares over a small even floor, shape (n_rows, n_cells)."""
    spread = (shares @ np.ascontiguousarray(mean.T, dtype=np.float32)).T.astype(np.float64)
    # Half an incident more than counted, as in the ladder, keeps the floor above zero where none is known.
    level = mean.sum(axis=1, keepdims=True, dtype=np.float64) + 0.5 / exposure
    even = grid.area_km2 / grid.area_km2.sum()
    laid: NDArray[np.float64] = (1 - FLOOR) * spread + FLOOR * level * even
    return laid


def _positive(values: Any, name: str) -> list[float]:
    """Positive values, the greatest (smoothest) first."""
    found = positive_numbers(values)
    if not found:
        msg = f"{name} must be one or more positive numbers, got {values!r}."
        raise UsageError(msg)
    return sorted((float(value) for value in found), reverse=True)
