"""Commands about the report: report, verify."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tranquillite_ml.cli.options import JsonOption, QuietOption
from tranquillite_ml.cli.output import clean, emit
from tranquillite_ml.cli.progress import at_work
from tranquillite_ml.errors import TranquilliteError

if TYPE_CHECKING:
    from tranquillite_ml.cli.progress import Work
    from tranquillite_ml.intake import Incidents
    from tranquillite_ml.report.summary import Inputs
    from tranquillite_ml.runfolder import RunFolder

PUBLISHED = "published"


def report(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's folder, or a file of another system's forecasts.")
    ],
    *,
    public: Annotated[
        bool, typer.Option("--public", help="The citizens' edition: shorter, small numbers withheld.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Audit again even if there is a report.")] = False,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Audit again, and train the model itself again: what that takes is told first; the same "
            "command goes on with what is finished.",
        ),
    ] = False,
    thresholds: Annotated[
        str | None, typer.Option("--thresholds", metavar="FILE", help="In place of those of the package.")
    ] = None,
    previous: Annotated[
        str | None, typer.Option("--previous", metavar="JSON", help="The last report, to say what changed.")
    ] = None,
    records: Annotated[
        list[str] | None,
        typer.Option(
            "--record", metavar="NAME=FILE", help="contests, decisions, frontier or trial. Repeatable."
        ),
    ] = None,
    tests: Annotated[
        str | None,
        typer.Option("--tests", metavar="JSON", help="Results of this version's tests: id, title, status."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="DIR", help="Where it goes, if not beside the forecasts."),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a run's report: one HTML file in English and French, and the same as JSON.

    Exit code 0 whatever the verdict: the first page says what it is and why.
    """
    from tranquillite_ml.report.given import read_bars, read_records
    from tranquillite_ml.report.summary import Inputs
    from tranquillite_ml.report.writing import JSON, read_report

    with at_work(quiet=quiet) as work:
        folder = _folder(Path(run), output)
        held = folder.path / JSON
        if again or deep or not held.is_file():
            inputs = Inputs(
                previous=None if previous is None else read_report(previous),
                bars=() if tests is None else read_bars(tests),
            )
            field = read_records(records or ())
            _make(Path(run), folder, work, deep=deep, thresholds=thresholds, inputs=inputs, records=field)
        paths = _public(Path(run), folder, thresholds) if public else _paths(folder.path)
        found = read_report(paths["json"])
    told = {"verdict": found["verdict"], "use": found["use"], "sentence": found["verdict_sentence"]["en"]}
    emit(told | {"report_id": found["report_id"], "paths": paths}, as_json=as_json, show=_written)


def _written(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['verdict']}: {clean(found['sentence'])}"
    for name, path in found["paths"].items():
        yield f"  {name}  {clean(path)}"


def _folder(path: Path, output: str | None) -> RunFolder:
    """The folder that a report is written to: that of the run, or one beside a file of forecasts."""
    from tranquillite_ml.runfolder import RunFolder

    where = path if path.is_dir() and output is None else Path(output or f"{path.with_suffix('')}-report")
    folder = RunFolder(where.parent, where.name)
    if where != path:
        folder.prepare()
    return folder


def _make(
    path: Path,
    folder: RunFolder,
    work: Work,
    *,
    deep: bool,
    thresholds: str | None,
    inputs: Inputs,
    records: Mapping[str, Path],
) -> None:
    """Audit, write the report, and commit a finished run again with it."""
    from tranquillite_ml.bundle import write_manifest
    from tranquillite_ml.governance import load_thresholds
    from tranquillite_ml.report.collecting import collect
    from tranquillite_ml.report.writing import audit_and_write

    finished = path == folder.path and folder.finished
    limits = load_thresholds(thresholds)
    forecasts, evidence = collect(path, thresholds=limits, deep=deep)
    incidents, notice = _incidents(evidence.config)
    evidence = replace(evidence, incidents=incidents, records={**evidence.records, **records})
    inputs = replace(inputs, notice=notice)
    audit_and_write(folder, forecasts, evidence, inputs=inputs, thresholds=limits, report=work.report)
    if finished:
        write_manifest(folder.path, {"kind": "run", "run_id": folder.run_id})


