"""Thresholds: when each check warns and when it fails, as one file with one digest."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from tranquillite_ml.config.run import shipped_files
from tranquillite_ml.config.strict_yaml import read_yaml
from tranquillite_ml.config.values import Day, Section, Text
from tranquillite_ml.config.words import KeyProblem, explain_errors
from tranquillite_ml.errors import UsageError, check_in

CHECKS = tuple(f"C{number:02d}" for number in range(1, 29))
"""Ids of the checks; each must have its thresholds."""

Status = Literal["PASS", "WARN", "FAIL", "NOT_ASSESSABLE"]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Setting = Finite | tuple[Finite, ...]


class Bound(Section):
    """Where a limit is crossed, and by what: the estimate, its whole 95 % interval, or one end of it.

    Examples
    --------
    >>> band = Bound(below=0.8, above=1.25)
    >>> band.crossed(1.3), band.crossed(1.0)
    (True, False)
    >>> Bound(above=1.25, judge="interval").crossed(1.4, lower=1.1, upper=1.7)
    False
    >>> Bound(at_most=0, judge="edge").crossed(0.2, lower=-0.1, upper=0.5)
    True
    """

    above: Finite | None = None
    below: Finite | None = None
    at_least: Finite | None = None
    at_most: Finite | None = None
    judge: Literal["estimate", "interval", "edge"] = "estimate"

    @model_validator(mode="after")
    def _one_of_each_side(self) -> Bound:
        tops = [end for end in (self.above, self.at_least) if end is not None]
        bottoms = [end for end in (self.below, self.at_most) if end is not None]
        if len(tops) > 1 or len(bottoms) > 1 or not tops + bottoms:
            msg = "expected one of above and at_least, one of below and at_most, or one of each."
            raise ValueError(msg)
        if tops and bottoms and tops[0] < bottoms[0]:
            msg = f"expected a band, its lower end first, got {bottoms[0]:g} and {tops[0]:g}."
            raise ValueError(msg)
        return self

    def crossed(self, value: float, lower: float = math.nan, upper: float = math.nan) -> bool:
        """Whether an estimate with its 95 % interval crosses the limit; NaN crosses nothing."""
        if self.judge == "estimate":
            return self._over(value) or self._under(value)
        if self.judge == "interval":
            return self._over(lower) or self._under(upper)
        return self._over(upper) or self._under(lower)

    def _over(self, value: float) -> bool:
        over = self.above is not None and value > self.above
        return over or (self.at_least is not None and value >= self.at_least)

    def _under(self, value: float) -> bool:
        under = self.below is not None and value < self.below
        return under or (self.at_most is not None and value <= self.at_most)

    def needs_interval(self) -> bool:
        """Whether an interval is needed to say."""
        return self.judge != "estimate"


class Limit(Section):
    """When one measurement warns and when it fails; a part that is not there never does.

    Examples
    --------
    >>> limit = Limit(warn=Bound(above=1.1), fail=Bound(above=1.25))
    >>> [limit.status(value) for value in (1.0, 1.2, 1.3, float("nan"))]
    ['PASS', 'WARN', 'FAIL', 'NOT_ASSESSABLE']
    """

    warn: Bound | None = None
    fail: Bound | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Limit:
        if self.warn is None and self.fail is None:
            msg = "expected `warn`, `fail` or both."
            raise ValueError(msg)
        if self.warn is not None and self.fail is not None and self.warn.judge == self.fail.judge:
            ends = [getattr(self.fail, name) for name in ("below", "at_most", "above", "at_least")]
            inside = [end for end in ends if end is not None and not self._warns_beyond(end)]
            if inside:
                msg = f"fails at {inside[0]:g}, before it warns."
                raise KeyProblem(("fail",), msg)
        return self

    def _warns_beyond(self, end: float) -> bool:
        """Whether a value at an end of `fail` is one that warns, or the very end of what does not."""
        bound = self.warn
        if bound is None:
            return True
        return bound.crossed(end, end, end) or end in {
            bound.below,
            bound.above,
            bound.at_most,
            bound.at_least,
        }

    def status(self, value: float, lower: float = math.nan, upper: float = math.nan) -> Status:
        """PASS, WARN or FAIL; NOT_ASSESSABLE if the value, or an interval that is needed, is NaN."""
        bounds = [bound for bound in (self.fail, self.warn) if bound is not None]
        ends = any(bound.needs_interval() for bound in bounds)
        if math.isnan(value) or (ends and (math.isnan(lower) or math.isnan(upper))):
            return "NOT_ASSESSABLE"
        if self.fail is not None and self.fail.crossed(value, lower, upper):
            return "FAIL"
        return "WARN" if self.warn is not None and self.warn.crossed(value, lower, upper) else "PASS"


class CheckThresholds(Section):
    """Limits of one check's measurements, and the numbers it is computed with."""

    title: Text
    limits: Annotated[dict[Text, Limit], Field(min_length=1)]
    settings: dict[Text, Setting] = Field(default={})


