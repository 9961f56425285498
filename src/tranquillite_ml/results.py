"""What a run leaves behind: tables, figures, the map, the summary, and its record in MLflow."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.errors import DataWarning
from tranquillite_ml.intake.privacy import hide_places
from tranquillite_ml.runfolder import INTAKE, package_digest
from tranquillite_ml.stages import input_digest, load_context

if TYPE_CHECKING:
    import pandas as pd

    from tranquillite_ml.config import RunConfig
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.intake import Incidents
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.runfolder import RunFolder

REFERENCE = "count_365d"
COVERAGES = (0.01, 0.05, 0.10)
BY = ("category", "model")
FILES = ("map.html", "report.html", "report.json", "config.yaml", "intake.json", "forecast.csv")


def write_intake(folder: RunFolder, config: RunConfig, incidents: Incidents) -> None:
    """Write the configuration as it was used, and what became of every row that was read.

    Coordinates of rows that were refused are blurred, unless the configuration keeps them.
    """
    folder.write_text("config.yaml", config.to_yaml(hide_secrets=True))
    digests = {
        "digest": incidents.digest,
        "config_digest": config.digest(),
        "inputs_digest": input_digest(config, incidents),
    }
    layers = [layer.summary() for layer in load_context(config).values()]
    folder.write_json(INTAKE, incidents.summary() | digests | {"context": layers})
    quarantine = incidents.quarantine
    if config.incidents.keep_coordinates:
        msg = "quarantined coordinates are stored as they are: handle the run's folder like the data."
        warnings.warn(msg, DataWarning, stacklevel=2)
    else:
        quarantine = hide_places(quarantine)
    folder.write_table("tables/quarantine.csv", quarantine)
    folder.write_table("tables/problems.csv", incidents.problems)


def evaluate(forecasts: Forecasts) -> dict[str, pd.DataFrame]:
    """Score a backtest: every table of a result, by category and model.

    Returns
    -------
    dict of DataFrame
        ``scores, scores_by_fold, hotspots, compare, verdict, reliability, interval_coverage, pit,
        glass_box``.
    """
    import pandas as pd

    from tranquillite_ml.evaluation import (
        compare,
        hotspot_curve,
        interval_coverage_table,
        pit_table,
        reliability_curve,
        score,
        verdict,
    )

    parts = {name: forecasts.select(category=name) for name in forecasts.categories}

    def each(function: Any, **params: Any) -> pd.DataFrame:
        found = [function(part, **params).assign(category=name) for name, part in parts.items()]
        return pd.concat(found, ignore_index=True)

    model = main_model(forecasts)
    verdicts = [
        {"category": name, **vars(verdict(part, model=model, reference=REFERENCE))}
        for name, part in parts.items()
    ]
    return {
        "verdict": pd.DataFrame(verdicts),
        "scores": score(forecasts, by=BY),
        "scores_by_fold": score(forecasts, by=(*BY, "cutoff"), n_boot=10),
        "hotspots": hotspot_curve(forecasts, coverage=COVERAGES, by=BY),
        "compare": each(compare, reference=REFERENCE),
        "reliability": each(reliability_curve),
        "interval_coverage": each(interval_coverage_table),
        "pit": each(pit_table),
        "glass_box": compare_glass_boxes(forecasts),
    }


def compare_glass_boxes(forecasts: Forecasts) -> pd.DataFrame:
    """Say by category whether a model that can be read would do as well as the run's, which cannot.

    Returns
    -------
    DataFrame
        Rows as `tranquillite_ml.evaluation.glass_box_check` gives them, with ``category, recommended,
        sentence``; none if the run's model can be read itself, or no glass box was backtested beside it.
    """
    import pandas as pd

    from tranquillite_ml.config import EXTRA_BASELINES
    from tranquillite_ml.evaluation import GLASS_BOXES, glass_box_check
    from tranquillite_ml.forecasters import baseline_ladder
    from tranquillite_ml.target import Target

    model = main_model(forecasts)
    ladder = [plain.name for plain in baseline_ladder(Target(forecasts.categories))]
    if model in {*ladder, *EXTRA_BASELINES} or not set(GLASS_BOXES) & set(forecasts.models):
        return pd.DataFrame(columns=["category", "model", "recommended", "sentence"])
    found = []
    for name in forecasts.categories:
        check = glass_box_check(forecasts.select(category=name), model=model)
        found.append(
            check.table.assign(category=name, recommended=check.recommended, sentence=check.sentence)
        )
    return pd.concat(found, ignore_index=True)


def main_model(forecasts: Forecasts) -> str:
    """Name the model a run is about: the first that is not the reference itself."""
    return next((name for name in forecasts.models if name != REFERENCE), REFERENCE)


def write_tables(folder: RunFolder, tables: dict[str, pd.DataFrame], forecasts: Forecasts) -> None:
    """Write each table as CSV, and the figures of the first model in the backtest."""
    for name, table in tables.items():
        folder.write_table(f"tables/{name}.csv", table)
    from tranquillite_ml.report.figures import write_figures

    model = main_model(forecasts)
    for number, category in enumerate(forecasts.categories):
        chosen = {name: table[table["category"] == category] for name, table in tables.items()}
        write_figures(chosen, model, folder.file(f"figures/category_{number}"))


def write_forecast(
    folder: RunFolder, config: RunConfig, forecasts: Forecasts, notice: str | None
) -> dict[str, Path]:
    """Write a forecast as Parquet, GeoParquet, GeoJSON, CSV and a map that opens offline."""
    from tranquillite_ml.report.exports import write_exports
    from tranquillite_ml.report.maps import write_map

    written = {"forecast.parquet": forecasts.write(folder.file("forecast.parquet"))}
    for path in write_exports(forecasts, folder.path, notice=notice):
        written[path.name] = path
    title = f"{config.name}: expected recorded incidents"
    written["map.html"] = write_map(forecasts, folder.file("map.html"), title=title, notice=notice)
    return written


def write_report(
    folder: RunFolder, incidents: Incidents, notice: str | None, report: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """Audit a run and write its report for reviewers: one HTML file in English and French, and its JSON.

    Returns
    -------
    dict
        ``verdict, use, sentence`` and the paths ``html`` and ``json``.
    """
    from tranquillite_ml.report.collecting import collect
    from tranquillite_ml.report.summary import Inputs
    from tranquillite_ml.report.writing import audit_and_write, read_report

    forecasts, evidence = collect(folder.path, incidents=incidents)
    paths = audit_and_write(folder, forecasts, evidence, inputs=Inputs(notice=notice), report=report)
    found = read_report(paths["json"])
    told = {"verdict": found["verdict"], "use": found["use"], "sentence": found["verdict_sentence"]["en"]}
    return told | {"html": str(paths["html"]), "json": str(paths["json"])}


def summarise(
    folder: RunFolder, config: RunConfig, incidents: Incidents, panel: Panel, tables: dict[str, pd.DataFrame]
) -> dict[str, Any]:
    """Give the run's summary: plain values, every estimate with its n and interval."""
    from tranquillite_ml.config.words import redact
    from tranquillite_ml.tracking import default_uri

    uri = redact(config.tracking.uri or default_uri(Path(config.output)))
    return {
        "run_id": folder.run_id,
        "run_dir": str(folder.path),
        "config_digest": config.digest(),
        "input_digest": incidents.digest,
        "package_digest": package_digest(),
        "funnel": vars(incidents.funnel) | {f"panel_{key}": value for key, value in panel.funnel.items()},
        "forecasts": str(folder.path / "forecasts.parquet"),
        "paths": {
            "report": str(folder.path / "report.html"),
            "map": str(folder.path / "map.html"),
            "forecast": str(folder.path / "forecast.csv"),
            "tables": str(folder.path / "tables"),
            "figures": str(folder.path / "figures"),
            "model": str(folder.path / "model"),
            "mlflow": uri,
        },
        "scores": _rows(tables["scores"]),
        "hotspots": _rows(tables["hotspots"]),
        "verdict": _verdicts(tables),
        "glass_box": _glass_boxes(tables["glass_box"]),
    }


