"""What every bench says and gives: bars that are known beforehand, and figures that are measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHARED = Path(__file__).parents[3] / "shared"
DATA = SHARED / "data"


@dataclass(frozen=True)
class Bar:
    """What one row measures and what it must reach.

    Attributes
    ----------
    what : str
    unit : str
    most, least : float, optional
        The figure must not be above, or below; without either the row only informs.
    elsewhere : str
        A figure of another program measured elsewhere: an order of size, not a comparison.
    """

    what: str
    unit: str
    most: float | None = None
    least: float | None = None
    elsewhere: str = ""

    @property
    def must(self) -> str:
        """The bar in words."""
        bounds = [("≤", self.most), ("≥", self.least)]
        said = (f"{sign} {shown(value)} {self.unit}" for sign, value in bounds if value is not None)
        return " and ".join(part.strip() for part in said)

    def reached(self, value: float | None) -> bool | None:
        """Whether a figure clears the bar; None where there is no bar or no figure."""
        if value is None or (self.most is None and self.least is None):
            return None
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)


def figure(value: float | None, *, beside: str = "", note: str = "") -> dict[str, Any]:
    """A measured value, what was measured beside it in the same run, and what a reader should know."""
    known = value is not None and math.isfinite(value)
    return {"value": float(value) if known else None, "beside": beside, "note": note}


def shown(value: float) -> str:
    """A number with the digits it deserves: ``1,610``, ``43.5``, ``1.79``, ``0.997``, ``0.00031``."""
    size = abs(value)
    if 0.9 <= size < 1:  # a ratio near its bar
        return f"{value:.3f}".rstrip("0")
    digits = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 1 else None
    return f"{value:.2g}" if digits is None else f"{value:,.{digits}f}"


def wall_seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Shortest of some runs on the wall clock: the one that other programs disturbed least."""
    return min(_timed(call, time.perf_counter) for _ in range(repeats))


def cpu_seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Shortest of some runs in processor seconds, which other programs change less than the wall clock."""
    return min(_timed(call, time.process_time) for _ in range(repeats))


def _timed(call: Callable[[], object], clock: Callable[[], float]) -> float:
    begin = clock()
    call()
    return clock() - begin
