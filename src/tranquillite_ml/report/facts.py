"""What a report says besides its checks: the system, its legal status, the run, the data, who answers."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tranquillite_ml.errors import TranquilliteError
from tranquillite_ml.governance import Governance
from tranquillite_ml.report.terms import ORIGINS, PHRASES, about, named
from tranquillite_ml.report.wording import AI_ACT_CLASS, HARMS, OUT_OF_SCOPE, Words, both, french
from tranquillite_ml.runfolder import SUMMARY, package_digest

if TYPE_CHECKING:
    from tranquillite_ml.audit import Evidence
    from tranquillite_ml.config import RunConfig
    from tranquillite_ml.forecasts import Forecasts

_GROUPS = "groups of places"
PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn", "lightgbm", "h3", "shapely", "pyarrow")
_FIELDS: tuple[tuple[str, str, str], ...] = (
    ("purpose", "Purpose", "Finalité"),
    (
        "alternatives",
        "What else was weighed, such as lighting, mediation or doing nothing",
        "Ce qui a été pesé d'autre : éclairage, médiation, ne rien faire",
    ),
    ("owner", "Body that decides on the use", "Organisme qui décide de l'usage"),
    ("contact", "Contact for questions and objections", "Contact pour questions et objections"),
    ("legal_status.text", "Legal regime", "Régime juridique"),
    ("legal_status.date", "Date of the legal memo", "Date de l'avis juridique"),
    ("legal_status.signed_by", "Counsel who signed it", "Conseil signataire"),
    ("data_protection_officer", "Data-protection officer", "Délégué à la protection des données"),
    ("impact_assessment.reference", "Impact assessment", "Analyse d'impact"),
    ("impact_assessment.date", "Date of the impact assessment", "Date de l'analyse d'impact"),
    ("dirty_data", "Register of doubtful records", "Registre des enregistrements douteux"),
)
_STEPS: tuple[tuple[str, str, str], ...] = (
    ("read", "rows read", "lignes lues"),
    ("accepted", "rows accepted", "lignes acceptées"),
    ("quarantined", "rows set aside", "lignes écartées"),
    ("duplicate", "rows counted twice", "lignes en double"),
)


def system_of(forecasts: Forecasts, evidence: Evidence, notice: str | None) -> dict[str, Any]:
    """What the system is, for what, and not for what."""
    config, governance = evidence.config, evidence.governance or Governance()
    keys = forecasts.keys
    ends = keys["period_end"].notna() & keys["exposure_hours"].notna()
    hours = keys.loc[ends, "exposure_hours"]
    return {
        "name": str(forecasts.models[0]) if config is None else config.name,
        "version": _installed("tranquillite-ml"),
        "owner": governance.owner,
        "contact": governance.contact,
        "intended_use": governance.purpose,
        "out_of_scope": OUT_OF_SCOPE,
        "h3_resolution": _resolution(forecasts),
        "slot_hours": float(hours.median()) if len(hours) else None,
        "categories": _categories(forecasts, evidence),
        "horizons": sorted({int(value) for value in keys["horizon"]}),
        "audited_model": str(forecasts.models[0]),
        "models": [str(name) for name in forecasts.models],
        "n_cells": len(forecasts.cells),
        "study_area_km2": round(float(forecasts.study_area_km2), 3),
        "notice": notice,
    }


def _resolution(forecasts: Forecasts) -> int | None:
    """H3 resolution of the cells; None for squares and for cells of another system."""
    from tranquillite_ml.hexgrid import HexGrid

    described = forecasts.meta.get("grid") or {}
    if described.get("kind", "h3") != "h3":
        return None
    try:
        return HexGrid(forecasts.cells.tolist()[:1]).resolution
    except TranquilliteError:
        return None


def _categories(forecasts: Forecasts, evidence: Evidence) -> list[dict[str, Any]]:
    origins = {} if evidence.panel is None else dict(evidence.panel.origins)
    declared = {} if evidence.config is None else evidence.config.incidents.categories
    found = []
    for name in forecasts.categories:
        entry = declared.get(name)
        origin = (entry.origin if entry is not None else None) or origins.get(name) or "unknown"
        made_of = list(entry.from_) if entry is not None else []
        found.append(
            {"name": str(name), "made_of": made_of, "origin": origin, "told": named(origin, ORIGINS)}
        )
    return found


def legal_of(evidence: Evidence) -> dict[str, Any]:
    """Legal status as counsel wrote it; what is empty is None."""
    given = evidence.governance or Governance()
    legal, impact = given.legal_status, given.impact_assessment
    return {
        "regime": legal.text,
        "ai_act_class": AI_ACT_CLASS,
        "dpia_ref": impact.reference,
        "dpia_date": _day(impact.date),
        "reviewed_by": legal.signed_by,
        "reviewed_on": _day(legal.date),
        "data_protection_officer": given.data_protection_officer,
    }


def governance_of(evidence: Evidence, on: date) -> dict[str, Any]:
    """Every field of the governance file as it is, and the waivers that hold."""
    given = evidence.governance or Governance()
    fields = []
    for key, en, fr in _FIELDS:
        value: Any = given
        for part in key.split("."):
            value = getattr(value, part)
        fields.append({"key": key, "label": both(en, fr), "said": _answer(value)})
    waivers = [waiver.model_dump(mode="json") for waiver in given.active_waivers(on)]
    register = None if given.dirty_data is None else [one.model_dump(mode="json") for one in given.dirty_data]
    return {
        "there": evidence.governance is not None,
        "sha256": _governance_sha256(evidence),
        "fields": fields,
        "waivers": waivers,
        "dirty_data": register,
    }


def _governance_sha256(evidence: Evidence) -> str | None:
    """SHA-256 of the governance file, valid or not; None if the run names none, or it is no longer there."""
    section = None if evidence.config is None else evidence.config.governance
    if section is None or not Path(section.path).is_file():
        return None
    return file_sha256(Path(section.path))


def _answer(value: Any) -> str | None:
    if isinstance(value, tuple):
        return f"{len(value)}"
    return _day(value) if isinstance(value, date) else value


def _day(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


def impact_of(system: Mapping[str, Any], evidence: Evidence) -> list[dict[str, Any]]:
    """The six fields of a fundamental-rights impact assessment, filled in where they can be."""
    given = evidence.governance or Governance()
    groups = [] if evidence.groups is None else [str(name) for name in evidence.groups.names]
    hours, ahead = system["slot_hours"], ", ".join(str(one) for one in system["horizons"])
    period = None
    if hours is not None and evidence.config is not None:
        period = both(
            f"A forecast for each period of {hours:g} hours, {ahead} ahead.",
            f"Une prévision par période de {hours:g} heures, à l'horizon {ahead}.",
        )
    about = both(
        f"Residents and passers-by in {len(groups)} groups of places: {', '.join(groups)}.",
        f"Habitants et passants de {len(groups)} groupes de lieux : {', '.join(groups)}.",
    )
    harms = None if given.impact_assessment.reference is None else HARMS
    return [
        _field("a", "Process in which it is used", "Processus dans lequel elle est utilisée", given.purpose),
        _field("b", "Period and frequency", "Période et fréquence", period),
        _field(
            "c", "Persons and groups affected", "Personnes et groupes concernés", about if groups else None
        ),
        _field("d", "Harms", "Risques de préjudice", harms),
        _field("e", "Human oversight", "Contrôle humain", given.owner),
        _field("f", "Measures and complaints", "Mesures et réclamations", given.contact),
    ]


def _field(key: str, en: str, fr: str, said: str | Words | None) -> dict[str, Any]:
    told = {"en": said, "fr": said} if isinstance(said, str) else said
    return {"key": key, "label": both(en, fr), "said": told}


def data_of(evidence: Evidence) -> dict[str, Any] | None:
    """What became of every row that was read; None without a run."""
    intake = {} if evidence.run is None else _json(evidence.run / "intake.json")
    if not intake:
        return None
    steps = [
        {"key": key, "label": both(en, fr), "n": intake.get(key)} for key, en, fr in _STEPS if key in intake
    ]
    set_aside = [
        {"reason": str(name), "told": about(str(name)), "n": int(n)}
        for name, n in intake.get("quarantine", {}).items()
    ]
    return {
        "steps": steps,
        "set_aside": set_aside,
        "since": intake.get("since"),
        "until": intake.get("until"),
        "tz": intake.get("tz"),
        "digest": intake.get("digest"),
        "never_loaded": [] if evidence.config is None else list(evidence.config.incidents.drop_columns),
    }


def run_of(forecasts: Forecasts, evidence: Evidence) -> dict[str, Any]:
    """What made the forecasts: code, configuration, inputs, model, and their digests."""
    folder, config = evidence.run, evidence.config
    summary = {} if folder is None else _json(folder / SUMMARY)
    files = {} if folder is None else hashes(folder)
    return {
        "run_id": None if folder is None else folder.name,
        "mlflow_run_id": summary.get("mlflow_run_id"),
        "code_commit": None,
        "code_dirty": None,
        "package_sha256": package_digest(),
        "seed": None if config is None else config.seed,
        "platform": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "packages": [{"name": name, "version": _installed(name)} for name in PACKAGES],
        },
        "constraints_sha256": None,
        "config_sha256": None if config is None else config.digest(),
        "inputs": _inputs(evidence),
        "model_sha256": files.get("model/manifest.json"),
        "forecast_sha256": files.get("forecasts.parquet"),
        "files": files,
        "windows": windows_of(forecasts),
    }


def windows_of(forecasts: Forecasts) -> dict[str, Any]:
    """Cutoffs of a backtest: how many, the first and the last."""
    cutoffs = pd.Series(forecasts.keys["cutoff"]).dropna()
    return {
        "cutoffs": int(cutoffs.nunique()),
        "first_cutoff": str(cutoffs.min()) if len(cutoffs) else None,
        "last_cutoff": str(cutoffs.max()) if len(cutoffs) else None,
    }


KEPT = (
    "config.yaml",
    "intake.json",
    "forecasts.parquet",
    "forecast.parquet",
    "model/manifest.json",
    "panel/panel.json",
)
"""Files of a run whose digests a report carries; the manifest of the model holds those of its parts."""


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of a run that a report is about."""
    found = {}
    for name in KEPT:
        path = folder / name
        if path.is_file():
            found[name] = file_sha256(path)
    return found


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _inputs(evidence: Evidence) -> list[dict[str, Any]]:
    files = {} if evidence.config is None else input_files(evidence.config)
    return rows_of(evidence) + [
        {"name": name, "told": _told(name), "rows_sha256": None, "sha256": file_sha256(path)}
        for name, path in files.items()
    ]


