"""The real files: what is wrong with them is found, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml.errors import DataWarning, InputDataError, PersonLevelDataError
from tranquillite_ml.intake import read_incidents
from tranquillite_ml.intake.incidents import Funnel

CityFile = Callable[[str], Path]
ZONES = {
    "stlouis": "America/Chicago",
    "chicago": "America/Chicago",
    "houston": "America/Chicago",
    "portland": "America/Los_Angeles",
    "vancouver": "America/Vancouver",
}
COLUMNS = {
    "incident_id": "incident_id",
    "occurred_at": "timestamp",
    "lat": "latitude",
    "lng": "longitude",
    "category": "category",
}


@pytest.mark.parametrize("city", ZONES)
def test_every_city_reads_without_dropping_a_column(city: str, city_file: CityFile) -> None:
    found = read_incidents(city_file(city), tz=ZONES[city])
    assert found.funnel.read == len(pd.read_parquet(city_file(city), columns=["category"]))
    assert found.funnel.quarantined == len(found.quarantine)
    mapped = read_incidents(city_file(city), tz=ZONES[city], columns=COLUMNS)
    assert mapped.digest == found.digest


def test_vancouver_rows_without_place_are_quarantined_each_with_its_reason(city_file: CityFile) -> None:
    found = read_incidents(city_file("vancouver"), tz=ZONES["vancouver"])
    assert found.quarantine["reason"].value_counts().to_dict() == {
        "coordinates missing": 3_751,
        "time does not exist (clock change)": 2,
    }
    assert found.funnel == Funnel(read=37_512, accepted=33_759, quarantined=3_753)
    told = found.problems.set_index("what")
    assert told.loc["placeholder time 00:00", "n"] > 1_000
    assert told.loc["pile-up on one coordinate", "n"] > 300


def test_st_louis_reporting_months_duplicates_and_placeholders(city_file: CityFile) -> None:
    found = read_incidents(
        city_file("stlouis"),
        tz=ZONES["stlouis"],
        columns=COLUMNS | {"reported_at": "coded_month"},
        duplicates="drop",
    )
    reasons = found.quarantine["reason"].value_counts().to_dict()
    assert reasons == {
        "coordinates missing": 5_330,
        "time does not exist (clock change)": 19,
        "reported before it occurred": 6,
    }
    assert found.funnel.read == 510_564
    assert (
        found.funnel.duplicate
        == found.problems.set_index("what").loc["exact repeats of time, place and category", "n"]
    )
    known = found.table["reported_at"].dt.tz_localize(None).dt.to_period("M") - 1
    happened = found.table["occurred_at"].dt.tz_localize(None).dt.to_period("M")
    assert (known == happened).mean() == pytest.approx(0.928, abs=0.001)  # 0.928 of the raw rows with a place
    told = found.problems.set_index("what")["share"]
    assert told["placeholder time 00:01"] == pytest.approx(0.014, abs=0.001)
    assert told["placeholder time 12:00"] == pytest.approx(0.024, abs=0.001)
    agent = {name for name, origin in found.origins.items() if origin == "agent"}
    assert agent == {
        *("disorderly conduct", "driving under influence", "drugs", "gambling", "liquor laws"),
        *("loitering/vagrancy", "prostitution", "stolen property", "weapons"),
    }


def test_houston_keeps_what_is_geocoded(city_file: CityFile) -> None:
    found = read_incidents(city_file("houston"), tz=ZONES["houston"], where={"geocode_ok": True})
    assert (found.quarantine["reason"] == "filtered: geocode_ok").sum() == 213
    assert found.time_precision == "hour"
    without = read_incidents(city_file("houston"), tz=ZONES["houston"])
    assert without.quarantine["reason"].str.startswith("stray point").sum() > 10


def test_portland_is_dated_by_the_day(city_file: CityFile) -> None:
    found = read_incidents(city_file("portland"), tz=ZONES["portland"])
    assert found.time_precision == "date"
    assert found.funnel == Funnel(read=14_133, accepted=14_133, quarantined=0)


def test_row_order_and_file_kind_do_not_matter(city_file: CityFile, tmp_path: Path) -> None:
    table = pd.read_parquet(city_file("houston"))
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "houston.csv", index=False)
    found = read_incidents(tmp_path / "houston.csv", tz=ZONES["houston"], where={"geocode_ok": True})
    assert found.digest == read_incidents(table, tz=ZONES["houston"], where={"geocode_ok": True}).digest


@pytest.fixture
def portland(city_file: CityFile) -> pd.DataFrame:
    return pd.read_parquet(city_file("portland"))


def spoil(table: pd.DataFrame, **options: object) -> object:
    return read_incidents(table, tz=ZONES["portland"], **options)  # type: ignore[arg-type]


def test_a_real_file_with_swapped_columns_is_refused(city_file: CityFile) -> None:
    for city in ("portland", "chicago", "houston", "vancouver", "stlouis"):
        with pytest.raises(InputDataError, match="look swapped"):
            read_incidents(
                city_file(city), tz=ZONES[city], columns=COLUMNS | {"lat": "longitude", "lng": "latitude"}
            )


def test_a_real_file_without_places(portland: pd.DataFrame) -> None:
    with pytest.raises(InputDataError, match="no row has coordinates"):
        spoil(portland.assign(latitude=np.nan, longitude=np.nan))
    some = portland["latitude"].where(np.arange(len(portland)) % 5 >= 2)
    with pytest.warns(DataWarning, match=r"\(40.0%\) have no usable place"):
        assert spoil(portland.assign(latitude=some)).funnel.quarantined == 5_654


@pytest.mark.parametrize("place", [(0.0, 0.0), (43.3, 5.4)])
def test_a_real_file_with_one_stray_point(portland: pd.DataFrame, place: tuple[float, float]) -> None:
    portland.loc[77, ["latitude", "longitude"]] = place
    assert spoil(portland).quarantine["row"].tolist() == [78]


@pytest.mark.parametrize("column", ["nom", "date_naissance"])
def test_a_real_file_with_a_person_level_column(portland: pd.DataFrame, column: str, tmp_path: Path) -> None:
    portland.assign(**{column: "1980-01-01"}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(PersonLevelDataError, match=rf"drop_columns: \[{column}\]"):
        read_incidents(tmp_path / "a.parquet", tz=ZONES["portland"])
    assert len(read_incidents(tmp_path / "a.parquet", tz=ZONES["portland"], drop_columns=[column])) == 14_133


def test_a_real_file_that_is_truncated(city_file: CityFile, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(city_file("portland").read_bytes()[:100_000])
    with pytest.raises(InputDataError, match=r"a\.parquet cannot be read: it is truncated"):
        read_incidents(tmp_path / "a.parquet", tz=ZONES["portland"])


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "=cmd|' /C calc'!A0"])
def test_a_real_file_with_a_rare_and_hostile_category(portland: pd.DataFrame, name: str) -> None:
    portland.loc[[3, 400, 9000], "category"] = name
    found = spoil(portland)
    assert (found.table["category"] == name).sum() == 3
    assert found.problems.set_index("what").loc["categories with fewer than 30 incidents", "n"] == 3
    assert "<script>" not in found._repr_html_()


@pytest.mark.slow
def test_two_million_rows_with_one_bad_one(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import csv

    n = 2_000_000
    rng = np.random.default_rng(0)
    minutes = np.sort(rng.integers(0, 2 * 365 * 24 * 60, n)) * 60
    table = pa.table(
        {
            "occurred_at": pa.array((minutes + 1_640_995_200).astype("datetime64[s]")),
            "lat": 43.3 + rng.normal(0, 0.03, n).round(5),
            "lng": 5.4 + rng.normal(0, 0.03, n).round(5),
            "category": pa.array(np.array(["noise", "dumping", "graffiti"])[rng.integers(0, 3, n)]),
        }
    )
    csv.write_csv(table, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_bytes().split(b"\n")
    lines[1_234_567] += b",extra"
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    found = read_incidents(tmp_path / "a.csv", tz="UTC")
    assert found.quarantine[["row", "reason"]].to_numpy().tolist() == [
        [1_234_567, "row has 5 fields, the header has 4"]
    ]
    assert found.funnel == Funnel(n, n - 1, 1)
