"""Commands that simulate what a forecast would do to its own records: simulate feedback, underreporting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tranquillite_ml.cli.options import (
    ConfigArgument,
    JsonOption,
    OutputOption,
    QuietOption,
    SetOption,
    read_config,
)
from tranquillite_ml.cli.output import clean, emit, number, text_table
from tranquillite_ml.cli.progress import at_work

if TYPE_CHECKING:
    from collections.abc import Callable

    from tranquillite_ml.config import RunConfig
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.runfolder import RunFolder
    from tranquillite_ml.simulation import PlaceGroups

DeepOption = Annotated[
    bool,
    typer.Option(
        "--deep",
        help="Train the config's own model at every step instead of the named surrogate. How long that takes "
        "is told first; the same command goes on with what is finished.",
    ),
]


def feedback(
    config: ConfigArgument,
    *,
    deep: DeepOption = False,
    weeks: Annotated[int, typer.Option("--weeks", metavar="N", help="Weeks of feedback.")] = 52,
    runs: Annotated[
        int | None, typer.Option("--runs", metavar="N", help="Simulated years. Default: 50; with --deep 1.")
    ] = None,
    settings: SetOption = None,
    output: OutputOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let forecasts decide where patrols go and learn from what they find, with and without a guard.

    Each category of the config starts from the smoothed field of its recorded incidents.
    """
    chosen = read_config(config, settings, output)

    def simulate(category: str, about: dict[str, Any]) -> dict[str, Any]:
        from tranquillite_ml.simulation import simulate_feedback

        found = simulate_feedback(category=category, weeks=weeks, runs=runs, **about)
        tables = {"feedback": found.table, "places": found.places, "amplification": found.amplification}
        figures = {"amplification": found.table, "inflation": found.places}
        return {"method": found.method, "tables": tables, "figures": figures}

    found = _simulated(chosen, "feedback", simulate, deep=deep, quiet=quiet)
    emit(found, as_json=as_json, show=print_feedback)


