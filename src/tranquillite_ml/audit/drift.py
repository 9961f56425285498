"""C12 and C13: how much was learnt from doubtful records, and whether the present is like the past."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Finding
from tranquillite_ml.explanation.contributions import feature_table, feature_values
from tranquillite_ml.features import View
from tranquillite_ml.forecasters.learned import LearnedForecaster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.audit.groups import Groups
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.file import DirtyPeriod
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.panel import Panel

    Floats = NDArray[np.float64]

WHOLE_CITY = frozenset({"city", "the whole city", "all", "ville", "toute la ville"})
"""Areas of the register that mean every place."""

_MOMENTS = 12
_CURRENT_DAYS = 91


# ---------------------------------------------------------------------- C12


def doubtful_windows(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Measure the share of the records learnt from that the register calls doubtful (C12).

    An area is a cell, a group of places, or the whole city; one that is none of these counts as the whole
    city, so that a misspelling hides nothing. A model trained without these records is not tried.
    """
    del thresholds
    if evidence.governance is None or evidence.panel is None:  # pragma: no cover
        return Finding([])
    register = evidence.governance.dirty_data
    if register is None:
        reason = {
            "en": "the register of doubtful records is empty: [] would say that there are none",
            "fr": "le registre des données douteuses est vide : [] dirait qu'il n'y en a pas",
        }
        return Finding([Measurement("missing_registers", 1.0, "registers")], reason=reason)
    panel, groups = evidence.panel, evidence.groups
    end = _training_end(evidence)
    days = panel.bins.wall_edges[:end].normalize()
    rows, measurements = [], [Measurement("missing_registers", 0.0, "registers", n=len(register))]
    for category in (name for name in forecasts.categories if name in panel.categories):
        counts = panel.counts(category, 0, end)
        inside = np.zeros(counts.shape, dtype=bool)
        for entry in register:
            cells, known = _cells(entry, panel, None if groups is None else groups.on(panel.grid.cells))
            when = (days >= pd.Timestamp(entry.period.start)) & (days <= pd.Timestamp(entry.period.end))
            mine = np.asarray(when)[:, None] & cells
            inside |= mine
            period = f"{entry.period.start}/{entry.period.end}"
            rows.append(
                (category, period, entry.area, known, entry.reason, entry.source, int(counts[mine].sum()))
            )
        total = int(counts.sum())
        share = float(counts[inside].sum() / total) if total else math.nan
        measurements.append(Measurement("training_share", share, "share", n=total, category=category))
    columns = ["category", "period", "area", "area_known", "reason", "source", "records"]
    method = "Records of the forecast category up to the end of the training; overlapping windows count once."
    return Finding(measurements, method, tables={"register": pd.DataFrame(rows, columns=columns)})


def _training_end(evidence: Evidence) -> int:
    """Bins that the model was trained on; all of them if that is not known."""
    panel, model = evidence.panel, evidence.model
    if panel is None:  # pragma: no cover - asked for by the callers
        return 0
    until = getattr(model, "fitted_until_", None)
    return panel.n_bins if until is None else panel.index_at(pd.Timestamp(until).tz_localize(None))


def _cells(entry: DirtyPeriod, panel: Panel, groups: Groups | None) -> tuple[NDArray[np.bool_], bool]:
    """Cells of an area of the register, and whether the area is known."""
    names = panel.grid.names()
    area = entry.area.strip()
    if area in names:
        return np.asarray(names == area), True
    if groups is not None and area in groups.buckets:
        return np.asarray(groups.share[:, groups.buckets.index(area)] > 0), True
    return np.ones(panel.n_cells, dtype=bool), area.lower() in WHOLE_CITY


# ---------------------------------------------------------------------- C13


