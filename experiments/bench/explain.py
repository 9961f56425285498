"""Time of explanations in bulk: contributions of 10,000 place-periods to 100 features and 500 trees."""

from __future__ import annotations

import time
from typing import Any

import lightgbm as lgb
import numpy as np
from common import Bar, figure

from tranquillite_ml.explanation.contributions import Term, learnt_terms
from tranquillite_ml.forecasters import LightGBMForecaster
from tranquillite_ml.target import Target

N_ROWS, N_FEATURES, N_TREES, LEAVES = 10_000, 100, 500, 15

BARS = {
    "seconds": Bar(
        f"contributions, {N_ROWS:,} rows × {N_FEATURES} features × {N_TREES} trees of {LEAVES} leaves",
        "s",
        most=15,
    ),
    "error": Bar(f"sum of contributions less score, greatest of {N_ROWS:,} rows", "log rate", most=1e-6),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    outcome = rng.poisson(np.exp(values[:, :10].sum(axis=1) * 0.2))
    params = {"objective": "poisson", "num_leaves": LEAVES, "feature_fraction": 0.5, "verbosity": -1}
    booster = lgb.train(params, lgb.Dataset(values, outcome), N_TREES)
    model = LightGBMForecaster(Target("simulated"))
    model.models_ = {"simulated": booster}
    table = [Term(name, "history", "") for name in booster.feature_name()]
    start = time.perf_counter()
    amounts, base = learnt_terms(model, "simulated", values, table)
    seconds = time.perf_counter() - start
    error = float(np.abs(base + amounts.sum(axis=1) - booster.predict(values, raw_score=True)).max())
    note = f"{booster.num_trees()} trees, all cores"
    return {"seconds": figure(seconds, note=note), "error": figure(error)}
