"""Commands that measure models beside published figures: benchmark weekly, sthsl, nij."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tranquillite_ml.cli.options import JsonOption, QuietOption
from tranquillite_ml.cli.output import clean, emit, number, text_table
from tranquillite_ml.cli.progress import at_work

OutputOption = Annotated[
    str, typer.Option("--output", metavar="DIR", help="Where tables, plots and the page are written.")
]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="KIND|CONFIG",
        help="A kind of model with its defaults, none for plain counts alone, or a config with a model.",
    ),
]
TzOption = Annotated[
    str | None,
    typer.Option("--tz", help="The city's time zone; known for files in folders named as a ready config."),
]
CategoryOption = Annotated[
    list[str] | None, typer.Option("--category", help="A category that is forecast. Repeatable.")
]
AreaOption = Annotated[
    float | None, typer.Option("--study-area-km2", help="Area on which shares of area are stated.")
]
CutoffOption = Annotated[
    str | None, typer.Option("--first-cutoff", metavar="DATE", help="Local date of the first forecast.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the resampling behind the intervals.")]


def weekly(
    data: Annotated[
        list[str],
        typer.Option(
            "--data",
            metavar="FILE",
            help="Incidents with timestamp, latitude, longitude, category. Repeatable: one a city.",
        ),
    ],
    output: OutputOption,
    *,
    category: CategoryOption = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="CSV", help="Other systems' figures, fold by fold."),
    ] = None,
    model: ModelOption = "lightgbm",
    tz: TzOption = None,
    cells: Annotated[
        str | None,
        typer.Option("--cells", metavar="FILE", help="Table of H3 cells; default: the one beside the data."),
    ] = None,
    study_area_km2: AreaOption = None,
    first_cutoff: CutoffOption = None,
    folds: Annotated[int, typer.Option("--folds", help="Forecasts, 28 days apart.")] = 13,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Forecast next week at 13 cutoffs, beside plain counts and other systems.

    Recorded incidents are ranked into the busiest cells up to 0.5, 1, 2, 5 and 10 % of the area.
    """
    with at_work(quiet=quiet) as work:
        from tranquillite_ml.benchmarks import City, model_maker, run_weekly
        from tranquillite_ml.errors import UsageError

        if cells is not None and len(data) > 1:
            msg = "--cells belongs to one city: give it with one --data, or lay the tables beside the data."
            raise UsageError(msg)
        cities = [
            City(
                Path(path),
                tz=tz,
                categories=tuple(category or ()),
                cells=None if cells is None else Path(cells),
                study_area_km2=study_area_km2,
                first_cutoff=first_cutoff,
                folds=folds,
            )
            for path in data
        ]
        found = run_weekly(
            cities,
            output=output,
            make_model=model_maker(model),
            reference=reference,
            report=work.report,
            seed=seed,
        )
    emit(found, as_json=as_json, show=_show_weekly)


def sthsl(
    data: Annotated[
        str,
        typer.Option("--data", metavar="FILE", help="Tensor (.npz): counts[row, column, day, category]."),
    ],
    output: OutputOption,
    *,
    model: ModelOption = "lightgbm",
    seed: SeedOption = 0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Forecast a published tensor of daily counts on squares, one day ahead, and score every cell."""
    with at_work(quiet=quiet) as work:
        from tranquillite_ml.benchmarks import model_maker, run_sthsl

        found = run_sthsl(data, output=output, make_model=model_maker(model), report=work.report, seed=seed)
    emit(found, as_json=as_json, show=_show_sthsl)


def nij(
    data: Annotated[
        str,
        typer.Option("--data", metavar="FILE", help="Incidents; dates without time of day are enough."),
    ],
    output: OutputOption,
    *,
    category: CategoryOption = None,
    model: ModelOption = "lightgbm",
    tz: TzOption = None,
    study_area_km2: AreaOption = None,
    first_cutoff: CutoffOption = None,
    windows: Annotated[
        list[str] | None,
        typer.Option("--window", help="1_week, 2_weeks, 1_month, 2_months or 3_months. Default: all."),
    ] = None,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Choose the few small cells of the NIJ challenge, rehearsed on the data's last year.

    Writes the forecasts of each window that follows the data, and which cells they would select.
    """
    with at_work(quiet=quiet) as work:
        from tranquillite_ml.benchmarks import WINDOWS, City, model_maker, run_nij
        from tranquillite_ml.errors import check_in

        chosen = {check_in(name, WINDOWS, "--window"): WINDOWS[name] for name in windows or WINDOWS}
        city = City(
            Path(data),
            tz=tz,
            categories=tuple(category or ()),
            study_area_km2=study_area_km2,
            first_cutoff=first_cutoff,
        )
        found = run_nij(
            city,
            output=output,
            make_model=model_maker(model),
            windows=chosen,
            report=work.report,
            seed=seed,
        )
    emit(found, as_json=as_json, show=_show_nij)


def _show_weekly(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['model']}, {len(found['series'])} series, n = {found['n_incidents']:,} recorded incidents"
    for series in ("pooled", "mean over series"):
        rows = [row for row in found["comparison"] if row["series"] == series]
        yield f"\n{series}: ratio of hit rates at 1 and 5 % of the area, and gain in nats"
        yield text_table(
            ["reference", "1 %", "5 %", "gain", "folds"],
            [
                [name, *(_interval(by.get(key), digits) for key, digits in _SHOWN), n]
                for name, by, n in _by_reference(rows)
            ],
        )
    yield from _paths(found)


_SHOWN = (("hit_rate_ratio_0.01", 3), ("hit_rate_ratio_0.05", 3), ("log_likelihood_gain", 0))


def _by_reference(rows: list[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any], int]]:
    for name in dict.fromkeys(row["reference"] for row in rows):
        mine = {row["measure"]: row for row in rows if row["reference"] == name}
        yield name, mine, next(iter(mine.values()))["n_folds"]


def _show_sthsl(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['model']}, {found['n_days']} days, n = {found['n_incidents']:,} recorded incidents"
    for category in found["categories"]:
        rows: dict[str, dict[str, Any]] = {}
        for row in found["scores"]:
            if row["category"] == category:
                rows.setdefault(row["method"], {})[row["measure"]] = row
        names = ("deviance", "rmse", "mae", "masked_mae")
        yield f"\n{clean(category)}"
        table = [[method, *(_interval(by.get(name), 3) for name in names)] for method, by in rows.items()]
        yield text_table(["method", "deviance", "RMSE", "MAE", "masked MAE"], table)
    yield from _paths(found)


def _show_nij(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['model']}, {found['n_cells']:,} cells, forecast from {found['forecast_from']}"
    header = ["window", "category", "model", "area", "folds", "n", "hits", "PAI", "one incident"]
    rows = [
        [
            row["window"],
            row["category"],
            row["model"],
            f"{row['area_sq_mi']} sq mi",
            row["n_folds"],
            row["n_incidents"],
            number(row["hits"], 1),
            _interval({"value": row["pai"], "lower": row["pai_lower"], "upper": row["pai_upper"]}, 1),
            number(row["one_incident_pai"], 1),
        ]
        for row in found["scores"]
    ]
    yield text_table(header, rows, left=4)
    yield from _paths(found)


def _interval(row: Mapping[str, Any] | None, digits: int) -> str:
    if row is None:
        return "–"
    low, high = number(row["lower"], digits), number(row["upper"], digits)
    return f"{number(row['value'], digits)} [{low}, {high}]"


def _paths(found: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    for name, paths in found["paths"].items():
        yield from (f"  {name}  {clean(path)}" for path in paths[:1])
