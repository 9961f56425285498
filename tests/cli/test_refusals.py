"""A gate's no, where JSON is asked for: one object with the reasons on standard output, and exit code 4."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call
from tranquillite_ml.config import load_config
from tranquillite_ml.governance import load_thresholds
from tranquillite_ml.governance.log import append
from tranquillite_ml.governance.standing import LOG
from tranquillite_ml.report import verifying
from tranquillite_ml.report.summary import canonical
from tranquillite_ml.runfolder import RunFolder

WHO = ("--by", "B. Roy, city", "--reason", "review of March", "--json")


def refused(result: Any) -> list[str]:
    """Reasons of the one object that a refusal prints."""
    assert result.exit_code == 4, result.output
    (line,) = result.stdout.splitlines()
    found = json.loads(line)
    assert found["refused"] is True
    return list(found["reasons"])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(verifying, "verify", lambda path: verifying.Verification(str(path), ()))
    folder = RunFolder(tmp_path, "smoke-1")
    folder.prepare()
    folder.write_text("config.yaml", load_config("smoke", [f"output={tmp_path}"]).to_yaml())
    checks = [
        {"id": name, "title": one.title, "status": "FAIL" if name == "C18" else "PASS"}
        for name, one in load_thresholds().checks.items()
    ]
    folder.write_json("report.json", {"checks": checks, "sections": [], "thresholds": {"sha256": "a" * 64}})
    folder.commit({"verdict": {"damage": {"text": "does not beat counts"}}})
    return folder


def test_promote_prints_every_reason(tranquillite: Call, run: RunFolder) -> None:
    reasons = refused(tranquillite("promote", run.path, *WHO))
    assert len(reasons) == 3
    assert reasons[0].startswith("C18 ")
    assert reasons[0].endswith(": FAIL")
    assert reasons[1:] == [
        "damage: the model does not beat a 365-day count",
        "no approval by the ethics reviewer",
    ]


def test_promote_without_json_prints_nothing_on_standard_output(tranquillite: Call, run: RunFolder) -> None:
    found = tranquillite("promote", run.path, *WHO[:-1])
    assert (found.exit_code, found.stdout) == (4, "")
    assert "does not beat a 365-day count" in found.stderr


def test_reject_on_a_broken_log(tranquillite: Call, run: RunFolder) -> None:
    (run.output / LOG).write_text("{}\n", encoding="utf-8")
    (reason,) = refused(tranquillite("reject", run.path, *WHO))
    assert "its last line is broken" in reason


def test_forecast_with_a_rejected_model(tranquillite: Call, tmp_path: Path) -> None:
    settings = ("--set", "model.kind=none", "--output", tmp_path, "--quiet", "--json")
    fitted = json.loads(tranquillite("fit", "smoke", *settings).stdout)
    said = {"model": "smoke", "run_id": fitted["run_id"], "by": "A. Martin, board", "reason": "no necessity"}
    append(tmp_path / LOG, "reject", said, datetime.now(UTC))
    (reason,) = refused(tranquillite("forecast", "smoke", *settings))
    assert "A. Martin, board rejected this model on" in reason
    assert "tranquillite promote RUN" in reason


def test_verify_prints_what_it_found_once(tranquillite: Call, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(
        canonical({"schema_version": "1.0", "digests": {"values": "", "whole": ""}, "checks": 7})
    )
    reasons = refused(tranquillite("verify", path, "--json", "--quiet"))
    assert any(one.startswith("/checks: it is not what was written") for one in reasons)
