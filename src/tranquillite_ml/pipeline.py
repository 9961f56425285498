"""The whole path, from a configuration to a tracked run; each stage can be called alone."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tranquillite_ml.config import RunConfig
from tranquillite_ml.errors import InputDataError, UsageError
from tranquillite_ml.runfolder import RunFolder, package_digest, run_identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.hexgrid import HexGrid
    from tranquillite_ml.intake import Incidents
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.splits import RollingOrigin
    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins

Report = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps to do."""


def _silent(what: str, done: int, total: int) -> None:
    """Say nothing."""


# ---------------------------------------------------------------------- stages


def load_incidents(config: RunConfig, *, complete: bool = True) -> tuple[Incidents, str | None]:
    """Read or simulate the incidents of a configuration.

    Parameters
    ----------
    config : RunConfig
    complete : bool, default True
        Whether each listed category must occur; a small later file may lack one.

    Returns
    -------
    incidents : Incidents
    notice : str or None
        What every output must say of them: that they are simulated.
    """
    section = config.incidents
    if section.simulate is not None:
        from tranquillite_ml.city import NOTICE, simulate_city

        simulated = simulate_city(**section.simulate.arguments()).incidents
        unknown = sorted(set(section.categories) - set(simulated.origins))
        if unknown:
            msg = f"the simulated city has no category {unknown}; it has {sorted(simulated.origins)}."
            raise InputDataError(msg)
        return simulated, NOTICE
    from tranquillite_ml.intake import read_incidents

    incidents = read_incidents(
        str(section.path),
        tz=str(section.tz),
        columns={str(ours): theirs for ours, theirs in section.columns.items()} or None,
        categories=config.to_dict()["incidents"]["categories"],
        origins=dict(section.origins),
        duplicates=section.duplicates,
        drop_columns=section.drop_columns,
        study_area=config.grid.study_area,
        time_format=section.time_format,
        where={name: list(values) for name, values in section.where.items()},
        require_listed=complete,
    )
    return incidents, None


def make_target(config: RunConfig) -> Target:
    """Build the target of a configuration: its categories, period and horizons."""
    from tranquillite_ml.target import Target

    names = sorted(config.incidents.categories)
    return Target(names, period=config.forecast.period, horizons=config.forecast.horizons)


def make_splits(config: RunConfig) -> RollingOrigin:
    """Build the cutoffs of a configuration's backtest."""
    from tranquillite_ml.splits import RollingOrigin

    section = config.backtest
    first = section.first_cutoff
    return RollingOrigin(section.folds, section.every, None if first is None else first.isoformat())


def make_grid(config: RunConfig, incidents: Incidents, bins: TimeBins) -> HexGrid:
    """Lay the grid: a study area, a list of cells, or where incidents were known before the first cutoff."""
    from tranquillite_ml.hexgrid import HexGrid

    section = config.grid
    if section.cells is not None:
        path = Path(section.cells)
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        grid = HexGrid(table["cell"].astype(str))
    elif section.study_area is not None:
        grid = HexGrid.from_polygon(section.study_area, resolution=section.resolution)
    else:
        first = make_splits(config).cutoffs(bins, make_target(config))[0]
        before = bins.wall_at(pd.Index([first]).to_numpy())[0]
        grid = HexGrid.from_incidents(
            incidents, resolution=section.resolution, dilate=section.dilate, before=before
        )
    if section.study_area_km2 is not None:
        grid = HexGrid(grid.cells.tolist(), study_area_km2=section.study_area_km2)
    return grid


def make_panel(config: RunConfig, incidents: Incidents) -> Panel:
    """Count incidents into cells and bins."""
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.timebins import TimeBins

    bins = TimeBins.covering(incidents, freq=config.time.freq)
    return Panel.build(incidents, make_grid(config, incidents, bins), bins)


def make_forecasters(config: RunConfig) -> list[Forecaster]:
    """Build the model of a configuration (first, unless its kind is none) and the ladder of plain counts."""
    from tranquillite_ml.features import FeatureSet
    from tranquillite_ml.forecasters import baseline_ladder, make_model

    section = config.calibration
    shared: dict[str, Any] = {
        "calibration_days": float(section.window.removesuffix("D")),
        "strata": 1 if section.strata == "none" else 5,
    }
    target = make_target(config)
    ladder = baseline_ladder(target, **shared)
    if config.model.kind == "none":
        return ladder
    features = FeatureSet.from_list([{entry.name: dict(entry.params)} for entry in config.features])
    model = make_model(
        config.model.kind, target, features, random_state=config.seed, **shared, **dict(config.model.params)
    )
    return [model, *ladder]


def run_backtest(config: RunConfig, panel: Panel, folder: RunFolder, report: Report = _silent) -> Forecasts:
    """Backtest model by model; those finished before are read back."""
    from tranquillite_ml.evaluation import backtest
    from tranquillite_ml.forecasts import Forecasts, read_forecasts

    parts = []
    for forecaster in make_forecasters(config):
        path = folder.file(f"backtest/{forecaster.name}.parquet")
        if not path.exists():
            found = backtest(
                [forecaster],
                panel,
                make_splits(config),
                refit=config.backtest.refit,
                recalibrate=config.calibration.refresh,
                progress=report,
            )
            found.write(path)
        parts.append(read_forecasts(path))
    return Forecasts.concat(parts)


def fit_last(config: RunConfig, panel: Panel, folder: RunFolder) -> Forecasts:
    """Fit on everything there is, save the bundle, and forecast what follows the data."""
    from tranquillite_ml.bundle import MANIFEST
    from tranquillite_ml.forecasters import open_bundle

    if not (folder.file("model") / MANIFEST).exists():
        make_forecasters(config)[0].fit(panel).save(folder.file("model"))
    return open_bundle(folder.file("model")).forecast(panel)


