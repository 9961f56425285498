"""C27: whether a value changes when what was reported later is changed; whether noise looks predictable."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.altered import panel_of, records_of
from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Finding
from tranquillite_ml.errors import TranquilliteError
from tranquillite_ml.evaluation import leakage_canary
from tranquillite_ml.explanation.contributions import feature_values
from tranquillite_ml.features import View
from tranquillite_ml.forecasters.learned import LearnedForecaster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.target import Target

POISONS = ("times 1000", "deleted", "made up")
"""What is done to every record that became known after a cutoff."""

_CUTOFFS, _CUTOFFS_DEEP = 1, 20
_ROWS = 3
_BEGINNING_DAYS = 450
_SMALLER: dict[str, Any] = {"n_estimators": 20, "max_rows": 20_000}
_CANARY = {"days": 300, "rings": 4, "folds": 8, "rate": 0.3}


def leakage(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Change what was reported after a cutoff, and count the features and forecasts that change (C27).

    Features of pseudo-cutoffs up to the cutoff are asked of the whole poisoned panel, so that nothing but the
    features themselves keeps the future out; forecasts, calibration included, and a smaller model of the same
    kind, trained up to the cutoff, as well. None may change by a bit. On records without pattern a model may
    gain nothing beyond chance.
    """
    del forecasts, thresholds
    if evidence.model is None or evidence.panel is None:  # pragma: no cover - the definition asks for both
        return Finding([])
    model, panel = evidence.model, evidence.panel
    rng = np.random.default_rng([evidence.seed, 27])
    n_cutoffs = _CUTOFFS_DEEP if evidence.deep else _CUTOFFS
    rows = [
        row for cutoff in _cutoffs(model, panel, n_cutoffs) for row in _at(model, panel, int(cutoff), rng)
    ]
    rows += _retrained(model, panel if evidence.deep else _beginning(panel), rng)
    table = pd.DataFrame(rows, columns=["cutoff", "change", "of", "compared", "changed"])
    found = [
        Measurement(
            "changed_values",
            float(part["changed"].sum()),
            "values",
            n=int(part["compared"].sum()),
            unit_of_n="values",
            subject=str(name),
        )
        for name, part in table.groupby("of", sort=False)
    ]
    canary, told = _canary(model, evidence.seed)
    anew = (table["of"] == "forecasts of a model trained anew").any()
    trained = "Trained anew on the first months." if anew else "The model could not be trained anew."
    method = (
        f"Cutoffs: {n_cutoffs}; records known later {', '.join(POISONS)}; compared bit by bit. {trained} "
        f"{told} "
        f"Seed {evidence.seed}."
    )
    return Finding([*found, *canary], method, tables={"changes": table})


def poisoned(panel: Panel, cutoff: int, rng: np.random.Generator) -> Iterator[tuple[str, Panel]]:
    """The panel with everything that became known after a cutoff multiplied, deleted, or added to.

    Parameters
    ----------
    panel : Panel
    cutoff : int
        Number of bins.
    rng : Generator
    """
    arrays = records_of(panel)
    later = arrays["known"] > cutoff
    yield (
        POISONS[0],
        panel_of(panel, arrays | {"count": np.where(later, arrays["count"] * 1000, arrays["count"])}),
    )
    yield POISONS[1], panel_of(panel, {name: values[~later] for name, values in arrays.items()})
    n = max(int(later.sum()), 1000)
    when = rng.integers(panel.n_bins, size=n)
    made_up = {
        "category": rng.integers(len(panel.categories), size=n),
        "bin": when,
        "cell": rng.integers(panel.n_cells, size=n),
        # Some happened before the cutoff and were reported after it: the harder half.
        "known": np.maximum(when + 1, cutoff + 1 + rng.integers(panel.bins.days(7), size=n)),
        "count": rng.integers(1, 50, size=n),
    }
    yield (
        POISONS[2],
        panel_of(panel, {name: np.concatenate([arrays[name], made_up[name]]) for name in arrays}),
    )


