"""Files of partners: weather, squares and places become layers that can be read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from tests.portals.conftest import Host, Query
from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.portals import (
    MeteoFrance,
    OpenMeteo,
    OsmPoints,
    Web,
    fetch,
    insee_squares,
    keep_file,
    local_or_fetched,
    parse_types,
)

Ask = Callable[..., Web]


# ---------------------------------------------------------------------- weather


def hours(query: Query) -> dict[str, object]:
    times = pd.date_range(query["start_date"], f"{query['end_date']} 23:00", freq="h")
    values = {name: list(range(len(times))) for name in query["hourly"].split(",")}
    return {"hourly": {"time": [f"{moment:%Y-%m-%dT%H:%M}" for moment in times], **values}}


def test_open_meteo_comes_year_by_year(host: Host, ask: Ask, tmp_path: Path) -> None:
    host.routes["/v1/archive"] = hours
    web = ask()
    portal = OpenMeteo(web, 43.3, 5.37, "2022-12-31", "2023-01-01", ("temperature_2m", "precipitation"))
    found = fetch(portal, web, tmp_path / "weather.csv")
    table = pd.read_csv(tmp_path / "weather.csv")
    assert table["time"].iloc[[0, -1]].tolist() == ["2022-12-31T00:00:00+00:00", "2023-01-01T23:00:00+00:00"]
    assert table["temperature_2m"].tolist() == [*range(24), *range(24)]
    assert found["licence"] == "CC BY 4.0"
    host.routes["/v1/archive"] = lambda query: {"hourly": {"time": ["2022-12-31T00:00"], "temp": [1]}}
    web = ask(fresh=True)
    portal.web = web
    with pytest.raises(InputDataError, match="does not answer as Open-Meteo does"):
        fetch(portal, web, tmp_path / "weather.csv")


@pytest.mark.parametrize("days", [("2023-02-30", "2023-03-01"), ("2023-03-01", "2023-02-01"), ("x", "y")])
def test_days_that_are_none(days: tuple[str, str], ask: Ask) -> None:
    with pytest.raises(UsageError, match="expected two dates"):
        OpenMeteo(ask(), 43.3, 5.37, *days).describe()
    with pytest.raises(UsageError, match="expected a place in degrees"):
        OpenMeteo(ask(), 143.3, 5.37, "2023-01-01", "2023-01-02").describe()


STATIONS = """NUM_POSTE;NOM_USUEL;LAT;LON;ALTI;AAAAMMJJHH;RR1;QRR1;FF;T;U
13054001;MARIGNANE        ;43.437667;5.216;9;2023010100;0.2;1;3.1;9.8;80
13054001;MARIGNANE        ;43.437667;5.216;9;2023010101;;1;2.9;9.5;
13055001;MARSEILLE-OBS;43.305;5.39;75;2023010100;0.0;1;1.0;10.1;70
"""


@pytest.mark.parametrize("station", ["MARIGNANE", "13054001"])
def test_a_station_of_meteo_france(station: str, ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "H_13.csv.gz"
    path.write_bytes(gzip.compress(STATIONS.encode()))
    web = ask()
    found = fetch(MeteoFrance(local_or_fetched(str(path), web), station), web, tmp_path / "weather.csv")
    table = pd.read_csv(tmp_path / "weather.csv")
    assert table["time"].tolist() == ["2023-01-01T00:00:00+00:00", "2023-01-01T01:00:00+00:00"]
    assert table["temperature_c"].tolist() == [9.8, 9.5]
    assert table["rain_mm"].isna().tolist() == [False, True]
    assert found["licence"] == "Licence Ouverte 2.0"


def test_files_that_are_not_of_meteo_france(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(STATIONS)
    web = ask()
    with pytest.raises(InputDataError, match=r"no station 'MARIGNAN'.*Did you mean 'MARIGNANE'"):
        fetch(MeteoFrance(tmp_path / "a.csv", "MARIGNAN"), web, tmp_path / "weather.csv")
    (tmp_path / "b.csv").write_text(STATIONS.replace(";RR1;", ";RAIN;"))
    with pytest.raises(InputDataError, match=r"lacks the columns \['RR1'\]"):
        fetch(MeteoFrance(tmp_path / "b.csv", "MARIGNANE"), web, tmp_path / "weather.csv")
    (tmp_path / "c.csv").write_bytes(gzip.compress(STATIONS.encode())[:60])
    with pytest.raises(InputDataError, match="cannot be read as a file of Météo-France"):
        fetch(MeteoFrance(tmp_path / "c.csv", "MARIGNANE"), web, tmp_path / "weather.csv")
    assert not (tmp_path / "weather.csv").exists()


# ---------------------------------------------------------------------- squares


SQUARES = """Idcar_200m,Ind,Men,Ind_snv
CRS3035RES200mN2249000E3945000,12.5,5,200000
CRS3035RES200mN2249200E3945000,40,17,900000
CRS3035RES200mN3249200E3945000,7,3,1000
"""


def test_squares_of_insee_lie_where_their_name_says(tmp_path: Path) -> None:
    (tmp_path / "grid.csv").write_text(SQUARES)
    dataset, n = insee_squares(tmp_path / "grid.csv", tmp_path / "grid.parquet")
    squares = gpd.read_parquet(tmp_path / "grid.parquet")
    assert n == 3
    assert dataset.attribution == "INSEE"
    assert list(squares.columns) == ["Ind", "Men", "geometry"]
    assert squares.crs.to_epsg() == 3035
    assert squares.total_bounds.tolist() == [3945000, 2249000, 3945200, 3249400]
    assert squares.area.tolist() == [40_000.0] * 3
    south, west = squares.iloc[:2].to_crs("EPSG:4326").total_bounds[[1, 0]]
    box = (south - 0.01, west - 0.2, south + 0.01, west + 0.2)
    assert insee_squares(tmp_path / "grid.csv", tmp_path / "near.parquet", box=box)[1] == 2
    with pytest.raises(InputDataError, match="no squares in the box"):
        insee_squares(tmp_path / "grid.csv", tmp_path / "none.parquet", box=(0, 0, 1, 1))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("Idcar_200m", "Idcar_200m", None),
        ("CRS3035", "CRS27572", "no column of squares"),
        ("Men", "Menages", r"lacks \['Men'\]"),
    ],
)
def test_files_that_hold_no_squares(old: str, new: str, told: str | None, tmp_path: Path) -> None:
    (tmp_path / "grid.csv").write_text(SQUARES.replace(old, new))
    if told is None:
        with pytest.raises(UsageError, match=r"ends in \.parquet"):
            insee_squares(tmp_path / "grid.csv", tmp_path / "grid.csv")
        return
    with pytest.raises(InputDataError, match=told):
        insee_squares(tmp_path / "grid.csv", tmp_path / "grid.parquet")


# ---------------------------------------------------------------------- places


EXTRACT = """<?xml version='1.0' encoding='UTF-8'?>
<osm version="0.6">
 <node id="1" version="1" lat="43.30" lon="5.40"><tag k="amenity" v="bar"/><tag k="name" v="Chez Ana"/></node>
 <node id="2" version="1" lat="43.31" lon="5.41"><tag k="shop" v="bakery"/></node>
 <node id="3" version="1" lat="43.32" lon="5.42"><tag k="amenity" v="bench"/></node>
 <node id="4" version="1" lat="43.00" lon="5.00"/>
 <node id="5" version="1" lat="43.02" lon="5.00"/>
 <node id="6" version="1" lat="43.02" lon="5.02"/>
 <node id="7" version="1" lat="43.00" lon="5.02"/>
 <way id="8" version="1"><nd ref="4"/><nd ref="5"/><nd ref="6"/><nd ref="7"/><nd ref="4"/>
  <tag k="amenity" v="school"/></way>
 <way id="9" version="1"><nd ref="4"/><nd ref="5"/><tag k="amenity" v="school"/></way>
