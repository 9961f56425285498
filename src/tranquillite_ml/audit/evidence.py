"""What an audit may look at besides the forecasts; what is not given makes checks not assessable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tranquillite_ml.audit.groups import Groups
    from tranquillite_ml.config import RunConfig
    from tranquillite_ml.explanation import Explanation
    from tranquillite_ml.forecasters import Forecaster
    from tranquillite_ml.governance import Governance
    from tranquillite_ml.intake import Incidents
    from tranquillite_ml.panel import Panel


@dataclass(frozen=True)
class Evidence:
    """What an audit may look at besides the forecasts.

    Parameters
    ----------
    groups : Groups, optional
        Residents of each cell by group of places.
    incidents : Incidents, optional
        Rows as they were read, with funnel and quarantine.
    panel : Panel, optional
        Counts by cell and bin.
    model : Forecaster, optional
        The fitted model that made the last forecast.
    explanation : Explanation, optional
        The last forecast, or a sample of past ones, taken apart.
    config : RunConfig, optional
    governance : Governance, optional
    run : Path, optional
        Folder of the run, with its manifest.
    refit : callable, optional
        ``refit(panel, cutoff, **changes)`` gives a forecaster fitted like the model; for a stand-in,
        `surrogate` names it.
    surrogate : str, optional
        Name of the cheaper model that stands in for `refit`, if one does.
    records : mapping, optional
        Logs that only the field can give, by name: ``contests``, ``decisions``, ``frontier``, ``trial``,
        ``published``; `audit.from_the_field` and `audit.publication` say what each must hold.
    seed : int, default 0
    deep : bool, default False
        Whether checks may take long: more resamples and refits of the real model.
    report : callable, optional
        Called with what is being done, steps done, and steps to do.
    absent : mapping of str to mapping, optional
        Why a kind of evidence is not there, by its name, in both languages, where more is known than that.

    Examples
    --------
    >>> Evidence().has("panel")
    False
    """

    groups: Groups | None = None
    incidents: Incidents | None = None
    panel: Panel | None = None
    model: Forecaster | None = None
    explanation: Explanation | None = None
    config: RunConfig | None = None
    governance: Governance | None = None
    run: Path | None = None
    refit: Callable[..., Any] | None = None
    surrogate: str | None = None
    records: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    deep: bool = False
    report: Callable[[str, int, int], None] | None = None
    absent: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether a kind of evidence, or one of the field's records, is there."""
        if name in {known.name for known in fields(self)}:
            return getattr(self, name) is not None
        return name in self.records
