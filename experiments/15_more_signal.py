# %% [markdown]
# # What does the history still hold?
#
# Ideas that might add signal to the boosted model, each tried alone against the model as it ships, on the weeks of the weekly
# benchmark. What survives on two cities may become a default; what fails is listed with its interval, so that nobody has to try it
# again. Differences are paired week by week; the interval resamples whole weeks.
#
#     python experiments/15_more_signal.py ../shared/data/stlouis/incidents.parquet ../shared/data/chicago/incidents.parquet
#
# All ideas on two cities take about half an hour; `--only NAME …` tries some.

# %%
import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import tranquillite_ml as tq
from tranquillite_ml.benchmarks import City
from tranquillite_ml.benchmarks.cities import PERIOD, choose_categories, make_city_panel, read_city
from tranquillite_ml.features import Column, FeatureSet, View
from tranquillite_ml.forecasters.learned_count import train_memory
from tranquillite_ml.forecasters.sampling import Sample

parser = argparse.ArgumentParser()
parser.add_argument("files", nargs="+", type=Path)
parser.add_argument("--only", nargs="*", default=[])
parser.add_argument("--output", type=Path, default=None, help="CSV of the differences")
arguments = parser.parse_args()
WINDOWS = (28, 91, 365)

# %% [markdown]
# ## The ideas, each a small block or a small change of the model


# %%
class Idea(tq.FeatureBlock):
    """Columns that need no description: they are thrown away after the experiment."""

    family = "idea"
    names: tuple[str, ...] = ()

    def describe(self, target, bins):
        for name in self.names:
            yield Column(name, self.family, "", "the experiment", "reported before the pseudo-cutoff")


class Parents(Idea):
    """Mean counts of the cells with the same parent, one and two resolutions coarser."""

    names = tuple(f"parent{step}_{days}d" for step in (1, 2) for days in WINDOWS)

    def columns(self, view):
        for step in (1, 2):
            _, parent = view.panel.grid.parents(view.panel.grid.resolution - step)
            size = np.bincount(parent)
            for days in WINDOWS:
                found = view.window(days)
                summed = np.stack([np.bincount(parent, row, len(size)) for row in found]) / size
                yield f"parent{step}_{days}d", summed[:, parent].astype(np.float32)


class Categories(Idea):
    """The eight largest other categories one by one, instead of all together."""

    def __init__(self, others):
        self._others = others
        self.names = tuple(f"category{k}_{days}d" for k in range(len(others)) for days in WINDOWS)

    def columns(self, view):
        for k, other in enumerate(self._others):
            usable = other != view.category and other in view.panel.trainable(besides=view.category)
            for days in WINDOWS:
                found = view.of(other).window(days) if usable else np.array([[np.nan]], dtype=np.float32)
                yield f"category{k}_{days}d", found


class Trend(Idea):
    """Recent against older counts of a cell and its surroundings: slopes and level shifts."""

    names = tuple(f"trend_{what}" for what in ("28_182", "91_365", "182_730", "near_28_182", "near_182_730"))

    def columns(self, view):
        def change(short, long, rings):
            recent = sum(view.window(short, ring=ring) for ring in rings)
            older = sum(view.window(long, ring=ring) for ring in rings) * np.float32(short / long)
            return np.log((recent + 1) / (older + 1)).astype(np.float32)

        for short, long in ((28, 182), (91, 365), (182, 730)):
            yield f"trend_{short}_{long}", change(short, long, (0,))
        for short, long in ((28, 182), (182, 730)):
            yield f"trend_near_{short}_{long}", change(short, long, (0, 1, 2))


class LastYearNear(Idea):
    """The same weeks a year ago, in the cell and the two rings around it."""

    names = ("last_year_near",)

    def columns(self, view):
        lags = 364 + PERIOD * np.arange(-2, 3)
        found = view.seasonal(lags)
        near = sum(view.panel.grid.ring(k) for k in range(3))
        yield "last_year_near", np.asarray((near @ found.T).T, dtype=np.float32)


class Repeats(Idea):
    """Incidents at an address that had another in the year before: a panel of them beside the panel."""

    names = tuple(f"repeats_{days}d" for days in WINDOWS)

    def __init__(self, panel):
        self._panel = panel

    def columns(self, view):
        echo = View(self._panel, view.category, view.target, view.rows, view.horizons)
        for days in WINDOWS:
            yield f"repeats_{days}d", echo.window(days)


class LearnedRate(Idea):
    """The count whose memory is learnt, as a feature instead of as the start."""

    names = ("learned_rate",)

    def __init__(self, target):
        self._target, self._memories = target, {}

    def columns(self, view):
        if view.category not in self._memories:
            first = view.panel.until(int(view.rows[-1]))
            self._memories[view.category] = train_memory(first, view.category, self._target)
        yield "learned_rate", np.log(self._memories[view.category].rate(view))


class Monotone(tq.LightGBMForecaster):
    """More recorded incidents never lower the expected count."""

    def _params(self, names):
        rising = [int(name.startswith(("target_", "repeat_"))) for name in names]
        return super()._params(names) | {"monotone_constraints": rising}


