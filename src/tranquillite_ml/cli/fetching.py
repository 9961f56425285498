"""Commands that bring a partner's open data to a file: fetch socrata, fetch arcgis and others."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tranquillite_ml.cli.options import JsonOption, QuietOption
from tranquillite_ml.cli.output import clean, emit
from tranquillite_ml.cli.progress import at_work

if TYPE_CHECKING:
    from tranquillite_ml.portals import Portal, Web

TOKEN = "TRANQUILLITE_FETCH_TOKEN"  # noqa: S105 - the name of an environment variable
"""Environment variable with a portal's token; it is sent as the portal wants it and never written."""

Address = Annotated[str, typer.Argument(help="The portal, such as https://data.cityofchicago.org.")]
OutputOption = Annotated[
    str, typer.Option("--output", metavar="FILE", help="The file to write: .parquet or .csv.")
]
ColumnOption = Annotated[
    list[str] | None, typer.Option("--column", help="A column to fetch; all if not given. Repeatable.")
]
DropOption = Annotated[list[str] | None, typer.Option("--drop", help="A column to leave. Repeatable.")]
WhereOption = Annotated[str | None, typer.Option("--where", help="A condition in the portal's own language.")]
BoxOption = Annotated[
    str, typer.Option("--box", metavar="S,W,N,E", help="South, west, north, east in degrees.")
]
CacheOption = Annotated[
    str, typer.Option("--cache", metavar="DIR", help="Where answers are kept, to resume from.")
]
HostOption = Annotated[
    list[str] | None,
    typer.Option("--allow-host", help="One more host that the portal may send to. Repeatable."),
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Ask again for what is kept.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for a byte.")]
LimitOption = Annotated[float, typer.Option("--max-mb", min=1, help="Largest answer.")]
ChangesOption = Annotated[
    bool, typer.Option("--accept-changes", help="Replace a file even if the columns are others now.")
]
CACHE = ".fetched"


@dataclass(frozen=True)
class How:
    """What every fetch can be told."""

    cache: CacheOption = CACHE
    allow_host: HostOption = None
    fresh: FreshOption = False
    timeout: TimeoutOption = 60
    max_mb: LimitOption = 4000
    accept_changes: ChangesOption = False
    quiet: QuietOption = False
    as_json: JsonOption = False

    def web(self, address: str, header: str | None = None, scheme: str = "") -> Web:
        """What asks a portal, which wants its token in a header of that name."""
        from tranquillite_ml.portals import Web

        token = os.environ.get(TOKEN)
        headers = {header: scheme + token} if header is not None and token else {}
        return Web(
            address,
            Path(self.cache),
            self.allow_host or (),
            headers,
            timeout=self.timeout,
            max_mb=self.max_mb,
            fresh=self.fresh,
        )

    def file_web(self, source: str) -> Web:
        """For a file of this machine nothing is asked, whatever the address."""
        return self.web(source if "://" in source else "https://localhost")

    def fetch(self, portal: Portal, web: Web, output: str, source: str | None = None) -> None:
        """Bring a portal's data to a file, and tell of it."""
        from tranquillite_ml.portals import fetch

        changes = self.accept_changes
        with at_work(quiet=self.quiet) as work:
            found = fetch(portal, web, output, accept_changes=changes, source=source, report=work.report)
        self.tell(found)

    def tell(self, found: Mapping[str, Any]) -> None:
        """Print what was fetched."""
        emit(found, as_json=self.as_json, show=_show)


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `How`, and what they say as its argument `how`."""
    own, shared = (inspect.signature(one, eval_str=True) for one in (command, How))
    kept = [one for one in own.parameters.values() if one.name != "how"]
    options = [one.replace(kind=one.KEYWORD_ONLY) for one in shared.parameters.values()]

    @wraps(command)
    def asked(**given: Any) -> None:
        how = How(**{name: given.pop(name) for name in shared.parameters})
        command(**given, how=how)

    asked.__signature__ = own.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    asked.__annotations__ = {one.name: one.annotation for one in (*kept, *options)}
    return asked


@asking
def socrata(
    address: Address,
    dataset: Annotated[str, typer.Argument(help="The data set's identifier, such as ijzp-q8t2.")],
    output: OutputOption,
    *,
    where: WhereOption = None,
    column: ColumnOption = None,
    drop: DropOption = None,
    how: How,
) -> None:
    """Fetch a data set of a Socrata portal (SODA)."""
    from tranquillite_ml.portals import Socrata

    web = how.web(address, "X-App-Token")
    portal = Socrata(web, dataset, where, column or (), drop or ())
    how.fetch(portal, web, output)


@asking
def arcgis(
    address: Annotated[str, typer.Argument(help="The layer: its address ends in /FeatureServer/0.")],
    output: OutputOption,
    *,
    where: Annotated[str, typer.Option("--where", help="A condition in SQL.")] = "1=1",
    column: ColumnOption = None,
    drop: DropOption = None,
    how: How,
) -> None:
    """Fetch a layer of an ArcGIS feature server; points give lat and lng."""
    from tranquillite_ml.portals import ArcGis

    web = how.web(address, "X-Esri-Authorization", "Bearer ")
    portal = ArcGis(web, where, column or (), drop or ())
    how.fetch(portal, web, output)


@asking
def ckan(
    address: Address,
    resource: Annotated[str, typer.Argument(help="The resource's identifier.")],
    output: OutputOption,
    *,
    column: ColumnOption = None,
    drop: DropOption = None,
    how: How,
) -> None:
    """Fetch a resource of a CKAN portal's data store."""
    from tranquillite_ml.portals import Ckan

    web = how.web(address, "Authorization")
    how.fetch(Ckan(web, resource, column or (), drop or ()), web, output)


@asking
def opendatasoft(
    address: Address,
    dataset: Annotated[str, typer.Argument(help="The data set's name.")],
    output: OutputOption,
    *,
    where: WhereOption = None,
    column: ColumnOption = None,
    drop: DropOption = None,
    how: How,
) -> None:
    """Fetch a data set of an Opendatasoft portal (Explore API 2.1)."""
    from tranquillite_ml.portals import Opendatasoft

    web = how.web(address, "Authorization", "Apikey ")
    portal = Opendatasoft(web, dataset, where, column or (), drop or ())
    how.fetch(portal, web, output)


@asking
def police_uk(
    output: OutputOption,
    box: BoxOption,
    *,
    first: Annotated[str, typer.Option("--from", metavar="YYYY-MM", help="First month.")],
    last: Annotated[str, typer.Option("--to", metavar="YYYY-MM", help="Last month.")],
    address: Annotated[str, typer.Option("--address", help="The service.")] = "https://data.police.uk",
    how: How,
) -> None:
    """Fetch street-level records of data.police.uk in a box, month by month."""
    from tranquillite_ml.portals import PoliceUk, parse_box

    web = how.web(address)
    how.fetch(PoliceUk(web, parse_box(box), first, last), web, output)


@asking
def open_meteo(
    output: OutputOption,
    *,
    lat: Annotated[float, typer.Option("--lat", help="Latitude in degrees.")],
    lng: Annotated[float, typer.Option("--lng", help="Longitude in degrees.")],
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="First day.")],
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="Last day.")],
    hourly: Annotated[
        str, typer.Option("--hourly", help="Quantities under the service's names.")
    ] = "temperature_2m,precipitation,wind_speed_10m",
    address: Annotated[
        str, typer.Option("--address", help="The service.")
    ] = "https://archive-api.open-meteo.com",
    how: How,
) -> None:
    """Fetch past hourly weather of a point from Open-Meteo, in UTC."""
    from tranquillite_ml.portals import OpenMeteo

    web = how.web(address)
    portal = OpenMeteo(web, lat, lng, first, last, tuple(hourly.split(",")))
    how.fetch(portal, web, output)


