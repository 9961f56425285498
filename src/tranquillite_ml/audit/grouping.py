"""Which group each area is in: by its name, or by the quantile that a number of it falls into."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.audit.areas import Areas

NON_RESIDENTIAL = "non-residential"
"""Cells in which nobody lives, or that no area covers: a bucket of their own, always shown."""

NOT_STATED = "not stated"
"""Areas without the number by which the others are cut."""

MAX_GROUPS = 200
_MAX_NAME = 200


def grouped(
    areas: Areas,
    column: str,
    kept: NDArray[np.int64],
    residents: NDArray[np.float64] | None,
    quantiles: int | None,
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number of each kept area's group, and the groups' names."""
    values = areas.table[column].iloc[kept].reset_index(drop=True)
    if quantiles is not None:
        return _by_quantile(areas.source, values, residents, quantiles)
    numeric = pd.api.types.is_numeric_dtype(values)
    if numeric and (values.dropna() % 1 != 0).any():
        msg = (
            f"{areas.source}: {column!r} holds numbers such as {values.dropna().iloc[0]:g}: cut them, for "
            "example with quantiles=5."
        )
        raise InputDataError(msg)
    missing = np.flatnonzero(values.isna())
    if len(missing):
        msg = f"{areas.source}: area {kept[missing[0]] + 1} has no {column!r}, so that it is in no group."
        raise InputDataError(msg)
    named = values.map(lambda value: str(int(value)) if numeric else str(value).strip())
    for number, name in zip(kept, named, strict=True):
        _check_name(name, f"{areas.source}: {column!r} of area {number + 1}")
    order = sorted(set(named), key=lambda name: (float(name), "") if numeric else (0.0, name))
    if len(order) > MAX_GROUPS:
        msg = f"{areas.source}: {column!r} makes {len(order)} groups; at most {MAX_GROUPS} can be compared."
        raise InputDataError(msg)
    return named.map({name: number for number, name in enumerate(order)}).to_numpy(np.int64), tuple(order)


def _by_quantile(
    source: str, values: pd.Series[Any], residents: NDArray[np.float64] | None, quantiles: int
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if quantiles < 2:
        msg = f"quantiles must be at least 2, got {quantiles}."
        raise UsageError(msg)
    if not pd.api.types.is_numeric_dtype(values) or values.isna().all():
        msg = f"{source}: only numbers can be cut into quantiles, and {values.name!r} holds none."
        raise InputDataError(msg)
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    weight = np.ones(len(numbers)) if residents is None else residents
    stated = np.isfinite(numbers)
    distinct, place = np.unique(numbers[stated], return_inverse=True)
    mass = np.bincount(place, weight[stated])
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    found = np.minimum((middle * quantiles).astype(np.int64), quantiles - 1)
    if len(np.unique(found)) < quantiles:
        msg = (
            f"{source}: the {len(distinct)} values of {values.name!r} do not make {quantiles} groups: ask "
            "for fewer."
        )
        raise InputDataError(msg)
    codes = np.full(len(numbers), quantiles)
    codes[stated] = found[place]
    names = tuple(f"Q{number + 1}" for number in range(quantiles))
    return codes, names if stated.all() else (*names, NOT_STATED)


def _check_name(name: str, where: str) -> None:
    """Refuse names that are empty, long, cannot be seen, or are ours; others are text, whatever they say."""
    unseen = any(unicodedata.category(character)[0] in "C" for character in name)
    if not name or len(name) > _MAX_NAME or unseen or name in {NON_RESIDENTIAL, NOT_STATED}:
        msg = (
            f"{where} must be a name of 1 to {_MAX_NAME} characters that can be seen, and neither "
            f"{NON_RESIDENTIAL!r} nor {NOT_STATED!r}; got {name[:40]!a}."
        )
        raise InputDataError(msg)
