"""C15, C16 and C24: whether explanations are right, what features add, what makes a disparity."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.decomposition import decomposition
from tranquillite_ml.audit.definition import Definition, Finding
from tranquillite_ml.audit.removal import removal
from tranquillite_ml.audit.stability import moments
from tranquillite_ml.errors import TranquilliteError
from tranquillite_ml.explanation import Effort, explanation_quality, recover_planted_effects
from tranquillite_ml.forecasters.learned import LearnedForecaster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.explanation import Explanation
    from tranquillite_ml.features import FeatureSet
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.target import Target

_NAMES = {
    "completeness": "completeness_error",
    "faithfulness": "faithfulness_correlation",
    "infidelity": "control_p_value",
    "continuity": "control_p_value",
    "stability over backgrounds": "background_tau",
    "second opinion": "second_opinion_correlation",
    "stability over seeds": "seed_tau",
    "stability over months": "retrain_tau",
    "top three reasons": "top3_overlap",
    "permuted labels": "permuted_tau",
    "compacity": "compact_share",
    "leakage smell": "largest_feature_share",
}
"""What `explanation_quality` calls a measure, and what the thresholds call it."""

_UNITS = {"completeness_error": "relative", "control_p_value": "probability", "deletion_gain": "log rate"}
_RESTS_ON = {
    "stability over seeds": "pairs of models",
    "stability over months": "pairs of models",
    "permuted labels": "models",
    "planted effect": "incidents",
}
NEEDS_REFITS = {
    "stability over seeds": "stabilité entre graines",
    "stability over months": "stabilité d'un mois à l'autre",
    "top three reasons": "trois premières raisons",
    "permuted labels": "résultats permutés",
    "planted effects": "effets plantés",
}
"""Measures that need other models, and their French names."""
_WIDE = 2.3263478740408408  # standard normal quantile at 99 %: infidelity and continuity have 98 % intervals


def quality_of_explanations(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Measure whether explanations say what the model does, and would say it again (C15).

    Everything that needs no other model is measured, in each category; by default only in those with the most
    recorded incidents. In a deep audit the model is trained again with other seeds, at earlier months, and on
    outcomes dealt out anew. What was not tried is named and not judged.
    """
    if evidence.model is None or evidence.panel is None:  # pragma: no cover - the definition asks for both
        return Finding([])
    found = [] if evidence.explanation is None else [_product(evidence.explanation)]
    taken, left = _categories(forecasts, evidence, thresholds)
    given = _models(evidence, thresholds)
    tables: dict[str, pd.DataFrame] = {}
    failed: dict[str, str] = {}
    for name in taken:
        given |= {"category": name, "effort": _effort(evidence, thresholds), "seed": evidence.seed}
        try:
            tables[name] = explanation_quality(evidence.model, evidence.panel, **given)
        except TranquilliteError as error:
            failed[name] = str(error)
        given.pop("planted", None)  # about the kind of model, whatever the category
    for name, table in tables.items():
        found += [one for row in table[table["n"] > 0].itertuples() for one in _measurements(row, name)]
    about: dict[str, Any] = {"n": 0, "unit_of_n": "place-periods"}
    found += [
        Measurement("completeness_error", math.nan, "relative", category=name, **about) for name in failed
    ]
    parts = [table.assign(category=name) for name, table in tables.items()]
    whole = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    reason = _failed(failed) if failed else _not_tried(list(tables.values()))
    return Finding(found, _method(list(tables), left, evidence), reason, {"measures": whole})


def _failed(failed: dict[str, str]) -> dict[str, str]:
    """For which categories the model could not be explained, and why."""
    told = "; ".join(f"{name}: {error}" for name, error in failed.items())
    return {
        "en": f"the model could not be explained for {told}",
        "fr": f"le modèle n'a pas pu être expliqué pour {', '.join(failed)} ; l'erreur est citée dans la "
        "version anglaise",
    }


def _categories(
    forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds
) -> tuple[list[str], list[str]]:
    """Categories that are looked at, those with the most recorded incidents first, and those left out."""
    model, panel = evidence.model, evidence.panel
    if model is None or panel is None:  # pragma: no cover - asked for by the caller
        return [], []
    names = [name for name in forecasts.categories if name in model.target.categories]
    names.sort(key=lambda name: -int(panel.counts(name).sum()))
    most = len(names) if evidence.deep else int(thresholds.setting("C15", "categories"))
    return names[:most], names[most:]


def _not_tried(tables: list[pd.DataFrame]) -> dict[str, str]:
    """Which measures need the model to be trained again, and were left out."""
    tried = {str(name) for table in tables for name in table.loc[table["n"] > 0, "metric"]}
    planted = any(name.startswith("planted effect: ") for name in tried)
    untried = {str(name) for table in tables for name in table.loc[table["n"] == 0, "metric"]}
    untried -= {"planted effects"} if planted else set()
    apart = [name for name in NEEDS_REFITS if name in untried]
    if not apart:
        return {"en": "", "fr": ""}
    return {
        "en": f"not tried here, because they need the model to be trained again: {', '.join(apart)}",
        "fr": "non essayés ici, faute de réentraîner le modèle : "
        + ", ".join(NEEDS_REFITS[name] for name in apart),
    }


