"""A simulated city, and the law that generated it: the oracle to which forecasts are compared.

Nothing here describes a real place. The map resembles a port on a western coast, districts are numbered, and
every rate, rhythm and effect is invented. Whatever shows these data must say that they are simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tranquillite_ml.city.process import SelfExcitingProcess
from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.timebins import TimeBins

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    from tranquillite_ml.city.effects import Planted
    from tranquillite_ml.hexgrid import HexGrid
    from tranquillite_ml.intake import Incidents

TZ: Final = "Europe/Paris"
NOTICE: Final = "Simulated data: these incidents were made by tranquillite_ml and describe no real place."
"""Sentence that every output made from a simulated city must carry."""
NOTICE_ON_AREA: Final = (
    "Simulated data: the outlines are real; the incidents on them were made by tranquillite_ml and say "
    "nothing about any place."
)
"""The same where the city is laid on given polygons."""


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedCity:
    """Recorded incidents of a simulated city, its map, and the law that generated them.

    Compare a forecast with `intensity` to see how much of what could be known it knew.

    Attributes
    ----------
    incidents : Incidents
        Recorded incidents with ``incident_id, occurred_at, reported_at, lat, lng, category``.
    grid : HexGrid
        Cells whose centre is on land.
    districts : GeoDataFrame
        Sixteen fictitious districts: ``district, residents, households, income_quintile``, geometry in
        EPSG:4326. All but the outline is there for the audit's groups; the simulation never looks at it.
        Laid on a given area: its polygons, with their own columns.
    study_area : shapely Polygon
        Land within the city's limits (longitude, latitude).
    events : DataFrame
        Match evenings: ``event, place, lat, lng, start, end, attendance, known_at``.
    effects : DataFrame
        Planted effects, one row an effect and category: ``effect, category, zone, factor``. The factor
        multiplies the baseline rate in the cells of ``zones[zone]`` in the hours of ``windows[effect]``, or
        place by place as `planted` says it; for ``season`` it is the ratio of the peak day to the opposite
        day.
    categories : DataFrame
        One row a category: ``origin``, ``source`` and all parameters of its law, ring shares included.
    zones : dict of str to ndarray of bool, shape (n_cells,)
        Cells of each zone.
    windows : dict of str to ndarray of bool, shape (n_hours,)
        Hours in which each effect acts.
    planted : dict of str to Planted
        Where and when each effect acts.
    hours : DatetimeIndex
        Start of each real hour simulated, local time: a day has 23 or 25 where the clock changes.
    tz, bins_freq, notice : str
        Time zone, usual bin, and the sentence that outputs must carry.
    """

    incidents: Incidents
    grid: HexGrid
    districts: gpd.GeoDataFrame
    study_area: Any
    events: pd.DataFrame
    effects: pd.DataFrame
    categories: pd.DataFrame
    zones: Mapping[str, NDArray[np.bool_]]
    windows: Mapping[str, NDArray[np.bool_]]
    planted: Mapping[str, Planted]
    hours: pd.DatetimeIndex
    tz: str = TZ
    bins_freq: str = "1D"
    notice: str = NOTICE
    _truth: Mapping[str, Truth] = field(default_factory=dict)

    def __repr__(self) -> str:
        first, last = self.hours[0].date(), self.hours[-1].date()
        number = sum(len(truth.event_hours) for truth in self._truth.values())
        return f"SimulatedCity({number} simulated incidents, {self.grid.n_cells} cells, {first} to {last})"

    def bins(self, freq: str | None = None) -> TimeBins:
        """Time bins over the simulated days, of `bins_freq` unless told otherwise, in whole bins."""
        daily = TimeBins(self.hours[0], 0, freq or self.bins_freq, self.tz)
        days = round(len(self.hours) / 24)
        return daily.extended(days * 24 // daily.hours)

    def intensity(
        self, bins: TimeBins, category: str, *, period: int = 1, horizon: int = 1
    ) -> NDArray[np.float64]:
        """Give the true expected count of each cell, given everything that occurred before each bin.

        This is the best forecast there is: baseline with all its rhythms, near repeats of earlier incidents
        (reported or not), and near repeats of incidents that are still to come, in closed form.

        Parameters
        ----------
        bins : TimeBins
            Bins within the simulated time, in the city's time zone.
        category : str
        period : int, default 1
            Bins summed into one expected count.
        horizon : int, default 1
            Which period after the start of the bin, 1-indexed; knowledge still ends at the start of the bin.

        Returns
        -------
        ndarray, shape (n_bins − horizon × period + 1, n_cells)
            Row t is the expected count over the `period` bins from t + (horizon − 1) × period on, given the
            incidents before bin t.

        Raises
        ------
        UsageError
            If the category is unknown, or bins are too few, in another zone or outside the simulated time.
        """
        truth = self._truth_of(category)
        edges = self._hour_numbers(bins)
        rows = bins.n_bins - horizon * period + 1
        if period < 1 or horizon < 1 or rows < 1:
            msg = (
                f"period and horizon must be 1 or more and fit into the bins, got period={period}, "
                f"horizon={horizon} and {bins.n_bins} bins."
            )
            raise UsageError(msg)
        first, last = edges[(horizon - 1) * period :][:rows], edges[horizon * period :][:rows]
        return truth.process.expected(edges[:rows], first, last, truth.event_hours, truth.event_cells)

    def baseline(self, bins: TimeBins, category: str) -> NDArray[np.float64]:
        """Give the expected count of incidents that nothing triggered, shape (n_bins, n_cells).

        Raises
        ------
        UsageError
            If the category is unknown, or the bins are in another zone or outside the simulated time.
        """
        edges = self._hour_numbers(bins)
        return self._truth_of(category).process.baseline(edges[:-1], edges[1:])

    def _truth_of(self, category: str) -> Truth:
        return self._truth[check_in(category, self._truth, "category")]

    def _hour_numbers(self, bins: TimeBins) -> NDArray[np.int64]:
        """Real hours from the start of the simulation to each edge of the bins."""
        first = self.hours[0]
        hours = np.asarray((bins.edges - first) // pd.Timedelta(hours=1), dtype=np.int64)
        if bins.tz != self.tz or hours[0] < 0 or hours[-1] > len(self.hours):
            msg = (
                f"bins must lie within the {len(self.hours)} simulated hours from {first} in {self.tz}; "
                f"got {bins.first} to {bins.end} in {bins.tz}. Start from `city.bins()`."
            )
            raise UsageError(msg)
        return hours


@dataclass(frozen=True, eq=False)
class Truth:
    """A category's process and what it brought forth, in hours since the start and rows of the grid."""

    process: SelfExcitingProcess
    event_hours: NDArray[np.float64]
    event_cells: NDArray[np.int64]
