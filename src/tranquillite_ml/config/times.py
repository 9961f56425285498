"""The sections of a configuration about time: the length of a bin, and times that are intervals."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tranquillite_ml.config.values import Days, Section
from tranquillite_ml.config.words import shown

_FREQ = re.compile(r"([1-9]\d{0,3})\s*(h|D)")


def _check_freq(value: object) -> str:
    match = _FREQ.fullmatch(value) if isinstance(value, str) else None
    hours = 0 if match is None else int(match[1]) * (1 if match[2] == "h" else 24)
    if not isinstance(value, str) or not hours or (24 % hours and hours % 24):
        msg = f"expected hours that divide a day (1h, 8h, …) or days (1D, 7D), got {shown(value)}."
        raise ValueError(msg)
    return value


class TimeConfig(Section):
    """The length of a time bin, in local time."""

    freq: Annotated[str, BeforeValidator(_check_freq)] = "1D"


class IntervalConfig(Section):
    """Times that are intervals: the moment by which an incident counts, and how long one may be."""

    target: Literal["midpoint", "start", "end"] = Field(
        default="midpoint", description="moment of an interval by which the incident is counted"
    )
    longest: Days = Field(default="7D", description="longer intervals are quarantined")
