"""The audit and the report of a whole run on a real city, beyond the run itself, in a fresh process."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import fresh
from common import DATA, Bar, figure

from tranquillite_ml import pipeline, results
from tranquillite_ml.config import RunConfig, load_config
from tranquillite_ml.runfolder import RunFolder
from tranquillite_ml.stages import load_incidents

FILE = DATA / "stlouis" / "incidents.parquet"
AREAS = DATA / "stlouis" / "context_tracts_demographics.geojson"

BARS = {
    "seconds": Bar(
        "St. Louis, ten years, two categories, 13 folds: 28 checks and the report, default tier",
        "s",
        most=240,
    ),
    "peak": Bar("the same, largest resident memory", "MB", most=2_000),
    "size": Bar("the same, size of report.html", "MB", most=5),
    "added": Bar("the same, largest relative error of factors against the published rate", "", most=1e-6),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    if not FILE.is_file():
        return {name: figure(None, note="needs ../shared/data/stlouis") for name in BARS}
    with tempfile.TemporaryDirectory() as folder:
        fresh.call("report", "prepare", output=folder)
        found = fresh.call("report", "audit", output=folder)
    told = found["result"]
    return {
        "seconds": figure(told["seconds"], note=f"the run itself {told['run']:.0f} s; {told['verdict']}"),
        "peak": figure(found["peak_mb"]),
        "size": figure(told["megabytes"]),
        "added": figure(told["error"], note=f"{told['rows']:,} place-periods, every one checked"),
    }


def _config(output: str) -> RunConfig:
    return load_config(
        "stlouis", [f"incidents.path={FILE}", f"audit.groups.path={AREAS}", f"output={output}"]
    )


def prepare(output: str) -> dict[str, Any]:
    """Run everything but the report, untracked."""
    return {"run_dir": pipeline.run(_config(output), track=False, audited=False)["run_dir"]}


def audit(output: str) -> dict[str, Any]:
    """Audit the run and write its report: seconds, size, and whether the factors multiply to the rates."""
    config = _config(output)
    [path] = [one.parent for one in Path(output).glob("*/summary.json")]
    folder = RunFolder(output, path.name)
    seconds = folder.summary()["seconds"]
    incidents, _ = load_incidents(config)
    begin = time.perf_counter()
    told = results.write_report(folder, incidents, None, lambda *_: None)
    spent = time.perf_counter() - begin
    report = json.loads(Path(told["json"]).read_text(encoding="utf-8"))
    checks = {one["id"]: one["measurements"] for one in report["checks"]}
    product = next(one for one in checks["C15"] if one["name"] == "product_error")
    return {
        "seconds": spent,
        "run": sum(seconds.values()),
        "verdict": told["verdict"],
        "megabytes": Path(told["html"]).stat().st_size / 1e6,
        "error": product["value"],
        "rows": product["n"],
    }