Source = Annotated[str, typer.Argument(help="A file of this machine, or its address.")]


@asking
def meteo_france(
    source: Source,
    output: OutputOption,
    *,
    station: Annotated[str, typer.Option("--station", help="Number or name of the station.")],
    how: How,
) -> None:
    """Take a station's hours out of a file of Météo-France's hourly base (CSV, .gz too), in UTC."""
    from tranquillite_ml.portals import MeteoFrance, local_or_fetched

    web = how.file_web(source)
    portal = MeteoFrance(local_or_fetched(source, web), station)
    how.fetch(portal, web, output, source)


@asking
def osm(
    source: Source,
    output: OutputOption,
    *,
    kind: Annotated[
        list[str], typer.Option("--type", help="bar, school, station, … or name:key=value. Repeatable.")
    ],
    how: How,
) -> None:
    """Take places of some types out of an OpenStreetMap extract (.osm.pbf)."""
    from tranquillite_ml.portals import OsmPoints, local_or_fetched, parse_types

    web, types = how.file_web(source), parse_types(kind)
    portal = OsmPoints(local_or_fetched(source, web), types)
    how.fetch(portal, web, output, source)


@asking
def insee(
    source: Source,
    output: OutputOption,
    *,
    column: ColumnOption = None,
    box: Annotated[str | None, typer.Option("--box", metavar="S,W,N,E", help="Squares to keep.")] = None,
    how: How,
) -> None:
    """Turn a CSV of INSEE's squares into GeoParquet: inhabitants and households, or the columns named."""
    from tranquillite_ml.portals import insee_squares, local_or_fetched, note, parse_box

    web, path = how.file_web(source), Path(output)
    with at_work(quiet=how.quiet):
        kept = None if box is None else parse_box(box)
        dataset, n = insee_squares(
            local_or_fetched(source, web), path, columns=column or ("Ind", "Men"), box=kept
        )
        found = note(path, dataset, web, n, source)
    how.tell(found)


