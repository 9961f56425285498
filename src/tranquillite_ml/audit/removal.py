"""C16: what a family of features adds, and whose places it moves the forecast to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.blocks import parents_of
from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Finding
from tranquillite_ml.audit.overlap import jaccard
from tranquillite_ml.audit.selection import coverage_of
from tranquillite_ml.evaluation import select_hotspot
from tranquillite_ml.evaluation.bootstrap import percentile_interval, ratio
from tranquillite_ml.evaluation.scores import poisson_deviance
from tranquillite_ml.explanation.background import draw_background
from tranquillite_ml.explanation.contributions import START, feature_table, feature_values, log_factor
from tranquillite_ml.explanation.words import LANGUAGES, family_words, uncapitalised
from tranquillite_ml.features import FeatureSet, View
from tranquillite_ml.forecasters.learned import LearnedForecaster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.audit.groups import Groups
    from tranquillite_ml.features import FeatureBlock
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.panel import Panel

    Floats = NDArray[np.float64]

MEDIAN, REFIT = "set to the city's median", "trained without"
_CUTOFFS = 8
_BACKGROUND = 4000
_DRAWS = 200
_LEAST = 0.1
NO_FEATURES = {
    "en": "the model learns from no features: there is nothing to take away",
    "fr": "le modèle n'apprend d'aucune variable : il n'y a rien à retirer",
}
TOO_SHORT = {
    "en": "no period that the model was not trained on is complete",
    "fr": "aucune période hors apprentissage n'est complète",
}


@dataclass(frozen=True, eq=False)
class _Scene:
    """What maps are compared by: what was recorded, who lives where, and how much is selected."""

    observed: Floats
    groups: Groups
    parent: NDArray[np.int64]
    area_km2: Floats
    target_km2: float
    seed: int

    def flags(self, rates: Floats) -> Floats:
        """Share of each cell that is selected, in each map."""
        return select_hotspot(rates, self.area_km2, self.target_km2)

    def exposure(self, rates: Floats) -> Floats:
        """Exposure ratio of each group: selected cells per resident over the city's."""
        residents = self.groups.residents
        selected = self.flags(rates).mean(axis=0) @ residents
        whole = ratio(selected.sum(), residents.sum())
        return ratio(ratio(selected, residents.sum(axis=0)), whole)


