# %% [markdown]
# # Do intervals of counts hold what they promise?
#
# A forecast of a count is a law, not a number. This script asks, in every city whose times allow it, for days, weeks and
# shifts of eight hours: do the intervals cover what they say, in quiet places and in busy ones? Is the law right as a
# whole? Is as much recorded as expected, in each tenth of the forecasts and in each district? And where the truth is
# known, are the intervals wider than they need be?
#
#     python experiments/12_intervals.py ../shared/data --output experiments/results/12_intervals.csv
#
# A row (city, period, model) is written as soon as it is known, and one that the file holds is not run again: delete it there
# if the code or the data have changed. `--cities`, `--periods` and `--models` run a part; `--docs` prints the tables of
# `docs/limits.md` from the file. Rows of another `--law` or `--intervals` belong in a file of their own.

# %%
import argparse
import warnings
from pathlib import Path

import h3.api.numpy_int as h3
import numpy as np
import pandas as pd

import tranquillite_ml as tq
from tranquillite_ml.calibration import count_interval, fit_dispersion
from tranquillite_ml.evaluation import calibration_slope

parser = argparse.ArgumentParser()
parser.add_argument("data", nargs="?", default="../shared/data", type=Path)
parser.add_argument("--models", nargs="*", default=["lightgbm", "smoothed_count"])
parser.add_argument("--cities", nargs="*", help="only these")
parser.add_argument("--periods", nargs="*", help="only these: daily, weekly, 8-hour")
parser.add_argument("--law", default=None, help="poisson, negative_binomial or hurdle")
parser.add_argument("--intervals", default=None, help="law or conformal")
parser.add_argument("--output", type=Path, default=None, help="a CSV: rows it holds are not run again")
parser.add_argument("--docs", action="store_true", help="print the rows of --output as Markdown, run nothing")
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


ROW = ["city", "period", "model"]


def kept():
    """The rows that need not be run."""
    there = arguments.output and arguments.output.is_file()
    return pd.read_csv(arguments.output) if there else pd.DataFrame(columns=ROW)


def keep(row):
    """Print a row, and write it after those that are kept."""
    found = pd.DataFrame([row]).round(4)
    print(found.to_string(index=False), flush=True)
    if arguments.output:
        old = kept()
        whole = pd.concat([old, found], ignore_index=True) if len(old) else found
        beside = arguments.output.with_suffix(".part")
        whole.to_csv(beside, index=False)
        beside.replace(arguments.output)


def to_run(city, period):
    """Names of the models of a city and period that are not kept."""
    table = kept()
    done = table["model"][(table["city"] == city) & (table["period"] == period)]
    return [] if arguments.docs else [name for name in arguments.models if name not in set(done)]


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
# Plain coverage, randomised coverage overall and in the worst quartiles of activity, the slope of the recorded on the expected
# count, and whether all bars of the randomised PIT's histogram lie in the band of a right forecast. Where counts are nearly
# always 0 that histogram is mostly the draw's: a right forecast leaves the band in 5 of 100 draws, and so in one or two rows of
# a table of thirty. So it is drawn eleven times, and a row misses if most draws leave the band.
#
# Then recorded over expected: overall, in each tenth of the forecasts and in each district. A city's districts are its H3 cells
# of resolution 6, about 36 km² each; those that expect fewer than thirty incidents are put together. A tenth that expects fewer
# than thirty, as the quietest may, is not judged: an interval over folds with one incident or none is too narrow. Two numbers
# say how many tenths (or districts) have their point outside 0.9-1.1, and how many have an interval outside: Bonferroni's, so
# that if there is none, Holm's procedure rejects none either.

DRAWS = 11
ENOUGH = 30


def districts(forecasts):
    """A label for each cell; districts that expect too few incidents for an interval are put together."""
    parent = np.array([h3.cell_to_parent(int(cell), 6) for cell in forecasts.cells])
    names, number = np.unique(parent, return_inverse=True)
    expected = np.bincount(number, forecasts.expected_count.sum(axis=0))
    return np.where(expected[number] < ENOUGH, 0, names[number])


def ratios_off(forecasts, name, **groups):
    """Tenths or districts judged, those whose ratio lies outside 0.9-1.1, and those whose interval does."""
    table = tq.reliability_curve(forecasts, n_boot=1, **groups)
    judged = (table["n"] * table["forecast"] >= ENOUGH).to_numpy()
    level = 1 - 0.05 / max(judged.sum(), 1)
    table = tq.reliability_curve(forecasts, level=level, n_boot=4000, **groups)[judged]
    outside = (table["oe"] > 1.1) | (table["oe"] < 0.9)
    off = (table["oe_lower"] > 1.1) | (table["oe_upper"] < 0.9)
    return {name: len(table), f"{name}_out": int(outside.sum()), f"{name}_off": int(off.sum())}


