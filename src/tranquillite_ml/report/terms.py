"""Names of checks, measurements, units and evidence in both languages, and who asks for each check."""

from __future__ import annotations

import re

from tranquillite_ml.report.wording import Words, both, read_texts

_NAMES = read_texts("names")
CHECK_TITLES: dict[str, Words] = _NAMES["checks"]
MEASURES: dict[str, Words] = _NAMES["measures"]
UNITS: dict[str, Words] = _NAMES["units"]
EVIDENCE: dict[str, Words] = _NAMES["evidence"]
ORIGINS: dict[str, Words] = _NAMES["origins"]
PHRASES: dict[str, Words] = _NAMES["phrases"]
"""What checks say that their measurements are about; ``#`` stands for a number."""
ANCHORS: dict[str, list[str]] = _NAMES["anchors"]
"""Text of law or study that asks for each check."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_PARTS = re.compile(r"( · |, |: )")


def named(name: str, known: dict[str, Words]) -> Words:
    """Both names of a thing; its own name, with spaces, where it is not known.

    Examples
    --------
    >>> named("lift", MEASURES)["fr"], named("odd_name", MEASURES)["fr"]
    ('gain sur le hasard', 'odd name')
    """
    return known.get(name) or both(name.replace("_", " "), name.replace("_", " "))


def as_said(text: str | None) -> Words | None:
    """What every output must say, in both languages where the words are ours; None if there is none."""
    return None if text is None else PHRASES.get(text, {"en": text, "fr": text})


def about(*parts: str | None) -> Words | None:
    """What a measurement is about in both languages: names from data as they are, our own phrases translated.

    Examples
    --------
    >>> about("noise", None, "successive months, coverage +25%")["fr"]
    'noise · mois successifs, couverture +25\u202f%'
    >>> about(None, None) is None
    True
    """
    given = " · ".join(part for part in parts if part)
    if not given:
        return None
    pieces = [_phrase(piece) for piece in _PARTS.split(given)]
    return {language: "".join(piece[language] for piece in pieces) for language in ("en", "fr")}


def _phrase(text: str) -> Words:
    known = PHRASES.get(_NUMBER.sub("#", text))
    if known is None:
        return {"en": text, "fr": text}
    numbers = _NUMBER.findall(text)
    return {"en": _filled(known["en"], numbers, "."), "fr": _filled(known["fr"], numbers, ",")}


def _filled(text: str, numbers: list[str], mark: str) -> str:
    for number in numbers:
        text = text.replace("#", number.replace(".", mark), 1)
    return text
