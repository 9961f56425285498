# %% [markdown]
# # Could the forecast feed itself? St. Louis, with the origin guard on and off
#
# Patrols go where the forecast is highest, find some of what nobody reported, and the forecast learns from the records. With the
# guard off every find is one more record; with the guard on finds are told apart by their origin and never learnt from; between
# the two, a fifth of the finds is filed as if a citizen had reported it. All arms live through the same incidents, a year at a
# time, with the surrogate `smoothed_count`; half of the unreported incidents of a flagged cell are found.
#
#     python experiments/20_feedback.py configs/stlouis.yaml --seeds 0 1 2 --output experiments/results
#
# Printed: for each group of places, its share of the expected count at the end of the year over that in the same years with
# nothing found, and its exposure at the end over that at the start, with 95 % intervals over 50 years; in brackets after "seeds",
# the lowest and highest estimate of all seeds.

# %%
import argparse
from pathlib import Path

import pandas as pd

from tranquillite_ml.audit import Evidence
from tranquillite_ml.audit.groups import read_groups
from tranquillite_ml.audit.simulations import assumptions, place_groups
from tranquillite_ml.config import load_config
from tranquillite_ml.governance import load_thresholds
from tranquillite_ml.simulation import EXCLUDED, INCLUDED, MISFILED, simulate_feedback
from tranquillite_ml.stages import load_incidents, make_panel

parser = argparse.ArgumentParser()
parser.add_argument("config")
parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
parser.add_argument("--output", type=Path, default=None, help="folder for the table as CSV")
arguments = parser.parse_args()
ARMS = {INCLUDED: "guard off", MISFILED: "a fifth misfiled", EXCLUDED: "guard on"}
FIGURES = {"expected_over_none": "expected_over_none_", "amplification": ""}

# %%
config = load_config(arguments.config)
panel = make_panel(config, load_incidents(config)[0])
asked = config.audit.groups.model_dump(exclude_none=True)
groups = place_groups(
    Evidence(groups=read_groups(asked.pop("path"), asked.pop("column"), panel.grid, **asked), panel=panel)
)
thresholds = load_thresholds()
weeks = int(thresholds.setting("C08", "loop_weeks"))
parts = [
    simulate_feedback(
        panel, category, groups=groups, weeks=weeks, seed=seed, **assumptions(thresholds, deep=False)
    ).amplification.assign(category=category, seed=seed)
    for category in sorted(config.incidents.categories)
    for seed in arguments.seeds
]
table = pd.concat(parts, ignore_index=True)
table = table[(table["discovery"] == table["discovery"].max()) & table["arm"].isin(ARMS)]

# %%
first = arguments.seeds[0]
for figure, ends in FIGURES.items():
    print(f"\n{figure}, seed {first}\n\n| | {' | '.join(ARMS.values())} |\n|---|---|---|---|")
    for (category, group), rows in table.groupby(["category", "group"], sort=True):
        cells = []
        for arm in ARMS:
            every = rows[rows["arm"] == arm]
            one = every[every["seed"] == first].iloc[0]
            spread = f"{every[figure].min():.3f} to {every[figure].max():.3f}"
            interval = f"[{one[f'{ends}lower']:.3f}, {one[f'{ends}upper']:.3f}]"
            few = " (few)" if one["few"] else ""
            cells.append(f"{one[figure]:.3f} {interval}, seeds {spread}{few}")
        print(f"| {category}, {group} | {' | '.join(cells)} |")
if arguments.output is not None:
    arguments.output.mkdir(parents=True, exist_ok=True)
    columns = ["category", "group", "arm", "seed", "discovery", "n_runs", "n_flags", "few"]
    columns += [name for figure, ends in FIGURES.items() for name in (figure, f"{ends}lower", f"{ends}upper")]
    table[columns].to_csv(
        arguments.output / f"20_feedback_{config.name}.csv", index=False, float_format="%.4f"
    )
