"""Which categories may be forecast or learnt from: not those whose records follow enforcement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from tranquillite_ml.config.sections import AGENT_ORIGINS
from tranquillite_ml.errors import ConfigError
from tranquillite_ml.governance.names import is_enforcement
from tranquillite_ml.governance.waivers import Waiver


@dataclass(frozen=True)
class Refusal:
    """A category that may be neither target nor feature, and why.

    Parameters
    ----------
    target : str
        Where it was to be used.
    category : str
        The category that is refused, as the files name it.
    origin : str
        Who makes such records, as declared.
    reason : str
    """

    target: str
    category: str
    origin: str
    reason: str

    def __str__(self) -> str:
        return f"{self.target}: {self.category!r} is refused: {self.reason}"


def check_categories(
    targets: Mapping[str, Iterable[str]],
    origins: Mapping[str, str],
    waivers: Iterable[Waiver] = (),
    *,
    on: date,
) -> list[Refusal]:
    """Categories that may be neither target nor feature on a day; an empty list if all may.

    A category is refused if agents make its records (by its origin: agent, arrest, fine, inspection), or if
    its name says so whatever origin is declared, because a declaration does not change who made a record.
    Only a waiver that holds on that day, and names this category and this origin, allows it: a waiver of one
    category of a target does not extend to the others.

    Parameters
    ----------
    targets : mapping of str to iterable of str
        Each target (or feature), and the files' categories it is made of.
    origins : mapping of str to str
        Declared origin of each target; unknown if it is not there.
    waivers : iterable of Waiver
    on : date
        Day of use.

    Examples
    --------
    >>> day = date(2026, 3, 1)
    >>> check_categories({"burglary": ["break-ins"]}, {"burglary": "citizen"}, on=day)
    []
    >>> [str(found) for found in check_categories({"disorder": ["drugs"]}, {"disorder": "citizen"}, on=day)]
    ["disorder: 'drugs' is refused: by its name, such records follow enforcement (declared origin: citizen)"]
    """
    held = [waiver for waiver in waivers if waiver.active(on)]
    return [
        refusal
        for target, categories in targets.items()
        for refusal in _refusals(target, list(categories), origins.get(target, "unknown"))
        if not any(waiver.covers(refusal.category, refusal.origin) for waiver in held)
    ]


def _refusals(target: str, categories: list[str], origin: str) -> Iterator[Refusal]:
    if origin in AGENT_ORIGINS:
        reason = f"records of origin {origin} follow enforcement"
        yield from (Refusal(target, name, origin, reason) for name in categories)
        return
    reason = f"by its name, such records follow enforcement (declared origin: {origin})"
    # A target's own name counts too: its categories may be codes that say nothing.
    yield from (
        Refusal(target, name, origin, reason)
        for name in dict.fromkeys([*categories, target])
        if is_enforcement(name)
    )


def require_allowed(
    targets: Mapping[str, Iterable[str]],
    origins: Mapping[str, str],
    waivers: Iterable[Waiver] = (),
    *,
    on: date,
) -> None:
    """Stop if a category may not be used; see `check_categories`.

    Raises
    ------
    ConfigError
        Naming each refused category, why, the waiver that has run out if there is one, and how to mend it.

    Examples
    --------
    >>> require_allowed({"noise": ["noise"]}, {"noise": "citizen"}, on=date(2026, 3, 1))
    """
    kept = list(waivers)
    refused = check_categories(targets, origins, kept, on=on)
    if not refused:
        return
    lines = [f"{refusal}{_near_miss(refusal, kept, on)}." for refusal in refused]
    lines.append(
        "A forecast of what agents record would return enforcement as demand. Leave these categories as "
        "context, or have a waiver given that names category and origin, in the governance file "
        "(governance: {path: governance.yaml})."
    )
    msg = "\n".join(lines)
    raise ConfigError(msg)


def _near_miss(refusal: Refusal, waivers: list[Waiver], on: date) -> str:
    """Why a waiver of this category does not help, as the end of a sentence."""
    for waiver in waivers:
        if waiver.category != refusal.category:
            continue
        if waiver.origin != refusal.origin:
            return f"; its waiver is for origin {waiver.origin}"
        return f"; its waiver ended on {waiver.until}" if waiver.until < on else "; its waiver begins later"
    return ""


def unknown_origins(targets: Iterable[str], origins: Mapping[str, str]) -> list[str]:
    """Targets of which nobody has said who makes the records: allowed, but to be told.

    Examples
    --------
    >>> unknown_origins(["burglary", "noise"], {"noise": "citizen"})
    ['burglary']
    """
    return [name for name in targets if origins.get(name, "unknown") == "unknown"]
