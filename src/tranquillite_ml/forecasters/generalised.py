"""Generalised linear models of counts: logarithmic link, offset, ridge, and errors robust to clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.calibration import fit_dispersion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_STEPS = 50
_TURNS = 25


@dataclass(frozen=True)
class GlmFit:
    """Coefficients that maximise a penalised likelihood, and what their errors are made of.

    Attributes
    ----------
    coefficients : ndarray, shape (k,)
    dispersion : float
        α of the variance μ + α·μ²; 0 is Poisson.
    information : ndarray, shape (k, k)
        Expected information, penalty included.
    residual : ndarray, shape (n,)
        Derivative of each row's log-likelihood by its linear predictor.
    """

    coefficients: Floats
    dispersion: float
    information: Floats
    residual: Floats


def fit_glm(
    design: Floats,
    outcome: Floats,
    offset: Floats,
    weight: Floats,
    *,
    ridge: float = 0.0,
    overdispersed: bool = False,
) -> GlmFit:
    """Fit log μ = offset + design · β, Poisson or negative binomial.

    Parameters
    ----------
    design : ndarray, shape (n, k)
        The first column is the constant, which is not penalised.
    outcome, offset, weight : ndarray, shape (n,)
    ridge : float, default 0
        The log-likelihood is reduced by ridge / 2 · Σ β².
    overdispersed : bool, default False
        Whether a dispersion is estimated, too.

    Notes
    -----
    Iteratively reweighted least squares (McCullagh and Nelder 1989, doi:10.1201/9780203753736), a step being
    halved until it gains; dispersion and coefficients are maximised in turns.

    Examples
    --------
    >>> fit = fit_glm(np.ones((3, 1)), np.array([1.0, 2.0, 6.0]), np.zeros(3), np.ones(3))
    >>> bool(np.isclose(np.exp(fit.coefficients[0]), 3.0))  # the mean
    True
    """
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 0.0
    data = _Data(design, outcome, offset, weight, penalty)
    start = np.zeros(design.shape[1])
    start[0] = np.log(max((weight * outcome).sum(), 0.5) / (weight * np.exp(offset)).sum())
    found, alpha = _solve(data, start, 0.0), 0.0
    for _ in range(_TURNS if overdispersed else 0):
        before, alpha = alpha, fit_dispersion(outcome, np.exp(offset + design @ found), weight)
        found = _solve(data, found, alpha)
        if abs(alpha - before) <= 1e-6 * max(alpha, 1e-3):
            break
    _, information, residual = data.scores(found, alpha)
    return GlmFit(found, alpha, information, residual)


def robust_errors(fit: GlmFit, design: Floats, cluster: NDArray[np.int64]) -> Floats:
    """Standard errors that allow any dependence within a cluster, shape (k,); NaN with one cluster.

    Notes
    -----
    The sandwich H⁻¹ (Σ s·sᵀ) H⁻¹, s the score of a cluster, times G / (G − 1) for G clusters (Liang and Zeger
    1986, doi:10.1093/biomet/73.1.13).
    """
    _, code = np.unique(cluster, return_inverse=True)
    count = int(code.max()) + 1
    if count < 2:
        return np.full(design.shape[1], np.nan)
    scores = np.stack([np.bincount(code, fit.residual * column, count) for column in design.T], axis=1)
    half = np.linalg.solve(fit.information, scores.T)
    return np.asarray(np.sqrt((half**2).sum(axis=1) * count / (count - 1)))


@dataclass(frozen=True)
class _Data:
    """What is fitted, with its penalised log-likelihood and the derivatives of that."""

    design: Floats
    outcome: Floats
    offset: Floats
    weight: Floats
    penalty: Floats

    def value(self, beta: Floats, alpha: float) -> float:
        """Penalised log-likelihood, without the terms that do not depend on the coefficients."""
        predictor = self.offset + self.design @ beta
        # A step that overflows is no gain: it is halved.
        mean = np.exp(np.minimum(predictor, 500.0))
        if alpha > 0:
            terms = self.outcome * predictor - (self.outcome + 1 / alpha) * np.log1p(alpha * mean)
        else:
            terms = self.outcome * predictor - mean
        return float((self.weight * terms).sum() - 0.5 * (self.penalty * beta**2).sum())

    def scores(self, beta: Floats, alpha: float) -> tuple[Floats, Floats, Floats]:
        """Gradient, expected information and residual."""
        mean = np.exp(self.offset + self.design @ beta)
        shrunk = self.weight / (1 + alpha * mean)
        residual = shrunk * (self.outcome - mean)
        information = self.design.T @ (self.design * (shrunk * mean)[:, None]) + np.diag(self.penalty)
        # A column that never varies carries no information: its coefficient stays where it is, at 0.
        information += np.diag(np.where(np.diag(information) <= 0, 1.0, 0.0))
        return self.design.T @ residual - self.penalty * beta, information, residual


def _solve(data: _Data, start: Floats, alpha: float) -> Floats:
    """Coefficients by scoring steps at a given dispersion."""
    beta, value = start, data.value(start, alpha)
    for _ in range(_STEPS):
        gradient, information, _ = data.scores(beta, alpha)
        step = np.linalg.solve(information, gradient)
        slope = float(gradient @ step)
        tried = data.value(beta + step, alpha)
        while tried < value - 1e-12 * abs(value) and slope > 1e-10:
            step, slope = step / 2, slope / 2
            tried = data.value(beta + step, alpha)
        beta, value = beta + step, tried
        if slope < 1e-10:
            break
    return beta
