"""Repeats and pile-ups, worked by hand."""

import numpy as np

from tranquillite_ml.intake.guards import (
    near_repeats,
    pile_ups,
    repeats_of_previous,
)

MINUTE = 60_000_000


def test_repeats_need_every_key_to_be_equal() -> None:
    keys = [np.array([1, 1, 1, 2]), np.array([5, 5, 6, 6])]
    assert repeats_of_previous(keys).tolist() == [False, True, False, False]
    assert repeats_of_previous([np.array([])]).tolist() == []


def test_near_repeats_are_close_in_time_in_place_and_of_one_category() -> None:
    times = np.array([0, 4, 4, 20, 100]) * MINUTE
    lat, lng = np.full(5, 43.30), np.full(5, 5.40)
    # 0 → 4 minutes: near. 4 → 4: exact repeat, not counted here. 4 → 20 and 20 → 100: too late.
    assert near_repeats(times, lat, lng, np.zeros(5, dtype=np.int64)) == 1
    assert near_repeats(times, lat, lng, np.arange(5)) == 0
    assert near_repeats(times, lat + np.arange(5) * 0.01, lng, np.zeros(5, dtype=np.int64)) == 0
    assert near_repeats(times[:1], lat[:1], lng[:1], np.zeros(1, dtype=np.int64)) == 0


def test_a_pile_up_is_reported_with_its_size() -> None:
    lat = np.concatenate([np.full(60, 43.0), 43 + np.arange(1, 941) * 1e-4])
    pile = pile_ups(lat, np.full(1000, 5.4))
    assert pile is not None
    assert pile.n == 60
    assert pile.share == 0.06
    assert "about (43.00, 5.40), holds 60" in pile.advice
    assert pile_ups(lat[11:], np.full(989, 5.4)) is None  # 49 rows on one point can be an address
    assert pile_ups(lat[:0], lat[:0]) is None


def test_a_few_coordinates_of_equal_weight_are_no_pile_up() -> None:
    assert pile_ups(np.repeat([43.0, 43.1], 500), np.full(1000, 5.4)) is None
