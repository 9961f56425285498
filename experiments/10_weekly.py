# %% [markdown]
# # The weekly benchmark
#
# Where will next week's recorded incidents be? Thirteen weeks, four weeks apart, on the busiest 0.5 to 10 % of the area, for
# St. Louis and Chicago: our model, plain counts, and other systems' figures on the same weeks.
#
# The incidents are public but not part of the project: paths are those of a folder beside it. With your own file, give its
# path, its time zone and perhaps its categories: `City(Path("mytown/incidents.parquet"), tz="Europe/Paris")`. The same on
# the command line: `tranquillite benchmark weekly --data mytown/incidents.parquet --tz Europe/Paris --output weekly`.
#
#     python experiments/10_weekly.py --output weekly          # add --docs to put tables and plots into docs/benchmarks.md

# %%
import argparse
from pathlib import Path

import pandas as pd
from pages import put

from tranquillite_ml.benchmarks import City, model_maker, read_reference, run_weekly

parser = argparse.ArgumentParser()
parser.add_argument("--output", type=Path, default=Path("weekly"))
parser.add_argument("--docs", action="store_true")
arguments = parser.parse_args()
SHARED = Path("../shared")
cities = [City(SHARED / "data" / name / "incidents.parquet") for name in ("stlouis", "chicago")]
reference = SHARED / "design" / "benchmark_weekly.csv"
print(read_reference(reference).groupby(["series", "method"])["n"].agg(["size", "sum"]).to_string())

# %% [markdown]
# ## Run it
#
# The first run takes some minutes. Everything is written to the folder: folds, scores and comparison as CSV and Parquet, plots,
# and `weekly.md`.


# %%
def tell(what, done, total):
    if done in {0, total}:
        print(f"{what} {done}/{total}")


done = run_weekly(
    cities, output=arguments.output, make_model=model_maker("lightgbm"), reference=reference, report=tell
)

# %% [markdown]
# ## Is it the same protocol?
#
# The reference's plain counts are recomputed here. The number of incidents must agree in every fold, the log-likelihood to a
# few thousandths of a nat. Hits of raw counts differ by a few: many cells tie, and ties can be broken in many ways (ours share
# what is left of the area).

# %%
print(pd.DataFrame(done["protocol_check"]).round(4).to_string())

# %% [markdown]
# ## Who holds more?
#
# Ratios of hit rates above 1: the model held more. The interval resamples whole weeks, in pairs. Where it contains 1, nobody
# can tell.

# %%
table = pd.DataFrame(done["comparison"])
overall = table[table["series"].isin(["pooled", "mean over series"])]
print(
    overall[["series", "reference", "measure", "value", "lower", "upper", "n_folds", "n"]]
    .round(3)
    .to_string()
)

# %% [markdown]
# ## Are its numbers right?
#
# Recorded over expected should be 1, and its interval should hold 1.

# %%
scores = pd.DataFrame(done["scores"])
print(
    scores[scores["measure"] == "oe"][["series", "method", "value", "lower", "upper", "n"]]
    .round(3)
    .to_string()
)

# %% [markdown]
# ## Into the documents

# %%
if arguments.docs:
    plots = {}
    for name, shown in (("stlouis", "St. Louis"), ("chicago", "Chicago")):
        of = f"{shown}, next week"
        plots |= {
            f"hit_rate_{name}": f"{of}: hit rate against share of the area, with 95 % bands",
            f"reliability_{name}": f"{of}: recorded against expected",
            f"coverage_{name}": f"{of}: coverage of 90 % intervals by activity",
        }
    put(arguments.output, "weekly", plots)