def _verdicts(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """For each category, whether the model beats a 365-day count, and the best of the ladder."""
    found: dict[str, Any] = {}
    scores = tables["scores"]
    for row in _rows(tables["verdict"]):
        mine = scores[(scores["category"] == row["category"]) & (scores["model"] != row["model"])]
        best = mine.sort_values("log_score", ascending=False)["model"].iloc[0]
        found[row["category"]] = row | {"best_of_the_ladder": str(best)}
    return found


def _glass_boxes(table: pd.DataFrame) -> dict[str, Any]:
    """For each category, which glass box does as well as the model, and a sentence that says so."""
    kept = ("reference", "recommended", "sentence")
    found: dict[str, Any] = {}
    for row in _rows(table):
        said = found.setdefault(row["category"], {name: row[name] for name in kept} | {"compared": []})
        said["compared"].append({name: row[name] for name in row if name not in {"category", *kept}})
    return found


def track(
    folder: RunFolder,
    config: RunConfig,
    incidents: Incidents,
    panel: Panel,
    tables: dict[str, pd.DataFrame],
) -> str:
    """Log the run in MLflow: parameters, metrics by fold, the input's digest, bundle, tables and figures."""
    from tranquillite_ml.tracking import FoldLog, default_uri, log_run

    folds = []
    for number, (cutoff, table) in enumerate(tables["scores_by_fold"].groupby("cutoff")):
        metrics = {name: value for row in _rows(table) for name, value in _metrics(row).items()}
        folds.append(FoldLog(f"fold {number + 1}", str(cutoff), metrics))
    overall = {name: value for row in _rows(tables["scores"]) for name, value in _metrics(row).items()}
    for row in _rows(tables["hotspots"]):
        for measure in ("hit_rate", "pai"):
            overall[f"{row['category']}.{row['model']}.{measure}_at_{row['coverage']:g}"] = row[measure]
    wanted = ("tables", "figures", "model", "documents", *FILES)
    names = [name for name in wanted if (folder.path / name).exists()]
    source = config.incidents.path or "simulated"
    return log_run(
        uri=config.tracking.uri or default_uri(Path(config.output)),
        experiment=config.tracking.experiment,
        run_name=folder.run_id,
        params=config.flat(),
        metrics=overall,
        datasets=[("incidents", incidents.digest, str(source), len(incidents))],
        folds=folds,
        artifacts=[(folder.path / name, name if (folder.path / name).is_dir() else "") for name in names],
        tags={"package_digest": package_digest(), "panel_digest": panel.digest(), "config": config.digest()},
    )


def _metrics(row: dict[str, Any]) -> dict[str, float]:
    measures = ("log_score", "deviance", "d2", "brier", "crps", "oe", "interval_coverage")
    name = f"{row['category']}.{row['model']}"
    return {f"{name}.{measure}": row[measure] for measure in measures if row.get(measure) is not None}


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as plain values, missing numbers as None."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(k): v.item() if isinstance(v, np.generic) else v for k, v in row.items()} for row in rows]
