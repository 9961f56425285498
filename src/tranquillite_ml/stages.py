"""The stages of a run, each of which can be called alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tranquillite_ml.bundle import sha256
from tranquillite_ml.errors import DataWarning, InputDataError

if TYPE_CHECKING:
    from tranquillite_ml.config import RunConfig
    from tranquillite_ml.features import FeatureSet
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.forecasts import Forecasts
    from tranquillite_ml.governance import Waiver
    from tranquillite_ml.hexgrid import HexGrid
    from tranquillite_ml.intake import Context, Incidents
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.runfolder import RunFolder
    from tranquillite_ml.splits import RollingOrigin
    from tranquillite_ml.target import Target
    from tranquillite_ml.timebins import TimeBins

Report = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps to do."""


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


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
        from tranquillite_ml.city import city_of

        city = city_of(config)
        origins = city.incidents.origins
        unknown = sorted(set(section.categories) - set(origins))
        if unknown:
            msg = f"the simulated city has no category {unknown}; it has {sorted(origins)}."
            raise InputDataError(msg)
        check_use(config, origins)
        return city.incidents, city.notice
    from tranquillite_ml.intake import read_incidents

    check_use(config)
    incidents = read_incidents(
        str(section.path),
        tz=str(section.tz),
        query=section.query,
        columns={str(ours): theirs for ours, theirs in section.columns.items()} or None,
        categories=config.to_dict()["incidents"]["categories"],
        origins=dict(section.origins),
        duplicates=section.duplicates,
        drop_columns=section.drop_columns,
        study_area=config.grid.study_area,
        time_format=section.time_format,
        interval_target=section.interval.target,
        longest_interval=section.interval.longest,
        placeholder_times=section.placeholder_times,
        where={name: list(values) for name, values in section.where.items()},
        require_listed=complete,
    )
    return incidents, None


def check_use(config: RunConfig, origins: Mapping[str, str] | None = None) -> None:
    """Stop if a target's records follow enforcement and no waiver holds today; tell unknown origins.

    Parameters
    ----------
    config : RunConfig
    origins : mapping of str to str, optional
        Origins that are known of categories for which the configuration declares none.

    Raises
    ------
    ConfigError
        If a category is refused, or the governance file cannot be read.

    Warns
    -----
    DataWarning
        If nobody has said who makes a target's records.
    """
    from tranquillite_ml.governance import load_governance, require_allowed, unknown_origins

    categories = config.incidents.categories
    known = {name: entry.origin or (origins or {}).get(name, "unknown") for name, entry in categories.items()}
    today = datetime.now(UTC).date()
    waivers = () if config.governance is None else load_governance(config.governance.path, on=today).waivers
    require_allowed({name: entry.from_ for name, entry in categories.items()}, known, waivers, on=today)
    unknown = unknown_origins(categories, known)
    if unknown:
        msg = (
            f"nobody has said who makes the records of {unknown}: if agents do, a forecast returns "
            f"enforcement as demand. Declare it: {unknown[0]}: {{from: […], origin: citizen}}."
        )
        warnings.warn(msg, DataWarning, stacklevel=2)


def make_target(config: RunConfig) -> Target:
    """Build the target of a configuration: its categories, period and horizons."""
    from tranquillite_ml.target import Target

    names = sorted(config.incidents.categories)
    section = config.forecast
    return Target(names, period=section.period, horizons=section.horizons, waivers=_waivers(config))


def _waivers(config: RunConfig) -> list[Waiver]:
    """Waivers of the files' categories, as waivers of the targets they are counted in."""
    from tranquillite_ml.governance import load_governance

    if config.governance is None:
        return []
    given = load_governance(config.governance.path, on=datetime.now(UTC).date()).waivers
    return [
        waiver.model_copy(update={"category": name})
        for name, entry in config.incidents.categories.items()
        for waiver in given
        if waiver.category in (name, *entry.from_)
    ]


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


def load_context(config: RunConfig) -> dict[str, Context]:
    """Read the layers of context that a configuration names, and those it simulates, by name."""
    from tranquillite_ml.city import layers_of

    return layers_of(config)


def input_digest(config: RunConfig, incidents: Incidents) -> str:
    """SHA-256 of everything a run reads: its incidents, and its layers of context if there are any."""
    layers = [f"{name}\n{layer.digest}" for name, layer in load_context(config).items()]
    return sha256("\n".join([incidents.digest, *layers]).encode()) if layers else incidents.digest


def make_features(config: RunConfig) -> FeatureSet:
    """Build the features of a configuration, from its layers of context where it names any.

    Raises
    ------
    UsageError
        If a block or a parameter is unknown, or a layer that it names is not in ``context``.
    """
    from tranquillite_ml.features import FeatureSet

    entries = [{entry.name: dict(entry.params)} for entry in config.features]
    return FeatureSet.from_list(entries, load_context(config))


def make_forecasters(config: RunConfig) -> list[Forecaster]:
    """Build the model (first, unless its kind is none), the ladder of plain counts, and baselines added."""
    from tranquillite_ml.forecasters import baseline_ladder, make_model

    section = config.calibration
    shared: dict[str, Any] = {
        "calibration_days": float(section.window.removesuffix("D")),
        "strata": 1 if section.strata == "none" else 5,
    }
    target = make_target(config)
    features = make_features(config)
    added = [make_model(name, target, features, **shared) for name in dict.fromkeys(config.baselines)]
    ladder = [*baseline_ladder(target, **shared), *added]
    if config.model.kind == "none":
        return ladder
    model = make_model(
        config.model.kind, target, features, random_state=config.seed, **shared, **dict(config.model.params)
    )
    return [model, *ladder]


def run_backtest(config: RunConfig, panel: Panel, folder: RunFolder, report: Report = silent) -> Forecasts:
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
    return open_bundle(folder.file("model"), context=load_context(config)).forecast(panel)


def trained_later(model: Forecaster, panel: Panel, cutoff: int) -> str | None:
    """What a forecast must say if its model was trained on records from after its cutoff."""
    until = pd.Timestamp(model.fitted_until_).tz_localize(None)
    if until <= panel.bins.wall_at(pd.Index([cutoff]).to_numpy())[0]:
        return None
    return (
        f"Trained on records up to {until:%Y-%m-%d}, after the moment of this forecast: "
        "it is no measure of how well the model forecasts."
    )
