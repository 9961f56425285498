"""A simulated city whose true intensity is known: the demo's data, and the oracle for tests.

Nothing here describes a real place. The map resembles a port on a western coast, districts are numbered, and
every rate, rhythm and effect is invented. Whatever shows these data must say that they are simulated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tranquillite_ml.city.law import (
    CATEGORY_LAWS,
    CategoryLaw,
    build_process,
    categories_table,
    draw_matches,
    effects_table,
    flattened,
    report,
    smooth_field,
    windows,
)
from tranquillite_ml.city.layout import CityLayout, build_layout, points_in_cells
from tranquillite_ml.city.process import SelfExcitingProcess
from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.intake import Incidents
from tranquillite_ml.timebins import TimeBins

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    from tranquillite_ml.hexgrid import HexGrid

TZ: Final = "Europe/Paris"
NOTICE: Final = "Simulated data: these incidents were made by tranquillite_ml and describe no real place."
"""Sentence that every output made from a simulated city must carry."""


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
    study_area : shapely Polygon
        Land within the city's limits (longitude, latitude).
    events : DataFrame
        Match evenings: ``event, place, lat, lng, start, end, attendance, known_at``.
    effects : DataFrame
        Planted effects, one row an effect and category: ``effect, category, zone, factor``. The factor
        multiplies the baseline rate in the cells of ``zones[zone]`` in the hours of ``windows[effect]``; for
        ``season`` it is the ratio of the peak day to the opposite day.
    categories : DataFrame
        One row a category: ``origin``, ``source`` and all parameters of its law, ring shares included.
    zones : dict of str to ndarray of bool, shape (n_cells,)
        Cells of each zone.
    windows : dict of str to ndarray of bool, shape (n_hours,)
        Hours in which each effect acts.
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
    hours: pd.DatetimeIndex
    tz: str = TZ
    bins_freq: str = "1D"
    notice: str = NOTICE
    _truth: Mapping[str, _Truth] = field(default_factory=dict)

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

    def _truth_of(self, category: str) -> _Truth:
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
class _Truth:
    """A category's process and what it brought forth, in hours since the start and rows of the grid."""

    process: SelfExcitingProcess
    event_hours: NDArray[np.float64]
    event_cells: NDArray[np.int64]


def simulate_city(
    seed: int = 0,
    *,
    days: int = 730,
    start: str = "2022-01-01",
    resolution: int = 9,
    incidents_per_day: float = 60.0,
    radius_km: float = 10.0,
    categories: Sequence[str] | None = None,
    near_repeat: float = 1.0,
    reporting_delay: bool = True,
    flat: bool = False,
) -> SimulatedCity:
    """Simulate recorded incidents of *tranquillité* in a fictitious port, with their true intensity.

    A place to try a method where the answer is known: heterogeneous cells, a harbour, a nightlife quarter,
    match evenings, seasons, daily and weekly rhythms, public holidays, near repeats and reporting delays.

    Parameters
    ----------
    seed : int, default 0
        Same seed, same table. Each category has a random stream of its own. The map does not depend on it.
    days : int, default 730
        Local days simulated. The process starts without a past.
    start : str, default "2022-01-01"
        First day, local time in Europe/Paris.
    resolution : int, default 9
        H3 resolution of the cells. Near repeats spread over rings of cells, hence further at a coarser one.
    incidents_per_day : float, default 60.0
        Approximate number of incidents a day over all nine categories (near repeats at sea are lost).
    radius_km : float, default 10.0
        Kilometres from the harbour to the limits; 10 gives about 1,900 cells of resolution 9, 2.5 about 120.
    categories : sequence of str, optional
        Simulate only these; their incidents are the same as with all nine.
    near_repeat : float, default 1.0
        Multiplies the number of near repeats; 0 switches them off, the total stays.
    reporting_delay : bool, default True
        If False, incidents are reported when they occur.
    flat : bool, default False
        White noise: independent Poisson counts, one rate for all cells and hours, no effect, no near repeat.

    Returns
    -------
    SimulatedCity

    Raises
    ------
    UsageError
        If an argument is out of range or a category is unknown.

    References
    ----------
    Mohler, Short, Malinowski, Johnson, Tita, Bertozzi & Brantingham (2015), JASA 110(512), a self-exciting
    intensity on cells: https://doi.org/10.1080/01621459.2015.1077710; `process.py` has the formula.

    Examples
    --------
    >>> city = simulate_city(seed=1, days=28, radius_km=2.0, incidents_per_day=20)
    >>> city.grid.n_cells, len(city.districts)
    (75, 16)
    >>> city.intensity(city.bins("7D"), "noise").shape
    (4, 75)
    """
    names = [law.name for law in CATEGORY_LAWS]
    wanted = names if categories is None else [check_in(name, names, "categories") for name in categories]
    _check_between(len(wanted), 1, len(names), "number of categories")
    _check_between(near_repeat, 0, 0.95 / max(law.offspring for law in CATEGORY_LAWS), "near_repeat")
    laws = {
        number: replace(law, offspring=law.offspring * near_repeat)
        for number, law in enumerate(CATEGORY_LAWS)
        if law.name in wanted
    }
    if flat:
        laws = {number: flattened(law) for number, law in laws.items()}
    layout = build_layout(resolution, radius_km)
    return _simulate(seed, layout, _hours(start, days), laws, incidents_per_day, delayed=reporting_delay)


