"""Calibrator: what a forecaster learns on a dated window after its training, and before what it forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tranquillite_ml.calibration.conformal import Tails, fit_tails
from tranquillite_ml.calibration.counts import count_cdf, count_interval, prob_positive
from tranquillite_ml.calibration.dispersion import fit_dispersion, fit_truncated_dispersion
from tranquillite_ml.calibration.probabilities import fit_probability, recalibrate_probability
from tranquillite_ml.calibration.rates import RateCurve, activity_edges, fit_rate_curve
from tranquillite_ml.errors import check_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Law = Literal["poisson", "negative_binomial", "hurdle"]
    Intervals = Literal["law", "conformal"]

LAWS = ("poisson", "negative_binomial", "hurdle")
INTERVALS = ("law", "conformal")
_ENOUGH = 30.0  # incidents below which a stratum's dispersion is not estimated on its own
_NONE = np.array([], dtype=np.float64)


@dataclass(frozen=True)
class Calibrator:
    """Turns a raw rate into an expected count, a law around it, and an interval.

    Attributes
    ----------
    curve : RateCurve
        Factor on the rate, monotone.
    law : {"poisson", "negative_binomial", "hurdle"}
        It shapes the distribution and leaves the expected count alone.
    knots, dispersions : ndarray
        Dispersion α of the negative binomial at these log rates, linear between them; none for a Poisson.
    above : ndarray
        Dispersion of a hurdle's counts above zero at the same log rates; empty for the other laws.
    shift, slope : float
        Recalibration of the probability of at least one incident.
    tails : Tails or None
        Levels of conformal intervals; None for the quantiles of the law.
    n_incidents : int
        Incidents in the calibration window.
    """

    curve: RateCurve
    law: Law
    knots: NDArray[np.float64]
    dispersions: NDArray[np.float64]
    above: NDArray[np.float64]
    shift: float
    slope: float
    tails: Tails | None
    n_incidents: int

    def expected(self, rate: NDArray[Any]) -> NDArray[np.float64]:
        """Calibrated expected count."""
        return np.asarray(rate * self.curve.factor(rate), dtype=np.float64)

    def distribution(self, expected: NDArray[Any], *, level: float) -> dict[str, NDArray[np.float64]]:
        """Dispersion, probability of any and interval of calibrated expected counts."""
        dispersion, some = self.shape(expected)
        tails = None if self.tails is None else self.tails.at(expected)
        lower, upper = count_interval(
            expected, dispersion, some if self.law == "hurdle" else None, level=level, tails=tails
        )
        return {"dispersion": dispersion, "prob_any": some, "lower": lower, "upper": upper}

    def shape(self, expected: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Dispersion of the law, and probability of at least one incident."""
        expected = np.asarray(expected, dtype=np.float64)
        dispersion = _at(expected, self.knots, self.dispersions)
        some = recalibrate_probability(prob_positive(expected, dispersion), self.shift, self.slope)
        if self.law == "hurdle":
            return _at(expected, self.knots, self.above), np.minimum(some, expected)
        return dispersion, some

    def to_dict(self) -> dict[str, Any]:
        """Plain values from which `from_dict` makes the same calibrator."""
        tails = self.tails
        return {
            "curve": [self.curve.knots.tolist(), self.curve.log_factors.tolist()],
            "law": self.law,
            "dispersion": [self.knots.tolist(), self.dispersions.tolist(), self.above.tolist()],
            "probability": [self.shift, self.slope],
            "tails": tails and [tails.edges.tolist(), tails.lower.tolist(), tails.upper.tolist()],
            "n_incidents": self.n_incidents,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibrator:
        """Make the calibrator that `to_dict` described."""
        curve = RateCurve(*_arrays(values["curve"]))
        tails = Tails(*_arrays(values["tails"])) if values["tails"] else None
        knots, dispersions, above = _arrays(values["dispersion"])
        shift, slope = values["probability"]
        law, total = values["law"], values["n_incidents"]
        return cls(curve, law, knots, dispersions, above, shift, slope, tails, total)


def no_calibration() -> Calibrator:
    """Leave rates as they are, Poisson around them.

    Examples
    --------
    >>> no_calibration().expected(np.array([0.5]))
    array([0.5])
    """
    return Calibrator(RateCurve(_NONE, _NONE), "poisson", _NONE, _NONE, _NONE, 0.0, 1.0, None, 0)


def fit_calibrator(
    observed: NDArray[Any],
    rate: NDArray[Any],
    *,
    weight: NDArray[Any] | None = None,
    strata: int = 5,
    law: Law = "negative_binomial",
    intervals: Intervals = "law",
    level: float = 0.9,
) -> Calibrator:
    """Learn a calibrator from rates forecast at past pseudo-cutoffs and what was then recorded.

    Parameters
    ----------
    observed, rate : ndarray, shape (n_rows, n_cells)
    weight : ndarray, shape (n_rows,), optional
        Weight of each pseudo-cutoff. Overlapping periods should weigh less than one each.
    strata : int, default 5
        Strata of activity; 1 for one overall factor and one dispersion.
    law : {"poisson", "negative_binomial", "hurdle"}, default "negative_binomial"
    intervals : {"law", "conformal"}, default "law"
        Quantiles of the law at the nominal levels, or at levels that held in each stratum.
    level : float, default 0.9
        Nominal coverage; used by conformal intervals.

    Raises
    ------
    UsageError
        If the law or the kind of intervals is unknown.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.gamma(0.5, 0.4, size=(60, 200))
    >>> learnt = fit_calibrator(rng.poisson(truth), truth / 1.25)
    >>> ratio = learnt.expected(truth / 1.25).sum() / truth.sum()
    >>> bool(abs(ratio - 1) < 0.03)
    True
    """
    check_in(law, LAWS, "law")
    check_in(intervals, INTERVALS, "intervals")
    weights = np.broadcast_to(np.ones(1) if weight is None else weight[:, None], observed.shape)
    curve = fit_rate_curve(observed, rate, weights, strata=strata)
    expected = np.asarray(rate * curve.factor(rate), dtype=np.float64)
    edges = activity_edges(expected, strata) if strata > 1 else _NONE
    counts = _Counts(observed, expected, weights, np.searchsorted(edges, expected, side="right"))
    knots, dispersions, above = _NONE, _NONE, _NONE
    if law != "poisson":
        knots, dispersions = counts.by_stratum(fit_dispersion)
    raw = prob_positive(expected, _at(expected, knots, dispersions))
    shift, slope = fit_probability(observed > 0, raw, weights)
    if law == "hurdle":
        some = np.minimum(recalibrate_probability(raw, shift, slope), expected)
        _, above = counts.by_stratum(fit_truncated_dispersion, some)
    total = int(np.asarray(observed).sum())
    found = Calibrator(curve, law, knots, dispersions, above, shift, slope, None, total)
    if intervals == "law":
        return found
    dispersion, some = found.shape(expected)
    shape = (expected, dispersion, some if law == "hurdle" else None)
    below, through = count_cdf(observed - 1, *shape), count_cdf(observed, *shape)
    tails = fit_tails(expected, below, through, weights, edges, level=level)
    return Calibrator(curve, law, knots, dispersions, above, shift, slope, tails, total)


@dataclass(frozen=True)
class _Counts:
    """Counts of the calibration window with what was expected, by stratum of activity."""

    observed: NDArray[Any]
    expected: NDArray[np.float64]
    weight: NDArray[Any]
    stratum: NDArray[np.int64]

    def by_stratum(
        self, fit: Callable[..., float], *given: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log rates and dispersions of the strata, drawn towards the overall one where records are few."""

        def fitted(mine: Any) -> float:
            return fit(self.observed[mine], self.expected[mine], *(g[mine] for g in given), self.weight[mine])

        overall = fitted(slice(None))
        found = []
        for number in range(int(self.stratum.max(initial=0)) + 1):
            mine = self.stratum == number
            counted = self.weight[mine] * self.expected[mine]
            mass = float(counted.sum())
            if mass <= 0:
                continue
            own = fitted(mine) if mass >= _ENOUGH else overall
            share = mass / (mass + _ENOUGH)
            # The level itself is only known as well as so many records tell: relative variance 1 / records.
            unsure = 1 / (mass + _ENOUGH)
            knot = np.log(np.average(self.expected[mine], weights=counted))
            found.append((knot, share * own + (1 - share) * overall + unsure))
        at, alpha = np.array(sorted(found), dtype=np.float64).reshape(-1, 2).T
        return at, alpha


def _at(
    expected: NDArray[np.float64], knots: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    if len(knots) == 0:
        return np.zeros_like(expected)
    return np.interp(np.log(np.maximum(expected, 1e-9)), knots, values)


def _arrays(parts: list[list[float]]) -> list[NDArray[np.float64]]:
    return [np.array(part, dtype=np.float64) for part in parts]
