"""Hotspots: how many of the recorded incidents fell in the small share of the area forecast as busiest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, check_in, is_number
from tranquillite_ml.evaluation.bootstrap import estimate_groups, ratio
from tranquillite_ml.evaluation.scores import observed_maps, row_blocks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tranquillite_ml.evaluation.bootstrap import Totals
    from tranquillite_ml.forecasts import Forecasts

MEASURES = ("hit_rate", "pai", "rri", "pei", "pei_star")
BOUNDARIES = ("fraction", "whole")
_PLAIN = ("area_share", "one_incident_pai")
_ROUNDING = 1e-9


class Ranking:
    """Cells of each map in descending order of a value, ties kept together.

    Parameters
    ----------
    values : ndarray of float64, shape (n_maps, n_cells)
        What cells are ranked by.
    area_km2 : ndarray of float64, shape (n_cells,)
        Area of each cell.

    Attributes
    ----------
    order : ndarray of int64, shape (n_maps, n_cells)
        Columns in descending order of the value.
    before, area : ndarray of float64, shape (n_maps, n_cells)
        Area of all cells ranked above the group of tied cells at each place, and area of the group itself.
    first, size : ndarray of int64, shape (n_maps, n_cells)
        Place at which that group begins, and cells in it.
    """

    def __init__(self, values: NDArray[np.float64], area_km2: NDArray[np.float64]) -> None:
        n_cells = values.shape[1]
        place = np.arange(n_cells)
        self.order = np.argsort(-values, axis=1, kind="stable")
        ordered = np.take_along_axis(values, self.order, axis=1)
        changes = ordered[:, 1:] != ordered[:, :-1]
        ends = np.ones((len(values), 1), dtype=bool)
        begins = np.hstack([ends, changes])
        self.first = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
        stops = np.where(np.hstack([changes, ends]), place, n_cells)
        last = np.minimum.accumulate(stops[:, ::-1], axis=1)[:, ::-1]
        self.size = last - self.first + 1
        through = np.cumsum(area_km2[self.order], axis=1)
        through = np.hstack([np.zeros((len(values), 1)), through])
        self.before = np.take_along_axis(through, self.first, axis=1)
        self.area = np.take_along_axis(through, last + 1, axis=1) - self.before

    def weights(self, area_km2: ArrayLike, boundary: str = "fraction") -> NDArray[np.float64]:
        """Share of each cell that a hotspot of `area_km2` takes, in ranked order, shape (n_maps, n_cells)."""
        target = np.asarray(area_km2, dtype=np.float64).reshape(-1, 1)
        share = (target - self.before) / self.area
        if boundary == "whole":
            share = np.floor(share * self.size + _ROUNDING) / self.size
        return np.clip(share, 0.0, 1.0)


def select_hotspot(
    expected: ArrayLike, area_km2: ArrayLike, coverage_km2: float, *, boundary: str = "fraction"
) -> NDArray[np.float64]:
    """Share of each cell that belongs to the hotspot: the highest forecasts, up to an area.

    Cells tied at the threshold share what is left of the area equally, so that the result does not depend
    on the order of the cells: for measures it is the mean over all ways to break the tie.

    Parameters
    ----------
    expected : array_like, shape (n_cells,) or (n_maps, n_cells)
        Expected counts; cells are ranked by them, not by density (H3 cells of a city are nearly equal).
    area_km2 : array_like, shape (n_cells,)
        Area of each cell.
    coverage_km2 : float
        Area of the hotspot.
    boundary : {"fraction", "whole"}, default "fraction"
        ``"fraction"``: the cell that would exceed the area is taken in part, and the area is met exactly.
        ``"whole"``: it is left out, and the area is at most the one asked for, as in the weekly benchmark
        (tied cells count with their mean area).

    Returns
    -------
    ndarray of float64, in [0, 1], same shape as `expected`

    Raises
    ------
    UsageError
        If `boundary` is unknown.

    Examples
    --------
    >>> select_hotspot([5.0, 1.0, 1.0, 0.0], [0.1, 0.1, 0.1, 0.1], 0.15).round(3).tolist()
    [1.0, 0.25, 0.25, 0.0]
    >>> select_hotspot([5.0, 1.0, 1.0, 0.0], [0.1, 0.1, 0.1, 0.1], 0.2, boundary="whole").tolist()
    [1.0, 0.5, 0.5, 0.0]
    """
    check_in(boundary, BOUNDARIES, "boundary")
    values = np.asarray(expected, dtype=np.float64)
    maps = np.atleast_2d(values)
    ranking = Ranking(maps, np.asarray(area_km2, dtype=np.float64))
    chosen = np.empty_like(maps)
    np.put_along_axis(chosen, ranking.order, ranking.weights(coverage_km2, boundary), axis=1)
    return chosen.reshape(values.shape)


def hotspot_curve(
    forecasts: Forecasts,
    *,
    coverage: float | Sequence[float] = (0.01, 0.05, 0.10),
    by: Iterable[str] = ("model",),
    boundary: str = "fraction",
    denominator: ArrayLike | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Hit rate, PAI, RRI, PEI and PEI* of each model at given shares of the area, with intervals.

    Read `one_incident_pai` before comparing PAIs: at 1 % of the area a single incident more or less often
    moves the PAI by more than the models differ.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes (`Forecasts.observe`).
    coverage : float or sequence of float, default (0.01, 0.05, 0.10)
        Shares of `Forecasts.study_area_km2`.
    by : iterable of str, default ("model",)
        Any of ``model, category, cutoff, horizon``; `model` is always among them. ``("model", "cutoff")``
        gives the values of each fold.
    boundary : {"fraction", "whole"}, default "fraction"
        See `select_hotspot`; the weekly benchmark takes whole cells.
    denominator : array_like, shape (n_cells,), optional
        What stands in place of each cell's area, such as its kilometres of street (`street_km`): coverages
        and PAI are then shares of its total, and cells are ranked by expected count per unit of it. Where it
        is 0 a cell is in no hotspot, and its incidents are missed.
    n_boot, level, seed
        Resamples of the folds, nominal coverage of the intervals, seed.

    Returns
    -------
    DataFrame
        The keys, ``coverage``, ``n_folds``, ``n_maps``, ``n_unobserved``, ``n_incidents`` (N: all,
        *including* those outside the cells), ``n_outside`` (of these; NaN if not known), ``hits`` (n),
        ``area_share`` (a/A, what was really selected), ``one_incident_pai`` (one incident = so much PAI);
        then with ``_lower`` and ``_upper``, *larger is better* except for `rri`:

        ``hit_rate``
            n/N, between 0 and 1. Incidents outside the cells are missed.
        ``pai``
            (n/N)/(a/A) [1]_; 1 is what any area of that size gets where incidents are spread evenly.
        ``rri``
            (n/N) over the share of the expected incidents that the forecast put there. *Best 1*: below, the
            forecast was too sure of its hotspot. After Levine's recapture rate index [2]_, which divides the
            share recaptured by the share of the period before; here the forecast stands for that period.
            NaN for ranks, which expect no number.
        ``pei``
            PAI over the best PAI any hotspot of the same area could have had, between 0 and 1 [3]_.
        ``pei_star``
            n/n*: n* is the most incidents the same number of cells could have held, between 0 and 1 [3]_.

    Raises
    ------
    UsageError
        If a coverage is not in (0, 1], `by` or `boundary` is unknown, or a denominator cannot be used.

    Notes
    -----
    Maps are pooled by sums: Σn/ΣN and so on. At full coverage hit rate and PAI are 1 if nothing fell
    outside and the cells are the study area; where the cells are larger than the study area, a coverage of
    1 does not take them all. Where a map's outside count is not known, N holds the incidents inside only.
    [3]_ defines PEI over the areas *permitted* to the forecaster; here one area is permitted, that of the
    hotspot. Source of the PEI formulas: the article's abstract, the rules of the 2017 challenge of the
    National Institute of Justice (PEI* = n/n*) and a public re-implementation; the article itself was not
    at hand.

    References
    ----------
    .. [1] Chainey, S., Tompson, L. and Uhlig, S. (2008). The utility of hotspot mapping for predicting
       spatial patterns of crime. Security Journal 21, 4-28. https://doi.org/10.1057/palgrave.sj.8350066
    .. [2] Levine, N. (2008). The "hottest" part of a hotspot. Security Journal 21, 295-302.
       https://doi.org/10.1057/sj.2008.5
    .. [3] White, V. M., Hunt, J. and Green, B. (2023). A discussion of current crime forecasting indices and
       an improvement to the prediction efficiency index for applications. Security Journal.
       https://doi.org/10.1057/s41284-023-00367-4

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> keys = pd.DataFrame({"model": ["count_365d"], "category": "noise", "horizon": 1, "outside_count": 1.0,
    ...     "cutoff": pd.Timestamp("2024-01-01", tz="UTC"), "distribution": "poisson"})
    >>> values = {"expected_count": np.array([[2.0, 1.0, 0.5, 0.5]]),
    ...     "observed_count": np.array([[1.0, 2.0, 0.0, 0.0]])}
    >>> seen = Forecasts(keys, np.arange(1, 5, dtype=np.uint64), np.full(4, 0.1), values, {})
    >>> hotspot_curve(seen, coverage=[0.25, 0.5])[["coverage", "hits", "hit_rate", "pai", "pei_star"]]
       coverage  hits  hit_rate  pai  pei_star
    0      0.25   1.0      0.25  1.0       0.5
    1      0.50   3.0      0.75  1.5       1.0
    """
    check_in(boundary, BOUNDARIES, "boundary")
    by = [by] if isinstance(by, str) else list(by)
    observed = observed_maps(forecasts)
    counts = {"n_incidents": "n_incidents", "n_outside": "n_outside", "hits": "hits"}
    parts = []
    held = hotspot_totals(forecasts, coverage, boundary=boundary, denominator=denominator)
    for share, totals in held.items():
        part = estimate_groups(
            forecasts.keys,
            totals,
            observed,
            _measures,
            by=by,
            counts=counts,
            n_boot=n_boot,
            level=level,
            seed=seed,
        )
        part.insert(int(part.columns.get_loc("n_folds")), "coverage", share)
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    table = table.drop(columns=[f"{name}_{end}" for name in _PLAIN for end in ("lower", "upper")])
    table["n_incidents"] = table["n_incidents"].round().astype(np.int64)
    names = table.columns[: table.columns.get_loc("n_folds")]
    return table.sort_values(list(names), ignore_index=True)


