"""Open-data portals and files of partners, brought to one file with licence and checksums."""

from tranquillite_ml.portals.arcgis import ArcGis
from tranquillite_ml.portals.ckan import Ckan
from tranquillite_ml.portals.dataset import Dataset, Portal
from tranquillite_ml.portals.fetching import fetch, keep_file, local_or_fetched, note
from tranquillite_ml.portals.opendatasoft import Opendatasoft
from tranquillite_ml.portals.police_uk import PoliceUk, parse_box
from tranquillite_ml.portals.shapes import OSM_TYPES, OsmPoints, insee_squares, parse_types
from tranquillite_ml.portals.socrata import Socrata
from tranquillite_ml.portals.weather import MeteoFrance, OpenMeteo
from tranquillite_ml.portals.web import Web

__all__ = [
    "OSM_TYPES",
    "ArcGis",
    "Ckan",
    "Dataset",
    "MeteoFrance",
    "OpenMeteo",
    "Opendatasoft",
    "OsmPoints",
    "PoliceUk",
    "Portal",
    "Socrata",
    "Web",
    "fetch",
    "insee_squares",
    "keep_file",
    "local_or_fetched",
    "note",
    "parse_box",
    "parse_types",
]
