"""How one feature, or two together, move a forecast: accumulated local effects and interactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.explanation.background import Background, draw_background
from tranquillite_ml.explanation.contributions import check_learned, log_factor
from tranquillite_ml.explanation.factors import import_shap
from tranquillite_ml.forecasters import LightGBMForecaster, NegativeBinomialForecaster, PoissonForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.forecasters.learned import LearnedForecaster
    from tranquillite_ml.panel import Panel

_MOST_ROWS = 500
_PAIRS = ["feature", "feature_2", "family", "family_2", "mean_abs", "share", "n"]


def effect_curve(
    model: Forecaster,
    panel: Panel,
    feature: str,
    *,
    category: str | None = None,
    cutoff: int | str | pd.Timestamp | None = None,
    intervals: int = 20,
    n_rows: int = 4000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Factor of one feature along its values: accumulated local effects, for features that move together.

    Parameters
    ----------
    model : Forecaster
        Fitted, and learning from features.
    panel : Panel
    feature : str
    category : str, optional
        The target's first one when not given.
    cutoff : int, str or Timestamp, optional
        The end of the panel when not given.
    intervals : int, default 20
        Intervals between quantiles of the feature.
    n_rows : int, default 4000
        Place-periods of the last year.
    level : float, default 0.95
        Nominal coverage of the intervals, of what is accumulated from the first value on.
    seed : int, default 0

    Returns
    -------
    DataFrame
        ``feature, value, log_factor, factor, lower, upper`` (of the factor) and ``n`` (place-periods in the
        interval that ends at the value). Mean log factor 0. Empty if the feature never varies.

    Raises
    ------
    UsageError
        If the feature is unknown, or the model learns from none.

    Notes
    -----
    Apley and Zhu 2020, doi:10.1111/rssb.12377. Within each interval the score is taken at both ends with all
    other features as they are, so that no place is asked about values it never comes near.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import PoissonForecaster
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.panel import Panel
    >>> city = simulate_city(seed=0, days=240, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, city.bins("1D"))
    >>> curve = effect_curve(PoissonForecaster(Target("noise", period=7)).fit(panel), panel, "target_28d")
    >>> list(curve.columns)
    ['feature', 'value', 'log_factor', 'factor', 'lower', 'upper', 'n']
    """
    from scipy.special import ndtri

    learned = check_learned(model, "an effect curve")
    drawn = draw_background(learned, panel, category=category, cutoff=cutoff, n_rows=n_rows, seed=seed)
    k = drawn.names.index(check_in(feature, drawn.names, "feature"))
    column = drawn.data[:, k]
    rows = drawn.data[np.isfinite(column)]
    column = column[np.isfinite(column)]
    edges = (
        np.unique(np.quantile(column, np.linspace(0, 1, intervals + 1)).astype(np.float32))
        if len(column)
        else np.array([], dtype=np.float32)
    )
    names = ["feature", "value", "log_factor", "factor", "lower", "upper", "n"]
    if len(edges) < 2:
        return pd.DataFrame(columns=names)
    at = np.clip(np.searchsorted(edges, column, side="left") - 1, 0, len(edges) - 2)
    step = _scored(learned, drawn, rows, k, edges[at + 1]) - _scored(learned, drawn, rows, k, edges[at])
    n = np.bincount(at, minlength=len(edges) - 1)
    mean = np.bincount(at, step, len(n)) / np.maximum(n, 1)
    spread = np.bincount(at, (step - mean[at]) ** 2, len(n)) / np.maximum(n - 1, 1)
    path = np.concatenate([[0.0], np.cumsum(mean)])
    error = np.sqrt(np.concatenate([[0.0], np.cumsum(spread / np.maximum(n, 1))]))
    path -= np.average((path[:-1] + path[1:]) / 2, weights=n)
    reach = float(ndtri((1 + level) / 2)) * error
    found = {
        "feature": feature,
        "value": edges.astype(np.float64),
        "log_factor": path,
        "factor": np.exp(path),
    }
    found |= {"lower": np.exp(path - reach), "upper": np.exp(path + reach), "n": np.concatenate([[n[0]], n])}
    return pd.DataFrame(found)[names]


def interactions(
    model: Forecaster,
    panel: Panel,
    *,
    category: str | None = None,
    cutoff: int | str | pd.Timestamp | None = None,
    n_rows: int = 100,
    top: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Pairs of features that do more, or less, together than each alone, the strongest first.

    Parameters
    ----------
    model : Forecaster
        LightGBM or additive; linear models have no interactions.
    panel : Panel
    category : str, optional
        The target's first one when not given.
    cutoff : int, str or Timestamp, optional
        The end of the panel when not given.
    n_rows : int, default 100
        Place-periods of the last year, 500 at most: the cost grows with the square of the features.
    top : int, default 5
        Pairs given.
    seed : int, default 0

    Returns
    -------
    DataFrame
        ``feature, feature_2, family, family_2, mean_abs`` (of what the two do only together, on the log
        rate), ``share`` of the sum of all contributions' sizes, main effects included, ``n``.

    Raises
    ------
    UsageError
        If the model is of another kind, or too many rows are wanted.

    Notes
    -----
    SHAP interaction values of trees (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9); a pair is both its
    halves.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import PoissonForecaster
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.panel import Panel
    >>> city = simulate_city(seed=0, days=240, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, city.bins("1D"))
    >>> len(interactions(PoissonForecaster(Target("noise", period=7)).fit(panel), panel))
    0
    """
    learned = check_learned(model, "interactions")
    if not 1 <= n_rows <= _MOST_ROWS:
        msg = f"n_rows must lie between 1 and {_MOST_ROWS}, got {n_rows}."
        raise UsageError(msg)
    if isinstance(learned, PoissonForecaster | NegativeBinomialForecaster):
        return pd.DataFrame(columns=_PAIRS)
    if not isinstance(learned, LightGBMForecaster):
        msg = f"interactions are known of LightGBM and additive models, not of {model.name}."
        raise UsageError(msg)
    drawn = draw_background(learned, panel, category=category, cutoff=cutoff, n_rows=n_rows, seed=seed)
    booster = learned.models_[drawn.category]
    names = booster.feature_name()
    order = [drawn.names.index(name) for name in names]
    rows = np.ascontiguousarray(drawn.data[:, order], dtype=np.float64)
    explainer = import_shap().TreeExplainer(booster)
    size = np.abs(np.asarray(explainer.shap_interaction_values(rows))).mean(axis=0)
    one, two = np.triu_indices(len(names), 1)
    together = 2 * size[one, two]
    kept = np.argsort(-together, kind="stable")[:top]
    kept = kept[together[kept] > 0]
    family = {term.name: term.family for term in drawn.terms}
    first, second = ([names[k] for k in side[kept]] for side in (one, two))
    found: dict[str, Any] = {"feature": first, "feature_2": second}
    found |= {"family": [family[n] for n in first], "family_2": [family[n] for n in second]}
    found |= {
        "mean_abs": together[kept],
        "share": together[kept] / max(float(size.sum()), 1e-300),
        "n": n_rows,
    }
    return pd.DataFrame(found)[_PAIRS]


def _scored(
    model: LearnedForecaster, drawn: Background, rows: NDArray[np.float32], k: int, value: NDArray[np.float32]
) -> NDArray[np.float64]:
    changed = rows.copy()
    changed[:, k] = value
    return log_factor(model, drawn.category, changed, drawn.names)
