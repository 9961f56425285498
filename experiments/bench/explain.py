"""Time of explanations in bulk: contributions of 10,000 place-periods to 100 features and 500 trees."""

from __future__ import annotations

import time
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from tranquillite_ml.explanation.contributions import Term, learnt_terms
from tranquillite_ml.forecasters import LightGBMForecaster
from tranquillite_ml.target import Target

N_ROWS, N_FEATURES, N_TREES, LEAVES = 10_000, 100, 500, 15
MUST_S = 15.0


def rows() -> list[dict[str, Any]]:
    """Figures as dicts of what, measured, unit, must, ok and note."""
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
    size = f"{N_ROWS:,} rows × {N_FEATURES} features × {booster.num_trees()} trees of {LEAVES} leaves"
    return [
        _row(f"contributions, {size}", seconds, "s", MUST_S, "on the wall clock, all cores"),
        _row("sum of contributions less score", error, "log rate", 1e-6, f"greatest of {N_ROWS:,} rows"),
    ]


def _row(what: str, measured: float, unit: str, must: float, note: str) -> dict[str, Any]:
    found = {"what": what, "measured": measured, "unit": unit, "must": f"≤ {must:.3g}"}
    return found | {"ok": measured <= must, "note": note}


if __name__ == "__main__":
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.max_colwidth", 80):
        print(pd.DataFrame(rows()).to_string(index=False))
