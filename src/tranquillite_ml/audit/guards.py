"""C11, C17 and C18: records that follow enforcement, features that stand for groups, and no persons."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.audit.altered import without
from tranquillite_ml.audit.check import Measurement
from tranquillite_ml.audit.definition import Definition, Finding
from tranquillite_ml.audit.proxies import proxies
from tranquillite_ml.config.sections import AGENT_ORIGINS
from tranquillite_ml.governance import check_categories, is_enforcement
from tranquillite_ml.intake.persons import describes_person, person_shape, person_word
from tranquillite_ml.schema import FORECASTS, INCIDENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from tranquillite_ml.audit.evidence import Evidence
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance import Waiver
    from tranquillite_ml.governance.thresholds import Thresholds
    from tranquillite_ml.panel import Panel

_SAMPLE = 2000
_KEYS = (*FORECASTS, "outside_count")
_OWN = (*INCIDENTS, "duplicate")
_EARTH_KM2 = 510_065_622.0


# ---------------------------------------------------------------------- C11: who makes the records


def enforcement_records(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Look at who makes the records that are forecast or learnt from (C11).

    A category is used if it is forecast, if it may serve as context, or if the model's forecast changes when
    its records are taken away. Of what is used, the share that agents recorded is measured; categories that
    are refused are counted unless a waiver holds today.
    """
    del thresholds
    if evidence.panel is None:  # pragma: no cover - the definition asks for it
        return Finding([])
    panel = evidence.panel
    today = datetime.now(UTC).date()
    waivers = () if evidence.governance is None else evidence.governance.waivers
    targets, learnt = list(forecasts.categories), _learnt_from(evidence.model, panel, forecasts.categories)
    table = _origins(panel, targets, learnt)
    table = _with_refusals(table, _files_names(evidence, targets), waivers, today)
    used = table[table["role"] != "not used"]
    n, by_agents = int(used["n"].sum()), int(used.loc[used["origin"].isin(AGENT_ORIGINS), "n"].sum())
    unknown = used[used["origin"] == "unknown"]
    denied = used[used["refused"].ne("") & used["waiver"].eq("")]
    in_file = table.loc[table["origin"].isin(AGENT_ORIGINS), "n"].sum()
    measurements = [
        Measurement("agent_share", by_agents / n if n else math.nan, "share", n=n),
        Measurement(
            "unknown_origins", float(len(unknown)), "categories", n=len(used), unit_of_n="categories"
        ),
        Measurement(
            "denied_categories", float(len(denied)), "categories", n=len(used), unit_of_n="categories"
        ),
        Measurement(
            "agent_share_of_file", _share(in_file, table["n"].sum()), "share", n=int(table["n"].sum())
        ),
        Measurement("active_waivers", float(sum(one.active(today) for one in waivers)), "waivers"),
    ]
    method = (
        "Used: what is forecast, context of citizen or sensor origin, and whatever changes the model's "
        f"forecast when it is taken away. Waivers as of {today}."
    )
    tables = {"origins": table, "waivers": _waivers(waivers, today)}
    return Finding(measurements, method, _why_enforcement(unknown, denied), tables)


def _learnt_from(model: Forecaster | None, panel: Panel, targets: Iterable[str]) -> list[str]:
    """Context categories: those allowed, and those whose absence changes what the model says."""
    wanted = [name for name in targets if name in panel.categories]
    allowed = {name for target in wanted for name in panel.trainable(besides=target)}
    if model is None or not hasattr(model, "models_"):
        return sorted(allowed)
    barred = [name for name in panel.categories if name not in allowed and name not in wanted]
    if not barred:
        return sorted(allowed)
    usual = model.forecast(panel).expected_count
    if np.array_equal(usual, model.forecast(without(panel, barred)).expected_count):
        return sorted(allowed)
    felt = [
        name
        for name in barred
        if not np.array_equal(usual, model.forecast(without(panel, [name])).expected_count)
    ]
    return sorted({*allowed, *(felt or barred)})


def _origins(panel: Panel, targets: list[str], learnt: list[str]) -> pd.DataFrame:
    """One row a category: origin, role, records and their share."""
    rows = []
    for name in dict.fromkeys([*panel.categories, *targets]):
        n = int(panel.records(name).count.sum()) if name in panel.categories else 0
        role = "forecast" if name in targets else "learnt from" if name in learnt else "not used"
        rows.append((name, panel.origins.get(name, "unknown"), role, n))
    table = pd.DataFrame(rows, columns=["category", "origin", "role", "n"])
    return table.assign(share=table["n"] / max(int(table["n"].sum()), 1))


def _files_names(evidence: Evidence, targets: list[str]) -> Mapping[str, list[str]]:
    """Names that the files give to the records of each target."""
    known = {} if evidence.config is None else evidence.config.incidents.categories
    return {name: list(known[name].from_) if name in known else [name] for name in targets}


def _with_refusals(
    table: pd.DataFrame, files: Mapping[str, list[str]], waivers: Iterable[Waiver], on: date
) -> pd.DataFrame:
    """Why a category is refused, and the waiver that allows it all the same."""
    held = list(waivers)
    refused, waived = [], []
    for row in table.itertuples():
        names = {row.category: files.get(row.category, [row.category])}
        origins = {row.category: row.origin}
        found = check_categories(names, origins, on=on)
        left = {str(one) for one in check_categories(names, origins, held, on=on)}
        refused.append("; ".join(f"{one.category!r}: {one.reason}" for one in found))
        covering = [one for one in held if any(one.covers(each.category, each.origin) for each in found)]
        waived.append("; ".join(_told(one) for one in covering if one.active(on)) if not left else "")
    by_name = [is_enforcement(name) for name in table["category"]]
    return table.assign(named_for_enforcement=by_name, refused=refused, waiver=waived)


