"""Which grids there are: made again from what `Grid.to_dict` said and from their cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.placedsquares import PlacedSquares
from tranquillite_ml.squaregrid import SquareGrid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tranquillite_ml.grid import Grid


def open_grid(described: Mapping[str, Any] | None, cells: NDArray[np.uint64]) -> Grid:
    """Make a grid from its cells and from what its `to_dict` said; without that, the cells are H3 cells.

    Raises
    ------
    InputDataError
        If the kind of grid is unknown, or its description lacks a part.

    Examples
    --------
    >>> squares = SquareGrid.from_tensor_shape((2, 2), size_km=1.0)
    >>> open_grid(squares.to_dict(), squares.cells[:3])
    SquareGrid(2 × 2, n_cells=3, area=3.0 km²)
    """
    values = dict(described or {})
    kind = values.pop("kind", "h3")
    if kind == "h3":
        return HexGrid(cells.tolist(), study_area_km2=values.get("study_area_km2"))
    try:
        if kind == "squares":
            return SquareGrid(**values, cells=cells.tolist())
        if kind == "placed_squares":
            return PlacedSquares.from_cells(cells.tolist(), **values)
    except TypeError as error:
        msg = f"the description of a grid of squares is not complete: {error}."
        raise InputDataError(msg) from None
    msg = f"a grid must be of kind 'h3', 'squares' or 'placed_squares', got {kind!r}."
    raise InputDataError(msg)