def simulate_white_noise(
    seed: int = 0,
    *,
    n_cells: int = 200,
    days: int = 730,
    rate: float = 0.05,
    start: str = "2022-01-01",
    resolution: int = 9,
) -> SimulatedCity:
    """Simulate independent Poisson counts of one category, ``noise``: there is nothing to learn but the rate.

    For leakage canaries: whoever beats the constant rate here has seen the future.

    Parameters
    ----------
    n_cells : int, default 200
        Cells, approximately: the map is scaled to about this number.
    rate : float, default 0.05
        Expected incidents a cell and 24 hours.
    seed, days, start, resolution
        As in `simulate_city`.

    Returns
    -------
    SimulatedCity
        Reported without delay.

    Raises
    ------
    UsageError
        If an argument is out of range.

    Examples
    --------
    >>> city = simulate_white_noise(n_cells=50, days=10)
    >>> set(city.intensity(city.bins(), "noise").ravel().round(12).tolist())
    {0.05}
    """
    _check_between(n_cells, 10, 100_000, "n_cells")
    _check_between(rate, 0, 1e4, "rate")
    cell_km2 = 0.104 * 7.0 ** (9 - resolution)
    layout = build_layout(resolution, float(np.sqrt(n_cells * cell_km2 / 1.96)))
    laws = {0: flattened(replace(CATEGORY_LAWS[0], share=1.0))}
    return _simulate(seed, layout, _hours(start, days), laws, rate * layout.grid.n_cells, delayed=False)


def _simulate(
    seed: int,
    layout: CityLayout,
    hours: pd.DatetimeIndex,
    laws: Mapping[int, CategoryLaw],
    per_day: float,
    *,
    delayed: bool,
) -> SimulatedCity:
    """Draw what is common to all categories, then each category from its own streams."""
    _check_between(seed, 0, 2**63 - 1, "seed")
    _check_between(per_day, 0, 1e7, "incidents_per_day")
    common, *own = np.random.SeedSequence(seed).spawn(1 + len(CATEGORY_LAWS))
    match_rng, field_rng = (np.random.default_rng(stream) for stream in common.spawn(2))
    events = draw_matches(hours, layout.places["stadium"], match_rng)
    acting = windows(hours, events)
    shared = smooth_field(layout, field_rng)
    tables, truths = [], {}
    for number, law in laws.items():
        streams = [np.random.default_rng(stream) for stream in own[number].spawn(4)]
        process = build_process(law, layout, hours, acting, streams[0], shared=shared, per_day=per_day)
        event_hours, event_cells = process.sample(streams[1])
        truths[law.name] = _Truth(process, event_hours, event_cells)
        moments = report(law, hours[0], event_hours, streams[2], delayed=delayed)
        tables.append(moments.assign(**points_in_cells(event_cells, layout, streams[3])))
    origins = {law.name: law.origin for law in laws.values()}
    return SimulatedCity(
        incidents=Incidents.from_table(pd.concat(tables, ignore_index=True), tz=TZ, origins=origins),
        grid=layout.grid,
        districts=layout.districts,
        study_area=layout.study_area,
        events=events,
        effects=effects_table(list(laws.values())),
        categories=categories_table(list(laws.values())),
        zones=layout.zones,
        windows=acting,
        hours=hours,
        _truth=truths,
    )


def _hours(start: str, days: int) -> pd.DatetimeIndex:
    """Start of every real hour of these local days."""
    _check_between(days, 1, 100_000, "days")
    edges = TimeBins(start, days, "1D", TZ).edges
    return pd.date_range(edges[0], edges[-1], freq="h", inclusive="left", unit="us")


def _check_between(value: float, low: float, high: float, name: str) -> None:
    if not low <= value <= high:
        msg = f"{name} must be between {low:g} and {high:g}, got {value!r}."
        raise UsageError(msg)
