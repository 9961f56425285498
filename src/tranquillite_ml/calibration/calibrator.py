"""Calibrator: what a forecaster learns on a dated window after its training, and before what it forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.calibration.counts import count_interval, fit_dispersion, prob_zero
from tranquillite_ml.calibration.probabilities import fit_probability, recalibrate_probability
from tranquillite_ml.calibration.rates import RateCurve, activity_edges, fit_rate_curve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_ENOUGH = 30.0  # incidents below which a stratum's dispersion is not estimated on its own


@dataclass(frozen=True)
class Calibrator:
    """Turns a raw rate into an expected count, a probability and an interval.

    Attributes
    ----------
    curve : RateCurve
        Factor on the rate, monotone.
    knots, dispersions : ndarray
        Dispersion α of the negative binomial at these log rates, linear between them.
    shift, slope : float
        Recalibration of the probability of at least one incident.
    n_incidents : int
        Incidents in the calibration window.
    """

    curve: RateCurve
    knots: NDArray[np.float64]
    dispersions: NDArray[np.float64]
    shift: float
    slope: float
    n_incidents: int

    def expected(self, rate: NDArray[Any]) -> NDArray[np.float64]:
        """Calibrated expected count."""
        return np.asarray(rate * self.curve.factor(rate), dtype=np.float64)

    def distribution(self, expected: NDArray[Any], *, level: float) -> dict[str, NDArray[np.float64]]:
        """Dispersion, probability of any and interval of calibrated expected counts."""
        if len(self.knots):
            dispersion = np.interp(np.log(np.maximum(expected, 1e-9)), self.knots, self.dispersions)
        else:
            dispersion = np.zeros_like(expected)
        lower, upper = count_interval(expected, dispersion, level=level)
        some = recalibrate_probability(1 - prob_zero(expected, dispersion), self.shift, self.slope)
        return {"dispersion": dispersion, "prob_any": some, "lower": lower, "upper": upper}

    def to_dict(self) -> dict[str, Any]:
        """Plain values from which `from_dict` makes the same calibrator."""
        return {
            "curve": [self.curve.knots.tolist(), self.curve.log_factors.tolist()],
            "dispersion": [self.knots.tolist(), self.dispersions.tolist()],
            "probability": [self.shift, self.slope],
            "n_incidents": self.n_incidents,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibrator:
        """Make the calibrator that `to_dict` described."""
        curve = RateCurve(*(np.array(part, dtype=np.float64) for part in values["curve"]))
        knots, dispersions = (np.array(part, dtype=np.float64) for part in values["dispersion"])
        shift, slope = values["probability"]
        return cls(curve, knots, dispersions, shift, slope, values["n_incidents"])


def no_calibration() -> Calibrator:
    """Leave rates as they are, Poisson around them.

    Examples
    --------
    >>> no_calibration().expected(np.array([0.5]))
    array([0.5])
    """
    nothing = np.array([], dtype=np.float64)
    return Calibrator(RateCurve(nothing, nothing), nothing, nothing, 0.0, 1.0, 0)


def fit_calibrator(
    observed: NDArray[Any], rate: NDArray[Any], *, weight: NDArray[Any] | None = None, strata: int = 5
) -> Calibrator:
    """Learn a calibrator from rates forecast at past pseudo-cutoffs and what was then recorded.

    Parameters
    ----------
    observed, rate : ndarray, shape (n_rows, n_cells)
    weight : ndarray, shape (n_rows,), optional
        Weight of each pseudo-cutoff. Overlapping periods should weigh less than one each.
    strata : int, default 5
        Strata of activity; 1 for one overall factor and one dispersion.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.gamma(0.5, 0.4, size=(60, 200))
    >>> learnt = fit_calibrator(rng.poisson(truth), truth / 1.25)
    >>> ratio = learnt.expected(truth / 1.25).sum() / truth.sum()
    >>> bool(abs(ratio - 1) < 0.03)
    True
    """
    weights = np.broadcast_to(np.ones(1) if weight is None else weight[:, None], observed.shape)
    curve = fit_rate_curve(observed, rate, weights, strata=strata)
    expected = np.asarray(rate * curve.factor(rate), dtype=np.float64)
    edges = activity_edges(expected, strata) if strata > 1 else np.array([])
    stratum = np.searchsorted(edges, expected, side="right")
    overall = fit_dispersion(observed, expected, weights)
    knots, dispersions = [], []
    for number in range(len(edges) + 1):
        mine = stratum == number
        mass = float((weights[mine] * expected[mine]).sum())
        if mass <= 0:
            continue
        own = fit_dispersion(observed[mine], expected[mine], weights[mine]) if mass >= _ENOUGH else overall
        share = mass / (mass + _ENOUGH)
        knots.append(np.log(np.average(expected[mine], weights=weights[mine] * expected[mine])))
        dispersions.append(share * own + (1 - share) * overall)
    order = np.argsort(knots)
    at, alpha = np.array(knots)[order], np.array(dispersions)[order]
    raw = 1 - prob_zero(expected, np.interp(np.log(np.maximum(expected, 1e-9)), at, alpha))
    shift, slope = fit_probability(observed > 0, raw, weights)
    return Calibrator(curve, at, alpha, shift, slope, int(np.asarray(observed).sum()))
