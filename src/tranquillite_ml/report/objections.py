"""What critics say of such forecasts, who says it, which check measures it, and what no check can settle."""

from __future__ import annotations

from dataclasses import dataclass

from tranquillite_ml.report.wording import Words, read_texts


@dataclass(frozen=True)
class Objection:
    """One objection, kept by hand and not shortened.

    Parameters
    ----------
    source : str
        Who says it, and when.
    claim, reply, unresolved : mapping
        In both languages: what is said, what this report does about it, and what stays open.
    checks : tuple of str
        The checks that measure it; none: no measurement can answer it.
    """

    source: str
    claim: Words
    reply: Words
    unresolved: Words
    checks: tuple[str, ...]


OBJECTIONS: tuple[Objection, ...] = tuple(
    Objection(one["source"], one["claim"], one["reply"], one["unresolved"], tuple(one["checks"]))
    for one in read_texts("objections")["objections"]
)
"""The strongest that are known; kept by hand in ``texts/objections.yaml`` and not shortened."""
