"""Aoristic weights: an incident known to lie in an interval, spread over the time bins it may belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.timebins import TimeBins

QUANTUM = 2.0**-30
"""Weights are whole multiples of it: any sum of up to eight million of them is exact in float64."""


def aoristic_weights(
    begin: pd.Series[Any], end: pd.Series[Any], bins: TimeBins
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Share of each interval that lies in each time bin, by elapsed time.

    Parameters
    ----------
    begin, end : Series of tz-aware datetimes, shape (n,)
        Half-open intervals [begin, end); one without length lies in the bin of its begin.
    bins : TimeBins
        Bins before the first and after the last are numbered on.

    Returns
    -------
    row, bin : ndarray of int64
        Interval and bin of each weight above zero, by interval, then by bin.
    weight : ndarray of float64
        Whole multiples of 2⁻³⁰ (about 1e-9) that sum to exactly 1 for each interval.

    Notes
    -----
    The incident is taken to be equally likely at every moment of its interval (Ratcliffe 2000, Aoristic
    analysis: the spatial interface of unspecific temporal events, doi:10.1080/136588100424963). Moments are
    counted in elapsed time, so that the day of 23 hours gets 23 parts and the day of 25 hours 25.

    Examples
    --------
    From ten in the evening to four in the morning, two hours lie in the first day and four in the second:

    >>> from tranquillite_ml.timebins import TimeBins
    >>> bins = TimeBins("2024-05-01", 2, "1D", "Europe/Paris")
    >>> begin = pd.Series(pd.to_datetime(["2024-05-01 22:00"]).tz_localize("Europe/Paris"))
    >>> row, time_bin, weight = aoristic_weights(begin, begin + pd.Timedelta(hours=6), bins)
    >>> time_bin.tolist(), weight.round(3).tolist()
    ([0, 1], [0.333, 0.667])
    """
    since, until = (pd.DatetimeIndex(times).tz_convert("UTC").as_unit("us").asi8 for times in (begin, end))
    length = until - since
    first = bins.locate(begin)
    last = np.maximum(bins.locate(end - pd.Timedelta(microseconds=1)), first)
    n = last - first + 1
    row = np.repeat(np.arange(len(first)), n)
    time_bin = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n)
    edge = bins.instants(time_bin).tz_convert("UTC").as_unit("us").asi8
    # Shares up to each bin's start are rounded, not the weights: so the weights sum to one exactly.
    before = np.round(np.clip((edge - since[row]) / np.maximum(length, 1)[row], 0, 1) / QUANTUM)
    before[time_bin == first[row]] = 0.0
    weight = np.where(time_bin == last[row], 1 / QUANTUM, np.append(before[1:], 0.0)) - before
    kept = weight > 0
    return row[kept], time_bin[kept], weight[kept] * QUANTUM
