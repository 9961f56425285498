"""The ST-HSL tensor: published figures of plain means, the functional of the masked error, the whole way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tranquillite_ml.benchmarks.models import model_maker
from tranquillite_ml.benchmarks.sthsl import (
    plain_means,
    read_tensor,
    run_sthsl,
    score_rows,
    truncated_median,
)
from tranquillite_ml.errors import InputDataError
from tranquillite_ml.forecasters import Count365
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

PUBLISHED = {  # theft, battery, assault, damage
    ("mean_365d_fixed", "mae"): [0.539, 0.449, 0.266, 0.356],
    ("mean_365d_fixed", "rmse"): [1.206, 0.916, 0.548, 0.732],
    ("mean_365d_fixed", "masked_mae"): [1.322, 1.151, 0.767, 0.873],
    ("mean_30d", "mae"): [0.537, 0.444, 0.265, 0.357],
    ("mean_30d", "rmse"): [1.179, 0.912, 0.554, 0.740],
    ("mean_365d", "deviance"): [0.562, 0.505, 0.417, 0.509],
}
NAMES = ["THEFT", "BATTERY", "ASSAULT", "CRIMINAL DAMAGE"]


def test_plain_means_score_as_published(shared: Callable[[str], Path]) -> None:
    tensor = read_tensor(shared("data/chicago/sthsl_tensor.npz"))
    panel = tensor.panel
    assert (panel.n_cells, panel.n_bins, tensor.test_days) == (168, 731, 92)
    # Squares of 1/37 of a degree by 1/28: 9 km² nominally.
    assert panel.grid.area_km2.mean() == pytest.approx(8.95, abs=0.05)
    count = Count365(Target(panel.categories), calibration_days=0).fit(panel, 639)
    first = count.forecast(panel, 639)
    keys = [first.keys.assign(**_moments(panel, day)) for day in range(639, 731)]
    values = {"expected_count": np.tile(first.expected_count, (92, 1))}
    like = Forecasts(pd.concat(keys, ignore_index=True), first.cells, first.area_km2, values, first.meta)
    table = score_rows(plain_means(panel, like), n_boot=10)
    values = table.set_index(["method", "measure", "category"])["value"].round(3)
    for (method, measure), wanted in PUBLISHED.items():
        assert [values[method, measure, name] for name in NAMES] == pytest.approx(wanted, abs=0.0011)


@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("mean", [0.01, 0.9, 1.7, 3.4, 12.0])
def test_the_truncated_median_minimises_the_masked_error(mean: float, alpha: float) -> None:
    k = np.arange(400)
    law = stats.nbinom(1 / alpha, 1 / (1 + alpha * mean)) if alpha else stats.poisson(mean)
    weight = law.pmf(k) * (k > 0)
    errors = [float((weight * np.abs(k - guess)).sum()) for guess in range(60)]
    found = truncated_median(np.array([mean]), np.array([alpha]))
    assert errors[int(found[0])] == pytest.approx(min(errors), rel=1e-12)


def test_scores_by_hand() -> None:
    # Day 1: 0 and 2 seen, 1 and 1 forecast: off by 1 and 1, deviance 2·1 and 2·(2·log 2 − 1).
    keys = pd.DataFrame(
        {
            "model": ["m"],
            "category": ["noise"],
            "horizon": [1],
            "cutoff": [pd.Timestamp("2024-01-01", tz="UTC")],
            "distribution": ["poisson"],
            "outside_count": [0.0],
        }
    )
    values = {"expected_count": np.array([[1.0, 1.0]]), "observed_count": np.array([[0.0, 2.0]])}
    seen = Forecasts(keys, np.array([1, 2], np.uint64), np.full(2, 9.0), values, {})
    table = score_rows(seen).set_index(["method", "measure"])
    value = table["value"]
    assert value["m", "mae"] == value["m", "rmse"] == value["m", "masked_mae"] == 1.0
    assert value["m", "deviance"] == pytest.approx((2 + 2 * (2 * np.log(2) - 1)) / 2)
    assert value["m", "masked_mape"] == 0.5
    assert value["m", "oe"] == 1.0
    assert table.loc[("m", "mae"), "n"] == 2
    assert table.loc[("m", "masked_mae"), "n"] == 1
    assert value["constant 1", "masked_mae"] == 1.0
    assert ("m: truncated median", "deviance") not in table.index


@pytest.mark.usefixtures("no_plots")
def test_a_tensor_goes_the_whole_way(tensor_file: Path, tmp_path: Path) -> None:
    done = run_sthsl(tensor_file, output=tmp_path / "out", make_model=model_maker("none"))
    assert done["categories"] == ["ASSAULT", "THEFT"]
    assert done["n_days"] == 6
    assert all(Path(path).is_file() for paths in done["paths"].values() for path in paths)
    assert "constant 1" in (tmp_path / "out" / "sthsl.md").read_text(encoding="utf-8")
    stored = read_tensor(tensor_file)
    with np.load(tensor_file) as parts:
        counts = parts["counts"]
    assert stored.panel.counts("THEFT")[5, 3] == counts[1, 1, 5, 0]  # cell 3 is row 1, column 1


def test_a_tensor_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"none\.npz does not exist: give a file with a tensor"):
        read_tensor(tmp_path / "none.npz")
    with pytest.raises(InputDataError, match="is a folder: give a file with a tensor"):
        read_tensor(tmp_path)
    for name, content in (("text.npz", b"rows, columns"), ("cut.npz", b"PK\x03\x04"), ("empty.npz", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            InputDataError, match=r"must be an \.npz with counts.row, column, day, category"
        ) as told:
            read_tensor(tmp_path / name)
        assert "pickle" not in str(told.value)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(InputDataError, match=r"must be an \.npz"):
        read_tensor(tmp_path / "one.npy")
    np.savez(tmp_path / "bare.npz", counts=np.zeros((2, 2, 5, 1)))
    with pytest.raises(InputDataError, match="lacks \\['categories', 'start_date'\\]"):
        read_tensor(tmp_path / "bare.npz")
    for shape in ((2, 2, 5), (2, 2, 5, 3)):
        np.savez(tmp_path / "off.npz", counts=np.zeros(shape), categories=["A"], start_date="2020-01-01")
        with pytest.raises(InputDataError, match="1 categories: the shape must be"):
            read_tensor(tmp_path / "off.npz")


def _moments(panel: Panel, day: int) -> dict[str, pd.Timestamp]:
    begin, end = panel.bins.instants(np.array([day, day + 1]))
    return {"cutoff": begin, "period_start": begin, "period_end": end}
