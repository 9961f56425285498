"""Times that are intervals: what is accepted, what is quarantined and why, and which moment counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml.config import RunConfig
from tranquillite_ml.errors import ConfigError, InputDataError, UsageError
from tranquillite_ml.intake import Incidents, read_incidents
from tranquillite_ml.stages import load_incidents

TZ = "Europe/Paris"


def rows(*spans: tuple[str | None, str | None], **columns: object) -> pd.DataFrame:
    begin, end = zip(*spans, strict=True)
    place = {"lat": 43.3, "lng": 5.4, "category": "burglary"}
    return pd.DataFrame({"occurred_from": begin, "occurred_to": end, **place, **columns})


def refused(incidents: Incidents) -> dict[int, tuple[str, str]]:
    table = incidents.quarantine
    return {row.row: (row.column, row.reason) for row in table.itertuples()}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("midpoint", "2024-05-01 10:00:00+02:00"),
        ("start", "2024-05-01 08:00:00+02:00"),
        ("end", "2024-05-01 11:59:59.999999+02:00"),
    ],
)
def test_one_rule_sets_the_moment_that_counts(target: str, expected: str) -> None:
    frame = rows(("2024-05-01 08:00", "2024-05-01 12:00"))
    table = read_incidents(frame, tz=TZ, interval_target=target).table  # type: ignore[arg-type]
    assert table["occurred_at"].astype(str).tolist() == [expected]
    assert table["occurred_from"].astype(str).tolist() == ["2024-05-01 08:00:00+02:00"]
    assert table["occurred_to"].astype(str).tolist() == ["2024-05-01 12:00:00+02:00"]


def test_the_midpoint_is_that_of_elapsed_time() -> None:
    # From Saturday evening to Sunday evening when clocks go forward: 23 hours, half of them 11 h 30.
    table = read_incidents(rows(("2024-03-30 20:00", "2024-03-31 20:00")), tz=TZ).table
    assert table["occurred_at"].astype(str).tolist() == ["2024-03-31 08:30:00+02:00"]


def test_a_year_is_no_time_and_a_reversed_interval_is_none() -> None:
    frame = rows(
        ("2023-01-01 00:00", "2024-01-01 00:00"),
        ("2024-05-02 10:00", "2024-05-02 09:00"),
        ("2024-05-01 00:00", "2024-05-08 00:00"),
        ("2024-05-01 00:00", "2024-05-08 00:01"),
        ("2024-05-01 10:00", "never"),
        *[("2024-05-01 10:00", "2024-05-01 11:00")] * 30,
    )
    incidents = read_incidents(frame, tz=TZ)
    assert refused(incidents) == {
        1: ("occurred_to", "interval longer than 7 days"),
        2: ("occurred_to", "interval ends before it begins"),
        4: ("occurred_to", "interval longer than 7 days"),
        5: ("occurred_to", "time not understood"),
    }
    assert incidents.funnel.read == incidents.funnel.accepted + incidents.funnel.quarantined == 35
    assert incidents.summary()["intervals"] == 31
    told = incidents.problems.set_index("what")["advice"]
    assert "`longest_interval`" in told["quarantined: interval longer than 7 days"]
    assert len(read_incidents(frame, tz=TZ, longest_interval="400D").quarantine) == 2


def test_one_end_alone_and_an_interval_without_length() -> None:
    frame = rows(
        ("2024-05-01 10:00", None),
        ("2024-05-01 10:00", "2024-05-01 10:00"),
        (None, "2024-05-01 11:00"),
        (None, None),
        ("2024-05-01 10:00", "2024-05-01 11:00"),
        occurred_at=[None, None, "2024-05-01 10:30", None, "2024-05-01 23:00"],
    )
    incidents = read_incidents(frame, tz=TZ)
    assert refused(incidents) == {4: ("occurred_from", "time missing")}
    when = incidents.table["occurred_at"].dt.strftime("%H:%M").tolist()
    assert when == ["10:00", "10:00", "10:30", "10:30"]
    assert incidents.table["occurred_from"].notna().sum() == 1


def test_intervals_of_dates_end_with_their_day() -> None:
    incidents = read_incidents(rows(("2024-05-01", "2024-05-03"), ("2024-05-02", "2024-05-02")), tz=TZ)
    assert incidents.time_precision == "date"
    assert incidents.table["occurred_to"].dt.strftime("%d %H").tolist() == ["04 00", "03 00"]
    assert incidents.table["occurred_at"].dt.strftime("%d %H").tolist() == ["02 12", "02 12"]


def test_reported_before_it_began_and_before_it_ended() -> None:
    frame = rows(
        ("2024-05-01 10:00", "2024-05-01 14:00"),
        ("2024-05-01 10:00", "2024-05-01 14:00"),
        ("2024-05-01 10:00", "2024-05-01 14:00"),
        ("2024-05-01 10:00", "2024-05-01 14:00"),
        reported_at=["2024-05-01 09:59", "2024-05-01 12:00", "2024-05-01 14:00", "2024-05-01 10:00"],
    )
    incidents = read_incidents(frame, tz=TZ)
    assert refused(incidents) == {1: ("reported_at", "reported before it occurred")}
    ends = incidents.table["occurred_to"].dt.strftime("%H:%M").tolist()
    assert ends[1:] == ["12:00", "14:00"]
    assert incidents.table["occurred_at"].dt.strftime("%H:%M").tolist() == ["10:00", "11:00", "12:00"]
    assert pd.isna(ends[0])  # reported when it began: that is when it occurred
    told = incidents.problems.set_index("what")["n"]
    assert told["interval ends after its report"] == 2


def test_reported_before_an_instant_is_quarantined() -> None:
    frame = rows(
        ("2024-05-01 10:00", None), ("2024-05-01 10:00", None), reported_at=["2024-05-01 09:00", None]
    )
    assert refused(read_incidents(frame, tz=TZ)) == {1: ("reported_at", "reported before it occurred")}


def test_the_future_has_not_ended() -> None:
    frame = rows(("2024-05-01 10:00", "2024-05-01 14:00"), ("2024-05-01 10:00", "2024-05-01 11:00"))
    incidents = read_incidents(frame, tz=TZ, now="2024-05-01 12:00")
    assert refused(incidents) == {1: ("occurred_to", "in the future")}


def test_known_when_the_interval_is_over_unless_reported() -> None:
    incidents = read_incidents(rows(("2024-05-01 10:00", "2024-05-01 14:00")), tz=TZ)
    assert len(incidents.known_at(pd.Timestamp("2024-05-01 13:00", tz=TZ))) == 0
    assert len(incidents.known_at(pd.Timestamp("2024-05-01 14:00", tz=TZ))) == 1


def test_order_does_not_matter_and_intervals_count_for_the_digest() -> None:
    spans = [("2024-05-01 08:00", "2024-05-01 12:00"), ("2024-05-01 09:00", "2024-05-01 11:00")]
    one = read_incidents(rows(*spans), tz=TZ, duplicates="drop")
    other = read_incidents(rows(*reversed(spans)), tz=TZ, duplicates="drop")
    assert len(one) == 2  # the same midpoint and place, but not the same interval: no repeat
    assert one.digest == other.digest
    instants = read_incidents(one.table[["occurred_at", "lat", "lng", "category"]], tz=TZ)
    assert instants.digest != one.digest


def test_a_table_goes_through_from_table_unchanged() -> None:
    one = read_incidents(rows(("2024-05-01 08:00", "2024-05-01 12:00"), ("2024-05-02 09:00", None)), tz=TZ)
    again = Incidents.from_table(one.table.drop(columns="incident_id"), TZ)
    pd.testing.assert_frame_equal(again.table, one.table)
    assert again.digest == one.digest


def test_an_impossible_table_is_refused() -> None:
    table = read_incidents(rows(("2024-05-01 08:00", "2024-05-01 12:00")), tz=TZ).table
    table = table.drop(columns="incident_id")
    with pytest.raises(InputDataError, match="impossible interval"):
        Incidents.from_table(table.assign(occurred_at=pd.Timestamp("2024-05-02", tz=TZ)), TZ)
    with pytest.raises(InputDataError, match="alone"):
        Incidents.from_table(table.drop(columns="occurred_to"), TZ)


def test_wrong_arguments_are_refused() -> None:
    frame = rows(("2024-05-01 08:00", "2024-05-01 12:00"))
    with pytest.raises(UsageError, match="number of days"):
        read_incidents(frame, tz=TZ, longest_interval="1 week")
    with pytest.raises(UsageError, match="interval_target"):
        read_incidents(frame, tz=TZ, interval_target="middle")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not their begin"):
        read_incidents(frame.drop(columns="occurred_from").assign(occurred_at="2024-05-01 08:00"), tz=TZ)


def test_certain_times_leave_no_trace() -> None:
    frame = rows(("2024-05-01 08:00", None), ("2024-05-02 08:00", None))
    plain = frame[["lat", "lng", "category"]].assign(occurred_at=frame["occurred_from"])
    one, other = read_incidents(frame, tz=TZ), read_incidents(plain, tz=TZ)
    assert list(one.table.columns) == list(other.table.columns)
    assert one.digest == other.digest
    assert np.array_equal(one.ids_given, other.ids_given)


def test_a_configuration_says_how_uncertain_times_are_read(tmp_path: Path) -> None:
    spans = [("2024-05-01 08:00", "2024-05-01 12:00"), ("2024-05-01 08:00", "2024-05-09 12:00")]
    hours = [(f"2024-05-02 {hour:02d}:00", None) for hour in range(24)]
    frame = rows(*spans, *[("2024-05-01 12:00", None)] * 20, *hours)
    frame.to_csv(tmp_path / "calls.csv", index=False)
    names = {name: name for name in ("occurred_from", "occurred_to", "lat", "lng", "category")}
    config = RunConfig.from_dict(
        {
            "name": "intervals",
            "incidents": {
                "path": str(tmp_path / "calls.csv"),
                "tz": TZ,
                "columns": names,
                "categories": {"burglary": {"from": ["burglary"], "origin": "citizen"}},
                "interval": {"target": "start", "longest": "2D"},
                "placeholder_times": "quarantine",
            },
            "forecast": {"period": 7},
        }
    )
    assert RunConfig.from_yaml(config.to_yaml()) == config
    incidents, _ = load_incidents(config)
    assert refused(incidents)[2] == ("occurred_to", "interval longer than 2 days")
    assert set(incidents.quarantine["reason"].iloc[1:]) == {"placeholder time 12:00"}
    assert incidents.table["occurred_at"].dt.strftime("%d %H").tolist()[0] == "01 08"
    assert incidents.funnel.quarantined == 22


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("interval", {"target": "middle"}, "one of 'midpoint', 'start' or 'end'"),
        ("interval", {"longest": "1 year"}, "a number of days such as 28D"),
        ("placeholder_times", "spred", "one of 'keep', 'spread' or 'quarantine'"),
    ],
)
def test_a_wrong_configuration_is_refused(key: str, value: object, told: str) -> None:
    incidents = {"path": "a.csv", "tz": TZ, "categories": {"noise": ["noise"]}, key: value}
    with pytest.raises(ConfigError, match=told):
        RunConfig.from_dict({"name": "x", "incidents": incidents, "forecast": {"period": 7}})
