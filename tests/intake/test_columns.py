"""Which column is which, which category is whose, and who made the records."""

import pytest

from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.intake.columns import map_categories, resolve_columns, settle_origins

OURS = ["occurred_at", "lat", "lng", "category"]


def test_our_own_names_need_no_mapping() -> None:
    assert resolve_columns(None, [*OURS, "other"], file="f") == {name: name for name in OURS}
    found = resolve_columns(
        {"category": "type"}, ["occurred_at", "lat", "lng", "type", "reported_at"], file="f"
    )
    assert found["reported_at"] == "reported_at"


def test_aliases_only_without_a_mapping_and_only_if_unambiguous() -> None:
    there = ["Timestamp", "LATITUDE", "Longitude", "Type", "id"]
    assert resolve_columns(None, there, file="f") == {
        "incident_id": "id",
        "occurred_at": "Timestamp",
        "lat": "LATITUDE",
        "lng": "Longitude",
        "category": "Type",
    }
    with pytest.raises(InputDataError, match="there is no column 'lat'"):
        resolve_columns({"occurred_at": "Timestamp"}, there, file="f")
    with pytest.raises(InputDataError, match=r"several columns could be lng: \['lon', 'long'\]"):
        resolve_columns(None, ["occurred_at", "lat", "lon", "long", "category"], file="f")
    assert "incident_id" not in resolve_columns(None, [*OURS, "id", "case number"], file="f")


def test_a_wrong_name_is_answered_with_the_nearest_and_all_others() -> None:
    with pytest.raises(InputDataError) as caught:
        resolve_columns({"occurred_at": "time_stamp"}, ["timestamp", "lat", "lng", "category"], file="a.csv")
    told = str(caught.value)
    assert told.startswith(
        "a.csv: there is no column 'time_stamp' (for occurred_at). Did you mean 'timestamp'?"
    )
    assert told.endswith("The file's columns are ['timestamp', 'lat', 'lng', 'category'].")


def test_a_wrong_key_is_a_wrong_argument() -> None:
    with pytest.raises(UsageError, match="Did you mean 'occurred_at'"):
        resolve_columns({"ocurred_at": "x"}, OURS, file="f")


def test_geometry_gives_the_place_unless_both_columns_are_named() -> None:
    assert resolve_columns(None, OURS, file="f", geometry=True) == {
        "occurred_at": "occurred_at",
        "category": "category",
    }
    assert resolve_columns({"lat": "lat", "lng": "lng"}, OURS, file="f", geometry=True)["lat"] == "lat"
    with pytest.raises(UsageError, match="only one of lat and lng"):
        resolve_columns({"lat": "lat"}, OURS, file="f", geometry=True)


def test_categories_are_renamed_and_others_kept() -> None:
    given = {"theft": ["larceny", " pickpocketing "], "fire": {"from": "arson", "origin": "citizen"}}
    target_of, declared = map_categories(["larceny", "pickpocketing", "arson", "noise"], given)
    assert target_of == {"larceny": "theft", "pickpocketing": "theft", "arson": "fire", "noise": "noise"}
    assert declared == {"fire": "citizen"}
    assert map_categories(["a"], None) == ({"a": "a"}, {})
    assert map_categories(["a"], {"a": {"origin": "sensor"}}) == ({"a": "a"}, {"a": "sensor"})


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (
            {"theft": ["larcny"]},
            InputDataError,
            r"'larcny' \(listed for 'theft'\) never occurs. Did you mean 'larceny'",
        ),
        (
            {"theft": ["larceny"], "all": ["larceny"]},
            UsageError,
            "listed under two targets: 'theft' and 'all'",
        ),
        ({"noise": ["larceny"]}, InputDataError, "hold a category 'noise' that the target of this name"),
        ({"theft": []}, UsageError, "must list the raw names"),
        ({"theft": 3}, UsageError, "must list the raw names"),
        ({"theft": {"form": ["larceny"]}}, UsageError, "Did you mean 'from'"),
        ({"theft": {"from": ["larceny"], "origin": "citizens"}}, UsageError, "Did you mean 'citizen'"),
    ],
)
def test_category_lists_that_cannot_be_meant(
    given: dict[str, object], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        map_categories(["larceny", "noise"], given)


def test_a_small_file_of_new_records_need_not_hold_every_category() -> None:
    assert map_categories(["larceny"], {"fire": ["arson"]}, require_listed=False)[0] == {"larceny": "larceny"}


def test_origins_are_declared_or_agent_by_name_or_unknown() -> None:
    target_of = {
        "drugs": "drugs",
        "fines": "nuisance",
        "tags": "nuisance",
        "noise": "noise",
        "stops": "stops",
    }
    settled, guessed, absent = settle_origins(
        target_of, {"stops": "unknown"}, {"noise": "citizen", "fire": "agent"}
    )
    # "nuisance" holds fines: a new name does not change who made the record.
    assert settled == {"drugs": "agent", "noise": "citizen", "nuisance": "agent", "stops": "unknown"}
    assert guessed == ["drugs", "nuisance"]
    assert absent == ["fire"]


def test_the_origin_of_a_raw_category_is_that_of_its_target() -> None:
    assert settle_origins({"tags": "graffiti"}, {}, {"tags": "sensor"})[0] == {"graffiti": "sensor"}


def test_origins_that_contradict_or_do_not_exist() -> None:
    with pytest.raises(UsageError, match="two origins: 'citizen' and 'agent'"):
        settle_origins({"a": "a"}, {"a": "citizen"}, {"a": "agent"})
    with pytest.raises(UsageError, match="Did you mean 'sensor'"):
        settle_origins({"a": "a"}, {}, {"a": "sensors"})
