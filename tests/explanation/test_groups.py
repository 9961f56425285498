"""Entangled features are found, and families of them named together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from tranquillite_ml.explanation import Explanation, explain
from tranquillite_ml.explanation.contributions import Term
from tranquillite_ml.explanation.groups import feature_clusters, merged_families, rank_correlation
from tranquillite_ml.forecasters import LightGBMForecaster
from tranquillite_ml.panel import Panel


def test_rank_correlation_is_spearmans() -> None:
    values = np.random.default_rng(0).normal(size=(50, 4))
    values[:, 3] = -(values[:, 0] ** 3)
    np.testing.assert_allclose(rank_correlation(values), np.abs(spearmanr(values).statistic), atol=1e-12)


def test_clusters_follow_average_linkage() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    columns = np.column_stack([x[:, 0], x[:, 0] + 0.1 * x[:, 1], x[:, 2], np.zeros(500)])
    labels = feature_clusters(columns)
    assert labels.tolist() == [0, 0, 1, 2]
    assert feature_clusters(columns[:, :1]).tolist() == [0]


def test_a_family_goes_with_another_only_on_average() -> None:
    """Of history's two columns one follows the neighbourhood (ρ ≈ 1), one not (≈ 0): on average ½."""
    x = np.random.default_rng(0).normal(size=(2000, 2))
    columns = np.column_stack([x[:, 0], x[:, 1], x[:, 0]])
    names = ["history", "history", "neighbourhood"]
    assert merged_families(columns, names)["history"] == "history"
    assert merged_families(columns, names, threshold=0.4)["history"] == "history + neighbourhood"
    assert merged_families(columns, names, threshold=0.4, apart=["history"])["history"] == "history"


def test_merging_keeps_the_product(trees: LightGBMForecaster, panel: Panel) -> None:
    found = explain(trees, panel)
    merged: Explanation = found.merge_entangled(threshold=0.0)
    # Everything but exposure and calibration is one family where any correlation is enough.
    assert len(merged.families) == 3
    total = merged.base + merged.family_contributions().sum(axis=1)
    np.testing.assert_allclose(np.exp(total), found.rows["expected_count"], rtol=1e-6)
    assert merged.terms[0] != Term("starting_rate", "starting rate", "incidents in the period")
    assert found.merge_entangled(threshold=1.1).families == found.families
    assert merged.largest_error == pytest.approx(found.largest_error)
