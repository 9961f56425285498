"""The last forecast as files that other programs open: GeoParquet, GeoJSON and CSV."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.limits import LIMITS_IN_BRIEF, LIMITS_OF_USE
from tranquillite_ml.runfolder import harmless

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    from tranquillite_ml.forecasts import Forecasts

SIGNIFICANT = 6
_EXACT_POWERS = 22  # the last power of ten that a float64 holds exactly


def write_exports(
    forecasts_latest: Forecasts, folder: str | Path, *, notice: str | None = None
) -> list[Path]:
    """Write the last cutoff as ``forecast.geoparquet``, ``forecast.geojson`` and ``forecast.csv``.

    The three hold the same rows, one a cell and map, with columns as ``tranquillite schema forecasts`` prints
    them and numbers of six significant digits; equal forecasts give equal bytes. ``forecast.parquet`` of the
    run holds the numbers in full.

    Each carries the limits of use: GeoParquet as the metadata ``limits_of_use`` (JSON, by language), GeoJSON
    as its ``description``, and CSV, where a comment would break readers, as a column ``limits_of_use``.

    Parameters
    ----------
    forecasts_latest : Forecasts
        Only the last cutoff is written.
    folder : str or Path
        Made if it does not exist.
    notice : str, optional
        What a reader of each row must know, such as that the data is simulated: a column of its own.

    Returns
    -------
    list of Path
        The files, in the order above.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    frame = _plain(forecasts_latest.latest().to_geodataframe())
    if notice is not None:
        frame.insert(len(frame.columns) - 1, "notice", notice)
    writers: dict[str, Callable[[Path], Any]] = {
        "forecast.geoparquet": lambda path: _write_parquet(frame, path),
        "forecast.geojson": lambda path: _write_geojson(frame, path),
        "forecast.csv": lambda path: _write_csv(frame, path),
    }
    return [_replace(folder / name, write) for name, write in writers.items()]


def significant(values: NDArray[np.float64], digits: int = SIGNIFICANT) -> NDArray[np.float64]:
    """Round numbers to so many significant digits; they print as short as that.

    Examples
    --------
    >>> significant(np.array([0.1 + 0.2, 1234567.0, 0.0, np.nan])).tolist()
    [0.3, 1234570.0, 0.0, nan]
    """
    values = np.asarray(values, dtype=np.float64)
    size = np.abs(np.where(np.isfinite(values) & (values != 0), values, 1.0))
    places = np.minimum(digits - 1 - np.floor(np.log10(size)), _EXACT_POWERS)
    # Whole numbers over or times an exact power of ten are the nearest floats to their decimals.
    fine, coarse = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)
    rounded: NDArray[np.float64] = np.round(values * fine / coarse) / fine * coarse
    return rounded


def _plain(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The table with plain text columns and rounded numbers."""
    for name in frame.columns.drop("geometry"):
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            frame[name] = column.astype(object).astype(str)
        elif column.dtype.kind == "f":
            frame[name] = significant(column.to_numpy())
    return frame


def _texts(frame: pd.DataFrame) -> dict[str, Any]:
    """Moments as ISO 8601 with their offset."""
    moments = [name for name in frame if isinstance(frame[name].dtype, pd.DatetimeTZDtype)]
    return {str(name): _isoformat(frame[name]) for name in moments}


def _isoformat(column: pd.Series[Any]) -> Any:
    seen = {moment: moment.isoformat() for moment in column.unique()}
    return column.map(seen).astype(object)


def _write_parquet(frame: gpd.GeoDataFrame, path: Path) -> None:
    import pyarrow.parquet as pq

    with warnings.catch_warnings():
        # pyarrow 25 reads columns with a time zone in a way that pandas 3.1 announces to change.
        warnings.filterwarnings("ignore", message=r"Series\.values", category=DeprecationWarning)
        frame.to_parquet(path, index=False, compression="zstd")
    table = pq.read_table(path)
    said = {b"limits_of_use": json.dumps(dict(LIMITS_OF_USE), ensure_ascii=False).encode()}
    pq.write_table(table.replace_schema_metadata(said | table.schema.metadata), path, compression="zstd")


def _write_geojson(frame: gpd.GeoDataFrame, path: Path) -> None:
    options = {"COORDINATE_PRECISION": 6, "SIGNIFICANT_FIGURES": SIGNIFICANT}
    frame.assign(**_texts(frame)).to_file(
        path,
        driver="GeoJSON",
        engine="pyogrio",
        layer="forecast",
        DESCRIPTION="\n".join(LIMITS_OF_USE.values()),
        **options,
    )


def _write_csv(frame: gpd.GeoDataFrame, path: Path) -> None:
    table = pd.DataFrame(frame.drop(columns="geometry")).assign(**_texts(frame))
    for name in ("model", "category", "cell", "distribution", "notice"):
        if name in table:
            seen = {text: harmless(text) for text in table[name].unique()}
            table[name] = table[name].map(seen)
    table["limits_of_use"] = LIMITS_IN_BRIEF
    table.to_csv(path, index=False, encoding="utf-8", lineterminator="\n", float_format=f"%.{SIGNIFICANT}g")


def _replace(path: Path, write: Callable[[Path], Any]) -> Path:
    """Write a file under a temporary name, then give it its own."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    write(partial)
    return partial.replace(path)
