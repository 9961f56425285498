"""Additive counts: boosted functions of one feature each, that can be drawn and read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from tranquillite_ml.bundle import Parts
from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.features import FeatureSet, View
from tranquillite_ml.forecasters.boosting import LightGBMForecaster
from tranquillite_ml.forecasters.linear import compact_features
from tranquillite_ml.forecasters.shapes import Shapes, knots_of, mass_of

if TYPE_CHECKING:
    import lightgbm as lgb
    from numpy.typing import NDArray

    from tranquillite_ml.calibration.calibrator import Intervals, Law
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.target import Target

REFERENCE_ROWS = 40


class AdditiveForecaster(LightGBMForecaster):
    """Boosted trees of one feature each: a sum of curves, exact, one a feature.

    Parameters
    ----------
    target : Target
    features : FeatureSet, optional
        The few of `compact_features` when not given.
    pairs : sequence of (str, str), default ()
        Features that may also act together, by name.
    n_estimators, learning_rate, num_leaves, min_child_weight, feature_fraction, stopping_days
        As for `LightGBMForecaster`; steps may be longer and trees smaller, since each is of one feature.
    zeros, max_rows, random_state, calibration_days, strata, level, law, intervals
        As for `LearnedForecaster` and `Forecaster`.

    Notes
    -----
    log μ = log smoothed count + constant + Σ f(feature): a generalised additive model, whose curves are
    learnt by boosting trees that may use one feature only (Lou, Caruana and Gehrke 2012,
    doi:10.1145/2339530.2339556).

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=300, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> fitted = AdditiveForecaster(Target("noise", period=7), n_estimators=30).fit(panel)
    >>> fitted.shapes("noise").columns.tolist()
    ['feature', 'left', 'right', 'log_factor', 'factor', 'n', 'expected_count']
    """

    name = "additive"

    def __init__(
        self,
        target: Target,
        features: FeatureSet | None = None,
        *,
        pairs: Sequence[tuple[str, str]] = (),
        n_estimators: int = 600,
        learning_rate: float = 0.1,
        num_leaves: int = 8,
        min_child_weight: float = 20,
        feature_fraction: float = 0.5,
        stopping_days: float = 60,
        zeros: float = 0.1,
        max_rows: int = 600_000,
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
            n_estimators=n_estimators,
            learning_rate=learning_rate,
            num_leaves=num_leaves,
            min_child_weight=min_child_weight,
            feature_fraction=feature_fraction,
            stopping_days=stopping_days,
            zeros=zeros,
            max_rows=max_rows,
            random_state=random_state,
            start="smoothed",
            calibration_days=calibration_days,
            strata=strata,
            level=level,
            law=law,
            intervals=intervals,
        )
        self.pairs = pairs

    # ------------------------------------------------------------------ what can be read

    def shapes(self, category: str) -> pd.DataFrame:
        """Curve of each feature: the log factor in each interval between two thresholds, exact.

        Parameters
        ----------
        category : str

        Returns
        -------
        DataFrame
            ``feature, left, right`` (a value v belongs where left < v ≤ right; both NaN: missing values),
            ``log_factor, factor`` (its exponential), ``n`` (place-periods of evenly spaced pseudo-cutoffs of
            the training span) and ``expected_count`` (smoothed counts of those). The first row, ``constant``,
            is the mean over all; each curve has mean 0, weighted by `expected_count`.

        Raises
        ------
        UsageError
            If the category is unknown.

        Notes
        -----
        For any place-period the constant, one log factor a feature and, if there are pairs, one of each
        `pair_shapes` add up to what the trees say. A curve describes records and is no cause: features that
        rise and fall together share their effect.
        """
        return self._drawn(category).curve_table()

    def pair_shapes(self, category: str) -> pd.DataFrame:
        """Log factor of each pair of features beyond their two curves: one row a rectangle, exact.

        Parameters
        ----------
        category : str

        Returns
        -------
        DataFrame
            As `shapes`, with ``feature_2, left_2, right_2``; means over either feature are 0, weighted by its
            `expected_count`. Empty without pairs.
        """
        return self._drawn(category).pair_table()

    def _drawn(self, category: str) -> Shapes:
        self._check_fitted()
        booster = self.models_[check_in(category, self.models_, "category")]
        return Shapes.of(booster, self.mass_[category], self.pairs)

    # ------------------------------------------------------------------ how it is done

    def _features(self) -> FeatureSet:
        return compact_features() if self.features is None else self.features

    def fit(self, panel: Panel, cutoff: int | str | pd.Timestamp | None = None) -> Self:
        """As `Forecaster.fit`; and count where in their curves the places of the training span lie."""
        self.mass_: dict[str, NDArray[np.float64]] = {}
        return super().fit(panel, cutoff)

    def _params(self, names: list[str]) -> dict[str, Any]:
        groups = [[number] for number in range(len(names))]
        for pair in self.pairs:
            if len(set(pair)) != 2:
                msg = f"pairs are of two different features, got {tuple(pair)}."
                raise UsageError(msg)
            groups.append([names.index(check_in(name, names, "a feature of pairs")) for name in pair])
        return super()._params(names) | {"interaction_constraints": groups}

    def _train(self, panel: Panel, category: str) -> lgb.Booster:
        booster = super()._train(panel, category)
        begin, _, end = self._windows(panel, category, 0)
        rows = np.unique(np.linspace(begin, end - self.target.reach, REFERENCE_ROWS).astype(np.int64))
        horizons = np.resize(np.array(self.target.horizons, dtype=np.int64), len(rows))
        view = View(panel, category, self.target, rows, horizons)
        columns = {
            name: np.broadcast_to(values, view.shape).ravel()
            for name, values in self._features().columns(view)
        }
        expected = self.starting_rate(view).ravel().astype(np.float64)
        self.mass_[category] = mass_of(columns, expected, knots_of(booster), self.pairs)
        return booster

    def _parts(self) -> Parts:
        parts = super()._parts()
        parts.description["params"]["pairs"] = [list(pair) for pair in self.pairs]
        arrays = {f"mass_{number}": mass for number, mass in enumerate(self.mass_.values())}
        return Parts(parts.description, arrays, parts.texts)

    def _restore(self, parts: Parts) -> Self:
        super()._restore(parts)
        self.mass_ = {name: parts.arrays[f"mass_{k}"] for k, name in enumerate(self.target.categories)}
        return self
