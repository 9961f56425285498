"""init: what it guesses, what it asks, and that check accepts what it writes."""

import re

import pandas as pd
import pytest

from tests.cli.conftest import last_json, rows
from tranquillite_ml.cli.columns import parse_columns
from tranquillite_ml.cli.draft_text import quoted
from tranquillite_ml.cli.drafting import draft, guess_format
from tranquillite_ml.cli.zones import guess_zone
from tranquillite_ml.config import RunConfig, load_config
from tranquillite_ml.config.strict_yaml import ConfigSource, parse_yaml
from tranquillite_ml.errors import UsageError
from tranquillite_ml.governance import load_governance, template

HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "no",
    "1e3",
    "a: b # c",
    'q"uo\\te',
    "- x",
    "é\u2028è",
]


def french():
    """A file as a French town exports it: day first, decimal commas, and columns about persons."""
    table = rows()
    return pd.DataFrame(
        {
            "numero": range(len(table)),
            "date_faits": table["occurred_at"].dt.strftime("%d/%m/%Y %H:%M"),
            "latitude": table["lat"].map(lambda value: f"{value:.5f}".replace(".", ",")),
            "longitude": table["lng"],
            "categorie": table["category"].replace({"noise": "Nuisances sonores", "dumping": "Dépôt"}),
            "nom": "Jean Dupont",
            "declarant": "marie@example.org",
            "contact": "06 12 34 56 78",
        }
    )


def test_a_french_file_becomes_a_config_that_check_accepts(tranquillite, tmp_path):
    french().to_csv(tmp_path / "signalements 2023.csv", sep=";", index=False)
    result = tranquillite("init", "signalements 2023.csv")
    assert result.exit_code == 0, result.stderr
    config = load_config(tmp_path / "config.yaml")
    assert config.name == "signalements-2023"
    assert config.incidents.tz == "Europe/Paris"
    assert config.incidents.time_format == "%d/%m/%Y %H:%M"
    assert config.incidents.columns == {
        **{"occurred_at": "date_faits", "lat": "latitude", "lng": "longitude"},
        **{"category": "categorie", "incident_id": "numero"},
    }
    assert config.incidents.drop_columns == ("nom", "declarant", "contact")
    assert set(config.incidents.categories) == {"Nuisances sonores"}
    checked = tranquillite("check", "config.yaml", "--json")
    assert checked.exit_code == 0, checked.stderr
    found = last_json(checked)
    assert found["usable"] is True
    assert found["folds"][-1]["last_period_end"] == "2023-07-20 00:00:00"
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert "its name says 'nom'" in text
    assert "phone numbers" in text
    assert "Jean" not in text


def test_an_empty_governance_file_is_written_beside_and_never_again(tranquillite, tmp_path):
    rows().to_parquet(tmp_path / "incidents.parquet")
    (tmp_path / "city").mkdir()
    told = tranquillite("init", "incidents.parquet", "--output", "city/config.yaml")
    assert told.exit_code == 0, told.stderr
    path = tmp_path / "city" / "governance.yaml"
    assert "governance.yaml: who answers" in told.stdout
    assert path.read_text(encoding="utf-8") == template()
    assert load_config("city/config.yaml").governance.path == "city/governance.yaml"
    path.write_text("owner: City of Example\n", encoding="utf-8")
    assert tranquillite("init", "incidents.parquet", "--output", "city/config.yaml", "--force").exit_code == 0
    assert load_governance(path).owner == "City of Example"


def test_hostile_categories_stay_text(tranquillite, tmp_path):
    table = rows()
    table.loc[: 50 * len(HOSTILE) - 1, "category"] = HOSTILE * 50
    table.loc[table["category"] == "noise", "category"] = HOSTILE[0]
    table.to_parquet(tmp_path / "incidents.parquet")
    assert tranquillite("init", "incidents.parquet").exit_code == 0
    config = load_config(tmp_path / "config.yaml")
    assert set(config.incidents.categories) == {HOSTILE[0]}
    assert tranquillite("check", "config.yaml").exit_code == 0
    # The suggestions are YAML too, once their # is taken away.
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    suggested = re.sub(r'^    # (?="|dumping|graffiti)', "    ", text, flags=re.MULTILINE)
    assert set(RunConfig.from_yaml(suggested).incidents.categories) >= {*HOSTILE, "dumping", "graffiti"}
    (tmp_path / "config.yaml").write_text(suggested, encoding="utf-8")
    assert tranquillite("check", "config.yaml").exit_code == 0


@pytest.mark.parametrize(
    "text", [*HOSTILE, "", " ", "null", "~", "2018-01-05", "{a}", "noise", "x" * 300, "😀", "\x07"]
)
def test_quoted_text_is_read_back_as_it_was(text):
    if text == "\x07":
        assert quoted(text) == '"\\a"'  # escaped here; refused by the reader
    else:
        source = parse_yaml(f"a: {{b: [{quoted(text)}]}}  # c")
        assert source.where(("a", "b", 0)) == "text, line 1"
        assert source == ConfigSource({"a": {"b": [text]}}, source.places, "text")
    assert "\n" not in quoted(text)


