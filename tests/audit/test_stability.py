"""The same places are selected again, or not: overlaps by hand, planted instability, every perturbation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.audit.builders import forecasts_of
from tests.builders import make_panel
from tranquillite_ml.audit.altered import records_of
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.overlap import Coverages, jaccard, rank_biased_overlap
from tranquillite_ml.audit.stability import DEFINITIONS, resampled
from tranquillite_ml.evaluation.canaries import panel_of as dense_panel
from tranquillite_ml.forecasters import Count365
from tranquillite_ml.governance import load_thresholds
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.intake import Incidents
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

LIMITS = load_thresholds()
C14 = DEFINITIONS[0]


def test_overlap_by_hand() -> None:
    # Cells of 1, 1 and 2 km²: both hold the first; either holds 1 + 1 + 2: 1 / 4.
    area = np.array([1.0, 1.0, 2.0])
    assert jaccard(np.array([1.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0]), area) == 0.25
    # Half a cell against a whole one: 0.5 / 1.
    assert jaccard(np.array([0.5, 0, 0]), np.array([1.0, 0, 0]), area) == 0.5
    assert np.isnan(jaccard(np.zeros(3), np.zeros(3), area))


def test_rank_biased_overlap_by_hand_and_by_the_long_way() -> None:
    # Orders a b c and b a c to depth 3: overlaps 0, 2, 3; p = 3/4.
    # 3/3 p³ + (1 − p)/p (0 + 2/2 p² + 3/3 p³) = .421875 + (1/3)(.5625 + .421875) = .75
    one, two = np.array([3.0, 2.0, 1.0]), np.array([2.0, 3.0, 1.0])
    assert rank_biased_overlap(one, two, 3) == pytest.approx(0.75)
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b, depth = rng.random(12), rng.random(12), int(rng.integers(1, 12))
        p = depth / (depth + 1)
        lists = [np.argsort(-v)[:depth] for v in (a, b)]
        x = [len({*lists[0][:d]} & {*lists[1][:d]}) for d in range(1, depth + 1)]
        long = x[-1] / depth * p**depth + (1 - p) / p * sum(n / d * p**d for d, n in enumerate(x, start=1))
        assert rank_biased_overlap(a, b, depth) == pytest.approx(long)


def test_a_cell_is_as_selected_as_its_parent() -> None:
    # Four cells of 1 km², two parents; 25 % of the area: cell 0, and half of parent 0, its cells alike.
    fine = np.array([4.0, 1.0, 2.0, 1.0]), np.ones(4)
    coarse = np.array([5.0, 3.0]), np.array([2.0, 2.0])
    trial = Coverages((0.25,), 4.0).compare("nested", fine, coarse, np.array([0, 0, 1, 1]))
    # Both: half of cell 0. Either: cell 0 and half of cell 1: .5 / 1.5.
    assert trial.overlaps == pytest.approx((1 / 3,))


def test_resampling_keeps_blocks_where_they_are() -> None:
    panel = make_panel(112, rings=1, rate=0.5)
    drawn = resampled(panel, 4, np.random.default_rng(1))
    before, after = (part.counts("noise").reshape(4, 28, 7).sum(axis=(1, 2)) for part in (panel, drawn))
    times = after / before
    assert (times == np.round(times)).all()
    assert times.sum() == 4
    assert (times != 1).any()


def measured(check: Any, subject: str) -> Any:
    return next(one for one in check.measurements if one.name == "jaccard" and one.subject == subject)


def unequal(n: int = 400, seed: int = 0, *, steep: float = 2.5) -> Panel:
    """Places whose rates differ widely, without change: their order can be learnt."""
    grid = HexGrid(["893968152bbffff"]).dilated(5)
    rng = np.random.default_rng(seed)
    law = 0.5 * np.exp(steep * rng.normal(size=grid.n_cells))
    return dense_panel(rng.poisson(np.minimum(law, 50), size=(n, grid.n_cells)), grid)


def test_places_that_differ_are_selected_again() -> None:
    panel = unequal()
    check = C14.run(forecasts_of(panel, folds=4), Evidence(panel=panel), LIMITS)
    assert check.status == "PASS"
    again = measured(check, "records resampled in blocks of weeks")
    assert (again.n, again.unit_of_n) == (20, "pairs of maps")
    assert again.lower <= again.value <= again.upper
    assert "smoothed_count" in check.method
    assert "were not tried" in check.method
    # Cells against whole parents are shown under a name that has no limit.
    assert {one.name for one in check.measurements} == {"jaccard", "nested_overlap", "rank_biased_overlap"}


def test_places_that_are_alike_are_not() -> None:
    """One rate everywhere and little of it: what is selected is chance."""
    grid = HexGrid(["893968152bbffff"]).dilated(5)
    counts = np.random.default_rng(0).poisson(0.02, size=(300, grid.n_cells))
    panel = dense_panel(counts, grid)
    check = C14.run(forecasts_of(panel), Evidence(panel=panel), LIMITS)
    assert check.status == "FAIL"
    assert measured(check, "records resampled in blocks of weeks").value < 0.5


def test_a_coverage_more_or_less_is_compared_across_maps_only() -> None:
    panel = unequal()
    check = C14.run(forecasts_of(panel), Evidence(panel=panel), LIMITS)
    subjects = {one.subject for one in check.measurements if "successive months" in str(one.subject)}
    ends = ("", ", coverage −25%", ", coverage +25%")
    assert subjects == {f"successive months{end}" for end in ends}


def test_finer_cells_need_incidents() -> None:
    panel = make_panel(200, rings=4, rate=0.4)
    rng = np.random.default_rng(0)
    arrays = records_of(panel)
    at = panel.grid.centres[arrays["cell"]] + rng.normal(scale=1e-4, size=(len(arrays["cell"]), 2))
    table = pd.DataFrame(
        {
            "occurred_at": panel.bins.wall_edges[arrays["bin"]] + pd.Timedelta("9h"),
            "lat": at[:, 0],
            "lng": at[:, 1],
            "category": np.array(panel.categories)[arrays["category"]],
        }
    )
    incidents = Incidents.from_table(table, "Europe/Paris", panel.origins)
    for given, there in ((None, False), (incidents, True)):
        check = C14.run(forecasts_of(panel), Evidence(panel=panel, incidents=given), LIMITS)
        assert ("cells one resolution finer" in {one.subject for one in check.measurements}) == there


def test_a_deep_audit_trains_the_model_with_other_seeds() -> None:
    panel = unequal(n=120)
    asked: list[dict[str, Any]] = []

    def refit(known: Panel, cutoff: int, **changes: Any) -> Any:
        asked.append(changes)
        return Count365(Target("noise", period=7), calibration_days=0).fit(known, cutoff)

    evidence = Evidence(panel=panel, refit=refit, deep=True)
    check = C14.run(forecasts_of(panel), evidence, LIMITS)
    assert measured(check, "other seeds").value == 1  # a count has no seed
    assert {change["random_state"] for change in asked if change} == set(range(1, 21))
    assert "were not tried" not in check.method
    # A stand-in is never taken for the model.
    replaced = C14.run(forecasts_of(panel), replace(evidence, surrogate="counts"), LIMITS)
    assert "were not tried" in replaced.method
