"""How a check measured, in both languages: its English sentences, and the French of those that are known."""

from __future__ import annotations

import re
from typing import NamedTuple

from tranquillite_ml.report.terms import about
from tranquillite_ml.report.wording import NARROW, Words, read_texts

_HOLE = re.compile(r"\{(\w+)\}")
_NUMBER = r"[-−]?\d[\d.,]*(?<![.,])(?:e-?\d+)?\s?%?"
_TEXT = r"(?:(?!; |\. ).)+?"  # within a sentence
_END = r"(?:(?=; |$)|(?<=\.)(?= ))"
_DECIMAL = re.compile(r"(?<![\d.])(\d+)\.(\d+)(?![\d.])")
_PERCENT = re.compile(r"(?<=\d)\s?%")


class _Sentence(NamedTuple):
    said: re.Pattern[str]
    french: str


def _compiled(en: str, fr: str) -> _Sentence:
    """A sentence with its holes as groups: n1, n2, … take numbers only, a list may hold semicolons."""
    kinds = {"n": _NUMBER, "list": r".+?"}
    parts = _HOLE.split(en)
    pattern = "".join(
        f"(?P<{part}>{kinds.get(part.rstrip('123456789'), _TEXT)})" if place % 2 else re.escape(part)
        for place, part in enumerate(parts)
    )
    return _Sentence(re.compile(pattern + _END), fr)


KNOWN = tuple(_compiled(one["en"], one["fr"]) for one in read_texts("methods")["methods"])


def method_words(method: str) -> Words:
    """A method in both languages; where a sentence of it is not known, the French is the English.

    Examples
    --------
    >>> method_words("At 5% of the area. Seed 0.")["fr"]
    'À 5\u202f% de la surface. Graine 0.'
    >>> method_words("At 5% of the area. By hand.")["fr"]
    'At 5% of the area. By hand.'
    """
    said, place = "", 0
    while place < len(method):
        best = _longest(method, place)
        if best is None:
            return {"en": method, "fr": method}
        end, french = best
        separator = re.compile(r"; | |").match(method, end)
        gap = "" if separator is None else separator[0]
        said += french + gap.replace(";", f"{NARROW};")
        place = end + len(gap)
    return {"en": method, "fr": said}


def _longest(method: str, place: int) -> tuple[int, str] | None:
    """Where the longest known sentence that begins at a place ends, and its French."""
    found = [(one.said.match(method, place), one.french) for one in KNOWN]
    matched = [(match, french) for match, french in found if match is not None]
    if not matched:
        return None
    match, french = max(matched, key=lambda pair: len(pair[0].re.pattern))
    return match.end(), french.format(**{name: _value(text) for name, text in match.groupdict().items()})


def _value(text: str) -> str:
    """What stands in a hole, in French: names of ours translated, numbers with a comma."""
    told = about(text)
    said = text if told is None else told["fr"]
    return _PERCENT.sub(f"{NARROW}%", _DECIMAL.sub(r"\1,\2", said))
