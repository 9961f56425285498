"""Time bins: exact on the wall clock, exact in exposure."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tranquillite_ml.errors import UsageError
from tranquillite_ml.timebins import TimeBins


@pytest.mark.parametrize(
    ("freq", "day", "expected"),
    [
        ("1D", "2024-03-31", [23.0]),
        ("1D", "2024-10-27", [25.0]),
        ("8h", "2024-03-31", [7.0, 8.0, 8.0]),  # 02:00 does not exist in the first shift
        ("8h", "2024-10-27", [9.0, 8.0, 8.0]),  # 02:00 comes twice in the first shift
    ],
)
def test_exposure_over_clock_changes(freq: str, day: str, expected: list[float]) -> None:
    assert TimeBins(day, len(expected), freq, "Europe/Paris").exposure_hours.tolist() == expected


def test_hourly_exposure_is_zero_then_two_on_the_change_hours() -> None:
    spring = TimeBins("2024-03-31", 24, "1h", "Europe/Paris").exposure_hours
    autumn = TimeBins("2024-10-27", 24, "1h", "Europe/Paris").exposure_hours
    assert spring[2] == 0
    assert spring.sum() == 23
    assert autumn[2] == 2
    assert autumn.sum() == 25


def test_both_autumn_hours_fall_in_the_same_bin() -> None:
    bins = TimeBins("2024-10-27", 24, "1h", "Europe/Paris")
    instants = pd.Series(pd.to_datetime(["2024-10-27T00:30Z", "2024-10-27T01:30Z"]))  # 02:30 twice
    assert bins.locate(instants).tolist() == [2, 2]


@given(
    st.datetimes(pd.Timestamp("2015-01-01"), pd.Timestamp("2030-01-01")),
    st.sampled_from(["1h", "8h", "1D", "7D"]),
    st.sampled_from(["Europe/Paris", "America/Chicago", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_every_instant_lies_in_its_bin(moment: object, freq: str, tz: str) -> None:
    bins = TimeBins("2014-12-29", 6000, freq, tz)
    instant = pd.Timestamp(str(moment), tz="UTC")
    (number,) = bins.locate(pd.Series([instant]))
    wall = instant.tz_convert(tz).tz_localize(None)
    start, end = bins.wall_at(np.array([number, number + 1]))
    assert start <= wall < end


def test_index_at_refuses_what_is_no_edge() -> None:
    bins = TimeBins("2024-01-01", 10, "1D", "Europe/Paris")
    assert bins.index_at("2024-01-03") == 2
    with pytest.raises(UsageError, match="edge before it is 2024-01-03"):
        bins.index_at("2024-01-03 05:00")


@pytest.mark.parametrize("freq", ["5h", "1W", "0D", "day", ""])
def test_freq_that_does_not_divide_a_day_is_refused(freq: str) -> None:
    with pytest.raises(UsageError, match="freq must be"):
        TimeBins("2024-01-01", 1, freq, "Europe/Paris")


def test_unknown_zone_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Europe/Paris"):
        TimeBins("2024-01-01", 1, "1D", "Europe/Pariss")
