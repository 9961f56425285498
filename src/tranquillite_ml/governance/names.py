"""What a name gives away: records that follow enforcement. Pure functions, English and French."""

from __future__ import annotations

import re
import unicodedata

ACTS_OF_ENFORCEMENT = (
    # Something an agent did. Whatever the name says besides, an agent made the record.
    *("arrest", "citation", "summons", "warrant", "field interview", "identity check", "id check"),
    *("stop and search", "stop and frisk", "traffic stop", "vehicle stop", "pedestrian stop", "police stop"),
    *("traffic violation", "parking ticket", "interpellation", "verbalisation", "contravention", "amende"),
    *("controle d identite", "controle routier", "garde a vue", "mise en cause"),
)
"""Names of acts (without accents, singular)."""

FOUND_BY_LOOKING = (
    # These records exist because an agent looked: their number follows patrols, not what happens. A model
    # that forecasts them, or learns from them, sends agents where agents already were.
    *("drug", "narcotic", "controlled substance", "cannabis", "marijuana", "liquor law", "liquor violation"),
    *("public intoxication", "public drunkenness", "drunkenness", "prostitution", "soliciting", "loitering"),
    *("vagrancy", "weapon", "firearm", "gambling", "disorderly conduct", "begging", "panhandling"),
    *(
        "street vending",
        "street vendor",
        "peddling",
        "driving under influence",
        "drunk driving",
        "dui",
        "dwi",
    ),
    *(
        "driving under the influence",
        "stolen property",
        "curfew",
        "trespass",
        "trespassing",
        "stop",
        "search",
    ),
    *(
        "ticket",
        "fine",
        "resisting arrest",
        "probation violation",
        "parole violation",
        "outrage",
        "rebellion",
    ),
    *("stupefiant", "drogue", "debit de boisson", "ivresse", "racolage", "proxenetisme", "vagabondage"),
    *("mendicite", "vente a la sauvette", "vendeur a la sauvette", "marchand ambulant", "colportage", "arme"),
    *("jeux d argent", "jeux de hasard", "trouble a l ordre public", "conduite en etat d ivresse"),
    *("conduite sous influence", "alcool au volant", "recel", "couvre feu", "controle", "sejour irregulier"),
)
"""Names of offences that are recorded when an agent looks for them (without accents, singular)."""

# "Robbery with a weapon" or "theft of firearms" is reported by its victim, whatever the weapon.
_REPORTED_BY_VICTIMS = re.compile(
    r"\b(rob|theft|larceny|burglar|break|assault|batter|homicide|murder|shooting|shots|rape|sexual|accident|collision"
    r"|vol|cambriolage|agression|violence|meurtre|coups|accident)"
)
# The same words with another meaning.
_OTHERWISE = re.compile(
    r"\b(cardiac arrests?|arret cardiaque|search and rescue|((bus|tram|metro|transit|transport) )+stops?"
    r"|lost ticket|ticket (office|machine)|fine art)\b"
)


def plain_words(text: str) -> str:
    """Lower-case words without accents or punctuation, separated by one space.

    Examples
    --------
    >>> plain_words("Date_Naissance"), plain_words("victimAge"), plain_words("Usage de STUPÉFIANTS")
    ('date naissance', 'victim age', 'usage de stupefiants')
    """
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    bare = unicodedata.normalize("NFKD", split).encode("ascii", "ignore").decode()
    return " ".join(re.findall(r"[a-z]+|\d+", bare.lower()))


def is_enforcement(name: str) -> bool:
    """Whether a category's name says that its records follow enforcement.

    An act of enforcement in the name is enough. An offence that is found by looking for it is enough unless
    the name also says that a victim reports it.

    Examples
    --------
    >>> [is_enforcement(name) for name in ("liquor laws", "Stupéfiants", "theft arrests")]
    [True, True, True]
    >>> [is_enforcement(name) for name in ("armed robbery", "graffiti", "cardiac arrest")]
    [False, False, False]
    """
    words = _OTHERWISE.sub(" ", plain_words(name))
    if _holds(words, ACTS_OF_ENFORCEMENT):
        return True
    return not _REPORTED_BY_VICTIMS.search(words) and _holds(words, FOUND_BY_LOOKING)


def _holds(words: str, phrases: tuple[str, ...]) -> bool:
    """Whether one of the phrases is among the words, as they are or in the singular."""
    singular = " ".join(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in words.split())
    return any(f" {phrase} " in f" {words} " or f" {phrase} " in f" {singular} " for phrase in phrases)
