"""What a report is made from, found in a run's folder or in a table of another system's forecasts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tranquillite_ml.audit import Evidence
from tranquillite_ml.audit.refits import Refits, work_folder
from tranquillite_ml.bundle import MANIFEST, check_manifest
from tranquillite_ml.config import load_config
from tranquillite_ml.errors import BundleError, InputDataError, TranquilliteError, UsageError
from tranquillite_ml.forecasts import Forecasts, read_forecasts
from tranquillite_ml.governance import load_thresholds

if TYPE_CHECKING:
    from tranquillite_ml.audit.check import Words
    from tranquillite_ml.audit.groups import Groups
    from tranquillite_ml.config import RunConfig
    from tranquillite_ml.explanation import Explanation
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.governance import Governance, Thresholds
    from tranquillite_ml.intake import Incidents
    from tranquillite_ml.intake.context import Context
    from tranquillite_ml.panel import Panel

TABLES = ("compare", "reliability", "interval_coverage")


def collect(
    path: str | Path,
    *,
    incidents: Incidents | None = None,
    refit: Callable[..., Any] | None = None,
    thresholds: Thresholds | None = None,
    deep: bool = False,
) -> tuple[Forecasts, Evidence]:
    """Forecasts of a backtest, and the evidence that lies beside them.

    Parameters
    ----------
    path : str or Path
        A run's folder; or a file of the Forecasts schema (Parquet or CSV) that any system made, of which
        there is no other evidence.
    incidents : Incidents, optional
        Rows as they were read.
    refit : callable, optional
        Trains a model like the run's again; see `Evidence`. A deep audit makes it from the run's model where
        it is not given, and keeps its fits beside the run.
    thresholds : Thresholds, optional
        Rules of what may be published; those that ship with the package if not given.
    deep : bool, default False
        Whether checks may take long.

    Returns
    -------
    forecasts : Forecasts
        The audited model first.
    evidence : Evidence
        What is not there stays None; where a layer of context, the groups' file or the governance file has
        changed or gone since the run, `Evidence.absent` says so.

    Raises
    ------
    UsageError
        If there is neither such a folder nor such a file, or the folder holds no backtest.
    InputDataError
        If the file is no Forecasts table.
    BundleError
        If the files of the model or the panel were changed.
    """
    folder = Path(path)
    if folder.is_file():
        return read_forecasts(folder), Evidence(incidents=incidents, deep=deep)
    if not (folder / "forecasts.parquet").is_file():
        msg = (
            f"{folder} holds no backtest: give the folder of a run, such as runs/city-1234, or a file of "
            "forecasts (`tranquillite schema forecasts` tells its columns)."
        )
        raise UsageError(msg)
    from tranquillite_ml.panel import Panel

    config = load_config(folder / "config.yaml") if (folder / "config.yaml").is_file() else None
    panel = Panel.open(folder / "panel") if (folder / "panel").is_dir() else None
    absent: dict[str, Words] = {}
    model, context = _model(folder, config, absent)
    if deep and model is not None and refit is None:
        refit = Refits(model, work_folder(folder) / "refits", context=context)
    found = Evidence(
        groups=None if config is None or panel is None else _groups(config, panel, absent),
        incidents=incidents,
        panel=panel,
        model=model,
        explanation=None if model is None or panel is None else _explanation(model, panel),
        config=config,
        governance=None if config is None else _governance(config, absent),
        run=folder,
        refit=refit,
        seed=0 if config is None else config.seed,
        deep=deep,
        absent=absent,
    )
    forecasts = _audited_first(read_forecasts(folder / "forecasts.parquet"), model)
    published = published_numbers(found, forecasts.categories, thresholds or load_thresholds())
    return forecasts, found if published is None else replace(found, records={"published": published})


def published_numbers(
    evidence: Evidence, categories: Iterable[str], thresholds: Thresholds
) -> pd.DataFrame | None:
    """Every number of recorded incidents that the citizens' edition rests on; None without counts.

    Returns
    -------
    DataFrame
        As `tranquillite_ml.audit.publication.publishable` gives them: what C19 attacks.
    """
    from tranquillite_ml.audit.publication import publishable, rules_of

    panel = evidence.panel
    there = [] if panel is None else [name for name in categories if name in panel.categories]
    if panel is None or not there:
        return None
    homes = None if evidence.groups is None else evidence.groups.on(panel.grid.cells).households
    rules = rules_of(thresholds)
    return pd.concat(
        [publishable(panel, name, 0, panel.n_bins, households=homes, rules=rules) for name in there],
        ignore_index=True,
    )


def without_model(evidence: Evidence) -> Evidence:
    """The same evidence without the model, as another system's forecasts come."""
    return replace(evidence, model=None, explanation=None, refit=None)


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Tables of a run's evaluation that the report draws; those that are not there are left out."""
    paths = {name: folder / "tables" / f"{name}.csv" for name in TABLES}
    return {name: pd.read_csv(path) for name, path in paths.items() if path.is_file()}


