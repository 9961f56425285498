"""Sections of the report: which question each answers, by which checks, and what it cannot tell."""

from __future__ import annotations

from dataclasses import dataclass

from tranquillite_ml.report.wording import Words, read_texts


@dataclass(frozen=True)
class Section:
    """One section as it is declared.

    Parameters
    ----------
    id : str
        ``S1`` to ``S19``.
    title, question, cannot_tell : mapping
        In both languages.
    leads : mapping of str to mapping
        First sentence of the answer for PASS, WARN and FAIL.
    rule : mapping
        When the section passes, beside the rules of its checks.
    checks : tuple of str
        Ids of the checks its status is the worst of.
    pointers : tuple of str
        Files and code where more can be found.
    public : bool
        Whether the citizens' edition has it.
    """

    id: str
    title: Words
    question: Words
    leads: dict[str, Words]
    rule: Words
    cannot_tell: Words
    checks: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    public: bool = False


SECTIONS: tuple[Section, ...] = tuple(
    Section(
        id=name,
        title=one["title"],
        question=one["question"],
        leads={"PASS": one["passes"], "WARN": one["warns"], "FAIL": one["fails"]},
        rule=one["rule"],
        cannot_tell=one["cannot_tell"],
        checks=tuple(one["checks"]),
        pointers=tuple(one["pointers"]),
        public=one["public"],
    )
    for name, one in read_texts("sections").items()
)
"""In the order in which they are printed."""

IN_VERDICT = tuple(f"S{number}" for number in range(2, 17))
"""Sections whose worst is the verdict."""

MUST_HOLD = ("C11", "C17", "C18", "C19", "C20", "C27")
"""Checks whose failure means that it must not be used, and for which missing evidence counts as one."""
