"""What a check measured, and the status that follows from it and the thresholds alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tranquillite_ml.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from tranquillite_ml.governance.thresholds import Status, Thresholds

WORST_FIRST: tuple[Status, ...] = ("FAIL", "WARN", "NOT_ASSESSABLE", "PASS")
"""Missing evidence is worse than a pass and never green."""

Words = Mapping[str, str]
"""One text in each language: ``en`` and ``fr``."""


@dataclass(frozen=True)
class Measurement:
    """One number of a check, with its interval and what it rests on.

    A measurement is judged if the thresholds have a limit of its name; others inform.

    Parameters
    ----------
    name : str
    value : float
        NaN: it could not be measured.
    unit : str
        ``ratio``, ``share``, ``count``, ``incidents`` and the like.
    lower, upper : float
        95 % interval; NaN where there is none.
    n : int, optional
        What it rests on: incidents, rows or replicates, as `unit_of_n` says.
    unit_of_n : str
    category, group, subject : str, optional
        What it is about; None: all. The subject is a part of the system: a feature, a perturbation, a
        baseline, a kind of error.
    adjusted : tuple of float, optional
        Interval adjusted for the number of groups and categories looked at, by which FAIL is judged.
    requires : str, optional
        Another measurement of the same category, group and subject that must also cross its limit for this
        to fail.
    cap : {"WARN"}, optional
        The worst that this measurement may be judged, where the thresholds allow no more for now.
    min_detectable : float, optional
        Smallest difference that could have been seen, in the unit of `value`.
    suppressed : bool
        Whether the number rests on too little to be published.
    """

    name: str
    value: float
    unit: str
    lower: float = math.nan
    upper: float = math.nan
    n: int | None = None
    unit_of_n: str = "incidents"
    category: str | None = None
    group: str | None = None
    adjusted: tuple[float, float] | None = None
    requires: str | None = None
    cap: str | None = None
    min_detectable: float | None = None
    suppressed: bool = False
    subject: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the report's JSON holds them: NaN is null."""
        found = asdict(self)
        ends = [_plain(found.pop("lower")), _plain(found.pop("upper"))]
        found["ci95"] = None if None in ends else ends
        found["value"] = _plain(self.value)
        found["adjusted"] = None if self.adjusted is None else [_plain(end) for end in self.adjusted]
        found["min_detectable"] = None if self.min_detectable is None else _plain(self.min_detectable)
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measurement:
        """Read what `to_dict` wrote.

        Examples
        --------
        >>> one = Measurement("lift", 2.5, "ratio", 2.1, 3.0, n=80)
        >>> Measurement.from_dict(one.to_dict()) == one
        True
        """
        found = dict(values)
        lower, upper = found.pop("ci95") or (math.nan, math.nan)
        value = math.nan if found["value"] is None else found["value"]
        pair = found.get("adjusted")
        adjusted = None if pair is None else tuple(math.nan if end is None else end for end in pair)
        return cls(**(found | {"value": value, "lower": lower, "upper": upper, "adjusted": adjusted}))


@dataclass(frozen=True)
class Check:
    """One question about a forecasting system, answered by measurements.

    Parameters
    ----------
    id : str
        ``C01`` to ``C28``.
    title : str
    status : {"PASS", "WARN", "FAIL", "NOT_ASSESSABLE"}
        Follows from measurements and thresholds alone: see `derive_status`.
    needs : tuple of str
        The evidence it needs.
    missing : tuple of str
        The part of it that was not there.
    measurements : tuple of Measurement
    method : str
        How it was computed, in a sentence or two, with the seed, replicates and surrogate if there are any.
    reason : mapping
        Why it has this status, in both languages.
    tables : mapping of str to DataFrame
        What a reader may want to look up; nothing in it is judged.
    """

    id: str
    title: str
    status: Status
    needs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    method: str = ""
    reason: Words = field(default_factory=lambda: {"en": "", "fr": ""})
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values without the tables."""
        return {
            "id": self.id,
            "title": self.title,
            "status": self.status,
            "needs": list(self.needs),
            "missing": list(self.missing),
            "measurements": [one.to_dict() for one in self.measurements],
            "method": self.method,
            "reason": dict(self.reason),
        }

    def to_frame(self) -> pd.DataFrame:
        """Measurements as a table, one a row."""
        import pandas as pd

        return pd.DataFrame([asdict(one) for one in self.measurements]).assign(check=self.id)


def judge(check: str, one: Measurement, thresholds: Thresholds) -> Status | None:
    """Status of one measurement on its own; None if the thresholds have no limit for it."""
    limits = thresholds.checks[check].limits
    if one.name not in limits:
        return None
    limit = limits[one.name]
    found = limit.status(one.value, one.lower, one.upper)
    if found == "FAIL" and one.adjusted is not None:
        found = "FAIL" if limit.status(one.value, *one.adjusted) == "FAIL" else "WARN"
    return "WARN" if found == "FAIL" and one.cap == "WARN" else found


def derive_status(check: str, measurements: Sequence[Measurement], thresholds: Thresholds) -> Status:
    """Status of a check: the worst of its judged measurements; NOT_ASSESSABLE if there is none.

    Raises
    ------
    UsageError
        If the thresholds do not know the check.

    Examples
    --------
    >>> from tranquillite_ml.governance import load_thresholds
    >>> limits = load_thresholds()
    >>> derive_status("C07", [Measurement("lift", 1.6, "ratio", 1.2, 2.1, n=80)], limits)
    'WARN'
    >>> derive_status("C07", [], limits)
    'NOT_ASSESSABLE'
    """
    if check not in thresholds.checks:
        msg = f"{check!r} is no check: expected C01 to C28."
        raise UsageError(msg)
    found: list[Status] = []
    for one in measurements:
        status = judge(check, one, thresholds)
        if status == "FAIL" and one.requires is not None:
            others = [
                judge(check, other, thresholds)
                for other in measurements
                if (other.name, other.category, other.group, other.subject)
                == (one.requires, one.category, one.group, one.subject)
            ]
            status = "FAIL" if any(other in {"FAIL", "WARN"} for other in others) else "PASS"
        if status is not None:
            found.append(status)
    return next((status for status in WORST_FIRST if status in found), "NOT_ASSESSABLE")


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
