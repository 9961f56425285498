"""The space of parameters that is searched: ranges and choices, and the usual ones of each forecaster."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tranquillite_ml.errors import UsageError, nearest

Space = Mapping[str, Sequence[Any]]
"""Parameter: ``[low, high]``, or a list of choices."""

_USUAL: dict[str, Space] = {
    # The number of trees is found by early stopping. A choice of zeros, and not a range: rows drawn once for
    # a choice serve every trial that takes it.
    "LightGBMForecaster": {
        "learning_rate": [0.02, 0.2],
        "num_leaves": [7, 63],
        "min_child_weight": [5, 200],
        "feature_fraction": [0.2, 1.0],
        "zeros": [0.05, 0.1, 0.2],
    },
    "AdditiveForecaster": {
        "learning_rate": [0.02, 0.2],
        "num_leaves": [2, 16],
        "min_child_weight": [5, 200],
        "zeros": [0.05, 0.1, 0.2],
    },
    "PoissonForecaster": {"ridge": [0.1, 1000.0], "zeros": [0.05, 0.1, 0.2]},
    "NegativeBinomialForecaster": {"ridge": [0.1, 1000.0], "zeros": [0.05, 0.1, 0.2]},
    "TabularForecaster": {"zeros": [0.05, 0.1, 0.2]},
    "DecayedCount": {"half_life_days": [20, 1500]},
    "SmoothedCount": {"days": [30, 2000], "trust": [0.1, 10.0]},
}
_LOG_FROM = 10  # from this ratio of high to low on, a range is searched by factors


def usual_space(forecaster: Any) -> dict[str, Sequence[Any]]:
    """Ranges that are worth searching for a forecaster; empty where it has no parameter to tune.

    Examples
    --------
    >>> from tranquillite_ml.forecasters import Count365, DecayedCount
    >>> from tranquillite_ml.target import Target
    >>> usual_space(DecayedCount(Target("noise"))), usual_space(Count365(Target("noise")))
    ({'half_life_days': [20, 1500]}, {})
    """
    known = forecaster.get_params(deep=False)
    usual = _USUAL.get(type(forecaster).__name__, {})
    return {name: values for name, values in usual.items() if name in known}


def check_names(space: Iterable[str], forecaster: Any) -> None:
    """Refuse parameters that a forecaster does not have.

    Raises
    ------
    UsageError
        Naming the parameter, the nearest known one, and all of them.
    """
    known = sorted(set(forecaster.get_params(deep=False)) - {"target", "features"})
    for name in space:
        if name not in known:
            kind = type(forecaster).__name__
            msg = (
                f"space: {kind} has no parameter {name!r}.{nearest(str(name), known)} "
                f"It has: {', '.join(known)}."
            )
            raise UsageError(msg)


def distributions(space: Space) -> dict[str, Any]:
    r"""Optuna's distributions of a space: a range for two ascending numbers, else a choice.

    Two whole numbers give whole numbers. A range whose ends differ by a factor of 10 or more is searched by
    factors (logarithmically).

    Raises
    ------
    UsageError
        If the space is empty, or an entry is neither a range nor a list of choices.

    Examples
    --------
    >>> space = {"leaves": [7, 63], "rate": [0.01, 0.2], "zeros": [0.1, 0.2, 1]}
    >>> print(*distributions(space).values(), sep="\n")
    IntDistribution(high=63, log=False, low=7, step=1)
    FloatDistribution(high=0.2, log=True, low=0.01, step=None)
    CategoricalDistribution(choices=(0.1, 0.2, 1))
    """
    if not space:
        msg = "space: there is nothing to tune. State ranges, such as {learning_rate: [0.02, 0.2]}."
        raise UsageError(msg)
    return {str(name): _distribution(str(name), values) for name, values in sorted(space.items())}


def _distribution(name: str, values: Any) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    listed = isinstance(values, Sequence) and not isinstance(values, str)
    if not listed or not values or not all(isinstance(v, str | bool | int | float) for v in values):
        msg = f"space: {name} must be [low, high] or a list of choices, got {values!r}."
        raise UsageError(msg)
    if any(isinstance(v, float) and not math.isfinite(v) for v in values):
        msg = f"space: {name} must hold finite numbers, got {values!r}."
        raise UsageError(msg)
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if not numbers or len(values) != 2:
        return CategoricalDistribution(tuple(dict.fromkeys(values)))
    low, high = values
    if not low < high:
        msg = f"space: {name} must be [low, high] with low < high, got {values!r}."
        raise UsageError(msg)
    whole = isinstance(low, int) and isinstance(high, int)
    log = low > 0 and high / low >= _LOG_FROM
    return (
        IntDistribution(low, high, log=log) if whole else FloatDistribution(float(low), float(high), log=log)
    )


def inside(params: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parameters of a space taken from others, or None if one of them is missing or outside.

    Examples
    --------
    >>> space = distributions({"leaves": [7, 63]})
    >>> inside({"leaves": 31, "seed": 0}, space), inside({"leaves": 255}, space)
    ({'leaves': 31}, None)
    """
    taken = {}
    for name, distribution in found.items():
        value = params.get(name)
        choices = getattr(distribution, "choices", None)
        if not (value in choices if choices else _in_range(value, distribution.low, distribution.high)):
            return None
        taken[name] = value if choices else type(distribution.low)(value)
    return taken


def _in_range(value: Any, low: float, high: float) -> bool:
    """Whether a number lies in a range, and is whole where the range is."""
    return isinstance(value, int | float) and low <= value <= high and value == type(low)(value)
