"""Sign-offs: signatures, dates, digests, and what they allow."""

import shutil
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tranquillite_ml.errors import ConfigError, UsageError
from tranquillite_ml.governance import (
    Decision,
    SignOff,
    objections,
    read_signoff,
    sign_file_command,
    verify_signoff,
    write_signoff,
)
from tranquillite_ml.governance.log import read_log

REPORT, OTHER = "a" * 64, "b" * 64
DAY = date(2026, 4, 1)
needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


def record(**changes) -> SignOff:
    values = {
        **{"role": "ethics reviewer", "name": "A. Martin", "decision": "approve", "date": "2026-03-01"},
        **{"expires": "2026-09-01", "reason": "limits of use are met", "report_sha256": REPORT},
    }
    return SignOff.model_validate(values | changes)


@pytest.mark.parametrize(
    ("report", "on", "status"),
    [
        (REPORT, date(2026, 3, 1), "unsigned"),
        (REPORT, date(2026, 9, 1), "unsigned"),
        (REPORT, date(2026, 9, 2), "expired"),
        (REPORT, date(2026, 2, 28), "future"),
        (OTHER, DAY, "wrong_digest"),
    ],
)
def test_dates_and_digest_decide_first(report, on, status):
    found = verify_signoff(record(), report, on=on)
    assert found.status == status
    assert found.holds() == (status == "unsigned")
    assert not found.holds(signed=True)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reason": "  "}, "reason"),
        ({"decision": "approved"}, "Did you mean 'approve'"),
        ({"expires": "2026-02-01"}, "cannot expire before"),
        ({"report_sha256": "abc"}, "64 hexadecimal digits"),
        ({"identity": "-rf x"}, "expected an identity"),
        ({"dat": "2026-01-01"}, "Did you mean 'date'"),
        ({"date": "soon"}, "expected a date"),
        ({"signature": "x"}, "its signature is in"),
    ],
)
def test_a_wrong_record_is_refused_in_words(tmp_path, changes, told):
    import json

    path = tmp_path / "signoff.json"
    path.write_text(json.dumps(json.loads(record().to_bytes()) | changes), encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        read_signoff(path)


def test_records_are_written_once_and_read_back(tmp_path):
    path = write_signoff(record(), tmp_path / "signoff.json")
    assert read_signoff(path) == record()
    with pytest.raises(UsageError, match="never overwritten"):
        write_signoff(record(decision="reject"), path)
    for content in (b"{", b"[1]", b"\xff", b"[" * 60_000, b" " * 100_001):
        path.write_bytes(content)
        with pytest.raises(ConfigError):
            read_signoff(path)


@pytest.fixture
def signed(tmp_path) -> tuple[Path, Path]:
    """A record signed by a fresh key, and the file of allowed signers."""
    key = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True, timeout=30
    )
    public = key.with_suffix(".pub").read_text()
    signers = tmp_path / "allowed_signers"
    signers.write_text(f'ana@city.example namespaces="tranquillite" {public}')
    path = write_signoff(record(identity="ana@city.example"), tmp_path / "signoff.json")
    command = sign_file_command(path, key)
    subprocess.run(command, shell=True, check=True, capture_output=True, timeout=30)  # noqa: S602 - as a signer does
    return path, signers


@needs_ssh
def test_a_signature_is_verified_and_any_change_is_found(signed):
    path, signers = signed
    found = verify_signoff(read_signoff(path), REPORT, on=DAY, allowed_signers=signers)
    assert (found.status, found.holds(signed=True)) == ("valid", True)
    changed = path.read_bytes().replace(b"limits of use are met", b"limits of use are not")
    path.write_bytes(changed)
    assert (
        verify_signoff(read_signoff(path), REPORT, on=DAY, allowed_signers=signers).status == "bad_signature"
    )


@needs_ssh
def test_a_signature_of_another_identity_key_or_none_does_not_count(signed, tmp_path):
    path, signers = signed
    ours = read_signoff(path)
    cases = [
        ours.model_copy(update={"identity": "bob@city.example"}),
        ours.model_copy(update={"identity": None}),
        ours.model_copy(update={"signature": None}),
        ours.model_copy(update={"signature": "-----BEGIN SSH SIGNATURE-----\n"}),
    ]
    for case in cases:
        assert verify_signoff(case, REPORT, on=DAY, allowed_signers=signers).status == "bad_signature"
    expired = tmp_path / "expired"
    expired.write_text(signers.read_text().replace("namespaces=", 'valid-before="20260101",namespaces='))
    assert verify_signoff(ours, REPORT, on=DAY, allowed_signers=expired).status == "bad_signature"


@needs_ssh
def test_verifying_needs_the_signers_and_the_program(signed, tmp_path, monkeypatch):
    path, signers = signed
    with pytest.raises(UsageError, match="--allowed-signers FILE"):
        verify_signoff(read_signoff(path), REPORT, on=DAY)
    with pytest.raises(UsageError, match="is none"):
        verify_signoff(read_signoff(path), REPORT, on=DAY, allowed_signers=tmp_path / "no")
    monkeypatch.setattr("tranquillite_ml.governance.signoff.shutil.which", lambda name: None)
    with pytest.raises(UsageError, match="not installed"):
        verify_signoff(read_signoff(path), REPORT, on=DAY, allowed_signers=signers)


def test_a_promotion_needs_every_role_and_no_rejection():
    def seen(**changes):
        return verify_signoff(record(**changes), REPORT, on=DAY)

    roles = ["ethics reviewer", "owner"]
    yes = [seen(), seen(role="owner")]
    assert objections(yes, roles) == []
    assert len(objections(yes, roles, signed=True)) == 2
    assert objections(yes[:1], roles) == ["no approval by the owner"]
    expired = [seen(), seen(role="owner", expires="2026-03-05")]
    assert objections(expired, roles) == ["no approval by the owner (it expired on 2026-03-05)"]
    against = objections([*yes, seen(role="resident", decision="reject")], roles)
    assert len(against) == 1
    assert against[0].startswith("resident (A. Martin), reject")
    assert objections([*yes, seen(decision="reject", report_sha256=OTHER)], roles) == []


def test_a_decision_is_logged_with_its_reason(tmp_path):
    log, at = tmp_path / "log.jsonl", datetime(2026, 4, 1, tzinfo=UTC)
    decision = Decision("promote", "stlouis/3", REPORT, OTHER, "A. Martin, city", "met", ("owner: signed",))
    assert decision.log(log, at) == read_log(log)[0].sha256
    assert read_log(log)[0].kind == "promote"
    assert read_log(log)[0].payload["signoffs"] == ["owner: signed"]
    with pytest.raises(UsageError, match="needs reason"):
        Decision("reject", "stlouis/3", REPORT, OTHER, "A. Martin", " ").log(log, at)
