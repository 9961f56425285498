"""Ensemble: several forecasters pooled into one, with weights learnt on a window that none was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import clone

from tranquillite_ml.bundle import Parts
from tranquillite_ml.errors import UsageError
from tranquillite_ml.features import View
from tranquillite_ml.forecasters.base import Forecaster, settle_bins
from tranquillite_ml.forecasters.baselines import SmoothedCount
from tranquillite_ml.forecasters.boosting import LightGBMForecaster
from tranquillite_ml.forecasters.linear import PoissonForecaster
from tranquillite_ml.forecasters.pooling import pool_weights
from tranquillite_ml.target import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.calibration.calibrator import Intervals, Law
    from tranquillite_ml.panel import Panel

FLOOR = 1e-4  # of a member's mean: only keeps a rate of 0 from deciding alone
MAX_ROWS = 60


@dataclass(frozen=True)
class Pool:
    """What an ensemble learnt for one category.

    Attributes
    ----------
    members : list of Forecaster
        Trained on this category alone.
    weights, errors : ndarray, shape (n_members,)
        Weights ≥ 0 with sum 1, and their standard errors.
    normaliser : float
        Logarithm of the factor that gives the pooled rates the total that was recorded.
    n_incidents, n_rows : int
        Incidents and pseudo-cutoffs of the window the weights were learnt on.
    """

    members: list[Forecaster]
    weights: NDArray[np.float64]
    errors: NDArray[np.float64]
    normaliser: float
    n_incidents: int
    n_rows: int


class EnsembleForecaster(Forecaster):
    """Weighted geometric mean of several forecasters' rates.

    Parameters
    ----------
    target : Target
    members : sequence of Forecaster, optional
        Unfitted forecasters of this target with different names; their own calibration is left out.
        Smoothed count, Poisson regression and LightGBM when not given.
    weights_days : float, default 182
        Length of the window, before the calibration window, on which weights are learnt; at most a third of
        the history.
    trust : float, default 5
        Incidents' worth of trust that all weights are equal.
    retrain : bool, default True
        Train the members again on all that was known before the calibration window, once weights are learnt.
    calibration_days, strata, level, law, intervals
        As for `Forecaster`.

    Notes
    -----
    log μ = normaliser + Σ weight · log max(μ of a member, floor): explanations of members add up, and the
    normaliser is a factor of its own. The floor is a ten-thousandth of the member's mean over the map. For
    learning weights, members are trained on what was known before the window, so that no weight rests on an
    outcome its member has seen. Geometric pooling: Genest and Zidek 1986, doi:10.1214/ss/1177013825.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import Count365, SmoothedCount
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=400, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> target = Target("noise", period=7)
    >>> fitted = EnsembleForecaster(target, [SmoothedCount(target), Count365(target)]).fit(panel)
    >>> fitted.weights_["member"].tolist()
    ['smoothed_count', 'count_365d']
    """

    name = "ensemble"

    def __init__(
        self,
        target: Target,
        members: Sequence[Forecaster] | None = None,
        *,
        weights_days: float = 182,
        trust: float = 5.0,
        retrain: bool = True,
        calibration_days: float = 60,
        strata: int = 5,
        level: float = 0.9,
        law: Law = "negative_binomial",
        intervals: Intervals = "law",
    ) -> None:
        super().__init__(
            target,
            calibration_days=calibration_days,
            strata=strata,
            level=level,
            law=law,
            intervals=intervals,
        )
        self.members = members
        self.weights_days = weights_days
        self.trust = trust
        self.retrain = retrain

    @property
    def weights_(self) -> pd.DataFrame:
        """Weight of each member: ``category, member, weight, lower, upper, normaliser, n_incidents, n_rows``.

        Limits are of 95 %, by leaving out a tenth of the window at a time; NaN with fewer than five parts.
        """
        self._check_fitted()
        rows = [
            {
                "category": category,
                "member": member.name,
                "weight": weight,
                "lower": np.clip(weight - 1.96 * error, 0.0, 1.0),
                "upper": np.clip(weight + 1.96 * error, 0.0, 1.0),
                "normaliser": pool.normaliser,
                "n_incidents": pool.n_incidents,
                "n_rows": pool.n_rows,
            }
            for category, pool in self.models_.items()
            for member, weight, error in zip(pool.members, pool.weights, pool.errors, strict=True)
        ]
        return pd.DataFrame(rows)

    # ------------------------------------------------------------------ how it is done

    def _train(self, panel: Panel, category: str) -> Pool:
        split = panel.n_bins - self._weights_window(panel)
        scouts = [member.fit(panel.until(split)) for member in self._fresh(category)]
        view, weight = self._window_view(panel, category, split)
        outcome = view.outcome()
        logs = np.stack([_log_rate(member, view) for member in scouts])
        found = pool_weights(outcome, logs, weight, trust=self.trust)
        members = [member.fit(panel) for member in self._fresh(category)] if self.retrain else scouts
        incidents = int(panel.counts(category, int(view.period_begin[0]), panel.n_bins).sum())
        return Pool(members, *found, incidents, len(view.rows))

    def _fresh(self, category: str) -> list[Forecaster]:
        """Unfitted members for one category, without calibration of their own."""
        default = [kind(self.target) for kind in (SmoothedCount, PoissonForecaster, LightGBMForecaster)]
        members = default if self.members is None else list(self.members)
        names = [member.name for member in members]
        if not names or len(set(names)) < len(names):
            msg = f"an ensemble needs members with different names, got {names}."
            raise UsageError(msg)
        if any(member.target != self.target for member in members):
            msg = "all members of an ensemble must share its target."
            raise UsageError(msg)
        alone = self.target.only(category)
        return [clone(member).set_params(target=alone, calibration_days=0) for member in members]

    def _weights_window(self, panel: Panel) -> int:
        if self.weights_days <= 0:
            msg = f"weights_days must be above 0, got {self.weights_days}."
            raise UsageError(msg)
        wanted = min(panel.bins.days(self.weights_days), panel.n_bins // 3)
        return max(wanted, self.target.reach)

    def _window_view(self, panel: Panel, category: str, split: int) -> tuple[View, NDArray[np.float64]]:
        """Pseudo-cutoffs of the weights' window whose outcome has settled, and the weight of each."""
        last = max(panel.n_bins - settle_bins(panel, category) - self.target.reach, split)
        rows = np.arange(split, last + 1)
        step = -(-len(rows) // MAX_ROWS)
        # No factor in common with the week, so that all hours and weekdays come equally.
        while np.gcd(step, panel.bins.days(7)) > 1 and step < len(rows):
            step += 1
        rows = rows[::-1][::step][::-1]
        horizons = np.resize(np.array(self.target.horizons, dtype=np.int64), len(rows))
        covered = panel.n_bins - int(rows[0])
        weight = np.full(len(rows), min(1.0, covered / self.target.period / len(rows)))
        return View(panel, category, self.target, rows, horizons), weight

    def _rate(self, view: View) -> NDArray[Any]:
        pool: Pool = self.models_[view.category]
        total = np.full(view.shape, pool.normaliser)
        for member, weight in zip(pool.members, pool.weights, strict=True):
            if weight > 0:
                total += weight * _log_rate(member, view)
        return np.exp(total)

    def _parts(self) -> Parts:
        parts = super()._parts()
        arrays: dict[str, NDArray[Any]] = {}
        texts: dict[str, str] = {}
        models = {}
        for number, (category, pool) in enumerate(self.models_.items()):
            held = []
            for place, member in enumerate(pool.members):
                inner = member._parts()  # noqa: SLF001 - a member is a forecaster, too
                prefix = f"{number}.{place}."
                arrays |= {prefix + name: values for name, values in inner.arrays.items()}
                texts |= {prefix + name: text for name, text in inner.texts.items()}
                held.append(inner.description)
            plain = {name: value for name, value in vars(pool).items() if name != "members"}
            plain |= {"weights": pool.weights.tolist(), "errors": pool.errors.tolist()}
            models[category] = plain | {"members": held}
        params = parts.description["params"] | {"members": None}
        return Parts(parts.description | {"params": params, "models": models}, arrays, texts)

    def _restore(self, parts: Parts) -> Self:
        from tranquillite_ml.forecasters.opening import revive

        super()._restore(parts)
        for number, (category, held) in enumerate(parts.description["models"].items()):
            members = [
                revive(_inner(parts, inner, f"{number}.{place}."))
                for place, inner in enumerate(held["members"])
            ]
            learnt = held | {name: np.array(held[name], dtype=np.float64) for name in ("weights", "errors")}
            self.models_[category] = Pool(**(learnt | {"members": members}))
        self.members = [clone(member).set_params(target=self.target) for member in members]
        return self


def _log_rate(member: Forecaster, view: View) -> NDArray[np.float64]:
    """Log of a member's raw rates, none below a ten-thousandth of its mean over the map."""
    rate = np.asarray(member._rate(view), dtype=np.float64)  # noqa: SLF001 - a member is a forecaster, too
    floor = np.maximum(FLOOR * rate.mean(axis=1, keepdims=True), 1e-12)
    return np.log(np.maximum(rate, floor))


def _inner(parts: Parts, description: dict[str, Any], prefix: str) -> Parts:
    """Parts of one member, taken out of the ensemble's."""
    arrays = {n.removeprefix(prefix): v for n, v in parts.arrays.items() if n.startswith(prefix)}
    texts = {n.removeprefix(prefix): v for n, v in parts.texts.items() if n.startswith(prefix)}
    return Parts(description, arrays, texts, parts.context)
