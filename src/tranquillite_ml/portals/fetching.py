"""From a portal to one file, with a note of where it came from beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tranquillite_ml.config.words import redact
from tranquillite_ml.errors import InputDataError, PersonLevelDataError
from tranquillite_ml.intake.notes import note_path
from tranquillite_ml.intake.persons import person_word
from tranquillite_ml.portals.answers import check_url, digest_of
from tranquillite_ml.portals.dataset import Dataset, Portal, arrow_schema, as_table, write_pages
from tranquillite_ml.portals.web import Web

if TYPE_CHECKING:
    import pyarrow as pa

Report = Callable[[str, int, int], None]
_ADVICE = "Look at the new columns, then fetch again with --accept-changes."


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def fetch(
    portal: Portal,
    web: Web,
    output: str | Path,
    *,
    accept_changes: bool = False,
    source: str | None = None,
    report: Report = silent,
) -> dict[str, Any]:
    """Bring a data set to a file; its source, licence and checksums go to a note beside it.

    Parameters
    ----------
    portal : Portal
    web : Web
        The one that the portal asks.
    output : str or Path
        A file that ends in ``.parquet`` or ``.csv``.
    accept_changes : bool, default False
        Replace a file fetched before even if the columns are others now.
    source : str, optional
        What the note calls the source; the portal's address if not given.
    report : callable, optional
        Told what is being done, pages done, pages to do.

    Returns
    -------
    dict
        ``output, rows, columns, left_out, title, licence, attribution, address, version, fetched_at, sha256,
        answers, cached``.

    Raises
    ------
    PersonLevelDataError
        If a column's name says that it describes persons.
    InputDataError
        If the portal does not answer, or its data changed.
    """
    path = Path(output)
    dataset = portal.describe()
    _refuse_persons(dataset)
    _refuse_changes(dataset, path, accept_changes=accept_changes)

    def tables() -> Iterator[pa.Table]:
        done = 0
        for rows in portal.pages(dataset):
            done += len(rows)
            yield as_table(rows, dataset.columns, dataset.title)
            report("fetch", min(done, dataset.rows or done), dataset.rows or 0)
            if dataset.rows is not None and done > dataset.rows:
                break
        if dataset.rows not in {None, done}:
            msg = (
                f"{dataset.title}: {dataset.rows:,} rows were announced and {done:,} came: the data changed "
                "while they were read. Fetch again with --fresh."
            )
            raise InputDataError(msg)

    report("fetch", 0, 1)
    n = write_pages(tables(), arrow_schema(dataset.columns), path)
    if n == 0:
        path.unlink()
        msg = f"{dataset.title}: there are no rows. Look at the condition and the dates."
        raise InputDataError(msg)
    return note(path, dataset, web, n, source)


def keep_file(
    web: Web, url: str, output: str | Path, licence: str = "", attribution: str = ""
) -> dict[str, Any]:
    """Bring one file as it is, with the same note beside it.

    Returns
    -------
    dict
        As `fetch` gives it; rows and columns are not looked at.
    """
    path = Path(output)
    came = web.file(url, version=f"{datetime.now(UTC):%Y-%m-%d}")
    if came.stat().st_size == 0:
        msg = f"{url} is an empty file."
        raise InputDataError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    shutil.copyfile(came, partial)
    partial.replace(path)
    return note(path, Dataset(url.rpartition("/")[2][:80], licence, attribution, {}, None, ""), web, None)


def local_or_fetched(source: str, web: Web) -> Path:
    """A file of this machine, or one that an address names, brought to the cache.

    Raises
    ------
    InputDataError
        If there is no such file.
    """
    if "://" in source:
        check_url(source)
        return web.file(source, version=f"{datetime.now(UTC):%Y-%m-%d}")
    if not Path(source).is_file():
        msg = f"there is no file {source!r} (looked from {Path.cwd()})."
        raise InputDataError(msg)
    path = Path(source)
    web.used.append({"url": source, "sha256": digest_of(path), "bytes": path.stat().st_size, "cached": False})
    return path


def note(
    path: Path, dataset: Dataset, web: Web, rows: int | None, source: str | None = None
) -> dict[str, Any]:
    """Write beside a file where it came from; give that."""
    said: dict[str, Any] = {
        "output": str(path),
        "rows": rows,
        "columns": dataset.columns,
        "left_out": list(dataset.left),
        "title": dataset.title,
        "licence": dataset.licence,
        "attribution": dataset.attribution,
        "address": redact(source or web.address),
        "version": dataset.version,
        "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": digest_of(path),
    }
    beside = note_path(path)
    partial = beside.with_name(f".{beside.name}.partial")
    kept = said | {"output": path.name, "answers": web.used}
    partial.write_text(json.dumps(kept, indent=1, ensure_ascii=False), encoding="utf-8")
    partial.replace(beside)
    return said | {"answers": len(web.used), "cached": sum(1 for answer in web.used if answer["cached"])}


def _refuse_persons(dataset: Dataset) -> None:
    words = {name: word for name in dataset.columns if (word := person_word(name))}
    if words:
        told = ", ".join(f"{name!r} (says {word!r})" for name, word in words.items())
        drop = " ".join(f"--drop {name}" for name in words)
        msg = (
            f"{dataset.title}: columns describe persons: {told}. Forecasts are about places, so nothing was "
            f"fetched. Leave them out: {drop}."
        )
        raise PersonLevelDataError(msg)


def _refuse_changes(dataset: Dataset, path: Path, *, accept_changes: bool) -> None:
    """Stop before a file that others read gets other columns than it had."""
    try:
        before = dict(json.loads(note_path(path).read_bytes())["columns"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if accept_changes or not before or before == dataset.columns:
        return
    gone, new = sorted(set(before) - set(dataset.columns)), sorted(set(dataset.columns) - set(before))
    other = sorted(
        name for name in set(before) & set(dataset.columns) if before[name] != dataset.columns[name]
    )
    told = "; ".join(
        f"{what}: {names}"
        for what, names in (("gone", gone), ("new", new), ("of another kind", other))
        if names
    )
    msg = f"{dataset.title}: the columns are not those fetched before ({told}). {_ADVICE}"
    raise InputDataError(msg)
