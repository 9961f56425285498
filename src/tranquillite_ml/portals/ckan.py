"""CKAN: a resource of its data store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tranquillite_ml.errors import InputDataError
from tranquillite_ml.portals.answers import Asked
from tranquillite_ml.portals.dataset import Dataset, Kind, Row, choose
from tranquillite_ml.portals.web import Web

_NUMBERS = ("int", "float", "numeric", "double", "real", "smallint", "bigint", "serial")


@dataclass
class Ckan:
    """A resource of a CKAN portal, by its identifier.

    Parameters
    ----------
    web : Web
    resource : str
    columns, drop : sequence of str
        Columns to fetch (all if none) and to leave.
    page : int
        Rows asked for at once.
    """

    web: Web
    resource: str
    columns: Sequence[str] = ()
    drop: Sequence[str] = ()
    page: int = 32_000

    def describe(self) -> Dataset:
        """Title and licence from the package, columns and rows from the data store."""
        said = self._ask("resource_show", {"id": self.resource})
        package = self._ask("package_show", {"id": str(said.get("package_id") or "")})
        title = str(package.get("title") or said.get("name") or self.resource)
        if not said.get("datastore_active"):
            msg = (
                f"{title}: this resource is a file ({str(said.get('format'))[:20]}), not a table of the data "
                f"store. Fetch it: tranquillite fetch file {str(said.get('url'))[:200]}."
            )
            raise InputDataError(msg)
        head = self._ask("datastore_search", {"resource_id": self.resource, "limit": 0})
        try:
            there = {str(f["id"]): _kind(str(f["type"])) for f in head["fields"] if f["id"] != "_id"}
            rows = int(head["total"])
        except (KeyError, TypeError, ValueError) as error:
            msg = f"{self.web.address} does not answer as a CKAN data store ({error!r:.80})."
            raise InputDataError(msg) from error
        organisation = package.get("organization") or {}
        changed = (
            said.get("last_modified") or said.get("metadata_modified") or package.get("metadata_modified")
        )
        return Dataset(
            title,
            str(package.get("license_title") or package.get("license_id") or ""),
            str(organisation.get("title") or package.get("author") or ""),
            choose(there, self.columns, self.drop, title),
            rows,
            str(changed or ""),
        )

    def pages(self, dataset: Dataset) -> Iterator[list[Row]]:
        """Rows in the order of the data store."""
        url = f"{self.web.address}/api/3/action/datastore_search"
        asked: Asked = {
            "resource_id": self.resource,
            "fields": ",".join(dataset.columns),
            "sort": "_id",
            "limit": self.page,
        }
        offset = 0
        while offset < (dataset.rows or 0):
            found = self.web.page(url, {**asked, "offset": offset}, dataset.version)
            rows = self._result(found).get("records")
            if not rows:
                return
            yield rows
            offset += len(rows)

    def _ask(self, action: str, params: Asked) -> Any:
        return self._result(self.web.ask(f"{self.web.address}/api/3/action/{action}", params))

    def _result(self, said: Any) -> Any:
        if not isinstance(said, dict) or said.get("success") is not True:
            told = (said.get("error") or {}) if isinstance(said, dict) else {}
            words = told.get("message") if isinstance(told, dict) else told
            msg = f"{self.web.address} does not answer as CKAN does ({str(words)[:200]})."
            raise InputDataError(msg)
        return said["result"]


def _kind(name: str) -> Kind:
    if name.startswith(_NUMBERS):
        return "number"
    if name.startswith("bool"):
        return "flag"
    return "time" if name.startswith(("timestamp", "date")) else "text"
