"""C01 and C02: exposure by hand, what must always hold, and when nothing can be said."""

from __future__ import annotations

import math
from itertools import groupby
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.audit.scenes import cells_of, covering, found, groups_of, lenient, make_forecasts
from tranquillite_ml.audit.concentration import gini, longest_streaks
from tranquillite_ml.audit.evidence import Evidence
from tranquillite_ml.audit.exposure import DEFINITIONS, exposure_ratios
from tranquillite_ml.audit.groups import Groups
from tranquillite_ml.governance import load_thresholds

C01, C02 = DEFINITIONS
QUARTER = covering(lenient(), 0.25)


def four_cells():
    """Eight weeks, four cells, one flagged: the first in six weeks, the third in two."""
    rate = np.ones((8, 4))
    rate[:6, 0] = rate[6:, 2] = 9
    return make_forecasts({"ours": rate}, np.tile([3, 1, 2, 4], (8, 1)))


def test_exposure_by_hand():
    """Cells 1 and 2 hold 100 and 300 residents of the north, cell 3 100 of the south, cell 4 nobody.

    Flagged hours: 6 · 168 = 1008 in cell 1, 336 in cell 3.
    X_north = 1008 · 100 / 400 = 252; X_south = 336 · 100 / 100 = 336; X_city = 134400 / 500 = 268.8.
    Recorded: north 8 · (3 + 1) = 32, south 16, city 48 per 500 residents = 0.096 a resident:
    Y_north / Y_city = 0.08 / 0.096 = 5/6, Y_south / Y_city = 0.16 / 0.096 = 5/3; cell 4's 32 are nobody's.
    """
    seen = four_cells()
    groups = groups_of(seen, north=[100, 300, 0, 0], south=[0, 0, 100, 0])
    check = C01.run(seen, Evidence(groups=groups), QUARTER)
    assert found(check, "flagged_hours_per_resident", "north").value == pytest.approx(252)
    assert found(check, "flagged_hours_per_resident", "south").value == pytest.approx(336)
    assert found(check, "exposure_ratio", "north").value == pytest.approx(252 / 268.8)
    assert found(check, "exposure_ratio", "south").value == pytest.approx(336 / 268.8)
    assert found(check, "need_adjusted_ratio", "north").value == pytest.approx(252 / 268.8 / (5 / 6))
    assert found(check, "need_adjusted_ratio", "south").value == pytest.approx(336 / 268.8 / (5 / 3))
    assert found(check, "need_adjusted_ratio", "south").n == 16
    assert found(check, "missing_figures").value == 0
    shares = [found(check, "flagged_hours_share", name).value for name in groups.buckets]
    assert shares == pytest.approx([0.75, 0.25, 0])
    hours = check.tables["groups"].set_index("group")["flagged_cell_hours"]
    assert hours.tolist() == pytest.approx([1008, 336, 0])


def test_the_correlation_is_of_flagged_hours_per_resident_with_each_share():
    seen = four_cells()
    groups = groups_of(seen, north=[100, 300, 50, 0], south=[0, 100, 100, 0])
    check = C01.run(seen, Evidence(groups=groups), QUARTER)
    share = np.array([1.0, 0.75, 1 / 3])
    expected = stats.spearmanr([1008 / 100, 0, 336 / 150], share).statistic
    one = found(check, "rank_correlation", "north")
    assert one.value == pytest.approx(expected)
    assert (one.n, one.unit_of_n) == (3, "cells")


def city(seed=0, n=60, weeks=120):
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.6, 1.0, n) + 0.01
    seen = make_forecasts({"ours": np.tile(rate, (weeks, 1))}, rng.poisson(rate, (weeks, n)))
    return seen, rng.integers(1, 200, (n, 3)).astype(float)


def ratios(seen, residents, names=("a", "b", "c"), name="exposure_ratio"):
    check = C01.run(
        seen, Evidence(groups=groups_of(seen, **dict(zip(names, residents.T, strict=True)))), lenient()
    )
    return np.array([found(check, name, group).value for group in names])


@given(seed=st.integers(0, 500))
@settings(max_examples=15, deadline=None)
def test_ratios_weighted_by_residents_average_to_one(seed):
    seen, residents = city(seed, weeks=8)
    people = residents.sum(axis=0)
    assert ratios(seen, residents) @ people / people.sum() == pytest.approx(1)


@given(seed=st.integers(0, 500))
@settings(max_examples=10, deadline=None)
def test_relabelling_groups_relabels_their_figures(seed):
    seen, residents = city(seed, weeks=8)
    order = np.random.default_rng(seed).permutation(3)
    for name in ("exposure_ratio", "need_adjusted_ratio"):
        assert ratios(seen, residents[:, order], name=name) == pytest.approx(
            ratios(seen, residents, name=name)[order]
        )


