"""What a benchmark leaves behind: tables as CSV and Parquet, plots, and a page to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml import plots
from tranquillite_ml.benchmarks.tables import COVERAGES, MEAN, POOLED
from tranquillite_ml.evaluation import hotspot_curve, interval_coverage_table, reliability_curve
from tranquillite_ml.plots.saving import save_plot

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from tranquillite_ml.forecasts import Forecasts


def write_table(table: pd.DataFrame, stem: Path) -> list[Path]:
    """Write a table as ``<stem>.csv`` and ``<stem>.parquet``."""
    csv, parquet = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.parquet")
    table.to_csv(csv, index=False, float_format="%.10g", lineterminator="\n")
    table.to_parquet(parquet, index=False)
    return [csv, parquet]


def write_plots(
    forecasts: Forecasts,
    folder: Path,
    name: str,
    models: Sequence[str],
    *,
    coverage: Sequence[float] = COVERAGES,
) -> list[Path]:
    """Draw hit rate against area with bands, and reliability and interval coverage of the first model.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes.
    folder : Path
    name : str
        End of the files' names.
    models : sequence of str
        Models compared; those that are not there are left out.
    coverage : sequence of float
        Shares of the area.
    """
    chosen = [model for model in dict.fromkeys(models) if model in forecasts.models]
    compared = forecasts.select(model=chosen)
    curve = hotspot_curve(compared, coverage=coverage, boundary="whole")
    first = forecasts.select(model=chosen[0])
    found = save_plot(lambda ax: plots.hotspot_curve(curve, ax), folder / f"hit_rate_{name}")
    reliable = reliability_curve(first)
    found += save_plot(lambda ax: plots.reliability(reliable, ax), folder / f"reliability_{name}")
    if np.isfinite(first.lower).all():
        covered = interval_coverage_table(first)
        found += save_plot(lambda ax: plots.interval_coverage(covered, ax), folder / f"coverage_{name}")
    return found


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Rows as a Markdown table; bars inside cells are escaped.

    Examples
    --------
    >>> print(markdown_table(["method", "n"], [["a|b", 7]]))
    | method | n |
    |---|---|
    | a\|b | 7 |
    """
    lines = [list(header), ["---"] * len(header), *([_cell(part) for part in row] for row in rows)]
    return "\n".join(
        f"| {' | '.join(line)} |" if line[0] != "---" else f"|{'|'.join(line)}|" for line in lines
    )


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def with_interval(row: Mapping[str, Any], digits: int = 3) -> str:
    """A value and its interval as text, a dash where there is none.

    Examples
    --------
    >>> with_interval({"value": 1.2345, "lower": 1.1, "upper": 1.31}, 2)
    '1.23 [1.10, 1.31]'
    >>> with_interval({"value": 1.2345, "lower": float("nan"), "upper": float("nan")}, 2)
    '1.23 [–]'
    """
    if not np.isfinite(row["value"]):
        return "–"
    if not np.isfinite(row["lower"]):
        return f"{row['value']:,.{digits}f} [–]"
    return f"{row['value']:,.{digits}f} [{row['lower']:,.{digits}f}, {row['upper']:,.{digits}f}]"


def write_weekly_page(
    folder: Path, model: str, tables: Mapping[str, pd.DataFrame], check: list[dict[str, Any]] | None
) -> Path:
    """Write ``weekly.md``: the model beside every other method, with intervals and what to mind."""
    folds, scores, compared = tables["folds"], tables["scores"], tables["comparison"]
    series = sorted(folds["series"].unique())
    n = int(folds.loc[folds["method"] == model, "n"].sum())
    n_folds = len(folds[folds["method"] == model])
    parts = [
        "# Weekly benchmark",
        f"Recorded incidents of the next 7 days by cell; {n_folds} folds of {len(series)} series "
        f"({', '.join(series)}), n = {n:,} recorded incidents. Intervals are 95 %, folds resampled whole "
        "and in pairs. Reporting delay is ignored; incidents outside the cells count as missed.",
        f"## {model} beside other methods",
        f"Ratios of hit rates above 1: {model} held more. Gain: nats of log-likelihood over the folds.",
    ]
    parts += [f"### {name}\n\n{_comparison(compared, model, name)}" for name in (POOLED, MEAN, *series)]
    parts += ["## Hit rates and calibration", _scores(scores, [POOLED, *series])]
    if check is not None:
        parts += ["## The protocol's plain methods, recomputed", _check(check)]
    path = folder / "weekly.md"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _comparison(compared: pd.DataFrame, model: str, series: str) -> str:
    mine = compared[(compared["method"] == model) & (compared["series"] == series)]
    measures = [f"hit_rate_ratio_{share:g}" for share in COVERAGES]
    header = ["reference", "folds", *(f"{share:.1%} of area" for share in COVERAGES), "gain (nats)"]
    rows = []
    for reference, part in mine.groupby("reference", sort=False):
        row = part.set_index("measure")
        gain = with_interval(row.loc["log_likelihood_gain"], 0) if "log_likelihood_gain" in row.index else "–"
        ratios = [with_interval(row.loc[name]) for name in measures]
        rows.append([str(reference), int(part["n_folds"].iloc[0]), *ratios, gain])
    return markdown_table(header, rows)


def _scores(scores: pd.DataFrame, names: Sequence[str]) -> str:
    measures = [f"hit_rate_{share:g}" for share in COVERAGES]
    header = [
        "series",
        "method",
        "n",
        *(f"{share:.1%} of area" for share in COVERAGES),
        "recorded / expected",
    ]
    rows = []
    for name in names:
        for method, part in scores[scores["series"] == name].groupby("method", sort=False):
            row = part.set_index("measure")
            rates = [with_interval(row.loc[measure]) for measure in measures]
            rows.append([name, method, f"{part['n'].iloc[0]:,}", *rates, with_interval(row.loc["oe"])])
    return markdown_table(header, rows)


def _check(check: list[dict[str, Any]]) -> str:
    header = [
        "series",
        "method",
        "folds",
        "same n",
        "log-likelihood off by at most",
        "hits off (mean)",
        "at most",
    ]
    names = ("n_equal", "log_likelihood_off", "hits_off", "hits_off_most")
    rows = [
        [
            row["series"],
            row["method"],
            row["n_folds"],
            row["n_equal"],
            *(f"{row[name]:.3f}" for name in names[1:]),
        ]
        for row in check
    ]
    return markdown_table(header, rows)