def _cutoffs(model: Forecaster, panel: Panel, n: int) -> NDArray[np.int64]:
    """Moments spread over the second half of the panel, before its last period."""
    last = panel.n_bins - model.target.period
    first = max(panel.n_bins // 2, min(panel.bins.days(90), last))
    return (
        np.unique(np.linspace(first, last, n + 2)[1:-1].astype(np.int64))
        if last > 0
        else np.array([], np.int64)
    )


Row = tuple[str, str, str, int, int]
"""Cutoff, what was changed, what was looked at, values compared, values that differ."""


def _at(model: Forecaster, panel: Panel, cutoff: int, rng: np.random.Generator) -> Iterator[Row]:
    """Features and forecasts at one cutoff, for each poison."""
    when = str(panel.bins.wall_edges[cutoff])
    usual = [*_features(model, panel, cutoff), *_forecasts(model, panel, cutoff)]
    for poison, other in poisoned(panel, cutoff, rng):
        again = [*_features(model, other, cutoff), *_forecasts(model, other, cutoff)]
        for (what, one), (_, two) in zip(usual, again, strict=True):
            yield when, poison, what, one.size, differing(one, two)


def _features(model: Forecaster, panel: Panel, cutoff: int) -> Iterator[tuple[str, NDArray[Any]]]:
    """Features of a few pseudo-cutoffs up to a cutoff, from the whole panel."""
    if not isinstance(model, LearnedForecaster):
        return
    rows = np.unique(np.linspace(max(cutoff // 2, 1), cutoff, _ROWS).astype(np.int64))
    for category in model.target.categories:
        view = View(panel, category, model.target, rows)
        values = feature_values(model, view, np.arange(len(rows) * panel.n_cells))
        yield "features", values
        yield "features", np.asarray(model.starting_rate(view))


def _forecasts(model: Forecaster, panel: Panel, cutoff: int) -> Iterator[tuple[str, NDArray[Any]]]:
    """Forecasts as the model is, and calibrated anew at the cutoff."""
    yield "forecasts", _maps(model.forecast(panel, cutoff))
    fresh = deepcopy(model).recalibrate(panel, cutoff)
    yield "forecasts, calibrated at the cutoff", _maps(fresh.forecast(panel, cutoff))


def _beginning(panel: Panel) -> Panel:
    """The first months of a panel, where training takes seconds."""
    return panel.until(min(panel.n_bins, panel.bins.days(_BEGINNING_DAYS)))


def _retrained(model: Forecaster, panel: Panel, rng: np.random.Generator) -> list[Row]:
    """A smaller model of the same kind, trained up to a cutoff on each panel; none if it cannot be made."""
    cutoffs = _cutoffs(model, panel, 1)
    if len(cutoffs) == 0:
        return []
    cutoff = int(cutoffs[0])
    given: dict[str, Any] = {}
    if isinstance(model, LearnedForecaster):
        # All categories are trained in the same way: one is enough.
        given["target"] = model.target.only(model.target.categories[0])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            usual = _maps(_smaller(model, **given).fit(panel, cutoff).forecast(panel, cutoff))
            found = []
            for poison, other in poisoned(panel, cutoff, rng):
                again = _maps(_smaller(model, **given).fit(other, cutoff).forecast(other, cutoff))
                found.append((poison, usual.size, differing(usual, again)))
    except TranquilliteError:
        return []
    when, what = str(panel.bins.wall_edges[cutoff]), "forecasts of a model trained anew"
    return [(when, poison, what, compared, changed) for poison, compared, changed in found]


def _smaller(model: Forecaster, **given: Any) -> Forecaster:
    params = deepcopy(model.get_params(deep=False))
    smaller = {name: value for name, value in _SMALLER.items() if params.get(name) is not None}
    return type(model)(**(params | smaller | given))


def _maps(forecasts: Forecasts) -> NDArray[np.float64]:
    names = ("expected_count", "prob_any", "lower", "upper")
    return np.concatenate([np.asarray(getattr(forecasts, name)).ravel() for name in names])


def differing(one: NDArray[Any], two: NDArray[Any]) -> int:
    """Values that are not the same to the bit; two missing values are the same.

    Examples
    --------
    >>> differing(np.array([1.0, np.nan, 2.0]), np.array([1.0, np.nan, 2.0 + 1e-15]))
    1
    """
    return int((~((one == two) | (np.isnan(one) & np.isnan(two)))).sum())


def _canary(model: Forecaster, seed: int) -> tuple[list[Measurement], str]:
    """What the kind of model gains on noise: more than chance allows counts as a changed value."""

    def factory(target: Target) -> Forecaster:
        return _smaller(model, target=target)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results = leakage_canary(factory, seed=seed, **_CANARY)  # type: ignore[arg-type]
    except TranquilliteError as error:
        return [], f"The canary could not be tried: {error}"
    found = []
    for result in results:
        about = f"canary: {result.kind}"
        found += [
            Measurement(
                "changed_values",
                float(result.leaks),
                "leaks",
                n=result.n_folds,
                unit_of_n="folds",
                subject=about,
            ),
            Measurement("canary_gain", result.gain, "nats a fold", n=result.n_incidents, subject=about),
            Measurement("canary_limit", result.upper, "nats a fold", n=result.n_incidents, subject=about),
        ]
    return found, "Canary: a smaller model on white noise and on shuffled times, limit one-sided 99.9 %."
