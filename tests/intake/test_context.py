"""Layers of context: rows and rules, times and time zones, what was known when, persons, files."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tranquillite_ml.errors import (
    BundleError,
    DataWarning,
    InputDataError,
    LookAheadError,
    PersonLevelDataError,
    UsageError,
)
from tranquillite_ml.intake import Context, read_context

PARIS = "Europe/Paris"
SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/data is not there")


def weather(rows: pd.DataFrame | None = None, **told: Any) -> Context:
    table = pd.DataFrame({"date": pd.date_range("2024-03-29", periods=5), "tmax": [10.0, 11, 12, 13, 14]})
    return read_context(
        table if rows is None else rows, **({"kind": "series", "name": "weather", "tz": PARIS} | told)
    )


def texts(values: pd.Series[Any]) -> list[str]:
    return [str(value) for value in values]


# ---------------------------------------------------------------- series


def test_a_day_is_a_day_on_the_wall_clock() -> None:
    layer = weather()
    # On 31 March 2024 the clock goes forward: that day ends 23 hours after it began.
    assert (layer.table["valid_to"] - layer.table["valid_from"]).dt.total_seconds().tolist() == [
        86400,
        86400,
        82800,
        86400,
        86400,
    ]
    assert (layer.table["known_at"] == layer.table["valid_to"]).all()
    assert layer.funnel.read == layer.funnel.accepted == 5


def test_known_later_than_measured() -> None:
    layer = weather(known="6h after end")
    assert str(layer.table["known_at"][0]) == "2024-03-30 06:00:00+01:00"


@pytest.mark.parametrize("known", ["always", "start", "7D before start", "1h before end"])
def test_measurements_cannot_be_known_in_advance(known: str) -> None:
    with pytest.raises(LookAheadError, match="not known before its time is over"):
        weather(known=known)


def test_a_column_cannot_say_so_either() -> None:
    rows = pd.DataFrame(
        {"date": pd.date_range("2024-05-01", periods=3), "tmax": 1.0, "known_at": ["2024-05-01 08:00"] * 3}
    )
    with pytest.raises(LookAheadError, match="3 of 3 measured values"):
        weather(rows)


def test_an_edition_cannot_precede_what_it_measures() -> None:
    with pytest.raises(LookAheadError, match="before the time they are about is over"):
        weather(known="2024-03-30")


def test_forecasts_are_known_since_their_issue() -> None:
    rows = pd.DataFrame(
        {
            "date": ["2024-05-03", "2024-05-04", "2024-05-05"] * 2,
            "tmax": [20.0, 21, 22, 23, 24, 25],
            "issued_at": ["2024-05-01 06:00"] * 3 + ["2024-05-02"] * 3,
        }
    )
    rows["issued_at"] = pd.to_datetime(rows["issued_at"], format="ISO8601")
    layer = weather(rows, known="4h after issue")
    assert layer.issued
    assert sorted(set(texts(layer.table["known_at"]))) == [
        "2024-05-01 10:00:00+02:00",
        "2024-05-02 04:00:00+02:00",
    ]
    dated = weather(rows.assign(issued_at=["2024-05-01"] * 3 + ["2024-05-02"] * 3))
    # A date without time may be any moment of the day: it counts from the next one.
    assert sorted(set(texts(dated.table["known_at"]))) == [
        "2024-05-02 00:00:00+02:00",
        "2024-05-03 00:00:00+02:00",
    ]


def test_two_values_for_one_day_are_both_refused_and_repeats_dropped() -> None:
    rows = pd.DataFrame(
        {
            "date": [
                "2024-05-01",
                "2024-05-02",
                "2024-05-02",
                "2024-05-03",
                "2024-05-03",
                "2024-05-04",
                "2024-05-05",
                "2024-05-06",
                "2024-05-07",
                "2024-05-08",
            ],
            "tmax": [1.0, 2, 99, 3, 3, 4, 5, 6, 7, 8],
        }
    )
    layer = weather(rows)
    assert layer.table["tmax"].tolist() == [1, 3, 4, 5, 6, 7, 8]
    assert layer.quarantine["reason"].tolist() == ["two values for one time"] * 2
    assert (layer.funnel.accepted, layer.funnel.quarantined, layer.funnel.duplicate) == (7, 2, 1)


def test_gaps_are_told() -> None:
    rows = pd.DataFrame({"date": pd.date_range("2024-05-01", periods=30), "tmax": 1.0}).drop([5, 6, 20])
    assert weather(rows).problems[["what", "n"]].to_numpy().tolist() == [
        ["gaps: steps of 1 days 00:00:00 missing, first 2024-05-06 00:00:00", 3]
    ]


def test_a_series_in_another_time_zone_is_told() -> None:
    rows = pd.DataFrame({"date": pd.date_range("2024-05-01", periods=10, tz="UTC"), "tmax": 1.0})
    layer = weather(rows)
    assert layer.problems["what"].tolist() == ["daily values begin at 0 days 02:00:00 local time"]
    assert str(layer.table["valid_from"][0]) == "2024-05-01 02:00:00+02:00"


def test_missing_values_are_kept_and_told() -> None:
    rows = pd.DataFrame({"date": pd.date_range("2024-05-01", periods=3), "tmax": [1.0, np.nan, 3.0]})
    assert weather(rows).problems[["what", "n"]].to_numpy().tolist() == [["tmax missing", 1]]


def test_a_series_without_step_needs_its_ends() -> None:
    rows = pd.DataFrame({"date": ["2024-05-01", "2024-05-02", "2024-05-09", "2024-06-01"], "tmax": 1.0})
    with pytest.raises(InputDataError, match="no regular step"):
        weather(rows)
    ended = rows.assign(end=["2024-05-01", "2024-05-08", "2024-05-31", "2024-06-30"])
    assert texts(weather(ended).table["valid_to"])[1] == "2024-05-09 00:00:00+02:00"  # the last day included


def test_overlapping_values_are_refused() -> None:
    starts = pd.date_range("2024-05-01", periods=20)
    ends = starts.strftime("%Y-%m-%d").tolist()
    ends[3] = "2024-05-05"
    layer = weather(pd.DataFrame({"start": starts, "end": ends, "tmax": 1.0}))
    assert layer.quarantine["reason"].tolist() == ["overlaps the time of another value"]


@pytest.mark.parametrize("text", ["soon", "7 weeks before start", "-3D after end", ""])
def test_rules_that_mean_nothing(text: str) -> None:
    with pytest.raises(UsageError, match="known must be"):
        weather(known=text)


def test_text_is_no_value() -> None:
    rows = pd.DataFrame({"date": pd.date_range("2024-05-01", periods=3), "sky": ["blue", "grey", "blue"]})
    with pytest.raises(InputDataError, match=r"needs a column of numbers; there is none.* in 'sky'"):
        weather(rows)
    with pytest.raises(InputDataError, match="are not numbers"):
        weather(rows, values=["sky"])
    with pytest.raises(InputDataError, match="Did you mean 'sky'"):
        weather(rows, values=["skyy"])


# ---------------------------------------------------------------- calendars


def test_stretches_of_days_become_days() -> None:
    rows = pd.DataFrame(
        {
            "start": ["2024-02-26", "2024-04-22"],
            "end": ["2024-03-02", "2024-04-23"],
            "type": ["winter", "spring"],
        }
    )
    layer = read_context(rows, kind="calendar", name="school", tz=PARIS)
    # 26 February to 23 April: 4 + 31 + 23 = 58 days; 6 of winter (26–29 February, 1–2 March), 2 of spring.
    assert len(layer) == 58
    assert layer.numbers == ("spring", "winter")
    assert layer.table[["winter", "spring"]].sum().tolist() == [6, 2]
    assert layer.table["known_at"].isna().all()


def test_a_day_is_free_from_when_it_was_told() -> None:
    rows = pd.DataFrame(
        {
            "start": ["2024-06-01", "2024-06-02"],
            "type": ["strike", "strike"],
            "known_at": ["2024-05-30 12:00", "2024-06-01 12:00"],
        }
    )
    layer = read_context(rows, kind="calendar", name="strikes", tz=PARIS)
    known = layer.as_of("2024-05-31")
    assert known.groupby("valid_from")["strike"].max().tolist() == [1, 0]
    assert layer.as_of("2024-06-02").groupby("valid_from")["strike"].max().tolist() == [1, 1]


def test_a_calendar_that_contradicts_itself() -> None:
    rows = pd.DataFrame(
        {"start": ["2024-05-01", "2024-05-03"], "end": ["2024-05-04", "2024-05-05"], "closed": [1, 0]}
    )
    with pytest.raises(InputDataError, match="two different things of 2024-05-03"):
        read_context(rows, kind="calendar", name="closures", tz=PARIS)


@needs_shared
def test_real_layers_of_marseille_and_chicago() -> None:
    folder = SHARED / "marseille"
    school = read_context(
        folder / "context_school_holidays.parquet", kind="calendar", name="school", tz=PARIS
    )
    assert school.numbers == ("vacances_zone_a", "vacances_zone_b", "vacances_zone_c")
    assert len(school) == 14_245
    with pytest.raises(PersonLevelDataError, match=r"drop_columns: \[nom\]"):
        read_context(
            folder / "context_communes_13.geojson", kind="areas", name="communes", tz=PARIS, known="always"
        )
    monuments = read_context(
        folder / "context_monuments.geojson",
        kind="points",
        name="monuments",
        tz=PARIS,
        known="always",
        drop_columns=["name"],
    )
    assert len(monuments) == 113
    sport = read_context(
        SHARED / "chicago" / "context_sports_events_daily.parquet",
        kind="calendar",
        name="sport",
        tz="America/Chicago",
    )
    assert sport.table[["nfl", "mlb"]].isin([0, 1]).all(axis=None)


# ---------------------------------------------------------------- events and points


MATCHES = pd.DataFrame(
    {
        "start": ["2024-05-12 21:00", "2024-05-19 21:00"],
        "end": ["2024-05-12 23:00", "2024-05-19 23:00"],
        "lat": [43.2698, 43.2698],
        "lng": [5.3959, 5.3959],
        "attendance": [61000, None],
    }
)


@pytest.mark.parametrize("kind", ["events", "points"])
def test_someone_must_say_when_a_layer_was_known(kind: Any) -> None:
    rows = MATCHES if kind == "events" else MATCHES[["lat", "lng"]]
    with pytest.raises(UsageError, match="when was a layer of kind"):
        read_context(rows, kind=kind, name="layer", tz=PARIS)


def test_events_keep_attendance_and_say_what_is_missing() -> None:
    layer = read_context(MATCHES, kind="events", name="matches", tz=PARIS, known="28D before start")
    assert layer.table["attendance"].fillna(-1).tolist() == [61000, -1]
    assert "attendance missing" in layer.problems["what"].tolist()


def test_an_event_that_ends_before_it_begins() -> None:
    rows = MATCHES.assign(end=["2024-05-12 20:00", "2024-05-19 23:00"])
    with pytest.warns(DataWarning, match="1 of 2 rows are quarantined"):
        layer = read_context(rows, kind="events", name="matches", tz=PARIS, known="28D before start")
    assert layer.quarantine["reason"].tolist() == ["ends before it begins"]


def test_words_that_are_no_types() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"lat": 43.3, "lng": 5.4 + rng.random(300) / 100, "type": [f"shop {n}" for n in range(300)]}
    )
    with pytest.raises(InputDataError, match="300 different words"):
        read_context(rows, kind="points", name="shops", tz=PARIS, known="always")


def test_persons_are_refused_in_every_kind() -> None:
    rows = MATCHES.assign(nom=["Durand", "Petit"])
    for kind in ("events", "points"):
        with pytest.raises(PersonLevelDataError, match="nom"):
            read_context(rows, kind=kind, name="layer", tz=PARIS, known="always")  # type: ignore[arg-type]
    mails = MATCHES.assign(contact=["a.durand@example.org", "p@example.org"])
    with pytest.raises(PersonLevelDataError, match="e-mail"):
        read_context(mails, kind="events", name="layer", tz=PARIS, known="always")
    with pytest.raises(PersonLevelDataError, match="nom"):  # calling it a type does not help
        read_context(
            rows,
            kind="points",
            name="layer",
            tz=PARIS,
            known="always",
            columns={"lat": "lat", "lng": "lng", "type": "nom"},
        )


@pytest.mark.parametrize("placed", ["nowhere", "columns", "points", "areas"])
def test_operations_are_read_for_audits(placed: str) -> None:
    import geopandas as gpd
    from shapely.geometry import Point, box

    rows = pd.DataFrame(
        {"start": pd.date_range("2024-05-01 20:00", periods=4, freq="8h"), "hours": [1.5, 2, 0, 3]}
    )
    rows["end"] = rows["start"] + pd.Timedelta(hours=2)
    if placed == "columns":
        rows = rows.assign(lat=43.3, lng=5.4)
    elif placed != "nowhere":
        shape = Point(5.4, 43.3) if placed == "points" else box(5.39, 43.29, 5.41, 43.31)
        rows = gpd.GeoDataFrame(rows, geometry=[shape] * 4, crs="EPSG:4326")
    layer = read_context(rows, kind="operations", name="rounds", tz=PARIS)
    assert layer.table["hours"].tolist() == [1.5, 2, 0, 3]
    assert (layer.table["known_at"] == layer.table["valid_to"]).all()
    if placed != "nowhere":
        assert layer.table[["lat", "lng"]].round(6).to_numpy().tolist() == [[43.3, 5.4]] * 4


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    "path", ["/vsicurl/http://example.org/a.geojson", "https://example.org/a.csv", "layer.zip", "layer.vrt"]
)
def test_only_files_of_this_machine(path: str) -> None:
    with pytest.raises(InputDataError, match="a file of this machine"):
        weather(path)  # type: ignore[arg-type]


def test_a_file_that_is_not_what_it_says(tmp_path: Path) -> None:
    fake = tmp_path / "layer.geojson"
    fake.write_text(
        "<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>/vsicurl/http://127.0.0.1:1/a</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )
    with pytest.raises(InputDataError, match=r"is no \.geojson file"):
        read_context(fake, kind="points", name="layer", tz=PARIS, known="always")


def test_a_geopackage_of_two_layers(tmp_path: Path) -> None:
    import geopandas as gpd
    from shapely.geometry import Point

    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[Point(5.4, 43.3)], crs="EPSG:4326")
    path = tmp_path / "city.gpkg"
    frame.to_file(path, layer="bars")
    assert len(read_context(path, kind="points", name="bars", tz=PARIS, known="always")) == 1
    frame.to_file(path, layer="stops")
    with pytest.raises(InputDataError, match=r"2 layers \(bars, stops\)"):
        read_context(path, kind="points", name="bars", tz=PARIS, known="always")
    assert sqlite3.connect(path).execute("select count(*) from bars").fetchone() == (1,)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_plain_files_say_the_same(suffix: str, tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {
            "date": pd.date_range("2024-05-01", periods=40),
            "tmax": np.arange(40) / 4,
            "hot": [True, False] * 20,
        }
    )
    path = tmp_path / f"weather.{suffix}"
    getattr(rows, f"to_{suffix}")(path, index=False)
    assert weather(path).digest == weather(rows).digest  # type: ignore[arg-type]


def test_years_in_several_files(tmp_path: Path) -> None:
    rows = pd.DataFrame({"date": pd.date_range("2024-05-01", periods=40), "tmax": np.arange(40) / 4})
    rows[:25].to_csv(tmp_path / "w1.csv", index=False)
    rows[25:].to_csv(tmp_path / "w2.csv", index=False)
    assert weather(str(tmp_path / "w*.csv")).digest == weather(rows).digest  # type: ignore[arg-type]


# ---------------------------------------------------------------- identity


@given(st.permutations(range(5)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_rows_means_nothing(order: list[int]) -> None:
    rows = pd.DataFrame({"date": pd.date_range("2024-03-29", periods=5), "tmax": [10.0, 11, 12, 13, 14]})
    assert weather(rows.iloc[order]).digest == weather().digest


def test_a_stamp_allows_what_came_later_and_nothing_else() -> None:
    rows = pd.DataFrame({"date": pd.date_range("2024-05-01", periods=40), "tmax": np.arange(40) / 4})
    stamp = weather(rows[:30]).stamp()
    longer = weather(rows)
    assert longer.check_stamp(stamp) is longer
    with pytest.raises(BundleError, match="has changed since the model was fitted"):
        weather(rows.assign(tmax=rows["tmax"] + (rows.index == 3))).check_stamp(stamp)
    with pytest.raises(BundleError, match="has changed"):
        weather(rows.drop(4)).check_stamp(stamp)
    with pytest.raises(BundleError, match=r"lacks \['tmax'\]"):
        weather(rows.rename(columns={"tmax": "tmin"})).check_stamp(stamp)
    # A correction that came to be known later leaves what was known as it was.
    known = rows["date"] + pd.Timedelta(days=1, hours=1)
    first, second = (
        rows.assign(known_at=known),
        rows[3:4].assign(tmax=9.0, known_at=pd.Timestamp("2024-07-01 12:00")),
    )
    stamp = weather(first[:30]).stamp()
    weather(pd.concat([first, second])).check_stamp(stamp)
