"""What is stored of rows that were refused: where they stand in the file, not where something happened."""

from __future__ import annotations

import math
import re

import pandas as pd

_PLACES = {"lat", "lng", "lat, lng"}
_NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf")


def hide_places(quarantine: pd.DataFrame) -> pd.DataFrame:
    """Quarantined rows with coordinates blurred to about ten kilometres, and texts in their place left out.

    File and row say where to look, so nothing that is needed to mend a file is lost.

    Parameters
    ----------
    quarantine : DataFrame
        ``file, row, column, reason, value``, as `Incidents.quarantine` gives it.

    Examples
    --------
    >>> rows = pd.DataFrame({"column": ["lat, lng", "lat"], "value": ["(48.85661, 2.35222)", "'12 rue X'"]})
    >>> hide_places(rows)["value"].tolist()
    ['(48.9, 2.4)', '(not shown)']
    """
    about = quarantine["column"].isin(_PLACES)
    values = quarantine["value"].where(~about, quarantine["value"].map(_blurred))
    return quarantine.assign(value=values)


def _blurred(value: object) -> str:
    text = str(value)
    numbers = _NUMBER.findall(text)
    if re.sub(_NUMBER, "", text).strip("() ,"):
        return "(not shown)"
    rounded = ", ".join(_rounded(float(number)) for number in numbers)
    return f"({rounded})" if text.startswith("(") else rounded


def _rounded(value: float) -> str:
    """Degrees to a tenth; metres of a map projection to three digits."""
    if not math.isfinite(value):
        return str(value)
    return f"{value:.1f}" if abs(value) <= 180 else f"{value:.3g}"
