"""The governance file: who answers for a city's forecasts, and what has been allowed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from tranquillite_ml.config.run import shipped_files
from tranquillite_ml.config.strict_yaml import ConfigSource, read_yaml
from tranquillite_ml.config.values import Day, Section, Text
from tranquillite_ml.config.words import KeyPath, dotted, explain_errors, shown
from tranquillite_ml.errors import ConfigError
from tranquillite_ml.governance import waivers as given
from tranquillite_ml.governance.waivers import Said, Waiver


def _blank_is_empty(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _to_period(value: object) -> object:
    """``2019-01-01/2019-06-30`` as its first and last day."""
    if isinstance(value, Period):
        return value
    first, slash, last = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not slash:
        msg = f"expected first and last day, such as 2019-01-01/2019-06-30, got {shown(value)}."
        raise ValueError(msg)
    return {"start": first.strip(), "end": last.strip()}


Answer = Annotated[Text | None, BeforeValidator(_blank_is_empty)]


class Period(Section):
    """A first and a last day, both included."""

    start: Day
    end: Day

    @model_validator(mode="after")
    def _in_order(self) -> Period:
        if self.end < self.start:
            msg = f"expected the first day before the last, got {self.start}/{self.end}."
            raise ValueError(msg)
        return self


class LegalStatus(Section):
    """What counsel says of the legal regime, when, and who signed it."""

    text: Answer = Field(default=None, description="the legal regime")
    date: Day | None = Field(default=None, description="the day it was written")
    signed_by: Answer = Field(default=None, description="counsel: name and office")


class ImpactAssessment(Section):
    """Where the impact assessment can be found."""

    reference: Answer = Field(default=None, description="where it can be found")
    date: Day | None = Field(default=None, description="its date")


class DirtyPeriod(Section):
    """Records that should not be learnt from without a second look: when, where, why, who says so."""

    period: Annotated[Period, BeforeValidator(_to_period)]
    area: Said
    reason: Said
    source: Said


class ReportingRate(Section):
    """Share of incidents that is reported, by area and category (None: all), and where it is from."""

    area: Said
    category: Said | None = None
    rate: Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False, description="share reported")]
    source: Said


class Governance(Section):
    """Who answers for a city's forecasts, and what has been allowed. Read one with `load_governance`.

    A field may be empty; `missing` says so in words, for the report to show it as what it is.

    Examples
    --------
    >>> governance = Governance(owner="City of Example")
    >>> governance.missing()[:2]
    ['the purpose (purpose)', 'what else was weighed (alternatives)']
    """

    purpose: Answer = None
    alternatives: Answer = None
    owner: Answer = None
    contact: Answer = None
    legal_status: LegalStatus = LegalStatus()
    data_protection_officer: Answer = None
    impact_assessment: ImpactAssessment = ImpactAssessment()
    dirty_data: tuple[DirtyPeriod, ...] | None = None
    waivers: tuple[Waiver, ...] = ()
    reporting_rates: tuple[ReportingRate, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {
            key: value for key, value in values.items() if value is not None or key not in cls.model_fields
        }

    def missing(self) -> list[str]:
        """What is empty, in plain words; an empty list if everything has been filled in."""
        return [f"{words} ({key})" for key, words, value in self._answers() if value is None]

    def _answers(self) -> Iterator[tuple[str, str, object]]:
        legal, impact = self.legal_status, self.impact_assessment
        yield "purpose", "the purpose", self.purpose
        yield "alternatives", "what else was weighed", self.alternatives
        yield "owner", "the body that decides on the use", self.owner
        yield "contact", "a contact for questions and objections", self.contact
        yield "legal_status.text", "what counsel says of the legal status", legal.text
        yield "legal_status.date", "the date of the legal status", legal.date
        yield "legal_status.signed_by", "who signed the legal status", legal.signed_by
        yield "data_protection_officer", "the data-protection officer", self.data_protection_officer
        yield "impact_assessment.reference", "the reference of the impact assessment", impact.reference
        yield "impact_assessment.date", "the date of the impact assessment", impact.date
        yield "dirty_data", "the register of doubtful records; [] says that there are none", self.dirty_data

    def active_waivers(self, on: date) -> list[Waiver]:
        """Waivers that hold on a day: given by then and not run out."""
        return given.active_waivers(self.waivers, on)

    def dated(self) -> Iterator[tuple[KeyPath, date | None]]:
        """Every date that cannot be later than the day the file is read, and the key it stands at."""
        yield ("legal_status", "date"), self.legal_status.date
        yield ("impact_assessment", "date"), self.impact_assessment.date
        for place, waiver in enumerate(self.waivers):
            yield ("waivers", place, "when"), waiver.when


def load_governance(path: str | Path, *, on: date | None = None) -> Governance:
    """Read a governance file; unknown keys are refused with the nearest known one.

    Parameters
    ----------
    path : str or Path
        A YAML file; `template` gives the text of an empty one.
    on : date, optional
        The day it is read, today in UTC if not given. Waivers, memos and assessments dated later are refused.

    Raises
    ------
    ConfigError
        Naming the file, the line, the key, what was expected, and the nearest known key.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "governance.yaml")
    ...     _ = path.write_text(template(), encoding="utf-8")
    ...     governance = load_governance(path)
    >>> len(governance.missing()), governance.waivers
    (11, ())
    """
    source = read_yaml(Path(path), str(path))
    try:
        found = Governance.model_validate(source.values)
    except ValidationError as error:
        raise explain_errors(error, Governance, source.name, source.where) from None
    _refuse_future(found, source, on or datetime.now(UTC).date())
    return found


def _refuse_future(found: Governance, source: ConfigSource, on: date) -> None:
    for path, day in found.dated():
        if day is not None and day > on:
            msg = (
                f"{source.where(path)}: {dotted(path)}: expected a day up to {on}, got {day}, in the future."
            )
            raise ConfigError(msg)


def template() -> str:
    """Text of an empty governance file, with a comment for each field.

    Examples
    --------
    >>> template().splitlines()[0]
    "# Who answers for this city's forecasts, and what has been allowed."
    """
    return shipped_files()["governance"].read_text(encoding="utf-8")
