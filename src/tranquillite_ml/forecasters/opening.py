"""Which forecasters there are: made by name, or read back from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tranquillite_ml.bundle import Parts, read_parts
from tranquillite_ml.errors import BundleError, ConfigError, nearest
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters.additive import AdditiveForecaster
from tranquillite_ml.forecasters.base import Forecaster
from tranquillite_ml.forecasters.baselines import (
    Count365,
    CountAll,
    DecayedCount,
    SeasonalNaive,
    SmoothedCount,
)
from tranquillite_ml.forecasters.boosting import LightGBMForecaster
from tranquillite_ml.forecasters.ensemble import EnsembleForecaster
from tranquillite_ml.forecasters.hawkes import HawkesForecaster
from tranquillite_ml.forecasters.kernels import KernelDensity, ProspectiveHotspot, RetrospectiveHotspot
from tranquillite_ml.forecasters.learned_count import LearnedCount
from tranquillite_ml.forecasters.linear import NegativeBinomialForecaster, PoissonForecaster
from tranquillite_ml.forecasters.tabular import TabularForecaster
from tranquillite_ml.target import Target

if TYPE_CHECKING:
    from tranquillite_ml.intake import Context


def all_forecasters() -> list[type[Forecaster]]:
    """Every forecaster of this package that can be saved, the ladder first.

    Examples
    --------
    >>> [kind.__name__ for kind in all_forecasters()][-2:]
    ['AdditiveForecaster', 'EnsembleForecaster']
    """
    ladder: list[type[Forecaster]] = [Count365, CountAll, SeasonalNaive, DecayedCount, SmoothedCount]
    kernels: list[type[Forecaster]] = [RetrospectiveHotspot, ProspectiveHotspot, KernelDensity]
    linear: list[type[Forecaster]] = [PoissonForecaster, NegativeBinomialForecaster]
    learnt: list[type[Forecaster]] = [LightGBMForecaster, AdditiveForecaster, EnsembleForecaster]
    return [*ladder, *kernels, HawkesForecaster, LearnedCount, *linear, *learnt]


def make_model(kind: str, target: Target, features: FeatureSet, **params: Any) -> Forecaster:
    """Make the model that a configuration names.

    Parameters
    ----------
    kind : str
        The `name` of one of `all_forecasters`, or ``tabular``.
    target : Target
    features : FeatureSet
        Where these are the default ones, linear and additive models take their few (`compact_features`).
    **params
        Parameters of the forecaster; for ``tabular`` also ``regressor``: ``poisson`` or
        ``hist_gradient_boosting``; for ``ensemble`` also ``members``: names of forecasters.

    Raises
    ------
    ConfigError
        If the kind, a member or a parameter is unknown.

    Examples
    --------
    >>> make_model("tabular", Target("noise"), FeatureSet(), regressor="poisson").name
    'poisson'
    >>> pooled = make_model("ensemble", Target("noise"), FeatureSet(), members=["poisson", "smoothed_count"])
    >>> [member.name for member in pooled.members]
    ['poisson', 'smoothed_count']
    """
    try:
        if kind == "tabular":
            name = params.pop("regressor", "poisson")
            if name != "poisson":
                return TabularForecaster(target, _regressor(), features, **params)
            kind = name
        known = {made.name: made for made in all_forecasters()}
        if kind not in known:
            msg = f"there is no model {kind!r}; there is {list(known)}.{nearest(kind, known)}"
            raise ConfigError(msg)
        takes = known[kind](target).get_params(deep=False)
        if "members" in params:
            if isinstance(params["members"], str):
                msg = f"members must be a list of names such as [poisson, kde], got {params['members']!r}."
                raise ConfigError(msg)
            seeded = {"random_state": params["random_state"]} if "random_state" in params else {}
            params["members"] = [make_model(name, target, features, **seeded) for name in params["members"]]
        if "features" in takes:
            params["features"] = None if repr(features) == repr(FeatureSet()) else features
        if "random_state" not in takes:
            params.pop("random_state", None)
        return known[kind](target, **params)
    except TypeError as error:
        msg = f"model.params: {kind} does not take these parameters: {error}."
        raise ConfigError(msg) from None


def _regressor() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(loss="poisson", max_iter=200, learning_rate=0.05, random_state=0)


def open_bundle(path: str | Path, *, context: Mapping[str, Context] | None = None) -> Forecaster:
    """Open a saved forecaster, after the hash of each of its files has been checked.

    Parameters
    ----------
    path : str or Path
        Folder that `Forecaster.save` wrote.
    context : mapping of str to Context, optional
        The layers that its features are made of, by name. A bundle does not hold them, but knows them again:
        rows may have been added since, but none changed.

    Raises
    ------
    BundleError
        If a file is missing or changed, a layer of context is, or the forecaster is unknown to this version.

    Examples
    --------
    >>> import tempfile
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import Count365
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> from tranquillite_ml.timebins import TimeBins
    >>> city = simulate_city(seed=0, days=120, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, TimeBins.covering(city.incidents))
    >>> fitted = Count365(Target("noise", period=7)).fit(panel)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     opened = open_bundle(fitted.save(f"{folder}/model"))
    >>> bool((opened.forecast(panel).expected_count == fitted.forecast(panel).expected_count).all())
    True
    """
    try:
        return revive(replace(read_parts(path), context=context or {}))
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{path} does not describe a forecaster that this version knows: {error}."
        raise BundleError(msg) from error


def revive(parts: Parts) -> Forecaster:
    """Make the fitted forecaster that its parts describe."""
    kinds = {kind.__name__: kind for kind in all_forecasters()}
    described = parts.description
    params = dict(described["params"])
    if params.get("features") is not None:
        params["features"] = FeatureSet.from_list(params["features"], parts.context)
    made = kinds[described["class"]](Target.from_dict(described["target"]), **params)
    return made._restore(parts)  # noqa: SLF001 - saving and opening are two halves of one class
