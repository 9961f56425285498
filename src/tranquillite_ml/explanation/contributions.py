"""What each forecaster's log rate is made of: a level, and one amount a term, that add up exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import UsageError
from tranquillite_ml.features import View
from tranquillite_ml.forecasters import (
    AdditiveForecaster,
    EnsembleForecaster,
    Forecaster,
    LightGBMForecaster,
    NegativeBinomialForecaster,
    PoissonForecaster,
)
from tranquillite_ml.forecasters.ensemble import FLOOR
from tranquillite_ml.forecasters.learned import RATES_AT_ONCE, LearnedForecaster
from tranquillite_ml.forecasters.shapes import Shapes, interval_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Matrix = NDArray[np.float32]

START, EXPOSURE, CALIBRATION, POOLING = "starting rate", "exposure", "calibration", "pooling"
APART = (EXPOSURE, CALIBRATION, POOLING)
"""Families of terms that are not about the place's records or the calendar."""

_ROWS_AT_ONCE = 20_000
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Term:
    """One line of an explanation: what it is called, the family it is summed under, the unit of its value."""

    name: str
    family: str
    unit: str


@dataclass(frozen=True)
class Contributions:
    """Log rates taken apart: ``base + amounts.sum(axis=1)``.

    Attributes
    ----------
    terms : list of Term
    data : ndarray of float32, shape (n, n_terms)
        Value of each term's feature, NaN where it has none.
    amounts : ndarray of float64, shape (n, n_terms)
    base : ndarray of float64, shape (n,)
        Log of the typical level: that of a place where every term is at its typical value.
    """

    terms: list[Term]
    data: Matrix
    amounts: Floats
    base: Floats

    @property
    def log_rate(self) -> Floats:
        """What the terms add up to."""
        return np.asarray(self.base + self.amounts.sum(axis=1))


@singledispatch
def contributions(model: Forecaster, view: View, picks: NDArray[np.int64]) -> Contributions:
    """Take a forecaster's log rate, before calibration, apart at some positions of a view.

    Parameters
    ----------
    model : Forecaster
        Fitted. One that takes no features is a single factor: plain counts and kernels say all in one number.
    view : View
    picks : ndarray of int64, shape (n,)
        Flat positions (row · n_cells + cell).

    Raises
    ------
    UsageError
        If it is not known how this kind of forecaster comes to its rate.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import Count365
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=120, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> target = Target("noise", period=7)
    >>> view = View(panel, "noise", target, np.array([panel.n_bins]))
    >>> found = contributions(Count365(target).fit(panel), view, np.array([0, 5]))
    >>> [term.name for term in found.terms], found.amounts.shape
    (['count_365d', 'exposure'], (2, 2))
    """
    if "features" in model.get_params(deep=False):
        raise UsageError(_unknown(model))
    rate = np.asarray(model._rate(view), dtype=np.float64)  # noqa: SLF001 - asked for once, and only here
    return _one_factor(rate, Term(model.name, "past counts", "incidents in the period"), view, picks)