def _told(name: str) -> Words:
    """Name of an input in both languages: names of files and layers as they are."""
    role, mark, file = name.partition(": ")
    words = PHRASES[role] if role in {"incidents", "simulated city", _GROUPS} else both(role, role)
    return {
        language: f"{text}{french(' : ') if language == 'fr' and mark else mark}{file}"
        for language, text in words.items()
    }


def rows_of(evidence: Evidence) -> list[dict[str, Any]]:
    """Digest of the rows that a run read, whichever files they came from."""
    intake = {} if evidence.run is None else _json(evidence.run / "intake.json")
    if not intake.get("digest"):
        return []
    simulated = evidence.config is not None and evidence.config.incidents.simulate is not None
    source = "simulated city" if simulated else "incidents"
    return [{"name": source, "told": _told(source), "rows_sha256": intake["digest"], "sha256": None}]


def input_files(config: RunConfig) -> dict[str, Path]:
    """Files that a run reads, as they are there now, by the names a report gives them.

    Those of incidents by their own; those of a layer of context, and of the groups of places, after it.
    """
    given = {"": config.incidents.path}
    given |= {f"{name}: ": layer.path for name, layer in config.context.items()}
    if config.audit is not None and config.audit.groups is not None:
        given[f"{_GROUPS}: "] = config.audit.groups.path
    patterns = [(role, Path(path)) for role, path in given.items() if path is not None]
    return {
        f"{role}{path.name}": path
        for role, pattern in patterns
        for path in sorted(pattern.parent.glob(pattern.name))
        if path.is_file()
    }


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


@cache
def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
