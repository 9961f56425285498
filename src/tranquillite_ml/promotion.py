"""The gate: what must hold before a model is used, who said yes, and how a no stops it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from tranquillite_ml.config import load_config
from tranquillite_ml.errors import BundleError, GateError, UsageError
from tranquillite_ml.governance import Decision, Verified, objections, read_signoff, verify_signoff
from tranquillite_ml.governance.standing import CHAMPION, LOG, open_rejections
from tranquillite_ml.report.sections import MUST_HOLD
from tranquillite_ml.runfolder import RunFolder

BLOCKING = ("C06", *MUST_HOLD)
"""Checks that nobody can accept a failure of; of all but the first, missing evidence counts as one."""

REVIEWER = "ethics reviewer"
"""Whose approval every promotion needs."""

BEATS = "beats counts"
SIGNOFFS = "signoffs"


def report_digest(run: RunFolder) -> str:
    """SHA-256 of a run's report, which a sign-off is about.

    Raises
    ------
    UsageError
        If the run has none.
    """
    path = run.path / "report.json"
    if not path.is_file():
        msg = (
            f"{run.path} has no report: `tranquillite report {run.path}` writes one. Nobody can sign nothing."
        )
        raise UsageError(msg)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def find_run(path: str | Path) -> RunFolder:
    """Open a finished run, unchanged since.

    Raises
    ------
    UsageError, BundleError
        If it is no run, unfinished, or a file was changed.
    """
    folder = _any_run(path)
    if not folder.finished:
        msg = f"{path} is an unfinished run: run the same config again to finish it."
        raise BundleError(msg)
    return folder


def _any_run(path: str | Path) -> RunFolder:
    """Open the folder of a run, in whatever state it is."""
    where = Path(path)
    if not (where / "config.yaml").is_file():
        msg = f"{path} is no run's folder: give one that `tranquillite run` made, such as runs/city-1234."
        raise UsageError(msg)
    return RunFolder(where.parent, where.name)


def read_signoffs(
    run: RunFolder,
    report_sha256: str,
    *,
    on: date,
    files: Iterable[str | Path] = (),
    allowed_signers: str | Path | None = None,
) -> list[Verified]:
    """Sign-offs of a run: the given files, or those in ``signoffs/RUN`` of the output folder."""
    given = [Path(one) for one in files] or sorted((run.output / SIGNOFFS / run.run_id).glob("*.json"))
    return [
        verify_signoff(read_signoff(path), report_sha256, on=on, allowed_signers=allowed_signers)
        for path in given
    ]


def against(
    run: RunFolder,
    found: Sequence[Verified],
    *,
    on: date,
    alias: str = CHAMPION,
    signed: bool = False,
) -> list[str]:
    """What speaks against promoting a run, in words; an empty list if nothing does.

    A blocking check that fails, any other check or section that fails and that no approval accepts by its id,
    a category whose forecasts do not beat plain counts, a missing, expired or rejecting sign-off, and a
    rejection, of this run, of the one the alias is on, or the last word on the model, that no reviewer's
    approval of a later day answers.

    Parameters
    ----------
    run : RunFolder
    found : sequence of Verified
        Its sign-offs, verified on the day.
    on : date
    alias : str, default "champion"
        Where it is to be promoted to.
    signed : bool, default False
        Whether an approval must be signed.
    """
    report = json.loads((run.path / "report.json").read_text(encoding="utf-8"))
    held = _held(found, signed=signed)
    accepted = {name for one in held if one.record.role == REVIEWER for name in one.record.accepts}
    reasons = [*_blocking(report["checks"]), *_failing(report, accepted)]
    for category, verdict in run.summary()["verdict"].items():
        if verdict["text"] != BEATS:
            reasons.append(f"{category}: the model {_not_better(verdict['text'])} a 365-day count")
    reasons += objections(found, [REVIEWER], signed=signed)
    return [*reasons, *_unanswered(run, held, alias)]


def promote(
    path: str | Path,
    *,
    alias: str = CHAMPION,
    by: str,
    reason: str,
    signoffs: Iterable[str | Path] = (),
    allowed_signers: str | Path | None = None,
    signed: bool = False,
    verify: Callable[[Path], Any] | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Put a run's model into use, if nothing speaks against it; the decision is logged.

    Parameters
    ----------
    path : str or Path
        Folder of the run.
    alias : str, default "champion"
    by, reason : str
        Who promotes, name and office, and why.
    signoffs : iterable of path, optional
        Sign-off files; those in ``signoffs/RUN`` of the output folder if none is given.
    allowed_signers : path, optional
        OpenSSH's allowed-signers file.
    signed : bool, default False
        Whether a named, unsigned approval is too little.
    verify : callable, optional
        Given the report's path, raises GateError if it does not follow from its own measurements.
    now : datetime, optional

    Returns
    -------
    dict
        ``run_id, model, alias, version, expires, signed, log``.

    Raises
    ------
    GateError
        Listing what speaks against it.
    UsageError
        If the decision is not complete, or the run was not tracked.
    """
    at = now or datetime.now(UTC)
    run = find_run(path)
    digest = report_digest(run)
    if verify is not None:
        verify(run.path / "report.json")
    found = read_signoffs(run, digest, on=at.date(), files=signoffs, allowed_signers=allowed_signers)
    reasons = against(run, found, on=at.date(), alias=alias, signed=signed)
    if reasons:
        msg = f"{run.run_id} is not promoted:\n" + "\n".join(f"  - {one}" for one in reasons)
        raise GateError(msg, reasons)
    held = _held(found, signed=signed)
    expires = min(one.record.expires for one in held)
    decision = replace(
        _decision("promote", run, by, reason, digest),
        alias=alias,
        signoffs=tuple(one.told for one in held),
        expires=expires.isoformat(),
        signed=all(one.status == "valid" for one in held),
    )
    decision.require_complete()
    version = _move(run, alias, digest)  # only what can be logged
    decision.log(run.output / LOG, at)
    told = {"run_id": run.run_id, "model": decision.model, "alias": alias, "version": version}
    return told | {"expires": decision.expires, "signed": decision.signed, "log": str(run.output / LOG)}


