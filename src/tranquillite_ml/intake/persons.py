"""Guard against columns that describe persons: refused by their name, or by the shape of their values.

What is forecast is places. A name, a phone number or a birth date is never an input, and a file that carries
one is refused until its owner says which columns to drop; those are then never loaded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tranquillite_ml.errors import PersonLevelDataError
from tranquillite_ml.governance.names import plain_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WHOLE = _words("name names nom noms tel vin who notes note")
_WORDS = _words(
    "firstname lastname surname forename fullname maiden patronyme prenom prenoms civilite alias pseudo "
    "username phone phones telephone telephones telefon mobile gsm fax email emails mail courriel "
    "courriels plate plates immatriculation immat plaque dob birth birthday birthdate born naissance "
    "ssn nir passport passeport iban ip imei badge matricule age ages sex sexe gender race ethnicity "
    "ethnic ethnie nationality nationalite religion narrative narratif comment comments commentaire "
    "commentaires remark remarks remarque remarques synopsis recit temoignage observations"
)
_ROLES = _words(
    "victim victims victime victimes suspect suspects offender offenders perpetrator arrestee arrestees "
    "accused defendant prevenu witness witnesses temoin temoins complainant plaignant plaignante "
    "requerant declarant caller appelant officer officers driver conducteur person persons personne "
    "personnes individu individus patient"
)
_COUNTED = _words("n nb nbr nombre count counts total against contre")
_NAMED = _words(
    "first last full middle given family birth usual user officer driver owner customer contact "
    "reporter caller client patient complainant nick agent famille usage complet proprietaire"
)
_ADDRESS = _words("address addresses addr adresse adresses")
_PHRASES = (
    *("firstname", "lastname", "fullname", "surname", "prenom", "naissance", "birth", "victim", "suspect"),
    *("telephone", "phonenumber", "immatricul", "licenseplate", "numberplate", "courriel", "narrative"),
    *(
        "commentaire",
        "freetext",
        "textelibre",
        "ethnicit",
        "nationalit",
        "housenumber",
        "houseno",
        "streetnumber",
    ),
    *(
        "streetno",
        "numerorue",
        "numrue",
        "numerovoie",
        "numvoie",
        "socialsecurity",
        "numerosecu",
        "reportedby",
    ),
    *("signalepar", "macaddress"),
)


def person_word(column: str) -> str | None:
    """The part of a column's name that says it describes persons, English or French; None if there is none.

    Names of places and classes pass: ``street_name``, ``nom_quartier``, ``category_name``, and so do counts:
    ``n_victims``.

    Examples
    --------
    >>> person_word("date_naissance"), person_word("victimAge"), person_word("NOM")
    ('naissance', 'victim', 'nom')
    >>> person_word("neighborhood_name") is None and person_word("nb_victimes") is None
    True
    """
    words = [word for word in plain_words(column).split() if not word.isdigit()]
    compact = "".join(words)
    if compact in _WHOLE:
        return compact
    counted = not _COUNTED.isdisjoint(words)
    for word in words:
        if word in _WORDS or (word in _ROLES and not counted):
            return word
    if not {"name", "names", "nom", "noms"}.isdisjoint(words) and not _NAMED.isdisjoint(words):
        return " ".join(words)
    if not _ADDRESS.isdisjoint(words) and "block" not in words:
        return next(word for word in words if word in _ADDRESS)
    return next((phrase for phrase in _PHRASES if phrase in compact and not counted), None)


_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[a-z]{2,}", re.IGNORECASE)
_PHONE = re.compile(
    r"(?:(?:\+33|0033)[ .-]?|0)[1-9](?:[ .-]?\d\d){4}"  # France
    r"|(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}"  # North America, with separators
    r"|\+\d{1,3}[ .-]?\d[\d .-]{6,13}"
)
_PLATE_FR = re.compile(r"[A-HJ-NP-TV-Z]{2}[- ]?\d{3}[- ]?[A-HJ-NP-TV-Z]{2}|\d{1,4} [A-Z]{2,3} \d[\dAB]")
_PLATE_US = re.compile(r"[A-Z]{3}[- ]?\d{3,4}|\d[A-Z]{3}\d{3}|\d{3}[- ]?[A-Z]{3}")
_DOORSTEP = re.compile(
    r"(?P<number>\d{1,5})(?: ?(?:bis|ter|[a-d]))?,? +(?!block\b)\D*\b(?:st|street|ave|avenue|rd|road"
    r"|blvd|boulevard|dr|drive|ln|lane|ct|court|way|pl|place|rue|av|bd|chemin|impasse|allee|cours|quai|route)\b.*",
    re.IGNORECASE,
)
_TITLE = re.compile(r"(?:mr|mrs|ms|mme|mlle|m\.|monsieur|madame)\.? +[^\W\d]+", re.IGNORECASE)
_TWO_OR_THREE_WORDS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*(?:,? [^\W\d_]+(?:['’-][^\W\d_]+)*){1,2}")
_FIRST_NAMES = _words(
    "james john robert michael william david richard joseph thomas charles christopher daniel matthew "
    "anthony mark donald steven paul andrew joshua kenneth kevin brian george edward ronald timothy "
    "jason jeffrey ryan jacob gary nicholas eric jonathan stephen larry justin scott brandon benjamin "
    "samuel gregory frank alexander raymond patrick jack dennis jerry tyler aaron jose adam nathan "
    "henry mary patricia jennifer linda elizabeth barbara susan jessica sarah karen lisa nancy betty "
    "margaret sandra ashley kimberly emily donna michelle carol amanda melissa deborah stephanie "
    "rebecca laura sharon cynthia kathleen amy angela shirley anna brenda pamela nicole jean pierre "
    "michel andre philippe rene louis alain jacques bernard marcel daniel roger robert claude henri "
    "christian georges nicolas francois francoise patrick gerard christophe julien laurent frederic "
    "eric stephane david sebastien pascal olivier thierry maxime lucas hugo theo antoine alexandre "
    "karim mohamed ahmed youssef ali marie jeanne monique catherine nathalie isabelle jacqueline anne "
    "sylvie martine madeleine nicole suzanne helene christine christiane valerie sandrine sophie "
    "veronique celine chantal camille aurelie emilie julie lea manon chloe emma fatima yasmine "
    "nadia"
)

_PLACE_WORDS = _words(
    "saint sainte st ste san santa rue avenue ave place boulevard blvd street road drive square cours "
    "quai chemin park parc hill hills heights village gardens garden school ecole college lycee north "
    "south east west nord sud est ouest gare station port plage belle cite centre center"
)


def _is_doorstep(text: str) -> bool:
    """An address down to the house; 1200 MAIN ST stands for a block of a hundred numbers."""
    found = _DOORSTEP.fullmatch(text)
    return found is not None and int(found["number"]) % 100 != 0


def _is_name(text: str) -> bool:
    """A title and a name, or two or three words of which one is a common first name."""
    if _TITLE.fullmatch(text):
        return True
    if not _TWO_OR_THREE_WORDS.fullmatch(text):
        return False
    words = plain_words(text).split()
    return not _FIRST_NAMES.isdisjoint(words) and _PLACE_WORDS.isdisjoint(words)


def _is_sentence(text: str) -> bool:
    return len(text) >= 40 and len(text.split()) >= 6


# What the values look like, the test, the share of distinct values that must pass, and how many must.
_SHAPES: tuple[tuple[str, Callable[[str], object], float, int], ...] = (
    ("e-mail addresses", _EMAIL.search, 0.0, 1),
    ("phone numbers", _PHONE.fullmatch, 0.2, 1),
    ("vehicle plates", _PLATE_FR.fullmatch, 0.5, 1),
    ("vehicle plates", _PLATE_US.fullmatch, 0.5, 20),
    ("addresses with house numbers", _is_doorstep, 0.3, 1),
    ("names of persons", _is_name, 0.3, 1),
)


def person_shape(values: pd.Series[str], occurred: pd.Series[str] | None = None) -> str | None:
    """What a sample of values looks like if it describes persons; None if it does not.

    Parameters
    ----------
    values : Series of str
        Sampled values of one column, missing ones included.
    occurred : Series of str, optional
        When the incidents of the same rows occurred: dates that lie decades before are birth dates.

    Examples
    --------
    >>> person_shape(pd.Series(["06 12 34 56 78", None]))
    'phone numbers'
    >>> person_shape(pd.Series(["larceny", "burglary"])) is None
    True
    """
    given = values.dropna().astype(str).str.strip()
    given = given[given != ""]
    distinct = given.unique().tolist()
    if not distinct:
        return None
    for looks_like, test, share, at_least in _SHAPES:
        passed = sum(1 for value in distinct if test(value))
        if passed > share * len(distinct) and passed >= at_least:
            return looks_like
    # Coded descriptions repeat; what people write does not.
    sentences = sum(1 for value in distinct if _is_sentence(value))
    if sentences > 0.2 * len(distinct) and len(distinct) > 0.5 * len(given):
        return "free text"
    if occurred is not None and _are_birth_dates(given, occurred.loc[given.index]):
        return "birth dates"
    return None


def describes_person(text: str) -> bool:
    """Whether one value looks like an e-mail address, a phone number, an address or a person's name."""
    return any(test(text) for _, test, _, at_least in _SHAPES if at_least == 1)


