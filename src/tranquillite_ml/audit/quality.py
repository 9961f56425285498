"""C28: what is missing, late, misplaced or entered twice, and whether more so in some groups' places."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.blocks import parents_of
from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Definition, Finding
from tranquillite_ml.evaluation.bootstrap import percentile_interval
from tranquillite_ml.grids import open_grid
from tranquillite_ml.intake.canonical import instants_us
from tranquillite_ml.intake.guards import repeats_of_previous

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.audit.groups import Groups
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.intake import Incidents

    Masks = dict[str, NDArray[np.bool_]]

NO_GROUPS = {
    "en": "no groups of places were given, so that missing figures cannot be compared",
    "fr": "aucun groupe de lieux n'est donné : les manques ne peuvent être comparés",
}
NOTHING_MISSING = {
    "en": "too few records lack a time of day or of report to compare groups",
    "fr": "trop peu d'enregistrements sans heure ni date de signalement pour comparer les groupes",
}
_DRAWS = 200
_DELAYS = (0.5, 0.9, 0.99)
_EXPECTED = 20


def data_quality(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Say what is doubtful of the records, and compare the share of it between groups of places (C28).

    The rate of records that lack something is compared between the groups with the highest and the lowest;
    half a record is added to both parts of each rate, so that none is 0. Repeats and pile-ups are compared as
    well and not judged.
    """
    incidents = evidence.incidents
    if incidents is None:  # pragma: no cover - the definition asks for it
        return Finding([])
    measurements = [*_told(incidents), *_delays(incidents)]
    tables = {"problems": incidents.problems.copy()}
    reason = NO_GROUPS
    ratios: list[Measurement] = []
    if evidence.groups is not None:
        bucket, block = _places(incidents, forecasts, evidence.groups)
        masks = doubtful(incidents)
        tables["by_group"] = _by_group(masks, bucket, evidence.groups)
        fewest = thresholds.intervals.min_incidents
        ratios = _ratios(masks, bucket, block, evidence, fewest)
        judged = any(one.name == "missing_rate_ratio" for one in ratios)
        reason = {"en": "", "fr": ""} if judged else NOTHING_MISSING
    if not any(one.name == "missing_rate_ratio" for one in ratios):
        ratios.append(Measurement("missing_rate_ratio", math.nan, "ratio"))
    method = (
        "Missing: a time of report where others have one; a time of day where 00:00, 00:01 or 12:00 stands "
        "far too often. Each record is given to the largest group of its cell; groups in which fewer than "
        f"{_EXPECTED} would be missing are left out. {_DRAWS} resamples of parent cells, "
        f"seed {evidence.seed}."
    )
    return Finding([*ratios, *measurements], method, reason, tables)


def _told(incidents: Incidents) -> list[Measurement]:
    """What intake found, as shares of the rows it looked at."""
    found = [
        Measurement("doubtful_share", float(row.share), "share", n=int(row.n), subject=str(row.what))
        for row in incidents.problems.itertuples()
    ]
    parts = incidents.funnel
    refused = parts.quarantined / parts.read if parts.read else math.nan
    return [Measurement("quarantined_share", refused, "share", n=parts.read, unit_of_n="rows"), *found]


def _delays(incidents: Incidents) -> list[Measurement]:
    """Days after which half, nine in ten and 99 in 100 of the records were known."""
    if "reported_at" not in incidents.table:
        return []
    late = (incidents.table["reported_at"] - incidents.table["occurred_at"]).dropna()
    days = (late / pd.Timedelta(days=1)).to_numpy(dtype=np.float64)
    return [
        Measurement(
            "reporting_delay", float(np.quantile(days, q)), "days", n=len(days), subject=f"{q:.0%} known by"
        )
        for q in (_DELAYS if len(days) else ())
    ]


def doubtful(incidents: Incidents) -> Masks:
    """Records that lack something or look entered twice, by what it is; only what can be lacking at all.

    Examples
    --------
    >>> from tranquillite_ml.intake import Incidents
    >>> table = pd.DataFrame({"occurred_at": ["2024-05-01 00:00", "2024-05-01 09:20"], "lat": 43.3,
    ...     "lng": 5.4, "category": "noise", "reported_at": ["2024-05-02 00:00", None]})
    >>> {name: mask.tolist() for name, mask in doubtful(Incidents.from_table(table, "Europe/Paris")).items()}
    {'time of report': [False, True], 'time of day': [False, False], 'repeat': [False, False],
     'pile-up': [False, False]}
    """
    table = incidents.table
    found: Masks = {}
    if "reported_at" in table:
        found["time of report"] = table["reported_at"].isna().to_numpy()
    placeholders = [
        str(what).rsplit(" ", 1)[1]
        for what in incidents.problems["what"]
        if str(what).startswith("placeholder time")
    ]
    if incidents.time_precision != "date":
        clock = table["occurred_at"].dt.strftime("%H:%M")
        found["time of day"] = clock.isin(placeholders).to_numpy()
    keys = [table["category"].cat.codes.to_numpy(), table["lat"].to_numpy(), table["lng"].to_numpy()]
    keys = [instants_us(table["occurred_at"]), *keys]
    found["repeat"] = repeats_of_previous(keys)
    found["pile-up"] = piled(table["lat"].to_numpy(), table["lng"].to_numpy())
    return found


