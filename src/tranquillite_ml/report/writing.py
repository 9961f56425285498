"""Writes a run's report: page, JSON file with its digest beside it, documents; and the citizens' edition."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tranquillite_ml.audit import audit
from tranquillite_ml.bundle import MANIFEST
from tranquillite_ml.governance import load_thresholds
from tranquillite_ml.report.collecting import read_latest, read_tables
from tranquillite_ml.report.documents import documents
from tranquillite_ml.report.mapped import Drawing
from tranquillite_ml.report.render import render
from tranquillite_ml.report.summary import Inputs, canonical, summarise_report

if TYPE_CHECKING:
    from tranquillite_ml.audit import Check, Evidence
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance import Thresholds
    from tranquillite_ml.runfolder import RunFolder

HTML, JSON, DIGEST = "report.html", "report.json", "report.json.sha256"
DOCUMENTS = "documents"


def write_report(
    folder: RunFolder,
    checks: Sequence[Check],
    forecasts: Forecasts,
    *,
    evidence: Evidence | None = None,
    thresholds: Thresholds | None = None,
    inputs: Inputs | None = None,
) -> dict[str, Path]:
    """Write ``report.html``, ``report.json`` with its SHA-256 beside it, and the documents.

    Parameters
    ----------
    folder : RunFolder
        Where they are written. A finished run is opened again, and has to be committed again.
    checks : sequence of Check
        As `tranquillite_ml.audit.audit` gives them.
    forecasts : Forecasts
        Of the backtest, the audited model first.
    evidence : Evidence, optional
        What was audited with.
    thresholds : Thresholds, optional
        What the checks were judged by; those that ship with the package if not given.
    inputs : Inputs, optional
        Last forecast and tables are read from the run's folder where they are not given.

    Returns
    -------
    dict of str to Path
        ``html, json, sha256`` and the documents by name.
    """
    (folder.path / MANIFEST).unlink(missing_ok=True)  # killed from here on, the run is unfinished, not broken
    limits = load_thresholds() if thresholds is None else thresholds
    more = inputs or Inputs()
    run = folder.path if evidence is None or evidence.run is None else evidence.run
    more = replace(
        more,
        latest=read_latest(run) if more.latest is None else more.latest,
        tables=more.tables or read_tables(run),
    )
    report, drawings = summarise_report(forecasts, checks, limits, evidence=evidence, inputs=more)
    written = write_pages(folder, report, drawings)
    for name, text in documents(report).items():
        written[name] = folder.write_text(f"{DOCUMENTS}/{name}", text)
    return written


def audit_and_write(
    folder: RunFolder,
    forecasts: Forecasts,
    evidence: Evidence,
    *,
    inputs: Inputs,
    thresholds: Thresholds | None = None,
    report: Callable[[str, int, int], None] | None = None,
) -> dict[str, Path]:
    """Run every check on what `collect` gave and write the report; see `write_report`."""
    limits = load_thresholds() if thresholds is None else thresholds
    checks = audit(forecasts, evidence=evidence, thresholds=limits, report=report)
    return write_report(folder, checks, forecasts, evidence=evidence, thresholds=limits, inputs=inputs)


def write_pages(
    folder: RunFolder, report: Mapping[str, Any], drawings: Mapping[str, Drawing]
) -> dict[str, Path]:
    """Write the page and the JSON file of a report, whichever edition it is."""
    held = canonical(report)
    digest = hashlib.sha256(held).hexdigest()
    return {
        "html": folder.write_text(HTML, render(report, drawings)),
        "json": folder.write_text(JSON, held.decode()),
        "sha256": folder.write_text(DIGEST, f"{digest}  {JSON}\n"),
    }


def read_report(path: str | Path) -> dict[str, Any]:
    """Read the JSON file of a report as it is, unchecked; see `verifying.verify`."""
    return dict(json.loads(Path(path).read_text(encoding="utf-8")))
