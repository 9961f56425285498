"""The tuning section: its defaults, its slips, and that a run does not depend on it."""

import pytest

from tranquillite_ml.config import RunConfig, load_config
from tranquillite_ml.errors import ConfigError


def test_defaults_and_round_trip():
    config = load_config("smoke")
    assert (config.tuning.trials, config.tuning.folds, config.tuning.score) == (30, 4, "log_score")
    assert (config.tuning.timeout, config.tuning.every, config.tuning.space) == (None, None, {})
    stated = load_config("smoke", ["tuning={folds: 2, space: {zeros: [0.1, 0.2, 1], num_leaves: [7, 63]}}"])
    assert stated.tuning.space == {"num_leaves": (7, 63), "zeros": (0.1, 0.2, 1)}
    again = RunConfig.from_yaml(stated.to_yaml())
    assert again == stated
    # Whole numbers stay whole: they say what kind of numbers is searched.
    assert all(isinstance(value, int) for value in again.tuning.space["num_leaves"])


def test_a_run_does_not_depend_on_how_it_might_be_tuned():
    assert load_config("smoke", ["tuning.trials=5"]).digest() == load_config("smoke").digest()


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("tuning.trials=0", "at least 1"),
        ("tuning.trials=2.5", "whole number"),
        ("tuning.timeout=-1", "above 0"),
        ("tuning.folds=0", "at least 1"),
        ("tuning.every=7", "28D"),
        ("tuning.score=log_scor", "Did you mean 'log_score'"),
        ("tuning.trails=5", "Did you mean 'trials'"),
        ("tuning.space.num_leaves=31", r"expected \[low, high\] or a list"),
        ("tuning.space.num_leaves=[]", r"expected \[low, high\] or a list"),
        ("tuning.space.num_leaves=[63, 7]", "low < high"),
        ("tuning.space.num_leaves=[{a: 1}, 2]", r"expected \[low, high\] or a list"),
    ],
)
def test_slips_are_named(setting, told):
    with pytest.raises(ConfigError, match=told) as caught:
        load_config("smoke", [setting])
    assert "tuning" in str(caught.value)