@given(seed=st.integers(0, 500))
@settings(max_examples=10, deadline=None)
def test_splitting_a_group_leaves_the_others_and_its_mean(seed):
    seen, residents = city(seed, weeks=8)
    part = residents[:, 2] * np.random.default_rng(seed).random(len(residents))
    split = np.column_stack([residents[:, :2], part, residents[:, 2] - part])
    whole, parts = ratios(seen, residents), ratios(seen, split, names=("a", "b", "c1", "c2"))
    assert parts[:2] == pytest.approx(whole[:2])
    people = split[:, 2:].sum(axis=0)
    assert parts[2:] @ people / people.sum() == pytest.approx(whole[2])


def test_the_order_of_the_groups_cells_does_not_matter():
    seen, residents = city(3, weeks=8)
    order = np.random.default_rng(0).permutation(60)
    moved = Groups.of_cells(
        {name: column[order] for name, column in zip("abc", residents.T, strict=True)}, seen.cells[order]
    )
    one = C01.run(seen, Evidence(groups=moved), lenient())
    assert [found(one, "exposure_ratio", g).value for g in "abc"] == pytest.approx(ratios(seen, residents))


def test_the_same_seed_gives_the_same_intervals_and_another_does_not():
    seen, residents = city(1)
    groups = groups_of(seen, a=residents[:, 0], b=residents[:, 1])
    one, again, other = (C01.run(seen, Evidence(groups=groups, seed=s), lenient()) for s in (0, 0, 1))
    assert one.measurements == again.measurements
    assert found(one, "exposure_ratio", "a").lower != found(other, "exposure_ratio", "a").lower


def planted(factor):
    """Half the cells are of the north; the forecast expects `factor` times what is recorded there."""
    rng = np.random.default_rng(5)
    rate = rng.gamma(0.6, 1.0, 200) + 0.01
    north = np.arange(200) % 2 == 0
    seen = make_forecasts(
        {"ours": np.tile(np.where(north, factor * rate, rate), (52, 1))}, rng.poisson(rate, (52, 200))
    )
    return seen, groups_of(seen, north=np.where(north, 50, 0), south=np.where(north, 0, 50))


def test_more_exposure_than_the_records_explain_fails_and_an_even_one_passes():
    limits = covering(load_thresholds(), 0.2)
    seen, groups = planted(8.0)
    check = C01.run(seen, Evidence(groups=groups), limits)
    assert check.status == "FAIL"
    assert found(check, "need_adjusted_ratio", "north").adjusted[0] > 1.25
    even = C01.run(*[planted(1.0)[0], Evidence(groups=planted(1.0)[1])], limits)
    assert even.status in {"PASS", "WARN"}
    assert found(even, "need_adjusted_ratio", "north").min_detectable > 0


def test_records_that_enforcement_makes_stand_for_no_need():
    seen, groups = planted(1.0)
    panel = SimpleNamespace(origins={"noise": "agent"})
    check = C01.run(seen, Evidence(groups=groups, panel=panel), load_thresholds())
    assert not [one for one in check.measurements if one.name == "need_adjusted_ratio"]
    assert found(check, "missing_figures").value == 2  # both groups lack it
    assert check.status == "FAIL"
    assert "follow enforcement" in check.method


def test_without_residents_no_exposure_is_stated():
    seen, _ = planted(1.0)
    groups = groups_of(seen, north=np.ones(200))
    by_area = Groups(**{name: getattr(groups, name) for name in ("names", "cells", "by_area", "group_of_area",
                        "households", "table", "notes")}, counted=False)  # fmt: skip
    check = C01.run(seen, Evidence(groups=by_area), load_thresholds())
    assert check.status == "NOT_ASSESSABLE"
    assert "audit.groups.residents" in check.reason["en"]
    assert "audit.groups.residents" in check.reason["fr"]
    assert found(check, "flagged_hours_share", "north").value == pytest.approx(1)


def test_a_group_with_three_incidents_gets_no_figure_and_its_n():
    rng = np.random.default_rng(0)
    observed = rng.poisson(1.0, (52, 100)).astype(float)
    observed[:, 99] = 0
    observed[:3, 99] = 1
    seen = make_forecasts({"ours": np.tile(np.arange(100.0), (52, 1))}, observed)
    groups = groups_of(seen, many=[10] * 99 + [0], few=[0] * 99 + [10])
    check = C01.run(seen, Evidence(groups=groups), load_thresholds())
    one = found(check, "exposure_ratio", "few")
    assert math.isnan(one.value)
    assert one.n == 3
    assert check.status in {"NOT_ASSESSABLE", "WARN"}
    assert found(check, "missing_figures").value == 0  # too little is not the same as left out


