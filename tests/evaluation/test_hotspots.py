"""Hotspots against hand-worked maps, all ways to break a tie, and what must always hold."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation import hotspot_curve, select_hotspot
from tranquillite_ml.forecasts import Forecasts

SMALL_COUNTS = st.integers(0, 4).map(float)
INDICES = ["hit_rate", "pai", "rri", "pei", "pei_star"]


def test_one_map_by_hand(make_forecasts: Callable) -> None:
    """Ten cells of 0.1 km², 1 km² in all; 20 % are the first two cells."""
    expected = [[5, 3, 2, 1, 1, 1, 1, 1, 1, 4e-9]]
    seen = make_forecasts({"a": expected}, [[2, 1, 4, 0, 0, 0, 0, 0, 0, 0]], outside=1.0)
    row = hotspot_curve(seen, coverage=[0.2]).iloc[0]
    assert (row["n_incidents"], row["n_outside"], row["hits"]) == (8, 1, 3)
    assert row["area_share"] == pytest.approx(0.2)
    assert row["hit_rate"] == pytest.approx(3 / 8)
    assert row["pai"] == pytest.approx((3 / 8) / 0.2)
    assert row["one_incident_pai"] == pytest.approx((1 / 8) / 0.2)
    assert row["rri"] == pytest.approx((3 / 8) / (8 / 16))  # 8 of 16 expected incidents in the hotspot
    assert row["pei"] == pytest.approx(3 / 6)  # the best two cells held 4 + 2
    assert row["pei_star"] == pytest.approx(3 / 6)
    assert np.isnan(row["hit_rate_lower"])


def test_pei_uses_area_and_pei_star_the_number_of_cells(make_forecasts: Callable) -> None:
    """Areas 0.2, 0.1, 0.1 of 0.4 km²: half the area is the first cell, or the two others."""
    seen = make_forecasts({"a": [[9, 1, 1]]}, [[2, 2, 1]], area=[0.2, 0.1, 0.1])
    row = hotspot_curve(seen, coverage=[0.5]).iloc[0]
    assert row["hits"] == 2
    assert row["pei"] == pytest.approx(2 / 3)  # densest first: 2 + 1 in the same 0.2 km²
    assert row["pei_star"] == pytest.approx(1.0)  # no single cell held more than 2


def test_boundary_cell_in_part_or_left_out() -> None:
    expected, area = [3.0, 2.0, 1.0], [0.1, 0.1, 0.1]
    assert select_hotspot(expected, area, 0.15).tolist() == pytest.approx([1, 0.5, 0])
    assert select_hotspot(expected, area, 0.15, boundary="whole").tolist() == [1, 0, 0]
    assert select_hotspot(expected, area, 0.3, boundary="whole").tolist() == [1, 1, 1]


def test_area_is_met_exactly_by_fractions() -> None:
    rng = np.random.default_rng(0)
    expected, area = rng.poisson(1.0, (5, 40)).astype(float), rng.uniform(0.05, 0.2, 40)
    weights = select_hotspot(expected, area, 1.3)
    assert (weights @ area).tolist() == pytest.approx([1.3] * 5)
    assert ((select_hotspot(expected, area, 1.3, boundary="whole") > 0).sum(axis=1) > 0).all()


@pytest.mark.parametrize("boundary", ["fraction", "whole"])
@pytest.mark.parametrize("coverage_km2", [0.1, 0.25, 0.3, 0.47])
def test_ties_are_the_mean_over_all_ways_to_break_them(boundary: str, coverage_km2: float) -> None:
    expected, observed = np.array([2.0, 1, 1, 1, 0]), np.array([1.0, 4, 0, 2, 5])
    hits = []
    for order in permutations(range(5)):
        broken = np.array(sorted(order, key=lambda cell: -expected[cell]))  # stable: `order` breaks the ties
        left = coverage_km2
        taken = 0.0
        for cell in broken:
            share = min(1.0, left / 0.1 + 1e-12)
            share = share if boundary == "fraction" else float(int(share))
            taken += share * observed[cell]
            left -= 0.1
            if share < 1 or left <= 0:
                break
        hits.append(taken)
    weights = select_hotspot(expected, np.full(5, 0.1), coverage_km2, boundary=boundary)
    assert weights @ observed == pytest.approx(np.mean(hits))


@given(
    arrays(float, 8, elements=SMALL_COUNTS),
    arrays(float, 8, elements=SMALL_COUNTS),
    st.permutations(range(8)),
)
def test_order_of_cells_changes_nothing(
    expected: np.ndarray, area_step: np.ndarray, order: list[int]
) -> None:
    area = 0.1 + area_step / 100
    plain = select_hotspot(expected, area, 0.35)
    shuffled = select_hotspot(expected[order], area[order], 0.35)
    np.testing.assert_allclose(shuffled, plain[order], atol=1e-12)


@settings(deadline=None)
@given(st.data())
def test_what_must_always_hold(make_forecasts: Callable, data: st.DataObject) -> None:
    n_maps, n_cells = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 9))
    shape = (n_maps, n_cells)
    expected = data.draw(arrays(float, shape, elements=st.one_of(SMALL_COUNTS, st.floats(0, 3))))
    observed = data.draw(arrays(float, shape, elements=SMALL_COUNTS))
    area = data.draw(arrays(float, n_cells, elements=st.sampled_from([0.05, 0.1, 0.11])))
    outside = float(data.draw(st.integers(0, 2)))
    boundary = data.draw(st.sampled_from(["fraction", "whole"]))
    seen = make_forecasts({"a": expected}, observed, area=area, outside=outside)
    curve = hotspot_curve(seen, coverage=[0.1, 0.3, 0.5, 0.8, 1.0], boundary=boundary)
    for name in ("hit_rate", "pei", "pei_star"):
        known = curve[name].dropna()
        assert known.between(0, 1 + 1e-12).all()
    if not observed.sum() + outside * n_maps:
        assert curve[INDICES].isna().all(axis=None)
        return
    assert (np.diff(curve["hit_rate"]) >= -1e-9).all()
    last = curve.iloc[-1]
    inside = observed.sum() / (observed.sum() + outside * n_maps)
    assert last["hit_rate"] == pytest.approx(inside)
    assert last["pai"] == pytest.approx(inside)


def test_full_coverage_is_one(make_forecasts: Callable) -> None:
    seen = make_forecasts({"a": [[1, 2, 0.0]]}, [[1, 0, 3]], area=[0.1, 0.11, 0.12])
    row = hotspot_curve(seen, coverage=[1.0]).iloc[0]
    assert row[INDICES].tolist() == pytest.approx([1, 1, 1, 1, 1])


def test_share_is_of_the_study_area(make_forecasts: Callable) -> None:
    """Two cells of 0.1 km² in a study area of 1 km²: 10 % of it is one cell."""
    seen = make_forecasts({"a": [[2, 1]]}, [[1, 1]], study_area_km2=1.0)
    row = hotspot_curve(seen, coverage=[0.1]).iloc[0]
    assert row["hits"] == pytest.approx(1)
    assert row["pai"] == pytest.approx(0.5 / 0.1)


def test_maps_are_pooled_by_sums(make_forecasts: Callable) -> None:
    seen = make_forecasts({"a": [[2, 1], [2, 1]]}, [[1, 0], [0, 3]])
    row = hotspot_curve(seen, coverage=[0.5]).iloc[0]
    assert row["hit_rate"] == pytest.approx(1 / 4)  # not the mean of 1 and 0
    assert row["pei_star"] == pytest.approx(1 / 4)


def test_curve_is_that_of_a_plain_loop(city: Forecasts) -> None:
    curve = hotspot_curve(city, coverage=[0.05], by=("model", "category"), n_boot=20)
    target = 0.05 * city.area_km2.sum()
    for row in curve.itertuples():
        maps = np.flatnonzero((city.keys["model"] == row.model) & (city.keys["category"] == row.category))
        hits = best = 0.0
        for number in maps:
            hits += _loop(city.expected_count[number], city.observed_count[number], city.area_km2, target)
            density = city.observed_count[number] / city.area_km2
            best += _loop(density, city.observed_count[number], city.area_km2, target)
        total = city.observed_count[maps].sum() + city.keys["outside_count"][maps].sum()
        assert row.n_incidents == total
        assert row.hits == pytest.approx(hits)
        assert row.hit_rate == pytest.approx(hits / total)
        assert row.pai == pytest.approx(hits / total / 0.05)
        assert row.pei == pytest.approx(hits / best)


def _loop(rank: np.ndarray, observed: np.ndarray, area: np.ndarray, target: float) -> float:
    hits, left = 0.0, target
    for value in sorted(set(rank), reverse=True):
        tied = rank == value
        share = min(1.0, left / area[tied].sum())
        hits += share * observed[tied].sum()
        left -= share * area[tied].sum()
        if left <= 0:
            break
    return hits


def test_better_forecasts_hit_more_and_intervals_hold_the_estimate(city: Forecasts) -> None:
    curve = hotspot_curve(city)
    at_five = curve[curve["coverage"] == 0.05].set_index("model")["hit_rate"]
    assert at_five["truth"] > at_five["count_365d"] > at_five["constant"]
    for name in INDICES:
        assert (curve[f"{name}_lower"] <= curve[name] + 1e-12).all()
        assert (curve[name] <= curve[f"{name}_upper"] + 1e-12).all()


def test_constant_forecast_is_worth_one(city: Forecasts) -> None:
    """All cells tied: the hotspot is a random part of the area, PAI is about the share that fell inside."""
    curve = hotspot_curve(city.select(model="constant"), coverage=[0.1])
    seen, outside = city.observed_count.sum(), city.keys["outside_count"].sum()
    assert curve["pai"][0] == pytest.approx(seen / (seen + outside))


def test_folds_categories_and_order(city: Forecasts) -> None:
    curve = hotspot_curve(city, by="cutoff", coverage=[0.1, 0.05])
    assert list(curve.columns[:3]) == ["model", "cutoff", "coverage"]
    assert curve["coverage"].tolist()[:2] == [0.05, 0.1]
    assert len(curve) == 3 * 13 * 2
    shuffled = city.take(np.random.default_rng(0).permutation(len(city.keys)))
    pd.testing.assert_frame_equal(hotspot_curve(city), hotspot_curve(shuffled))


def test_nothing_recorded_gives_nan_with_n_zero(make_forecasts: Callable) -> None:
    row = hotspot_curve(make_forecasts({"a": 1.0}, np.zeros((6, 4))), coverage=[0.5]).iloc[0]
    assert row["n_incidents"] == 0
    assert row[[*INDICES, "hit_rate_lower", "one_incident_pai"]].isna().all()
    row = hotspot_curve(make_forecasts({"a": 1.0}, [[np.nan, np.nan]]), coverage=[0.5]).iloc[0]
    assert (row["n_maps"], row["n_unobserved"], row["n_incidents"]) == (0, 1, 0)
    assert np.isnan(row["hit_rate"])


@pytest.mark.parametrize("coverage", [[], [0.0], [1.5], [5]])
def test_coverages_are_shares(city: Forecasts, coverage: list[float]) -> None:
    with pytest.raises(UsageError, match="shares of the area"):
        hotspot_curve(city, coverage=coverage)


def test_unknown_boundary_is_refused(city: Forecasts) -> None:
    with pytest.raises(UsageError, match="boundary must be one of"):
        hotspot_curve(city, boundary="round")
