"""Calibration: whether forecasts of 0.3 come with 0.3 incidents, and intervals hold what they promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, check_in
from tranquillite_ml.evaluation.bootstrap import Estimate, check_level, estimate_folds, ratio
from tranquillite_ml.evaluation.distributions import prob_any_of
from tranquillite_ml.evaluation.pit import activity_strata, observed_part, randomised_inclusion
from tranquillite_ml.evaluation.scores import check_forecasts

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tranquillite_ml.evaluation.bootstrap import Totals
    from tranquillite_ml.forecasts import Forecasts

QUANTITIES = ("expected_count", "prob_any")
_QUIET_SHARE = 0.01


def reliability_curve(
    forecasts: Forecasts,
    *,
    model: str | None = None,
    bins: int = 10,
    quantity: str = "expected_count",
    places: ArrayLike | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean forecast against what was recorded, by bins of the forecast, or by groups of places.

    Most cells are quiet, so bins of equal numbers of cells would hold next to nothing and one bin would
    hold all that matters. These bins hold equal shares of the *forecast total*, but for the first: it holds
    the quiet cells, which together carry 1 % of it.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes.
    model : str, optional
        One model; without it, every model.
    bins : int, default 10
        Number of bins, the quiet one included. Cells with equal forecasts stay in one bin, so there may be
        fewer.
    quantity : {"expected_count", "prob_any"}, default "expected_count"
        What is judged: the mean against the count, or the probability against the share of cells with an
        incident.
    places : array_like, shape (n_cells,), optional
        A label for each cell, such as its district: then these are the bins, in ascending order.
    n_boot, level, seed
        Resamples of the folds, nominal coverage of the intervals, seed. For intervals that hold in all of m
        bins at once, take a level of 1 − 0.05 / m (Bonferroni): if all of them meet a range, Holm's procedure
        rejects it in none either.

    Returns
    -------
    DataFrame
        ``model``, ``quantity``, ``bin`` (from 1, the quietest, or the label), ``n`` (cell forecasts),
        ``n_folds``, ``n_incidents`` (for `prob_any`: cells with at least one), ``forecast`` and ``observed``
        (means), ``lower`` and ``upper`` (of `observed`), ``oe``, ``oe_lower``, ``oe_upper`` (observed over
        forecast; *best 1*, NaN where nothing was recorded).

    Raises
    ------
    UsageError
        If the model or quantity is unknown, `bins` is below 1, or there is not one label a cell.

    Notes
    -----
    Intervals are block-bootstrapped over cutoffs (`bootstrap.percentile_interval`), bins held fixed; NaN with
    fewer than 5 cutoffs. They do not resample single cells, so they hold what a week does to the whole city.

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> keys = pd.DataFrame({"model": ["count_365d"], "category": "noise", "horizon": 1, "outside_count": 0.0,
    ...     "cutoff": pd.Timestamp("2024-01-01", tz="UTC"), "distribution": "poisson"})
    >>> values = {"expected_count": np.array([[0.0, 1, 1]]), "observed_count": np.array([[0.0, 1, 2]])}
    >>> seen = Forecasts(keys, np.arange(1, 4, dtype=np.uint64), np.full(3, 0.1), values, {})
    >>> reliability_curve(seen, bins=2)[["bin", "n", "forecast", "observed", "oe"]]
       bin  n  forecast  observed   oe
    0    1  1       0.0       0.0  NaN
    1    2  2       1.0       1.5  1.5
    """
    check_in(quantity, QUANTITIES, "quantity")
    check_level(level, n_boot)
    if bins < 1:
        msg = f"bins must be at least 1, got {bins}."
        raise UsageError(msg)
    chosen = check_forecasts(forecasts)
    chosen = chosen if model is None else chosen.select(model=model)
    of_cell, labels = (None, range(1, bins + 1)) if places is None else _labelled(places, forecasts)
    rows = []
    for name in sorted(chosen.models):
        part = observed_part(chosen, name)
        forecast = part.expected_count if quantity == "expected_count" else prob_any_of(part)
        seen = part.observed_count if quantity == "expected_count" else part.observed_count >= 1
        number = _forecast_bins(forecast, bins) if of_cell is None else np.tile(of_cell, (len(forecast), 1))
        cells = {"n": np.ones_like(forecast), "forecast": forecast, "observed": seen}
        for bin_, totals in zip(labels, _fold_totals(part, number, cells, len(labels)), strict=True):
            if totals["n"].sum() == 0:
                continue
            found = estimate_folds(totals, _reliability, n_boot=n_boot, level=level, seed=seed)
            rows.append(
                {"model": name, "quantity": quantity, "bin": bin_, **_counts(totals), **_named(found)}
            )
    columns = [
        "model",
        "quantity",
        "bin",
        "n",
        "n_folds",
        "n_incidents",
        "forecast",
        "observed",
        "lower",
        "upper",
    ]
    return pd.DataFrame(rows, columns=[*columns, "oe", "oe_lower", "oe_upper"])


