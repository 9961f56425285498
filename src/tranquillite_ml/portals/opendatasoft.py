"""Opendatasoft (Explore API 2.1): many French portals."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.portals.answers import Asked
from tranquillite_ml.portals.dataset import Dataset, Kind, Row, choose
from tranquillite_ml.portals.web import Web

_KINDS: dict[str, Kind] = {
    "text": "text",
    "int": "number",
    "double": "number",
    "boolean": "flag",
    "date": "text",
    "datetime": "time",
    "geo_point_2d": "text",
}


@dataclass
class Opendatasoft:
    """A data set of an Opendatasoft portal, by its name.

    The whole comes in one export, a row a line: the portal's pages end at 10,000 rows. Points give
    ``<name>_lat`` and ``<name>_lng``.

    Parameters
    ----------
    web : Web
    dataset : str
    where : str, optional
        A condition in ODSQL.
    columns, drop : sequence of str
        Columns to fetch (all if none) and to leave.
    page : int
        Rows passed on at once.
    """

    web: Web
    dataset: str
    where: str | None = None
    columns: Sequence[str] = ()
    drop: Sequence[str] = ()
    page: int = 20_000

    def describe(self) -> Dataset:
        """Title, licence and columns from the catalogue; rows by asking the portal to count."""
        if not re.fullmatch(r"[A-Za-z0-9_.@-]{1,200}", self.dataset):
            msg = f"expected a data set's name such as arbres-urbains, got {self.dataset[:40]!r}."
            raise UsageError(msg)
        said = self.web.ask(self._url)
        counted = self.web.ask(f"{self._url}/records", {"limit": 0, **self._condition()})
        try:
            about = said["metas"]["default"]
            title, there = str(about["title"]), {str(f["name"]): str(f["type"]) for f in said["fields"]}
            rows = int(counted["total_count"])
        except (KeyError, TypeError, ValueError) as error:
            msg = f"{self.web.address} does not answer as Opendatasoft does ({error!r:.80})."
            raise InputDataError(msg) from error
        known = {name: _KINDS[kind] for name, kind in there.items() if kind in _KINDS}
        asked = choose(known, self.columns, self.drop, title)
        self._asked = list(asked)
        self._points = {name for name in asked if there[name] == "geo_point_2d"}
        columns: dict[str, Kind] = {name: kind for name, kind in asked.items() if name not in self._points}
        for name in sorted(self._points):
            columns |= {f"{name}_lat": "number", f"{name}_lng": "number"}
        by = about.get("attributions") or about.get("publisher") or ""
        return Dataset(
            title,
            str(about.get("license") or ""),
            ", ".join(map(str, by)) if isinstance(by, list) else str(by),
            columns,
            rows,
            str(about.get("data_processed") or about.get("modified") or ""),
            tuple(sorted(set(there) - set(known))),
        )

    def pages(self, dataset: Dataset) -> Iterator[list[Row]]:
        """Rows of the export, a line each."""
        asked: Asked = {"select": ",".join(self._asked), "timezone": "UTC", **self._condition()}
        path = self.web.file(f"{self._url}/exports/jsonl", asked, dataset.version)
        with path.open(encoding="utf-8") as file:
            while lines := list(itertools.islice(file, self.page)):
                try:
                    rows = [json.loads(line) for line in lines if line.strip()]
                except ValueError as error:
                    msg = f"{dataset.title}: the export is cut or no JSON lines. Fetch again with --fresh."
                    raise InputDataError(msg) from error
                yield [self._flat(row) for row in rows]

    @property
    def _url(self) -> str:
        return f"{self.web.address}/api/explore/v2.1/catalog/datasets/{self.dataset}"

    def _condition(self) -> dict[str, str]:
        return {} if self.where is None else {"where": self.where}

    def _flat(self, row: Any) -> Row:
        flat = {name: value for name, value in row.items() if name not in self._points}
        for name in self._points:
            point = row.get(name)
            if point is not None:
                flat |= {f"{name}_lat": point["lat"], f"{name}_lng": point["lon"]}
        return flat