# ---------------------------------------------------------------------- the whole path


def run(
    config: RunConfig, *, report: Report = _silent, again: bool = False, track: bool = True
) -> dict[str, Any]:
    """Take a configuration the whole way: intake, panel, backtest, scores, forecast, map, tracking.

    The same configuration on the same inputs returns the finished run; an interrupted one goes on after its
    last finished stage.

    Parameters
    ----------
    config : RunConfig
    report : callable, optional
        Told what is being done.
    again : bool, default False
        Make a new run even if there is a finished one.
    track : bool, default True
        Log the run in MLflow.

    Returns
    -------
    dict
        ``run_id, run_dir, forecasts, scores, verdict, mlflow_run_id, seconds, peak_rss_mb`` and paths.

    Examples
    --------
    >>> import tempfile
    >>> from tranquillite_ml.config import load_config
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = run(load_config("smoke", [f"output={folder}", "model.kind=none"]), track=False)
    >>> done["verdict"]["damage"]["text"]
    'cannot tell'
    """
    from tranquillite_ml import results

    seconds: dict[str, float] = {}
    with _stage("intake", seconds, report):
        incidents, notice = load_incidents(config)
    folder = open_run(config, incidents, again=again)
    if folder.finished:
        return folder.summary()
    with _stage("panel", seconds, report):
        results.write_intake(folder, config, incidents)
        panel = make_panel(config, incidents)
        panel.save(folder.file("panel"))
    with _stage("backtest", seconds, report):
        forecasts = run_backtest(config, panel, folder, report)
        forecasts.write(folder.file("forecasts.parquet"))
    with _stage("evaluate", seconds, report):
        tables = results.evaluate(forecasts)
        results.write_tables(folder, tables, forecasts)
    with _stage("forecast", seconds, report):
        week = fit_last(config, panel, folder)
        results.write_forecast(folder, config, week, notice)
    summary = results.summarise(folder, config, incidents, panel, tables) | {"notice": notice}
    with _stage("track", seconds, report):
        summary["mlflow_run_id"] = results.track(folder, config, incidents, panel, tables) if track else None
    summary |= {"seconds": seconds, "peak_rss_mb": peak_rss_mb()}
    folder.commit(summary)
    return folder.summary()


def open_run(config: RunConfig, incidents: Incidents, *, again: bool = False) -> RunFolder:
    """Find or make the folder that belongs to a configuration and its inputs.

    Raises
    ------
    UsageError
        If it cannot be written to.
    """
    identity = run_identity(config.digest(), incidents.digest)
    run_id = f"{config.name}-{identity[:12]}"
    folder = RunFolder(config.output, run_id)
    number = 2
    while again and folder.path.exists():
        folder = RunFolder(config.output, f"{run_id}-{number}")
        number += 1
    folder.prepare()
    return folder


def find_run(config: RunConfig) -> RunFolder:
    """Give the newest finished run of a configuration, whatever was appended to its inputs since.

    Raises
    ------
    UsageError
        If there is none.
    """
    wanted = config.digest()
    found = [
        RunFolder(config.output, path.parent.name)
        for path in sorted(Path(config.output).glob(f"{config.name}-*/manifest.json"), key=_changed)
    ]
    for folder in reversed(found):
        if folder.summary().get("config_digest") == wanted:
            return folder
    msg = f"there is no finished run of {config.name!r} in {config.output}: `tranquillite run` makes one."
    raise UsageError(msg)


def forecast_as_of(config: RunConfig, as_of: str | None = None) -> dict[str, Any]:
    """Forecast from a finished run's model and panel and whatever records have come since.

    Parameters
    ----------
    config : RunConfig
        Its newest finished run gives the model; its inputs are read again.
    as_of : str, optional
        Local moment on an edge of a bin: only what was known then is used. The end of the data if not given.

    Raises
    ------
    UsageError
        If there is no finished run, or the moment is no edge of a bin.
    """
    from tranquillite_ml import results
    from tranquillite_ml.forecasters import open_bundle
    from tranquillite_ml.panel import Panel

    seconds: dict[str, float] = {}
    folder = find_run(config)
    with _stage("intake", seconds, _silent):
        incidents, notice = load_incidents(config, complete=False)
        panel = Panel.open(folder.path / "panel").append(incidents)
    with _stage("forecast", seconds, _silent):
        cutoff = panel.n_bins if as_of is None else panel.index_at(as_of)
        model = open_bundle(folder.path / "model")
        week = model.recalibrate(panel, cutoff).forecast(panel, cutoff)
    stamp = panel.bins.wall_at(pd.Index([cutoff]).to_numpy())[0].strftime("%Y-%m-%dT%H%M")
    written = RunFolder(config.output, f"forecasts/{folder.run_id}/{stamp}")
    written.prepare()
    paths = results.write_forecast(written, config, week, notice)
    return {
        "run_id": folder.run_id,
        "run_dir": str(written.path),
        "as_of": stamp,
        "forecasts": str(paths["forecast.parquet"]),
        "seconds": seconds,
        "peak_rss_mb": peak_rss_mb(),
        "notice": notice,
        "package_digest": package_digest(),
    }


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 if sys.platform != "darwin" else 1024**2), 1)


@contextmanager
def _stage(name: str, seconds: dict[str, float], report: Report) -> Iterator[None]:
    report(name, 0, 1)
    begin = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - begin, 3)
    report(name, 1, 1)


def _changed(path: Path) -> float:
    return path.stat().st_mtime
