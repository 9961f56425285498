"""Which columns of an unknown file are which: names in English and French, best guess first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tranquillite_ml.errors import InputDataError, UsageError, check_in, nearest

if TYPE_CHECKING:
    from tranquillite_ml.intake.files import Part

# Names without accents or punctuation; the first that is there is taken.
_NAMES: dict[str, tuple[str, ...]] = {
    "occurred_at": (
        *("occurred at", "occurred on", "occurred", "occurred date", "occurrence date", "incident datetime"),
        *("incident date", "date faits", "date des faits", "date fait", "date du fait", "date heure faits"),
        *("date heure", "date et heure", "horodatage", "date incident", "date evenement", "date constat"),
        *("timestamp", "datetime", "date time", "event date", "date occ", "date", "jour"),
        # When the record was made, for want of when it happened: asked about.
        *("created date", "created at", "created on", "requested datetime", "date creation", "open date"),
        *("date signalement", "date declaration", "reported at", "reported date", "date reported"),
    ),
    "lat": (
        "lat",
        "latitude",
        "y lat",
        "lat wgs84",
        "latitude wgs84",
        "lat wgs 84",
        "gps lat",
        "geo lat",
        "y",
    ),
    "lng": (
        "lng",
        "lon",
        "long",
        "longitude",
        "x lon",
        "lon wgs84",
        "longitude wgs84",
        "gps lon",
        "geo lon",
        "x",
    ),
    "category": (
        *("category", "categorie", "incident category", "categorie incident", "type", "incident type"),
        *("type incident", "type signalement", "type de signalement", "primary type", "offense", "offence"),
        *("offense type", "complaint type", "call type", "service name", "infraction"),
        *("libelle infraction", "nature", "nature faits", "nature du fait", "type fait", "rubrique", "motif"),
        *("libelle", "indicateur", "classe", "class", "description"),
    ),
    "incident_id": (
        *("incident id", "id", "incident number", "case number", "unique key", "identifiant", "numero"),
        *("record id", "reference", "uid", "objectid", "fid"),
    ),
    "occurred_from": ("occurred start", "date debut faits", "date debut des faits", "debut des faits"),
    "occurred_to": ("occurred end", "date fin faits", "date fin des faits", "fin des faits"),
    "reported_at": (
        *("reported at", "reported on", "reported date", "reported", "report date", "date reported"),
        *("report datetime", "date signalement", "date declaration", "date enregistrement"),
    ),
}
_MADE_WHEN_RECORDED = ("creat", "request", "open", "signalement", "declaration", "report")
_TIME_OF_DAY = {"heure", "heures", "hour", "time", "time occ", "heure faits", "heure des faits", "heure fait"}
REQUIRED = ("occurred_at", "lat", "lng", "category")


@dataclass
class Columns:
    """Our name → the file's column; columns left out because of persons; and what to ask."""

    mapped: dict[str, str]
    dropped: dict[str, str] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)


def parse_columns(given: Iterable[str]) -> dict[str, str]:
    """Read ``--column ours=theirs``.

    Examples
    --------
    >>> parse_columns(["lat=y_wgs84"])
    {'lat': 'y_wgs84'}
    """
    found: dict[str, str] = {}
    for text in given:
        ours, equals, theirs = text.partition("=")
        if not equals or not theirs:
            msg = f"--column expects ours=theirs, such as lat=y_wgs84, got {text!r}."
            raise UsageError(msg)
        found[check_in(ours, _NAMES, "--column")] = theirs
    return found


def guess_columns(part: Part, given: Mapping[str, str]) -> Columns:
    """Guess a file's columns by their names; those that describe persons are never looked at.

    Raises
    ------
    UsageError
        If given columns are not there: all of them are named.
    InputDataError
        If a column that is needed cannot be found.
    """
    absent = [theirs for theirs in given.values() if theirs not in part.columns]
    if absent:
        told = (f"there is no column {theirs!r}.{nearest(theirs, part.columns)}" for theirs in absent)
        msg = f"{part.name}: {' '.join(told)}"
        raise UsageError(msg)
    dropped = person_columns(part, given)
    open_columns = [name for name in part.columns if name not in dropped]
    found = Columns(dict(given), dropped)
    for ours in _NAMES:
        if ours in given or (part.geometry and ours in {"lat", "lng"}):
            continue
        fitting = _fitting(ours, [name for name in open_columns if name not in found.mapped.values()])
        if fitting:
            found.mapped[ours] = fitting[0]
            _ask(found, ours, fitting)
        elif ours in REQUIRED:
            raise _not_found(ours, part)
    if "occurred_to" in found.mapped and "occurred_from" not in found.mapped:
        del found.mapped["occurred_to"]  # an end without a begin says nothing
    return found


def person_columns(part: Part, mapped: Mapping[str, str]) -> dict[str, str]:
    """Columns of a file that describe persons, each with what says so; those in use are not suspected."""
    from tranquillite_ml.intake.persons import person_shape, person_word

    in_use = set(mapped.values())
    named = {
        name: f"its name says {word!r}"
        for name in part.columns
        if name not in in_use and (word := person_word(name)) is not None
    }
    rest = [name for name in part.columns if name not in named]
    guessed = {ours: mapped.get(ours) or next(iter(_fitting(ours, rest)), None) for ours in REQUIRED}
    rows = part.sample(rest)
    when = rows.get(guessed["occurred_at"])
    shaped = {
        name: f"its values look like {shape}"
        for name in rows.columns
        if name not in in_use | set(guessed.values()) and (shape := person_shape(rows[name], when))
    }
    return named | shaped


def _fitting(ours: str, there: Iterable[str]) -> list[str]:
    from tranquillite_ml.governance.names import plain_words

    words = {name: plain_words(name) for name in there}
    names = (ours.replace("_", " "), *_NAMES[ours])
    found = [name for wanted in dict.fromkeys(names) for name, said in words.items() if said == wanted]
    if found or ours != "category":
        return found
    return [name for name, said in words.items() if said.endswith((" type", " category", " categorie"))]


def _ask(found: Columns, ours: str, fitting: list[str]) -> None:
    """Remember what only the file's owner can know about a guess."""
    from tranquillite_ml.governance.names import plain_words

    theirs, late = fitting[0], [name for name in fitting if _is_record_time(plain_words(name))]
    others = ", ".join(repr(name) for name in fitting[1:5] if name not in late)
    if others and ours in REQUIRED and plain_words(theirs) != ours.replace("_", " "):
        found.questions.append(f"{ours}: is it {theirs!r}, or rather {others}?")
    if ours == "occurred_at" and theirs in late:
        found.questions.append(
            f"occurred_at: {theirs!r} seems to say when the record was made; which says when it happened?"
        )


def _is_record_time(words: str) -> bool:
    return any(word in words for word in _MADE_WHEN_RECORDED)


def time_of_day(names: Iterable[str]) -> str | None:
    """A column that holds the time of day apart from the date, if one is named so."""
    from tranquillite_ml.governance.names import plain_words

    return next((name for name in names if plain_words(name) in _TIME_OF_DAY), None)


def _not_found(ours: str, part: Part) -> InputDataError:
    msg = (
        f"{part.name}: no column looks like {ours}. The file's columns are {part.columns}. "
        f"Say which one it is: --column {ours}=NAME."
    )
    return InputDataError(msg)