def _are_birth_dates(values: pd.Series[str], occurred: pd.Series[str]) -> bool:
    """Dates without time of day, of which most lie 10 to 120 years before the incident."""
    if not values.str.fullmatch(r"\d{4}-\d\d-\d\d(?: 00:00:00)?|\d\d?[/.-]\d\d?[/.-]\d{4}").mean() > 0.8:
        return False
    born = values.str.extract(r"(\d{4})", expand=False).astype(float)
    when = occurred.astype(str).str.extract(r"((?:19|20)\d\d)", expand=False).astype(float)
    years = (when - born).dropna().to_numpy()
    return len(years) > 0 and 10 < float(np.median(years)) < 120


def refuse_person_columns(
    file: str,
    columns: Iterable[str],
    sample: Callable[[list[str]], pd.DataFrame],
    mapped: Mapping[str, str],
) -> None:
    """Stop the reading if a column that is not dropped describes persons.

    Parameters
    ----------
    file : str
        Name for the message.
    columns : iterable of str
        The file's columns without the dropped ones.
    sample : callable
        Gives some rows of the columns asked for, as text; columns refused by name are never asked for.
    mapped : mapping of str to str
        Our name → the file's column. These columns are exempt from the tests, except that an incident's
        number or category can be neither named for a person nor an e-mail address.

    Raises
    ------
    PersonLevelDataError
        Naming each such column, why it was refused, and the `drop_columns` that mends it.
    """
    names = list(columns)
    exempt = set(mapped.values()) - {mapped.get("incident_id")}
    why = {
        name: f"its name says {word!r}"
        for name in names
        if name not in exempt and (word := person_word(name))
    }
    open_columns = [name for name in names if name not in why and name not in mapped.values()]
    keys = [mapped[key] for key in ("incident_id", "category") if key in mapped and mapped[key] not in why]
    when = mapped.get("occurred_at")
    rows = sample([*open_columns, *keys, *([when] if when else [])])
    occurred = rows.get(when)
    for name in open_columns:
        if name in rows and (shape := person_shape(rows[name], occurred)):
            why[name] = f"its values look like {shape}"
    for name in keys:
        if name in rows and rows[name].dropna().astype(str).str.contains(_EMAIL).any():
            why[name] = "its values look like e-mail addresses"
    if why:
        told = "; ".join(f"column {name!r}: {reason}" for name, reason in why.items())
        msg = (
            f"{file} describes persons ({told}). Forecasts are about places, never persons, so nothing was "
            f"read. Name what to leave out, and it is never loaded: `drop_columns: [{', '.join(why)}]`."
        )
        raise PersonLevelDataError(msg)
