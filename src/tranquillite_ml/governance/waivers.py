"""Waivers: who allowed which enforcement-driven category, why, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from tranquillite_ml.config.sections import Origin
from tranquillite_ml.config.values import Day, Section, Text
from tranquillite_ml.config.words import KeyProblem


def _not_blank(value: str) -> str:
    if not value.strip():
        msg = "expected text, got spaces only."
        raise ValueError(msg)
    return value.strip()


Said = Annotated[Text, AfterValidator(_not_blank)]
"""Text that says something."""


class Waiver(Section):
    """A dated, signed and limited permission to forecast or learn from one category of records.

    It holds from the day it was given to its last day, both included, for the category it names and the
    origin that is declared for it, and for nothing else.

    Examples
    --------
    >>> waiver = Waiver(category="drugs", origin="agent", who="A. Martin, city council",
    ...     when="2026-01-05", why="evaluation of a closed programme", until="2026-06-30")
    >>> waiver.covers("drugs", "agent"), waiver.covers("drugs", "arrest"), waiver.covers("weapons", "agent")
    (True, False, False)
    >>> waiver.active(date(2026, 6, 30)), waiver.active(date(2026, 7, 1))
    (True, False)
    """

    category: Annotated[Said, Field(description="the category, as the files name it")]
    origin: Annotated[Origin, Field(description="who makes such records")]
    who: Annotated[Said, Field(description="who allows it: name and office")]
    when: Annotated[Day, Field(description="the day it was allowed")]
    why: Annotated[Said, Field(description="the reason")]
    until: Annotated[Day, Field(description="its last day")]

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Waiver:
        if self.until < self.when:
            msg = f"a waiver given on {self.when} cannot end before it, got {self.until}."
            raise KeyProblem(("until",), msg)
        return self

    def active(self, on: date) -> bool:
        """Whether it holds on a day."""
        return self.when <= on <= self.until

    def covers(self, category: str, origin: str) -> bool:
        """Whether it names this category and this origin."""
        return (self.category, self.origin) == (category, origin)


def active_waivers(waivers: Iterable[Waiver], on: date) -> list[Waiver]:
    """Those that hold on a day, in their order."""
    return [waiver for waiver in waivers if waiver.active(on)]
