"""Accuracy: the weekly protocol on the four open series, beside other systems' figures on the same folds.

Where a bar is about an interval, the figure is the end or the point of the interval that the bar is about.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from common import DATA, SHARED, Bar, figure

from tranquillite_ml import Forecasts, interval_coverage_table, pit_table, read_forecasts
from tranquillite_ml.benchmarks import City, model_maker, read_reference, run_weekly

FILES = [DATA / name / "incidents.parquet" for name in ("stlouis", "chicago")]
FIGURES = SHARED / "design" / "benchmark_weekly.csv"
REFERENCE, BASE = "reference_lightgbm", "h3_smoothed365"
MORE = "hit rate over that of the best other method in the file"

BARS = {
    "gain_least": Bar(
        "log-likelihood beside the reference model: lower end of the interval, worst series, "
        "as a share of the reference's gain over smoothed counts",
        "%",
        least=-1,
    ),
    "gain": Bar("log-likelihood beside the reference model, sum over the series", "nats", least=0),
    "hits_0.05": Bar(f"{MORE}, 5 % of the area, pooled", "×", least=1),
    "hits_0.1": Bar(f"{MORE}, 10 % of the area, pooled", "×", least=1),
    "worst_0.05": Bar(f"{MORE}, 5 % of the area, worst series", "×", least=0.98),
    "worst_0.1": Bar(f"{MORE}, 10 % of the area, worst series", "×", least=0.98),
    "hits_0.01": Bar(f"{MORE}, 1 % of the area, pooled", "×"),
    "worst_0.01": Bar(f"{MORE}, 1 % of the area, worst series", "×"),
    "oe": Bar(
        "recorded over expected: the point of its interval nearest 1, pooled", "", least=0.95, most=1.05
    ),
    "oe_worst": Bar("the same, series furthest from 1", "", least=0.95, most=1.05),
    "coverage": Bar("coverage of 90 % intervals, lowest quartile of activity of a city", "%", least=88),
    "pit": Bar(
        "bins of the randomised PIT, by quartile of activity, outside the simulated null band", "bins", most=0
    ),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    if not all(file.is_file() for file in (*FILES, FIGURES)):
        missing = "needs ../shared/data/{stlouis,chicago} and ../shared/design/benchmark_weekly.csv"
        return {name: figure(None, note=missing) for name in BARS}
    return run([City(file) for file in FILES], FIGURES)


def run(cities: list[City], figures: Path, model: str = "lightgbm") -> dict[str, Any]:
    """Run the protocol and read the table's figures off its results."""
    with tempfile.TemporaryDirectory() as folder:
        done = run_weekly(
            cities, output=folder, make_model=model_maker(model), reference=figures, report=_tell
        )
        maps = {city.name: read_forecasts(Path(folder, f"forecasts_{city.name}.parquet")) for city in cities}
    compared, scores = pd.DataFrame(done["comparison"]), pd.DataFrame(done["scores"])
    mine = scores[scores["method"] == done["model"]]
    kept = {name: found.select(model=done["model"]) for name, found in maps.items()}
    reference = read_reference(figures)
    n = f"n = {done['n_incidents']:,}"
    return _gains(compared, reference, n) | _hits(compared, reference) | _calibration(mine) | _intervals(kept)


def _tell(what: str, done: int, total: int) -> None:
    if done in {0, total}:
        print(f"  {what} {done}/{total}", file=sys.stderr, flush=True)


def _gains(compared: pd.DataFrame, reference: pd.DataFrame, n: str) -> dict[str, Any]:
    """Gain over the reference model: in sum, and the worst lower end beside the reference's own gain."""
    rows = compared[(compared["reference"] == REFERENCE) & (compared["measure"] == "log_likelihood_gain")]
    rows = rows.set_index("series")
    sums = reference.groupby(["method", "series"])["log_likelihood"].sum()
    own = {name: sums[REFERENCE, name] - sums[BASE, name] for name in _series(rows.index)}
    least = {name: 100 * rows.loc[name, "lower"] / gain for name, gain in own.items()}
    worst = min(least, key=lambda name: (pd.notna(least[name]), least[name]))
    said = "; ".join(f"{name} {_interval(rows.loc[name], 0)} of {gain:.0f}" for name, gain in own.items())
    pooled = rows.loc["pooled"]
    return {
        "gain_least": figure(least[worst], beside=said, note=f"{worst}; {n}"),
        "gain": figure(pooled["value"], beside=_interval(pooled, 0), note=f"{pooled['n_folds']} folds"),
    }


def _hits(compared: pd.DataFrame, reference: pd.DataFrame) -> dict[str, Any]:
    """Least ratio of hit rates over the methods of the file, pooled and on the worst series."""
    rows = compared[compared["reference"].isin(reference["method"].unique())]
    found = {}
    for share in ("0.01", "0.05", "0.1"):
        part = rows[rows["measure"] == f"hit_rate_ratio_{share}"]
        for name, some in (
            (f"hits_{share}", part[part["series"] == "pooled"]),
            (f"worst_{share}", part[part["series"].isin(_series(part["series"]))]),
        ):
            row = some.loc[some["value"].idxmin()]
            where = "" if row["series"] == "pooled" else f"{row['series']}, "
            folds = f"{row['n_folds']} folds, n = {row['n']:,}"
            found[name] = figure(
                row["value"], beside=f"{row['reference']}, {_interval(row, 3)}", note=where + folds
            )
    return found


def _calibration(mine: pd.DataFrame) -> dict[str, Any]:
    """Recorded over expected: the point of the interval that is nearest 1."""
    rows = mine[mine["measure"] == "oe"].set_index("series")
    nearest = rows["lower"].clip(lower=1).where(rows["lower"] > 1, rows["upper"].clip(upper=1))
    each = nearest[_series(rows.index)]
    worst = (each - 1).abs().idxmax() if each.notna().any() else each.index[0]
    said = "; ".join(f"{name} {_interval(rows.loc[name], 3)}" for name in each.index)
    return {
        "oe": figure(nearest["pooled"], beside=_interval(rows.loc["pooled"], 3)),
        "oe_worst": figure(each[worst], beside=said, note=str(worst)),
    }


def _intervals(maps: Mapping[str, Forecasts]) -> dict[str, Any]:
    """Coverage in the worst quartile of activity, and how often the PIT leaves its null band."""
    covered = pd.concat([interval_coverage_table(found).assign(city=name) for name, found in maps.items()])
    worst = covered.sort_values("coverage").iloc[0]
    low, high = (100 * worst[f"coverage_{end}"] for end in ("lower", "upper"))
    bins = pd.concat([pit_table(found).assign(city=name) for name, found in maps.items()])
    out = bins[~bins["inside"]]
    said = ", ".join(f"{r.city} quartile {r.stratum} bin {r.bin}: {r.share:.4f}" for r in out.itertuples())
    where = f"{worst['city']}, quartile {worst['stratum']}, n = {worst['n']:,}"
    return {
        "coverage": figure(100 * worst["coverage"], beside=f"[{low:.1f}, {high:.1f}]", note=where),
        "pit": figure(len(out), beside=f"of {len(bins)}", note=said),
    }


def _series(names: Any) -> list[str]:
    """Single series among the names of a table."""
    return sorted({name for name in names if "__" in name})


def _interval(row: Any, digits: int) -> str:
    return f"{row['value']:,.{digits}f} [{row['lower']:,.{digits}f}, {row['upper']:,.{digits}f}]"