def interval_coverage_table(
    forecasts: Forecasts, *, strata: int = 4, n_boot: int = 1000, level: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """How often the count lay in its interval, by model and by how busy the cell was forecast to be.

    A discrete interval on a cell that is nearly always 0 cannot cover 90 %: it covers nearly always. The
    *randomised* coverage takes that away and should equal the nominal level in every stratum.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes.
    strata : int, default 4
        Groups of cells within each map, by rank of `expected_count`: 1 the quietest. Tied cells stay
        together, so a stratum may be empty.
    n_boot, level, seed
        Resamples of the folds, nominal coverage of the *intervals around the coverages*, seed.

    Returns
    -------
    DataFrame
        ``model``, ``stratum``, ``n`` (cell forecasts with an interval), ``n_folds``, ``n_incidents``,
        ``forecast`` (mean), ``nominal`` (mean level stated), ``coverage``, ``randomised_coverage``, each
        with ``_lower`` and ``_upper``, and ``mean_width`` (incidents). *Best at the nominal level*: below
        it the forecast is too sure. Strata without cells have n = 0 and NaN.

    Notes
    -----
    Randomised coverage is that of the central interval of the forecast's law whose edges belong to it with a
    chance (`calibration.randomised_interval`), the chance taken instead of a draw: nothing here is random.
    It judges the law; conformal limits, which are read off that law at other levels, are judged by
    `coverage`. Where a map states no level, 0.9 is used.

    References
    ----------
    Vovk, V., Gammerman, A. and Shafer, G. (2005). Algorithmic Learning in a Random World. Springer.
    https://doi.org/10.1007/b106715

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> keys = pd.DataFrame({"model": ["count_365d"], "category": "noise", "horizon": 1, "outside_count": 0.0,
    ...     "cutoff": pd.Timestamp("2024-01-01", tz="UTC"), "distribution": "poisson", "level": 0.9})
    >>> values = {"expected_count": np.array([[0.1, 0.2, 1, 2]]), "lower": np.zeros((1, 4)),
    ...     "upper": np.array([[1.0, 1, 3, 5]]), "observed_count": np.array([[0.0, 0, 1, 9]])}
    >>> seen = Forecasts(keys, np.arange(1, 5, dtype=np.uint64), np.full(4, 0.1), values, {})
    >>> interval_coverage_table(seen, strata=2)[["stratum", "n", "nominal", "coverage", "mean_width"]]
       stratum  n  nominal  coverage  mean_width
    0        1  2      0.9       1.0         1.0
    1        2  2      0.9       0.5         4.0
    """
    check_level(level, n_boot)
    rows = []
    for name in sorted(check_forecasts(forecasts).models):
        part = observed_part(forecasts, name)
        stratum = activity_strata(part.expected_count, strata)
        stated = np.isfinite(part.lower) & np.isfinite(part.upper)
        level_of = _nominal(part)[:, None]
        cells = {
            "n": stated * 1.0,
            "observed": np.where(stated, part.observed_count, 0.0),
            "forecast": np.where(stated, part.expected_count, 0.0),
            "nominal": np.where(stated, level_of, 0.0),
            "covered": stated & (part.lower <= part.observed_count) & (part.observed_count <= part.upper),
            "centred": np.where(stated, randomised_inclusion(part, level_of), 0.0),
            "width": np.where(stated, part.upper - part.lower, 0.0),
        }
        for number, totals in enumerate(_fold_totals(part, stratum, cells, strata), start=1):
            found = estimate_folds(totals, _coverage, n_boot=n_boot, level=level, seed=seed)
            row = {"model": name, "stratum": number, **_counts(totals)}
            row |= {key: found[key].value for key in ("forecast", "nominal")}
            for key in ("coverage", "randomised_coverage"):
                row |= {key: found[key].value}
                row |= {f"{key}_lower": found[key].lower, f"{key}_upper": found[key].upper}
            rows.append(row | {"mean_width": found["mean_width"].value})
    return pd.DataFrame(rows)


def _nominal(part: Forecasts) -> NDArray[np.float64]:
    if "level" not in part.keys:
        return np.full(len(part.keys), 0.9)
    return part.keys["level"].to_numpy(dtype=np.float64, na_value=0.9)


def _forecast_bins(forecast: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Bin of each cell: the quiet ones 0, the others by equal shares of the forecast total."""
    ordered = np.sort(forecast, axis=None)
    carried = np.cumsum(ordered)
    if bins == 1 or len(ordered) == 0 or carried[-1] == 0:
        return np.zeros(forecast.shape, dtype=np.int64)
    shares = np.linspace(_QUIET_SHARE, 1, bins)[:-1]
    edges = ordered[np.searchsorted(carried, shares * carried[-1], side="right")]
    return np.asarray(np.searchsorted(edges, forecast, side="right"), dtype=np.int64)


def _labelled(places: ArrayLike, forecasts: Forecasts) -> tuple[NDArray[np.int64], list[Any]]:
    """Number of each cell's label, and the labels."""
    number, labels = pd.factorize(np.asarray(places), sort=True)
    if number.shape != forecasts.cells.shape or (number < 0).any():
        msg = f"places must hold one label for each of the {len(forecasts.cells)} cells, and none missing."
        raise UsageError(msg)
    return number, labels.tolist()


def _fold_totals(
    part: Forecasts, code: NDArray[np.int64], cells: Mapping[str, NDArray[Any]], n_codes: int
) -> list[dict[str, NDArray[np.float64]]]:
    """For each code, sums over the cells that have it, by fold."""
    fold, cutoffs = pd.factorize(part.keys["cutoff"], sort=True)
    index = (fold[:, None] * n_codes + code).ravel()
    size = len(cutoffs) * n_codes
    sums = {
        name: np.bincount(index, weights=values.ravel(), minlength=size).reshape(len(cutoffs), n_codes)
        for name, values in cells.items()
    }
    filled = sums["n"] > 0
    return [
        {name: values[filled[:, number], number] for name, values in sums.items()}
        for number in range(n_codes)
    ]


def _counts(totals: Totals) -> dict[str, int]:
    return {
        "n": int(totals["n"].sum()),
        "n_folds": len(totals["n"]),
        "n_incidents": int(totals["observed"].sum()),
    }


def _reliability(sums: Totals) -> dict[str, NDArray[np.float64]]:
    seen = sums["observed"]
    return {
        "forecast": ratio(sums["forecast"], sums["n"]),
        "observed": ratio(seen, sums["n"]),
        "oe": ratio(seen, sums["forecast"] * (seen > 0)),
    }


def _named(found: dict[str, Estimate]) -> dict[str, float]:
    observed, oe = found["observed"], found["oe"]
    return {
        "forecast": found["forecast"].value,
        "observed": observed.value,
        "lower": observed.lower,
        "upper": observed.upper,
        "oe": oe.value,
        "oe_lower": oe.lower,
        "oe_upper": oe.upper,
    }


def _coverage(sums: Totals) -> dict[str, NDArray[np.float64]]:
    parts = {
        "forecast": "forecast",
        "nominal": "nominal",
        "coverage": "covered",
        "randomised_coverage": "centred",
        "mean_width": "width",
    }
    return {name: ratio(sums[source], sums["n"]) for name, source in parts.items()}
