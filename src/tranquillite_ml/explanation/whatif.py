"""What if a feature were otherwise: the same model asked again, without being trained again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, nearest
from tranquillite_ml.explanation.background import draw_background
from tranquillite_ml.explanation.contributions import (
    START,
    check_learned,
    feature_table,
    feature_values,
    log_factor,
)
from tranquillite_ml.features import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.panel import Panel

_BACKGROUND = 4000


def what_if(
    model: Forecaster,
    panel: Panel,
    cutoff: int | str | pd.Timestamp | None = None,
    *,
    remove: Iterable[str] = (),
    set: Mapping[str, float | Literal["median"]] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Change of expected counts if features said nothing particular, or something else.

    Parameters
    ----------
    model : Forecaster
        Fitted, and learning from features. It is asked again, not trained again.
    panel : Panel
    cutoff : int, str or Timestamp, optional
        The end of the panel when not given.
    remove : iterable of str
        Features or families. Each of their features is held, everywhere, at the city's median of the last
        year, so that it tells no place or time from another; ``"starting rate"`` is held at its geometric
        mean over the map.
    set : mapping of feature to number or "median"
        Features held at a value.
    seed : int, default 0
        Of the place-periods of the last year that give the medians.

    Returns
    -------
    DataFrame
        ``cell, category, horizon, period_start, expected_count, what_if, change, ratio``.

    Raises
    ------
    UsageError
        If a name is unknown, nothing is changed, or the model learns from no features.

    Notes
    -----
    Another model might learn the same from what is left: compare with one trained without the features
    before concluding that they are needed. The calibration is applied to both.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import PoissonForecaster
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.panel import Panel
    >>> city = simulate_city(seed=0, days=240, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, city.bins("1D"))
    >>> model = PoissonForecaster(Target("noise", period=7)).fit(panel)
    >>> without = what_if(model, panel, remove=["neighbourhood"])
    >>> len(without) == panel.n_cells, bool(without["change"].abs().max() > 0)
    (True, True)
    """
    learned = check_learned(model, "what_if")
    end = panel.n_bins if cutoff is None else panel.index_at(cutoff)
    known = panel.until(end)
    ahead = np.array(learned.target.horizons, dtype=np.int64)
    parts = []
    for category in learned.target.categories:
        view = View(known, category, learned.target, np.full(len(ahead), end), ahead)
        terms = feature_table(learned, view)
        held = _held(terms, [remove] if isinstance(remove, str) else list(remove), dict(set or {}))
        typical: NDArray[Any] | None = None
        if "median" in held.values():
            drawn = draw_background(
                learned, panel, category=category, cutoff=end, n_rows=_BACKGROUND, seed=seed
            )
            typical = drawn.typical()
        values = feature_values(learned, view, np.arange(len(ahead) * panel.n_cells))
        names = [term.name for term in terms]
        start = learned.starting_rate(view)
        level = np.exp(np.log(start).mean(axis=1, keepdims=True))
        other = np.broadcast_to(level, start.shape) if START in held else start
        changed = values.copy()
        for k, name in enumerate(names):
            if name in held:
                changed[:, k] = typical[k] if typical is not None and held[name] == "median" else held[name]
        calibrator = learned.calibrator_[category]
        before, after = (
            calibrator.expected(rate * np.exp(log_factor(learned, category, rows, names)).reshape(rate.shape))
            for rate, rows in ((start, values), (other, changed))
        )
        parts.append(_compared(view, before, after))
    return pd.concat(parts, ignore_index=True)


def _held(terms: list[Any], remove: list[str], given: dict[str, Any]) -> dict[str, Any]:
    """Value at which each feature that changes is held; "median" for the city's."""
    families: dict[str, list[str]] = {START: [START]}
    for term in terms:
        families.setdefault(term.family, []).append(term.name)
    known = {term.name for term in terms}
    found: dict[str, Any] = {}
    for name in remove:
        members = families.get(name, [name] if name in known else [])
        if not members:
            options = [*families, *sorted(known)]
            msg = f"remove takes features and families, got {name!r}.{nearest(name, options)} Families: "
            raise UsageError(msg + f"{list(families)}.")
        found |= dict.fromkeys(members, "median")
    for name, value in given.items():
        if name not in known or (isinstance(value, str) and value != "median"):
            hint = "" if name in known else nearest(name, known)
            msg = f"set takes features with a number or 'median', got {name!r}: {value!r}.{hint}"
            raise UsageError(msg)
        found[name] = value
    if not found:
        msg = "say what to change: remove=[features or families] or set={feature: value}."
        raise UsageError(msg)
    return found


def _compared(view: View, before: NDArray[np.float64], after: NDArray[np.float64]) -> pd.DataFrame:
    n_maps, n_cells = before.shape
    start = pd.Series(view.bins.instants(view.period_begin))
    return pd.DataFrame(
        {
            "cell": np.tile(view.panel.grid.names().astype(object), n_maps),
            "category": view.category,
            "horizon": view.horizons.repeat(n_cells),
            "period_start": start.repeat(n_cells).array,
            "expected_count": before.ravel(),
            "what_if": after.ravel(),
            "change": (after - before).ravel(),
            "ratio": (after / before).ravel(),
        }
    )
