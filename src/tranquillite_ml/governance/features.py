"""Names that no feature may have: origins, beliefs and the like of residents, and traces of enforcement."""

from __future__ import annotations

import re
from functools import cache

from tranquillite_ml.governance.names import is_enforcement, plain_words

_SHARE = r"(pct|percent|share|prop|proportion|population|pop|residents?|people|habitants?|part)"
_COLOUR = r"(black|white|asian|african|noirs?|blancs?|asiatiques?|africains?)"

_DENIED = {
    # Words without accents; `\b…` matches the beginning of a word, `\b…\b` a whole one.
    "it describes the ethnic origin of persons": (
        r"\bethni|\brace\b|\bracial|\bracia|\borigines?\b|\bethnic origin|\bnational origins?\b"
        r"|\bhispanic|\blatin[oax]s?\b|\bmaghreb|\barab(e|es|s|ic)?\b|\bcaucasian|\broma\b|\bgyps|\btsigane"
        r"|\bgens du voyage\b|\bskin (colou?r|tone)|\bcouleur de (la )?peau"
        rf"|\b{_SHARE}\b.*\b{_COLOUR}\b|\b{_COLOUR}\b.*\b{_SHARE}\b"
    ),
    "it describes the nationality or migration of persons": (
        r"\bnationalit|\bcitizenship|\bcitoyennete|\bimmigr|\bemigr|\bmigrants?\b|\brefugee|\brefugie|\basylum"
        r"|\basile\b|\bforeign(er|ers| born)\b|\betrang(er|ers|ere|eres)\b|\bcountry of (birth|origin)"
        r"|\bbirthplace|\bplace of birth|\bpays de naissance|\blieu de naissance|\bsans papiers"
    ),
    "it describes the religion of persons": (
        r"\brelig|\bfaith\b|\bworship|\blieux? de culte|\bmosque|\bsynagogue|\bchurch|\beglises?\b|\bmuslim"
        r"|\bmusulman|\bislam|\bjewish|\bjuifs?\b|\bchristian|\bchretien|\bcatholi|\bhalal|\bkosher|\bcasher"
    ),
    "it is made of persons' names": (
        r"\bprenom|\bpatronym|\bsurname|\b(first|last|given|family|fore) names?\b|\bforename|\bfirstname"
        r"|\blastname|\bnoms? de (famille|naissance)"
    ),
    "it describes the language of persons": r"\blangues?\b|\blanguage|\blinguist|\bmother tongue",
    "it describes the health, sexual orientation or opinions of persons": (
        r"\bhandicap|\bdisab(led|ilit)|\bsexual orientation|\borientation sexuelle|\bgender|\bpolitical"
        r"|\bvote share|\bpart des voix|\bsyndicats?\b|\btrade union"
    ),
    "it stands for the persons who live there": (
        r"\bhlm\b|\blogements? socia|\bsocial housing|\bpublic housing|\bcouncil housing"
        r"|\bqpv\b|\bquartiers? prioritaires?|\bpolitique de la ville|\bwelfare recipients?|\ballocataires?\b"
        r"|\bhousing projects?\b|\brsa\b"
    ),
}
_PATTERNS = {reason: re.compile(pattern) for reason, pattern in _DENIED.items()}


@cache
def denied_feature(name: str) -> str | None:
    """Why no feature may have this name, or None if it may.

    A name is all that this looks at. A feature with an innocent name can still stand for the persons of a
    place: whether its values do is a matter for the audit.

    Examples
    --------
    >>> denied_feature("part_immigrés")
    'it describes the nationality or migration of persons'
    >>> denied_feature("arrests_28d")
    'its records follow enforcement'
    >>> denied_feature("days_since_last") is None, denied_feature("national_holidays") is None
    (True, True)
    """
    words = plain_words(name)
    for reason, pattern in _PATTERNS.items():
        if pattern.search(words):
            return reason
    return "its records follow enforcement" if is_enforcement(name) else None
