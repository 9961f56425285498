"""CSV files: delimiter, encoding and header found by looking; rows that do not fit are set aside."""

from __future__ import annotations

import codecs
import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.intake.guards import Problem

_LOOK = 262_144  # bytes looked at to find delimiter, encoding and header
_SAMPLE_ROWS = 1_000
_DELIMITERS = ",;\t|"
_OPEN_QUOTE = 'A quotation mark (") opens a value and is never closed: close or remove it in the file.'
_NULLS = ["", "NULL", "null", "NaN", "nan", "NA", "N/A", "n/a", "None", "\\N"]


class CsvFile:
    """A CSV file whose columns can be sampled and loaded by name, as text.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputDataError
        If the file is empty or holds only a header.
    """

    geometry = False

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)
        with path.open("rb") as file:
            head = file.read(_LOOK)
        if not head.strip():
            msg = f"{path} is empty ({path.stat().st_size} bytes). Export it again, or name another file."
            raise InputDataError(msg)
        self.encoding = _encoding(head)
        text = _decode(head, self.encoding)
        self.delimiter = _delimiter(text)
        rows = self._rows(text, whole=len(head) < _LOOK)
        if len(rows) < 2:
            msg = f"{path} has a header but no data rows. Export it again, or name another file."
            raise InputDataError(msg)
        self.columns, self._head = rows[0], rows[1 : _SAMPLE_ROWS + 1]

    def _rows(self, text: str, *, whole: bool) -> list[list[str]]:
        if not whole:  # the last line is cut
            text = text[: text.rfind("\n") + 1] or text
        try:
            return [row for row in csv.reader(io.StringIO(text), delimiter=self.delimiter) if row]
        except csv.Error as error:
            told = _OPEN_QUOTE if "field limit" in str(error) else f"Is it a text file? ({error})"
            msg = f"{self.path} cannot be read as CSV: {told}"
            raise InputDataError(msg) from error

    def sample(self, columns: list[str]) -> pd.DataFrame:
        """Some rows from the start and the end of the file."""
        with self.path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(size - _LOOK, 0))
            tail = file.read()
        rows = self._head
        if size > _LOOK and not self.encoding.startswith("utf-16"):
            text = tail.decode(self.encoding, errors="replace")
            rows = rows + self._rows(text[text.find("\n") + 1 :], whole=True)[-_SAMPLE_ROWS:]
        keep = [self.columns.index(name) for name in columns]
        fitting = [[row[i] for i in keep] for row in rows if len(row) == len(self.columns)]
        return pd.DataFrame(fitting, columns=columns, dtype=object)

    def load(
        self, columns: list[str]
    ) -> tuple[pd.DataFrame, np.ndarray[Any, Any], pd.DataFrame, list[Problem]]:
        """Columns as text, the row number of each row, the rows that do not fit the header, and problems."""
        try:
            table, wrong = self._read(columns, self.encoding)
        except (pa.ArrowInvalid, UnicodeError) as error:
            if self.encoding not in {"utf-8", "utf-8-sig"} or "utf" not in str(error).lower():
                told = _OPEN_QUOTE if "straddling" in str(error) else str(error)
                msg = f"{self.path} cannot be read as CSV: {told}"
                raise InputDataError(msg) from error
            self.encoding = "latin-1"
            table, wrong = self._read(columns, self.encoding)
        if table.num_rows + len(wrong) == 0:
            msg = f"{self.path} has a header but no data rows. Export it again, or name another file."
            raise InputDataError(msg)
        self._refuse_swallowed(table, wrong)
        numbers = np.arange(1, table.num_rows + len(wrong) + 1, dtype=np.int64)
        number_of_wrong = np.array([row.number - 1 for row in wrong], dtype=np.int64)  # the header is row 1
        reasons = [
            f"row has {row.actual_columns} fields, the header has {row.expected_columns}" for row in wrong
        ]
        ragged = pd.DataFrame({"row": number_of_wrong, "reason": reasons})
        problems = []
        if self.encoding == "latin-1":
            advice = (
                "The file is not UTF-8 and was read as Latin-1: look at accented names, or convert the file."
            )
            problems.append(Problem(f"not UTF-8: {self.path.name}", table.num_rows, 1.0, advice))
        rows = np.delete(numbers, number_of_wrong - 1)
        return table.to_pandas(ignore_metadata=True), rows, ragged, problems

    def _refuse_swallowed(self, table: pa.Table, wrong: list[Any]) -> None:
        """Refuse a file where a quote that is not closed makes one value of many rows: they would be lost."""
        n = table.num_rows + len(wrong)
        lines, quotes = (0, 0) if self.encoding.startswith("utf-16") else _count(self.path)
        if lines <= n + 1 or quotes == 0:
            return
        fields = len(self.columns)
        torn = [name for name in table.column_names if _holds_row(table[name], self.delimiter, fields)]
        texts = pa.array([row.text for row in wrong], pa.string())
        if quotes % 2 == 0 and not torn and not _holds_row(texts, self.delimiter, 2 * fields):
            return
        where = f" (a value of column {torn[0]!r} holds a whole row)" if torn else ""
        msg = (
            f"{self.path}: {lines - 1 - n:,} of {lines - 1:,} lines would be lost{where}. {_OPEN_QUOTE} "
            f"Look near data row {table.num_rows:,}, or search for a single quotation mark."
        )
        raise InputDataError(msg)

    def _read(self, columns: list[str], encoding: str) -> tuple[Any, list[Any]]:
        wrong: list[Any] = []

        def set_aside(row: Any) -> str:
            wrong.append(row)
            return "skip"

        table = arrow_csv.read_csv(
            self.path,
            # One thread: only then are rows numbered, and it is no slower for a few columns.
            read_options=arrow_csv.ReadOptions(use_threads=False, encoding=encoding.replace("-sig", "")),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=set_aside
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns, pa.string()),
                null_values=_NULLS,
                strings_can_be_null=True,
            ),
        )
        return table, wrong


def _count(path: Path) -> tuple[int, int]:
    """Lines of a file that are not blank, and its quotation marks."""
    lines = quotes = 0
    with path.open("rb") as file:
        for line in file:
            lines += bool(line.strip())
            quotes += line.count(b'"')
    return lines, quotes


def _holds_row(values: Any, delimiter: str, fields: int) -> bool:
    """Whether a value holds a line break and as many delimiters as a row of so many fields."""
    broken = pc.match_substring(values, "\n")
    cut = pc.greater_equal(pc.count_substring(values, delimiter), fields - 1)
    return bool(pc.any(pc.and_(broken, cut)).as_py())


def _encoding(head: bytes) -> str:
    """UTF-8 unless the bytes say otherwise."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # a cut last character is no error
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _decode(head: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)().decode(head)


def _delimiter(text: str) -> str:
    """The delimiter that cuts the header into most columns and fits the next lines; a comma if none does."""
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    best, most = ",", 1
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        fits = sum(width == widths[0] for width in widths) > len(widths) / 2
        if fits and widths[0] > most:
            best, most = delimiter, widths[0]
    return best
