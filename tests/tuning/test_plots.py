"""The plots of a study take its tables."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tranquillite_ml import plots
from tranquillite_ml.errors import UsageError

mpl.use("Agg")


@pytest.fixture
def ax():
    return Figure().add_subplot()


TRIALS = pd.DataFrame(
    {
        "trial": [0, 1, 2],
        "state": ["complete", "pruned", "complete"],
        "score": [-3.0, -9.0, -2.0],
        "best_so_far": [-3.0, -3.0, -2.0],
        "n_folds": [4, 1, 4],
    }
)


def test_history_shows_each_trial_and_the_best_so_far(ax):
    assert plots.tuning_history(TRIALS, ax) is ax
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.get_lines()}
    assert drawn["complete (2)"] == [[1, -3], [3, -2]]
    assert drawn["pruned (1)"] == [[2, -9]]
    assert drawn["best so far"] == [[1, -3], [2, -3], [3, -2]]
    assert "n = 3 trials, 4 folds" in ax.get_xlabel()


def test_importance_puts_the_largest_on_top(ax):
    table = pd.DataFrame(
        {"param": ["a", "$b$"], "importance": [0.2, 0.8], "lower": 0.1, "upper": 0.9, "n_trials": 20}
    )
    assert plots.tuning_importance(table, ax) is ax
    assert [label.get_text() for label in ax.get_yticklabels()] == [r"\$b\$", "a"]
    assert ax.get_ylim() == (1.5, -0.5)
    assert "n = 20 complete trials" in ax.get_xlabel()


def test_too_few_trials_are_said(ax):
    table = pd.DataFrame(
        {"param": ["a"], "importance": np.nan, "lower": np.nan, "upper": np.nan, "n_trials": 3}
    )
    assert "too few to tell" in plots.tuning_importance(table, ax).get_xlabel()


@pytest.mark.parametrize("draw", [plots.tuning_history, plots.tuning_importance])
def test_other_tables_are_refused(draw, ax):
    with pytest.raises(UsageError, match="lacks"):
        draw(pd.DataFrame({"x": [1]}), ax)
