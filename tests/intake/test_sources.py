"""Every kind of source gives the same incidents; every broken one an error that names it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from tranquillite_ml.errors import InputDataError, PersonLevelDataError, UsageError
from tranquillite_ml.intake import read_incidents
from tranquillite_ml.intake.sources import read_raw

PARIS = "Europe/Paris"


def as_points(rows: pd.DataFrame, crs: str | None = "EPSG:4326") -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        rows.drop(columns=["lat", "lng"]), geometry=gpd.points_from_xy(rows["lng"], rows["lat"]), crs=crs
    )


WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "a.csv": lambda rows, path: rows.to_csv(path, index=False),
    "semicolon.csv": lambda rows, path: rows.to_csv(path, index=False, sep=";", decimal=","),
    "tab.tsv": lambda rows, path: rows.to_csv(path, index=False, sep="\t"),
    "pipe.txt": lambda rows, path: rows.to_csv(path, index=False, sep="|"),
    "bom.csv": lambda rows, path: rows.to_csv(path, index=False, encoding="utf-8-sig"),
    "utf16.csv": lambda rows, path: rows.to_csv(path, index=False, encoding="utf-16"),
    "crlf.csv": lambda rows, path: rows.to_csv(path, index=False, lineterminator="\r\n"),
    "a.parquet": lambda rows, path: rows.to_parquet(path),
    "typed.parquet": lambda rows, path: rows.assign(
        occurred_at=pd.to_datetime(rows["occurred_at"]), category=rows["category"].astype("category")
    ).to_parquet(path),
    "points.parquet": lambda rows, path: as_points(rows).to_parquet(path),
    "a.geojson": lambda rows, path: as_points(rows).to_file(path),
    "a.gpkg": lambda rows, path: as_points(rows).to_file(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_the_same_incidents(name: str, rows: pd.DataFrame, tmp_path: Path) -> None:
    rows["lat"], rows["lng"] = rows["lat"].round(6), rows["lng"].round(6)
    WRITERS[name](rows, tmp_path / name)
    found = read_incidents(tmp_path / name, tz=PARIS)
    assert found.digest == read_incidents(rows, tz=PARIS).digest
    assert found.has_ids


@pytest.mark.parametrize("kind", ["parquet", "gpkg", "frame"])
def test_points_are_reprojected(kind: str, rows: pd.DataFrame, tmp_path: Path) -> None:
    lambert = as_points(rows).to_crs("EPSG:2154")
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        lambert.to_parquet(path)
    elif kind == "gpkg":
        lambert.to_file(path)
    found = read_incidents(lambert if kind == "frame" else path, tz=PARIS)
    np.testing.assert_allclose(found.table["lat"], rows["lat"], atol=1e-7)
    np.testing.assert_allclose(found.table["lng"], rows["lng"], atol=1e-7)


def test_points_without_coordinate_system_are_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    as_points(rows, crs=None).to_parquet(tmp_path / "a.parquet")
    for source in (tmp_path / "a.parquet", as_points(rows, crs=None)):
        with pytest.raises(InputDataError, match="no coordinate system"):
            read_incidents(source, tz=PARIS)


def test_only_points_are_incidents_and_a_row_without_one_is_quarantined(rows: pd.DataFrame) -> None:
    points = as_points(rows)
    with pytest.raises(InputDataError, match=r"must be points, but the geometry holds \['Polygon'\]"):
        read_incidents(
            points.set_geometry(points.to_crs("EPSG:2154").buffer(9).to_crs("EPSG:4326")), tz=PARIS
        )
    points.loc[3, "geometry"] = None
    found = read_incidents(points, tz=PARIS)
    assert found.quarantine[["row", "reason"]].to_numpy().tolist() == [[4, "coordinates missing"]]


def test_rows_know_their_file_and_number(rows: pd.DataFrame, tmp_path: Path) -> None:
    bad = rows.astype({"occurred_at": object})
    bad.loc[[2, 17], "occurred_at"] = "2024-03-31 02:30:00"
    bad.iloc[:15].to_csv(tmp_path / "b1.csv", index=False)
    bad.iloc[15:].to_parquet(tmp_path / "b2.parquet")
    expected = [[str(tmp_path / "b1.csv"), 3], [str(tmp_path / "b2.parquet"), 3]]
    for source in ([tmp_path / "b2.parquet", str(tmp_path / "b1.csv")], str(tmp_path / "b*")):
        found = read_incidents(source, tz=PARIS)
        assert found.quarantine[["file", "row"]].to_numpy().tolist() == expected
        assert found.funnel.read == 30


def test_a_glob_reads_its_files_and_a_file_is_never_read_twice(rows: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "2024").mkdir()
    rows.iloc[:10].to_csv(tmp_path / "2024" / "may.csv", index=False)
    rows.iloc[10:].to_csv(tmp_path / "june.csv", index=False)
    assert len(read_incidents(str(tmp_path / "**" / "*.csv"), tz=PARIS)) == 30
    with pytest.raises(InputDataError, match="named twice"):
        read_incidents([tmp_path / "june.csv", str(tmp_path / "*.csv")], tz=PARIS)


def test_a_row_of_another_width_is_quarantined_with_its_number(rows: pd.DataFrame, tmp_path: Path) -> None:
    lines = rows.to_csv(index=False).splitlines()
    lines[5] += ",extra"
    lines.insert(3, "")  # blank lines are no rows
    lines[9] = '"m07","2024-05-01 14:22:00"'
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    found = read_incidents(tmp_path / "a.csv", tz=PARIS)
    assert found.quarantine[["row", "column", "reason"]].to_numpy().tolist() == [
        [5, "", "row has 6 fields, the header has 5"],
        [8, "", "row has 2 fields, the header has 5"],
    ]
    assert found.funnel.read == 30
    assert "m05" in set(found.table["incident_id"])


def test_line_breaks_within_quotes_do_not_shift_row_numbers(rows: pd.DataFrame, tmp_path: Path) -> None:
    rows["premise"] = "house\nor garden"
    rows.loc[20, "lat"] = np.nan
    rows.to_csv(tmp_path / "a.csv", index=False)
    assert read_incidents(tmp_path / "a.csv", tz=PARIS).quarantine["row"].tolist() == [21]


@pytest.mark.parametrize("copies", [1, 300])
def test_latin_1_is_read_and_noted(copies: int, rows: pd.DataFrame, tmp_path: Path) -> None:
    # With 300 copies the accent comes after the part of the file that is looked at first.
    text = (
        pd.concat([rows] * copies, ignore_index=True).to_csv(index=False) + "m99,2024-05-03,43.3,5.4,dépôt\n"
    )
    assert (len(text) > 262_144) == (copies > 1)
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    found = read_incidents(tmp_path / "a.csv", tz=PARIS)
    assert "dépôt" in found.origins
    assert found.problems["what"].tolist()[0] == "not UTF-8: a.csv"


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty.csv": (b"", r"empty\.csv is empty \(0 bytes\)"),
    "blank.csv": (b"\n\n", "blank.csv is empty"),
    "header.csv": (b"occurred_at,lat,lng,category\n", "has a header but no data rows"),
    "empty.parquet": (b"", r"empty\.parquet cannot be read: it is empty"),
    "text.parquet": (b"occurred_at,lat", "truncated or not a Parquet file"),
    "empty.geojson": (b"", "empty.geojson cannot be read: it is empty"),
    "cut.geojson": (b'{"type": "FeatureCollection", "features": [{"ty', "truncated or not a file of shapes"),
    "a.xlsx": (b"PK", r"files of kind '\.xlsx' are not read"),
    "one.csv": (b"occurred_at\n2024-05-01\n", "there is no column 'lat'"),
    "twice.csv": (
        b"occurred_at,lat,lng,category,lat\n2024-05-01,43,5,a,43\n",
        r"columns occur twice: \['lat'\]",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_named(name: str, tmp_path: Path) -> None:
    content, told = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputDataError, match=told):
        read_incidents(tmp_path / name, tz=PARIS)


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.99])
def test_a_truncated_parquet_is_named(keep: float, rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.to_parquet(tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(
        InputDataError, match=r"a\.parquet cannot be read: it is truncated or not a Parquet file"
    ):
        read_incidents(tmp_path / "a.parquet", tz=PARIS)


def test_damage_inside_a_parquet_is_named_too(rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.to_parquet(tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[4:400] = b"\xff" * 396
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(InputDataError, match=r"a\.parquet"):
        read_incidents(tmp_path / "a.parquet", tz=PARIS)


@pytest.mark.parametrize("kind", ["parquet", "geojson", "frame"])
def test_sources_without_rows(kind: str, rows: pd.DataFrame, tmp_path: Path) -> None:
    none, path = rows.iloc[:0], tmp_path / f"a.{kind}"
    if kind == "parquet":
        none.to_parquet(path)
    elif kind == "geojson":
        path.write_text(json.dumps({"type": "FeatureCollection", "features": []}), encoding="utf-8")
    with pytest.raises(InputDataError):
        read_incidents(none if kind == "frame" else path, tz=PARIS)


def test_paths_that_lead_nowhere(rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.to_csv(tmp_path / "incidents.csv", index=False)
    with pytest.raises(InputDataError, match=r"there is no file .*Did you mean 'incidents\.csv'"):
        read_incidents(tmp_path / "incident.csv", tz=PARIS)
    with pytest.raises(InputDataError, match="There is no folder"):
        read_incidents(tmp_path / "nowhere" / "a.csv", tz=PARIS)
    with pytest.raises(InputDataError, match="is a folder; name its files with a glob"):
        read_incidents(tmp_path, tz=PARIS)
    with pytest.raises(InputDataError, match="no file matches"):
        read_incidents(str(tmp_path / "*.json"), tz=PARIS)
    for wrong in (3, [], [3], None):
        with pytest.raises(UsageError, match="source must be"):
            read_incidents(wrong, tz=PARIS)  # type: ignore[arg-type]


def test_only_needed_columns_are_loaded(rows: pd.DataFrame, tmp_path: Path, monkeypatch: Any) -> None:
    rows.assign(nom="Jean Dupont", premise="house", count=3).to_parquet(tmp_path / "a.parquet")
    loaded: set[str] = set()
    original = {name: getattr(parquet.ParquetFile, name) for name in ("read", "iter_batches")}

    def spy(name: str) -> Callable[..., object]:
        def called(self: object, *args: object, columns: list[str], **options: object) -> object:
            loaded.update(columns)
            return original[name](self, *args, columns=columns, **options)

        return called

    for name in original:
        monkeypatch.setattr(parquet.ParquetFile, name, spy(name))
    with pytest.raises(PersonLevelDataError):
        read_raw(tmp_path / "a.parquet")
    assert "nom" not in loaded
    raw = read_raw(tmp_path / "a.parquet", drop_columns=["nom"])
    assert "nom" not in loaded
    assert set(raw.table) == set(rows)


@pytest.mark.parametrize("kind", ["csv", "parquet", "geojson", "frame"])
def test_person_level_columns_stop_the_reading_until_dropped(
    kind: str, rows: pd.DataFrame, tmp_path: Path
) -> None:
    source: Any = tmp_path / f"a.{kind}"
    rows = rows.assign(nom="x", ecrit="voir jean@example.fr")
    if kind == "frame":
        source = rows
    elif kind == "geojson":
        as_points(rows).to_file(source)
    else:
        WRITERS[f"a.{kind}"](rows, source)
    with pytest.raises(PersonLevelDataError, match=r"drop_columns: \[nom, ecrit\]"):
        read_incidents(source, tz=PARIS)
    with pytest.raises(PersonLevelDataError, match=r"drop_columns: \[ecrit\]"):
        read_incidents(source, tz=PARIS, drop_columns="nom")
    assert len(read_incidents(source, tz=PARIS, drop_columns=["nom", "ecrit"])) == 30


def test_what_is_written_at_the_end_of_a_long_file_is_seen(rows: pd.DataFrame, tmp_path: Path) -> None:
    long = pd.concat([rows] * 400, ignore_index=True).assign(ecrit="")
    long["incident_id"] = [f"m{number}" for number in range(len(long))]
    long.loc[len(long) - 3, "ecrit"] = "appeler jean@example.fr"
    long.to_csv(tmp_path / "a.csv", index=False)
    long.to_parquet(tmp_path / "a.parquet", row_group_size=900)
    for source in (long, tmp_path / "a.csv", tmp_path / "a.parquet"):
        with pytest.raises(PersonLevelDataError, match="e-mail"):
            read_incidents(source, tz=PARIS)


def test_a_column_cannot_be_dropped_and_used(rows: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match=r"both name \['category'\]"):
        read_incidents(rows, tz=PARIS, columns={"category": "category"}, drop_columns=["category"])
    found = read_incidents(rows, tz=PARIS, drop_columns=["categry"])
    assert found.problems["what"].str.contains("drop_columns names columns that are not there").any()


def test_the_callers_table_is_left_as_it_was(rows: pd.DataFrame) -> None:
    before = rows.copy()
    read_incidents(rows.set_index("incident_id", drop=False), tz=PARIS, duplicates="flag")
    pd.testing.assert_frame_equal(rows, before)