class Pooled(tq.LightGBMForecaster):
    """One set of trees for all categories of citizen or sensor origin, each on its own starting count."""

    def _sample(self, panel, category, begin, end, salt):
        own = super()._sample(panel, category, begin, end, salt)
        others = panel.trainable(besides=category)
        sizes = {name: int(panel.records(name).count.sum()) for name in others}
        largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:4]
        parts = [own] + [super(Pooled, self)._sample(panel, name, begin, end, salt) for name in largest]
        columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in own.columns}
        arrays = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("outcome", "weight", "offset", "row")
        }
        return Sample(columns, **arrays, n_rows=sum(part.n_rows for part in parts))


class Wide(tq.LightGBMForecaster):
    """Splits drawn at random (Geurts et al. 2006), which smooths."""

    def _params(self, names):
        return super()._params(names) | {"extra_trees": True}


# %%
def repeat_panel(incidents, panel):
    """Panel of the incidents at an address (a coordinate to a metre or so) that had another the year before."""
    table = incidents.table.sort_values("occurred_at")
    keys = [table["category"].astype(str), table["lat"].round(5), table["lng"].round(5)]
    gap = table.groupby(keys, sort=False)["occurred_at"].diff()
    again = table[(gap > pd.Timedelta(0)) & (gap < pd.Timedelta(days=365))]
    columns = {"occurred_at": "occurred_at", "lat": "lat", "lng": "lng", "category": "category"}
    frame = again[list(columns)].assign(occurred_at=again["occurred_at"])
    found = tq.read_incidents(frame, tz=incidents.tz, columns=columns, duplicates="keep")
    return tq.Panel.build(found, panel.grid, panel.bins)


def ideas(target, panel, incidents):
    """The model as it ships, and one forecaster an idea."""

    def with_block(block):
        return tq.LightGBMForecaster(target, FeatureSet([*FeatureSet().blocks, block]))

    sizes = {name: int(panel.records(name).count.sum()) for name in panel.categories}
    usable = [n for n in panel.categories if n in panel.trainable(besides="") or n in target.categories]
    others = sorted(usable, key=lambda name: -sizes[name])[:8]
    smoothed = {"start": "smoothed"}
    return {
        "lightgbm": lambda: tq.LightGBMForecaster(target),
        "smoothed start": lambda: tq.LightGBMForecaster(target, **smoothed),
        "learned rate as feature": lambda: tq.LightGBMForecaster(
            target, FeatureSet([*FeatureSet().blocks, LearnedRate(target)]), **smoothed
        ),
        "both starts pooled": lambda: tq.EnsembleForecaster(
            target,
            [
                _named("one", tq.LightGBMForecaster(target)),
                _named("two", tq.LightGBMForecaster(target, **smoothed)),
            ],
        ),
        "other seed": lambda: tq.LightGBMForecaster(target, random_state=1),
        "parent resolutions": lambda: with_block(Parents()),
        "categories one by one": lambda: with_block(Categories(others)),
        "trend and level shifts": lambda: with_block(Trend()),
        "same weeks last year, near": lambda: with_block(LastYearNear()),
        "repeat addresses": lambda: with_block(Repeats(repeat_panel(incidents, panel))),
        "self-exciting intensity": lambda: with_block(tq.SelfExciting()),
        "monotone": lambda: Monotone(target),
        "categories pooled": lambda: Pooled(target),
        "random splits": lambda: Wide(target),
    }


def _named(name, forecaster):
    forecaster.name = name
    return forecaster


# %% [markdown]
# ## Each idea against the model as it ships

# %%
rows = []
for path in arguments.files:
    city = City(path)
    incidents = read_city(city)
    target = tq.Target(choose_categories(city, incidents, None), period=PERIOD)
    panel = make_city_panel(city, incidents)
    tried = ideas(target, panel, incidents)
    names = [name for name in tried if not arguments.only or name in {"lightgbm", *arguments.only}]
    base = None
    for name in names:
        print(f"{city.name}: {name}", file=sys.stderr)
        found = tq.backtest([_named(name, tried[name]())], panel, city.splits())
        if name == "lightgbm":
            base = found
            continue
        both = type(found).concat([found, base])
        for category in target.categories:
            table = tq.compare(
                both.select(category=category),
                reference="lightgbm",
                score="poisson_log_likelihood",
                hotspot=(0.05, 0.1),
            )
            rows.append({"city": city.name, "category": category, "idea": name} | table.iloc[0].to_dict())

# %%
table = pd.DataFrame(rows)
shown = [
    "city", "category", "idea", "n_folds", "n_incidents", "difference", "lower", "upper", "p_value",
    "hit_rate_5pct_difference", "hit_rate_10pct_difference",
]  # fmt: skip
print("nats a week better than the model as it ships (positive: the idea is better)")
print(table[shown].round(4).to_string(index=False))
if arguments.output is not None:
    table[shown].to_csv(arguments.output, index=False, float_format="%.5g")
