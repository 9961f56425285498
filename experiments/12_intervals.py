# %% [markdown]
# # Do intervals of counts hold what they promise?
#
# A forecast of a count is a law, not a number. This script asks, in every city whose times allow it, for days, weeks and
# shifts of eight hours: do the intervals cover what they say, in quiet places and in busy ones? Is the law right as a
# whole? And where the truth is known, are the intervals wider than they need be?
#
# Run it as `python experiments/12_intervals.py [DATA_FOLDER] [--learned]`.

# %%
import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import tranquillite_ml as tq
from tranquillite_ml.calibration import count_interval, fit_dispersion
from tranquillite_ml.evaluation import calibration_slope

parser = argparse.ArgumentParser()
parser.add_argument("data", nargs="?", default="../shared/data", type=Path)
parser.add_argument("--learned", action="store_true", help="LightGBM on St. Louis, too")
parser.add_argument("--cities", nargs="*", help="only these")
parser.add_argument("--periods", nargs="*", help="only these: daily, weekly, 8-hour")
parser.add_argument("--law", default=None, help="poisson, negative_binomial or hurdle")
parser.add_argument("--intervals", default=None, help="law or conformal")
arguments = parser.parse_args()

# %% [markdown]
# ## The cities
#
# Two categories each, a busy one and a quieter one. Houston has eight months and Vancouver one year: their calibration
# windows and their folds are short. Portland's records carry no hour.

# %%
CITIES = {
    "stlouis": ("America/Chicago", ["larceny", "burglary"], 60, 28, "2015-01-01"),
    "chicago": ("America/Chicago", ["THEFT", "ASSAULT"], 60, 21, None),
    "houston": ("America/Chicago", ["theft", "burglary"], 42, 7, None),
    "vancouver": ("America/Vancouver", ["Theft from Vehicle", "Mischief"], 56, 14, None),
    "portland": ("America/Los_Angeles", ["burglary", "motor vehicle theft"], 60, 28, None),
}
COLUMNS = {"occurred_at": "timestamp", "lat": "latitude", "lng": "longitude", "category": "category"}
PERIODS = {  # bins, bins a period, horizons
    "daily": ("1D", 1, [1, 7]),
    "weekly": ("1D", 7, [1]),
    "8-hour": ("8h", 1, [1, 2, 3]),
}


if arguments.periods:
    PERIODS = {name: PERIODS[name] for name in arguments.periods}


def read(city):
    tz, categories, _, _, since = CITIES[city]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong with the files is told by `tranquillite check`
        found = tq.read_incidents(arguments.data / city / "incidents.parquet", tz=tz, columns=COLUMNS)
    table = found.table[found.table["category"].isin(categories)]
    if since:
        table = table[table["occurred_at"] >= pd.Timestamp(since, tz=tz)]
    return tq.Incidents.from_table(table, tz=tz)