@contributions.register(LearnedForecaster)
def _learned(model: LearnedForecaster, view: View, picks: NDArray[np.int64]) -> Contributions:
    """Starting rate and exposure, then what the model learnt from each feature."""
    n_cells = view.panel.n_cells
    # In the chunks in which the rate itself is made: sums of few and of many rows differ in their last digit,
    # which a threshold of a tree could tell apart.
    chunk = max(1, RATES_AT_ONCE // n_cells)
    parts, places = [], []
    for k in range(0, len(view.rows), chunk):
        mine = np.flatnonzero((picks >= k * n_cells) & (picks < (k + chunk) * n_cells))
        if len(mine):
            part = view.share(view.rows[k : k + chunk], view.horizons[k : k + chunk])
            parts.append(_learned_part(model, part, picks[mine] - k * n_cells))
            places.append(mine)
    order = np.argsort(np.concatenate(places))
    values, amounts, base = (
        np.concatenate([getattr(part, name) for part in parts])[order] for name in ("data", "amounts", "base")
    )
    return Contributions(parts[0].terms, values, amounts, base)


def _learned_part(model: LearnedForecaster, view: View, picks: NDArray[np.int64]) -> Contributions:
    table = feature_table(model, view)
    origin = Term("starting_rate", START, "incidents in the period")
    start = _one_factor(model.starting_rate(view), origin, view, picks)
    values = feature_values(model, view, picks)
    amounts, base = learnt_terms(model, view.category, values, table)
    return Contributions(
        start.terms + table,
        np.hstack([start.data, values]),
        np.hstack([start.amounts, amounts]),
        start.base + base,
    )


@contributions.register(EnsembleForecaster)
def _pooled(model: EnsembleForecaster, view: View, picks: NDArray[np.int64]) -> Contributions:
    """Weighted terms of the members, what their floors lift, and the normaliser as a factor of its own."""
    pool = model.models_[view.category]
    terms: list[Term] = []
    values, amounts, base = [], [], np.zeros(len(picks))
    for member, weight in zip(pool.members, pool.weights, strict=True):
        found = contributions(member, view, picks)
        rate = member._rate(view)  # noqa: SLF001 - the floor is a share of the member's mean over the map
        floor = np.maximum(FLOOR * np.asarray(rate, dtype=np.float64).mean(axis=1), _SMALLEST)
        lift = np.maximum(np.log(floor)[picks // view.panel.n_cells] - found.log_rate, 0.0)
        terms += [replace(term, name=f"{member.name}: {term.name}") for term in found.terms]
        terms.append(Term(f"{member.name}: floor", POOLING, ""))
        values += [found.data, np.full((len(picks), 1), np.nan, np.float32)]
        amounts += [weight * found.amounts, weight * lift[:, None]]
        base = base + weight * found.base
    terms.append(Term("normaliser", POOLING, ""))
    values.append(np.full((len(picks), 1), np.nan, np.float32))
    amounts.append(np.full((len(picks), 1), float(pool.normaliser)))
    return Contributions(terms, np.hstack(values), np.hstack(amounts), base)


# ---------------------------------------------------------------------- what was learnt from features


@singledispatch
def learnt_terms(
    model: LearnedForecaster, category: str, values: Matrix, table: list[Term]
) -> tuple[Floats, float]:
    """Amount of each feature on the log factor, shape (n, n_features), and the constant they start from.

    Parameters
    ----------
    model : LearnedForecaster
    category : str
    values : ndarray of float32, shape (n, n_features)
        Features in the order of `table`.
    table : list of Term

    Raises
    ------
    UsageError
        If it is not known how this kind of forecaster comes to its factor.

    Notes
    -----
    Trees: path-dependent SHAP values (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9), LightGBM's own.
    Linear models: coefficient times standardised feature. Additive models: their curves; what two features do
    only together is shared evenly between them.
    """
    del category, values, table
    raise UsageError(_unknown(model))


@learnt_terms.register(LightGBMForecaster)
def _of_trees(
    model: LightGBMForecaster, category: str, values: Matrix, table: list[Term]
) -> tuple[Floats, float]:
    booster = model.models_[category]
    order = _order(booster.feature_name(), table)
    amounts = np.empty(values.shape, dtype=np.float64)
    base = 0.0
    for k in range(0, len(values), _ROWS_AT_ONCE):
        part = np.ascontiguousarray(values[k : k + _ROWS_AT_ONCE, order])
        found = np.asarray(booster.predict(part, pred_contrib=True))
        amounts[k : k + len(part), order] = found[:, :-1]
        base = float(found[0, -1])
    return amounts, base


@learnt_terms.register(AdditiveForecaster)
def _of_curves(
    model: AdditiveForecaster, category: str, values: Matrix, table: list[Term]
) -> tuple[Floats, float]:
    shapes = Shapes.of(model.models_[category], model.mass_[category], model.pairs)
    names = [term.name for term in table]
    amounts = np.zeros(values.shape, dtype=np.float64)
    at = {name: interval_of(values[:, names.index(name)], knots) for name, knots in shapes.knots.items()}
    for name, curve in shapes.curves.items():
        amounts[:, names.index(name)] += curve[at[name]]
    for pair, grid in shapes.grids.items():
        together = grid[at[pair[0]], at[pair[1]]]
        for name in pair:
            amounts[:, names.index(name)] += together / 2
    return amounts, shapes.constant


@learnt_terms.register(PoissonForecaster)
@learnt_terms.register(NegativeBinomialForecaster)
def _of_coefficients(
    model: PoissonForecaster, category: str, values: Matrix, table: list[Term]
) -> tuple[Floats, float]:
    linear = model.models_[category]
    order = _order(linear.names, table)
    design = linear.design({name: values[:, k] for name, k in zip(linear.names, order, strict=True)})
    amounts = np.empty(values.shape, dtype=np.float64)
    amounts[:, order] = design[:, 1:] * linear.coefficients[1:]
    return amounts, float(linear.coefficients[0])


# ---------------------------------------------------------------------- features of a learnt forecaster


def feature_table(model: LearnedForecaster, view: View) -> list[Term]:
    """Features a forecaster takes, in order, as terms."""
    described = model._features().table(view.target, view.bins)  # noqa: SLF001 - defaults differ by kind
    columns = zip(described["name"], described["family"], described["unit"], strict=True)
    return [Term(name, family, unit) for name, family, unit in columns]


def feature_values(model: LearnedForecaster, view: View, picks: NDArray[np.int64]) -> Matrix:
    """Features at some positions of a view, shape (n, n_features)."""
    table = feature_table(model, view)
    found = np.empty((len(picks), len(table)), dtype=np.float32)
    columns = model._features().gather(view, picks)  # noqa: SLF001 - as above
    for k, (_, values) in enumerate(columns):
        found[:, k] = values
    return found


def log_factor(model: LearnedForecaster, category: str, values: Matrix, names: list[str]) -> Floats:
    """Factor that a model gives rows of features, as its logarithm: the model asked directly."""
    columns: dict[str, Any] = {name: np.ascontiguousarray(values[:, k]) for k, name in enumerate(names)}
    found = model._log_factor(model.models_[category], columns)  # noqa: SLF001 - the only way to ask
    return np.asarray(found, dtype=np.float64)


def check_learned(model: Forecaster, what: str) -> LearnedForecaster:
    """Give the forecaster if it learns from features of its own.

    Raises
    ------
    UsageError
        If it does not.
    """
    model._check_fitted()  # noqa: SLF001 - the same words as everywhere
    if not isinstance(model, LearnedForecaster):
        other = " Ask its members." if isinstance(model, EnsembleForecaster) else ""
        msg = f"{what} needs a forecaster that learns from features; {model.name} does not.{other}"
        raise UsageError(msg)
    return model


def _one_factor(rate: NDArray[Any], term: Term, view: View, picks: NDArray[np.int64]) -> Contributions:
    """A rate as typical level (its geometric mean over the map), factor on it, and exposure."""
    exposure = np.log(view.exposure_factor)
    usual = np.log(np.maximum(np.asarray(rate, dtype=np.float64), _SMALLEST)) - exposure
    level = usual.mean(axis=1)
    row = picks // view.panel.n_cells
    own, hours = usual.ravel()[picks], exposure[row, 0]
    values = np.column_stack([np.exp(own), view.period_exposure[row]]).astype(np.float32)
    amounts = np.column_stack([own - level[row], hours])
    return Contributions([term, Term("exposure", EXPOSURE, "hours")], values, amounts, level[row])


def _order(names: list[str], table: list[Term]) -> NDArray[np.int64]:
    """Places in the table of a model's own order of features."""
    place = {term.name: k for k, term in enumerate(table)}
    return np.array([place[name] for name in names], dtype=np.int64)


def _unknown(model: Forecaster) -> str:
    return (
        f"{model.name} cannot be explained: it is not known how {type(model).__name__} comes to its rate "
        "from its features. Explain a LightGBMForecaster, AdditiveForecaster, PoissonForecaster or counts."
    )