def removal(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Take each family of features away, and see what is lost and whose places the selection moves to (C16).

    A family is taken away by holding it at the city's median of the last year, with the same total of all
    places; in a deep audit the model is trained without it as well, and that is judged. Both are looked at in
    periods not trained on. A family is not justified if it moves a group's exposure ratio while it hardly
    lowers the deviance.
    """
    model, panel = evidence.model, evidence.panel
    if model is None or panel is None or evidence.groups is None:  # pragma: no cover
        return Finding([])
    if not isinstance(model, LearnedForecaster):
        return Finding([], reason=NO_FEATURES)
    cutoffs = _unseen(model, panel)
    if len(cutoffs) == 0:
        return Finding([], reason=TOO_SHORT)
    groups, parent = evidence.groups.on(forecasts.cells), parents_of(forecasts)
    target_km2 = coverage_of(thresholds) * forecasts.study_area_km2
    parts = []
    for category in (name for name in forecasts.categories if name in model.target.categories):
        observed = _recorded(model, panel, category, cutoffs)
        scene = _Scene(observed, groups, parent, forecasts.area_km2, target_km2, evidence.seed)
        usual, removed = held_at_median(model, panel, category, cutoffs, seed=evidence.seed)
        # Taking a family away moves the city's level, which a calibration would bring back.
        level = {family: float(usual.sum() / rates.sum()) for family, rates in removed.items()}
        rows = [_row(MEDIAN, name, usual, rates * level[name], scene) for name, rates in removed.items()]
        trained = _trained(evidence, category, cutoffs)
        rows += [_row(REFIT, family, usual, rates, scene) for family, rates in trained]
        parts.append(pd.DataFrame(rows).assign(category=category))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    method = (
        f"{len(cutoffs)} periods after the training; deviance of Poisson counts; intervals from {_DRAWS} "
        f"resamples of parent cells, seed {evidence.seed}. Shifts are relative to the exposure ratio without "
        f"the family, or to {_LEAST:g} where it is smaller."
    )
    found, unjustified = _measurements(table, thresholds)
    return Finding(found, method, _why(unjustified), {"families": table})


def _unseen(model: LearnedForecaster, panel: Panel) -> NDArray[np.int64]:
    """Cutoffs after the training whose first period is complete."""
    first = panel.index_at(pd.Timestamp(model.fitted_until_).tz_localize(None))
    last = panel.n_bins - model.target.horizons[0] * model.target.period
    return np.arange(last, first - 1, -model.target.period)[:_CUTOFFS][::-1]


def _recorded(model: LearnedForecaster, panel: Panel, category: str, cutoffs: NDArray[np.int64]) -> Floats:
    """What was recorded in the first period after each cutoff."""
    period = model.target.period
    begins = cutoffs + (model.target.horizons[0] - 1) * period
    counts = [panel.counts(category, at, at + period).sum(axis=0) for at in begins.tolist()]
    return np.stack(counts).astype(np.float64)


def held_at_median(
    model: LearnedForecaster, panel: Panel, category: str, cutoffs: NDArray[np.int64], *, seed: int = 0
) -> tuple[Floats, dict[str, Floats]]:
    """Expected counts of the first horizon, and those with each family held at the city's median.

    Parameters
    ----------
    model : LearnedForecaster
    panel : Panel
    category : str
    cutoffs : ndarray of int64, shape (n_cutoffs,)
    seed : int, default 0

    Returns
    -------
    usual : ndarray, shape (n_cutoffs, n_cells)
    removed : dict of str to ndarray of the same shape
        As `what_if` gives them one by one; medians are those before the first cutoff.
    """
    drawn = draw_background(
        model, panel, category=category, cutoff=int(cutoffs[0]), n_rows=_BACKGROUND, seed=seed
    )
    typical = drawn.typical()
    horizon = np.array([model.target.horizons[0]], dtype=np.int64)
    calibrator = model.calibrator_[category]
    usual: list[Floats] = []
    removed: dict[str, list[Floats]] = {}
    for cutoff in cutoffs.tolist():
        view = View(panel.until(cutoff), category, model.target, np.array([cutoff]), horizon)
        terms = feature_table(model, view)
        names = [term.name for term in terms]
        values = feature_values(model, view, np.arange(panel.n_cells))
        start = np.asarray(model.starting_rate(view), dtype=np.float64)

        def rate(start: Floats, values: Any, names: list[str] = names) -> Floats:
            factor = np.exp(log_factor(model, category, values, names)).reshape(1, -1)
            return np.asarray(calibrator.expected(start * factor))[0]

        usual.append(rate(start, values))
        level = np.exp(np.log(start).mean(axis=1, keepdims=True))
        removed.setdefault(START, []).append(rate(np.broadcast_to(level, start.shape), values))
        for family in dict.fromkeys(term.family for term in terms):
            mine = np.array([term.family == family for term in terms])
            changed = values.copy()
            changed[:, mine] = typical[mine]
            removed.setdefault(family, []).append(rate(start, changed))
    return np.stack(usual), {name: np.stack(rates) for name, rates in removed.items()}


def _trained(evidence: Evidence, category: str, cutoffs: NDArray[np.int64]) -> Iterator[tuple[str, Floats]]:
    """Expected counts of models trained without a block of features, in a deep audit that can."""
    refit, panel, model = evidence.refit, evidence.panel, evidence.model
    if not evidence.deep or refit is None or evidence.surrogate is not None or panel is None:
        return
    if not isinstance(model, LearnedForecaster):  # pragma: no cover - asked for by the caller
        return
    for family, kept in families_without(model).items():
        other = refit(panel, panel.n_bins, features=FeatureSet(kept))
        maps = [other.forecast(panel, int(at)).select(category=category).expected_count[0] for at in cutoffs]
        yield family, np.stack(maps)


def families_without(model: LearnedForecaster) -> dict[str, list[FeatureBlock]]:
    """For each family of features, the blocks that are left without it; none where nothing is left."""
    blocks = model._features().blocks  # noqa: SLF001 - those that were learnt from
    left = {one.family: [other for other in blocks if other.family != one.family] for one in blocks}
    return {family: kept for family, kept in left.items() if kept}


# ---------------------------------------------------------------------- what is lost, and what moves


def _row(how: str, family: str, usual: Floats, other: Floats, scene: _Scene) -> dict[str, Any]:
    gain, lower, upper = _gain(usual, other, scene)
    with_, without = scene.exposure(usual), scene.exposure(other)
    shift = np.abs(with_ - without) / np.maximum(without, _LEAST)
    known = np.isfinite(shift).any()
    most = int(np.nanargmax(shift)) if known else 0
    pairs = zip(scene.flags(usual), scene.flags(other), strict=True)
    return {
        "how": how,
        "family": family,
        "deviance_gain": gain,
        "lower": lower,
        "upper": upper,
        "reselected": 1 - float(np.mean([jaccard(one, two, scene.area_km2) for one, two in pairs])),
        "exposure_shift": float(shift[most]) if known else np.nan,
        "group": scene.groups.names[most],
        "ratio_with": float(with_[most]),
        "ratio_without": float(without[most]),
        "n": int(scene.observed.sum()),
    }


def _gain(usual: Floats, other: Floats, scene: _Scene) -> tuple[float, float, float]:
    """Share by which the family lowers the deviance, with its interval; parent cells are resampled whole."""
    n = int(scene.parent.max()) + 1
    one, two = (
        np.bincount(scene.parent, poisson_deviance(scene.observed, rates).sum(axis=0), n)
        for rates in (usual, other)
    )
    weight = np.random.default_rng([scene.seed, 16]).multinomial(n, np.full(n, 1 / n), _DRAWS)
    drawn = 1 - ratio(weight @ one, weight @ two)
    lower, upper = percentile_interval(drawn, n)
    return float(1 - ratio(one.sum(), two.sum())), lower, upper


def _measurements(table: pd.DataFrame, thresholds: Thresholds) -> tuple[list[Measurement], pd.DataFrame]:
    largest, least = (thresholds.setting("C16", name) for name in ("max_ratio_change", "min_deviance_gain"))
    found: list[Measurement] = []
    for row in table.to_dict("records"):
        shared: dict[str, Any] = {"n": row["n"], "category": row["category"]}
        subject = f"{row['family']}, {row['how']}"
        ends = row["lower"], row["upper"]
        found += [
            Measurement("deviance_gain", row["deviance_gain"], "share", *ends, subject=subject, **shared),
            Measurement(
                "exposure_shift",
                row["exposure_shift"],
                "share",
                group=row["group"],
                subject=subject,
                **shared,
            ),
            Measurement("reselected_area", row["reselected"], "share", subject=subject, **shared),
        ]
    # Where a model was trained without the family, it says better what the family adds.
    judged = table.sort_values("how", key=lambda how: how != REFIT, kind="stable")
    judged = judged.drop_duplicates(["category", "family"])
    unjustified = judged[(judged["exposure_shift"] > largest) & (judged["deviance_gain"] < least)]
    for category, part in judged.groupby("category", sort=False):
        count = int((unjustified["category"] == category).sum())
        found.insert(
            0,
            Measurement(
                "unjustified_groups",
                float(count),
                "families",
                n=len(part),
                unit_of_n="families",
                category=str(category),
            ),
        )
    return found, unjustified


def _why(unjustified: pd.DataFrame) -> dict[str, str]:
    if len(unjustified) == 0:
        return {"en": "", "fr": ""}
    told = {
        language: mark.join(
            f"{uncapitalised(family_words(row.family, language))} ({row.category})"
            for row in unjustified.itertuples()
        )
        for language, mark in zip(LANGUAGES, ("; ", " ; "), strict=True)
    }
    return {
        "en": f"moves exposure between groups and hardly helps the forecast: {told['en']}",
        "fr": f"déplace l'exposition entre groupes sans guère aider la prévision : {told['fr']}",
    }
