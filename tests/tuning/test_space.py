"""The space: ranges, choices, and what is refused."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tranquillite_ml.errors import UsageError
from tranquillite_ml.forecasters import LightGBMForecaster, SmoothedCount, all_forecasters
from tranquillite_ml.target import Target
from tranquillite_ml.tuning.space import check_names, distributions, inside, usual_space


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 9], IntDistribution(1, 9)),
        ([1, 10], IntDistribution(1, 10, log=True)),  # a factor of 10: searched by factors
        ([0, 10], IntDistribution(0, 10)),  # 0 has no logarithm
        ([0.1, 0.5], FloatDistribution(0.1, 0.5)),
        ([1, 2.5], FloatDistribution(1.0, 2.5)),
        ((0.01, 0.1), FloatDistribution(0.01, 0.1, log=True)),
        ([1, 2, 3], CategoricalDistribution((1, 2, 3))),
        ([5], CategoricalDistribution((5,))),
        (["a", "b"], CategoricalDistribution(("a", "b"))),
        ([True, False], CategoricalDistribution((True, False))),
    ],
)
def test_two_ascending_numbers_are_a_range_and_all_else_a_choice(values, expected):
    assert distributions({"x": values}) == {"x": expected}


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({}, "nothing to tune"),
        ({"x": [2, 1]}, "low < high"),
        ({"x": [2, 2]}, "low < high"),
        ({"x": []}, r"x must be \[low, high\] or a list"),
        ({"x": "ab"}, r"x must be \[low, high\] or a list"),
        ({"x": 3}, r"x must be \[low, high\] or a list"),
        ({"x": [None, 1]}, r"x must be \[low, high\] or a list"),
        ({"x": [0.1, float("nan")]}, "finite"),
    ],
)
def test_what_is_no_space_is_refused(space, told):
    with pytest.raises(UsageError, match=told):
        distributions(space)


def test_unknown_parameters_get_the_nearest_one():
    with pytest.raises(UsageError, match=r"Did you mean 'num_leaves'\?"):
        check_names(["num_leafs"], LightGBMForecaster(Target("noise")))
    for name in ("target", "features"):  # they are the question, not a parameter of the answer
        with pytest.raises(UsageError, match="has no parameter"):
            check_names([name], LightGBMForecaster(Target("noise")))


def test_usual_spaces_fit_their_forecasters_and_hold_their_defaults():
    spaces = {kind.__name__: (usual_space(kind(Target("noise"))), kind) for kind in all_forecasters()}
    tuned = {name: found for name, found in spaces.items() if found[0]}
    assert {"LightGBMForecaster", "SmoothedCount", "DecayedCount"} <= set(tuned)
    for space, kind in tuned.values():
        check_names(space, kind(Target("noise")))
        assert inside(kind(Target("noise")).get_params(deep=False), distributions(space)) is not None


def test_a_start_outside_the_space_is_no_start():
    space = distributions({"days": [30, 300], "trust": [0.5, 1.0, 2.0]})
    params = SmoothedCount(Target("noise"), days=90).get_params(deep=False)
    assert inside(params, space) == {"days": 90, "trust": 1}
    assert inside(params | {"days": 365}, space) is None
    assert inside(params | {"days": 90.5}, space) is None  # whole days are searched
    assert inside(params | {"trust": 1.5}, space) is None
    assert inside({"days": 90}, space) is None
