"""Blocks: what they are called, what they hold, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import make_panel
from tranquillite_ml.errors import UsageError
from tranquillite_ml.features import Calendar, FeatureSet, History, View
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins


def test_described_and_yielded_columns_agree() -> None:
    panel = make_panel(420)
    for target in (Target("noise", period=7), Target("noise", horizons=range(1, 8))):
        features = FeatureSet.from_list(
            ["history", "neighbourhood", "near_repeat", {"calendar": {"country": "FR"}}]
        )
        view = View(panel, "noise", target, np.array([400]))
        yielded = [name for name, _ in features.columns(view)]
        assert yielded == features.names(target, panel.bins)


def test_others_leaves_agent_records_out() -> None:
    panel = make_panel(60)
    origins = {"noise": "citizen", "theft": "agent"}
    guarded = Panel(panel.grid, panel.bins, panel.categories, origins, panel._arrays)
    view = View(guarded, "noise", Target("noise"), np.array([50]))
    assert guarded.trainable(besides="noise") == []
    columns = dict(History(windows=(7,), decays=()).columns(view))
    assert np.isnan(columns["others_7d"]).all()
    assert not np.isnan(columns["target_7d"]).any()


def test_unknown_origin_is_left_out_too() -> None:
    panel = make_panel(60)
    unknown = Panel(panel.grid, panel.bins, panel.categories, {"noise": "citizen"}, panel._arrays)
    assert unknown.trainable(besides="noise") == []


def test_holidays_are_counted_by_period() -> None:
    bins = TimeBins("2023-12-20", 30, "1D", "Europe/Paris")
    panel = make_panel(30)
    panel = Panel(panel.grid, bins, panel.categories, panel.origins, panel._arrays)
    # From 22 December: 25 December. From 29 December: 1 January. From 5 January: none.
    view = View(panel, "noise", Target("noise", period=7), np.array([2, 9, 16]))
    columns = dict(Calendar(country="FR").columns(view))
    assert columns["holidays"].ravel().tolist() == [1, 1, 0]


def test_an_unknown_country_is_refused() -> None:
    view = View(make_panel(30), "noise", Target("noise"), np.array([5]))
    with pytest.raises(UsageError, match="no calendar"):
        list(Calendar(country="XX").columns(view))


def test_two_columns_may_not_share_a_name() -> None:
    panel = make_panel(30)
    with pytest.raises(UsageError, match="own name"):
        FeatureSet([Calendar(), Calendar()]).names(Target("noise"), panel.bins)


def test_blocks_survive_being_written_down() -> None:
    features = FeatureSet([History(windows=(7, 28), others=False), Calendar("FR")])
    again = FeatureSet.from_list(features.to_list())
    assert repr(again.blocks[1]) == repr(features.blocks[1])
    assert again.blocks[0].params()["windows"] == (7, 28)


def test_a_misspelt_block_or_parameter_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'history'"):
        FeatureSet.from_list(["histroy"])
    with pytest.raises(UsageError, match="does not take"):
        FeatureSet.from_list([{"history": {"window": [1]}}])
