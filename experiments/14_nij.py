# %% [markdown]
# # The NIJ challenge: a quarter of a square mile
#
# Which cells, 0.25 to 0.75 square miles in all, will hold most of Portland's recorded burglaries and motor vehicle thefts in
# the next week, two weeks, month, two and three months? The winners of such a contest are known by a handful of incidents, so
# the year before is used to rehearse it, and each PAI comes with what one incident more or less would make of it.
#
#     python experiments/14_nij.py --output nij                # add --docs to put tables and plots into docs/benchmarks.md

# %%
import argparse
from pathlib import Path

import pandas as pd
from pages import put

from tranquillite_ml.benchmarks import WINDOWS, City, model_maker, run_nij

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, default=Path("../shared/data/portland/incidents.parquet"))
parser.add_argument("--output", type=Path, default=Path("nij"))
parser.add_argument("--docs", action="store_true")
arguments = parser.parse_args()
city = City(arguments.data)
print(WINDOWS)


# %% [markdown]
# ## Rehearse and forecast
#
# Five windows of two categories on 15,000 cells take some minutes. On the command line:
# `tranquillite benchmark nij --data ../shared/data/portland/incidents.parquet --output nij`.


# %%
def tell(what, done, total):
    if done in {0, total}:
        print(f"{what} {done}/{total}")


done = run_nij(city, output=arguments.output, make_model=model_maker("lightgbm"), report=tell)
scores = pd.DataFrame(done["scores"])

# %% [markdown]
# ## How good, and how sure
#
# With fewer than five windows that do not overlap there is no interval, and that is an answer, too.

# %%
shown = ["window", "area_sq_mi", "category", "model", "n_folds", "n_incidents", "hits", "pai"]
shown += ["pai_lower", "pai_upper", "pei_star", "one_incident_pai"]
print(scores[shown].round(2).to_string())

# %% [markdown]
# ## What follows the data
#
# `nij/forecast_<window>.parquet` hold the forecasts from 2017-03-01, with the cells each would select flagged: `selected_025` the
# fewest that reach 0.25 square miles, `selected_075` the most that fit in 0.75. `nij/selected_cells.csv` lists these cells alone.

# %%
cells = pd.read_csv(arguments.output / "selected_cells.csv")
print(cells[cells["model"] == done["model"]].groupby(["window", "category"]).sum(numeric_only=True).round(2))

# %% [markdown]
# ## Into the documents

# %%
if arguments.docs:
    of = "Portland, next week"
    plots = {
        "hit_rate_1_week": f"{of}: hit rate against share of the area, with 95 % bands",
        "reliability_1_week": f"{of}: recorded against expected",
        "coverage_1_week": f"{of}: coverage of 90 % intervals by activity",
    }
    put(arguments.output, "nij", plots)
