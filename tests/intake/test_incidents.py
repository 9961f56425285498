"""Reading from end to end: the funnel adds up, the order of rows is irrelevant, policies do what they say."""

import inspect
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tranquillite_ml.errors import DataWarning, InputDataError, PersonLevelDataError, UsageError
from tranquillite_ml.intake import Incidents, read_incidents
from tranquillite_ml.intake.incidents import Funnel

PARIS = "Europe/Paris"


def read(rows: pd.DataFrame, **options: object) -> Incidents:
    return read_incidents(rows, **({"tz": PARIS} | options))  # type: ignore[arg-type]


def refused(incidents: Incidents) -> list[list[object]]:
    return incidents.quarantine[["row", "column", "reason"]].to_numpy().tolist()


def test_the_table_has_the_canonical_columns_types_and_order(rows: pd.DataFrame) -> None:
    table = read(rows.sample(frac=1, random_state=3)).table
    assert list(table) == ["incident_id", "occurred_at", "lat", "lng", "category"]
    assert str(table["occurred_at"].dtype) == "datetime64[us, Europe/Paris]"
    assert table["lat"].dtype == table["lng"].dtype == np.float64
    assert isinstance(table["category"].dtype, pd.CategoricalDtype)
    assert table["category"].cat.categories.tolist() == ["dumping", "noise"]
    assert table["incident_id"].tolist() == [f"m{number:02d}" for number in range(30)]
    assert isinstance(table.index, pd.RangeIndex)


def test_ties_in_time_are_sorted_by_category_place_and_identifier() -> None:
    rows = pd.DataFrame(
        {
            "incident_id": ["e", "d", "c", "b", "a"],
            "occurred_at": ["2024-05-01 10:01"] * 5,
            "lat": [43.3, 43.3, 43.2, 43.3, 43.3],
            "lng": [5.4, 5.4, 5.5, 5.5, 5.4],
            "category": ["b", "b", "b", "b", "a"],
        }
    )
    assert read(rows).table["incident_id"].tolist() == ["a", "c", "d", "e", "b"]


# -- policies --------------------------------------------------------------------------------------


@pytest.fixture
def repeated(rows: pd.DataFrame) -> pd.DataFrame:
    """Three victims of one incident (other identifiers), and one record twice (the same identifier)."""
    victims = rows.iloc[[4, 4]].assign(incident_id=["x1", "x2"])
    return pd.concat([rows, victims, rows.iloc[[9]]], ignore_index=True)


def test_repeats_are_kept_and_counted(repeated: pd.DataFrame) -> None:
    found = read(repeated)
    assert found.funnel == Funnel(33, 33, 0, 0)
    counts = found.problems.set_index("what")["n"]
    assert counts["exact repeats of time, place and category"] == 3
    assert counts["rows repeated with their incident_id"] == 1
    assert "duplicate" not in found.table


def test_repeats_can_be_flagged_or_dropped(repeated: pd.DataFrame) -> None:
    flagged = read(repeated, duplicates="flag")
    assert flagged.funnel == Funnel(33, 33, 0, 0)
    assert flagged.table.loc[flagged.table["duplicate"], "incident_id"].tolist() == ["x1", "x2", "m09"]
    dropped = read(repeated, duplicates="drop")
    assert dropped.funnel == Funnel(33, 30, 0, 3)
    assert dropped.table["incident_id"].tolist() == [f"m{number:02d}" for number in range(30)]
    with pytest.raises(UsageError, match="duplicates must be one of"):
        read(repeated, duplicates="remove")


def test_an_identifier_with_other_content_is_quarantined_whatever_the_order(rows: pd.DataFrame) -> None:
    other = rows.iloc[[9]].assign(category="fire")
    for order in ([rows, other], [other, rows]):
        found = read(pd.concat(order, ignore_index=True))
        assert found.quarantine["reason"].tolist() == ["incident_id repeats with other content"]
        assert found.quarantine["value"].tolist() == ["m09"]
        # dumping sorts before fire, so the first in canonical order is kept
        assert found.table.set_index("incident_id").loc["m09", "category"] == "dumping"
        assert "fire" not in found.origins


def test_missing_identifiers_are_made_up_and_change_nothing(rows: pd.DataFrame) -> None:
    without = read(rows.drop(columns="incident_id"))
    assert not without.has_ids
    assert without.table["incident_id"].tolist()[:2] == ["row-0000001", "row-0000002"]
    shuffled = read(rows.drop(columns="incident_id").sample(frac=1, random_state=1))
    assert without.digest == shuffled.digest != read(rows).digest
    some = rows.assign(incident_id=rows["incident_id"].where(rows.index % 2 == 0))
    assert read(some).ids_given.sum() == 15
    assert not read(some).has_ids


