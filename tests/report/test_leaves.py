"""verify, leaf by leaf: one digit or one letter of every kind of value of a report, changed.

Two who change a value: one who changes nothing else, and one who writes every digest anew.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.report.reports import AT, LIMITS, mixed_checks, stored
from tranquillite_ml.audit import Evidence
from tranquillite_ml.config import load_config
from tranquillite_ml.errors import UsageError
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.report.collecting import collect
from tranquillite_ml.report.summary import Inputs, canonical, leaves, seal
from tranquillite_ml.report.verifying import verify
from tranquillite_ml.report.writing import write_report


@pytest.fixture(scope="module")
def run(audited: tuple[Forecasts, Evidence], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all that a report is about: config, intake, model, governance, last report, tests."""
    folder = stored(audited, tmp_path_factory.mktemp("runs"))
    governance = folder.output / "governance.yaml"
    governance.write_text(GOVERNANCE, encoding="utf-8")
    folder.write_text("config.yaml", load_config("smoke", [f"governance.path={governance}"]).to_yaml())
    folder.write_json("intake.json", INTAKE)
    found, gathered = collect(folder.path)
    before = [{"id": one.id, "status": "PASS"} for one in mixed_checks()]
    inputs = Inputs(
        at=AT, previous={"checks": before}, bars=[{"id": "B1", "title": "layers", "status": "PASS"}]
    )
    write_report(folder, mixed_checks(), found, evidence=gathered, thresholds=LIMITS, inputs=inputs)
    assert verify(folder.path / "report.json").sound
    return folder.path


@pytest.fixture(scope="module")
def base(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "report.json").read_bytes()))


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    shutil.copytree(run, tmp_path / "city-1")
    return tmp_path / "city-1"


GOVERNANCE = """\
purpose: lighting
owner: City of Example
contact: forecasts@city.example
legal_status: {text: opinion no. 12, date: 2026-01-10, signed_by: counsel}
data_protection_officer: office of data protection
impact_assessment: {reference: no. 4, date: 2026-01-12}
dirty_data:
  - {period: 2019-01-01/2019-06-30, area: 3rd district, reason: copied, source: inspectorate}
waivers:
  - {category: drugs, origin: agent, who: the mayor, when: 2026-01-05, why: evaluation, until: 2026-06-30}
"""
INTAKE = {
    "read": 10, "accepted": 8, "quarantined": 1, "duplicate": 1, "quarantine": {"no place": 1},
    "since": "2024-01-01", "until": "2024-10-27", "tz": "Europe/Paris", "digest": "a" * 64,
}  # fmt: skip


SEAL = {"/digests/values", "/digests/whole", "/report_id"}
"""What is written anew with every other change."""

NOTHING_FOLLOWS = {
    "what was measured: the same audit of the same files tells": [
        "/checks/*/measurements/*/ci95/*",
        "/checks/*/measurements/*/cap",
        "/checks/*/measurements/*/min_detectable",
        "/checks/*/measurements/*/n",
        "/checks/*/measurements/*/requires",
        "/checks/*/measurements/*/suppressed",
        "/checks/*/measurements/*/unit",
        "/checks/*/measurements/*/unit_of_n",
        "/checks/*/measurements/*/value",
        "/checks/*/missing",
        "/checks/*/missing/*",
        "/checks/*/needs",
        "/checks/*/needs/*",
        "/checks/*/reason/en",
    ],
    "explanations, maps and curves: the same report of the same files tells": [
        "/explanations/largest_error",
        "/explanations/rows_checked",
        "/explanations/sheets/*/category",
        "/explanations/sheets/*/cell",
        "/explanations/sheets/*/expected_count",
        "/explanations/sheets/*/kind/en",
        "/explanations/sheets/*/kind/fr",
        "/explanations/sheets/*/sentences/*/en",
        "/explanations/sheets/*/sentences/*/fr",
        "/explanations/there",
    ],
    "what was given from outside: the earlier report and the results of tests": [
        "/bars/*/id",
        "/bars/*/title",
        *(f"/changes/*/{name}" for name in ("before", "explanation", "id", "now", "title/en", "title/fr")),
    ],
    "what the log beside the run said on that day: it goes on": [
        *(f"/oversight/decisions/*/{name}" for name in ("key", "label/en", "label/fr", "last", "n")),
        "/oversight/log",
    ],
    "where and when: time, machine and registry; the groups and categories that the panel knows": [
        "/generated_at",
        "/run/code_commit",
        "/run/code_dirty",
        "/run/constraints_sha256",
        "/run/mlflow_run_id",
        "/run/package_sha256",
        "/run/platform/packages/*/name",
        "/run/platform/packages/*/version",
        "/run/platform/python",
        "/run/platform/system",
        "/run/run_id",
        "/impact/*/said/en",
        "/impact/*/said/fr",
        *(f"/system/categories/*/{name}" for name in (
            "made_of", "made_of/*", "name", "origin", "told/en", "told/fr",
        )),
        "/system/notice",
    ],
}  # fmt: skip
"""Values that can be changed unseen by who writes every digest anew, and why; a signature finds it."""

DRAWN = "/figures/drawn/"
"""Figures of forecasts, model and curves: the same report of the same files tells."""


HIDES = re.compile(r"^/run/files|^/schema|^/thresholds|^/governance/sha256|/id$|/measurements$|/name$")
"""What another change cannot be told beside: it is looked at alone, and need not be named by its own path."""


def nothing_follows(kind: str) -> bool:
    return kind.startswith(DRAWN) or any(kind in kinds for kinds in NOTHING_FOLLOWS.values())


