"""What values of a configuration may be: names, days, dates, paths, numbers; and the base of its sections."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tranquillite_ml.config.words import shown
from tranquillite_ml.errors import nearest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DAYS = re.compile(r"([1-9]\d{0,4})D")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        msg = (
            "expected 1 to 64 letters, digits, dots, hyphens or underscores, beginning with a letter or "
            f"digit (it becomes part of a folder's name), got {shown(value)}."
        )
        raise ValueError(msg)
    return value


def _check_days(value: object) -> str:
    if not isinstance(value, str) or not _DAYS.fullmatch(value):
        msg = f"expected a number of days such as 28D, got {shown(value)}."
        raise ValueError(msg)
    return value


def _check_tz(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = nearest(value, available_timezones())
        msg = f"expected a time zone such as Europe/Paris, got {shown(value)}.{hint}"
        raise ValueError(msg) from error
    return value


def _check_path(value: str) -> str:
    if "://" in value:
        msg = "expected a file or folder of this machine, not an address."
        raise ValueError(msg)
    return value


def _to_date(value: object) -> object:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    try:
        found = date.fromisoformat(value) if isinstance(value, str) and _DATE.fullmatch(value) else None
    except ValueError:
        found = None
    if found is None or not 1900 <= found.year < 2200:
        msg = f"expected a date such as 2018-01-05, got {shown(value)}."
        raise ValueError(msg)
    return found


def sorted_keys(value: dict[str, Any]) -> dict[str, Any]:
    """The same mapping in the order of its keys: their order means nothing."""
    return dict(sorted(value.items()))


Text = Annotated[str, Field(strict=True, min_length=1, max_length=1000)]
FilePath = Annotated[Text, AfterValidator(_check_path)]
Days = Annotated[str, BeforeValidator(_check_days)]
Day = Annotated[date, BeforeValidator(_to_date)]
DayOrNone = Annotated[date | None, BeforeValidator(_to_date)]
RunName = Annotated[Text, AfterValidator(_check_name)]
Number = Annotated[float, Field(strict=True, gt=0, le=1e6, allow_inf_nan=False)]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**32 - 1, description="seed of the run's random draws")]
Resolution = Annotated[
    int, Field(strict=True, ge=0, le=10, description="H3 resolution; finer than 10 could name a household")
]
TimeZone = Annotated[Text, AfterValidator(_check_tz)]


class Section(BaseModel):
    """Base of all sections: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
