"""Decisions: what sign-offs allow, and how a promotion or rejection is logged."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from tranquillite_ml.errors import UsageError
from tranquillite_ml.governance.log import append
from tranquillite_ml.governance.signoff import Verified

_ALIAS = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Decision:
    """Promotion or rejection of a model, as it is logged.

    Parameters
    ----------
    kind : {"promote", "reject"}
    model : str
        Name of the model: that of its configuration.
    report_sha256, thresholds_sha256 : str
        Digests of the report it is based on, and of the thresholds that the report was judged by.
    by : str
        Who decides: name and office.
    reason : str
    signoffs : tuple of str
        The sign-offs it rests on, in words.
    run_id : str
        The run the model is of.
    expires : str
        Last day on which the approvals hold, as 2026-01-31.
    signed : bool
        Whether every approval it rests on is proven by a signature.
    alias : str, optional
        What the model is promoted to; None for a rejection, which is of the model whatever its alias.
    """

    kind: Literal["promote", "reject"]
    model: str
    report_sha256: str
    thresholds_sha256: str
    by: str
    reason: str
    signoffs: tuple[str, ...] = ()
    run_id: str = ""
    expires: str = ""
    signed: bool = False
    alias: str | None = None

    def require_complete(self) -> None:
        """Refuse a decision that does not say of what it is, by whom and why.

        Raises
        ------
        UsageError
            Naming what is missing, or the alias if the registry could not hold it.
        """
        for name in ("model", "by", "reason"):
            if not getattr(self, name).strip():
                msg = f"a decision needs {name}, got nothing. Say it in words."
                raise UsageError(msg)
        if self.alias is not None and not _ALIAS.fullmatch(self.alias):
            msg = f"an alias has letters, digits, - and _ only, such as champion, got {self.alias!r}."
            raise UsageError(msg)

    def log(self, path: str | Path, at: datetime) -> str:
        """Add the decision to a log; the hash of its line.

        Raises
        ------
        UsageError
            If it is not complete.
        GateError
            If the log is broken.
        """
        self.require_complete()
        payload = asdict(self) | {"signoffs": list(self.signoffs)}
        return append(path, payload.pop("kind"), payload, at)


def objections(found: Iterable[Verified], roles: Iterable[str], *, signed: bool = False) -> list[str]:
    """What speaks against a promotion, in words; an empty list if nothing does.

    Each role must have approved, and nobody may have rejected. A rejection counts even if it is only named,
    has expired, or its signature cannot be verified: it is withdrawn, not outlived. Only one that is about
    another report does not.

    Parameters
    ----------
    found : iterable of Verified
        Sign-offs of the report, verified on the day of the decision.
    roles : iterable of str
        Roles whose approval is needed.
    signed : bool, default False
        Whether an approval must be signed.

    Examples
    --------
    >>> objections([], ["ethics reviewer"])
    ['no approval by the ethics reviewer']
    """
    kept = list(found)
    against = [
        verified.told
        for verified in kept
        if verified.record.decision == "reject" and verified.status != "wrong_digest"
    ]
    for role in roles:
        approvals = [one for one in kept if one.record.decision == "approve" and one.record.role == role]
        if not any(one.holds(signed=signed) for one in approvals):
            why = "; ".join(_why(one) for one in approvals)
            against.append(f"no approval by the {role}" + (f" ({why})" if why else ""))
    return against


def _why(verified: Verified) -> str:
    """Why an approval does not count."""
    return verified.told.partition(": ")[2]