def _incidents(config: Any) -> tuple[Incidents | None, str | None]:
    """Rows as they are read, and what every output must say of them; no rows if they cannot be read."""
    from tranquillite_ml.city.simulated import NOTICE
    from tranquillite_ml.stages import load_incidents

    if config is None:
        return None, None
    try:
        return load_incidents(config)
    except TranquilliteError:
        return None, None if config.incidents.simulate is None else NOTICE


def _paths(folder: Path) -> dict[str, str]:
    from tranquillite_ml.report.writing import DIGEST, DOCUMENTS, HTML, JSON

    names = {"html": HTML, "json": JSON, "sha256": DIGEST, "documents": DOCUMENTS}
    return {name: str(folder / file) for name, file in names.items() if (folder / file).exists()}


def _public(path: Path, folder: RunFolder, thresholds: str | None) -> dict[str, str]:
    """Write the citizens' edition beside the runs, never into one: it is published, and they are not."""
    from tranquillite_ml.governance import load_thresholds
    from tranquillite_ml.report.collecting import collect, read_latest
    from tranquillite_ml.report.public import public_edition
    from tranquillite_ml.report.writing import JSON, read_report, write_pages
    from tranquillite_ml.runfolder import RunFolder

    _, evidence = collect(path)
    made, drawings, numbers = public_edition(
        read_report(folder.path / JSON),
        latest=read_latest(folder.path),
        evidence=evidence,
        thresholds=load_thresholds(thresholds),
    )
    there = RunFolder(folder.output / PUBLISHED, folder.run_id)
    there.prepare()
    write_pages(there, made, drawings)
    if len(numbers):
        there.write_table("published.csv", numbers)
    return _paths(there.path)


def verify(
    path: Annotated[str, typer.Argument(metavar="REPORT_JSON", help="report.json of a run.")],
    *,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Also make the backtest and the model again, and compare.")
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Derive a report's statuses again from its measurements, and compare every digest it carries.

    Exit code 0 if it holds, 4 if not: the fields that are wrong are named.
    """
    from tranquillite_ml.report.verifying import verify as look

    with at_work(quiet=quiet):
        found = look(path, rerun=make_again if rerun else None)
    told: dict[str, Any] = {"sound": found.sound, "refused": not found.sound}
    told |= {"reasons": [f"{one.where}: {one.told}" for one in found.problems]}
    emit(asdict(found) | told, as_json=as_json, show=_verified)
    found.require()


def _verified(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{clean(found['path'])}: {'it holds' if found['sound'] else 'it does not hold'}."
    yield f"  {found['statuses']} statuses derived again, {found['values']:,} values compared"
    if not found["texts"]:
        yield "  written by another version of the software: texts were not derived again, only statuses"
    yield f"  {len(found['files'])} files compared" + (
        f": {', '.join(map(clean, found['files']))}" if found["files"] else ""
    )
    if found["absent"]:
        yield f"  not here, so not compared: {', '.join(map(clean, found['absent']))}"
    for name, state in found["rerun"].items():
        yield f"  made again: {clean(name)}: {state}"


AGAIN = ("forecasts.parquet", "model/manifest.json", "panel/panel.json")
"""What a rerun makes again."""


def make_again(run: Path) -> dict[str, str]:
    """Make the backtest and the model of a run again in another folder, and give their SHA-256."""
    from tranquillite_ml import pipeline
    from tranquillite_ml.config import load_config
    from tranquillite_ml.report.facts import file_sha256

    with tempfile.TemporaryDirectory() as folder:
        config = load_config(run / "config.yaml").model_copy(update={"output": folder})
        pipeline.backtest_only(config)
        made = Path(pipeline.fit_only(config)["run_dir"])
        return {name: file_sha256(made / name) for name in AGAIN if (made / name).is_file()}
