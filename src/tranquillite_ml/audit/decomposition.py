"""C24: what the gap between a group's places and the city is made of, family by family, exactly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.audit.blocks import parents_of
from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Finding
from tranquillite_ml.audit.proxies import cell_features, how_well_told
from tranquillite_ml.explanation.contributions import CALIBRATION, EXPOSURE, POOLING, START
from tranquillite_ml.explanation.factors import LEVEL
from tranquillite_ml.explanation.words import LANGUAGES, family_words, uncapitalised
from tranquillite_ml.forecasters.learned import LearnedForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.audit.groups import Groups
    from tranquillite_ml.explanation import Explanation
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

_HARMLESS = ("the category itself", "calendar")
_OWN = {LEVEL, START, EXPOSURE, CALIBRATION, POOLING, "past counts", "calendar"}


def decomposition(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Split the gap in the mean log rate between a group's places and all that are lived in (C24).

    mean_g(log λ) − mean(log λ) = Σ over families of mean_g φ − mean φ, exactly, as factors multiply to the
    published rate. Cells count by the share of them that is a group's. A part is a proxy of a group if it
    tells the group's places beyond the limit of C17 and is made of other things than the forecast category's
    own records. Its share is its size among the sizes of all parts of the gap; gaps that are hardly there are
    not judged.
    """
    if evidence.explanation is None or evidence.groups is None:  # pragma: no cover
        return Finding([])
    explanation, groups = evidence.explanation, evidence.groups.on(forecasts.cells)
    barely = thresholds.setting("C15", "barely")
    found, parts = [], []
    for category in dict.fromkeys(explanation.rows["category"].astype(str)):
        chosen = explanation.select(category=category)
        table = gaps(chosen, groups, forecasts.cell_names(), _labels(chosen, evidence))
        table["proxy"] = _proxies(table, forecasts, evidence, category, thresholds)
        parts.append(table.assign(category=category))
        found += [
            _share(part, str(group), category, barely) for group, part in table.groupby("group", sort=False)
        ]
        found += [
            Measurement(
                "log_gap",
                float(part["contribution"].sum()),
                "log rate",
                n=int(part["n"].iloc[0]),
                unit_of_n="place-periods",
                category=category,
                group=str(group),
            )
            for group, part in table.groupby("group", sort=False)
        ]
    error = _error(explanation)
    found.append(
        Measurement("unexplained_gap", error, "log rate", n=len(explanation), unit_of_n="place-periods")
    )
    method = (
        "Exact: parts add up to the gap. Proxies: parts beyond the limit of C17 that are not made of the "
        "category's own records; the starting rate and the calibration are made of them."
    )
    return Finding(found, method, _why(found, thresholds), {"gaps": pd.concat(parts, ignore_index=True)})


def gaps(
    explanation: Explanation, groups: Groups, cells: NDArray[np.str_], labels: list[str] | None = None
) -> pd.DataFrame:
    """Parts of each group's gap to all groups: ``group, family, contribution, factor, n``; exact.

    Parameters
    ----------
    explanation : Explanation
    groups : Groups
        On the cells that `cells` names.
    cells : ndarray of str, shape (n_cells,)
    labels : list of str, optional
        Name under which each term is summed; its family when not given.
    """
    place = pd.Index(cells).get_indexer(pd.Index(explanation.rows["cell"].astype(str)))
    weight = np.where((place >= 0)[:, None], groups.share[place], 0.0)
    named = np.array([term.family for term in explanation.terms] if labels is None else labels, dtype=object)
    names = [LEVEL, *dict.fromkeys(named)]
    parts = [
        explanation.base,
        *(explanation.contributions[:, named == name].sum(axis=1) for name in names[1:]),
    ]
    held = np.column_stack(parts)
    # The city is where somebody lives: elsewhere rates are so low that every group would lie far above.
    lived_in = weight[:, :-1].sum(axis=1)
    city = lived_in @ held / max(lived_in.sum(), 1e-300)
    rows = []
    for number, group in enumerate(groups.buckets):
        total = weight[:, number].sum()
        if total == 0:
            continue
        gap = weight[:, number] @ held / total - city
        n = int((weight[:, number] > 0).sum())
        rows += [(group, name, float(part), math.exp(part), n) for name, part in zip(names, gap, strict=True)]
    return pd.DataFrame(rows, columns=["group", "family", "contribution", "factor", "n"])


