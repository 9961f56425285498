"""Times: formats, offsets, clock changes, months and days of reporting."""

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.intake.times import (
    ParsedTimes,
    as_text,
    parse_reported,
    parse_times,
    refuse_unreadable,
    time_precision,
)

PARIS = "Europe/Paris"


def first_reason(times: ParsedTimes, row: int = 0) -> str:
    return next((reason for _, reason, mask in times.rejections("occurred_at") if mask[row]), "")


@pytest.mark.parametrize(
    "text",
    [
        *("2024-07-14 12:00:00", "2024-07-14T12:00", "2024-07-14 12:00:00.000", "2024/07/14 12:00"),
        *("2024-07-14T10:00:00Z", "2024-07-14 12:00+02:00", "2024-07-14T06:00:00-0400", " 2024-07-14 12:00 "),
    ],
)
def test_iso_text_is_one_instant(text: str) -> None:
    for values in ([text], [text, "2024-07-14 11:00", None]):
        found = parse_times(pd.Series(values), PARIS)
        assert found.instants[0] == pd.Timestamp("2024-07-14 12:00", tz=PARIS)
        assert found.wall[0] == pd.Timestamp("2024-07-14 12:00")
        assert str(found.instants.dtype) == "datetime64[us, Europe/Paris]"


@pytest.mark.parametrize(
    "text", ["2024", "2024-07", "now", "today", "14/07/2024", "noon", "2024-02-30", "24:00"]
)
def test_other_text_is_not_understood_and_never_guessed(text: str) -> None:
    assert first_reason(parse_times(pd.Series([text]), PARIS)) == "time not understood"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2016-12-31 23:59:60", "time not understood: second 60 (leap second)"),
        ("2024-03-31 02:30", "time does not exist (clock change)"),
        ("1900-01-01 00:00", "time is a placeholder (before 1901)"),
        (None, "time missing"),
        ("  ", "time missing"),
    ],
)
def test_impossible_times_have_their_reason(text: str | None, reason: str) -> None:
    found = parse_times(pd.Series(["2024-05-01 08:15", text], dtype=object), PARIS)
    assert first_reason(found, 1) == reason
    assert first_reason(found, 0) == ""


def test_the_gap_exists_in_the_zone_where_clocks_do_not_change() -> None:
    assert first_reason(parse_times(pd.Series(["2024-03-31 02:30"]), "Asia/Tokyo")) == ""


@pytest.mark.parametrize(
    ("tz", "wall", "utc"),
    [
        (PARIS, "2024-10-27 02:30", "2024-10-27 00:30"),
        ("America/Chicago", "2024-11-03 01:15", "2024-11-03 06:15"),
        ("Europe/Dublin", "2024-10-27 01:30", "2024-10-27 00:30"),
    ],
)
def test_a_doubled_time_is_the_first_of_the_two_and_flagged(tz: str, wall: str, utc: str) -> None:
    for values in (pd.Series([wall]), pd.Series(pd.to_datetime([wall]))):
        found = parse_times(values, tz)
        assert found.instants[0] == pd.Timestamp(utc, tz="UTC")
        assert found.ambiguous.tolist() == [True]
    with_offset = parse_times(pd.Series([pd.Timestamp(utc, tz="UTC").isoformat()]), tz)
    assert with_offset.ambiguous.tolist() == [False]


def test_dates_survive_a_midnight_that_does_not_exist() -> None:
    # In Beirut clocks went from 24:00 to 01:00 on 2022-03-27.
    found = parse_times(pd.Series(["2022-03-26", "2022-03-27"]), "Asia/Beirut")
    assert not found.instants.isna().any()
    assert time_precision(found.wall) == "date"
    assert first_reason(parse_times(pd.Series(["2022-03-26 08:00", "2022-03-27"]), "Asia/Beirut"), 1) != ""


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(pd.to_datetime(["2024-07-14 12:00", None])),
        pd.Series(pd.to_datetime(["2024-07-14 12:00", None]).tz_localize(PARIS)),
        pd.Series(pd.to_datetime(["2024-07-14 10:00", None]).tz_localize("UTC")),
        pd.Series([pd.Timestamp("2024-07-14 12:00"), None], dtype=object),
        pd.Series([pd.Timestamp("2024-07-14 10:00", tz="UTC"), None], dtype=object),
    ],
)
def test_datetimes_of_all_kinds(values: pd.Series) -> None:
    found = parse_times(values, PARIS)
    assert found.instants[0] == pd.Timestamp("2024-07-14 12:00", tz=PARIS)
    assert found.missing.tolist() == [False, True]


def test_a_given_format_is_followed_to_the_letter() -> None:
    found = parse_times(pd.Series(["03/04/2024 10:00", "2024-04-03"]), PARIS, "%d/%m/%Y %H:%M")
    assert found.wall[0] == pd.Timestamp("2024-04-03 10:00")
    assert first_reason(found, 1) == "time not understood"
    with_zone = parse_times(pd.Series(["03/04/2024 10:00 +0000"]), PARIS, "%d/%m/%Y %H:%M %z")
    assert with_zone.wall[0] == pd.Timestamp("2024-04-03 12:00")
    assert parse_times(pd.Series([20240403]), PARIS, "%Y%m%d").wall[0] == pd.Timestamp("2024-04-03")


