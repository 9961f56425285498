"""How a check is declared: what it needs, and the function that measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tranquillite_ml.audit.check import Check, Measurement, derive_status
from tranquillite_ml.simulation.loop import silent

if TYPE_CHECKING:
    import pandas as pd

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

MISSING: Mapping[str, Mapping[str, str]] = {
    "groups": {
        "en": "no groups of places were given: set audit.groups in the configuration",
        "fr": "aucun groupe de lieux n'est donné : renseigner audit.groups dans la configuration",
    },
    "incidents": {"en": "the incidents were not given", "fr": "les incidents ne sont pas fournis"},
    "panel": {"en": "the counts were not given", "fr": "les comptages ne sont pas fournis"},
    "model": {
        "en": "the model was not given: only its forecasts are there",
        "fr": "le modèle n'est pas fourni : seules ses prévisions le sont",
    },
    "explanation": {
        "en": "the forecasts were not taken apart into factors",
        "fr": "les prévisions ne sont pas décomposées en facteurs",
    },
    "config": {"en": "there is no configuration", "fr": "il n'y a pas de configuration"},
    "governance": {
        "en": "there is no governance file: `tranquillite init` writes one to fill in",
        "fr": "il n'y a pas de fichier de gouvernance : `tranquillite init` en écrit un à remplir",
    },
    "run": {"en": "there is no run folder", "fr": "il n'y a pas de dossier d'exécution"},
    "refit": {
        "en": "the model cannot be trained again here",
        "fr": "le modèle ne peut pas être réentraîné ici",
    },
    "contests": {"en": "there is no log of contests", "fr": "il n'y a pas de registre des contestations"},
    "decisions": {
        "en": "there is no log of what was done with the forecasts",
        "fr": "il n'y a pas de registre de l'usage des prévisions",
    },
    "trial": {"en": "there was no trial in the field", "fr": "il n'y a pas eu d'essai sur le terrain"},
    "frontier": {
        "en": "nobody has chosen between accuracy and evenness: there is no table of choices",
        "fr": "personne n'a choisi entre exactitude et répartition : il n'y a pas de table des choix",
    },
    "published": {
        "en": "nothing was given that is to be published",
        "fr": "rien n'est fourni qui soit à publier",
    },
}
"""What to say of each kind of evidence that is not there."""


@dataclass(frozen=True)
class Finding:
    """What the function of a check gives back.

    Parameters
    ----------
    measurements : sequence of Measurement
    method : str
    reason : mapping
        Why, in both languages; if left empty the report derives a sentence from the status.
    tables : mapping of str to DataFrame
    """

    measurements: Sequence[Measurement]
    method: str = ""
    reason: Mapping[str, str] = field(default_factory=lambda: {"en": "", "fr": ""})
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Definition:
    """A check as it is declared: its id, the evidence it needs, and how it measures.

    Parameters
    ----------
    id : str
    needs : tuple of str
        Names of evidence, see `Evidence.has`.
    measure : callable
        ``measure(forecasts, evidence, thresholds)`` gives a `Finding`.
    slow : bool, default False
        Whether it may take more than a few seconds without a word of its own: then it is told when it begins.
    """

    id: str
    needs: tuple[str, ...]
    measure: Callable[[Forecasts, Evidence, Thresholds], Finding]
    slow: bool = False

    def run(self, forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Check:
        """Measure, or say what is missing."""
        missing = tuple(name for name in self.needs if not evidence.has(name))
        title = thresholds.checks[self.id].title
        if missing:
            told = {name: evidence.absent.get(name, MISSING[name]) for name in missing}
            reason = {
                language: "; ".join(dict.fromkeys(one[language] for one in told.values()))
                for language in ("en", "fr")
            }
            return Check(self.id, title, "NOT_ASSESSABLE", self.needs, missing, reason=reason)
        tell = evidence.report if self.slow and evidence.report is not None else silent
        tell(f"{self.id}: {title}", 0, 1)
        found = self.measure(forecasts, evidence, thresholds)
        tell(f"{self.id}: {title}", 1, 1)
        return Check(
            id=self.id,
            title=title,
            status=derive_status(self.id, found.measurements, thresholds),
            needs=self.needs,
            measurements=tuple(found.measurements),
            method=found.method,
            reason=dict(found.reason),
            tables=dict(found.tables),
        )
