"""The categories of the simulated city: where and when each arises, and how late it is reported.

Every number here is invented. None is an estimate for a real city.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tranquillite_ml.city.process import SelfExcitingProcess, neighbour_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.city.effects import Planted
    from tranquillite_ml.city.layout import CityLayout


@dataclass(frozen=True)
class CategoryLaw:
    """How recorded incidents of one category arise and are reported.

    Attributes
    ----------
    name, origin, source : str
        Category; who made the record (``citizen``, ``sensor``, ``agent``, ``fine``); from which register.
    share : float
        Share of all recorded incidents.
    peak_hour, day_swing : float
        Local hour at which the daily rhythm ``exp(day_swing × cos)`` peaks, and its logarithmic amplitude.
    peak_day, year_swing : float
        The same for the season, by day of the year.
    offspring, decay_days : float
        Mean number of incidents one incident triggers directly, and mean time to them in days.
    delay_hours, delay_spread, on_the_spot : float
        Median reporting delay in hours and its logarithmic standard deviation; share reported within minutes.
    land_use : mapping of str to float
        Log-linear coefficient of each layer of land use.
    flat : bool, default False
        Nothing of all this but the share and the delay: white noise.
    """

    name: str
    origin: str
    source: str
    share: float
    peak_hour: float
    day_swing: float
    peak_day: float
    year_swing: float
    offspring: float
    decay_days: float
    delay_hours: float
    delay_spread: float
    on_the_spot: float
    land_use: Mapping[str, float] = field(default_factory=dict)
    flat: bool = False


RING_SHARES: Final = (0.6, 0.3, 0.1)
"""Shares of triggered incidents that fall in the same cell, one step away and two steps away."""

BUILT: Final = 0.7
"""Log-linear coefficient of the layer ``built`` of a given area, the same for all categories."""

# New categories go last: each one's random stream is numbered by its place in this list.
CATEGORY_LAWS: Final = (
    CategoryLaw("noise", "citizen", "resident line", 0.24, 23, 0.9, 196, 0.30, 0.30, 3, 1.5, 1.0, 0.5,
                {"centre": 1.6, "shore": 0.5, "hills": -2.0}),
    CategoryLaw("dumping", "citizen", "resident line", 0.17, 8, 0.7, 120, 0.15, 0.35, 10, 20, 1.2, 0.2,
                {"docks": 1.2, "centre": 0.6, "hills": -0.8}),
    CategoryLaw("graffiti", "citizen", "resident line", 0.09, 9, 0.5, 150, 0.10, 0.45, 8, 60, 1.2, 0.05,
                {"centre": 2.0, "docks": 0.8, "hills": -2.0}),
    CategoryLaw("obstructive_parking", "fine", "fine", 0.16, 11, 1.2, 330, 0.10, 0.10, 2, 0.1, 0.5, 1.0,
                {"centre": 2.2, "shore": 0.4, "hills": -2.5}),
    CategoryLaw("street_occupation", "agent", "agent", 0.09, 16, 1.0, 190, 0.25, 0.20, 4, 0.5, 0.8, 0.9,
                {"centre": 2.6, "shore": 0.6, "hills": -2.5}),
    CategoryLaw("damage", "citizen", "police log", 0.08, 2, 0.6, 300, 0.10, 0.30, 5, 12, 1.0, 0.2,
                {"centre": 1.3, "docks": 0.6, "hills": -1.8}),
    CategoryLaw("burglary", "citizen", "police log", 0.07, 15, 0.6, 345, 0.20, 0.40, 7, 18, 1.3, 0.1,
                {"centre": 0.5, "shore": 0.3, "hills": -0.6}),
    CategoryLaw("theft", "citizen", "police log", 0.09, 17, 0.9, 205, 0.20, 0.20, 3, 6, 1.2, 0.3,
                {"centre": 2.2, "shore": 0.5, "hills": -2.2}),
    CategoryLaw("fires", "sensor", "camera", 0.01, 22, 0.7, 200, 0.50, 0.25, 5, 0.02, 0.5, 1.0,
                {"docks": 1.5, "hills": 0.4}),
)  # fmt: skip


def rhythm(law: CategoryLaw, wall: pd.DatetimeIndex) -> NDArray[np.float64]:
    """Daily and seasonal rhythm of a category, without its other effects; shape (n_hours,)."""
    day = np.cos(2 * np.pi * (wall.hour.to_numpy() + 0.5 - law.peak_hour) / 24)
    year = np.cos(2 * np.pi * (wall.day_of_year.to_numpy() - law.peak_day) / 365.25)
    return np.asarray(np.exp(law.day_swing * day + law.year_swing * year))


def profiles(
    law: CategoryLaw, wall: pd.DatetimeIndex, planted: Mapping[str, Planted]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Split the cells by the places they are exposed to, and give each kind of cell its profile.

    Returns
    -------
    kind : ndarray of int64, shape (n_cells,)
    profile : ndarray, shape (n_kinds, n_hours)
        Rhythm times the factors of all effects that act: effects multiply exactly where zones overlap.
    """
    exposed = np.concatenate([effect.exposed for effect in planted.values()], axis=1)
    kinds, kind = np.unique(exposed, axis=0, return_inverse=True)
    profile = np.tile(rhythm(law, wall), (len(kinds), 1))
    column = 0
    for effect in planted.values():
        places = effect.exposed.shape[1]
        acts = kinds[:, column : column + places] @ effect.acting
        profile *= np.where(acts, effect.factors.get(law.name, 1.0), 1.0)
        column += places
    return kind.reshape(-1).astype(np.int64), profile