def test_identifiers_may_be_numbers(rows: pd.DataFrame) -> None:
    assert read(rows.assign(incident_id=np.arange(30))).table["incident_id"].tolist()[:2] == ["0", "1"]


# -- times -----------------------------------------------------------------------------------------


def test_bad_times_are_quarantined_each_with_its_reason(rows: pd.DataFrame) -> None:
    rows.loc[[1, 4, 6, 8, 10], "occurred_at"] = [
        *("2024-03-31 02:30:00", "2024-05-01 23:59:60", "2031-01-01 00:00:00", "yesterday", None)
    ]
    found = read(rows, now="2024-06-01")
    assert refused(found) == [
        [2, "occurred_at", "time does not exist (clock change)"],
        [5, "occurred_at", "time not understood: second 60 (leap second)"],
        [7, "occurred_at", "in the future"],
        [9, "occurred_at", "time not understood"],
        [11, "occurred_at", "time missing"],
    ]
    assert found.quarantine["value"].tolist()[1] == "'2024-05-01 23:59:60'"
    assert found.funnel == Funnel(30, 25, 5, 0)


def test_the_doubled_hour_is_accepted_as_the_first_and_reported(rows: pd.DataFrame) -> None:
    rows.loc[29, "occurred_at"] = "2024-10-27 02:30:00"
    found = read(rows)
    assert found.table["occurred_at"].iloc[-1] == pd.Timestamp("2024-10-27 00:30", tz="UTC")
    assert found.problems.set_index("what").loc["ambiguous time (clock change)", "n"] == 1


def test_now_is_local_unless_it_says_otherwise(rows: pd.DataFrame) -> None:
    assert read(rows, now="2024-05-01 10:40").funnel.accepted == 2
    assert read(rows, now=pd.Timestamp("2024-05-01 08:40", tz="UTC")).funnel.accepted == 2


def test_unreadable_times_stop_the_reading(rows: pd.DataFrame) -> None:
    french = pd.to_datetime(rows["occurred_at"]).dt.strftime("%d/%m/%Y %H:%M:%S")
    with pytest.raises(InputDataError, match="Several formats fit"):
        read(rows.assign(occurred_at=french))
    assert len(read(rows.assign(occurred_at=french), time_format="%d/%m/%Y %H:%M:%S")) == 30
    mixed = rows["occurred_at"].where(rows.index < 20, french)
    with pytest.raises(InputDataError, match="10 of 30 times"):
        read(rows.assign(occurred_at=mixed))


def test_dates_only_are_remembered(rows: pd.DataFrame) -> None:
    rows["occurred_at"] = rows["occurred_at"].str.slice(0, 10)
    found = read(rows)
    assert found.time_precision == "date"
    assert "times are dates only" in set(found.problems["what"])
    assert read(rows.assign(occurred_at="2024-05-01 10:00")).time_precision == "hour"


def test_time_zone_is_required_and_explained(rows: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match=r"tz is required: files hold local wall-clock times"):
        read_incidents(rows)
    with pytest.raises(UsageError, match="Did you mean 'Europe/Paris'"):
        read(rows, tz="Europe/Pariss")


# -- reporting -------------------------------------------------------------------------------------


def test_reporting_times_are_read_and_checked(rows: pd.DataFrame) -> None:
    reported = pd.to_datetime(rows["occurred_at"]) + pd.Timedelta(hours=5)
    rows["reported_at"] = reported.dt.strftime("%Y-%m-%d %H:%M:%S")
    rows.loc[[2, 5, 7, 9], "reported_at"] = ["2024-04-01 00:10:00", "2030-01-01 10:00:00", None, "soon"]
    found = read(rows, now="2024-06-01")
    assert refused(found) == [
        [3, "reported_at", "reported before it occurred"],
        [6, "reported_at", "in the future"],
        [10, "reported_at", "time not understood"],
    ]
    assert list(found.table)[:3] == ["incident_id", "occurred_at", "reported_at"]
    assert found.table["reported_at"].isna().sum() == 1
    assert found.problems.set_index("what").loc["reported_at missing", "n"] == 1
    assert str(found.table["reported_at"].dtype) == "datetime64[us, Europe/Paris]"


