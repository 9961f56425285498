"""What `check` finds: the funnel, the reasons, the categories, the folds and the grid, without training."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tranquillite_ml.cli.output import clean, number, text_table
from tranquillite_ml.cli.progress import Work
from tranquillite_ml.errors import UsageError

if TYPE_CHECKING:
    from tranquillite_ml.config import RunConfig
    from tranquillite_ml.hexgrid import HexGrid
    from tranquillite_ml.intake import Incidents
    from tranquillite_ml.timebins import TimeBins

MIN_TRAINING_DAYS = 28


def find(found: dict[str, Any], config: RunConfig, work: Work) -> None:
    """Fill `found` step by step, so that what was seen before a refusal can still be told.

    Raises
    ------
    TranquilliteError
        If `run` would refuse the data or the configuration.
    """
    from tranquillite_ml import pipeline, stages
    from tranquillite_ml.timebins import TimeBins

    watch = pipeline.Stopwatch(work.report)
    with watch.stage("intake"):
        incidents, found["notice"] = stages.load_incidents(config)
    found |= _intake(config, incidents)
    with watch.stage("check"):
        found["context"] = [layer.summary() for layer in stages.load_context(config).values()]
        bins = TimeBins.covering(incidents, freq=config.time.freq)
        found["problems"] += _unplaced(incidents, bins)
        target = stages.make_target(config)
        found["features"] = len(stages.make_features(config).table(target, bins))
        folds = stages.make_splits(config).table(bins, target)
        found["folds"] = [
            {name: str(value) if name != "fold" else int(value) for name, value in row.items()}
            for row in folds.to_dict("records")
        ]
        found["grid"] = _grid(stages.make_grid(config, incidents, bins), incidents)
        _check_history(config, bins, target.reach, bins.index_at(folds["cutoff"].iloc[0]))
    found |= watch.cost()


def _intake(config: RunConfig, incidents: Incidents) -> dict[str, Any]:
    reasons = incidents.quarantine.groupby(["column", "reason"], sort=True)
    counts = reasons["row"].agg(n="size", first="idxmin").sort_values("n", ascending=False, kind="stable")
    first = incidents.quarantine.loc[counts["first"]]
    told = incidents.summary()
    targets = config.incidents.categories
    return told | {
        "quarantine": [
            {"column": column, "reason": reason, "n": int(n), "file": file, "first_row": int(row)}
            for (column, reason), n, file, row in zip(
                counts.index, counts["n"], first["file"], first["row"], strict=True
            )
        ],
        "categories": {name: row | {"target": name in targets} for name, row in told["categories"].items()},
    }


def _unplaced(incidents: Incidents, bins: TimeBins) -> list[dict[str, Any]]:
    """What to know if bins shorter than a day hold records whose time of day is not known."""
    from tranquillite_ml.intake.placeholders import at_placeholders

    n = at_placeholders(incidents) if bins.hours < 24 else 0
    if not n:
        return []
    advice = (
        "Their time of day is taken as known. Set `incidents: {placeholder_times: spread}` (features see them"
        " anywhere in the day) or quarantine, or use bins of a day."
    )
    what = f"placeholder times in bins of {bins.freq}"
    return [{"what": what, "n": n, "share": n / len(incidents), "advice": advice}]


def _grid(grid: HexGrid, incidents: Incidents) -> dict[str, Any]:
    where = grid.locate(incidents.table["lat"].to_numpy(), incidents.table["lng"].to_numpy())
    return {
        "resolution": grid.resolution,
        "n_cells": grid.n_cells,
        "area_km2": round(float(grid.area_km2.sum()), 3),
        "study_area_km2": round(grid.study_area_km2, 3),
        "incidents_outside": int((where < 0).sum()),
    }


def _check_history(config: RunConfig, bins: TimeBins, reach: int, first: int) -> None:
    """Refuse folds before which there is nothing to learn from, as training would."""
    window = bins.days(float(config.calibration.window.removesuffix("D")))
    if first - window < bins.days(MIN_TRAINING_DAYS) + reach:
        msg = (
            f"the first cutoff comes {first / bins.bins_per_day:.0f} days after the first record, and the "
            f"calibration window takes {config.calibration.window} of them: training needs "
            f"{MIN_TRAINING_DAYS} days and one period before it. Use a later first_cutoff, fewer folds or a "
            "shorter calibration window."
        )
        raise UsageError(msg)


# ---------------------------------------------------------------------- as text


def print_check(found: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines that tell what was found; what was not reached is left out."""
    notice = found.get("notice")
    yield from [clean(notice), ""] if notice else []
    yield f"{clean(found.get('name', ''))} ({clean(found.get('config', ''))})"
    for part, tell in (
        ("read", _funnel),
        ("quarantine", _reasons),
        ("problems", _problems),
        ("categories", _categories),
        ("since", _span),
        ("folds", _folds),
        ("grid", _cells),
        ("context", _layers),
    ):
        if found.get(part):
            yield ""
            yield from tell(found)
    yield from ["", clean(notice)] if notice else []
    if found.get("usable"):
        yield "\nThese data and this config can be used."


