# %% [markdown]
# # A panel that is not H3: the ST-HSL tensor
#
# Daily counts of four categories on 14 × 12 squares of Chicago, 731 days, published with a split: the last 92 days are forecast
# one by one. Nothing in the engine needs hexagons: a `SquareGrid` has areas, neighbours and names of its own.
#
#     python experiments/11_sthsl.py --output sthsl            # add --docs to put tables and plots into docs/benchmarks.md

# %%
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from pages import put

import tranquillite_ml as tq
from tranquillite_ml.benchmarks import model_maker, run_sthsl

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="../shared/data/chicago/sthsl_tensor.npz")
parser.add_argument("--output", type=Path, default=Path("sthsl"))
parser.add_argument("--docs", action="store_true")
arguments = parser.parse_args()
squares = tq.SquareGrid.from_tensor_shape((14, 12), size_km=3.0, south=41.6446, west=-87.9279)
print(squares, squares.names()[:3], "neighbours of the first:", int(squares.ring(1)[0].sum()))
counts = np.zeros((1, 731, squares.n_cells), dtype=int)
print(tq.Panel.from_counts(counts, squares, tq.TimeBins("2016-01-01", 731, "1D", "UTC"), ["THEFT"]))

# %% [markdown]
# ## Run it
#
# On the command line: `tranquillite benchmark sthsl --data ../shared/data/chicago/sthsl_tensor.npz --output sthsl`.

# %%
done = run_sthsl(arguments.data, output=arguments.output, make_model=model_maker("lightgbm"))
scores = pd.DataFrame(done["scores"])


def table(measure):
    rows = scores[scores["measure"] == measure]
    return rows.pivot_table(index="method", columns="category", values="value", sort=False).round(3)


# %% [markdown]
# ## All cells
#
# The Poisson deviance a cell and day judges the whole forecast, the many quiet cells included.

# %%
print(table("deviance").to_string())
print(table("rmse").to_string())
print(table("mae").to_string())

# %% [markdown]
# ## Only where something happened
#
# The published error scores only cells and days with an incident, which nobody knows beforehand. It rewards whoever forecasts
# as if something were certain to happen: the best answer to that question is the median of the count *given that it is not
# zero*, and even a constant 1 beats careful means on the percentage error.

# %%
print(table("masked_mae").to_string())
print(table("masked_mape").to_string())

# %% [markdown]
# ## Into the documents

# %%
if arguments.docs:
    plots = {
        "hit_rate_sthsl": "Chicago on squares, next day: hit rate against share of the area, with 95 % bands",
        "reliability_sthsl": "Chicago on squares, next day: recorded against expected",
        "coverage_sthsl": "Chicago on squares, next day: coverage of 90 % intervals by activity",
    }
    put(arguments.output, "sthsl", plots)