class Intervals(Section):
    """The block bootstrap behind every interval, and what is too little for one."""

    block_weeks: int = Field(strict=True, ge=1)
    replicates: int = Field(strict=True, ge=100)
    min_blocks: int = Field(strict=True, ge=2)
    min_incidents: int = Field(strict=True, ge=1)


class Thresholds(Section):
    """When each check warns and fails. Read them with `load_thresholds`.

    Examples
    --------
    >>> thresholds = load_thresholds()
    >>> thresholds.limit("C14", "jaccard").status(0.6)
    'WARN'
    >>> thresholds.setting("C19", "min_incidents")
    5.0
    >>> thresholds.ratified
    False
    """

    ratified_by: Text | None = None
    ratified_on: Day | None = None
    intervals: Intervals
    checks: dict[Text, CheckThresholds]

    @model_validator(mode="after")
    def _every_check(self) -> Thresholds:
        absent = [name for name in CHECKS if name not in self.checks]
        unknown = [name for name in self.checks if name not in CHECKS]
        if absent or unknown:
            what = f"{absent} missing" if absent else f"{unknown} unknown"
            msg = f"expected thresholds for C01 to C28, each once: {what}."
            raise KeyProblem(("checks",), msg)
        if (self.ratified_by is None) != (self.ratified_on is None):
            raise KeyProblem(("ratified_on",), "expected both ratified_by and ratified_on, or neither.")
        return self

    @property
    def ratified(self) -> bool:
        """Whether an oversight board has made these values its own."""
        return self.ratified_by is not None

    def limit(self, check: str, measurement: str) -> Limit:
        """Limit of one measurement of a check.

        Raises
        ------
        UsageError
            If there is no such check or measurement.
        """
        limits = self._check(check).limits
        return limits[check_in(measurement, limits, f"a measurement of {check}")]

    def setting(self, check: str, name: str) -> float:
        """One number that a check is computed with.

        Raises
        ------
        UsageError
            If there is no such check or setting, or it is a list: see `settings`.
        """
        value = self.settings(check, name)
        if len(value) != 1:
            msg = f"{check} has {len(value)} values of {name}: {list(value)}. Ask for its `settings`."
            raise UsageError(msg)
        return value[0]

    def settings(self, check: str, name: str) -> tuple[float, ...]:
        """All numbers of one setting of a check, in their order; see `setting`."""
        known = self._check(check).settings
        value = known[check_in(name, known, f"a setting of {check}")]
        return value if isinstance(value, tuple) else (value,)

    def _check(self, check: str) -> CheckThresholds:
        return self.checks[check_in(check, self.checks, "a check")]

    def to_dict(self) -> dict[str, Any]:
        """Every value as plain values, without what is empty."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def digest(self) -> str:
        """SHA-256 of the values, whatever their order and the comments around them."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def load_thresholds(path: str | Path | None = None) -> Thresholds:
    """Read thresholds from a file, or those that ship with the package.

    Parameters
    ----------
    path : str or Path, optional
        A YAML file with all checks. The shipped copy is meant to be copied and changed.

    Raises
    ------
    ConfigError
        Naming the file, the line, the key and what was expected.

    Examples
    --------
    >>> len(load_thresholds().checks), len(load_thresholds().digest)
    (28, 64)
    """
    found = shipped_files()["thresholds"] if path is None else Path(path)
    source = read_yaml(found, str(found if path is not None else found.name))
    try:
        return Thresholds.model_validate(source.values)
    except ValidationError as error:
        raise explain_errors(error, Thresholds, source.name, source.where) from None
