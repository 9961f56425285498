# %% [markdown]
# # Do the city's other records help?
#
# Weather, sports events, public holidays and daylight, each added alone to the model as it ships, on the two years of Chicago: the
# next week (26 cutoffs, calibrated before each) and the next day (92 cutoffs two days apart, calibrated once), thefts and assaults, in
# cells of 0.74 km². Then wind and match evenings in a simulated city, where the true effects are known (184 days, calibrated once).
# Differences are paired fold by fold; intervals resample blocks of neighbouring folds (four weeks, a fortnight), and the p-values are
# corrected for all blocks tried on a category (Holm).
#
# Two rows are no features anybody could have: a *perfect* forecast of Chicago's weather, made of what was then measured, and the *truth*
# of the simulated city. They say how much there is to gain at most. What was measured is known six hours after its day is over.
#
#     python experiments/19_does_it_help.py ../shared/data/chicago --output experiments/results/19_does_it_help.csv
#
# Half an hour; `--only simulated` needs no data, and `--keep FOLDER` goes on where it stopped.

# %%
import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import tranquillite_ml as tq
from tranquillite_ml.benchmarks import City
from tranquillite_ml.benchmarks.cities import read_city
from tranquillite_ml.forecasts import Forecasts

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/data/chicago"))
parser.add_argument("--only", choices=["weekly", "daily", "simulated"], default=None)
parser.add_argument("--output", type=Path, default=None, help="CSV of the differences")
parser.add_argument("--keep", type=Path, default=None, help="folder of forecasts made: go on from there")
arguments = parser.parse_args()
if arguments.keep is not None:
    arguments.keep.mkdir(parents=True, exist_ok=True)
BASE, TRUTH = "history alone", "the truth"
FIRST, TZ = "2017-06-30", "America/Chicago"
HISTORY = [tq.History(), tq.Neighbourhood(), tq.NearRepeat()]


# %% [markdown]
# ## Chicago: the layers, each with when it was known


# %%
def chicago_blocks(folder):
    """Blocks of features by name; one that extends the calendar takes its place."""
    measured = pd.read_parquet(folder / "context_weather_daily.parquet")
    weather = tq.read_context(measured, kind="series", name="weather", tz=TZ, known="6h after end")
    before = measured["date"] - pd.Timedelta(days=8)  # before any week that holds the day begins
    told = {"valid_from": "date", "issued_at": "issued_at"}
    issued = measured.assign(issued_at=before + pd.Timedelta(minutes=1))
    perfect = tq.read_context(issued, kind="series", name="perfect", tz=TZ, columns=told)
    games = pd.read_parquet(folder / "context_sports_events_daily.parquet")
    sports = tq.read_context(games, kind="calendar", name="sports", tz=TZ, known="30D before start")
    values = ["tmax", "prcp", "snow"]
    return {
        BASE: [tq.Calendar()],
        "weather as measured": [tq.Calendar(), tq.Weather(weather, values=values)],
        "weather, a perfect forecast": [tq.Calendar(), tq.Weather(weather, perfect, values=values)],
        "sports events": [tq.Calendar(layers=sports)],
        "public holidays": [tq.Calendar(country="US")],
        "daylight": [tq.Calendar(), tq.Daylight()],
        "another seed": [tq.Calendar()],
    }


def chicago(period, folds, every):
    """Panel, target, splits and blocks."""
    incidents = read_city(City(arguments.folder / "incidents.parquet"))
    grid = tq.HexGrid.from_incidents(incidents, resolution=8, dilate=1, before=FIRST)
    panel = tq.Panel.build(incidents, grid, tq.TimeBins.covering(incidents, freq="1D"))
    target = tq.Target(("THEFT", "ASSAULT"), period=period)
    return panel, target, tq.RollingOrigin(folds, every, FIRST), chicago_blocks(arguments.folder), None


# %% [markdown]
# ## The simulated city: strong wind takes 40 % of the noise away, a match evening multiplies it by four around the stadium


