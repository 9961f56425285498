"""Hit rates across grids: the same area, the same incidents, pairs of weeks; and what is refused."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml.adapters import forecasts_from_squares, observe_incidents
from tranquillite_ml.city import simulate_city
from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.evaluation import backtest, compare, compare_hit_rates
from tranquillite_ml.forecasters import Count365
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.panel import Panel
from tranquillite_ml.placedsquares import PlacedSquares, around
from tranquillite_ml.splits import RollingOrigin
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

Pair = tuple[Forecasts, Forecasts]


def test_by_hand(make_forecasts: Callable) -> None:
    """Two cells of 0.5 km² against four of 0.25; at half of the area 3 + 1 and 2 + 2 of 4 + 6 incidents hit.

    Weeks alternate (3 of 4, 1 of 6; 2 of 4, 2 of 6), six of them: 12/30 and 12/30.
    """
    ours = make_forecasts({"ours": [2.0, 1.0]}, np.tile([[3.0, 1.0], [1.0, 5.0]], (3, 1)), area=0.5)
    small = [[2.0, 0.0, 1.0, 1.0], [2.0, 0.0, 2.0, 2.0]]
    theirs = make_forecasts({"theirs": [9.0, 8.0, 1.0, 1.0]}, np.tile(small, (3, 1)), area=0.25)
    row = compare_hit_rates(ours, theirs, coverage=[0.5]).iloc[0]
    assert (row["n_folds"], row["n_maps"], row["n_unpaired"], row["n_incidents"]) == (6, 6, 0, 30)
    assert row["hit_rate"] == pytest.approx(12 / 30)
    assert row["reference_hit_rate"] == pytest.approx(12 / 30)
    assert row[["area_share", "reference_area_share"]].tolist() == [0.5, 0.5]
    assert row["difference"] == pytest.approx(0)
    assert row["verdict"] == "cannot tell"


def test_on_equal_cells_it_is_the_difference_of_compare(city: Forecasts) -> None:
    truth, counts = city.select(model="truth"), city.select(model="count_365d")
    across = compare_hit_rates(truth, counts, coverage=[0.05, 0.1])
    within = compare(city.select(model=["truth", "count_365d"]), hotspot=[0.05, 0.1]).iloc[0]
    for row, name in zip(across.itertuples(), ("5", "10"), strict=True):
        wanted = within[[f"hit_rate_{name}pct_difference{end}" for end in ("", "_lower", "_upper")]]
        assert [row.difference, row.lower, row.upper] == pytest.approx(wanted.tolist())
    assert across["verdict"].tolist()[1] == "higher"
    flipped = compare_hit_rates(counts, truth, coverage=[0.1]).iloc[0]
    assert flipped["verdict"] == "lower"
    assert flipped["difference"] == pytest.approx(-across["difference"].iloc[1])
    assert flipped["p_value"] == pytest.approx(across["p_value"].iloc[1])


def test_models_of_one_name_and_zones_of_the_clock(city: Forecasts) -> None:
    own = city.select(model="truth")
    keys = own.keys.assign(
        **{name: own.keys[name].dt.tz_convert("UTC") for name in ("cutoff", "period_start", "period_end")}
    )
    again = Forecasts(keys, own.cells, own.area_km2, own.values, own.meta)
    found = compare_hit_rates(own, again, coverage=[0.1]).iloc[0]
    assert (found["model"], found["reference"], found["difference"]) == ("truth", "truth", 0)
    assert found["n_maps"] == 26


@pytest.fixture(scope="module")
def pair() -> Pair:
    """Counts on hexagons, and counts of the same past on squares of 400 m, delivered as ranks."""
    city = simulate_city(seed=3, days=300, radius_km=2)
    target, bins = Target("noise", period=7), TimeBins.covering(city.incidents)
    panel = Panel.build(city.incidents, city.grid, bins)
    ours = backtest([Count365(target)], panel, RollingOrigin(folds=6, every="14D"))
    table = city.incidents.table
    table = table[table["category"] == "noise"]
    crs, x, y = around(table["lat"], table["lng"])
    rows = []
    for cutoff in ours.keys["cutoff"]:
        past = (table["occurred_at"] < cutoff).to_numpy()
        box = pd.DataFrame({"x": x[past] // 400 * 400, "y": y[past] // 400 * 400})
        counted = box.value_counts().reset_index()
        counted["rank"] = counted["count"].rank(ascending=False, method="min")
        rows.append(counted.drop(columns="count").assign(cutoff=cutoff))
    theirs = forecasts_from_squares(
        pd.concat(rows), size_m=400, crs=crs, tz="Europe/Paris", model="squares", category="noise", days=7
    )
    return ours, observe_incidents(theirs, city.incidents)


def test_ranked_squares_beside_hexagons(pair: Pair) -> None:
    ours, theirs = pair
    found = compare_hit_rates(ours, theirs, coverage=[0.05, 0.2])
    assert (found["n_folds"] == 6).all()
    np.testing.assert_allclose(found["area_share"], found["coverage"])
    np.testing.assert_allclose(found["reference_area_share"], found["coverage"])
    # Both count the same past: neither is far ahead, and both are far ahead of chance.
    assert (found["difference"].abs() < 0.15).all()
    assert (found[["hit_rate", "reference_hit_rate"]].to_numpy() > 1.3 * found[["coverage"]].to_numpy()).all()
    assert (found["n_incidents"] == round(ours.observed_count.sum() + ours.keys["outside_count"].sum())).all()


def test_incidents_are_counted_in_their_own_squares(pair: Pair) -> None:
    _, theirs = pair
    city = simulate_city(seed=3, days=300, radius_km=2).incidents.table
    key = theirs.keys.iloc[2]
    mask = (city["occurred_at"] >= key["period_start"]) & (city["occurred_at"] < key["period_end"])
    week = city[mask & (city["category"] == "noise")]
    grid = PlacedSquares.from_cells(
        theirs.cells.tolist(), **{k: v for k, v in theirs.meta["grid"].items() if k != "kind"}
    )
    row = grid.locate(week["lat"].to_numpy(), week["lng"].to_numpy())
    wanted = np.bincount(row[row >= 0], minlength=grid.n_cells)
    np.testing.assert_array_equal(theirs.observed_count[2], wanted)
    assert key["outside_count"] == (row < 0).sum()


def test_unlike_periods_and_incidents_are_refused(pair: Pair) -> None:
    ours, theirs = pair
    later = theirs.keys.assign(period_end=theirs.keys["period_end"] + pd.DateOffset(days=1))
    fewer = theirs.keys.assign(outside_count=theirs.keys["outside_count"] + 1)
    unknown = theirs.keys.assign(outside_count=np.nan)
    for keys, what in ((later, "period_end"), (fewer, "recorded"), (unknown, "recorded")):
        other = Forecasts(keys, theirs.cells, theirs.area_km2, theirs.values, theirs.meta)
        with pytest.raises(InputDataError, match=f"must be about the same: .* {what} is"):
            compare_hit_rates(ours, other)
    with pytest.raises(UsageError, match="share no category"):
        compare_hit_rates(ours.take([0]), theirs.take([1]))
    with pytest.raises(UsageError, match="coverage must hold"):
        compare_hit_rates(ours, theirs, coverage=[5])