def hotspot_totals(
    forecasts: Forecasts,
    coverage: float | Sequence[float],
    *,
    boundary: str = "fraction",
    denominator: ArrayLike | None = None,
) -> dict[float, dict[str, NDArray[np.float64]]]:
    """What each map's hotspot held, by coverage: sums of which all hotspot measures are made.

    Raises
    ------
    UsageError
        If a coverage is not in (0, 1], or a denominator cannot be used.
    """
    given = list(coverage) if isinstance(coverage, Iterable) else [coverage]
    usable = all(is_number(share) and 0 < share <= 1 for share in given)
    shares = sorted({float(share) for share in given}) if usable else []
    if not shares:
        msg = f"coverage must hold shares of the area above 0 and up to 1 (0.05 is 5 %), got {coverage!r}."
        raise UsageError(msg)
    sizes, whole = _sizes(forecasts, denominator)
    there = slice(None) if (sizes > 0).all() else sizes > 0
    rows = np.flatnonzero(observed_maps(forecasts))
    outside = forecasts.keys["outside_count"].to_numpy(dtype=np.float64)
    n_incidents = np.nansum(forecasts.observed_count, axis=1) + np.nan_to_num(outside)
    ranks = (forecasts.keys["distribution"] == "rank").to_numpy()
    common = {
        "n_incidents": n_incidents,
        "n_outside": outside,
        "expected": np.where(ranks, np.nan, forecasts.expected_count.sum(axis=1)),
        "study_km2": np.full(len(outside), whole),
    }
    names = ("hits", "area_km2", "expected_hits", "best_by_area", "best_by_cells")
    held = {share: {name: np.zeros(len(outside)) for name in names} for share in shares}
    for block in row_blocks(rows, len(forecasts.cells)):
        expected, observed = (
            forecasts.expected_count[block][:, there],
            forecasts.observed_count[block][:, there],
        )
        ranked = expected if denominator is None else expected / sizes[there]
        targets = [share * whole for share in shares]
        found = _held(ranked, expected, observed, sizes[there], targets, boundary)
        for share, sums in zip(shares, found, strict=True):
            for name, values in sums.items():
                held[share][name][block] = values
    return {share: common | sums for share, sums in held.items()}