def test_geojson_needs_no_columns_for_the_place(tranquillite, tmp_path):
    import geopandas as gpd

    table = rows(n=400).assign(occurred_at=lambda frame: frame["occurred_at"].astype(str))
    points = gpd.points_from_xy(table.pop("lng"), table.pop("lat"))
    gpd.GeoDataFrame(table, geometry=points, crs="EPSG:4326").to_file(tmp_path / "incidents.geojson")
    assert tranquillite("init", "incidents.geojson").exit_code == 0
    assert "lat" not in load_config(tmp_path / "config.yaml").incidents.columns
    assert tranquillite("check", "config.yaml").exit_code == 0


def test_a_config_is_not_overwritten_unless_forced(tranquillite, tmp_path):
    rows().to_csv(tmp_path / "incidents.csv", index=False)
    (tmp_path / "mine.yaml").write_text("mine")
    refused = tranquillite("init", "incidents.csv", "--output", "mine.yaml")
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "mine.yaml").read_text() == "mine"
    assert tranquillite("init", "incidents.csv", "--output", "mine.yaml", "--force").exit_code == 0
    assert load_config(tmp_path / "mine.yaml").name == "incidents"
    assert tranquillite("init", "incidents.csv", "--output", "no/folder.yaml").exit_code == 2


def test_a_place_in_doubt_is_a_question(tranquillite, tmp_path):
    rows(lat=-1.29, lng=36.82).to_csv(tmp_path / "nairobi.csv", index=False)
    result = tranquillite("init", "nairobi.csv")
    assert result.exit_code == 0, result.stderr
    assert "CHECK THIS: tz" in result.stdout
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert "tz: Africa/Nairobi  # CHECK THIS" in text
    assert tranquillite("check", "config.yaml").exit_code == 0
    sure = tranquillite("init", "nairobi.csv", "--tz", "Africa/Kampala", "--force")
    assert "CHECK THIS" not in sure.stdout
    assert load_config(tmp_path / "config.yaml").incidents.tz == "Africa/Kampala"


def test_swapped_coordinates_are_refused_and_not_taken_for_another_place(tranquillite, tmp_path):
    rows().rename(columns={"lat": "lng", "lng": "lat"}).to_csv(tmp_path / "incidents.csv", index=False)
    result = tranquillite("init", "incidents.csv")
    assert result.exit_code == 3
    assert "swapped" in result.stderr
    assert not (tmp_path / "config.yaml").exists()


def test_metres_are_named(tranquillite, tmp_path):
    rows(lat=6_247_000, lng=893_000).to_csv(tmp_path / "incidents.csv", index=False)
    result = tranquillite("init", "incidents.csv")
    assert result.exit_code == 3
    assert "Lambert 93" in result.stderr


def test_a_column_that_is_not_found_can_be_named(tranquillite, tmp_path):
    rows().rename(columns={"category": "quoi", "lat": "ypos"}).to_csv(tmp_path / "incidents.csv", index=False)
    refused = tranquillite("init", "incidents.csv")
    assert refused.exit_code == 3
    assert "--column lat=NAME" in refused.stderr
    named = tranquillite("init", "incidents.csv", "--column", "lat=ypos", "--column", "category=quoi")
    assert named.exit_code == 0, named.stderr
    assert tranquillite("check", "config.yaml").exit_code == 0
    wrong = tranquillite("init", "incidents.csv", "--column", "lat=ypo", "--force")
    assert wrong.exit_code == 2
    assert "Did you mean 'ypos'?" in wrong.stderr
    with pytest.raises(UsageError, match="ours=theirs"):
        parse_columns(["lat"])


def test_what_agents_record_is_no_target(tranquillite, tmp_path):
    table = rows()
    table["category"] = table["category"].replace({"noise": "Stupéfiants"})  # the most frequent
    table.to_csv(tmp_path / "incidents.csv", index=False)
    tranquillite("init", "incidents.csv")
    config = load_config(tmp_path / "config.yaml")
    assert set(config.incidents.categories) == {"dumping"}
    assert config.incidents.origins == {"Stupéfiants": "agent"}
    table.assign(category="Stupéfiants").to_csv(tmp_path / "incidents.csv", index=False)
    result = tranquillite("init", "incidents.csv", "--force")
    assert result.exit_code == 3
    assert "patrols" in result.stderr


@pytest.mark.parametrize("days", [43, 60, 90, 141, 300, 800])
def test_folds_fit_the_length_of_the_record(tranquillite, tmp_path, days):
    rows(days=days).to_csv(tmp_path / "incidents.csv", index=False)
    assert tranquillite("init", "incidents.csv").exit_code == 0
    checked = tranquillite("check", "config.yaml")
    assert checked.exit_code == 0, checked.stderr


def test_a_short_record_is_said_to_be_one(tranquillite, tmp_path):
    rows(days=5, n=50).to_csv(tmp_path / "incidents.csv", index=False)
    result = tranquillite("init", "incidents.csv")
    assert result.exit_code == 0
    assert "only 5 days long" in result.stdout
    assert tranquillite("check", "config.yaml").exit_code == 2


