"""Whether a model that can be read would do as well as one that cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, nearest
from tranquillite_ml.evaluation.bootstrap import Estimate, check_level, estimate_folds, ratio, sum_by
from tranquillite_ml.evaluation.scores import map_totals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.evaluation.bootstrap import Totals
    from tranquillite_ml.forecasts import Forecasts

GLASS_BOXES = ("learned_count", "poisson", "negative_binomial", "additive")
"""Models whose whole reasoning is a table, the plainest first."""

CloseText = Literal["as good", "worse", "cannot tell"]


@dataclass(frozen=True)
class GlassBoxCheck:
    """Which glass boxes do as well as a model, and a sentence that says so.

    Attributes
    ----------
    model : str
        What they were compared with.
    recommended : str or None
        The plainest glass box that does as well, if there is one.
    table : DataFrame
        One row a glass box: ``model, reference, tolerance, n_folds, n_maps, n_incidents``; ``excess,
        lower, upper`` (deviance over the model's, less 1; *smaller is better*, below 0 the glass box is
        better); ``verdict``; and ``kept`` (share of the model's gain in deviance over plain counts that the
        glass box has, too) with ``kept_lower, kept_upper``, NaN without those counts or without gain. The
        last row is of the plain counts themselves, where they are there.
    sentence : str
    """

    model: str
    recommended: str | None
    table: pd.DataFrame
    sentence: str


def glass_box_check(
    forecasts: Forecasts,
    *,
    model: str = "lightgbm",
    glass_boxes: Sequence[str] = GLASS_BOXES,
    counts: str = "smoothed_count",
    tolerance: float = 0.02,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> GlassBoxCheck:
    """Say whether a glass box is within 2 % of a model's deviance, so that it should be preferred.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes, of the model and at least one glass box.
    model : str, default "lightgbm"
    glass_boxes : sequence of str
        In order of preference; those that are not among the forecasts are left out.
    counts : str, default "smoothed_count"
        Plain counts against which the gain that is kept is measured; they are never recommended.
    tolerance : float, default 0.02
        Excess of deviance that readability is worth.
    n_boot, level, seed
        Resamples of the folds, nominal coverage of the intervals, seed.

    Returns
    -------
    GlassBoxCheck

    Raises
    ------
    UsageError
        If the model or every glass box is missing, or the tolerance is negative.

    Notes
    -----
    Paired: only maps of both are compared, and a fold is resampled whole. A glass box is ``"as good"`` if the
    interval of its excess lies at or below the tolerance, ``"worse"`` if it lies above it, else ``"cannot
    tell"``, as with fewer than 5 folds. Where most cells are empty, most of the deviance is chance, and 2 %
    of it is much: plain counts may be within it, too, which the sentence then says. Read `kept` beside it.

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> rng = np.random.default_rng(0)
    >>> keys = pd.DataFrame({"model": np.repeat(["lightgbm", "poisson"], 6), "category": "noise",
    ...     "cutoff": np.tile(pd.date_range("2024-01-01", periods=6, freq="28D", tz="UTC"), 2),
    ...     "horizon": 1, "distribution": "poisson", "outside_count": 0.0})
    >>> rate = rng.gamma(0.5, 2.0, 200)
    >>> values = {"expected_count": np.repeat([rate, rate * 1.02], 6, axis=0),
    ...     "observed_count": np.tile(rng.poisson(rate, (6, 200)) * 1.0, (2, 1))}
    >>> seen = Forecasts(keys, np.arange(200, dtype=np.uint64), np.full(200, 0.1), values, {})
    >>> check = glass_box_check(seen)
    >>> check.recommended, check.sentence.split(":")[0]
    ('poisson', 'poisson does as well as lightgbm within 2 % of deviance and can be read')
    """
    check_level(level, n_boot)
    if tolerance < 0:
        msg = f"tolerance must be at least 0, got {tolerance}."
        raise UsageError(msg)
    found = forecasts.models
    boxes = [name for name in glass_boxes if name in found and name not in (model, counts)]
    if model not in found or not boxes:
        hint = "" if model in found else nearest(model, found)
        msg = f"forecasts of {model!r} and of one of {list(glass_boxes)} are needed; there is {found}.{hint}"
        raise UsageError(msg)
    totals, observed = map_totals(forecasts)
    plain = {"counts": counts} if counts in found else {}
    rows = []
    for box in [*boxes, *plain.values()]:
        roles = {"box": box, "model": model, **plain}
        folds, n_maps = _folds(forecasts.keys, totals, observed, roles)
        seen = estimate_folds(folds, _shares, n_boot=n_boot, level=level, seed=seed)
        row: dict[str, object] = {"model": box, "reference": model, "tolerance": tolerance}
        row |= {"n_folds": len(folds["model"]), "n_maps": n_maps}
        rows.append(row | {"n_incidents": round(folds["n_incidents"].sum())} | _columns(seen, tolerance))
    table = pd.DataFrame(rows)
    close = table.loc[(table["verdict"] == "as good") & table["model"].isin(boxes), "model"]
    recommended = None if close.empty else str(close.iloc[0])
    return GlassBoxCheck(model, recommended, table, _sentence(model, recommended, table, counts))


def _folds(
    keys: pd.DataFrame, totals: Totals, observed: NDArray[np.bool_], models: dict[str, str]
) -> tuple[dict[str, NDArray[np.float64]], int]:
    """Deviance of each fold under each model, over the maps that all of them have, and how many those are."""
    index = pd.MultiIndex.from_frame(keys[["category", "cutoff", "horizon"]])
    name = keys["model"].to_numpy()
    rows = {role: np.flatnonzero((name == model) & observed) for role, model in models.items()}
    wanted = index[rows["model"]]
    place = {role: index[own].get_indexer(wanted) for role, own in rows.items()}
    shared = np.all([at >= 0 for at in place.values()], axis=0)
    common = {role: own[place[role][shared]] for role, own in rows.items()}
    fold, cutoffs = pd.factorize(keys["cutoff"].iloc[common["model"]], sort=True)
    sums = {role: sum_by(fold, totals["deviance"][own], len(cutoffs)) for role, own in common.items()}
    sums["n_incidents"] = sum_by(fold, totals["n_incidents"][common["model"]], len(cutoffs))
    return sums, int(shared.sum())


def _shares(sums: Totals) -> dict[str, NDArray[np.float64]]:
    counted = sums.get("counts", np.full_like(sums["model"], np.nan))
    return {
        "excess": ratio(sums["box"], sums["model"]) - 1,
        "kept": ratio(counted - sums["box"], counted - sums["model"]),
    }


def _columns(found: dict[str, Estimate], tolerance: float) -> dict[str, object]:
    excess, kept = found["excess"], found["kept"]
    text: CloseText = "cannot tell"
    if excess.upper <= tolerance:
        text = "as good"
    elif excess.lower > tolerance:
        text = "worse"
    return {
        "excess": excess.value,
        "lower": excess.lower,
        "upper": excess.upper,
        "verdict": text,
        "kept": kept.value,
        "kept_lower": kept.lower,
        "kept_upper": kept.upper,
    }


def _sentence(model: str, recommended: str | None, table: pd.DataFrame, counts: str) -> str:
    boxes = table[table["model"] != counts]
    row = boxes.iloc[0] if recommended is None else boxes[boxes["model"] == recommended].iloc[0]
    percent = f"{100 * row['tolerance']:g} %"
    if recommended is not None:
        claim = f"{recommended} does as well as {model} within {percent} of deviance and can be read"
    elif (boxes["verdict"] == "worse").all():
        claim = f"no glass box does as well as {model} within {percent} of deviance"
    else:
        claim = f"cannot tell whether a glass box does as well as {model} within {percent} of deviance"
    folds = "1 fold" if row["n_folds"] == 1 else f"{row['n_folds']} folds"
    numbers = f"{row['model']} {100 * row['excess']:+.2f} %"
    if np.isfinite(row["lower"]):
        numbers += f" [{100 * row['lower']:.2f}, {100 * row['upper']:.2f}]"
    if np.isfinite(row["kept_lower"]):
        limits = f"[{100 * row['kept_lower']:.0f}, {100 * row['kept_upper']:.0f}]"
        numbers += f", {100 * row['kept']:.0f} % {limits} of the gain over {counts} kept"
    advice = f" Prefer {recommended}." if recommended is not None else ""
    plain = table[(table["model"] == counts) & (table["verdict"] == "as good")]
    if recommended is not None and len(plain):
        advice += f" Plain counts ({counts}) are within {percent}, too."
    return f"{claim}: {numbers}, {folds}, {row['n_incidents']} incidents.{advice}"
