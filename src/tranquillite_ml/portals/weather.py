"""Hourly weather from files: Open-Meteo's archive and the stations of Météo-France."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from tranquillite_ml.errors import InputDataError, TranquilliteError, UsageError, nearest
from tranquillite_ml.portals.answers import Asked
from tranquillite_ml.portals.dataset import Dataset, Kind, Row
from tranquillite_ml.portals.web import Web

OPEN_METEO = "https://archive-api.open-meteo.com"
_PAGE = 20_000
_STATION = {"T": "temperature_c", "RR1": "rain_mm", "FF": "wind_m_s", "U": "humidity_pct"}


@dataclass
class OpenMeteo:
    """Hourly weather of one point from Open-Meteo's archive, in UTC.

    Parameters
    ----------
    web : Web
    lat, lng : float
    first, last : str
        Dates, both included.
    hourly : sequence of str
        Quantities under the service's names.
    """

    web: Web
    lat: float
    lng: float
    first: str
    last: str
    hourly: Sequence[str] = ("temperature_2m", "precipitation", "wind_speed_10m")

    def describe(self) -> Dataset:
        """The quantities asked for; the licence is the service's own."""
        _check_days(self.first, self.last)
        if not (-90 <= self.lat <= 90 and -180 <= self.lng <= 180):
            msg = f"expected a place in degrees, got {self.lat}, {self.lng}."
            raise UsageError(msg)
        columns: dict[str, Kind] = {"time": "time"}
        columns |= dict.fromkeys(self.hourly, "number")
        by = "Weather data by Open-Meteo.com"
        return Dataset("Open-Meteo archive, hourly", "CC BY 4.0", by, columns, None, f"{date.today()}")  # noqa: DTZ011

    def pages(self, dataset: Dataset) -> Iterator[Sequence[Row]]:
        """One year after the other."""
        for year in range(int(self.first[:4]), int(self.last[:4]) + 1):
            asked: Asked = {
                "latitude": f"{self.lat:.4f}",
                "longitude": f"{self.lng:.4f}",
                "start_date": max(self.first, f"{year}-01-01"),
                "end_date": min(self.last, f"{year}-12-31"),
                "hourly": ",".join(self.hourly),
                "timezone": "UTC",
            }
            said = self.web.page(f"{self.web.address}/v1/archive", asked, dataset.version)
            try:
                hours = said["hourly"]
                columns = {name: hours[name] for name in dataset.columns}
                n = len(columns["time"])
                if {len(values) for values in columns.values()} != {n} or set(hours) != set(columns):
                    raise KeyError(sorted(hours))
            except (KeyError, TypeError) as error:
                msg = f"{self.web.address} does not answer as Open-Meteo does ({error!r:.80})."
                raise InputDataError(msg) from error
            columns["time"] = [f"{moment}:00+00:00" for moment in columns["time"]]
            yield [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


@dataclass
class MeteoFrance:
    """Hours of one station from a file of Météo-France's base (``H_13_….csv.gz``), in UTC.

    Parameters
    ----------
    path : Path
    station : str
        Its number or name.
    quantities : sequence of str
        Columns of the file; their meaning is in the publisher's description.
    """

    path: Path
    station: str
    quantities: Sequence[str] = tuple(_STATION)

    def describe(self) -> Dataset:
        """The quantities asked for; the licence is the publisher's."""
        columns: dict[str, Kind] = {"time": "time"}
        columns |= {_STATION.get(name, name): "number" for name in self.quantities}
        return Dataset(
            f"Météo-France, {self.station}, hourly", "Licence Ouverte 2.0", "Météo-France", columns, None, ""
        )

    def pages(self, dataset: Dataset) -> Iterator[Sequence[Row]]:
        """The station's hours, as the file has them."""
        needed = ["NUM_POSTE", "NOM_USUEL", "AAAAMMJJHH", *self.quantities]
        known: set[str] = set()
        found = False
        try:
            packed: Any = "gzip" if self.path.read_bytes()[:2] == b"\x1f\x8b" else None
            with pd.read_csv(
                self.path,
                sep=";",
                compression=packed,
                dtype=str,
                chunksize=_PAGE,
                usecols=lambda n: n in needed,
            ) as chunks:
                for chunk in chunks:
                    rows, there = self._mine(chunk, needed)
                    known |= there
                    found |= len(rows) > 0
                    yield [_hour(row, self.quantities) for row in rows.to_dict("records")]
        except TranquilliteError:
            raise
        except (ValueError, OSError, EOFError) as error:
            msg = f"{self.path.name} cannot be read as a file of Météo-France: {str(error)[:200]}."
            raise InputDataError(msg) from error
        if not found:
            msg = f"{self.path.name} has no station {self.station!r}.{nearest(self.station, known)}"
            raise InputDataError(msg)

    def _mine(self, chunk: pd.DataFrame, needed: Sequence[str]) -> tuple[pd.DataFrame, set[str]]:
        """Rows of the station, and which stations there are."""
        absent = [name for name in needed if name not in chunk]
        if absent:
            msg = f"{self.path.name} lacks the columns {absent}: another file, or its columns changed."
            raise InputDataError(msg)
        bare = chunk.map(str.strip, na_action="ignore")
        mine = bare[(bare["NUM_POSTE"] == self.station) | (bare["NOM_USUEL"] == self.station)]
        return mine, set(bare["NOM_USUEL"].dropna()) | set(bare["NUM_POSTE"].dropna())


def _hour(row: dict[Any, Any], quantities: Sequence[str]) -> Row:
    stamp = str(row["AAAAMMJJHH"])
    time = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[8:10]}:00:00+00:00"
    values = {_STATION.get(name, name): row[name] if pd.notna(row[name]) else None for name in quantities}
    return {"time": time} | values


def _check_days(first: str, last: str) -> None:
    try:
        sound = date.fromisoformat(first) <= date.fromisoformat(last)
    except ValueError:
        sound = False
    if not sound:
        msg = f"expected two dates such as 2023-01-01, in their order, got {first!r} and {last!r}."
        raise UsageError(msg)
