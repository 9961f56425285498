"""Tables of a benchmark: what each method held fold by fold, and paired comparisons with other systems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, check_file
from tranquillite_ml.evaluation.bootstrap import percentile_interval, ratio, resample_folds
from tranquillite_ml.evaluation.hotspots import hotspot_totals
from tranquillite_ml.evaluation.scores import map_totals

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tranquillite_ml.forecasts import Forecasts

COVERAGES = (0.005, 0.01, 0.02, 0.05, 0.1)
HITS = tuple(f"hits_{share:g}" for share in COVERAGES)
POOLED, MEAN = "pooled", "mean over series"
_PAIR = ["series", "cutoff"]
_REQUIRED = ("series", "cutoff", "method", "n", *HITS)


def fold_table(forecasts: Forecasts, series: Mapping[str, str]) -> pd.DataFrame:
    """One row a method, series and fold: incidents, hits by share of the area, log-likelihood, expected.

    Parameters
    ----------
    forecasts : Forecasts
        With outcomes, horizon 1.
    series : mapping of str to str
        Name of the series of each category.

    Returns
    -------
    DataFrame
        ``series, cutoff`` (local date as text), ``method, n`` (all incidents, those outside the cells
        included), ``n_outside``, ``hits_0.005`` … ``hits_0.1`` (cells tied at the threshold count with their
        expected share), ``log_likelihood`` (Poisson, without −log y!), ``expected``.
    """
    totals, _ = map_totals(forecasts)
    held = hotspot_totals(forecasts, COVERAGES, boundary="whole")
    cutoff = pd.DatetimeIndex(forecasts.keys["cutoff"]).strftime("%Y-%m-%d")
    columns: dict[str, Any] = {
        "series": forecasts.keys["category"].map(series).to_numpy(dtype=object),
        "cutoff": cutoff.to_numpy(dtype=object),
        "method": forecasts.keys["model"].to_numpy(dtype=object),
        "n": (totals["n_incidents"] + totals["missed"]).round().astype(np.int64),
        "n_outside": totals["missed"].round().astype(np.int64),
    }
    columns |= {name: held[share]["hits"] for name, share in zip(HITS, COVERAGES, strict=True)}
    columns |= {"log_likelihood": totals["poisson_log_likelihood"], "expected": totals["expected"]}
    table = pd.DataFrame(columns)
    return table.sort_values(["series", "method", "cutoff"], ignore_index=True)


def read_reference(path: str | Path) -> pd.DataFrame:
    """Read other systems' figures fold by fold.

    Parameters
    ----------
    path : str or Path
        CSV with ``series, cutoff, method, n, hits_0.005 … hits_0.1`` and, where known, ``log_likelihood``
        and ``expected``.

    Raises
    ------
    InputDataError
        If it cannot be read, lacks a column, or a fold comes twice.
    """
    check_file(path, f"reference figures: CSV with {', '.join(_REQUIRED)}")
    try:
        table = pd.read_csv(path, dtype={"series": str, "cutoff": str, "method": str})
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read as reference figures: {error}."
        raise InputDataError(msg) from error
    missing = [name for name in _REQUIRED if name not in table]
    if missing:
        msg = f"{path} lacks the columns {missing}; reference figures need {list(_REQUIRED)}."
        raise InputDataError(msg)
    twice = table.duplicated([*_PAIR, "method"])
    if twice.any():
        first = table.loc[twice, [*_PAIR, "method"]].iloc[0].to_dict()
        msg = f"{path}: a method may have a fold once; {first} repeats."
        raise InputDataError(msg)
    absent = {name: np.nan for name in ("log_likelihood", "expected") if name not in table}
    return table.assign(**absent)


def score_methods(folds: pd.DataFrame, *, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Hit rates, observed over expected and log-likelihood of each method, by series and over all.

    Parameters
    ----------
    folds : DataFrame
        From `fold_table`.
    n_boot, seed
        Resamples of the folds; folds of different cities are resampled apart.

    Returns
    -------
    DataFrame
        ``series, method, measure, value, lower, upper, n_folds, n``; `series` also holds ``pooled`` and
        ``mean over series`` (sum and mean, for the log-likelihood). Measures: ``hit_rate_…`` by share of the
        area, ``oe``, ``log_likelihood``.
    """
    rows = []
    for method, mine in folds.groupby("method", sort=False):
        draws = _Draws(mine, n_boot, seed)
        sums = draws.sums(mine, ["n", *HITS, "expected", "log_likelihood"])
        measures = {_named("hit_rate", name): (sums[name], sums["n"]) for name in HITS}
        measures["oe"] = (sums["n"], sums["expected"])
        found = {name: _ratios(*parts) for name, parts in measures.items()}
        found["log_likelihood"] = _totals(sums["log_likelihood"])
        rows += [{"method": method, **row} for row in draws.rows(found, sums["n"])]
    return _ordered(rows, ["series", "method", "measure"])


