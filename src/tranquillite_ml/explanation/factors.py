"""Explanation: the factors that multiply to each published expected count, and what can be read off them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.errors import UsageError, check_in, nearest
from tranquillite_ml.explanation.contributions import APART, Term
from tranquillite_ml.explanation.groups import merged_families
from tranquillite_ml.explanation.tables import by_region, long_table, ratios, strongest_first, summed_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = "typical level"
CAUTION = "This describes the computation, not causes."
_CLOCK = ("hour", "weekday", "month")
_MERGE_ROWS = 2000


class Explanation:
    """Factors of each place-period explained: their product is its expected count, checked row by row.

    ``log expected count = log typical level + Σ contributions``, and a factor is the exponential of a
    contribution. The typical level is that of a place where every term is typical; the calibration is a
    factor like the others. Held as arrays of rows × terms. This describes the computation, not causes.

    Attributes
    ----------
    model : str
    rows : DataFrame
        One row a place-period: ``cell, category, cutoff, horizon, period_start, expected_count, lower,
        upper``.
    terms : list of Term
        Name, family and unit of each column.
    data : ndarray of float32, shape (n_rows, n_terms)
        Value of each feature; NaN where it is missing or there is none.
    contributions : ndarray of float64, shape (n_rows, n_terms)
        On the log rate.
    base : ndarray of float64, shape (n_rows,)
        Log of the typical level.
    n_checked : int
        Rows whose product was compared with the published count: all that were explained.
    largest_error : float
        Largest relative difference found.
    level : float
        Nominal coverage of ``lower`` to ``upper``.

    Examples
    --------
    Made by `explain`, which has an example.
    """

    def __init__(
        self,
        model: str,
        rows: pd.DataFrame,
        terms: Sequence[Term],
        *,
        data: NDArray[np.float32],
        contributions: NDArray[np.float64],
        base: NDArray[np.float64],
        n_checked: int,
        largest_error: float,
        level: float,
    ) -> None:
        self.model = model
        self.rows = rows.reset_index(drop=True)
        self.terms = list(terms)
        self.data = data
        self.contributions = contributions
        self.base = base
        self.n_checked = n_checked
        self.largest_error = largest_error
        self.level = level

    # ------------------------------------------------------------------ looking

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def features(self) -> list[str]:
        """Names of the terms, in order."""
        return [term.name for term in self.terms]

    @property
    def families(self) -> list[str]:
        """Names of the families, in order of appearance."""
        return list(dict.fromkeys(self._family_of_each))

    @property
    def _family_of_each(self) -> list[str]:
        return [term.family for term in self.terms]

    def select(self, *, cells: Sequence[str] | None = None, **equal: Any) -> Explanation:
        """Give the rows of some cells, or whose keys equal the values given: ``select(horizon=1)``.

        Raises
        ------
        UsageError
            If a key is unknown or nothing is left.
        """
        mask = np.ones(len(self), dtype=bool)
        if cells is not None:
            mask &= self.rows["cell"].isin(list(cells)).to_numpy()
        for key, value in equal.items():
            mask &= (self.rows[check_in(key, self.rows.columns, "a key")] == value).to_numpy()
        if not mask.any():
            msg = (
                f"nothing explained has {equal or 'these cells'}; there are {len(self)} rows of {self.model}."
            )
            raise UsageError(msg)
        at = np.flatnonzero(mask)
        return self._with(
            rows=self.rows.iloc[at],
            data=self.data[at],
            contributions=self.contributions[at],
            base=self.base[at],
        )

    def family_contributions(self) -> pd.DataFrame:
        """Contributions summed by family: one row a place-period, one column a family.

        The sum is additive like its parts; it is not an Owen value of the family.
        """
        return summed_by(self._family_of_each, self.contributions)

    # ------------------------------------------------------------------ tables

    def to_frame(self) -> pd.DataFrame:
        """The long table, one row a place-period and term.

        Its columns are ``cell, period_start, category, horizon, feature, family, value, contribution,
        factor``. The first line of each place-period is the typical level, so that its factors multiply to
        its expected count.
        """
        names = [LEVEL, *self.features]
        families = [LEVEL, *self._family_of_each]
        nothing = np.full((len(self), 1), np.nan, np.float32)
        return long_table(
            self.rows,
            {"feature": names, "family": families},
            np.hstack([self.base[:, None], self.contributions]),
            np.hstack([nothing, self.data]),
        )

    def by_family(self) -> pd.DataFrame:
        """The long table, one row a place-period and family; columns as in `to_frame`, without features."""
        summed = self.family_contributions()
        held = np.hstack([self.base[:, None], summed.to_numpy()])
        return long_table(self.rows, {"family": [LEVEL, *summed.columns]}, held, None)

    def overview(self, by: str = "family") -> pd.DataFrame:
        """What moves forecasts over all that was explained, the strongest first.

        Parameters
        ----------
        by : {"family", "feature"}, default "family"

        Returns
        -------
        DataFrame
            ``family`` (or ``feature, family``), ``mean_abs`` (mean size of the contribution, as a logarithm),
            ``share`` of the sum of those, ``factor_low, factor_high`` (between them lie nine of ten factors),
            ``n`` (place-periods).
        """
        held, key = self._held(by)
        return strongest_first(key, held)

    def regional(self, by: Mapping[str, Any] | str) -> pd.DataFrame:
        """Mean factor of each family by region, or by hour, weekday or month of the period's start.

        Parameters
        ----------
        by : mapping of cell to region, or {"hour", "weekday", "month"}
            A pandas Series indexed by cell is a mapping, too. Cells it does not know are left out.

        Returns
        -------
        DataFrame
            ``region, family, contribution`` (mean; contributions of a region add up to its mean log rate with
            the typical level, which is a family here), ``factor`` (its exponential), ``factor_low,
            factor_high`` (between them lie nine of ten), ``n`` (place-periods).

        Raises
        ------
        UsageError
            If no cell has a region.
        """
        region = self._regions(by)
        if region.isna().all():
            msg = f"none of the {self.rows['cell'].nunique()} cells explained has a region in `by`."
            raise UsageError(msg)
        held = self.family_contributions()
        held.insert(0, LEVEL, self.base)
        return by_region(region.to_numpy(), held)

    def why(self, cell: str, *, by: str = "family", **key: Any) -> pd.DataFrame:
        """Factors of one place-period, the strongest first, after the typical level they start from.

        Parameters
        ----------
        cell : str
        by : {"family", "feature"}, default "family"
        **key
            ``category``, ``horizon`` or ``cutoff``, where several periods were explained.

        Returns
        -------
        DataFrame
            ``family`` (or ``feature, family, value, unit``), ``contribution, factor``. The factors
            multiply to the expected count.
        """
        row = self._row(cell, key)
        held, names = self._held(by, row)
        table = pd.DataFrame(names)
        if by == "feature":
            table["value"] = self.data[row].astype(np.float64)
            table["unit"] = [term.unit for term in self.terms]
        table["contribution"] = held[0]
        table = table.iloc[np.argsort(-np.abs(held[0]), kind="stable")]
        first = pd.DataFrame({by: [LEVEL], "family": [LEVEL], "contribution": [self.base[row]]})
        table = pd.concat([first.reindex(columns=table.columns), table], ignore_index=True)
        table["factor"] = np.exp(table["contribution"])
        return table

    def why_here_not_there(self, here: str, there: str, *, by: str = "family", **key: Any) -> pd.DataFrame:
        """Ratio of two places' expected counts, taken apart into factors.

        Parameters
        ----------
        here, there : str
            Cells.
        by : {"family", "feature"}, default "family"
        **key
            As for `why`.

        Returns
        -------
        DataFrame
            ``family`` (or ``feature, family``), ``here, there`` (contributions), ``difference, ratio``; the
            ratios multiply to the ratio of the expected counts.
        """
        one, two = self._row(here, key), self._row(there, key)
        first, names = self._held(by, one)
        second, _ = self._held(by, two)
        return ratios(names, first[0], second[0])

    # ------------------------------------------------------------------ in other forms

    def merge_entangled(self, threshold: float = 0.7, *, seed: int = 0) -> Explanation:
        """Give the explanation with families that rise and fall together named, and summed, as one.

        Parameters
        ----------
        threshold : float, default 0.7
            Mean |Spearman's ρ| between the features of two families (average linkage).
        seed : int, default 0
            Of the rows it is measured on, 2,000 at most.
        """
        rng = np.random.default_rng(seed)
        at = rng.permutation(len(self))[:_MERGE_ROWS]
        new = merged_families(self.data[at], self._family_of_each, threshold=threshold, apart=APART)
        return self._with(terms=[Term(t.name, new[t.family], t.unit) for t in self.terms])

    def to_shap(self, *, by: str = "feature") -> Any:
        """Give a `shap.Explanation`, so that every plot of that library works.

        Parameters
        ----------
        by : {"feature", "family"}, default "feature"
            A family has no value of its own: its factor is what those plots show beside its name.
        """
        shap = import_shap()
        held, names = self._held(by)
        data = self.data.astype(np.float64) if by == "feature" else np.exp(held)
        return shap.Explanation(
            values=held,
            base_values=self.base,
            data=data,
            feature_names=list(names[by]),
            output_names="log rate",
        )

    def __repr__(self) -> str:
        return (
            f"Explanation({self.model}: {len(self)} place-periods × {len(self.terms)} terms in "
            f"{len(self.families)} families; largest error {self.largest_error:.0e})"
        )

    def _repr_html_(self) -> str:
        from html import escape

        strongest = ", ".join(escape(name) for name in self.overview()["family"].head(3))
        return (
            f"<p>{escape(repr(self))}</p><p>Factors multiply to the expected count in all {self.n_checked} "
            f"rows. Strongest: {strongest}. {CAUTION}</p>"
        )

    # ------------------------------------------------------------------ how it is done

    def _with(self, **changed: Any) -> Explanation:
        return Explanation(**(vars(self) | changed))

    def _held(self, by: str, row: int | None = None) -> tuple[NDArray[np.float64], dict[str, list[str]]]:
        """Contributions and the names of their columns, of all rows or one."""
        at = slice(None) if row is None else slice(row, row + 1)
        if check_in(by, ("family", "feature"), "by") == "feature":
            return self.contributions[at], {"feature": self.features, "family": self._family_of_each}
        summed = summed_by(self._family_of_each, self.contributions[at])
        return summed.to_numpy(), {"family": list(summed.columns)}

    def _regions(self, by: Mapping[str, Any] | str) -> pd.Series[Any]:
        if isinstance(by, str):
            start = self.rows["period_start"].dt
            clock = {"hour": start.hour, "weekday": start.day_of_week, "month": start.month}
            return clock[check_in(by, _CLOCK, "by")]
        return self.rows["cell"].map(dict(by.items()))

    def _row(self, cell: str, key: Mapping[str, Any]) -> int:
        mask = (self.rows["cell"] == cell).to_numpy()
        if not mask.any():
            msg = f"cell {cell!r} was not explained.{nearest(str(cell), self.rows['cell'].unique())}"
            raise UsageError(msg)
        for name, value in key.items():
            mask = mask & (self.rows[check_in(name, self.rows.columns, "a key")] == value).to_numpy()
        found = np.flatnonzero(mask)
        if len(found) != 1:
            msg = (
                f"cell {cell} was explained for {len(found)} periods with {dict(key)}: "
                "give category, horizon and cutoff so that one is left."
            )
            raise UsageError(msg)
        return int(found[0])


def import_shap() -> Any:
    """Import shap, whose own imports warn of what other libraries will drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    return shap
