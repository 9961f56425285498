"""C20, C23 and C27: where everything came from, whether it comes out again, whether its limits are told."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Definition, Finding
from tranquillite_ml.audit.leakage import leakage
from tranquillite_ml.bundle import MANIFEST, check_manifest, sha256
from tranquillite_ml.errors import BundleError, TranquilliteError
from tranquillite_ml.forecasts import read_forecasts
from tranquillite_ml.limits import LIMITS_IN_BRIEF, shows_limits
from tranquillite_ml.runfolder import INTAKE, SUMMARY, package_digest, run_identity

if TYPE_CHECKING:
    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds

_PACKAGE = "tranquillite-ml"
_HEX = 64
_LARGEST = 20_000_000


# ---------------------------------------------------------------------- C20


THINGS: Mapping[str, str] = {
    "inputs": "données lues",
    "configuration": "configuration",
    "package": "paquet",
    "model": "modèle",
    "files of the run": "fichiers de l'exécution",
    "backtest": "test rétrospectif",
    "last forecast, made again": "dernière prévision, refaite",
    "thresholds": "seuils",
    "audited forecasts": "prévisions auditées",
}
"""What must be identified, in French."""
PROBLEMS: Mapping[str, str] = {
    "none has an outcome": "aucune n'a de résultat",
    "no digest was written": "aucune empreinte n'a été écrite",
    "what is here is not what the run was made from": "ce qui est là n'est pas ce dont l'exécution est issue",
    "the run was made by another package than the one that is installed": "l'exécution vient d'un autre "
    "paquet que celui qui est installé",
    "there is no forecasts.parquet": "il n'y a pas de forecasts.parquet",
    "there is no forecast.parquet": "il n'y a pas de forecast.parquet",
    "it differs from the one that was written": "elle diffère de celle qui a été écrite",
}
"""What can be wrong, in French."""
CHANGED = "ce qui est là a changé ou ne peut plus être relu"
"""What to say of any other problem."""


@dataclass(frozen=True)
class _Item:
    """One thing that must be identified: its digest, and what is wrong with it (empty: nothing)."""

    what: str
    digest: str
    problem: str


def provenance(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Compare every digest the run wrote with the thing itself, add up its rows, and forecast again (C20).

    The code is identified by the digest of the installed package. What has no digest, or another than was
    written, is missing; so is a last forecast that the saved model does not give again to the bit.
    """
    if evidence.run is None:  # pragma: no cover - the definition asks for it
        return Finding([])
    run = Path(evidence.run)
    intake = _json(run / INTAKE)
    items = [*_recorded(run, intake, evidence), *_files(run), _again(run, evidence)]
    items.append(_Item("thresholds", thresholds.digest, ""))
    observed = int(np.isfinite(forecasts.observed_count).sum())
    items.append(_Item("audited forecasts", _digest_of(forecasts), "" if observed else "none has an outcome"))
    gaps = _gaps(run, intake, evidence)
    unreleased = _unreleased()
    wrong = [one for one in items if one.problem]
    measurements = [
        Measurement("missing_hashes", float(len(wrong)), "items", n=len(items), unit_of_n="items"),
        *(
            Measurement("funnel_gap", value, "rows", n=n, unit_of_n="rows", subject=subject)
            for subject, value, n in gaps
        ),
        Measurement("unreleased_package", float(bool(unreleased)), "packages", n=1, unit_of_n="packages"),
    ]
    method = f"SHA-256 of files and of contents. Package: {unreleased or 'a release'}."
    table = pd.DataFrame([vars(one) for one in items])
    return Finding(measurements, method, _why(wrong), {"digests": table})


def _recorded(run: Path, intake: dict[str, Any], evidence: Evidence) -> list[_Item]:
    """Digests of inputs, configuration and package, which together name the run."""
    found = []
    given = {
        "inputs": (intake.get("digest"), None if evidence.incidents is None else evidence.incidents.digest),
        "configuration": (
            intake.get("config_digest"),
            None if evidence.config is None else evidence.config.digest(),
        ),
    }
    for what, (written, own) in given.items():
        problem = "" if _is_digest(written) else "no digest was written"
        if not problem and own is not None and own != written:
            problem = "what is here is not what the run was made from"
        found.append(_Item(what, str(written or ""), problem))
    package = package_digest()
    written = _json(run / SUMMARY).get("package_digest")
    if written is None:  # an unfinished run says it by its name only
        identity = run_identity(str(intake.get("config_digest")), str(intake.get("inputs_digest")))
        same = identity[:12] in run.resolve().name
    else:
        same = written == package
    problem = "" if same else "the run was made by another package than the one that is installed"
    return [*found, _Item("package", package, problem)]


def _files(run: Path) -> list[_Item]:
    """The saved model and, where the run is finished, all of its files."""
    found = [_checked("model", run / "model")]
    if (run / MANIFEST).exists():
        found.append(_checked("files of the run", run))
    path = run / "forecasts.parquet"
    there = path.exists()
    digest = sha256(path.read_bytes()) if there else ""
    return [*found, _Item("backtest", digest, "" if there else "there is no forecasts.parquet")]


def _checked(what: str, folder: Path) -> _Item:
    try:
        check_manifest(folder)
    except BundleError as error:
        return _Item(what, "", str(error).replace(str(folder), folder.name))
    return _Item(what, sha256((folder / MANIFEST).read_bytes()), "")


