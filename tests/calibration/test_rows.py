"""Which periods a calibration looks at: all hours and weekdays equally, all horizons, none after its end."""

from __future__ import annotations

import numpy as np
import pytest

from tranquillite_ml.forecasters.base import MAX_CALIBRATION_ROWS, _calibration_rows
from tranquillite_ml.target import Target

TARGETS = {
    "days": (Target("noise", horizons=range(1, 8)), 7),
    "week": (Target("noise", period=7), 7),
    "shifts": (Target("noise", horizons=range(1, 22)), 21),
    "hours": (Target("noise", horizons=range(1, 25)), 168),
    "later": (Target("noise", period=7, horizons=[2, 3]), 7),
}


@pytest.mark.parametrize("case", TARGETS)
@pytest.mark.parametrize("days", [42, 60, 84, 90])
def test_rows_are_few_even_and_inside_the_window(case: str, days: int) -> None:
    target, week = TARGETS[case]
    first, last = 1000, 1000 + days * week // 7
    found = _calibration_rows(first, last, target, week)
    assert 0 < len(found) <= MAX_CALIBRATION_ROWS
    rows, horizons = found.T
    begin = rows + (horizons - 1) * target.period
    assert (rows >= first).all()
    assert (begin + target.period).max() == last
    assert set(horizons.tolist()) <= set(target.horizons)
    assert (np.diff(rows) >= 0).all()
    daily = np.bincount(begin % (week // 7 if week > 7 else 7))
    assert daily.max() - daily.min() <= 2 + len(found) // 20  # no hour or weekday is favoured


def test_a_window_shorter_than_a_period_gives_no_rows() -> None:
    assert _calibration_rows(100, 105, Target("noise", period=7), 7).shape == (0, 2)


def test_horizons_take_turns() -> None:
    found = _calibration_rows(0, 60, Target("noise", horizons=[1, 2, 3]), 7)
    assert np.bincount(found[:, 1])[1:].tolist() == [20, 20, 20]