def test_no_groups_and_no_outcome_are_said():
    seen, groups = planted(1.0)
    assert C01.run(seen, Evidence(), load_thresholds()).missing == ("groups",)
    seen.observed_count[:] = np.nan
    for one in DEFINITIONS:
        check = one.run(seen, Evidence(groups=groups), load_thresholds())
        assert check.status == "NOT_ASSESSABLE"
        assert check.reason["fr"].startswith("aucune prévision")


# ---------------------------------------------------------------------- C02


def test_concentration_by_hand():
    """Four cells, one flagged: hours 1008, 0, 336, 0. Gini: 2·(3·336 + 4·1008)/(4·1344) − 5/4 = 0.625."""
    check = C02.run(four_cells(), Evidence(), QUARTER)
    assert found(check, "gini").value == pytest.approx(0.625)
    assert found(check, "top_cells_share").value == pytest.approx(0.04 * 0.75)  # 1 % of four cells
    assert found(check, "longest_streak").value == 6
    assert found(check, "never_flagged_share").value == 0.5
    lorenz = check.tables["lorenz"].set_index("share_of_cells")["share_of_hours"]
    assert lorenz[0.5] == pytest.approx(1.0)
    assert lorenz[1.0] == pytest.approx(1.0)


@given(seed=st.integers(0, 9999))
@settings(max_examples=40, deadline=None)
def test_gini_is_the_mean_difference_over_twice_the_mean(seed):
    hours = np.random.default_rng(seed).gamma(0.4, 1.0, 25)
    expected = np.abs(hours[:, None] - hours).mean() / (2 * hours.mean())
    assert gini(hours) == pytest.approx(expected)
    assert gini(np.stack([hours, 7 * hours])) == pytest.approx([expected, expected])


@given(
    flags=st.lists(st.booleans(), min_size=1, max_size=30),
    gaps=st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_streaks_are_those_of_a_loop(flags, gaps):
    follows = np.array([False, *gaps[: len(flags) - 1]])
    runs, number = [], 0
    for flag, joined in zip(flags, follows, strict=True):
        number += not joined
        runs.append((number, flag))
    expected = max((len(list(same)) for (_, flag), same in groupby(runs) if flag), default=0)
    assert longest_streaks(np.array(flags)[:, None], follows)[0] == expected


SEEN = {"forecast_sha256": "0" * 64, "period_start": "2026-03-02", "role": "duty", "action": "followed"}


def test_a_cell_flagged_all_quarter_warns_and_fails_only_once_reviews_are_logged():
    seen = make_forecasts({"ours": np.tile(np.arange(20.0), (26, 1))}, np.ones((26, 20)))
    limits = covering(load_thresholds(), 0.05)
    check = C02.run(seen, Evidence(), limits)
    assert found(check, "selected_share").value == pytest.approx(1.0)
    assert check.status == "WARN"
    assert C02.run(seen, Evidence(records={"decisions": [SEEN]}), limits).status == "FAIL"
    always = format(int(cells_of(20)[19]), "x")
    assert check.tables["cells"]["cell"].iloc[0] == always
    review = SEEN | {"cell": always, "reason": "the park is closed until May"}
    for rows, value in (
        ([review], 0.0),
        ([review | {"action": "not seen"}], 1.0),
        ([review | {"reason": ""}], 1.0),
    ):
        judged = C02.run(seen, Evidence(records={"decisions": rows}), limits)
        assert found(judged, "selected_share").value == pytest.approx(value)
        assert found(judged, "reviewed_cells").value == 1.0 - value
    assert C02.run(seen, Evidence(records={"decisions": [review]}), limits).status == "PASS"


def test_the_worst_quarter_counts_not_the_mean():
    """Flagged 13 of 13 weeks, then never: the share over the year is a quarter, the worst quarter 1."""
    rate = np.ones((52, 20))
    rate[:13, 0] = 9
    rate[np.arange(13, 52), 1 + np.arange(39) % 19] = 9
    check = C02.run(
        make_forecasts({"ours": rate}, np.ones((52, 20))), Evidence(), covering(load_thresholds(), 0.05)
    )
    assert found(check, "selected_share").value == pytest.approx(1.0)


@pytest.mark.parametrize(("step", "weeks"), [(28, 26), (7, 12)])
def test_a_backtest_with_gaps_or_too_short_says_nothing_of_persistence(step, weeks):
    seen = make_forecasts(
        {"ours": np.tile(np.arange(20.0), (weeks, 1))}, np.ones((weeks, 20)), step_days=step
    )
    check = C02.run(seen, Evidence(), load_thresholds())
    assert check.status == "NOT_ASSESSABLE"
    assert "13 weeks in a row" in check.reason["en"]
    assert "13 semaines de suite" in check.reason["fr"]
    assert found(check, "longest_streak").value == (1 if step == 28 else 12)


def test_ratio_of_nothing_is_not_a_number():
    none = {name: np.zeros(2) for name in ("exposed", "residents", "incidents")}
    assert all(np.isnan(one).all() for one in exposure_ratios(none).values())
