"""Incidents from a database are those of the file; what goes wrong names the database, not the password."""
# ruff: noqa: S608 - the tests' own queries

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.postgresql import Server, running

from tranquillite_ml.errors import InputDataError, PersonLevelDataError, UsageError
from tranquillite_ml.intake import read_incidents
from tranquillite_ml.intake.databases import CHUNK, Database, check_select, parse_address

PARIS = "Europe/Paris"
ALL = "select * from incidents"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running() as found:
        yield found


Store = Callable[..., str]


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Put rows into a table of a database, and give the database's address."""

    def keep(table: pd.DataFrame, name: str = "incidents") -> str:
        if request.param == "postgresql":
            server: Server = request.getfixturevalue("server")
            server.write(name, table)
            return server.url
        with sqlite3.connect(tmp_path / "city.db") as link:
            table.to_sql(name, link, index=False, if_exists="replace")
        link.close()
        return f"sqlite:///{tmp_path / 'city.db'}"

    return keep


def test_a_database_gives_the_incidents_of_the_file(store: Store, rows: pd.DataFrame, tmp_path: Path) -> None:
    rows["lat"] += 1e-13  # every bit of a coordinate counts
    rows["reported_at"] = "2024-05-03 08:00:00.123456"
    rows.loc[3, "lat"] = np.nan
    rows.to_parquet(tmp_path / "a.parquet")
    of_file = read_incidents(tmp_path / "a.parquet", tz=PARIS)
    url = store(rows)
    found = read_incidents(url, query=ALL + " order by incident_id -- all of them", tz=PARIS)
    assert found.digest == of_file.digest
    assert found.has_ids
    pd.testing.assert_frame_equal(
        found.quarantine.drop(columns="file"), of_file.quarantine.drop(columns="file")
    )
    assert found.quarantine["row"].tolist() == [4]
    assert "hush-hush" not in str(found.quarantine["file"].tolist())


def test_types_of_postgresql_are_read_as_what_they_are(server: Server, rows: pd.DataFrame) -> None:
    server.write("typed", rows)
    query = """
        select occurred_at::timestamp as occurred_at, lat::numeric(9, 6) as lat, lng::real::float8 as lng,
               category::varchar(20) as category, md5(incident_id)::uuid as incident_id,
               (occurred_at::timestamp at time zone 'Europe/Paris') as reported_at
        from typed
    """
    found = read_incidents(server.url, query=query, tz=PARIS).table
    assert found["lat"].tolist() == rows["lat"].round(6).tolist()
    assert found["lng"].tolist() == rows["lng"].astype("float32").astype("float64").tolist()
    assert (found["reported_at"] == found["occurred_at"]).all()
    assert found["incident_id"].str.fullmatch(r"[0-9a-f]{8}-.*").all()
    dated = query.replace("occurred_at::timestamp as", "occurred_at::date as").replace(", reported_at", "")
    dated = dated[: dated.index(",\n               (occ")] + " from typed"
    assert read_incidents(server.url, query=dated, tz=PARIS).time_precision == "date"


def test_a_geometry_of_postgis_gives_the_place(server: Server, rows: pd.DataFrame) -> None:
    try:
        server.run("create extension if not exists postgis")
    except Exception as error:
        pytest.skip(f"needs PostGIS: {str(error)[:80]}")
    server.write("points", rows)
    point = "st_setsrid(st_makepoint(lng, lat), 4326)"
    query = f"select incident_id, occurred_at, category, st_transform({point}, 2154) as geom from points"
    found = read_incidents(server.url, query=query, tz=PARIS).table
    np.testing.assert_allclose(found["lat"], rows["lat"], atol=1e-8)
    np.testing.assert_allclose(found["lng"], rows["lng"], atol=1e-8)
    for wrong, told in ((f"st_setsrid({point}, 0)", "SRID"), (f"st_buffer({point}, 1)", "POINT")):
        query = f"select incident_id, occurred_at, category, {wrong} as geom from points"
        with pytest.raises(InputDataError, match=told):
            read_incidents(server.url, query=query, tz=PARIS)


def test_only_columns_that_are_needed_are_asked_for(store: Store, rows: pd.DataFrame) -> None:
    url = store(rows.assign(nom="Jean Dupont", telephone="06 12 34 56 78", remark="voir jean@example.fr"))
    with pytest.raises(PersonLevelDataError, match="drop_columns"):
        read_incidents(url, query=ALL, tz=PARIS)
    kept = ["nom", "telephone", "remark"]
    assert len(read_incidents(url, query=ALL, tz=PARIS, drop_columns=kept)) == 30
    part = Database(url, ALL)
    frame, *_ = part.load(["lat", "category"])
    assert list(frame) == ["lat", "category"]


