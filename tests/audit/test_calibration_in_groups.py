"""C03: recorded over expected by group, by hand and where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.audit.scenes import found, groups_of, lenient, make_forecasts
from tranquillite_ml.audit.calibration_in_groups import DEFINITIONS
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.groups import NON_RESIDENTIAL
from tranquillite_ml.governance import load_thresholds

[C03] = DEFINITIONS


def test_ratios_by_hand():
    """Expected 1, 2, 3, 4 a week, recorded 2, 2, 3, 8; cell 2 is half north, half south; cell 4 nobody's.

    North: (2 + 1) / (1 + 1) = 1.5; south: (1 + 3) / (1 + 3) = 1; the rest: 8 / 4 = 2; city 15 / 10.
    """
    seen = make_forecasts({"ours": np.tile([1.0, 2, 3, 4], (8, 1))}, np.tile([2, 2, 3, 8], (8, 1)))
    groups = groups_of(seen, north=[10, 5, 0, 0], south=[0, 5, 10, 0])
    check = C03.run(seen, Evidence(groups=groups), lenient())
    assert found(check, "observed_to_expected", "north").value == pytest.approx(1.5)
    assert found(check, "observed_to_expected", "south").value == pytest.approx(1)
    assert found(check, "observed_to_expected_elsewhere", NON_RESIDENTIAL).value == pytest.approx(2)
    assert found(check, "overall_observed_to_expected").value == pytest.approx(1.5)
    assert found(check, "observed_to_expected", "north").n == 24
    deciles = check.tables["deciles"]
    assert deciles[["observed", "expected"]].sum().tolist() == pytest.approx([120, 80])
    place = check.tables["when_and_where"]
    for by in ("month", "neighbourhood"):
        part = place[place["by"] == by]
        assert part[["observed", "expected"]].sum().tolist() == pytest.approx([120, 80])
    assert set(place["by"]) == {"month", "neighbourhood"}  # all weeks begin at the same hour
    assert place[place["by"] == "month"]["value"].tolist() == ["1", "2"]


def truth(factor=1.0, weeks=60, n=150):
    """A right forecast, but that half the cells record `factor` times as much as expected."""
    rng = np.random.default_rng(11)
    rate = rng.gamma(0.8, 0.8, n) + 0.02
    north = np.arange(n) % 2 == 0
    counts = rng.poisson(np.where(north, factor * rate, rate), (weeks, n))
    seen = make_forecasts({"ours": np.tile(rate, (weeks, 1))}, counts)
    return seen, groups_of(seen, north=np.where(north, 9, 0), south=np.where(north, 0, 9))


def test_a_right_forecast_passes_and_its_pit_is_flat():
    seen, groups = truth()
    check = C03.run(seen, Evidence(groups=groups), load_thresholds())
    assert check.status == "PASS"
    assert all(one.min_detectable > 0 for one in check.measurements if one.name == "observed_to_expected")
    pit = check.tables["pit"].dropna()
    assert pit.groupby("group")["share"].sum().tolist() == pytest.approx([1, 1])
    # Four standard errors of a share of a tenth in 75 · 60 counts: 4 · √(0.09 / 4500) = 0.018.
    assert pit["share"].to_numpy() == pytest.approx(np.full(20, 0.1), abs=0.018)
    assert (pit["n"] == 75 * 60).all()


def test_a_group_that_is_expected_too_low_fails_and_shows_in_its_pit():
    seen, groups = truth(1.6)
    check = C03.run(seen, Evidence(groups=groups), load_thresholds())
    assert check.status == "FAIL"
    north = found(check, "observed_to_expected", "north")
    assert north.adjusted[0] > 1.25
    assert found(check, "observed_to_expected", "south").value == pytest.approx(1, abs=0.1)
    pit = check.tables["pit"].set_index(["group", "bin"])["share"]
    assert pit["north", 10] > 1.5 * pit["south", 10]


def test_cells_where_nobody_lives_are_shown_and_do_not_decide():
    seen, _ = truth(1.6)
    north = np.arange(150) % 2 == 0
    check = C03.run(seen, Evidence(groups=groups_of(seen, south=np.where(north, 0, 9))), load_thresholds())
    assert check.status == "PASS"
    assert found(check, "observed_to_expected_elsewhere", NON_RESIDENTIAL).value > 1.5


def test_a_small_group_is_not_assessable_and_says_how_small():
    seen, _ = truth()
    seen.observed_count[:, 0] = 0
    seen.observed_count[:3, 0] = 1
    groups = groups_of(seen, few=np.eye(150)[0], many=1 - np.eye(150)[0])
    check = C03.run(seen, Evidence(groups=groups), load_thresholds())
    one = found(check, "observed_to_expected", "few")
    assert math.isnan(one.value)
    assert one.n == 3
    assert check.status == "NOT_ASSESSABLE"


def test_ranks_expect_nothing():
    seen = make_forecasts({"ours": np.ones((8, 4))}, np.ones((8, 4)), distribution="rank")
    check = C03.run(seen, Evidence(groups=groups_of(seen, all=np.ones(4))), load_thresholds())
    assert check.status == "NOT_ASSESSABLE"
    assert "only rank" in check.reason["en"]
    assert check.measurements == ()
