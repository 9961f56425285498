"""Two systems on cells of their own: hit rates at the same area, for the same incidents, week by week."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.evaluation.bootstrap import MIN_FOLDS, Estimate, check_level, estimate_folds, ratio
from tranquillite_ml.evaluation.hotspots import hotspot_totals
from tranquillite_ml.evaluation.pairing import overlapping, pair_maps, sum_folds
from tranquillite_ml.evaluation.scores import observed_maps
from tranquillite_ml.evaluation.significance import detectable_difference, fold_differences, paired_test
from tranquillite_ml.forecasts import Forecasts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.evaluation.bootstrap import Totals

_INSTANTS = ("cutoff", "period_start", "period_end")


def compare_hit_rates(
    forecasts: Forecasts,
    reference: Forecasts,
    *,
    coverage: Sequence[float] = (0.01, 0.05, 0.10),
    study_area_km2: float | None = None,
    boundary: str = "fraction",
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    block: int = 1,
) -> pd.DataFrame:
    """Paired difference of hit rates between models on different cells, at the same area in km².

    Hexagons and squares share no cell, so scores of cells cannot be compared; where the same incidents fell,
    in hotspots of the same area, can.

    Parameters
    ----------
    forecasts, reference : Forecasts
        Of the same categories and periods, observed with the same incidents (`observe_incidents`), each in
        its own cells. Ranks will do.
    coverage : sequence of float, default (0.01, 0.05, 0.10)
        Shares of the study area.
    study_area_km2 : float, optional
        Of both; that of `forecasts` when not given.
    boundary : {"fraction", "whole"}, default "fraction"
        As in `hotspot_curve`. Where cells of the two differ much in size, ``"fraction"`` is the fair one.
    n_boot, level, seed, block
        As in `compare`.

    Returns
    -------
    DataFrame
        One row a pair of models and coverage: ``model, reference, coverage, n_folds, n_maps`` (pairs),
        ``n_unpaired``, ``n_incidents`` (inside any cells or not), ``area_share, reference_area_share`` (a
        system that delivered less than the coverage is seen here), ``hit_rate, reference_hit_rate``,
        ``difference`` (*positive where `model` is better*) with ``lower, upper``, ``p_value`` (paired t test
        over the folds), ``detectable_difference`` and ``verdict``: ``"higher"``, ``"lower"``, ``"cannot
        tell"``.

    Raises
    ------
    UsageError
        If no map is in both.
    InputDataError
        If maps of a pair differ in their period or in the number of incidents recorded.

    Examples
    --------
    >>> weeks = pd.date_range("2024-01-01", periods=5, freq="28D", tz="UTC")
    >>> keys = pd.DataFrame({"model": "hexagons", "category": "noise", "cutoff": weeks, "horizon": 1,
    ...     "distribution": "poisson", "outside_count": 1.0})
    >>> seen = {"expected_count": np.tile([2.0, 1.0], (5, 1)), "observed_count": np.tile([3.0, 0.0], (5, 1))}
    >>> ours = Forecasts(keys, np.arange(2, dtype=np.uint64), np.full(2, 0.5), seen, {})
    >>> seen = {"expected_count": np.ones((5, 4)), "observed_count": np.tile([4.0, 0.0, 0.0, 0.0], (5, 1))}
    >>> squares = keys.assign(model="squares", distribution="rank", outside_count=0.0)
    >>> theirs = Forecasts(squares, np.arange(4, dtype=np.uint64), np.full(4, 0.25), seen, {})
    >>> found = compare_hit_rates(ours, theirs, coverage=[0.5])  # 3 of 4, against half of 4
    >>> found[["model", "reference", "hit_rate", "reference_hit_rate", "verdict"]].values.tolist()
    [['hexagons', 'squares', 0.75, 0.5, 'higher']]
    """
    check_level(level, n_boot)
    km2 = forecasts.study_area_km2 if study_area_km2 is None else float(study_area_km2)
    sides = [_on_area(part, km2) for part in (forecasts, reference)]
    keys = pd.concat([_keys(part, side) for side, part in enumerate(sides)], ignore_index=True)
    observed = np.concatenate([observed_maps(part) for part in sides])
    held = [hotspot_totals(part, coverage, boundary=boundary) for part in sides]
    rows = []
    for model in sides[0].models:
        for other in sides[1].models:
            mine, theirs, unpaired = pair_maps(keys, observed, f"0{model}", f"1{other}")
            _check_pairs(keys, mine, theirs, model, other)
            lags = max(overlapping(keys.iloc[mine]), block - 1)
            for share in held[0]:
                totals = {
                    name: np.concatenate([held[0][share][name], held[1][share][name]])
                    for name in ("hits", "n_incidents", "area_km2", "study_km2")
                }
                folds = _folds(keys, totals, mine, theirs)
                found = estimate_folds(folds, _rates, n_boot=n_boot, level=level, seed=seed, block=block)
                row = {"model": model, "reference": other, "coverage": share, "n_folds": len(folds["gain"])}
                row |= {"n_maps": len(mine), "n_unpaired": unpaired}
                row["n_incidents"] = round(folds["per"].sum())
                rows.append(row | _columns(found, folds, lags, level))
    return pd.DataFrame(rows)


def _on_area(part: Forecasts, km2: float) -> Forecasts:
    meta = part.meta | {"study_area_km2": km2}
    return Forecasts(part.keys, part.cells, part.area_km2, part.values, meta)


def _keys(part: Forecasts, side: int) -> pd.DataFrame:
    """Keys with instants that compare across time zones, models named apart, and incidents counted."""
    keys = part.keys.copy()
    for name in _INSTANTS:
        if name in keys:
            keys[name] = pd.DatetimeIndex(keys[name]).tz_convert("UTC").as_unit("us")
    keys["model"] = [f"{side}{name}" for name in keys["model"]]
    keys["recorded"] = part.observed_count.sum(axis=1) + keys["outside_count"].to_numpy(dtype=np.float64)
    return keys


def _check_pairs(
    keys: pd.DataFrame, mine: NDArray[np.int64], theirs: NDArray[np.int64], model: str, other: str
) -> None:
    if len(mine) == 0:
        msg = f"{model!r} and {other!r} share no category, cutoff and horizon with an outcome in both."
        raise UsageError(msg)
    one, two = keys.iloc[mine], keys.iloc[theirs]
    for name in ("period_start", "period_end", "recorded"):
        if name in keys:
            unlike = one[name].to_numpy() != two[name].to_numpy()  # NaN, too: not knowing is not agreeing
            if unlike.any():
                where = int(np.flatnonzero(unlike)[0])
                msg = (
                    f"{model!r} and {other!r} must be about the same: at {one['cutoff'].iloc[where]} {name} "
                    f"is {one[name].iloc[where]} and {two[name].iloc[where]}. Observe both with the same "
                    "incidents, those outside their cells included (observe_incidents)."
                )
                raise InputDataError(msg)


def _folds(
    keys: pd.DataFrame, totals: Totals, mine: NDArray[np.int64], theirs: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    parts = {"gain": totals["hits"][mine] - totals["hits"][theirs], "per": totals["n_incidents"][mine]}
    for side, rows in (("", mine), ("reference_", theirs)):
        parts |= {f"{side}{name}": totals[name][rows] for name in ("hits", "area_km2", "study_km2")}
    return sum_folds(keys["cutoff"].iloc[mine], parts, score="hit_rate")


def _rates(sums: Totals) -> dict[str, NDArray[np.float64]]:
    found = {}
    for side in ("", "reference_"):
        found[f"{side}area_share"] = ratio(sums[f"{side}area_km2"], sums[f"{side}study_km2"])
        found[f"{side}hit_rate"] = ratio(sums[f"{side}hits"], sums["per"])
    return found | {"difference": ratio(sums["gain"], sums["per"])}


def _columns(found: dict[str, Estimate], folds: Totals, lags: int, level: float) -> dict[str, object]:
    gain, n_folds = found["difference"], len(folds["gain"])
    names = ("area_share", "reference_area_share", "hit_rate", "reference_hit_rate", "difference")
    row: dict[str, object] = {name: found[name].value for name in names}
    tested = paired_test(fold_differences(folds), lags if 2 * lags < n_folds else 0)
    text = "cannot tell"
    if n_folds >= MIN_FOLDS and (gain.lower > 0 or gain.upper < 0):
        text = "higher" if gain.lower > 0 else "lower"
    detectable = float(detectable_difference(tested.standard_error, n_folds, level=level))
    return row | {
        "lower": gain.lower,
        "upper": gain.upper,
        "p_value": tested.p_value_hln,
        "detectable_difference": detectable,
        "verdict": text,
    }