def flattened(law: CategoryLaw) -> CategoryLaw:
    """Give the same category without rhythms, effects, near repeats or cells that differ: white noise."""
    return replace(law, day_swing=0.0, year_swing=0.0, offspring=0.0, flat=True)


def build_process(
    law: CategoryLaw,
    layout: CityLayout,
    hours: pd.DatetimeIndex,
    planted: Mapping[str, Planted],
    rng: np.random.Generator,
    *,
    shared: NDArray[np.float64],
    per_day: float,
) -> SelfExcitingProcess:
    """Plant a category in a map and a calendar.

    Parameters
    ----------
    law : CategoryLaw
    layout : CityLayout
    hours : DatetimeIndex
        Real hours, in local time.
    planted : mapping of str to Planted
        See `plant`.
    rng : numpy Generator
    shared : ndarray, shape (n_cells,)
        Field that all categories share, see `smooth_field`.
    per_day : float
        Incidents of all categories to expect in 24 hours, of which this one has its share.
    """
    wall = hours.tz_localize(None)
    if law.flat:
        weight = np.ones(layout.grid.n_cells)
        kind, profile = np.zeros(len(weight), dtype=np.int64), np.ones((1, len(wall)))
    else:
        weight = surface(law, layout, shared, rng)
        kind, profile = profiles(law, wall, planted)
    unscaled = 24 * float(np.bincount(kind, weight, minlength=len(profile)) @ profile.mean(axis=1))
    return SelfExcitingProcess(
        weight=weight * (law.share * per_day * (1 - law.offspring) / unscaled),
        zone=kind,
        profile=profile,
        neighbours=neighbour_table([layout.grid.ring(k) for k in range(1, len(RING_SHARES))]),
        ring_shares=RING_SHARES,
        offspring=law.offspring,
        decay_hours=law.decay_days * 24,
    )


def categories_table(laws: Sequence[CategoryLaw]) -> pd.DataFrame:
    """List the parameters of these categories, one row each, indexed by ``category``."""
    table = pd.DataFrame([asdict(law) for law in laws]).drop(columns="land_use")
    table = table.rename(columns={"name": "category"})
    for ring, share in enumerate(RING_SHARES):
        table[f"ring_{ring}_share"] = share
    return table.set_index("category")


def smooth_field(layout: CityLayout, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a standardised random field that varies smoothly from cell to cell; shape (n_cells,)."""
    ring = layout.grid.ring(1)
    size = 1 + np.asarray(ring.sum(axis=1)).reshape(-1)
    values = rng.normal(size=layout.grid.n_cells)
    for _ in range(4):
        values = (values + ring @ values) / size
    centred = values - values.mean()
    return np.asarray(centred / max(float(centred.std()), 1e-12))


def surface(
    law: CategoryLaw, layout: CityLayout, shared: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Spatial weights that sum to 1: land use, a smooth field shared by all, one of its own, gamma noise.

    In a given area, also a level of each polygon, of standard deviation 0.4.
    """
    log_weight = 0.5 * shared + 0.5 * smooth_field(layout, rng)
    for layer, coefficient in ({"built": BUILT} | dict(law.land_use)).items():
        if layer in layout.land_use:
            log_weight = log_weight + coefficient * layout.land_use[layer]
    if layout.polygon is not None:
        log_weight = log_weight + 0.4 * rng.normal(size=layout.polygon.max() + 1)[layout.polygon]
    weight = np.exp(log_weight) * rng.gamma(3.0, 1 / 3.0, layout.grid.n_cells)
    return np.asarray(weight / weight.sum())


def report(
    law: CategoryLaw,
    start: pd.Timestamp,
    hours: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    delayed: bool,
) -> pd.DataFrame:
    """Turn hours since `start` into records: ``incident_id, category, occurred_at, reported_at``.

    The delay is of minutes for those recorded on the spot, else log-normal, and 120 days at most. Times are
    in whole seconds and the zone of `start`; made from instants, none falls in a gap of the clock.
    """
    minutes = rng.exponential(3 / 60, len(hours))
    later = law.delay_hours * np.exp(law.delay_spread * rng.normal(size=len(hours)))
    delay = np.minimum(np.where(rng.random(len(hours)) < law.on_the_spot, minutes, later), 120 * 24)
    seconds = np.rint(hours * 3600).astype(np.int64)
    late = seconds + np.floor(delay * 3600).astype(np.int64) * delayed
    origin = np.datetime64(start.tz_convert("UTC").tz_localize(None), "us")
    occurred, reported = (
        pd.DatetimeIndex(origin + moment.astype("timedelta64[s]")).tz_localize("UTC").tz_convert(start.tz)
        for moment in (seconds, late)
    )
    numbers = range(1, len(hours) + 1)
    return pd.DataFrame(
        {
            "incident_id": pd.Series([f"{law.name}-{number:06d}" for number in numbers], dtype="str"),
            "category": pd.Series([law.name] * len(hours), dtype="str"),
            "occurred_at": occurred,
            "reported_at": reported,
        }
    )
