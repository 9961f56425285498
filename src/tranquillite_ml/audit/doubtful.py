"""C12: how much was learnt from records the register calls doubtful, and what is said without them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.altered import panel_of, records_of
from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Finding
from tranquillite_ml.audit.overlap import jaccard
from tranquillite_ml.audit.selection import coverage_of
from tranquillite_ml.evaluation import select_hotspot
from tranquillite_ml.evaluation.bootstrap import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.audit.groups import Groups
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance.file import DirtyPeriod
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.panel import Panel

    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float64]

WHOLE_CITY = frozenset({"city", "the whole city", "all", "ville", "toute la ville"})
"""Areas of the register that mean every place."""

_LEAST = 0.1
NOTHING = {"en": "", "fr": ""}
EMPTY = {
    "en": "the register of doubtful records is empty: [] would say that there are none",
    "fr": "le registre des données douteuses est vide : [] dirait qu'il n'y en a pas",
}
NOT_TRAINED = {
    "en": "records that the register calls doubtful were learnt from; what a model trained without them "
    "would say was not tried: `tranquillite report RUN --deep` does",
    "fr": "le modèle a appris d'enregistrements que le registre dit douteux ; ce qu'il dirait sans eux n'a "
    "pas été essayé : `tranquillite report RUN --deep` le fait",
}


def doubtful_windows(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Measure the share of the records learnt from that the register calls doubtful, and do without (C12).

    An area is a cell, a group of places, or the whole city; one that is none of these counts as the whole
    city, so that a misspelling hides nothing. In a deep audit the model is trained again where the doubtful
    records of every category have given way to records drawn at the rate of the same cell at other times (and
    of the same time of the week): taken away alone, they would teach that nothing happened there.
    """
    if evidence.governance is None or evidence.panel is None:  # pragma: no cover
        return Finding([])
    panel, register = evidence.panel, evidence.governance.dirty_data
    if register is None:
        return Finding([Measurement("missing_registers", 1.0, "registers")], reason=EMPTY)
    groups = None if evidence.groups is None else evidence.groups.on(panel.grid.cells)
    end = _training_end(evidence)
    windows = [_window(entry, panel, groups, end) for entry in register]
    inside = np.any([mask for mask, _ in windows], axis=0) if windows else np.zeros((end, 1), dtype=bool)
    rows: list[tuple[Any, ...]] = []
    found = [Measurement("missing_registers", 0.0, "registers", n=len(register))]
    for category in (name for name in forecasts.categories if name in panel.categories):
        counts = panel.counts(category, 0, end)
        for entry, (mask, known) in zip(register, windows, strict=True):
            period = f"{entry.period.start}/{entry.period.end}"
            about = (category, period, entry.area, known, entry.reason, entry.source)
            rows.append((*about, int(counts[mask].sum())))
        total = int(counts.sum())
        share = float((counts * inside).sum() / total) if total else math.nan
        found.append(Measurement("training_share", share, "share", n=total, category=category))
    columns = ["category", "period", "area", "area_known", "reason", "source", "records"]
    tables = {"register": pd.DataFrame(rows, columns=columns)}
    method = "Records of the forecast category up to the end of the training; overlapping windows count once."
    if not inside.any():
        return Finding(found, method, tables=tables)
    changes, told = _without(forecasts, evidence, inside, thresholds)
    return Finding([*found, *changes], f"{method} {told}".strip(), NOTHING if told else NOT_TRAINED, tables)


def has_doubtful(evidence: Evidence) -> bool:
    """Whether the register names a time and place that the model was trained on."""
    if evidence.governance is None or evidence.panel is None:
        return False
    panel, end = evidence.panel, _training_end(evidence)
    groups = None if evidence.groups is None else evidence.groups.on(panel.grid.cells)
    return any(_window(entry, panel, groups, end)[0].any() for entry in evidence.governance.dirty_data or ())


def _window(entry: DirtyPeriod, panel: Panel, groups: Groups | None, end: int) -> tuple[Mask, bool]:
    """Bins and cells that an entry of the register means, and whether its area is known."""
    cells, known = _cells(entry, panel, groups)
    days = panel.bins.wall_edges[:end].normalize()
    when = (days >= pd.Timestamp(entry.period.start)) & (days <= pd.Timestamp(entry.period.end))
    return np.asarray(when)[:, None] & cells, known


def _training_end(evidence: Evidence) -> int:
    """Bins that the model was trained on; all of them if that is not known."""
    panel, model = evidence.panel, evidence.model
    if panel is None:  # pragma: no cover - asked for by the callers
        return 0
    until = getattr(model, "fitted_until_", None)
    return panel.n_bins if until is None else panel.index_at(pd.Timestamp(until).tz_localize(None))


def _cells(entry: DirtyPeriod, panel: Panel, groups: Groups | None) -> tuple[Mask, bool]:
    """Cells of an area of the register, and whether the area is known."""
    names = panel.grid.names()
    area = entry.area.strip()
    if area in names:
        return np.asarray(names == area), True
    if groups is not None and area in groups.buckets:
        return np.asarray(groups.share[:, groups.buckets.index(area)] > 0), True
    return np.ones(panel.n_cells, dtype=bool), area.lower() in WHOLE_CITY


