"""How late records become known: the share that is known after so many days, by category or district."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.errors import InputDataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tranquillite_ml.intake.incidents import Incidents

DAYS = (1, 2, 3, 7, 14, 28, 56, 91, 182, 365)
_Z = 1.959964  # of a 95 % interval


def reporting_delay(
    incidents: Incidents,
    *,
    by: str | ArrayLike | None = "category",
    days: Sequence[float] = DAYS,
) -> pd.DataFrame:
    """Share of records that are known so many days after they occurred.

    A record that will be reported later than the data end is not in the data: the last weeks always look
    prompter than they are. The estimate takes that into account.

    Parameters
    ----------
    incidents : Incidents
        With ``reported_at``.
    by : "category", array of shape (n_rows,) or None, default "category"
        One curve for each category, for each value of an array such as the district of each row, or one for
        all.
    days : sequence of float, default (1, 2, 3, 7, 14, 28, 56, 91, 182, 365)

    Returns
    -------
    DataFrame
        ``group, days, share, lower, upper, n, n_late`` (later than these days), ``longest`` (days that could
        have been seen: shares are of the records known within them).

    Raises
    ------
    InputDataError
        If there is no ``reported_at``.
    UsageError
        If days are not above 0, or `by` has another length.

    Notes
    -----
    Records are truncated on the right by the end of the data. In reverse time that is truncation on the left,
    so that the product-limit estimator applies (Lagakos, Barraj and De Gruttola 1988,
    doi:10.1093/biomet/75.3.515): F(d) = Π over delays x > d of (1 − records with delay x / records with delay
    ≤ x that could have been seen at x), those that occurred at least x before the end. It is the
    distribution given that a record is known within the longest delay that could be seen. Intervals are
    Greenwood's on the log-log scale, records as independent.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> city = simulate_city(seed=0, days=120, radius_km=1.5)
    >>> table = reporting_delay(city.incidents, by=None, days=[1, 28])
    >>> bool(table["share"].is_monotonic_increasing), table["days"].tolist()
    (True, [1.0, 28.0])
    """
    table = incidents.table
    if "reported_at" not in table:
        msg = (
            "there is no reported_at, so delays cannot be told: name its column, `columns: {reported_at: …}`."
        )
        raise InputDataError(msg)
    asked = np.sort(np.asarray(days, dtype=np.float64))
    if len(asked) == 0 or not (asked > 0).all():
        msg = f"days must be above 0, got {list(days)}."
        raise UsageError(msg)
    known = table["reported_at"].notna().to_numpy()
    delay = _days(table["reported_at"] - table["occurred_at"])
    end = table["reported_at"].max()
    window = _days(end - table["occurred_at"])
    rows = []
    for name, mask in _groups(table, by).items():
        chosen = mask & known
        shares = _product_limit(delay[chosen], window[chosen], asked)
        rows.append(pd.DataFrame({"group": name, "days": asked, **shares}))
    return pd.concat(rows, ignore_index=True)


def _days(span: pd.Series[pd.Timedelta]) -> NDArray[np.float64]:
    return np.asarray(span.dt.total_seconds() / 86_400, dtype=np.float64)


def _groups(table: pd.DataFrame, by: str | ArrayLike | None) -> Mapping[str, NDArray[np.bool_]]:
    if by is None:
        return {"all": np.ones(len(table), dtype=bool)}
    values = table["category"].astype(str).to_numpy() if isinstance(by, str) else np.asarray(by)
    if isinstance(by, str) and by != "category":
        msg = f"by must be 'category', None or an array with a value a row, got {by!r}."
        raise UsageError(msg)
    if len(values) != len(table):
        msg = f"by must have a value for each of {len(table)} rows, got {len(values)}."
        raise UsageError(msg)
    return {str(name): np.asarray(values == name) for name in sorted(pd.unique(values), key=str)}


def _product_limit(
    delay: NDArray[np.float64], window: NDArray[np.float64], asked: NDArray[np.float64]
) -> dict[str, NDArray[np.float64] | int | float]:
    """Lagakos' estimate at the asked delays, with Greenwood's interval."""
    n = len(delay)
    if n == 0:
        empty = np.full(len(asked), np.nan)
        return {"share": empty, "lower": empty, "upper": empty, "n": 0, "n_late": 0, "longest": np.nan}
    points, count = np.unique(delay, return_counts=True)
    # At risk at x: delays up to x, less those that occurred too late for a delay of x to be seen.
    at_risk = np.searchsorted(np.sort(delay), points, "right") - np.searchsorted(np.sort(window), points)
    at_risk = np.maximum(at_risk, count)
    kept = at_risk > count
    log_step = np.where(kept, np.log1p(-count / at_risk, where=kept, out=np.zeros(len(points))), 0.0)
    greenwood = np.where(kept, count / (at_risk * np.where(kept, at_risk - count, 1.0)), 0.0)
    # Nothing remains below a point where all at risk are reported: the product is zero there.
    dead = np.cumsum((~kept)[::-1])[::-1]
    after = np.searchsorted(points, asked, "right")
    log_share = np.append(np.cumsum(log_step[::-1])[::-1], 0.0)[after]
    variance = np.append(np.cumsum(greenwood[::-1])[::-1], 0.0)[after]
    share = np.where(np.append(dead, 0)[after] > 0, 0.0, np.exp(log_share))
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.exp(_Z * np.sqrt(variance) / np.abs(np.log(share)))
        lower, upper = share**spread, share ** (1 / spread)
    sure = (share <= 0) | (share >= 1)
    return {
        "share": share,
        "lower": np.where(sure, share, lower),
        "upper": np.where(sure, share, upper),
        "n": n,
        "n_late": np.array([(delay > day).sum() for day in asked]),
        "longest": float(points[-1]),
    }


def incomplete_days(delay: pd.DataFrame, *, share: float = 0.95) -> pd.Series[float]:
    """Days at the end of the data in which less than a share of the records is known yet, by group.

    Parameters
    ----------
    delay : DataFrame
        From `reporting_delay`.
    share : float, default 0.95

    Returns
    -------
    Series
        The first of the asked days at which the share is reached; infinite if it never is.

    Raises
    ------
    UsageError
        If the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        msg = f"share must lie between 0 and 1, got {share}."
        raise UsageError(msg)
    reached = delay[delay["share"] >= share].groupby("group")["days"].min()
    return reached.reindex(pd.unique(delay["group"])).fillna(np.inf)