def measured(city, period, forecasts, truth=None):
    """The row of one model's forecasts."""
    overall = tq.interval_coverage_table(forecasts, strata=1).iloc[0]
    quarters = tq.interval_coverage_table(forecasts, strata=4)
    quarters = quarters[quarters["n"] > 0]
    bands = [tq.pit_table(forecasts, seed=seed) for seed in range(DRAWS)]
    slope = calibration_slope(forecasts).iloc[0]
    row = {
        "city": city,
        "period": period,
        "model": forecasts.models[0],
        "law": "/".join(sorted(set(forecasts.keys["distribution"]))),
        "n": overall["n"],
        "seen": overall["n_incidents"],
        "folds": overall["n_folds"],
        "plain": overall["coverage"],
        "plain_q": quarters["coverage"].min(),
        "rand": overall["randomised_coverage"],
        "q_min": quarters["randomised_coverage"].min(),
        "q_max": quarters["randomised_coverage"].max(),
        "pit": sum(bool(band["inside"].all()) for band in bands),
        "pit_off": np.mean([(band["share"] - 0.1).abs().max() for band in bands]),
        "slope": slope["slope"],
        "s_lo": slope["slope_lower"],
        "s_hi": slope["slope_upper"],
        "oe": slope["oe"],
        "oe_lo": slope["oe_lower"],
        "oe_hi": slope["oe_upper"],
        **ratios_off(forecasts, "tenths"),
        **ratios_off(forecasts, "districts", places=districts(forecasts)),
        "log_score": tq.score(forecasts, n_boot=1).iloc[0]["log_score"],
        "width": overall["mean_width"] / truth if truth else np.nan,
    }
    return row | {"missed": " ".join(name for name, yes in bars(row).items() if not yes) or "-"}


def bars(row):
    """What must hold, by name."""
    return {
        "plain": row["plain"] >= 0.88,
        "randomised": 0.88 <= row["rand"] <= 0.92,
        "quartiles": row["q_min"] >= 0.86 and row["q_max"] <= 0.94,
        "pit": row["pit"] > DRAWS / 2,
        "total": row["oe_lo"] <= 1.03 and row["oe_hi"] >= 0.97,
        "tenths": row["tenths_off"] == 0,
        "districts": row["districts_off"] == 0,
        "width": not row["width"] > 1.05,
    }


MODELS = {
    "lightgbm": tq.LightGBMForecaster,
    "learned_count": tq.LearnedCount,
    "smoothed_count": tq.SmoothedCount,
}


def run(city, period, incidents, categories, days):
    """The panel, and the forecasts of each model that is not kept, one after the other."""
    freq, length, horizons = PERIODS[period]
    target = tq.Target(categories, period=length, horizons=horizons)
    bins = tq.TimeBins.covering(incidents, freq=freq)
    folds, every = folds_of(city, period, bins.n_bins // bins.bins_per_day)
    splits = tq.RollingOrigin(folds=folds, every=f"{every}D")
    first = splits.table(bins, target)["cutoff"][0]
    grid = tq.HexGrid.from_incidents(incidents, resolution=9, before=first)
    panel = tq.Panel.build(incidents, grid, bins)
    chosen = {k: v for k in ("law", "intervals") if (v := getattr(arguments, k))}
    for name in to_run(city, period):
        yield panel, tq.backtest([MODELS[name](target, calibration_days=days, **chosen)], panel, splits)


# %%
for city in arguments.cities or CITIES:
    if city not in CITIES or not (arguments.data / city).is_dir():
        continue
    periods = [name for name in PERIODS if (city, name) != ("portland", "8-hour") and to_run(city, name)]
    incidents = read(city) if periods else None
    for period in periods:
        for _, forecasts in run(city, period, incidents, CITIES[city][1], CITIES[city][2]):
            keep(measured(city, period, forecasts))

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


if not arguments.docs and (not arguments.cities or "simulated" in arguments.cities):
    made = tq.simulate_city(seed=0, days=730, incidents_per_day=120, radius_km=5)
    print(made.notice)
    for period in PERIODS:
        for panel, forecasts in run("simulated", period, made.incidents, ["damage", "noise"], 60):
            keep(measured("simulated", period, forecasts, true_width(made, panel, forecasts)))

# %% [markdown]
# ## The table of the documentation

# %%
NAMES = {"lightgbm": "boosted", "smoothed_count": "smoothed count", "learned_count": "learned count"}
HEAD = (
    "city, period, model | n | recorded | plain | randomised | quartiles | pit | slope | "
    "recorded over expected | tenths | districts | width | missed"
)


def as_markdown(row):
    cells = [
        f"{row.city}, {row.period}, {NAMES[row.model]}",
        f"{row.n:,.0f}",
        f"{row.seen:,.0f}",
        f"{100 * row.plain:.1f} %",
        f"{100 * row.rand:.1f} %",
        f"{100 * row.q_min:.1f} to {100 * row.q_max:.1f} %",
        f"{row.pit} of {DRAWS}",
        f"{row.slope:.2f} [{row.s_lo:.2f}, {row.s_hi:.2f}]",
        f"{row.oe:.2f} [{row.oe_lo:.2f}, {row.oe_hi:.2f}]",
        f"{row.tenths} / {row.tenths_out} / {row.tenths_off}",
        f"{row.districts} / {row.districts_out} / {row.districts_off}",
        "" if np.isnan(row.width) else f"{row.width:.2f}",
        row.missed,
    ]
    return f"| {' | '.join(cells)} |"


if arguments.docs:
    print(f"| {HEAD} |\n|{'---|' * (HEAD.count('|') + 1)}")
    for row in kept().sort_values(ROW).itertuples(index=False):
        print(as_markdown(row))
