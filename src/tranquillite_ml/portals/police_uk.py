"""data.police.uk: recorded incidents of England, Wales and Northern Ireland, by month and box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.portals.answers import StatusError
from tranquillite_ml.portals.dataset import Dataset, Kind, Row
from tranquillite_ml.portals.web import Web

Box = tuple[float, float, float, float]
"""South, west, north, east, in degrees."""

ADDRESS = "https://data.police.uk"
_COLUMNS: dict[str, Kind] = {
    "incident_id": "text",
    "month": "text",
    "category": "text",
    "lat": "number",
    "lng": "number",
    "location_type": "text",
}
_TOO_MANY = frozenset({503})  # what this service answers for more than 10,000 records
_SMALLEST = 0.002


@dataclass
class PoliceUk:
    """Street-level records in a box, month by month. Places are snapped by the publisher; times are months.

    Names of streets and outcomes, which are about persons, are never kept.

    Parameters
    ----------
    web : Web
    box : tuple of float
        South, west, north, east, in degrees.
    first, last : str
        Months such as ``2024-01``, both included.
    """

    web: Web
    box: Box
    first: str
    last: str

    def describe(self) -> Dataset:
        """Which months there are; the licence is the service's own."""
        parse_box(",".join(str(degrees) for degrees in self.box))
        listed = self.web.ask(f"{self.web.address}/api/crimes-street-dates")
        updated = self.web.ask(f"{self.web.address}/api/crime-last-updated")
        try:
            there = sorted(str(month["date"]) for month in listed)
            version = str(updated["date"])
        except (KeyError, TypeError) as error:
            msg = f"{self.web.address} does not answer as data.police.uk does ({error!r:.80})."
            raise InputDataError(msg) from error
        self._months = [month for month in there if self.first <= month <= self.last]
        if not self._months or self._months[0] != self.first or self._months[-1] != self.last:
            span = f"{there[0]} to {there[-1]}" if there else "none"
            msg = f"months {self.first} to {self.last} are not all there: the service has {span}."
            raise UsageError(msg)
        return Dataset(
            f"Street-level records, {self.first} to {self.last}",
            "Open Government Licence v3.0",
            "data.police.uk",
            dict(_COLUMNS),
            None,
            version,
        )

    def pages(self, dataset: Dataset) -> Iterator[Sequence[Row]]:
        """Records of one month after the other; each once."""
        for month in self._months:
            seen: set[str] = set()
            for rows in self._within(self.box, month, dataset.version):
                new = [row for row in rows if row["incident_id"] not in seen]
                seen |= {row["incident_id"] for row in new}
                yield new

    def _within(self, box: Box, month: str, version: str) -> Iterator[list[dict[str, Any]]]:
        south, west, north, east = box
        corners = ((south, west), (south, east), (north, east), (north, west))
        asked = {"date": month, "poly": ":".join(f"{lat:.6f},{lng:.6f}" for lat, lng in corners)}
        url = f"{self.web.address}/api/crimes-street/all-crime"
        try:
            found = self.web.page(url, asked, version, final=_TOO_MANY)
        except StatusError as error:
            if error.status not in _TOO_MANY or north - south < _SMALLEST:
                raise
            lat, lng = (south + north) / 2, (west + east) / 2
            for quarter in (
                (south, west, lat, lng),
                (south, lng, lat, east),
                (lat, west, north, lng),
                (lat, lng, north, east),
            ):
                yield from self._within(quarter, month, version)
            return
        yield [self._flat(row) for row in found]

    def _flat(self, row: Any) -> dict[str, Any]:
        try:
            place = row["location"] or {}
            return {
                "incident_id": str(row["id"]),
                "month": row["month"],
                "category": row["category"],
                "lat": place.get("latitude"),
                "lng": place.get("longitude"),
                "location_type": row["location_type"],
            }
        except (KeyError, TypeError, AttributeError) as error:
            msg = f"{self.web.address}: its columns changed while they were read ({error!r:.80})."
            raise InputDataError(msg) from error


def parse_box(text: str) -> Box:
    """South, west, north, east from a text.

    Raises
    ------
    UsageError
        If it is not four numbers in this order.

    Examples
    --------
    >>> parse_box("43.2,5.2,43.4,5.6")
    (43.2, 5.2, 43.4, 5.6)
    """
    try:
        south, west, north, east = (float(part) for part in text.split(","))
        sound = -90 <= south < north <= 90 and -180 <= west < east <= 180
    except ValueError:
        sound = False
    if not sound:
        msg = (
            f"--box: expected south,west,north,east in degrees, such as 43.2,5.2,43.4,5.6, got {text[:60]!r}."
        )
        raise UsageError(msg)
    return south, west, north, east
