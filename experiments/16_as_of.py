# %% [markdown]
# # What was known when
#
# Records arrive late. A forecast for a day in the past must use what was known on that day and nothing else: then, and only then,
# does a backtest show what would have happened. This script draws how late records become known, and replays thirty forecasts: once
# from the records as they stood at each cutoff, once from all records of today. They must be the same, bit for bit.
#
#     python experiments/16_as_of.py ../shared/data/stlouis/incidents.parquet --reported coded_month --tz America/Chicago

# %%
import argparse
import hashlib
import time
from pathlib import Path

import numpy as np
import pandas as pd

import tranquillite_ml as tq

parser = argparse.ArgumentParser()
parser.add_argument("path", type=Path)
parser.add_argument("--tz", required=True)
parser.add_argument(
    "--reported", default="reported_at", help="column with the time, or the month, of reporting"
)
parser.add_argument("--category", default="burglary")
parser.add_argument("--since", default="2014-01-01", help="older records are left out")
parser.add_argument("--cutoffs", type=int, default=30)
parser.add_argument("--plot", type=Path, default=None, help="PNG of the delay curve")
arguments = parser.parse_args()
names = {"occurred_at": "timestamp", "lat": "latitude", "lng": "longitude", "category": "category"}
names["reported_at"] = arguments.reported


def read(frame):
    return tq.read_incidents(
        frame,
        tz=arguments.tz,
        columns=names,
        duplicates="keep",
        categories={arguments.category: [arguments.category]},
    )


# %% [markdown]
# ## How late records become known
#
# Where only the month of reporting is written down, a record counts as known at the first instant of the month after: later than it
# was, never earlier.

# %%
table = pd.read_parquet(arguments.path, columns=sorted(set(names.values())))
table = table[table["timestamp"] >= arguments.since]
incidents = read(table)
delay = tq.reporting_delay(incidents, days=[7, 14, 28, 56, 91, 182, 365])
largest = incidents.table["category"].value_counts().index[:6]
shown = delay[delay["group"].isin(list(largest))]
print(shown.pivot_table(index="group", columns="days", values="share").round(3).to_string())
if arguments.plot is not None:
    tq.plots.reporting_delay(shown).figure.savefig(arguments.plot, dpi=110, bbox_inches="tight")

# %% [markdown]
# ## Thirty forecasts, made twice

# %%
grid = tq.HexGrid.from_incidents(
    incidents, resolution=9, dilate=1, before=pd.Timestamp("2016-01-01", tz=arguments.tz)
)
bins = tq.TimeBins.covering(incidents, freq="1D")
target = tq.Target(arguments.category, period=7)
panel = tq.Panel.build(incidents, grid, bins)
first = panel.index_at("2016-01-01")
cutoffs = np.linspace(first, panel.n_bins - 7, arguments.cutoffs).astype(int)
model = tq.LightGBMForecaster(target).fit(panel, int(cutoffs[0]))


def digest(forecasts):
    return hashlib.sha256(forecasts.expected_count.tobytes() + forecasts.upper.tobytes()).hexdigest()[:12]


def forecast(known, cutoff):
    return model.recalibrate(known, int(cutoff)).forecast(known, int(cutoff))


same, later = 0, []
for cutoff in cutoffs:
    moment = bins.wall_at(np.array([cutoff]))[0].tz_localize(arguments.tz)
    reported = incidents.table["reported_at"].fillna(incidents.table["occurred_at"])
    known = tq.Panel.build(incidents.known_at(moment), grid, bins)
    once, again = digest(forecast(known, cutoff)), digest(forecast(panel, cutoff))
    same += once == again
    later.append(int(((reported > moment) & (incidents.table["occurred_at"] < moment)).sum()))
print(f"\n{same} of {len(cutoffs)} forecasts equal, bit for bit")
print(f"records that had occurred but were not known: {min(later):,} to {max(later):,} a cutoff")

# %% [markdown]
# ## And the fit itself, at two cutoffs

# %%
for cutoff in cutoffs[[0, -1]]:
    moment = bins.wall_at(np.array([cutoff]))[0].tz_localize(arguments.tz)
    known = tq.Panel.build(incidents.known_at(moment), grid, bins)
    made = [
        tq.LightGBMForecaster(target).fit(p, int(cutoff)).forecast(p, int(cutoff)) for p in (known, panel)
    ]
    print(f"fit and forecast at {moment.date()}: equal {digest(made[0]) == digest(made[1])}")

# %% [markdown]
# ## What it costs
#
# The same fit without reporting times: every record known when it occurred. Seconds of the processor, the better of two
# fits in turns, so that what else the machine does weighs little.

# %%
prompt = tq.read_incidents(
    table, tz=arguments.tz, columns={k: v for k, v in names.items() if k != "reported_at"}, duplicates="keep"
)
seconds = {"with": [], "without": []}
panels = {"with": panel, "without": tq.Panel.build(prompt, grid, bins)}
for _ in range(2):
    for name, known in panels.items():
        begin = time.process_time()
        tq.LightGBMForecaster(target).fit(known, int(cutoffs[-1]))
        seconds[name].append(time.process_time() - begin)
best = {name: min(values) for name, values in seconds.items()}
print(f"\nfit with reporting times {best['with']:.1f} s, without {best['without']:.1f} s", end="")
print(f": {best['with'] / best['without']:.2f} times")
