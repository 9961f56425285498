"""The tables' contracts: names, types, units, makers, and what could point at a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1

NO = "no"
"""Says nothing of a person, alone or joined with the other columns."""
INDIRECT = "indirectly"
"""Names nobody, but the place and time of one record can point at the person it concerns."""

PUBLISHER = "publisher"
READING = "reading"
MODEL = "model"


class Entry(NamedTuple):
    """One column of a table.

    Attributes
    ----------
    type, meaning : str
        Type with its unit, and what the column holds.
    made_by : str
        ``publisher`` (who gives the records), ``reading`` (`read_incidents`, `read_context`) or ``model``.
    personal : str
        ``no``, or ``indirectly``: the place and time of a record can point at a person. Columns that describe
        persons are never read.
    """

    type: str
    meaning: str
    made_by: str
    personal: str = NO


INCIDENTS: dict[str, Entry] = {
    "incident_id": Entry("string", "identifier of the record, never of a person", PUBLISHER, INDIRECT),
    "occurred_at": Entry("datetime, time zone", "when it is recorded to have happened", PUBLISHER, INDIRECT),
    "occurred_from": Entry(
        "datetime, time zone", "from when it may have happened, included (optional)", PUBLISHER, INDIRECT
    ),
    "occurred_to": Entry(
        "datetime, time zone", "until when it may have happened, excluded (optional)", PUBLISHER, INDIRECT
    ),
    "reported_at": Entry(
        "datetime, time zone", "when the record became known (optional)", PUBLISHER, INDIRECT
    ),
    "lat": Entry("float64, degrees", "latitude, WGS 84", PUBLISHER, INDIRECT),
    "lng": Entry("float64, degrees", "longitude, WGS 84", PUBLISHER, INDIRECT),
    "category": Entry("category", "class of incident", PUBLISHER),
    "duplicate": Entry(
        "bool", "repeats time, place and category of an earlier row (with duplicates: flag)", READING
    ),
}

CONTEXT: dict[str, Entry] = {
    "known_at": Entry(
        "datetime, time zone", "since when the row was known; missing: always", PUBLISHER + " or " + READING
    ),
    "valid_from": Entry(
        "datetime, time zone", "from when it holds, included; missing: without begin", PUBLISHER
    ),
    "valid_to": Entry(
        "datetime, time zone", "up to when it holds, excluded; missing: without end", PUBLISHER
    ),
    "lat": Entry("float64, degrees", "latitude, WGS 84 (events, points, operations)", PUBLISHER),
    "lng": Entry("float64, degrees", "longitude, WGS 84 (events, points, operations)", PUBLISHER),
    "type": Entry("string", "what it is: bar, school, football (at most 100 words)", PUBLISHER),
    "attendance": Entry("float64, persons", "people expected at an event; a number, never who", PUBLISHER),
    "(values)": Entry(
        "float64, as in the layer",
        "each column of numbers under its own name (series, calendar, areas, operations)",
        PUBLISHER,
    ),
    "geometry": Entry("shape, degrees", "lines or areas as longitude and latitude, WGS 84", PUBLISHER),
}

FORECASTS: dict[str, Entry] = {
    "model": Entry("string", "name of the forecaster", MODEL),
    "category": Entry("string", "class of incident", MODEL),
    "cutoff": Entry("datetime, time zone", "last instant whose reports were used", MODEL),
    "horizon": Entry("int64, periods", "which period after the cutoff, from 1", MODEL),
    "cell": Entry("string", "H3 cell in hexadecimal", MODEL),
    "period_start": Entry("datetime, time zone", "start of the period forecast, included", MODEL),
    "period_end": Entry("datetime, time zone", "end of the period forecast, excluded", MODEL),
    "area_km2": Entry("float64, km²", "true area of the cell", MODEL),
    "exposure_hours": Entry("float64, hours", "real hours in the period, daylight saving included", MODEL),
    "expected_count": Entry("float64, incidents", "mean of the forecast", MODEL),
    "distribution": Entry(
        "string", "poisson, negative_binomial, hurdle, or rank (orders cells, counts nothing)", MODEL
    ),
    "dispersion": Entry(
        "float64", "α of the negative binomial: variance = mean + α · mean²; of a hurdle above 0", MODEL
    ),
    "prob_any": Entry("float64, 0–1", "probability of at least one recorded incident", MODEL),
    "lower": Entry("float64, incidents", "lower limit of the interval, a whole number", MODEL),
    "upper": Entry("float64, incidents", "upper limit of the interval, a whole number", MODEL),
    "level": Entry("float64, 0–1", "nominal coverage of the interval", MODEL),
    "observed_count": Entry("float64, incidents", "what was recorded; NaN while it is not known", READING),
}

FORECAST_KEYS = ("model", "category", "cutoff", "horizon")
FORECAST_VALUES = ("expected_count", "dispersion", "prob_any", "lower", "upper", "observed_count")
FORECAST_COLUMNS = tuple(FORECASTS)

QUARANTINE: dict[str, Entry] = {
    "file": Entry("string", "file the row came from", READING),
    "row": Entry("int64", "row of that file, from 1", READING, INDIRECT),
    "column": Entry("string", "column that was refused", READING),
    "reason": Entry("string", "why", READING),
    "value": Entry(
        "string", "what was found there, shortened; stored with places blurred to 10 km", PUBLISHER, INDIRECT
    ),
}

TABLES = {"incidents": INCIDENTS, "context": CONTEXT, "forecasts": FORECASTS, "quarantine": QUARANTINE}

ABOUT = {
    "incidents": "One row a record. In memory only: a run stores counts by cell, never these rows.",
    "context": "One row of a layer of the city's other records, whatever its kind. No row is about a person.",
    "forecasts": "One row a model, category, cutoff, horizon and cell.",
    "quarantine": "One row a refused row, so that what was read adds up.",
}
"""What a row of each table is."""


def describe(table: str) -> pd.DataFrame:
    """Columns of one of our tables: ``column, type, meaning, made_by, personal``.

    Raises
    ------
    UsageError
        If there is no such table.

    Examples
    --------
    >>> describe("incidents")["column"].tolist()
    ['incident_id', 'occurred_at', 'occurred_from', 'occurred_to', 'reported_at', 'lat', 'lng', 'category',
     'duplicate']
    >>> set(describe("forecasts")["personal"])
    {'no'}
    """
    import pandas as pd

    from tranquillite_ml.errors import check_in

    columns = TABLES[check_in(table, TABLES, "table")]
    return pd.DataFrame(
        [(name, *entry) for name, entry in columns.items()], columns=["column", *Entry._fields]
    )
