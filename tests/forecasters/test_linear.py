"""Linear forecasters: against scikit-learn, a general optimiser, and truths that were planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import gammaln
from sklearn.linear_model import PoissonRegressor

from tests.builders import make_panel
from tranquillite_ml.errors import UsageError
from tranquillite_ml.features import Calendar, FeatureSet, History
from tranquillite_ml.forecasters import (
    NegativeBinomialForecaster,
    PoissonForecaster,
    SmoothedCount,
    compact_features,
    open_bundle,
)
from tranquillite_ml.forecasters.generalised import fit_glm, robust_errors
from tranquillite_ml.forecasters.linear import LinearModel
from tranquillite_ml.target import Target

TARGET = Target("noise", period=7)


def planted(n: int = 4000, seed: int = 0, dispersion: float = 0.0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(n), rng.normal(size=(n, 3))])
    offset = rng.normal(-0.5, 0.5, n)
    mean = np.exp(offset + design @ np.array([0.2, 0.5, -0.3, 0.0]))
    if dispersion:
        mean = mean * rng.gamma(1 / dispersion, dispersion, n)
    return design, rng.poisson(mean).astype(float), offset, rng.uniform(0.5, 2.0, n)


@pytest.mark.parametrize("ridge", [0.0, 25.0])
def test_poisson_agrees_with_scikit_learn(ridge: float) -> None:
    design, outcome, offset, weight = planted()
    fit = fit_glm(design, outcome, offset, weight, ridge=ridge)
    # The loss on the ratio y / e, weighted with w e, is the Poisson loss with offset log e. Theirs is divided
    # by the sum of the weights, so the penalty is, too.
    mass = weight * np.exp(offset)
    theirs = PoissonRegressor(alpha=ridge / mass.sum(), tol=1e-10, max_iter=1000)
    theirs.fit(design[:, 1:], outcome / np.exp(offset), sample_weight=mass)
    np.testing.assert_allclose(fit.coefficients, [theirs.intercept_, *theirs.coef_], atol=2e-5)
    assert fit.dispersion == 0


@pytest.mark.parametrize("ridge", [0.0, 25.0])
def test_negative_binomial_agrees_with_a_general_optimiser(ridge: float) -> None:
    design, outcome, offset, weight = planted(dispersion=0.8)
    fit = fit_glm(design, outcome, offset, weight, ridge=ridge, overdispersed=True)

    def loss(at: np.ndarray) -> float:
        size, mean = np.exp(-at[0]), np.exp(offset + design @ at[1:])
        log_pmf = (
            gammaln(outcome + size)
            - gammaln(size)
            - gammaln(outcome + 1)
            + size * np.log(size / (size + mean))
            + outcome * np.log(mean / (size + mean))
        )
        return float(0.5 * ridge * (at[2:] ** 2).sum() - (weight * log_pmf).sum())

    found = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-3})
    np.testing.assert_allclose(fit.coefficients, found.x[1:], atol=1e-4)
    assert fit.dispersion == pytest.approx(np.exp(found.x[0]), rel=1e-3)
    assert fit.dispersion == pytest.approx(0.8, abs=0.15)  # what was planted


def test_a_negative_binomial_of_poisson_counts_is_poisson() -> None:
    design, outcome, offset, weight = planted(seed=3)
    plain = fit_glm(design, outcome, offset, weight)
    wide = fit_glm(design, outcome, offset, weight, overdispersed=True)
    assert wide.dispersion < 0.03
    np.testing.assert_allclose(wide.coefficients, plain.coefficients, atol=0.01)


def test_robust_errors_by_hand() -> None:
    # Counts 1, 1, 4 in three clusters, mean 2. Score of a cluster: y - 2 = -1, -1, 2. Information: 3 · 2 = 6.
    # Variance: (1 + 1 + 4) / 6² · 3 / 2 = 1/4.
    outcome = np.array([1.0, 1.0, 4.0])
    fit = fit_glm(np.ones((3, 1)), outcome, np.zeros(3), np.ones(3))
    assert robust_errors(fit, np.ones((3, 1)), np.arange(3))[0] == pytest.approx(0.5)
    assert np.isnan(robust_errors(fit, np.ones((3, 1)), np.zeros(3, dtype=int))[0])


def test_robust_errors_cover_what_repeats() -> None:
    """Rows copied four times know no more than once: errors by cluster stay, and counts of rows do not."""
    design, outcome, offset, weight = planted(800, seed=1)
    once = fit_glm(design, outcome, offset, weight)
    copied = (np.tile(part, (4, 1)) if part.ndim == 2 else np.tile(part, 4) for part in (design, outcome))
    rows, counts = copied
    four = fit_glm(rows, counts, np.tile(offset, 4), np.tile(weight, 4))
    cluster = np.arange(800)
    np.testing.assert_allclose(
        robust_errors(four, rows, np.tile(cluster, 4)), robust_errors(once, design, cluster), rtol=1e-6
    )
    naive = np.sqrt(np.diag(np.linalg.inv(once.information)))
    np.testing.assert_allclose(robust_errors(once, design, cluster), naive, rtol=0.35)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1e4), st.booleans())
def test_a_larger_ridge_never_makes_coefficients_larger(seed: int, ridge: float, wide: bool) -> None:
    design, outcome, offset, weight = planted(200, seed)
    small, large = (
        fit_glm(design, outcome, offset, weight, ridge=value, overdispersed=wide)
        for value in (ridge, ridge * 2)
    )
    norm = [np.linalg.norm(fit.coefficients[1:]) for fit in (small, large)]
    assert norm[1] <= norm[0] * (1 + 1e-4) + 1e-6
    assert all(np.isfinite(fit.coefficients).all() for fit in (small, large))


@pytest.mark.parametrize("kind", [PoissonForecaster, NegativeBinomialForecaster])
def test_the_table_says_what_the_forecast_does(kind: type[PoissonForecaster]) -> None:
    """One standard deviation more of a feature multiplies the raw rate by its factor."""
    fitted = kind(TARGET, calibration_days=28).fit(make_panel(300, 2, rate=0.3))
    table = fitted.coefficients("noise").set_index("name")
    model: LinearModel = fitted.models_["noise"]
    at = model.names.index("long_run_mean")
    low = model.mean.copy()
    high = low.copy()
    high[at] += model.deviation[at]
    # A feature that enters as the logarithm L is size · (exp |L| - 1) · sign(L).
    rows = np.sign([low, high]) * np.expm1(np.abs([low, high])) * model.size
    columns = dict(zip(model.names, np.array(rows).T, strict=True))
    one, two = fitted._log_factor(model, columns)
    assert np.exp(two - one) == pytest.approx(table["factor"]["long_run_mean"], rel=1e-9)
    assert table["factor"]["long_run_mean"] == pytest.approx(np.exp(table["coefficient"]["long_run_mean"]))


def test_the_table_carries_n_and_intervals() -> None:
    panel = make_panel(300, 2, rate=0.3)
    fitted = PoissonForecaster(TARGET, calibration_days=28).fit(panel)
    table = fitted.coefficients("noise")
    said = table[table["n"] > 0]
    assert (said["lower"] < said["factor"]).all()
    assert (said["factor"] < said["upper"]).all()
    assert said["coefficient"].abs().is_monotonic_decreasing
    # Trained on bins 28 … 271, of which 244 // 28 + 1 = 9 spans of four weeks have a row.
    assert set(table["n_clusters"]) == {9}
    assert set(table["n_incidents"]) == {int(panel.counts("noise", 28, 272).sum())}
    # Within 272 days there is no year before: that feature never varies.
    silent = table[table["name"] == "same_period_last_year"].iloc[0]
    assert silent["n"] == 0
    assert silent[["coefficient", "standard_error", "factor", "lower", "upper"]].isna().all()
    wide = fitted.coefficients("noise", level=0.99)
    assert (wide["upper"] >= table["upper"])[table["n"] > 0].all()
    with pytest.raises(UsageError, match="category must be one of"):
        fitted.coefficients("nois")


def test_few_spans_have_no_interval() -> None:
    table = (
        PoissonForecaster(TARGET, calibration_days=28).fit(make_panel(120, 2, rate=0.3)).coefficients("noise")
    )
    assert set(table["n_clusters"]) == {3}
    assert table["lower"].isna().all()
    assert table["factor"].notna().any()


def test_a_planted_season_is_found() -> None:
    """Counts double in one half of each year: the season's coefficients must say so, and little else."""
    panel = make_panel(1200, 3, rate=0.3, seed=2)
    day = panel._arrays["bin"] % 365
    panel._arrays["count"] = panel._arrays["count"] * np.where(day < 182, 2, 1).astype(np.int32)
    features = FeatureSet([History(windows=(365,), decays=(), others=False), Calendar()])
    table = PoissonForecaster(TARGET, features, calibration_days=28).fit(panel).coefficients("noise")
    season = table[table["name"].str.startswith("season")]
    swing = np.hypot(*season["coefficient"]) * np.sqrt(2)
    # A square wave between 1 and 2: its first harmonic on the log scale is 2/π · log 2 = 0.44.
    assert swing == pytest.approx(0.44, abs=0.08)


