"""An ensemble beside its members: what it costs, and what it gains over the best of them."""

from __future__ import annotations

import time
from typing import Any

from common import Bar, figure
from stlouis import CATEGORY, FILE, panel_of

from tranquillite_ml import EnsembleForecaster, LightGBMForecaster, PoissonForecaster, SmoothedCount, compare
from tranquillite_ml.forecasts import Forecasts
from tranquillite_ml.stages import make_splits, make_target

BARS = {
    "fit": Bar("fit of an ensemble over the fits of its members, St. Louis, CPU seconds", "×", most=2.5),
    "forecast": Bar(
        "calibration and weekly forecasts of an ensemble over those of its members, CPU seconds",
        "×",
        most=1.2,
    ),
    "gain": Bar("ensemble less its best member, lower end of the interval", "nats a week", least=0),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    if not FILE.is_file():
        return {name: figure(None, note="needs ../shared/data/stlouis") for name in BARS}
    config, panel, _ = panel_of()
    target = make_target(config)
    cutoffs = make_splits(config).cutoffs(panel.bins, target)
    members = [kind(target) for kind in (SmoothedCount, PoissonForecaster, LightGBMForecaster)]
    ensemble = EnsembleForecaster(target, members)
    runs = {model.name: follow(model, panel, cutoffs) for model in (*members, ensemble)}
    weights = ", ".join(f"{row.member} {row.weight:.2f}" for row in ensemble.weights_.itertuples())
    return figures(runs, f"{CATEGORY}, {panel.n_cells:,} cells; weights: {weights}")


def follow(model: Any, panel: Any, cutoffs: list[int]) -> dict[str, Any]:
    """A model trained once and calibrated at each cutoff: its forecasts, and processor seconds of both."""
    begin = time.process_time()
    model.fit(panel, cutoffs[0])
    fitted = time.process_time()
    weeks = [model.recalibrate(panel, cutoff).forecast(panel, cutoff) for cutoff in cutoffs]
    seconds = {"fit": fitted - begin, "forecast": time.process_time() - fitted}
    return seconds | {"forecasts": Forecasts.concat(weeks).observe(panel)}


def figures(runs: dict[str, dict[str, Any]], note: str) -> dict[str, Any]:
    """Costs as multiples of the members' sum, and the gain over the member that was best on these weeks."""
    found = {}
    for part in ("fit", "forecast"):
        members = {name: run[part] for name, run in runs.items() if name != "ensemble"}
        said = ", ".join(f"{name} {seconds:.1f}" for name, seconds in members.items())
        own = runs["ensemble"][part]
        found[part] = figure(own / sum(members.values()), beside=f"{said} CPU s", note=f"{own:.1f} CPU s")
    together = Forecasts.concat([run["forecasts"] for run in runs.values()])
    settings = {"score": "poisson_log_likelihood", "hotspot": ()}
    beside = compare(together, reference="ensemble", **settings)
    best = beside.loc[beside["difference"].idxmax(), "model"]
    row = compare(together, reference=best, **settings).set_index("model").loc["ensemble"]
    gain = f"{row['difference']:+.2f} [{row['lower']:.2f}, {row['upper']:.2f}], {row['n_folds']} folds"
    return found | {
        "gain": figure(row["lower"], beside=f"{best}, the best with hindsight", note=f"{gain}; {note}")
    }
