"""The model trained again: other seeds, earlier moments, other records or features; fits are kept."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tranquillite_ml.bundle import sha256
from tranquillite_ml.errors import BundleError, UsageError
from tranquillite_ml.explanation import fit_on_permuted_labels
from tranquillite_ml.features import FeatureSet
from tranquillite_ml.forecasters import Forecaster, open_bundle
from tranquillite_ml.runfolder import package_digest
from tranquillite_ml.simulation.loop import silent

if TYPE_CHECKING:
    from tranquillite_ml.intake.context import Context
    from tranquillite_ml.panel import Panel
    from tranquillite_ml.simulation.loop import Report

SECONDS = "seconds.json"


class Refits:
    """Trains a model like the given one, and keeps what was trained: what is there is not trained again.

    Parameters
    ----------
    model : Forecaster
        Fitted; it stays as it is.
    folder : Path, optional
        Where fits are kept, each as a bundle; without it none is.
    context : mapping of str to Context, optional
        The layers that its features are made of, by name.

    Attributes
    ----------
    asked : set of str
        Names of the fits that were asked for, each once.
    seconds : float
        How long the first fit took, on this or an earlier occasion; NaN before it.

    Examples
    --------
    >>> from tranquillite_ml.city import simulate_city
    >>> from tranquillite_ml.forecasters import PoissonForecaster
    >>> from tranquillite_ml.panel import Panel
    >>> from tranquillite_ml.target import Target
    >>> city = simulate_city(seed=0, days=240, radius_km=1.5)
    >>> panel = Panel.build(city.incidents, city.grid, city.bins("1D"))
    >>> refit = Refits(PoissonForecaster(Target("noise", period=7)).fit(panel))
    >>> refit(panel, 200, random_state=3).random_state
    3
    """

    def __init__(
        self,
        model: Forecaster,
        folder: Path | None = None,
        *,
        context: Mapping[str, Context] | None = None,
    ) -> None:
        self.model, self.folder, self.context = model, folder, dict(context or {})
        self.asked: set[str] = set()
        self.total = 0
        self.report: Report = silent
        path = None if folder is None else folder / SECONDS
        told = {} if path is None or not path.is_file() else json.loads(path.read_text(encoding="utf-8"))
        self.seconds = float(told.get("first_fit", "nan"))

    def reporting(self, report: Report, total: int) -> None:
        """Tell of each fit from here on."""
        self.total, self.report = total, report

    @property
    def seeded(self) -> bool:
        """Whether the model has a seed of its own."""
        return "random_state" in self.model.get_params(deep=False)

    def __call__(
        self, panel: Panel, cutoff: int | None = None, *, permuted: int | None = None, **changes: Any
    ) -> Forecaster:
        """A model with the same parameters but for `changes`, fitted on a panel up to a cutoff.

        Parameters
        ----------
        panel : Panel
        cutoff : int, optional
            Bin at which what is known ends; the end of the panel when not given.
        permuted : int, optional
            Deal the outcomes out anew with this seed; see `fit_on_permuted_labels`.
        **changes
            Parameters that are other than the model's, such as ``random_state`` or ``features``.
        """
        end = panel.n_bins if cutoff is None else cutoff
        made = type(self.model)(**{**self.model.get_params(deep=False), **changes})
        name = _digest(panel.digest(), end, permuted, described(made), package_digest())[:24]
        path = None if self.folder is None else self.folder / name
        found = self._kept(path)
        if found is None:
            begin = time.perf_counter()
            if permuted is None:
                found = made.fit(panel, end)
            else:
                found = fit_on_permuted_labels(self.model, panel, end, seed=permuted)
            self._note(time.perf_counter() - begin)
            if path is not None:
                found.save(path)
        if name not in self.asked:
            self.asked.add(name)
            self.report("refits", len(self.asked), max(self.total, len(self.asked)))
        return found

    def kept(self) -> int:
        """Fits that are there."""
        return 0 if self.folder is None else len(list(self.folder.glob("[!.]*/manifest.json")))

    def _kept(self, path: Path | None) -> Forecaster | None:
        """A fit that is there and whole."""
        if path is None or not path.is_dir():
            return None
        try:
            return open_bundle(path, context=self.context)
        except BundleError:
            return None

    def _note(self, seconds: float) -> None:
        """Remember how long the first fit took."""
        if not math.isnan(self.seconds):
            return
        self.seconds = seconds
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / SECONDS).write_text(json.dumps({"first_fit": seconds}), encoding="utf-8")


def described(value: Any) -> Any:
    """What a forecaster is made from as plain values, down to the digests of its layers of context."""
    if isinstance(value, Forecaster):
        return {type(value).__name__: described(value.get_params(deep=False))}
    if isinstance(value, Mapping):
        return {str(name): described(one) for name, one in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [described(one) for one in value]
    if isinstance(value, FeatureSet):
        try:
            return value.to_list()
        except UsageError:  # a block of one's own
            return repr(value)
    return repr(value)


def _digest(*parts: Any) -> str:
    return sha256(json.dumps(parts, sort_keys=True).encode())


def work_folder(run: Path) -> Path:
    """Where the steps of a run's deep audit are kept: beside the run, whose own files stay as they are."""
    return run.parent / "simulations" / run.name


def step_folder(run: Path | None, kind: str, *identity: Any) -> Path | None:
    """Folder of one simulation's steps, another one for another identity; None without a run."""
    if run is None:
        return None
    return work_folder(run) / f"{kind}-{_digest(package_digest(), *identity)[:12]}"
