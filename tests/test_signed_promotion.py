"""The gate with real keys: who signed, over what, until when; each wrong signature is told apart."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.test_promotion import checks, sections
from tranquillite_ml import promotion
from tranquillite_ml.config import load_config
from tranquillite_ml.errors import GateError, UsageError
from tranquillite_ml.governance import SignOff, write_signoff
from tranquillite_ml.runfolder import RunFolder

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ANA = "ana@city.example"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(promotion, "_move", lambda run, alias, digest: "1")
    folder = RunFolder(tmp_path / "runs", "city-1")
    folder.prepare()
    folder.write_text(
        "config.yaml", load_config("smoke", [f"output={tmp_path / 'runs'}", "name=city"]).to_yaml()
    )
    report = {"checks": checks(C04="FAIL"), "sections": sections(), "thresholds": {"sha256": "a" * 64}}
    folder.write_json("report.json", report)
    folder.commit({"verdict": {"noise": {"text": "beats counts"}}, "mlflow_run_id": None})
    return folder


def new_key(path: Path) -> Path:
    asked = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(asked, check=True, timeout=30)
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = new_key(tmp_path / "ana")
    signers = f'{ANA} namespaces="tranquillite" {path.with_suffix(".pub").read_text()}'
    (tmp_path / "allowed").write_text(signers, encoding="utf-8")
    return path


def approve(run: RunFolder, key: Path | None, *, space: str = "tranquillite", **changes: Any) -> Path:
    """An approval that accepts C04, signed with a key."""
    beside = run.output / promotion.SIGNOFFS / run.run_id
    beside.mkdir(parents=True, exist_ok=True)
    values = {
        "role": promotion.REVIEWER, "name": "A. Martin", "decision": "approve", "date": "2026-03-01",
        "expires": "2026-09-01", "reason": "read in full", "accepts": ("C04",), "identity": ANA,
        "report_sha256": promotion.report_digest(run),
    }  # fmt: skip
    path = write_signoff(SignOff.model_validate(values | changes), beside / "01-approve.json")
    if key is not None:
        asked = ["ssh-keygen", "-q", "-Y", "sign", "-n", space, "-f", str(key), str(path)]
        subprocess.run(asked, check=True, timeout=30, capture_output=True)
    return path


def promote(run: RunFolder, **given: Any) -> dict[str, Any]:
    signers = run.output.parent / "allowed"
    return promotion.promote(
        run.path, by="B. Roy", reason="review", now=NOW, **({"allowed_signers": signers} | given)
    )


def test_a_signature_of_an_allowed_key_promotes(run: RunFolder, key: Path) -> None:
    approve(run, key)
    found = promote(run, signed=True)
    assert found["signed"] is True
    assert found["expires"] == "2026-09-01"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"expires": "2026-03-01"}, r"it expired on 2026-03-01"),
        ({"date": "2026-03-03"}, r"it is dated 2026-03-03, later than 2026-03-02"),
        ({"report_sha256": "b" * 64}, r"it is about another report, or the report has changed since"),
        ({"space": "file"}, r"on 2026-03-02 the signature is not that of ana@city.example over this record"),
        ({"identity": "eve@city.example"}, r"the signature is not that of eve@city.example"),
        ({"identity": None}, r"it is signed, but names no identity whose signature it could be"),
    ],
)
def test_a_signature_that_does_not_hold_is_refused_with_the_reason(
    run: RunFolder, key: Path, changes: dict[str, Any], told: str
) -> None:
    approve(run, key, **changes)
    with pytest.raises(GateError, match=told) as refused:
        promote(run)
    assert any(
        one.startswith("C04") and "no approval that holds accepts it" in one for one in refused.value.reasons
    )


def test_another_key_another_record_and_none_are_refused(run: RunFolder, key: Path, tmp_path: Path) -> None:
    path = approve(run, new_key(tmp_path / "eve"))
    with pytest.raises(
        GateError, match="another key, one that is not allowed then, or a text that has changed"
    ):
        promote(run)
    path.unlink()
    path.with_name(f"{path.name}.sig").unlink()
    approve(run, key)
    path.write_bytes(path.read_bytes().replace(b"read in full", b"read in part"))
    with pytest.raises(GateError, match=r"the signature is not that of ana@city.example"):
        promote(run)
    path.with_name(f"{path.name}.sig").unlink()
    with pytest.raises(GateError, match=r"it is to be signed by ana@city.example, and is not signed yet"):
        promote(run)


def test_a_signed_approval_needs_the_file_of_allowed_signers(run: RunFolder, key: Path) -> None:
    approve(run, key)
    with pytest.raises(UsageError, match=r"signed by ana@city.example.*--allowed-signers FILE"):
        promote(run, allowed_signers=None)
