"""How good an explanation is: each measure with its interval or control, its bar, n, and whether met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.explanation.background import draw_background
from tranquillite_ml.explanation.contributions import APART, START
from tranquillite_ml.explanation.explaining import TOLERANCE, explain
from tranquillite_ml.explanation.measures import (
    ABOVE_ZERO,
    BETTER,
    NEAR_ZERO,
    NOTHING,
    WITHIN_TENTH,
    agreements,
    at_least,
    at_most,
    correlation,
    mean_of,
    median,
    over,
    rank_correlation,
    ratio,
    resampled,
    row,
    shared_top,
    tau,
)
from tranquillite_ml.explanation.probe import Probe
from tranquillite_ml.forecasters.learned import LearnedForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.explanation.factors import Explanation
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.panel import Panel

    Floats = NDArray[np.float64]

COLUMNS = ["metric", "value", "lower", "upper", "bar", "n", "met"]
_LENDERS, _LENT = 1000, 50
_DEPTH = 5
_ORDERS = 2


@dataclass(frozen=True)
class Effort:
    """How much is computed.

    Attributes
    ----------
    rows : int
        Place-periods of the last year that are tried.
    subsets : int
        Random subsets of feature groups, for each.
    draws : int
        Place-periods a subset is borrowed from.
    backgrounds : int
        Sets of place-periods the stability over backgrounds is measured on.
    """

    rows: int = 100
    subsets: int = 200
    draws: int = 4
    backgrounds: int = 20


def explanation_quality(
    model: Forecaster,
    panel: Panel,
    cutoff: int | str | pd.Timestamp | None = None,
    *,
    category: str | None = None,
    reseeded: Sequence[LearnedForecaster] = (),
    successive: Sequence[LearnedForecaster] = (),
    permuted: Sequence[LearnedForecaster] = (),
    planted: pd.DataFrame | None = None,
    effort: Effort | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Whether explanations say what the model does, and would say it again: one row a measure.

    Parameters
    ----------
    model : Forecaster
        Fitted.
    panel : Panel
    cutoff : int, str or Timestamp, optional
        The end of the panel when not given.
    category : str, optional
        The target's first one when not given.
    reseeded, successive : sequence of LearnedForecaster
        The same forecaster fitted with other seeds, and at successive months.
    permuted : sequence of LearnedForecaster
        From `fit_on_permuted_labels`; with several the interval is over them.
    planted : DataFrame, optional
        From `recover_planted_effects`.
    effort : Effort, optional
        How many rows, subsets, draws and backgrounds.
    seed : int, default 0

    Returns
    -------
    DataFrame
        ``metric, value, lower, upper, bar, n, met``. `met` is missing, and n = 0, where what a measure needs
        was not given: that is not a pass.

    Notes
    -----
    Features that rise and fall together (Spearman's |ρ| ≥ 0.7, average linkage) are one group. Unless said
    otherwise intervals are 95 % percentile intervals with cells resampled whole, and n counts place-periods.

    - completeness: largest relative difference between a product of factors and its published count.
    - faithfulness: correlation, over random subsets, between a subset's contributions and what the score
      loses when it is borrowed from elsewhere (Bhatt, Weller and Moura 2020, doi:10.24963/ijcai.2020/417);
      median over place-periods.
    - infidelity (Yeh et al. 2019, arXiv:1901.09392): squared error of the same, over that with contributions
      dealt out among the groups; 98 % interval.
    - deletion k, insertion k: how much more the score moves with the k strongest groups than with k
      random ones.
    - continuity: change of contributions from one period to the next in the same cell, over that between
      random cells; 98 % interval.
    - stability over backgrounds: Kendall's τ of the groups' ranks by the interventional game between sets of
      lenders; the range is that of nine in ten sets. second opinion: Spearman's ρ between the ranks by that
      game and by the model's own contributions; below the bar features are entangled.
    - stability over seeds, over months: τ between models; top three reasons: shared share of the three
      strongest groups of a place-period.
    - permuted labels: τ between the ranks of features here and in models taught nonsense.
    - planted effects: recovered over true factor.
    - compacity: share of places whose contributions (starting rate included) need at most seven groups for
      90 % of their size. leakage smell: largest share of one feature in the size of all.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import PoissonForecaster
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.panel import Panel
    >>> city = simulate_city(seed=0, days=240, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, city.bins("1D"))
    >>> model = PoissonForecaster(Target("noise", period=7)).fit(panel)
    >>> found = explanation_quality(model, panel, effort=Effort(rows=20, subsets=20, backgrounds=3))
    >>> found.loc[found["metric"] == "completeness", "met"].tolist()
    [True]
    """
    asked = Effort() if effort is None else effort
    model._check_fitted()  # noqa: SLF001 - the same words as everywhere
    named = model.target.categories[0] if category is None else category
    found = explain(model, panel, model.forecast(panel, cutoff).select(category=named))
    rows = [row("completeness", (found.largest_error, np.nan, np.nan, found.n_checked), at_most(TOLERANCE))]
    if isinstance(model, LearnedForecaster):
        given: dict[str, Any] = {"category": named, "cutoff": cutoff}
        explained = draw_background(model, panel, n_rows=asked.rows, seed=seed + 1, **given)
        probe = Probe.of(model, explained, draw_background(model, panel, n_rows=_LENDERS, seed=seed, **given))
        rng = np.random.default_rng([seed, 40])
        rows += _faithful(probe, asked, rng)
        rows += _removed(probe, asked, rng)
        rows += [_continuity(model, panel, found, probe, cutoff=cutoff, rng=rng)]
        rows += _stable(probe, asked, rng)
        rows += _between_models(probe, reseeded, successive, permuted)
        rows += _plain(found, probe)
    rows += _planted(planted)
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n": "int64", "met": "boolean"})