def _sizes(forecasts: Forecasts, denominator: ArrayLike | None) -> tuple[NDArray[np.float64], float]:
    """What coverage is a share of, cell by cell and in all."""
    if denominator is None:
        return forecasts.area_km2, forecasts.study_area_km2
    sizes = np.asarray(denominator)
    fits = sizes.shape == forecasts.area_km2.shape and sizes.dtype.kind in "iuf"
    if not (fits and (np.isfinite(sizes) & (sizes >= 0)).all() and sizes.any()):
        n = len(forecasts.cells)
        msg = f"denominator must hold a number ≥ 0 for each of {n:,} cells, not all of them 0."
        raise UsageError(msg)
    return sizes.astype(np.float64), float(sizes.sum())


def _held(  # noqa: PLR0917 - one call
    ranked: NDArray[np.float64],
    expected: NDArray[np.float64],
    observed: NDArray[np.float64],
    area_km2: NDArray[np.float64],
    targets: Sequence[float],
    boundary: str,
) -> list[dict[str, NDArray[np.float64]]]:
    """For each target area: hits, area, expected incidents in the hotspot, the most it could have held."""
    ranking = Ranking(ranked, area_km2)
    by_density = Ranking(observed / area_km2, area_km2)
    by_count = Ranking(observed, np.ones_like(area_km2))
    seen = np.take_along_axis(observed, ranking.order, axis=1)
    hoped = np.take_along_axis(expected, ranking.order, axis=1)
    densest = np.take_along_axis(observed, by_density.order, axis=1)
    fullest = np.take_along_axis(observed, by_count.order, axis=1)
    found = []
    for target in targets:
        weights = ranking.weights(target, boundary)
        hits = (weights * seen).sum(axis=1)
        area = (weights * area_km2[ranking.order]).sum(axis=1)
        best_by_area = (by_density.weights(area) * densest).sum(axis=1)
        best_by_cells = (by_count.weights(weights.sum(axis=1)) * fullest).sum(axis=1)
        found.append(
            {
                "hits": hits,
                "area_km2": area,
                "expected_hits": (weights * hoped).sum(axis=1),
                "best_by_area": np.maximum(best_by_area, hits),  # rounding must not lift an index above 1
                "best_by_cells": np.maximum(best_by_cells, hits),
            }
        )
    return found


def _measures(sums: Totals) -> dict[str, NDArray[np.float64]]:
    share = ratio(sums["area_km2"], sums["study_km2"])
    hit_rate = ratio(sums["hits"], sums["n_incidents"])
    return {
        "area_share": share,
        "one_incident_pai": ratio(1.0, sums["n_incidents"] * share),
        "hit_rate": hit_rate,
        "pai": ratio(hit_rate, share),
        "rri": ratio(hit_rate, ratio(sums["expected_hits"], sums["expected"])),
        "pei": ratio(sums["hits"], sums["best_by_area"]),
        "pei_star": ratio(sums["hits"], sums["best_by_cells"]),
    }
