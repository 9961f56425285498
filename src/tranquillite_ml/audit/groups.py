"""Groups of places: who lives where, by district or by fifths of income; never a model's input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.areas import Areas, read_areas, shares_of_areas
from tranquillite_ml.audit.grouping import NON_RESIDENTIAL, grouped
from tranquillite_ml.errors import InputDataError, UsageError, check_in

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from tranquillite_ml.grid import Grid

_NOBODY = 0.5


@dataclass(frozen=True, eq=False)
class Groups:
    """Residents of each cell by group of places.

    Attributes
    ----------
    names : tuple of str
        Groups in which somebody lives, in their order.
    cells : ndarray of uint64, shape (n_cells,)
    by_area : csr_matrix of float64, shape (n_cells, n_areas)
        Residents of each area in each cell, by the share of the area that lies in the cell; square
        kilometres if residents are not known.
    group_of_area : ndarray of int64, shape (n_areas,)
        Number of each area's group.
    counted : bool
        Whether `by_area` holds residents; otherwise square kilometres.
    households : ndarray of float64, shape (n_cells,), optional
    table : DataFrame
        One row a group: ``group, areas, residents, lowest, highest`` (of the column that groups).
    notes : mapping
        What was found: ``repaired`` areas, areas ``left_out`` because no cell lies in them, ``uncovered``
        share of the grid's area that no area covers, residents ``outside`` the grid.

    Examples
    --------
    >>> groups = Groups.of_cells({"north": [90, 10, 0], "south": [0, 30, 0]}, [1, 2, 3])
    >>> groups.buckets, groups.share.tolist()
    (('north', 'south', 'non-residential'), [[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.0, 0.0, 1.0]])
    """

    names: tuple[str, ...]
    cells: NDArray[np.uint64]
    by_area: csr_matrix
    group_of_area: NDArray[np.int64]
    counted: bool
    households: NDArray[np.float64] | None
    table: pd.DataFrame
    notes: dict[str, Any]

    @classmethod
    def of_cells(cls, residents: dict[str, Any], cells: Any) -> Groups:
        """Groups whose residents in each cell are known.

        Parameters
        ----------
        residents : dict of str to array_like, shape (n_cells,)
        cells : array_like of uint64, shape (n_cells,)

        Raises
        ------
        UsageError
            If there is not one number of at least 0 a cell.
        """
        from scipy.sparse import csr_matrix

        for name, one in residents.items():
            counts = np.asarray(one, np.float64)
            if counts.shape != np.shape(cells) or not (np.isfinite(counts) & (counts >= 0)).all():
                msg = f"{name!r} must hold one number of at least 0 for each of the {len(cells)} cells."
                raise UsageError(msg)
        matrix = csr_matrix(np.column_stack([np.asarray(one, np.float64) for one in residents.values()]))
        names = tuple(residents)
        table = pd.DataFrame(
            {"group": names, "areas": 1, "residents": np.asarray(matrix.sum(axis=0)).ravel()}
        )
        table = table.assign(lowest=None, highest=None)
        one_each = np.arange(len(names))
        return cls(names, np.asarray(cells, np.uint64), matrix, one_each, True, None, table, {})

    @property
    def buckets(self) -> tuple[str, ...]:
        """Names of the groups, and of the bucket for the other cells."""
        return (*self.names, NON_RESIDENTIAL)

    @cached_property
    def residents(self) -> NDArray[np.float64]:
        """Residents of each cell by group, shape (n_cells, n_groups)."""
        member = np.eye(len(self.names))[self.group_of_area]
        return np.asarray(self.by_area @ member)

    @cached_property
    def share(self) -> NDArray[np.float64]:
        """Share of each cell that is in each bucket, shape (n_cells, n_groups + 1); rows sum to 1."""
        total = self.residents.sum(axis=1, keepdims=True)
        parts = np.divide(self.residents, total, out=np.zeros_like(self.residents), where=total > 0)
        return np.hstack([parts, total == 0])

    @cached_property
    def area_share(self) -> csr_matrix:
        """Share of each cell that is in each area, shape (n_cells, n_areas); no row where nobody lives."""
        from scipy.sparse import diags

        total = np.asarray(self.by_area.sum(axis=1)).ravel()
        return (
            diags(np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)) @ self.by_area
        ).tocsr()

    def on(self, cells: NDArray[np.uint64]) -> Groups:
        """The same groups on other cells, each of which must be known.

        Raises
        ------
        UsageError
            If a cell is not known.
        """
        if np.array_equal(cells, self.cells):
            return self
        place = pd.Index(self.cells).get_indexer(pd.Index(cells))
        if (place < 0).any():
            first = format(int(cells[place < 0][0]), "x")
            msg = (
                f"{int((place < 0).sum())} of the {len(cells)} cells of the forecasts are not among those of "
                f"the groups (first: {first}); read the groups on the grid of the forecasts."
            )
            raise UsageError(msg)
        households = None if self.households is None else self.households[place]
        return replace(self, cells=cells, by_area=self.by_area[place], households=households)


def read_groups(
    path: str | Path,
    column: str,
    grid: Grid,
    *,
    residents: str | None = None,
    households: str | None = None,
    quantiles: int | None = None,
) -> Groups:
    """Read groups of places from a file of areas, and lay them over the cells of a grid.

    Parameters
    ----------
    path : str or Path
        GeoJSON or GeoParquet with one polygon an area (`areas.read_areas`).
    column : str
        What groups: a name such as a district's, or a number such as the median income of an area.
    grid : Grid
    residents : str, optional
        Column with the residents of each area. They are taken to be spread evenly over it. Without it, shares
        are by area and no exposure per resident can be stated.
    households : str, optional
        Column with the households of each area.
    quantiles : int, optional
        Cut a number into so many groups of about as many residents each, areas of equal value together:
        ``Q1`` is the lowest. Areas without a value are a group "not stated".

    Raises
    ------
    InputDataError
        If a column is missing or a value in it cannot be right, no cell lies in an area, areas overlap, or
        the file cannot be read.
    UsageError
        If `quantiles` is below 2.

    Notes
    -----
    Areal weighting: an area's residents go to cells in proportion to the part of the area in each. Cells with
    fewer than half a resident count as non-residential. Areas without any cell are left out and named in
    `Groups.notes`; invalid outlines are repaired and counted there; gaps between areas are stated as the
    share of the grid that no area covers.
    """
    areas = read_areas(path)
    if column not in areas.table:
        check_in(
            column, [str(name) for name in areas.table.columns], f"the column that groups {areas.source}"
        )
    cell, area, share, km2 = shares_of_areas(grid.polygons, areas.shapes)
    if len(cell) == 0:
        msg = (
            f"no area of {areas.source} lies on the grid. It spans {_span(areas.shapes)}; the cells lie "
            f"around {grid.centres.mean(axis=0).round(3).tolist()} (latitude, longitude). Were they swapped?"
        )
        raise InputDataError(msg)
    living = None if residents is None else _amounts(areas, residents)
    by_area = _spread(cell, area, km2 if living is None else share * living[area], grid, len(areas.shapes))
    if living is not None:
        by_area = _without_nobody(by_area)
    there = np.asarray(by_area.sum(axis=0)).ravel()
    kept = np.flatnonzero(np.isin(np.arange(len(areas.shapes)), area) & (there > 0))
    if len(kept) == 0:
        msg = f"nobody lives on the grid according to {residents!r} of {areas.source}: all are zero there."
        raise InputDataError(msg)
    codes, names = grouped(areas, column, kept, there[kept] if living is not None else None, quantiles)
    homes = None
    if households is not None:
        homes = np.bincount(cell, share * _amounts(areas, households)[area], grid.n_cells).astype(np.float64)
    values = areas.table[column].iloc[kept].reset_index(drop=True)
    table = _table(names, codes, values, there[kept] if living is not None else None)
    notes = {
        "source": areas.source,
        "column": column,
        "repaired": areas.repaired,
        "left_out": len(areas.shapes) - len(kept),
        "uncovered": max(1 - float(km2.sum() / grid.area_km2.sum()), 0.0),
        "outside": None if living is None else float(living.sum() - there.sum()),
    }
    return Groups(names, grid.cells, by_area[:, kept].tocsr(), codes, living is not None, homes, table, notes)


def _amounts(areas: Areas, column: str) -> NDArray[np.float64]:
    """Residents or households of each area; missing, negative and other than numbers are refused."""
    if column not in areas.table:
        check_in(column, [str(name) for name in areas.table.columns], f"a column of {areas.source}")
    given = areas.table[column]
    numbers = pd.to_numeric(given, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= 0)))
    if len(wrong):
        msg = (
            f"{areas.source}: {column!r} must be a number of at least 0 in every area; {len(wrong)} are not, "
            f"first in area {wrong[0] + 1}: {str(given.iloc[wrong[0]])[:40]!r}. Zero says that nobody lives "
            "there."
        )
        raise InputDataError(msg)
    return numbers


def _spread(
    cell: NDArray[np.int64], area: NDArray[np.int64], amount: NDArray[np.float64], grid: Grid, n_areas: int
) -> csr_matrix:
    from scipy.sparse import csr_matrix

    matrix = csr_matrix((amount, (cell, area)), shape=(grid.n_cells, n_areas))
    matrix.eliminate_zeros()
    return matrix


def _without_nobody(by_area: csr_matrix) -> csr_matrix:
    from scipy.sparse import diags

    somebody = np.asarray(by_area.sum(axis=1)).ravel() >= _NOBODY
    kept = (diags(somebody.astype(np.float64)) @ by_area).tocsr()
    kept.eliminate_zeros()
    return kept


def _table(
    names: tuple[str, ...],
    codes: NDArray[np.int64],
    values: pd.Series[Any],
    residents: NDArray[np.float64] | None,
) -> pd.DataFrame:
    numeric = pd.api.types.is_numeric_dtype(values)
    rows = []
    for number, name in enumerate(names):
        mine = codes == number
        held = values[mine].dropna()
        rows.append(
            {
                "group": name,
                "areas": int(mine.sum()),
                "residents": float(residents[mine].sum()) if residents is not None else np.nan,
                "lowest": held.min() if numeric and len(held) else None,
                "highest": held.max() if numeric and len(held) else None,
            }
        )
    return pd.DataFrame(rows)


def _span(shapes: NDArray[np.object_]) -> str:
    import shapely

    west, south, east, north = shapely.total_bounds(shapes)
    return f"{south:.3f} to {north:.3f} of latitude and {west:.3f} to {east:.3f} of longitude"
