"""Sensitivity to the grid: the same city on other cells, nothing lost, densities that compare."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tranquillite_ml import plots
from tranquillite_ml.city import SimulatedCity, simulate_city
from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation import backtest, hotspot_curve, resolution_sensitivity
from tranquillite_ml.evaluation.sensitivity import _moved
from tranquillite_ml.forecasters import Count365, CountAll, SmoothedCount
from tranquillite_ml.grid import to_metres
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.splits import RollingOrigin
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

TARGET = Target("noise", period=7)
SPLITS = RollingOrigin(folds=6, every="14D")
GRID = ["resolution", "shift_east", "shift_north"]


@pytest.fixture(scope="module")
def city() -> SimulatedCity:
    return simulate_city(seed=1, days=300, radius_km=2)


@pytest.fixture(scope="module")
def table(city: SimulatedCity) -> pd.DataFrame:
    return resolution_sensitivity(
        city.incidents, TARGET, resolutions=(8, 9), splits=SPLITS, coverage=(0.05, 0.2), n_boot=200
    )


def test_one_row_a_grid_and_coverage(table: pd.DataFrame) -> None:
    assert len(table) == 2 * 3 * 2
    assert table[[*GRID, "coverage"]].drop_duplicates().shape[0] == 12
    assert (table["n_folds"] == 6).all()
    assert table["model"].unique().tolist() == ["smoothed_count"]
    assert len(set(table["study_area_km2"])) == 1
    fine, coarse = table[table["resolution"] == 9], table[table["resolution"] == 8]
    assert fine["cell_km2"].mean() == pytest.approx(coarse["cell_km2"].mean() / 7, rel=0.01)


def test_every_grid_is_judged_on_the_same_incidents(table: pd.DataFrame) -> None:
    assert len(set(table["n_incidents"])) == 1
    for name in ("hit_rate", "pai", "pei_star", "log_likelihood", "oe", "gain"):
        assert (table[f"{name}_lower"] <= table[name] + 1e-9).all()
        assert (table[name] <= table[f"{name}_upper"] + 1e-9).all()
    assert table["oe"].between(0.7, 1.4).all()


def test_densities_compare_where_log_rates_would_not(table: pd.DataFrame) -> None:
    """A seventh of the cell costs log 7 = 1.9 nats an incident in rates, and next to nothing in densities."""
    fine, coarse = (table.loc[table["resolution"] == r, "log_likelihood"].mean() for r in (9, 8))
    assert abs(fine - coarse) < 0.7


def test_the_plain_grid_is_the_plain_backtest(city: SimulatedCity, table: pd.DataFrame) -> None:
    bins = TimeBins.covering(city.incidents)
    before = bins.wall_at(np.array(SPLITS.cutoffs(bins, TARGET)[:1]))[0]
    chosen = city.incidents.table["category"] == "noise"
    own = city.incidents.from_table(
        city.incidents.table[chosen].drop(columns="incident_id"), city.incidents.tz
    )
    grid = HexGrid.from_incidents(own, resolution=9, before=before)
    panel = Panel.build(own, grid, bins)
    found = backtest([SmoothedCount(TARGET)], panel, SPLITS)
    curve = hotspot_curve(found, coverage=[0.05, 0.2], n_boot=200)
    plain = table[(table["resolution"] == 9) & (table["shift_east"] == 0) & (table["shift_north"] == 0)]
    for name in ("hit_rate", "hit_rate_lower", "pai", "pei_star", "n_incidents"):
        np.testing.assert_allclose(plain[name], curve[name])
    y, mu, outside = found.observed_count, found.expected_count, found.keys["outside_count"].sum()
    density = np.maximum(mu / grid.area_km2, 1e-6)
    wanted = ((y * np.log(density)).sum() + outside * np.log(1e-6) - mu.sum()) / (y.sum() + outside)
    np.testing.assert_allclose(plain["log_likelihood"], wanted)
    np.testing.assert_allclose(plain["oe"], (y.sum() + outside) / mu.sum())


def test_moving_leaves_distances_and_moves_by_the_share_asked(city: SimulatedCity) -> None:
    moved, area = _moved(city.incidents, None, 8, 0.5, -0.25)
    assert area is None
    before, after = (part.table[["lat", "lng"]].to_numpy()[:200] for part in (city.incidents, moved))
    middle = (float(before[:, 0].mean()), float(before[:, 1].mean()))
    one, two = (to_metres(*part.T, around=middle) for part in (before, after))
    step = (one - two).mean(axis=0)
    spacing = np.sqrt(2 / np.sqrt(3) * city.grid.area_km2.mean() * 7) * 1000  # resolution 8, seven of 9
    assert step == pytest.approx([0.5 * spacing, -0.25 * spacing], rel=0.02)
    np.testing.assert_allclose(one - two, np.tile(step, (200, 1)), atol=0.5)
    assert _moved(city.incidents, None, 8, 0, 0)[0] is city.incidents


def test_a_study_area_moves_along(city: SimulatedCity) -> None:
    import geopandas as gpd

    area = gpd.GeoSeries(city.grid.polygons, crs="EPSG:4326").union_all()
    found = resolution_sensitivity(
        city.incidents,
        TARGET,
        CountAll,
        resolutions=[9],
        shifts=[(0, 0), (0.5, 0.5)],
        splits=RollingOrigin(folds=2, every="14D"),
        study_area=area,
        coverage=[0.1],
        n_boot=10,
    )
    assert found["study_area_km2"].iloc[0] == pytest.approx(city.grid.area_km2.sum(), rel=0.01)
    assert found["n_outside"].iloc[0] == 0
    assert (found["n_outside"] <= 0.01 * found["n_incidents"]).all()
    assert found["n_cells"].iloc[1] == pytest.approx(found["n_cells"].iloc[0], rel=0.2)
    assert found["verdict"].tolist() == ["cannot tell"] * 2


def test_progress_and_refusals(city: SimulatedCity) -> None:
    calls = []
    options = {"resolutions": [8], "shifts": [(0, 0)], "splits": RollingOrigin(folds=1), "n_boot": 10}
    resolution_sensitivity(city.incidents, TARGET, progress=lambda *call: calls.append(call), **options)
    assert calls == [("resolution 8, 0 east, 0 north", 1, 1)]
    with pytest.raises(UsageError, match="another forecaster"):
        resolution_sensitivity(city.incidents, TARGET, Count365, **options)
    for change in ({"shifts": []}, {"shifts": [(1.0, 0)]}, {"resolutions": []}):
        with pytest.raises(UsageError, match="at least one resolution"):
            resolution_sensitivity(city.incidents, TARGET, **(options | change))
    with pytest.raises(UsageError, match="single household"):
        resolution_sensitivity(city.incidents, TARGET, **(options | {"resolutions": [11]}))


@pytest.mark.parametrize("measure", ["hit_rate", "pai", "pei_star", "log_likelihood", "oe", "gain"])
def test_plot(table: pd.DataFrame, measure: str) -> None:
    ax = Figure(layout="constrained").subplots()
    assert plots.resolution_sensitivity(table, ax, measure=measure) is ax
    ax.figure.canvas.draw()
    assert "n = " in ax.get_xlabel()
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[:3] == ["resolution 8", "resolution 8, 0.5 east", "resolution 8, 0.5 north"]
    assert (ax.get_legend() is not None) == (measure in {"hit_rate", "pai", "pei_star"})


def test_plot_refuses_other_tables(table: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="takes the table of resolution_sensitivity"):
        plots.resolution_sensitivity(table.drop(columns="shift_east"))
    with pytest.raises(UsageError, match="measure must be one of"):
        plots.resolution_sensitivity(table, measure="accuracy")
