"""The tables' contracts: names, types and units. `tranquillite schema` prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1

INCIDENTS: dict[str, tuple[str, str]] = {
    "incident_id": ("string", "identifier of the record, never of a person"),
    "occurred_at": ("datetime, time zone", "when it is recorded to have happened"),
    "reported_at": ("datetime, time zone", "when the record became known (optional)"),
    "lat": ("float64, degrees", "latitude, WGS 84"),
    "lng": ("float64, degrees", "longitude, WGS 84"),
    "category": ("category", "class of incident"),
}

FORECASTS: dict[str, tuple[str, str]] = {
    "model": ("string", "name of the forecaster"),
    "category": ("string", "class of incident"),
    "cutoff": ("datetime, time zone", "last instant whose reports were used"),
    "horizon": ("int64, periods", "which period after the cutoff, from 1"),
    "cell": ("string", "H3 cell in hexadecimal"),
    "period_start": ("datetime, time zone", "start of the period forecast, included"),
    "period_end": ("datetime, time zone", "end of the period forecast, excluded"),
    "area_km2": ("float64, km²", "true area of the cell"),
    "exposure_hours": ("float64, hours", "real hours in the period, daylight saving included"),
    "expected_count": ("float64, incidents", "mean of the forecast"),
    "distribution": ("string", "poisson, negative_binomial, hurdle, or rank (orders cells, counts nothing)"),
    "dispersion": (
        "float64",
        "α of the negative binomial: variance = mean + α · mean²; of a hurdle above 0",
    ),
    "prob_any": ("float64, 0–1", "probability of at least one recorded incident"),
    "lower": ("float64, incidents", "lower limit of the interval, a whole number"),
    "upper": ("float64, incidents", "upper limit of the interval, a whole number"),
    "level": ("float64, 0–1", "nominal coverage of the interval"),
    "observed_count": ("float64, incidents", "what was recorded; NaN while it is not known"),
}

FORECAST_KEYS = ("model", "category", "cutoff", "horizon")
FORECAST_VALUES = ("expected_count", "dispersion", "prob_any", "lower", "upper", "observed_count")
FORECAST_COLUMNS = tuple(FORECASTS)

QUARANTINE: dict[str, tuple[str, str]] = {
    "file": ("string", "file the row came from"),
    "row": ("int64", "row of that file, from 1"),
    "column": ("string", "column that was refused"),
    "reason": ("string", "why"),
    "value": ("string", "what was found there, shortened"),
}

TABLES = {"incidents": INCIDENTS, "forecasts": FORECASTS, "quarantine": QUARANTINE}


def describe(table: str) -> pd.DataFrame:
    """Columns of one of our tables: ``column, type, meaning``.

    Raises
    ------
    UsageError
        If there is no such table.

    Examples
    --------
    >>> describe("incidents")["column"].tolist()
    ['incident_id', 'occurred_at', 'reported_at', 'lat', 'lng', 'category']
    """
    import pandas as pd

    from tranquillite_ml.errors import check_in

    columns = TABLES[check_in(table, TABLES, "table")]
    return pd.DataFrame(
        [(name, kind, meaning) for name, (kind, meaning) in columns.items()],
        columns=["column", "type", "meaning"],
    )
