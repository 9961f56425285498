"""Samples drawn before: trials that would draw the same rows share them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

MAX_BYTES = 1_000_000_000


class SampleMemory:
    """Keeps the samples used last, up to a size.

    A key must say everything that a sample depends on and that can differ between trials.

    Parameters
    ----------
    max_bytes : int, default 1e9
        The oldest are dropped above it; a single one may be larger.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> memory = SampleMemory()
    >>> def draw():
    ...     print("drawn")
    ...     return SimpleNamespace(columns={"a": np.zeros(3)})
    >>> first, second = memory.recall("key", draw), memory.recall("key", draw)
    drawn
    >>> first is second
    True
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def recall(self, key: Hashable, draw: Callable[[], Any]) -> Any:
        """Give the sample of a key, drawing it if it is not there."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        sample = self._kept[key] = draw()
        while len(self._kept) > 1 and sum(map(_size, self._kept.values())) > self._max_bytes:
            self._kept.popitem(last=False)
        return sample


def _size(sample: Any) -> int:
    return sum(values.nbytes for values in sample.columns.values())