def test_rows_come_in_chunks_and_in_order(store: Store) -> None:
    n = CHUNK + 10
    url = store(pd.DataFrame({"number": np.arange(n), "half": np.arange(n) / 2, "text": 'é,"\n'}), "many")
    part = Database(url, "select * from many order by number")
    frame, numbers, *_ = part.load(part.columns)
    assert frame["number"].tolist() == list(range(n))
    assert frame["half"].to_numpy().tolist() == (np.arange(n) / 2).tolist()
    assert set(frame["text"]) == {'é,"\n'}
    assert numbers[-1] == n


REFUSED = {
    "delete from incidents": "one SELECT",
    "drop table incidents": "one SELECT",
    "-- hello\nupdate incidents set lat = 0": "begins with 'update'",
    "": "one SELECT",
}


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_no_select_is_refused(query: str) -> None:
    with pytest.raises(UsageError, match=REFUSED[query]):
        check_select(query)


WRITING = (
    "with gone as (delete from incidents returning *) select * from gone",
    "select * from incidents; delete from incidents",
    "select 1) as a; delete from incidents; select * from (select 1",
    "select * into copied from incidents",
    "select 1) to program 'touch /tmp/x' --",
    "select *, set_config('transaction_read_only', 'off', true) as on_we_go from incidents",
    "select * from nothing",
    "select category, 1 / (count(*) - 30) from incidents group by category; commit",
    "select broken from",
)


@pytest.mark.parametrize("query", WRITING)
def test_what_would_write_is_refused_by_the_database_itself(
    query: str, store: Store, rows: pd.DataFrame
) -> None:
    url = store(rows)
    with pytest.raises(InputDataError, match="cannot be read"):
        read_incidents(url, query=query, tz=PARIS)
    assert len(read_incidents(url, query=ALL, tz=PARIS)) == 30


def test_the_file_of_sqlite_is_opened_for_reading(tmp_path: Path, rows: pd.DataFrame) -> None:
    with pytest.raises(InputDataError, match="there is no SQLite file"):
        read_incidents(f"sqlite:///{tmp_path / 'none.db'}", query=ALL, tz=PARIS)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "text.db").write_text("occurred_at,lat" * 100)
    with pytest.raises(InputDataError, match="file is not a database"):
        read_incidents(f"sqlite:///{tmp_path / 'text.db'}", query=ALL, tz=PARIS)


def test_no_rows_or_columns(store: Store, rows: pd.DataFrame) -> None:
    url = store(rows)
    with pytest.raises(InputDataError, match="the query gives no rows"):
        read_incidents(url, query=ALL + " where lat > 90", tz=PARIS)
    with pytest.raises(InputDataError, match="there is no column 'lat'"):
        read_incidents(url, query="select occurred_at, category from incidents", tz=PARIS)
    with pytest.raises(InputDataError, match="columns occur twice"):
        read_incidents(
            url,
            query="select a.*, b.* from incidents as a join incidents as b using (occurred_at)",
            tz=PARIS,
        )


def test_wrong_types_are_named(store: Store, rows: pd.DataFrame) -> None:
    url = store(rows)
    text = "select occurred_at, category, 'north' as lat, lng from incidents"
    with pytest.raises(InputDataError, match=r"none of the 30 rows .*lat is not a number|no row has coord"):
        read_incidents(url, query=text, tz=PARIS)
    number = "select 7 as occurred_at, category, lat, lng from incidents"
    with pytest.raises(InputDataError, match="occurred_at"):
        read_incidents(url, query=number, tz=PARIS)


def test_binary_and_nested_values_are_named(server: Server, tmp_path: Path, rows: pd.DataFrame) -> None:
    server.write("incidents", rows)
    for wrong, kind in (("lat::text::bytea", "bytea"), ("array[lat]", "_float8"), ("to_jsonb(lat)", "jsonb")):
        query = f"select occurred_at, category, {wrong} as lat, lng from incidents"
        with pytest.raises(InputDataError, match=f"column 'lat' is of type {kind}"):
            read_incidents(server.url, query=query, tz=PARIS)
    with sqlite3.connect(tmp_path / "city.db") as link:
        rows.assign(lat=b"43").to_sql("incidents", link, index=False)
    link.close()
    with pytest.raises(InputDataError, match="column 'lat' holds binary values"):
        read_incidents(f"sqlite:///{tmp_path / 'city.db'}", query=ALL, tz=PARIS)


