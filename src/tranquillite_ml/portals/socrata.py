"""Socrata (SODA): Chicago, New York and many others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tranquillite_ml.errors import InputDataError, TranquilliteError, UsageError
from tranquillite_ml.portals.answers import Asked
from tranquillite_ml.portals.dataset import Dataset, Kind, Row, choose
from tranquillite_ml.portals.web import Web

_KINDS: dict[str, Kind] = {
    "number": "number",
    "money": "number",
    "percent": "number",
    "double": "number",
    "text": "text",
    "calendar_date": "time",
    "floating_timestamp": "time",
    "fixed_timestamp": "time",
    "date": "time",
    "checkbox": "flag",
}
_POINTS = {"point", "location"}


@dataclass
class Socrata:
    """A data set of a Socrata portal, by its identifier of four and four characters.

    Parameters
    ----------
    web : Web
    dataset : str
        Such as ``ijzp-q8t2``.
    where : str, optional
        A condition in SoQL, such as ``date >= '2024-01-01'``.
    columns, drop : sequence of str
        Columns to fetch (all if none) and to leave.
    page : int
        Rows asked for at once.
    """

    web: Web
    dataset: str
    where: str | None = None
    columns: Sequence[str] = ()
    drop: Sequence[str] = ()
    page: int = 50_000

    def describe(self) -> Dataset:
        """Title, licence and columns from the portal's metadata; rows by asking it to count."""
        if not re.fullmatch(r"[a-z0-9]{4}-[a-z0-9]{4}", self.dataset):
            msg = f"expected a data set's identifier such as ijzp-q8t2, got {self.dataset[:40]!r}."
            raise UsageError(msg)
        said = self.web.ask(f"{self.web.address}/api/views/{self.dataset}.json")
        try:
            title, listed = str(said["name"]), said["columns"]
            there = {str(column["fieldName"]): str(column["dataTypeName"]) for column in listed}
            counted = self.web.ask(self._url, {"$select": "count(*)", **self._condition()})
            rows = int(next(iter(counted[0].values())))
        except TranquilliteError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, StopIteration) as error:
            msg = f"{self.web.address} does not answer as Socrata does ({error!r:.80}): is it another portal?"
            raise InputDataError(msg) from error
        there = {name: kind for name, kind in there.items() if not name.startswith(":")}
        known = {
            name: _KINDS.get(kind, "text") for name, kind in there.items() if kind in {*_KINDS, *_POINTS}
        }
        self._points = [name for name, kind in there.items() if kind in _POINTS]
        asked = choose(known, self.columns, self.drop, title)
        self._asked = list(asked)
        columns: dict[str, Kind] = {name: kind for name, kind in asked.items() if name not in self._points}
        for name in [name for name in self._points if name in asked]:
            columns |= {f"{name}_lat": "number", f"{name}_lng": "number"}
        licence = said.get("license") or {}
        return Dataset(
            title,
            str(licence.get("name") or said.get("licenseId") or ""),
            str(said.get("attribution") or ""),
            columns,
            rows,
            str(said.get("rowsUpdatedAt") or ""),
            tuple(sorted(set(there) - set(known))),
        )

    def pages(self, dataset: Dataset) -> Iterator[list[Row]]:
        """Rows in the portal's own order of rows."""
        select: Asked = {"$select": ",".join(self._asked), "$order": ":id", "$limit": self.page}
        for offset in range(0, dataset.rows or 0, self.page):
            asked: Asked = {**select, "$offset": offset, **self._condition()}
            rows = self.web.page(self._url, asked, dataset.version)
            yield [self._flat(row) for row in rows]

    @property
    def _url(self) -> str:
        return f"{self.web.address}/resource/{self.dataset}.json"

    def _condition(self) -> dict[str, str]:
        return {} if self.where is None else {"$where": self.where}

    def _flat(self, row: Any) -> Row:
        """A row without nested points."""
        flat = {name: value for name, value in row.items() if name not in self._points}
        for name in self._points:
            point = row.get(name)
            if point is not None:
                lng, lat = point.get("coordinates") or (point.get("longitude"), point.get("latitude"))
                flat |= {f"{name}_lat": lat, f"{name}_lng": lng}
        return flat
