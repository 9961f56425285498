"""Retention: records and runs older than a limit are deleted, and what was deleted is proved and logged."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.bundle import MANIFEST, sha256
from tranquillite_ml.errors import InputDataError, UsageError, nearest
from tranquillite_ml.governance.log import append, read_log
from tranquillite_ml.governance.standing import LOG, alias_of, chosen_run
from tranquillite_ml.intake.csv_files import CsvFile
from tranquillite_ml.intake.files import reading
from tranquillite_ml.intake.times import parse_times, refuse_unreadable
from tranquillite_ml.runfolder import INTAKE

if TYPE_CHECKING:
    from numpy.typing import NDArray

Tell = Callable[[str, dict[str, Any]], None]
"""Logs what went: one of the ``files`` or ``runs``. Without it nothing goes."""

_AGE = re.compile(r"([1-9]\d{0,5})D")
_BESIDE = ("forecasts", "simulations")
"""Folders beside the runs with one of each run's name: its forecasts, and what its deep audit keeps."""


def retain(
    paths: Iterable[str | Path],
    older_than: str,
    *,
    tz: str,
    column: str = "occurred_at",
    time_format: str | None = None,
    log: str | Path | None = None,
    confirm: bool = False,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Delete records, and runs, that are older than a limit; without `confirm` only say what would go.

    Of a file (CSV or Parquet), rows go whose time lies before the limit; all others stay byte for byte (CSV)
    or value for value (Parquet), and rows without a readable time stay and are counted. Of a folder of runs,
    whole runs go that were made before it, with their forecasts and what their deep audit keeps; a promoted
    run stays. Each file and run that goes has its line in the log.

    Parameters
    ----------
    paths : iterable of path
        Files of incidents, and folders of runs.
    older_than : str
        Age in days, such as ``"1095D"``: the limit is the start of the day so many days ago, in `tz`.
    tz : str
        IANA time zone of times without one.
    column : str, default "occurred_at"
        Column of the files that says how old a row is.
    time_format : str, optional
        Its format as in `datetime.strptime`; without it ISO 8601.
    log : path, optional
        Hash-chained log that says what was deleted; needed to delete.
    confirm : bool, default False
        Delete.
    now : datetime, optional
        The present moment, with its time zone.

    Returns
    -------
    dict
        ``limit, confirmed, files`` (each ``path, before, deleted, undated, after, oldest_left,
        sha256_before, sha256_after``), ``runs`` (each ``run_id, made, files, bytes, manifest_sha256,
        kept_because``), and ``log_line`` (SHA-256 of the last), if something was deleted.

    Raises
    ------
    UsageError
        If the age, a path, the column or the log cannot be used.
    InputDataError
        If a file cannot be read, or what is left is not what should be: the file then is as it was.
    GateError
        If the log is broken: nothing then is deleted.
    """
    moment = datetime.now(UTC) if now is None else now
    limit = _limit(older_than, tz, moment)
    if confirm and log is None:
        msg = "a deletion needs a log that says what went: log='runs/log.jsonl'."
        raise UsageError(msg)
    given = [Path(path) for path in paths]
    for path in given:
        if path.is_symlink() or not path.exists():
            msg = (
                f"{path} is {'a link' if path.is_symlink() else 'not there'}: name the file or folder itself."
            )
            raise UsageError(msg)
    found: dict[str, Any] = {"limit": limit.isoformat(), "confirmed": confirm, "files": [], "runs": []}
    if confirm and log is not None:
        _check_log(Path(log))

    def tell(what: str, one: dict[str, Any]) -> None:
        if log is not None:
            told = {"limit": found["limit"], "files": [], "runs": []} | {what: [one]}
            found["log_line"] = append(log, "retain", told, moment)

    for path in given:
        if path.is_dir():
            _retain_runs(path, limit, found["runs"], tell if confirm else None)
        else:
            found["files"].append(
                _retain_rows(path, limit, column, tz, time_format, tell=tell if confirm else None)
            )
    return found


def _limit(older_than: str, tz: str, now: datetime) -> pd.Timestamp:
    found = _AGE.fullmatch(older_than)
    if found is None:
        msg = f"older_than must be an age in days, such as '1095D', got {older_than!r}."
        raise UsageError(msg)
    today = pd.Timestamp(now).tz_convert(tz).tz_localize(None).normalize()
    return (today - timedelta(days=int(found[1]))).tz_localize(
        tz, ambiguous=True, nonexistent="shift_forward"
    )


def _check_log(log: Path) -> None:
    """Refuse a log that could not say what went, before anything has gone."""
    if log.exists():
        read_log(log)
    if not os.access(log if log.exists() else log.parent, os.W_OK):
        msg = f"the log {log} cannot be written to, and nothing is deleted without one."
        raise UsageError(msg)


# ---------------------------------------------------------------------- rows of a file


def _retain_rows(
    path: Path, limit: pd.Timestamp, column: str, tz: str, time_format: str | None, *, tell: Tell | None
) -> dict[str, Any]:
    """Delete the old rows of a file, through a temporary one that is looked at before it takes its place."""
    kinds: dict[str, type[_Csv | _Parquet]] = {".csv": _Csv, ".parquet": _Parquet}
    if path.suffix.lower() not in kinds:
        msg = (
            f"{path}: rows are deleted from .csv and .parquet files. Export the others, or delete them whole."
        )
        raise UsageError(msg)
    before = sha256(path.read_bytes())
    with reading(path, "no table"):
        table = kinds[path.suffix.lower()](path)
    if column not in table.columns:
        msg = (
            f"{path}: there is no column {column!r}.{nearest(column, table.columns)} It has {table.columns}."
        )
        raise UsageError(msg)
    when = _instants(table.values(column), tz, time_format, f"{path}, column {column}")
    old = np.asarray(when < limit)
    left = when[~old].dropna()
    said = {
        "path": str(path), "before": len(old), "deleted": int(old.sum()), "undated": int(when.isna().sum()),
        "after": int((~old).sum()), "oldest_left": left.min().isoformat() if len(left) else None,
        "sha256_before": before, "sha256_after": before,
    }  # fmt: skip
    if tell is None or not old.any():
        return said
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        table.write(~old, partial)
        with reading(partial, "no table"):
            again = table.again(partial)
        seen = parse_times(again.values(column), tz, time_format).instants
        if len(seen) != said["after"] or bool((seen < limit).any()):
            msg = f"{path}: what would be left is not what should be; the file is as it was."
            raise InputDataError(msg)
        if sha256(path.read_bytes()) != before:
            msg = (
                f"{path} changed while it was read; nothing of it was deleted. Try again when it is at rest."
            )
            raise InputDataError(msg)
        said["sha256_after"] = sha256(partial.read_bytes())
        shutil.copymode(path, partial)
        _replace(partial, path)
        tell("files", said)
    finally:
        partial.unlink(missing_ok=True)
    return said


def _instants(values: pd.Series[Any], tz: str, time_format: str | None, label: str) -> pd.DatetimeIndex:
    parsed = parse_times(values, tz, time_format)
    if values.notna().any():
        refuse_unreadable(values, parsed, label)
    return parsed.instants


def _replace(partial: Path, path: Path) -> None:
    """Put a file in another's place, on the disk when this returns."""
    _sync(partial)
    partial.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Csv:
    """Records of a CSV file as they stand, line breaks and quotes included."""

    def __init__(self, path: Path, form: tuple[str, str] | None = None) -> None:
        content = path.read_bytes()
        self.encoding, self.delimiter = _form(path, content) if form is None else form
        try:
            text = content.decode(self.encoding)
        except UnicodeDecodeError:
            self.encoding = "latin-1"
            text = content.decode(self.encoding)
        lines = list(io.StringIO(text, newline=""))
        reader, start = csv.reader(lines, delimiter=self.delimiter, strict=True), 0
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        try:
            for row in reader:
                if row:
                    self.rows.append(row)
                    self.texts.append("".join(lines[start : reader.line_num]))
                start = reader.line_num
        except csv.Error as error:  # a record that swallows others would take them with it
            msg = (
                f'{path}, line {start + 1}: a quotation mark (") is not closed, or stands inside a value '
                f"and is not doubled ({error}). Mend the file first; it is as it was."
            )
            raise InputDataError(msg) from error
        self.columns = self.rows[0]

    def values(self, column: str) -> pd.Series[Any]:
        place = self.columns.index(column)
        found = [row[place] if place < len(row) else None for row in self.rows[1:]]
        return pd.Series([value or None for value in found], dtype=object)

    def write(self, kept: NDArray[np.bool_], path: Path) -> None:
        texts = [self.texts[0], *(text for text, keep in zip(self.texts[1:], kept, strict=True) if keep)]
        path.write_bytes("".join(texts).encode(self.encoding))

    def again(self, path: Path) -> _Csv:
        return _Csv(path, (self.encoding, self.delimiter))


def _form(path: Path, content: bytes) -> tuple[str, str]:
    """Encoding and delimiter of a file, also of one that has nothing but a header left."""
    left = [line for line in content.splitlines() if line.strip()]
    if len(left) == 1:
        return "utf-8", max(",;\t|", key=lambda mark: left[0].count(mark.encode()))
    found = CsvFile(path)
    return found.encoding, found.delimiter


class _Parquet:
    """Rows of a Parquet file with its schema and metadata."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self.table = pq.read_table(path)
        self.columns = list(self.table.column_names)

    def values(self, column: str) -> pd.Series[Any]:
        return self.table.column(column).to_pandas()

    def write(self, kept: NDArray[np.bool_], path: Path) -> None:
        import pyarrow.parquet as pq

        pq.write_table(self.table.filter(kept), path)

    def again(self, path: Path) -> _Parquet:
        return _Parquet(path)


# ---------------------------------------------------------------------- runs of a folder


def _retain_runs(output: Path, limit: pd.Timestamp, said: list[dict[str, Any]], tell: Tell | None) -> None:
    """Delete the runs of a folder that were made before the limit, one after the other."""
    runs = sorted(path for path in output.iterdir() if _is_run(path))
    if not runs:
        msg = f"{output} holds no runs. Name a folder of runs, such as runs, or files of incidents."
        raise UsageError(msg)
    in_use = _promoted(output)
    for path in runs:
        mark = next(path / name for name in (MANIFEST, INTAKE) if (path / name).exists())
        times = [(path / name).stat().st_mtime for name in {mark.name, INTAKE}]
        made = datetime.fromtimestamp(min(times), UTC)  # a report written again renews the manifest
        if made >= limit:
            continue
        beside = [output / name / path.name for name in _BESIDE]
        folders = [*(one for one in beside if one.is_dir() and not one.is_symlink()), path]
        files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
        kept = "it is promoted" if path.name in in_use else None
        one = {
            "run_id": path.name,
            "made": made.isoformat(timespec="seconds"),
            "files": len(files),
            "bytes": sum(file.stat().st_size for file in files),
            "manifest_sha256": sha256(mark.read_bytes()),
            "kept_because": kept,
        }
        said.append(one)
        if tell is not None and kept is None:
            try:
                for folder in folders:
                    _delete(folder)
            finally:  # some of it has gone, even if the rest has not
                tell("runs", one)


def _delete(folder: Path) -> None:
    """Delete a folder; what makes it a run goes last, so that an interrupted deletion can be finished."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name in {MANIFEST, INTAKE}):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    folder.rmdir()


def _promoted(output: Path) -> set[str]:
    """Runs of a folder that are in use: the one promoted last to each alias, if not rejected since."""
    log = output / LOG
    entries = read_log(log) if log.exists() else []
    aliases = {(one.payload["model"], alias_of(one)) for one in entries if one.kind == "promote"}
    found = (chosen_run(output, model, alias=alias) for model, alias in aliases)
    return {run for run in found if run is not None}


def _is_run(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and (path / INTAKE).is_file()