def _method(taken: list[str], left: list[str], evidence: Evidence) -> str:
    """How it was measured, and where."""
    nothing = "No category of the model is among the forecasts."
    where = f"Measured for {', '.join(taken)}." if taken else nothing
    rest = f" Not looked at, fewer being recorded: {', '.join(left)}." if left else ""
    return (
        f"{where}{rest} Infidelity and continuity are ratios to a control; their p-value is read from the "
        f"interval as if the logarithm were normal. Seed {evidence.seed}."
    )


def _effort(evidence: Evidence, thresholds: Thresholds) -> Effort:
    def asked(name: str) -> int:
        return int(thresholds.setting("C15", name))

    if evidence.deep:
        return Effort(rows=200, subsets=asked("subsets"), backgrounds=asked("backgrounds"))
    return Effort(rows=60, subsets=asked("subsets"), backgrounds=asked("backgrounds"))


def _models(evidence: Evidence, thresholds: Thresholds) -> dict[str, Any]:
    """Other models of the same kind, in a deep audit that can train them."""
    refit, panel, model = evidence.refit, evidence.panel, evidence.model
    if not evidence.deep or refit is None or evidence.surrogate is not None or panel is None:
        return {}
    if not isinstance(model, LearnedForecaster):
        return {}
    asked = {name: int(thresholds.setting("C15", name)) for name in ("seeds", "months", "permutations")}
    seeds = asked["seeds"] if "random_state" in model.get_params(deep=False) else 0
    end, first = panel.n_bins, evidence.seed + 1
    params = model.get_params(deep=False)

    def like(target: Target, features: FeatureSet) -> Forecaster:
        return type(model)(**{**params, "target": target, "features": features})

    return {
        "reseeded": [refit(panel, end, random_state=first + k) for k in range(seeds)],
        "successive": [refit(panel, at) for at in moments(panel, asked["months"])[1:]],
        "permuted": [refit(panel, end, permuted=first + k) for k in range(asked["permutations"])],
        "planted": recover_planted_effects(like, seed=evidence.seed),
    }


def _product(explanation: Explanation) -> Measurement:
    """Largest relative difference of a product of factors from its published count, multiplied here anew."""
    product = np.exp(explanation.base) * np.exp(explanation.contributions).prod(axis=1)
    published = explanation.rows["expected_count"].to_numpy(dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(product / published - 1)
    worst = float(np.where(np.isnan(error), np.inf, error).max(initial=0.0))
    value = worst if np.isfinite(worst) else 1.0
    return Measurement("product_error", value, "relative", n=len(explanation), unit_of_n="place-periods")


def _measurements(row: Any, category: str) -> Iterator[Measurement]:
    """One row of the table of measures as the thresholds name it."""
    unit = _RESTS_ON.get(str(row.metric).split(":", maxsplit=1)[0], "place-periods")
    shared: dict[str, Any] = {"n": int(row.n), "unit_of_n": unit, "subject": str(row.metric)}
    ends = float(row.lower), float(row.upper)
    planted = str(row.metric).startswith("planted effect: ")
    shared |= {} if planted else {"category": category}
    if planted:
        yield Measurement("known_factor_error", abs(float(row.value) - 1), "relative", **shared)
    elif str(row.metric).startswith(("deletion", "insertion")):
        yield Measurement("deletion_gain", float(row.value), _UNITS["deletion_gain"], *ends, **shared)
    elif (name := _NAMES.get(str(row.metric))) == "control_p_value":
        yield Measurement("ratio_to_control", float(row.value), "ratio", *ends, **shared)
        yield Measurement(name, p_below_one(float(row.value), *ends), _UNITS[name], **shared)
    elif name is not None:
        yield Measurement(name, float(row.value), _UNITS.get(name, "share"), *ends, **shared)


def p_below_one(value: float, lower: float, upper: float) -> float:
    """One-sided p-value of a ratio of at least 1, from a 98 % interval whose logarithm is taken as normal.

    Examples
    --------
    >>> p_below_one(0.5, 0.25, 1.0)  # the upper end of a 98 % interval at 1: 1 %
    0.01
    """
    from scipy.special import ndtr

    if math.isnan(lower) or lower <= 0 or value <= 0:
        return 0.0 if value == 0 and upper < 1 else math.nan
    reach = (math.log(upper) - math.log(lower)) / (2 * _WIDE)
    if reach == 0:
        return float(value >= 1)
    return round(float(ndtr(math.log(value) / reach)), 12)


DEFINITIONS = (
    Definition("C15", ("model", "panel"), quality_of_explanations, slow=True),
    Definition("C16", ("groups", "panel", "model"), removal, slow=True),
    Definition("C24", ("explanation", "groups"), decomposition, slow=True),
)
