"""Groups of places: shares, exposure, and the groups that stand in where none are given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tranquillite_ml.errors import UsageError
from tranquillite_ml.simulation import PlaceGroups, activity_quintiles
from tranquillite_ml.simulation.scenarios import make_scenarios


def test_exposure_by_hand() -> None:
    groups = PlaceGroups(["a", "b"], [[30, 0], [10, 10], [0, 50], [0, 0]])
    flagged = np.array([[True, False], [True, True], [False, False], [False, True]])
    # Run 1: a has 40 of 40 residents flagged, b 10 of 60, all 50 of 100: 1 / 0.5 and (1/6) / 0.5.
    # Run 2: a 10 of 40, b 10 of 60, all 20 of 100: 0.25 / 0.2 and (1/6) / 0.2. Nobody lives in the last cell.
    assert groups.exposure_ratio(flagged) == pytest.approx(np.array([[2.0, 1.25], [1 / 3, 5 / 6]]))
    assert groups.share.tolist() == [[1, 0], [0.5, 0.5], [0, 1], [0, 0]]


def test_no_flag_where_anybody_lives_gives_no_ratio() -> None:
    groups = PlaceGroups(["a"], [[1], [0]])
    assert np.isnan(groups.exposure_ratio(np.array([[False], [True]]))).all()


@given(st.lists(st.floats(0.001, 100), min_size=5, max_size=60))
@settings(max_examples=60, deadline=None)
def test_quintiles_hold_every_cell_once_and_are_ordered(rate: list[float]) -> None:
    groups = activity_quintiles(rate)
    member = groups.residents
    assert (member.sum(axis=1) == 1).all()
    assert (member.sum(axis=0) >= 1).all()
    number = member.argmax(axis=1)
    ordered = number[np.argsort(rate, kind="stable")]
    assert (np.diff(ordered) >= 0).all()


def test_quintiles_hold_a_fifth_of_the_incidents_each() -> None:
    rate = np.random.default_rng(0).gamma(0.5, size=5000)
    held = rate @ activity_quintiles(rate).residents / rate.sum()
    assert held == pytest.approx(np.full(5, 0.2), abs=0.002)


@pytest.mark.parametrize(
    "residents", [[[1, 0], [2, 0]], [[1, -1], [1, 1]], [[1, np.nan], [1, 1]], [[1], [1]]]
)
def test_wrong_residents_are_refused(residents: list[list[float]]) -> None:
    with pytest.raises(UsageError, match="residents"):
        PlaceGroups(["a", "b"], residents)


def test_too_few_active_cells_are_refused() -> None:
    with pytest.raises(UsageError, match="five cells"):
        activity_quintiles([1, 1, 1, 0, 0, 0])


def test_scenarios_of_a_survey() -> None:
    survey = {"poor": (0.4, 0.3, 0.5), "rich": (0.6, 0.55, 0.65)}
    found = {one.name: one for one in make_scenarios(["poor", "rich"], survey=survey)}
    assert found["survey"].rates.tolist() == [0.4, 0.6]
    assert found["survey, first half low"].rates.tolist() == [0.3, 0.65]
    assert found["survey, first half high"].rates.tolist() == [0.5, 0.55]
    assert [one.hypothetical for one in found.values()] == [True, True, True, False, False, False]


def test_rates_of_cells_are_their_groups_mean() -> None:
    groups = PlaceGroups(["a", "b"], [[1, 0], [1, 3], [0, 0]])
    least = make_scenarios(groups.names)[1]
    # 0.4 and 0.8; a quarter of the second cell is a: 0.25 × 0.4 + 0.75 × 0.8 = 0.7; nobody: the mean, 0.6.
    assert least.by_cell(groups) == pytest.approx([0.4, 0.7, 0.6])


@pytest.mark.parametrize(
    "survey", [{"a": (0.5,)}, {"a": (0.5,), "b": (0.5, 0.4)}, {"a": (0.5,), "b": (1.2,)}]
)
def test_a_survey_with_holes_is_refused(survey: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(UsageError):
        make_scenarios(["a", "b"], survey=survey)
