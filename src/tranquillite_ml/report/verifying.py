"""verify: whether a report follows from its own measurements, and is about the files that are there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tranquillite_ml.bundle import check_manifest
from tranquillite_ml.config.words import shown
from tranquillite_ml.errors import BundleError, GateError, TranquilliteError, UsageError
from tranquillite_ml.report.derived import ABSENT, Problem, not_derived, not_of_its_files, same_version
from tranquillite_ml.report.facts import KEPT, file_sha256, input_files
from tranquillite_ml.report.summary import canonical, leaves, value_digests

if TYPE_CHECKING:
    from tranquillite_ml.config import RunConfig

MAX_BYTES = 200_000_000
_SHORT = 8
_MOST_NAMED = 20


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Parameters
    ----------
    path : str
    problems : tuple of Problem
        What is wrong; empty if nothing is.
    statuses : int
        Statuses that were derived again: of checks, sections, and the verdict.
    values : int
        Values whose digests were compared.
    files : tuple of str
        Files whose digests were compared.
    absent : tuple of str
        What the report carries a digest of and is not here, so that it could not be compared.
    rerun : mapping of str to str
        Where the run was made again: what is the same and what differs.
    texts : bool
        Whether texts were derived again as well: only this version of the software has those of its reports.
    """

    path: str
    problems: tuple[Problem, ...]
    statuses: int = 0
    values: int = 0
    files: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    rerun: Mapping[str, str] = field(default_factory=dict)
    texts: bool = True

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def require(self) -> Verification:
        """Give this back if it is sound.

        Raises
        ------
        GateError
            Naming the fields that are not as they should be.
        """
        if self.problems:
            told = [f"{one.where}: {one.told}" for one in self.problems]
            lines = "\n".join(f"  - {one}" for one in told[:_MOST_NAMED])
            msg = f"{self.path} does not hold ({len(self.problems)} problems):\n{lines}"
            raise GateError(msg, told)
        return self


