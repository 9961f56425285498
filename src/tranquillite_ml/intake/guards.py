"""Guards on incidents: repeats, pile-ups, placeholder times, enforcement-driven categories. Pure functions.

Guards on coordinates are in `places`, on times in `times`, on person-level columns in `persons`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MINUTE = 60_000_000  # microseconds
_DAY = 24 * 60 * _MINUTE

ENFORCEMENT_WORDS = (
    # These records exist because an agent looked: their number follows patrols, not what happens. A model
    # that forecasts them, or learns from them, sends agents where agents already were. English, then French.
    *("drug", "narcotic", "controlled substance", "cannabis", "marijuana", "liquor law", "liquor violation"),
    *("public intoxication", "public drunkenness", "drunkenness", "prostitution", "soliciting", "loitering"),
    *(
        "vagrancy",
        "weapon",
        "weapon violation",
        "weapon offense",
        "firearm",
        "gambling",
        "disorderly conduct",
    ),
    *("driving under influence", "driving under the influence", "drunk driving", "dui", "dwi"),
    *("stolen property", "curfew", "traffic violation", "traffic stop", "vehicle stop", "pedestrian stop"),
    *(
        "stop and search",
        "stop and frisk",
        "stop",
        "search",
        "arrest",
        "citation",
        "summons",
        "ticket",
        "fine",
    ),
    *("trespass", "trespassing", "resisting arrest", "warrant", "probation violation", "parole violation"),
    *("stupefiant", "drogue", "usage de stupefiants", "debit de boissons", "ivresse", "ivresse publique"),
    *("racolage", "proxenetisme", "vagabondage", "mendicite", "arme", "port d arme", "detention d arme"),
    *("jeux d argent", "jeux de hasard", "trouble a l ordre public", "conduite en etat d ivresse"),
    *("conduite sous influence", "conduite sous stupefiants", "alcool au volant", "recel", "couvre feu"),
    *("controle", "controle d identite", "controle routier", "interpellation", "amende", "verbalisation"),
    *("contravention", "outrage", "rebellion"),
)
"""Category names that are enforcement-driven when nobody says otherwise (without accents, singular)."""

# "Robbery with a weapon" or "theft of firearms" is reported by its victim, whatever the weapon.
_REPORTED_BY_VICTIMS = re.compile(
    r"\b(rob|theft|larceny|burglar|break|assault|batter|homicide|murder|shooting|shots|rape|sexual|accident|collision"
    r"|vol|cambriolage|agression|violence|meurtre|coups|accident)"
)


class Rejection(NamedTuple):
    """Rows that cannot be accepted: the column at fault, the reason, and which rows."""

    column: str
    reason: str
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Problem:
    """Something to know about the records: what, how many rows, their share, and what to do."""

    what: str
    n: int
    share: float
    advice: str


def plain_words(text: str) -> str:
    """Lower-case words without accents or punctuation, separated by one space.

    Examples
    --------
    >>> plain_words("Date_Naissance"), plain_words("victimAge"), plain_words("Usage de STUPÉFIANTS")
    ('date naissance', 'victim age', 'usage de stupefiants')
    """
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    bare = unicodedata.normalize("NFKD", split).encode("ascii", "ignore").decode()
    return " ".join(re.findall(r"[a-z]+|\d+", bare.lower()))


def is_enforcement(category: str) -> bool:
    """Whether a category's name says that its records come from enforcement (see `ENFORCEMENT_WORDS`).

    Examples
    --------
    >>> [is_enforcement(name) for name in ("liquor laws", "Stupéfiants", "armed robbery", "graffiti")]
    [True, True, False, False]
    """
    words = plain_words(category)
    if _REPORTED_BY_VICTIMS.search(words):
        return False
    singular = " ".join(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in words.split())
    return any(
        f" {phrase} " in f" {words} " or f" {phrase} " in f" {singular} " for phrase in ENFORCEMENT_WORDS
    )


def repeats_of_previous(keys: Sequence[NDArray[np.generic]]) -> NDArray[np.bool_]:
    """Rows equal to the row before them in every key; on sorted rows: all but the first of each group.

    Examples
    --------
    >>> repeats_of_previous([np.array([1, 1, 2]), np.array([5, 5, 5])]).tolist()
    [False, True, False]
    """
    n = len(keys[0])
    same = np.ones(n, dtype=bool)
    same[:1] = False
    for key in keys:
        same[1:] &= key[1:] == key[:-1]
    return same


def near_repeats(
    occurred_us: NDArray[np.int64],
    lat: NDArray[np.float64],
    lng: NDArray[np.float64],
    category: NDArray[np.int64],
    *,
    metres: float = 50.0,
    minutes: float = 5.0,
) -> int:
    """Count rows that follow a row of the same category, in the same square, within a few minutes.

    Probable double entries of one incident. Rows must be sorted by time. Squares of `metres` stand for a
    distance, so pairs on both sides of an edge are missed; rows equal in time, place and category are exact
    repeats and are not counted here.

    Examples
    --------
    >>> minute = 60_000_000
    >>> near_repeats(np.array([0, minute, 9 * minute]), np.full(3, 43.3), np.full(3, 5.4), np.zeros(3, int))
    1
    """
    if len(lat) < 2:
        return 0
    degrees = metres / 111_195
    narrow = max(float(np.cos(np.radians(np.median(lat)))), 0.01)
    square = np.floor(lat / degrees).astype(np.int64) * 4_000_003 + np.floor(lng * narrow / degrees).astype(
        np.int64
    )
    key = square * (int(category.max()) + 1) + category
    order = np.argsort(key, kind="stable")
    same = repeats_of_previous([key[order]])[1:]
    soon = np.diff(occurred_us[order]) <= minutes * _MINUTE
    moved = (np.diff(occurred_us[order]) > 0) | (np.diff(lat[order]) != 0) | (np.diff(lng[order]) != 0)
    return int((same & soon & moved).sum())


def pile_ups(lat: NDArray[np.float64], lng: NDArray[np.float64]) -> Problem | None:
    """Exact coordinates that hold too many rows to be one address: centroids, police stations, defaults.

    A pile holds more than 0.5 % of the rows, more than 50 rows, and more than 20 times the median of all
    coordinates in use. Real block-level files have some (a shopping centre), so rows are not quarantined.
    """
    points, counts = np.unique(lat + 1j * lng, return_counts=True)  # complex numbers sort fast, as pairs
    if len(counts) == 0:
        return None
    piled = (counts > 0.005 * len(lat)) & (counts > 50) & (counts > 20 * np.median(counts))
    if not piled.any():
        return None
    top = int(np.argmax(counts))
    advice = (
        f"{int(piled.sum())} exact coordinates hold far more rows than others; the largest pile, at "
        f"({points[top].real:.5f}, {points[top].imag:.5f}), holds {int(counts[top])}. If one is a default or "
        "a district's centre, leave its rows out with `where`."
    )
    n = int(counts[piled].sum())
    return Problem("pile-up on one coordinate", n, n / len(lat), advice)


_PLACEHOLDERS = {  # time of day in minutes → neighbours it should resemble; whole hours resemble whole hours
    "00:00": (0, (23 * 60, 60)),
    "00:01": (1, (2, 3, 4, 23 * 60 + 59)),
    "12:00": (12 * 60, (11 * 60, 13 * 60)),
}


def placeholder_times(wall_us: NDArray[np.int64]) -> list[Problem]:
    """Times of day that stand for "unknown": 00:00, 00:01, 12:00 with many more rows than their neighbours.

    A time is reported when it holds at least 1.5 times the mean of its neighbours, by more than five standard
    errors. Its rows are kept: only the time of day is doubtful, not the day.

    Parameters
    ----------
    wall_us : array of int
        Local wall-clock times, microseconds since 1970-01-01 00:00 local.
    """
    found: list[Problem] = []
    n_rows = len(wall_us)
    if n_rows == 0:
        return found
    minute_of_day = (wall_us % _DAY) // _MINUTE
    counts = np.bincount(minute_of_day, minlength=1440)
    if counts[0] == n_rows:  # dates only: nothing to compare with
        return found
    for name, (minute, neighbours) in _PLACEHOLDERS.items():
        usual = float(np.mean([counts[other] for other in neighbours]))
        n = int(counts[minute])
        if n > 1.5 * usual and n - usual > 5 * np.sqrt(usual + 1):
            advice = (
                f"about {usual:.0f} rows are expected from the neighbouring times; the rest probably stands "
                "for 'time unknown'. Prefer bins of a day or more, or read hour-of-day results with care."
            )
            found.append(Problem(f"placeholder time {name}", n, n / n_rows, advice))
    return found
