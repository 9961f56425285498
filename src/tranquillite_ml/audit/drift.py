"""C13: whether the present is like the past that was learnt from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Finding
from tranquillite_ml.audit.selection import audited_slots
from tranquillite_ml.explanation.contributions import feature_table, feature_values
from tranquillite_ml.features import View
from tranquillite_ml.forecasters.learned import LearnedForecaster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.audit.groups import Groups
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.panel import Panel

    Floats = NDArray[np.float64]

DELAYS, LEVELS = "delay_shift", "cusum_p_value"
LACKING: Mapping[str, Mapping[str, str]] = {
    DELAYS: {
        "en": "the records do not say when they were reported: a change of delays cannot be seen",
        "fr": "les enregistrements ne disent pas quand ils ont été signalés : un changement de délai ne peut "
        "pas être vu",
    },
    LEVELS: {
        "en": "the backtest has too few periods to see whether the level of the forecasts changed",
        "fr": "le test rétrospectif a trop peu de périodes pour voir si le niveau des prévisions a changé",
    },
}
"""What to say where a comparison lacks its input."""

_MOMENTS = 12
_SCHEDULED = ("calendar", "events")


def drift(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Compare the last quarter with the year before, and what was recorded with what was expected (C13).

    PSI = Σ (p − q) ln(p / q) over ten bins with the reference's quantiles as edges, for each feature that the
    model learnt from, for the counts to be forecast, and for how records spread over groups of places. What
    is the same everywhere at a moment (season, daylight, weather) and the schedule of events are left out:
    that they change is no drift, and a quarter holds too few. Times since a record end at a year. Delays of
    reporting are compared by the largest distance of their distributions (Kolmogorov and Smirnov), and the
    city's recorded over expected counts by `cusum`.
    """
    if evidence.panel is None:  # pragma: no cover - the definition asks for it
        return Finding([])
    panel = evidence.panel
    bins = int(thresholds.setting("C13", "quantile_bins"))
    days = int(thresholds.setting("C13", "current_days"))
    current = panel.n_bins - panel.bins.days(days)
    first = current - panel.bins.days(365)
    if first < panel.bins.days(28):
        reason = {
            "en": "less than 16 months of counts: there is no year to compare with",
            "fr": "moins de 16 mois de comptages : il n'y a pas d'année de référence",
        }
        return Finding([], reason=reason)
    found: list[Measurement] = list(_of_levels(forecasts, thresholds))
    longest = panel.bins.days(thresholds.setting("C13", "delay_days"))
    for category in (name for name in forecasts.categories if name in panel.categories):
        spans = ((first, current), (current, panel.n_bins))
        found += _of_features(evidence, category, spans, bins)
        found += _of_counts(panel, category, spans, bins)
        if evidence.groups is not None:
            found.append(_of_groups(panel, evidence.groups.on(panel.grid.cells), category, spans))
        found.append(_of_delays(panel, category, spans, longest))
    method = (
        f"Reference: the year before the last {days} days; current: those days. {bins} bins; half a value is "
        "added to each, so that none is empty. Delays: of records old enough to have been seen whatever "
        f"their delay up to {thresholds.setting('C13', 'delay_days'):g} days. CUSUM: periods of the backtest."
    )
    return Finding(found, method, _lacking(found))


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
        if term.family in _SCHEDULED or all(_one_value(sample[:, number]) for sample in samples):
            continue
        # Where nothing is recorded, the time since the last record grows by itself.
        most = 365 if term.unit == "days" else np.inf
        reference, current = (np.minimum(sample[:, number], most) for sample in samples)
        yield _index(reference, current, bins, category, term.name)


def _one_value(sample: NDArray[np.floating]) -> bool:
    """Whether a feature is the same everywhere at each moment: twelve values are too few for ten bins."""
    moments = sample.reshape(_MOMENTS, -1)
    return bool(np.array_equal(moments, np.repeat(moments[:, :1], moments.shape[1], axis=1), equal_nan=True))


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


