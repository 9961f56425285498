"""H3 cells: true areas, rings that are right at pentagons and borders, parents."""

import h3
import numpy as np
import pytest

from tranquillite_ml.errors import UsageError
from tranquillite_ml.hexgrid import HexGrid, latlng_to_cells

PENTAGON = sorted(h3.get_pentagons(5))[0]


@pytest.mark.parametrize("centre", ["89396818d33ffff", PENTAGON])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_ring_equals_grid_distance(centre: str, k: int) -> None:
    grid = HexGrid([centre]).dilated(3)
    names = grid.names()
    matrix = grid.ring(k).toarray()
    for row in range(grid.n_cells):
        disk = set(h3.grid_disk(names[row], k)) - set(h3.grid_disk(names[row], k - 1))
        assert set(names[matrix[row] > 0]) == disk & set(names)


def test_a_pentagon_has_five_neighbours() -> None:
    grid = HexGrid([PENTAGON]).dilated(1)
    row = int(np.flatnonzero(grid.names() == PENTAGON)[0])
    assert grid.ring(1)[row].sum() == 5


def test_rings_are_symmetric_and_disjoint() -> None:
    grid = HexGrid(["89396818d33ffff"]).dilated(4)
    rings = [grid.ring(k).toarray() for k in range(4)]
    assert all((ring == ring.T).all() for ring in rings)
    assert sum(rings).max() == 1


@pytest.mark.parametrize(("lat", "lng"), [(43.29, 5.37), (38.63, -90.25), (-33.87, 151.21), (1.29, 103.85)])
def test_rings_on_a_lattice_are_those_of_disks(lat: float, lng: float) -> None:
    centre = h3.latlng_to_cell(lat, lng, 9)
    cells = np.array(h3.grid_disk(centre, 9))
    grid = HexGrid(cells[np.random.default_rng(0).random(len(cells)) < 0.6].tolist())  # with holes
    assert grid._lattice is not None
    for k in range(6):
        assert pairs(grid._pairs_by_lattice(k)) == pairs(grid._pairs_by_disk(k))


def test_rings_on_a_lattice_hold_beside_a_pentagon() -> None:
    pentagon = h3.get_pentagons(0)[0]
    beside = min(set(h3.grid_disk(pentagon, 1)) - {pentagon})
    grid = HexGrid(h3.cell_to_children(beside, 3))
    for k in (1, 3, 12):
        assert pairs(grid._pairs_by_lattice(k)) == pairs(grid._pairs_by_disk(k))


def test_a_grid_over_several_base_cells_is_no_lattice() -> None:
    assert HexGrid(h3.get_res0_cells()[:9])._lattice is None
    assert HexGrid([PENTAGON])._lattice is None


def pairs(found: tuple[np.ndarray, np.ndarray]) -> set[tuple[int, int]]:
    rows, columns = found
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows)
    return set(zip(rows.tolist(), columns.tolist(), strict=True))


def test_areas_are_the_true_areas() -> None:
    grid = HexGrid(["89396818d33ffff", PENTAGON.replace(PENTAGON, "89396818d37ffff")])
    assert grid.area_km2.tolist() == [h3.cell_area(cell, unit="km^2") for cell in grid.names()]


def test_parents_number_their_children() -> None:
    grid = HexGrid(["89396818d33ffff"]).dilated(5)
    parents, number = grid.parents(7)
    expected = [int(h3.cell_to_parent(cell, 7), 16) for cell in grid.names()]
    assert parents[number].tolist() == expected


def test_points_outside_the_grid_are_minus_one() -> None:
    grid = HexGrid(["89396818d33ffff"])
    lat, lng = grid.centres[0]
    found = grid.locate(np.array([lat, 0.0, np.nan]), np.array([lng, 0.0, 1.0]))
    assert found.tolist() == [0, -1, -1]


def test_impossible_coordinates_have_no_cell() -> None:
    assert latlng_to_cells(np.array([95.0, 10.0]), np.array([5.0, 365.0]), 9).tolist() == [0, 0]


def test_a_resolution_that_could_hold_a_household_is_refused() -> None:
    with pytest.raises(UsageError, match="single household"):
        HexGrid([h3.latlng_to_cell(43.3, 5.4, 11)])


def test_mixed_resolutions_and_invalid_cells_are_refused() -> None:
    with pytest.raises(UsageError, match="share one resolution"):
        HexGrid(["89396818d33ffff", PENTAGON])
    with pytest.raises(UsageError, match="not valid H3"):
        HexGrid([12345])
