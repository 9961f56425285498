"""Reporting delays: the end of the data hides late records, and the estimate knows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tranquillite_ml import read_incidents
from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.intake import Incidents, incomplete_days, reporting_delay

START = pd.Timestamp("2024-01-01", tz="UTC")


def read(occurred: np.ndarray, delays: np.ndarray | None) -> Incidents:
    """Incidents from days of occurrence and days of delay."""
    frame = pd.DataFrame(
        {
            "incident_id": np.arange(len(occurred)).astype(str),
            "occurred_at": START + pd.to_timedelta(occurred, unit="D"),
            "lat": 43.3,
            "lng": 5.4,
            "category": "noise",
        }
    )
    if delays is not None:
        frame["reported_at"] = frame["occurred_at"] + pd.to_timedelta(delays, unit="D")
    return read_incidents(frame, tz="UTC", duplicates="keep")


def test_by_hand() -> None:
    # Days of occurrence 0, 0, 6, 8 with delays 1, 8, 2, 1; the data end on day 9 (8 + 1).
    # At delay 8: those with delay ≤ 8 that occurred by day 9 - 8 = 1: the first two; one of them has it: 1/2.
    # At delay 2: delays ≤ 2 are three records, those by day 7 are two (days 0 and 6); one has it: 1 - 1/2.
    # F(1) = 1/2 · 1/2 = 1/4, F(2) = 1/2, F(8) = 1. Plain shares would say 1/2, 3/4 and 1.
    table = reporting_delay(read(np.array([0.0, 0, 6, 8]), np.array([1.0, 8, 2, 1])), by=None, days=[1, 2, 8])
    np.testing.assert_allclose(table["share"], [0.25, 0.5, 1.0])
    assert table["n"].tolist() == [4, 4, 4]
    assert table["n_late"].tolist() == [2, 1, 0]
    assert (table["lower"] <= table["share"]).all()
    assert (table["share"] <= table["upper"]).all()


def test_truncated_records_give_the_truth_back() -> None:
    rng = np.random.default_rng(0)
    occurred = rng.uniform(0, 200, 20_000)
    delays = rng.exponential(20, 20_000)
    seen = occurred + delays <= 200  # what is reported later is not in the data
    table = reporting_delay(read(occurred[seen], delays[seen]), by=None, days=[7, 28, 56])
    truth = 1 - np.exp(-np.array([7, 28, 56]) / 20)
    assert (np.abs(table["share"] - truth) < 0.02).all()
    plain = np.array([(delays[seen] <= day).mean() for day in (7, 28, 56)])
    assert (plain > truth + 0.01).all()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), min_size=1, max_size=60))
def test_shares_rise_from_zero_to_one(rows: list[tuple[int, int]]) -> None:
    occurred, delays = np.array(rows, dtype=float).T
    table = reporting_delay(read(occurred, delays), by=None, days=[0.5, 5.5, 10.5, 20.5])
    share = table["share"].to_numpy()
    assert (np.diff(share) >= -1e-12).all()
    assert ((share >= 0) & (share <= 1)).all()
    assert share[-1] == 1


def test_groups_and_incomplete_days() -> None:
    occurred, delays = np.repeat(0.0, 40), np.tile([1.0, 30.0], 20)
    delays[1::4] = 1.0
    incidents = read(occurred, delays)
    late = (incidents.table["reported_at"] - incidents.table["occurred_at"]).dt.days > 7
    table = reporting_delay(incidents, by=np.where(late, "late", "prompt"), days=[7, 56])
    found = table.set_index(["group", "days"])["share"]
    assert found["prompt", 7] == 1
    assert found["late", 7] == 0
    assert incomplete_days(table).to_dict() == {"late": 56.0, "prompt": 7.0}
    assert incomplete_days(table[table["days"] < 56]).to_dict() == {"late": np.inf, "prompt": 7.0}


def test_what_cannot_be_told() -> None:
    with pytest.raises(InputDataError, match="no reported_at"):
        reporting_delay(read(np.zeros(3), None))
    incidents = read(np.zeros(3), np.ones(3))
    with pytest.raises(UsageError, match="above 0"):
        reporting_delay(incidents, days=[0])
    with pytest.raises(UsageError, match="a value for each of 3 rows"):
        reporting_delay(incidents, by=[1])
    with pytest.raises(UsageError, match="'category', None"):
        reporting_delay(incidents, by="district")
    with pytest.raises(UsageError, match="between 0 and 1"):
        incomplete_days(reporting_delay(incidents), share=1.0)


def test_what_was_known_at_a_moment() -> None:
    incidents = read(np.array([0.0, 1, 2, 3]), np.array([1.0, 5, 1, 0]))
    known = incidents.known_at(START + pd.Timedelta(days=3))
    assert known.table["incident_id"].tolist() == ["0", "2"]  # reported on day 1 and, just in time, on day 3
    assert (known.funnel.read, known.origins) == (2, incidents.origins)
    assert len(incidents.known_at(START)) == 0
    prompt = read(np.array([0.0, 1, 2, 3]), None).known_at(START + pd.Timedelta(days=2))
    assert prompt.table["incident_id"].tolist() == ["0", "1"]
