"""The deep tier: the real configuration, trained again at every step, and steps that are kept."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tranquillite_ml.bundle import sha256
from tranquillite_ml.errors import UsageError
from tranquillite_ml.panel import Panel
from tranquillite_ml.simulation.loop import Arm, Learner, Report, World
from tranquillite_ml.simulation.truth import reported_rate
from tranquillite_ml.target import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.simulation.underreporting import Maps

IDENTITY = "simulation.json"
PATROL = "found on patrol"


class Steps:
    """Expected counts of finished steps, one file each; what is there is not computed again.

    Parameters
    ----------
    folder : Path or None
        None: nothing is kept.
    identity : mapping
        What the steps belong to; a folder of another simulation is refused.
    total : int
        Steps to do.
    report : callable

    Raises
    ------
    UsageError
        If the folder holds steps of another simulation.
    """

    def __init__(
        self, folder: Path | None, identity: Mapping[str, object], total: int, report: Report
    ) -> None:
        self.folder, self.total, self._report = folder, total, report
        self.seconds: list[float] = []
        self._told = False
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(identity, sort_keys=True, indent=1)
        known = folder / IDENTITY
        if known.exists() and known.read_text(encoding="utf-8") != text:
            msg = f"{folder} holds steps of another simulation: use another folder, or remove it."
            raise UsageError(msg)
        known.write_text(text, encoding="utf-8")

    def expected(self, name: str, forecaster: Forecaster, panel: Panel, category: str) -> NDArray[np.float64]:
        """Expected counts after the panel's end, from the file of this step or from a new fit."""
        path = None if self.folder is None else self.folder / f"{name}.npy"
        if path is not None and path.exists():
            return np.asarray(np.load(path, allow_pickle=False))
        begin = time.perf_counter()
        forecasts = forecaster.fit(panel).forecast(panel).select(category=category)
        found = np.asarray(forecasts.expected_count[0], dtype=np.float64)
        self.seconds.append(time.perf_counter() - begin)
        self._tell_budget(forecaster.name)
        if path is not None:
            partial = path.with_name(f".{path.stem}.partial.npy")
            np.save(partial, found, allow_pickle=False)
            partial.replace(path)
        return found

    def _tell_budget(self, model: str) -> None:
        """After the first fit, say how long all of them will take."""
        if self._told:
            return
        self._told = True
        there = 0 if self.folder is None else len(list(self.folder.glob("[!.]*.npy")))
        left = max(0, self.total - there)
        text = (
            f"budget: {left} fits of {model}, {self.seconds[0]:.1f} s for the first: "
            f"about {left * self.seconds[0] / 60:.1f} minutes"
        )
        self._report(text, 0, left)


def weekly(forecaster: Forecaster, panel: Panel, category: str) -> Forecaster:
    """Give a forecaster with the same parameters for one category and one week ahead."""
    target = Target(category, period=panel.bins.days(7), waivers=forecaster.target.waivers)
    return type(forecaster)(**{**forecaster.get_params(deep=False), "target": target})


def with_counts(
    panel: Panel, counts: Mapping[str, NDArray[np.int64]], origins: Mapping[str, str] | None = None
) -> Panel:
    """Give a panel that goes on after its end, with these counts known when their bin is over.

    Parameters
    ----------
    panel : Panel
    counts : mapping of str to ndarray of int64, shape (n_new_bins, n_cells)
        By category; those not named have no records in the new bins.
    origins : mapping of str to str, optional
        Of categories that are new.

    Examples
    --------
    >>> from tranquillite_ml.squaregrid import SquareGrid
    >>> from tranquillite_ml.timebins import TimeBins
    >>> grid = SquareGrid.from_tensor_shape((1, 2), size_km=1.0)
    >>> bins = TimeBins("2024-01-01", 2, "1D", "UTC")
    >>> panel = Panel.from_counts(np.ones((1, 2, 2), dtype=int), grid, bins, ["noise"])
    >>> with_counts(panel, {"noise": np.array([[3, 0]])}).counts("noise").tolist()
    [[1, 1], [1, 1], [3, 0]]
    """
    names = sorted({*panel.categories, *counts})
    parts: dict[str, list[NDArray[np.int32]]] = {
        name: [] for name in ("category", "bin", "cell", "known", "count")
    }
    for number, name in enumerate(names):
        if name in panel.categories:
            old = panel.records(name)
            _add(parts, number, old.bin, old.cell, old.known, old.count)
        if name in counts:
            time_bin, cell = np.nonzero(counts[name])
            later = time_bin + panel.n_bins
            _add(parts, number, later, cell, later + 1, counts[name][time_bin, cell])
    arrays = {name: np.concatenate(values).astype(np.int32) for name, values in parts.items()}
    added = max((len(values) for values in counts.values()), default=0)
    bins = panel.bins.extended(panel.n_bins + added)
    return Panel(panel.grid, bins, names, {**(origins or {}), **panel.origins}, arrays)


def _add(parts: dict[str, list[NDArray[np.int32]]], number: int, *columns: NDArray[Any]) -> None:
    rows = (np.full(len(columns[0]), number), *columns)
    for values, column in zip(parts.values(), rows, strict=True):
        values.append(column.astype(np.int32))