def test_a_month_still_running_is_not_the_future(rows: pd.DataFrame) -> None:
    rows["month"] = 202405
    rows.loc[3, "month"] = 202407
    found = read(rows, columns={"reported_at": "month"}, now="2024-05-20")
    assert refused(found) == [[4, "reported_at", "in the future"]]
    assert (found.table["reported_at"] == pd.Timestamp("2024-06-01", tz=PARIS)).all()


# -- places ----------------------------------------------------------------------------------------


def test_forty_percent_without_place_warns(rows: pd.DataFrame) -> None:
    rows.loc[:11, "lat"] = np.nan
    with pytest.warns(DataWarning, match=r"12 of 30 rows \(40.0%\) have no usable place"):
        found = read(rows)
    assert found.funnel == Funnel(30, 18, 12, 0)
    assert found.problems.iloc[0][["what", "n", "share"]].tolist() == [
        "quarantined: coordinates missing",
        12,
        0.4,
    ]


def test_no_place_at_all_and_swapped_places_stop_the_reading(rows: pd.DataFrame) -> None:
    with pytest.raises(InputDataError, match="no row has coordinates"):
        read(rows.assign(lat=np.nan))
    with pytest.raises(InputDataError, match="look swapped"):
        read(rows.rename(columns={"lat": "lng", "lng": "lat"}))


def test_single_wrong_places_are_quarantined(rows: pd.DataFrame) -> None:
    rows = rows.astype({"lat": object})
    rows.loc[[3, 5, 7], ["lat", "lng"]] = [[5.4, 43.3], [0, 0], [-33.8, 151.2]]
    rows.loc[9, "lat"] = "north"
    assert refused(read(rows)) == [
        [4, "lat, lng", "lat and lng look swapped"],
        [6, "lat, lng", "(0, 0) is not a place"],
        [8, "lat, lng", "stray point: more than 100 km from the median place"],
        [10, "lat", "lat is not a number"],
    ]


def test_a_study_area_decides_what_is_outside(rows: pd.DataFrame) -> None:
    from shapely.geometry import box

    found = read(rows, study_area=box(5.36, 43.295, 5.41, 43.325))
    # lat runs from 43.300 by thousandths, the box grown by a tenth ends at 43.3265: rows 0 to 26 are in it.
    assert found.funnel.accepted == 27
    assert set(found.quarantine["reason"]) == {"outside the study area"}


# -- categories ------------------------------------------------------------------------------------


def test_categories_survive_as_they_are(rows: pd.DataFrame) -> None:
    odd = ["<script>alert(1)</script>", "=cmd|' /C calc'!A0", "dépôt sauvage"]
    rows.loc[:2, "category"] = odd
    rows.loc[3, "category"] = "  noise "
    rows.loc[[4, 5], "category"] = [None, "  "]
    found = read(rows)
    assert set(odd) <= set(found.origins)
    assert " noise" not in "".join(found.origins)
    assert refused(found) == [[5, "category", "category missing"], [6, "category", "category missing"]]
    shown = found._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_targets_origins_and_what_their_names_say(rows: pd.DataFrame) -> None:
    rows.loc[:4, "category"] = "drugs"
    targets = {"litter": {"from": ["dumping"], "origin": "citizen"}}
    found = read(rows, categories=targets, origins={"noise": "sensor", "fires": "citizen"})
    assert found.origins == {"drugs": "agent", "litter": "citizen", "noise": "sensor"}
    told = found.problems.set_index("what")
    assert told.loc["origin not declared: 'drugs'", "n"] == 5
    assert "origins for categories that never occur: ['fires']" in told.index
    assert "'drugs'" in told.loc["categories with fewer than 30 incidents", "advice"]


def test_a_listed_category_that_never_occurs_stops_the_reading(rows: pd.DataFrame) -> None:
    with pytest.raises(InputDataError, match=r"'dumpin' .* never occurs. Did you mean 'dumping'"):
        read(rows, categories={"litter": ["dumpin"]})
    assert len(read(rows, categories={"litter": ["dumpin"]}, require_listed=False)) == 30


# -- filters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([True, False], True),
        (["True", "False"], True),
        (["1", "0"], True),
        ([3, 4], 3),
        (["3", "4"], [3]),
        (["north", "south"], ("north", "west")),
    ],
)
def test_rows_filtered_out_are_quarantined_as_such(
    rows: pd.DataFrame, values: list[object], wanted: object
) -> None:
    found = read(rows.assign(keep=values * 15), where={"keep": wanted})
    assert found.funnel == Funnel(30, 15, 15, 0)
    assert refused(found)[0] == [2, "keep", "filtered: keep"]


