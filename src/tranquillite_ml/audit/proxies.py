"""C17: features whose names are denied, and how well features tell who lives where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.audit.blocks import parents_of
from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Finding
from tranquillite_ml.audit.selection import audited_slots
from tranquillite_ml.audit.telling import (
    DRAWS,
    FOLDS,
    blocked_auc,
    design,
    folds_of,
    held_out_r2,
    held_out_scores,
    partial_correlation,
)
from tranquillite_ml.evaluation.bootstrap import percentile_interval
from tranquillite_ml.explanation.contributions import contributions, feature_table, feature_values
from tranquillite_ml.features import View
from tranquillite_ml.forecasters.learned import LearnedForecaster
from tranquillite_ml.governance import denied_feature

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.audit.groups import Groups
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.panel import Panel

    Floats = NDArray[np.float64]

_MOMENTS = 4
_MIN_CELLS = 20
ALL = "all features"


def proxies(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Ask of each feature and family how well it tells who lives in places it was not taught on (C17).

    A ridge discriminant on ranks and their squares is taught on four fifths of the neighbourhoods (parent
    cells) and asked about the rest; its area under the ROC curve is 0.5 if it knows nothing of a group and 1
    if it knows all. Place history reaches much of it by itself: a high figure warns, and C16 judges.
    """
    if evidence.groups is None or evidence.panel is None or evidence.model is None:  # pragma: no cover
        return Finding([])
    groups = evidence.groups.on(forecasts.cells)
    parent = parents_of(forecasts)
    found, parts, correlations = [], [], []
    for category in forecasts.categories:
        features = cell_features(evidence.model, evidence.panel, category)
        table = how_well_told(features, groups, parent, seed=evidence.seed)
        parts.append(table.assign(category=category))
        found += _largest(table, category)
    for slots in audited_slots(forecasts, thresholds):
        rate, seen = slots.expected.mean(axis=0), slots.observed.mean(axis=0)
        correlations += _partial((rate, seen), groups, parent, category=slots.category, seed=evidence.seed)
    denied = _denied(evidence)
    found.append(
        Measurement("denied_names", float(len(denied)), "features", n=_n_names(evidence), unit_of_n="names")
    )
    method = (
        f"Means of {_MOMENTS} moments of the last year in each cell; neighbourhoods held out, {FOLDS} folds; "
        f"intervals from {DRAWS} resamples of neighbourhoods, seed {evidence.seed}."
    )
    table = pd.concat(parts, ignore_index=True)
    return Finding(
        [*found, *correlations],
        method,
        _why(found, denied, thresholds),
        {"features": table, "denied": denied},
    )


# ---------------------------------------------------------------------- names


def _named(evidence: Evidence) -> dict[str, str]:
    """Names of features and families, and where each was seen."""
    seen: dict[str, str] = {}
    model = evidence.model
    if isinstance(model, LearnedForecaster) and evidence.panel is not None:
        for term in feature_table(model, _view(model, evidence.panel, model.target.categories[0])):
            seen |= {term.name: "feature of the model", term.family: "family of the model"}
    if evidence.explanation is not None:
        for term in evidence.explanation.terms:
            seen |= {term.name: "explanation", term.family: "explanation"}
    return seen


def _denied(evidence: Evidence) -> pd.DataFrame:
    rows = [
        (name, where, reason) for name, where in _named(evidence).items() if (reason := denied_feature(name))
    ]
    return pd.DataFrame(rows, columns=["name", "where", "reason"])


def _n_names(evidence: Evidence) -> int:
    return len(_named(evidence))


# ---------------------------------------------------------------------- features of cells


def _view(model: Forecaster, panel: Panel, category: str) -> View:
    """The end of the panel and some earlier moments, so that no single week speaks for a place."""
    first = max(panel.n_bins - panel.bins.days(365), min(panel.bins.days(28), panel.n_bins), 1)
    rows = np.unique(np.linspace(first, panel.n_bins, _MOMENTS).astype(np.int64))
    return View(panel, category, model.target, rows)