def _told(waiver: Waiver) -> str:
    return f"{waiver.who}, {waiver.when} to {waiver.until}: {waiver.why}"


def _waivers(waivers: Iterable[Waiver], on: date) -> pd.DataFrame:
    columns = ["category", "origin", "who", "when", "why", "until", "holds_today"]
    rows = [(w.category, w.origin, w.who, str(w.when), w.why, str(w.until), w.active(on)) for w in waivers]
    return pd.DataFrame(rows, columns=columns)


def _why_enforcement(unknown: pd.DataFrame, denied: pd.DataFrame) -> dict[str, str]:
    if len(denied):
        named = ", ".join(repr(name) for name in denied["category"])
        return {
            "en": f"records that follow enforcement are used without a waiver: {named}",
            "fr": f"des enregistrements issus de contrôles sont utilisés sans dérogation : {named}",
        }
    if len(unknown):
        named = ", ".join(repr(name) for name in unknown["category"])
        return {
            "en": f"nobody has said who makes the records of {named}",
            "fr": f"nul n'a déclaré qui enregistre {named}",
        }
    return {"en": "", "fr": ""}


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else math.nan


# ---------------------------------------------------------------------- C18: no persons


def no_persons(forecasts: Forecasts, evidence: Evidence, thresholds: Thresholds) -> Finding:
    """Look for persons in columns, values, names of categories, and cells that hold one household (C18)."""
    unique, finest = (
        thresholds.setting("C18", "unique_share"),
        int(thresholds.setting("C18", "finest_resolution")),
    )
    rows = [("forecasts", name, why) for name in forecasts.keys.columns if (why := _why_not_output(name))]
    rows += [
        ("category", name, "it looks like a person")
        for name in forecasts.categories
        if describes_person(name)
    ]
    text = math.nan
    incidents = evidence.incidents
    if incidents is not None:
        found = list(_columns(incidents.table, unique))
        rows += [("incidents", name, why) for name, why, person in found if person]
        rows += [
            ("category", name, "it looks like a person")
            for name in incidents.origins
            if describes_person(name)
        ]
        text = float(sum(not person for _, _, person in found))
        rows += [("incidents", name, why) for name, why, person in found if not person]
    table = pd.DataFrame(rows, columns=["where", "name", "why"]).drop_duplicates(ignore_index=True)
    persons = len(table) - (0 if math.isnan(text) else int(text))
    small = int(finer_than(forecasts, finest).sum())
    # Nothing found in the outputs says nothing of inputs that were not given.
    known = persons > 0 or incidents is not None
    n = 0 if incidents is None else len(incidents.table.columns)
    measurements = [
        Measurement(
            "person_columns", float(persons) if known else math.nan, "columns", n=n, unit_of_n="columns"
        ),
        Measurement("unknown_text_columns", text, "columns", n=n, unit_of_n="columns"),
        Measurement("too_fine_cells", float(small), "cells", n=len(forecasts.cells), unit_of_n="cells"),
    ]
    absent = {"en": "the incidents were not given", "fr": "les incidents ne sont pas fournis"}
    reason = absent if incidents is None else {"en": "", "fr": ""}
    dropped = () if evidence.config is None else evidence.config.incidents.drop_columns
    tables = {"found": table, "never_loaded": pd.DataFrame({"column": list(dropped)})}
    return Finding(measurements, f"Up to {_SAMPLE} values a column.", reason, tables)


def _why_not_output(name: str) -> str:
    if name in _KEYS:
        return ""
    word = person_word(name)
    return f"its name says {word!r}" if word else "forecasts hold no such column"


def _columns(table: pd.DataFrame, unique_share: float) -> Iterable[tuple[str, str, bool]]:
    """Columns that are not ours, and ours whose values look like persons: name, why, whether of persons."""
    sample = table.sample(min(len(table), _SAMPLE), random_state=0)
    when = sample["occurred_at"].astype(str) if "occurred_at" in sample else None
    for name in table.columns:
        values = sample[name]
        textual = not (
            pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(values)
        )
        shape = person_shape(values.astype(object).where(values.notna(), None), when) if textual else None
        if name in _OWN and shape != "e-mail addresses":
            shape = None  # numbers of records and names of categories come in every shape
        word = person_word(str(name)) if name not in _OWN else None
        many = name not in _OWN and _mostly_unique(table[name], unique_share)
        if word or shape or many:
            why = f"its name says {word!r}" if word else f"its values look like {shape}"
            yield (
                str(name),
                why if word or shape else "nearly every value is another: it could name persons",
                True,
            )
        elif textual and name not in _OWN:
            yield str(name), "text that no forecast needs", False


def _mostly_unique(values: pd.Series[Any], limit: float) -> bool:
    whole = values.dropna()
    counted = not pd.api.types.is_float_dtype(whole.dtype) and not pd.api.types.is_datetime64_any_dtype(whole)
    return counted and len(whole) >= 20 and whole.astype(str).nunique() > limit * len(whole)


def finer_than(forecasts: Forecasts, resolution: int) -> NDArray[np.bool_]:
    """Cells finer than an H3 resolution; on other grids, smaller than half its mean cell."""
    grid = forecasts.meta.get("grid") or {}
    if grid.get("kind", "h3") == "h3":
        held = (forecasts.cells.astype(np.uint64) >> np.uint64(52)) & np.uint64(15)  # bits of an H3 index
        return np.asarray(held > resolution)
    mean = _EARTH_KM2 / (2 + 120 * 7**resolution)
    return np.asarray(forecasts.area_km2 < mean / 2)


DEFINITIONS = (
    Definition("C11", ("panel",), enforcement_records),
    Definition("C17", ("groups", "panel", "model"), proxies, slow=True),
    Definition("C18", (), no_persons),
)