def drift(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Compare the last quarter with the year before by the population stability index (C13).

    PSI = Σ (p − q) ln(p / q) over ten bins with the reference's quantiles as edges, for each feature that the
    model learnt from, for the counts to be forecast, and for how records spread over groups of places. The
    calendar is left out: that the seasons change is no drift; times since a record end at a year.
    """
    if evidence.panel is None:  # pragma: no cover - the definition asks for it
        return Finding([])
    panel = evidence.panel
    bins = int(thresholds.setting("C13", "quantile_bins"))
    current = panel.n_bins - panel.bins.days(_CURRENT_DAYS)
    first = current - panel.bins.days(365)
    if first < panel.bins.days(28):
        reason = {
            "en": "less than 16 months of counts: there is no year to compare with",
            "fr": "moins de 16 mois de comptages : il n'y a pas d'année de référence",
        }
        return Finding([], reason=reason)
    found: list[Measurement] = []
    for category in (name for name in forecasts.categories if name in panel.categories):
        spans = ((first, current), (current, panel.n_bins))
        found += _of_features(evidence, category, spans, bins)
        found += _of_counts(panel, category, spans, bins)
        if evidence.groups is not None:
            found.append(_of_groups(panel, evidence.groups.on(panel.grid.cells), category, spans))
    method = (
        f"Reference: the year before the last {_CURRENT_DAYS} days; current: those days. {bins} bins; half a "
        "value is added to each, so that none is empty."
    )
    return Finding(found, method)


Spans = tuple[tuple[int, int], tuple[int, int]]


def _of_features(evidence: Evidence, category: str, spans: Spans, bins: int) -> Iterator[Measurement]:
    model, panel = evidence.model, evidence.panel
    if not isinstance(model, LearnedForecaster) or panel is None:
        return
    samples = []
    for begin, end in spans:
        rows = np.unique(np.linspace(begin, end, _MOMENTS).astype(np.int64))
        view = View(panel, category, model.target, rows)
        samples.append(feature_values(model, view, np.arange(len(rows) * panel.n_cells)))
    for number, term in enumerate(feature_table(model, view)):
        # What is the same everywhere has twelve values: too few for ten bins.
        if term.family in {"calendar", "city"}:
            continue
        # Where nothing is recorded, the time since the last record grows by itself.
        most = 365 if term.unit == "days" else np.inf
        reference, current = (np.minimum(sample[:, number], most) for sample in samples)
        yield _index(reference, current, bins, category, term.name)


def _of_counts(panel: Panel, category: str, spans: Spans, bins: int) -> Iterator[Measurement]:
    """Weekly counts of cells."""
    week = panel.bins.days(7)
    weekly = []
    for begin, end in spans:
        counts = panel.counts(category, begin, end)[: (end - begin) // week * week]
        weekly.append(counts.reshape(-1, week, panel.n_cells).sum(axis=1).ravel())
    yield _index(weekly[0], weekly[1], bins, category, "weekly count of a cell")


def _of_groups(panel: Panel, groups: Groups, category: str, spans: Spans) -> Measurement:
    """How the records spread over groups of places."""
    reference, current = (
        panel.counts(category, begin, end).sum(axis=0) @ groups.share for begin, end in spans
    )
    value = stability_index(reference, current)
    n = round(float(current.sum()))
    return Measurement(
        "stability_index", value, "index", n=n, category=category, subject="records by group of places"
    )


def _index(
    reference: NDArray[Any], current: NDArray[Any], bins: int, category: str, subject: str
) -> Measurement:
    """Stability index of one feature."""
    value = stability_index(*binned(reference, current, bins))
    n = int(np.isfinite(current).sum())
    return Measurement(
        "stability_index", value, "index", n=n, unit_of_n="place-periods", category=category, subject=subject
    )


def binned(reference: NDArray[Any], current: NDArray[Any], bins: int) -> tuple[Floats, Floats]:
    """Values of each sample in bins between the reference's quantiles; the last bin holds what is missing.

    Examples
    --------
    >>> one, two = binned(np.arange(10.0), np.array([0.0, 9.0, 99.0, np.nan]), 2)
    >>> one.tolist(), two.tolist()
    ([5.0, 5.0, 0.0], [1.0, 2.0, 1.0])
    """
    known = reference[np.isfinite(reference)]
    if len(known) == 0:
        return np.zeros(0), np.zeros(0)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
    found = []
    for values in (reference, current):
        there = np.isfinite(values)
        number = np.where(
            there, np.searchsorted(edges, np.where(there, values, 0.0), side="right"), len(edges) + 1
        )
        found.append(np.bincount(number, minlength=len(edges) + 2).astype(np.float64))
    return found[0], found[1]


def stability_index(reference: Any, current: Any) -> float:
    """Population stability index of two histograms, half a value added to each bin that one of them uses.

    Examples
    --------
    >>> round(stability_index([49.5, 49.5], [24.5, 74.5]), 4)  # (.25 − .5) ln(.5) + (.75 − .5) ln(1.5)
    0.2747
    """
    counts = np.array([reference, current], dtype=np.float64)
    counts = counts[:, (counts > 0).any(axis=0)] + 0.5
    if counts.shape[1] == 0:
        return math.nan
    q, p = counts / counts.sum(axis=1, keepdims=True)
    return float(((p - q) * np.log(p / q)).sum())
