"""Models that an explanation can be tried on: one that was taught nonsense, and one whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tranquillite_ml.explanation.background import draw_background
from tranquillite_ml.explanation.contributions import check_learned, learnt_terms
from tranquillite_ml.features import Column, FeatureBlock, FeatureSet
from tranquillite_ml.panel import Panel
from tranquillite_ml.target import Target
from tranquillite_ml.timebins import TimeBins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tranquillite_ml.features import View
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.forecasters.learned import LearnedForecaster
    from tranquillite_ml.forecasters.sampling import Sample

EFFECTS = {"often": 1.8, "seldom": 0.6}
"""What each planted feature multiplies the rate by where it is 1."""


def fit_on_permuted_labels(
    model: Forecaster, panel: Panel, cutoff: int | str | pd.Timestamp | None = None, *, seed: int = 0
) -> LearnedForecaster:
    """The same forecaster, taught outcomes that were dealt out anew among all places and periods.

    What it says of features is chance: an explanation that ranks them as for the real model explains the
    machine, not what it learnt. `model` stays as it is.

    Parameters
    ----------
    model : Forecaster
        Learning from features.
    panel : Panel
    cutoff : int, str or Timestamp, optional
        The end of the panel when not given.
    seed : int, default 0

    Raises
    ------
    UsageError
        If the model learns from no features.

    Notes
    -----
    Outcome, weight and starting rate of a row are dealt out together, so that their total, and all that the
    starting rate explains, stays as it was (cf. Adebayo et al. 2018, arXiv:1810.03292). They are not kept
    within a week: what all places share, such as the season, would then keep its meaning.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import PoissonForecaster
    >>> city = simulate_city(seed=0, days=240, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, city.bins("1D"))
    >>> real = PoissonForecaster(Target("noise", period=7)).fit(panel)
    >>> fake = fit_on_permuted_labels(real, panel)
    >>> size = [abs(model.models_["noise"].coefficients[1:]).sum() for model in (real, fake)]
    >>> bool(size[1] < size[0] / 2)
    True
    """
    check_learned(model, "permuting labels")
    taught: Any = copy(model)

    def dealt(key: Hashable, draw: Callable[[], Sample]) -> Sample:
        del key
        sample = draw()
        deal = np.random.default_rng([seed, len(sample.row)]).permutation(len(sample.row))
        return replace(
            sample, **{name: getattr(sample, name)[deal] for name in ("outcome", "weight", "offset")}
        )

    taught.recall = dealt
    found: LearnedForecaster = taught.fit(panel, cutoff)
    return found


def recover_planted_effects(
    make: Callable[[Target, FeatureSet], Forecaster],
    *,
    days: int = 400,
    n_cells: int = 100,
    rate: float = 0.5,
    seed: int = 0,
) -> pd.DataFrame:
    """Factors that a forecaster finds where the true ones are known, in a simulated city.

    Parameters
    ----------
    make : callable
        Given a target and features, makes an unfitted forecaster.
    days, n_cells : int
    rate : float, default 0.5
        Mean incidents a cell and day.
    seed : int, default 0

    Returns
    -------
    DataFrame
        One row a planted feature: ``feature, true, recovered`` (mean factor where it is 1 over that where it
        is 0), ``ratio`` (recovered over true) with ``lower, upper`` (95 %, from the number of incidents
        alone) and ``n_incidents``.

    Raises
    ------
    UsageError
        If the forecaster learns from no features.

    Examples
    --------
    >>> from tranquillite_ml.forecasters import PoissonForecaster
    >>> found = recover_planted_effects(PoissonForecaster)
    >>> found["ratio"].between(0.9, 1.1).tolist()
    [True, True]
    """
    rng = np.random.default_rng([seed, 30])
    planted = rng.random((len(EFFECTS), days + 1, n_cells)) < 0.4
    factor = np.prod([np.where(on, m, 1.0) for on, m in zip(planted, EFFECTS.values(), strict=True)], axis=0)
    places = rng.gamma(4.0, rate / 4.0, n_cells)
    counts = rng.poisson(places * factor[:days])
    bins = TimeBins("2023-01-02", days, "1D", "Europe/Paris")
    panel = Panel.from_counts(counts[None], _grid(n_cells), bins, ["simulated"])
    features = FeatureSet([_Planted(planted.astype(np.float32))])
    model = check_learned(make(Target("simulated"), features).fit(panel), "recovering planted effects")
    drawn = draw_background(model, panel, n_rows=4000, seed=seed)
    amounts = learnt_terms(model, "simulated", drawn.data, drawn.terms)[0]
    rows = []
    for k, (name, true) in enumerate(EFFECTS.items()):
        on = drawn.data[:, k] > 0
        found = float(amounts[on, k].mean() - amounts[~on, k].mean())
        seen = [int(counts[planted[k, :days] == side].sum()) for side in (True, False)]
        reach = 1.96 * np.sqrt(sum(1 / n for n in seen))
        row: dict[str, Any] = {"feature": name, "true": true, "recovered": np.exp(found)}
        ends = np.exp(found - np.log(true) + np.array([0.0, -reach, reach]))
        rows.append(
            row | dict(zip(("ratio", "lower", "upper"), ends, strict=True)) | {"n_incidents": sum(seen)}
        )
    return pd.DataFrame(rows)


class _Planted(FeatureBlock):
    """Features whose effect is known because it was put there."""

    family = "planted"

    def __init__(self, values: NDArray[np.float32]) -> None:
        self._values = values

    def describe(self, target: Target, bins: TimeBins) -> Iterator[Column]:
        """Yield one description a column."""
        del target, bins
        for name in EFFECTS:
            yield Column(name, self.family, "0/1", "simulated", "always")

    def columns(self, view: View) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values."""
        for name, values in zip(EFFECTS, self._values, strict=True):
            yield name, values[view.period_begin]


def _grid(n_cells: int) -> Any:
    from tranquillite_ml.squaregrid import SquareGrid

    return SquareGrid.from_tensor_shape((1, n_cells), size_km=1.0)
