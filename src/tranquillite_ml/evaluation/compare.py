"""Whether a model beats plain counts: paired differences with intervals, and a verdict that may not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, check_in, nearest
from tranquillite_ml.evaluation.bootstrap import MIN_FOLDS, Estimate, check_level, estimate_folds, ratio
from tranquillite_ml.evaluation.hotspots import hotspot_totals
from tranquillite_ml.evaluation.pairing import (
    difference_parts,
    others_than,
    overlapping,
    pair_maps,
    sum_folds,
)
from tranquillite_ml.evaluation.scores import LARGER_IS_BETTER, map_totals
from tranquillite_ml.evaluation.significance import (
    detectable_difference,
    fold_differences,
    holm,
    paired_test,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.evaluation.bootstrap import Totals
    from tranquillite_ml.forecasts import Forecasts

VerdictText = Literal["beats counts", "does not beat counts", "cannot tell"]


@dataclass(frozen=True)
class Verdict:
    """Whether a model beats its reference, with the numbers and a sentence that says so.

    Attributes
    ----------
    model, reference : str
        What was compared.
    text : str
        ``"beats counts"``, ``"does not beat counts"`` or ``"cannot tell"``.
    difference, lower, upper : float
        Difference of the log score in nats a fold, *positive is better*, and its interval (NaN: too few
        folds).
    n_folds : int
        Cutoffs compared.
    sentence : str
        All of it in words.
    adjusted : str
        The verdict that is left when all `n_models` models are judged at once.
    n_models : int
        Models compared with the reference, this one included.
    detectable : float
        Smallest true difference that so many folds would have shown, mostly (power 80 %).
    """

    model: str
    reference: str
    text: VerdictText
    difference: float
    lower: float
    upper: float
    n_folds: int
    sentence: str
    adjusted: VerdictText
    n_models: int
    detectable: float


def compare(
    forecasts: Forecasts,
    *,
    reference: str = "count_365d",
    score: str = "log_score",
    hotspot: Sequence[float] = (0.05,),
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    block: int = 1,
) -> pd.DataFrame:
    """Paired difference of each model to a reference, fold by fold, with interval and verdict.

    Two models meet the same weeks: what was hard for one was hard for the other, so their difference is
    known far better than either score. Only maps that both have, with an outcome, are compared.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes, of at least two models.
    reference : str, default "count_365d"
        Model compared against.
    score : {"log_score", "poisson_log_likelihood", "deviance", "brier", "crps"}, default "log_score"
        Score of the verdict.
    hotspot : sequence of float, default (0.05,)
        Coverages at which hit rates are compared, too; may be empty.
    n_boot, level, seed
        Resamples of the folds, nominal coverage of the intervals, seed.
    block : int, default 1
        Neighbouring folds that are resampled together. Raise it where the periods of the folds touch or
        overlap and what is hard in one is hard in the next; at least 4 blocks must fit.

    Returns
    -------
    DataFrame
        One row for each other model: ``model``, ``reference``, ``score``, ``n_folds``, ``n_maps`` (pairs),
        ``n_unpaired`` (maps of either that the other lacks, or without outcome), ``n_incidents`` (in the
        cells), ``difference``, ``lower``, ``upper``, ``share_not_better`` (of the resamples), ``verdict``;
        ``p_value`` (two-sided paired t test over the folds, as in `diebold_mariano`), ``p_adjusted`` (`holm`
        over the models), ``verdict_adjusted``, ``detectable_difference`` (smallest that so many folds would
        mostly have shown); and for each coverage, say 5 %, ``hit_rate_5pct_difference`` with ``_lower`` and
        ``_upper``.

        `difference` is *positive where the model is better*, whatever the score: nats a fold for the two
        log-likelihoods, mean over the cells for the others.

    Raises
    ------
    UsageError
        If there is no such reference or score, or nothing to compare with it.

    Notes
    -----
    All categories and horizons of a cutoff are resampled together. The verdict is ``"beats counts"`` if the
    interval lies above 0, ``"does not beat counts"`` if no part of it does, else ``"cannot tell"``; and
    ``"cannot tell"`` with fewer than 5 folds. With 13 folds the 95 % interval
    (`bootstrap.percentile_interval`) covers 94-95 % in simulations, 93-94 % for skewed differences.

    `verdict` answers the question asked of one model. Who looks for the best of several reads
    `verdict_adjusted`: the same verdict where `p_adjusted` is at most 1 − level, else ``"cannot tell"``.
    Where it cannot be told, true differences up to about `detectable_difference` may be there all the same:
    this backtest was too short to show them.

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> rng = np.random.default_rng(0)
    >>> keys = pd.DataFrame({"model": np.repeat(["count_365d", "truth"], 6), "category": "noise",
    ...     "cutoff": np.tile(pd.date_range("2024-01-01", periods=6, freq="28D", tz="UTC"), 2),
    ...     "horizon": 1, "distribution": "poisson", "outside_count": 0.0})
    >>> rate = rng.gamma(0.5, 2.0, 200)
    >>> values = {"expected_count": np.repeat([np.full(200, 1.0), rate], 6, axis=0),
    ...     "observed_count": np.tile(rng.poisson(rate, (6, 200)) * 1.0, (2, 1))}
    >>> seen = Forecasts(keys, np.arange(200, dtype=np.uint64), np.full(200, 0.1), values, {})
    >>> compare(seen)[["model", "n_folds", "verdict"]]
       model  n_folds       verdict
    0  truth        6  beats counts
    """
    check_level(level, n_boot)
    check_in(score, LARGER_IS_BETTER, "score")
    others = others_than(forecasts.models, reference)
    totals, observed = map_totals(forecasts)
    hits = hotspot_totals(forecasts, hotspot) if len(hotspot) else {}
    rows = []
    for model in others:
        mine, theirs, unpaired = pair_maps(forecasts.keys, observed, model, reference)
        keys = forecasts.keys.iloc[mine]
        parts = difference_parts(totals, score, mine, theirs)
        for share, held in hits.items():
            parts |= _hit_parts(held, f"{share * 100:g}", mine, theirs)
        folds = sum_folds(keys["cutoff"], parts, score)
        n_folds = len(folds["gain"])
        found = estimate_folds(folds, _differences, n_boot=n_boot, level=level, seed=seed, block=block)
        row = {"model": model, "reference": reference, "score": score, "n_folds": n_folds}
        row |= {"n_maps": len(mine), "n_unpaired": unpaired}
        row["n_incidents"] = round(totals["n_incidents"][mine].sum())
        row |= _columns(found, n_folds)
        rows.append(row | _tests(folds, max(overlapping(keys), block - 1), level))
    return _adjust(pd.DataFrame(rows), level)


def verdict(
    forecasts: Forecasts,
    *,
    model: str,
    reference: str = "count_365d",
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Verdict:
    """Say in a sentence whether a model beats its reference by the log score.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes, of both models.
    model, reference : str
        What is compared.
    n_boot, level, seed
        As in `compare`.

    Returns
    -------
    Verdict

    Raises
    ------
    UsageError
        If one of the models is not there.

    Examples
    --------
    >>> from tranquillite_ml.forecasts import Forecasts
    >>> keys = pd.DataFrame({"model": ["count_365d", "tree"], "category": "noise", "horizon": 1,
    ...     "cutoff": pd.Timestamp("2024-01-01", tz="UTC"), "distribution": "poisson", "outside_count": 0.0})
    >>> values = {"expected_count": np.array([[1.0], [2.0]]), "observed_count": np.array([[2.0], [2.0]])}
    >>> seen = Forecasts(keys, np.array([1], dtype=np.uint64), np.array([0.1]), values, {})
    >>> verdict(seen, model="tree").sentence.split(": ")
    ['cannot tell whether tree beats counts (count_365d)',
     'log score +0.386 nats a fold, 1 fold, at least 5 are needed.']
    """
    others = others_than(forecasts.models, reference)
    if model not in others:
        hint = nearest(model, others)
        msg = f"model {model!r} cannot be compared with {reference!r}; there is {others}.{hint}"
        raise UsageError(msg)
    table = compare(forecasts, reference=reference, hotspot=(), n_boot=n_boot, level=level, seed=seed)
    row = table.set_index("model").loc[model]
    numbers = (float(row["difference"]), float(row["lower"]), float(row["upper"]))
    text, adjusted, n_folds = row["verdict"], row["verdict_adjusted"], int(row["n_folds"])
    sentence = _sentence(model, reference, text, numbers, n_folds)
    if adjusted != text:
        sentence += f" With {len(others)} models judged at once: {adjusted}."
    return Verdict(
        model,
        reference,
        text,
        *numbers,
        n_folds,
        sentence,
        adjusted=adjusted,
        n_models=len(others),
        detectable=float(row["detectable_difference"]),
    )


def _hit_parts(
    held: Totals, name: str, mine: NDArray[np.int64], theirs: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    return {
        f"hit_rate_{name}pct_difference": held["hits"][mine] - held["hits"][theirs],
        "n_incidents": held["n_incidents"][mine],
    }


def _differences(sums: Totals) -> dict[str, NDArray[np.float64]]:
    found = {"difference": ratio(sums["gain"], sums["per"])}
    return found | {
        name: ratio(values, sums["n_incidents"])
        for name, values in sums.items()
        if name.startswith("hit_rate_")
    }


def _columns(found: dict[str, Estimate], n_folds: int) -> dict[str, object]:
    gain = found["difference"]
    row: dict[str, object] = {"difference": gain.value, "lower": gain.lower, "upper": gain.upper}
    row["share_not_better"] = float((gain.draws <= 0).mean()) if len(gain.draws) else np.nan
    row["verdict"] = _text(gain, n_folds)
    for name, hit in found.items():
        if name != "difference":
            row |= {name: hit.value, f"{name}_lower": hit.lower, f"{name}_upper": hit.upper}
    return row


def _tests(folds: Totals, lags: int, level: float) -> dict[str, object]:
    gains = fold_differences(folds)
    tested = paired_test(gains, lags if 2 * lags < len(gains) else 0)
    detectable = detectable_difference(tested.standard_error, tested.n, level=level)
    return {"p_value": tested.p_value_hln, "detectable_difference": float(detectable)}


def _adjust(table: pd.DataFrame, level: float) -> pd.DataFrame:
    """Give the table with what is left of each verdict when all models are judged at once."""
    adjusted = holm(table["p_value"])
    # Where all folds differ equally there is no p-value, and nothing that chance could have done.
    held = np.where(adjusted > 1 - level, "cannot tell", table["verdict"])
    place = int(table.columns.get_loc("p_value")) + 1
    table.insert(place, "p_adjusted", adjusted)
    table.insert(place + 1, "verdict_adjusted", held)
    return table


def _text(gain: Estimate, n_folds: int) -> VerdictText:
    if n_folds >= MIN_FOLDS and gain.lower > 0:
        return "beats counts"
    if n_folds >= MIN_FOLDS and gain.upper <= 0:
        return "does not beat counts"
    return "cannot tell"


def _sentence(
    model: str, reference: str, text: VerdictText, numbers: tuple[float, float, float], n_folds: int
) -> str:
    difference, lower, upper = numbers
    claim = {
        "beats counts": f"{model} beats counts",
        "does not beat counts": f"{model} does not beat counts",
        "cannot tell": f"cannot tell whether {model} beats counts",
    }[text]
    folds = f"{n_folds} fold" if n_folds == 1 else f"{n_folds} folds"
    if np.isnan(difference):
        return f"{claim} ({reference}): no map with an outcome is in both."
    if np.isnan(lower):
        gain = f"{difference:+.{_decimals(abs(difference))}f}"
        reason = f"{folds}, at least {MIN_FOLDS} are needed"
        return f"{claim} ({reference}): log score {gain} nats a fold, {reason}."
    places = _decimals(upper - lower)
    interval = f"[{lower:.{places}f}, {upper:.{places}f}]"
    return f"{claim} ({reference}): log score {difference:+.{places}f} {interval} nats a fold, {folds}."


def _decimals(size: float) -> int:
    """Decimals that show a number of this size with three digits, at most one above 1."""
    return 1 if size >= 1 or size == 0 else min(6, 2 - int(np.floor(np.log10(size))))