def _funnel(found: Mapping[str, Any]) -> Iterator[str]:
    read, accepted, quarantined, duplicate = (
        found[name] for name in ("read", "accepted", "quarantined", "duplicate")
    )
    yield "Rows"
    yield (
        f"  read {read:,} = accepted {accepted:,} + quarantined {quarantined:,} "
        f"+ duplicates dropped {duplicate:,}"
    )


def _reasons(found: Mapping[str, Any]) -> Iterator[str]:
    yield "Quarantined"
    rows = [
        [row["column"], row["reason"], f"{row['n']:,}", f"{row['first_row']:,}"]
        for row in found["quarantine"]
    ]
    yield text_table(
        ("column", "reason", "rows", "first is row"),
        [*rows, ["", "in all", f"{found['quarantined']:,}", ""]],
        left=2,
    )


def _problems(found: Mapping[str, Any]) -> Iterator[str]:
    yield "To know"
    for problem in found["problems"]:
        rows = f": {problem['n']:,} rows ({problem['share']:.1%})" if problem["n"] else ""
        text = clean(f"{problem['what']}{rows}. {problem['advice']}")
        yield textwrap.fill(
            text, 110, initial_indent="  - ", subsequent_indent="    ", break_long_words=False
        )


def _categories(found: Mapping[str, Any]) -> Iterator[str]:
    yield "Categories"
    rows = [
        [name, row["origin"], "forecast" if row["target"] else "context", f"{row['n']:,}"]
        for name, row in found["categories"].items()
    ]
    yield text_table(("category", "origin", "used as", "recorded incidents"), rows, left=3)


def _span(found: Mapping[str, Any]) -> Iterator[str]:
    since, until = (str(found[end])[:16].replace("T", " ") for end in ("since", "until"))
    yield f"Time: {since} to {until} ({found['tz']}), known to the {found['time_precision']}"


def _folds(found: Mapping[str, Any]) -> Iterator[str]:
    yield "Folds"
    names = list(found["folds"][0])
    rows = [[str(row[name]).removesuffix(" 00:00:00") for name in names] for row in found["folds"]]
    yield text_table([name.replace("_", " ") for name in names], rows)


def _cells(found: Mapping[str, Any]) -> Iterator[str]:
    grid = found["grid"]
    yield (
        f"Grid: {grid['n_cells']:,} H3 cells of resolution {grid['resolution']}, "
        f"{number(grid['area_km2'], 1)} km²; "
        f"{grid['incidents_outside']:,} accepted incidents lie outside and count in every denominator"
    )


def _layers(found: Mapping[str, Any]) -> Iterator[str]:
    yield "Context"
    rows = []
    for layer in found["context"]:
        ends = [str(layer[name] or "")[:10] for name in ("since", "until")]
        span = " to ".join(ends) if any(ends) else "always"
        licences = {str(note.get("licence", "not stated")) for note in layer["sources"].values()}
        told = "; ".join(sorted(licences))
        rows.append(
            [
                layer["name"],
                layer["kind"],
                f"{layer['accepted']:,}",
                span,
                layer["known"],
                told,
                layer["digest"][:12],
            ]
        )
    names = ("layer", "kind", "rows", "holds", "known", "licence", "sha256")
    yield text_table(names, rows, left=2)
    for layer in found["context"]:
        for problem in layer["problems"]:
            text = clean(f"{layer['name']}: {problem['what']} ({problem['n']:,} rows). {problem['advice']}")
            yield textwrap.fill(
                text, 110, initial_indent="  - ", subsequent_indent="    ", break_long_words=False
            )