def test_a_wrong_format_is_a_wrong_argument() -> None:
    with pytest.raises(UsageError, match="time_format '%Q' cannot be used"):
        parse_times(pd.Series(["x"]), PARIS, "%Q")


def refusal(values: list[object], time_format: str | None = None) -> str:
    series = pd.Series(values)
    with pytest.raises(InputDataError) as caught:
        refuse_unreadable(series, parse_times(series, PARIS, time_format), "a.csv, column for occurred_at")
    return str(caught.value)


def test_unreadable_times_are_refused_with_examples_and_the_format_that_fits() -> None:
    told = refusal(["25/12/2024 10:00", "03/04/2024 11:00"])
    assert told.startswith("a.csv, column for occurred_at: 2 of 2 times are not ISO 8601")
    assert "'25/12/2024 10:00'" in told
    assert told.endswith("Give time_format='%d/%m/%Y %H:%M'.")


def test_day_and_month_are_never_guessed() -> None:
    assert "Several formats fit ('%d/%m/%Y', '%m/%d/%Y')" in refusal(["03/04/2024", "05/06/2024"])


def test_mixed_formats_are_refused() -> None:
    assert "if formats are mixed" in refusal(["25/12/2024", "12/25/2024", *["2024-05-01"] * 20])


def test_epochs_and_empty_columns_have_their_own_advice() -> None:
    assert "since 1970" in refusal([1714557780, 1714557781])
    assert "no row has a time" in refusal([None, None])


def test_a_single_unreadable_row_or_a_leap_second_does_not_stop_the_reading() -> None:
    for odd in (["14/07/2024"], ["2016-12-31 23:59:60"] * 3):
        series = pd.Series(["2024-05-01 10:00", "2024-05-01 11:00", *odd])
        refuse_unreadable(series, parse_times(series, PARIS), "x")


@pytest.mark.parametrize(
    ("walls", "expected"),
    [
        (["2024-01-01", "2024-01-02"], "date"),
        (["2024-01-01 05:00", "2024-01-02"], "hour"),
        (["2024-01-01 05:30", "2024-01-02"], "minute"),
        (["2024-01-01 00:00:01", "2024-01-02"], "minute"),
    ],
)
def test_time_precision(walls: list[str], expected: str) -> None:
    assert time_precision(pd.DatetimeIndex(pd.to_datetime(pd.Series(walls), format="ISO8601"))) == expected


@pytest.mark.parametrize(
    "months",
    [[200901, 200912], ["200901", "200912"], [200901.0, 200912.0], pd.array([200901, 200912], "Int64")],
)
def test_a_month_is_known_when_it_is_over(months: list[object]) -> None:
    occurred = parse_times(pd.Series(["2009-01-05 10:30", "2009-12-05 10:30"]), "America/Chicago")
    found, begin = parse_reported(pd.Series(months), "America/Chicago", occurred)
    expected = [
        pd.Timestamp("2009-02-01", tz="America/Chicago"),
        pd.Timestamp("2010-01-01", tz="America/Chicago"),
    ]
    assert list(found.instants) == expected
    assert begin[0] == pd.Timestamp("2009-01-01", tz="America/Chicago")


def test_a_month_that_does_not_exist_is_not_understood() -> None:
    occurred = parse_times(pd.Series(["2009-01-05 10:30"] * 3), PARIS)
    found, _ = parse_reported(pd.Series([200901, 200913, None]), PARIS, occurred)
    assert found.wall.isna().tolist() == [False, True, True]
    assert found.missing.tolist() == [False, False, True]


def test_a_day_of_reporting_is_over_before_it_counts_where_incidents_have_hours() -> None:
    reported = pd.Series(["2024-05-01", "2024-03-30"])
    timed = parse_times(pd.Series(["2024-05-01 22:10", "2024-03-30 10:00"]), PARIS)
    found, begin = parse_reported(reported, PARIS, timed)
    assert list(found.wall) == [pd.Timestamp("2024-05-02"), pd.Timestamp("2024-03-31")]
    assert begin[0] == pd.Timestamp("2024-05-01", tz=PARIS)
    dated, _ = parse_reported(reported, PARIS, parse_times(pd.Series(["2024-05-01", "2024-03-30"]), PARIS))
    assert dated.wall[0] == pd.Timestamp(
        "2024-05-01"
    )  # both are days: the day's own midnight comes before both


def test_reporting_times_may_be_iso_when_occurrences_have_a_format() -> None:
    occurred = parse_times(pd.Series(["01/05/2024 10:30"]), PARIS, "%d/%m/%Y %H:%M")
    for text in ("02/05/2024 09:00", "2024-05-02 09:00"):
        found, _ = parse_reported(pd.Series([text]), PARIS, occurred, "%d/%m/%Y %H:%M")
        assert found.wall[0] == pd.Timestamp("2024-05-02 09:00")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([1, 2]), ["1", "2"]),
        (pd.Series([1.0, np.nan]), ["1", None]),
        (pd.Series([1.5, 2.0]), ["1.5", "2"]),
        (pd.Series([" a ", "a", None, ""]), ["a", "a", None, None]),
        (pd.Series(["x", "y"], dtype="category"), ["x", "y"]),
        (pd.Series(["x", 3, None], dtype=object), ["x", "3", None]),
        (pd.Series([True, False]), ["true", "false"]),
    ],
)
def test_as_text(values: pd.Series, expected: list[str | None]) -> None:
    assert as_text(values).to_pylist() == expected