</osm>
"""


def test_places_of_an_extract_are_types_and_points_only(ask: Ask, tmp_path: Path) -> None:
    pytest.importorskip("osmium", reason="needs the extra `osm`")
    (tmp_path / "city.osm").write_text(EXTRACT)
    web = ask()
    found = fetch(
        OsmPoints(tmp_path / "city.osm", parse_types(["bar", "school", "shop"])), web, tmp_path / "places.csv"
    )
    table = pd.read_csv(tmp_path / "places.csv")
    # The school's corners are 43.00 and 43.02 by 5.00 and 5.02: its middle is 43.01, 5.01.
    assert table.round(6).to_numpy().tolist() == [
        ["bar", 43.3, 5.4],
        ["shop", 43.31, 5.41],
        ["school", 43.01, 5.01],
    ]
    assert found["licence"] == "ODbL 1.0"
    (tmp_path / "bad.osm.pbf").write_bytes(b"no extract")
    with pytest.raises(InputDataError, match="cannot be read as an OpenStreetMap extract"):
        fetch(OsmPoints(tmp_path / "bad.osm.pbf", parse_types(["bar"])), web, tmp_path / "places.csv")


def test_without_osmium_an_extract_is_refused(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "osmium", None)
    with pytest.raises(UsageError, match=r"needs osmium: `pip install 'tranquillite-ml\[osm\]'`"):
        fetch(OsmPoints(tmp_path / "city.osm", {}), ask(), tmp_path / "places.csv")


def test_types_that_are_none() -> None:
    for wrong in ("castle", "castle:", "castle:historic", ""):
        with pytest.raises(UsageError, match="--type: expected one of"):
            parse_types([wrong])


# ---------------------------------------------------------------------- any file, and the commands


def test_a_file_is_kept_as_it_is_with_a_note(host: Host, ask: Ask, tmp_path: Path) -> None:
    host.routes["/stops.geojson"] = lambda query: b'{"type": "FeatureCollection", "features": []}'
    web = ask()
    found = keep_file(web, f"{host.address}/stops.geojson", tmp_path / "stops.geojson", "ODbL", "City")
    assert json.loads((tmp_path / "stops.geojson").read_text())["features"] == []
    assert found["licence"] == "ODbL"
    host.routes["/empty"] = lambda query: b""
    with pytest.raises(InputDataError, match="is an empty file"):
        keep_file(web, f"{host.address}/empty", tmp_path / "empty")
    with pytest.raises(InputDataError, match="there is no file"):
        local_or_fetched(str(tmp_path / "none.csv"), web)