def compare_methods(
    folds: pd.DataFrame, reference: pd.DataFrame, *, n_boot: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Paired comparison of each method with each other system on the folds that both have.

    Parameters
    ----------
    folds : DataFrame
        From `fold_table`.
    reference : DataFrame
        The same columns, of the methods compared with.
    n_boot, seed
        As in `score_methods`.

    Returns
    -------
    DataFrame
        ``series, method, reference, measure, value, lower, upper, n_folds, n``. Measures:
        ``hit_rate_ratio_…`` (*above 1 the method held more*) and ``log_likelihood_gain`` in nats over the
        folds (*above 0 the method is better*). ``pooled`` is the ratio of the pooled hit rates and the
        summed gain; ``mean over series`` is the mean of the series' ratios and of their gains.

    Notes
    -----
    A fold is one draw: all series of a city and cutoff are resampled together
    (`bootstrap.percentile_interval`). Fewer than 5 folds of a city give no interval.
    """
    rows = []
    for (method, mine), (other, theirs) in (
        (a, b)
        for a in folds.groupby("method", sort=False)
        for b in reference.groupby("method", sort=False)
        if a[0] != b[0]
    ):
        both = mine.merge(theirs, on=_PAIR, suffixes=("", "_ref"))
        if both.empty:
            continue
        draws = _Draws(both, n_boot, seed)
        wanted = [*HITS, "n", "log_likelihood"]
        sums = draws.sums(both, [*wanted, *(f"{name}_ref" for name in wanted)])
        found = {
            _named("hit_rate_ratio", name): _hit_ratios(sums[name], sums[f"{name}_ref"], sums)
            for name in HITS
        }
        if both["log_likelihood_ref"].notna().all():
            gain = sums["log_likelihood"] - sums["log_likelihood_ref"]
            found["log_likelihood_gain"] = _totals(gain)
        rows += [{"method": method, "reference": other, **row} for row in draws.rows(found, sums["n"])]
    return _ordered(rows, ["series", "method", "reference", "measure"])


class _Draws:
    """Sums over the folds of each series: as they are (first) and in each resample."""

    def __init__(self, table: pd.DataFrame, n_boot: int, seed: int) -> None:
        self.series = sorted(table["series"].unique())
        city = table["series"].str.split("__").str[0]
        blocks = (
            pd.DataFrame({"city": city, "cutoff": table["cutoff"]})
            .drop_duplicates()
            .sort_values(["city", "cutoff"])
        )
        self.index = pd.MultiIndex.from_frame(blocks)
        sizes = blocks.groupby("city", sort=True).size()
        # Each city has its own draws, or the fold that is lucky in one would be lucky in all.
        drawn = [resample_folds(n, n_boot, seed + number) for number, n in enumerate(sizes.tolist())]
        self.weights = np.vstack([np.ones((1, len(blocks))), np.hstack(drawn)])
        self.folds_of = {name: int(sizes[name.split("__")[0]]) for name in self.series}

    def sums(self, table: pd.DataFrame, names: Iterable[str]) -> dict[str, NDArray[np.float64]]:
        """Sums of some columns, shape (1 + n_boot, n_series)."""
        city = table["series"].str.split("__").str[0]
        block = self.index.get_indexer(pd.MultiIndex.from_arrays([city, table["cutoff"]]))
        series = np.searchsorted(self.series, table["series"].to_numpy(dtype=object))
        found = {}
        for name in names:
            dense = np.zeros((len(self.index), len(self.series)))
            dense[block, series] = table[name].to_numpy(dtype=np.float64)
            found[name] = self.weights @ dense
        return found

    def rows(self, found: Mapping[str, NDArray[np.float64]], n: NDArray[np.float64]) -> list[dict[str, Any]]:
        """Value and interval of each measure, for each series, pooled and as the mean over series."""
        names = [*self.series, POOLED, MEAN]
        fewest = min(self.folds_of.values())
        counts = [*n[0], n[0].sum(), n[0].sum()]
        rows = []
        for measure, values in found.items():
            for column, name in enumerate(names):
                n_folds = self.folds_of.get(name, fewest)
                lower, upper = percentile_interval(values[1:, column], n_folds)
                shown = self.folds_of.get(name, len(self.index))
                row = {"series": name, "measure": measure, "value": values[0, column]}
                rows.append(
                    row | {"lower": lower, "upper": upper, "n_folds": shown, "n": round(counts[column])}
                )
        return rows


def _ratios(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quotients by series, of the pooled sums, and their mean over series."""
    each = ratio(top, bottom)
    return np.column_stack([each, ratio(top.sum(axis=1), bottom.sum(axis=1)), each.mean(axis=1)])


def _totals(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([values, values.sum(axis=1), values.mean(axis=1)])


def _hit_ratios(
    mine: NDArray[np.float64], theirs: NDArray[np.float64], sums: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Ratios of hit rates; where the two grids count a different number of incidents, each has its own."""
    n, n_ref = sums["n"], sums["n_ref"]
    each = ratio(ratio(mine, n), ratio(theirs, n_ref))
    rates = (ratio(part.sum(axis=1), whole.sum(axis=1)) for part, whole in ((mine, n), (theirs, n_ref)))
    return np.column_stack([each, ratio(*rates), each.mean(axis=1)])


def _named(measure: str, hits: str) -> str:
    return f"{measure}_{hits.removeprefix('hits_')}"


def _ordered(rows: Sequence[Mapping[str, Any]], keys: list[str]) -> pd.DataFrame:
    columns = [*keys, "value", "lower", "upper", "n_folds", "n"]
    return pd.DataFrame(list(rows), columns=columns)
