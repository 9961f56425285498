"""Which forecasters there are: made by name, or read back from a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tranquillite_ml.bundle import read_parts
from tranquillite_ml.errors import BundleError, ConfigError
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters.base import Forecaster
from tranquillite_ml.forecasters.baselines import (
    Count365,
    CountAll,
    DecayedCount,
    SeasonalNaive,
    SmoothedCount,
)
from tranquillite_ml.forecasters.boosting import LightGBMForecaster
from tranquillite_ml.forecasters.tabular import TabularForecaster
from tranquillite_ml.target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping


def all_forecasters() -> list[type[Forecaster]]:
    """Every forecaster of this package, the ladder first.

    Examples
    --------
    >>> [kind.__name__ for kind in all_forecasters()][-2:]
    ['LightGBMForecaster', 'TabularForecaster']
    """
    ladder = [Count365, CountAll, SeasonalNaive, DecayedCount, SmoothedCount]
    return [*ladder, LightGBMForecaster, TabularForecaster]


def make_model(kind: str, target: Target, features: FeatureSet, **params: Any) -> Forecaster:
    """Make the model that a configuration names.

    Parameters
    ----------
    kind : {"lightgbm", "tabular"}
    target : Target
    features : FeatureSet
    **params
        Parameters of the forecaster; for ``tabular`` also ``regressor``: ``poisson`` or
        ``hist_gradient_boosting``.

    Raises
    ------
    ConfigError
        If a parameter is unknown.

    Examples
    --------
    >>> make_model("tabular", Target("noise"), FeatureSet(), regressor="poisson").name
    'poisson'
    """
    try:
        if kind == "lightgbm":
            return LightGBMForecaster(target, features, **params)
        regressor = _regressor(params.pop("regressor", "poisson"))
        return TabularForecaster(target, regressor, features, **params)
    except TypeError as error:
        msg = f"model.params: {kind} does not take these parameters: {error}."
        raise ConfigError(msg) from None


def _regressor(name: str) -> Any:
    if name == "poisson":
        return None
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(loss="poisson", max_iter=200, learning_rate=0.05, random_state=0)


def open_bundle(path: str | Path) -> Forecaster:
    """Open a saved forecaster, after the hash of each of its files has been checked.

    Parameters
    ----------
    path : str or Path
        Folder that `Forecaster.save` wrote.

    Raises
    ------
    BundleError
        If a file is missing or changed, or the forecaster is unknown to this version.

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
    parts = read_parts(path)
    kinds = {kind.__name__: kind for kind in all_forecasters()}
    described = parts.description
    try:
        params = dict(described["params"])
        kind = kinds[described["class"]]
        target = Target.from_dict(described["target"])
        made = kind(target, **_revived(kind, params))
        return made._restore(parts)  # noqa: SLF001 - saving and opening are two halves of one class
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{path} does not describe a forecaster that this version knows: {error}."
        raise BundleError(msg) from error


def _revived(kind: type[Forecaster], params: Mapping[str, Any]) -> dict[str, Any]:
    revived = dict(params)
    if revived.get("features") is not None:
        revived["features"] = FeatureSet.from_list(revived["features"])
    if kind is TabularForecaster and revived["regressor"] is not None:
        from sklearn.linear_model import PoissonRegressor

        revived["regressor"] = PoissonRegressor(**revived["regressor"])
    return revived
