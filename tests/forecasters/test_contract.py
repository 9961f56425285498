"""What every forecaster must do, run on each of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from tests.builders import make_panel
from tranquillite_ml.errors import BundleError, NotFittedError, NotSaveableError, UsageError
from tranquillite_ml.evaluation.backtest import backtest
from tranquillite_ml.evaluation.canaries import leakage_canary
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters import (
    EnsembleForecaster,
    Forecaster,
    LightGBMForecaster,
    PoissonForecaster,
    SmoothedCount,
    TabularForecaster,
    all_forecasters,
    open_bundle,
)
from tranquillite_ml.panel import Panel
from tranquillite_ml.splits import RollingOrigin
from tranquillite_ml.target import Target

TARGETS = {
    "week": (Target("noise", period=7), "1D"),
    "days": (Target(["noise", "theft"], horizons=range(1, 8)), "1D"),
    "shifts": (Target("noise", horizons=range(1, 22)), "8h"),
}
KINDS = all_forecasters()
SMALL = FeatureSet.from_list(
    [
        {"history": {"windows": [7, 28], "decays": [60]}},
        {"neighbourhood": {"rings": 1, "windows": [28]}},
        "calendar",
    ]
)


def make(kind: type[Forecaster], target: Target) -> Forecaster:
    if kind is EnsembleForecaster:
        return kind(target, [SmoothedCount(target), PoissonForecaster(target, SMALL)], calibration_days=28)
    learns = "features" in kind(target).get_params(deep=False)
    return kind(target, calibration_days=28, **({"features": SMALL} if learns else {}))


def data(freq: str = "1D", delay: int = 0) -> Panel:
    return make_panel(200 if freq == "1D" else 450, rings=3, rate=0.15, freq=freq, delay=delay, seed=1)


def test_there_are_forecasters() -> None:
    assert len(KINDS) >= 7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", TARGETS)
def test_forecasts_are_complete_and_coherent(kind: type[Forecaster], case: str) -> None:
    target, freq = TARGETS[case]
    panel = data(freq)
    found = make(kind, target).fit(panel).forecast(panel)
    assert len(found.keys) == len(target.categories) * len(target.horizons)
    assert (found.expected_count > 0).all()
    assert ((found.prob_any > 0) & (found.prob_any < 1)).all()
    assert (found.lower <= found.upper).all()
    for limit in (found.lower, found.upper):
        assert ((limit >= 0) & (limit == np.round(limit))).all()
    assert (found.keys["period_start"] >= found.keys["cutoff"]).all()
    hours = panel.bins.hours * target.period
    assert set(found.keys["exposure_hours"]) <= {hours - 1.0, float(hours), hours + 1.0}
    # The law's mean is calibrated: within a half and the double of the long-run mean on stationary noise.
    mean = panel.counts("noise").mean() * target.period
    assert 0.5 < found.select(category="noise").expected_count.mean() / mean < 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delay", [0, 5])
def test_the_future_cannot_be_seen(kind: type[Forecaster], delay: int) -> None:
    """Dropping all that was reported after the cutoff leaves fit, calibration and forecast byte-identical."""
    target = Target("noise", period=7)
    panel = data(delay=delay)
    whole = make(kind, target).fit(panel, 180).forecast(panel, 180)
    cut = panel.until(180)
    past = make(kind, target).fit(cut).forecast(cut)
    for name in ("expected_count", "dispersion", "prob_any", "lower", "upper"):
        assert whole.values[name].tobytes() == past.values[name].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_same_inputs_same_bytes(kind: type[Forecaster]) -> None:
    panel = data()
    target = Target("noise", period=7)
    one, two = (make(kind, target).fit(panel).forecast(panel) for _ in range(2))
    assert one.expected_count.tobytes() == two.expected_count.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_opened_forecasts_the_same(kind: type[Forecaster], tmp_path: Path) -> None:
    panel = data()
    fitted = make(kind, Target("noise", period=7)).fit(panel)
    opened = open_bundle(fitted.save(tmp_path / "model"))
    one, two = fitted.forecast(panel), opened.forecast(panel)
    assert one.expected_count.tobytes() == two.expected_count.tobytes()
    assert one.upper.tobytes() == two.upper.tobytes()
    again = open_bundle(opened.recalibrate(panel, 190).save(tmp_path / "again"))
    assert again.calibrated_until_ != fitted.calibrated_until_
    assert not list(tmp_path.rglob("*.pkl"))


@pytest.mark.parametrize("kind", KINDS)
def test_scikit_learn_conventions(kind: type[Forecaster]) -> None:
    made = make(kind, Target("noise", period=7))
    twin = clone(made)
    assert twin.get_params(deep=False).keys() == made.get_params(deep=False).keys()
    assert not hasattr(twin, "models_")
    with pytest.raises(NotFittedError, match="call fit"):
        made.forecast(data())


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_can_be_known_of_noise(kind: type[Forecaster]) -> None:
    results = leakage_canary(lambda target: make(kind, target), days=300, rings=4, folds=10)
    assert [result.kind for result in results] == ["white noise", "shuffled"]
    for result in results:
        assert result.n_incidents > 0
        assert not result.leaks, result


def test_the_canary_sings_on_a_leak() -> None:
    class Peeking(KINDS[0]):  # type: ignore[misc, valid-type]
        name = "peeking"

        def forecast(self, panel: Panel, cutoff: int) -> object:
            found = super().forecast(panel, cutoff)
            seen = panel.counts("noise", cutoff, cutoff + 1)
            found.values["expected_count"] = 0.9 * found.expected_count + 0.1 * seen
            return found

    results = leakage_canary(lambda target: Peeking(target, calibration_days=28), days=300, rings=4, folds=10)
    assert all(result.leaks for result in results)


def test_a_changed_byte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = make(LightGBMForecaster, Target("noise", period=7)).fit(data()).save(tmp_path / "model")
    text = path / "text_0.txt"
    content = bytearray(text.read_bytes())
    content[len(content) // 2] ^= 1
    text.write_bytes(bytes(content))
    with pytest.raises(BundleError, match="has changed since it was saved"):
        open_bundle(path)


@pytest.mark.parametrize("change", ["missing", "added", "manifest"])
def test_an_incomplete_bundle_is_refused(tmp_path: Path, change: str) -> None:
    path = make(KINDS[0], Target("noise", period=7)).fit(data()).save(tmp_path / "model")
    if change == "missing":
        (path / "arrays.npz").unlink()
    elif change == "added":
        (path / "extra.py").write_text("")
    else:
        (path / "manifest.json").write_text("{}")
    with pytest.raises(BundleError):
        open_bundle(path)


def test_what_only_pickle_could_write_is_not_saved(tmp_path: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(loss="poisson", max_iter=10)
    fitted = TabularForecaster(Target("noise", period=7), trees, SMALL, calibration_days=28).fit(data())
    assert (fitted.forecast(data()).expected_count > 0).all()
    with pytest.raises(NotSaveableError, match="pickle"):
        fitted.save(tmp_path / "model")


def test_too_little_history_is_refused() -> None:
    with pytest.raises(UsageError, match="too short"):
        make(KINDS[0], Target("noise", period=7)).fit(data(), 40)


def test_zero_sampling_keeps_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tranquillite_ml.forecasters.sampling.WHOLE", 0)
    panel = data()
    model = LightGBMForecaster(Target("noise"), SMALL, zeros=0.2, start="smoothed")
    sample = model._sample(panel, "noise", 30, 200, 0)
    whole = LightGBMForecaster(Target("noise"), SMALL, zeros=1.0, start="smoothed")
    full = whole._sample(panel, "noise", 30, 200, 0)
    assert sample.outcome.sum() == full.outcome.sum()  # every row with an incident is kept
    assert len(sample.outcome) < 0.5 * len(full.outcome)
    assert abs(sample.weight.sum() / full.weight.sum() - 1) < 0.05


def test_backtest_holds_every_fold_with_its_outcome() -> None:
    panel = data()
    target = Target("noise", period=7)
    found = backtest(
        [make(KINDS[0], target), make(KINDS[1], target)], panel, RollingOrigin(folds=3, every="14D")
    )
    assert found.models == ["count_365d", "count_all"]
    assert found.keys.groupby("model").size().tolist() == [3, 3]
    start = panel.bins.index_at(found.keys["cutoff"][0])
    np.testing.assert_array_equal(
        found.observed_count[0], panel.counts("noise", start, start + 7).sum(axis=0)
    )
    with pytest.raises(UsageError, match="different names"):
        backtest([make(KINDS[0], target)] * 2, panel, RollingOrigin(folds=1))