# ---------------------------------------------------------------------- the measures


def _faithful(probe: Probe, asked: Effort, rng: np.random.Generator) -> list[list[Any]]:
    """Correlation and squared error between what is claimed of subsets and what the model does."""
    bars = (at_least(0.8), BETTER)
    names = ("faithfulness", "infidelity")
    if probe.n_groups < 2:
        return [row(name, NOTHING, bar) for name, bar in zip(names, bars, strict=True)]
    masks = rng.random((asked.subsets, probe.n_groups)) < 0.5
    masks = masks[masks.any(axis=1) & ~masks.all(axis=1)]
    claimed = probe.grouped(probe.contributions())
    lost = probe.score(probe.rows.data)[:, None] - probe.borrowed(masks, asked.draws, rng)
    said = claimed @ masks.T
    agreement = np.array([correlation(s, d) for s, d in zip(said, lost, strict=True)])
    dealt = rng.permuted(claimed, axis=1) @ masks.T
    wrong, control = ((part - lost) ** 2 for part in (said, dealt))
    own, other = wrong.mean(axis=1), control.mean(axis=1)
    cell = probe.rows.cell
    return [
        row(names[0], resampled(lambda at: median(agreement[at]), cell), bars[0]),
        row(names[1], resampled(lambda at: ratio(own[at], other[at]), cell, level=0.98), bars[1]),
    ]


def _removed(probe: Probe, asked: Effort, rng: np.random.Generator) -> list[list[Any]]:
    """The k strongest groups against k random ones: borrowed, and alone kept."""
    size = np.abs(probe.grouped(probe.contributions()))
    n, groups = size.shape
    depth = min(_DEPTH, groups - 1)
    whole = probe.score(probe.rows.data)
    orders = [np.argsort(-size, axis=1), *(np.argsort(rng.random((n, groups)), axis=1) for _ in range(2))]
    taken, kept = [], []
    for order in orders:
        rank = np.argsort(order, axis=1)
        first = (
            np.stack([rank < k for k in range(1, depth + 1)], axis=1) if depth else np.empty((n, 0, groups))
        )
        taken.append(np.abs(whole[:, None] - probe.borrowed(first.astype(bool), asked.draws, rng)))
        kept.append(np.abs(whole[:, None] - probe.borrowed(~first.astype(bool), asked.draws, rng)))
    deletion = taken[0] - np.mean(taken[1:], axis=0)
    insertion = np.mean(kept[1:], axis=0) - kept[0]
    rows = []
    for name, gain in (("deletion", deletion), ("insertion", insertion)):
        for k in range(_DEPTH):
            result = NOTHING if k >= depth else resampled(mean_of(gain[:, k]), probe.rows.cell)
            rows.append(row(f"{name} {k + 1}", result, ABOVE_ZERO))
    return rows


