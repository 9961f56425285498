"""Whether the model is worth it in each category: plain counts, a model that can be read, or the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tranquillite_ml.audit.skill import ALSO, NAIVE
from tranquillite_ml.errors import UsageError
from tranquillite_ml.evaluation import GLASS_BOXES, compare, glass_box_check
from tranquillite_ml.report.exhibits import Exhibit, column, exhibit, interval_columns, ticks
from tranquillite_ml.report.sentences import fill, number
from tranquillite_ml.report.terms import about
from tranquillite_ml.report.wording import SENTENCES, TEXTS, WORTH, Words, joined

if TYPE_CHECKING:
    from tranquillite_ml.forecasts import Forecasts

COUNTS = (*NAIVE, *ALSO)
"""Plain counts that a model is compared with, if they are among the forecasts."""


def worth_of(forecasts: Forecasts, model: str) -> list[dict[str, Any]]:
    """What a model adds to the best plain count of each category, and whether a glass box would do.

    Parameters
    ----------
    forecasts : Forecasts
        Of the backtest.
    model : str
        The audited one.

    Returns
    -------
    list of dict
        ``category, model, counts`` (the best of them by log score, in hindsight), ``n_folds, n_incidents,
        difference, ci95`` (log score, nats a fold, positive where the model is better), ``gain, gain_ci95``
        (how much more probable that makes an incident, in the geometric mean: exp(difference · n_folds /
        n_incidents) − 1, Harte & Vere-Jones 2005, doi:10.1007/s00024-004-2646-8);
        ``glass_box, excess, excess_ci95, close`` (deviance over the model's, less 1, and what follows from it
        and the ``tolerance``); ``counts_close`` (whether plain counts are within it, too); ``finding`` (one
        of ``itself, unknown, too_few, counts, glass_box, model``); ``told``. What was not compared is None.
        Numbers have six digits.
    """
    return [_entry(forecasts.select(category=name), model, str(name)) for name in forecasts.categories]


def _entry(forecasts: Forecasts, model: str, category: str) -> dict[str, Any]:
    found = {"category": category, "model": model} | _against_counts(forecasts, model)
    found |= _against_glass_boxes(forecasts, model)
    return found | {"finding": finding_of(found), "told": told(found)}


def _against_counts(forecasts: Forecasts, model: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("counts", "n_folds", "n_incidents", "difference", "ci95", "gain", "gain_ci95"))
    there = [name for name in COUNTS if name in forecasts.models and name != model]
    try:
        best = _best(forecasts, there)
        table = compare(forecasts, reference=best, hotspot=()).set_index("model")
    except UsageError:  # no plain count, no outcome, or ranks only
        return nothing
    mine = table.loc[model]
    if not math.isfinite(mine["difference"]):
        return nothing
    folds, n = int(mine["n_folds"]), int(mine["n_incidents"])
    each = [
        math.nan if n == 0 else math.expm1(mine[end] * folds / n) for end in ("difference", "lower", "upper")
    ]
    return {
        "counts": best,
        "n_folds": folds,
        "n_incidents": n,
        "difference": _rounded(mine["difference"]),
        "ci95": _interval(mine["lower"], mine["upper"]),
        "gain": None if n == 0 else _rounded(each[0]),
        "gain_ci95": _interval(*each[1:]),
    }


def _best(forecasts: Forecasts, there: Sequence[str]) -> str:
    """The plain count with the best log score."""
    if not there:
        msg = "there is no plain count to compare with."
        raise UsageError(msg)
    table = compare(forecasts, reference=there[0], hotspot=()).set_index("model")["difference"]
    return max(there, key=lambda name: table.get(name, 0.0))


def _against_glass_boxes(forecasts: Forecasts, model: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("glass_box", "excess", "excess_ci95", "close", "counts_close", "tolerance"))
    if model in {*COUNTS, *GLASS_BOXES}:
        return nothing
    try:
        check = glass_box_check(forecasts, model=model)
    except UsageError:
        return nothing
    boxes = check.table[check.table["model"].isin(GLASS_BOXES)].set_index("model")
    name = check.recommended or str(boxes["excess"].idxmin())
    counts = check.table.loc[~check.table["model"].isin(GLASS_BOXES), "verdict"]
    mine = boxes.loc[name]
    return {
        "glass_box": name,
        "excess": _rounded(mine["excess"]),
        "excess_ci95": _interval(mine["lower"], mine["upper"]),
        "close": str(mine["verdict"]),
        "counts_close": None if counts.empty else bool((counts == "as good").any()),
        "tolerance": float(mine["tolerance"]),
    }


def _interval(lower: float, upper: float) -> list[float] | None:
    return [_rounded(lower), _rounded(upper)] if math.isfinite(lower) and math.isfinite(upper) else None


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def finding_of(entry: Mapping[str, Any]) -> str:
    """What the numbers of a category come to.

    Examples
    --------
    >>> one = {"model": "lightgbm", "difference": 3.0, "gain_ci95": [0.1, 0.5], "close": "worse"}
    >>> finding_of(one), finding_of(one | {"gain_ci95": [-0.1, 0.5]}), finding_of(one | {"close": "as good"})
    ('model', 'counts', 'glass_box')
    """
    if entry["model"] in COUNTS:
        return "itself"
    if entry["difference"] is None:
        return "unknown"
    if entry["gain_ci95"] is None:
        return "too_few"
    if entry["gain_ci95"][0] <= 0:
        return "counts"
    return "glass_box" if entry["close"] == "as good" else "model"


def told(entry: Mapping[str, Any]) -> Words:
    """The same as sentences."""
    finding = finding_of(entry)
    values = {
        "category": entry["category"],
        "model": _name(entry["model"]),
        "counts": _name(entry["counts"]),
        "box": _name(entry["glass_box"]),
        "gain": _estimate(entry["gain"], entry["gain_ci95"], "share"),
        "excess": _estimate(entry["excess"], entry["excess_ci95"], "share"),
        "tolerance": number(entry["tolerance"], "share"),
        "folds": number(entry["n_folds"], "count"),
        "n": number(entry["n_incidents"], "count"),
    }
    said = [WORTH[finding]]
    if finding == "model":
        said.append(WORTH[_about_boxes(entry)])
    if finding in {"model", "glass_box"} and entry["counts_close"]:
        said.append(WORTH["counts_close"])
    return joined([fill(one, **values) for one in said])


def _about_boxes(entry: Mapping[str, Any]) -> str:
    """Which sentence says what is known of a model that can be read."""
    if entry["model"] in GLASS_BOXES:
        return "readable"
    if entry["glass_box"] is None:
        return "no_box"
    return "no_box_close" if entry["close"] == "worse" else "box_unclear"


def _name(model: str | None) -> Words | str:
    return about(model) or ""


def _estimate(value: float | None, ends: Sequence[float] | None, unit: str) -> Words | str:
    if value is None:
        return ""
    said = number(value, unit)
    if ends is None:
        return said
    between = fill(SENTENCES["between"], low=number(ends[0], unit), high=number(ends[1], unit))
    return {language: f"{said[language]} {between[language]}" for language in said}


def differences(entries: Sequence[Mapping[str, Any]]) -> list[Exhibit]:
    """What each category's model adds to the best plain count, as a figure with its table."""
    rows = [
        {
            "label": about(one["category"], one["counts"]),
            "value": one["gain"],
            "lower": None if one["gain_ci95"] is None else one["gain_ci95"][0],
            "upper": None if one["gain_ci95"] is None else one["gain_ci95"][1],
            "n": one["n_incidents"],
            "folds": one["n_folds"],
            "difference": one["difference"],
        }
        for one in entries
        if one["gain"] is not None
    ]
    if not rows:
        return []
    ends = [row[key] for row in rows for key in ("value", "lower", "upper") if row[key] is not None]
    return [
        exhibit(
            "worth",
            "S7",
            "intervals",
            WORTH["title"],
            columns=[
                *interval_columns("share"),
                column("folds", TEXTS["folds"], "count"),
                column("difference", TEXTS["difference"], "nats"),
            ],
            rows=rows,
            note=WORTH["note"],
            scale="linear",
            ticks=ticks([*ends, 0.0]),
            reference=0.0,
            band=[None, None],
            unit="share",
        )
    ]