def folds_of(city, period, n_days):
    """Folds and days between them, in the last half of a record at most.

    Days and shifts are forecast from cutoffs on every weekday: plain counts know no weekday, and folds that
    always stand on the same one would judge that, not the intervals.
    """
    every = CITIES[city][3] if city in CITIES else 28
    folds = 13
    if period != "weekly":
        folds, every = (26, 13) if every > 14 else (13, every - 1)
    return int(min(folds, n_days // 2 // every)), every


# %% [markdown]
# ## What is measured
#
# Plain coverage, randomised coverage overall and in the worst quartiles of activity, the share of the PIT histogram's bars
# that lie in the band of a right forecast, the slope of the recorded on the expected count, and recorded over expected.


# %%
def measured(city, period, forecasts, truth=None):
    found = []
    for model in forecasts.models:
        mine = forecasts.select(model=model)
        overall = tq.interval_coverage_table(mine, strata=1).iloc[0]
        quarters = tq.interval_coverage_table(mine, strata=4)
        quarters = quarters[quarters["n"] > 0]
        band = tq.pit_table(mine)
        band = band[band["n"] > 0]
        slope = calibration_slope(mine).iloc[0]
        # Bonferroni's intervals: if all of them meet 0.9-1.1, Holm's procedure rejects none either.
        deciles = tq.reliability_curve(mine, bins=10, level=1 - 0.05 / 10, n_boot=4000)
        off = (deciles["oe_lower"] > 1.1) | (deciles["oe_upper"] < 0.9)
        found.append(
            {
                "city": city,
                "period": period,
                "model": model,
                "law": "/".join(sorted(set(mine.keys["distribution"]))),
                "n": overall["n"],
                "seen": overall["n_incidents"],
                "folds": overall["n_folds"],
                "plain": overall["coverage"],
                "plain_q": quarters["coverage"].min(),
                "rand": overall["randomised_coverage"],
                "q_min": quarters["randomised_coverage"].min(),
                "q_max": quarters["randomised_coverage"].max(),
                "pit": band["inside"].mean(),
                "pit_off": (band["share"] - 0.1).abs().max(),
                "slope": slope["slope"],
                "s_lo": slope["slope_lower"],
                "s_hi": slope["slope_upper"],
                "oe": slope["oe"],
                "oe_lo": slope["oe_lower"],
                "oe_hi": slope["oe_upper"],
                "dec_off": int(off.sum()),
                "log_score": tq.score(mine, n_boot=1).iloc[0]["log_score"],
                "width": overall["mean_width"] / truth if truth else np.nan,
            }
        )
    print(pd.DataFrame(found).round(3).to_string(index=False), flush=True)
    return found


def run(city, period, incidents, categories, days, *, learned=False):
    freq, length, horizons = PERIODS[period]
    target = tq.Target(categories, period=length, horizons=horizons)
    bins = tq.TimeBins.covering(incidents, freq=freq)
    folds, every = folds_of(city, period, bins.n_bins // bins.bins_per_day)
    splits = tq.RollingOrigin(folds=folds, every=f"{every}D")
    first = splits.table(bins, target)["cutoff"][0]
    grid = tq.HexGrid.from_incidents(incidents, resolution=9, before=first)
    panel = tq.Panel.build(incidents, grid, bins)
    chosen = {k: v for k in ("law", "intervals") if (v := getattr(arguments, k))}
    models = [tq.SmoothedCount(target, calibration_days=days, **chosen)]
    if learned:
        models.append(tq.LightGBMForecaster(target, calibration_days=days, **chosen))
    return panel, tq.backtest(models, panel, splits)


# %%
rows = []
for city in arguments.cities or CITIES:
    if city not in CITIES or not (arguments.data / city).is_dir():
        continue
    incidents = read(city)
    for period in PERIODS:
        if city == "portland" and period == "8-hour":
            continue
        learned = arguments.learned and city == "stlouis"
        _, forecasts = run(city, period, incidents, CITIES[city][1], CITIES[city][2], learned=learned)
        rows += measured(city, period, forecasts)

# %% [markdown]
# ## The simulated city
#
# Here the true intensity is known, and with it the narrowest intervals that hold their promise.


# %%
def true_width(city, panel, forecasts):
    """Mean width of the 90 % intervals of the true law, on the same cells and periods.

    The intensity is known. Near repeats within the period make counts vary more than a Poisson around it, and
    by how much is estimated on the whole record.
    """
    column = {cell: number for number, cell in enumerate(city.grid.cells)}
    on_land = np.array([column.get(cell, -1) for cell in forecasts.cells])
    widths = []
    for (category, horizon), part in forecasts.keys.groupby(["category", "horizon"]):
        period = round(part["exposure_hours"].median() / panel.bins.hours)
        law = city.intensity(panel.bins, category, period=period, horizon=horizon)
        law = np.where(on_land >= 0, law[:, on_land], 0.0)
        begins = np.arange(0, len(law), period)
        seen = [
            panel.counts(category, b + period * (horizon - 1), b + period * horizon).sum(0) for b in begins
        ]
        alpha = fit_dispersion(np.array(seen), law[begins])
        truth = law[[panel.index_at(cutoff) for cutoff in part["cutoff"]]]
        lower, upper = count_interval(truth, np.full_like(truth, alpha), level=0.9)
        widths.append((upper - lower).mean())
        print(f"{category}, horizon {horizon}: dispersion {alpha:.3f} around the true intensity")
    return float(np.mean(widths))


if not arguments.cities or "simulated" in arguments.cities:
    made = tq.simulate_city(seed=0, days=730, incidents_per_day=120, radius_km=5)
    print(made.notice)
    for period in PERIODS:
        panel, forecasts = run("simulated", period, made.incidents, ["damage", "noise"], 60)
        rows += measured("simulated", period, forecasts, true_width(made, panel, forecasts))

# %%
table = pd.DataFrame(rows)
print(table.round(3).to_string(index=False))