def test_a_column_of_several_types_in_sqlite_becomes_text(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mixed.db") as link:
        link.execute("create table mixed (a, b)")
        link.executemany("insert into mixed values (?, ?)", [(n, n) for n in range(CHUNK)])
        link.executemany("insert into mixed values (?, ?)", [("x", 0.5), (None, None)])
    link.close()
    frame, *_ = Database(f"sqlite:///{tmp_path / 'mixed.db'}", "select * from mixed").load(["a", "b"])
    assert frame["a"].iloc[[0, CHUNK]].tolist() == ["0", "x"]
    assert frame["b"].iloc[[1, CHUNK]].tolist() == [1.0, 0.5]
    assert frame.iloc[-1].isna().all()


def test_a_connection_lost_half_way_uses_nothing(server: Server) -> None:
    lost = """
        select g as incident_id, repeat('x', 300) as category,
               (select pg_terminate_backend(pg_backend_pid()) where g = 400000) as gone
        from generate_series(1, 500000) as g
    """
    part = Database(server.url, lost)
    with pytest.raises(
        InputDataError, match=r"stopped after [\d,]+ rows, and none of them are used \(termin"
    ):
        part.load(part.columns)
    failed = lost.replace("pg_terminate_backend(pg_backend_pid())", "1 / (g - 400000) > 0")
    with pytest.raises(InputDataError, match=r"stopped after [\d,]+ rows.*division by zero"):
        Database(server.url, failed).load(["category", "gone"])


WRONG = (
    "postgresql://city:wrong-hush@{host}/postgres",
    "postgresql://nobody:wrong-hush@{host}/postgres",
    "postgresql://city:wrong-hush@127.0.0.1:1/postgres",
    "postgresql://city:wrong-hush x@{host}/postgres",
    "postgresql://city:wrong-hush%40x@{host}/none",
    "postgresql://{host}/postgres?user=city&password=wrong-hush",
    "postgresql://city:wrong-hush@[bad/x",
    "postgres://city:wrong-hush@{host}/postgres",
    "mysql://city:wrong-hush@{host}/postgres",
)


@pytest.mark.parametrize("address", WRONG)
def test_passwords_are_never_told(address: str, server: Server) -> None:
    host = server.url.rpartition("@")[2].removesuffix("/postgres")
    with pytest.raises((InputDataError, UsageError)) as caught:
        read_incidents(address.format(host=host), query=ALL, tz=PARIS)
    told = "".join(traceback.format_exception(caught.value))
    assert "wrong-hush" not in told.replace(address, "")  # the test's own parameter
    assert "postgres" in str(caught.value)


def test_query_and_address_go_together(rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.to_csv(tmp_path / "a.csv", index=False)
    for source in (tmp_path / "a.csv", str(tmp_path / "a.csv")):
        with pytest.raises(UsageError, match="query belongs to the address of a database"):
            read_incidents(source, query=ALL, tz=PARIS)
    with pytest.raises(UsageError, match="say what to read with `query`"):
        read_incidents("sqlite:///a.db", tz=PARIS)
    with pytest.raises(UsageError, match=r"'https://ana:\*\*\*@x.org/a.csv' is not read: fetch it"):
        read_incidents("https://ana:hush@x.org/a.csv", tz=PARIS)
    with pytest.raises(UsageError, match="is no address of a database"):
        parse_address("://")


def run_smoke(source: dict[str, str], output: Path) -> dict[str, bytes]:
    """Run a small configuration with boosted trees; give the bytes of its forecasts and trees."""
    from tranquillite_ml.config import RunConfig
    from tranquillite_ml.pipeline import run

    columns = {name: name for name in ("incident_id", "occurred_at", "lat", "lng", "category")}
    config = {
        "name": "smoke",
        "incidents": {**source, "tz": PARIS, "columns": columns, "categories": {"damage": ["damage"]}},
        "forecast": {"period": 7},
        "model": {"kind": "lightgbm", "params": {"n_estimators": 30}},
        "backtest": {"folds": 3, "every": "7D"},
        "calibration": {"window": "28D", "strata": "none"},
        "output": str(output),
    }
    done = run(RunConfig.from_dict(config), track=False)
    names = ("forecasts.parquet", "forecast.parquet", "forecast.csv", "model/text_0.txt")
    return {name: (Path(done["run_dir"]) / name).read_bytes() for name in names}


@pytest.mark.filterwarnings("ignore::tranquillite_ml.errors.DataWarning")
def test_a_run_from_a_database_gives_the_forecasts_of_the_file(store: Store, tmp_path: Path) -> None:
    from tranquillite_ml.city import simulate_city

    city = simulate_city(seed=0, days=150, incidents_per_day=30, radius_km=1.5).incidents.table
    table = city.assign(
        occurred_at=city["occurred_at"].dt.tz_localize(None), category=city["category"].astype(str)
    ).drop(columns="reported_at", errors="ignore")
    table.to_parquet(tmp_path / "city.parquet")
    of_file = run_smoke({"path": str(tmp_path / "city.parquet")}, tmp_path / "file")
    url = store(table, "city")
    of_database = run_smoke({"path": url, "query": "select * from city"}, tmp_path / "database")
    assert of_database == of_file
    for path in (tmp_path / "database").rglob("*"):
        assert not path.is_file() or b"hush-hush" not in path.read_bytes()
