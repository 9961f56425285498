"""Times of day that stand for "unknown": found by their excess, reported, and handled as told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tranquillite_ml.errors import UsageError
from tranquillite_ml.intake import read_incidents
from tranquillite_ml.intake.placeholders import find_placeholders, minutes_of_day

TZ = "Europe/Paris"


def minutes(**extra: int) -> np.ndarray:
    """Ten records at every minute of the day, and more at some: ``m720=100``."""
    per_minute = np.full(1440, 10)
    for name, n in extra.items():
        per_minute[int(name[1:])] = n
    return np.repeat(np.arange(1440), per_minute)


def test_any_minute_stands_out_from_those_as_round_as_it() -> None:
    found = find_placeholders(minutes(m1=100, m720=100, m1439=400))
    assert [(place.clock, place.n) for place in found] == [("00:01", 100), ("12:00", 100), ("23:59", 400)]
    noon = found[1]
    assert (noon.expected, noon.ratio) == (10.0, 10.0)
    assert noon.lower < 10 < noon.upper
    # 23:59, also a placeholder, is next to 00:01 and would hide its excess: it is left out.
    assert found[0].expected == 10.0


def test_rounding_is_no_placeholder() -> None:
    """Whole hours hold twenty times what other minutes do, and halves ten times: all of them."""
    counts = np.full(1440, 5)
    counts[::60], counts[30::60] = 100, 50
    assert find_placeholders(np.repeat(np.arange(1440), counts)) == []


def test_even_times_dates_only_and_nothing_have_none() -> None:
    assert find_placeholders(np.arange(1440)) == []
    assert find_placeholders(np.zeros(500, dtype=np.int64)) == []
    assert find_placeholders(np.array([], dtype=np.int64)) == []


def test_a_false_finding_is_rare() -> None:
    """At the edge of the rule (1.5 times the neighbours) almost nothing is found; above it, everything."""
    rng = np.random.default_rng(0)
    even = sum(len(find_placeholders(np.repeat(np.arange(1440), rng.poisson(20, 1440)))) for _ in range(50))
    assert even == 0
    edge = sum(
        any(found.minute == 720 for found in find_placeholders(minutes(m720=int(rng.poisson(15)))))
        for _ in range(50)
    )
    assert edge == 0
    above = sum(
        any(found.minute == 720 for found in find_placeholders(minutes(m720=int(rng.poisson(100)))))
        for _ in range(50)
    )
    assert above == 50


def test_the_interval_of_the_ratio_covers() -> None:
    """The true ratio is 8; the interval is two-sided 95 %."""
    rng = np.random.default_rng(1)
    covered, n = 0, 100
    for _ in range(n):
        counts = rng.poisson(20, 1440)
        counts[720] = rng.poisson(160)
        (noon,) = (
            found for found in find_placeholders(np.repeat(np.arange(1440), counts)) if found.minute == 720
        )
        covered += noon.lower <= 8 <= noon.upper
    assert covered / n >= 0.9


def test_seconds_say_that_a_time_is_known() -> None:
    assert minutes_of_day(np.array([43_200_000_000, 43_201_000_000])).tolist() == [720, -1]


def rows() -> pd.DataFrame:
    """1,440 records a minute apart, and thirty more at 00:01."""
    when = pd.date_range("2024-03-30", periods=1440, freq="1min")
    when = when.append(pd.DatetimeIndex([pd.Timestamp("2024-03-30 00:01")] * 30))
    place = {"lat": 43.3 + np.arange(len(when)) * 1e-5, "lng": 5.4, "category": "noise"}
    return pd.DataFrame({"occurred_at": when.astype(str), **place})


def test_kept_by_default_and_told_with_n_and_interval() -> None:
    incidents = read_incidents(rows(), tz=TZ)
    assert "occurred_from" not in incidents.table
    told = incidents.problems.set_index("what").loc["placeholder time 00:01"]
    assert told["n"] == 31
    share = stats.binomtest(31, 35).proportion_ci(method="exact")
    lower, upper = (4 * end / (1 - end) for end in share)
    assert f"holds 31.0 times that (95 % interval {lower:.1f} to {upper:.1f})" in told["advice"]
    assert "right for bins of a day or longer" in told["advice"]


def test_spread_means_any_time_of_the_day() -> None:
    incidents = read_incidents(rows(), tz=TZ, placeholder_times="spread")
    table = incidents.table[incidents.table["occurred_from"].notna()]
    assert len(table) == 31
    assert set(table["occurred_from"].astype(str)) == {"2024-03-30 00:00:00+01:00"}
    assert set(table["occurred_to"].astype(str)) == {"2024-03-31 00:00:00+01:00"}
    assert set(table["occurred_at"].astype(str)) == {"2024-03-30 12:00:00+01:00"}


def test_a_spread_day_ends_with_its_report() -> None:
    reported = rows().assign(reported_at=lambda frame: pd.Timestamp("2024-03-30 23:59").isoformat())
    reported.loc[reported.index[-30:], "reported_at"] = "2024-03-30 06:00:00"
    incidents = read_incidents(reported, tz=TZ, placeholder_times="spread")
    ends = incidents.table["occurred_to"].dropna().astype(str).value_counts()
    assert ends.to_dict() == {"2024-03-30 06:00:00+01:00": 30, "2024-03-30 23:59:00+01:00": 1}


def test_what_was_reported_at_midnight_is_never_reported_before_it_occurred() -> None:
    """A day that ends with its report at its own first instant has no length: the time stays what it was."""
    midnight = rows()
    midnight.loc[midnight.index[-30:], "occurred_at"] = "2024-03-30 00:00:00"
    midnight["reported_at"] = midnight["occurred_at"]
    table = read_incidents(midnight, tz=TZ, placeholder_times="spread").table
    assert len(table) == 1470
    assert (table["occurred_at"] <= table["reported_at"]).all()
    assert "occurred_from" not in table or table["occurred_from"].isna().all()


def test_quarantine_sets_them_aside_and_the_funnel_adds_up() -> None:
    incidents = read_incidents(rows(), tz=TZ, placeholder_times="quarantine")
    assert (incidents.funnel.accepted, incidents.funnel.quarantined) == (1439, 31)
    assert set(incidents.quarantine["reason"]) == {"placeholder time 00:01"}
    assert set(incidents.quarantine["column"]) == {"occurred_at"}


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'spread'"):
        read_incidents(rows(), tz=TZ, placeholder_times="spred")  # type: ignore[arg-type]
