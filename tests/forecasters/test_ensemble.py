"""Ensemble: pooling by hand, weights against a general optimiser, and nothing of the future."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from tests.builders import make_panel
from tranquillite_ml.errors import BundleError, ConfigError, NotSaveableError, UsageError
from tranquillite_ml.features import Calendar, FeatureSet, History, View
from tranquillite_ml.forecasters import (
    Count365,
    EnsembleForecaster,
    Forecaster,
    LightGBMForecaster,
    PoissonForecaster,
    SmoothedCount,
    TabularForecaster,
    make_model,
    open_bundle,
)
from tranquillite_ml.forecasters.pooling import pool_weights
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target

TARGET = Target("noise", period=7)
SMALL = FeatureSet([History(windows=(28,), decays=()), Calendar()])


class Fixed(Forecaster):
    """The same rate everywhere, or one that rises from cell to cell."""

    name = "fixed"

    def __init__(
        self, target: Target, rate: float = 1.0, slope: float = 0.0, *, calibration_days: float = 0
    ) -> None:
        super().__init__(target, calibration_days=calibration_days)
        self.rate = rate
        self.slope = slope

    def _train(self, panel: Panel, category: str) -> None:
        """Nothing to learn."""

    def _rate(self, view: View) -> np.ndarray:
        return np.broadcast_to(self.rate * np.exp(self.slope * np.arange(view.shape[1])), view.shape)


class Fixed4(Fixed):
    name = "fixed_4"


class Copy(SmoothedCount):
    name = "copy"


def members() -> list[Forecaster]:
    return [SmoothedCount(TARGET), PoissonForecaster(TARGET, SMALL), Count365(TARGET)]


def some(seed: int = 0, n_members: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.gamma(0.7, 0.5, size=(30, 40))
    logs = np.log(truth + 0.01) + rng.normal(0, 0.6, size=(n_members, 30, 40))
    return rng.poisson(truth).astype(float), logs, rng.uniform(0.1, 1.0, 30)


# ---------------------------------------------------------------------- weights


@pytest.mark.parametrize("trust", [0.0, 20.0])
def test_weights_agree_with_a_general_optimiser(trust: float) -> None:
    outcome, logs, weight = some()

    def loss(at: np.ndarray) -> float:
        """Of the normaliser and three weights as shares exp(a) / Σ exp(a), which have no bounds."""
        shares = np.exp([at[1], at[2], 0.0])
        shares /= shares.sum()
        log_mean = at[0] + np.tensordot(shares, logs, 1)
        log_likelihood = (weight[:, None] * (outcome * log_mean - np.exp(log_mean))).sum()
        return float(trust / 2 * 3 * ((shares - 1 / 3) ** 2).sum() - log_likelihood)

    found = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-4})
    shares = np.exp([*found.x[1:], 0.0])
    weights, _, normaliser = pool_weights(outcome, logs, weight, trust=trust)
    np.testing.assert_allclose(weights, shares / shares.sum(), atol=2e-4)
    # Half an incident is added to what was recorded, of some hundred.
    assert normaliser == pytest.approx(found.x[0], abs=0.01)


def test_the_normaliser_by_hand() -> None:
    # Two members, alike: rates 1 and 4 in two cells. With all that trust weights are 1/2; the pool is 1 and
    # 4, in sum 5; 9.5 + 0.5 incidents were recorded: a factor of 2.
    logs = np.log(np.array([[[1.0, 4.0]], [[1.0, 4.0]]]))
    weights, _, normaliser = pool_weights(np.array([[2.0, 7.5]]), logs, np.ones(1), trust=1e9)
    np.testing.assert_allclose(weights, [0.5, 0.5], atol=1e-6)
    assert np.exp(normaliser) == pytest.approx(2.0, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0, 20.0, 1000.0]))
def test_weights_are_never_negative_and_copies_share(seed: int, trust: float) -> None:
    outcome, logs, weight = some(seed, 2)
    copied = logs[[0, 0, 1]]
    weights, errors, _ = pool_weights(outcome, copied, weight, trust=trust)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    assert np.isfinite(errors).all()
    assert weights[0] == pytest.approx(weights[1], abs=1e-5)
    if trust == 0:  # without trust in equality a copy changes nothing: the pair has the weight of the one
        alone, _, _ = pool_weights(outcome, logs, weight, trust=0.0)
        np.testing.assert_allclose([weights[0] + weights[1], weights[2]], alone, atol=1e-4)


def test_much_trust_makes_weights_equal() -> None:
    weights, _, _ = pool_weights(*some(1), trust=1e9)
    np.testing.assert_allclose(weights, 1 / 3, atol=1e-5)


def test_nothing_recorded_leaves_weights_equal() -> None:
    outcome, logs, weight = some(2)
    weights, _, normaliser = pool_weights(np.zeros_like(outcome), logs, weight)
    np.testing.assert_allclose(weights, 1 / 3, atol=1e-9)
    assert np.isfinite(normaliser)


# ---------------------------------------------------------------------- the forecaster


def test_pooling_by_hand() -> None:
    """Two members that differ by a factor only: weights are alike, and the normaliser mends the level."""
    panel = make_panel(200, 1, rate=0.3)
    pair = [Fixed(TARGET, 1.0), Fixed4(TARGET, 4.0)]
    ensemble = EnsembleForecaster(TARGET, pair, weights_days=56, calibration_days=0)
    pool = ensemble.fit(panel).models_["noise"]
    # Constant maps say nothing of places: weights stay at 1/2, √(1 · 4) = 2, and the rest is the normaliser.
    np.testing.assert_allclose(pool.weights, 0.5)
    view = View(panel, "noise", TARGET, np.array([200]))
    np.testing.assert_allclose(ensemble._rate(view), 2 * np.exp(pool.normaliser))
    seen = View(panel, "noise", TARGET, np.arange(144, 194)).outcome()
    # 50 pseudo-cutoffs, weighing 56 / 7 / 50 each; half an incident is added.
    weight = 56 / 7 / 50
    assert 2 * np.exp(pool.normaliser) == pytest.approx((weight * seen.sum() + 0.5) / (weight * seen.size))


def test_the_pool_lies_between_its_members_up_to_the_normaliser() -> None:
    panel = make_panel(300, 2, rate=0.3)
    ensemble = EnsembleForecaster(TARGET, members(), calibration_days=28).fit(panel)
    pool = ensemble.models_["noise"]
    view = View(panel, "noise", TARGET, np.array([280, 300]))
    logs = np.log([member._rate(view) for member in pool.members])
    mean = np.tensordot(pool.weights, logs, 1)
    assert ((logs.min(axis=0) - 1e-9 <= mean) & (mean <= logs.max(axis=0) + 1e-9)).all()
    np.testing.assert_allclose(
        np.log(ensemble._rate(view)), pool.normaliser + np.tensordot(pool.weights, logs, 1), rtol=1e-9
    )


def test_a_copy_gets_the_same_weight() -> None:
    panel = make_panel(300, 2, rate=0.3)
    two = EnsembleForecaster(TARGET, [SmoothedCount(TARGET), Copy(TARGET), Count365(TARGET)]).fit(panel)
    weights = two.weights_.set_index("member")["weight"]
    assert weights["smoothed_count"] == pytest.approx(weights["copy"], abs=1e-6)


def test_a_member_that_knows_wins() -> None:
    """Rates that rise from cell to cell against rates that fall: the first is right."""
    panel = make_panel(400, 2, rate=0.3, seed=5)
    keep = np.random.default_rng(0).random(len(panel._arrays["cell"])) < panel._arrays["cell"] / 18
    arrays = {name: values[keep] for name, values in panel._arrays.items()}
    rising = Panel(panel.grid, panel.bins, panel.categories, panel.origins, arrays)
    right, wrong = Fixed(TARGET, 0.1, 0.15), Fixed4(TARGET, 0.1, -0.15)
    table = EnsembleForecaster(TARGET, [right, wrong], trust=1.0).fit(rising).weights_.set_index("member")
    assert table["weight"]["fixed"] > table["weight"]["fixed_4"] + 0.3
    assert (table["lower"] <= table["weight"]).all()
    assert (table["weight"] <= table["upper"]).all()
    assert table[["lower", "upper"]].isin([np.nan]).sum().sum() == 0
    assert table["lower"].min() >= 0
    assert table["upper"].max() <= 1
    assert (table["n_incidents"] > 0).all()


@pytest.mark.parametrize("retrain", [True, False])
def test_weights_rest_on_their_window_only(retrain: bool) -> None:
    """What happens after the window of the weights, in the calibration window or later, changes no weight."""
    panel = make_panel(300, 2, rate=0.3)
    arrays = {name: values.copy() for name, values in panel._arrays.items()}
    later = arrays["bin"] >= 272  # the calibration window
    arrays["count"][later] *= 5
    changed = Panel(panel.grid, panel.bins, panel.categories, panel.origins, arrays)
    one, two = (
        EnsembleForecaster(TARGET, members(), calibration_days=28, retrain=retrain).fit(each)
        for each in (panel, changed)
    )
    assert one.weights_.equals(two.weights_)
    assert one.calibrator_["noise"].n_incidents < two.calibrator_["noise"].n_incidents


def test_members_have_not_seen_what_weights_are_learnt_on() -> None:
    """When weights are learnt, no member was trained on an outcome of their window."""
    seen: list[int] = []

    class Watching(SmoothedCount):
        name = "watching"

        def _train(self, panel: Panel, category: str) -> None:
            seen.append(panel.n_bins)

    panel = make_panel(300, 2, rate=0.3)
    pair = [Watching(TARGET), Count365(TARGET)]
    ensemble = EnsembleForecaster(TARGET, pair, weights_days=60, calibration_days=28)
    view, weight = ensemble._window_view(panel.until(272), "noise", 212)
    ensemble.fit(panel)
    # 300 − 28 = 272 bins before the calibration window, 60 of them for weights; then trained again on 272.
    assert seen == [212, 272]
    assert view.rows.min() >= 212
    assert (view.rows + TARGET.reach).max() <= 272
    assert weight.sum() == pytest.approx((272 - view.rows[0]) / 7)
    seen.clear()
    ensemble.set_params(retrain=False).fit(panel)
    assert seen == [212]


def test_several_categories_and_horizons_are_saved_and_opened(tmp_path: Path) -> None:
    target = Target(["noise", "theft"], horizons=range(1, 4))
    features = FeatureSet([History(windows=(28,), decays=()), Calendar()])
    panel = make_panel(220, 2, rate=0.3)
    pair = [
        LightGBMForecaster(target, features, n_estimators=20),
        PoissonForecaster(target, features),
        SmoothedCount(target),
    ]
    fitted = EnsembleForecaster(target, pair, calibration_days=28).fit(panel)
    opened = open_bundle(fitted.save(tmp_path / "model"))
    assert isinstance(opened, EnsembleForecaster)
    assert opened.weights_.equals(fitted.weights_)
    one, two = fitted.forecast(panel), opened.forecast(panel)
    for name in ("expected_count", "dispersion", "prob_any", "lower", "upper"):
        assert one.values[name].tobytes() == two.values[name].tobytes()
    # What was opened can be fitted anew, and saved again byte for byte.
    assert [member.name for member in opened.members or ()] == ["lightgbm", "poisson", "smoothed_count"]
    again = opened.save(tmp_path / "again")
    assert (again / "manifest.json").read_bytes() == (tmp_path / "model" / "manifest.json").read_bytes()
    refitted = opened.fit(panel).forecast(panel)
    assert refitted.expected_count.tobytes() == one.expected_count.tobytes()


def test_a_changed_member_is_refused(tmp_path: Path) -> None:
    pair = [PoissonForecaster(TARGET, SMALL), SmoothedCount(TARGET)]
    path = (
        EnsembleForecaster(TARGET, pair, calibration_days=28).fit(make_panel(220, 1)).save(tmp_path / "model")
    )
    text = path / "text_0.txt"
    text.write_text(text.read_text().replace("0", "1", 1))
    with pytest.raises(BundleError, match="has changed since it was saved"):
        open_bundle(path)


def test_a_member_that_cannot_be_saved_keeps_the_ensemble_from_it(tmp_path: Path) -> None:
    from sklearn.linear_model import PoissonRegressor

    pair = [TabularForecaster(TARGET, PoissonRegressor(), SMALL), SmoothedCount(TARGET)]
    fitted = EnsembleForecaster(TARGET, pair, calibration_days=28).fit(make_panel(220, 1))
    with pytest.raises(NotSaveableError, match="pickle"):
        fitted.save(tmp_path / "model")


@pytest.mark.parametrize(
    ("made", "match"),
    [
        (lambda: EnsembleForecaster(TARGET, []), "members with different names"),
        (lambda: EnsembleForecaster(TARGET, [Count365(TARGET)] * 2), "members with different names"),
        (lambda: EnsembleForecaster(TARGET, [Count365(Target("noise"))]), "share its target"),
        (lambda: EnsembleForecaster(TARGET, members(), weights_days=0), "weights_days must be above 0"),
    ],
)
def test_what_cannot_be_pooled_is_refused(made: object, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        made().fit(make_panel(220, 1))  # type: ignore[operator]


def test_made_by_name() -> None:
    names = ["lightgbm", "poisson", "smoothed_count"]
    made = make_model("ensemble", TARGET, FeatureSet(), random_state=4, calibration_days=30, members=names)
    assert isinstance(made, EnsembleForecaster)
    assert [member.name for member in made.members or ()] == names
    assert made.calibration_days == 30
    assert made.members is not None
    assert made.members[0].get_params(deep=False)["random_state"] == 4


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"members": "poisson"}, "members must be a list of names"),
        ({"members": ["poison"]}, "Did you mean 'poisson'"),
        ({"leaves": 3}, "does not take these parameters"),
    ],
)
def test_what_cannot_be_made_is_refused(params: dict[str, object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make_model("ensemble", TARGET, FeatureSet(), **params)


def test_the_default_members() -> None:
    found = [member.name for member in EnsembleForecaster(TARGET)._fresh("noise")]
    assert found == ["smoothed_count", "poisson", "lightgbm"]


def test_quiet_places_stay_as_quiet_as_a_member_says() -> None:
    """A rate far below the mean is pooled as it is; only one of next to nothing is lifted to the floor."""
    panel = make_panel(200, 2, rate=0.3)
    view = View(panel, "noise", TARGET, np.array([200]))
    for slope in (-0.5, -2.0):
        alone = EnsembleForecaster(TARGET, [Fixed(TARGET, 1.0, slope)], calibration_days=0).fit(panel)
        rate = Fixed(TARGET, 1.0, slope)._rate(view)
        lifted = np.maximum(rate, 1e-4 * rate.mean())
        assert (lifted > rate).any() == (slope == -2.0)
        np.testing.assert_allclose(alone._rate(view), lifted * np.exp(alone.models_["noise"].normaliser))
