# %% [markdown]
# # Would a model that can be read do as well?
#
# Boosted trees are hard to read. A regression with sixteen features, or one curve for each of them, is not. This script
# backtests both kinds on one configuration and asks what reading costs: in deviance, and in the gain over plain counts.
#
# Run it as `python experiments/13_glass_box.py [CONFIG] [--set KEY=VALUE …] [--models NAME …]`; with the weekly benchmark of
# St. Louis that is
#
#     python experiments/13_glass_box.py configs/stlouis.yaml --set grid.study_area_km2=164.8 \
#         --set grid.cells=../shared/data/stlouis/benchmark_cells.parquet

# %%
import argparse

import tranquillite_ml as tq
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters import make_model
from tranquillite_ml.stages import load_incidents, make_panel, make_splits, make_target

MODELS = ["smoothed_count", "poisson", "negative_binomial", "additive", "lightgbm", "ensemble"]
parser = argparse.ArgumentParser()
parser.add_argument("config", nargs="?", default="demo")
parser.add_argument("--set", action="append", default=[], dest="settings")
parser.add_argument("--models", nargs="*", default=MODELS)
arguments = parser.parse_args()

# %% [markdown]
# ## The backtest
#
# Every model has its own default features: the linear and additive ones few, the trees all.

# %%
config = tq.load_config(arguments.config, arguments.settings)
panel = make_panel(config, load_incidents(config)[0])
target, splits = make_target(config), make_splits(config)
models = {name: make_model(name, target, FeatureSet()) for name in arguments.models}
forecasts = tq.backtest(list(models.values()), panel, splits)

scores = tq.score(forecasts)
print(
    scores[["model", "n_folds", "n_incidents", "deviance", "poisson_log_likelihood", "oe"]]
    .round(4)
    .to_string()
)
gains = tq.compare(forecasts, reference="smoothed_count", score="poisson_log_likelihood", hotspot=())
print("\nnats a fold over the smoothed count")
print(gains[["model", "n_folds", "difference", "lower", "upper"]].round(2).to_string())

# %% [markdown]
# ## What reading costs

# %%
for model in ("lightgbm", "ensemble"):
    if model in models:
        check = tq.glass_box_check(forecasts, model=model)
        print(f"\n{check.sentence}")
        print(check.table[["model", "excess", "lower", "upper", "verdict", "kept"]].round(4).to_string())

# %% [markdown]
# ## What there is to read

# %%
category = target.categories[0]
if "poisson" in models:
    print(f"\n{category}: factor of each feature, for one standard deviation")
    table = models["poisson"].coefficients(category)
    print(table[["name", "unit", "factor", "lower", "upper"]].round(3).to_string())
if "additive" in models:
    print(f"\n{category}: factor from the lowest to the highest point of each curve")
    shapes = models["additive"].shapes(category)
    seen = shapes[shapes["n"] > 0]
    print(seen.groupby("feature", sort=False)["factor"].agg(["min", "max"]).round(3).to_string())
if "ensemble" in models:
    print()
    print(models["ensemble"].weights_.round(3).to_string())
