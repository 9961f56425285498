# %% [markdown]
# # A first forecast
#
# From recorded incidents to next week's expected counts, in five steps. The city is simulated, so that we can compare
# with the truth at the end; with your own file, replace the first step by `tq.read_incidents("file.csv", tz="Europe/Paris")`.

# %%
import tranquillite_ml as tq

city = tq.simulate_city(seed=0, days=500, incidents_per_day=60, radius_km=4)
incidents = city.incidents
print(city.notice)
print(incidents)

# %% [markdown]
# ## 1. Count them into cells and days
#
# The grid holds only places where something was known before the first cutoff (and one ring around them): the future must
# not choose the map. What falls outside stays counted, as missed.

# %%
target = tq.Target("damage", period=7)  # a week, with daily bins
splits = tq.RollingOrigin(folds=8, every="14D")
bins = tq.TimeBins.covering(incidents, freq="1D")
first = splits.table(bins, target)["cutoff"][0]
grid = tq.HexGrid.from_incidents(incidents, resolution=9, before=first)
panel = tq.Panel.build(incidents, grid, bins)
print(panel)
print(panel.funnel)

# %% [markdown]
# ## 2. Features, a model, and the ladder of plain counts

# %%
features = tq.FeatureSet(
    [tq.History(), tq.Neighbourhood(rings=2), tq.NearRepeat(), tq.Calendar(country="FR")]
)
print(features.table(target, bins).groupby("family").size())
model = tq.LightGBMForecaster(target, features)

# %% [markdown]
# ## 3. Backtest
#
# At each cutoff every forecaster sees only what had been reported by then.

# %%
forecasts = tq.backtest([model, *tq.baseline_ladder(target)], panel, splits)
scores = tq.score(forecasts)
print(
    scores[["model", "n_folds", "n_incidents", "log_score", "log_score_lower", "log_score_upper", "oe"]]
    .round(3)
    .to_string()
)

# %% [markdown]
# ## 4. Does it beat counts?
#
# Sometimes it does not, and then plain counts are what to use: they are simpler to explain and to check.

# %%
print(tq.verdict(forecasts, model="lightgbm").sentence)
curve = tq.hotspot_curve(forecasts, coverage=[0.01, 0.05, 0.10])
print(
    curve[["model", "coverage", "hit_rate", "hit_rate_lower", "hit_rate_upper", "pai", "one_incident_pai"]]
    .round(3)
    .to_string()
)
tq.plots.hotspot_curve(curve)
tq.plots.reliability(tq.reliability_curve(forecasts, model="lightgbm"))

# %% [markdown]
# ## 5. Next week
#
# An expected count, a probability of at least one, and an interval, for each cell.

# %%
week = model.fit(panel).forecast(panel)
table = week.to_geodataframe()
print(
    table.nlargest(5, "expected_count")[["cell", "expected_count", "prob_any", "lower", "upper"]].to_string()
)

# %% [markdown]
# ## And the truth?
#
# Only a simulation can tell how much there was to know: the log-likelihood of the city's true law on the same folds.

# %%
import numpy as np

mine = forecasts.select(model="lightgbm")
rows = [panel.index_at(cutoff) for cutoff in mine.keys["cutoff"]]
law = city.intensity(bins, "damage", period=7)[rows]
column = {cell: number for number, cell in enumerate(city.grid.cells)}
on_land = np.array([column.get(cell, -1) for cell in mine.cells])
truth = np.maximum(np.where(on_land >= 0, law[:, on_land], 0.0), 1e-9)
observed = mine.observed_count


def log_likelihood(rate):
    return float((observed * np.log(rate) - rate).sum())


even = np.full_like(truth, truth.mean())
counts = forecasts.select(model="count_365d").expected_count
known = log_likelihood(truth) - log_likelihood(even)
for name, rate in {"count_365d": counts, "lightgbm": mine.expected_count}.items():
    share = (log_likelihood(rate) - log_likelihood(even)) / known
    print(f"{name} knew {share:.0%} of what could be known ({int(observed.sum())} incidents)")
