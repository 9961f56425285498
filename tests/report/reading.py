"""Reads a report's page: its tags, and each text with the path and language that stand around it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "input", "br", "link", "img"}
UNREAD = {"style", "title"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    parent: Element | None
    pieces: list[str] = field(default_factory=list)

    def nearest(self, name: str) -> Element | None:
        one: Element | None = self
        while one is not None and name not in one.attributes:
            one = one.parent
        return one

    @property
    def language(self) -> str:
        doc = self.nearest("id")
        while doc is not None and doc.attributes.get("id") not in {"en", "fr"}:
            doc = None if doc.parent is None else doc.parent.nearest("id")
        return "en" if doc is None else str(doc.attributes["id"])

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.texts: list[tuple[str, Element]] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        one = Element(tag, dict(attrs), self._open[-1] if self._open else None)
        self.elements.append(one)
        if tag not in VOID:
            self._open.append(one)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1].tag in UNREAD:
            return
        for one in self._open:
            one.pieces.append(data)
        self.texts.append((data, self._open[-1]))

    def shape(self) -> Counter[tuple[str, tuple[str, ...]]]:
        """How often each tag comes with which attributes."""
        return Counter((one.tag, tuple(sorted(one.attributes))) for one in self.elements)


def as_number(text: str, language: str) -> float:
    """What a reader takes a written number for: our own reading of it, apart from the code that wrote it."""
    plain = text.replace("\u202f", "").replace("\u00a0", "").replace(" ", "")
    plain = plain.replace(",", ".") if language == "fr" else plain.replace(",", "")
    share = plain.endswith("%")
    plain = plain.removesuffix("%")
    power = 0
    if "×10" in plain:
        plain, raised = plain.split("×10")
        power = int(raised.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
    return float(plain) * 10.0**power / (100 if share else 1)


def last_digit(text: str, language: str) -> float:
    """Half of what the last digit of a written number stands for."""
    plain = text.replace("\u202f", "").replace("\u00a0", "").replace(" ", "")
    mark = "," if language == "fr" else "."
    digits = re.search(rf"{re.escape(mark)}(\d+)", plain)
    step = 10.0 ** -len(digits[1]) if digits else 1.0
    if "×10" in plain:
        power = int(plain.split("×10")[1].translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
        step *= 10.0**power
    return 0.5000001 * step / (100 if plain.endswith("%") else 1)
