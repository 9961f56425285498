"""explain: from a model and its forecasts to factors, with the product checked on every row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import TranquilliteError, UsageError, nearest
from tranquillite_ml.explanation.contributions import CALIBRATION, Term, contributions
from tranquillite_ml.explanation.factors import Explanation
from tranquillite_ml.features import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.panel import Panel

TOLERANCE = 1e-6


def explain(
    model: Forecaster,
    panel: Panel,
    forecasts: Forecasts | None = None,
    *,
    cells: Iterable[str] | None = None,
    cutoff: int | str | pd.Timestamp | None = None,
) -> Explanation:
    """Factors that multiply to each published expected count, exactly.

    This describes the computation, not causes.

    Parameters
    ----------
    model : Forecaster
        Fitted, as it was when it made the forecasts.
    panel : Panel
    forecasts : Forecasts, optional
        What is explained; what `model.forecast(panel, cutoff)` gives when not given.
    cells : iterable of str, optional
        Cells, as named in files; all when not given.
    cutoff : int, str or Timestamp, optional
        The end of the panel when not given. Not together with `forecasts`, which have their own.

    Returns
    -------
    Explanation

    Raises
    ------
    UsageError
        If it is not known how this kind of model comes to its rate, a cell is unknown, or the forecasts were
        not made by this model as it is now fitted and calibrated.

    Notes
    -----
    Typical level × starting rate × exposure × one factor a feature × calibration. The starting rate is the
    smoothed count a learnt model multiplies: it carries most of what is known of a place. Trees are taken
    apart by path-dependent SHAP values on the log rate. The product is compared with the published count on
    every row; a relative difference above 1e-6 raises.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import LightGBMForecaster
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=240, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> model = LightGBMForecaster(Target("noise", period=7), n_estimators=30).fit(panel)
    >>> found = explain(model, panel)
    >>> found.families[:4], found.families[-1]
    (['starting rate', 'exposure', 'history', 'city'], 'calibration')
    >>> busiest = found.rows.loc[found.rows["expected_count"].idxmax()]
    >>> product = found.why(busiest["cell"])["factor"].prod()
    >>> bool(np.isclose(product, busiest["expected_count"], rtol=1e-6))
    True
    """
    ours = forecasts is None
    if forecasts is None:
        forecasts = model.forecast(panel, cutoff)
    elif cutoff is not None:
        msg = "give forecasts or a cutoff, not both: forecasts have cutoffs of their own."
        raise UsageError(msg)
    else:
        model._check_fitted()  # noqa: SLF001 - the same words as everywhere
        forecasts = forecasts.select(model=model.name)
    if not np.array_equal(forecasts.cells, panel.grid.cells):
        msg = f"the forecasts are of {len(forecasts.cells)} cells, which are not the panel's {panel.n_cells}."
        raise UsageError(msg)
    columns = _columns_of(panel, cells)
    keys = forecasts.keys
    parts = []
    for (moment, category), maps in keys.groupby(["cutoff", "category"], sort=False, observed=True):
        end = panel.index_at(moment)
        parts.append(
            _explain_maps(
                model,
                panel,
                forecasts.take(maps.index.to_numpy()),
                end=end,
                category=category,
                columns=columns,
            )
        )
    terms = parts[0][0]
    rows = pd.concat([part[1] for part in parts], ignore_index=True)
    values, amounts, base = (np.concatenate([part[k] for part in parts]) for k in (2, 3, 4))
    error = _check(rows, base + amounts.sum(axis=1), model.name, ours=ours)
    return Explanation(
        model.name,
        rows,
        terms,
        data=values,
        contributions=amounts,
        base=base,
        n_checked=len(rows),
        largest_error=error,
        level=float(keys["level"].iloc[0]),
    )


def _explain_maps(
    model: Forecaster,
    panel: Panel,
    forecasts: Forecasts,
    *,
    end: int,
    category: str,
    columns: NDArray[np.int64],
) -> tuple[list[Term], pd.DataFrame, Any, Any, Any]:
    """Rows of one category at one cutoff."""
    ahead = np.array(model.target.horizons, dtype=np.int64)
    wanted = forecasts.keys["horizon"].to_numpy(dtype=np.int64)
    if category not in model.target.categories or not np.isin(wanted, ahead).all():
        msg = f"{model.name} forecasts {model.target}, not {category!r} at horizons {wanted.tolist()}."
        raise UsageError(msg)
    # The view is the one that was forecast, all horizons together, so that its sums are the same to the bit.
    view = View(panel.until(end), category, model.target, np.full(len(ahead), end), ahead)
    at = np.searchsorted(ahead, wanted)
    found = contributions(model, view, (at[:, None] * panel.n_cells + columns).ravel())
    raw = np.exp(found.log_rate)
    factor = np.log(model.calibrator_[category].expected(raw)) - found.log_rate
    n = len(columns)
    rows = pd.DataFrame(
        {
            "cell": np.tile(panel.grid.names()[columns].astype(object), len(wanted)),
            **{
                name: forecasts.keys[name].repeat(n).array
                for name in ("category", "cutoff", "horizon", "period_start")
            },
            **{
                name: getattr(forecasts, name)[:, columns].ravel()
                for name in ("expected_count", "lower", "upper")
            },
        }
    )
    terms = [*found.terms, Term("calibration", CALIBRATION, "incidents in the period")]
    values = np.hstack([found.data, raw[:, None].astype(np.float32)])
    return terms, rows, values, np.hstack([found.amounts, factor[:, None]]), found.base


def _columns_of(panel: Panel, cells: Iterable[str] | None) -> NDArray[np.int64]:
    if cells is None:
        return np.arange(panel.n_cells)
    place = {name: k for k, name in enumerate(panel.grid.names().tolist())}
    wanted = [cells] if isinstance(cells, str) else list(cells)
    unknown = [cell for cell in wanted if cell not in place]
    if unknown or not wanted:
        hint = nearest(str(unknown[0]), place) if unknown else ""
        some = (unknown or wanted)[:3]
        msg = f"cells must be one or more of the panel's {len(place)} cells, got {some}.{hint}"
        raise UsageError(msg)
    return np.array([place[cell] for cell in wanted], dtype=np.int64)


def _check(rows: pd.DataFrame, log_rate: NDArray[np.float64], name: str, *, ours: bool) -> float:
    """Largest relative difference between the products and what was published; raise if it is too large."""
    published = rows["expected_count"].to_numpy()
    with np.errstate(divide="ignore"):
        error = np.abs(np.exp(log_rate) / published - 1)
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    if error[worst] <= TOLERANCE:
        return float(error[worst])
    msg = (
        f"the factors of cell {rows['cell'][worst]} multiply to {np.exp(log_rate[worst]):.9g}, but {name} "
        f"forecast {published[worst]:.9g}"
    )
    if ours:
        msg += ": its contributions do not add up to its rate."
        raise TranquilliteError(msg)
    msg += (
        ": these forecasts were not made by this model as it is now fitted and calibrated. Explain what "
        "model.forecast(panel, cutoff) gives, or recalibrate the model at the forecasts' cutoff."
    )
    raise UsageError(msg)