@asking
def file(
    address: Annotated[str, typer.Argument(help="The file's address.")],
    output: Annotated[str, typer.Option("--output", metavar="FILE", help="The file to write, as it is.")],
    *,
    licence: Annotated[str, typer.Option("--licence", help="Its licence, as its page says.")] = "",
    attribution: Annotated[str, typer.Option("--attribution", help="Who must be named.")] = "",
    how: How,
) -> None:
    """Fetch one file as it is, resumed if it came half, with its SHA-256."""
    from tranquillite_ml.portals import keep_file

    web = how.web(address)
    with at_work(quiet=how.quiet):
        found = keep_file(web, address, output, licence, attribution)
    how.tell(found)


COMMANDS: tuple[tuple[Callable[..., None], str], ...] = (
    (
        socrata,
        'socrata https://data.cityofchicago.org ijzp-q8t2 --where "year=2023" --output chicago.parquet',
    ),
    (arcgis, "arcgis https://services.arcgis.com/…/FeatureServer/0 --output trees.parquet"),
    (ckan, "ckan https://data.example.org 0f3b0ad2-… --output works.csv"),
    (opendatasoft, "opendatasoft https://opendata.paris.fr dans-ma-rue --output paris.parquet"),
    (
        police_uk,
        "police-uk --box 52.60,-1.20,52.70,-1.05 --from 2024-01 --to 2024-06 --output leicester.parquet",
    ),
    (open_meteo, "open-meteo --lat 43.30 --lng 5.37 --from 2020-01-01 --to 2024-12-31 --output weather.csv"),
    (meteo_france, "meteo-france H_13_2020-2023.csv.gz --station MARIGNANE --output weather.csv"),
    (osm, "osm city.osm.pbf --type bar --type market:amenity=marketplace --output places.parquet"),
    (insee, "insee carreaux_200m.csv --box 43.2,5.2,43.4,5.6 --output squares.parquet"),
    (file, "file https://example.org/bus-stops.geojson --output stops.geojson"),
)
"""Each source's command, and an example of its use."""


def _show(found: Mapping[str, Any]) -> Iterator[str]:
    rows = "" if found["rows"] is None else f"{found['rows']:,} rows, {len(found['columns'])} columns of "
    yield f"{rows}{clean(found['title'])}"
    yield f"  written    {clean(found['output'])} (sha256 {found['sha256'][:16]}…)"
    kept = f"{found['answers']} answers, {found['cached']} from the cache"
    yield f"  source     {clean(found['address'])}: {kept}"
    yield f"  licence    {clean(found['licence']) or 'not stated: look at the portal before use'}"
    yield f"  to name    {clean(found['attribution']) or 'not stated'}"
    if found["left_out"]:
        yield f"  left out   {clean(', '.join(found['left_out']), 80)}: neither text, number, time nor point"
    yield "Its note, with every answer's SHA-256, is beside it."
