"""When a row of a context layer was known: a rule in words, or a column of moments. Pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from tranquillite_ml.errors import LookAheadError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["series", "calendar", "events", "points", "lines", "areas", "operations"]
KINDS: tuple[Kind, ...] = ("series", "calendar", "events", "points", "lines", "areas", "operations")

_RULE = re.compile(r"(?:(\d{1,5})\s*(D|h)\s+(before|after)\s+)?(start|end|issue)")
_DEFAULT = {"series": "end", "operations": "end", "calendar": "always"}
_UNIT = {"D": "D", "h": "h"}


@dataclass(frozen=True)
class KnownRule:
    """When rows of a layer were known, in words.

    Parameters
    ----------
    text : str
        ``always``; a date or moment (the layer's edition); or ``start``, ``end`` or ``issue``, with or
        without a distance: ``7D before start``, ``6h after end``, ``4h after issue``.
    tz : str
        IANA time zone of a date without zone.

    Raises
    ------
    UsageError
        If the rule is none of these.

    Examples
    --------
    >>> rule = KnownRule("7D before start", "Europe/Paris")
    >>> start = pd.DatetimeIndex(["2024-05-18 21:00"], tz="Europe/Paris")
    >>> rule.instants(start, start, None)[0]
    Timestamp('2024-05-11 21:00:00+0200', tz='Europe/Paris')
    """

    text: str
    tz: str

    def __post_init__(self) -> None:
        if self.text != "always" and _RULE.fullmatch(self.text) is None:
            self._edition()

    def _edition(self) -> pd.Timestamp:
        try:
            moment = pd.Timestamp(self.text)
        except ValueError:
            moment = pd.NaT
        if pd.isna(moment):
            msg = (
                "known must be 'always', a date such as '2018-01-01', or 'start', 'end' or 'issue' with or "
                f"without a distance, such as '7D before start' or '6h after end', got {self.text!r}."
            )
            raise UsageError(msg)
        return moment.tz_localize(self.tz) if moment.tz is None else moment.tz_convert(self.tz)

    def instants(
        self, start: pd.DatetimeIndex, end: pd.DatetimeIndex, issue: pd.DatetimeIndex | None
    ) -> pd.DatetimeIndex:
        """When each row was known; NaT where it always was.

        Parameters
        ----------
        start, end : DatetimeIndex
            Validity of each row, in the local time zone.
        issue : DatetimeIndex, optional
            When each forecast was issued.

        Raises
        ------
        UsageError
            If the rule counts from the issue, and the layer has none.
        """
        found = _RULE.fullmatch(self.text)
        if found is None:
            moment = pd.NaT if self.text == "always" else self._edition()
            return pd.DatetimeIndex([moment] * len(start), dtype=f"datetime64[us, {self.tz}]")
        number, unit, side, word = found.groups()
        base = {"start": start, "end": end, "issue": issue}[word]
        if base is None:
            msg = f"known={self.text!r} counts from the issue of a forecast: name its column as `issued_at`."
            raise UsageError(msg)
        if number is None:
            return base
        distance = pd.Timedelta(int(number), unit=_UNIT[unit])
        return base - distance if side == "before" else base + distance


def settle_rule(kind: Kind, known: str | None, tz: str, *, column: bool, issued: bool) -> KnownRule | None:
    """The rule that holds for a layer; None where its own column says when each row was known.

    Raises
    ------
    UsageError
        If neither a rule nor a column says it, and the kind has no rule of its own.
    LookAheadError
        If measurements are said to be known before they can be.
    """
    if issued and known is None:
        known = "issue"
    if known is None and not column:
        known = _DEFAULT.get(kind)
        if known is None:
            msg = (
                f"when was a layer of kind {kind!r} known? Name a column (columns={{'known_at': …}}), or say "
                "known='2018-01-01' (the date of its edition), known='7D before start' (announced), or "
                "known='always' (you declare that it never changed in the time studied)."
            )
            raise UsageError(msg)
    rule = None if known is None else KnownRule(known, tz)
    measured = kind in {"series", "operations"} and not issued
    if (
        rule is not None
        and measured
        and (rule.text == "always" or "before" in rule.text or "start" in rule.text)
    ):
        msg = (
            f"known={rule.text!r}: what is measured is not known before its time is over. If these are "
            "forecasts, name the column that says when each was issued (columns={'issued_at': …})."
        )
        raise LookAheadError(msg)
    return rule


def refuse_foreknowledge(known_at: pd.DatetimeIndex, end: pd.DatetimeIndex, label: str) -> None:
    """Stop if a measured value is said to be known before the time it is about was over.

    Raises
    ------
    LookAheadError
        With how many rows, and the first of them.
    """
    early: NDArray[np.bool_] = np.asarray(known_at.isna() | (known_at < end))
    if early.any():
        first = int(np.argmax(early))
        msg = (
            f"{label}: {int(early.sum())} of {len(early)} measured values are said to be known "
            f"({known_at[first]}) before the time they are about is over ({end[first]}). Forecasts must say "
            "when they were issued (columns={'issued_at': …}); else correct known_at."
        )
        raise LookAheadError(msg)