def verify(path: str | Path, *, rerun: Callable[[Path], Mapping[str, str]] | None = None) -> Verification:
    """Derive every status of a report again, and compare every digest it carries.

    Parameters
    ----------
    path : str or Path
        ``report.json``, in the folder of its run or alone.
    rerun : callable, optional
        Given the run's folder, makes the run again and gives the SHA-256 of its files by name.

    Returns
    -------
    Verification

    Raises
    ------
    UsageError
        If there is no such file, or it is no report.

    Notes
    -----
    The SHA-256 of each value finds which one was changed, and the file beside the report that one was.
    Someone who writes all of them anew is found where a value follows from others, or from a file that is
    there. What follows from nothing is found by a signature only: a sign-off names the report's SHA-256.

    Examples
    --------
    >>> verify("no_such_report.json")
    Traceback (most recent call last):
    tranquillite_ml.errors.UsageError: no_such_report.json: there is no such report...
    """
    where = Path(path)
    raw = _read(where)
    report = _parse(raw, where)
    problems = [*_digest_beside(where, raw), *_changed_values(report, raw)]
    try:
        problems += not_derived(report)
        config = _config(where.parent)
        states = list(_files(report, where.parent, config))
        right = {name for name, state in states if not state}
        problems += not_of_its_files(report, where.parent, config, right)
        n, texts = len(report["checks"]) + len(report["sections"]) + 1, same_version(report)
    except (TranquilliteError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        problems.append(Problem("/", f"it is not shaped as a report is: {shown(str(error))}"))
        n, states, texts = 0, [], False
    files = [name for name, state in states if state != ABSENT]
    absent = [name for name, state in states if state == ABSENT]
    problems += [Problem(name, state) for name, state in states if state not in {"", ABSENT}]
    again = {} if rerun is None else dict(_again(report, rerun(where.parent), problems))
    return Verification(
        str(path),
        tuple(problems),
        n,
        sum(1 for _ in leaves({key: part for key, part in report.items() if key != "digests"})),
        tuple(files),
        tuple(absent),
        again,
        texts,
    )


def _read(where: Path) -> bytes:
    if not where.is_file():
        msg = f"{where}: there is no such report. `tranquillite report RUN` writes one."
        raise UsageError(msg)
    if where.stat().st_size > MAX_BYTES:
        msg = f"{where}: {where.stat().st_size:,} bytes are too many for a report."
        raise UsageError(msg)
    return where.read_bytes()


def _parse(raw: bytes, where: Path) -> dict[str, Any]:
    def refuse(name: str) -> None:
        msg = f"{name} is no number"
        raise ValueError(msg)

    try:
        report = json.loads(raw, parse_constant=refuse)
        known = (
            isinstance(report, dict)
            and report["schema_version"] == "1.0"
            and isinstance(report["digests"], dict)
        )
    except (ValueError, KeyError, RecursionError) as error:
        msg = f"{where} is no report of ours: {shown(str(error))}."
        raise UsageError(msg) from error
    if not known:
        msg = f"{where} is no report of this version (schema_version 1.0)."
        raise UsageError(msg)
    return dict(report)


def _digest_beside(where: Path, raw: bytes) -> Iterator[Problem]:
    beside = where.with_name(where.name + ".sha256")
    if not beside.is_file():
        yield Problem(beside.name, "the file with the report's SHA-256 is missing")
    elif beside.read_text(encoding="utf-8", errors="replace").split(maxsplit=1)[:1] != [
        hashlib.sha256(raw).hexdigest()
    ]:
        yield Problem(beside.name, "the report's SHA-256 is another")


def _changed_values(report: Mapping[str, Any], raw: bytes) -> Iterator[Problem]:
    """Values whose digests the report does not carry: changed, moved or added; and how many are gone."""
    kept = str(report["digests"].get("values", ""))
    known = {kept[at : at + _SHORT] for at in range(0, len(kept), _SHORT)}
    held = dict(leaves({key: value for key, value in report.items() if key != "digests"}))
    now = list(value_digests(report))
    for path, digest in now:
        if digest not in known:
            yield Problem(path, f"it is not what was written; it says {shown(held[path])} now")
    gone = len(kept) // _SHORT - len(now)
    if gone > 0:
        yield Problem("/", f"{gone} values are gone")
    if kept != "".join(digest for _, digest in now):
        yield Problem("/digests/values", "they are not the digests of these values, in their order")
    whole = {key: value for key, value in report.items() if key != "digests"}
    if hashlib.sha256(canonical(whole)).hexdigest() != report["digests"].get("whole"):
        yield Problem("/digests/whole", "the digest of the whole report is another")
    if raw != canonical(report):
        yield Problem("/", "it is not written as reports are: keys sorted, on one line")


def _files(report: Mapping[str, Any], folder: Path, config: RunConfig | None) -> Iterator[tuple[str, str]]:
    """Name of each file of the run, and what is wrong with it in words: nothing, or that it is not there."""
    for name, digest in report["run"]["files"].items():
        if name not in KEPT:  # names from a file never become paths unless they are ours
            yield name, "a report carries no digest of such a file"
            continue
        path = folder / name
        if not path.is_file():
            yield name, ABSENT
        elif file_sha256(path) != digest:
            yield name, "its SHA-256 is not that of the report"
        else:
            yield name, ""
    if (folder / "model").is_dir():
        try:
            check_manifest(folder / "model")
            yield "model/", ""
        except BundleError as error:
            yield "model/", str(error)
    yield from _inputs(report, config)
    yield from _governance(report, config)


def _config(folder: Path) -> RunConfig | None:
    from tranquillite_ml.config import load_config

    try:
        return load_config(folder / "config.yaml")
    except (TranquilliteError, OSError):
        return None


def _inputs(report: Mapping[str, Any], config: RunConfig | None) -> Iterator[tuple[str, str]]:
    """Files of incidents, layers of context and groups, found through the run's configuration."""
    listed = {one["name"]: one["sha256"] for one in report["run"]["inputs"] if one["sha256"]}
    found = input_files(config) if listed and config is not None else {}
    for name, digest in listed.items():
        if name not in found:
            yield name, ABSENT
        else:
            yield name, "" if file_sha256(found[name]) == digest else "its SHA-256 is not that of the report"


def _governance(report: Mapping[str, Any], config: RunConfig | None) -> Iterator[tuple[str, str]]:
    """The governance file that the configuration names: a report is about what it said."""
    digest = report["governance"]["sha256"]
    section = None if config is None else config.governance
    path = None if section is None else Path(section.path)
    if path is None or not path.is_file():
        if digest is not None:
            yield "governance", ABSENT
    elif file_sha256(path) == digest:
        yield "governance", ""
    else:
        yield (
            "governance",
            (
                "the governance file has changed since, or was not there: "
                "`tranquillite report RUN --again` writes a report on what it says now"
            ),
        )


def _again(
    report: Mapping[str, Any], made: Mapping[str, str], problems: list[Problem]
) -> Iterator[tuple[str, str]]:
    for name, digest in made.items():
        expected = report["run"]["files"].get(name)
        if expected is None:
            continue
        same = digest == expected
        if not same:
            problems.append(Problem(name, "made again, its SHA-256 is another"))
        yield name, "the same" if same else "differs"
