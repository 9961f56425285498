"""Limits of use: one text, in English and French, that stands wherever a forecast can be read."""

from __future__ import annotations

from collections.abc import Mapping

LIMITS_VERSION = 1
"""Raised with every change of the texts; outputs carry it."""

LIMITS_OF_USE: Mapping[str, str] = {
    "en": (
        "Limits of use (version 1). This is an estimate of how many incidents will be recorded in a "
        "place and period. It says nothing about any resident or passer-by, and it is not a cause. It "
        "may not ground a stop, search or fine, nor the choice of whom to check. Records depend on what "
        "is noticed, reported and written down: a low number does not mean that nothing happens. A "
        "person decides, and answers for the decision."
    ),
    "fr": (
        "Limites d’usage (version 1). Ceci estime combien d’incidents seront enregistrés dans un lieu et "
        "une période. Cela ne dit rien d’aucun habitant ni passant, et ce n’est pas une cause. Cela ne "
        "peut fonder ni contrôle, ni fouille, ni verbalisation, ni le choix des personnes contrôlées. "
        "Les enregistrements dépendent de ce qui est remarqué, signalé et consigné\u202f: un nombre faible "
        "ne veut pas dire qu’il ne se passe rien. Une personne décide, et répond de sa décision."
    ),
}
"""The text in full, by language: on maps, in the metadata of files, on the first page of the report."""

LIMITS_IN_BRIEF = "about places, never persons; no ground for a stop, search or fine (limits of use 1)"
"""What each row of a table says, because a row may travel alone."""


def shows_limits(text: str) -> bool:
    """Whether a text holds the limits of use in full, in one of the languages.

    Examples
    --------
    >>> shows_limits("<p>" + LIMITS_OF_USE["fr"] + "</p>"), shows_limits("for information only")
    (True, False)
    """
    return any(full in text for full in LIMITS_OF_USE.values())