# ---------------------------------------------------------------------- trained without


def _without(
    forecasts: Forecasts, evidence: Evidence, inside: Mask, thresholds: Thresholds
) -> tuple[list[Measurement], str]:
    """What a model says that was trained without the doubtful records; NaN and no method if none was."""
    refit, panel, model = evidence.refit, evidence.panel, evidence.model
    targets = [name for name in forecasts.categories if panel is not None and name in panel.categories]
    if not evidence.deep or refit is None or evidence.surrogate is not None or panel is None or model is None:
        absent = [Measurement("reselected_area", math.nan, "share", category=name) for name in targets]
        return absent, ""
    clean = redrawn(panel, inside, seed=evidence.seed)
    usual, other = model.forecast(panel), refit(clean, panel.n_bins).forecast(clean)
    target_km2 = coverage_of(thresholds) * forecasts.study_area_km2
    area = panel.grid.area_km2
    found = []
    for category in targets:
        flags = [
            select_hotspot(made.select(category=category).expected_count[:1], area, target_km2)[0]
            for made in (usual, other)
        ]
        n = int((panel.counts(category, 0, len(inside)) * inside).sum())
        moved = 1 - jaccard(flags[0], flags[1], area)
        found.append(Measurement("reselected_area", moved, "share", n=n, category=category))
        if evidence.groups is not None:
            found += _moved_exposure(evidence.groups.on(panel.grid.cells), flags, category, n)
    method = (
        "Doubtful records of every category were replaced by draws at the rate of the same cell at other "
        f"times, and the model was trained again; its next forecast is compared. Seed {evidence.seed}."
    )
    return found, method


def _moved_exposure(groups: Groups, flags: list[Floats], category: str, n: int) -> list[Measurement]:
    """Change of each group's exposure ratio, selected cells per resident over the city's.

    Relative to what it was, or to 0.1 where it was smaller.
    """
    residents = groups.residents
    ratios = []
    for one in flags:
        selected = one @ residents
        whole = ratio(selected.sum(), residents.sum())
        ratios.append(ratio(ratio(selected, residents.sum(axis=0)), whole))
    change = (ratios[1] - ratios[0]) / np.maximum(ratios[0], _LEAST)
    return [
        Measurement("exposure_change", float(value), "share", n=n, category=category, group=name)
        for name, value in zip(groups.names, change, strict=True)
        if np.isfinite(value)
    ]


def redrawn(panel: Panel, inside: Mask, *, seed: int = 0) -> Panel:
    """The panel whose records in some bins and cells are replaced by draws at the rate of other times.

    Parameters
    ----------
    panel : Panel
    inside : ndarray of bool, shape (n, n_cells)
        Of the first n bins.
    seed : int, default 0

    Notes
    -----
    A cell's rate is its mean count of the bins outside, times the city's profile over the bins of the week
    there; where there is no bin outside, nothing is drawn. What is drawn is known when its bin is over.

    Examples
    --------
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.squaregrid import SquareGrid
    >>> from tranquillite_ml.timebins import TimeBins
    >>> grid = SquareGrid.from_tensor_shape((1, 2), size_km=1.0)
    >>> counts = np.full((1, 14, 2), 100)
    >>> panel = Panel.from_counts(counts, grid, TimeBins("2024-01-01", 14, "1D", "UTC"), ["noise"])
    >>> inside = np.zeros((14, 2), dtype=bool)
    >>> inside[3, 1] = True
    >>> again = redrawn(panel, inside).counts("noise")
    >>> bool((again[~inside] == 100).all()), bool(50 < again[3, 1] < 150)
    (True, True)
    """
    full = np.zeros((panel.n_bins, panel.n_cells), dtype=bool)
    full[: len(inside)] = inside
    arrays = records_of(panel)
    cell = arrays["cell"]
    taken = (cell >= 0) & full[arrays["bin"], cell]
    kept = {name: values[~taken] for name, values in arrays.items()}
    parts = [kept]
    at, where = np.nonzero(full)
    for number in range(len(panel.categories)):
        mean = _rate_outside(kept, number, full, panel.bins.days(7))
        drawn = np.random.default_rng([seed, 12, number]).poisson(mean(at, where))
        some = drawn > 0
        new = {"category": np.full(int(some.sum()), number), "bin": at[some], "cell": where[some]}
        parts.append(new | {"known": at[some] + 1, "count": drawn[some]})
    return panel_of(panel, {name: np.concatenate([part[name] for part in parts]) for name in arrays})


def _rate_outside(kept: dict[str, Any], number: int, full: Mask, week: int) -> Any:
    """Mean count of a category in a bin and cell, from the bins and cells that are outside."""
    mine = (kept["category"] == number) & (kept["cell"] >= 0)
    time_bin, cell, count = (kept[name][mine] for name in ("bin", "cell", "count"))
    left = (~full).sum(axis=0)
    of_cell = np.bincount(cell, count, full.shape[1]) / np.maximum(left, 1)
    slot = np.arange(len(full)) % week
    expected = np.bincount(slot, (~full) @ of_cell, week)
    seen = np.bincount(time_bin % week, count, week)
    profile = np.divide(seen, expected, out=np.zeros(week), where=expected > 0)
    return lambda at, where: of_cell[where] * profile[slot[at]]
