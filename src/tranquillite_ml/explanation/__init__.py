"""Explanation: forecasts taken apart into factors that multiply to them, and how good those are."""

from tranquillite_ml.explanation.curves import effect_curve, interactions
from tranquillite_ml.explanation.explaining import explain
from tranquillite_ml.explanation.factors import Explanation
from tranquillite_ml.explanation.faithfulness import Effort, explanation_quality
from tranquillite_ml.explanation.sanity import fit_on_permuted_labels, recover_planted_effects
from tranquillite_ml.explanation.whatif import what_if
from tranquillite_ml.explanation.words import in_words

__all__ = [
    "Effort",
    "Explanation",
    "effect_curve",
    "explain",
    "explanation_quality",
    "fit_on_permuted_labels",
    "in_words",
    "interactions",
    "recover_planted_effects",
    "what_if",
]