def test_filters_that_cannot_be_meant(rows: pd.DataFrame) -> None:
    with pytest.raises(
        InputDataError, match=r"where keeps no row: 'ward' is never one of \[9\]. It holds \['3'\]"
    ):
        read(rows.assign(ward=3), where={"ward": 9})
    with pytest.raises(InputDataError, match=r"there is no column 'wardd' \(in where\). Did you mean 'ward'"):
        read(rows.assign(ward=3), where={"wardd": 3})
    with pytest.raises(PersonLevelDataError, match="age"):
        read(rows.assign(age=33), where={"age": 33})


def test_rows_filtered_out_have_no_say_in_where_the_city_is(rows: pd.DataFrame) -> None:
    elsewhere = rows.assign(
        lat=48.85, lng=2.35, incident_id=[f"p{number}" for number in range(30)], town="Paris"
    )
    both = pd.concat([rows.assign(town="Marseille"), elsewhere, elsewhere], ignore_index=True)
    assert read(both, where={"town": "Marseille"}).funnel.accepted == 30


# -- what is said about it -------------------------------------------------------------------------


def test_no_usable_row_is_an_error_that_says_why(rows: pd.DataFrame) -> None:
    with pytest.raises(InputDataError, match=r"none of the 30 rows .* can be used \(in the future: 30\)"):
        read(rows, now="2020-01-01")


def test_one_row_works(rows: pd.DataFrame) -> None:
    found = read(rows.iloc[[3]])
    assert len(found) == 1
    assert (
        repr(found) == "Incidents(1 accepted of 1 read, 1 category, 2024-05-01 to 2024-05-01, Europe/Paris)"
    )


def test_values_that_describe_persons_are_not_repeated(rows: pd.DataFrame) -> None:
    text = rows.astype({"lat": object})
    text.loc[9, "lat"] = "Jean Dupont"
    text.loc[11, "occurred_at"] = "06 12 34 56 78"
    text.loc[13, "lat"] = "x" * 200
    found = read(text)
    shown = found.quarantine["value"].tolist()
    assert shown == ["(not shown)", "(not shown)", "'" + "x" * 79]
    names = ["Jean Dupont", "Sophie Martin"] * 15
    with pytest.raises(InputDataError, match="30 of 30 times") as caught:
        read(rows.assign(occurred_at=names))
    assert "Dupont" not in str(caught.value)


def test_summary_is_json_and_complete(rows: pd.DataFrame) -> None:
    rows.loc[3, "lat"] = np.nan
    told = json.loads(json.dumps(read(rows).summary()))
    assert {name: told[name] for name in ("read", "accepted", "quarantined", "duplicate")} == {
        "read": 30,
        "accepted": 29,
        "quarantined": 1,
        "duplicate": 0,
    }
    assert told["categories"]["noise"] == {"n": 15, "origin": "unknown"}
    assert told["since"] == "2024-05-01T10:03:00+02:00"
    assert told["quarantine"] == {"coordinates missing": 1}
    assert len(told["digest"]) == 64


def test_the_funnel_must_add_up() -> None:
    with pytest.raises(UsageError, match="does not add up"):
        Funnel(read=3, accepted=1, quarantined=1)
    with pytest.raises(UsageError, match="does not add up"):
        Funnel(read=0, accepted=1, quarantined=-1)


def test_categories_can_be_taken_out(rows: pd.DataFrame) -> None:
    noise = read(rows).of("noise")
    assert len(noise) == 15
    assert noise.origins == {"noise": "unknown"}
    assert noise.table["category"].cat.categories.tolist() == ["noise"]
    assert read(rows).of(["noise", "dumping"]).digest == read(rows).digest
    with pytest.raises(UsageError, match="Did you mean 'noise'"):
        read(rows).of("nois")


def test_required_parameters_are_keywords() -> None:
    kinds = [parameter.kind for parameter in inspect.signature(read_incidents).parameters.values()]
    assert kinds[1:] == [inspect.Parameter.KEYWORD_ONLY] * (len(kinds) - 1)


# -- tables that are known to be sound -------------------------------------------------------------


def test_from_table_is_the_same_as_reading(rows: pd.DataFrame) -> None:
    made = Incidents.from_table(rows, tz=PARIS, origins={"noise": "citizen"})
    assert made.digest == read(rows).digest
    pd.testing.assert_frame_equal(made.table, read(rows).table)
    assert made.origins == {"dumping": "unknown", "noise": "citizen"}
    assert made.funnel == Funnel(30, 30, 0, 0)
    aware = pd.to_datetime(rows["occurred_at"]).dt.tz_localize(PARIS).dt.tz_convert("UTC")
    assert Incidents.from_table(rows.assign(occurred_at=aware), tz=PARIS).digest == made.digest