def underreporting(
    config: ConfigArgument,
    *,
    deep: DeepOption = False,
    draws: Annotated[
        int | None,
        typer.Option("--draws", metavar="N", help="Draws a scenario. Default: 200; with --deep 5."),
    ] = None,
    settings: SetOption = None,
    output: OutputOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Thin the records of each group by a reporting rate, forecast again, and compare the hot cells.

    Without a survey all reporting rates are hypothetical, and every output says so.
    """
    chosen = read_config(config, settings, output)

    def simulate(category: str, about: dict[str, Any]) -> dict[str, Any]:
        from tranquillite_ml.simulation import simulate_underreporting

        found = simulate_underreporting(category=category, draws=draws, **about)
        tables = {"displacement": found.table, "selection": found.selection}
        return {"method": found.method, "tables": tables, "figures": {"displacement": found.table}}

    found = _simulated(chosen, "underreporting", simulate, deep=deep, quiet=quiet)
    emit(found, as_json=as_json, show=print_underreporting)


def _simulated(
    config: RunConfig,
    kind: str,
    simulate: Callable[[str, dict[str, Any]], dict[str, Any]],
    *,
    deep: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Simulate every category of a configuration, and write tables and figures."""
    with at_work(quiet=quiet) as work:
        from tranquillite_ml import pipeline, stages
        from tranquillite_ml.runfolder import RunFolder, run_identity

        watch = pipeline.Stopwatch(work.report)
        with watch.stage("intake"):
            incidents, notice = stages.load_incidents(config)
        with watch.stage("panel"):
            panel = stages.make_panel(config, incidents)
        run_id = f"{config.name}-{run_identity(config.digest(), incidents.digest)[:12]}"
        folder = RunFolder(config.output, f"simulations/{run_id}/{kind}{'-deep' if deep else ''}")
        folder.prepare()
        parts = {}
        for place, category in enumerate(sorted(config.incidents.categories)):
            about: dict[str, Any] = {"panel": panel, "seed": config.seed}
            about["groups"] = read_place_groups(config, panel)
            if deep:
                about |= {"forecaster": stages.make_forecasters(config)[0]}
                about |= {"folder": folder.file(f"steps/{place}/simulation.json").parent}
            parts[category] = simulate(category, about | {"report": work.report})
        summary = _written(folder, parts) | {"notice": notice, "deep": deep, "config": config.name}
    return summary | watch.cost()


def read_place_groups(config: RunConfig, panel: Panel) -> PlaceGroups | None:
    """Groups of places of a configuration's audit, on the panel's cells; None if it names none."""
    if config.audit is None or config.audit.groups is None:
        return None
    from tranquillite_ml.audit import Evidence
    from tranquillite_ml.audit.groups import read_groups
    from tranquillite_ml.audit.simulations import place_groups

    asked = config.audit.groups.model_dump(exclude_none=True)
    groups = read_groups(asked.pop("path"), asked.pop("column"), panel.grid, **asked)
    return place_groups(Evidence(groups=groups, panel=panel))


def _written(folder: RunFolder, parts: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Write what was found, and give it with the paths."""
    import pandas as pd

    from tranquillite_ml import plots
    from tranquillite_ml.plots.saving import save_plot

    found: dict[str, Any] = {"method": {name: part["method"] for name, part in parts.items()}}
    for name in next(iter(parts.values()))["tables"]:
        tables = [part["tables"][name].assign(category=category) for category, part in parts.items()]
        table = pd.concat(tables, ignore_index=True)
        folder.write_table(f"tables/{name}.csv", table)
        if name not in {"feedback", "places"}:  # a row a week: in the file
            found[name] = table.to_dict("records")
    for place, part in enumerate(parts.values()):
        for name, table in part["figures"].items():
            # A category's name comes from data and never becomes a path: its number does.
            save_plot(partial(getattr(plots, name), table), folder.file(f"figures/{name}-{place}"))
    paths = {"tables": str(folder.path / "tables"), "figures": str(folder.path / "figures")}
    folder.write_json("summary.json", found | {"paths": paths})
    return found | {"paths": paths}


# ---------------------------------------------------------------------- as text


def _told(found: Mapping[str, Any], lines: Iterator[str]) -> Iterator[str]:
    notice = found.get("notice")
    yield from [clean(notice), ""] if notice else []
    for category, method in found["method"].items():
        yield f"{clean(category)}: {clean(method)}"
    yield ""
    yield from lines
    yield ""
    yield from (f"  {name}  {clean(path)}" for name, path in found["paths"].items())
    yield from ["", clean(notice)] if notice else []


def print_feedback(found: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines that tell what feedback did, at the highest discovery rate."""
    highest = max(row["discovery"] for row in found["amplification"])
    rows = [
        [
            row["category"],
            row["group"],
            row["arm"],
            _between(row, "amplification", ""),
            _between(row, "expected_over_none", "expected_over_none_"),
            f"{row['n_runs']}",
        ]
        for row in found["amplification"]
        if row["discovery"] == highest and not row["few"]
    ]
    header = [
        "category",
        "group",
        "finds",
        "exposure, end over start",
        "expected share, over no finds",
        "years",
    ]
    yield from _told(found, iter([text_table(header, rows, left=3)]))


def print_underreporting(found: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines that tell how far hotspots move."""
    rows = [
        [
            row["category"],
            row["scenario"] + (" (hypothetical)" if row["hypothetical"] else ""),
            row["variant"],
            _between(row, "displaced_share", ""),
            f"{row['n_draws']}",
        ]
        for row in found["displacement"]
    ]
    header = ["category", "scenario", "counts", "displaced share of hot cells", "draws"]
    yield from _told(found, iter([text_table(header, rows, left=3)]))


def _between(row: Mapping[str, Any], name: str, prefix: str) -> str:
    return f"{number(row[name])} [{number(row[f'{prefix}lower'])}, {number(row[f'{prefix}upper'])}]"
