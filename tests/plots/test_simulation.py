"""Plots of simulations draw what their tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml import plots
from tranquillite_ml.errors import UsageError

ARMS = [("nothing found", 0.0), ("included", 0.1), ("included", 0.5), ("excluded", 0.5)]


def _weeks(groups: tuple[str, ...] = ("$a$", "b")) -> pd.DataFrame:
    rows = [
        {
            **{"arm": arm, "discovery": share, "group": group, "week": week, "n_runs": 20},
            **{"amplification": 1 + share * week * (0.1 if group == "b" else 0.01)},
            **{"inflation": 1 + share * week},
        }
        for arm, share in ARMS
        for group in groups
        for week in range(3)
    ]
    table = pd.DataFrame(rows)
    return table.assign(lower=table["amplification"] - 0.1, upper=table["amplification"] + 0.1)


def test_amplification_shows_the_group_that_moves_most_clearly() -> None:
    ax = plots.amplification(_weeks())
    assert ax.get_ylabel().endswith("\nb")
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["nothing found", "included, 50% found", "excluded, 50% found"]
    lines = dict(zip(labels, ax.get_lines(), strict=False))
    assert lines["included, 50% found"].get_ydata()[-1] == pytest.approx(1.1)
    assert "n = 20 simulated years" in ax.get_xlabel()
    other = plots.amplification(_weeks(), group="$a$")
    assert r"\$a\$" in other.get_ylabel()
    other.figure.canvas.draw()
    with pytest.raises(UsageError, match="group"):
        plots.amplification(_weeks(), group="c")


def test_a_group_that_is_never_flagged_is_drawn_as_a_gap() -> None:
    table = _weeks(("a",)).assign(amplification=np.nan, lower=np.nan, upper=np.nan)
    ax = plots.amplification(table)
    ax.figure.canvas.draw()
    assert np.isnan(ax.get_lines()[0].get_ydata()).all()


def test_inflation_has_a_line_for_each_arm_and_rate() -> None:
    table = _weeks(("a",))
    ax = plots.inflation(table)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["nothing found", "included, 10% found", "included, 50% found", "excluded, 50% found"]
    widths = [line.get_linewidth() for line in ax.get_lines()[:4]]
    assert widths[1] < widths[2]  # the more is found, the wider the line
    colours = [line.get_color() for line in ax.get_lines()[:4]]
    assert colours[1] == colours[2] != colours[3]
    assert plots.inflation(table, ax=ax) is ax


def test_displacement_says_what_is_hypothetical() -> None:
    table = pd.DataFrame(
        {
            "scenario": ["alike", "alike", "survey", "survey"],
            "variant": ["as recorded", "rescaled"] * 2,
            "hypothetical": [True, True, False, False],
            "displaced_share": [0.1, 0.1, 0.4, 0.2],
            "lower": [0.0, 0.0, 0.3, 0.1],
            "upper": [0.2, 0.2, 0.5, 0.3],
            "n_draws": 200,
        }
    )
    ax = plots.displacement(table)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["alike\n(hypothetical)", "survey"]
    assert ax.get_lines()[1].get_xdata().tolist() == [0.1, 0.2]
    assert "n = 200 draws a scenario" in ax.get_xlabel()
    ax.figure.canvas.draw()


@pytest.mark.parametrize("draw", [plots.amplification, plots.inflation, plots.displacement])
def test_a_wrong_table_is_refused(draw: object) -> None:
    with pytest.raises(UsageError, match="lacks"):
        draw(pd.DataFrame({"arm": ["a"]}))  # type: ignore[operator]