def _of_delays(panel: Panel, category: str, spans: Spans, longest: int) -> Measurement:
    """Largest distance between the distributions of delays; NaN if no record says when it was reported."""
    records = panel.records(category)
    delay = np.minimum(records.known - records.bin - 1, longest)
    # Both spans end where a record of the longest delay would have been seen.
    samples = [
        np.repeat(delay[mine], records.count[mine])
        for begin, end in spans
        for mine in [(records.bin >= begin - longest) & (records.bin < end - longest)]
    ]
    about: dict[str, Any] = {"n": len(samples[1]), "category": category}
    told = all(len(sample) for sample in samples) and any(sample.any() for sample in samples)
    return Measurement(DELAYS, largest_distance(*samples) if told else math.nan, "share", **about)


def _of_levels(forecasts: Forecasts, thresholds: Thresholds) -> Iterator[Measurement]:
    """Whether recorded over expected counts of the city changed during the backtest."""
    least = int(thresholds.setting("C13", "cusum_periods"))
    for slots in audited_slots(forecasts, thresholds):
        seen, expected = slots.observed.sum(axis=1), slots.expected.sum(axis=1)
        known = slots.counts and len(seen) >= least and bool((expected > 0).all())
        value, p_value = cusum(seen, expected) if known else (math.nan, math.nan)
        about: dict[str, Any] = {"n": len(seen), "unit_of_n": "periods", "category": slots.category}
        yield Measurement(LEVELS, p_value, "probability", **about)
        yield Measurement("cusum", value, "index", **about)


def _lacking(found: list[Measurement]) -> dict[str, str]:
    """What could not be compared, and why."""
    absent = {one.name for one in found if math.isnan(one.value)}
    told = [why for name, why in LACKING.items() if name in absent]
    return {language: "; ".join(why[language] for why in told) for language in ("en", "fr")}


def largest_distance(one: NDArray[Any], two: NDArray[Any]) -> float:
    """Largest distance between two empirical distribution functions (Kolmogorov–Smirnov statistic).

    Examples
    --------
    >>> largest_distance(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))  # at 0: 2/4 against 1/4
    0.25
    """
    at = np.union1d(one, two)
    shares = [np.searchsorted(np.sort(part), at, side="right") / len(part) for part in (one, two)]
    return float(np.abs(shares[0] - shares[1]).max())


def cusum(observed: Floats, expected: Floats) -> tuple[float, float]:
    """Largest excursion of the summed standardised residuals, and the p-value of a level that never changed.

    Parameters
    ----------
    observed, expected : ndarray, shape (n,)
        Counts of successive periods; expected ones above 0.

    Notes
    -----
    With z = (O − E) / √E and s its standard deviation: max over t of |Σ (z − mean z)| / (s √n), which without
    a change is distributed as the largest absolute value of a Brownian bridge: Kolmogorov's distribution
    (Ploberger and Krämer 1992, doi:10.2307/2951597). A level that is off from beginning to end is not drift:
    C03 measures it. With few periods the p-value is on the careful side: too large.

    Examples
    --------
    >>> value, p_value = cusum(np.array([90.0, 110.0] * 6), np.full(12, 100.0))
    >>> round(value, 3), bool(p_value > 0.99)  # 1 / √12 times 11/12 under the root
    (0.276, True)
    >>> risen = np.r_[np.full(6, 90.0), np.full(6, 130.0)] + np.tile([1.0, -1.0], 6)
    >>> cusum(risen, np.full(12, 100.0))[1] < 0.05
    True
    """
    from scipy.special import kolmogorov

    z = (observed - expected) / np.sqrt(expected)
    spread = float(z.std(ddof=1))
    if spread == 0:
        return 0.0, 1.0
    value = float(np.abs(np.cumsum(z - z.mean())).max() / (spread * math.sqrt(len(z))))
    return value, float(kolmogorov(value))


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
