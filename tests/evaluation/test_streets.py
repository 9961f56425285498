"""Hotspots per kilometre of street, worked by hand."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

import tranquillite_ml as tq
from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.evaluation import hotspot_curve
from tranquillite_ml.forecasts import Forecasts

KM = [2.0, 1.0, 1.0, 0.0]


def forecasts() -> Forecasts:
    """Four cells of 1 km², one map: expected 4, 3, 1, 5 and recorded 2, 3, 0, 1."""
    keys = {
        "model": ["a"],
        "category": "noise",
        "horizon": 1,
        "distribution": "poisson",
        "outside_count": 0.0,
    }
    table = pd.DataFrame(keys | {"cutoff": pd.Timestamp("2024-01-01", tz="UTC")})
    values = {
        "expected_count": np.array([[4.0, 3.0, 1.0, 5.0]]),
        "observed_count": np.array([[2.0, 3.0, 0.0, 1.0]]),
    }
    return Forecasts(table, np.arange(1, 5, dtype=np.uint64), np.ones(4), values, {})


def test_shares_of_street_by_hand() -> None:
    # L = 4 km. Expected per km: 2, 3, 1, and nothing where there is no street.
    # 25 % is 1 km: the second cell, 3 of 6 hits. PAI = (3/6) / (1/4) = 2. No km held more: PEI = 1.
    # 50 % is 2 km: and half of the first, 3 + 1 hits. PAI = (4/6) / (2/4) = 4/3.
    # 100 %: all streets; the incident without street is missed. PAI = 5/6.
    found = hotspot_curve(forecasts(), coverage=[0.25, 0.5, 1.0], denominator=KM)
    assert found["hits"].tolist() == [3.0, 4.0, 5.0]
    assert found["n_incidents"].tolist() == [6, 6, 6]
    np.testing.assert_allclose(found["pai"], [2, 4 / 3, 5 / 6])
    np.testing.assert_allclose(found["area_share"], [0.25, 0.5, 1.0])
    np.testing.assert_allclose(found["pei"], [1, 1, 1])
    # RRI at 25 %: (3/6) over the share of 13 expected incidents there, 3/13.
    assert found["rri"].iloc[0] == pytest.approx((3 / 6) / (3 / 13))


def test_by_area_the_cell_without_street_comes_first() -> None:
    by_area = hotspot_curve(forecasts(), coverage=[0.25])
    assert by_area["hits"].tolist() == [1.0]  # the last cell, expected 5
    same = hotspot_curve(forecasts(), coverage=[0.25], denominator=np.full(4, 3.0))
    assert same["hits"].tolist() == [1.0]  # as much street everywhere: the order of the counts


@pytest.mark.parametrize(
    "wrong", [[1.0, 2.0], [1, 1, 1, -1], [1, 1, 1, np.nan], [0, 0, 0, 0], [[1, 1, 1, 1]]]
)
def test_a_denominator_that_cannot_be_used(wrong: list[float]) -> None:
    with pytest.raises(UsageError, match="a number ≥ 0 for each of 4 cells"):
        hotspot_curve(forecasts(), denominator=wrong)


def test_kilometres_of_street_in_cells() -> None:
    grid = tq.HexGrid(["8939681506bffff"]).dilated(3)
    lat, lng = np.asarray(grid.centres)[0]
    per_degree = 111_412.84 * np.cos(np.radians(lat)) - 93.5 * np.cos(3 * np.radians(lat))  # metres, WGS 84
    inside = 100 / per_degree  # 100 m to the east of the first cell's centre, which is 170 m from its edges
    rows = gpd.GeoDataFrame(
        {"type": ["street", "street", "tram"]},
        geometry=[
            shapely.LineString([(lng, lat), (lng + inside, lat)]),
            shapely.LineString([(lng, lat), (lng + 0.06, lat)]),  # beyond the grid
            shapely.LineString([(lng, lat), (lng - inside, lat)]),
        ],
        crs=4326,
    )
    layer = tq.read_context(rows, kind="lines", name="streets", tz="Europe/Paris", known="2020-01-01")
    every, streets, tram = (tq.street_km(grid, layer, types=types) for types in (None, ["street"], ["tram"]))
    assert tram[0] == pytest.approx(0.1, rel=1e-3)
    assert tram[1:].max() == 0
    np.testing.assert_allclose(every, streets + tram)
    edge = shapely.union_all(grid.polygons).exterior
    last = shapely.intersection(edge, shapely.LineString([(lng, lat), (lng + 0.06, lat)])).x
    assert streets.sum() == pytest.approx(0.1 + (last - lng) * per_degree / 1000, rel=1e-3)
    with pytest.raises(UsageError, match="no type 'road'"):
        tq.street_km(grid, layer, types=["road"])
    away = tq.HexGrid(["891fb466257ffff"])
    with pytest.raises(InputDataError, match="no line of 'streets' lies in the grid"):
        tq.street_km(away, layer)
