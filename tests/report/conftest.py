"""Forecasts made by hand for the report's tests."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.report.reports import AT, LIMITS, mixed_checks
from tranquillite_ml.audit import Evidence
from tranquillite_ml.city import simulate_city
from tranquillite_ml.evaluation import backtest
from tranquillite_ml.explanation import explain
from tranquillite_ml.forecasters import Count365, SmoothedCount
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.hexgrid import HexGrid
from tranquillite_ml.panel import Panel
from tranquillite_ml.report.mapped import Drawing
from tranquillite_ml.report.summary import Inputs, summarise_report
from tranquillite_ml.splits import RollingOrigin
from tranquillite_ml.target import Target

MakeForecasts = Callable[..., Forecasts]


def build(
    *,
    rings: int = 2,
    categories: Sequence[str] = ("noise", "damage"),
    horizons: int = 3,
    models: Sequence[str] = ("lightgbm",),
    cutoffs: Sequence[str] = ("2025-03-29",),
    tz: str = "Europe/Paris",
    level: float = 0.9,
    scale: float = 1.0,
) -> Forecasts:
    grid = HexGrid(["893968152bbffff"]).dilated(rings)
    rows = [
        (model, category, pd.Timestamp(cutoff, tz=tz), horizon)
        for cutoff in cutoffs
        for model in models
        for category in categories
        for horizon in range(1, horizons + 1)
    ]
    keys = pd.DataFrame(rows, columns=["model", "category", "cutoff", "horizon"])
    day = pd.DateOffset(days=1)
    keys["period_start"] = [row.cutoff + (row.horizon - 1) * day for row in keys.itertuples()]
    keys["period_end"] = [start + day for start in keys["period_start"]]
    keys["exposure_hours"] = (keys["period_end"] - keys["period_start"]).dt.total_seconds() / 3600
    keys["distribution"], keys["level"], keys["outside_count"] = "poisson", level, np.nan
    shape = (len(keys), grid.n_cells)
    rng = np.random.default_rng(0)
    place = np.exp(-np.square(grid.centres - grid.centres.mean(axis=0)).sum(axis=1) * 3e3 / max(rings, 1))
    expected = scale * place * rng.gamma(2.0, 0.5, shape)
    values: dict[str, Any] = {
        "expected_count": expected,
        "prob_any": -np.expm1(-expected),
        "lower": np.zeros(shape),
        "upper": np.ceil(expected + 1.3 * np.sqrt(expected)),
    }
    meta = {"tz": tz, "freq": "1D", "study_area_km2": float(grid.area_km2.sum())}
    return Forecasts(keys, grid.cells, grid.area_km2, values, meta)


@pytest.fixture
def make_forecasts() -> MakeForecasts:
    return build


@pytest.fixture(scope="session")
def audited() -> tuple[Forecasts, Evidence]:
    """A backtest of two counts on a small simulated city, with panel, model and explanation."""
    city = simulate_city(seed=0, days=300, radius_km=1.5)
    panel = Panel.build(city.incidents, city.grid, city.bins("1D"))
    target = Target(["damage", "noise"], period=7)
    models = [SmoothedCount(target), Count365(target)]
    forecasts = backtest(models, panel, RollingOrigin(4, "7D"))
    model = SmoothedCount(target).fit(panel)
    return forecasts, Evidence(panel=panel, model=model, explanation=explain(model, panel))


@pytest.fixture(scope="session")
def made(audited: tuple[Forecasts, Evidence]) -> tuple[dict[str, Any], dict[str, Drawing]]:
    """A report with checks of every status."""
    forecasts, evidence = audited
    return summarise_report(
        forecasts, mixed_checks(), LIMITS, evidence=evidence, inputs=Inputs(notice="Simulated data.", at=AT)
    )