def test_from_table_keeps_reporting_times_and_may_be_empty(rows: pd.DataFrame) -> None:
    reported = pd.to_datetime(rows["occurred_at"]) + pd.Timedelta(minutes=7)
    reported[3] = pd.NaT
    made = Incidents.from_table(rows.assign(reported_at=reported), tz=PARIS)
    assert made.table["reported_at"].isna().sum() == 1
    empty = Incidents.from_table(rows.iloc[:0], tz=PARIS)
    assert len(empty) == 0
    assert empty.origins == {}
    assert "no time" in repr(empty)
    assert json.dumps(empty.summary())
    assert "Incidents(0 accepted" in empty._repr_html_()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"occurred_at": "2024-03-31 02:30"}, "30 rows lack a occurred_at that exists in Europe/Paris"),
        ({"lat": np.nan}, "without a place"),
        ({"lng": 181.0}, "without a place"),
        ({"category": None}, "30 rows without category"),
        ({"nom": "x"}, r"columns that incidents do not have: \['nom'\]"),
    ],
)
def test_from_table_refuses_what_a_guard_would(
    rows: pd.DataFrame, change: dict[str, object], told: str
) -> None:
    with pytest.raises(InputDataError, match=told):
        Incidents.from_table(rows.assign(**change), tz=PARIS)


def test_from_table_names_a_missing_column(rows: pd.DataFrame) -> None:
    with pytest.raises(InputDataError, match="no column 'lat'"):
        Incidents.from_table(rows.drop(columns="lat"), tz=PARIS)


# -- properties ------------------------------------------------------------------------------------

TIMES = st.sampled_from(
    [
        *(
            "2024-05-01 10:03:00",
            "2024-05-01 10:04:00",
            "2024-05-02",
            "2024-03-31 02:30:00",
            "2024-10-27 02:30:00",
        ),
        *("2024-10-27T00:30:00Z", "2099-01-01 00:00:00", "2016-12-31 23:59:60", "1900-01-01", None),
    ]
)
LAT = st.sampled_from([43.30, 43.31, 43.32, 5.4, 0.0, 95.0, -33.8, float("nan")])
LNG = st.sampled_from([5.40, 5.41, 43.3, 0.0, 151.2, float("nan")])
ROW = st.tuples(
    st.sampled_from(["a", "b", "c", "d", None]), TIMES, LAT, LNG, st.sampled_from(["x", "y", None])
)
NAMES = ["incident_id", "occurred_at", "lat", "lng", "category"]
GOOD = [(None, f"2024-05-03 10:{minute:02d}:00", 43.30, 5.40, "x") for minute in range(12)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(ROW, max_size=25), st.randoms(use_true_random=False), st.sampled_from(["keep", "flag", "drop"])
)
@pytest.mark.filterwarnings("ignore::tranquillite_ml.errors.DataWarning")
def test_the_funnel_adds_up_and_the_order_of_rows_is_irrelevant(
    made: list, random: object, policy: str
) -> None:
    in_order = GOOD + made
    shuffled = list(in_order)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = (
        read(
            pd.DataFrame(some, columns=NAMES).astype({"occurred_at": object}),
            duplicates=policy,
            now="2026-01-01",
        )
        for some in (in_order, shuffled)
    )
    assert first.funnel == second.funnel
    assert first.funnel.read == len(in_order)
    assert first.funnel.accepted == len(first.table)
    assert first.funnel.quarantined == len(first.quarantine)
    assert first.digest == second.digest
    pd.testing.assert_frame_equal(first.table, second.table)
    pd.testing.assert_frame_equal(first.problems, second.problems)
    counts = [
        some.quarantine.value_counts(["column", "reason", "value"]).to_dict() for some in (first, second)
    ]
    assert counts[0] == counts[1]


def test_the_digest_is_that_of_the_content_and_nothing_else(rows: pd.DataFrame) -> None:
    found = read(rows)
    # Frozen: if this value changes, so does the identity of every run.
    assert found.digest[:16] == "bc4abe6fc6e1cbb4"
    assert found.digest == read(rows.assign(premise="house")).digest
    assert found.digest != read(rows, tz="UTC").digest
    assert found.digest != read(rows.assign(lat=rows["lat"] + 1e-9)).digest
    assert found.digest != read(rows.assign(category="noise")).digest