def cell_features(model: Forecaster, panel: Panel, category: str) -> pd.DataFrame:
    """Mean of each feature in each cell; columns (family, feature). Features that are the same everywhere go.

    A model without features is asked for its rate before calibration: that is all it knows of a place.
    """
    view = _view(model, panel, category)
    picks = np.arange(len(view.rows) * panel.n_cells)
    if isinstance(model, LearnedForecaster):
        terms = feature_table(model, view)
        values = feature_values(model, view, picks).astype(np.float64)
        values = np.column_stack([values, np.asarray(model.starting_rate(view), dtype=np.float64).ravel()])
        names = [*((term.family, term.name) for term in terms), ("starting rate", "starting_rate")]
    else:
        found = contributions(model, view, picks)
        values, names = found.log_rate[:, None], [("past counts", model.name)]
    by_cell = values.reshape(len(view.rows), panel.n_cells, -1)
    seen = np.isfinite(by_cell)
    mean = np.where(seen, by_cell, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    mean[~seen.any(axis=0)] = np.nan
    table = pd.DataFrame(mean, columns=pd.MultiIndex.from_tuples(names, names=["family", "feature"]))
    varies = [table[name].nunique(dropna=False) > 1 for name in table]  # noqa: PD101 - missing counts too
    return table.loc[:, varies]


# ---------------------------------------------------------------------- telling groups apart


def how_well_told(
    features: pd.DataFrame, groups: Groups, parent: NDArray[np.int64], *, seed: int = 0
) -> pd.DataFrame:
    """How well each feature, family and all together tell each group, in neighbourhoods held out.

    Parameters
    ----------
    features : DataFrame, shape (n_cells, n_features)
        Columns (family, feature).
    groups : Groups
    parent : ndarray of int64, shape (n_cells,)
        Neighbourhood of each cell.
    seed : int, default 0

    Returns
    -------
    DataFrame
        ``kind`` (feature, family, all), ``name, group, auc, lower, upper, r2`` (of the group's share of the
        cell), ``n`` (cells).
    """
    lived_in = groups.share[:, -1] < 1
    share = groups.share[lived_in, :-1]
    rows = []
    if lived_in.sum() >= _MIN_CELLS and features.shape[1]:
        chosen = features.loc[lived_in]
        block = pd.factorize(parent[lived_in])[0]
        fold = folds_of(block, seed)
        for kind, name, columns in _sets(features.columns):
            score = held_out_scores(design(chosen.loc[:, columns]), share, fold)
            for number, group in enumerate(groups.names):
                inside = share[:, number] > 0.5
                value, lower, upper = blocked_auc(score[:, number], inside, block, seed=seed)
                r2 = held_out_r2(score[:, number], share[:, number], fold)
                rows.append((kind, name, group, value, lower, upper, r2, len(share)))
    return pd.DataFrame(rows, columns=["kind", "name", "group", "auc", "lower", "upper", "r2", "n"])


def _sets(columns: pd.MultiIndex) -> Iterable[tuple[str, str, NDArray[np.bool_]]]:
    family, feature = columns.get_level_values(0), columns.get_level_values(1)
    for name in feature:
        yield "feature", name, np.asarray(feature == name)
    for name in family.unique():
        yield "family", name, np.asarray(family == name)
    yield "all", ALL, np.ones(len(columns), dtype=bool)


def _largest(table: pd.DataFrame, category: str) -> list[Measurement]:
    """For each group, the feature, family or whole that tells it best; the others stand in the table."""
    found = []
    for group, rows in table.groupby("group", sort=False):
        known = rows.dropna(subset="auc")
        if len(known) == 0:
            found.append(Measurement("blocked_auc", np.nan, "area", n=0, unit_of_n="cells", group=str(group)))
            continue
        best = known.loc[known["auc"].idxmax()]
        found.append(
            Measurement(
                "blocked_auc",
                float(best["auc"]),
                "area",
                float(best["lower"]),
                float(best["upper"]),
                n=int(best["n"]),
                unit_of_n="cells",
                category=category,
                group=str(group),
                subject=f"{best['kind']}: {best['name']}" if best["kind"] != "all" else ALL,
            )
        )
    return found


# ---------------------------------------------------------------------- forecasts beyond what was recorded


def _partial(
    maps: tuple[Floats, Floats], groups: Groups, parent: NDArray[np.int64], *, category: str, seed: int
) -> list[Measurement]:
    """Rank correlation of forecast and share of a group, given what was recorded."""
    rate, seen = maps
    lived_in = groups.share[:, -1] < 1
    if lived_in.sum() < _MIN_CELLS:
        return []
    rows = np.flatnonzero(lived_in)
    block = pd.factorize(parent[rows])[0]
    members = [rows[block == k] for k in range(block.max() + 1)]
    found = []
    for number, group in enumerate(groups.names):
        share = groups.share[:, number]

        def of(at: NDArray[np.int64], share: Floats = share) -> float:
            return partial_correlation(rate[at], share[at], seen[at])

        rng = np.random.default_rng([seed, 19])
        drawn = np.array(
            [
                of(np.concatenate([members[k] for k in rng.integers(len(members), size=len(members))]))
                for _ in range(DRAWS)
            ]
        )
        lower, upper = percentile_interval(drawn, len(members))
        found.append(
            Measurement(
                "partial_correlation",
                of(rows),
                "correlation",
                lower,
                upper,
                n=len(rows),
                unit_of_n="cells",
                category=category,
                group=group,
            )
        )
    return found


def _why(found: list[Measurement], denied: pd.DataFrame, thresholds: Thresholds) -> dict[str, str]:
    if len(denied):
        named = ", ".join(repr(name) for name in denied["name"])
        return {"en": f"denied names: {named}", "fr": f"noms refusés : {named}"}
    limit = thresholds.limit("C17", "blocked_auc")
    told = [one for one in found if one.name == "blocked_auc" and limit.status(one.value) == "WARN"]
    if not told:
        return {"en": "", "fr": ""}
    groups = ", ".join(dict.fromkeys(str(one.group) for one in told))
    return {
        "en": f"features tell the places of {groups} from others beyond the limit; C16 says what they add",
        "fr": f"des variables distinguent les lieux de {groups} au-delà du seuil ; C16 dit leur apport",
    }
