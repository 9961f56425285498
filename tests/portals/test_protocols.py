"""Each protocol as its portals speak it: the same rows come whatever the pages and faults."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.portals.conftest import Host, Query
from tranquillite_ml.errors import InputDataError, PersonLevelDataError, UsageError
from tranquillite_ml.portals import ArcGis, Ckan, Opendatasoft, PoliceUk, Portal, Socrata, Web, fetch

Ask = Callable[..., Web]
N = 23
LAYER = "/arcgis/rest/services/Calls/FeatureServer/0"
BOX = (52.6, -1.2, 52.7, -1.0)


def record(number: int) -> dict[str, Any]:
    return {
        "id": f"r{number}",
        "date": f"2024-01-{number + 1:02d}T10:00:00.000",
        "category": "noise",
        "n": number,
    }


def socrata(host: Host, ask: Ask, **options: Any) -> tuple[Portal, Web]:
    kinds = {"id": "text", "date": "calendar_date", "category": "text", "n": "number", "where": "point"}
    host.routes["/api/views/abcd-1234.json"] = lambda query: {
        "name": "Calls",
        "license": {"name": "Public Domain"},
        "attribution": "City",
        "rowsUpdatedAt": 1700000000,
        "columns": [{"fieldName": n, "dataTypeName": k} for n, k in [*kinds.items(), ("link", "url")]],
    }

    def rows(query: Query) -> Any:
        if query["$select"] == "count(*)":
            return [{"count": str(N)}]
        assert query["$order"] == ":id"
        begin, many = int(query["$offset"]), int(query["$limit"])
        point = {"type": "Point", "coordinates": [5.4, 43.3]}
        every = [{**record(k), "n": str(k), "where": point} for k in range(N)]
        every[3].pop("where")  # what is missing is left out
        names = query["$select"].split(",")
        return [{n: v for n, v in row.items() if n in names} for row in every[begin : begin + many]]

    host.routes["/resource/abcd-1234.json"] = rows
    host.troubled = "/resource"
    web = ask()
    return Socrata(web, "abcd-1234", page=10, **options), web


def arcgis(host: Host, ask: Ask, **options: Any) -> tuple[Portal, Web]:
    kinds = {"OBJECTID": "OID", "id": "String", "date": "Date", "category": "String", "n": "Integer"}
    host.routes[LAYER] = lambda query: {
        "name": "Calls",
        "copyrightText": "City",
        "geometryType": "esriGeometryPoint",
        "objectIdField": "OBJECTID",
        "fields": [{"name": n, "type": f"esriFieldType{k}"} for n, k in kinds.items()],
    }

    def rows(query: Query) -> Any:
        if query.get("returnCountOnly") == "true":
            return {"count": N}
        assert query["orderByFields"] == "OBJECTID"
        after = re.search(r"OBJECTID > (\d+)", query["where"])
        last = int(after[1]) if after else 0
        names = query["outFields"].split(",")
        found = []
        for k in range(N):
            values = {**record(k), "date": 1704103200000 + 86_400_000 * k, "OBJECTID": 10 * k + 1}
            found.append({"attributes": {n: values[n] for n in names}, "geometry": {"x": 5.4, "y": 43.3}})
        many = min(int(query["resultRecordCount"]), 9)  # the server gives fewer than asked for
        page = [one for one in found if one["attributes"]["OBJECTID"] > last][:many]
        return {"features": page, "exceededTransferLimit": True}

    host.routes[f"{LAYER}/query"] = rows
    host.troubled = f"{LAYER}/query"
    web = ask(LAYER)
    return ArcGis(web, page=10, **options), web


def ckan(host: Host, ask: Ask, **options: Any) -> tuple[Portal, Web]:
    def action(result: Any) -> Callable[[Query], Any]:
        return lambda query: {"success": True, "result": result}

    base = "/api/3/action"
    host.routes[f"{base}/resource_show"] = action(
        {"package_id": "p", "datastore_active": True, "last_modified": "2024-05-01"}
    )
    host.routes[f"{base}/package_show"] = action(
        {"title": "Calls", "license_title": "Licence Ouverte", "organization": {"title": "City"}}
    )
    kinds = {"_id": "int", "id": "text", "date": "timestamp", "category": "text", "n": "numeric"}

    def rows(query: Query) -> Any:
        begin, many = int(query.get("offset", 0)), int(query["limit"])
        fields = [{"id": n, "type": k} for n, k in kinds.items()]
        names = query.get("fields", "").split(",")
        page = [{n: record(k)[n] for n in names} for k in range(N)[begin : begin + many]]
        return {"success": True, "result": {"fields": fields, "total": N, "records": page}}

    host.routes[f"{base}/datastore_search"] = rows
    host.troubled = f"{base}/datastore_search"
    web = ask()
    return Ckan(web, "0f3b", page=10, **options), web


def opendatasoft(host: Host, ask: Ask, **options: Any) -> tuple[Portal, Web]:
    base = "/api/explore/v2.1/catalog/datasets/calls"
    kinds = {"id": "text", "date": "datetime", "category": "text", "n": "int", "where": "geo_point_2d"}
    host.routes[base] = lambda query: {
        "metas": {"default": {"title": "Calls", "license": "ODbL", "publisher": "City", "modified": "2024"}},
        "fields": [{"name": n, "type": k} for n, k in [*kinds.items(), ("shape", "geo_shape")]],
    }
    host.routes[f"{base}/records"] = lambda query: {"total_count": N, "results": []}

    def lines(query: Query) -> bytes:
        names = query["select"].split(",")
        every = [{**record(k), "where": {"lat": 43.3, "lon": 5.4}} for k in range(N)]
        every[3]["where"] = None
        return "\n".join(json.dumps({n: row[n] for n in names}) for row in every).encode() + b"\n"

    host.routes[f"{base}/exports/jsonl"] = lines
    host.troubled = f"{base}/exports"
    web = ask()
    return Opendatasoft(web, "calls", page=10, **options), web


PORTALS = {"socrata": socrata, "arcgis": arcgis, "ckan": ckan, "opendatasoft": opendatasoft}
each_portal = pytest.mark.parametrize("name", PORTALS)


@each_portal
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_every_row_comes_once(name: str, suffix: str, host: Host, ask: Ask, tmp_path: Path) -> None:
    portal, web = PORTALS[name](host, ask)
    output = tmp_path / f"calls.{suffix}"
    found = fetch(portal, web, output)
    table = pd.read_parquet(output) if suffix == "parquet" else pd.read_csv(output)
    assert table["id"].tolist() == [f"r{number}" for number in range(N)]
    assert table["n"].tolist() == list(range(N))
    assert table["date"].str.startswith("2024-01-01").sum() == 1
    if name != "ckan":
        at = ("lat", "lng") if name == "arcgis" else ("where_lat", "where_lng")
        assert table.loc[0, list(at)].tolist() == [43.3, 5.4]
        assert table[at[0]].isna().sum() == (0 if name == "arcgis" else 1)
    assert found["rows"] == N
    assert found["title"] == "Calls"
    assert "City" in (found["attribution"], found["licence"])
    note = json.loads((tmp_path / f"calls.{suffix}.source.json").read_text())
    assert note["sha256"] == found["sha256"]
    assert note["columns"] == found["columns"]
    assert len(note["answers"]) == (1 if name == "opendatasoft" else 3)
    assert str(tmp_path) not in json.dumps(note)


@each_portal
def test_faults_between_pages_lose_nothing(
    name: str, host: Host, ask: Ask, naps: list[float], tmp_path: Path
) -> None:
    portal, web = PORTALS[name](host, ask)
    calm = fetch(portal, web, tmp_path / "calm.parquet")["sha256"]
    portal, web = PORTALS[name](host, ask)
    web.fresh = True
    host.faults = [(429, {"Retry-After": "3"}), None, "cut", "drop", None, (503, {})]
    assert fetch(portal, web, tmp_path / "rough.parquet")["sha256"] == calm
    assert 3.0 in naps


@each_portal
def test_an_interrupted_fetch_goes_on_where_it_was(name: str, host: Host, ask: Ask, tmp_path: Path) -> None:
    portal, web = PORTALS[name](host, ask)
    output = tmp_path / "calls.parquet"
    good = {"ckan": 2, "opendatasoft": 0}.get(name, 2)  # the first answer is the count, where it is troubled
    host.faults = [None] * good + [(500, {})] * 50
    with pytest.raises(InputDataError, match="Run the same command again later"):
        fetch(portal, web, output)
    assert not output.exists()
    host.faults = []
    portal, web = PORTALS[name](host, ask)
    found = fetch(portal, web, output)
    assert found["rows"] == N
    assert found["cached"] == (0 if name == "opendatasoft" else 1)


@each_portal
def test_columns_are_chosen(name: str, host: Host, ask: Ask, tmp_path: Path) -> None:
    portal, web = PORTALS[name](host, ask, columns=["id", "n"])
    found = fetch(portal, web, tmp_path / "some.parquet")
    assert set(found["columns"]) - {"lat", "lng"} == {"id", "n"}
    portal, web = PORTALS[name](host, ask, drop=["n"])
    assert "n" not in fetch(portal, web, tmp_path / "less.parquet")["columns"]
    portal, web = PORTALS[name](host, ask, columns=["catgory"])
    with pytest.raises(UsageError, match="Did you mean 'category'"):
        fetch(portal, web, tmp_path / "none.parquet")


@each_portal
def test_a_web_page_instead_of_data(name: str, host: Host, ask: Ask, tmp_path: Path) -> None:
    portal, web = PORTALS[name](host, ask)
    host.troubled, host.faults = "/", ["html"]
    with pytest.raises(InputDataError, match="answers with a web page"):
        fetch(portal, web, tmp_path / "calls.parquet")
    portal, web = PORTALS[name](host, ask)
    for route in list(host.routes):
        host.routes[route] = lambda query: {"something": "else"}
    with pytest.raises(InputDataError, match="does not answer as"):
        fetch(portal, web, tmp_path / "calls.parquet")


@each_portal
@pytest.mark.parametrize("change", ["column", "kind"])
def test_columns_that_change_while_they_are_read(
    name: str, change: str, host: Host, ask: Ask, tmp_path: Path
) -> None:
    portal, web = PORTALS[name](host, ask)
    path = next(path for path in host.routes if path.startswith(host.troubled))
    route = host.routes[path]

    def changed(query: Query) -> Any:
        found = route(query)
        text = found.decode() if isinstance(found, bytes) else json.dumps(found)
        new = '"cat": "noise"' if change == "column" else '"category": {"code": 7}'
        return text.replace('"category": "noise"', new).encode()

    host.routes[path] = changed
    told = "came and were not announced" if change == "column" else "is announced as text, but holds"
    with pytest.raises(InputDataError, match=told):
        fetch(portal, web, tmp_path / "calls.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@each_portal
def test_rows_that_come_or_go_while_they_are_read(name: str, host: Host, ask: Ask, tmp_path: Path) -> None:
    portal, web = PORTALS[name](host, ask)
    dataset = portal.describe
    object.__setattr__(portal, "describe", lambda: _more(dataset()))
    with pytest.raises(InputDataError, match="28 rows were announced and 23 came"):
        fetch(portal, web, tmp_path / "calls.parquet")


def _more(dataset: Any) -> Any:
    from dataclasses import replace

    return replace(dataset, rows=N + 5)


@each_portal
def test_columns_other_than_last_time_are_refused(name: str, host: Host, ask: Ask, tmp_path: Path) -> None:
    output = tmp_path / "calls.parquet"
    portal, web = PORTALS[name](host, ask, drop=["n"])
    fetch(portal, web, output)
    before = output.read_bytes()
    portal, web = PORTALS[name](host, ask, drop=["category"])
    with pytest.raises(InputDataError, match=r"gone: \['category'\]; new: \['n'\]"):
        fetch(portal, web, output)
    assert output.read_bytes() == before
    portal, web = PORTALS[name](host, ask, drop=["category"])
    assert "n" in fetch(portal, web, output, accept_changes=True)["columns"]


def test_columns_about_persons_are_never_asked_for(host: Host, ask: Ask, tmp_path: Path) -> None:
    portal, web = socrata(host, ask)
    meta = host.routes["/api/views/abcd-1234.json"]

    def with_age(query: Query) -> Any:
        found = meta(query)
        found["columns"].append({"fieldName": "victim_age", "dataTypeName": "number"})
        return found

    host.routes["/api/views/abcd-1234.json"] = with_age
    with pytest.raises(PersonLevelDataError, match="Leave them out: --drop victim_age"):
        fetch(portal, web, tmp_path / "calls.parquet")
    assert len(host.queries("/resource/abcd-1234.json")) == 1  # the count
    portal.drop = ["victim_age"]  # type: ignore[attr-defined]
    assert fetch(portal, web, tmp_path / "calls.parquet")["rows"] == N


def test_names_of_a_portal_never_become_paths(host: Host, ask: Ask, tmp_path: Path) -> None:
    for name in ("../../etc/passwd", "abcd-1234/../x", "abcd-1234?x=1", "abcd 1234"):
        with pytest.raises(UsageError, match="expected a data set's"):
            Socrata(ask(), name).describe()
        with pytest.raises(UsageError, match="expected a data set's"):
            Opendatasoft(ask(), name).describe()
    assert host.asked == []
    portal, web = ckan(host, ask)
    host.routes["/api/3/action/package_show"] = lambda query: {
        "success": True,
        "result": {"title": "../../../evil", "license_title": "=1+1"},
    }
    fetch(portal, web, tmp_path / "calls.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "calls.csv", "calls.csv.source.json"]
    assert all(re.fullmatch(r"[0-9a-f]{64}(\.json)?", path.name) for path in web.cache.iterdir())


def test_texts_that_a_spreadsheet_would_run_are_made_harmless(host: Host, ask: Ask, tmp_path: Path) -> None:
    portal, web = ckan(host, ask)
    route = host.routes["/api/3/action/datastore_search"]
    host.routes["/api/3/action/datastore_search"] = lambda query: (
        json.dumps(route(query)).replace('"noise"', '"=1+1"').encode()
    )
    fetch(portal, web, tmp_path / "calls.csv")
    assert set(pd.read_csv(tmp_path / "calls.csv")["category"]) == {"'=1+1"}


def test_arcgis_sends_errors_with_the_code_of_success(host: Host, ask: Ask, tmp_path: Path) -> None:
    portal, web = arcgis(host, ask)
    error = {"error": {"code": 400, "message": "Unable to complete operation.", "details": ["bad where"]}}
    host.routes[f"{LAYER}/query"] = lambda query: error
    with pytest.raises(UsageError, match=r"Unable to complete operation. \(code 400\)"):
        fetch(portal, web, tmp_path / "calls.parquet")
    host.routes[LAYER] = lambda query: {"error": {"code": 499, "message": "Token Required"}}
    with pytest.raises(InputDataError, match="Token Required"):
        fetch(portal, web, tmp_path / "calls.parquet")


def test_arcgis_that_does_not_sort_is_noticed(host: Host, ask: Ask, tmp_path: Path) -> None:
    portal, web = arcgis(host, ask)
    route = host.routes[f"{LAYER}/query"]
    host.routes[f"{LAYER}/query"] = lambda query: route({**query, "where": "(1=1)"})
    with pytest.raises(InputDataError, match="gives the same rows again"):
        fetch(portal, web, tmp_path / "calls.parquet")


def test_a_resource_of_ckan_that_is_a_file_says_how_to_fetch_it(host: Host, ask: Ask, tmp_path: Path) -> None:
    portal, web = ckan(host, ask)
    host.routes["/api/3/action/resource_show"] = lambda query: {
        "success": True,
        "result": {
            "package_id": "p",
            "datastore_active": False,
            "format": "CSV",
            "url": "https://x.org/a.csv",
        },
    }
    with pytest.raises(InputDataError, match=r"tranquillite fetch file https://x.org/a.csv"):
        fetch(portal, web, tmp_path / "calls.parquet")
    host.routes["/api/3/action/resource_show"] = lambda query: {
        "success": False,
        "error": {"message": "Not found"},
    }
    with pytest.raises(InputDataError, match="Not found"):
        fetch(portal, web, tmp_path / "calls.parquet")


# ---------------------------------------------------------------------- data.police.uk


@pytest.fixture
def police(host: Host) -> Host:
    """Forty records on a diagonal of the box, of which at most fifteen are given at once."""
    months = ("2024-03", "2024-02", "2024-01")
    host.routes["/api/crimes-street-dates"] = lambda query: [{"date": month} for month in months]
    host.routes["/api/crime-last-updated"] = lambda query: {"date": "2024-05-01"}
    south, west, north, east = BOX

    def street(query: Query) -> Any:
        corners = [tuple(map(float, pair.split(","))) for pair in query["poly"].split(":")]
        lats, lngs = [lat for lat, _ in corners], [lng for _, lng in corners]
        found = []
        for k in range(41):
            lat, lng = south + (north - south) * k / 40, west + (east - west) * k / 40
            if min(lats) - 1e-9 <= lat <= max(lats) + 1e-9 and min(lngs) - 1e-9 <= lng <= max(lngs) + 1e-9:
                found.append(
                    {
                        "id": k + 1000 * int(query["date"][-2:]),
                        "persistent_id": "",
                        "category": "burglary",
                        "location_type": "Force",
                        "location": {
                            "latitude": f"{lat:.6f}",
                            "longitude": f"{lng:.6f}",
                            "street": {"id": 1, "name": "On or near High Street"},
                        },
                        "month": query["date"],
                        "outcome_status": {"category": "Offender given a caution", "date": "2024-04"},
                    }
                )
        if len(found) > 15:
            host.faults = [(503, {})]
        return found

    host.routes["/api/crimes-street/all-crime"] = street
    host.troubled = "/api/crimes-street/"
    return host


def test_a_box_with_too_many_records_is_cut_in_four(police: Host, ask: Ask, tmp_path: Path) -> None:
    web = ask()
    found = fetch(PoliceUk(web, BOX, "2024-01", "2024-02"), web, tmp_path / "leicester.parquet")
    table = pd.read_parquet(tmp_path / "leicester.parquet")
    assert found["rows"] == 82  # the record on a corner of four quarters comes once
    assert table["incident_id"].is_unique
    assert set(table["month"]) == {"2024-01", "2024-02"}
    assert set(table) == {"incident_id", "month", "category", "lat", "lng", "location_type"}
    assert found["licence"] == "Open Government Licence v3.0"


def test_months_and_boxes_that_are_not_there(police: Host, ask: Ask) -> None:
    with pytest.raises(UsageError, match="the service has 2024-01 to 2024-03"):
        PoliceUk(ask(), BOX, "2023-12", "2024-02").describe()
    with pytest.raises(UsageError, match="south,west,north,east"):
        PoliceUk(ask(), (52.7, -1.2, 52.6, -1.0), "2024-01", "2024-02").describe()
