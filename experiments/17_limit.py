# %% [markdown]
# # How much of what can be known does a model know?
#
# In a simulated city the true expected count of each place and period is known, given everything that had occurred. No forecast
# can hold more log-likelihood than it. This script backtests models on cities of about 1,900 cells and three years and states,
# for each, its gain over the mean of each cell as a share of the truth's gain.
#
# *Which mean?* The one that could be had at the cutoff: all that was counted in the cell, half an incident more, calibrated
# (`count_all`). The truth knows the level of every cell, which no record of three years tells; so the script also takes the
# truth's gain apart, and says what is left to a forecaster who knows everything but that.
#
#     python experiments/17_limit.py --output experiments/results/17_limit.csv
#     python experiments/17_limit.py --categories noise --incidents-per-day 2000 --output experiments/results/17_limit_dense.csv
#
# The log-likelihoods of a city and a model are written as soon as they are known, and those that the file holds are not run
# again: a file is for one choice of the other arguments.

# %%
import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import tranquillite_ml as tq
from tranquillite_ml.evaluation.bootstrap import percentile_interval, resample_folds
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters import make_model

parser = argparse.ArgumentParser()
parser.add_argument("--categories", nargs="*", default=["noise", "theft", "damage", "burglary"])
parser.add_argument("--models", nargs="*", default=["lightgbm", "learned_count", "smoothed_count"])
parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
parser.add_argument("--period", type=int, default=7)
parser.add_argument("--days", type=int, default=1096)
parser.add_argument("--radius-km", type=float, default=10.0)
parser.add_argument("--incidents-per-day", type=float, default=200.0)
parser.add_argument(
    "--delays", action="store_true", help="with reporting delays, which the truth does not have"
)
parser.add_argument(
    "--told", action="store_true", help="models know public holidays and matches, as the truth does"
)
parser.add_argument(
    "--docs", action="store_true", help="print the shares of --output as Markdown, run nothing"
)
parser.add_argument("--output", type=Path, default=None, help="a CSV with the log-likelihood of each fold")
arguments = parser.parse_args()


# %% [markdown]
# ## Steps from plain counts to the truth
#
# - `levels`: the true mean of each cell over the whole time, the same in every week;
# - `rhythm`: the true mean of the cell in that week: season, holidays, matches, as if nothing had happened before;
# - `truth`: that, given all that had happened: near repeats;
# - `all_but_own_level`: an oracle that knows rhythm, near repeats and the true levels of the 18 cells around a cell, but must
#   learn the cell's own level from its records. It is the mean of a gamma posterior whose prior has the neighbours' mean, and
#   a spread fitted to the true levels; which incidents were near repeats, and do not count, it takes from their true chance.
#   Nobody who forecasts knows as much: its gain is a ceiling of what can be learnt.


# %%
class Oracle:
    """The truth of one category, and what can be said with less than it."""

    def __init__(self, city, bins, category, panel):
        truth = city._truth_of(category)  # noqa: SLF001 - what a city does not show to forecasters
        self.process, self.events = truth.process, (truth.event_hours, truth.event_cells)
        self.edges = city._hour_numbers(bins)  # noqa: SLF001
        self.counts = panel.counts(category).astype(np.float64)
        self.baseline = city.baseline(bins, category)
        self.triggered = city.intensity(bins, category) - self.baseline
        level = self.baseline.mean(axis=0)
        around = sum(city.grid.ring(k) for k in (1, 2))
        near = np.asarray(around @ level).ravel() / np.maximum(np.asarray(around.sum(axis=1)).ravel(), 1)
        self.prior = np.where(near > 0, near, level) / level  # relative to the cell's own level
        self.trust = 1 / np.var(1 / self.prior, ddof=1)  # shape of a gamma with this relative variance

    def maps(self, begin, end):
        """Expected counts of the bins from `begin` to `end`, by step."""
        first, last, start = (self.edges[[k]] for k in (begin, end, 0))
        nothing = (np.empty(0), np.empty(0, dtype=np.int64))
        whole = self.process.expected(start, start, self.edges[[-1]], *nothing)[0]
        weight = self.process.weight * self.learnt_level(begin)
        return {
            "levels": whole * (last - first) / (self.edges[-1] - self.edges[0]),
            "rhythm": self.process.expected(start, first, last, *nothing)[0],
            "all_but_own_level": replace(self.process, weight=weight).expected(
                first, first, last, *self.events
            )[0],
            "truth": self.process.expected(first, first, last, *self.events)[0],
        }

    def learnt_level(self, end):
        """Level of each cell as a multiple of the true one, learnt from its records before a bin."""
        seen, own, other = (part[:end] for part in (self.counts, self.baseline, self.triggered))
        row, cell = np.nonzero(seen)
        times, own_rate, other_rate = seen[row, cell], own[row, cell], other[row, cell]
        level = self.prior.copy()
        for _ in range(60):
            part = times * level[cell] * own_rate / (level[cell] * own_rate + other_rate)
            counted = np.bincount(cell, part, minlength=len(level))
            level = (self.trust + counted) / (self.trust / self.prior + own.sum(axis=0))
        return level


STEPS = ("levels", "rhythm", "all_but_own_level", "truth")


# %%
def features(city):
    """The default ones, or those and what a city knows of its calendar."""
    if not arguments.told:
        return FeatureSet()
    matches = tq.read_context(city.events, kind="events", name="matches", tz=city.tz)
    past = [tq.History(), tq.Neighbourhood(), tq.NearRepeat()]
    return FeatureSet([*past, tq.Calendar(country="FR"), tq.Events(matches)])