def read_latest(folder: Path) -> Forecasts | None:
    """The last forecast of a run, if it got that far."""
    path = folder / "forecast.parquet"
    return read_forecasts(path) if path.is_file() else None


def _model(
    folder: Path, config: RunConfig | None, absent: dict[str, Words]
) -> tuple[Forecaster | None, dict[str, Context]]:
    """The run's model, with the layers of context that its features are made of."""
    if not (folder / "model" / MANIFEST).is_file():
        return None, {}
    from tranquillite_ml.city import layers_of
    from tranquillite_ml.forecasters import open_bundle

    check_manifest(folder / "model")
    try:
        context = {} if config is None else layers_of(config)
        return open_bundle(folder / "model", context=context), context
    except (BundleError, InputDataError) as error:
        if config is None or not config.context:
            raise
        layers = ", ".join(config.context)
        absent["model"] = absent["explanation"] = {
            "en": f"the model cannot be opened as it was: {error}",
            "fr": "le modèle ne peut pas être rouvert tel qu'il était : une couche de contexte a changé ou "
            f"disparu depuis (couches : {layers})",
        }
        return None, {}


def _explanation(model: Forecaster, panel: Panel) -> Explanation | None:
    """The last forecast taken apart; None for a kind of model of which it is not known how."""
    from tranquillite_ml.explanation import explain

    try:
        return explain(model, panel)
    except UsageError:
        return None


def _groups(config: RunConfig, panel: Panel, absent: dict[str, Words]) -> Groups | None:
    from tranquillite_ml.audit.groups import read_groups

    section = None if config.audit is None else config.audit.groups
    simulated = config.incidents.simulate
    if section is None and simulated is not None and simulated.area is None:
        return _simulated_groups(config, panel)
    if section is None:
        return None
    given = {name: value for name, value in section.model_dump().items() if value is not None}
    path = given.pop("path")
    try:
        return read_groups(path, given.pop("column"), panel.grid, **given)
    except TranquilliteError as error:
        absent["groups"] = {
            "en": f"the groups of places can no longer be read: {error}",
            "fr": f"les groupes de lieux ne peuvent plus être lus : le fichier {Path(path).name} a changé ou "
            "disparu, ou ne convient pas",
        }
        return None


def _simulated_groups(config: RunConfig, panel: Panel) -> Groups:
    """Income quintiles of the simulated city's districts, which do not depend on the incidents drawn."""
    from tranquillite_ml.audit.groups import read_groups
    from tranquillite_ml.city import simulate_city

    drawn = {} if config.incidents.simulate is None else config.incidents.simulate.arguments()
    kept = {name: value for name, value in drawn.items() if name in {"resolution", "radius_km"}}
    districts = simulate_city(days=1, **kept).districts
    names = "quintile " + districts["income_quintile"].astype(str)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "districts.geojson"
        path.write_text(districts.assign(income=names).to_json(), encoding="utf-8")
        return read_groups(path, "income", panel.grid, residents="residents", households="households")


def _governance(config: RunConfig, absent: dict[str, Words]) -> Governance | None:
    """The governance file; None if the configuration names none, or it can no longer be read."""
    from tranquillite_ml.governance import load_governance

    if config.governance is None:
        return None
    try:
        return load_governance(config.governance.path)
    except TranquilliteError as error:
        name = Path(config.governance.path).name
        absent["governance"] = {
            "en": f"the governance file cannot be read: {error}",
            "fr": f"le fichier de gouvernance {name} ne peut pas être lu : il a disparu, ou n'est pas valide",
        }
        return None


def _audited_first(forecasts: Forecasts, model: Forecaster | None) -> Forecasts:
    """The forecasts with the run's model before the others."""
    if model is None or model.name not in forecasts.models or forecasts.models[0] == model.name:
        return forecasts
    others = [name for name in forecasts.models if name != model.name]
    return Forecasts.concat([forecasts.select(model=name) for name in (model.name, *others)])
