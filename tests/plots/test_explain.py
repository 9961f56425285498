"""Plots of explanations draw what their tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml import plots
from tranquillite_ml.errors import UsageError


def _why(n: int) -> pd.DataFrame:
    size = np.array([-1.0, *np.linspace(0.5, -0.4, n)])
    names = ["typical level", *(f"$x_{k}$" for k in range(n))]
    return pd.DataFrame({"family": names, "contribution": size, "factor": np.exp(size)})


def test_the_waterfall_ends_at_the_expected_count() -> None:
    table = _why(5)
    ax = plots.factors(table)
    bars = ax.patches
    assert len(bars) == 5
    assert bars[0].get_x() == pytest.approx(np.exp(-1.0))  # the first factor raises the typical level
    assert bars[-1].get_x() == pytest.approx(table["factor"].prod())  # the last one lowers it to the count
    assert [bool(bar.get_hatch()) for bar in bars] == (table["contribution"].iloc[1:] > 0).tolist()
    assert ax.get_yticklabels()[0].get_text() == r"\$x_0\$"
    assert "not causes" in ax.get_xlabel()
    ax.figure.canvas.draw()


def test_many_factors_are_drawn_together() -> None:
    ax = plots.factors(_why(20))
    assert len(ax.patches) == 12
    assert ax.get_yticklabels()[-1].get_text() == "9 others"
    edges = [bar.get_x() for bar in ax.patches] + [bar.get_x() + bar.get_width() for bar in ax.patches]
    assert np.isclose(edges, _why(20)["factor"].prod()).any()


def test_ranges_and_curves_are_drawn() -> None:
    overview = pd.DataFrame({"family": ["a", "b"], "mean_abs": [0.1, 0.3]})
    overview = overview.assign(factor_low=[0.9, 0.5], factor_high=[1.1, 2.0], n=50)
    ax = plots.factor_ranges(overview)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "a"]
    assert "n = 50" in ax.get_xlabel()
    curve = pd.DataFrame({"feature": "target_28d", "value": [0.0, 1.0], "factor": [0.9, 1.1]})
    curve = curve.assign(lower=[0.9, 1.0], upper=[0.9, 1.2], n=[5, 5])
    assert plots.effect_curve(curve, ax=ax) is ax
    assert "n = 5 " in ax.get_xlabel()


@pytest.mark.parametrize("draw", [plots.factors, plots.factor_ranges, plots.effect_curve])
def test_a_wrong_table_is_refused(draw: object) -> None:
    with pytest.raises(UsageError, match="lacks"):
        draw(pd.DataFrame({"family": ["a"]}))  # type: ignore[operator]