class Refitted:
    """The real configuration in an arm of the loop, on one panel for each run.

    Parameters
    ----------
    panel : Panel
    category : str
    world : World
    forecaster : Forecaster
        For one category and one week ahead.
    arm : Arm
    steps : Steps
    context : mapping of str to ndarray
        Weekly rates of the categories that are features besides, which go on unchanged.
    """

    def __init__(
        self,
        panel: Panel,
        category: str,
        world: World,
        forecaster: Forecaster,
        *,
        arm: Arm,
        steps: Steps,
        context: Mapping[str, NDArray[np.float64]],
    ) -> None:
        self.category, self.forecaster, self.arm, self.steps = category, forecaster, arm, steps
        self._panels = [panel] * world.runs
        self._seed, self._context, self._week = world.seed, context, 0

    def expected(self) -> NDArray[np.float64]:
        """Expected weekly count, shape (n_cells, n_runs)."""
        found = [
            self.steps.expected(self._step(run), self.forecaster, panel, self.category)
            for run, panel in enumerate(self._panels)
        ]
        return np.stack(found, axis=1)

    def _step(self, run: int) -> str:
        # The first week comes before anything is found: all arms and runs share its fit.
        if self._week == 0:
            return "start"
        arm = self.arm
        return f"{arm.name.replace(' ', '_')}-{arm.discovery:g}-{run}-{self._week}"

    def learn(self, recorded: NDArray[np.int64], set_aside: NDArray[np.int64]) -> None:
        """Append a week to each run's panel; what is set aside has its own category, of origin agent."""
        for run, panel in enumerate(self._panels):
            rng = np.random.default_rng([self._seed, 4, self._week, run])
            around = {name: rng.poisson(rate) for name, rate in sorted(self._context.items())}
            new = {**around, self.category: recorded[:, run], PATROL: set_aside[:, run]}
            n_bins = panel.bins.days(7)
            counts = {name: over_bins(values, n_bins, rng) for name, values in new.items()}
            self._panels[run] = with_counts(panel, counts, {PATROL: "agent"})
        self._week += 1


def over_bins(counts: NDArray[np.int64], n_bins: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Spread weekly counts evenly over the bins of the week, shape (n_bins, n_cells)."""
    return np.asarray(rng.multinomial(counts, np.full(n_bins, 1 / n_bins)).T)


def start_refitted(
    panel: Panel,
    category: str,
    world: World,
    arms: Sequence[Arm],
    forecaster: Forecaster,
    *,
    weeks: int,
    folder: Path | None,
    report: Report,
) -> dict[Arm, Learner]:
    """One refitted model an arm, with the panel's real records as its history."""
    model = weekly(forecaster, panel, category)
    identity = _identity(panel, model, category) | {
        "rate": sha256(world.rate.tobytes()),
        "world": [world.latent, world.runs, world.seed, weeks],
        "arms": [[arm.name, arm.discovery, arm.taken, arm.thinned] for arm in arms],
    }
    steps = Steps(folder, identity, len(arms) * world.runs * (weeks - 1) + 1, report)
    context = {
        name: reported_rate(panel, name)
        for name in panel.trainable(besides=category)
        if (panel.records(name).cell >= 0).any()
    }
    return {
        arm: Refitted(panel, category, world, model, arm=arm, steps=steps, context=context) for arm in arms
    }


def refitted_maps(
    panel: Panel,
    category: str,
    forecaster: Forecaster,
    *,
    seed: int,
    folder: Path | None,
    total: int,
    report: Report,
) -> Maps:
    """Expected counts of the real configuration, trained on records kept by chance, one draw at a time."""
    model = weekly(forecaster, panel, category)
    steps = Steps(folder, _identity(panel, model, category) | {"seed": seed}, total, report)
    full = panel.counts(category)

    def maps(rate: NDArray[np.float64], draw: int) -> NDArray[np.float64]:
        if draw < 0:
            return steps.expected("all", model, panel, category)
        rng = np.random.default_rng([seed, 3, draw])
        kept = rng.binomial(full, rate[None, :])
        name = f"{sha256(rate.tobytes())[:12]}-{draw}"
        return steps.expected(name, model, replaced(panel, category, kept), category)

    return maps


def replaced(panel: Panel, category: str, counts: NDArray[np.int64]) -> Panel:
    """Give the panel with one category's counts inside the grid replaced, each known when its bin is over."""
    empty = Panel.from_counts(counts[None], panel.grid, panel.bins, [category], panel.origins)
    parts: dict[str, list[NDArray[np.int32]]] = {
        name: [] for name in ("category", "bin", "cell", "known", "count")
    }
    for number, name in enumerate(panel.categories):
        old = (empty if name == category else panel).records(name)
        _add(parts, number, old.bin, old.cell, old.known, old.count)
    arrays = {name: np.concatenate(values) for name, values in parts.items()}
    return Panel(panel.grid, panel.bins, panel.categories, panel.origins, arrays)


def _identity(panel: Panel, model: Forecaster, category: str) -> dict[str, object]:
    params = {name: repr(value) for name, value in model.get_params(deep=False).items()}
    return {"panel": panel.digest(), "model": model.name, "params": params, "category": category}