def piled(lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows on an exact coordinate that holds too many to be one address, by the rule of `intake.guards`."""
    _, which, counts = np.unique(lat + 1j * lng, return_inverse=True, return_counts=True)
    if len(counts) == 0:
        return np.zeros(0, dtype=bool)
    many = (counts > 0.005 * len(lat)) & (counts > 50) & (counts > 20 * np.median(counts))
    return np.asarray(many[which.reshape(-1)])


def _places(
    incidents: Incidents, forecasts: Forecasts, groups: Groups
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bucket and parent cell of each record; −1 for what lies outside the cells."""
    grid = open_grid(forecasts.meta.get("grid"), forecasts.cells)
    cell = grid.locate(incidents.table["lat"].to_numpy(), incidents.table["lng"].to_numpy())
    largest = groups.on(forecasts.cells).share.argmax(axis=1)
    inside = cell >= 0
    return (
        np.where(inside, largest[cell], -1).astype(np.int64),
        np.where(inside, parents_of(forecasts)[cell], -1).astype(np.int64),
    )


def _by_group(masks: Masks, bucket: NDArray[np.int64], groups: Groups) -> pd.DataFrame:
    names = [*groups.buckets, "outside the cells"]
    rows = [
        (
            what,
            name,
            int(n),
            int(mask[bucket == number].sum()),
            mask[bucket == number].mean() if n else math.nan,
        )
        for what, mask in masks.items()
        for number, name in zip([*range(len(groups.buckets)), -1], names, strict=True)
        for n in [(bucket == number).sum()]
    ]
    return pd.DataFrame(rows, columns=["what", "group", "records", "doubtful", "share"])


def _ratios(
    masks: Masks, bucket: NDArray[np.int64], block: NDArray[np.int64], evidence: Evidence, fewest: int
) -> list[Measurement]:
    if evidence.groups is None:  # pragma: no cover - asked for by the caller
        return []
    found = []
    inside = bucket >= 0
    n_groups, n_blocks = len(evidence.groups.buckets), int(block.max(initial=-1)) + 1
    rng = np.random.default_rng([evidence.seed, 28])
    draws = (
        rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), _DRAWS) if n_blocks else np.ones((0, 0))
    )
    for what, mask in masks.items():
        flat = block[inside] * n_groups + bucket[inside]
        size = n_blocks * n_groups
        seen, bad = (
            np.bincount(flat, weight, size).reshape(n_blocks, n_groups)
            for weight in (np.ones(len(flat)), mask[inside].astype(np.float64))
        )
        # With fewer expected in a group, the highest rate over the lowest is chance.
        big = seen.sum(axis=0) * bad.sum() / max(seen.sum(), 1) >= _EXPECTED
        shared: dict[str, Any] = {"unit_of_n": "records", "subject": what}
        name = "missing_rate_ratio" if what.startswith("time") else "doubtful_rate_ratio"
        if bad.sum() == 0:
            # Nothing is missing anywhere: all rates are the same.
            found.append(Measurement(name, 1.0, "ratio", n=int(seen.sum()), **shared))
            continue
        if bad.sum() < fewest or big.sum() < 2:
            continue
        drawn = np.array([extreme_ratio(w @ bad[:, big], w @ seen[:, big]) for w in draws.astype(np.float64)])
        ends = percentile_interval(drawn, n_blocks)
        value = extreme_ratio(bad[:, big].sum(axis=0), seen[:, big].sum(axis=0))
        found.append(Measurement(name, value, "ratio", *ends, n=int(bad.sum()), **shared))
    return found


def extreme_ratio(bad: Any, seen: Any) -> float:
    """Highest over lowest rate, half a record added to what is bad and one to what was seen.

    Examples
    --------
    >>> round(extreme_ratio([19.5, 9.5], [99, 99]), 6)  # (20 / 100) / (10 / 100)
    2.0
    """
    rate = (np.asarray(bad, np.float64) + 0.5) / (np.asarray(seen, np.float64) + 1)
    return float(rate.max() / rate.min())


DEFINITIONS = (Definition("C28", ("incidents",), data_quality),)
