"""An explanation in sentences, in English and in French."""

from __future__ import annotations

from typing import Any

import numpy as np

from tranquillite_ml.errors import check_in
from tranquillite_ml.explanation.factors import LEVEL, Explanation

LANGUAGES = ("en", "fr")
_BARELY = 0.05
_NARROW = "\u202f"
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

_FORECAST = {
    "en": "For area {cell}, {when}: about {rate} reported incidents expected ({low}–{high} in {share} of 10 "
    "similar cases). That is {ratio} times the mean of all places.",
    "fr": "Pour la maille {cell}, {when} : environ {rate} incidents signalés attendus (entre {low} et {high} "
    "dans {share} cas semblables sur 10), soit {ratio} fois la moyenne de tous les lieux.",
}
_FACTOR = {
    "en": "{family} multiplies the estimate by {m} ({way}).",
    "fr": "{family} multiplie l'estimation par {m} ({way}).",
}
_START = {
    "en": "{family} puts the estimate at {rate}.",
    "fr": "{family} place l'estimation à {rate}.",
}
STARTS = ("starting rate", "past counts")
"""Families that the others multiply: a factor on the typical level, mostly of empty places, says little."""
_WAYS = {
    "en": ("raises it", "lowers it", "barely changes it"),
    "fr": ("à la hausse", "à la baisse", "presque sans effet"),
}
_CAUTION = {
    "en": "This is how the model computes. It is not a cause, and it says nothing about any resident or "
    "passer-by. It may not ground a stop, search or fine.",
    "fr": "Ceci décrit le calcul du modèle. Ce n'est pas une cause et cela ne dit rien d'aucun habitant ni "
    "passant. Cela ne peut fonder ni contrôle, ni fouille, ni verbalisation.",
}
FAMILIES = {
    "starting rate": ("The past of the place", "Le passé du lieu"),
    "past counts": ("The count of past incidents", "Le nombre d'incidents passés"),
    "exposure": ("The length of the period", "La durée de la période"),
    "history": ("The recent history of the place", "L'historique récent du lieu"),
    "city": ("The level of the whole city", "Le niveau de toute la ville"),
    "neighbourhood": ("What was recorded around", "Ce qui a été enregistré autour"),
    "near_repeat": ("What was recorded close by of late", "Ce qui a été enregistré tout près récemment"),
    "calendar": ("The calendar", "Le calendrier"),
    "weather": ("The weather", "La météo"),
    "events": ("Announced events", "Les événements annoncés"),
    "places": ("The places around", "Les lieux alentour"),
    "area": ("What is known of the area", "Ce que l'on sait du secteur"),
    "daylight": ("Daylight", "La lumière du jour"),
    "calibration": ("The calibration", "Le calage"),
    "pooling": ("The pooling of models", "La mise en commun des modèles"),
}


def in_words(explanation: Explanation, cell: str, *, language: str = "en", **key: Any) -> list[str]:
    """Sentences about one place-period: the forecast, each family's factor, and what it does not mean.

    Parameters
    ----------
    explanation : Explanation
    cell : str
    language : {"en", "fr"}, default "en"
    **key
        As for `Explanation.why`.

    Raises
    ------
    UsageError
        If the cell was not explained, or the language is unknown.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.explanation import explain
    >>> from tranquillite_ml.forecasters import Count365
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> city = simulate_city(seed=0, days=120, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, city.bins("1D"))
    >>> found = explain(Count365(Target("noise", period=7)).fit(panel), panel)
    >>> in_words(found, found.rows["cell"][0])[1].startswith("The count of past incidents puts")
    True
    """
    check_in(language, LANGUAGES, "language")
    table = explanation.why(cell, **key)
    one = explanation.select(cells=[cell], **key)
    row = one.rows.iloc[0]
    expected = float(row["expected_count"])
    same = (explanation.rows["category"] == row["category"]) & (
        explanation.rows["period_start"] == row["period_start"]
    )
    mean = float(explanation.rows.loc[same, "expected_count"].mean())
    said = [
        _FORECAST[language].format(
            cell=cell,
            when=f"{row['period_start']:%Y-%m-%d %H:%M}",
            rate=_number(expected, language),
            low=_number(row["lower"], language),
            high=_number(row["upper"], language),
            share=_number(10 * one.level, language),
            ratio=_number(expected / mean, language),
        )
    ]
    for family, size in zip(table["family"], table["contribution"], strict=True):
        if family == LEVEL:
            continue
        if family in STARTS:
            rate = _number(float(np.exp(one.base[0] + size)), language)
            said.append(_START[language].format(family=family_words(family, language), rate=rate))
            continue
        way = 2 if abs(size) < _BARELY else int(size < 0)
        said.append(
            _FACTOR[language].format(
                family=family_words(family, language),
                m=_number(float(np.exp(size)), language),
                way=_WAYS[language][way],
            )
        )
    return [_spaced(sentence, language) for sentence in (*said, _CAUTION[language])]


def family_words(name: str, language: str) -> str:
    """A family of features, or several joined by " + ", in words that begin a sentence."""
    parts = [FAMILIES.get(part, (part, part))[LANGUAGES.index(language)] for part in name.split(" + ")]
    joined = (" and " if language == "en" else " et ").join([parts[0], *map(uncapitalised, parts[1:])])
    return joined


def uncapitalised(words: str) -> str:
    """Words as they stand inside a sentence."""
    return words[:1].lower() + words[1:]


def _number(value: float, language: str) -> str:
    text = f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}"
    if "e-" in text:
        digits, power = text.split("e-")
        text = f"{digits} × 10⁻{str(int(power)).translate(_RAISED)}"
    return text.replace(".", ",") if language == "fr" else text


def _spaced(text: str, language: str) -> str:
    """French puts a narrow space before double marks."""
    if language == "fr":
        for mark in ":;%":
            text = text.replace(f" {mark}", f"{_NARROW}{mark}")
    return text
