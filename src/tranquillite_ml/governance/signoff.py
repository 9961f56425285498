"""Sign-offs: who approves or rejects which report, why, and until when; signed with OpenSSH or only named."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from tranquillite_ml.config.strict_yaml import ConfigSource
from tranquillite_ml.config.values import Day, Section, Text
from tranquillite_ml.config.words import KeyProblem, explain_errors, shown
from tranquillite_ml.errors import ConfigError, UsageError
from tranquillite_ml.governance.waivers import Said

NAMESPACE = "tranquillite"
"""Signatures made for another purpose are not accepted."""

MAX_BYTES = 100_000
_SECONDS = 30
_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,127}")
_ACCEPTED = re.compile(r"C[0-9]{2}|S[0-9]{1,2}")
_DIGEST = re.compile(r"[0-9a-f]{64}")

Status = Literal["valid", "unsigned", "expired", "future", "wrong_digest", "bad_signature"]


def _check_digest(value: str) -> str:
    if not _DIGEST.fullmatch(value):
        msg = f"expected a SHA-256 as 64 hexadecimal digits, got {shown(value)}."
        raise ValueError(msg)
    return value


def _check_identity(value: str) -> str:
    if not _IDENTITY.fullmatch(value):
        msg = f"expected an identity such as ana@city.example, got {shown(value)}."
        raise ValueError(msg)
    return value


def _check_accepted(value: str) -> str:
    if not _ACCEPTED.fullmatch(value):
        msg = f"expected the id of a check or section, such as C04 or S3, got {shown(value)}."
        raise ValueError(msg)
    return value


Digest = Annotated[Text, AfterValidator(_check_digest)]


class SignOff(Section):
    """What one person decided about one report.

    Parameters
    ----------
    role, name : str
        Office and name of who decides.
    decision : {"approve", "reject"}
    date, expires : date
        The day it was decided, and the last day on which it holds.
    reason : str
    accepts : tuple of str
        Ids of failing checks and sections that an approval takes upon itself, such as ``C04``; why is in the
        reason. The checks that must hold cannot be accepted.
    report_sha256 : str
        Digest of the report that was read. Another report needs another sign-off.
    identity : str, optional
        Name in the allowed-signers file whose key signs. Without one it is a named record only: anyone who
        can write files could have written it.

    Examples
    --------
    >>> record = SignOff(role="ethics reviewer", name="A. Martin", decision="approve", date="2026-03-01",
    ...     expires="2026-09-01", reason="limits of use are met", report_sha256="0" * 64)
    >>> verify_signoff(record, "0" * 64, on=date(2026, 3, 2)).status
    'unsigned'
    """

    role: Said
    name: Said
    decision: Annotated[Literal["approve", "reject"], Field(description="approve or reject")]
    date: Day
    expires: Day
    reason: Said
    accepts: tuple[Annotated[Text, AfterValidator(_check_accepted)], ...] = ()
    report_sha256: Digest
    identity: Annotated[Text, AfterValidator(_check_identity)] | None = None
    signature: str | None = Field(default=None, max_length=MAX_BYTES, exclude=True, repr=False)

    @model_validator(mode="after")
    def _expires_later(self) -> SignOff:
        if self.expires < self.date:
            msg = f"a sign-off of {self.date} cannot expire before it, got {self.expires}."
            raise KeyProblem(("expires",), msg)
        return self

    def to_bytes(self) -> bytes:
        """The record as it is written and signed: JSON, without the signature."""
        values = self.model_dump(mode="json", exclude_defaults=True)
        return (json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class Verified:
    """What `verify_signoff` found.

    Parameters
    ----------
    record : SignOff
    status : {"valid", "unsigned", "expired", "future", "wrong_digest", "bad_signature"}
        ``unsigned`` holds like ``valid``, but is weaker: only a name says who decided.
    told : str
        The same in words.
    """

    record: SignOff
    status: Status
    told: str

    def holds(self, *, signed: bool = False) -> bool:
        """Whether the decision counts; with `signed`, only if a signature proves who made it."""
        return self.status == "valid" or (self.status == "unsigned" and not signed)


def write_signoff(record: SignOff, path: str | Path) -> Path:
    """Write a record to a new file, ready to be signed with `sign_file_command`.

    Raises
    ------
    UsageError
        If the file is there already, or cannot be written.
    """
    try:
        with Path(path).open("xb") as file:
            file.write(record.to_bytes())
    except OSError as error:
        msg = f"the sign-off {path} cannot be written ({error.strerror}). A sign-off is never overwritten."
        raise UsageError(msg) from error
    return Path(path)


def read_signoff(path: str | Path) -> SignOff:
    """Read a record, and the signature beside it (``PATH.sig``) if there is one.

    Raises
    ------
    ConfigError
        If it is not a sign-off; naming the key and what was expected.
    """
    record = _read(Path(path))
    beside = Path(f"{path}.sig")
    signature = _read(beside).decode("ascii", "replace") if beside.exists() else None
    try:
        values = json.loads(record)
    except (ValueError, RecursionError) as error:
        msg = f"{path}: expected a sign-off as JSON, got something else ({type(error).__name__})."
        raise ConfigError(msg) from None
    if not isinstance(values, dict) or "signature" in values:
        msg = f"{path}: expected a JSON object with a sign-off's fields; its signature is in {beside.name}."
        raise ConfigError(msg)
    source = ConfigSource(values, {}, str(path))
    try:
        return SignOff.model_validate(values | {"signature": signature})
    except ValidationError as error:
        raise explain_errors(error, SignOff, source.name, source.where) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        msg = f"{path}: the sign-off cannot be read ({error.strerror})."
        raise ConfigError(msg) from error
    if len(content) > MAX_BYTES:
        msg = f"{path}: a sign-off has at most {MAX_BYTES:,} bytes; this file is larger."
        raise ConfigError(msg)
    return content


def sign_file_command(path: str | Path, key: str | Path) -> str:
    """The command with which the signer signs a record, for a shell; it writes ``PATH.sig``.

    Examples
    --------
    >>> sign_file_command("signoff.json", "/home/ana/.ssh/id_ed25519")
    'ssh-keygen -Y sign -n tranquillite -f /home/ana/.ssh/id_ed25519 signoff.json'
    """
    return shlex.join(["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(path)])


def verify_signoff(
    record: SignOff, report_sha256: str, *, on: date, allowed_signers: str | Path | None = None
) -> Verified:
    """Whether a sign-off is about this report, holds on a day, and is signed by whom it names.

    Parameters
    ----------
    record : SignOff
    report_sha256 : str
        Digest of the report as it is now.
    on : date
        The day on which it must hold.
    allowed_signers : str or Path, optional
        OpenSSH's allowed-signers file: identities and their public keys. Needed if the record is signed.

    Raises
    ------
    UsageError
        If the record is signed and there is no allowed-signers file, or no ssh-keygen.
    """
    status, told = _dated(record, report_sha256, on)
    if status is None:
        status, told = _signed(record, on, allowed_signers)
    accepting = f" accepting {', '.join(record.accepts)}" if record.accepts else ""
    return Verified(record, status, f"{record.role} ({record.name}), {record.decision}{accepting}: {told}")


def _dated(record: SignOff, report_sha256: str, on: date) -> tuple[Status | None, str]:
    if record.report_sha256 != report_sha256:
        return "wrong_digest", "it is about another report, or the report has changed since"
    if on < record.date:
        return "future", f"it is dated {record.date}, later than {on}"
    if on > record.expires:
        return "expired", f"it expired on {record.expires}"
    return None, ""


def _signed(record: SignOff, on: date, allowed_signers: str | Path | None) -> tuple[Status, str]:
    if record.signature is None and record.identity is None:
        return "unsigned", "named, but not signed: only the record itself says who decided"
    if record.signature is None or record.identity is None:
        if record.signature is None:
            return "bad_signature", f"it is to be signed by {record.identity}, and is not signed yet"
        return "bad_signature", "it is signed, but names no identity whose signature it could be"
    if allowed_signers is None:
        msg = (
            f"a sign-off is signed by {record.identity}, and there is no file to verify that with: give "
            "OpenSSH's allowed-signers file (--allowed-signers FILE; in Python allowed_signers=)."
        )
        raise UsageError(msg)
    if _verifies(record.to_bytes(), record.signature, record.identity, Path(allowed_signers), on):
        return "valid", f"signed by {record.identity}"
    told = "another key, one that is not allowed then, or a text that has changed since"
    return (
        "bad_signature",
        f"on {on} the signature is not that of {record.identity} over this record ({told})",
    )


def _verifies(content: bytes, signature: str, identity: str, allowed_signers: Path, on: date) -> bool:
    """Ask ssh-keygen whether a signature over some bytes is that of an identity, by a key valid on a day."""
    program = shutil.which("ssh-keygen")
    if program is None:
        msg = "a signature is verified with ssh-keygen (OpenSSH 8.2 or later), and it is not installed."
        raise UsageError(msg)
    if not allowed_signers.is_file():
        msg = f"allowed_signers must be a file of identities and public keys; {allowed_signers} is none."
        raise UsageError(msg)
    with TemporaryDirectory() as folder:
        beside = Path(folder, "signature")
        beside.write_text(signature, encoding="utf-8", newline="")
        asked = [program, "-Y", "verify", "-n", NAMESPACE, "-I", identity, "-f", str(allowed_signers)]
        asked += ["-s", str(beside), f"-Overify-time={on:%Y%m%d}120000"]
        try:
            done = subprocess.run(  # noqa: S603 - a list of arguments, no shell; the identity has been checked
                asked, input=content, capture_output=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            msg = f"ssh-keygen could not verify the signature ({type(error).__name__}). Try it by hand."
            raise UsageError(msg) from error
    return done.returncode == 0