def _continuity(
    model: LearnedForecaster,
    panel: Panel,
    found: Explanation,
    probe: Probe,
    *,
    cutoff: int | str | pd.Timestamp | None,
    rng: np.random.Generator,
) -> list[Any]:
    """Change of contributions within a cell from one period to the next, over that between random cells."""
    end = panel.n_bins if cutoff is None else panel.index_at(cutoff)
    before = end - model.target.period
    if before < panel.bins.days(28):
        return row("continuity", NOTHING, BETTER)
    earlier = explain(model, panel, model.forecast(panel, before).select(category=probe.rows.category))
    now, then = (part.contributions[:, -len(probe.group) - 1 : -1] for part in (found, earlier))
    other = rng.permutation(len(then))
    within, between = np.abs(now - then).sum(axis=1), np.abs(now - then[other]).sum(axis=1)
    result = resampled(lambda at: ratio(within[at], between[at]), found.rows["cell"].to_numpy(), level=0.98)
    return row("continuity", result, BETTER)


def _stable(probe: Probe, asked: Effort, rng: np.random.Generator) -> list[list[Any]]:
    """Ranks of the groups by the interventional game: between sets of lenders, and beside the model's own."""
    sets = [
        probe.marginal(rng.integers(len(probe.others.data), size=_LENT), _ORDERS, rng)
        for _ in range(asked.backgrounds)
    ]
    sizes = np.array([np.abs(part).mean(axis=0) for part in sets])
    between = agreements(sizes)
    spread = np.nanquantile(between, [0.05, 0.95]) if len(between) else (np.nan, np.nan)
    value = float(between.mean()) if len(between) else np.nan
    stable = (value, float(spread[0]), float(spread[1]), len(sets) if len(between) else 0)
    path = np.abs(probe.grouped(probe.contributions()))
    marginal = np.abs(np.mean(sets, axis=0)) if sets else np.full_like(path, np.nan)
    second = resampled(
        lambda at: rank_correlation(path[at].mean(axis=0), marginal[at].mean(axis=0)), probe.rows.cell
    )
    return [
        row("stability over backgrounds", stable, at_least(0.9)),
        row("second opinion", second if not np.isnan(second[0]) else NOTHING, at_least(0.8)),
    ]


def _between_models(
    probe: Probe,
    reseeded: Sequence[LearnedForecaster],
    successive: Sequence[LearnedForecaster],
    permuted: Sequence[LearnedForecaster],
) -> list[list[Any]]:
    own = probe.contributions()
    rows = []
    reasons: Floats = np.array([])
    for name, models, limit in (("seeds", reseeded, 0.8), ("months", successive, 0.7)):
        grouped = [probe.grouped(part) for part in (own, *(probe.contributions(m) for m in models))]
        taus = (
            agreements(np.array([np.abs(part).mean(axis=0) for part in grouped])) if models else reasons[:0]
        )
        rows.append(row(f"stability over {name}", over(taus), at_least(limit)))
        if name == "seeds" and models:
            reasons = np.mean([shared_top(grouped[0], part) for part in grouped[1:]], axis=0)
    top = resampled(mean_of(reasons), probe.rows.cell) if len(reasons) else NOTHING
    rows.append(row("top three reasons", top, at_least(0.67)))
    size = np.abs(own).mean(axis=0)
    chance = np.array([tau(size, np.abs(probe.contributions(m)).mean(axis=0)) for m in permuted])
    rows.append(row("permuted labels", over(np.nan_to_num(chance)), NEAR_ZERO))
    return rows


def _plain(found: Explanation, probe: Probe) -> list[list[Any]]:
    """How few groups say most of it, and whether one feature says nearly all of it."""
    family = np.array([term.family for term in found.terms], dtype=object)
    kept = ~np.isin(family, APART)
    size = np.abs(found.contributions[:, kept & (family != START)])
    start = np.abs(found.contributions[:, family == START].sum(axis=1, keepdims=True))
    summed = np.abs(probe.grouped(found.contributions[:, kept & (family != START)]))
    ordered = -np.sort(-np.hstack([start, summed]), axis=1)
    share = np.cumsum(ordered, axis=1) / np.maximum(ordered.sum(axis=1, keepdims=True), 1e-300)
    few = (share[:, min(7, share.shape[1]) - 1] >= 0.9).astype(np.float64)
    cell = found.rows["cell"].to_numpy()
    leak = resampled(lambda at: float(size[at].sum(axis=0).max() / max(size[at].sum(), 1e-300)), cell)
    return [
        row("compacity", resampled(mean_of(few), cell), at_least(0.8)),
        row("leakage smell", leak, at_most(0.5)),
    ]


def _planted(table: pd.DataFrame | None) -> list[list[Any]]:
    if table is None:
        return [row("planted effects", NOTHING, WITHIN_TENTH)]
    return [
        row(
            f"planted effect: {one.feature}",
            (one.ratio, one.lower, one.upper, one.n_incidents),
            WITHIN_TENTH,
        )
        for one in table.itertuples()
    ]
