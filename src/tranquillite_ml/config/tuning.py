"""The tuning section of a run's configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from tranquillite_ml.config.values import Days, Number, Section, Text
from tranquillite_ml.config.words import shown

Choice = str | bool | int | float


def _to_range(value: object) -> object:
    """``[low, high]`` or a list of choices, as a tuple."""
    found = tuple(value) if isinstance(value, list | tuple) else ()
    if not found or not all(isinstance(v, str | bool | int | float) for v in found):
        msg = f"expected [low, high] or a list of choices, got {shown(value)}."
        raise ValueError(msg)
    if len(found) == 2 and all(isinstance(v, int | float) and not isinstance(v, bool) for v in found):
        low, high = found
        if not low < high:
            msg = f"expected [low, high] with low < high, got {shown(list(found))}."
            raise ValueError(msg)
    return found


def _sorted(value: dict[str, tuple[Choice, ...]]) -> dict[str, tuple[Choice, ...]]:
    return dict(sorted(value.items()))


class TuningConfig(Section):
    """How `tranquillite tune` searches the model's parameters. A run itself does not read it."""

    trials: int = Field(default=30, strict=True, ge=1, le=10_000, description="trials in all")
    timeout: Number | None = Field(default=None, description="seconds after which no trial is begun")
    folds: int = Field(default=4, strict=True, ge=1, le=1000, description="cutoffs before the backtest's")
    every: Days | None = Field(default=None, description="distance of those cutoffs; the backtest's if null")
    score: Literal["log_score", "poisson_log_likelihood"] = Field(
        default="log_score", description="what is made as large as possible"
    )
    space: Annotated[
        dict[Text, Annotated[tuple[Choice, ...], BeforeValidator(_to_range)]], AfterValidator(_sorted)
    ] = Field(default={}, description="parameter: [low, high] or a list; the usual ranges if empty")
