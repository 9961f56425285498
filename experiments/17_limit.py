# %% [markdown]
# # How much of what can be known does a model know?
#
# In a simulated city the true expected count of each place and period is known, given everything that had occurred. No forecast
# can hold more log-likelihood than it. This script backtests models on three cities of about 1,900 cells and three years and
# states, for each, its gain over the long-run mean of each cell as a share of the truth's gain.
#
#     python experiments/17_limit.py --categories noise theft --models lightgbm learned_count

# %%
import argparse
import sys

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
arguments = parser.parse_args()


# %%
def model(name, target):
    if name == "smoothed_count":
        return tq.SmoothedCount(target)
    return make_model(name, target, FeatureSet())


def one_city(seed):
    """Log-likelihood by category, model and fold: the models', the long-run mean's, and the truth's."""
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
    models = [model(name, target) for name in arguments.models]
    forecasts = tq.backtest([*models, tq.CountAll(target)], panel, splits)
    rows = []
    for name in target.categories:
        law = city.intensity(bins, name, period=arguments.period)
        part = forecasts.select(category=name)
        for position, key in enumerate(part.keys.itertuples(index=False)):
            seen, rate = part.observed_count[position], part.expected_count[position]
            true = np.maximum(law[panel.index_at(key.cutoff)], 1e-12)
            for label, value in ((key.model, rate), ("truth", true)):
                if label == "truth" and key.model != "count_all":
                    continue
                likelihood = float((seen * np.log(np.maximum(value, 1e-12)) - value).sum())
                rows.append((seed, name, label, str(key.cutoff), likelihood, int(seen.sum())))
    return rows


# %%
found = []
for seed in arguments.seeds:
    print(f"city {seed}", file=sys.stderr)
    found += one_city(seed)
folds = pd.DataFrame(found, columns=["seed", "category", "model", "cutoff", "log_likelihood", "n"])

# %% [markdown]
# ## Share of the truth's gain
#
# The interval resamples weeks, those of all cities and categories together.

# %%
wide = folds.pivot_table(index=["seed", "category", "cutoff"], columns="model", values="log_likelihood")
gain = wide.sub(wide["count_all"], axis=0).drop(columns="count_all")


def shares(part, groups):
    sums = part.groupby(groups).sum()
    weights = resample_folds(len(sums), 2000, 0)
    for name in arguments.models:
        draws = (weights @ sums[name].to_numpy()) / (weights @ sums["truth"].to_numpy())
        lower, upper = percentile_interval(draws, len(sums))
        yield {
            "model": name,
            "share": sums[name].sum() / sums["truth"].sum(),
            "lower": lower,
            "upper": upper,
            "nats_of_truth": sums["truth"].sum(),
            "n_folds": len(sums),
        }


rows = [{"category": "all"} | row for row in shares(gain, ["seed", "cutoff"])]
for name in sorted(arguments.categories):
    part = gain.xs(name, level="category")
    rows += [{"category": name} | row for row in shares(part, ["seed", "cutoff"])]
print(
    f"{int(folds[folds['model'] == 'truth']['n'].sum()):,} incidents in the weeks forecast; period {arguments.period} days"
)
print(pd.DataFrame(rows).round(3).to_string(index=False))
