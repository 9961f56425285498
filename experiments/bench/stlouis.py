"""Ten years of a real city, from the file to the next forecast, in one fresh process."""

from __future__ import annotations

import time
from typing import Any

import fresh
from common import DATA, Bar, figure

from tranquillite_ml.config import load_config
from tranquillite_ml.stages import load_incidents, make_forecasters, make_panel

CATEGORY = "larceny"
FILE = DATA / "stlouis" / "incidents.parquet"
ELSEWHERE = "a plain script 97 s and 1,700 MB (590,000 incidents, 12 years)"

BARS = {
    "seconds": Bar(
        "St. Louis, ten years, res 9, daily, one category: read → panel → all features → fit → next forecast",
        "s",
        most=40,
        elsewhere=ELSEWHERE,
    ),
    "cpu": Bar("the same, CPU seconds of all cores", "CPU s"),
    "peak": Bar("the same, largest resident memory", "MB", most=1_200),
}


def measure() -> dict[str, Any]:
    """Figures by the names of `BARS`."""
    if not FILE.is_file():
        return {name: figure(None, note="needs ../shared/data/stlouis") for name in BARS}
    found = fresh.call("stlouis", "path")
    stages, note = found["result"]["stages"], found["result"]["note"]
    said = ", ".join(f"{name} {seconds:.1f}" for name, seconds in stages.items())
    return {
        "seconds": figure(found["seconds"], note=f"{said}; {note}"),
        "cpu": figure(found["cpu_seconds"]),
        "peak": figure(found["peak_mb"]),
    }


def panel_of(category: str = CATEGORY) -> tuple[Any, Any, dict[str, float]]:
    """Configuration with one category, panel, and the seconds of each stage."""
    config = load_config(
        "stlouis",
        [
            f"incidents.path={FILE}",
            f"incidents.categories={{{category}: {{from: [{category}], origin: citizen}}}}",
            "incidents.origins.burglary=citizen",
        ],
    )
    begin = time.perf_counter()
    incidents, _ = load_incidents(config)
    read = time.perf_counter() - begin
    begin = time.perf_counter()
    panel = make_panel(config, incidents)
    return config, panel, {"read": read, "panel": time.perf_counter() - begin}


def path() -> dict[str, Any]:
    """The whole way; seconds by stage."""
    config, panel, stages = panel_of()
    model = make_forecasters(config)[0]
    begin = time.perf_counter()
    model.fit(panel)
    stages["fit"] = time.perf_counter() - begin
    begin = time.perf_counter()
    week = model.forecast(panel)
    stages["forecast"] = time.perf_counter() - begin
    booster = model.models_[CATEGORY]
    size = f"{panel.funnel['accepted']:,} incidents, {panel.n_cells:,} cells, {panel.n_bins:,} days"
    note = f"{size}, {booster.num_feature()} features, {booster.num_trees()} trees"
    return {"stages": stages, "note": f"{note}, {week.expected_count.sum():.0f} expected next week"}