def _again(run: Path, evidence: Evidence) -> _Item:
    """The last forecast, made once more from the saved model and the counts."""
    what, path = "last forecast, made again", run / "forecast.parquet"
    if evidence.model is None or evidence.panel is None or not path.exists():
        return _Item(what, "", "" if path.exists() else "there is no forecast.parquet")
    try:
        written, fresh = read_forecasts(path), evidence.model.forecast(evidence.panel)
    except TranquilliteError as error:
        return _Item(what, "", str(error)[:200].replace(str(run), run.name))
    same = written.expected_count.shape == fresh.expected_count.shape and np.array_equal(
        written.expected_count, fresh.expected_count
    )
    return _Item(what, _digest_of(fresh), "" if same else "it differs from the one that was written")


def _gaps(run: Path, intake: dict[str, Any], evidence: Evidence) -> list[tuple[str, float, int]]:
    """Rows that are lost or doubled between two counts that must agree; NaN where one is not there."""
    names = ("accepted", "quarantined", "duplicate")
    read = intake.get("read")
    whole = read is not None and all(isinstance(intake.get(name), int) for name in names)
    gap = float(read - sum(intake[name] for name in names)) if whole and read is not None else math.nan
    found = [("rows read", gap, int(read or 0))]
    if evidence.incidents is not None:
        parts = evidence.incidents.funnel
        found.append(("accepted rows", float(parts.accepted - len(evidence.incidents)), parts.accepted))
        found.append(
            (
                "quarantined rows",
                float(parts.quarantined - len(evidence.incidents.quarantine)),
                parts.quarantined,
            )
        )
    if evidence.panel is not None and whole:
        counted = evidence.panel.funnel["accepted"]
        found.append(("counted rows", float(intake["accepted"] - counted), counted))
    return found


def _unreleased() -> str:
    """Why the installed package is no clean release; empty if it is one."""
    try:
        package: Distribution = distribution(_PACKAGE)
    except PackageNotFoundError:
        return "not installed as a package"
    if any(mark in package.version for mark in ("dev", "+")):
        return f"version {package.version} is no release"
    origin = json.loads(package.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        return f"version {package.version}, installed from a folder that can be edited"
    return f"version {package.version}, installed from a folder" if "dir_info" in origin else ""


def _digest_of(forecasts: Forecasts) -> str:
    text = forecasts.keys.astype(str).to_csv(index=False).encode()
    return sha256(text + forecasts.cells.tobytes() + np.ascontiguousarray(forecasts.expected_count).tobytes())


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == _HEX and set(value) <= set("0123456789abcdef")


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _why(wrong: list[_Item]) -> dict[str, str]:
    if not wrong:
        return {"en": "", "fr": ""}
    english = "; ".join(f"{one.what}: {one.problem}" for one in wrong)
    french = " ; ".join(f"{THINGS[one.what]} : {PROBLEMS.get(one.problem, CHANGED)}" for one in wrong)
    return {"en": f"not identified: {english}", "fr": f"non identifiés : {french}"}


# ---------------------------------------------------------------------- C23


def limits_of_use(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Look for the limits of use in every output of the run that a reader may open alone (C23).

    The report itself is looked at if it is there; where the audit is part of it, the report shows the text by
    construction.
    """
    del forecasts, thresholds
    if evidence.run is None:  # pragma: no cover - the definition asks for it
        return Finding([])
    places = {name: shows(Path(evidence.run) / name) for name, shows in PLACES.items()}
    seen = {name: found for name, found in places.items() if found is not None}
    without = [name for name, found in seen.items() if not found]
    value = float(len(without)) if seen else math.nan
    measurement = Measurement("places_without_notice", value, "outputs", n=len(seen), unit_of_n="outputs")
    table = pd.DataFrame(
        [(name, "not made" if found is None else "yes" if found else "no") for name, found in places.items()],
        columns=["output", "shows limits of use"],
    )
    named = ", ".join(without)
    reason = {"en": f"missing in {named}", "fr": f"absentes de {named}"} if without else {"en": "", "fr": ""}
    method = "The text in full on pages and in metadata, in brief in each row of the table."
    return Finding([measurement], method, reason, {"outputs": table})


def _page(path: Path) -> bool | None:
    return shows_limits(html.unescape(_start(path))) if path.exists() else None


def _geojson(path: Path) -> bool | None:
    # The description stands before the features, so that a large file need not be read.
    if not path.exists():
        return None
    head = _start(path).split('"features"', 1)[0]
    try:
        return shows_limits(str(json.loads(head.rstrip().rstrip(",") + "}").get("description", "")))
    except (ValueError, AttributeError):
        return False


def _geoparquet(path: Path) -> bool | None:
    if not path.exists():
        return None
    import pyarrow.parquet as pq

    said = (pq.read_schema(path).metadata or {}).get(b"limits_of_use", b"{}")
    try:
        return any(shows_limits(str(text)) for text in dict(json.loads(said)).values())
    except (ValueError, TypeError):
        return False


def _csv(path: Path) -> bool | None:
    if not path.exists():
        return None
    table = pd.read_csv(path, usecols=lambda name: name == "limits_of_use", dtype=str)
    return "limits_of_use" in table and bool((table["limits_of_use"] == LIMITS_IN_BRIEF).all())


def _start(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_LARGEST).decode("utf-8", "replace")


PLACES: dict[str, Callable[[Path], bool | None]] = {
    "map.html": _page,
    "report.html": _page,
    "forecast.csv": _csv,
    "forecast.geojson": _geojson,
    "forecast.geoparquet": _geoparquet,
}
"""Outputs of a run, and how each says its limits; None: it was not made."""

DEFINITIONS = (
    Definition("C20", ("run",), provenance),
    Definition("C23", ("run",), limits_of_use),
    Definition("C27", ("model", "panel"), leakage, slow=True),
)