# %%
def simulated():
    """The same of a city whose effects are planted, and the city."""
    days = {"start": "2022-01-01", "days": 730, "seed": 0}
    wind = tq.simulate_spells("wind", value="gust_kmh", **days)
    forecast = tq.simulate_issues(wind, "wind_forecast", seed=0, error=0.1, days_ahead=7)
    stadium = [(43.2698, 5.3959)]
    evenings = {"per_week": 1.0, "begins": 21, "hours": 2, "announced_days": 28}
    matches = tq.simulate_events("matches", stadium, attendance=(25_000, 65_000), **evenings, **days)
    planted = [
        tq.PlantedEffect("mistral", wind, {"noise": 0.6}, value="gust_kmh", above=57.0),
        tq.PlantedEffect("match", matches, {"noise": 4.0}, radius_m=800, margin_hours=2),
    ]
    city = tq.simulate_city(**days, incidents_per_day=150, effects=planted)
    panel = tq.Panel.build(city.incidents, city.grid, city.bins("1D"))
    blocks = {
        BASE: [tq.Calendar()],
        "wind as measured": [tq.Calendar(), tq.Weather(wind)],
        "wind, measured and forecast": [tq.Calendar(), tq.Weather(wind, forecast)],
        "match evenings": [tq.Calendar(), tq.Events(matches)],
        "wind and match evenings": [tq.Calendar(), tq.Weather(wind, forecast), tq.Events(matches)],
    }
    return panel, tq.Target("noise"), tq.RollingOrigin(184, "1D", "2023-06-30"), blocks, city


def truth(city, like, panel):
    """The simulated city's own expected counts, at the cutoffs of a backtest."""
    expected = city.intensity(panel.bins, "noise")
    rows = [panel.index_at(str(cutoff)[:10]) for cutoff in like.keys["cutoff"]]
    nothing = np.full(like.expected_count.shape, np.nan)
    values = dict.fromkeys(like.values, nothing) | {
        "expected_count": expected[rows],
        "dispersion": np.zeros_like(nothing),
        "prob_any": 1 - np.exp(-expected[rows]),
        "observed_count": like.observed_count,
    }
    keys = like.keys.assign(model=TRUTH, distribution="poisson")
    return Forecasts(keys, like.cells, like.area_km2, values, like.meta)


# %% [markdown]
# ## Each block beside the model without it


# %%
def forecasts_of(plan, panel, target, splits, blocks):
    """Forecasts of the model with each set of blocks, made or taken from the folder kept."""
    for name, more in blocks.items():
        kept = None if arguments.keep is None else arguments.keep / f"{plan} {name}.parquet"
        if kept is None or not kept.exists():
            print(f"{plan}, {name}", file=sys.stderr, flush=True)
            seed = 1 if name == "another seed" else 0
            model = tq.LightGBMForecaster(target, tq.FeatureSet([*HISTORY, *more]), random_state=seed)
            model.name = name
            often = "every_fold" if target.period > 1 else "never"
            found = tq.backtest([model], panel, splits, recalibrate=often)
            if kept is not None:
                found.write(kept)
        yield tq.read_forecasts(kept) if kept is not None else found


PLANS = {
    "weekly": lambda: chicago(7, 26, "7D"),
    "daily": lambda: chicago(1, 92, "2D"),
    "simulated": simulated,
}
tables = []
for plan, make in PLANS.items():
    if arguments.only not in {None, plan}:
        continue
    panel, target, splits, blocks, city = make()
    parts = list(forecasts_of(plan, panel, target, splits, blocks))
    found = Forecasts.concat([*parts, *([] if city is None else [truth(city, parts[0], panel)])])
    block = {"7D": 4, "2D": 7, "1D": 14}[splits.every]
    for category in target.categories:
        table = tq.compare(found.select(category=category), reference=BASE, hotspot=(0.05,), block=block)
        table.insert(0, "category", category)
        table.insert(0, "plan", plan)
        tables.append(table)

# %%
table = pd.concat(tables, ignore_index=True)
shown = [
    "plan", "category", "model", "n_folds", "n_incidents", "difference", "lower", "upper", "p_adjusted",
    "detectable_difference", "hit_rate_5pct_difference", "hit_rate_5pct_difference_lower", "hit_rate_5pct_difference_upper",
]  # fmt: skip
print("nats a fold better than the model without the block (positive: the block helps)")
print(table[shown].round(4).to_string(index=False))
if arguments.output is not None:
    table[shown].to_csv(arguments.output, index=False, float_format="%.5g")