def test_day_or_month_first_is_a_question_where_both_fit():
    either = pd.Series(["01/02/2024 10:00", "03/04/2024 11:00"])
    layout, doubt = guess_format(either, "Europe/Paris")
    assert layout == "%d/%m/%Y %H:%M"
    assert doubt is not None
    layout, doubt = guess_format(either, "America/Chicago")
    assert layout == "%m/%d/%Y %H:%M"
    assert doubt is not None
    assert guess_format(pd.Series(["12/31/2024 1:05 PM"]), "Europe/Paris") == ("%m/%d/%Y %I:%M %p", None)
    assert guess_format(pd.Series(["2024-12-31T13:05Z"]), "Europe/Paris") == ("", None)


def test_questions_about_columns_are_asked(tranquillite, tmp_path):
    table = rows().assign(occurred_at=lambda frame: frame["occurred_at"].dt.date, heure="10:00")
    table = table.rename(columns={"occurred_at": "date_signalement", "category": "type"}).assign(nature="x")
    table.to_csv(tmp_path / "incidents.csv", index=False)
    told = tranquillite("init", "incidents.csv").stdout
    assert "category: is it 'type', or rather 'nature'?" in told
    assert "'date_signalement' seems to say when the record was made" in told
    assert "does 'heure' hold the time of day?" in told
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert "occurred_at: date_signalement  # CHECK THIS" in text


def test_a_column_that_ends_in_type_will_do_for_the_category(tranquillite, tmp_path):
    rows().rename(columns={"category": "Event Type"}).to_csv(tmp_path / "incidents.csv", index=False)
    assert tranquillite("init", "incidents.csv").exit_code == 0
    assert load_config(tmp_path / "config.yaml").incidents.columns["category"] == "Event Type"


def test_an_identifier_that_repeats_is_left_out(tranquillite, tmp_path):
    rows().assign(numero=7).to_csv(tmp_path / "incidents.csv", index=False)
    tranquillite("init", "incidents.csv")
    assert "incident_id" not in load_config(tmp_path / "config.yaml").incidents.columns


def test_reported_at_is_taken_if_it_can_be_read(tranquillite, tmp_path):
    table = rows()
    table["date_signalement"] = table["occurred_at"] + pd.Timedelta(hours=5)
    table.to_csv(tmp_path / "incidents.csv", index=False)
    tranquillite("init", "incidents.csv")
    assert load_config(tmp_path / "config.yaml").incidents.columns["reported_at"] == "date_signalement"
    table["date_signalement"] = "le lendemain"
    table.to_csv(tmp_path / "incidents.csv", index=False)
    told = tranquillite("init", "incidents.csv", "--force")
    assert told.exit_code == 0, told.stderr
    assert "reported_at" not in load_config(tmp_path / "config.yaml").incidents.columns
    assert "could not be read as times" in told.stdout


def test_a_glob_is_looked_at_as_a_whole(tranquillite, tmp_path):
    table = rows()
    table.iloc[:700].to_csv(tmp_path / "a-1.csv", index=False)
    table.iloc[700:].assign(nom="Jean Dupont").to_csv(tmp_path / "a-2.csv", index=False)
    result = tranquillite("init", "a-*.csv")
    assert result.exit_code == 0, result.stderr
    assert load_config(tmp_path / "config.yaml").incidents.drop_columns == ("nom",)
    assert tranquillite("check", "config.yaml").exit_code == 0


@pytest.mark.parametrize(
    ("lat", "lng", "zone"),
    [
        *((43.30, 5.37, "Europe/Paris"), (48.86, 2.35, "Europe/Paris"), (48.58, 7.75, "Europe/Paris")),
        *((50.63, 3.06, "Europe/Paris"), (48.39, -4.49, "Europe/Paris"), (43.70, 7.26, "Europe/Paris")),
        *(
            (51.51, -0.13, "Europe/London"),
            (38.63, -90.20, "America/Chicago"),
            (41.88, -87.63, "America/Chicago"),
        ),
        *((29.76, -95.37, "America/Chicago"), (45.52, -122.68, "America/Los_Angeles")),
        *((49.25, -123.10, "America/Vancouver"), (40.71, -74.01, "America/New_York")),
    ],
)
def test_zones_of_cities(lat, lng, zone):
    assert guess_zone(lat, lng) == (zone, True)
    assert guess_zone(lng, lat)[0] == zone  # turned round: reading in this zone says that they are


@pytest.mark.parametrize(
    ("lat", "lng"), [(41.38, 2.17), (49.18, -2.11), (36.75, 3.06), (39.77, -86.16), (0.0, -150.0)]
)
def test_places_in_doubt_are_not_sure(lat, lng):
    assert guess_zone(lat, lng)[1] is False


def test_columns_that_are_not_there_are_told_all_at_once(tmp_path):
    path = tmp_path / "incidents.csv"
    path.write_text("when,latitude,longitude,kind\n2024-01-01 10:00,43.3,5.4,noise\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"no column 'wen'.*no column 'latitud'"):
        draft(str(path), columns={"occurred_at": "wen", "lat": "latitud"}, tz="Europe/Paris")
