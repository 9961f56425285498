"""Small forecasts with numbers that can be worked by hand."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tranquillite_ml.forecasts import Forecasts


def build(
    expected: Mapping[str, Any],
    observed: Any,
    *,
    area: Any = 0.1,
    outside: Any = 0.0,
    categories: Any = "noise",
    cutoffs: Any = None,
    distribution: str = "poisson",
    study_area_km2: float | None = None,
    **values: Any,
) -> Forecasts:
    """Forecasts of several models of the same outcomes; a row of `observed` is a map, by default a fold."""
    seen = np.atleast_2d(np.asarray(observed, dtype=float))
    n_maps, n_cells = seen.shape
    if cutoffs is None:
        cutoffs = range(n_maps)
    first = pd.Timestamp("2024-01-01", tz="Europe/Paris")
    when = [first + pd.DateOffset(days=28 * number) for number in cutoffs]
    maps = pd.DataFrame(
        {
            "category": categories,
            "cutoff": when,
            "horizon": 1,
            "period_start": when,
            "period_end": [begin + pd.DateOffset(days=7) for begin in when],
            "exposure_hours": 168.0,
            "distribution": distribution,
            "level": 0.9,
            "outside_count": outside,
        }
    )
    keys = pd.concat([maps.assign(model=name) for name in expected], ignore_index=True)
    stacked = {
        name: np.tile(np.broadcast_to(array, seen.shape), (len(expected), 1))
        for name, array in values.items()
    }
    stacked["expected_count"] = np.concatenate(
        [np.broadcast_to(array, seen.shape) for array in expected.values()]
    )
    stacked["observed_count"] = np.tile(seen, (len(expected), 1))
    meta = {"tz": "Europe/Paris"} | ({"study_area_km2": study_area_km2} if study_area_km2 else {})
    cells = np.arange(1, n_cells + 1, dtype=np.uint64)
    return Forecasts(keys, cells, np.broadcast_to(np.asarray(area, dtype=float), (n_cells,)), stacked, meta)


@pytest.fixture(scope="session")
def make_forecasts() -> Callable[..., Forecasts]:
    return build


@pytest.fixture(scope="session")
def city() -> Forecasts:
    """Thirteen folds of two categories: the truth, a blurred count with ties, and a wrong constant."""
    rng = np.random.default_rng(7)
    rate = np.repeat(rng.gamma(0.4, 0.8, (2, 300)), 13, axis=0)
    seen = rng.poisson(rate)
    return build(
        {"count_365d": rng.poisson(rate * 6) / 6 + 0.01, "truth": rate, "constant": np.full(rate.shape, 0.5)},
        seen,
        categories=["noise"] * 13 + ["waste"] * 13,
        cutoffs=[*range(13), *range(13)],
        area=rng.uniform(0.09, 0.11, 300),
        outside=rng.poisson(2, 26),
        lower=0.0,
        upper=3.0,
    )
