"""Tables of factors, made from contributions to the log rate: rows are place-periods, columns are terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

KEYS = ("cell", "period_start", "category", "horizon")
_NINE_OF_TEN = (0.05, 0.95)


def summed_by(family_of_each: Sequence[str], held: Floats) -> pd.DataFrame:
    """Contributions, one column a term, summed by family in the order of their first terms.

    Examples
    --------
    >>> summed_by(["history", "calendar", "history"], np.array([[1.0, 2.0, 3.0]])).to_dict("records")
    [{'history': 4.0, 'calendar': 2.0}]
    """
    of = np.array(family_of_each, dtype=object)
    return pd.DataFrame({name: held[:, of == name].sum(axis=1) for name in dict.fromkeys(family_of_each)})


def strongest_first(names: Mapping[str, Sequence[str]], held: Floats) -> pd.DataFrame:
    """One row a column of `held`, shape (n_rows, n_names): its mean size, share and range of factors.

    Examples
    --------
    >>> held = np.log([[1.0, 2.0], [1.0, 0.5]])
    >>> strongest_first({"family": ["calendar", "history"]}, held)[["family", "share", "n"]].values.tolist()
    [['history', 1.0, 2], ['calendar', 0.0, 2]]
    """
    size = np.abs(held).mean(axis=0)
    low, high = np.exp(np.quantile(held, _NINE_OF_TEN, axis=0))
    table = pd.DataFrame(names)
    table["mean_abs"], table["share"] = size, size / max(float(size.sum()), 1e-300)
    table["factor_low"], table["factor_high"], table["n"] = low, high, len(held)
    return table.sort_values("mean_abs", ascending=False, kind="stable", ignore_index=True)


def by_region(region: Sequence[Any], held: pd.DataFrame) -> pd.DataFrame:
    """One row a region and column of `held`: the mean contribution, its factor and the range of factors.

    Examples
    --------
    >>> held = pd.DataFrame({"history": np.log([4.0, 1.0, 3.0])})
    >>> by_region(["north", "north", "south"], held)[["region", "factor", "n"]].round(6).values.tolist()
    [['north', 2.0, 2], ['south', 3.0, 1]]
    """
    groups = held.groupby(np.asarray(region), sort=True)
    found = groups.mean()
    table = pd.DataFrame({"region": found.index.repeat(found.shape[1])})
    table["family"] = np.tile(np.array(found.columns, dtype=object), len(found))
    table["contribution"] = found.to_numpy().ravel()
    table["factor"] = np.exp(table["contribution"])
    for name, q in zip(("factor_low", "factor_high"), _NINE_OF_TEN, strict=True):
        table[name] = np.exp(groups.quantile(q).to_numpy().ravel())
    table["n"] = np.repeat(groups.size().to_numpy(), len(held.columns))
    return table


def ratios(names: Mapping[str, Sequence[str]], here: Floats, there: Floats) -> pd.DataFrame:
    """One row a name: contributions here and there, their difference and its factor, the strongest first.

    Examples
    --------
    >>> ratios({"family": ["history"]}, np.log([6.0]), np.log([2.0]))["ratio"].round(6).tolist()
    [3.0]
    """
    table = pd.DataFrame(names)
    table["here"], table["there"] = here, there
    table["difference"] = table["here"] - table["there"]
    order = np.argsort(-table["difference"].abs().to_numpy(), kind="stable")
    table = table.iloc[order].reset_index(drop=True)
    table["ratio"] = np.exp(table["difference"])
    return table


def long_table(
    rows: pd.DataFrame,
    names: Mapping[str, Sequence[str]],
    held: Floats,
    values: NDArray[np.float32] | None,
) -> pd.DataFrame:
    """One row a place-period and term; texts as categoricals, because each is repeated many times."""
    n_terms = held.shape[1]
    frame: dict[str, Any] = {
        key: rows[key].repeat(n_terms).array if key != "cell" else _repeated(rows[key], n_terms)
        for key in KEYS
    }
    for key, named in names.items():
        listed = list(dict.fromkeys(named))
        codes = np.tile([listed.index(name) for name in named], len(rows))
        frame[key] = pd.Categorical.from_codes(codes, categories=listed)
    if values is not None:
        frame["value"] = values.ravel().astype(np.float64)
    return pd.DataFrame(frame | {"contribution": held.ravel(), "factor": np.exp(held.ravel())})


def _repeated(column: pd.Series[Any], times: int) -> pd.Categorical:
    codes, names = pd.factorize(column)
    return pd.Categorical.from_codes(codes.repeat(times), categories=list(names))
