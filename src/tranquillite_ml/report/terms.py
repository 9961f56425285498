"""Names of checks, measurements, units and evidence in both languages, and who asks for each check."""

from __future__ import annotations

import re

from tranquillite_ml.report.wording import Words, both, french, joined, read_texts

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
_MARKS = (" · ", ", ", ": ", "; ")


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

    Of several parts, the first is a category, whose name comes from data.

    Examples
    --------
    >>> about("noise", None, "successive months, coverage +25%")["fr"]
    'noise · mois successifs, couverture +25\u202f%'
    >>> about(None, None) is None
    True
    """
    told = [
        {"en": part, "fr": part} if place == 0 and len(parts) > 1 else _told(part)
        for place, part in enumerate(parts)
        if part
    ]
    return joined(told, (" · ", " · ")) if told else None


def _told(text: str) -> Words:
    return _said(text) or {"en": text, "fr": text}


def _said(text: str, marks: tuple[str, ...] = _MARKS) -> Words | None:
    """A phrase of ours, or what its parts say; None if no part of it is ours."""
    known = PHRASES.get(_NUMBER.sub("#", text))
    if known is not None:
        numbers = _NUMBER.findall(text)
        return {"en": _filled(known["en"], numbers, "."), "fr": _filled(known["fr"], numbers, ",")}
    if not marks:
        return None
    pieces = [(piece, _said(piece, marks[1:])) for piece in text.split(marks[0])]
    if all(words is None for _, words in pieces):
        return None
    between = {"en": marks[0], "fr": french(f" {marks[0]}") if marks[0] in {": ", "; "} else marks[0]}
    return {
        language: between[language].join(
            piece if words is None else words[language] for piece, words in pieces
        )
        for language in ("en", "fr")
    }


def _filled(text: str, numbers: list[str], mark: str) -> str:
    for number in numbers:
        text = text.replace("#", number.replace(".", mark), 1)
    return text
