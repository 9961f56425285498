"""Person-level columns: refused by name and by shape; places and classes pass."""

import pandas as pd
import pytest

from tranquillite_ml.errors import PersonLevelDataError
from tranquillite_ml.intake.persons import describes_person, person_shape, person_word, refuse_person_columns


@pytest.mark.parametrize(
    "column",
    [
        *(
            "name",
            "NOM",
            "nom",
            "Prénom",
            "prenom",
            "first_name",
            "LastName",
            "full name",
            "victim_name",
            "nom_famille",
        ),
        *(
            "suspect",
            "suspect_1",
            "victimAge",
            "phone",
            "tel",
            "Téléphone",
            "telephone_fixe",
            "email",
            "e_mail",
            "mail",
        ),
        *("courriel", "license_plate", "plate", "immatriculation", "dob", "date_of_birth", "date_naissance"),
        *("DateNaissance", "datedenaissance", "birth_date", "birthdate", "ssn", "age", "sex", "sexe", "race"),
        *(
            "victim_race",
            "ethnicity",
            "nationalité",
            "house_number",
            "numero_rue",
            "address",
            "adresse",
            "home address",
        ),
        *(
            "narrative",
            "commentaire",
            "Commentaires",
            "comments",
            "officer_name",
            "badge_number",
            "witness",
            "temoin",
        ),
        *("reported_by", "ip_address", "person_id", "firstname", "VICTIMNAME", "mis_en_cause_prenom"),
    ],
)
def test_columns_about_persons_are_known_by_their_name(column: str) -> None:
    assert person_word(column) is not None


@pytest.mark.parametrize(
    "column",
    [
        *(
            "incident_id",
            "timestamp",
            "latitude",
            "longitude",
            "category",
            "description",
            "ucr_code",
            "district",
        ),
        *("neighborhood", "neighbourhood", "coded_month", "premise", "premise_code", "beat", "n_offenses"),
        *("geocode_ok", "time_offset_for_privacy", "category_name", "street_name", "neighborhood_name"),
        *(
            "nom_quartier",
            "nom_arrondissement",
            "n_victims",
            "nb_victimes",
            "victim_count",
            "block",
            "hundred_block",
        ),
        *(
            "block_address",
            "location_description",
            "primary_type",
            "arrest",
            "domestic",
            "ward",
            "community_area",
        ),
        *(
            "fbi_code",
            "updated_on",
            "x_coordinate",
            "case_number",
            "message_id",
            "village",
            "stage",
            "page",
            "hotel",
        ),
        *("agency", "storage", "crimes_against_persons", "manual", "street"),
    ],
)
def test_columns_about_places_and_classes_pass(column: str) -> None:
    assert person_word(column) is None


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        (["rien", "voir jean@example.fr"], "e-mail addresses"),
        (["06 12 34 56 78", "+33 4 91 00 00 00"], "phone numbers"),
        (["0612345678"], "phone numbers"),
        (["(314) 555-0100", "314-555-0101"], "phone numbers"),
        (["AB-123-CD", "EF 456 GH"], "vehicle plates"),
        ([f"ABC {number}" for number in range(1000, 1030)], "vehicle plates"),
        (["12 rue de la République", "3 bis, avenue du Prado"], "addresses with house numbers"),
        (["1417 Olive St", "29 N Grand Blvd"], "addresses with house numbers"),
        (["DUPONT Jean", "MARTIN Sophie", "Nguyen, Paul"], "names of persons"),
        (["Mme Bertrand", "M. Petit"], "names of persons"),
        (["Un homme est entré par la fenêtre du rez-de-chaussée hier soir"], "free text"),
    ],
)
def test_columns_about_persons_are_known_by_their_shape(values: list[str], shape: str) -> None:
    assert person_shape(pd.Series(values)) == shape


@pytest.mark.parametrize(
    "values",
    [
        ["LARCENY-MTR VEH PARTS UNDER $500", "DESTRUCTION OF PROPERTY-MALICIOUS/PRIV PROP"],
        ["Vehicle Collision or Pedestrian Struck (with Injury) on the road"] * 50,  # a coded sentence repeats
        ["13D10", "2A30", "13R"],
        ["HX123456", "HX123457"],
        ["0000X W MADISON ST", "10XX ALBERNI ST", "1200 MAIN ST", "100 BLOCK OF MAIN ST"],
        ["Mount Pleasant", "Kitsilano", "Renfrew-Collingwood", "Central Business District"],
        ["Saint-Jean du Désert", "Le Panier", "La Belle de Mai", "Saint Louis", "Notre Dame du Mont"],
        ["residence / house", "road / street / sidewalk"],
        ["(41.8, -87.6)", "38.62"],
        ["ABC123"] * 40,
        [None, ""],
        [],
    ],
)
def test_codes_and_places_are_not_taken_for_persons(values: list[str | None]) -> None:
    assert person_shape(pd.Series(values, dtype=object)) is None


def test_dates_are_birth_dates_only_if_they_lie_decades_before() -> None:
    occurred = pd.Series(["2024-05-01 10:00"] * 3)
    assert person_shape(pd.Series(["1980-01-02", "1999-12-31", "12/03/1975"]), occurred) == "birth dates"
    assert person_shape(pd.Series(["2024-05-02", "2024-05-01", "2023-12-31"]), occurred) is None
    assert person_shape(pd.Series(["1980-01-02"] * 3)) is None


def refuse(frame: pd.DataFrame, mapped: dict[str, str]) -> list[list[str]]:
    """Run the guard on a table, and give the columns it asked to see."""
    asked: list[list[str]] = []

    def sample(columns: list[str]) -> pd.DataFrame:
        asked.append(columns)
        return frame[columns]

    refuse_person_columns("a.csv", frame.columns, sample, mapped)
    return asked


def test_the_message_names_all_columns_why_and_the_fix() -> None:
    frame = pd.DataFrame({"nom": ["x"], "contact": ["a@b.fr"], "quartier": ["Le Panier"]})
    with pytest.raises(PersonLevelDataError) as caught:
        refuse(frame, {})
    told = str(caught.value)
    assert "column 'nom': its name says 'nom'" in told
    assert "column 'contact': its values look like e-mail addresses" in told
    assert "`drop_columns: [nom, contact]`" in told
    assert "a@b.fr" not in told


def test_columns_refused_by_name_are_never_looked_at() -> None:
    asked: list[str] = []

    def sample(columns: list[str]) -> pd.DataFrame:
        asked.extend(columns)
        return pd.DataFrame({name: [] for name in columns})

    with pytest.raises(PersonLevelDataError):
        refuse_person_columns("a.csv", ["date_naissance", "other"], sample, {})
    assert asked == ["other"]


def test_mapped_columns_are_exempt_but_an_identifier_cannot_be_a_person() -> None:
    frame = pd.DataFrame({"key": ["06 12 34 56 78"], "nom": ["noise"]})
    refuse(frame, {"incident_id": "key", "category": "nom"})
    with pytest.raises(PersonLevelDataError, match="email"):
        refuse(frame.rename(columns={"key": "email"}), {"incident_id": "email", "category": "nom"})
    with pytest.raises(PersonLevelDataError, match="e-mail addresses"):
        refuse(frame.assign(key="a@b.fr"), {"incident_id": "key", "category": "nom"})


def test_one_value_at_a_time() -> None:
    assert describes_person("Jean Dupont")
    assert not describes_person("23:59:60")
