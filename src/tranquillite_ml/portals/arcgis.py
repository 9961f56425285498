"""ArcGIS feature servers: the open data of many cities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tranquillite_ml.errors import InputDataError, TranquilliteError, UsageError
from tranquillite_ml.portals.answers import Asked
from tranquillite_ml.portals.dataset import Dataset, Kind, Row, choose
from tranquillite_ml.portals.web import Web

_KINDS: dict[str, Kind] = {
    "esriFieldTypeOID": "number",
    "esriFieldTypeInteger": "number",
    "esriFieldTypeSmallInteger": "number",
    "esriFieldTypeBigInteger": "number",
    "esriFieldTypeDouble": "number",
    "esriFieldTypeSingle": "number",
    "esriFieldTypeString": "text",
    "esriFieldTypeGUID": "text",
    "esriFieldTypeGlobalID": "text",
    "esriFieldTypeDateOnly": "text",
    "esriFieldTypeDate": "time",
}


@dataclass
class ArcGis:
    """A layer of a feature server; its address, which ends in ``/FeatureServer/0``, is that of `web`.

    Points give ``lat`` and ``lng`` in WGS 84; times are in UTC.

    Parameters
    ----------
    web : Web
    where : str
        A condition in SQL.
    columns, drop : sequence of str
        Columns to fetch (all if none) and to leave.
    page : int
        Rows asked for at once; the server may give fewer.
    """

    web: Web
    where: str = "1=1"
    columns: Sequence[str] = ()
    drop: Sequence[str] = ()
    page: int = 2_000

    def describe(self) -> Dataset:
        """Title, licence and columns from the layer's description."""
        said = self._answer(self.web.ask(self.web.address, {"f": "json"}))
        try:
            title = str(said["name"])
            there = {str(column["name"]): str(column["type"]) for column in said["fields"]}
            self._key = str(
                said.get("objectIdField") or next(n for n, k in there.items() if k.endswith("OID"))
            )
            counted = self.web.ask(
                f"{self.web.address}/query", {"where": self.where, "returnCountOnly": "true", "f": "json"}
            )
            rows = int(self._answer(counted)["count"])
        except TranquilliteError:
            raise
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            msg = (
                f"{self.web.address} does not answer as a layer of a feature server ({error!r:.80}): its "
                "address ends in /FeatureServer/ and a number."
            )
            raise InputDataError(msg) from error
        known = {name: _KINDS[kind] for name, kind in there.items() if kind in _KINDS}
        columns = choose(known, self.columns, self.drop, title)
        self._fields = list(columns)
        self._times = {name for name, kind in columns.items() if kind == "time"}
        self._shaped = said.get("geometryType") == "esriGeometryPoint"
        if self._shaped:
            columns |= {"lat": "number", "lng": "number"}
        edited = (said.get("editingInfo") or {}).get("lastEditDate")
        return Dataset(
            title,
            str(said.get("licenseInfo") or ""),
            str(said.get("copyrightText") or ""),
            columns,
            rows,
            str(edited or ""),
            tuple(sorted(set(there) - set(known))),
        )

    def pages(self, dataset: Dataset) -> Iterator[list[Row]]:
        """Rows by their number: each page begins after the last row of the one before.

        Unlike an offset, this neither skips nor repeats rows when others come or go meanwhile.
        """
        last, left = None, dataset.rows or 0
        while left > 0:
            after = "" if last is None else f" AND {self._key} > {last}"
            asked: Asked = {
                "where": f"({self.where}){after}",
                "outFields": ",".join(dict.fromkeys([*self._fields, self._key])),
                "orderByFields": self._key,
                "resultRecordCount": self.page,
                "returnGeometry": str(self._shaped).lower(),
                "outSR": 4326,
                "f": "json",
            }
            said = self._answer(self.web.page(f"{self.web.address}/query", asked, dataset.version))
            features = said.get("features") or []
            if not features:
                return
            found = max(int(feature["attributes"][self._key]) for feature in features)
            if last is not None and found <= last:
                msg = (
                    f"{dataset.title}: the server gives the same rows again: it does not sort as it is asked."
                )
                raise InputDataError(msg)
            last, left = found, left - len(features)
            yield [self._flat(feature) for feature in features]

    def _answer(self, said: Any) -> Any:
        """An answer that is no error: this protocol sends errors with the code of success."""
        if isinstance(said, dict) and "error" in said:
            told = said["error"] if isinstance(said["error"], dict) else {}
            words = " ".join(str(told.get("message") or said["error"]).split())[:200]
            msg = f"{self.web.address} refuses: {words} (code {told.get('code')}). Look at --where."
            raise (UsageError if told.get("code") == 400 else InputDataError)(msg)
        return said

    def _flat(self, feature: Any) -> Row:
        attributes = feature["attributes"]
        # What was not asked for is passed on, so that a change of the layer is seen.
        flat = {n: v for n, v in attributes.items() if n != self._key or n in self._fields}
        for name in self._times & set(flat):
            if flat[name] is not None:
                moment = datetime.fromtimestamp(float(flat[name]) / 1000, UTC)
                flat[name] = moment.isoformat(timespec="milliseconds")
        if self._shaped:
            place = feature.get("geometry") or {}
            flat |= {"lat": place.get("y"), "lng": place.get("x")}
        return flat