def kind_of(path: str, report: dict[str, Any]) -> str:
    """A path without the numbers of lists and the names of checks and thresholds."""
    _, name, number, *_ = [*path.split("/"), "", ""]
    if name == "figures":
        figure = report["figures"][int(number)]
        of_check = figure["kind"] == "intervals" and re.match(r"C\d\d-", figure["id"])
        path = path.replace(f"/{number}/", "/of a check/" if of_check else "/drawn/", 1)
    path = re.sub(r"/(\d+|C\d\d)(?=/|$)", "/*", path)
    path = re.sub(r"/(?:limits|settings)/.*", "/limits/*", path)
    return re.sub(r"^/(aia_ca|altai|annex_iv)/.*", r"/\1/*", path)


def kinds_of(report: dict[str, Any]) -> dict[str, list[str]]:
    """Paths of every kind of value."""
    found: dict[str, list[str]] = {}
    for path, _ in leaves(report):
        found.setdefault(kind_of(path, report), []).append(path)
    return found


def change(found: dict[str, Any], path: str, rng: np.random.Generator) -> None:
    """Change one digit or letter of one value of a report."""
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    holder: Any = found
    for part in way:
        holder = holder[int(part)] if isinstance(holder, list) else holder[part]
    key: Any = int(last) if isinstance(holder, list) else last
    holder[key] = other_than(holder[key], rng)


def other_than(value: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, bool | None):
        return not value
    if isinstance(value, list | dict):
        return [1]
    if isinstance(value, str):
        at = int(rng.integers(len(value))) if value else 0
        return value[:at] + ("7" if value[at : at + 1] != "7" else "8") + value[at + 1 :]
    text = repr(value)
    digits = [at for at, letter in enumerate(text) if letter.isdigit() and "e" not in text[:at]]
    at = int(rng.choice(digits))
    other = json.loads(text[:at] + str((int(text[at]) + 1) % 10 or 1) + text[at + 1 :])
    return other if other != value else value + 1


def again(report: dict[str, Any]) -> dict[str, Any]:
    """A copy, to be changed."""
    return dict(json.loads(canonical(report)))


def written(run: Path, report: dict[str, Any], *, sealed: bool) -> list[str]:
    """Where `verify` finds a problem in a changed report, whose digests were written anew or not."""
    if sealed:
        left = {key: value for key, value in report.items() if key not in {"digests", "report_id"}}
        report = seal(left, AT)
    held = canonical(report)
    (run / "report.json").write_bytes(held)
    digest = f"{hashlib.sha256(held).hexdigest()}  report.json\n"
    (run / "report.json.sha256").write_text(digest, encoding="utf-8")
    try:
        return [one.where for one in verify(run / "report.json").problems]
    except UsageError:  # it is no report any more
        return ["/"]


def named(path: str, where: list[str]) -> bool:
    """Whether a problem names a value: its path, or what it turned into."""
    return any(one == path or one.startswith(f"{path}/") for one in where)


def sample(report: dict[str, Any], rng: np.random.Generator) -> dict[str, str]:
    """One value of every kind."""
    return {kind: str(rng.choice(paths)) for kind, paths in kinds_of(report).items()}


def batches(paths: list[str], size: int) -> list[list[str]]:
    return [paths[at : at + size] for at in range(0, len(paths), size)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_change_of_any_kind_of_value_is_named(base: dict[str, Any], copied: Path, seed: int) -> None:
    """None is left out, digests, identity and time included; several at once, each is named."""
    rng = np.random.default_rng(seed)
    chosen = [path for path in sample(base, rng).values() if path != "/schema_version"]
    assert len(chosen) > 200
    for paths in batches(chosen, 25):
        report = again(base)
        for path in paths:
            change(report, path, rng)
        where = written(copied, report, sealed=False)
        assert [path for path in paths if not named(path, where)] == []


def test_who_writes_all_digests_anew_is_found_wherever_a_value_follows_from_something(
    base: dict[str, Any], copied: Path
) -> None:
    rng = np.random.default_rng(0)
    every = sample(base, rng)
    chosen = [path for kind, path in every.items() if not nothing_follows(kind) and kind not in SEAL]
    assert len(chosen) > 120
    left = [path for path in chosen if HIDES.search(path)]
    for paths in batches([path for path in chosen if not HIDES.search(path)], 8):
        report = again(base)
        for path in paths:
            change(report, path, rng)
        where = written(copied, report, sealed=True)
        left += [path for path in paths if not named(path, where)]
    for path in left:
        report = again(base)
        change(report, path, rng)
        assert written(copied, report, sealed=True), path


def test_what_follows_from_nothing_is_what_is_said_to(base: dict[str, Any], copied: Path) -> None:
    """The list is no longer than it must be: a value of each kind can be changed unseen, all at once."""
    rng = np.random.default_rng(0)
    kinds = kinds_of(base)
    unseen = [kind for kind in kinds if nothing_follows(kind)]
    unseen.sort(key=lambda kind: kind == "/run/package_sha256")  # from then on, no text is looked at
    report = again(base)
    for some in batches(unseen, 10):
        tried = again(report)
        for kind in some:
            change(tried, str(rng.choice(kinds[kind])), rng)
        if written(copied, tried, sealed=True):  # one of them is seen here: look at each alone
            tried = again(report)
            for kind in some:
                tried = one_unseen(copied, tried, kinds[kind], rng)
        report = tried
    assert written(copied, report, sealed=True) == []
    assert written(copied, report, sealed=False) != []


def one_unseen(
    run: Path, report: dict[str, Any], paths: list[str], rng: np.random.Generator
) -> dict[str, Any]:
    """The report with a value of a kind changed unseen."""
    for path in map(str, rng.choice(paths, 40)):
        tried = again(report)
        change(tried, path, rng)
        if not written(run, tried, sealed=True):
            return tried
    pytest.fail(f"it is always seen: {paths[:3]}")
