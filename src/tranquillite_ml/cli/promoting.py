"""Commands of the gate: signoff, promote, reject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tranquillite_ml.cli.options import JsonOption
from tranquillite_ml.cli.output import clean, emit, refusals

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a run, such as runs/stlouis-1234.")
]
ByOption = Annotated[str, typer.Option("--by", help="Who decides: name and office.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in words; it is kept in the log.")]


def signoff(
    run: RunArgument,
    *,
    role: Annotated[str, typer.Option("--role", help="Office of who decides.")] = "ethics reviewer",
    name: Annotated[str, typer.Option("--name", help="Name of who decides.")],
    decision: Annotated[str, typer.Option("--decision", help="approve or reject.")],
    reason: ReasonOption,
    expires: Annotated[str, typer.Option("--expires", metavar="DATE", help="Last day on which it holds.")],
    accepts: Annotated[
        list[str] | None,
        typer.Option("--accept", metavar="ID", help="A failure that is known and accepted: C04. Repeatable."),
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option("--identity", help="Name in the allowed-signers file, if it is to be signed."),
    ] = None,
    key: Annotated[
        str, typer.Option("--key", metavar="FILE", help="Your key, for the command that is shown.")
    ] = "~/.ssh/id_ed25519",
    as_json: JsonOption = False,
) -> None:
    """Write down what one person decided about a run's report, ready to be signed."""
    from tranquillite_ml.config.words import shown
    from tranquillite_ml.errors import UsageError
    from tranquillite_ml.governance import SignOff, sign_file_command, write_signoff
    from tranquillite_ml.promotion import SIGNOFFS, find_run, report_digest

    folder = find_run(run)
    try:
        last, kind = date.fromisoformat(expires), _decided(decision)
        record = SignOff(
            role=role,
            name=name,
            decision=kind,
            date=datetime.now(UTC).date(),
            expires=last,
            reason=reason,
            accepts=tuple(accepts or ()),
            report_sha256=report_digest(folder),
            identity=identity,
        )
    except ValueError as error:
        msg = f"the sign-off cannot be written: {shown(str(error))}"
        raise UsageError(msg) from None
    beside = folder.output / SIGNOFFS / folder.run_id
    beside.mkdir(parents=True, exist_ok=True)
    number = sum(1 for _ in beside.glob("*.json")) + 1
    path = write_signoff(record, beside / f"{number:02d}-{record.decision}.json")
    found = {"run_id": folder.run_id, "path": str(path), "report_sha256": record.report_sha256}
    if identity is not None:
        found["sign_with"] = sign_file_command(path, key)
    emit(found, as_json=as_json, show=_signed)


def _decided(text: str) -> Literal["approve", "reject"]:
    if text == "approve":
        return "approve"
    if text == "reject":
        return "reject"
    msg = f"--decision must be approve or reject, got {text!r}"
    raise ValueError(msg)


def _signed(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"Written: {clean(found['path'])}"
    yield f"About the report with SHA-256 {found['report_sha256']}; another report needs another sign-off."
    if "sign_with" in found:
        yield f"Sign it with: {clean(found['sign_with'])}"
    else:
        yield "It is a named record only: anyone who can write files could have written it."
        yield "With --identity it can be signed."


def promote(
    run: RunArgument,
    *,
    to: Annotated[str, typer.Option("--to", metavar="ALIAS", help="Alias in the registry.")] = "champion",
    by: ByOption,
    reason: ReasonOption,
    signoffs: Annotated[
        list[Path] | None,
        typer.Option("--signoff", metavar="FILE", help="Repeatable. Default: signoffs/RUN/*.json."),
    ] = None,
    allowed_signers: Annotated[
        Path | None,
        typer.Option("--allowed-signers", metavar="FILE", help="Identities and their public keys (OpenSSH)."),
    ] = None,
    signed: Annotated[
        bool, typer.Option("--signed", help="Take only approvals that a signature proves.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a run's model into use, if its report, its verdict and its sign-offs allow it; exit 4 if not."""
    from tranquillite_ml import promotion
    from tranquillite_ml.report.verifying import verify

    with refusals(as_json=as_json):
        found = promotion.promote(
            run,
            alias=to,
            by=by,
            reason=reason,
            signoffs=signoffs or (),
            allowed_signers=allowed_signers,
            signed=signed,
            verify=lambda path: verify(path).require(),
        )
    emit(found, as_json=as_json, show=_promoted)


def _promoted(found: Mapping[str, Any]) -> Iterator[str]:
    model = f"{clean(found['model'])}, version {found['version']}"
    yield f"{clean(found['run_id'])} is now {clean(found['alias'])}: {model}."
    kind = "signed" if found["signed"] else "named records, unsigned: `forecast` needs --allow-unsigned"
    yield f"  approved until {found['expires']} ({kind})"
    yield f"  logged in {clean(found['log'])}"


def reject(run: RunArgument, *, by: ByOption, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Record a no: the model stops forecasting, and none is promoted in its place until another review."""
    from tranquillite_ml import promotion

    with refusals(as_json=as_json):
        found = promotion.reject(run, by=by, reason=reason)
    emit(found, as_json=as_json, show=_rejected)


def _rejected(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{clean(found['run_id'])} is rejected. It may not forecast."
    yield f"  {clean(found['model'])} is frozen until a review approves a run."
    yield f"  logged in {clean(found['log'])}"
