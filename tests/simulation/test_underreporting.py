"""Under-reporting: planted gaps move hotspots, rescaling moves them back, full reporting moves none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.simulation.conftest import planted_panel
from tranquillite_ml import SmoothedCount, Target, simulate_underreporting
from tranquillite_ml.errors import UsageError
from tranquillite_ml.panel import Panel
from tranquillite_ml.simulation import PlaceGroups
from tranquillite_ml.simulation.underreporting import surrogate_maps


def _share(table: pd.DataFrame, scenario: str, variant: str = "as recorded") -> pd.Series:
    return table[(table["scenario"] == scenario) & (table["variant"] == variant)].iloc[0]


@pytest.fixture(scope="module")
def stripes() -> PlaceGroups:
    """Even and odd rows: the two groups have nearly the same rates."""
    even = (np.arange(144) // 12 % 2 == 0).astype(float)
    return PlaceGroups(["even", "odd"], np.column_stack([even, 1 - even]))


def test_who_reports_everything_moves_nothing(panel: Panel, stripes: PlaceGroups) -> None:
    found = simulate_underreporting(panel, "noise", groups=stripes, hypothetical=(1.0, 1.0), draws=5)
    assert (found.table["displaced_share"] == 0).all()
    assert (found.selection["selection_ratio"].dropna() == 1).all()


def test_a_planted_gap_moves_hotspots_and_rescaling_moves_them_back(
    panel: Panel, stripes: PlaceGroups
) -> None:
    found = simulate_underreporting(
        panel, "noise", groups=stripes, hypothetical=(0.2, 1.0), draws=60, top_share=0.1
    )
    alike, least = _share(found.table, "alike"), _share(found.table, "first reports least")
    assert least["lower"] > alike["upper"]
    assert least["beyond_alike_lower"] > 0
    assert (
        _share(found.table, "first reports least", "rescaled")["displaced_share"] < least["displaced_share"]
    )
    chosen = found.selection[found.selection["variant"] == "as recorded"].set_index(["scenario", "group"])
    assert chosen.loc[("first reports least", "even"), "upper"] < 1
    assert chosen.loc[("first reports least", "odd"), "lower"] > 1
    assert chosen.loc[("first reports most", "even"), "lower"] > 1
    # Every scenario flags as many cells as before, of whatever group.
    assert chosen.groupby("scenario")["hot_thinned"].sum().to_numpy() == pytest.approx(14)
    assert chosen.loc["alike", "hot_full"].sum() == 14
    assert not chosen["few"].any()


def test_thinning_keeps_the_share_it_should(panel: Panel) -> None:
    maps = surrogate_maps(panel, "noise", seed=0)
    full = maps(np.ones(144), -1)
    rate = np.where(np.arange(144) < 72, 0.3, 0.9)
    mean = np.mean([maps(rate, draw) for draw in range(50)], axis=0)
    # Cells two rows and more from the border of the two rates, which smoothing does not mix.
    assert mean[:48].sum() / full[:48].sum() == pytest.approx(0.3, abs=0.03)
    assert mean[96:].sum() / full[96:].sum() == pytest.approx(0.9, abs=0.06)
    # Everything kept, whatever the draw, is everything.
    assert np.array_equal(maps(np.ones(144), 3), full)


def test_the_seed_decides(panel: Panel) -> None:
    one, again, other = (
        simulate_underreporting(panel, "noise", draws=6, top_share=0.1, seed=seed) for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(one.table, again.table)
    assert not one.selection.equals(other.selection)
    with pytest.raises(UsageError, match="draws"):
        simulate_underreporting(panel, "noise", draws=0)


def test_a_survey_is_not_hypothetical(panel: Panel, stripes: PlaceGroups) -> None:
    survey = {"even": (0.5,), "odd": (0.6,)}
    found = simulate_underreporting(panel, "noise", groups=stripes, survey=survey, draws=5)
    assert not _share(found.table, "survey")["hypothetical"]
    assert _share(found.table, "alike")["hypothetical"]


def test_the_deep_tier_trains_on_what_was_kept(stripes: PlaceGroups, tmp_path: Path) -> None:
    panel = planted_panel(30)
    model = SmoothedCount(Target("noise"), calibration_days=0)
    told: list[str] = []
    first, again = (
        simulate_underreporting(
            panel,
            "noise",
            groups=stripes,
            forecaster=model,
            draws=2,
            top_share=0.1,
            folder=tmp_path,
            report=lambda what, *_: told.append(what),
        )
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first.table, again.table)
    # 3 scenarios × 2 draws and all records.
    assert len(list(tmp_path.glob("*.npy"))) == 7
    assert sum(what.startswith("budget: 7 fits of smoothed_count") for what in told) == 1
    assert first.table["lower"].isna().all()  # two draws make no interval
    assert "smoothed_count a scenario" in first.method
