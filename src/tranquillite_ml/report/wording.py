"""Words and numbers of the report in English and in French: one key, two texts; one number, two forms."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from tranquillite_ml.config.strict_yaml import read_yaml
from tranquillite_ml.limits import LIMITS_OF_USE, LIMITS_VERSION

LANGUAGES = ("en", "fr")
NARROW, NO_BREAK = "\u202f", "\u00a0"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_BEFORE = re.compile(r" ([:;?!%»])")
_AFTER = re.compile(r"« ")
_FRENCH_MARKS = str.maketrans(",.", f"{NARROW},")
_TINY, _HUGE = 1e-4, 1e15

Words = dict[str, str]
"""One text in each language."""


def french(text: str) -> str:
    """Give a French text its narrow spaces.

    Examples
    --------
    >>> french("Quoi ? « Rien »") == "Quoi\u202f? «\u202fRien\u202f»"
    True
    """
    return _AFTER.sub(f"«{NARROW}", _BEFORE.sub(rf"{NARROW}\1", text))


def both(en: str, fr: str) -> Words:
    """One text in both languages.

    Examples
    --------
    >>> sorted(both("Why?", "Pourquoi ?"))
    ['en', 'fr']
    """
    return {"en": en, "fr": french(fr)}


def joined(parts: list[Words], between: tuple[str, str] = (" ", " ")) -> Words:
    """Texts one after the other, in each language.

    Examples
    --------
    >>> joined([both("One.", "Un."), both("Two.", "Deux.")])["fr"]
    'Un. Deux.'
    """
    return {
        language: mark.join(part[language] for part in parts if part[language])
        for language, mark in zip(LANGUAGES, between, strict=True)
    }


def shown(value: Any, kind: str, language: str) -> str:
    r"""A value as the report writes it.

    Parameters
    ----------
    value : float, int, bool, str or None
    kind : str
        ``share`` (as a percentage), ``ratio`` (two decimals), ``plain`` (a number that must not be rounded),
        or anything else: three significant digits, whole numbers in full.
    language : {"en", "fr"}

    Examples
    --------
    >>> shown(1234.5, "incidents", "en"), shown(0.125, "share", "en"), shown(2, "ratio", "en")
    ('1,234', '12.5\xa0%', '2.00')
    >>> shown(1234, "incidents", "fr"), shown(0.125, "share", "fr"), shown(3.2e-10, "ratio", "fr")
    ('1\u202f234', '12,5\u202f%', '3,2 × 10⁻¹⁰')
    >>> shown(None, "ratio", "fr"), shown(True, "", "en")
    ('non mesuré', 'yes')
    """
    if value is None:
        return str(TEXTS["not_measured"][language])
    if isinstance(value, bool):
        return str(TEXTS["yes" if value else "no"][language])
    if isinstance(value, str):
        return value
    number = float(value)
    if kind == "share":
        gap = NARROW if language == "fr" else NO_BREAK
        return _local(_decimals(100 * number, 1, kind="percent"), language) + f"{gap}%"
    if kind == "plain":
        return _local(f"{value:,}" if isinstance(value, int) else f"{number:,.15g}", language)
    return _local(_decimals(number, 2, kind=kind), language)


def _decimals(number: float, digits: int, *, kind: str) -> str:
    """A number in English, with a comma between thousands."""
    size = abs(number)
    if number != 0 and (size < _TINY or size >= _HUGE):
        power = math.floor(math.log10(size))
        return f"{number / 10.0**power:.1f} × 10{str(power).translate(_SUPERSCRIPT)}"
    if kind in {"ratio", "percent"}:
        smallest = 10.0**-digits  # what would be rounded to nothing, or nearly, keeps two digits
        return f"{number:,.{digits}f}" if size >= smallest or number == 0 else f"{number:.2g}"
    if number == round(number) or size >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def _local(text: str, language: str) -> str:
    if language == "fr":
        return text.translate(_FRENCH_MARKS)
    return text


def read_texts(name: str) -> Any:
    """Texts of the report from a file of ``texts``: each pair of ``en`` and ``fr`` as words of the page."""
    path = Path(__file__).parent / "texts" / f"{name}.yaml"
    return _spaced(read_yaml(path, path.name).values)


def _spaced(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == set(LANGUAGES):
            return both(value["en"], value["fr"])
        return {key: _spaced(part) for key, part in value.items()}
    return [_spaced(part) for part in value] if isinstance(value, list) else value


_TEXTS = read_texts("words")
TEXTS: dict[str, Words] = _TEXTS["labels"]
"""Labels of the page."""
STATUS: dict[str, Words] = _TEXTS["statuses"]
SYMBOL = {"PASS": "✓", "WARN": "!", "FAIL": "✕", "NOT_ASSESSABLE": "?"}
SENTENCES: dict[str, Words] = _TEXTS["sentences"]
"""Sentences with places for numbers and names."""
OVERSIGHT: dict[str, Words] = _TEXTS["oversight"]
"""What can be logged: kinds of lines about a model, and what was done with a forecast."""
WORTH: dict[str, Words] = _TEXTS["worth"]
"""What a model adds to plain counts."""
NOT_ASSESSABLE: Words = _TEXTS["not_assessable"]
USE: dict[str, Words] = _TEXTS["use"]
OUT_OF_SCOPE: Words = _TEXTS["out_of_scope"]
AI_ACT_CLASS: Words = _TEXTS["ai_act_class"]
HARMS: Words = _TEXTS["harms"]
"""Who may be harmed, and how, in any city: a city adds to it in its impact assessment."""
GLOSSARY: list[dict[str, Words]] = _TEXTS["glossary"]
ANNEX_IV: list[dict[str, Any]] = _TEXTS["annex_iv"]
"""Headings of Annex IV of the AI Act, and the sections that hold what they ask for."""
ALTAI: list[dict[str, Any]] = _TEXTS["altai"]
"""The seven headings of the Assessment List for Trustworthy AI (AI HLEG, 2020), and where the evidence is."""
AIA_CA: list[dict[str, Any]] = _TEXTS["aia_ca"]
"""What Canada's Algorithmic Impact Assessment asks, and where the answers are."""
LIMITS: Words = dict(LIMITS_OF_USE)
"""Limits of use, as they stand on every output; version `LIMITS_VERSION`."""

__all__ = [
    "AIA_CA",
    "AI_ACT_CLASS",
    "ALTAI",
    "ANNEX_IV",
    "GLOSSARY",
    "HARMS",
    "LANGUAGES",
    "LIMITS",
    "LIMITS_VERSION",
    "NOT_ASSESSABLE",
    "OUT_OF_SCOPE",
    "OVERSIGHT",
    "SENTENCES",
    "STATUS",
    "SYMBOL",
    "TEXTS",
    "USE",
    "WORTH",
    "Words",
    "both",
    "french",
    "joined",
    "read_texts",
    "shown",
]