def reject(path: str | Path, *, by: str, reason: str, now: datetime | None = None) -> dict[str, Any]:
    """Record a no: the model's alias is frozen until another review, and it stops forecasting if in use.

    Nothing can stand against it: neither a run that is unfinished or changed, nor a missing report.

    Parameters
    ----------
    path : str or Path
        Folder of the run.
    by, reason : str
        Who rejects, name and office, and why.

    Returns
    -------
    dict
        ``run_id, model, log``.
    """
    run = _any_run(path)
    decision = _decision("reject", run, by, reason, report_digest(run) if _has_report(run) else "")
    decision.log(run.output / LOG, now or datetime.now(UTC))
    return {"run_id": run.run_id, "model": decision.model, "log": str(run.output / LOG)}


def _held(found: Iterable[Verified], *, signed: bool) -> list[Verified]:
    """Approvals that count."""
    return [one for one in found if one.record.decision == "approve" and one.holds(signed=signed)]


def _unanswered(run: RunFolder, held: Iterable[Verified], alias: str) -> Iterable[str]:
    """Rejections that stand; an approval of the same day may be older, as sign-offs carry no hour."""
    approved = max((one.record.date for one in held if one.record.role == REVIEWER), default=date.min)
    for one in open_rejections(run.output / LOG, _model_of(run), run.run_id, alias):
        since = date.fromisoformat(one.at[:10])
        if approved <= since:
            told = "{by} rejected {run_id} on {since} ({reason}), and no review of a later day approves"
            yield told.format(**one.payload, since=since)


def _failing(report: Mapping[str, Any], accepted: set[str]) -> Iterable[str]:
    """Failures that block until an approval accepts them: of checks, and of sections' own rules."""
    failed = {one["id"] for one in report["checks"] if one["status"] == "FAIL"}
    named = {one["id"]: one["title"] for one in report["checks"] if one["id"] in failed - set(BLOCKING)}
    for one in report["sections"]:
        if one["id"] != "S1" and one["status"] == "FAIL" and not failed & set(one["check_ids"]):
            named[one["id"]] = one["title"]["en"]
    for name, title in named.items():
        if name not in accepted:
            yield f"{name} ({title}): FAIL, and no approval that holds accepts it (signoff --accept {name})"


def _blocking(checks: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    status = {one["id"]: one for one in checks}
    for name in BLOCKING:
        found = status.get(name, {"status": "NOT_ASSESSABLE", "title": "not in the report", "missing": []})
        if found["status"] == "FAIL":
            yield f"{name} ({found['title']}): FAIL"
        elif found["status"] == "NOT_ASSESSABLE" and name in MUST_HOLD:
            told = f"{name} ({found['title']}): not assessable, which counts as a failure here"
            why = ", ".join(found.get("missing", [])) or found.get("reason", {}).get("en", "")
            yield f"{told}: {why}" if why else told


def _not_better(text: str) -> str:
    return "does not beat" if text.startswith("does not") else "cannot be told to beat"


def _model_of(run: RunFolder) -> str:
    return load_config(run.path / "config.yaml").name


def _has_report(run: RunFolder) -> bool:
    return (run.path / "report.json").is_file()


def _decision(
    kind: Literal["promote", "reject"], run: RunFolder, by: str, reason: str, digest: str
) -> Decision:
    thresholds = ""
    if digest:
        report = json.loads((run.path / "report.json").read_text(encoding="utf-8"))
        thresholds = report["thresholds"]["sha256"]
    return Decision(kind, _model_of(run), digest, thresholds, by, reason, run_id=run.run_id)


def _move(run: RunFolder, alias: str, digest: str) -> str:
    from tranquillite_ml.tracking import default_uri, move_alias

    config = load_config(run.path / "config.yaml")
    tracked = run.summary().get("mlflow_run_id")
    if tracked is None:
        msg = f"{run.run_id} was not tracked, so the registry has no model of it: run it without --no-track."
        raise UsageError(msg)
    uri = config.tracking.uri or default_uri(run.output)
    tags = {"run_id": run.run_id, "report_sha256": digest}
    return move_alias(uri, config.name, alias, tracked, tags)