def model(name, target, city):
    plain = {"smoothed_count": tq.SmoothedCount, "count_all": tq.CountAll}
    if name in plain:
        return plain[name](target)
    return make_model(name, target, features(city))


def log_likelihood(seen, rate):
    return float((seen * np.log(np.maximum(rate, 1e-12)) - rate).sum())


def one_city(seed, names):
    """Log-likelihoods by category, model and fold, for each model named; `count_all` brings the steps to the truth."""
    city = tq.simulate_city(
        seed,
        days=arguments.days,
        radius_km=arguments.radius_km,
        incidents_per_day=arguments.incidents_per_day,
        categories=arguments.categories,
        reporting_delay=arguments.delays,
    )
    bins = city.bins("1D")
    panel = tq.Panel.build(city.incidents, city.grid, bins)
    target = tq.Target(sorted(arguments.categories), period=arguments.period)
    splits = tq.RollingOrigin(folds=13, every="28D")
    for name in names:
        forecasts = tq.backtest([model(name, target, city)], panel, splits)
        yield [row for part in target.categories for row in rows_of(seed, part, forecasts, panel, city)]


def rows_of(seed, category, forecasts, panel, city):
    """The rows of one category of a model's forecasts."""
    part = forecasts.select(category=category)
    steps = Oracle(city, panel.bins, category, panel).maps if part.models == ["count_all"] else None
    for position, key in enumerate(part.keys.itertuples(index=False)):
        seen = part.observed_count[position]
        maps = {key.model: part.expected_count[position]}
        if steps:
            begin = panel.index_at(key.cutoff)
            maps |= steps(begin, begin + arguments.period)
        for label, rate in maps.items():
            yield seed, category, label, str(key.cutoff), log_likelihood(seen, rate), int(seen.sum())


# %%
COLUMNS = ["seed", "category", "model", "cutoff", "log_likelihood", "n"]
there = arguments.output and arguments.output.is_file()
folds = pd.read_csv(arguments.output) if there else pd.DataFrame(columns=COLUMNS)
for seed in arguments.seeds:
    done = set(folds["model"][folds["seed"] == seed])
    names = [name for name in ("count_all", *arguments.models) if name not in done]
    for rows in one_city(seed, names) if names and not arguments.docs else ():
        print(f"city {seed}: {len(rows)} log-likelihoods", file=sys.stderr)
        found = pd.DataFrame(rows, columns=COLUMNS).round({"log_likelihood": 4})
        folds = pd.concat([folds, found], ignore_index=True) if len(folds) else found
        if arguments.output:
            beside = arguments.output.with_suffix(".part")
            folds.to_csv(beside, index=False)
            beside.replace(arguments.output)
folds = folds[folds["seed"].isin(arguments.seeds)]

# %% [markdown]
# ## Shares of the truth's gain
#
# Over the mean that could be had (`of_truth`), over the true mean of each cell (`of_truth_over_levels`: a model must make up
# for the levels it does not know), and of what the oracle without the cell's own level gains (`of_learnable`). The intervals
# resample weeks, those of all cities and categories together.

# %%
wide = folds.pivot_table(index=["seed", "category", "cutoff"], columns="model", values="log_likelihood")
gain = wide.sub(wide["count_all"], axis=0).drop(columns="count_all")
SHARES = {  # numerator's and denominator's base, and the denominator
    "of_truth": (None, "truth"),
    "of_learnable": (None, "all_but_own_level"),
    "of_truth_over_levels": ("levels", "truth"),
}


def shares(part, groups):
    """Shares of each step, and of each model that was run in all these weeks."""
    sums = part.groupby(groups).sum(min_count=1)
    weights = resample_folds(len(sums), 2000, 0)
    for name in (*arguments.models, *STEPS):
        if name not in sums or sums[name].isna().any():
            continue
        row = {"model": name, "nats": sums[name].sum(), "n_folds": len(sums)}
        for share, (base, best) in SHARES.items():
            under = sums[base] if base else 0.0
            top, bottom = sums[name] - under, sums[best] - under
            draws = (weights @ top.to_numpy()) / (weights @ bottom.to_numpy())
            lower, upper = percentile_interval(draws, len(sums))
            row[share] = f"{100 * top.sum() / bottom.sum():.1f} % [{100 * lower:.1f}, {100 * upper:.1f}]"
        yield row


PARTS = {"all": gain}
PARTS |= {
    f"city {seed}": gain.xs(seed, level="seed", drop_level=False) for seed in sorted(set(folds["seed"]))
}
PARTS |= {name: gain.xs(name, level="category") for name in sorted(arguments.categories)}
rows = [{"part": name} | row for name, part in PARTS.items() for row in shares(part, ["seed", "cutoff"])]
counted = int(folds[folds["model"] == "truth"]["n"].sum())
if arguments.docs:
    print("| over | forecaster | weeks | nats | share of the truth's gain | share of what can be learnt |")
    print(6 * "|---" + "|")
    for row in rows:
        if row["part"] in arguments.categories:
            continue
        cells = [row["part"], row["model"].replace("_", " "), str(row["n_folds"]), f"{row['nats']:,.0f}"]
        print(f"| {' | '.join([*cells, row['of_truth'], row['of_learnable']])} |")
else:
    print(
        f"{counted:,} incidents in the weeks forecast; period {arguments.period} days; gains over count_all"
    )
    print(pd.DataFrame(rows).round(1).to_string(index=False))
