"""What an audit looks at: the maps of the audited model whose outcome is known, and the cells each flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.evaluation import select_hotspot
from tranquillite_ml.evaluation.scores import observed_maps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

COVERAGE = 0.05
"""Share of the study area that is flagged in each period, unless the thresholds say otherwise."""


@dataclass(frozen=True, eq=False)
class Slots:
    """Periods of one model and category in order of time: what was forecast, flagged and recorded.

    Attributes
    ----------
    category : str
    forecasts : Forecasts
        One map a period, of the nearest horizon.
    rows : ndarray of int64, shape (n_periods,)
        Row of each map in the forecasts it was taken from.
    flags : ndarray of float64, shape (n_periods, n_cells)
        Share of each cell that is flagged: 1 or 0, and between them for cells that tie for what is left of
        the area.
    starts, ends : DatetimeIndex, shape (n_periods,)
        Local time without zone.
    hours : ndarray of float64, shape (n_periods,)
    """

    category: str
    forecasts: Forecasts
    rows: NDArray[np.int64]
    flags: NDArray[np.float64]
    starts: pd.DatetimeIndex
    ends: pd.DatetimeIndex
    hours: NDArray[np.float64]

    @property
    def expected(self) -> NDArray[np.float64]:
        """Expected counts, shape (n_periods, n_cells)."""
        return self.forecasts.expected_count

    @property
    def observed(self) -> NDArray[np.float64]:
        """Recorded counts, shape (n_periods, n_cells)."""
        return self.forecasts.observed_count

    @property
    def any_observed(self) -> NDArray[np.float64]:
        """1 where something was recorded, shape (n_periods, n_cells)."""
        return (self.observed >= 1).astype(np.float64)

    @property
    def outside(self) -> NDArray[np.float64]:
        """Incidents outside the cells, 0 where that is not known, shape (n_periods,)."""
        return np.nan_to_num(self.forecasts.keys["outside_count"].to_numpy(dtype=np.float64))

    @property
    def counts(self) -> bool:
        """Whether the forecasts are expected counts; ranks only order cells."""
        return not (self.forecasts.keys["distribution"] == "rank").any()


def coverage_of(thresholds: Thresholds) -> float:
    """Share of the study area that is flagged: the setting ``coverage`` of C01, 5 % if there is none.

    Examples
    --------
    >>> from tranquillite_ml.governance import load_thresholds
    >>> coverage_of(load_thresholds())
    0.05
    """
    known = "coverage" in thresholds.checks["C01"].settings
    return thresholds.setting("C01", "coverage") if known else COVERAGE


def audited_slots(forecasts: Forecasts, thresholds: Thresholds) -> list[Slots]:
    """Give the periods that are audited, by category.

    The first model is the audited one. Of several horizons the nearest is taken, so that no period counts
    twice; maps without outcome are left out.

    Parameters
    ----------
    forecasts : Forecasts
    thresholds : Thresholds
        Say how much of the area is flagged.

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> from tranquillite_ml.governance import load_thresholds
    >>> start = pd.Timestamp("2024-01-01", tz="UTC")
    >>> keys = pd.DataFrame({"model": ["ours"], "category": "noise", "cutoff": start, "horizon": 1,
    ...     "period_start": start, "period_end": start + pd.Timedelta("7D"), "exposure_hours": 168.0,
    ...     "distribution": "poisson", "outside_count": 0.0})
    >>> values = {"expected_count": np.array([[3.0, 1.0, 1.0, 0.5]]), "observed_count": np.ones((1, 4))}
    >>> seen = Forecasts(keys, np.arange(1, 5, dtype=np.uint64), np.full(4, 5.0), values, {})
    >>> audited_slots(seen, load_thresholds())[0].flags.tolist()  # 5 % of 20 km² is a fifth of a cell
    [[0.2, 0.0, 0.0, 0.0]]
    """
    keys = forecasts.keys
    mine = (keys["model"] == forecasts.models[0]).to_numpy() & observed_maps(forecasts)
    target = coverage_of(thresholds) * forecasts.study_area_km2
    zone = str(forecasts.meta.get("tz") or "UTC")
    found = []
    for category in forecasts.categories:
        rows = np.flatnonzero(mine & (keys["category"] == category).to_numpy())
        rows = rows[(keys["horizon"].iloc[rows] == keys["horizon"].iloc[rows].min()).to_numpy()]
        if len(rows) == 0:
            continue
        starts = local_times(keys["period_start"].iloc[rows], zone)
        order = np.argsort(starts.asi8, kind="stable")
        part = forecasts.take(rows[order])
        ends = local_times(part.keys["period_end"], zone)
        spans = ((ends - starts[order]) / pd.Timedelta(hours=1)).to_numpy(np.float64)
        given = pd.to_numeric(part.keys["exposure_hours"]).to_numpy(np.float64)
        found.append(
            Slots(
                category=category,
                forecasts=part,
                rows=rows[order],
                flags=select_hotspot(part.expected_count, part.area_km2, target),
                starts=starts[order],
                ends=ends,
                hours=np.where(np.isfinite(given), given, spans),
            )
        )
    return found


def local_times(times: pd.Series[Any], zone: str) -> pd.DatetimeIndex:
    """Local time of the city without its zone.

    Examples
    --------
    >>> local_times(pd.Series(["2024-07-01 00:00:00+02:00"]), "Europe/Paris")[0]
    Timestamp('2024-07-01 00:00:00')
    """
    if isinstance(times.dtype, np.dtype) and times.dtype.kind == "M":
        return pd.DatetimeIndex(times)
    return pd.DatetimeIndex(pd.to_datetime(times, utc=True)).tz_convert(zone).tz_localize(None)
