"""Names that give away who made a record: examples in English and French."""

import pytest

from tranquillite_ml.errors import UsageError
from tranquillite_ml.features import FeatureBlock, FeatureSet
from tranquillite_ml.features.base import Column
from tranquillite_ml.governance import denied_feature
from tranquillite_ml.governance.names import is_enforcement, plain_words
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins


@pytest.mark.parametrize(
    "name",
    [
        *(
            "drugs",
            "DRUGS",
            "Narcotics",
            "liquor laws",
            "prostitution",
            "loitering/vagrancy",
            "weapons",
            "gambling",
        ),
        *(
            "disorderly conduct",
            "driving under influence",
            "stolen property",
            "traffic stops",
            "fines",
            "arrests",
        ),
        *("Stupéfiants", "usage de stupéfiants", "port d'arme", "ivresse publique", "contrôles routiers"),
        *("amendes", "recel", "trouble à l'ordre public", "CONTRÔLE D'IDENTITÉ"),
    ],
)
def test_enforcement_driven_categories_are_recognised(name: str) -> None:
    assert is_enforcement(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "larceny",
            "burglary",
            "armed robbery",
            "robbery with weapon",
            "assault",
            "theft of firearms",
            "graffiti",
        ),
        *(
            "noise",
            "dumping",
            "obstructive parking",
            "fires",
            "vandalism",
            "other (incl. leaving scene)",
            "arson",
        ),
        *(
            "vol à main armée",
            "cambriolage",
            "Mischief",
            "motor vehicle theft",
            "Break and Enter Commercial",
            "",
        ),
    ],
)
def test_other_categories_are_not(name: str) -> None:
    assert not is_enforcement(name)


def test_plain_words_split_case_accents_and_punctuation() -> None:
    assert plain_words("dateDe_Naissance-1") == "date de naissance 1"


@pytest.mark.parametrize(
    "name",
    [
        "theft arrests",
        "interpellations pour vol",
        "street vending",
        "vente à la sauvette",
        "mendicité",
        "ID checks",
    ],
)
def test_an_act_of_enforcement_is_recognised_whatever_else_the_name_says(name: str) -> None:
    assert is_enforcement(name)


@pytest.mark.parametrize(
    "name", ["cardiac arrest", "vandalism at bus stop", "search and rescue", "arrêt cardiaque"]
)
def test_the_same_words_with_another_meaning_pass(name: str) -> None:
    assert not is_enforcement(name)


@pytest.mark.parametrize(
    "name",
    [
        *("pct_black", "share_white_residents", "ethnicity", "race", "racialMix", "origine_geo", "hispanic"),
        *("nationality", "nationalité", "part_immigrés", "foreign_born", "étrangers", "migrants"),
        *("religion", "distance_mosque", "lieux_de_culte", "église_500m", "prénom_fréquent", "patronyme"),
        *(
            "surname",
            "first_name_index",
            "langue_maternelle",
            "language",
            "HLM",
            "part_hlm",
            "logement_social",
        ),
        *("social housing share", "QPV", "quartier_prioritaire", "handicap", "arrests_28d", "drug_count"),
        *("contrôles_7j", "amendes", "traffic_stops"),
    ],
)
def test_denied_names_of_features_have_a_reason(name: str) -> None:
    assert denied_feature(name)


@pytest.mark.parametrize(
    "name",
    [
        *("target_7d", "context_decay_28d", "days_since_last", "long_run_mean", "city_last_year", "weekday"),
        *("season_sin", "holidays", "national_holidays", "horizon", "terrace_count", "trace", "black_friday"),
        *("ring_2_28d", "rainfall_mm", "bus_stops_300m", "drugstore_distance", "nightlife", "nature_area"),
        *("emplacement", "langoustine", "traffic_flow", "population", "street_lights", "self_exciting"),
    ],
)
def test_ordinary_names_of_features_pass(name: str) -> None:
    assert denied_feature(name) is None


def test_a_feature_set_refuses_a_denied_name() -> None:
    class Denied(FeatureBlock):
        family = "places"

        def describe(self, target, bins):
            yield Column("part_immigres", self.family, "share", "census", "always")

        def columns(self, view):
            yield from ()

    bins = TimeBins("2024-01-01", 9, "1D", "Europe/Paris")
    with pytest.raises(UsageError, match="'part_immigres' is refused: it describes the nationality"):
        FeatureSet([Denied()]).names(Target("noise"), bins)
    assert "target_28d" in FeatureSet().names(Target("noise"), bins)