def test_beyond_what_was_seen_features_are_held() -> None:
    fitted = PoissonForecaster(TARGET, calibration_days=28).fit(make_panel(300, 2, rate=0.3))
    model: LinearModel = fitted.models_["noise"]
    far, farther = (
        {name: np.full(1, scale, dtype=np.float32) for name in model.names} for scale in (1e6, 1e9)
    )
    assert fitted._log_factor(model, far) == fitted._log_factor(model, farther)
    missing = {name: np.full(1, np.nan, dtype=np.float32) for name in model.names}
    assert fitted._log_factor(model, missing)[0] == pytest.approx(model.coefficients[0])


def test_saved_coefficients_are_the_same(tmp_path: Path) -> None:
    fitted = NegativeBinomialForecaster(TARGET, ridge=3.0, calibration_days=28).fit(
        make_panel(300, 2, rate=0.3)
    )
    opened = open_bundle(fitted.save(tmp_path / "model"))
    assert isinstance(opened, NegativeBinomialForecaster)
    assert opened.ridge == 3.0
    assert opened.coefficients("noise").equals(fitted.coefficients("noise"))


def test_a_great_ridge_leaves_the_smoothed_count() -> None:
    panel = make_panel(300, 2, rate=0.3)
    ours = PoissonForecaster(TARGET, ridge=1e12, calibration_days=0).fit(panel).forecast(panel).expected_count
    plain = SmoothedCount(TARGET, calibration_days=0).fit(panel).forecast(panel).expected_count
    np.testing.assert_allclose(ours / plain, (ours / plain)[0, 0], rtol=1e-6)  # one factor for all


def test_a_negative_ridge_is_refused() -> None:
    with pytest.raises(UsageError, match="ridge must be at least 0"):
        PoissonForecaster(TARGET, ridge=-1.0).fit(make_panel(200, 1))


def test_the_compact_features_are_few() -> None:
    panel = make_panel(60)
    assert len(compact_features().names(TARGET, panel.bins)) <= 20
