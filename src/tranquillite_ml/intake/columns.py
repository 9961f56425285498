"""Which of a file's columns is which, and which of its categories belong to a target. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tranquillite_ml.errors import InputDataError, UsageError, check_in, nearest
from tranquillite_ml.governance.names import is_enforcement, plain_words

ORIGINS = ("citizen", "sensor", "agent", "arrest", "fine", "inspection", "unknown")
"""Who made a record. Agent, arrest, fine and inspection records follow enforcement."""

REQUIRED = ("occurred_at", "lat", "lng", "category")
OPTIONAL = ("incident_id", "occurred_from", "occurred_to", "reported_at")

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "occurred_at": (
        *(
            "timestamp",
            "datetime",
            "date time",
            "occurred",
            "occurred on",
            "occurred date",
            "occurrence date",
        ),
        *(
            "incident date",
            "incident datetime",
            "event date",
            "date",
            "date heure",
            "horodatage",
            "date fait",
        ),
    ),
    "occurred_from": (),
    "occurred_to": (),
    "lat": ("latitude", "y lat"),
    "lng": ("longitude", "lon", "long", "x lon"),
    "category": ("categorie", "type", "incident type", "primary type", "offense", "offence", "nature"),
    "incident_id": ("id", "incident number", "case number", "numero", "identifiant"),
    "reported_at": (
        "reported",
        "reported on",
        "reported date",
        "report date",
        "date reported",
        "date signalement",
    ),
}


def resolve_columns(
    columns: Mapping[str, str] | None, names: Iterable[str], *, file: str, geometry: bool = False
) -> dict[str, str]:
    """Our name → the file's column, for every column that is needed and there.

    Parameters
    ----------
    columns : mapping of str to str, optional
        As given to `read_incidents`. Without it our names are looked for, then common other names.
    names : iterable of str
        The file's columns.
    file : str
        Name for messages.
    geometry : bool, default False
        Whether the file has points that give lat and lng when no column is named for them.

    Raises
    ------
    UsageError
        If `columns` has a key that is not one of our names.
    InputDataError
        If a column is missing, or several could be meant.

    Examples
    --------
    >>> resolve_columns(None, ["timestamp", "latitude", "lon", "category"], file="a.csv")
    {'occurred_at': 'timestamp', 'lat': 'latitude', 'lng': 'lon', 'category': 'category'}
    """
    there = list(names)
    for key in columns or {}:
        check_in(key, [*OPTIONAL, *REQUIRED], "a key of columns")
    found: dict[str, str] = {}
    for ours in (*OPTIONAL, *REQUIRED):
        if columns and ours in columns:
            theirs: str | None = str(columns[ours])
            if theirs not in there:
                raise _missing(ours, str(theirs), there, file)
        elif geometry and ours in {"lat", "lng"}:
            theirs = None
        elif ours in there:
            theirs = ours
        else:
            theirs = _alias(ours, there, file) if columns is None else None
            begun = ours == "occurred_at" and "occurred_from" in found
            if theirs is None and ours in REQUIRED and not begun:
                raise _missing(ours, ours, there, file)
        if theirs is not None:
            found[ours] = theirs
    if "occurred_to" in found and "occurred_from" not in found:
        msg = f"{file}: columns names occurred_to, the end of intervals, but not their begin, occurred_from."
        raise UsageError(msg)
    if geometry and ("lat" in found) != ("lng" in found):
        msg = f"{file}: columns names only one of lat and lng; name both, or none to use the file's geometry."
        raise UsageError(msg)
    return found


def _alias(ours: str, there: list[str], file: str) -> str | None:
    fitting = [name for name in there if plain_words(name) in (*_ALIASES[ours], plain_words(ours))]
    if len(fitting) > 1 and ours in REQUIRED:
        say = f"columns={{{ours!r}: {fitting[0]!r}, …}}"
        msg = f"{file}: several columns could be {ours}: {fitting}. Say which one: {say}."
        raise InputDataError(msg)
    return fitting[0] if len(fitting) == 1 else None


def _missing(ours: str, theirs: str, there: list[str], file: str) -> InputDataError:
    wanted = f"{theirs!r}" if theirs == ours else f"{theirs!r} (for {ours})"
    hint = nearest(theirs, there)
    mend = "" if hint else f" Say which column it is: columns={{{ours!r}: '…'}}."
    msg = f"{file}: there is no column {wanted}.{hint}{mend} The file's columns are {there}."
    return InputDataError(msg)


def map_categories(
    raw: Iterable[str], categories: Mapping[str, Any] | None, *, require_listed: bool = True
) -> tuple[dict[str, str], dict[str, str]]:
    """Each raw category's target (its own name if no target lists it), and the origins that targets declare.

    Parameters
    ----------
    raw : iterable of str
        Distinct category names in the files.
    categories : mapping, optional
        Target → list of raw names, or ``{"from": [...], "origin": "citizen"}``.
    require_listed : bool, default True
        Whether every listed name must occur.

    Raises
    ------
    UsageError
        If an entry has another form, or a raw name is listed twice.
    InputDataError
        If a listed name never occurs, or an unlisted raw name equals a target's name.

    Examples
    --------
    >>> map_categories(["larceny", "noise"], {"theft": {"from": ["larceny"], "origin": "citizen"}})
    ({'larceny': 'theft', 'noise': 'noise'}, {'theft': 'citizen'})
    """
    names = sorted(set(raw))
    target_of: dict[str, str] = {}
    declared: dict[str, str] = {}
    for target, entry in (categories or {}).items():
        listed, origin = _entry(target, entry)
        if origin is not None:
            declared[target] = origin
        for name in listed:
            if name in target_of:
                msg = f"category {name!r} is listed under two targets: {target_of[name]!r} and {target!r}."
                raise UsageError(msg)
            if name not in names and require_listed:
                shown = [*names[:30], "…"] if len(names) > 30 else names
                hint = nearest(name, names)
                msg = f"category {name!r} (listed for {target!r}) never occurs.{hint} Known are {shown}."
                raise InputDataError(msg)
            target_of[name] = target
    for name in names:
        if name in (categories or {}) and name not in target_of:
            msg = (
                f"the files hold a category {name!r} that the target of this name does not list, so two "
                f"different things would be mixed. Add it ({name!r}: [{name!r}, …]) or rename the target."
            )
            raise InputDataError(msg)
    return {name: target_of.get(name, name) for name in names}, declared


def _entry(target: str, entry: Any) -> tuple[list[str], str | None]:
    """Raw names and declared origin of one entry of `categories`."""
    origin = None
    if isinstance(entry, Mapping):
        for key in entry:
            check_in(str(key), ["from", "origin"], f"a key of categories[{target!r}]")
        origin = entry.get("origin")
        if origin is not None:
            check_in(str(origin), ORIGINS, f"the origin of {target!r}")
        entry = entry.get("from", [target])
    listed = [entry] if isinstance(entry, str) else entry
    if not isinstance(listed, Iterable) or not (names := [str(name).strip() for name in listed]):
        msg = f"categories[{target!r}] must list the raw names it is made of, got {entry!r}."
        raise UsageError(msg)
    return names, origin


def settle_origins(
    target_of: Mapping[str, str], declared: Mapping[str, str], origins: Mapping[str, str] | None
) -> tuple[dict[str, str], list[str], list[str]]:
    """Origin of each category; those taken for enforcement by name; names in `origins` that never occur.

    Without a declaration a category is of unknown origin; of agent origin if its name, or that of any raw
    category in it, says so (`governance.is_enforcement`): renaming does not change who made a record.

    Parameters
    ----------
    target_of : mapping of str to str
        Raw category → category.
    declared, origins : mapping of str to str
        Category (in `origins` also raw category) → origin.

    Raises
    ------
    UsageError
        If an origin is not one of `ORIGINS`, or is declared twice with different values.

    Examples
    --------
    >>> settle_origins({"drugs": "drugs", "noise": "noise"}, {}, {"noise": "citizen", "fires": "citizen"})
    ({'drugs': 'agent', 'noise': 'citizen'}, ['drugs'], ['fires'])
    """
    stated = dict(declared)
    present = sorted(set(target_of.values()))
    for name, origin in (origins or {}).items():
        check_in(str(origin), ORIGINS, f"the origin of {name!r}")
        category = name if name in present else target_of.get(name, name)
        if stated.get(category, origin) != origin:
            msg = f"category {category!r} has two origins: {stated[category]!r} and {origin!r}; state one."
            raise UsageError(msg)
        stated[category] = origin
    enforced = {
        target for name, target in target_of.items() if is_enforcement(name) or is_enforcement(target)
    }
    guessed = sorted(enforced - set(stated))
    settled = {name: stated.get(name, "agent" if name in enforced else "unknown") for name in present}
    return settled, guessed, sorted(set(origins or {}) - set(present) - set(target_of))