def _sources(evidence: Evidence) -> dict[str, str]:
    """What each feature of the model is made of; empty for a model without features."""
    model, panel = evidence.model, evidence.panel
    if not isinstance(model, LearnedForecaster) or panel is None:
        return {}
    described = model._features().table(model.target, panel.bins)  # noqa: SLF001 - those it learnt from
    return dict(zip(described["name"], described["source"], strict=True))


def _labels(explanation: Explanation, evidence: Evidence) -> list[str]:
    """Family of each term; within one, what is made of other categories is apart."""
    sources = _sources(evidence)
    return [_label(term.family, sources.get(term.name)) for term in explanation.terms]


def _label(family: str, source: str | None) -> str:
    return family if source in {None, *_HARMLESS} else f"{family}, from {source}"


def _proxies(
    table: pd.DataFrame, forecasts: Forecasts, evidence: Evidence, category: str, thresholds: Thresholds
) -> list[bool]:
    """Whether the part of each row tells the group of the row, and is no record of the category itself."""
    sources = _sources(evidence)
    if not sources or evidence.model is None or evidence.panel is None or evidence.groups is None:
        # What a family is made of is not known: all that may tell of places counts.
        return [family not in _OWN for family in table["family"]]
    features = cell_features(evidence.model, evidence.panel, category)
    labels = [(_label(family, sources.get(name)), name) for family, name in features.columns]
    features.columns = pd.MultiIndex.from_tuples(labels)
    others = features.loc[:, [sources.get(name) not in {None, *_HARMLESS} for _, name in labels]]
    groups = evidence.groups.on(forecasts.cells)
    told = how_well_told(others, groups, parents_of(forecasts), seed=evidence.seed)
    told = told[told["kind"] == "family"]
    limit = thresholds.limit("C17", "blocked_auc")
    rows = zip(told["name"], told["group"], told["auc"], strict=True)
    beyond = {(name, group) for name, group, auc in rows if limit.status(auc) == "WARN"}
    return [key in beyond for key in zip(table["family"], table["group"], strict=True)]


def _share(part: pd.DataFrame, group: str, category: str, barely: float) -> Measurement:
    """Size of the largest proxy among the sizes of all parts."""
    size = part["contribution"].abs()
    proxy = part["proxy"].to_numpy(dtype=bool)
    value, subject = 0.0, None
    if proxy.any() and abs(part["contribution"].sum()) >= barely:
        largest = size[proxy].idxmax()
        value, subject = float(size[largest] / size.sum()), str(part.loc[largest, "family"])
    return Measurement(
        "largest_proxy_share",
        value,
        "share",
        n=int(part["n"].iloc[0]),
        unit_of_n="place-periods",
        category=category,
        group=group,
        subject=subject,
    )


def _error(explanation: Explanation) -> float:
    """Largest difference between the log of a published rate and what its parts add up to."""
    said = explanation.base + explanation.contributions.sum(axis=1)
    with np.errstate(divide="ignore"):
        published = np.log(explanation.rows["expected_count"].to_numpy(dtype=np.float64))
    return float(np.abs(said - published).max(initial=0.0))


def _why(found: list[Measurement], thresholds: Thresholds) -> dict[str, str]:
    limit = thresholds.limit("C24", "largest_proxy_share")
    told = [one for one in found if one.name == "largest_proxy_share" and limit.status(one.value) != "PASS"]
    if not told:
        return {"en": "", "fr": ""}
    worst = max(told, key=lambda one: one.value)
    family, _, source = str(worst.subject).partition(", from ")
    said = {language: uncapitalised(family_words(family, language)) for language in LANGUAGES}
    if source:
        layer = source.removeprefix("layer ")
        said["en"] += f" (from {source})"
        said["fr"] += f" (d'après {'les autres catégories' if layer == source else f'la couche {layer}'})"
    return {
        "en": f"{said['en']}: {worst.value:.0%} of the gap of {worst.group}, and it tells its places",
        "fr": f"{said['fr']} : {worst.value:.0%}".replace("%", "\u202f%")
        + f" de l'écart de {worst.group}, et cela distingue ses lieux",
    }
