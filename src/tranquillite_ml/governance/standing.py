"""What the log says of a model: which run is in use, and whether it may forecast."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from tranquillite_ml.governance.log import Entry, read_log

LOG = "log.jsonl"
CHAMPION = "champion"
"""The alias whose run forecasts; what a log does not name an alias for was promoted to it."""

_GO_ON = (
    "No run of this model takes its place until a review of a later day approves one "
    f"(tranquillite signoff RUN …) and it is promoted (tranquillite promote RUN --to {CHAMPION} …)"
)


@dataclass(frozen=True)
class Standing:
    """What the log says of a model: whether it may be used, and what every forecast must say of it.

    Parameters
    ----------
    state : {"undecided", "approved", "unsigned", "expired", "rejected"}
        ``unsigned``: approved by a named record that no signature proves.
    run_id : str
        The run that was decided on; empty if nothing was.
    told : str
        The same in words.
    """

    state: Literal["undecided", "approved", "unsigned", "expired", "rejected"]
    run_id: str
    told: str


def chosen_run(output: str | Path, model: str, *, alias: str = CHAMPION) -> str | None:
    """Run that an alias is on; None if nothing was promoted to it, or that run was rejected since."""
    in_use, no = _in_use(decided(Path(output) / LOG, model), alias)
    return in_use if no is None else None


def standing(output: str | Path, model: str, run_id: str, *, on: date) -> Standing:
    """What the log says of the model of a run on a day.

    A no to the run in use, or to any while none is, stops all runs of the model, until one is promoted anew.

    Parameters
    ----------
    output : path
        Folder of all runs.
    model : str
        Name of the configuration.
    run_id : str
        The run whose model is to forecast.
    on : date

    Raises
    ------
    GateError
        If the log is broken.
    """
    entries = decided(Path(output) / LOG, model)
    mine = [one for one in entries if one.payload["run_id"] == run_id]
    _, frozen = _in_use(entries, CHAMPION)
    if frozen is not None:
        return Standing("rejected", frozen.payload["run_id"], f"{_refused(frozen, run_id)}. {_GO_ON}")
    if mine and mine[-1].kind == "reject":
        return Standing("rejected", run_id, _refused(mine[-1], run_id))
    yes = [one for one in mine if one.kind == "promote" and alias_of(one) == CHAMPION]
    if not yes:
        only = f", which is promoted to {alias_of(mine[-1])} only" if mine else ""
        return Standing("undecided", "", f"nobody has signed off this model{only}")
    said = yes[-1].payload
    if on > date.fromisoformat(said["expires"]):
        return Standing("expired", run_id, f"the approval of this model expired on {said['expires']}")
    state: Literal["approved", "unsigned"] = "approved" if said["signed"] else "unsigned"
    told = f"approved until {said['expires']}{'' if said['signed'] else ', unsigned'}"
    return Standing(state, run_id, f"{told}: {'; '.join(said['signoffs'])}")


def decided(log: Path, model: str) -> list[Entry]:
    """Promotions and rejections of a model, oldest first; a broken log is refused."""
    if not log.exists():
        return []
    found = [one for one in read_log(log) if one.kind in {"promote", "reject"}]
    return [one for one in found if one.payload["model"] == model]


def open_rejections(log: Path, model: str, run_id: str, alias: str) -> list[Entry]:
    """Rejections that a promotion of a run to an alias has to answer, oldest first.

    The one that froze the alias, and the last word on the model and on the run if it is a no.
    """
    entries = decided(log, model)
    mine = [one for one in entries if one.payload["run_id"] == run_id]
    last = [found[-1] for found in (entries, mine) if found]
    frozen = _in_use(entries, alias)[1]
    found = {one.sha256 for one in [*last, *([frozen] if frozen else [])] if one.kind == "reject"}
    return [one for one in entries if one.sha256 in found]


def alias_of(entry: Entry) -> str:
    """Alias that a promotion was to."""
    return str(entry.payload.get("alias") or CHAMPION)


def _in_use(entries: list[Entry], alias: str) -> tuple[str | None, Entry | None]:
    """Run last promoted to an alias, and the no that froze it since."""
    in_use: str | None = None
    no: Entry | None = None
    for one in entries:
        if one.kind == "promote":
            in_use, no = (one.payload["run_id"], None) if alias_of(one) == alias else (in_use, no)
        elif in_use in {None, one.payload["run_id"]}:
            no = one
    return in_use, no


def _refused(no: Entry, run_id: str) -> str:
    said = no.payload
    which = "this model" if said["run_id"] == run_id else str(said["run_id"])
    return f"{said['by']} rejected {which} on {no.at[:10]}: {said['reason']}"
