"""Linear forecasters: a few standardised features, one coefficient each, with what is known of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd

from tranquillite_ml.bundle import Parts
from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.features import Calendar, FeatureSet, History, NearRepeat, Neighbourhood
from tranquillite_ml.forecasters.generalised import GlmFit, fit_glm, robust_errors
from tranquillite_ml.forecasters.learned import LearnedForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.calibration.calibrator import Intervals, Law
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.target import Target

CLUSTER_DAYS = 28
MIN_CLUSTERS = 5


def compact_features() -> FeatureSet:
    """Few features that a person can read: recent counts, the season, the surroundings, the city's level.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> bins = TimeBins("2024-01-01", 60, "1D", "Europe/Paris")
    >>> len(compact_features().names(Target("noise", period=7), bins))
    16
    """
    return FeatureSet(
        [
            History(windows=(28, 182), decays=(600,)),
            Neighbourhood(rings=1, windows=(91,), others=False),
            NearRepeat(decays=(14,)),
            Calendar(),
        ]
    )


@dataclass(frozen=True)
class LinearModel:
    """What a linear forecaster learnt for one category.

    Attributes
    ----------
    names, units : list of str
        Features, in order.
    size : ndarray, shape (n_features,)
        Mean absolute value of each feature: a feature x enters as sign(x)·log(1 + |x| / size).
    mean, deviation, low, high : ndarray, shape (n_features,)
        Mean, standard deviation and range of what so enters; beyond the range it is held at its end.
    coefficients, errors : ndarray, shape (n_features + 1,)
        The constant first; per standard deviation.
    dispersion : float
    n, n_incidents, n_clusters : int
        Rows learnt from, incidents recorded in them (each once), and spans of time that were independent.
    """

    names: list[str]
    units: list[str]
    size: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    errors: NDArray[np.float64]
    dispersion: float
    n: int
    n_incidents: int
    n_clusters: int

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Features that were not always the same; the others say nothing."""
        return self.deviation > 1e-9

    def design(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Constant and standardised features, shape (n, n_features + 1); missing values are at their mean."""
        logs = _logs([columns[name] for name in self.names], self.size)
        unit = np.where(self.varies, self.deviation, np.inf)
        scaled = (np.clip(logs, self.low, self.high) - self.mean) / unit
        return np.column_stack([np.ones(len(scaled)), np.nan_to_num(scaled)])

    def to_dict(self) -> dict[str, Any]:
        """Plain values from which `from_dict` makes the same model."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LinearModel:
        """Make the model that `to_dict` described."""
        made: dict[str, Any] = dict(values)
        for name in ("size", "mean", "deviation", "low", "high", "coefficients", "errors"):
            made[name] = np.array(made[name], dtype=np.float64)
        return cls(**made)


class _LinearForecaster(LearnedForecaster):
    """A generalised linear model with logarithmic link, that starts from the smoothed count."""

    overdispersed: ClassVar[bool]

    def __init__(
        self,
        target: Target,
        features: FeatureSet | None = None,
        *,
        ridge: float = 10.0,
        zeros: float = 0.1,
        max_rows: int = 300_000,
        random_state: int = 0,
        calibration_days: float = 60,
        strata: int = 5,
        level: float = 0.9,
        law: Law = "negative_binomial",
        intervals: Intervals = "law",
    ) -> None:
        super().__init__(
            target,
            features,
            zeros=zeros,
            max_rows=max_rows,
            random_state=random_state,
            calibration_days=calibration_days,
            strata=strata,
            level=level,
            law=law,
            intervals=intervals,
        )
        self.ridge = ridge

    def _features(self) -> FeatureSet:
        return compact_features() if self.features is None else self.features

    def coefficients(self, category: str, *, level: float = 0.95) -> pd.DataFrame:
        """Coefficient of each feature with its interval, the largest first.

        Parameters
        ----------
        category : str
        level : float, default 0.95
            Nominal coverage of the intervals.

        Returns
        -------
        DataFrame
            ``name, unit, coefficient`` (change of the log expected count per standard deviation of the
            feature, all others held), ``standard_error, factor`` (its exponential: what the expected count is
            multiplied by), ``lower, upper`` (of the factor), ``n`` (rows), ``n_incidents``, ``n_clusters``. A
            feature that never varied has NaN and n = 0, and comes last.

        Raises
        ------
        UsageError
            If the category is unknown.

        Notes
        -----
        Standard errors are robust to dependence within spans of at least four weeks and two target periods,
        all cells together (Liang and Zeger 1986, doi:10.1093/biomet/73.1.13), with Student quantiles; NaN
        with fewer than five spans. They are about the penalised coefficients, which are drawn towards 0, and
        features that rise and fall together share their effect: read a coefficient as a description of
        records, never as a cause.
        """
        from scipy.special import stdtrit

        self._check_fitted()
        model: LinearModel = self.models_[check_in(category, self.models_, "category")]
        value = np.where(model.varies, model.coefficients[1:], np.nan)
        error = np.where(model.varies, model.errors[1:], np.nan)
        reach = stdtrit(max(model.n_clusters - 1, 1), (1 + level) / 2) * error
        table = pd.DataFrame(
            {
                "name": model.names,
                "unit": model.units,
                "coefficient": value,
                "standard_error": error,
                "factor": np.exp(value),
                "lower": np.exp(value - reach),
                "upper": np.exp(value + reach),
                "n": np.where(model.varies, model.n, 0),
                "n_incidents": model.n_incidents,
                "n_clusters": model.n_clusters,
            }
        )
        order = np.argsort(-np.abs(value), kind="stable")
        return table.iloc[order].reset_index(drop=True)

    def _train(self, panel: Panel, category: str) -> LinearModel:
        if self.ridge < 0:
            msg = f"ridge must be at least 0, got {self.ridge}."
            raise UsageError(msg)
        begin, _, end = self._windows(panel, category, 0)
        sample = self._sample(panel, category, begin, end, 0)
        table = self._features().table(self.target, panel.bins)
        blank = _blank(sample.columns, table["unit"].tolist(), sample.weight)
        design = blank.design(sample.columns)
        # Every incident is in as many rows as a target period has bins: each counts once.
        weight = sample.weight.astype(np.float64) / self.target.period
        outcome, offset = (part.astype(np.float64) for part in (sample.outcome, sample.offset))
        fit = fit_glm(design, outcome, offset, weight, ridge=self.ridge, overdispersed=self.overdispersed)
        span = max(panel.bins.days(CLUSTER_DAYS), 2 * self.target.reach)
        cluster = (sample.row - begin) // span
        incidents = panel.counts(category, begin, end).sum()
        return _learnt(blank, fit, robust_errors(fit, design, cluster), int(incidents), cluster)

    def _log_factor(self, model: LinearModel, columns: dict[str, NDArray[np.float32]]) -> NDArray[Any]:
        return np.asarray(model.design(columns) @ model.coefficients)

    def _parts(self) -> Parts:
        parts = super()._parts()
        params = parts.description["params"]
        params["features"] = None if self.features is None else self.features.to_list()
        texts = {name: json.dumps(model.to_dict()) for name, model in self.models_.items()}
        return Parts(parts.description, parts.arrays, texts)

    def _restore(self, parts: Parts) -> Self:
        super()._restore(parts)
        self.models_ = {name: LinearModel.from_dict(json.loads(parts.texts[name])) for name in self.models_}
        return self


class PoissonForecaster(_LinearForecaster):
    """Poisson regression on a few features, with a table of coefficients: a forecast that can be read.

    Parameters
    ----------
    target : Target
    features : FeatureSet, optional
        The few of `compact_features` when not given.
    ridge : float, default 10
        Precision of a normal prior on each coefficient: its standard deviation is 1 / √ridge for one standard
        deviation of the feature.
    zeros, max_rows, random_state, calibration_days, strata, level, law, intervals
        As for `LearnedForecaster` and `Forecaster`.

    Notes
    -----
    log μ = log smoothed count + constant + Σ coefficient · standardised feature.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=400, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> fitted = PoissonForecaster(Target("noise", period=7)).fit(panel)
    >>> fitted.coefficients("noise")[["name", "factor", "lower", "upper"]].head(2).round(1)
                name  factor  lower  upper
    0    target_182d     0.7    0.5    1.0
    1  long_run_mean     1.3    1.0    1.7
    """

    name = "poisson"
    overdispersed = False


class NegativeBinomialForecaster(_LinearForecaster):
    """Negative binomial regression on a few features: as the Poisson one, but busy cells outweigh less.

    Parameters
    ----------
    target, features, ridge, zeros, max_rows, random_state, calibration_days, strata, level, law, intervals
        As for `PoissonForecaster`.

    Notes
    -----
    Variance μ + α·μ² with α estimated by maximum likelihood, in turns with the coefficients (Hilbe 2011,
    doi:10.1017/CBO9780511973420). The mean alone is taken from it: the forecast's own dispersion is learnt on
    the calibration window.

    Examples
    --------
    >>> from tranquillite_ml.target import Target
    >>> NegativeBinomialForecaster(Target("noise"), ridge=1.0).name
    'negative_binomial'
    """

    name = "negative_binomial"
    overdispersed = True


def _logs(columns: list[NDArray[Any]], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed logarithms of features over their typical size, shape (n, n_features)."""
    stacked = np.stack(columns, axis=1).astype(np.float64) / size
    return np.asarray(np.sign(stacked) * np.log1p(np.abs(stacked)))


def _blank(columns: dict[str, NDArray[np.float32]], units: list[str], weight: NDArray[Any]) -> LinearModel:
    """A model that knows how features enter, and nothing yet of what they say."""
    held = list(columns.values())
    size = np.array([_mean(np.abs(values), weight) for values in held])
    size = np.where(size > 0, size, 1.0)
    logs = _logs(held, size)
    mean = np.array([_mean(column, weight) for column in logs.T])
    deviation = np.sqrt([_mean((column - m) ** 2, weight) for column, m in zip(logs.T, mean, strict=True)])
    seen = np.isfinite(logs)
    low = np.where(seen, logs, np.inf).min(axis=0)
    high = np.where(seen, logs, -np.inf).max(axis=0)
    never = ~seen.any(axis=0)
    low[never], high[never] = 0.0, 0.0
    nothing = np.zeros(len(held) + 1)
    return LinearModel(
        list(columns), units, size, mean, deviation, low, high, nothing, nothing, 0.0, len(logs), 0, 0
    )


def _mean(values: NDArray[Any], weight: NDArray[Any]) -> float:
    """Weighted mean of what is not missing; 0 if all is."""
    seen = np.isfinite(values)
    if not seen.any():
        return 0.0
    return float(np.average(values[seen].astype(np.float64), weights=weight[seen]))


def _learnt(
    blank: LinearModel, fit: GlmFit, errors: NDArray[np.float64], incidents: int, cluster: NDArray[np.int64]
) -> LinearModel:
    n_clusters = len(np.unique(cluster))
    if n_clusters < MIN_CLUSTERS:
        errors = np.full_like(errors, np.nan)
    found = {
        "coefficients": fit.coefficients,
        "errors": errors,
        "dispersion": fit.dispersion,
        "n_incidents": incidents,
        "n_clusters": n_clusters,
    }
    return LinearModel(**(vars(blank) | found))
