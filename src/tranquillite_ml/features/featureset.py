"""FeatureSet: blocks in order, streamed column by column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, check_in, check_kind, nearest
from tranquillite_ml.features.area import Area
from tranquillite_ml.features.base import FeatureBlock, View
from tranquillite_ml.features.calendar import Calendar
from tranquillite_ml.features.daylight import Daylight
from tranquillite_ml.features.events import Events
from tranquillite_ml.features.history import History
from tranquillite_ml.features.near_repeat import NearRepeat
from tranquillite_ml.features.neighbourhood import Neighbourhood
from tranquillite_ml.features.places import Places
from tranquillite_ml.features.self_exciting import SelfExciting
from tranquillite_ml.features.weather import Weather
from tranquillite_ml.governance.features import denied_feature
from tranquillite_ml.intake.context import Context

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins

BLOCKS: dict[str, type[FeatureBlock]] = {
    "history": History,
    "neighbourhood": Neighbourhood,
    "near_repeat": NearRepeat,
    "calendar": Calendar,
    "self_exciting": SelfExciting,
    "weather": Weather,
    "events": Events,
    "places": Places,
    "area": Area,
    "daylight": Daylight,
}
"""Blocks a configuration can name."""


class FeatureSet:
    """Blocks of features, whose columns are made one at a time and dropped once they are used.

    Parameters
    ----------
    blocks : sequence of FeatureBlock, optional
        History, neighbourhood, near repeat and calendar when not given.

    Raises
    ------
    UsageError
        If they are not blocks; if two columns would share a name, when they are made.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> features = FeatureSet([Calendar(country="FR")])
    >>> features.table(Target("noise"), TimeBins("2024-01-01", 9, "1D", "Europe/Paris"))[["name", "unit"]]
             name                unit
    0  season_sin             −1 to 1
    1  season_cos             −1 to 1
    2     weekday            Monday 0
    3    holidays  days in the period
    """

    def __init__(self, blocks: Sequence[FeatureBlock] | None = None) -> None:
        default: list[FeatureBlock] = [History(), Neighbourhood(), NearRepeat(), Calendar()]
        mend = "FeatureSet([History(), Calendar()]) is one; FeatureSet.from_list(['history']) reads names."
        given = default if blocks is None else check_kind(blocks, (list, tuple), "blocks", mend)
        for number, block in enumerate(given):
            check_kind(block, FeatureBlock, f"blocks[{number}]", mend)
        self.blocks = list(given)

    def table(self, target: Target, bins: TimeBins) -> pd.DataFrame:
        """One row a column: ``name, family, unit, source, known``."""
        described = [vars(column) for block in self.blocks for column in block.describe(target, bins)]
        return pd.DataFrame(described, columns=["name", "family", "unit", "source", "known"])

    def names(self, target: Target, bins: TimeBins) -> list[str]:
        """Names of the columns, in order.

        Raises
        ------
        UsageError
            If two columns share a name, there is none, or a name is denied (`denied_feature`).
        """
        names = [column.name for block in self.blocks for column in block.describe(target, bins)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            msg = f"each feature needs its own name; {twice or 'no column at all'} came."
            raise UsageError(msg)
        for name in names:
            reason = denied_feature(name)
            if reason is not None:
                msg = f"the feature {name!r} is refused: {reason}. Leave it out; renaming it changes nothing."
                raise UsageError(msg)
        return names

    def columns(self, view: View) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield each column's name and values, broadcastable to shape (n_rows, n_cells)."""
        for block in self.blocks:
            for name, values in block.columns(view):
                yield name, np.asarray(values, dtype=np.float32)

    def gather(self, view: View, picks: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield each column at the picked positions only.

        Parameters
        ----------
        view : View
        picks : ndarray of int64, shape (n_picks,)
            Flat positions (row · n_cells + cell).
        """
        row, cell = np.divmod(picks, view.panel.n_cells)
        for name, values in self.columns(view):
            n_rows, n_cells = values.shape
            found = values[row if n_rows > 1 else 0, cell if n_cells > 1 else 0]
            yield name, np.broadcast_to(found, picks.shape)

    def to_list(self) -> list[dict[str, dict[str, Any]]]:
        """Plain values from which `from_list` makes the same blocks; layers of context become their stamps.

        Raises
        ------
        UsageError
            If a block is not one of ours: its code cannot be saved.
        """
        kinds = {kind: name for name, kind in BLOCKS.items()}
        for block in self.blocks:
            if type(block) not in kinds:
                msg = f"{type(block).__name__} is your own block: it can be backtested, but not saved."
                raise UsageError(msg)
        return [{kinds[type(block)]: _plain(block.params())} for block in self.blocks]

    @classmethod
    def from_list(
        cls, described: Sequence[str | Mapping[str, Any]], context: Mapping[str, Context] | None = None
    ) -> FeatureSet:
        """Make the blocks that a configuration or `to_list` names.

        Parameters
        ----------
        described : sequence of str or mapping
        context : mapping of str to Context, optional
            Layers by name, for the blocks that are made of them.

        Raises
        ------
        UsageError
            If a block or a parameter is unknown, or a layer is not given.
        BundleError
            If a layer is not the one a saved model was fitted with.

        Examples
        --------
        >>> FeatureSet.from_list(["history", {"calendar": {"country": "FR"}}]).blocks[1].country
        'FR'
        """
        blocks = []
        for entry in described:
            name, params = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
            kind = BLOCKS[check_in(name, BLOCKS, "features")]
            try:
                blocks.append(kind(**_with_layers(kind, params or {}, context or {})))
            except TypeError as error:
                msg = f"features: {name} does not take these parameters: {error}."
                raise UsageError(msg) from None
        return cls(blocks)

    def __repr__(self) -> str:
        return f"FeatureSet({self.blocks})"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, Context):
            return value.stamp()
        return [plain(item) for item in value] if isinstance(value, tuple) else value

    return {name: plain(value) for name, value in values.items()}


def _with_layers(
    kind: type[FeatureBlock], params: Mapping[str, Any], context: Mapping[str, Context]
) -> dict[str, Any]:
    """Parameters of a block, with the layers that names or stamps stand for."""

    def layer(told: Any) -> Any:
        if told is None or isinstance(told, Context):
            return told
        name = told["name"] if isinstance(told, Mapping) else str(told)
        if name not in context:
            hint = nearest(name, context)
            given = f"given are {sorted(context)}" if context else "none is given"
            msg = f"{kind.__name__} is made of the layer of context {name!r}; {given}.{hint}"
            raise UsageError(msg)
        return context[name].check_stamp(told) if isinstance(told, Mapping) else context[name]

    made = dict(params)
    for name in kind.context:
        if name in made:
            told = made[name]
            made[name] = (
                tuple(layer(item) for item in told) if isinstance(told, list | tuple) else layer(told)
            )
    return made
